/* SPDX-License-Identifier: BSD-2-Clause */
/* test_open.c - handshakes: RFC 9293 3.5, 3.10.7.2, 3.10.7.3. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

static void passive(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	assert_int_equal(t.counters.n[COUNT_conn_passive], 1);
	talk_inject(&t, "P. 1:1001(1000) ack 1");
	talk_expect(&t, ". 1:1(0) ack 1001");
	assert_int_equal(talk_events(&t), TCP_EV_READABLE);
	talk_read(&t, 1000);
	talk_send(&t, 3000);
	talk_expect(&t, ". 1:1461(1460) ack 1001");
	talk_expect(&t, ". 1461:2921(1460) ack 1001");
	talk_nothing(&t);
	talk_inject(&t, ". 1001:1001(0) ack 2921");
	talk_expect(&t, "P. 2921:3001(80) ack 1001");
	talk_inject(&t, ". 1001:1001(0) ack 3001");
	talk_nothing(&t);
	assert_int_equal(tcp_acked(t.conn), 3000);
	talk_end(&t);
}

static void options(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) win 1000 <mss 1000,sackOK,ts 100 0,wscale 3>");
	talk_expect(&t, "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts,wscale 7>");
	talk_inject(&t, ". 1:1(0) ack 1 win 1000 <ts 101 0>");
	assert_int_equal(talk_info(&t).mss, 988);
	assert_int_equal(talk_info(&t).snd_wscale, 3);
	assert_int_equal(talk_info(&t).snd_limit, 8000);
	assert_true(talk_info(&t).features & SP_SACK);
	talk_end(&t);
}

static void no_options(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) win 1000 <>");
	talk_expect(&t, "S. 0:0(0) ack 1 <mss 1460>"); /* recovery does not want SACK */
	talk_inject(&t, ". 1:1(0) ack 1 win 1000");
	assert_int_equal(talk_info(&t).mss, 536); /* MUST-15 */
	talk_end(&t);
}

static void active(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0) win 65535 <mss 1460,sackOK,ts,wscale 7>");
	assert_int_equal(talk_state(&t), TCP_SYN_SENT);
	talk_inject(&t, "S. 0:0(0) ack 1 win 500 <mss 1460>"); /* a window that is not scaled */
	talk_expect(&t, ". 1:1(0) ack 1 <>");
	assert_int_equal(talk_events(&t), TCP_EV_CONNECTED);
	assert_int_equal(talk_info(&t).snd_limit, 500);
	assert_false(talk_info(&t).features & SP_SACK);
	talk_end(&t);
}

static void syn_again(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.syn_retries = 2;
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_after(&t, 900 * NS_PER_MS);
	talk_nothing(&t);
	talk_after(&t, 200 * NS_PER_MS);
	talk_expect(&t, "S 0:0(0)");
	talk_after(&t, 1800 * NS_PER_MS);
	talk_nothing(&t);
	talk_after(&t, 300 * NS_PER_MS);
	talk_expect(&t, "S 0:0(0)");
	talk_after(&t, 4100 * NS_PER_MS);
	talk_nothing(&t);
	assert_true(talk_events(&t) & TCP_EV_CLOSED);
	assert_int_equal(t.counters.n[COUNT_conn_timeout], 1);
	talk_end(&t);
}

static void refused(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_inject(&t, "R 0:0(0)"); /* without ACK: nobody's */
	talk_inject(&t, "R. 0:0(0) ack 7");
	assert_int_equal(talk_state(&t), TCP_SYN_SENT);
	talk_inject(&t, "R. 0:0(0) ack 1");
	assert_true(t.closed);
	assert_int_equal(t.counters.n[COUNT_conn_refused], 1);
	talk_nothing(&t);
	talk_end(&t);
}

static void wrong_ack_in_syn_sent(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_inject(&t, "S. 0:0(0) ack 100");
	talk_expect(&t, "R 100:100(0)");
	assert_int_equal(talk_state(&t), TCP_SYN_SENT);
	assert_int_equal(t.counters.n[COUNT_seg_bad_ack], 1);
	assert_int_equal(t.counters.n[COUNT_seg_no_connection], 0);
	talk_end(&t);
}

/* RFC 9293 figure 8, both ways of completing it */
static void simultaneous(void **state)
{
	for (int variant = 0; variant < 2; variant++) {
		struct talk t;

		(void)state;
		talk_init(&t, NS_PER_S);
		talk_begin(&t);
		talk_connect(&t);
		talk_expect(&t, "S 0:0(0)");
		talk_inject(&t, "S 0:0(0) win 3000 <mss 1460>");
		talk_expect(&t, "S. 0:0(0) ack 1 <mss 1460>");
		assert_int_equal(talk_state(&t), TCP_SYN_RECEIVED);
		talk_inject(&t, variant ? "S. 0:0(0) ack 1 win 3000 <mss 1460>"
					: ". 1:1(0) ack 1 win 3000");
		assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
		assert_int_equal(talk_events(&t), TCP_EV_CONNECTED);
		talk_inject(&t, "P. 1:11(10) ack 1");
		talk_expect(&t, ". 1:1(0) ack 11");
		talk_end(&t);
	}
}

static void listener_answers(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	t.iss_known = true;
	talk_inject(&t, "R 0:0(0)"); /* first: RST */
	talk_nothing(&t);
	talk_inject(&t, ". 5:5(0) ack 77"); /* second: ACK */
	talk_expect(&t, "R 77:77(0)");
	talk_inject(&t, "F 5:5(0)");
	talk_nothing(&t);
	t.own_port = 81; /* nobody listens */
	talk_inject(&t, "S 0:0(0)");
	talk_expect(&t, "R. 0:0(0) ack 1");
	talk_inject(&t, ". 5:5(0) ack 9");
	talk_expect(&t, "R 9:9(0)");
	talk_inject(&t, "R 5:5(0)");
	talk_nothing(&t);
	talk_end(&t);
}

/* MUST-11: a RST takes a passive open back to LISTEN, silently */
static void rst_in_syn_received(void **state)
{
	struct talk t;
	struct tcp_listener_info info;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	tcp_listener_info(t.listener, &info);
	assert_int_equal(info.handshakes, 1);
	talk_inject(&t, "R 500:500(0)"); /* in the window, not at its edge: challenge */
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, "R 1:1(0)");
	talk_nothing(&t);
	tcp_listener_info(t.listener, &info);
	assert_int_equal(info.handshakes, 0);
	talk_inject(&t, ". 1:1(0) ack 1"); /* the old handshake's ACK: no such connection */
	talk_expect(&t, "R 1:1(0)");
	talk_end(&t);
}

/* Another SYN does not: it is challenged (RFC 5961 4.2), and who has really begun anew says so. */
static void syn_in_syn_received(void **state)
{
	struct talk t;
	struct tcp_listener_info info;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, "S 100000:100000(0) <mss 1460>"); /* outside the window: an old one? */
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, "S 500:500(0) <mss 1460>"); /* inside */
	talk_expect(&t, ". 1:1(0) ack 1");
	tcp_listener_info(t.listener, &info);
	assert_int_equal(info.handshakes, 1);
	talk_inject(&t, "R 1:1(0)"); /* SEQ=SEG.ACK of the challenge */
	talk_nothing(&t);
	talk_inject(&t, "S 500:500(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 501");
	talk_end(&t);
}

static void resent_syn(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 2"); /* ACK of what was never sent */
	talk_expect(&t, "R 2:2(0)");
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_nothing(&t);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

static void synack_again_then_gone(void **state)
{
	struct talk t;
	struct tcp_listener_info info;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.knobs.synack_retries = 1;
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_after(&t, 2100 * NS_PER_MS);
	talk_nothing(&t);
	tcp_listener_info(t.listener, &info);
	assert_int_equal(info.handshakes, 0);
	talk_end(&t);
}

static void backlog(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 1);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	t.peer_port++;
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_listen_backlog], 1);
	t.peer_port--;
	talk_inject(&t, ". 1:1(0) ack 1");
	t.peer_port++;
	talk_inject(&t, "S 0:0(0) <mss 1460>"); /* still waits for accept */
	talk_nothing(&t);
	tcp_accepted(t.conn);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	t.iss_known = false;
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_end(&t);
}

/* 10,000 SYNs leave no record, and an honest client still connects */
static void cookies(void **state)
{
	for (int stamps = 0; stamps < 2; stamps++) {
		struct talk t;
		struct tcp_listener_info info;
		struct fake_packet *p;

		(void)state;
		talk_init(&t, NS_PER_S);
		t.profile.knobs.syncookies = TCP_SYNCOOKIES_FULL;
		t.profile.recovery.use[0].plugin = &plain_sack;
		talk_begin(&t);
		talk_listen(&t, 2);
		t.peer.b[14] = 9;
		for (uint32_t i = 0; i < 10000; i++) {
			t.peer_port = (uint16_t)(1000 + i);
			talk_inject(&t, "S 0:0(0) <mss 1460>");
			while ((p = fake_net_take(&t.net)))
				free(p);
		}
		tcp_listener_info(t.listener, &info);
		assert_int_equal(info.handshakes, 2);
		assert_int_equal(t.counters.n[COUNT_syn_cookie_sent], 9998);
		t.peer.b[14] = 0;
		t.peer_port = 4000;
		t.now += 5 * NS_PER_MS;
		talk_inject(&t, stamps ? "S 0:0(0) <mss 1400,sackOK,ts 100 0,wscale 5>"
				       : "S 0:0(0) <mss 1400,sackOK,wscale 5>");
		t.iss_known = false;
		talk_expect(&t, stamps ? "S. 0:0(0) ack 1 <mss 1460,sackOK,ts,wscale 7>"
				       : "S. 0:0(0) ack 1 <mss 1460>");
		talk_inject(&t, ". 1:1(0) ack 2 <ts 101 0>"); /* a guess */
		talk_expect(&t, "R 2:2(0)");
		assert_int_equal(t.counters.n[COUNT_syn_cookie_bad], 1);
		t.now += 30 * NS_PER_S;
		if (stamps) {
			char s[80];

			snprintf(s, sizeof(s), "P. 1:11(10) ack 1 win 100 <ts 101 %u>", t.last_ts);
			talk_inject(&t, s);
		} else {
			talk_inject(&t, "P. 1:11(10) ack 1 win 100");
		}
		assert_non_null(t.conn);
		assert_int_equal(talk_events(&t), TCP_EV_ACCEPTED | TCP_EV_READABLE);
		assert_int_equal(talk_info(&t).mss, stamps ? 1348 : 1360);
		assert_int_equal(talk_info(&t).snd_limit, stamps ? 3200 : 100);
		assert_int_equal((talk_info(&t).features & SP_SACK) != 0, stamps);
		talk_end(&t);
	}
}

static void no_buffers(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	t.no_buffers = true;
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_nothing(&t);
	assert_int_equal(t.counters.n[COUNT_listen_no_buffers], 1);
	t.no_buffers = false;
	talk_inject(&t, "P. 1:11(10) ack 1"); /* data completes the handshake */
	talk_expect(&t, ". 1:1(0) ack 11");
	assert_int_equal(talk_events(&t), TCP_EV_ACCEPTED | TCP_EV_READABLE);
	talk_read(&t, 10);
	talk_end(&t);
}

static void unlisten(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "");
	t.peer_port++;
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	t.iss_known = false;
	talk_expect(&t, "S. 0:0(0) ack 1");
	tcp_unlisten(t.tcp, t.listener);
	assert_null(tcp_listener_of(t.conn));
	talk_inject(&t, ". 1:1(0) ack 1");
	talk_expect(&t, "R 1:1(0)");
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

/* a FIN with the ACK that completes the handshake */
static void fin_in_syn_received(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_listen(&t, 4);
	talk_inject(&t, "S 0:0(0) <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, "F. 1:6(5) ack 1");
	talk_expect(&t, ". 1:1(0) ack 7");
	assert_int_equal(talk_state(&t), TCP_CLOSE_WAIT);
	assert_int_equal(talk_events(&t), TCP_EV_ACCEPTED | TCP_EV_READABLE | TCP_EV_EOF);
	talk_end(&t);
}

static void requires(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	t.profile.recovery.count = 2;
	t.profile.recovery.use[0].plugin = &plain_sack_only;
	t.profile.recovery.use[1].plugin = &plain_recovery;
	talk_begin(&t);
	talk_open_active(&t, "");
	assert_string_equal(talk_info(&t).recovery, "plain_recovery");
	talk_end(&t);

	talk_init(&t, NS_PER_S);
	t.profile.recovery.count = 2;
	t.profile.recovery.use[0].plugin = &plain_sack_only;
	t.profile.recovery.use[1].plugin = &plain_recovery;
	talk_begin(&t);
	talk_open_active(&t, "sackOK");
	assert_string_equal(talk_info(&t).recovery, "plain_sack_only");
	assert_int_equal(talk_info(&t).features, SP_SACK); /* DSACK was not wanted */
	talk_end(&t);
}

static void export_import(void **state)
{
	struct talk t;
	struct tcp *first;
	void *record;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_send(&t, 100); /* queued before the handshake */
	record = test_malloc(tcp_export_size());
	assert_true(tcp_export(t.tcp, t.conn, record));
	first = t.tcp;
	talk_begin(&t);
	t.conn = tcp_import(t.tcp, record, t.now);
	assert_non_null(t.conn);
	test_free(record);
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "S 0:0(0)"); /* the timer moved along */
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, "P. 1:101(100) ack 1");
	assert_false(tcp_export(t.tcp, t.conn, NULL));
	tcp_destroy(first);
	talk_end(&t);
}

/* The initial number of an active open at `now`, with this half of the secret. */
static uint32_t isn(uint64_t secret, ns_t now, uint16_t peer_port)
{
	struct talk t;

	talk_init(&t, now);
	t.secret = secret;
	t.peer_port = peer_port;
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_end(&t);
	return t.iss;
}

/* RFC 6528 3, MUST-8, MUST-9, SHLD-1: ISN = M + F(four-tuple, secret), M a clock of 4 us. */
static void initial_number(void **state)
{
	uint32_t first = isn(7, NS_PER_S, 4000), near = 0;

	(void)state;
	assert_int_equal(isn(7, NS_PER_S, 4000), first);
	/* the clock alone: 250,000 a second, through the whole of the number space */
	assert_int_equal((uint32_t)(isn(7, NS_PER_S + 4 * NS_PER_US, 4000) - first), 1);
	assert_int_equal((uint32_t)(isn(7, 2 * NS_PER_S, 4000) - first), 250000);
	assert_int_equal((uint32_t)(isn(7, 17181 * NS_PER_S, 4000) - first),
			 (uint32_t)(17180ull * 250000));
	/* another secret, another four-tuple: as far away as chance has it */
	for (uint64_t i = 1; i <= 64; i++) {
		uint32_t other = isn(7 + i, NS_PER_S, 4000) - first;
		uint32_t next_port = isn(7, NS_PER_S, (uint16_t)(4000 + i)) - first;

		assert_int_not_equal(other, 0);
		assert_int_not_equal(next_port, 0);
		near += other < 1u << 24 || next_port < 1u << 24;
	}
	assert_true(near < 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(passive),
	    cmocka_unit_test(options),
	    cmocka_unit_test(no_options),
	    cmocka_unit_test(active),
	    cmocka_unit_test(syn_again),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(wrong_ack_in_syn_sent),
	    cmocka_unit_test(simultaneous),
	    cmocka_unit_test(listener_answers),
	    cmocka_unit_test(rst_in_syn_received),
	    cmocka_unit_test(syn_in_syn_received),
	    cmocka_unit_test(resent_syn),
	    cmocka_unit_test(synack_again_then_gone),
	    cmocka_unit_test(backlog),
	    cmocka_unit_test(cookies),
	    cmocka_unit_test(no_buffers),
	    cmocka_unit_test(unlisten),
	    cmocka_unit_test(fin_in_syn_received),
	    cmocka_unit_test(requires),
	    cmocka_unit_test(export_import),
	    cmocka_unit_test(initial_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
