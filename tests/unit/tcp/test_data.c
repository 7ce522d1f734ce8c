/* SPDX-License-Identifier: BSD-2-Clause */
/* test_data.c - text both ways: order, overlap, windows, Nagle, wrap, urgent data, marks. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

static void begin(struct talk *t)
{
	talk_init(t, NS_PER_S);
	talk_begin(t);
	talk_open_passive(t, "");
}

static void begin_sack(struct talk *t)
{
	talk_init(t, NS_PER_S);
	t->profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(t);
	talk_open_passive(t, "sackOK");
}

static void out_of_order(void **state)
{
	struct talk t;

	(void)state;
	begin_sack(&t);
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 101:201>");
	talk_inject(&t, ". 301:401(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 301:401,sack 101:201>");
	talk_inject(&t, ". 501:601(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 501:601,sack 301:401,sack 101:201>");
	talk_inject(&t, ". 201:301(100) ack 1"); /* joins two */
	talk_expect(&t, ". 1:1(0) ack 1 <sack 101:401,sack 501:601>");
	assert_int_equal(talk_events(&t), 0);
	talk_inject(&t, ". 1:101(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 401 <sack 501:601>");
	talk_read(&t, 400);
	talk_inject(&t, ". 351:551(200) ack 1");            /* overlaps on both sides */
	talk_expect(&t, ". 1:1(0) ack 601 <sack 351:401>"); /* DSACK of what came twice */
	talk_read(&t, 200);
	talk_inject(&t, ". 1:101(100) ack 1"); /* wholly old */
	talk_expect(&t, ". 1:1(0) ack 601 <sack 1:101>");
	talk_inject(&t, ". 701:801(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 601 <sack 701:801>");
	talk_inject(&t, ". 701:801(100) ack 1"); /* held already: RFC 2883 */
	talk_expect(&t, ". 1:1(0) ack 601 <sack 701:801,sack 701:801>");
	talk_end(&t);
}

/* RFC 2883 4.2: a segment that is old in part tells of its first old part */
static void partly_old(void **state)
{
	struct talk t;

	(void)state;
	begin_sack(&t);
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 101:201>");
	talk_inject(&t, ". 51:251(200) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 101:201,sack 51:251>");
	talk_inject(&t, ". 301:401(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 301:401,sack 51:251>");
	talk_inject(&t, ". 201:351(150) ack 1"); /* at both ends */
	talk_expect(&t, ". 1:1(0) ack 1 <sack 201:251,sack 51:401>");
	talk_inject(&t, ". 1:61(60) ack 1"); /* in order */
	talk_expect(&t, ". 1:1(0) ack 401 <sack 51:61>");
	talk_end(&t);
}

/* MUST-58, MUST-59: one ACK for a burst; without SACK one for each segment behind a gap */
static void bursts(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	t.hold = true;
	talk_inject(&t, ". 1:101(100) ack 1");
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_inject(&t, ". 201:301(100) ack 1");
	talk_run(&t);
	talk_expect(&t, ". 1:1(0) ack 301");
	talk_nothing(&t);
	for (uint32_t i = 0; i < 3; i++) {
		char s[64];

		snprintf(s, sizeof(s), ". %u:%u(100) ack 1", 401 + i * 100, 501 + i * 100);
		talk_inject(&t, s);
	}
	talk_run(&t);
	for (int i = 0; i < 3; i++)
		talk_expect(&t, ". 1:1(0) ack 301");
	talk_nothing(&t);
	talk_end(&t);

	begin_sack(&t);
	t.hold = true;
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_inject(&t, ". 201:301(100) ack 1");
	talk_run(&t);
	talk_expect(&t, ". 1:1(0) ack 1 <sack 101:301>");
	talk_nothing(&t);
	talk_end(&t);
}

static void many_ranges(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	for (uint32_t i = 0; i < 70; i++) {
		char s[64];

		snprintf(s, sizeof(s), ". %u:%u(10) ack 1", 101 + i * 20, 111 + i * 20);
		talk_inject(&t, s);
		talk_expect(&t, ". 1:1(0) ack 1 <>");
	}
	assert_int_equal(t.counters.n[COUNT_seg_ooo_ranges], 6);
	talk_end(&t);
}

static void declined(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_declines;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, ". 1:101(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 101");
	assert_int_equal(t.counters.n[COUNT_seg_ooo_declined], 1);
	talk_end(&t);
}

static void window(void **state)
{
	struct talk t;
	uint64_t at;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.receive_buffer = 4000;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, ". 1:1461(1460) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1461 win 2540");
	talk_inject(&t, ". 1461:2921(1460) ack 1");
	talk_expect(&t, ". 1:1(0) ack 2921 win 1080");
	talk_inject(&t, ". 2921:4381(1460) ack 1"); /* beyond the window: cut */
	talk_expect(&t, ". 1:1(0) ack 4001 win 0");
	assert_int_equal(t.counters.n[COUNT_seg_no_room], 1);
	talk_inject(&t, ". 4001:4002(1) ack 1"); /* a probe */
	talk_expect(&t, ". 1:1(0) ack 4001 win 0");
	at = tcp_consume_at(t.conn);
	assert_int_equal(at, 2000); /* half of the buffer */
	talk_read(&t, 1000);
	talk_nothing(&t); /* MUST-39 */
	talk_read(&t, 1000);
	talk_expect(&t, ". 1:1(0) ack 4001 win 2000");
	/* RST and URG count with a shut window: MUST-66 */
	talk_inject(&t, "U. 4001:4001(0) ack 1 urg 5");
	assert_true(talk_events(&t) & TCP_EV_URGENT);
	assert_int_equal(tcp_urgent(t.conn), 4005);
	talk_end(&t);
}

/* without window scaling most of a large buffer can't be announced: reading a little of it is no
 * news */
static void unscaled_window(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	free(t.rx);
	t.rx_bytes = 1u << 20;
	t.rx = calloc(1, t.rx_bytes);
	t.profile.knobs.receive_buffer = t.rx_bytes;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 11 win 65535");
	assert_true(tcp_consume_at(t.conn) >= 10);
	talk_read(&t, 10);
	talk_nothing(&t);
	talk_end(&t);
}

/* the right edge never moves left, whatever the application's reads do */
static void edge(void **state)
{
	struct talk t;
	uint64_t before = 0;

	(void)state;
	begin(&t);
	for (uint32_t i = 0; i < 40; i++) {
		char s[64];

		snprintf(s, sizeof(s), ". %u:%u(777) ack 1", 1 + i * 777, 778 + i * 777);
		talk_inject(&t, s);
		snprintf(s, sizeof(s), ". 1:1(0) ack %u", 778 + i * 777);
		talk_expect(&t, s);
		assert_true(talk_info(&t).rcv_limit >= before);
		before = talk_info(&t).rcv_limit;
		tcp_set_option(t.conn, TCP_OPT_RCVBUF, i % 2 ? 30000 : 60000);
	}
	talk_end(&t);
}

static void nagle(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_send(&t, 10);
	talk_expect(&t, "P. 1:11(10)");
	talk_send(&t, 10);
	talk_nothing(&t);
	talk_send(&t, 1450); /* a full one leaves */
	talk_expect(&t, "P. 11:1471(1460)");
	talk_send(&t, 5);
	talk_nothing(&t);
	talk_inject(&t, ". 1:1(0) ack 1471");
	talk_expect(&t, "P. 1471:1476(5)");
	tcp_set_option(t.conn, TCP_OPT_NODELAY, 1); /* MUST-17 */
	talk_send(&t, 5);
	talk_expect(&t, "P. 1476:1481(5)");
	tcp_set_option(t.conn, TCP_OPT_NODELAY, 0);
	t.profile.knobs.nagle_minshall = true;
	talk_inject(&t, ". 1:1(0) ack 1481");
	talk_send(&t, 1461);
	talk_expect(&t, ". 1481:2941(1460)");
	talk_expect(&t, "P. 2941:2942(1)"); /* no small one is out */
	talk_send(&t, 5);
	talk_inject(&t, ". 1:1(0) ack 2941");
	talk_nothing(&t);
	talk_end(&t);
}

static void cork(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_CORK, 1);
	talk_send(&t, 100);
	talk_nothing(&t);
	talk_after(&t, 201 * NS_PER_MS); /* MUST-60 */
	talk_expect(&t, "P. 1:101(100)");
	talk_inject(&t, ". 1:1(0) ack 101");
	talk_send(&t, 100);
	talk_nothing(&t);
	tcp_set_option(t.conn, TCP_OPT_CORK, 0);
	talk_run(&t);
	talk_expect(&t, "P. 101:201(100)");
	talk_end(&t);
}

/* sequence numbers wrap on both sides within the first kilobytes */
static void wrap(void **state)
{
	struct talk t;
	uint32_t iss;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	iss = t.iss;
	talk_end(&t);
	/* RFC 6528: the clock ticks each 4 us: choose the moment at which the ISN is 0xffffffff */
	talk_init(&t, NS_PER_S + (uint64_t)(0xffffffffu - iss) * 4000);
	t.peer_iss = 0xffffff00;
	t.profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(&t);
	talk_open_active(&t, "sackOK");
	assert_int_equal(t.iss, 0xffffffffu);
	talk_send(&t, 2920);
	talk_expect(&t, ". 1:1461(1460)");
	talk_expect(&t, "P. 1461:2921(1460)");
	talk_inject(&t, ". 301:601(300) ack 1 <sack 1461:2921>");
	talk_expect(&t, ". 2921:2921(0) ack 1 <sack 301:601>");
	assert_int_equal(talk_info(&t).sacked, 1460);
	talk_inject(&t, "P. 1:301(300) ack 2921");
	talk_expect(&t, ". 2921:2921(0) ack 601");
	talk_read(&t, 600);
	assert_int_equal(tcp_acked(t.conn), 2920);
	talk_end(&t);
}

static void delayed_ack(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.ack.use[0].plugin = &plain_ack_delayed;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, ". 1:1461(1460) ack 1");
	talk_nothing(&t);
	talk_inject(&t, ". 1461:2921(1460) ack 1");
	talk_expect(&t, ". 1:1(0) ack 2921");
	talk_inject(&t, "P. 2921:2931(10) ack 1");
	talk_after(&t, 99 * NS_PER_MS);
	talk_nothing(&t);
	talk_after(&t, 2 * NS_PER_MS);
	talk_expect(&t, ". 1:1(0) ack 2931");
	talk_inject(&t, "P. 2931:2941(10) ack 1");
	talk_send(&t, 5); /* the ACK rides along */
	talk_expect(&t, "P. 1:6(5) ack 2941");
	talk_after(&t, 200 * NS_PER_MS);
	talk_nothing(&t);
	talk_end(&t);
}

static void gso(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.net.gso_max = 65535;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 20000);
	talk_expect(&t, ". 1:14601(14600)"); /* cwnd of ten */
	talk_nothing(&t);
	assert_int_equal(talk_info(&t).data_segs_out, 10);
	talk_inject(&t, ". 1:1(0) ack 4381");
	talk_expect(&t, ". 14601:18981(4380)");
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 4381:14601(10220)"); /* the default recovery: all of it */
	talk_expect(&t, ". 14601:18981(4380)");
	talk_end(&t);
}

static void driver_full(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	t.net.room = 1;
	talk_send(&t, 2920);
	talk_expect(&t, ". 1:1461(1460)");
	talk_nothing(&t);
	assert_true(tcp_blocked(t.tcp));
	t.net.room = 10;
	talk_run(&t);
	talk_expect(&t, "P. 1461:2921(1460)");
	assert_false(tcp_blocked(t.tcp));
	t.net.refuse = -EHOSTUNREACH; /* as lost on the way */
	talk_inject(&t, "P. 1:11(10) ack 2921");
	assert_true(talk_events(&t) & TCP_EV_SOFT_ERROR);
	assert_int_equal(tcp_soft_error(t.conn), EHOSTUNREACH);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

static void ecn(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0].plugin = &plain_ecn;
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "SEW 0:0(0)");
	talk_inject(&t, "SE. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(t.last_tos, 0);
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	assert_int_equal(t.last_tos, 2); /* ECT(0) */
	talk_inject(&t, "E. 1:1(0) ack 1461");
	assert_int_equal(talk_info(&t).cwnd, 7300);
	talk_send(&t, 1460);
	talk_expect(&t, "PW. 1461:2921(1460)");
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, "P. 1461:2921(1460)");
	assert_int_equal(t.last_tos, 0); /* not on what is sent again */
	t.tos = 3;
	talk_inject(&t, "P. 1:11(10) ack 2921");
	talk_expect(&t, "E. 2921:2921(0) ack 11");
	t.tos = 2;
	talk_inject(&t, "P. 11:21(10) ack 2921");
	talk_expect(&t, "E. 2921:2921(0) ack 21"); /* until CWR */
	talk_inject(&t, "PW. 21:31(10) ack 2921");
	talk_expect(&t, ". 2921:2921(0) ack 31");
	talk_end(&t);

	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0].plugin = &plain_ecn;
	talk_begin(&t);
	talk_listen(&t, 2);
	talk_inject(&t, "SEW 0:0(0) <mss 1460>");
	talk_expect(&t, "SE. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 1");
	assert_true(talk_info(&t).features & SP_ECN);
	talk_end(&t);
}

static void arrives(struct talk *t, uint8_t tos, const char *segment)
{
	t->tos = tos;
	talk_inject(t, segment);
}

static void begin_exact(struct talk *t)
{
	talk_init(t, NS_PER_S);
	t->profile.cc.use[0].plugin = &plain_exact;
	t->profile.ack.use[0].plugin = &plain_ack_delayed;
	talk_begin(t);
	talk_connect(t);
	talk_expect(t, "SEW 0:0(0)");
}

/* RFC 8257 3.2: an ACK tells of the marks of what it acknowledges, also when it is delayed. */
static void exact_marks(void **state)
{
	struct talk t;

	(void)state;
	begin_exact(&t);
	talk_inject(&t, "SE. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, ". 1:1(0) ack 1");
	arrives(&t, 2, "P. 1:11(10) ack 1");
	talk_nothing(&t);
	arrives(&t, 3, "P. 11:21(10) ack 1"); /* they begin: what was owed, then this */
	talk_expect(&t, ". 1:1(0) ack 11");
	talk_expect(&t, "E. 1:1(0) ack 21");
	arrives(&t, 3, "P. 21:31(10) ack 1"); /* more of the same waits as ever */
	talk_nothing(&t);
	talk_after(&t, 110 * NS_PER_MS);
	talk_expect(&t, "E. 1:1(0) ack 31");
	arrives(&t, 3, "PW. 31:41(10) ack 1"); /* CWR takes no mark away */
	talk_nothing(&t);
	arrives(&t, 2, "P. 41:51(10) ack 1"); /* they end, without CWR */
	talk_expect(&t, "E. 1:1(0) ack 41");
	talk_expect(&t, ". 1:1(0) ack 51");
	arrives(&t, 3, "P. 51:61(10) ack 1"); /* nothing is owed: one ACK */
	talk_expect(&t, "E. 1:1(0) ack 61");
	t.hold = true; /* in one burst */
	arrives(&t, 2, "P. 61:71(10) ack 1");
	arrives(&t, 2, "P. 71:81(10) ack 1");
	arrives(&t, 3, "P. 81:91(10) ack 1");
	talk_run(&t);
	talk_expect(&t, ". 1:1(0) ack 81");
	talk_expect(&t, "E. 1:1(0) ack 91");
	talk_nothing(&t);
	talk_end(&t);
}

/* Only where ECN was agreed, and only as long as congestion control asks for it. */
static void exact_marks_are_for_who_asks(void **state)
{
	struct talk t;

	(void)state;
	begin_exact(&t);
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_false(talk_info(&t).features & SP_CE_EXACT);
	arrives(&t, 3, "P. 1:11(10) ack 1");
	talk_nothing(&t);
	talk_after(&t, 110 * NS_PER_MS);
	talk_expect(&t, ". 1:1(0) ack 11");
	talk_end(&t);

	begin_exact(&t);
	talk_inject(&t, "SE. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_true(talk_info(&t).features & SP_CE_EXACT);
	assert_int_equal(tcp_set_cc(t.conn, (struct tcp_plugin){&plain_ecn, &t.cwnd_segs}), 0);
	assert_false(talk_info(&t).features & SP_CE_EXACT);
	arrives(&t, 3, "P. 1:11(10) ack 1");
	arrives(&t, 2, "P. 11:21(10) ack 1");
	talk_nothing(&t);
	talk_after(&t, 110 * NS_PER_MS);
	talk_expect(&t, "E. 1:1(0) ack 21"); /* RFC 3168: until CWR */
	assert_int_equal(tcp_set_cc(t.conn, (struct tcp_plugin){&plain_exact, &t.cwnd_segs}), 0);
	arrives(&t, 2, "P. 21:31(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 31");
	talk_end(&t);
}

static void urgent(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "PU. 1:11(10) ack 1 urg 4");
	talk_expect(&t, ". 1:1(0) ack 11");
	assert_true(talk_events(&t) & TCP_EV_URGENT);
	assert_int_equal(tcp_urgent(t.conn), 4); /* MUST-62: one past it */
	tcp_queue_urgent(t.conn, 3);
	talk_nothing(&t);
	talk_send(&t, 3);
	talk_expect(&t, "PU. 1:4(3) ack 11 urg 3");
	talk_inject(&t, ". 11:11(0) ack 4");
	talk_send(&t, 1);
	talk_expect(&t, "P. 4:5(1)");
	talk_end(&t);
}

/* Each segment below the urgent data's end says so, also one that is sent again. */
static void urgent_again(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_queue_urgent(t.conn, 2000);
	talk_send(&t, 2000);
	talk_expect(&t, "U. 1:1461(1460) urg 2000");
	talk_inject(&t, ". 1:1(0) ack 1461");
	talk_expect(&t, "PU. 1461:2001(540) urg 540");
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, "PU. 1461:2001(540) urg 540");
	tcp_queue_urgent(t.conn, 5); /* acknowledged: nothing */
	talk_inject(&t, ". 1:1(0) ack 2001");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 2001:3461(1460)");
	talk_end(&t);
}

/* A shut window hides no urgent data: its probes name it. */
static void urgent_probe(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	tcp_queue_urgent(t.conn, 500);
	talk_send(&t, 500);
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, "U. 1:2(1) urg 500");
	talk_end(&t);
}

/* MUST-16 where the driver cuts nothing: no segment above the peer's MSS, even when a frame would
 * hold several. */
static void small_mss(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, 0);
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0) <mss 400>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_send(&t, 1000);
	talk_expect(&t, ". 1:401(400)");
	talk_expect(&t, ". 401:801(400)");
	talk_inject(&t, ". 1:1(0) ack 801");
	talk_expect(&t, "P. 801:1001(200)");
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(out_of_order), cmocka_unit_test(partly_old),
	    cmocka_unit_test(bursts),       cmocka_unit_test(many_ranges),
	    cmocka_unit_test(declined),     cmocka_unit_test(window),
	    cmocka_unit_test(edge),         cmocka_unit_test(nagle),
	    cmocka_unit_test(cork),         cmocka_unit_test(wrap),
	    cmocka_unit_test(delayed_ack),  cmocka_unit_test(gso),
	    cmocka_unit_test(driver_full),  cmocka_unit_test(ecn),
	    cmocka_unit_test(exact_marks),  cmocka_unit_test(exact_marks_are_for_who_asks),
	    cmocka_unit_test(urgent),       cmocka_unit_test(urgent_again),
	    cmocka_unit_test(urgent_probe), cmocka_unit_test(unscaled_window),
	    cmocka_unit_test(small_mss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
