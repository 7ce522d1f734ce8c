/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.c [SEED [ROUNDS]] - a client that writes anything anywhere it can, between the turns of a shard
 * that also serves a well-behaved one.  Nothing of that may reach the latter: its connection carries
 * every byte, and it is never expelled.  What the bad one may write is all of its region but the
 * daemon's words, and even those once in a while, since nothing of the daemon's may depend on them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "stand.h"

#define ROUNDS 20000u
#define PORT   80

static struct stand stand;
static struct rng rng;
static bool mild; /* this life: lies that are not found out at once, so that it lasts longer */

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rng_next(&rng) % n);
}

/* Mostly small, now and then at an edge. */
static uint64_t number(void)
{
	static const uint64_t edges[] = {0, 1, UINT32_MAX, INT32_MAX, UINT64_MAX, INT64_MAX, 1ull << 63, 1ull << 32,
					 16384, 16385, 65535, 65536, 4095, 4096, 4097};

	switch (below(4)) {
	case 0: return edges[below(sizeof(edges) / sizeof(edges[0]))];
	case 1: return rng_next(&rng);
	default: return below(40);
	}
}

static struct stand_sock any_socket(struct stand_client *bad)
{
	struct stand_sock k = {.client = bad, .region = bad->region, .slot = below(bad->region->head.sock_count)};

	k.gen = below(8) ? stand_shm(&k)->gen : (uint32_t)number();
	return k;
}

static void post_anything(struct stand_client *bad)
{
	struct stand_sock k = any_socket(bad);
	uint32_t shard = below(stand.shards);
	uint8_t op = (uint8_t)(mild || below(50) ? 1 + below(STACKD_OP_URGENT) : below(256));
	int64_t arg = (int64_t)number();
	uint64_t arg2 = number();
	uint16_t opt = (uint16_t)(op == STACKD_OP_SETOPT ? 1 + below(mild ? 17 : 18) : number());

	if (op == STACKD_OP_SUB || op == STACKD_OP_UNSUB) {
		arg = mild || below(30) ? below(256) : (int64_t)number();
		arg2 = mild || below(30) ? below(bad->region->head.sub_count) : number();
	}
	if (op == STACKD_OP_URGENT && mild)
		arg = (int64_t)(stand_shm(&k)->tx_tail + 1);
	if (op == STACKD_OP_CLOSE && below(3))
		return;
	stand_post_to(&k, shard, op, opt, arg, arg2);
	if (!mild && below(200) == 0) { /* of another region: of nobody, or of the good one */
		struct stackd_sq *q = stackd_shm_sq(bad->region->mem, &bad->region->head, shard);

		q->entry[(bad->sq_tail[shard] - 1) & (bad->region->head.sq_entries - 1)].region = (uint32_t)number();
	}
}

static void address(struct stand_client *bad)
{
	struct stand_sock k = any_socket(bad);
	struct stackd_sock *shm = stand_shm(&k);

	memcpy(shm->req_addr, stand.own.b, 16);
	shm->req_port = (uint16_t)(below(3) ? PORT + 1 : number());
	if (below(4) == 0)
		for (int i = 0; i < 16; i++)
			shm->req_addr[i] = (uint8_t)number();
}

static void cursors(struct stand_client *bad)
{
	struct stand_sock k = any_socket(bad);
	struct stackd_sock *shm = stand_shm(&k);

	if (!mild && below(20) == 0) {
		shm->tx_tail = number();
		shm->rx_head = number();
	} else { /* believable */
		shm->tx_tail += below(3000);
		if (shm->tx_tail - shm->tx_head > bad->region->head.tx_bytes)
			shm->tx_tail = shm->tx_head + bad->region->head.tx_bytes;
		shm->rx_head += shm->rx_tail > shm->rx_head ? below((uint32_t)(shm->rx_tail - shm->rx_head) + 1) : 0;
	}
	shm->tx_posted = (uint32_t)number();
	shm->rx_posted = (uint32_t)number();
	shm->tx_nospace = (uint32_t)number();
}

static void queues(struct stand_client *bad)
{
	const struct stackd_shm_head *h = &bad->region->head;
	struct stackd_evq_ring *r = stackd_shm_evq_ring(bad->region->mem, h, below(h->evq_count), below(h->shards));

	stackd_shm_sub(bad->region->mem, h, below(h->sub_count))->posted = (uint32_t)number();
	stackd_shm_evq(bad->region->mem, h, below(h->evq_count))->sleeping = (uint32_t)number();
	r->head = mild || below(30) ? r->tail - (mild ? 0 : below(2) * below(8)) : (uint32_t)number();
	if (!mild && below(100) == 0)
		stackd_shm_sq(bad->region->mem, h, below(h->shards))->tail += (uint32_t)number();
	if (below(300) == 0)
		stackd_shm_sq(bad->region->mem, h, below(h->shards))->head = (uint32_t)number();
}

static void accepts(struct stand_client *bad, const struct stand_sock *listener)
{
	const struct stackd_shm_head *h = &bad->region->head;
	struct stackd_accept_ring *r = stackd_shm_accept(bad->region->mem, h, listener->slot, below(h->shards));

	r->head = below(3) ? r->tail : (uint32_t)number();
	r->slot[below(h->accept_entries)] = (uint32_t)number();
}

/* Words that only the daemon writes, and its head. */
static void daemons_words(struct stand_client *bad)
{
	struct stand_sock k = any_socket(bad);
	struct stackd_sock *shm = stand_shm(&k);
	uint8_t *mem = bad->region->mem;
	const struct stackd_shm_head *h = &bad->region->head;

	switch (below(4)) {
	case 0: mem[below(sizeof(struct stackd_shm_head))] = (uint8_t)number(); break;
	case 1: ((uint8_t *)shm)[below(sizeof(*shm))] = (uint8_t)number(); break;
	case 2: mem[h->sock_off + below((uint32_t)(h->ring_off - h->sock_off))] = (uint8_t)number(); break;
	default: mem[number() % h->total_bytes] = (uint8_t)number(); break;
	}
}

struct villain {
	struct stand_client *client, *child;
	struct stand_sock listener;
};

static void arise(struct villain *v)
{
	mild = below(2);
	v->client = stand_attach(&stand, 32);
	v->child = NULL;
	v->listener = stand_socket(v->client);
	assert_int_equal(stand_bind(&stand, &v->listener, PORT + 1, STACKD_BIND_IPV4 | STACKD_BIND_REUSEPORT), 0);
	assert_int_equal(stand_listen(&stand, &v->listener, 1 + below(40)), 0);
}

static void misbehave(struct villain *v)
{
	if (!v->client->attached) {
		if (v->child && v->child->attached)
			stand_detach(&stand, v->child);
		stand_run(&stand);
		arise(v);
	}
	for (uint32_t n = 1 + below(20); n; n--) {
		switch (below(8)) {
		case 0:
		case 1:
		case 2: post_anything(v->client); break;
		case 3: address(v->client); break;
		case 4: cursors(v->client); break;
		case 5: queues(v->client); break;
		case 6: accepts(v->client, &v->listener); break;
		default:
			if (!mild && below(10) == 0)
				daemons_words(v->client);
		}
	}
	if (below(300) == 0)
		stand_detach(&stand, v->client);
	else if (below(300) == 0 && (!v->child || !v->child->attached))
		v->child = stand_clone(&stand, v->client);
	else if (below(20) == 0 && v->child && v->child->attached)
		post_anything(v->child);
}

static void fuzz(uint64_t seed, uint32_t rounds)
{
	struct stand_client *good;
	struct stand_pair p;
	struct villain v;
	uint64_t sent = 0, got = 0, expelled = 0, dead_before = 0;

	printf("seed %" PRIu64 ", %" PRIu32 " rounds\n", seed, rounds);
	fflush(stdout);
	rng_seed(&rng, seed);
	stand_init(&stand, 1 + (uint32_t)(seed & 1), 32);
	good = stand_attach(&stand, 32);
	p = stand_pair(&stand, good, good, PORT);
	arise(&v);
	for (uint32_t i = 0; i < rounds; i++) {
		stand.answers_elsewhere = stand.shards > 1 && below(4) == 0;
		misbehave(&v);
		sent += stand_send(&p.from, below(4000));
		for (uint32_t n = below(4); n; n--)
			stand_turn(&stand);
		got += stand_read(&p.to, below(4000));
		if (below(50) == 0)
			stand.now += below(50) * NS_PER_MS;
		expelled = stand_count(&stand, COUNT_client_expelled);
		assert_false(good->expelled);
		assert_int_equal(stand_state(&p.from), STACKD_SOCK_CONNECTED);
		dead_before += stand_sockets(&stand) == 0;
	}
	stand.answers_elsewhere = false;
	for (int i = 0; i < 200 && got < sent; i++) {
		got += stand_read(&p.to, UINT32_MAX);
		stand_after(&stand, 20 * NS_PER_MS);
	}
	printf("%" PRIu64 " bytes of the good one, %" PRIu64 " expulsions of the bad one\n", got, expelled);
	assert_int_equal(got, sent);
	assert_int_equal(dead_before, 0);
	stand_done(&stand);
}

static uint64_t seed;
static uint32_t rounds = ROUNDS;

static void a_liar_harms_nobody(void **state)
{
	(void)state;
	fuzz(seed, rounds);
	fuzz(seed + 1, rounds);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_liar_harms_nobody)};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	if (argc > 2)
		rounds = (uint32_t)strtoul(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
