/* SPDX-License-Identifier: BSD-2-Clause */
/* test_refuse.c - what is not believed: PAWS, RFC 5961, malformed segments, ICMP, wrong plugins. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "talk.h"
#include "tcp/segment.h"

static void begin(struct talk *t)
{
	talk_init(t, NS_PER_S);
	talk_begin(t);
	talk_open_passive(t, "");
}

static void blind_rst(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "R 100:100(0)"); /* RFC 5961 3.2 */
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(t.counters.n[COUNT_seg_rst_challenged], 1);
	talk_inject(&t, "R 70000:70000(0)");
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_seg_rst_out_of_window], 1);
	talk_inject(&t, "R 0:10(10)"); /* its text reaches into the window, its number is below */
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_seg_rst_out_of_window], 2);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_inject(&t, "R. 1:6(5) ack 1"); /* SHLD-2: data in a RST */
	assert_true(t.closed);
	talk_end(&t);
}

static void blind_syn(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "S 1:1(0)");
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(t.counters.n[COUNT_seg_syn_challenged], 1);
	talk_inject(&t, "S 0:0(0)"); /* the first one again */
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

static void blind_data(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "P. 1:11(10) ack 5"); /* above what was sent */
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, "P. 1:11(10) ack 4294867296"); /* far below: RFC 5961 5.2 */
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(t.counters.n[COUNT_seg_bad_ack], 2);
	talk_inject(&t, "P 1:11(10)"); /* no ACK */
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_seg_no_ack], 1);
	assert_int_equal(tcp_received(t.conn), 0);
	talk_end(&t);
}

static void challenge_limit(void **state)
{
	struct talk t;
	int answers = 0;
	struct fake_packet *p;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.challenge_ack_limit = 3;
	talk_begin(&t);
	talk_open_passive(&t, "");
	for (int i = 0; i < 10; i++)
		talk_inject(&t, "R 100:100(0)");
	while ((p = fake_net_take(&t.net))) {
		answers++;
		free(p);
	}
	assert_int_equal(answers, 3);
	assert_int_equal(t.counters.n[COUNT_challenge_limited], 7);
	talk_after(&t, 1100 * NS_PER_MS);
	talk_inject(&t, "R 100:100(0)");
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_end(&t);
}

static void out_of_window(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "P. 70000:70010(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, ". 0:0(0) ack 1"); /* a keep-alive */
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(t.counters.n[COUNT_seg_out_of_window], 2);
	talk_end(&t);
}

static void paws(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "ts 100 0");
	talk_inject(&t, "P. 1:11(10) ack 1 <ts 200 0>");
	talk_expect(&t, ". 1:1(0) ack 11 <ts>");
	talk_inject(&t, "P. 11:21(10) ack 1 <ts 150 0>");
	talk_expect(&t, ". 1:1(0) ack 11");
	assert_int_equal(t.counters.n[COUNT_seg_paws], 1);
	talk_inject(&t, "P. 11:21(10) ack 1"); /* none although agreed */
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_seg_no_timestamp], 1);
	talk_inject(&t, "P. 11:21(10) ack 1 <ts 201 0>");
	talk_expect(&t, ". 1:1(0) ack 21");
	talk_after(&t, 25ull * 86400 * NS_PER_S); /* RFC 7323 5.5 */
	talk_inject(&t, "P. 21:31(10) ack 1 <ts 5 0>");
	talk_expect(&t, ". 1:1(0) ack 31");
	talk_inject(&t, "R 31:31(0)"); /* a RST needs no timestamp */
	assert_true(t.closed);
	talk_end(&t);
}

/* What PAWS refuses is no duplicate unless it is known: a DSACK of it would say that it has come.
 */
static void paws_dsack(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(&t);
	talk_open_passive(&t, "sackOK,ts 100 0");
	talk_inject(&t, "P. 1:11(10) ack 1 <ts 200 0>");
	talk_expect(&t, ". 1:1(0) ack 11 <ts>");
	talk_inject(&t, "P. 101:111(10) ack 1 <ts 150 0>");
	talk_expect(&t, ". 1:1(0) ack 11 <ts>");
	talk_inject(&t, "P. 1:11(10) ack 1 <ts 150 0>");
	talk_expect(&t, ". 1:1(0) ack 11 <ts,sack 1:11>");
	talk_end(&t);
}

static void raw(struct talk *t, const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct net_segment in = {
	    .src = t->peer, .dst = t->own, .l4 = copy, .l4_len = len, .l4_linear = len};
	struct tcp_conn *c;

	memcpy(copy, bytes, len);
	tcp_input(t->tcp, &in, t->now, &c);
	free(copy);
}

/* one packet with option length 0 has hung a stack before */
static void malformed(void **state)
{
	uint8_t s[40] = {0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 0, 100};
	struct talk t;

	(void)state;
	begin(&t);
	raw(&t, s, 0);
	raw(&t, s, 19);
	raw(&t, s, 20); /* the header says 40 */
	assert_int_equal(t.counters.n[COUNT_seg_short], 3);
	for (uint8_t bad = 0; bad < 3; bad++) {
		s[20] = bad == 2 ? 2 : 8;
		s[21] = bad == 2 ? 21 : bad; /* length 0, 1, past the header */
		raw(&t, s, 40);
	}
	assert_int_equal(t.counters.n[COUNT_seg_option_length], 3);
	s[38] = 1;
	s[39] = 3; /* a kind without its length at the very end */
	memset(s + 20, 1, 18);
	raw(&t, s, 40);
	assert_int_equal(t.counters.n[COUNT_seg_option_length], 4);
	s[12] = 0x40;
	raw(&t, s, 40);
	assert_int_equal(t.counters.n[COUNT_seg_short], 4);
	s[0] = s[1] = 0;
	s[12] = 0x50;
	raw(&t, s, 20);
	assert_int_equal(t.counters.n[COUNT_seg_port_zero], 1);
	t.peer.b[12] = 224;
	s[1] = 9;
	raw(&t, s, 20);
	assert_int_equal(t.counters.n[COUNT_seg_group_address], 1);
	talk_end(&t);
}

/* any bytes at all, at a live connection and a listener: nothing to expect but to survive */
static void noise(void **state)
{
	struct talk t;
	struct rng rng;
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 1;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&rng, seed);
	begin(&t);
	for (int i = 0; i < 200000; i++) {
		uint8_t s[200];
		uint32_t len = 20 + (uint32_t)rng_below(&rng, 180);
		struct fake_packet *p;

		for (uint32_t k = 0; k < len; k++)
			s[k] = (uint8_t)rng_next(&rng);
		put_be16(s, rng_chance(&rng, 0.9) ? t.peer_port : 4001);
		put_be16(s + 2, t.own_port);
		put_be32(s + 4, t.peer_iss + (uint32_t)rng_below(&rng, 2000));
		put_be32(s + 8, t.iss + (uint32_t)rng_below(&rng, 4));
		s[12] = (uint8_t)((5 + rng_below(&rng, 11)) << 4);
		s[13] &= 0x3b; /* RST is too easy a way out */
		raw(&t, s, len);
		t.now += rng_below(&rng, NS_PER_MS);
		if (rng_chance(&rng, 0.5))
			tcp_run(t.tcp, t.now);
		while ((p = fake_net_take(&t.net)))
			free(p);
		if (!t.closed && rng_chance(&rng, 0.1)) {
			uint32_t events;

			while (tcp_next_event(t.tcp, &events))
				t.closed |= (events & TCP_EV_CLOSED) != 0;
		}
	}
	talk_end(&t);
}

static void icmp(void **state)
{
	struct talk t;
	struct net_error e;

	(void)state;
	begin(&t);
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	e = (struct net_error){.kind = NET_ERROR_HARD,
			       .error = ECONNREFUSED,
			       .local = t.own,
			       .remote = t.peer,
			       .local_port = 80,
			       .remote_port = 4000,
			       .seq = t.iss + 5000};
	tcp_error(t.tcp, &e, t.now);
	assert_int_equal(t.counters.n[COUNT_icmp_stale], 1);
	e.seq = t.iss + 1;
	tcp_error(t.tcp, &e, t.now); /* RFC 5927: soft when synchronised */
	talk_run(&t);
	assert_true(talk_events(&t) & TCP_EV_SOFT_ERROR);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	e.kind = NET_ERROR_TOO_BIG;
	e.mtu = 1000;
	tcp_error(t.tcp, &e, t.now);
	talk_run(&t);
	assert_int_equal(talk_info(&t).mss, 960);
	talk_expect(&t, ". 1:961(960)"); /* at once, in segments that fit */
	talk_expect(&t, "P. 961:1461(500)");
	talk_end(&t);

	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	e = (struct net_error){.kind = NET_ERROR_HARD,
			       .error = ECONNREFUSED,
			       .local = t.own,
			       .remote = t.peer,
			       .local_port = 80,
			       .remote_port = 4000,
			       .seq = t.iss};
	tcp_error(t.tcp, &e, t.now);
	talk_run(&t);
	assert_true(t.closed);
	talk_end(&t);
}

/* MUST-47: told, and the reason of the time-out, unless an ACK has proved that the path works. */
static void soft_error(void **state)
{
	struct net_error e = {
	    .kind = NET_ERROR_SOFT, .error = ENETUNREACH, .local_port = 80, .remote_port = 4000};
	struct talk t;

	(void)state;
	for (int works = 0; works < 2; works++) {
		talk_init(&t, NS_PER_S);
		t.profile.knobs.retries = 2;
		talk_begin(&t);
		talk_open_passive(&t, "");
		talk_send(&t, 2920);
		e.local = t.own;
		e.remote = t.peer;
		e.seq = t.iss + 1;
		tcp_error(t.tcp, &e, t.now);
		talk_run(&t);
		assert_true(talk_events(&t) & TCP_EV_SOFT_ERROR);
		assert_int_equal(tcp_soft_error(t.conn), ENETUNREACH);
		if (works) {
			talk_inject(&t, ". 1:1(0) ack 1461");
			assert_true(talk_events(&t) & TCP_EV_SOFT_ERROR);
			assert_int_equal(tcp_soft_error(t.conn), 0);
		}
		talk_after(&t, 60 * NS_PER_S);
		assert_true(t.closed);
		assert_int_equal(t.error, works ? ETIMEDOUT : ENETUNREACH);
		talk_end(&t);
	}
}

static void wrong_plugins(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0].plugin = &plain_bad_cc;
	t.profile.ack.use[0].plugin = &plain_bad_ack;
	t.profile.rto.use[0].plugin = &plain_bad_rto;
	talk_begin(&t);
	talk_open_passive(&t, "");
	assert_int_equal(talk_info(&t).cwnd, 1460);
	assert_int_equal(talk_info(&t).rto, NS_PER_S);
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_after(&t, 501 * NS_PER_MS);
	talk_expect(&t, ". 1:1(0) ack 11"); /* MUST-40 */
	assert_true(t.counters.n[COUNT_plugin_cwnd_low] > 0);
	assert_true(t.counters.n[COUNT_plugin_ack_late] > 0);
	assert_true(t.counters.n[COUNT_plugin_bad_rto] > 0);
	talk_end(&t);

	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_bad_recovery;
	talk_begin(&t);
	talk_open_passive(&t, "sackOK");
	talk_inject(&t, ". 101:201(100) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1 <>");
	assert_true(t.counters.n[COUNT_plugin_bad_report] > 0);
	talk_send(&t, 100);
	talk_expect(&t, "P. 1:101(100)");
	assert_true(t.counters.n[COUNT_plugin_bad_chunk] > 0);
	talk_after(&t, 100 * NS_PER_MS); /* comes back */
	assert_true(t.counters.n[COUNT_plugin_deadline_past] > 0);
	assert_true(t.counters.n[COUNT_plugin_deadline_past] < 200);
	talk_end(&t);
}

static void small_mss(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0) win 65535 <mss 1>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 1");
	assert_int_equal(talk_info(&t).mss, 48);
	talk_end(&t);
}

/* A number ahead of the peer's own, damaged or forged, does not freeze the window: the next
 * progress brings the real one. */
static void forged_window(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_inject(&t, ". 1025:1025(0) ack 1 win 1460");
	talk_send(&t, 2920);
	talk_expect(&t, ". 1:1461(1460)");
	talk_inject(&t, ". 1:1(0) ack 1461 win 8000");
	talk_expect(&t, "P. 1461:2921(1460)");
	talk_inject(&t, ". 1:1(0) ack 2921 win 8000");
	talk_inject(&t, "P. 1:2(1) ack 1461 win 100"); /* an old one takes nothing back */
	talk_expect(&t, ". 2921:2921(0) ack 2");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 2921:4381(1460)");
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blind_rst),     cmocka_unit_test(blind_syn),
	    cmocka_unit_test(blind_data),    cmocka_unit_test(challenge_limit),
	    cmocka_unit_test(out_of_window), cmocka_unit_test(paws),
	    cmocka_unit_test(paws_dsack),    cmocka_unit_test(malformed),
	    cmocka_unit_test(noise),         cmocka_unit_test(icmp),
	    cmocka_unit_test(soft_error),    cmocka_unit_test(wrong_plugins),
	    cmocka_unit_test(small_mss),     cmocka_unit_test(forged_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
