/* SPDX-License-Identifier: BSD-2-Clause */
/* demux.c - owns who a segment belongs to: connections by four-tuple, listeners by port. */
#include "tcp/conn.h"

uint64_t demux_hash(const struct tcp *t, const struct endpoint *local,
		    const struct endpoint *remote)
{
	uint64_t key[5] = {local->addr.q[0], local->addr.q[1], remote->addr.q[0], remote->addr.q[1],
			   (uint64_t)local->port << 16 | remote->port};

	return siphash(&t->secret, key, sizeof(key));
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

struct tcp_conn *demux_recent(const struct tcp *t, const struct segment *s)
{
	struct tcp_conn *c = t->recent;

	return c && same(&c->remote, &s->remote) && same(&c->local, &s->local) &&
		       demux_hears(c->device, s->net->interface)
		   ? c
		   : NULL;
}

struct tcp_conn *demux_find(struct tcp *t, uint64_t hash, uint32_t interface,
			    const struct endpoint *local, const struct endpoint *remote)
{
	table_for_hash(n, &t->conns, hash)
	{
		struct tcp_conn *c = container_of(n, struct tcp_conn, node);

		if (same(&c->remote, remote) && same(&c->local, local) &&
		    demux_hears(c->device, interface))
			return c;
	}
	return NULL;
}

uint64_t demux_listener_hash(const struct tcp *t, uint16_t port)
{
	(void)t;
	return port;
}

/* 0: not this listener's; else the more the better it fits. */
static unsigned int rank(const struct tcp_listener *l, const struct segment *s)
{
	bool is4 = addr_is4(&s->local.addr);

	if (l->local.port != s->local.port || (l->v4_only && !is4) || (l->v6_only && is4) ||
	    !demux_hears(l->device, s->net->interface))
		return 0;
	if (!l->any && !addr_equal(&l->local.addr, &s->local.addr))
		return 0;
	return (l->any ? 1u : 3u) + (l->device != NET_ANY);
}

/* An exact address goes before any address, then an interface before all interfaces; several equal
 * ones share by hash (SO_REUSEPORT). */
struct tcp_listener *demux_listener(struct tcp *t, uint64_t hash, const struct segment *s)
{
	uint64_t port = demux_listener_hash(t, s->local.port);
	unsigned int best = 1;
	uint32_t n = 0, pick;

	table_for_hash(at, &t->listeners, port)
	{
		unsigned int r = rank(container_of(at, struct tcp_listener, node), s);

		n = r > best ? 1 : n + (r == best);
		best = r > best ? r : best;
	}
	if (n == 0)
		return NULL;
	pick = (uint32_t)(hash >> 32) % n;
	table_for_hash(at, &t->listeners, port)
	{
		struct tcp_listener *l = container_of(at, struct tcp_listener, node);

		if (rank(l, s) == best && pick-- == 0)
			return l;
	}
	return NULL;
}
