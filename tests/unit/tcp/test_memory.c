/* SPDX-License-Identifier: BSD-2-Clause */
/* test_memory.c - the pools are empty, or have room for one: who is refused is counted, nothing
 * stays behind, and what the peer sends again finds its way. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "talk.h"

/* Plugins that all have a state, so that their pools are asked too. */
static void begin(struct talk *t)
{
	talk_init(t, NS_PER_S);
	t->profile.recovery.use[0].plugin = &plain_sack;
	t->profile.ack.use[0].plugin = &plain_ack_delayed;
}

static void next_peer(struct talk *t)
{
	t->peer_port++;
	t->iss_known = false;
	t->closed = false;
	t->queued = t->consumed = 0;
	t->events = 0;
}

static void handshake(struct talk *t)
{
	talk_inject(t, "S 0:0(0) <mss 1460>");
	talk_expect(t, "S. 0:0(0) ack 1");
	talk_inject(t, ". 1:1(0) ack 1");
	talk_nothing(t);
	assert_int_equal(talk_events(t), TCP_EV_ACCEPTED);
	tcp_accepted(t->conn);
}

/* A server with one connection; the limits are set already. */
static void serve_one(struct talk *t)
{
	talk_begin(t);
	talk_listen(t, 16);
	handshake(t);
}

static struct tcp_listener_info listener(const struct talk *t)
{
	struct tcp_listener_info info;

	tcp_listener_info(t->listener, &info);
	return info;
}

/* The one record is taken: a SYN is dropped without a word, and its retry served. */
static void no_record_for_a_syn(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	t.connections_max = 1;
	serve_one(&t);
	for (unsigned i = 1; i <= 20; i++) {
		struct tcp_conn *first = t.conn;

		next_peer(&t);
		talk_inject(&t, "S 0:0(0) <mss 1460>");
		talk_nothing(&t);
		assert_int_equal(t.counters.n[COUNT_conn_limit], i);
		assert_int_equal(listener(&t).refused, i);
		assert_int_equal(listener(&t).handshakes + listener(&t).waiting, 0);
		tcp_abort(first);
		free(fake_net_take(&t.net)); /* its RST */
		talk_run(&t);
		t.closed = false;
		talk_events(&t);
		talk_after(&t, NS_PER_S);
		handshake(&t);
		assert_int_equal(tcp_conn_count(t.tcp), 1);
	}
	talk_end(&t);
}

/* An active open fails at once, and can be tried again. */
static void no_record_for_an_open(void **state)
{
	struct endpoint local = {.port = 81}, remote;
	struct tcp_conn *c = NULL;
	struct talk t;

	(void)state;
	begin(&t);
	t.connections_max = 1;
	talk_begin(&t);
	talk_open_active(&t, "");
	remote = (struct endpoint){t.peer, t.peer_port};
	assert_int_equal(tcp_connect(t.tcp, &local, &remote, NULL, NULL, t.now, &c), -ENOBUFS);
	assert_int_equal(t.counters.n[COUNT_conn_limit], 1);
	talk_run(&t);
	talk_nothing(&t);
	tcp_abort(t.conn);
	talk_expect(&t, "R. 1:1(0)");
	talk_run(&t);
	next_peer(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	talk_end(&t);
}

/* No state for the plugins when the handshake is complete: the peer is told so (RST), its next SYN
 * is answered. */
static void no_state_at_accept(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_begin(&t);
	talk_listen(&t, 16);
	for (unsigned i = 1; i <= 20; i++) {
		talk_inject(&t, "S 0:0(0) <mss 1460>");
		talk_expect(&t, "S. 0:0(0) ack 1");
		t.no_memory = true;
		talk_inject(&t, ". 1:1(0) ack 1");
		talk_expect(&t, "R. 1:1(0) ack 1");
		assert_int_equal(t.counters.n[COUNT_conn_limit], i);
		assert_int_equal(listener(&t).handshakes + listener(&t).waiting, 0);
		assert_int_equal(tcp_conn_count(t.tcp), 0);
		assert_true(t.closed);
		talk_inject(&t, "P. 1:11(10) ack 1"); /* was under way */
		talk_expect(&t, "R 1:1(0)");
		next_peer(&t);
	}
	t.no_memory = false;
	handshake(&t);
	talk_inject(&t, "P. 1:1001(1000) ack 1");
	talk_read(&t, 1000);
	talk_end(&t);
}

static void no_state_at_connect(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	t.no_memory = true;
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>");
	assert_true(t.closed);
	assert_int_equal(t.error, ENOBUFS);
	assert_int_equal(t.counters.n[COUNT_conn_limit], 1);
	talk_nothing(&t);
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>"); /* the peer's retry ends there too */
	talk_expect(&t, "R 1:1(0)");
	assert_int_equal(tcp_conn_count(t.tcp), 0);
	t.no_memory = false;
	next_peer(&t);
	talk_open_active(&t, "");
	talk_end(&t);
}

/* Ours first, then theirs. */
static void close_both(struct talk *t)
{
	tcp_close(t->conn, false, NS_NEVER);
	talk_run(t);
	talk_expect(t, "F. 1:1(0) ack 1");
	talk_inject(t, "F. 1:1(0) ack 2");
	talk_expect(t, ". 2:2(0) ack 2");
	assert_true(t->closed);
}

/* The one TIME-WAIT record is taken: the next connection ends without, its peer's FIN again is
 * answered by a RST, which harms nobody; and the first record does its work. */
static void no_record_for_time_wait(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	t.connections_max = 1;
	serve_one(&t);
	close_both(&t);
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	assert_int_equal(t.counters.n[COUNT_conn_time_wait_limit], 0);
	next_peer(&t);
	handshake(&t);
	close_both(&t);
	assert_int_equal(t.counters.n[COUNT_conn_time_wait_limit], 1);
	assert_int_equal(tcp_conn_count(t.tcp), 0);
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, "R 2:2(0)");
	talk_after(&t, 61 * NS_PER_S);
	next_peer(&t);
	handshake(&t);
	close_both(&t);
	assert_int_equal(t.counters.n[COUNT_conn_time_wait_limit], 1);
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	talk_end(&t);
}

/* Data of one connection has the only chunk: the FIN of another waits, and leaves by itself. */
static void no_chunk_for_a_fin(void **state)
{
	struct talk t;
	struct tcp_conn *first;
	uint32_t first_iss;

	(void)state;
	begin(&t);
	t.chunks_max = 1;
	serve_one(&t);
	talk_send(&t, 100);
	talk_expect(&t, "P. 1:101(100) ack 1");
	first = t.conn;
	first_iss = t.iss;
	next_peer(&t);
	handshake(&t);
	tcp_close(t.conn, false, NS_NEVER);
	talk_run(&t);
	talk_nothing(&t);
	assert_true(t.counters.n[COUNT_chunk_limit] > 0);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);

	t.peer_port--; /* the first one's peer acknowledges */
	first_iss ^= t.iss;
	t.iss ^= first_iss;
	talk_inject(&t, ". 1:1(0) ack 101");
	assert_int_equal(tcp_acked(first), 100);
	t.peer_port++;
	t.iss ^= first_iss;
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	assert_true(t.closed);
	assert_int_equal(tcp_conn_count(t.tcp), 1);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_record_for_a_syn),     cmocka_unit_test(no_record_for_an_open),
	    cmocka_unit_test(no_state_at_accept),      cmocka_unit_test(no_state_at_connect),
	    cmocka_unit_test(no_record_for_time_wait), cmocka_unit_test(no_chunk_for_a_fin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
