/* SPDX-License-Identifier: BSD-2-Clause */
/* library.c - what a program does with its shared memory, as libclient would. */
#include <errno.h>
#include <string.h>

#include "region.h"
#include "stand.h"

struct stackd_sock *stand_shm(const struct stand_sock *k)
{
	return stackd_shm_sock(k->region->mem, &k->region->head, k->slot);
}

struct sock *stand_inside(const struct stand_sock *k)
{
	return &k->region->socks[k->slot];
}

struct stand_sock stand_socket(struct stand_client *c)
{
	const struct stackd_shm_head *h = &c->region->head;

	for (uint32_t i = 0; i < h->sock_own; i++) {
		struct stand_sock k = {.client = c, .region = c->region, .slot = c->next_slot++ % h->sock_own};
		struct stackd_sock *shm = stand_shm(&k);

		if (shm->state != STACKD_SOCK_FREE)
			continue;
		k.gen = shm->gen;
		return k;
	}
	fail_msg("no free slot");
	return (struct stand_sock){0};
}

void stand_post_to(const struct stand_sock *k, uint32_t shard, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2)
{
	struct stand_client *c = k->client;
	struct stackd_sq *q = stackd_shm_sq(c->region->mem, &c->region->head, shard);

	q->entry[c->sq_tail[shard]++ & (c->region->head.sq_entries - 1)] =
		(struct stackd_sqe){.op = op, .opt = opt, .region = k->region->head.region, .slot = k->slot,
				    .gen = k->gen, .arg = arg, .arg2 = arg2};
	atomic_store(&q->tail, c->sq_tail[shard]);
}

void stand_post(const struct stand_sock *k, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2)
{
	stand_post_to(k, stand_shm(k)->shard, op, opt, arg, arg2);
}

static struct sock *known(struct stand *s, const struct stand_sock *k)
{
	struct sock *inside = sock_find(&k->client->sock, k->region->head.region, k->slot, k->gen);

	if (inside)
		return inside;
	return sock_open(s->shard[sock_owner(k->region, k->slot)].table, &k->client->sock,
			 k->region->head.region, k->slot, k->gen);
}

int stand_bind(struct stand *s, const struct stand_sock *k, uint16_t port, uint32_t flags)
{
	struct endpoint local = {.port = port};
	struct sock *inside = known(s, k);
	struct sock_port *claim;
	int err = sock_port_claim(s->ports, &local, flags, &claim);

	if (err)
		return err;
	assert_non_null(inside);
	inside->local = local;
	inside->port = claim;
	inside->bind_flags = (uint8_t)flags;
	return 0;
}

int stand_listen(struct stand *s, const struct stand_sock *k, uint32_t backlog)
{
	struct sock *inside = known(s, k);
	int err = 0;

	if (inside->kind != SOCK_LISTENER) {
		memset(stackd_shm_rx(k->region->mem, &k->region->head, k->slot), 0, k->region->head.rx_bytes);
		inside->listener = region_listener(k->region);
		inside->kind = SOCK_LISTENER;
	}
	for (uint32_t i = 0; i < s->shards && !err; i++)
		err = sock_listen(s->shard[i].table, inside, backlog, NULL);
	sock_port_listening(inside->port, true);
	stand_shm(k)->state = STACKD_SOCK_LISTENING;
	return err;
}

void stand_connect(struct stand *s, const struct stand_sock *k, uint16_t port)
{
	struct stackd_sock *shm = stand_shm(k);

	memcpy(shm->req_addr, s->own.b, 16);
	shm->req_port = port;
	stand_post(k, STACKD_OP_CONNECT, 0, 0, 0);
}

bool stand_accept(struct stand *s, const struct stand_sock *l, struct stand_client *by, struct stand_sock *out)
{
	const struct stackd_shm_head *h = &l->region->head;

	for (uint32_t i = 0; i < s->shards; i++) {
		struct stackd_accept_ring *r = stackd_shm_accept(l->region->mem, h, l->slot, i);

		if (r->head == r->tail)
			continue;
		*out = (struct stand_sock){.client = by, .region = l->region,
					   .slot = r->slot[r->head++ & (h->accept_entries - 1)]};
		out->gen = stand_shm(out)->gen;
		stand_post(out, STACKD_OP_CLAIM, 0, 0, 0);
		return true;
	}
	return false;
}

static uint8_t pattern(uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8) * 7 + 3);
}

uint32_t stand_send(const struct stand_sock *k, uint32_t len)
{
	struct stackd_sock *shm = stand_shm(k);
	uint64_t tail = shm->tx_tail, room = shm->tx_head + shm->tx_limit - tail;
	uint8_t *ring = stackd_shm_tx(k->region->mem, &k->region->head, k->slot);

	if (len > room)
		len = (uint32_t)room;
	for (uint32_t i = 0; i < len; i++)
		ring[(tail + i) & (k->region->head.tx_bytes - 1)] = pattern(tail + i);
	atomic_store(&shm->tx_tail, tail + len);
	if (len && !atomic_exchange(&shm->tx_posted, 1))
		stand_post(k, STACKD_OP_SEND, 0, 0, 0);
	return len;
}

uint32_t stand_read(const struct stand_sock *k, uint32_t len)
{
	struct stackd_sock *shm = stand_shm(k);
	uint64_t head = shm->rx_head, there = shm->rx_tail - head;
	const uint8_t *ring = stackd_shm_rx(k->region->mem, &k->region->head, k->slot);

	if (len > there)
		len = (uint32_t)there;
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(ring[(head + i) & (k->region->head.rx_bytes - 1)], pattern(head + i));
	atomic_store(&shm->rx_head, head + len);
	if (shm->rx_head >= shm->rx_ack_at && !atomic_exchange(&shm->rx_posted, 1))
		stand_post(k, STACKD_OP_RECV, 0, 0, 0);
	return len;
}

uint32_t stand_state(const struct stand_sock *k)
{
	return stand_shm(k)->state;
}

int stand_pop(struct stand_client *c, uint32_t evq)
{
	const struct stackd_shm_head *h = &c->region->head;

	for (uint32_t i = 0; i < h->shards; i++) {
		struct stackd_evq_ring *r = stackd_shm_evq_ring(c->region->mem, h, evq, i);
		uint32_t sub;

		if (r->head == r->tail)
			continue;
		sub = r->sub[r->head & (h->evq_entries - 1)];
		r->head++;
		atomic_store(&stackd_shm_sub(c->region->mem, h, sub)->posted, 0);
		return (int)sub;
	}
	return -1;
}

struct stand_pair stand_pair(struct stand *s, struct stand_client *server, struct stand_client *client, uint16_t port)
{
	struct stand_pair p = {.listener = stand_socket(server)};

	assert_int_equal(stand_bind(s, &p.listener, port, STACKD_BIND_IPV4), 0);
	assert_int_equal(stand_listen(s, &p.listener, 16), 0);
	p.from = stand_socket(client);
	stand_connect(s, &p.from, port);
	stand_run(s);
	assert_int_equal(stand_state(&p.from), STACKD_SOCK_CONNECTED);
	assert_true(stand_accept(s, &p.listener, server, &p.to));
	stand_run(s);
	assert_int_equal(stand_inside(&p.to)->holders, 1);
	return p;
}
