/* SPDX-License-Identifier: BSD-2-Clause */
/* Subscriptions, event queues, wake-ups. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "stand.h"

#define PORT 80

static struct stand stand;

static int setup(void **state)
{
	(void)state;
	stand_init(&stand, 1, 32);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stand_done(&stand);
	return 0;
}

static void subscribe(const struct stand_sock *k, uint32_t sub, uint32_t evq, uint16_t mask)
{
	stand_post(k, STACKD_OP_SUB, mask, evq, sub);
}

static void a_subscription_is_told_at_once_and_then_once_a_burst(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	subscribe(&p.to, 7, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), 7);
	assert_int_equal(stand_pop(c, 1), -1);
	for (int i = 0; i < 5; i++) {
		stand_send(&p.from, 100);
		stand_run(&stand);
	}
	assert_int_equal(stand_pop(c, 1), 7); /* it stands there once until it is popped */
	assert_int_equal(stand_pop(c, 1), -1);
	stand_send(&p.from, 100);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), 7);
	assert_int_equal(stand_pop(c, 0), -1);
}

static void shutting_the_reading_side_is_told_to_all_who_read(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	subscribe(&p.to, 1, 0, STACKD_IN);
	subscribe(&p.listener, 2, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_pop(c, 1), 2);
	stand_post(&p.to, STACKD_OP_SHUTDOWN, 0, SHUT_WR, 0);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), -1);
	stand_post(&p.to, STACKD_OP_SHUTDOWN, 0, SHUT_RD, 0);
	stand_post(&p.listener, STACKD_OP_SHUTDOWN, 0, SHUT_RD, 0);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_pop(c, 1), 2);
	assert_false(c->expelled);
}

static void only_who_is_interested_is_told_but_all_of_the_end(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	subscribe(&p.to, 1, 0, STACKD_OUT);
	subscribe(&p.to, 2, 1, 0);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_pop(c, 1), 2);
	stand_send(&p.from, 100);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), -1);
	assert_int_equal(stand_pop(c, 1), -1);
	stand_post(&p.from, STACKD_OP_CLOSE, 0, 1, 0);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_pop(c, 1), 2);
}

static void a_subscription_again_changes_its_mask_queue_or_socket(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	subscribe(&p.to, 3, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	subscribe(&p.to, 3, 0, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	subscribe(&p.to, 3, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), 3);
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), -1);
	assert_int_equal(stand_pop(c, 1), 3);
	subscribe(&p.from, 3, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), 3);
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), -1);
}

static void unsubscribed_is_quiet(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	subscribe(&p.to, 3, 0, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	stand_post(&p.to, STACKD_OP_UNSUB, 0, 0, 3);
	stand_post(&p.to, STACKD_OP_UNSUB, 0, 0, 3);
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), -1);
	assert_false(c->expelled);
}

/* RFC 1122 4.2.3.9: kept until somebody asks, or the path works again; told at once with IP_RECVERR. */
static void soft_errors(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stackd_sock *shm = stand_shm(&p.from);

	(void)state;
	subscribe(&p.from, 3, 0, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	stand.shard[0].net.refuse = -EHOSTUNREACH;
	stand_send(&p.from, 10);
	stand_run(&stand);
	assert_int_equal(shm->soft_error, EHOSTUNREACH);
	assert_int_equal(shm->error, 0);
	assert_int_equal(stand_pop(c, 0), -1);
	stand.shard[0].net.refuse = 0;
	stand_after(&stand, 3 * NS_PER_S);
	assert_int_equal(stand_read(&p.to, UINT32_MAX), 10);
	assert_int_equal(shm->soft_error, 0);
	stand_post(&p.from, STACKD_OP_SETOPT, STACKD_OPT_RECVERR, 1, 0);
	stand.shard[0].net.refuse = -EHOSTUNREACH;
	stand_send(&p.from, 10);
	stand_run(&stand);
	assert_int_equal(shm->error, EHOSTUNREACH);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_CONNECTED);
	assert_int_equal(stand_pop(c, 0), 3);
	stand.shard[0].net.refuse = 0;
	stand_after(&stand, 3 * NS_PER_S);
	assert_int_equal(stand_read(&p.to, UINT32_MAX), 10); /* it goes on */
}

static void a_writer_without_room_hears_when_a_third_is_free(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t full = 0;

	(void)state;
	subscribe(&p.from, 3, 0, STACKD_OUT);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 3);
	for (int i = 0; i < 10; i++) {
		full += stand_send(&p.from, UINT32_MAX);
		stand_run(&stand);
	}
	assert_true(full > 2 * c->region->head.tx_bytes - 4096); /* one ring here, one there */
	stand_shm(&p.from)->tx_nospace = 1;
	while (stand_pop(c, 0) >= 0)
		;
	stand_read(&p.to, 1000);
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.from)->tx_nospace, 1);
	assert_int_equal(stand_pop(c, 0), -1);
	while (stand_read(&p.to, UINT32_MAX))
		stand_run(&stand);
	assert_int_equal(stand_shm(&p.from)->tx_nospace, 0);
	assert_int_equal(stand_pop(c, 0), 3);
}

/* TCP_NOTSENT_LOWAT: told as soon as less than half of the mark is unsent, acknowledged or not. */
static void a_writer_at_its_mark_hears_of_what_was_sent(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stackd_sock *shm = stand_shm(&p.from);
	uint64_t unsent;

	(void)state;
	subscribe(&p.from, 3, 0, STACKD_OUT);
	stand_post(&p.from, STACKD_OP_SETOPT, STACKD_OPT_NOTSENT_LOWAT, 4000, 0);
	for (int i = 0; i < 10; i++) {
		stand_send(&p.from, 1000);
		stand_run(&stand);
	}
	assert_int_equal(shm->tx_sent, 10000);
	for (int i = 0; i < 10; i++) { /* more than the window takes */
		stand_send(&p.from, UINT32_MAX);
		stand_run(&stand);
	}
	unsent = shm->tx_tail - shm->tx_sent;
	assert_true(unsent > 4000);
	shm->tx_nospace = 1;
	while (stand_pop(c, 0) >= 0)
		;
	while (shm->tx_tail - shm->tx_sent >= 2000) {
		assert_int_equal(shm->tx_nospace, 1);
		assert_int_equal(stand_pop(c, 0), -1);
		assert_true(stand_read(&p.to, 1000) > 0);
		stand_run(&stand);
	}
	while (shm->tx_nospace && stand_read(&p.to, 1000)) /* and a third must be free */
		stand_run(&stand);
	assert_int_equal(shm->tx_nospace, 0);
	assert_int_equal(stand_pop(c, 0), 3);
	shm->tx_nospace = 1;
	stand_post(&p.from, STACKD_OP_SETOPT, STACKD_OPT_NOTSENT_LOWAT, 0, 0);
	stand_run(&stand);
	assert_int_equal(shm->tx_nospace, 0);
	assert_int_equal(stand_pop(c, 0), 3);
}

/* F_SETOWN: urgent data is told whether or not the client sleeps or has looked, and nothing else. */
static void urgent_data_is_a_signal_each_time(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t before;

	(void)state;
	subscribe(&p.to, 3, 1, STACKD_URGENT_IN | STACKD_SIGNAL);
	subscribe(&p.to, 4, 2, STACKD_IN | STACKD_SIGNAL);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), -1);
	before = stand.wakeups;
	for (uint32_t i = 1; i <= 5; i++) {
		stand_send(&p.from, 10);
		stand_run(&stand);
		assert_int_equal(stand.wakeups, before + 1); /* of queue 2 */
		stand_post(&p.from, STACKD_OP_URGENT, 0, (int64_t)(20 * i), 0);
		stand_send(&p.from, 10);
		stand_run(&stand);
		assert_int_equal(stand.wakeups, before + 3);
		before = stand.wakeups;
	}
	assert_int_equal(stand_pop(c, 1), -1);
	assert_int_equal(stand_pop(c, 2), -1);
	stand_post(&p.from, STACKD_OP_CLOSE, 0, 1, 0);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, before + 1);
}

static void a_listener_tells_who_subscribed_before_and_after(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock listener = stand_socket(c), k;

	(void)state;
	subscribe(&listener, 1, 0, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 5), 0);
	subscribe(&listener, 2, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 1), 2);
	k = stand_socket(c);
	stand_connect(&stand, &k, PORT);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 1);
	assert_int_equal(stand_pop(c, 1), 2);
	stand_post(&listener, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
}

static void a_sleeper_is_woken_once(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stackd_evq *q = stackd_shm_evq(c->region->mem, &c->region->head, 1);

	(void)state;
	subscribe(&p.to, 3, 1, STACKD_IN);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, 0);
	assert_int_equal(stand_pop(c, 1), 3);
	q->sleeping = 1;
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, 1);
	assert_int_equal(stand.last_wakeup, 101);
	assert_int_equal(q->sleeping, 0);
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, 1);
	/* marked already, but it sleeps again: it must not be forgotten */
	q->sleeping = 1;
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, 2);
	c->sock.evq_fd[1] = -1; /* not registered any more */
	q->sleeping = 1;
	stand_send(&p.from, 1);
	stand_run(&stand);
	assert_int_equal(stand.wakeups, 2);
}

static void lies_about_an_event_queue_expel(void **state)
{
	struct stand_client *server = stand_attach(&stand, 32), *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, server, c, PORT);

	(void)state;
	subscribe(&p.from, 3, 1, STACKD_IN);
	stackd_shm_evq_ring(c->region->mem, &c->region->head, 1, 0)->head = 1;
	stand_run(&stand);
	assert_true(c->expelled);
	assert_string_equal(c->why, "event queue index outside its ring");
	assert_false(server->expelled);
}

static void numbers_out_of_range_expel(void **state)
{
	static const struct {
		int64_t evq;
		uint64_t sub;
	} lies[] = {{-1, 0}, {256, 0}, {INT64_MIN, 0}, {0, 128}, {0, UINT64_MAX}, {0, 1ull << 32 | 128}};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct stand_client *c = stand_attach(&stand, 32);
		struct stand_sock k = stand_socket(c);

		stand_post(&k, STACKD_OP_SUB, STACKD_IN, lies[i].evq, lies[i].sub);
		stand_run(&stand);
		assert_true(c->expelled);
	}
}

static void a_queue_index_outside_its_ring_expels(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);

	(void)state;
	stackd_shm_sq(c->region->mem, &c->region->head, 0)->tail = c->region->head.sq_entries + 1;
	stand_run(&stand);
	assert_true(c->expelled);
}

/* A queue in the list of those with news whose client has gone before it was looked at. */
static void a_client_may_go_with_news_unlooked_at(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock k = stand_socket(c);
	bool trusted;

	(void)state;
	subscribe(&k, 3, 1, STACKD_IN);
	assert_true(sock_poll(stand.shard[0].table, stand.now));
	stand_detach(&stand, c);
	assert_int_equal(sock_next_wakeup(stand.shard[0].table, &trusted), -1);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_subscription_is_told_at_once_and_then_once_a_burst),
		test(shutting_the_reading_side_is_told_to_all_who_read),
		test(only_who_is_interested_is_told_but_all_of_the_end),
		test(a_subscription_again_changes_its_mask_queue_or_socket),
		test(unsubscribed_is_quiet),
		test(soft_errors),
		test(a_writer_without_room_hears_when_a_third_is_free),
		test(a_writer_at_its_mark_hears_of_what_was_sent),
		test(urgent_data_is_a_signal_each_time),
		test(a_listener_tells_who_subscribed_before_and_after),
		test(a_sleeper_is_woken_once),
		test(lies_about_an_event_queue_expel),
		test(numbers_out_of_range_expel),
		test(a_queue_index_outside_its_ring_expels),
		test(a_client_may_go_with_news_unlooked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
