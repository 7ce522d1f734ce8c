/* SPDX-License-Identifier: BSD-2-Clause */
/* Two shards: submissions that go to the other one, listeners on both, connections that move. */
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
	stand_init(&stand, 2, 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stand_done(&stand);
	return 0;
}

static void what_comes_to_the_wrong_shard_is_passed_on(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t wrong = 1 - stand_shm(&p.from)->shard;

	(void)state;
	stand_post_to(&p.from, wrong, STACKD_OP_SUB, STACKD_IN, 0, 5);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 5);
	stand_post_to(&p.from, wrong, STACKD_OP_SHUTDOWN, 0, SHUT_WR, 0);
	stand_run(&stand);
	assert_true(stand_shm(&p.to)->flags & STACKD_RX_EOF);
	stand_post_to(&p.from, wrong, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_inside(&p.from)->holders, 0);
}

static void expect_news(struct stand_client *c, const struct stand_pair *p, bool expected)
{
	stand_send(&p->to, 100);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), expected ? 5 : -1);
}

/* A socket that moved has two ways to its shard: what is older may come behind. */
static void an_older_subscription_that_comes_behind_is_ignored(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t right = stand_shm(&p.from)->shard;
	struct stackd_sub *shared = stackd_shm_sub(c->region->mem, &c->region->head, 5);
	const uint64_t turn = 1ull << 32;

	(void)state;
	shared->turn = 2;
	stand_post_to(&p.from, right, STACKD_OP_SUB, STACKD_IN, 0, 2 * turn | 5);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 5);
	stand_post_to(&p.from, 1 - right, STACKD_OP_SUB, 0, 0, 1 * turn | 5);
	stand_post_to(&p.from, 1 - right, STACKD_OP_UNSUB, 0, 0, 1 * turn | 5);
	stand_run(&stand);
	while (stand_pop(c, 0) >= 0)
		;
	expect_news(c, &p, true);
	shared->turn = 3;
	stand_post_to(&p.from, right, STACKD_OP_UNSUB, 0, 0, 3 * turn | 5);
	stand_run(&stand);
	stand_post_to(&p.from, 1 - right, STACKD_OP_SUB, STACKD_IN, 0, 2 * turn | 5);
	expect_news(c, &p, false);
	/* the number belongs to another socket now */
	shared->turn = 4;
	stand_post(&p.to, STACKD_OP_SUB, STACKD_IN, 0, 4 * turn | 5);
	stand_post_to(&p.from, right, STACKD_OP_UNSUB, 0, 0, 4 * turn | 5);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 5);
	stand_send(&p.from, 100);
	stand_run(&stand);
	assert_int_equal(stand_pop(c, 0), 5);
}

static void a_listener_takes_from_both_shards_and_tells_of_both(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_sock listener = stand_socket(c), k[12], to;
	uint32_t on[2] = {0, 0}, told = 0;

	(void)state;
	stand_post(&listener, STACKD_OP_SUB, STACKD_IN, 0, 1);
	stand_run(&stand);
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 50), 0);
	stand_post(&listener, STACKD_OP_SUB, STACKD_IN, 1, 2);
	stand_run(&stand);
	while (stand_pop(c, 0) >= 0 || stand_pop(c, 1) >= 0)
		;
	for (int i = 0; i < 12; i++) {
		k[i] = stand_socket(c);
		stand_connect(&stand, &k[i], PORT);
		stand_run(&stand);
		told += stand_pop(c, 0) == 1 && stand_pop(c, 1) == 2;
	}
	assert_int_equal(told, 12);
	while (stand_accept(&stand, &listener, c, &to))
		on[stand_shm(&to)->shard]++;
	assert_int_equal(on[0] + on[1], 12);
	assert_true(on[0] && on[1]);
	stand_run(&stand);
	stand_post(&listener, STACKD_OP_UNSUB, 0, 0, 1);
	stand_post(&listener, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&listener), STACKD_SOCK_FREE);
}

static void a_connection_moves_to_where_it_is_answered(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_sock listener = stand_socket(c), k = stand_socket(c), to;
	uint32_t before;

	(void)state;
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 5), 0);
	stand_post(&k, STACKD_OP_SETOPT, STACKD_OPT_LINGER, 0, 0);
	stand_post(&k, STACKD_OP_SUB, STACKD_OUT, 1, 9);
	stand_run(&stand);
	before = stand_shm(&k)->shard;
	while (stand_pop(c, 1) >= 0)
		;
	stand.answers_elsewhere = true;
	stand_connect(&stand, &k, PORT);
	stand_turn(&stand); /* the SYN leaves */
	stand_run(&stand);
	stand.answers_elsewhere = false;
	assert_int_equal(stand.adopted, 1);
	assert_int_equal(stand_count(&stand, COUNT_shard_adopted), 1);
	assert_int_equal(stand_state(&k), STACKD_SOCK_CONNECTED);
	assert_int_equal(stand_shm(&k)->shard, 1 - before);
	assert_int_equal(sock_owner(k.region, k.slot), 1 - before);
	assert_int_equal(stand_pop(c, 1), 9);
	assert_true(stand_accept(&stand, &listener, c, &to));
	stand_send(&k, 3000);
	stand_run(&stand);
	assert_int_equal(stand_read(&to, UINT32_MAX), 3000);
	/* posted to where it was before */
	stand_post_to(&k, before, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_shm(&to)->error, ECONNRESET); /* its options came along */
	assert_int_equal(stand_state(&k), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&k)->shard, k.slot % 2);
}

/* Between depart and adopt, as a message between the threads would leave it. */
static void a_socket_on_its_way_can_be_let_go_of(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_sock k = stand_socket(c);
	struct sock *inside = stand_inside(&k);
	uint32_t from = k.slot % 2, to = 1 - from;
	void *record = aligned_alloc(64, (tcp_export_size() + 63) / 64 * 64);
	struct sock_options options;
	struct tcp_conn *conn;

	(void)state;
	stand_connect(&stand, &k, PORT);
	for (int i = 0; i < 3 && !inside->conn; i++) {
		sock_poll(stand.shard[0].table, stand.now);
		sock_poll(stand.shard[1].table, stand.now);
		for (struct sock_letter l; sock_next_letter(stand.shard[to].table, &l);)
			sock_submit(stand.shard[l.shard].table, l.client, &l.sqe, false, stand.now);
	}
	assert_non_null(inside->conn);
	assert_true(tcp_export(stand.shard[from].tcp, inside->conn, record));
	sock_depart(stand.shard[from].table, inside, to, &options);
	assert_int_equal(inside->kind, SOCK_MOVING);
	sock_remove_client(stand.shard[0].table, &c->sock);
	sock_remove_client(stand.shard[1].table, &c->sock);
	assert_int_equal(inside->holders, 0);
	conn = tcp_import(stand.shard[to].tcp, record, stand.now);
	sock_adopt(stand.shard[to].table, inside, conn, &options);
	free(record);
	stand_run(&stand);
	assert_int_equal(inside->kind, SOCK_FREE);
	assert_int_equal(stand_sockets(&stand), 0);
}

static void without_memory_a_move_ends_the_connection(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_sock k = stand_socket(c);
	uint32_t from = k.slot % 2;
	struct sock_options options;

	(void)state;
	stand_post(&k, STACKD_OP_SETOPT, STACKD_OPT_NODELAY, 1, 0);
	stand_run(&stand);
	sock_depart(stand.shard[from].table, stand_inside(&k), 1 - from, &options);
	sock_adopt(stand.shard[1 - from].table, stand_inside(&k), NULL, &options);
	assert_int_equal(stand_state(&k), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&k)->error, ENOBUFS);
	stand_post(&k, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&k), STACKD_SOCK_FREE);
}

static void who_goes_loses_what_moved_behind_the_first_round(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_sock k = stand_socket(c);
	struct sock_options options;

	(void)state;
	k.slot = k.slot % 2 == 1 ? k.slot : stand_socket(c).slot; /* of shard 1 */
	k.gen = stand_shm(&k)->gen;
	stand_post(&k, STACKD_OP_SETOPT, STACKD_OPT_NODELAY, 1, 0);
	stand_run(&stand);
	c->sock.expelled = true;
	sock_remove_client(stand.shard[0].table, &c->sock);
	sock_depart(stand.shard[1].table, stand_inside(&k), 0, &options);
	sock_adopt(stand.shard[0].table, stand_inside(&k), NULL, &options);
	sock_remove_client(stand.shard[1].table, &c->sock);
	assert_int_equal(stand_inside(&k)->holders, 1);
	sock_remove_client(stand.shard[0].table, &c->sock);
	assert_int_equal(stand_sockets(&stand), 0);
	assert_int_equal(stand_count(&stand, COUNT_client_gone), 1);
}

static void many_letters_find_room(void **state)
{
	struct stand_client *c = stand_attach(&stand, 1024);
	struct stand_sock k[300];

	(void)state;
	for (int i = 0; i < 300; i++) {
		k[i] = stand_socket(c);
		stand_post_to(&k[i], 0, STACKD_OP_SETOPT, STACKD_OPT_NODELAY, 1, 0);
	}
	stand_run(&stand);
	assert_int_equal(stand_sockets(&stand), 300);
	stand_detach(&stand, c);
	stand_run(&stand);
	assert_int_equal(stand_count(&stand, COUNT_client_letters_lost), 0);
}

/* Its claim still stands in the other shard's queue when the listener is closed. */
static void what_was_accepted_outlives_its_listener(void **state)
{
	struct stand_client *c = stand_attach(&stand, 64);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t owner = stand_shm(&p.listener)->shard;
	struct stand_sock to;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct stand_sock from = stand_socket(c);

		stand_connect(&stand, &from, PORT);
		stand_run(&stand);
		assert_true(stand_accept(&stand, &p.listener, c, &to));
		if (stand_shm(&to)->shard != owner)
			break;
		stand_run(&stand);
	}
	assert_int_not_equal(stand_shm(&to)->shard, owner);
	stand_post(&p.listener, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_inside(&to)->holders, 1);
	assert_int_equal(stand_state(&to), STACKD_SOCK_CONNECTED);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_comes_to_the_wrong_shard_is_passed_on),
		test(an_older_subscription_that_comes_behind_is_ignored),
		test(a_listener_takes_from_both_shards_and_tells_of_both),
		test(a_connection_moves_to_where_it_is_answered),
		test(a_socket_on_its_way_can_be_let_go_of),
		test(without_memory_a_move_ends_the_connection),
		test(who_goes_loses_what_moved_behind_the_first_round),
		test(many_letters_find_room),
		test(what_was_accepted_outlives_its_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
