/* SPDX-License-Identifier: BSD-2-Clause */
/* test_protocol.c - docs/PROTOCOL.md from the daemon's side: marks, events, wake-ups, what is not
 * believed, the life of a slot, a socket between two shards, a client that is killed.  The test plays
 * clients on memory of its own, and the peer by talk.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "sock/sock.h"
#include "talk.h"

#define SHARDS	2u
#define OWN	8u
#define SLOTS	16u
#define ENTRIES 64u
#define EVQS	2u
#define RING	65536u
#define PEER	4000u
#define LETTERS 16u

/* A client process: its memory, and what the daemon keeps of it. */
struct process {
	struct sock_client client;
	struct sock_region region;
	_Atomic uint64_t bits, inherited;
	_Atomic int evq_fd[EVQS];
	struct sock_evq evq[SHARDS * EVQS];
	struct sock_sub *sub_at[SHARDS * ENTRIES];
	uint32_t sq_tail[SHARDS];
};

struct daemon {
	struct talk t[SHARDS];
	struct sock_table *table[SHARDS];
	struct process a, b;
	struct sock_options carried;
};

static void *take(void *ctx, size_t bytes)
{
	size_t size = (bytes + 63) / 64 * 64;
	void *p = aligned_alloc(64, size);

	(void)ctx;
	return p ? memset(p, 0, size) : NULL;
}

static void give(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(p);
}

static const struct memory memory = {.take = take, .give = give};

/* --- a daemon of two shards, and processes ---------------------------------------------------- */

static void lay_out(struct stackd_shm_head *h, uint32_t number)
{
	*h = (struct stackd_shm_head){.region = number, .shards = SHARDS, .sock_count = SLOTS, .sock_own = OWN,
				      .sq_entries = ENTRIES, .evq_count = EVQS, .evq_entries = ENTRIES,
				      .sub_count = ENTRIES, .accept_entries = 16, .rx_bytes = RING, .tx_bytes = RING};
	h->sq_stride = sizeof(struct stackd_sq) + ENTRIES * sizeof(struct stackd_sqe);
	h->evq_ring_stride = sizeof(struct stackd_evq_ring) + ENTRIES * 4;
	h->evq_stride = STACKD_CACHE_LINE + SHARDS * h->evq_ring_stride;
	h->sq_off = SLOTS * sizeof(struct stackd_sock);
	h->evq_off = h->sq_off + SHARDS * h->sq_stride;
	h->sub_off = h->evq_off + EVQS * h->evq_stride;
	h->ring_off = h->sub_off + ENTRIES * sizeof(struct stackd_sub);
	h->total_bytes = h->ring_off + SLOTS * 2 * RING;
}

static void attach(struct daemon *d, struct process *p, uint32_t number)
{
	lay_out(&p->region.head, number);
	p->region.mem = take(NULL, p->region.head.total_bytes);
	p->region.socks = take(NULL, SLOTS * sizeof(struct sock));
	p->region.refs = 2;
	p->client.own = &p->region;
	p->client.holds[0] = (struct sock_holds){&p->region, &p->bits};
	p->client.hold_count = 1;
	p->client.evq_fd = p->evq_fd;
	p->client.evq = p->evq;
	p->client.sub_at = p->sub_at;
	for (uint32_t q = 0; q < EVQS; q++)
		p->evq_fd[q] = 100 + (int)q;
	for (uint32_t s = 0; s < SHARDS; s++)
		sock_add_client(d->table[s], &p->client);
}

static void start(struct daemon *d)
{
	memset(d, 0, sizeof(*d));
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct sock_table_config c = {.memory = &memory, .shard = s, .shards = SHARDS, .letters_max = LETTERS,
					      .port_min = 40000, .port_max = 50000};

		talk_init(&d->t[s], NS_PER_S);
		d->t[s].hold = true;
		d->t[s].peer_port = PEER;
		talk_begin(&d->t[s]);
		c.tcp = d->t[s].tcp;
		c.counters = &d->t[s].counters;
		d->table[s] = sock_table_create(&c);
	}
	attach(d, &d->a, 1);
	attach(d, &d->b, 2);
}

static void stop(struct daemon *d)
{
	struct process *p[] = {&d->a, &d->b};

	for (uint32_t s = 0; s < SHARDS; s++) {
		sock_table_destroy(d->table[s]);
		talk_end(&d->t[s]);
	}
	for (uint32_t i = 0; i < 2; i++) {
		free(p[i]->region.mem);
		free(p[i]->region.socks);
	}
}

static struct stackd_sock *slot_of(struct process *p, uint32_t slot)
{
	return stackd_shm_sock(p->region.mem, &p->region.head, slot);
}

/* Into the process's submission queue, for a slot of `owner`'s region. */
static void post(struct process *p, uint32_t shard, struct process *owner, struct stackd_sqe e)
{
	struct stackd_sq *q = stackd_shm_sq(p->region.mem, &p->region.head, shard);

	e.region = owner->region.head.region;
	e.gen = slot_of(owner, e.slot)->gen;
	q->entry[p->sq_tail[shard] & (ENTRIES - 1)] = e;
	q->tail = ++p->sq_tail[shard];
}

static void run(struct daemon *d, uint32_t shard)
{
	struct talk *t = &d->t[shard];

	sock_events(d->table[shard]);
	sock_poll(d->table[shard], t->now);
	tcp_run(t->tcp, t->now);
	sock_events(d->table[shard]);
}

/* Slot 0 of process a, connecting from shard 0. */
static struct stackd_sock *begin_connect(struct daemon *d)
{
	struct stackd_sock *s = slot_of(&d->a, 0);

	memcpy(s->req_addr, d->t[0].peer.b, 16);
	s->req_port = PEER;
	post(&d->a, 0, &d->a, (struct stackd_sqe){.op = STACKD_OP_CONNECT});
	run(d, 0);
	assert_int_equal(s->state, STACKD_SOCK_CONNECTING);
	d->t[0].own_port = d->t[1].own_port = s->local_port;
	talk_expect(&d->t[0], "S 0:0(0)");
	return s;
}

static struct stackd_sock *connect_a(struct daemon *d)
{
	struct stackd_sock *s = begin_connect(d);

	talk_inject(&d->t[0], "S. 0:0(0) ack 1 <mss 1460>");
	run(d, 0);
	assert_int_equal(s->state, STACKD_SOCK_CONNECTED);
	talk_expect(&d->t[0], ". 1:1(0) ack 1");
	return s;
}

/* Bytes into the send ring of slot 0, up to `tail`; nothing is posted. */
static void put(struct daemon *d, uint64_t tail)
{
	uint8_t *tx = stackd_shm_tx(d->a.region.mem, &d->a.region.head, 0);

	for (uint64_t i = 0; i < tail; i++)
		tx[i] = talk_byte(i);
	slot_of(&d->a, 0)->tx_tail = tail;
}

static void subscribe(struct daemon *d, uint32_t number, uint16_t interest)
{
	post(&d->a, 0, &d->a,
	     (struct stackd_sqe){.op = STACKD_OP_SUB, .opt = interest, .arg = 0, .arg2 = number});
	run(d, 0);
}

/* Numbers in the ring of shard 0, which this empties as a client does; how many. */
static uint32_t pop(struct daemon *d)
{
	struct process *p = &d->a;
	struct stackd_evq_ring *r = stackd_shm_evq_ring(p->region.mem, &p->region.head, 0, 0);
	uint32_t n = 0;

	for (; r->head != r->tail; n++) {
		uint32_t number = r->sub[r->head & (ENTRIES - 1)];

		r->head++;
		stackd_shm_sub(p->region.mem, &p->region.head, number)->posted = 0;
	}
	return n;
}

static int next_wakeup(struct daemon *d)
{
	bool trusted;

	return sock_next_wakeup(d->table[0], &trusted);
}

/* --- marks, events, wake-ups -------------------------------------------------------------------- */

static void marks(void **state)
{
	struct daemon d;
	struct stackd_sock *s;

	(void)state;
	start(&d);
	s = connect_a(&d);
	put(&d, 100);
	s->tx_posted = 1;
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_SEND});
	put(&d, 150); /* moved before the entry was read: no second one is needed */
	run(&d, 0);
	assert_int_equal(s->tx_posted, 0);
	talk_expect(&d.t[0], "P. 1:151(150) ack 1");
	talk_inject(&d.t[0], "P. 1:1001(1000) ack 151");
	run(&d, 0);
	assert_int_equal(s->rx_tail, 1000);
	assert_int_equal(s->tx_head, 150);
	s->rx_head = 1000;
	s->rx_posted = 1;
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_RECV});
	run(&d, 0);
	assert_int_equal(s->rx_posted, 0);
	assert_true(s->rx_ack_at > 1000);
	assert_false(d.a.client.expelled);
	stop(&d);
}

static void events(void **state)
{
	struct daemon d;
	struct stackd_evq *q;

	(void)state;
	start(&d);
	connect_a(&d);
	q = stackd_shm_evq(d.a.region.mem, &d.a.region.head, 0);
	subscribe(&d, 3, STACKD_IN);
	assert_int_equal(next_wakeup(&d), -1); /* nobody sleeps */
	assert_int_equal(pop(&d), 1);			      /* SUB tells at once */
	talk_inject(&d.t[0], "P. 1:11(10) ack 1");
	run(&d, 0);
	talk_inject(&d.t[0], "P. 11:21(10) ack 1");
	run(&d, 0);
	q->sleeping = 1;
	assert_int_equal(next_wakeup(&d), 100); /* also for a mark that was set */
	assert_int_equal(q->sleeping, 0);
	assert_int_equal(next_wakeup(&d), -1);
	assert_int_equal(pop(&d), 1); /* it stands there once */
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_UNSUB, .arg2 = 3});
	run(&d, 0);
	talk_inject(&d.t[0], "P. 21:31(10) ack 1");
	run(&d, 0);
	assert_int_equal(pop(&d), 0);
	stop(&d);
}

static void no_space(void **state)
{
	struct daemon d;
	struct stackd_sock *s;

	(void)state;
	start(&d);
	s = connect_a(&d);
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_SETOPT, .opt = STACKD_OPT_SNDBUF, .arg = 6000});
	subscribe(&d, 0, STACKD_OUT);
	pop(&d);
	assert_int_equal(s->tx_limit, 6000);
	put(&d, 6000);
	s->tx_nospace = 1;
	s->tx_limit = 1; /* its own copy counts */
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_SEND});
	run(&d, 0);
	talk_inject(&d.t[0], ". 1:1(0) ack 1461");
	run(&d, 0);
	assert_int_equal(pop(&d), 0); /* less than a third */
	assert_int_equal(s->tx_nospace, 1);
	talk_inject(&d.t[0], ". 1:1(0) ack 2921");
	run(&d, 0);
	assert_int_equal(pop(&d), 1);
	assert_int_equal(s->tx_nospace, 0);
	stop(&d);
}

/* TCP would take more: who waits for room hears of that too. */
static void more_room(void **state)
{
	static const uint64_t one = 1, ten = 10;
	struct stackd_sock *s;
	struct daemon d;

	(void)state;
	start(&d);
	d.t[0].profile.knobs.send_buffer_start = 6000;
	d.t[0].profile.cc.use[0].params = &one;
	s = connect_a(&d);
	subscribe(&d, 0, STACKD_OUT);
	pop(&d);
	assert_int_equal(s->tx_limit, 6000);
	put(&d, 6000);
	s->tx_nospace = 1;
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_SEND});
	run(&d, 0);
	talk_inject(&d.t[0], ". 1:1(0) ack 1461");
	run(&d, 0);
	assert_int_equal(s->tx_nospace, 1); /* less than a third */
	assert_int_equal(pop(&d), 0);
	tcp_set_cc(d.a.region.socks[0].conn, (struct tcp_plugin){d.t[0].profile.cc.use[0].plugin, &ten});
	talk_inject(&d.t[0], ". 1:1(0) ack 1561"); /* nor is this */
	run(&d, 0);
	assert_int_equal(s->tx_limit, 2 * 10 * 1460);
	assert_int_equal(s->tx_nospace, 0);
	assert_int_equal(pop(&d), 1);
	/* a size that the program named stays */
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_SETOPT, .opt = STACKD_OPT_SNDBUF, .arg = 8000});
	run(&d, 0);
	talk_inject(&d.t[0], ". 1:1(0) ack 3021");
	run(&d, 0);
	assert_int_equal(s->tx_limit, 8000);
	stop(&d);
}

/* --- what is not believed ------------------------------------------------------------------------- */

static void lies(void **state)
{
	static const struct {
		struct stackd_sqe e;
		uint64_t tx_tail, rx_head;
		enum count_id id;
	} table[] = {
		{{.op = STACKD_OP_SEND}, RING + 1, 0, COUNT_client_bad_index},
		{{.op = STACKD_OP_SEND}, UINT64_MAX, 0, COUNT_client_bad_index},
		{{.op = STACKD_OP_RECV}, 0, 1, COUNT_client_bad_index},
		{{.op = 77}, 0, 0, COUNT_client_bad_message},
		{{.op = STACKD_OP_SETOPT, .opt = STACKD_OPT_COUNT}, 0, 0, COUNT_client_bad_message},
		{{.op = STACKD_OP_SUB, .arg = EVQS}, 0, 0, COUNT_client_bad_handle},
		{{.op = STACKD_OP_SUB, .arg = -1}, 0, 0, COUNT_client_bad_handle},
		{{.op = STACKD_OP_SUB, .arg2 = ENTRIES}, 0, 0, COUNT_client_bad_handle},
		{{.op = STACKD_OP_SEND, .slot = SLOTS}, 0, 0, COUNT_client_bad_handle},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct daemon d;
		struct stackd_sock *s;
		struct sock_letter l;

		start(&d);
		s = connect_a(&d);
		s->tx_tail = table[i].tx_tail;
		s->rx_head = table[i].rx_head;
		post(&d.a, 0, &d.a, table[i].e);
		run(&d, 0);
		assert_true(d.a.client.expelled);
		assert_false(d.b.client.expelled);
		assert_int_equal(d.t[0].counters.n[table[i].id], 1);
		assert_true(sock_next_letter(d.table[0], &l));
		assert_int_equal(l.kind, SOCK_EXPEL);
		assert_ptr_equal(l.client, &d.a.client);
		stop(&d);
	}
}

static void wrong_queue_index(void **state)
{
	struct daemon d;

	(void)state;
	start(&d);
	stackd_shm_sq(d.a.region.mem, &d.a.region.head, 0)->tail = ENTRIES + 1;
	run(&d, 0);
	assert_true(d.a.client.expelled);
	stop(&d);
}

/* Another's socket, a stale generation: counted, not punished */
static void wrong_handles(void **state)
{
	struct daemon d;
	struct stackd_sock *s;

	(void)state;
	start(&d);
	s = connect_a(&d);
	d.b.client.holds[1] = (struct sock_holds){&d.a.region, &d.b.inherited};
	d.b.client.hold_count = 2; /* it knows the region, but holds nothing there */
	post(&d.b, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_CLOSE});
	s->gen++;
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_CLOSE});
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_CLAIM});
	run(&d, 0);
	assert_int_equal(d.t[0].counters.n[COUNT_client_bad_handle], 3);
	assert_int_equal(s->state, STACKD_SOCK_CONNECTED);
	assert_false(d.a.client.expelled || d.b.client.expelled);
	stop(&d);
}

/* --- life ------------------------------------------------------------------------------------------- */

/* Closed without ever having been named: the client may take it again */
static void never_used(void **state)
{
	struct daemon d;
	struct stackd_sock *s;

	(void)state;
	start(&d);
	s = slot_of(&d.a, 2);
	post(&d.a, 0, &d.a, (struct stackd_sqe){.op = STACKD_OP_CLOSE, .slot = 2});
	run(&d, 0);
	assert_int_equal(s->state, STACKD_SOCK_FREE);
	assert_int_equal(s->gen, 1);
	assert_int_equal(sock_count(d.table[0]), 0);
	assert_int_equal(d.a.region.refs, 2);
	stop(&d);
}

/* As many letters as a client causes */
static void letters(void **state)
{
	struct daemon d;
	struct sock_letter l;
	uint32_t n = 0;

	(void)state;
	start(&d);
	for (int64_t i = 0; i < 100; i++) {
		struct stackd_sqe e = {.op = STACKD_OP_SETOPT, .region = 1, .slot = 1, .arg = i};

		sock_submit(d.table[0], &d.a.client, &e, false, d.t[0].now); /* slot 1 is shard 1's */
		if (i % 3 == 2) {
			assert_true(sock_next_letter(d.table[0], &l));
			assert_int_equal(l.sqe.arg, n++);
		}
	}
	for (; sock_next_letter(d.table[0], &l); n++) {
		assert_int_equal(l.kind, SOCK_TO_SHARD);
		assert_int_equal(l.shard, 1);
		assert_int_equal(l.sqe.arg, n);
	}
	assert_int_equal(n, 100);
	stop(&d);
}

/* Parent and child hold the socket; the parent has set the mark and dies before it posts. */
static void killed_between_mark_and_post(void **state)
{
	struct daemon d;
	struct stackd_sock *s;

	(void)state;
	start(&d);
	s = connect_a(&d);
	d.b.client.holds[1] = (struct sock_holds){&d.a.region, &d.b.inherited};
	d.b.client.hold_count = 2;
	sock_clone_holds(d.table[0], &d.a.client, &d.b.client);
	put(&d, 100);
	s->tx_posted = 1;
	sock_remove_client(d.table[0], &d.a.client);
	run(&d, 0);
	assert_int_equal(s->tx_posted, 0);
	assert_int_equal(s->state, STACKD_SOCK_CONNECTED);
	talk_expect(&d.t[0], "P. 1:101(100) ack 1");
	sock_remove_client(d.table[0], &d.b.client); /* the last one: reset */
	run(&d, 0);
	talk_expect(&d.t[0], "R. 101:101(0) ack 1");
	assert_int_equal(s->state, STACKD_SOCK_FREE);
	stop(&d);
}

static void clone_of_nothing(void **state)
{
	struct daemon d;

	(void)state;
	start(&d);
	connect_a(&d);
	sock_clone_holds(d.table[0], &d.a.client, &d.b.client); /* b doesn't know the region */
	assert_int_equal(d.b.inherited, 0);
	stop(&d);
}

/* --- between two shards ------------------------------------------------------------------------------- */

/* The connection leaves shard 0; what it is made of. */
static void *depart(struct daemon *d)
{
	struct sock *s = &d->a.region.socks[0];
	void *record = malloc(tcp_export_size());

	assert_true(tcp_export(d->t[0].tcp, s->conn, record));
	sock_depart(d->table[0], s, 1, &d->carried);
	assert_int_equal(slot_of(&d->a, 0)->shard, 1);
	return record;
}

static void arrive(struct daemon *d, void *record)
{
	sock_adopt(d->table[1], &d->a.region.socks[0], tcp_import(d->t[1].tcp, record, d->t[1].now),
		   &d->carried);
	free(record);
}

static void closed_while_moving(void **state)
{
	struct daemon d;
	struct stackd_sock *s;
	struct sock_letter l;
	void *record;

	(void)state;
	start(&d);
	s = begin_connect(&d);
	record = depart(&d);
	post(&d.a, 1, &d.a, (struct stackd_sqe){.op = STACKD_OP_SHUTDOWN, .arg = SHUT_WR});
	post(&d.a, 1, &d.a, (struct stackd_sqe){.op = STACKD_OP_CLOSE});
	run(&d, 1);
	arrive(&d, record);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(sock_next_letter(d.table[1], &l));
		assert_int_equal(l.kind, SOCK_TO_SHARD);
		assert_int_equal(l.shard, 1);
		sock_submit(d.table[1], l.client, &l.sqe, false, d.t[1].now);
	}
	run(&d, 1);
	assert_int_equal(s->state, STACKD_SOCK_FREE);
	assert_int_equal(s->gen, 1);
	stop(&d);
}

static void killed_while_moving(void **state)
{
	struct daemon d;
	void *record;

	(void)state;
	start(&d);
	begin_connect(&d);
	record = depart(&d);
	sock_remove_client(d.table[0], &d.a.client);
	sock_remove_client(d.table[1], &d.a.client);
	arrive(&d, record);
	run(&d, 1);
	assert_int_equal(slot_of(&d.a, 0)->state, STACKD_SOCK_FREE);
	assert_int_equal(sock_count(d.table[0]) + sock_count(d.table[1]), 0);
	stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks),
		cmocka_unit_test(events),
		cmocka_unit_test(no_space), cmocka_unit_test(more_room),
		cmocka_unit_test(lies),
		cmocka_unit_test(wrong_queue_index),
		cmocka_unit_test(wrong_handles),
		cmocka_unit_test(never_used),
		cmocka_unit_test(letters),
		cmocka_unit_test(killed_between_mark_and_post),
		cmocka_unit_test(clone_of_nothing),
		cmocka_unit_test(closed_while_moving),
		cmocka_unit_test(killed_while_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
