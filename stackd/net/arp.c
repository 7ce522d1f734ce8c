/* SPDX-License-Identifier: BSD-2-Clause */
/* arp.c - ARP (RFC 826, 5227): answers for our addresses, asks for neighbours, announces us.
 *
 * Leaves to neigh.c when to ask and what an answer means.  Believes only stations of the link's
 * prefixes; an entry is made only for who asks for us, others refresh what we already hold.  A
 * claim to one of our addresses is counted, not defended. */
#include "net/state.h"

#include <string.h>

static void arp_send(struct net *net, const struct net_if *iface, const uint8_t dst[MAC_BYTES],
		     const struct arp_wire *arp)
{
	uint8_t frame[sizeof(struct eth_wire) + sizeof(struct arp_wire)];

	eth_header((struct eth_wire *)(void *)frame, dst, iface, ETH_TYPE_ARP);
	memcpy(frame + ETH_BYTES, arp, sizeof(*arp));
	count(net->counters, COUNT_arp_tx);
	output_short(net, iface, frame, sizeof(frame), false);
}

static struct arp_wire arp_packet(const struct net_if *iface, uint16_t operation,
				  const uint8_t sender[4], const uint8_t target[4])
{
	struct arp_wire arp = {.hardware_len = MAC_BYTES, .protocol_len = 4};

	put_be16(arp.hardware, ARP_HARDWARE_ETHERNET);
	put_be16(arp.protocol, ETH_TYPE_IP4);
	put_be16(arp.operation, operation);
	memcpy(arp.sender_mac, iface->mac, MAC_BYTES);
	memcpy(arp.sender_ip, sender, 4);
	memcpy(arp.target_ip, target, 4);
	return arp;
}

void arp_ask(struct net *net, const struct net_if *iface, const struct addr *target,
	     const uint8_t *mac)
{
	const struct addr *own = if_source(iface, target);
	struct arp_wire arp;

	if (!own)
		return;
	arp = arp_packet(iface, ARP_REQUEST, own->b + 12, target->b + 12);
	arp_send(net, iface, mac ? mac : eth_broadcast, &arp);
}

/* RFC 5227 2.3: sender and target are the same */
void arp_announce(struct net *net, const struct net_if *iface, const struct addr *own)
{
	struct arp_wire arp = arp_packet(iface, ARP_REQUEST, own->b + 12, own->b + 12);

	arp_send(net, iface, eth_broadcast, &arp);
}

static void arp_answer(struct net *net, const struct net_if *iface, const struct arp_wire *request)
{
	struct arp_wire arp = arp_packet(iface, ARP_REPLY, request->target_ip, request->sender_ip);

	memcpy(arp.target_mac, request->sender_mac, MAC_BYTES);
	arp_send(net, iface, request->sender_mac, &arp);
}

static bool arp_is_well_formed(const struct packet *p, const struct arp_wire *arp)
{
	uint16_t operation;

	if (p->frame->span[0].len < ETH_BYTES + sizeof(*arp))
		return false;
	operation = get_be16(arp->operation);
	return get_be16(arp->hardware) == ARP_HARDWARE_ETHERNET &&
	       get_be16(arp->protocol) == ETH_TYPE_IP4 && arp->hardware_len == MAC_BYTES &&
	       arp->protocol_len == 4 && (operation == ARP_REQUEST || operation == ARP_REPLY) &&
	       eth_is_station(arp->sender_mac);
}

/* A sender that may be entered in the table; a probe (RFC 5227) has no address yet. */
static bool arp_is_neighbour(const struct net_if *iface, const struct addr *sender)
{
	return !if_is_group(iface, sender) && if_is_on_link(iface, sender);
}

enum net_verdict arp_input(struct net *net, struct packet *p, struct net_result *out)
{
	const struct arp_wire *arp = (const void *)(p->eth + 1);
	struct addr sender, target;
	bool request, to_us, news;

	if (!p->iface || !arp_is_well_formed(p, arp)) {
		count(net->counters, COUNT_arp_malformed);
		return NET_DONE;
	}
	count(net->counters, COUNT_arp_rx);
	sender = addr_from4(arp->sender_ip);
	target = addr_from4(arp->target_ip);
	if (if_owns(p->iface, &sender)) {
		if (memcmp(arp->sender_mac, p->iface->mac, MAC_BYTES) != 0)
			count(net->counters, COUNT_address_conflict);
		return NET_DONE;
	}
	request = get_be16(arp->operation) == ARP_REQUEST;
	to_us = if_owns(p->iface, &target);
	if (request && to_us)
		arp_answer(net, p->iface, arp);
	if (!arp_is_neighbour(p->iface, &sender))
		return NET_DONE;
	out->neighbour = (struct net_neighbour){.interface = p->iface->index, .addr = sender};
	out->neighbour.confirmed = !request && to_us && !p->group;
	memcpy(out->neighbour.mac, arp->sender_mac, MAC_BYTES);
	news = neigh_learn(net, p->iface->index, &sender, arp->sender_mac,
			   NEIGH_OVERRIDE | (request && to_us ? NEIGH_CREATE : 0u) |
			       (out->neighbour.confirmed ? NEIGH_CONFIRMED : 0u),
			   p->now);
	return news || out->neighbour.confirmed ? NET_NEIGHBOUR : NET_DONE;
}
