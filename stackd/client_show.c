/* SPDX-License-Identifier: BSD-2-Clause */
/* client_show.c - clients and their listeners, for stackdctl. */
#include "client_inside.h"

uint32_t client_count_held(const struct sock_holds *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i * 64 < h->region->head.sock_count; i++)
		n += (uint32_t)__builtin_popcountll(atomic_load_explicit(&h->bits[i], memory_order_relaxed));
	return n;
}

void clients_show(struct clients *all, struct writer *w)
{
	static const struct writer_column columns[] = {
		{"pid", "PID", -7}, {"uid", "UID", -6}, {"sockets", "Sockets", -8}, {"regions", "Regions", -8},
		{"overrides", "Options", 0}, {NULL, NULL, 0},
	};

	writer_table(w, "clients", columns);
	list_for_each(n, &all->list) {
		struct client *c = container_of(n, struct client, node);
		uint32_t held = 0;

		for (uint32_t i = 0; i < c->sock.hold_count; i++)
			held += client_count_held(&c->sock.holds[i]);
		writer_row(w);
		writer_u64(w, "pid", c->sock.pid);
		writer_u64(w, "uid", c->sock.uid);
		writer_u64(w, "sockets", held);
		writer_u64(w, "regions", c->sock.hold_count);
		writer_text(w, "overrides", c->overrides);
		writer_row_end(w);
	}
	writer_table_end(w);
}

/* --- listeners ------------------------------------------------------------------------------------------------ */

struct listener_walk {
	struct clients *all;
	uint64_t skip; /* so many come before the one that is wanted */
	struct sock *found;
	uint32_t pid;
};

static bool held_before(struct listener_walk *w, const struct client *until, const struct sock *s)
{
	list_for_each(n, &w->all->list) {
		struct client *c = container_of(n, struct client, node);

		if (c == until)
			return false;
		for (uint32_t i = 0; i < c->sock.hold_count; i++)
			if (c->sock.holds[i].region == s->region &&
			    (c->sock.holds[i].bits[s->slot / 64] >> (s->slot % 64) & 1))
				return true;
	}
	return false;
}

/* Sockets are made and freed by the shards meanwhile: only a listener stays one while it is held,
 * and it ends by our own hand. */
static bool walk_holds(struct listener_walk *w, struct client *c, const struct sock_holds *h)
{
	for (uint32_t word = 0; word * 64 < h->region->head.sock_own; word++) {
		for (uint64_t bits = h->bits[word]; bits; bits &= bits - 1) {
			struct sock *s = &h->region->socks[word * 64 + (uint32_t)__builtin_ctzll(bits)];

			if (s->kind != SOCK_LISTENER || held_before(w, c, s) || w->skip-- > 0)
				continue;
			w->found = s;
			w->pid = c->sock.pid;
			return true;
		}
	}
	return false;
}

struct listener_sum {
	struct sock *sock;
	struct tcp_listener_info info;
};

static void sum_listener(struct shard *sh, void *arg)
{
	struct listener_sum *sum = arg;
	const struct tcp_listener *l = sock_tcp_listener(shard_socks(sh), sum->sock);
	struct tcp_listener_info i;

	if (!l)
		return;
	tcp_listener_info(l, &i);
	sum->info.local = i.local;
	sum->info.backlog = i.backlog;
	sum->info.waiting += i.waiting;
	sum->info.handshakes += i.handshakes;
	sum->info.accepted += i.accepted;
	sum->info.refused += i.refused;
}

bool clients_next_listener(struct clients *all, uint64_t *cursor, struct tcp_listener_info *out, uint32_t *pid)
{
	struct listener_walk w = {.all = all, .skip = *cursor};
	struct listener_sum sum = {0};

	list_for_each(n, &all->list) {
		struct client *c = container_of(n, struct client, node);

		for (uint32_t i = 0; i < c->sock.hold_count && !w.found; i++)
			walk_holds(&w, c, &c->sock.holds[i]);
		if (w.found)
			break;
	}
	if (!w.found)
		return false;
	sum.sock = w.found;
	clients_on_shards(all, sum_listener, &sum);
	*out = sum.info;
	*pid = w.pid;
	++*cursor;
	return true;
}
