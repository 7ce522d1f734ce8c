/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the daemon: its command line, and the order in which it is put together and taken apart. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "builtin.h"
#include "client.h"
#include "config.h"
#include "control.h"
#include "interfaces.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "region.h"
#include "shard.h"

#define EXIT_CONFIG    2
#define STOP_PATIENCE_MS 1000
#define CLIENT_SPIN_MAX_NS (50 * NS_PER_US) /* a program shares its CPU with others */

struct options {
	bool check_only;
	int ready_fd;
};

struct daemon {
	struct config *config;
	struct config_daemon settings;
	struct plugins *plugins;
	const struct tcp_rules *rules;
	struct loop *loop;
	struct interfaces interfaces;
	struct stackd_board *board;
	int board_fd, signal_fd;
	uint32_t shard_count;
	struct shard *shards[SHARDS_MAX];
	struct clients *clients;
	struct control *control;
};

static const char usage[] =
	"usage: stackd [-c FILE] [-o SECTION.KEY=VALUE]... [-n] [--ready-fd N]\n"
	"  -c, --config FILE    configuration (default " STACKD_SYSCONFDIR "/stackd.conf, if it is there)\n"
	"  -o, --option S.K=V   a setting that wins over the file; may be given again\n"
	"  -n, --check          check the configuration, say what would be done, and exit\n"
	"      --ready-fd N     write a line to descriptor N when it serves\n"
	"  -h, --help, -V, --version\n"
	"Runs in the foreground until SIGTERM or SIGINT.  See stackd(8) and stackd.conf(5).\n";

/* --- what it is told ---------------------------------------------------------------------------------- */

static int load_default_config(struct config *c, char error[static CONFIG_ERROR_MAX])
{
	const char *path = STACKD_SYSCONFDIR "/stackd.conf";

	return access(path, F_OK) ? 0 : config_load_file(c, path, error);
}

/* Exits on -h, -V and on a wrong option.  The file is read before any -o, wherever it stands. */
static void parse_options(struct daemon *d, struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"option", required_argument, NULL, 'o'},
		{"check", no_argument, NULL, 'n'},	  {"ready-fd", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},	  {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	char error[CONFIG_ERROR_MAX];
	const char *file = NULL;
	int opt, err;

	for (int pass = 0; pass < 2; pass++, optind = 1) {
		while ((opt = getopt_long(argc, argv, "c:o:nhV", longs, NULL)) != -1) {
			switch (opt) {
			case 'c': file = optarg; break;
			case 'n': o->check_only = true; break;
			case 'r': o->ready_fd = atoi(optarg); break;
			case 'h': fputs(usage, stdout); exit(0);
			case 'V': puts("stackd " STACKD_VERSION); exit(0);
			case 'o':
				if (pass == 1 && config_set_option(d->config, optarg, error)) {
					log_error("-o %s: %s", optarg, error);
					exit(EXIT_CONFIG);
				}
				break;
			default: fputs(usage, stderr); exit(EXIT_CONFIG);
			}
		}
		if (optind < argc) {
			log_error("unexpected argument '%s'", argv[optind]);
			exit(EXIT_CONFIG);
		}
		if (pass == 1)
			break;
		err = file ? config_load_file(d->config, file, error) : load_default_config(d->config, error);
		if (err) {
			log_error("%s", error);
			exit(EXIT_CONFIG);
		}
	}
}

static void load_plugins(struct daemon *d)
{
	char error[PLUGIN_ERROR_MAX];

	d->plugins = plugins_create(stackd_builtin_plugins);
	if (!d->plugins) {
		log_error("out of memory");
		exit(1);
	}
	if (plugins_load_dir(d->plugins, d->settings.plugin_dir, error) < 0)
		log_warning("plugins: %s: only the built-in ones work", error);
}

/* Everything that can be known to be wrong is found here, before anything is touched. */
static void check_config(struct daemon *d)
{
	char error[CONFIG_ERROR_MAX];

	if (config_check(d->config, d->plugins, error) ||
	    !(d->rules = config_rules(d->config, d->plugins, NULL, error))) {
		log_error("%s", error);
		exit(EXIT_CONFIG);
	}
	if (config_interface_count(d->config) == 0) {
		log_error("no interface: give one in the configuration, or for example "
			  "-o 'interface veth1.address=10.9.0.2/24'");
		exit(EXIT_CONFIG);
	}
}

/* --- putting together ------------------------------------------------------------------------------------ */

static void apply_rules_on_shard(struct shard *sh, void *arg)
{
	tcp_set_rules(shard_tcp(sh), arg);
}

static void apply_rules(void *arg, const struct tcp_rules *rules)
{
	struct daemon *d = arg;

	d->rules = rules;
	for (uint32_t i = 0; i < d->shard_count; i++)
		shard_call(d->shards[i], apply_rules_on_shard, (void *)(uintptr_t)rules);
}

static void show_clients(void *arg, struct writer *w)
{
	clients_show(((struct daemon *)arg)->clients, w);
}

static bool next_listener(void *arg, uint64_t *cursor, struct tcp_listener_info *out, uint32_t *pid)
{
	return clients_next_listener(((struct daemon *)arg)->clients, cursor, out, pid);
}

static void on_signal(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct signalfd_siginfo info;

	(void)events;
	(void)arg;
	if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		log_info("signal %u: stopping", info.ssi_signo);
	notify_stopping();
	loop_stop(loop);
}

static int catch_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signal_fd < 0 ? -errno : loop_add(d->loop, d->signal_fd, EPOLLIN, on_signal, NULL);
}

static int create_shards(struct daemon *d, struct mailbox *control)
{
	struct shard_config c = {.count = d->shard_count,
				 .rules = d->rules,
				 .connections_max = (uint32_t)d->settings.connections_max,
				 .spin_ns = d->settings.spin_ns,
				 .debug = d->settings.debug,
				 .board = d->board,
				 .control = control,
				 .peers = d->shards};
	int err = 0;

	if (getrandom(&c.secret, sizeof(c.secret), 0) != (ssize_t)sizeof(c.secret))
		return -EIO;
	for (uint32_t i = 0; i < d->shard_count && !err; i++) {
		c.index = i;
		c.cpu = i < d->settings.cpu_count ? (int)d->settings.cpu[i] : -1;
		interfaces_give(&d->interfaces, i, &c);
		err = shard_create(&c, &d->shards[i]);
		if (!err)
			shard_on_letter(d->shards[i], clients_on_letter);
	}
	return err;
}

static int create_clients(struct daemon *d, char error[static CONFIG_ERROR_MAX])
{
	struct clients_config c = {
		.loop = d->loop,
		.config = d->config,
		.plugins = d->plugins,
		.rundir = d->settings.rundir,
		.access = d->settings.allow,
		.clients_per_user = d->settings.clients_per_user,
		.rule_sets_per_user = d->settings.rule_sets_per_user,
		.region = {.shards = d->shard_count,
			   .sockets = (uint32_t)d->settings.sockets_per_client,
			   .rx_bytes = d->settings.client_receive_ring,
			   .tx_bytes = d->settings.client_send_ring},
		.board = d->board,
		.board_fd = d->board_fd,
		.shards = d->shards,
		.shard_count = d->shard_count,
	};

	return clients_create(&c, &d->clients, error);
}

static int create_control(struct daemon *d, char error[static CONFIG_ERROR_MAX])
{
	struct control_context c = {
		.config = d->config,
		.plugins = d->plugins,
		.shards = d->shards,
		.shard_count = d->shard_count,
		.loop = d->loop,
		.apply_rules = apply_rules,
		.show_clients = show_clients,
		.next_listener = next_listener,
		.arg = d,
	};

	return control_create(&c, &d->control, error);
}

static int make_rundir(const char *path)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

static int prepare(struct daemon *d, char error[static CONFIG_ERROR_MAX])
{
	int err;

	snprintf(error, CONFIG_ERROR_MAX, "can't set up the control thread");
	d->loop = loop_create();
	if (!d->loop)
		return -errno;
	err = catch_signals(d);
	if (err)
		return err;
	err = make_rundir(d->settings.rundir);
	if (err) {
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s (stackd.rundir)", d->settings.rundir, strerror(-err));
		return err;
	}
	snprintf(error, CONFIG_ERROR_MAX, "no memory for the board");
	d->board = board_create(&d->board_fd);
	if (!d->board)
		return -ENOMEM;
	d->board->shards = d->shard_count;
	d->board->listen_both = d->settings.listen == CONFIG_LISTEN_BOTH;
	d->board->spin_ns = d->settings.spin_ns;
	if (d->board->spin_ns > CLIENT_SPIN_MAX_NS)
		d->board->spin_ns = CLIENT_SPIN_MAX_NS;
	return 0;
}

/* Interfaces first, since they fail most; shards don't run before all is there. */
static int build(struct daemon *d, char error[static CONFIG_ERROR_MAX])
{
	int err = prepare(d, error);

	if (err)
		return err;
	err = create_clients(d, error);
	if (err)
		return err;
	err = interfaces_open(d->config, d->shard_count, &d->interfaces, error);
	if (err)
		return err;
	interfaces_routes(&d->interfaces, d->board);
	err = create_shards(d, clients_mailbox(d->clients));
	snprintf(error, CONFIG_ERROR_MAX, "no memory for the shards");
	for (uint32_t i = 0; i < d->shard_count && !err; i++)
		err = shard_start(d->shards[i]);
	if (err)
		return err;
	return create_control(d, error);
}

/* --- taking apart ----------------------------------------------------------------------------------------- */

static void count_sockets(struct shard *sh, void *arg)
{
	*(uint32_t *)arg += sock_count(shard_socks(sh));
}

/* What applications have closed may still finish its sending; what they held open has been reset. */
static void let_finish(struct daemon *d)
{
	for (int ms = 0; ms < STOP_PATIENCE_MS; ms += 10) {
		uint32_t left = 0;

		for (uint32_t i = 0; i < d->shard_count; i++)
			shard_call(d->shards[i], count_sockets, &left);
		if (left == 0)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
}

static void tear_down(struct daemon *d)
{
	bool running = d->control != NULL;

	if (d->control)
		control_destroy(d->control);
	if (d->clients)
		clients_leave(d->clients);
	if (running)
		let_finish(d);
	for (uint32_t i = 0; i < d->shard_count; i++)
		if (d->shards[i])
			shard_stop(d->shards[i]);
	if (d->clients)
		clients_destroy(d->clients);
	for (uint32_t i = 0; i < d->shard_count; i++)
		if (d->shards[i])
			shard_destroy(d->shards[i]);
	if (d->loop)
		loop_destroy(d->loop);
	config_destroy(d->config);
	plugins_destroy(d->plugins);
}

static void tell(const char *line)
{
	puts(line);
}

int main(int argc, char **argv)
{
	struct daemon d = {.config = config_create()};
	struct options o = {.ready_fd = -1};
	char error[CONFIG_ERROR_MAX];
	int err;

	if (!d.config)
		return 1;
	log_init(LOG_LEVEL_INFO);
	parse_options(&d, &o, argc, argv);
	config_daemon(d.config, &d.settings);
	log_init((enum log_level)d.settings.log_level);
	d.shard_count = (uint32_t)d.settings.shards;
	load_plugins(&d);
	check_config(&d);
	if (o.check_only) {
		interfaces_describe(d.config, tell);
		puts("configuration is good");
		return 0;
	}
	err = build(&d, error);
	if (err) {
		log_error("%s", error);
		tear_down(&d);
		return 1;
	}
	log_info("stackd " STACKD_VERSION " serves with %u shard%s in %s", d.shard_count,
		 d.shard_count == 1 ? "" : "s", d.settings.rundir);
	notify_ready(o.ready_fd, "serving");
	err = loop_run(d.loop);
	tear_down(&d);
	log_info("stopped");
	return err ? 1 : 0;
}
