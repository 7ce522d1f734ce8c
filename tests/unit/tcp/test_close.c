/* SPDX-License-Identifier: BSD-2-Clause */
/* test_close.c - the ends of a connection: RFC 9293 3.6, TIME-WAIT, RST in each state. */
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

static void close_app(struct talk *t)
{
	tcp_close(t->conn, false, NS_NEVER);
	talk_run(t);
}

/* ESTABLISHED with the FIN sent: FIN-WAIT-1 */
static void to_fin_wait_1(struct talk *t)
{
	begin(t);
	tcp_shutdown_write(t->conn);
	talk_run(t);
	talk_expect(t, "F. 1:1(0) ack 1");
	assert_int_equal(talk_state(t), TCP_FIN_WAIT_1);
}

static void we_close_first(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_send(&t, 10);
	close_app(&t);
	talk_expect(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, "F. 11:11(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 12");
	assert_int_equal(talk_state(&t), TCP_FIN_WAIT_2);
	talk_inject(&t, "F. 1:1(0) ack 12");
	talk_expect(&t, ". 12:12(0) ack 2");
	assert_true(talk_events(&t) & TCP_EV_CLOSED);
	assert_int_equal(t.counters.n[COUNT_conn_time_wait], 1);
	/* the FIN again restarts 2 MSL and is answered */
	talk_after(&t, 40 * NS_PER_S);
	talk_inject(&t, "F. 1:1(0) ack 12");
	talk_expect(&t, ". 12:12(0) ack 2");
	talk_inject(&t, "R 2:2(0)"); /* RFC 1337 */
	talk_after(&t, 40 * NS_PER_S);
	talk_inject(&t, "F. 1:1(0) ack 12");
	talk_expect(&t, ". 12:12(0) ack 2");
	talk_after(&t, 61 * NS_PER_S);
	talk_inject(&t, "F. 1:1(0) ack 12");
	talk_expect(&t, "R 12:12(0)");
	talk_end(&t);
}

static void they_close_first(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "FP. 1:11(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 12");
	assert_int_equal(talk_events(&t), TCP_EV_READABLE | TCP_EV_EOF);
	assert_int_equal(talk_state(&t), TCP_CLOSE_WAIT);
	talk_read(&t, 10);
	talk_send(&t, 5); /* half-closed: we may go on */
	talk_expect(&t, "P. 1:6(5) ack 12");
	talk_inject(&t, ". 12:12(0) ack 6");
	close_app(&t);
	talk_expect(&t, "F. 6:6(0) ack 12");
	assert_int_equal(talk_state(&t), TCP_LAST_ACK);
	talk_inject(&t, ". 12:12(0) ack 7");
	assert_true(talk_events(&t) & TCP_EV_CLOSED);
	assert_int_equal(t.counters.n[COUNT_conn_time_wait], 0);
	talk_nothing(&t);
	talk_end(&t);
}

static void simultaneous(void **state)
{
	struct talk t;

	(void)state;
	to_fin_wait_1(&t);
	talk_inject(&t, "F. 1:1(0) ack 1");
	talk_expect(&t, ". 2:2(0) ack 2");
	assert_int_equal(talk_state(&t), TCP_CLOSING);
	talk_inject(&t, ". 2:2(0) ack 2");
	assert_true(t.closed);
	assert_int_equal(t.counters.n[COUNT_conn_time_wait], 1);
	talk_end(&t);
}

/* FIN and the ACK of ours in one segment */
static void fin_with_ack(void **state)
{
	struct talk t;

	(void)state;
	to_fin_wait_1(&t);
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	assert_true(t.closed);
	talk_end(&t);
}

/* after shutdown the peer may still send */
static void half_close(void **state)
{
	struct talk t;

	(void)state;
	to_fin_wait_1(&t);
	talk_inject(&t, ". 1:1(0) ack 2");
	assert_int_equal(talk_state(&t), TCP_FIN_WAIT_2);
	talk_inject(&t, "P. 1:1001(1000) ack 2");
	talk_expect(&t, ". 2:2(0) ack 1001");
	talk_read(&t, 1000);
	talk_after(&t, 300 * NS_PER_S); /* no limit while somebody reads */
	assert_int_equal(talk_state(&t), TCP_FIN_WAIT_2);
	talk_end(&t);
}

static void fin_again(void **state)
{
	struct talk t;

	(void)state;
	to_fin_wait_1(&t);
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_after(&t, 2100 * NS_PER_MS);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 2");
	talk_after(&t, 10 * NS_PER_S);
	talk_nothing(&t);
	talk_end(&t);
}

static void fin_rides_on_data(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	for (int i = 0; i < 100; i++)
		t.tx[i] = talk_byte((uint64_t)i);
	tcp_queued(t.conn, 100);
	tcp_shutdown_write(t.conn);
	talk_run(&t);
	talk_expect(&t, "FP. 1:101(100) ack 1");
	talk_inject(&t, ". 1:1(0) ack 101"); /* the data without the FIN */
	talk_after(&t, 1100 * NS_PER_MS);
	talk_expect(&t, "F. 101:101(0) ack 1");
	talk_end(&t);
}

static void fin_wait_2_of_orphan(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	close_app(&t);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 2");
	talk_after(&t, 59 * NS_PER_S);
	assert_int_equal(talk_state(&t), TCP_FIN_WAIT_2);
	talk_after(&t, 2 * NS_PER_S);
	assert_true(t.closed);
	talk_nothing(&t);
	talk_end(&t);
}

/* SHLD-3 */
static void data_after_close(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	close_app(&t);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_inject(&t, "P. 1:11(10) ack 2");
	talk_expect(&t, "R. 2:2(0)");
	assert_true(t.closed);
	assert_int_equal(t.counters.n[COUNT_seg_after_close], 1);
	talk_end(&t);

	begin(&t);
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 11");
	tcp_close(t.conn, true, NS_NEVER); /* unread data */
	talk_expect(&t, "R. 1:1(0) ack 11");
	talk_end(&t);
}

static void linger(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	tcp_close(t.conn, false, 0);
	talk_expect(&t, "R. 1:1(0) ack 1");
	talk_run(&t);
	assert_true(t.closed);
	talk_end(&t);

	begin(&t);
	talk_send(&t, 10);
	talk_expect(&t, "P. 1:11(10) ack 1");
	tcp_close(t.conn, false, 500 * NS_PER_MS);
	talk_run(&t);
	talk_expect(&t, "F. 11:11(0) ack 1");
	talk_after(&t, 600 * NS_PER_MS);
	talk_expect(&t, "R. 12:12(0)");
	assert_true(t.closed);
	talk_end(&t);
}

static void abort_(void **state)
{
	struct talk t;
	uint32_t events;

	(void)state;
	begin(&t);
	tcp_abort(t.conn);
	talk_expect(&t, "R. 1:1(0) ack 1");
	assert_ptr_equal(tcp_next_event(t.tcp, &events), t.conn);
	assert_int_equal(events, TCP_EV_CLOSED);
	assert_int_equal(tcp_conn_error(t.conn), ECONNABORTED);
	talk_end(&t);

	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	tcp_close(t.conn, false, NS_NEVER); /* SYN-SENT: without a word */
	talk_run(&t);
	assert_true(t.closed);
	talk_nothing(&t);
	talk_end(&t);
}

static int error_of_rst(struct talk *t)
{
	uint32_t events;
	struct tcp_conn *c;
	int error = -1;

	while ((c = tcp_next_event(t->tcp, &events)))
		if (events & TCP_EV_CLOSED)
			error = tcp_conn_error(c);
	t->closed = true;
	return error;
}

static void inject_quietly(struct talk *t, const char *s)
{
	t->closed = true; /* leave the events */
	talk_inject(t, s);
	t->closed = false;
}

/* MUST-12; RFC 9293 3.10.7.4 "second" */
static void rst_in_each_state(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	inject_quietly(&t, "R 1:1(0)");
	assert_int_equal(error_of_rst(&t), ECONNRESET);
	talk_nothing(&t);
	talk_end(&t);

	to_fin_wait_1(&t);
	inject_quietly(&t, "R 1:1(0)");
	assert_int_equal(error_of_rst(&t), ECONNRESET);
	talk_end(&t);

	begin(&t);
	talk_inject(&t, "F. 1:1(0) ack 1");
	talk_expect(&t, ". 1:1(0) ack 2");
	inject_quietly(&t, "R 2:2(0)");
	assert_int_equal(error_of_rst(&t), EPIPE);
	talk_end(&t);

	to_fin_wait_1(&t);
	talk_inject(&t, "F. 1:1(0) ack 1");
	talk_expect(&t, ". 2:2(0) ack 2");
	inject_quietly(&t, "R 2:2(0)");
	assert_int_equal(error_of_rst(&t), 0);
	talk_end(&t);
}

static void time_wait_reuse(void **state)
{
	struct talk t;

	(void)state;
	to_fin_wait_1(&t);
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	talk_inject(&t, "S 0:0(0) <mss 1460>"); /* an old one */
	talk_expect(&t, ". 2:2(0) ack 2");
	talk_inject(&t, "SF 100:100(0)"); /* no way to begin, so it ends nothing */
	talk_expect(&t, ". 2:2(0) ack 2");
	t.conn = NULL;
	t.closed = false;
	talk_inject(&t, "S 100:100(0) <mss 1460>"); /* MAY-2: a newer one */
	assert_int_equal(t.counters.n[COUNT_conn_time_wait_reused], 1);
	t.iss_known = false;
	t.peer_iss += 100;
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_end(&t);
}

/* A connection with timestamps, the peer's last being 200, ends; then comes `syn`.  True: it may
 * begin another. */
static bool reuse_by(const char *syn)
{
	struct talk t;
	bool reused;
	char s[96];

	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	talk_open_passive(&t, "ts 100 0");
	talk_inject(&t, ". 1:1(0) ack 1 <ts 150 0>");
	close_app(&t);
	talk_expect(&t, "F. 1:1(0) ack 1 <ts>");
	talk_inject(&t, "F. 1:1(0) ack 2 <ts 200 0>");
	talk_expect(&t, ". 2:2(0) ack 2 <ts>");
	assert_int_equal(t.counters.n[COUNT_conn_time_wait], 1);
	t.conn = NULL;
	t.closed = false;
	talk_inject(&t, syn);
	reused = t.counters.n[COUNT_conn_time_wait_reused] == 1;
	if (reused) {
		t.iss_known = false;
		t.peer_iss += (uint32_t)strtoul(syn + 2, NULL, 10);
		talk_expect(&t, "S. 0:0(0) ack 1");
	} else {
		snprintf(s, sizeof(s), ". 2:2(0) ack 2 <ts %u 200>", (unsigned)t.last_ts);
		talk_expect(&t, s);
	}
	talk_nothing(&t);
	talk_end(&t);
	return reused;
}

/* RFC 6191 section 2, where the incarnation before used timestamps */
static void time_wait_by_timestamp(void **state)
{
	(void)state;
	assert_true(reuse_by("S 100:100(0) <mss 1460,ts 201 0>"));
	assert_true(reuse_by("S 0:0(0) <mss 1460,ts 201 0>")); /* whatever its number */
	assert_true(reuse_by("S 100:100(0) <mss 1460,ts 200 0>"));
	assert_false(reuse_by("S 0:0(0) <mss 1460,ts 200 0>"));
	assert_false(reuse_by("S 100:100(0) <mss 1460,ts 199 0>")); /* whatever its number */
	assert_false(reuse_by("S 0:0(0) <mss 1460,ts 199 0>"));
	assert_true(reuse_by("S 100:100(0) <mss 1460>"));
	assert_false(reuse_by("S 0:0(0) <mss 1460>"));
}

static int open_again(struct talk *t)
{
	struct endpoint local = {.port = t->own_port}, remote = {t->peer, t->peer_port};

	return tcp_connect(t->tcp, &local, &remote, NULL, NULL, t->now, &t->conn);
}

/* We begin anew ourselves: only with timestamps, which have gone on by then. */
static void time_wait_reopened(void **state)
{
	struct talk t;

	(void)state;
	for (int stamped = 0; stamped < 2; stamped++) {
		talk_init(&t, NS_PER_S);
		talk_begin(&t);
		talk_open_passive(&t, stamped ? "ts 100 0" : "");
		close_app(&t);
		talk_expect(&t, "F. 1:1(0) ack 1");
		talk_inject(&t, stamped ? "F. 1:1(0) ack 2 <ts 200 0>" : "F. 1:1(0) ack 2");
		talk_expect(&t, ". 2:2(0) ack 2");
		assert_true(t.closed);
		assert_int_equal(open_again(&t), -EADDRINUSE);
		talk_after(&t, NS_PER_S);
		assert_int_equal(open_again(&t), stamped ? 0 : -EADDRINUSE);
		talk_end(&t);
	}
}

static void several_fins(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_inject(&t, "F. 11:11(0) ack 1"); /* ahead of a gap */
	talk_expect(&t, ". 1:1(0) ack 1");
	talk_inject(&t, "P. 11:21(10) ack 1"); /* past that FIN */
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_true(t.counters.n[COUNT_seg_after_fin] > 0);
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 12");
	assert_int_equal(talk_state(&t), TCP_CLOSE_WAIT);
	talk_inject(&t, "F. 11:11(0) ack 1");
	talk_expect(&t, ". 1:1(0) ack 12");
	talk_inject(&t, "P. 12:22(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 12");
	assert_int_equal(tcp_received(t.conn), 10);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(we_close_first),
	    cmocka_unit_test(they_close_first),
	    cmocka_unit_test(simultaneous),
	    cmocka_unit_test(fin_with_ack),
	    cmocka_unit_test(half_close),
	    cmocka_unit_test(fin_again),
	    cmocka_unit_test(fin_rides_on_data),
	    cmocka_unit_test(fin_wait_2_of_orphan),
	    cmocka_unit_test(data_after_close),
	    cmocka_unit_test(linger),
	    cmocka_unit_test(abort_),
	    cmocka_unit_test(rst_in_each_state),
	    cmocka_unit_test(time_wait_reuse),
	    cmocka_unit_test(time_wait_by_timestamp),
	    cmocka_unit_test(time_wait_reopened),
	    cmocka_unit_test(several_fins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
