/* SPDX-License-Identifier: BSD-2-Clause */
/* port.c - local ports.  Bound ones are claimed in one table of the control thread; ephemeral ones
 * are chosen by each shard from its own residue class, so that shards never collide. */
#include <assert.h>
#include <errno.h>

#include "base/table.h"
#include "sock/table.h"

/* --- ephemeral ports (RFC 6056: a secret start, then the next free) ------------------------------ */

int sock_connect_from(struct sock_table *t, struct sock *s, const struct endpoint *remote,
		      const struct tcp_rules *rules, ns_t now)
{
	uint32_t range = (uint32_t)(t->config.port_max - t->config.port_min) + 1;
	struct endpoint local = s->local;
	int err = -EADDRNOTAVAIL;

	if (local.port)
		return tcp_connect_by(t->tcp, s->device, &local, remote, rules, s, now, &s->conn);
	for (uint32_t i = 0; i < range; i++) {
		local.port = (uint16_t)(t->config.port_min + t->rover++ % range);
		if (local.port % t->config.shards != t->shard)
			continue;
		err = tcp_connect_by(t->tcp, s->device, &local, remote, rules, s, now, &s->conn);
		if (err != -EADDRINUSE)
			return err;
	}
	return -EADDRNOTAVAIL;
}

/* --- claims ---------------------------------------------------------------------------------------- */

struct sock_port {
	struct table_node node;
	struct endpoint local;
	uint32_t flags; /* as sock_port_claim's */
	_Atomic uint32_t holders; /* the socket that was bound, and those that it accepted */
	_Atomic bool listening;
};

struct sock_ports {
	const struct memory *memory;
	struct table table;
	struct pool pool;
	uint32_t rover;
	uint16_t min, max;
};

struct sock_ports *sock_ports_create(const struct memory *m, uint16_t min, uint16_t max)
{
	struct sock_ports *p = m->take(m->ctx, sizeof(*p));

	if (!p)
		return NULL;
	p->memory = m;
	p->min = min;
	p->max = max;
	if (table_init(&p->table, m, 4096)) {
		m->give(m->ctx, p, sizeof(*p));
		return NULL;
	}
	pool_init(&p->pool, m, sizeof(struct sock_port), 65536u * 4);
	return p;
}

void sock_ports_destroy(struct sock_ports *p)
{
	const struct memory *m = p->memory;

	table_destroy(&p->table);
	pool_destroy(&p->pool);
	m->give(m->ctx, p, sizeof(*p));
}

static bool overlaps(const struct sock_port *c, const struct endpoint *local, uint32_t flags)
{
	bool any_a = addr_is_unspecified(&c->local.addr), any_b = addr_is_unspecified(&local->addr);
	bool v4_a = any_a ? c->flags & STACKD_BIND_IPV4 : addr_is4(&c->local.addr);
	bool v4_b = any_b ? flags & STACKD_BIND_IPV4 : addr_is4(&local->addr);

	if (!any_a && !any_b)
		return addr_equal(&c->local.addr, &local->addr);
	if (v4_a == v4_b)
		return true;
	/* one is IPv4, the other IPv6: they meet only where the IPv6 one is a dual-stack wildcard */
	return v4_a ? any_b && !(flags & STACKD_BIND_V6ONLY) : any_a && !(c->flags & STACKD_BIND_V6ONLY);
}

static bool conflicts(const struct sock_port *c, const struct endpoint *local, uint32_t flags)
{
	uint32_t device_a = c->flags >> 8, device_b = flags >> 8;

	if (device_a != NET_ANY && device_b != NET_ANY && device_a != device_b)
		return false;
	if (!overlaps(c, local, flags))
		return false;
	if (c->flags & flags & STACKD_BIND_REUSEPORT)
		return false;
	return !(c->flags & flags & STACKD_BIND_REUSEADDR) || c->listening;
}

/* Walks the claims of a port, dropping those that were released. */
static bool port_free(struct sock_ports *p, const struct endpoint *local, uint32_t flags)
{
	struct table_node *next;

	for (struct table_node *n = table_chain(&p->table, local->port); n; n = next) {
		struct sock_port *c = container_of(n, struct sock_port, node);

		next = n->next;
		if (n->hash != local->port)
			continue;
		if (atomic_load_explicit(&c->holders, memory_order_acquire) == 0) {
			table_remove(&p->table, n);
			pool_give(&p->pool, c);
		} else if (conflicts(c, local, flags)) {
			return false;
		}
	}
	return true;
}

static bool choose_port(struct sock_ports *p, struct endpoint *local, uint32_t flags)
{
	uint32_t range = (uint32_t)(p->max - p->min) + 1;

	for (uint32_t i = 0; i < range; i++) {
		local->port = (uint16_t)(p->min + p->rover++ % range);
		if (port_free(p, local, flags & ~(uint32_t)(STACKD_BIND_REUSEADDR | STACKD_BIND_REUSEPORT)))
			return true;
	}
	local->port = 0;
	return false;
}

int sock_port_claim(struct sock_ports *p, struct endpoint *local, uint32_t flags, struct sock_port **out)
{
	struct sock_port *c;

	if (local->port ? !port_free(p, local, flags) : !choose_port(p, local, flags))
		return -EADDRINUSE;
	c = pool_take(&p->pool);
	if (!c)
		return -ENOBUFS;
	c->local = *local;
	c->flags = flags;
	atomic_store_explicit(&c->holders, 1, memory_order_relaxed);
	table_insert(&p->table, &c->node, local->port);
	*out = c;
	return 0;
}

void sock_port_hold(struct sock_port *c)
{
	atomic_fetch_add_explicit(&c->holders, 1, memory_order_relaxed);
}

void sock_port_release(struct sock_port *c)
{
	uint32_t before = atomic_fetch_sub_explicit(&c->holders, 1, memory_order_acq_rel);

	assert(before > 0);
	(void)before;
}

void sock_port_listening(struct sock_port *c, bool listening)
{
	atomic_store_explicit(&c->listening, listening, memory_order_relaxed);
}
