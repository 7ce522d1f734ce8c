/* SPDX-License-Identifier: BSD-2-Clause */
/* test_register.c - rows of docs/rfc9293.md that no other conversation shows. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"
#include "tcp/segment.h"

static void begin(struct talk *t)
{
	talk_init(t, NS_PER_S);
	talk_begin(t);
	talk_open_passive(t, "");
}

/* --- windows --------------------------------------------------------------------------------- */

/* REC-1: more than 65,535 bytes out at once */
static void wide_send_window(void **state)
{
	struct talk t;
	char s[64];

	(void)state;
	talk_init(&t, NS_PER_S);
	t.cwnd_segs = 100;
	talk_begin(&t);
	talk_open_passive(&t, "wscale 7");
	talk_inject(&t, ". 1:1(0) ack 1 win 800"); /* 102,400 bytes */
	tcp_set_option(t.conn, TCP_OPT_NODELAY, 1);
	talk_send(&t, TALK_RING);
	for (uint32_t at = 1; at < 65537; at += 1460) {
		uint32_t len = at + 1460 > 65537 ? 65537 - at : 1460;

		snprintf(s, sizeof(s), "%s. %u:%u(%u)", at + len == 65537 ? "P" : "", at, at + len,
			 len);
		talk_expect(&t, s);
	}
	assert_int_equal(talk_info(&t).snd_nxt - talk_info(&t).snd_una, 65536);
	talk_inject(&t, ". 1:1(0) ack 65537 win 800");
	assert_int_equal(talk_info(&t).snd_limit, 65536 + 102400);
	talk_end(&t);
}

/* REC-1: and more than that announced and taken */
static void wide_receive_window(void **state)
{
	struct talk t;
	uint32_t at = 1;
	char s[64];

	(void)state;
	talk_init(&t, NS_PER_S);
	free(t.rx);
	t.rx_bytes = 1u << 18;
	t.rx = calloc(1, t.rx_bytes);
	t.profile.knobs.receive_buffer = t.rx_bytes;
	talk_begin(&t);
	talk_open_passive(&t, "wscale 0");
	for (; at < 200000; at += 1460) {
		snprintf(s, sizeof(s), ". %u:%u(1460) ack 1", at, at + 1460);
		talk_inject(&t, s);
		snprintf(s, sizeof(s), ". 1:1(0) ack %u", at + 1460);
		talk_expect(&t, s);
	}
	assert_int_equal(tcp_received(t.conn), at - 1); /* nobody has read any of it */
	assert_int_equal(talk_info(&t).rcv_limit, t.rx_bytes);
	talk_read(&t, at - 1);
	talk_end(&t);
}

/* MUST-35: with text out the window shrinks to nothing: probes, and no time-out counts */
static void shrunk_to_zero(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_send(&t, 2000);
	talk_expect(&t, ". 1:1461(1460)");
	talk_inject(&t, ". 1:1(0) ack 1 win 0");
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:2(1)");
	for (unsigned i = 0; i < 40; i++) { /* more than R2 would bear */
		talk_inject(&t, ". 1:1(0) ack 1 win 0");
		talk_after(&t, 61 * NS_PER_S);
		do
			talk_expect(&t, ". 1:2(1)");
		while (t.net.begin != t.net.end);
	}
	assert_int_equal(talk_info(&t).timeouts, 0);
	talk_inject(&t, ". 1:1(0) ack 1 win 5000");
	talk_after(&t, 1010 * NS_PER_MS);
	talk_expect(&t, ". 1:1461(1460)");
	talk_inject(&t, ". 1:1(0) ack 1461 win 5000");
	talk_expect(&t, "P. 1461:2001(540)");
	talk_end(&t);
}

static void shut(struct talk *t)
{
	talk_init(t, NS_PER_S);
	t->profile.knobs.receive_buffer = 1024;
	talk_begin(t);
	talk_open_passive(t, "");
	talk_inject(t, "P. 1:1025(1024) ack 1");
	talk_expect(t, ". 1:1(0) ack 1025 win 0");
}

/* MUST-66: URG, the ACK of a segment whose text finds no room, and RST */
static void shut_window_hears(void **state)
{
	struct talk t;

	(void)state;
	shut(&t);
	talk_send(&t, 10);
	talk_expect(&t, "P. 1:11(10)");
	talk_events(&t);
	talk_inject(&t, "UP. 1025:1035(10) ack 11 urg 3");
	talk_expect(&t, ". 11:11(0) ack 1025 win 0");
	assert_true(talk_events(&t) & TCP_EV_URGENT);
	assert_int_equal(tcp_acked(t.conn), 10);
	assert_int_equal(tcp_received(t.conn), 1024);
	talk_inject(&t, "R 1026:1026(0)"); /* outside of what is shut */
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_inject(&t, "R 1025:1025(0)");
	assert_true(t.closed);
	assert_int_equal(t.error, ECONNRESET);
	talk_nothing(&t);
	talk_end(&t);
}

/* --- options --------------------------------------------------------------------------------- */

static void raw(struct talk *t, const uint8_t *options, uint32_t len)
{
	uint8_t s[60] = {0};
	struct net_segment in = {
	    .src = t->peer, .dst = t->own, .l4 = s, .l4_len = 20 + len, .l4_linear = 20 + len};
	struct tcp_conn *c;

	put_be16(s, t->peer_port);
	put_be16(s + 2, t->own_port);
	put_be32(s + 4, t->peer_iss);
	s[12] = (uint8_t)((20 + len) / 4 << 4);
	s[13] = SEG_SYN;
	put_be16(s + 14, 65535);
	memcpy(s + 20, options, len);
	assert_int_equal(tcp_input(t->tcp, &in, t->now, &c), TCP_DONE);
	talk_run(t);
}

/* MUST-4: NOP before, End of Option List after; what stands behind that is padding, whatever it
 * looks like */
static void end_of_options(void **state)
{
	static const uint8_t options[] = {1, 1, 2, 4, 0x03, 0xe8, 0, 8, 0, 2, 4, 0xff};
	static const uint8_t end_only[] = {0, 3, 1, 14};
	struct talk t;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		talk_init(&t, NS_PER_S);
		talk_begin(&t);
		talk_listen(&t, 1);
		if (i == 0)
			raw(&t, options, sizeof(options));
		else
			raw(&t, end_only, sizeof(end_only));
		talk_expect(&t, "S. 0:0(0) ack 1 <mss 1460>");
		assert_int_equal(t.counters.n[COUNT_seg_option_length], 0);
		talk_inject(&t, ". 1:1(0) ack 1");
		assert_int_equal(talk_info(&t).mss, i == 0 ? 1000 : 536);
		talk_end(&t);
	}
}

/* The options of a header, each after the other to its very end; NOPs between and behind. */
static void check_padding(const uint8_t *h, uint16_t len)
{
	assert_int_equal(len % 4, 0);
	assert_int_equal(h[12] >> 4, len / 4);
	for (uint32_t at = 20; at < len;) {
		assert_int_not_equal(h[at], 0); /* no list that ends early */
		if (h[at] == 1) {
			at++;
			continue;
		}
		assert_true(at + 1u < len && h[at + 1] >= 2 && at + h[at + 1] <= len);
		at += h[at + 1];
	}
}

/* MUST-69: the header ends on a 32-bit boundary, whatever options it has */
static void padded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16 * (SEGMENT_SACK_MAX + 1); i++) {
		struct segment_head h = {
		    .src_port = 1,
		    .dst_port = 2,
		    .flags = i & 1 ? SEG_SYN : SEG_ACK,
		    .opt = {.wscale = i & 2 ? 7 : SEGMENT_NO_WSCALE,
			    .mss = i & 1 ? 1460 : 0,
			    .sack_permitted = i & 4,
			    .has_ts = i & 8,
			    .sack_count = (uint8_t)(i / 16)},
		};
		uint8_t out[NET_TCP_HEADER_MAX];

		memset(out, 0, sizeof(out));
		for (unsigned k = 0; k < h.opt.sack_count; k++) {
			h.opt.sack[k].begin = 1000 * k;
			h.opt.sack[k].end = 1000 * k + 500;
		}
		check_padding(out, segment_write(&h, out));
	}
}

/* --- IPv6 ------------------------------------------------------------------------------------ */

static void six(struct talk *t)
{
	talk_init(t, NS_PER_S);
	assert_int_equal(addr_parse("fd00::1", &t->own), 0);
	assert_int_equal(addr_parse("fd00::2", &t->peer), 0);
	t->net.own = t->own;
	talk_begin(t);
}

/* SHLD-5, MUST-15: the MSS of 1,500 bytes with IPv6's header, and 1,220 for who names none */
static void mss_over_ip6(void **state)
{
	struct talk t;

	(void)state;
	six(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0) <mss 1440,ts,wscale 7>");
	talk_inject(&t, "S. 0:0(0) ack 1 win 65535");
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_send(&t, 2000);
	talk_expect(&t, ". 1:1221(1220)");
	talk_end(&t);

	six(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0)");
	talk_expect(&t, "S. 0:0(0) ack 1 <mss 1440>");
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_send(&t, 2000);
	talk_expect(&t, ". 1:1221(1220)");
	talk_end(&t);
}

/* --- opening --------------------------------------------------------------------------------- */

/* MUST-11: an active open that is in SYN-RECEIVED is refused, not put back to LISTEN */
static void rst_in_active_syn_received(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	assert_int_equal(talk_state(&t), TCP_SYN_RECEIVED);
	talk_inject(&t, "R 1:1(0)");
	assert_true(t.closed);
	assert_int_equal(t.error, ECONNREFUSED);
	talk_nothing(&t);
	talk_end(&t);
}

/* MUST-42: a LISTEN beside connections from the same port, and beside a LISTEN for one address */
static void listen_beside_connections(void **state)
{
	struct tcp_listen_config exact = {.backlog = 1};
	struct tcp_listener *second;
	struct tcp_listener_info info;
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_active(&t, "");
	talk_listen(&t, 4); /* the port that the connection has */
	exact.local = (struct endpoint){t.own, t.own_port};
	assert_int_equal(tcp_listen(t.tcp, &exact, &second), 0);
	t.peer_port++;
	t.iss_known = false;
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	tcp_listener_info(second, &info); /* the exact one goes first */
	assert_int_equal(info.handshakes, 1);
	tcp_listener_info(t.listener, &info);
	assert_int_equal(info.handshakes, 0);
	assert_int_equal(tcp_conn_count(t.tcp), 2);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED); /* the first is as it was */
	talk_end(&t);
}

static void expect_from(struct talk *t, const struct addr *src)
{
	struct fake_packet *p = fake_net_take(&t->net);

	assert_non_null(p);
	assert_true(addr_equal(&p->src, src));
	assert_true(addr_equal(&p->dst, &t->peer));
	free(p);
}

/* MUST-45: the address that the connection began with is its own to the end, also when the host
 * would choose another by now */
static void local_address_stays(void **state)
{
	static const uint8_t other[4] = {10, 0, 0, 77};
	struct talk t;

	(void)state;
	begin(&t);
	t.net.own = addr_from4(other);
	talk_send(&t, 10);
	expect_from(&t, &t.own);
	talk_after(&t, 1010 * NS_PER_MS); /* again */
	expect_from(&t, &t.own);
	talk_inject(&t, "P. 1:11(10) ack 11");
	expect_from(&t, &t.own);
	tcp_shutdown_write(t.conn);
	talk_run(&t);
	expect_from(&t, &t.own);
	talk_end(&t);
}

/* --- later ----------------------------------------------------------------------------------- */

/* MUST-26: no keep-alive while text is out or the peer is heard, however long that goes on */
static void keepalive_only_if_idle(void **state)
{
	struct talk t;
	char s[48];

	(void)state;
	begin(&t);
	tcp_set_option(t.conn, TCP_OPT_KEEPALIVE, 1);
	tcp_set_option(t.conn, TCP_OPT_KEEPIDLE_S, 3);
	tcp_set_option(t.conn, TCP_OPT_KEEPINTVL_S, 1);
	talk_send(&t, 100);
	for (ns_t rto = NS_PER_S, i = 0; i < 5; i++, rto *= 2) { /* 31 s without an answer */
		talk_expect(&t, "P. 1:101(100)");
		talk_nothing(&t);
		talk_after(&t, rto + 10 * NS_PER_MS);
	}
	talk_expect(&t, "P. 1:101(100)");
	talk_inject(&t, ". 1:1(0) ack 101");
	for (uint32_t i = 0; i < 10; i++) { /* a byte each 2 s */
		talk_after(&t, 2 * NS_PER_S);
		talk_nothing(&t);
		snprintf(s, sizeof(s), "P. %u:%u(1) ack 101", i + 1, i + 2);
		talk_inject(&t, s);
		snprintf(s, sizeof(s), ". 101:101(0) ack %u", i + 2);
		talk_expect(&t, s);
	}
	assert_int_equal(t.counters.n[COUNT_tx_probes], 0);
	talk_after(&t, 3010 * NS_PER_MS);
	talk_expect(&t, ". 100:100(0) ack 11");
	talk_end(&t);
}

static void expect_marks(struct talk *t, uint8_t tos, uint8_t ttl)
{
	struct fake_packet *p = fake_net_take(&t->net);

	assert_non_null(p);
	assert_int_equal(p->tos, tos);
	assert_int_equal(p->ttl, ttl);
	free(p);
}

/* MUST-48, SHLD-22, SHLD-21, MUST-49: as the application says, on text and ACKs, from the next
 * segment on; the two ECN bits are TCP's */
static void diffserv_and_ttl(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.tos = 0x28;
	t.profile.knobs.ttl = 33;
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	t.iss = get_be32(t.net.queue[t.net.begin % FAKE_PACKETS_MAX]->l4 + 4);
	t.iss_known = true;
	expect_marks(&t, 0x28, 33);
	talk_inject(&t, ". 1:1(0) ack 1");
	assert_int_equal(tcp_set_option(t.conn, TCP_OPT_TOS, 0xb8), 0);
	assert_int_equal(tcp_set_option(t.conn, TCP_OPT_TTL, 7), 0);
	talk_send(&t, 10);
	expect_marks(&t, 0xb8, 7);
	talk_inject(&t, "P. 1:11(10) ack 11");
	expect_marks(&t, 0xb8, 7);
	assert_int_equal(tcp_set_option(t.conn, TCP_OPT_TOS, 0xff), 0); /* during the connection */
	assert_int_equal(tcp_set_option(t.conn, TCP_OPT_TOS, 256), -EINVAL);
	talk_send(&t, 10);
	expect_marks(&t, 0xfc, 7);
	talk_end(&t);
}

/* Also what no connection sends any more, or yet: a peer that asks for a TTL of 255 (RFC 5082) hears
 * TIME-WAIT's ACKs, and the cookie in a SYN-ACK. */
static void diffserv_and_ttl_outside(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.tos = 0x28;
	t.profile.knobs.ttl = 255;
	t.profile.knobs.syncookies = TCP_SYNCOOKIES_ALWAYS;
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	t.iss = get_be32(t.net.queue[t.net.begin % FAKE_PACKETS_MAX]->l4 + 4);
	t.iss_known = true;
	expect_marks(&t, 0x28, 255);
	talk_inject(&t, ". 1:1(0) ack 1");
	tcp_shutdown_write(t.conn);
	talk_run(&t);
	expect_marks(&t, 0x28, 255);
	talk_inject(&t, "F. 1:1(0) ack 2");
	expect_marks(&t, 0x28, 255);
	assert_true(t.closed);
	talk_inject(&t, "F. 1:1(0) ack 2"); /* to TIME-WAIT */
	expect_marks(&t, 0x28, 255);
	talk_end(&t);
}

/* The field is all of TCP's and the application's: ECT(0) beside the class. */
static void diffserv_beside_ecn(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.cc.use[0].plugin = &plain_ecn;
	t.profile.knobs.tos = 0xb8;
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "SEW 0:0(0) win 65535 <mss 1460>");
	talk_expect(&t, "SE. 0:0(0) ack 1");
	assert_int_equal(t.last_tos, 0xb8);
	talk_inject(&t, ". 1:1(0) ack 1 win 65535");
	talk_send(&t, 10);
	talk_expect(&t, "P. 1:11(10)");
	assert_int_equal(t.last_tos, 0xba);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wide_send_window),
	    cmocka_unit_test(wide_receive_window),
	    cmocka_unit_test(shrunk_to_zero),
	    cmocka_unit_test(shut_window_hears),
	    cmocka_unit_test(end_of_options),
	    cmocka_unit_test(padded),
	    cmocka_unit_test(mss_over_ip6),
	    cmocka_unit_test(rst_in_active_syn_received),
	    cmocka_unit_test(listen_beside_connections),
	    cmocka_unit_test(local_address_stays),
	    cmocka_unit_test(keepalive_only_if_idle),
	    cmocka_unit_test(diffserv_and_ttl),
	    cmocka_unit_test(diffserv_and_ttl_outside),
	    cmocka_unit_test(diffserv_beside_ecn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
