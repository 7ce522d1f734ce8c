/* SPDX-License-Identifier: BSD-2-Clause */
/* control.sock: requests, filters, the commands on two make-believe shards, and a client that
 * dawdles. */
#include "control_fixture.h"

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

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
