/* SPDX-License-Identifier: BSD-2-Clause */
/* test_recovery.c - what is sent again and why: time-outs, SACK, probes of a window and of a silent
 * peer; what an ACK of something resent proves. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static void zero_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 2000);
	talk_nothing(&t);
	talk_after(&t, 1010 * NS_PER_MS); /* SHLD-29 */
	talk_expect(&t, ". 1:2(1)");
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_after(&t, 1900 * NS_PER_MS);
	talk_nothing(&t); /* SHLD-30 */
	talk_after(&t, 200 * NS_PER_MS);
	talk_expect(&t, ". 1:2(1)");
	for (int i = 0; i < 60; i++) { /* MUST-37 */
		talk_inject(&t, ". 1:1(0) ack 1 win 0");
		talk_after(&t, 61 * NS_PER_S);
		talk_expect(&t, ". 1:2(1)");
		while (t.net.begin != t.net.end)
			talk_expect(&t, ". 1:2(1)");
	}
	talk_inject(&t, ". 1:1(0) ack 2 win 0"); /* the byte was taken */
	assert_int_equal(tcp_acked(t.conn), 1);
	talk_inject(&t, ". 1:1(0) ack 2 win 1460");
	talk_expect(&t, ". 2:1462(1460)");
	talk_inject(&t, ". 1:1(0) ack 1462 win 5000");
	talk_expect(&t, "P. 1462:2001(539)");
	assert_int_equal(talk_info(&t).timeouts, 0);
	talk_end(&t);
}

static void probes_unanswered(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.retries = 3;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 2000);
	talk_after(&t, 30 * NS_PER_S);
	for (int i = 0; i < 3; i++)
		talk_expect(&t, ". 1:2(1)");
	talk_expect(&t, "R. 1:1(0)");
	assert_true(t.closed);
	talk_end(&t);
}

/* MUST-38: a window that opens by crumbs */
static void silly_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 5000);
	talk_inject(&t, ". 1:1(0) ack 1 win 100");
	talk_nothing(&t);
	talk_after(&t, 1010 * NS_PER_MS); /* the override */
	talk_expect(&t, ". 1:101(100)");
	talk_inject(&t, ". 1:1(0) ack 101 win 2000");
	talk_expect(&t, ". 101:1561(1460)");
	talk_nothing(&t);
	talk_end(&t);
}

/* An ACK with a number from the future (of a wrong segment whose checksum was right by chance) does
 * not shut out the windows of all that come after it. */
static void window_after_a_wrong_number(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1000:1000(0) ack 1 win 2000");
	talk_send(&t, 2920);
	talk_expect(&t, ". 1:1461(1460)");
	talk_nothing(&t);
	talk_inject(&t, ". 1:1(0) ack 1461 win 1460");
	talk_expect(&t, "P. 1461:2921(1460)");
	talk_end(&t);
}

/* SHLD-15, SHLD-16, MUST-34 */
static void shrinking_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_send(&t, 4380);
	talk_expect(&t, ". 1:1461(1460)");
	talk_expect(&t, ". 1461:2921(1460)");
	talk_expect(&t, "P. 2921:4381(1460)");
	talk_inject(&t, ". 1:1(0) ack 1 win 1460");
	talk_send(&t, 1460);
	talk_nothing(&t);
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:1461(1460)");
	talk_nothing(&t);
	talk_end(&t);
}

static void time_out(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.retries = 3;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 100);
	talk_expect(&t, "P. 1:101(100)");
	talk_after(&t, 990 * NS_PER_MS);
	talk_nothing(&t);
	talk_after(&t, 20 * NS_PER_MS);
	talk_expect(&t, "P. 1:101(100)");
	talk_after(&t, 1980 * NS_PER_MS);
	talk_nothing(&t);
	talk_after(&t, 30 * NS_PER_MS);
	talk_expect(&t, "P. 1:101(100)");
	talk_after(&t, 4010 * NS_PER_MS);
	talk_expect(&t, "P. 1:101(100)");
	talk_after(&t, 9000 * NS_PER_MS);
	talk_expect(&t, "R. 101:101(0)"); /* R2: MUST-20 */
	assert_true(t.closed);
	talk_end(&t);
}

static void user_timeout(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_USER_TIMEOUT_MS, 1500);
	talk_send(&t, 100);
	talk_expect(&t, "P. 1:101(100)");
	talk_after(&t, 1490 * NS_PER_MS);
	talk_expect(&t, "P. 1:101(100)");
	assert_false(t.closed);
	talk_after(&t, 20 * NS_PER_MS);
	talk_expect(&t, "R. 101:101(0)");
	assert_true(t.closed);
	talk_end(&t);
}

/* A peer that keeps its window shut is not waited for longer than that either (as on Linux). */
static void user_timeout_of_a_shut_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_USER_TIMEOUT_MS, 10000);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 100);
	for (int i = 0; i < 9; i++) { /* its answers are no progress */
		talk_after(&t, NS_PER_S);
		talk_inject(&t, ". 1:1(0) ack 1 win 0");
	}
	assert_false(t.closed);
	talk_inject(&t, ". 1:1(0) ack 1 win 1000"); /* this is */
	talk_after(&t, 5 * NS_PER_S);
	assert_false(t.closed);
	talk_inject(&t, ". 1:1(0) ack 101 win 0");
	talk_after(&t, 60 * NS_PER_S); /* nothing waits */
	assert_false(t.closed);
	talk_send(&t, 100);
	talk_after(&t, 9990 * NS_PER_MS);
	assert_false(t.closed);
	talk_after(&t, 20 * NS_PER_MS);
	assert_true(t.closed);
	assert_int_equal(t.error, ETIMEDOUT);
	talk_end(&t);
}

/* MUST-25, MUST-28, MUST-23, SHLD-11: what holds unless somebody says otherwise. */
static void defaults(void **state)
{
	struct tcp_knobs k;

	(void)state;
	key_defaults(tcp_keys, &k);
	assert_false(k.keepalive);
	assert_true(k.keepalive_time_ns >= 7200 * NS_PER_S);
	assert_int_equal(k.syn_retries, 7);
	assert_int_equal(k.retries, 15);
	assert_int_equal(k.pmtud, TCP_PMTUD_PROBE);
}

/* R2 of a SYN is three minutes at least with the default timer (MUST-23). */
static void syn_for_three_minutes(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_after(&t, 180 * NS_PER_S);
	assert_false(t.closed);
	talk_after(&t, 300 * NS_PER_S);
	assert_true(t.closed);
	talk_end(&t);
}

static void sack_recovery(void **state)
{
	struct talk t;

	(void)state;
	begin_sack(&t);
	talk_send(&t, 7300);
	talk_expect(&t, ". 1:1461(1460)");
	talk_expect(&t, ". 1461:2921(1460)");
	talk_expect(&t, ". 2921:4381(1460)");
	talk_expect(&t, ". 4381:5841(1460)");
	talk_expect(&t, "P. 5841:7301(1460)");
	talk_inject(&t, ". 1:1(0) ack 1461");
	talk_inject(&t, ". 1:1(0) ack 1461 <sack 2921:4381>");
	talk_inject(&t, ". 1:1(0) ack 1461 <sack 2921:5841>");
	talk_nothing(&t);
	assert_int_equal(talk_info(&t).sacked, 2920);
	assert_int_equal(talk_info(&t).flight, 2920);
	talk_inject(&t, ". 1:1(0) ack 1461 <sack 2921:7301>");
	talk_expect(&t, ". 1461:2921(1460)"); /* one segment out of a chunk of five */
	talk_nothing(&t);
	assert_true(talk_info(&t).recovering);
	assert_int_equal(talk_info(&t).flight, 1460);
	talk_inject(&t, ". 1:1(0) ack 7301 <sack 1461:2921>"); /* and a DSACK */
	assert_int_equal(talk_info(&t).flight, 0);
	assert_int_equal(talk_info(&t).sacked, 0);
	assert_int_equal(talk_info(&t).delivered, 7300);
	assert_int_equal(talk_info(&t).dsacks, 1);
	talk_inject(&t, ". 1:1(0) ack 7301 <sack 9000:9100>"); /* nonsense */
	assert_int_equal(t.counters.n[COUNT_sack_invalid], 1);
	talk_end(&t);
}

static void keepalive(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_KEEPALIVE, 1);
	tcp_set_option(t.conn, TCP_OPT_KEEPIDLE_S, 10);
	tcp_set_option(t.conn, TCP_OPT_KEEPINTVL_S, 2);
	tcp_set_option(t.conn, TCP_OPT_KEEPCNT, 2);
	talk_after(&t, 9 * NS_PER_S);
	talk_nothing(&t);
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, ". 0:0(0) ack 1"); /* SND.NXT-1: SHLD-12 */
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_after(&t, 9 * NS_PER_S);
	talk_nothing(&t);
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, ". 0:0(0) ack 1");
	talk_after(&t, 2100 * NS_PER_MS);
	talk_expect(&t, ". 0:0(0) ack 1"); /* MUST-29 */
	talk_after(&t, 2100 * NS_PER_MS);
	talk_expect(&t, "R. 1:1(0)");
	assert_true(t.closed);
	talk_end(&t);
}

/* A shut window has its own probes, and its own limit: keep_count is not theirs. */
static void keepalive_beside_a_shut_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_KEEPALIVE, 1);
	tcp_set_option(t.conn, TCP_OPT_KEEPIDLE_S, 1);
	tcp_set_option(t.conn, TCP_OPT_KEEPINTVL_S, 1);
	tcp_set_option(t.conn, TCP_OPT_KEEPCNT, 2);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 2000);
	talk_after(&t, 12 * NS_PER_S);
	for (int i = 0; i < 3; i++) /* after 1, 3 and 7 seconds */
		talk_expect(&t, ". 1:2(1)");
	talk_nothing(&t);
	assert_false(t.closed);
	talk_inject(&t, ". 1:1(0) ack 2 win 5000");
	talk_expect(&t, ". 2:1462(1460)");
	talk_end(&t);
}

/* The peer takes a probe's byte.  What was acknowledged from the number before it, it refuses. */
static void probe_taken(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 2000);
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:2(1)");
	talk_inject(&t, "P. 1:101(100) ack 1 win 0"); /* passed the probe on its way */
	talk_expect(&t, ". 1:1(0) ack 101");
	talk_inject(&t, ". 101:101(0) ack 2 win 0");
	talk_expect(&t, ". 2:2(0) ack 101");
	talk_inject(&t, ". 101:101(0) ack 2 win 0"); /* once is enough */
	talk_nothing(&t);
	talk_end(&t);
}

/* Both ends probe, and both take the other's byte: neither accepts the other's ACKs any more, which
 * come from the number before.  What the peer refuses so tells where it is. */
static void probes_crossed(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_send(&t, 1000);
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:2(1)");
	talk_inject(&t, "P. 1:2(1) ack 1 win 0");
	talk_expect(&t, ". 1:1(0) ack 2"); /* refused: there the byte of our probe has come, too */
	talk_inject(&t, ". 1:1(0) ack 2 win 5000");
	talk_expect(&t, ". 2:2(0) ack 2");
	talk_nothing(&t);
	talk_inject(&t, ". 2:2(0) ack 2 win 5000");
	talk_expect(&t, "P. 2:1001(999) ack 2");
	talk_nothing(&t);
	talk_end(&t);
}

/* What arrives covers a range that was held and reaches into the next one. */
static void holes_of_two_filled(void **state)
{
	struct talk t;

	(void)state;
	begin_sack(&t);
	talk_inject(&t, ". 37:136(99) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 37:136>");
	talk_inject(&t, ". 177:537(360) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <sack 177:537,sack 37:136>");
	talk_inject(&t, ". 1:257(256) ack 1");
	talk_expect(&t, ". 1:1(0) ack 537");
	/* the same with a FIN below what the peer had sent beyond it */
	talk_inject(&t, ". 577:937(360) ack 1");
	talk_expect(&t, ". 1:1(0) ack 537");
	talk_inject(&t, "F. 537:657(120) ack 1");
	talk_expect(&t, ". 1:1(0) ack 658");
	assert_true(talk_events(&t) & TCP_EV_EOF);
	talk_end(&t);
}

static void crawl_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	(void)c;
	(void)st;
	out->pacing = 100;
}

static const struct sp_cc_ops crawl_ops = {.size = sizeof(crawl_ops), .open = crawl_open};

static const struct sp_plugin crawl = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(crawl),
    .kind = SP_CC,
    .name = "crawl",
    .ops = &crawl_ops,
};

/* What a time-out sends again goes at once: else they would count up while nothing leaves. */
static void time_out_of_the_paced(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0].plugin = &crawl;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 2920);
	talk_expect(&t, ". 1:1461(1460)");
	talk_nothing(&t); /* 14.6 s at this pace */
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:1461(1460)");
	talk_nothing(&t);
	talk_end(&t);
}

/* The least round trip is that of the last ten seconds: the path may have changed. */
static void rtt_min_is_windowed(void **state)
{
	struct talk t;
	char s[64];

	(void)state;
	begin(&t);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t at = 1 + i * 10;

		talk_send(&t, 10);
		snprintf(s, sizeof(s), "P. %u:%u(10)", at, at + 10);
		talk_expect(&t, s);
		talk_after(&t, (i == 0 ? 100 : 300) * NS_PER_MS);
		snprintf(s, sizeof(s), ". 1:1(0) ack %u", at + 10);
		talk_inject(&t, s);
		if (i < 15) /* of the last five seconds for certain */
			assert_true(talk_info(&t).rtt_min < 110 * NS_PER_MS);
		else if (i > 36)
			assert_true(talk_info(&t).rtt_min >= 300 * NS_PER_MS);
	}
	talk_end(&t);
}

/* facts of the latest ACK that a recovery was told of */
static struct sp_ack told;

static void watch_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
		      struct sp_verdict *v)
{
	(void)c;
	(void)st;
	(void)v;
	told = *a;
}

static const struct sp_recovery_ops watch_ops = {.size = sizeof(watch_ops), .on_ack = watch_ack};
static const struct sp_plugin watch = {.abi_major = SP_ABI_MAJOR,
				       .abi_minor = SP_ABI_MINOR,
				       .size = sizeof(struct sp_plugin),
				       .kind = SP_RECOVERY,
				       .name = "watch",
				       .ops = &watch_ops};

/* Sent three times; the ACK echoes the timestamp of the nth. */
static bool is_original(unsigned nth)
{
	struct talk t;
	char s[64];
	uint32_t ts[3];

	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &watch;
	talk_begin(&t);
	talk_open_passive(&t, "ts 100 0");
	talk_send(&t, 1448);
	for (unsigned i = 0; i < 3; i++) {
		talk_expect(&t, "P. 1:1449(1448) <ts>");
		ts[i] = t.last_ts;
		if (i < 2)
			talk_after(&t, (1010 + i * 1000) * NS_PER_MS);
	}
	snprintf(s, sizeof(s), ". 1:1(0) ack 1449 <ts 201 %u>", ts[nth]);
	talk_inject(&t, s);
	assert_int_equal(told.una, 1448);
	talk_end(&t);
	return told.ts_original;
}

/* RFC 3522: the echo of an earlier resend proves nothing about the original */
static void original_by_timestamp(void **state)
{
	(void)state;
	assert_true(is_original(0));
	assert_false(is_original(1));
	assert_false(is_original(2));
}

/* Asked what it thinks, a plugin may look at its chunks: it gets the connection's own view, from
 * which the host finds them. */
static void describe_sees_the_connection(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(&t);
	talk_open_passive(&t, "sackOK");
	talk_send(&t, 3 * 1460);
	talk_inject(&t, ". 1:1(0) ack 1 <sack 2921:4381>");
	assert_string_equal(talk_info(&t).describe[0], "chunks=2 sacked=1");
	talk_inject(&t, ". 1:1(0) ack 4381");
	assert_string_equal(talk_info(&t).describe[0], "chunks=0 sacked=0");
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero_window),
	    cmocka_unit_test(probes_unanswered),
	    cmocka_unit_test(silly_window),
	    cmocka_unit_test(window_after_a_wrong_number),
	    cmocka_unit_test(shrinking_window),
	    cmocka_unit_test(time_out),
	    cmocka_unit_test(user_timeout),
	    cmocka_unit_test(user_timeout_of_a_shut_window),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(syn_for_three_minutes),
	    cmocka_unit_test(sack_recovery),
	    cmocka_unit_test(keepalive),
	    cmocka_unit_test(keepalive_beside_a_shut_window),
	    cmocka_unit_test(probe_taken),
	    cmocka_unit_test(probes_crossed),
	    cmocka_unit_test(holes_of_two_filled),
	    cmocka_unit_test(time_out_of_the_paced),
	    cmocka_unit_test(rtt_min_is_windowed),
	    cmocka_unit_test(original_by_timestamp),
	    cmocka_unit_test(describe_sees_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
