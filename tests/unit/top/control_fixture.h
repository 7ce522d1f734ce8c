/* SPDX-License-Identifier: BSD-2-Clause */
/* control_fixture.h - control.sock on two make-believe shards: one request at a time, or over the socket. */
#ifndef TESTS_UNIT_TOP_CONTROL_FIXTURE_H
#define TESTS_UNIT_TOP_CONTROL_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "builtin.h"
#include "control_part.h"

#define CONNS 150u /* of each shard: more than one batch */

/* --- the make-believe shards ----------------------------------------------------------------------- */

struct shard {
	uint32_t index;
	struct counters counters;
	struct driver driver;
	uint32_t aborted;
	bool draining;
	struct tape *tape;
};
static struct shard shards[2];
static struct shard *shard_list[2] = {&shards[0], &shards[1]};
static const struct tcp_rules *applied;

static void driver_stats(struct driver *d, struct driver_stats *s)
{
	(void)d;
	*s = (struct driver_stats){.rx_frames = 11, .tx_frames = 12, .fault_lost = 3};
}

static const struct driver_ops driver_ops = {.stats = driver_stats};

void shard_call(struct shard *s, void (*fn)(struct shard *, void *arg), void *arg)
{
	fn(s, arg);
}

ns_t shard_now(const struct shard *s)
{
	(void)s;
	return 100 * NS_PER_S;
}

struct tcp *shard_tcp(struct shard *s)
{
	return (struct tcp *)(void *)s;
}

uint32_t shard_index(const struct shard *s)
{
	return s->index;
}

void shard_set_tape(struct shard *s, struct tape *tape)
{
	s->tape = tape;
}

void tcp_set_draining(struct tcp *tcp, bool draining)
{
	((struct shard *)(void *)tcp)->draining = draining;
}

uint32_t shard_driver_count(const struct shard *s)
{
	(void)s;
	return 1;
}

struct driver *shard_driver(struct shard *s, uint32_t interface)
{
	assert_int_equal(interface, 0);
	return &s->driver;
}

void shard_stats(const struct shard *s, struct shard_stats *out)
{
	*out = (struct shard_stats){.connections = CONNS, .busy_ns = 1, .idle_ns = 3, .loops = s->index};
}

const struct counters *shard_counters(const struct shard *s)
{
	return &s->counters;
}

static struct endpoint end(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

bool tcp_next_conn(struct tcp *tcp, uint64_t *cursor, struct tcp_conn **conn, struct tcp_info *out, ns_t now)
{
	struct shard *s = (struct shard *)(void *)tcp;

	if (*cursor == CONNS)
		return false;
	*conn = (struct tcp_conn *)(void *)s;
	*out = (struct tcp_info){.state = *cursor == 0 ? TCP_LISTEN + 1 : TCP_ESTABLISHED,
				 .local = end("10.9.0.2:40000"),
				 .remote = end("10.9.0.1:80"),
				 .features = SP_TIMESTAMPS | SP_SACK,
				 .snd_wscale = 7,
				 .rcv_wscale = 9,
				 .mss = 1448,
				 .rcv_mss = 536,
				 .advmss = 1448,
				 .pmtu = 1500,
				 .srtt = 1200000,
				 .rttvar = 600000,
				 .rtt_min = 1000000,
				 .rto = 204 * NS_PER_MS,
				 .cwnd = 14480,
				 .ssthresh = UINT64_MAX,
				 .snd_una = 100,
				 .snd_nxt = 200,
				 .snd_end = 250,
				 .rcv_nxt = 10,
				 .rcv_read = 3,
				 .rcv_limit = 10,
				 .bytes_sent = 200,
				 .last_data_sent = now - 5 * NS_PER_MS,
				 .recovery = s->index ? "gbn" : "racktlp",
				 .rto_plugin = "rfc6298",
				 .ack = "quick",
				 .cc = "cubic"};
	out->local.port = (uint16_t)(40000 + *cursor + 1000 * s->index);
	snprintf(out->describe[0], sizeof(out->describe[0]), "dupacks=2");
	++*cursor;
	return true;
}

void tcp_abort(struct tcp_conn *c)
{
	((struct shard *)(void *)c)->aborted++;
}

const char *tcp_state_name(enum tcp_state s)
{
	static const char *const name[] = {"CLOSED",	 "LISTEN",     "SYN-SENT",   "SYN-RECV",
					   "ESTAB",	 "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
					   "CLOSING",	 "LAST-ACK",   "TIME-WAIT"};

	return name[s];
}

static void apply_rules(void *arg, const struct tcp_rules *rules)
{
	(void)arg;
	applied = rules;
}

static bool next_listener(void *arg, uint64_t *cursor, struct tcp_listener_info *out, uint32_t *pid)
{
	(void)arg;
	*out = (struct tcp_listener_info){.local = end("10.9.0.2:80"), .backlog = 128, .waiting = 2};
	*pid = 4711;
	return (*cursor)++ == 0;
}

/* --- one request at a time ---------------------------------------------------------------------------- */

static char dir[] = "/tmp/stackd-control-XXXXXX";
static struct control_context context;

static int set_up(void **state)
{
	char error[CONFIG_ERROR_MAX], option[128];

	(void)state;
	context = (struct control_context){.config = config_create(),
					   .plugins = plugins_create(stackd_builtin_plugins),
					   .shards = shard_list,
					   .shard_count = 2,
					   .loop = loop_create(),
					   .apply_rules = apply_rules,
					   .next_listener = next_listener};
	for (uint32_t i = 0; i < 2; i++) {
		shards[i] = (struct shard){.index = i};
		shards[i].driver.ops = &driver_ops;
		snprintf(shards[i].driver.caps.name, sizeof(shards[i].driver.caps.name), "pair");
		shards[i].counters.n[COUNT_ip_checksum] = 3;
		shards[i].counters.n[COUNT_rx_frames] = 9;
	}
	if (plugins_load_dir(context.plugins, PLUGIN_DIR, error) < 1 ||
	    config_set(context.config, "interface veth1.address", "10.9.0.2/24", "-o", error))
		return -1;
	snprintf(option, sizeof(option), "stackd.rundir=%s", dir);
	return config_set_option(context.config, option, error);
}

static int tear_down(void **state)
{
	(void)state;
	config_destroy(context.config);
	plugins_destroy(context.plugins);
	loop_destroy(context.loop);
	return 0;
}

static struct control_request request;

/* words separated by blanks; the answer stays in `request` */
static int ask(const char *words)
{
	static char copy[256];

	writer_free(&request.answer);
	request = (struct control_request){.context = &context, .may_change = true};
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		request.word[request.word_count++] = w;
	return control_run(&request);
}

static void expect(const char *words, const char *says)
{
	if (ask(words))
		fail_msg("%s: %s", words, request.error);
	if (!strstr(request.answer.text, says))
		fail_msg("%s: '%.1500s' lacks '%s'", words, request.answer.text, says);
}

static void expect_refused(const char *words, int code, const char *says)
{
	assert_int_equal(ask(words), code);
	if (!strstr(request.error, says))
		fail_msg("%s: '%s' lacks '%s'", words, request.error, says);
}

static void stop_loop(struct loop *loop, int fd, uint32_t events, void *arg)
{
	uint64_t n;

	(void)events;
	(void)arg;
	assert_true(read(fd, &n, sizeof(n)) > 0);
	loop_stop(loop);
}

static void run_for_ms(long ms)
{
	struct itimerspec when = {.it_value.tv_nsec = ms * 1000000};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	assert_int_equal(timerfd_settime(fd, 0, &when, NULL), 0);
	assert_int_equal(loop_add(context.loop, fd, EPOLLIN, stop_loop, NULL), 0);
	assert_int_equal(loop_run(context.loop), 0);
	loop_remove(context.loop, fd);
	close(fd);
}

static int attach(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/control.sock", dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* --- a program of tests ----------------------------------------------------------------------------- */

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	writer_free(&request.answer);
	return rmdir(dir);
}

#endif
