/* SPDX-License-Identifier: BSD-2-Clause */
/* net.c - making a net, the dispatch of what arrives by EtherType, flush and timers.
 *
 * The only file that knows all the others.  What a protocol means is in the file of its name. */
#include "net/state.h"

#include <string.h>

/* --- making ------------------------------------------------------------------------ */

/* RFC 4291 appendix A: a modified EUI-64 under fe80::/64 */
static struct prefix link_local_of(const uint8_t mac[MAC_BYTES])
{
	return (struct prefix){.addr = {.b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2u, mac[1],
					      mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}},
			       .bits = 64};
}

static void add_broadcast4(struct net_if *iface, const struct prefix *p)
{
	struct addr all = p->addr;

	if (p->bits < 96 || p->bits >= 127) /* RFC 3021: a /31 has none */
		return;
	for (uint32_t bit = p->bits; bit < 128; bit++)
		all.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	iface->broadcast4[iface->broadcast4_count++] = all;
}

static void if_not_source(struct net_if *iface)
{
	for (uint32_t i = 0; i < iface->address_count; i++)
		iface->not_source[iface->not_source_count++] = iface->address[i].addr;
	for (uint32_t i = 0; i < iface->broadcast4_count; i++)
		iface->not_source[iface->not_source_count++] = iface->broadcast4[i];
}

/* The link-local address is there only beside another of IPv6: an IPv4 set-up stays silent. */
static void if_addresses(struct net_if *iface, const struct net_if_config *c)
{
	bool has_link_local = false;

	assert(c->address_count <= ADDRESSES_MAX);
	for (uint32_t i = 0; i < c->address_count; i++) {
		iface->address[i] = c->address[i];
		if (addr_is4(&c->address[i].addr)) {
			add_broadcast4(iface, &c->address[i]);
			continue;
		}
		iface->has_ip6 = true;
		has_link_local |= addr_is_link_local(&c->address[i].addr);
	}
	iface->address_count = c->address_count;
	if (iface->has_ip6 && !has_link_local)
		iface->address[iface->address_count++] = link_local_of(iface->mac);
	if_not_source(iface);
}

static void if_init(struct net_if *iface, uint8_t index, const struct net_if_config *c)
{
	const struct driver_caps *caps = &c->driver->caps;

	iface->driver = c->driver;
	iface->rx_csum = c->rx_csum;
	iface->index = index;
	iface->tx_csum = caps->tx_csum;
	iface->mtu = c->mtu && c->mtu < caps->mtu ? c->mtu : caps->mtu;
	iface->gso_max = iface->mtu;
	if (caps->tx_csum && caps->gso_max > ETH_BYTES + caps->mtu)
		iface->gso_max =
		    (caps->gso_max < FRAME_GSO_MAX ? caps->gso_max : FRAME_GSO_MAX) - ETH_BYTES;
	memcpy(iface->mac, caps->mac, MAC_BYTES);
	iface->gateway4 = c->gateway4;
	iface->gateway6 = c->gateway6;
	if_addresses(iface, c);
}

/* What is announced leaves with the first net_flush, on the shard's own thread. */
static void announce(struct net *net)
{
	for (uint32_t i = 0; i < net->interface_count; i++) {
		const struct net_if *iface = &net->interface[i];

		for (uint32_t k = 0; k < iface->address_count; k++) {
			const struct addr *own = &iface->address[k].addr;

			if (addr_is4(own))
				arp_announce(net, iface, own);
			else
				nd_announce(net, iface, own);
		}
	}
}

struct net *net_create(const struct net_config *c, ns_t now)
{
	const struct memory *m = c->memory;
	struct net *net = m->take(m->ctx, sizeof(*net));

	if (!net)
		return NULL;
	assert(c->interface_count <= INTERFACES_MAX);
	net->memory = m;
	net->counters = c->counters;
	net->secret = c->secret;
	net->now = net->icmp_refilled = now;
	net->icmp_tokens = ICMP_BURST;
	for (uint32_t i = 0; i < c->interface_count; i++)
		if_init(&net->interface[i], (uint8_t)i, &c->interface[i]);
	net->interface_count = c->interface_count;
	net->slot = m->take(m->ctx, SLOTS_MAX * sizeof(*net->slot));
	net->pmtu = m->take(m->ctx, PMTU_SETS * sizeof(*net->pmtu));
	net->loop = m->take(m->ctx, (size_t)LOOP_SLOTS * LOOP_SLOT_BYTES);
	if (neigh_init(net) != 0 || !net->slot || !net->pmtu || !net->loop) {
		net_destroy(net);
		return NULL;
	}
	slots_init(net);
	announce(net);
	return net;
}

void net_destroy(struct net *net)
{
	const struct memory *m = net->memory;

	neigh_destroy(net);
	if (net->slot)
		m->give(m->ctx, net->slot, SLOTS_MAX * sizeof(*net->slot));
	if (net->pmtu)
		m->give(m->ctx, net->pmtu, PMTU_SETS * sizeof(*net->pmtu));
	if (net->loop)
		m->give(m->ctx, net->loop, (size_t)LOOP_SLOTS * LOOP_SLOT_BYTES);
	m->give(m->ctx, net, sizeof(*net));
}

/* --- in ---------------------------------------------------------------------------- */

static bool frame_begin(struct net *net, struct packet *p, uint32_t interface)
{
	const struct frame *f = p->frame;

	p->iface = NULL;
	p->group = false;
	if (interface != NET_LOOP) {
		assert(interface < net->interface_count);
		p->iface = &net->interface[interface];
	}
	if (f->span_count == 0 || f->span[0].len < ETH_BYTES) {
		count(net->counters, COUNT_eth_short);
		return false;
	}
	p->eth = (const void *)f->span[0].base;
	p->ip = f->span[0].base + ETH_BYTES;
	return !p->iface || eth_accept(net, p);
}

enum net_verdict net_input(struct net *net, uint32_t interface, const struct frame *frame, ns_t now,
			   struct net_result *out)
{
	struct packet p;

	p.frame = frame;
	p.now = net->now = now;
	if (!frame_begin(net, &p, interface))
		return NET_DONE;
	switch (get_be16(p.eth->type)) {
	case ETH_TYPE_IP4:
		return ip4_input(net, &p, out);
	case ETH_TYPE_IP6:
		return ip6_input(net, &p, out);
	case ETH_TYPE_ARP:
		return arp_input(net, &p, out);
	default:
		count(net->counters, COUNT_eth_unknown_type);
		return NET_DONE;
	}
}

/* --- flush and timers -------------------------------------------------------------- */

void net_set_tape(struct net *net, struct tape *tape)
{
	net->tape = tape;
}

void net_flush(struct net *net, ns_t now)
{
	net->now = now;
	neigh_timers(net, now);
	for (uint32_t i = 0; i < net->interface_count; i++) {
		struct driver *d = net->interface[i].driver;

		d->ops->flush(d, now);
	}
	slots_flushed(net);
}

ns_t net_deadline(const struct net *net)
{
	return loop_pending(net) ? 0 : net->neigh_due;
}
