/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tune.c - how the receive window and the send buffer grow: by whom, how far, and what keeps
 * them as they are. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipped.h"
#include "talk.h"

#define START 65536u
#define MOST  (1u << 20)
#define MSS   1460u
#define RTT   (40 * NS_PER_MS)

static void prepare(struct talk *t)
{
	talk_init(t, NS_PER_S);
	free(t->rx);
	t->rx_bytes = MOST;
	t->rx = calloc(1, t->rx_bytes);
	t->profile.knobs.receive_buffer = MOST;
	t->profile.knobs.receive_buffer_start = START;
}

static void forget(struct talk *t)
{
	struct fake_packet *p;

	while ((p = fake_net_take(&t->net)))
		free(p);
}

/* A handshake over a path of that round trip. */
static void open_over(struct talk *t, ns_t rtt, const char *options)
{
	char s[128];

	talk_begin(t);
	talk_listen(t, 16);
	snprintf(s, sizeof(s), "S 0:0(0) win 65535 <mss 1460,wscale 7%s>", options);
	talk_inject(t, s);
	talk_expect(t, "S. 0:0(0) ack 1");
	talk_after(t, rtt);
	snprintf(s, sizeof(s), ". 1:1(0) ack 1%s", strstr(options, "ts") ? " <ts 101 0>" : "");
	if (strstr(options, "ts"))
		snprintf(s, sizeof(s), ". 1:1(0) ack 1 <ts 101 %u>", t->last_ts);
	talk_inject(t, s);
	assert_true(talk_events(t) & TCP_EV_ACCEPTED);
}

/* READS_SOON: each segment as it comes. */
enum reader { READS_SOON, READS_LATER };

static uint64_t unread(struct talk *t)
{
	return tcp_received(t->conn) - t->consumed;
}

/* The peer sends up to `most` bytes, within the window, in one burst; the edge never moves back. */
static void flight(struct talk *t, uint64_t most, enum reader r, const char *options)
{
	uint64_t from = talk_info(t).rcv_nxt, edge = talk_info(t).rcv_limit;
	uint64_t end = edge - from < most ? edge : from + most;
	char s[128];

	while (from < end) {
		uint32_t len = end - from < MSS ? (uint32_t)(end - from) : MSS;

		snprintf(s, sizeof(s), ". %u:%u(%u) ack 1%s", (uint32_t)from + 1,
			 (uint32_t)from + 1 + len, len, options);
		talk_inject(t, s);
		from += len;
		if (r == READS_SOON)
			talk_read(t, (uint32_t)unread(t));
		forget(t);
		assert_int_equal(talk_info(t).rcv_nxt, from);
		assert_true(talk_info(t).rcv_limit >= edge);
		edge = talk_info(t).rcv_limit;
		assert_true(edge - tcp_received(t->conn) <= t->rx_bytes - unread(t));
	}
}

static uint32_t span(struct talk *t)
{
	return talk_info(t).rcv_buffer;
}

/* `n` round trips in which the peer sends what it may, up to `most`. */
static void rounds(struct talk *t, unsigned n, uint64_t most, enum reader r)
{
	for (unsigned i = 0; i < n; i++) {
		flight(t, most, r, "");
		talk_after(t, RTT);
		forget(t);
	}
}

static void grows_for_a_fast_reader(void **state)
{
	struct talk t;
	uint32_t before = START;
	unsigned n = 0;

	(void)state;
	prepare(&t);
	open_over(&t, RTT, "");
	assert_int_equal(span(&t), START);
	while (span(&t) < MOST && n++ < 12) {
		rounds(&t, 1, UINT64_MAX, READS_SOON);
		assert_true(span(&t) >= before && span(&t) <= 4 * before);
		before = span(&t);
	}
	assert_int_equal(span(&t), MOST);
	rounds(&t, 5, UINT64_MAX, READS_SOON);
	assert_int_equal(span(&t), MOST);
	assert_true(talk_info(&t).rcv_limit - talk_info(&t).rcv_nxt > MOST - MOST / 4);
	talk_end(&t);
}

/* A sender that doubles what it sends in each round trip has half as much again to spare. */
static void slow_start_stays_within(void **state)
{
	uint64_t cwnd = 10 * MSS;
	struct talk t;

	(void)state;
	prepare(&t);
	open_over(&t, RTT, "");
	for (; cwnd < MOST / 2; cwnd *= 2) {
		assert_true(talk_info(&t).rcv_limit - talk_info(&t).rcv_nxt >= cwnd * 3 / 2);
		rounds(&t, 1, cwnd, READS_SOON);
	}
	talk_end(&t);
}

/* What is announced widens with what comes, and not at once. */
static void no_burst(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	open_over(&t, RTT, "");
	for (unsigned i = 0; i < 600; i++) {
		uint64_t edge = talk_info(&t).rcv_limit;

		flight(&t, MSS, READS_SOON, "");
		if (i > START / MSS) /* the edge of the SYN was lower */
			assert_true(talk_info(&t).rcv_limit - edge <= START / 2);
	}
	assert_true(span(&t) > START);
	talk_end(&t);
}

static void a_slow_reader_gets_no_more(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	open_over(&t, RTT, "");
	for (unsigned i = 0; i < 200; i++) {
		rounds(&t, 1, UINT64_MAX, READS_LATER);
		talk_read(&t, 5000);
		forget(&t);
	}
	assert_int_equal(span(&t), START);
	talk_end(&t);

	/* in gulps, of all that had waited for a second */
	prepare(&t);
	open_over(&t, RTT, "");
	for (unsigned i = 0; i < 20; i++) {
		flight(&t, UINT64_MAX, READS_LATER, "");
		talk_after(&t, NS_PER_S);
		talk_read(&t, (uint32_t)unread(&t));
		forget(&t);
	}
	assert_int_equal(span(&t), START);
	talk_end(&t);
}

static void a_slow_sender_needs_no_more(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	open_over(&t, RTT, "");
	rounds(&t, 500, START / 16, READS_SOON);
	assert_int_equal(span(&t), START);
	talk_end(&t);
}

static void off(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	t.profile.knobs.autotune = false;
	open_over(&t, RTT, "");
	assert_int_equal(span(&t), MOST); /* at once */
	talk_end(&t);

	prepare(&t);
	open_over(&t, RTT, "");
	tcp_set_option(t.conn, TCP_OPT_RCVBUF, 2 * START);
	rounds(&t, 20, UINT64_MAX, READS_SOON);
	assert_int_equal(span(&t), 2 * START);
	talk_end(&t);

	/* a window that is on its way to a larger size stays where SO_RCVBUF puts it */
	prepare(&t);
	open_over(&t, RTT, "");
	rounds(&t, 2, UINT64_MAX, READS_SOON);
	assert_true(span(&t) > START && span(&t) < MOST);
	tcp_set_option(t.conn, TCP_OPT_RCVBUF, 20000);
	rounds(&t, 20, UINT64_MAX, READS_SOON);
	assert_int_equal(span(&t), 20000);
	talk_end(&t);
}

/* A ring that is smaller than receive_buffer is the limit. */
static void the_ring_is_the_limit(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	t.rx_bytes = 2 * START;
	open_over(&t, RTT, "");
	rounds(&t, 20, UINT64_MAX, READS_SOON);
	assert_int_equal(span(&t), 2 * START);
	talk_end(&t);
}

/* --- what the receiver takes for a round trip --------------------------------------------------
 */

static void by_timestamps(void **state)
{
	char echo[32];
	struct talk t;
	uint32_t echoed;

	(void)state;
	prepare(&t);
	open_over(&t, 2 * NS_PER_MS, ",ts 100 0"); /* the path was shorter then */
	assert_int_equal(talk_info(&t).rcv_rtt, 2 * NS_PER_MS);
	echoed = t.last_ts;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(echo, sizeof(echo), " <ts %u %u>", 200 + i, echoed + 40 * i);
		echoed -= i == 0 ? 38 : 0; /* from now on the path takes 40 ms */
		flight(&t, UINT64_MAX, READS_SOON, echo);
		talk_after(&t, RTT);
		forget(&t);
		if (i == 4)
			assert_int_equal(talk_info(&t).rcv_rtt, RTT);
	}
	assert_int_equal(span(&t), MOST);
	talk_end(&t);
}

/* The SYN-ACK left twice and there are no timestamps: the handshake tells nothing. */
static void by_the_edge(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	talk_begin(&t);
	talk_listen(&t, 16);
	talk_inject(&t, "S 0:0(0) win 65535 <mss 1460,wscale 7>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 1");
	assert_int_equal(talk_info(&t).srtt, 0);
	assert_int_equal(talk_info(&t).rcv_rtt, 0);
	rounds(&t, 2, UINT64_MAX, READS_SOON);
	assert_int_equal(talk_info(&t).rcv_rtt, RTT);
	rounds(&t, 12, UINT64_MAX, READS_SOON);
	assert_int_equal(span(&t), MOST);
	talk_end(&t);
}

/* --- sizes that do not go together -------------------------------------------------------------
 */

/* A window that may grow to 1 GB counts in units of 16 KB: the start is some of them at least. */
static void a_coarse_scale(void **state)
{
	struct talk t;

	(void)state;
	prepare(&t);
	t.profile.knobs.receive_buffer = 1u << 30;
	t.profile.knobs.receive_buffer_start = 1024;
	t.rx_bytes = 1u << 30; /* nothing is read or written there */
	open_over(&t, RTT, "");
	assert_int_equal(talk_info(&t).rcv_wscale, 14);
	assert_int_equal(span(&t), 64u << 14);
	talk_end(&t);
}

/* --- sending -----------------------------------------------------------------------------------
 */

static void send_limit_follows_cwnd(void **state)
{
	struct talk t;
	uint64_t acked = 0;
	uint32_t limit;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0] = shipped_named(SP_CC, "newreno");
	t.profile.knobs.send_buffer = 60000;
	t.profile.knobs.send_buffer_start = 32768;
	talk_begin(&t);
	talk_open_passive(&t, "wscale 7");
	assert_int_equal(talk_info(&t).cwnd, 10 * MSS);
	assert_int_equal(tcp_send_limit(t.conn, 65536), 32768);
	assert_int_equal(tcp_send_limit(t.conn, 20000), 20000);
	while ((limit = tcp_send_limit(t.conn, 65536)) < 60000 && acked < 20) {
		uint64_t cwnd = talk_info(&t).cwnd;
		char s[64];

		assert_int_equal(limit, 2 * cwnd > 32768 ? 2 * cwnd : 32768);
		talk_send(&t, limit - (uint32_t)(t.queued - talk_info(&t).snd_una));
		forget(&t);
		snprintf(s, sizeof(s), ". 1:1(0) ack %u", (uint32_t)talk_info(&t).snd_nxt + 1);
		talk_inject(&t, s);
		forget(&t);
		acked++;
	}
	assert_int_equal(limit, 60000);
	assert_int_equal(tcp_send_limit(t.conn, 1u << 20), 60000);
	t.profile.knobs.autotune = false;
	assert_int_equal(tcp_send_limit(t.conn, 65536), 60000);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_for_a_fast_reader),
	    cmocka_unit_test(slow_start_stays_within),
	    cmocka_unit_test(no_burst),
	    cmocka_unit_test(a_slow_reader_gets_no_more),
	    cmocka_unit_test(a_slow_sender_needs_no_more),
	    cmocka_unit_test(off),
	    cmocka_unit_test(the_ring_is_the_limit),
	    cmocka_unit_test(by_timestamps),
	    cmocka_unit_test(by_the_edge),
	    cmocka_unit_test(a_coarse_scale),
	    cmocka_unit_test(send_limit_follows_cwnd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
