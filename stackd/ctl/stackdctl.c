/* SPDX-License-Identifier: BSD-2-Clause */
/* stackdctl.c - sends the words of a command to the daemon and prints the answer.  What a command
 * means is the daemon's; only `wait`, `drain` and `plugins FILE.so` have work to do here, and follow.c
 * for the answers that go on. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/key.h"
#include "ctl/plugin_file.h"
#include "ctl/stackdctl.h"
#include "ctl/writer.h"
#include "stackd_msg.h"

#define REQUEST_MAX 4096u

static const char usage[] =
    "usage: stackdctl [-s RUNDIR] [--json] COMMAND\n"
    "  show conns [-i] [FILTER]   connections, as ss -tin shows them; FILTER: state NAME, src ADDR,\n"
    "                             dst ADDR, sport PORT, dport PORT, recovery NAME, cc NAME\n"
    "  show listeners|shards|clients|interfaces|plugins|drops|memory|config\n"
    "  describe NAME              what a key, section, plugin or counter is\n"
    "  set SECTION.KEY VALUE      for connections opened from now on\n"
    "  kill LOCAL REMOTE          reset a connection\n"
    "  drain [--timeout SECONDS]  no new connections; until the last is gone.  drain off: again\n"
    "  watch [FILTER]             shards and the busiest connections, each second, until ^C\n"
    "  trace LOCAL REMOTE|FILTER  each event of a connection, and what its plugins made of it\n"
    "  capture [IF|LOCAL REMOTE] [-w FILE|-]\n"
    "                             frames as pcapng, plugins' verdicts as comments, until ^C\n"
    "  metrics                    Prometheus text\n"
    "  wait [--timeout SECONDS]   until stackd serves\n"
    "  plugins FILE.so            what a plugin file says of itself\n"
    "  -s, --rundir RUNDIR        where stackd's sockets are (" STACKD_RUNDIR ")\n"
    "  -h, --help, -V, --version\n"
    "Exit status: 0 done, 1 refused, 2 usage, 3 no daemon.\n";

int wrong_usage(const char *why, const char *what)
{
	fprintf(stderr, "stackdctl: %s%s\n%s", why, what, usage);
	return EXIT_USAGE;
}

/* --- the daemon ------------------------------------------------------------------------------------ */

static int connect_daemon(const char *rundir)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, n;

	n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/" STACKD_CONTROL_SOCK, rundir);
	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		n = -errno;
		close(fd);
		return n;
	}
	return fd;
}

int no_daemon(const char *rundir, int error)
{
	if (error == -EACCES) {
		fprintf(stderr, "stackdctl: %s/" STACKD_CONTROL_SOCK ": not allowed (see stackd.allow)\n",
			rundir);
		return EXIT_REFUSED;
	}
	fprintf(stderr, "stackdctl: no stackd serves in %s: %s\n", rundir, strerror(-error));
	return EXIT_NO_DAEMON;
}

/* Each word with its NUL, and an empty word.  False: too long. */
static bool pack(char **word, int count, bool json, char out[static REQUEST_MAX], size_t *len)
{
	*len = 0;
	for (int i = 0; i <= count; i++) {
		const char *next = i < count ? word[i] : json ? "--json" : "";
		size_t n = strlen(next) + 1;

		if (i < count && !*next)
			next = " ", n = 2; /* an empty word would end the request */
		if (*len + n + 1 > REQUEST_MAX)
			return false;
		memcpy(out + *len, next, n);
		*len += n;
	}
	if (json)
		out[(*len)++] = 0;
	return true;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

int ask_daemon(const struct options *o, char **word, int count, int *code)
{
	char request[REQUEST_MAX];
	size_t len;
	int fd;

	if (!pack(word, count, o->json, request, &len)) {
		*code = wrong_usage("the command is too long", "");
		return -1;
	}
	fd = connect_daemon(o->rundir);
	if (fd < 0) {
		*code = no_daemon(o->rundir, fd);
		return -1;
	}
	if (send_all(fd, request, len))
		return fd;
	*code = no_daemon(o->rundir, -errno);
	close(fd);
	return -1;
}

int daemon_gone(void)
{
	fputs("stackdctl: the daemon went away, or does not allow it\n", stderr);
	return EXIT_NO_DAEMON;
}

/* The first byte says how it went; the rest goes where it belongs. */
static int print_answer(int fd)
{
	char buffer[65536];
	int status = -1;
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) != 0) {
		size_t skip = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if (status < 0) {
			status = buffer[0];
			skip = 1;
			if (status != '0')
				fputs("stackdctl: ", stderr);
		}
		if (fwrite(buffer + skip, 1, (size_t)n - skip, status == '0' ? stdout : stderr) !=
		    (size_t)n - skip)
			return EXIT_REFUSED;
	}
	if (fflush(stdout))
		return EXIT_REFUSED;
	if (status < 0)
		return daemon_gone();
	return status == '0' ? EXIT_DONE : EXIT_REFUSED;
}

static int ask(const struct options *o, char **word, int count)
{
	int code, fd = ask_daemon(o, word, count, &code);

	if (fd < 0)
		return code;
	code = print_answer(fd);
	close(fd);
	return code;
}

/* --- wait -------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

bool serves(const struct options *o)
{
	static char word[] = "wait", *words[] = {word};
	char request[REQUEST_MAX], status = 0;
	struct timeval patience = {.tv_sec = 1};
	size_t len;
	int fd = connect_daemon(o->rundir);

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (pack(words, 1, false, request, &len) && send_all(fd, request, len) &&
	    recv(fd, &status, 1, 0) != 1)
		status = 0;
	close(fd);
	return status == '0';
}

/* Seconds, or a time with its unit. */
static bool parse_timeout(const char *text, uint64_t *ns)
{
	static const struct key key = {"timeout", KEY_TIME, 0, "10s", "0s", "24h", NULL, ""};
	char with_unit[32], why[KEY_ERROR_MAX];

	snprintf(with_unit, sizeof(with_unit), "%.24s%s", text,
		 text[strspn(text, "0123456789.")] ? "" : "s");
	return key_set(&key, ns, with_unit, why) == 0;
}

/* [--timeout SECONDS]; 0 or EXIT_USAGE. */
static int take_timeout(const char *command, char **word, int count, uint64_t *timeout)
{
	char why[64];
	const char *text = NULL;

	if (count == 2 && strcmp(word[0], "--timeout") == 0)
		text = word[1];
	else if (count == 1 && strncmp(word[0], "--timeout=", 10) == 0)
		text = word[0] + 10;
	snprintf(why, sizeof(why), "%s takes only --timeout SECONDS", command);
	if (count != 0 && !text)
		return wrong_usage(why, "");
	if (text && !parse_timeout(text, timeout))
		return wrong_usage("not a time: ", text);
	return 0;
}

static int wait_daemon(const struct options *o, char **word, int count)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	uint64_t timeout = 30 * NS_PER_S, start = now_ns();
	int code = take_timeout("wait", word, count, &timeout);

	if (code)
		return code;
	while (!serves(o)) {
		if (now_ns() - start >= timeout) {
			fprintf(stderr, "stackdctl: no stackd serves in %s\n", o->rundir);
			return EXIT_NO_DAEMON;
		}
		nanosleep(&pause, NULL);
	}
	return EXIT_DONE;
}

/* --- drain ------------------------------------------------------------------------------------------- */

/* How many connections are left; -1: *code says why it is not known. */
static long drain_once(const struct options *o, int *code)
{
	static char drain[] = "drain", *words[] = {drain};
	const struct options text = {.rundir = o->rundir};
	char answer[4096];
	const char *left;
	size_t len = 0;
	ssize_t n;
	int fd = ask_daemon(&text, words, 1, code);

	if (fd < 0)
		return -1;
	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0 || (n < 0 && errno == EINTR))
		len += n > 0 ? (size_t)n : 0;
	close(fd);
	answer[len] = 0;
	if (len == 0) {
		*code = daemon_gone();
		return -1;
	}
	left = strstr(answer, "left: ");
	if (answer[0] == '0' && left)
		return strtol(left + 6, NULL, 10);
	fprintf(stderr, "stackdctl: %s", answer + 1);
	*code = EXIT_REFUSED;
	return -1;
}

static int drain(const struct options *o, char **word, int count)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	uint64_t timeout = UINT64_MAX, start = now_ns();
	int code = take_timeout("drain", word, count, &timeout);
	long left, said = -1;

	if (code)
		return code;
	while ((left = drain_once(o, &code)) > 0) {
		if (now_ns() - start >= timeout) {
			fprintf(stderr, "stackdctl: %ld connection%s left; stackd still drains (drain off: not any "
				"more)\n", left, left == 1 ? "" : "s");
			return EXIT_REFUSED;
		}
		if (left != said && isatty(STDERR_FILENO))
			fprintf(stderr, "\r%ld left \033[K", left);
		said = left;
		nanosleep(&pause, NULL);
	}
	if (said >= 0 && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (left < 0)
		return code;
	puts(o->json ? "{\"draining\":true,\"left\":0}" : "drained: no connection is left");
	return EXIT_DONE;
}

/* --- plugins FILE ---------------------------------------------------------------------------------------- */

static void feature_names(uint32_t features, char *out, size_t len)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} known[] = {{SP_SACK, "sack"}, {SP_TIMESTAMPS, "timestamps"}, {SP_ECN, "ecn"},
		     {SP_DSACK, "dsack"}, {SP_PER_SEGMENT, "per-segment"},
		     {SP_CE_EXACT, "ce-exact"}};

	*out = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (features & known[i].bit)
			snprintf(out + strlen(out), len - strlen(out), "%s%s", *out ? " " : "",
				 known[i].name);
}

static void write_plugin(struct writer *w, const char *path, const struct plugin_view *view)
{
	static const struct writer_column columns[] = {
	    {"name", "Parameter", 20}, {"type", "Type", 7}, {"default", "Default", 10},
	    {"min", "Min", 8}, {"max", "Max", 8}, {"is", "Is", 0}, {0}};
	const struct sp_plugin *p = &view->plugin;
	char features[64];

	writer_object(w, path);
	writer_text(w, "kind", plugin_kind_name(p->kind));
	writer_text(w, "name", p->name);
	writer_text(w, "version", p->version);
	writer_text(w, "license", p->license);
	writer_text(w, "summary", p->summary);
	writer_textf(w, "abi", "%u.%u", p->abi_major, p->abi_minor);
	feature_names(p->wants, features, sizeof(features));
	writer_text(w, "wants", features);
	feature_names(p->requires, features, sizeof(features));
	writer_text(w, "requires", features);
	writer_u64(w, "state_bytes", p->state_size);
	if (w->json || view->keys->name)
		writer_table(w, "parameters", columns);
	for (const struct key *k = view->keys; k->name; k++) {
		writer_row(w);
		writer_text(w, "name", k->name);
		writer_text(w, "type", key_type_name(k->type));
		writer_text(w, "default", k->def);
		writer_text(w, "min", k->min ? k->min : "");
		writer_text(w, "max", k->max ? k->max : "");
		writer_text(w, "is", k->sentence);
		writer_row_end(w);
	}
	if (w->json || view->keys->name)
		writer_table_end(w);
	writer_object_end(w);
}

/* The files are opened (their constructors run), none of their hooks is called. */
static int show_plugin_files(const struct options *o, char **path, int count)
{
	char error[PLUGIN_ERROR_MAX];
	struct plugin_view view;
	struct writer w;
	int code = EXIT_DONE;

	if (count == 0)
		return wrong_usage("plugins takes the names of plugin files", "");
	writer_init(&w, o->json, 1 << 20);
	for (int i = 0; i < count; i++) {
		if (plugin_file_open(path[i], &view, error)) {
			fprintf(stderr, "stackdctl: %s: %s\n", path[i], error);
			code = EXIT_REFUSED;
			continue;
		}
		write_plugin(&w, path[i], &view);
	}
	writer_finish(&w);
	fputs(w.text ? w.text : "", stdout);
	writer_free(&w);
	return code;
}

/* --- the command line ---------------------------------------------------------------------------------------- */

/* Options may stand anywhere; what is the command's own (-i, --timeout) stays a word. */
static int take_options(struct options *o, int argc, char **argv, char **word)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if ((strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--rundir") == 0) && i + 1 < argc)
			o->rundir = argv[++i];
		else if (strncmp(argv[i], "--rundir=", 9) == 0)
			o->rundir = argv[i] + 9;
		else
			word[count++] = argv[i];
	}
	return count;
}

int main(int argc, char **argv)
{
	struct options o = {.rundir = STACKD_RUNDIR};
	char **word = calloc((size_t)argc + 1, sizeof(*word));
	int count, code;

	if (!word)
		return EXIT_REFUSED;
	count = take_options(&o, argc, argv, word);
	if (count > 0 && (strcmp(word[0], "-h") == 0 || strcmp(word[0], "--help") == 0)) {
		fputs(usage, stdout);
		code = EXIT_DONE;
	} else if (count > 0 && (strcmp(word[0], "-V") == 0 || strcmp(word[0], "--version") == 0)) {
		puts("stackdctl " STACKD_VERSION);
		code = EXIT_DONE;
	} else if (count == 0 || word[0][0] == '-') {
		code = wrong_usage(count ? "unknown option: " : "a command is missing", count ? word[0] : "");
	} else if (strcmp(word[0], "wait") == 0) {
		code = wait_daemon(&o, word + 1, count - 1);
	} else if (strcmp(word[0], "drain") == 0 && !(count == 2 && strcmp(word[1], "off") == 0)) {
		code = drain(&o, word + 1, count - 1);
	} else if (strcmp(word[0], "capture") == 0) {
		code = capture(&o, word, count);
	} else if (strcmp(word[0], "watch") == 0 || strcmp(word[0], "trace") == 0) {
		code = follow(&o, word, count);
	} else if (strcmp(word[0], "plugins") == 0) {
		code = show_plugin_files(&o, word + 1, count - 1);
	} else {
		code = ask(&o, word, count);
	}
	free(word);
	return code;
}
