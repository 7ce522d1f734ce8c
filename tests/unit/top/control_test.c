/* SPDX-License-Identifier: BSD-2-Clause */
/* control.sock: requests, filters, the commands on two make-believe shards, and a client that
 * dawdles. */
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

static uint32_t lines_with(const char *text, const char *what)
{
	uint32_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void takes_requests_apart(void **state)
{
	static const char good[] = "show\0conns\0-i\0\0";
	const char *word[CONTROL_WORDS_MAX + 1];
	char many[200], long_one[CONTROL_REQUEST_MAX];
	uint32_t count;

	(void)state;
	for (size_t len = 0; len < sizeof(good) - 1; len++)
		assert_int_equal(control_parse(good, len, word, &count), 0);
	assert_int_equal(control_parse(good, sizeof(good) - 1, word, &count), 1);
	assert_int_equal(count, 3);
	assert_string_equal(word[2], "-i");
	assert_null(word[3]);
	assert_int_equal(control_parse("", 1, word, &count), 1);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < sizeof(many); i += 2)
		memcpy(many + i, "x", 2);
	assert_int_equal(control_parse(many, sizeof(many), word, &count), -EINVAL);
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(control_parse(long_one, sizeof(long_one) - 1, word, &count), 0);
	assert_int_equal(control_parse(long_one, sizeof(long_one), word, &count), -EINVAL);
}

static void shows_connections_like_ss(void **state)
{
	(void)state;
	expect("show conns", "State      Recv-Q Send-Q Local Address:Port     Peer Address:Port\n"
			     "SYN-SENT   7      150    10.9.0.2:40000         10.9.0.1:80\n"
			     "ESTAB      7      150    10.9.0.2:40001         10.9.0.1:80\n");
	assert_int_equal(lines_with(request.answer.text, "10.9.0.1:80\n"), 2 * CONNS);
	expect("show conns -i sport 40001",
	       "\n\t ts sack cubic wscale:7,9 rto:204 rtt:1.2/0.6 mss:1448 pmtu:1500 rcvmss:536 "
	       "advmss:1448 cwnd:10 bytes_sent:200 send 96.5Mbps lastsnd:5 unacked:1 notsent:50 "
	       "minrtt:1 recovery:racktlp rto_plugin:rfc6298 ack:quick recovery(dupacks=2)\n");
	assert_int_equal(lines_with(request.answer.text, "10.9.0.1:80\n"), 1);
	expect("show conns -i sport 40001 --json",
	       "{\"conns\":[{\"state\":\"ESTAB\",\"recv_q\":7,\"send_q\":150,\"local\":\"10.9.0.2:40001\","
	       "\"peer\":\"10.9.0.1:80\",\"shard\":0,\"cc\":\"cubic\"");
	assert_non_null(strstr(request.answer.text, "\"rtt\":1.2,\"rttvar\":0.6,"));
}

static void filters_connections(void **state)
{
	static const struct {
		const char *words;
		uint32_t count;
	} filter[] = {
	    {"show conns state established", 2 * CONNS - 2},
	    {"show conns state syn-sent", 2},
	    {"show conns recovery gbn", CONNS},
	    {"show conns recovery gbn and state estab", CONNS - 1},
	    {"show conns src 10.9.0.0/24 dport = :80", 2 * CONNS},
	    {"show conns dst 10.9.0.1:80", 2 * CONNS},
	    {"show conns dst 10.9.0.1:81", 0},
	    {"show conns src 10.8.0.0/16", 0},
	    {"show conns cc cubic sport 41003", 1},
	};

	(void)state;
	for (size_t i = 0; i < array_count(filter); i++) {
		expect(filter[i].words, "State ");
		assert_int_equal(lines_with(request.answer.text, "10.9.0.1:80\n"), filter[i].count);
	}
	expect_refused("show conns stat estab", -EINVAL, "'stat' is no filter");
	expect_refused("show conns state up", -EINVAL, "state: 'up' is not what it takes");
	expect_refused("show conns dport 0", -EINVAL, "dport: '0'");
	expect_refused("show conns dport", -EINVAL, "dport: ''");
}

static void kills_one_connection(void **state)
{
	(void)state;
	expect("kill 10.9.0.2:41149 10.9.0.1:80", "killed: 1");
	assert_int_equal(shards[0].aborted, 0);
	assert_int_equal(shards[1].aborted, 1);
	expect("kill 10.9.0.2:40000-10.9.0.1:80", "killed: 1");
	assert_int_equal(shards[0].aborted, 1);
	expect_refused("kill 10.9.0.2:5 10.9.0.1:80", -ENOENT, "no such connection");
	expect_refused("kill everything", -EINVAL, "usage: kill LOCAL REMOTE");
}

static void shows_the_rest(void **state)
{
	(void)state;
	expect("show listeners", "LISTEN          2    128 10.9.0.2:80                  4711\n");
	expect("show shards", "0.25\n");
	expect("show interfaces", "veth1           0     pair");
	expect("show drops", "6 drop  ip_checksum            IPv4 header checksum wrong\n");
	assert_null(strstr(request.answer.text, "rx_frames"));
	expect("show drops -a", "18 fact  rx_frames");
	expect("show plugins", "racktlp");
	expect("show memory", "resident_bytes: ");
	expect("show config", "10.9.0.2/24");
	expect("show config --json", "{\"config\":[{\"section\":\"stackd\",\"key\":\"shards\"");
	expect("describe tcp.rto", "retransmission timer");
	expect("wait", "state: serving");
	expect("metrics", "# HELP stackd_ip_checksum_total IPv4 header checksum wrong\n"
			  "# TYPE stackd_ip_checksum_total counter\n"
			  "stackd_ip_checksum_total{shard=\"0\"} 3\n");
	assert_non_null(strstr(request.answer.text,
			       "stackd_interface_rx_frames_total{interface=\"veth1\",shard=\"1\"} 11\n"));
	expect_refused("show clients", -EOPNOTSUPP, "can't list");
}

static void says_what_there_is(void **state)
{
	(void)state;
	expect_refused("shwo conns", -EINVAL, "did you mean show?");
	expect_refused("explode", -EINVAL, "there are: show, describe, set, kill");
	expect_refused("show plugin", -EINVAL, "did you mean plugins?");
	expect_refused("show", -EINVAL, "there are: conns, listeners");
	expect_refused("", -EINVAL, "there are: ");
}

static void sets_and_applies(void **state)
{
	(void)state;
	applied = NULL;
	expect("set tcp.recovery sr", "tcp.recovery: sr");
	assert_non_null(applied);
	assert_string_equal(applied->fallback->recovery.use[0].plugin->name, "sr");
	expect("set tcp.recovery gbn, sr", "gbn, sr");
	assert_int_equal(applied->fallback->recovery.count, 2);
	expect("set plugin rfc6298.min 300ms", "300ms");
	expect("set tcp.mss=1000", "1000");
	assert_int_equal(applied->fallback->knobs.mss, 1000);
	applied = NULL;
	expect_refused("set tcp.recovery nosuch", -EINVAL, "there is no recovery plugin nosuch");
	expect_refused("set stackd.shards 4", -EINVAL, "read when stackd starts");
	expect_refused("set tcp.mss", -EINVAL, "usage: set");
	expect_refused("set", -EINVAL, "usage: set");
	assert_null(applied);
}

static void only_root_changes(void **state)
{
	(void)state;
	request = (struct control_request){
	    .context = &context, .word = {"set", "tcp.mss", "1000"}, .word_count = 3};
	assert_int_equal(control_run(&request), -EPERM);
	writer_free(&request.answer);
}

/* --- over the socket ------------------------------------------------------------------------------------ */

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

static void answers_slow_clients_bit_by_bit(void **state)
{
	static const char words[] = "show\0conns\0-i\0\0";
	char error[CONFIG_ERROR_MAX], buffer[1000];
	size_t total = 0, parts = 0;
	struct control *control;
	int fd, idle, small = 1;
	ssize_t n;

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	assert_int_equal(control_create(&context, &(struct control *){NULL}, error), -EADDRINUSE);
	idle = attach(); /* says nothing, and holds nobody up */
	fd = attach();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (size_t i = 0; i < sizeof(words) - 1; i++) {
		assert_int_equal(send(fd, words + i, 1, 0), 1);
		run_for_ms(2);
	}
	while ((n = recv(fd, buffer, sizeof(buffer), 0)) != 0) {
		if (n < 0)
			run_for_ms(1);
		if (n > 0 && total == 0)
			assert_int_equal(buffer[0], '0');
		total += n > 0 ? (size_t)n : 0;
		parts++;
	}
	assert_int_equal(ask("show conns -i"), 0);
	assert_int_equal(total, request.answer.len + 1);
	assert_true(parts > 50);
	assert_int_equal(recv(idle, buffer, 1, 0), -1); /* still there */
	close(fd);
	control_destroy(control);
	assert_int_equal(recv(idle, buffer, 1, 0), 0);
	close(idle);
}

static void turns_the_seventeenth_away(void **state)
{
	char error[CONFIG_ERROR_MAX], byte;
	struct control *control;
	int fd[17];

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	for (int i = 0; i < 17; i++)
		fd[i] = attach();
	run_for_ms(20);
	assert_int_equal(recv(fd[16], &byte, 1, 0), 0);
	assert_int_equal(recv(fd[15], &byte, 1, 0), -1);
	close(fd[3]);
	run_for_ms(10);
	close(fd[16]);
	fd[16] = attach();
	fd[3] = -1;
	assert_int_equal(send(fd[16], "wait\0", 6, 0), 6);
	run_for_ms(10);
	assert_int_equal(recv(fd[16], &byte, 1, 0), 1);
	assert_int_equal(byte, '0');
	for (int i = 0; i < 17; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	control_destroy(control);
}

static void refuses_over_the_socket(void **state)
{
	char error[CONFIG_ERROR_MAX], text[256] = "";
	struct control *control;
	int fd;

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	fd = attach();
	assert_int_equal(send(fd, "explode\0", 9, 0), 9);
	run_for_ms(10);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 10);
	assert_int_equal(text[0], '1');
	assert_non_null(strstr(text, "unknown: explode"));
	close(fd);
	control_destroy(control);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_requests_apart),
	    TEST(shows_connections_like_ss),
	    TEST(filters_connections),
	    TEST(kills_one_connection),
	    TEST(shows_the_rest),
	    TEST(says_what_there_is),
	    TEST(sets_and_applies),
	    TEST(only_root_changes),
	    TEST(answers_slow_clients_bit_by_bit),
	    TEST(turns_the_seventeenth_away),
	    TEST(refuses_over_the_socket),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	writer_free(&request.answer);
	rmdir(dir);
	return failed;
}
