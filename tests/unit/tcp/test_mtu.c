/* SPDX-License-Identifier: BSD-2-Clause */
/* test_mtu.c - how large a segment may be: routers that say so, paths that swallow what is larger
 * without a word, the search upwards. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipped.h"
#include "talk.h"
#include "tcp/segment.h"

static void too_big(struct talk *t, uint32_t seq, uint32_t mtu)
{
	struct net_error e = {.kind = NET_ERROR_TOO_BIG,
			      .mtu = mtu,
			      .local = t->own,
			      .remote = t->peer,
			      .local_port = t->own_port,
			      .remote_port = t->peer_port,
			      .seq = t->iss + seq};

	assert_true(tcp_error(t->tcp, &e, t->now));
	talk_run(t);
}

/* --- routers that tell (RFC 1191, 8201) ------------------------------------------------------- */

/* Whatever the plugin: all that was too large leaves again at once, in pieces, and nothing else. */
static void all_again(void **state)
{
	struct tcp_plugin p;
	struct talk t;

	(void)state;
	for (unsigned i = 0; (p = shipped(SP_RECOVERY, i)).plugin; i++) {
		talk_init(&t, NS_PER_S);
		t.profile.recovery.use[0] = p;
		t.profile.cc.use[0] = shipped_named(SP_CC, "cubic");
		talk_begin(&t);
		talk_open_passive(&t, "sackOK,ts 100 0");
		tcp_set_option(t.conn, TCP_OPT_NODELAY, 1);
		talk_send(&t, 500);
		talk_send(&t, 1448);
		talk_expect(&t, "P. 1:501(500)");
		talk_expect(&t, "P. 501:1949(1448)");
		too_big(&t, 501, 1000);
		assert_int_equal(talk_info(&t).mss, 948);
		assert_int_equal(talk_info(&t).pmtu, 1000);
		talk_expect(&t, ". 501:1449(948)");
		talk_expect(&t, "P. 1449:1949(500)");
		talk_nothing(&t);
		too_big(&t, 501, 1000); /* each of them was answered so */
		talk_nothing(&t);
		assert_int_equal(talk_info(&t).cwnd >= 10 * 1448, 1); /* no congestion */
		assert_int_equal(t.counters.n[COUNT_pmtu_reduced], 1);
		talk_end(&t);
	}
}

/* Ten full ones out: none waits for a time-out or a duplicate ACK. */
static void all_of_a_flight_again(void **state)
{
	struct tcp_plugin p;
	struct talk t;
	char s[40];

	(void)state;
	for (unsigned i = 0; (p = shipped(SP_RECOVERY, i)).plugin; i++) {
		talk_init(&t, NS_PER_S);
		t.profile.recovery.use[0] = p;
		talk_begin(&t);
		talk_open_passive(&t, "sackOK");
		talk_send(&t, 10 * 1460);
		while (t.net.begin != t.net.end)
			free(fake_net_take(&t.net));
		too_big(&t, 1, 1000);
		for (uint32_t k = 0, at = 1; k < 15; k++, at += 960) {
			snprintf(s, sizeof(s), ". %u:%u(960)", at, at + 960);
			if (at + 960 > 14600) /* the rest of the last */
				break;
			/* pieces of one segment each where the plugin counts segments */
			if (t.net.begin != t.net.end &&
			    t.net.queue[t.net.begin % FAKE_PACKETS_MAX]->len == 20 + 500) {
				snprintf(s, sizeof(s), "%s. %u:%u(500)",
					 at + 500 == 14601 ? "P" : "", at, at + 500);
				at -= 460;
			}
			talk_expect(&t, s);
		}
		talk_end(&t);
	}
}

/* One byte more than fits is too large, also where a FIN could stand. */
static void one_byte_more(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 961);
	talk_expect(&t, "P. 1:962(961)");
	too_big(&t, 1, 1000);
	talk_expect(&t, ". 1:961(960)");
	talk_expect(&t, "P. 961:962(1)");
	talk_inject(&t, ". 1:1(0) ack 962");
	talk_send(&t, 960);
	talk_expect(&t, "P. 962:1922(960)");
	tcp_shutdown_write(t.conn);
	talk_run(&t);
	talk_expect(&t, "F. 1922:1922(0)");
	talk_end(&t);
}

/* Where nobody cuts large segments into pieces each one leaves alone, also where two would fit. */
static void without_offload(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	tcp_set_option(t.conn, TCP_OPT_MAXSEG, 500);
	talk_send(&t, 1400);
	talk_expect(&t, ". 1:501(500)");
	talk_expect(&t, ". 501:1001(500)");
	talk_inject(&t, ". 1:1(0) ack 501");
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, ". 501:1001(500)");
	talk_end(&t);
}

static void off(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.pmtud = TCP_PMTUD_OFF;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	too_big(&t, 1, 1000);
	talk_nothing(&t);
	assert_int_equal(talk_info(&t).mss, 1460);
	talk_after(&t, 100 * NS_PER_S); /* no black hole either */
	assert_int_equal(talk_info(&t).mss, 1460);
	talk_end(&t);
}

/* What a router told is forgotten after a while; who does not probe simply sends larger ones. */
static void forgotten(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.pmtud = TCP_PMTUD_ICMP;
	t.profile.knobs.pmtud_interval_ns = 100 * NS_PER_S;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	too_big(&t, 1, 1000);
	talk_expect(&t, ". 1:961(960)");
	talk_expect(&t, "P. 961:1461(500)");
	talk_inject(&t, ". 1:1(0) ack 1461");
	t.net.mtu = t.net.gso_max = 1500;
	talk_after(&t, 99 * NS_PER_S);
	talk_send(&t, 960);
	talk_expect(&t, "P. 1461:2421(960)");
	talk_inject(&t, ". 1:1(0) ack 2421");
	talk_after(&t, 2 * NS_PER_S);
	talk_send(&t, 1460);
	talk_expect(&t, "P. 2421:3881(1460)");
	talk_end(&t);
}

/* The route is asked again after three time-outs (MUST-20, R1), and its MTU counts then. */
static void asked_again(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.pmtud = TCP_PMTUD_ICMP;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	t.net.mtu = t.net.gso_max = 1000; /* another connection has learned it */
	t.net.tolerant = true;            /* until then this one doesn't know */
	talk_after(&t, 3500 * NS_PER_MS);
	talk_expect(&t, "P. 1:1461(1460)");
	talk_expect(&t, "P. 1:1461(1460)");
	t.net.tolerant = false;
	talk_after(&t, 4000 * NS_PER_MS);
	talk_expect(&t, ". 1:961(960)");
	talk_end(&t);
}

/* --- black holes -------------------------------------------------------------------------------
 */

static void black_hole(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1460);
	talk_expect(&t, "P. 1:1461(1460)");
	talk_after(&t, 3500 * NS_PER_MS);
	talk_expect(&t, "P. 1:1461(1460)");
	talk_expect(&t, "P. 1:1461(1460)");
	talk_after(&t, 4000 * NS_PER_MS);
	talk_expect(&t, ". 1:1025(1024)");
	assert_int_equal(t.counters.n[COUNT_pmtu_black_hole], 1);
	free(fake_net_take(&t.net));
	talk_after(&t, 8000 * NS_PER_MS);
	talk_expect(&t, ". 1:1025(1024)");
	free(fake_net_take(&t.net));
	talk_after(&t, 16000 * NS_PER_MS);
	talk_expect(&t, ". 1:513(512)");
	assert_int_equal(t.counters.n[COUNT_pmtu_black_hole], 2);
	talk_after(&t, 300000 * NS_PER_MS); /* no smaller ones */
	assert_int_equal(talk_info(&t).mss, 512);
	talk_end(&t);
}

/* IPv6: what every link has to take (RFC 8200 5). */
static void black_hole6(void **state)
{
	struct addr own = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}},
		    peer = {.b = {0x20, 1, 0xd, 0xb8, [15] = 2}};
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.own = t.net.own = own;
	t.peer = peer;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1440);
	talk_expect(&t, "P. 1:1441(1440)");
	talk_after(&t, 7500 * NS_PER_MS);
	talk_expect(&t, "P. 1:1441(1440)");
	talk_expect(&t, "P. 1:1441(1440)");
	talk_expect(&t, ". 1:1221(1220)");
	talk_after(&t, 300 * NS_PER_S);
	assert_int_equal(talk_info(&t).mss, 1220);
	talk_end(&t);
}

/* Small segments that are lost are not lost for their size. */
static void not_its_size(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 500);
	talk_after(&t, 300 * NS_PER_S);
	assert_int_equal(talk_info(&t).mss, 1460);
	assert_int_equal(t.counters.n[COUNT_pmtu_black_hole], 0);
	talk_end(&t);
}

static void base_is_configured(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.pmtud_base = 1400;
	talk_begin(&t);
	talk_open_passive(&t, "");
	talk_send(&t, 1460);
	talk_after(&t, 7500 * NS_PER_MS);
	assert_int_equal(talk_info(&t).mss, 1400);
	talk_after(&t, 24000 * NS_PER_MS);
	assert_int_equal(talk_info(&t).mss, 700);
	talk_end(&t);
}

/* --- the search upwards: a peer behind a path that swallows ----------------------------------- */

struct path {
	struct talk t;
	uint32_t mtu;
	uint32_t got, begin, end; /* acknowledged; what is held behind a hole */
	uint32_t largest;         /* packet that got through */
};

static void begin_path(struct path *p, uint32_t mtu, const char *recovery, const char *cc)
{
	memset(p, 0, sizeof(*p));
	p->mtu = mtu;
	p->got = 1;
	talk_init(&p->t, NS_PER_S);
	p->t.profile.recovery.use[0] = shipped_named(SP_RECOVERY, recovery);
	p->t.profile.cc.use[0] = shipped_named(SP_CC, cc);
	p->t.profile.knobs.pmtud_interval_ns = 60 * NS_PER_S;
	talk_begin(&p->t);
	talk_open_passive(&p->t, "sackOK");
}

static void take(struct path *p, uint32_t seq, uint32_t end)
{
	if (end <= p->got)
		return;
	if (seq > p->got) {
		if (p->begin == p->end)
			p->begin = p->end = seq;
		if (seq == p->end)
			p->end = end;
		return;
	}
	p->got = end;
	if (p->begin <= p->got && p->end > p->got)
		p->got = p->end;
	if (p->end <= p->got)
		p->begin = p->end = 0;
}

/* One round trip of 100 ms. */
static void round_trip(struct path *p)
{
	struct fake_packet *k;
	char s[80];

	talk_after(&p->t, 100 * NS_PER_MS);
	while ((k = fake_net_take(&p->t.net))) {
		uint32_t seq = get_be32(k->l4 + 4) - p->t.iss;
		uint32_t len = k->len - (k->l4[12] >> 4) * 4u;

		bool passed;

		assert_int_equal(k->gso_size, 0);
		if (k->len + 20 <= p->mtu) {
			take(p, seq, seq + len);
			p->largest = k->len + 20 > p->largest ? k->len + 20 : p->largest;
		}
		passed = k->len + 20 <= p->mtu;
		free(k);
		if (len == 0 || !passed)
			continue;
		if (p->end)
			snprintf(s, sizeof(s), ". 1:1(0) ack %u <sack %u:%u>", p->got, p->begin,
				 p->end);
		else
			snprintf(s, sizeof(s), ". 1:1(0) ack %u", p->got);
		p->t.hold = true;
		talk_inject(&p->t, s);
	}
	p->t.hold = false;
	talk_run(&p->t);
}

static void send_for(struct path *p, ns_t ns)
{
	ns_t until = p->t.now + ns;

	while (p->t.now < until) {
		if (p->t.queued - (p->got - 1) < 20440)
			talk_send(&p->t, 20440);
		round_trip(p);
	}
}

/* Down, up to what passes, and up again when the path is a better one; no probe's loss counts as
 * congestion. */
static void up_again(void **state)
{
	static const char *const recovery[] = {"sack", "racktlp"};
	struct path p;

	(void)state;
	for (unsigned i = 0; i < array_count(recovery); i++) {
		uint64_t ssthresh;

		begin_path(&p, 1300, recovery[i], "newreno");
		send_for(&p, 10 * NS_PER_S);
		assert_int_equal(p.t.counters.n[COUNT_pmtu_black_hole], 1);
		assert_int_equal(p.largest >= 1064, 1);
		ssthresh = talk_info(&p.t).ssthresh;
		send_for(&p, 100 * NS_PER_S);
		assert_true(p.t.counters.n[COUNT_pmtu_probes] > 6);
		assert_in_range(p.largest, 1300 - 32, 1300);
		assert_int_equal(talk_info(&p.t).pmtu, p.largest);
		assert_int_equal(talk_info(&p.t).ssthresh, ssthresh);
		assert_int_equal(talk_info(&p.t).timeouts, 3);
		p.mtu = 1500;
		send_for(&p, 61 * NS_PER_S);
		assert_int_equal(p.largest, 1500);
		assert_int_equal(talk_info(&p.t).mss, 1460);
		assert_int_equal(talk_info(&p.t).ssthresh, ssthresh);
		for (int k = 0; k < 20; k++)
			round_trip(&p);
		assert_int_equal(p.got, p.t.queued + 1);
		talk_end(&p.t);
	}
}

/* A connection that was only cut off for a while is soon as fast as before. */
static void was_an_outage(void **state)
{
	struct path p;

	(void)state;
	begin_path(&p, 1500, "racktlp", "cubic");
	send_for(&p, NS_PER_S);
	p.mtu = 0;
	send_for(&p, 12 * NS_PER_S);
	assert_int_equal(p.t.counters.n[COUNT_pmtu_black_hole], 1);
	p.mtu = 1500;
	send_for(&p, 20 * NS_PER_S);
	assert_int_equal(talk_info(&p.t).mss, 1460);
	assert_int_equal(p.t.counters.n[COUNT_pmtu_probes], 1);
	talk_end(&p.t);
}

/* A router had told; the way up is by probes, so that nothing is lost where it is still narrow. */
static void up_after_a_router(void **state)
{
	struct path p;

	(void)state;
	begin_path(&p, 1500, "racktlp", "cubic");
	talk_send(&p.t, 3000);
	too_big(&p.t, 1, 1200);
	p.mtu = 1200;
	send_for(&p, 10 * NS_PER_S);
	assert_int_equal(talk_info(&p.t).pmtu, 1200);
	p.t.net.mtu = p.t.net.gso_max = 1500; /* forgotten */
	send_for(&p, 60 * NS_PER_S);
	assert_true(p.t.counters.n[COUNT_pmtu_probes] > 0);
	assert_int_equal(talk_info(&p.t).pmtu, 1200);
	p.mtu = 1500;
	send_for(&p, 100 * NS_PER_S);
	assert_int_equal(talk_info(&p.t).pmtu, 1500);
	talk_end(&p.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_again),
	    cmocka_unit_test(all_of_a_flight_again),
	    cmocka_unit_test(one_byte_more),
	    cmocka_unit_test(without_offload),
	    cmocka_unit_test(off),
	    cmocka_unit_test(forgotten),
	    cmocka_unit_test(asked_again),
	    cmocka_unit_test(black_hole),
	    cmocka_unit_test(black_hole6),
	    cmocka_unit_test(not_its_size),
	    cmocka_unit_test(base_is_configured),
	    cmocka_unit_test(up_again),
	    cmocka_unit_test(was_an_outage),
	    cmocka_unit_test(up_after_a_router),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
