/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of control.sock that go on: trace, capture, and those that refuse to begin. */
#include "control_fixture.h"

/* --- answers that go on -------------------------------------------------------------------------------- */

static void put_event(struct shard *s, ns_t at, enum tcp_trace_kind kind)
{
	struct tcp_trace *t = tape_write(s->tape, TAPE_TCP, at, sizeof(*t));

	assert_non_null(t);
	*t = (struct tcp_trace){.kind = (uint8_t)kind,
				.state = TCP_ESTABLISHED,
				.local = end("10.9.0.2:40001"),
				.remote = end("10.9.0.1:80"),
				.off = 1448,
				.len = 1448,
				.episode = kind == TCP_TRACE_ACK ? SP_ENTER : SP_SAME,
				.cwnd_before = 28960,
				.cwnd = 14480,
				.ssthresh = UINT64_MAX,
				.ssthresh_before = UINT64_MAX,
				.rto = 200 * NS_PER_MS,
				.flags = 0x10,
				.again = true,
				.recovery = "reno",
				.cc = "cubic",
				.error = kind == TCP_TRACE_END ? ETIMEDOUT : 0};
	tape_end(s->tape);
}

static void put_frame(struct shard *s, ns_t at, bool out)
{
	static const uint8_t ip[] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0};
	struct tape_frame *f = tape_write(s->tape, out ? TAPE_FRAME_OUT : TAPE_FRAME_IN, at, sizeof(*f) + 54);
	const uint8_t us[4] = {10, 9, 0, 2}, peer[4] = {10, 9, 0, 1}, ports[4] = {40001 >> 8, 40001 & 255, 0, 80};
	uint8_t *p = (uint8_t *)(f + 1);

	assert_non_null(f);
	*f = (struct tape_frame){.interface = 0, .len = 54};
	memset(p, 0, 54);
	p[12] = 8;
	memcpy(p + 14, ip, sizeof(ip));
	memcpy(p + 26, out ? us : peer, 4);
	memcpy(p + 30, out ? peer : us, 4);
	memcpy(p + 34, ports + (out ? 0 : 2), 2);
	memcpy(p + 36, ports + (out ? 2 : 0), 2);
	tape_end(s->tape);
}

/* Sends a request and leaves what came of the answer in `text`; the length. */
static size_t talk(int fd, const char *words, size_t len, char *text, size_t size)
{
	size_t got = 0;
	ssize_t n;

	if (len)
		assert_int_equal(send(fd, words, len, 0), len);
	run_for_ms(60);
	while ((n = recv(fd, text + got, size - 1 - got, 0)) > 0)
		got += (size_t)n;
	text[got] = 0;
	return got;
}

static void traces_one_connection_to_its_end(void **state)
{
	static const char words[] = "trace\0" "10.9.0.2:40001\0" "10.9.0.1:80\0";
	char error[CONFIG_ERROR_MAX], text[8192];
	struct control *control;
	int fd;

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	assert_null(shards[0].tape);
	fd = attach();
	talk(fd, words, sizeof(words), text, sizeof(text));
	assert_string_equal(text, "0");
	assert_non_null(shards[0].tape);
	assert_false(shards[0].tape->frames);
	put_event(&shards[1], 2 * NS_PER_S, TCP_TRACE_TIMER);
	put_event(&shards[0], NS_PER_S, TCP_TRACE_ACK);
	put_event(&shards[0], 3 * NS_PER_S, TCP_TRACE_END);
	talk(fd, "", 0, text, sizeof(text));
	assert_string_equal(text,
			    "   0.000000 ESTAB acked 1448:2896, delivered 0; reno: enters recovery; cubic: cwnd 28960 -> "
			    "14480 | cwnd:14480 pipe:0 rto:200ms\n"
			    "   1.000000 ESTAB timer of reno; cubic: cwnd 28960 -> 14480 | cwnd:14480 pipe:0 rto:200ms\n"
			    "   2.000000 ESTAB ended: Connection timed out | cwnd:14480 pipe:0 rto:200ms\n");
	assert_int_equal(recv(fd, text, 1, 0), 0);
	assert_null(shards[0].tape);
	assert_null(shards[1].tape);
	close(fd);
	control_destroy(control);
}

static uint32_t word_at(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void captures_with_comments(void **state)
{
	static const char words[] = "capture\0" "veth1\0";
	static const uint32_t types[] = {0x0a0d0d0a, 1, 6, 6, 5};
	char error[CONFIG_ERROR_MAX], text[8192];
	size_t len, at = 1;
	struct control *control;
	int fd;

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	fd = attach();
	len = talk(fd, words, sizeof(words), text, sizeof(text));
	assert_int_equal(text[0], '0');
	assert_true(shards[1].tape->frames);
	put_event(&shards[0], 1, TCP_TRACE_TIMER);
	put_frame(&shards[0], 2, true);
	put_event(&shards[0], 2, TCP_TRACE_SEND);
	put_frame(&shards[0], 3, false);
	put_event(&shards[0], 3, TCP_TRACE_ACK);
	shutdown(fd, SHUT_WR);
	len += talk(fd, "", 0, text + len, sizeof(text) - len);
	for (size_t i = 0; i < array_count(types); i++) {
		assert_true(at + 8 <= len);
		assert_int_equal(word_at(text + at), types[i]);
		if (i == 2)
			assert_non_null(memmem(text + at, word_at(text + at + 4), "timer of reno; cubic: cwnd 28960", 32));
		if (i == 2)
			assert_non_null(memmem(text + at, word_at(text + at + 4), "reno: again", 11));
		if (i == 3)
			assert_non_null(memmem(text + at, word_at(text + at + 4), "reno: enters recovery", 21));
		at += word_at(text + at + 4);
	}
	assert_int_equal(at, len);
	assert_null(shards[0].tape);
	close(fd);
	control_destroy(control);
}

/* What finds no room is counted, and a reader that has gone leaves nothing. */
static void a_reader_that_sleeps_holds_nobody_up(void **state)
{
	static const char words[] = "trace\0" "dport\0" "80\0";
	char error[CONFIG_ERROR_MAX];
	struct control *control;
	uint32_t n = 0;
	int fd;

	(void)state;
	assert_int_equal(control_create(&context, &control, error), 0);
	fd = attach();
	assert_int_equal(send(fd, words, sizeof(words), 0), sizeof(words));
	run_for_ms(20);
	for (int i = 0; i < 4; i++) {
		while (tape_write(shards[0].tape, TAPE_TCP, n, sizeof(struct tcp_trace)))
			put_event(&shards[0], n++, TCP_TRACE_ACK);
		run_for_ms(30);
	}
	assert_true(atomic_load(&shards[0].tape->lost) > 0);
	close(fd);
	run_for_ms(60);
	assert_null(shards[0].tape);
	control_destroy(control);
}

static void refuses_what_it_cannot_follow(void **state)
{
	(void)state;
	context.taps = NULL;
	expect_refused("trace", -EINVAL, "usage: trace");
	expect_refused("trace 10.9.0.2:1 10.9.0.1:80", -ENOENT, "no such connection");
	expect_refused("trace recovery gbn", -EINVAL, "usage: trace");
	expect_refused("capture veth2", -EINVAL, "(veth1)");
	expect_refused("capture --json", -EINVAL, "no meaning");
	expect_refused("watch nonsense", -EINVAL, "is no filter");
	expect_refused("drain now", -EINVAL, "usage: drain");
	expect("drain", "draining: yes\nleft: 300\n");
	assert_true(shards[1].draining);
	expect("drain off", "draining: no");
	assert_false(shards[0].draining);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(traces_one_connection_to_its_end),
	    TEST(captures_with_comments),
	    TEST(a_reader_that_sleeps_holds_nobody_up),
	    TEST(refuses_what_it_cannot_follow),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
