/* SPDX-License-Identifier: BSD-2-Clause */
/* nd.c - neighbour discovery (RFC 4861): answers for our addresses, asks for neighbours, announces.
 *
 * Leaves to neigh.c when to ask and what an answer means.  Router advertisements are ignored:
 * addresses and gateways are configured.  Duplicate address detection is an announcement; a claim
 * to one of our addresses is counted, not defended. */
#include "net/state.h"

#include <string.h>

#include "base/checksum.h"

#define ND_MESSAGE_BYTES ((uint32_t)(sizeof(struct nd_wire) + sizeof(struct nd_mac_option_wire)))

static const struct addr all_nodes = {.b = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

static struct addr solicited_node(const struct addr *a)
{
	struct addr group = {.b = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};

	memcpy(group.b + 13, a->b + 13, 3);
	return group;
}

bool nd_is_own_group(const struct net_if *iface, const struct addr *group)
{
	for (uint32_t i = 0; i < iface->address_count; i++) {
		struct addr own = solicited_node(&iface->address[i].addr);

		if (!addr_is4(&iface->address[i].addr) && addr_equal(&own, group))
			return true;
	}
	return false;
}

/* --- out -----------------------------------------------------------------------------------------
 */

struct nd_message {
	uint8_t type, flags, option;
	const struct addr *src, *dst, *target;
	const uint8_t *dst_mac; /* NULL: the group's */
};

static void nd_send(struct net *net, const struct net_if *iface, const struct nd_message *m)
{
	uint8_t frame[ETH_BYTES + IP6_BYTES + ND_MESSAGE_BYTES] = {0};
	struct nd_wire *nd = (void *)(frame + ETH_BYTES + IP6_BYTES);
	struct nd_mac_option_wire *option = (void *)(nd + 1);
	uint8_t group_mac[MAC_BYTES];
	uint16_t sum;

	nd->type = m->type;
	nd->flags = m->flags;
	memcpy(nd->target, m->target->b, sizeof(nd->target));
	option->type = m->option;
	option->length_8 = 1;
	memcpy(option->mac, iface->mac, MAC_BYTES);
	sum = checksum_finish(
	    checksum_add(checksum_pseudo(m->src, m->dst, IP_PROTOCOL_ICMP6, ND_MESSAGE_BYTES), nd,
			 ND_MESSAGE_BYTES));
	memcpy(nd->checksum, &sum, sizeof(sum));
	ip6_header((uint8_t *)nd, &(struct ip_fields){.src = m->src,
						      .dst = m->dst,
						      .ttl = ND_HOP_LIMIT,
						      .protocol = IP_PROTOCOL_ICMP6,
						      .l4_len = ND_MESSAGE_BYTES});
	eth_group_mac(m->dst, group_mac);
	eth_header((struct eth_wire *)(void *)frame, m->dst_mac ? m->dst_mac : group_mac, iface,
		   ETH_TYPE_IP6);
	output_short(net, iface, frame, sizeof(frame), true);
}

/* The source is one of our configured addresses before the link-local one: whoever steers frames
 * to us by address then hands us the answer too. */
void nd_ask(struct net *net, const struct net_if *iface, const struct addr *target,
	    const uint8_t *mac)
{
	struct addr group = solicited_node(target);
	struct nd_message m = {.type = ICMP6_NEIGHBOUR_SOLICITATION,
			       .option = ND_OPTION_SOURCE_MAC,
			       .src = if_source(iface, target),
			       .dst = mac ? target : &group,
			       .target = target,
			       .dst_mac = mac};

	if (m.src)
		nd_send(net, iface, &m);
}

void nd_announce(struct net *net, const struct net_if *iface, const struct addr *own)
{
	struct nd_message m = {.type = ICMP6_NEIGHBOUR_ADVERTISEMENT,
			       .flags = ND_FLAG_OVERRIDE,
			       .option = ND_OPTION_TARGET_MAC,
			       .src = own,
			       .dst = &all_nodes,
			       .target = own};

	nd_send(net, iface, &m);
}

/* RFC 4861 7.2.4; a probe from the unspecified address is answered to all (RFC 4862 5.4.3) */
static void nd_answer(struct net *net, const struct packet *p, const struct addr *target)
{
	bool probe = addr_is_unspecified(&p->src);
	struct nd_message m = {.type = ICMP6_NEIGHBOUR_ADVERTISEMENT,
			       .flags =
				   (uint8_t)(ND_FLAG_OVERRIDE | (probe ? 0 : ND_FLAG_SOLICITED)),
			       .option = ND_OPTION_TARGET_MAC,
			       .src = target,
			       .dst = probe ? &all_nodes : &p->src,
			       .target = target,
			       .dst_mac = probe ? NULL : p->eth->src};

	nd_send(net, p->iface, &m);
}

/* --- in ------------------------------------------------------------------------------------------
 */

/* Finds the MAC in the option `wanted`, if there is one; false when the options are malformed. */
static bool nd_options(const struct packet *p, uint8_t wanted, const uint8_t **mac)
{
	const uint8_t *at = p->l4 + sizeof(struct nd_wire);
	const uint8_t *end = p->l4 + p->l4_len;

	*mac = NULL;
	while (at < end) {
		uint32_t len;

		if (end - at < 8)
			return false;
		len = at[1] * 8u;
		if (len == 0 || len > (uint32_t)(end - at))
			return false;
		if (at[0] == wanted)
			*mac = at + 2;
		at += len;
	}
	return !*mac || eth_is_station(*mac);
}

/* RFC 4861 7.1.1 and 7.1.2, what both share */
static bool nd_is_well_formed(const struct packet *p, const struct nd_wire *nd, struct addr *target)
{
	if (p->ttl != ND_HOP_LIMIT || p->l4_len < sizeof(*nd) || p->l4_linear < p->l4_len ||
	    nd->code != 0)
		return false;
	memcpy(target->b, nd->target, sizeof(target->b));
	return !addr_is_multicast(target) && !addr_is_unspecified(target) && !addr_is4(target);
}

static enum net_verdict nd_malformed(struct net *net)
{
	count(net->counters, COUNT_nd_malformed);
	return NET_DONE;
}

static enum net_verdict nd_heard(struct net *net, const struct packet *p, const struct addr *who,
				 const uint8_t *mac, unsigned flags, struct net_result *out)
{
	bool confirmed = flags & NEIGH_CONFIRMED;
	bool news = neigh_learn(net, p->iface->index, who, mac, flags, p->now);

	if (!mac || !(news || confirmed))
		return NET_DONE;
	out->neighbour = (struct net_neighbour){
	    .interface = p->iface->index, .addr = *who, .confirmed = confirmed};
	memcpy(out->neighbour.mac, mac, MAC_BYTES);
	return NET_NEIGHBOUR;
}

/* A duplicate address probe or an advertisement for what is ours. */
static void nd_conflict(struct net *net, const struct packet *p)
{
	if (memcmp(p->eth->src, p->iface->mac, MAC_BYTES) != 0)
		count(net->counters, COUNT_address_conflict);
}

/* RFC 4861 7.2.3 */
static enum net_verdict nd_solicitation(struct net *net, const struct packet *p,
					struct net_result *out)
{
	const struct nd_wire *nd = (const void *)p->l4;
	struct addr target, group;
	const uint8_t *mac;
	bool probe = addr_is_unspecified(&p->src);

	if (!nd_is_well_formed(p, nd, &target) || !nd_options(p, ND_OPTION_SOURCE_MAC, &mac))
		return nd_malformed(net);
	group = solicited_node(&target);
	if (probe && (mac || !addr_equal(&p->dst, &group)))
		return nd_malformed(net);
	if (!if_owns(p->iface, &target))
		return NET_DONE;
	if (probe)
		nd_conflict(net, p);
	nd_answer(net, p, &target);
	if (!mac || !if_is_on_link(p->iface, &p->src))
		return NET_DONE;
	return nd_heard(net, p, &p->src, mac, NEIGH_CREATE | NEIGH_OVERRIDE, out);
}

/* RFC 4861 7.2.5 */
static enum net_verdict nd_advertisement(struct net *net, const struct packet *p,
					 struct net_result *out)
{
	const struct nd_wire *nd = (const void *)p->l4;
	struct addr target;
	const uint8_t *mac;
	bool solicited = nd->flags & ND_FLAG_SOLICITED;

	if (!nd_is_well_formed(p, nd, &target) || !nd_options(p, ND_OPTION_TARGET_MAC, &mac) ||
	    (solicited && p->group))
		return nd_malformed(net);
	if (if_owns(p->iface, &target)) {
		nd_conflict(net, p);
		return NET_DONE;
	}
	if (!if_is_on_link(p->iface, &target))
		return NET_DONE;
	return nd_heard(net, p, &target, mac,
			(solicited ? NEIGH_CONFIRMED : 0u) |
			    (nd->flags & ND_FLAG_OVERRIDE ? NEIGH_OVERRIDE : 0u),
			out);
}

enum net_verdict nd_input(struct net *net, struct packet *p, struct net_result *out)
{
	switch (p->l4[0]) {
	case ICMP6_NEIGHBOUR_SOLICITATION:
		return nd_solicitation(net, p, out);
	case ICMP6_NEIGHBOUR_ADVERTISEMENT:
		return nd_advertisement(net, p, out);
	default:
		assert(p->l4[0] == ICMP6_ROUTER_ADVERTISEMENT);
		count(net->counters, COUNT_nd_ra_ignored);
		return NET_DONE;
	}
}
