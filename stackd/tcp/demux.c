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

struct tcp_conn *demux_recent(const struct tcp *t, const struct endpoint *local,
			      const struct endpoint *remote)
{
	struct tcp_conn *c = t->recent;

	return c && same(&c->remote, remote) && same(&c->local, local) ? c : NULL;
}

struct tcp_conn *demux_find(struct tcp *t, uint64_t hash, const struct endpoint *local,
			    const struct endpoint *remote)
{
	table_for_hash(n, &t->conns, hash)
	{
		struct tcp_conn *c = container_of(n, struct tcp_conn, node);

		if (same(&c->remote, remote) && same(&c->local, local))
			return c;
	}
	return NULL;
}

uint64_t demux_listener_hash(const struct tcp *t, uint16_t port)
{
	(void)t;
	return port;
}

static bool serves(const struct tcp_listener *l, const struct endpoint *local)
{
	bool is4 = addr_is4(&local->addr);

	if (l->local.port != local->port || (l->v4_only && !is4) || (l->v6_only && is4))
		return false;
	return l->any || addr_equal(&l->local.addr, &local->addr);
}

/* An exact address goes before any address; several equal ones share by hash (SO_REUSEPORT). */
struct tcp_listener *demux_listener(struct tcp *t, uint64_t hash, const struct endpoint *local)
{
	uint64_t port = demux_listener_hash(t, local->port);
	uint32_t n[2] = {0, 0};
	uint32_t pick;
	bool any;

	table_for_hash(at, &t->listeners, port)
	{
		const struct tcp_listener *l = container_of(at, struct tcp_listener, node);

		if (serves(l, local))
			n[l->any]++;
	}
	any = n[0] == 0;
	if (n[any] == 0)
		return NULL;
	pick = (uint32_t)(hash >> 32) % n[any];
	table_for_hash(at, &t->listeners, port)
	{
		struct tcp_listener *l = container_of(at, struct tcp_listener, node);

		if (serves(l, local) && l->any == any && pick-- == 0)
			return l;
	}
	return NULL;
}
