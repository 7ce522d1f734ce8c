/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a slot: submissions in every state, claiming, closing, clones, clients that go. */
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

static void a_slot_is_free_again_with_a_new_generation(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock k = stand_socket(c);

	(void)state;
	stand_post(&k, STACKD_OP_SETOPT, STACKD_OPT_NODELAY, 1, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&k), STACKD_SOCK_OPEN);
	assert_int_equal(stand_sockets(&stand), 1);
	stand_post(&k, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&k), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&k)->gen, k.gen + 1);
	assert_int_equal(stand_sockets(&stand), 0);
	/* what comes late names nobody */
	stand_post(&k, STACKD_OP_SEND, 0, 0, 0);
	stand_post(&k, STACKD_OP_CONNECT, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_count(&stand, COUNT_client_bad_handle), 2);
	assert_int_equal(stand_sockets(&stand), 0);
	assert_false(c->expelled);
}

static void closing_what_was_never_used_also_gives_a_new_generation(void **state)
{
	struct stand_sock k = stand_socket(stand_attach(&stand, 32));

	(void)state;
	stand_post(&k, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_shm(&k)->gen, k.gen + 1);
	assert_int_equal(stand_sockets(&stand), 0);
}

static void bytes_go_both_ways_and_the_rings_turn_over(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	uint32_t sent = 0, got = 0, back = 0;

	(void)state;
	while (got < 100000) {
		sent += stand_send(&p.from, 100000 - sent < 7000 ? 100000 - sent : 7000);
		stand_send(&p.to, 300);
		stand_run(&stand);
		got += stand_read(&p.to, UINT32_MAX);
		back += stand_read(&p.from, UINT32_MAX);
		stand_run(&stand);
	}
	assert_int_equal(got, 100000);
	assert_true(back > 0);
	stand_post(&p.from, STACKD_OP_SHUTDOWN, 0, SHUT_WR, 0);
	stand_run(&stand);
	assert_true(stand_shm(&p.from)->flags & STACKD_TX_SHUT);
	assert_true(stand_shm(&p.to)->flags & STACKD_RX_EOF);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CONNECTED);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&p.from)->error, 0);
}

static void closing_with_unread_data_resets(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	stand_send(&p.from, 100);
	stand_run(&stand);
	stand_read(&p.to, 50);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&p.from)->error, ECONNRESET);
	assert_true(stand_shm(&p.from)->flags & STACKD_RESET);
}

/* The peer takes its time, but the slot is the client's again; TCP goes on alone and in order. */
static void a_slot_comes_back_before_the_connection_ends(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *d = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, d, c, PORT);

	(void)state;
	stand_send(&p.from, 1000);
	stand_post(&p.from, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&p.from)->gen, p.from.gen + 1);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CONNECTED);
	stand_detach(&stand, c);
	assert_int_equal(stand_read(&p.to, UINT32_MAX), 1000);
	assert_true(stand_shm(&p.to)->flags & STACKD_RX_EOF);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&p.to)->error, 0);
}

/* What is sent to one that was given back is answered with a RST, and touches nobody's ring. */
static void data_for_a_slot_that_came_back_resets(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	stand_post(&p.from, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_FREE);
	stand_send(&p.to, 500);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&p.to)->error, EPIPE); /* as Linux after a FIN */
}

static void what_was_read_just_before_the_close_counts_as_read(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	stand_send(&p.from, 100);
	stand_run(&stand);
	assert_int_equal(stand_read(&p.to, 100), 100);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_true(stand_shm(&p.from)->flags & STACKD_RX_EOF);
	assert_false(stand_shm(&p.from)->flags & STACKD_RESET);
}

static void closing_with_linger_0_or_at_once_resets(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT), q = stand_pair(&stand, c, c, PORT + 1);

	(void)state;
	stand_post(&p.to, STACKD_OP_SETOPT, STACKD_OPT_LINGER, 0, 0);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_post(&q.to, STACKD_OP_CLOSE, 0, 1, 0);
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.from)->error, ECONNRESET);
	assert_int_equal(stand_shm(&q.from)->error, ECONNRESET);
}

static void each_operation_in_each_state_harms_nobody(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *other = stand_attach(&stand, 32);
	struct stand_pair good = stand_pair(&stand, other, other, PORT + 9);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock fresh = stand_socket(c), ended = stand_socket(c);
	const struct stand_sock *all[] = {&p.listener, &p.from, &p.to, &fresh, &ended};

	(void)state;
	stand_connect(&stand, &ended, 9999); /* refused */
	stand_run(&stand);
	assert_int_equal(stand_state(&ended), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&ended)->error, ECONNREFUSED);
	for (uint8_t op = STACKD_OP_CONNECT; op <= STACKD_OP_URGENT; op++) {
		if (op == STACKD_OP_CLOSE)
			continue;
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			stand_post(all[i], op, STACKD_OPT_KEEPALIVE, 1, 3);
		stand_run(&stand);
		assert_false(c->expelled);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		stand_post(all[i], STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_false(c->expelled);
	stand_send(&good.from, 1000);
	stand_run(&stand);
	assert_int_equal(stand_read(&good.to, UINT32_MAX), 1000);
}

/* MSG_OOB: posted before the cursor moves, and read in one go with an entry that stood before it. */
static void urgent_bytes(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	stand_post(&p.from, STACKD_OP_URGENT, 0, 101, 0);
	stand_send(&p.from, 101);
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.to)->flags & STACKD_URGENT, STACKD_URGENT);
	assert_int_equal(stand_shm(&p.to)->urgent_off, 101);
	assert_int_equal(stand_read(&p.to, UINT32_MAX), 101);
	stand_send(&p.from, 100);
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.to)->urgent_off, 101); /* nothing new was urgent */
	stand_post(&p.from, STACKD_OP_SHUTDOWN, 0, SHUT_WR, 0);
	stand_run(&stand);
	stand_post(&p.from, STACKD_OP_URGENT, 0, 202, 0); /* nothing is sent any more */
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.to)->urgent_off, 101);
	assert_false(c->expelled);
}

static void urgent_bytes_outside_the_ring(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stand_client *bad = stand_attach(&stand, 32);
		struct stand_pair p = stand_pair(&stand, c, bad, (uint16_t)(PORT + i));
		int64_t at = i ? -1 : (int64_t)bad->region->head.tx_bytes + 1;

		stand_post(&p.from, STACKD_OP_URGENT, 0, at, 0);
		stand_run(&stand);
		assert_true(bad->expelled);
	}
	assert_int_equal(stand_count(&stand, COUNT_client_bad_index), 2);
	assert_false(c->expelled);
}

static void connecting_twice_and_nowhere(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock k = stand_socket(c);

	(void)state;
	stand_connect(&stand, &p.from, PORT);
	stand_run(&stand);
	assert_int_equal(stand_count(&stand, COUNT_client_bad_message), 1);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_CONNECTED);
	memset(stand_shm(&k)->req_addr, 0xff, 16); /* multicast */
	stand_shm(&k)->req_port = 5;
	stand_post(&k, STACKD_OP_CONNECT, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&k), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&k)->error, ENETUNREACH);
	k = stand_socket(c);
	stand_connect(&stand, &k, 0);
	stand_run(&stand);
	assert_int_equal(stand_shm(&k)->error, ECONNREFUSED);
}

static void only_what_was_offered_can_be_claimed_and_only_once(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *stranger = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock stolen = p.to;

	(void)state;
	stand_post(&p.to, STACKD_OP_CLAIM, 0, 0, 0);
	stand_post(&p.from, STACKD_OP_CLAIM, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_count(&stand, COUNT_client_bad_handle), 2);
	assert_int_equal(stand_inside(&p.to)->holders, 1);
	/* the region of another one can't even be named */
	stolen.client = stranger;
	stand_post(&stolen, STACKD_OP_CLAIM, 0, 0, 0);
	stand_run(&stand);
	assert_true(stranger->expelled);
	assert_false(c->expelled);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CONNECTED);
}

static void a_lie_about_the_accept_ring_resets_the_next(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock listener = stand_socket(c), k = stand_socket(c);

	(void)state;
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 1000), 0);
	stackd_shm_accept(c->region->mem, &c->region->head, listener.slot, 0)->head = 5;
	stand_connect(&stand, &k, PORT);
	stand_run(&stand);
	assert_int_equal(stand_shm(&k)->error, ECONNRESET);
	assert_int_equal(stand_count(&stand, COUNT_listen_backlog), 1);
	assert_int_equal(stand_sockets(&stand), 2);
}

static void closing_a_listener_resets_who_was_not_accepted(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock late = stand_socket(c), again = stand_socket(c);

	(void)state;
	stand_connect(&stand, &late, PORT);
	stand_run(&stand);
	assert_int_equal(stand_state(&late), STACKD_SOCK_CONNECTED);
	stand_post(&p.listener, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.listener), STACKD_SOCK_FREE);
	assert_int_equal(stand_shm(&late)->error, ECONNRESET);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_CONNECTED);
	stand_send(&p.from, 10);
	stand_run(&stand);
	assert_int_equal(stand_read(&p.to, 10), 10);
	stand_connect(&stand, &again, PORT);
	stand_run(&stand);
	assert_int_equal(stand_shm(&again)->error, ECONNREFUSED);
}

/* send_buffer of [tcp], at both ends, unless the program asks for another size. */
static void as_much_is_queued_as_configured(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock asks = stand_socket(c);
	struct stand_pair p;

	(void)state;
	stand.profile.knobs.send_buffer = 8192;
	p = stand_pair(&stand, c, c, PORT);
	assert_int_equal(stand_shm(&p.from)->tx_limit, 8192);
	assert_int_equal(stand_shm(&p.to)->tx_limit, 8192);
	stand_post(&asks, STACKD_OP_SETOPT, STACKD_OPT_SNDBUF, 16384, 0);
	stand_run(&stand);
	stand_connect(&stand, &asks, PORT);
	stand_run(&stand);
	assert_int_equal(stand_state(&asks), STACKD_SOCK_CONNECTED);
	assert_int_equal(stand_shm(&asks)->tx_limit, 16384);
}

static void what_a_listener_was_told_is_handed_down(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32);
	struct stand_sock listener = stand_socket(c), from = stand_socket(c), to;

	(void)state;
	stand_post(&listener, STACKD_OP_SETOPT, STACKD_OPT_SNDBUF, 8192, 0);
	stand_post(&listener, STACKD_OP_SETOPT, STACKD_OPT_LINGER, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 5), 0);
	stand_connect(&stand, &from, PORT);
	stand_run(&stand);
	assert_true(stand_accept(&stand, &listener, c, &to));
	assert_int_equal(stand_shm(&to)->tx_limit, 8192);
	assert_int_equal(stand_shm(&from)->tx_limit, c->region->head.tx_bytes);
	stand_run(&stand);
	stand_post(&to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_shm(&from)->error, ECONNRESET);
}

static void the_last_of_two_holders_closes(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *child;
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock theirs = p.to;

	(void)state;
	child = stand_clone(&stand, c);
	theirs.client = child;
	assert_int_equal(stand_inside(&p.to)->holders, 2);
	stand_post(&p.to, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CONNECTED);
	assert_int_equal(stand_send(&theirs, 500), 500);
	stand_run(&stand);
	assert_int_equal(stand_read(&p.from, UINT32_MAX), 500);
	stand_post(&theirs, STACKD_OP_CLOSE, 0, 0, 0);
	stand_run(&stand);
	assert_true(stand_shm(&p.from)->flags & STACKD_RX_EOF);
	assert_false(child->expelled);
}

static void holding_twice_is_holding_once(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *child;
	struct stand_pair p = stand_pair(&stand, c, c, PORT);

	(void)state;
	child = stand_clone(&stand, c);
	sock_clone_holds(stand.shard[0].table, &c->sock, &child->sock);
	assert_int_equal(stand_inside(&p.to)->holders, 2);
}

static void who_goes_resets_what_only_he_held(void **state)
{
	struct stand_client *server = stand_attach(&stand, 32), *c = stand_attach(&stand, 32), *child;
	struct stand_pair p = stand_pair(&stand, server, c, PORT), q;

	(void)state;
	child = stand_clone(&stand, c);
	q = stand_pair(&stand, server, c, PORT + 1);
	stand_detach(&stand, c);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CONNECTED);
	assert_int_equal(stand_state(&q.to), STACKD_SOCK_CLOSED);
	assert_int_equal(stand_shm(&q.to)->error, ECONNRESET);
	assert_int_equal(stand.regions_freed, 0); /* the child holds a socket in it */
	stand_detach(&stand, child);
	stand_run(&stand);
	assert_int_equal(stand_state(&p.to), STACKD_SOCK_CLOSED);
	assert_int_equal(stand.regions_freed, 2);
}

static void what_a_killed_client_had_marked_is_done_for_it(void **state)
{
	struct stand_client *c = stand_attach(&stand, 32), *child;
	struct stand_pair p = stand_pair(&stand, c, c, PORT);
	struct stand_sock theirs = p.from;

	(void)state;
	child = stand_clone(&stand, c);
	theirs.client = child;
	stand_shm(&theirs)->tx_posted = 1; /* and was killed before it posted */
	stand_detach(&stand, child);
	assert_int_equal(stand_send(&p.from, 10), 10);
	stand_run(&stand);
	assert_int_equal(stand_read(&p.to, UINT32_MAX), 10);
}

static void a_clients_listener_goes_with_it(void **state)
{
	struct stand_client *server = stand_attach(&stand, 32), *c = stand_attach(&stand, 32);
	struct stand_pair p = stand_pair(&stand, server, c, PORT);
	struct stand_sock late = stand_socket(c);

	(void)state;
	stand_connect(&stand, &late, PORT);
	stand_run(&stand);
	stand_detach(&stand, server);
	stand_run(&stand);
	assert_int_equal(stand_shm(&p.from)->error, ECONNRESET);
	assert_int_equal(stand_shm(&late)->error, ECONNRESET);
	assert_int_equal(stand.regions_freed, 1);
	assert_int_equal(stand_sockets(&stand), 2);
}

static void lies_about_cursors_expel(void **state)
{
	static const struct {
		int64_t tx, rx;
	} lies[] = {{-1, 0}, {INT64_MAX, 0}, {16385, 0}, {0, 1}, {0, -1}, {0, INT64_MIN}};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct stand_client *server = stand_attach(&stand, 32), *c = stand_attach(&stand, 32);
		struct stand_pair p = stand_pair(&stand, server, c, (uint16_t)(PORT + i));

		stand_shm(&p.from)->tx_tail = (uint64_t)lies[i].tx;
		stand_shm(&p.from)->rx_head = (uint64_t)lies[i].rx;
		stand_post(&p.from, lies[i].tx ? STACKD_OP_SEND : STACKD_OP_RECV, 0, 0, 0);
		stand_run(&stand);
		assert_true(c->expelled);
		assert_int_equal(stand_shm(&p.to)->error, ECONNRESET);
		assert_false(server->expelled);
		assert_int_equal(stand_count(&stand, COUNT_client_bad_index), i + 1);
		assert_int_equal(stand_count(&stand, COUNT_client_expelled), i + 1);
		stand_detach(&stand, server);
	}
}

static void no_free_slot_refuses_the_connection(void **state)
{
	struct stand_client *server = stand_attach(&stand, 16), *c = stand_attach(&stand, 64);
	struct stand_sock listener = stand_socket(server), k[20];
	uint32_t connected = 0;

	(void)state;
	assert_int_equal(stand_bind(&stand, &listener, PORT, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(&stand, &listener, 100), 0);
	for (size_t i = 0; i < 20; i++) {
		k[i] = stand_socket(c);
		stand_connect(&stand, &k[i], PORT);
		stand_run(&stand);
	}
	for (struct stand_sock to; stand_accept(&stand, &listener, server, &to); connected++)
		;
	assert_int_equal(connected, 8);
	stand_run(&stand);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_slot_is_free_again_with_a_new_generation),
		test(closing_what_was_never_used_also_gives_a_new_generation),
		test(bytes_go_both_ways_and_the_rings_turn_over),
		test(closing_with_unread_data_resets),
		test(a_slot_comes_back_before_the_connection_ends),
		test(data_for_a_slot_that_came_back_resets),
		test(what_was_read_just_before_the_close_counts_as_read),
		test(closing_with_linger_0_or_at_once_resets),
		test(each_operation_in_each_state_harms_nobody),
		test(urgent_bytes),
		test(urgent_bytes_outside_the_ring),
		test(connecting_twice_and_nowhere),
		test(only_what_was_offered_can_be_claimed_and_only_once),
		test(a_lie_about_the_accept_ring_resets_the_next),
		test(closing_a_listener_resets_who_was_not_accepted),
		test(as_much_is_queued_as_configured),
		test(what_a_listener_was_told_is_handed_down),
		test(the_last_of_two_holders_closes),
		test(holding_twice_is_holding_once),
		test(who_goes_resets_what_only_he_held),
		test(what_a_killed_client_had_marked_is_done_for_it),
		test(a_clients_listener_goes_with_it),
		test(lies_about_cursors_expel),
		test(no_free_slot_refuses_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
