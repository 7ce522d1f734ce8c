/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.c - listeners: one record a shard, connections offered through the accept rings. */
#include <assert.h>
#include <errno.h>

#include "sock/table.h"

struct list *sock_subs(struct sock_table *t, struct sock *s)
{
	return s->kind == SOCK_LISTENER ? &s->listener[t->shard].subs : &s->subs;
}

struct tcp_listener *sock_tcp_listener(const struct sock_table *t, const struct sock *s)
{
	return s->listener ? s->listener[t->shard].tcp : NULL;
}

/* Those who subscribed before listen() was called are carried over; the other shards hear of them
 * as if they subscribed now. */
static void move_subs(struct sock_table *t, struct sock *s, struct sock_listener *l)
{
	struct list *n;

	while ((n = list_pop(&s->subs))) {
		struct sock_sub *sub = container_of(n, struct sock_sub, of_sock);
		struct stackd_sqe e = {.op = STACKD_OP_SUB, .opt = (uint16_t)sub->interest,
				       .region = s->region->head.region, .slot = s->slot, .gen = s->gen,
				       .arg = sub->evq, .arg2 = (uint64_t)sub->turn << 32 | sub->id};

		list_push_back(&l->subs, n);
		if (t->config.shards > 1)
			sock_letter(t, &(struct sock_letter){.kind = SOCK_TO_ALL, .client = sub->client, .sqe = e});
	}
}

int sock_listen(struct sock_table *t, struct sock *s, uint32_t backlog, const struct tcp_rules *rules)
{
	struct sock_listener *l = &s->listener[t->shard];
	struct tcp_listen_config config = {
		.local = s->local,
		.v4_only = s->bind_flags & STACKD_BIND_IPV4,
		.v6_only = s->bind_flags & STACKD_BIND_V6ONLY,
		.device = s->device,
		.backlog = backlog < s->region->head.accept_entries ? backlog : s->region->head.accept_entries,
		.rules = rules,
		.user = l,
	};
	int err;

	if (l->sock) {
		tcp_listener_set_backlog(l->tcp, config.backlog);
		return 0;
	}
	err = tcp_listen(t->tcp, &config, &l->tcp);
	if (err)
		return err;
	l->sock = s;
	l->accept_tail = 0;
	list_init(&l->subs);
	if (sock_owner(s->region, s->slot) == t->shard)
		move_subs(t, s, l);
	return 0;
}

bool sock_give_buffers(struct sock_table *t, struct tcp_conn *conn)
{
	struct tcp_listener *tl = tcp_listener_of(conn);
	struct sock_listener *l = tl ? tcp_listener_user(tl) : NULL;
	struct sock *s = l ? sock_take_slot(t, l->sock->region) : NULL;

	if (!s)
		return false;
	s->parent = l->sock;
	s->kind = SOCK_CONN;
	s->conn = conn;
	s->port = l->sock->port;
	sock_port_hold(s->port);
	tcp_set_user(conn, s);
	sock_attach_rings(s);
	sock_inherit_options(t, s, l->sock->options);
	sock_apply_options(s, s->options);
	return true;
}

/* An established connection into the accept ring of its listener. */
void sock_offer(struct sock_table *t, struct sock *s)
{
	const struct stackd_shm_head *h = &s->region->head;
	struct sock_listener *l;
	struct stackd_accept_ring *ring;
	struct stackd_sock *shm = sock_shm(s);
	uint32_t head;

	if (!s->parent) {
		tcp_abort(s->conn);
		return;
	}
	l = &s->parent->listener[t->shard];
	ring = stackd_shm_accept(s->region->mem, h, s->parent->slot, t->shard);
	head = atomic_load_explicit(&ring->head, memory_order_acquire);
	if (l->accept_tail - head >= h->accept_entries) {
		count(t->counters, COUNT_listen_backlog);
		tcp_abort(s->conn);
		return;
	}
	s->offered = true;
	sock_publish_endpoints(s);
	shm->listener = s->parent->slot;
	atomic_store_explicit(&shm->state, STACKD_SOCK_CONNECTED, memory_order_release);
	atomic_store_explicit(&ring->slot[l->accept_tail & (h->accept_entries - 1)], s->slot,
			      memory_order_relaxed);
	atomic_store_explicit(&ring->tail, ++l->accept_tail, memory_order_release);
	sock_tell(t, &l->subs, STACKD_IN);
}

/* What nobody has accepted is reset; what has been accepted forgets its listener. */
static void orphan(struct sock_table *t, struct sock *s)
{
	s->parent = NULL;
	if (!s->offered)
		return;
	s->offered = false;
	if (s->conn)
		tcp_abort(s->conn);
	else
		sock_free(t, s);
}

void sock_unlisten(struct sock_table *t, struct sock *s)
{
	struct sock_listener *l = &s->listener[t->shard];
	struct sock_region *r = s->region;
	uint32_t span = (r->head.sock_count - r->head.sock_own) / r->head.shards;
	uint32_t first = r->head.sock_own + t->shard * span;

	if (!l->sock)
		return;
	for (uint32_t slot = first; slot < r->part[t->shard].fresh; slot++)
		if (r->socks[slot].kind != SOCK_FREE && r->socks[slot].parent == s)
			orphan(t, &r->socks[slot]);
	while (!list_empty(&l->subs))
		sock_sub_free(t, container_of(l->subs.next, struct sock_sub, of_sock));
	tcp_unlisten(t->tcp, l->tcp);
	l->sock = NULL;
	l->tcp = NULL;
}

void sock_free_listener(struct sock_table *t, struct sock *s)
{
	s->listener = NULL;
	s->kind = SOCK_ENDED;
	sock_port_listening(s->port, false);
	sock_free(t, s);
}
