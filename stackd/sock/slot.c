/* SPDX-License-Identifier: BSD-2-Clause */
/* slot.c - the life of a socket slot: taken, held by clients, let go, free again. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "sock/table.h"

static uint32_t first_owner(const struct stackd_shm_head *h, uint32_t slot)
{
	if (slot < h->sock_own)
		return slot % h->shards;
	return (slot - h->sock_own) / ((h->sock_count - h->sock_own) / h->shards) % h->shards;
}

uint32_t sock_owner(const struct sock_region *r, uint32_t slot)
{
	uint32_t owner = atomic_load_explicit(&r->socks[slot].owner, memory_order_acquire);

	return owner ? owner - 1 : first_owner(&r->head, slot);
}

static struct sock_holds *holds_of(struct sock_client *c, const struct sock_region *r)
{
	for (uint32_t i = 0; i < c->hold_count; i++)
		if (c->holds[i].region == r)
			return &c->holds[i];
	return NULL;
}

struct sock_region *sock_region_of(struct sock_client *c, uint32_t region)
{
	for (uint32_t i = 0; i < c->hold_count; i++)
		if (c->holds[i].region->head.region == region)
			return c->holds[i].region;
	return NULL;
}

static bool hold_bit(const struct sock_holds *h, uint32_t slot)
{
	return atomic_load_explicit(&h->bits[slot / 64], memory_order_relaxed) >> (slot % 64) & 1;
}

bool sock_held(const struct sock_client *c, const struct sock *s)
{
	const struct sock_holds *h = holds_of((struct sock_client *)(uintptr_t)c, s->region);

	return h && hold_bit(h, s->slot);
}

void sock_hold(struct sock_client *c, struct sock *s)
{
	struct sock_holds *h = holds_of(c, s->region);

	assert(h && !hold_bit(h, s->slot));
	atomic_fetch_or(&h->bits[s->slot / 64], 1ull << (s->slot % 64));
	s->holders++;
}

struct sock *sock_find(struct sock_client *c, uint32_t region, uint32_t slot, uint32_t gen)
{
	struct sock_region *r = sock_region_of(c, region);
	struct sock *s;

	if (!r || slot >= r->head.sock_count)
		return NULL;
	s = &r->socks[slot];
	if (s->kind == SOCK_FREE || s->gen != gen || !sock_held(c, s))
		return NULL;
	return s;
}

/* A slot begins a use.  Its generation in shared memory is ours: a client can only read it. */
void sock_init_slot(struct sock_table *t, struct sock_region *r, struct sock *s, uint32_t slot)
{
	struct stackd_sock *shm = stackd_shm_sock(r->mem, &r->head, slot);
	uint32_t gen = s->gen;

	memset(&s->region, 0, sizeof(*s) - offsetof(struct sock, region));
	s->region = r;
	s->slot = slot;
	s->gen = gen;
	list_init(&s->subs);
	atomic_store_explicit(&s->kind, SOCK_OPEN, memory_order_relaxed);
	atomic_store_explicit(&s->owner, t->shard + 1, memory_order_release);
	atomic_fetch_add(&r->refs, 1);
	t->used++;
	atomic_store_explicit(&shm->rx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_sent, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->rx_ack_at, UINT64_MAX, memory_order_relaxed);
	atomic_store_explicit(&shm->flags, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->error, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->soft_error, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->gen, gen, memory_order_relaxed);
	atomic_store_explicit(&shm->shard, t->shard, memory_order_relaxed);
	s->tx_limit = (uint32_t)r->head.tx_bytes;
	atomic_store_explicit(&shm->tx_limit, s->tx_limit, memory_order_relaxed);
	atomic_store_explicit(&shm->state, STACKD_SOCK_OPEN, memory_order_release);
}

struct sock *sock_open(struct sock_table *t, struct sock_client *c, uint32_t region, uint32_t slot,
		       uint32_t gen)
{
	struct sock_region *r = sock_region_of(c, region);
	struct sock *s;

	if (!r || r != c->own || slot >= r->head.sock_own)
		return NULL;
	s = &r->socks[slot];
	if (s->kind != SOCK_FREE || s->gen != gen)
		return NULL;
	sock_init_slot(t, r, s, slot);
	sock_hold(c, s);
	return s;
}

static void clear_client_words(struct stackd_sock *shm)
{
	atomic_store_explicit(&shm->rx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_posted, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->rx_posted, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_nospace, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->rx_lock, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->tx_lock, 0, memory_order_relaxed);
}

struct sock *sock_take_slot(struct sock_table *t, struct sock_region *r)
{
	uint32_t slot = r->part[t->shard].free;
	struct sock *s;

	if (slot != UINT32_MAX)
		r->part[t->shard].free = r->socks[slot].next_free;
	else if (r->part[t->shard].fresh < r->part[t->shard].end)
		slot = r->part[t->shard].fresh++;
	else
		return NULL;
	s = &r->socks[slot];
	sock_init_slot(t, r, s, slot);
	clear_client_words(sock_shm(s));
	return s;
}

static void region_unref(struct sock_table *t, struct sock_region *r)
{
	if (atomic_fetch_sub(&r->refs, 1) == 1)
		sock_letter(t, &(struct sock_letter){.kind = SOCK_REGION_EMPTY, .region = r});
}

void sock_free(struct sock_table *t, struct sock *s)
{
	struct sock_region *r = s->region;
	struct stackd_sock *shm = sock_shm(s);

	assert(!s->conn && !s->listener && s->holders == 0);
	while (!list_empty(&s->subs))
		sock_sub_free(t, container_of(s->subs.next, struct sock_sub, of_sock));
	if (s->port)
		sock_port_release(s->port);
	if (s->options)
		pool_give(&t->options, s->options);
	s->port = NULL;
	s->options = NULL;
	s->kind = SOCK_FREE;
	s->gen++;
	t->used--;
	if (s->slot >= r->head.sock_own) {
		s->next_free = r->part[t->shard].free;
		r->part[t->shard].free = s->slot;
	} else {
		clear_client_words(shm);
	}
	atomic_store_explicit(&shm->gen, s->gen, memory_order_release);
	atomic_store_explicit(&shm->shard, first_owner(&r->head, s->slot), memory_order_relaxed);
	atomic_store_explicit(&s->owner, 0, memory_order_release);
	atomic_store_explicit(&shm->state, STACKD_SOCK_FREE, memory_order_release);
	region_unref(t, r);
}

static ns_t linger_of(const struct sock *s)
{
	const struct sock_options *o = s->options;

	if (o && (o->set >> STACKD_OPT_LINGER & 1) && o->value[STACKD_OPT_LINGER] == 0)
		return 0;
	return NS_NEVER;
}

/* Nobody holds it: as soon as TCP needs no bytes from its rings the slot is free, and what is left of
 * the connection (FIN-WAIT-2 may take a minute) is TCP's alone. */
void sock_give_back(struct sock_table *t, struct sock *s)
{
	if (!s->letting_go || !s->conn || !tcp_let_go(s->conn))
		return;
	s->conn = NULL;
	sock_free(t, s);
}

/* The last holder has gone. */
static void sock_close(struct sock_table *t, struct sock_client *c, struct sock *s, bool reset)
{
	s->letting_go = true;
	switch ((enum sock_kind)s->kind) {
	case SOCK_CONN:
		if (!reset && sock_take_sent(t, c, s) && sock_take_read(t, c, s))
			tcp_close(s->conn, s->rx_head < s->rx_tail, linger_of(s));
		else
			tcp_abort(s->conn);
		sock_give_back(t, s);
		break;
	case SOCK_MOVING: /* sock_adopt ends it */
		break;
	case SOCK_LISTENER:
		sock_letter(t, &(struct sock_letter){.kind = SOCK_UNLISTEN, .sock = s});
		break;
	default:
		sock_free(t, s);
	}
}

void sock_let_go(struct sock_table *t, struct sock_client *c, struct sock *s, bool reset)
{
	struct sock_holds *h = holds_of(c, s->region);

	assert(h && hold_bit(h, s->slot));
	atomic_fetch_and(&h->bits[s->slot / 64], ~(1ull << (s->slot % 64)));
	if (--s->holders == 0)
		sock_close(t, c, s, reset);
}

void sock_attach_rings(struct sock *s)
{
	struct sock_region *r = s->region;

	tcp_attach(s->conn,
		   (struct byte_ring){stackd_shm_rx(r->mem, &r->head, s->slot), (uint32_t)r->head.rx_bytes},
		   (struct byte_ring){stackd_shm_tx(r->mem, &r->head, s->slot), (uint32_t)r->head.tx_bytes});
	s->tx_limit = tcp_send_limit(s->conn, s->tx_limit);
	atomic_store_explicit(&sock_shm(s)->tx_limit, s->tx_limit, memory_order_relaxed);
	atomic_store_explicit(&sock_shm(s)->rx_ack_at, tcp_consume_at(s->conn), memory_order_relaxed);
}

void sock_publish_endpoints(struct sock *s)
{
	struct stackd_sock *shm = sock_shm(s);
	struct endpoint local, remote;

	tcp_endpoints(s->conn, &local, &remote);
	memcpy(shm->local_addr, local.addr.b, 16);
	memcpy(shm->remote_addr, remote.addr.b, 16);
	shm->local_port = local.port;
	shm->remote_port = remote.port;
}

/* --- a client comes and goes -------------------------------------------------------------- */

void sock_add_client(struct sock_table *t, struct sock_client *c)
{
	list_init(&c->subs[t->shard]);
	list_push_back(&t->clients, &c->node[t->shard]);
	if (t->shard == 0)
		count(t->counters, COUNT_client_attached);
}

/* What a client that was killed had marked as posted, but its queue is read no more: others who hold
 * the socket would never post again. */
static void look_again(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	atomic_exchange(&sock_shm(s)->tx_posted, 0);
	atomic_exchange(&sock_shm(s)->rx_posted, 0);
	if (s->kind == SOCK_CONN && sock_take_sent(t, c, s))
		sock_take_read(t, c, s);
}

static void let_go_all(struct sock_table *t, struct sock_client *c, struct sock_holds *h)
{
	for (uint32_t word = 0; word * 64 < h->region->head.sock_count; word++) {
		uint64_t bits = atomic_load(&h->bits[word]);

		for (; bits; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			struct sock *s = &h->region->socks[slot];

			if (sock_owner(h->region, slot) != t->shard)
				continue;
			if (s->holders > 1)
				look_again(t, c, s);
			sock_let_go(t, c, s, true);
		}
	}
}

void sock_remove_client(struct sock_table *t, struct sock_client *c)
{
	uint32_t evqs = c->own->head.evq_count;

	if (t->shard == 0 && !list_empty(&c->node[0]))
		count(t->counters, COUNT_client_gone);
	while (!list_empty(&c->subs[t->shard]))
		sock_sub_free(t, container_of(c->subs[t->shard].next, struct sock_sub, of_client));
	for (uint32_t i = 0; i < c->hold_count; i++)
		let_go_all(t, c, &c->holds[i]);
	for (uint32_t q = 0; q < evqs; q++)
		if (c->evq[t->shard * evqs + q].touched.next)
			list_unlink(&c->evq[t->shard * evqs + q].touched);
	list_unlink(&c->node[t->shard]);
	for (uint32_t i = t->letters_head; i != t->letters_tail; i++) {
		struct sock_letter *l = &t->letters[i & (t->letters_size - 1)];

		if (l->client == c)
			l->client = NULL;
	}
}

void sock_clone_holds(struct sock_table *t, struct sock_client *parent, struct sock_client *child)
{
	for (uint32_t i = 0; i < parent->hold_count; i++) {
		struct sock_holds *h = &parent->holds[i];

		if (!holds_of(child, h->region))
			continue; /* the parent held nothing there when the child was made */
		for (uint32_t slot = 0; slot < h->region->head.sock_count; slot++)
			if (hold_bit(h, slot) && sock_owner(h->region, slot) == t->shard &&
			    !sock_held(child, &h->region->socks[slot]))
				sock_hold(child, &h->region->socks[slot]);
	}
}
