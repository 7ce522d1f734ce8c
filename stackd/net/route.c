/* SPDX-License-Identifier: BSD-2-Clause */
/* route.c - our addresses, the prefixes on each link, and which way a destination lies.
 *
 * The longest on-link prefix wins, then the gateway of the first interface that has one for the
 * family; an interface that owns the given source goes first (RFC 1122 3.3.4.2, strong host).  All
 * of it is configured; nothing is learned but path MTUs (pmtu.c). */
#include "net/state.h"

#include <errno.h>

bool if_owns(const struct net_if *iface, const struct addr *a)
{
	for (uint32_t i = 0; i < iface->address_count; i++) {
		if (addr_equal(&iface->address[i].addr, a))
			return true;
	}
	return false;
}

bool net_is_local(const struct net *net, const struct addr *a)
{
	for (uint32_t i = 0; i < net->interface_count; i++) {
		if (if_owns(&net->interface[i], a))
			return true;
	}
	return false;
}

static bool is_subnet_broadcast(const struct net_if *iface, const struct addr *a)
{
	for (uint32_t i = 0; i < iface->broadcast4_count; i++) {
		if (addr_equal(&iface->broadcast4[i], a))
			return true;
	}
	return false;
}

bool if_is_group(const struct net_if *iface, const struct addr *a)
{
	return addr_is_multicast(a) || addr_is_broadcast4(a) || addr_is_unspecified(a) ||
	       is_subnet_broadcast(iface, a);
}

bool ip_is_loopback(const struct addr *a)
{
	static const struct addr loopback6 = {
	    .b = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	return addr_is4(a) ? a->b[12] == 127 : addr_equal(a, &loopback6);
}

bool ip_bad_source(const struct packet *p)
{
	const struct net_if *iface = p->iface;
	const struct addr *a = &p->src;
	uint8_t first = a->b[12];

	if (!iface)
		return false;
	if (addr_is4(a)) {
		if (first == 0 || first == 127 || first >= 224) /* RFC 1122 3.2.1.3, 240/4 too */
			return true;
	} else if (a->b[0] == 0xff || a->q[0] == 0) { /* groups; ::, ::1, compatible */
		return true;
	}
	for (uint32_t i = 0; i < iface->not_source_count; i++) {
		if (addr_equal(&iface->not_source[i], a))
			return true;
	}
	return false;
}

/* The longest of the interface's prefixes that holds `a`; NULL when it isn't on the link. */
static const struct prefix *if_prefix(const struct net_if *iface, const struct addr *a)
{
	const struct prefix *best = NULL;

	for (uint32_t i = 0; i < iface->address_count; i++) {
		const struct prefix *x = &iface->address[i];

		if ((!best || x->bits > best->bits) && prefix_contains(x, a))
			best = x;
	}
	return best;
}

static const struct addr *if_gateway(const struct net_if *iface, const struct addr *dst)
{
	const struct addr *gateway = addr_is4(dst) ? &iface->gateway4 : &iface->gateway6;

	return addr_is_unspecified(gateway) ? NULL : gateway;
}

bool if_is_on_link(const struct net_if *iface, const struct addr *a)
{
	const struct addr *gateway = if_gateway(iface, a);

	return if_prefix(iface, a) || (gateway && addr_equal(gateway, a));
}

const struct addr *if_source(const struct net_if *iface, const struct addr *dst)
{
	const struct prefix *on_link = if_prefix(iface, dst);
	const struct addr *fallback = NULL;

	if (on_link)
		return &on_link->addr;
	for (uint32_t i = 0; i < iface->address_count; i++) {
		const struct addr *own = &iface->address[i].addr;

		if (addr_is4(own) != addr_is4(dst))
			continue;
		if (!addr_is_link_local(own))
			return own;
		fallback = fallback ? fallback : own;
	}
	return fallback;
}

/* --- choosing ---------------------------------------------------------------------- */

struct choice {
	const struct net_if *iface;
	const struct addr *next_hop;
	uint32_t bits;
};

/* Among the interfaces that own `src` (NULL: all). */
static bool choose(const struct net *net, uint32_t device, const struct addr *dst,
		   const struct addr *src, struct choice *c)
{
	*c = (struct choice){0};
	for (uint32_t i = 0; i < net->interface_count; i++) {
		const struct net_if *iface = &net->interface[i];
		const struct prefix *on_link = if_prefix(iface, dst);
		const struct addr *gateway = if_gateway(iface, dst);

		if ((device != NET_ANY && i != device - 1) || (src && !if_owns(iface, src)))
			continue;
		if (on_link && (!c->iface || on_link->bits > c->bits))
			*c = (struct choice){iface, dst, on_link->bits};
		else if (gateway && !c->iface)
			*c = (struct choice){iface, gateway, 0};
	}
	return c->iface;
}

static void route_local(const struct addr *dst, const struct addr *src, struct net_route *out)
{
	*out = (struct net_route){.src = src ? *src : *dst,
				  .next_hop = *dst,
				  .mtu = LOOP_MTU,
				  .gso_max = LOOP_MTU,
				  .interface = NET_LOOP,
				  .local = true};
}

static bool is_group_somewhere(const struct net *net, const struct addr *a)
{
	for (uint32_t i = 0; i < net->interface_count; i++) {
		if (if_is_group(&net->interface[i], a))
			return true;
	}
	return net->interface_count == 0;
}

int net_route_by(struct net *net, uint32_t device, const struct addr *dst, const struct addr *src,
		 struct net_route *out)
{
	struct choice c;

	if (is_group_somewhere(net, dst))
		return -EINVAL;
	if (src && addr_is_unspecified(src))
		src = NULL;
	if (src && (!net_is_local(net, src) || addr_is4(src) != addr_is4(dst)))
		return -EADDRNOTAVAIL;
	if (net_is_local(net, dst)) {
		if (device != NET_ANY)
			return -ENETUNREACH;
		route_local(dst, src, out);
		return 0;
	}
	if (ip_is_loopback(dst))
		return -ENETUNREACH;
	if (!(src && choose(net, device, dst, src, &c)) && !choose(net, device, dst, NULL, &c))
		return -ENETUNREACH;
	if (!src && !(src = if_source(c.iface, dst)))
		return -ENETUNREACH;
	*out = (struct net_route){.src = *src,
				  .next_hop = *c.next_hop,
				  .mtu = pmtu_of(net, dst, c.iface->mtu),
				  .interface = c.iface->index};
	/* the kernel cuts a big frame into segments of gso_size, so that a smaller path is fine too
	 */
	out->gso_max = c.iface->gso_max > c.iface->mtu ? c.iface->gso_max : out->mtu;
	return 0;
}
