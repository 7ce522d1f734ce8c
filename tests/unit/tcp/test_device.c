/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners and connections that are confined to one interface (SO_BINDTODEVICE): segments that come
 * by another one are not theirs.  The net here has one interface, 0, whose device is 1. */
#include <errno.h>
#include <stddef.h>

#include "talk.h"

static void begin(struct talk *t)
{
	talk_init(t, NS_PER_S);
	t->device = 1;
	talk_begin(t);
}

static void listener(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_listen(&t, 4);
	t.iss_known = true;
	t.interface = 1;
	talk_inject(&t, "S 0:0(0)");
	talk_expect(&t, "R. 0:0(0) ack 1");
	t.interface = NET_LOOP;
	talk_inject(&t, "S 0:0(0)");
	talk_expect(&t, "R. 0:0(0) ack 1");
	t.iss_known = false;
	t.interface = 0;
	talk_inject(&t, "S 0:0(0) win 65535 <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	talk_inject(&t, ". 1:1(0) ack 1 win 65535");
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

/* Whoever is on the right interface is heard, and nobody else. */
static void connection(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_open_passive(&t, "");
	t.interface = 1;
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, "R 1:1(0)");
	talk_inject(&t, "R 1:1(0)");
	talk_nothing(&t);
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	t.interface = 0;
	talk_inject(&t, "P. 1:11(10) ack 1");
	talk_expect(&t, ". 1:1(0) ack 11");
	talk_read(&t, 10);
	talk_end(&t);
}

static void active(void **state)
{
	struct endpoint local, remote;
	struct tcp_conn *none;
	struct talk t;

	(void)state;
	begin(&t);
	local = (struct endpoint){.port = 4000};
	remote = (struct endpoint){t.peer, t.peer_port};
	assert_int_equal(tcp_connect_by(t.tcp, 2, &local, &remote, NULL, NULL, t.now, &none), -ENETUNREACH);
	talk_connect(&t);
	talk_expect(&t, "S 0:0(0)");
	t.interface = 1;
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, "R 1:1(0)");
	t.interface = 0;
	talk_inject(&t, "S. 0:0(0) ack 1 <mss 1460>");
	talk_expect(&t, ". 1:1(0) ack 1");
	assert_int_equal(talk_state(&t), TCP_ESTABLISHED);
	talk_end(&t);
}

static void time_wait(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	talk_open_active(&t, "");
	tcp_close(t.conn, false, NS_NEVER);
	talk_run(&t);
	talk_expect(&t, "F. 1:1(0) ack 1");
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	t.interface = 1;
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, "R 2:2(0)");
	t.interface = 0;
	talk_inject(&t, "F. 1:1(0) ack 2");
	talk_expect(&t, ". 2:2(0) ack 2");
	talk_end(&t);
}

/* An address goes before an interface, an interface before everything. */
static void who_fits_best(void **state)
{
	struct {
		bool address;
		uint8_t device;
		struct tcp_listener *l;
	} row[] = {{false, 0, NULL}, {false, 1, NULL}, {true, 0, NULL}, {true, 1, NULL}};
	struct talk t;

	(void)state;
	talk_init(&t, NS_PER_S);
	talk_begin(&t);
	for (int i = 0; i < 4; i++) {
		struct tcp_listen_config config = {
		    .local = {.port = t.own_port}, .backlog = 4, .device = row[i].device};
		struct tcp_listener_info info;

		if (row[i].address)
			config.local.addr = t.own;
		assert_int_equal(tcp_listen(t.tcp, &config, &row[i].l), 0);
		t.peer_port++;
		t.iss_known = false;
		talk_inject(&t, "S 0:0(0) win 65535 <mss 1460>");
		talk_expect(&t, "S. 0:0(0) ack 1");
		tcp_listener_info(row[i].l, &info);
		assert_int_equal(info.handshakes, 1);
	}
	t.interface = 1; /* the last one that isn't confined */
	t.peer_port++;
	t.iss_known = false;
	talk_inject(&t, "S 0:0(0) win 65535 <mss 1460>");
	talk_expect(&t, "S. 0:0(0) ack 1");
	for (int i = 0; i < 4; i++) {
		struct tcp_listener_info info;

		tcp_listener_info(row[i].l, &info);
		assert_int_equal(info.handshakes, i == 2 ? 2 : 1);
	}
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(listener),	 cmocka_unit_test(connection),
	    cmocka_unit_test(active),	 cmocka_unit_test(time_wait),
	    cmocka_unit_test(who_fits_best),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
