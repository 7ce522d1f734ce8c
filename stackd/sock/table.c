/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - a shard's socket table: made, given away, and sockets that move between shards. */
#include <assert.h>
#include <errno.h>

#include "sock/table.h"

#define SUBS_MAX    4000000u
#define OPTIONS_MAX 1000000u

struct sock_table *sock_table_create(const struct sock_table_config *config)
{
	const struct memory *m = config->memory;
	struct sock_table *t = m->take(m->ctx, sizeof(*t));

	assert((config->letters_max & (config->letters_max - 1)) == 0);
	if (!t)
		return NULL;
	t->config = *config;
	t->tcp = config->tcp;
	t->counters = config->counters;
	t->shard = config->shard;
	t->rover = config->port_seed;
	t->letters_size = config->letters_max;
	t->letters = m->take(m->ctx, config->letters_max * sizeof(*t->letters));
	if (!t->letters) {
		m->give(m->ctx, t, sizeof(*t));
		return NULL;
	}
	list_init(&t->clients);
	list_init(&t->touched);
	pool_init(&t->subs, m, sizeof(struct sock_sub), SUBS_MAX);
	pool_init(&t->options, m, sizeof(struct sock_options), OPTIONS_MAX);
	return t;
}

void sock_table_destroy(struct sock_table *t)
{
	const struct memory *m = t->config.memory;

	pool_destroy(&t->subs);
	pool_destroy(&t->options);
	m->give(m->ctx, t->letters, t->letters_size * sizeof(*t->letters));
	m->give(m->ctx, t, sizeof(*t));
}

uint32_t sock_count(const struct sock_table *t)
{
	return t->used;
}

void sock_count_refusal(struct sock_table *t, enum count_id why)
{
	count(t->counters, why);
}

/* Subscriptions travel as submissions, behind the connection; options as a copy, since each shard
 * has its own pool. */
void sock_depart(struct sock_table *t, struct sock *s, uint32_t to_shard, struct sock_options *carried)
{
	while (!list_empty(&s->subs)) {
		struct sock_sub *sub = container_of(s->subs.next, struct sock_sub, of_sock);
		struct stackd_sqe e = {.op = STACKD_OP_SUB, .opt = (uint16_t)sub->interest,
				       .region = s->region->head.region, .slot = s->slot, .gen = s->gen,
				       .arg = sub->evq, .arg2 = (uint64_t)sub->turn << 32 | sub->id};

		sock_letter(t, &(struct sock_letter){
				       .kind = SOCK_TO_SHARD, .shard = to_shard, .client = sub->client, .sqe = e});
		sock_sub_free(t, sub);
	}
	sock_copy_options(carried, s->options);
	if (s->options)
		pool_give(&t->options, s->options);
	s->options = NULL;
	s->conn = NULL;
	s->kind = SOCK_MOVING;
	t->used--;
	atomic_store_explicit(&sock_shm(s)->shard, to_shard, memory_order_relaxed);
	atomic_store_explicit(&s->owner, to_shard + 1, memory_order_release);
}

void sock_adopt(struct sock_table *t, struct sock *s, struct tcp_conn *conn, const struct sock_options *carried)
{
	struct stackd_sock *shm = sock_shm(s);

	t->used++;
	if (carried->set)
		sock_inherit_options(t, s, carried);
	count(t->counters, COUNT_shard_adopted);
	s->conn = conn;
	if (conn) {
		s->kind = SOCK_CONN;
		tcp_set_user(conn, s);
		if (s->holders == 0)
			tcp_abort(conn);
		return;
	}
	s->kind = SOCK_ENDED;
	atomic_store_explicit(&shm->error, ENOBUFS, memory_order_relaxed);
	atomic_fetch_or_explicit(&shm->flags, STACKD_RX_EOF | STACKD_TX_SHUT | STACKD_RESET,
				 memory_order_release);
	atomic_store_explicit(&shm->state, STACKD_SOCK_CLOSED, memory_order_release);
	if (s->holders == 0)
		sock_free(t, s);
}
