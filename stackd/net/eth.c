/* SPDX-License-Identifier: BSD-2-Clause */
/* eth.c - Ethernet: which frames are for us, and the headers of ours.
 *
 * Owns nothing.  VLAN tags and 802.3 lengths are not known here: such frames have an unknown
 * EtherType. */
#include "net/state.h"

#include <string.h>

const uint8_t eth_broadcast[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void eth_group_mac(const struct addr *group, uint8_t mac[MAC_BYTES])
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, group->b + 12, 4);
}

/* The all-nodes group, or one that an address of ours makes us listen to. */
static bool is_own_group(const struct net_if *iface, const uint8_t mac[MAC_BYTES])
{
	static const uint8_t all_nodes[MAC_BYTES] = {0x33, 0x33, 0, 0, 0, 1};
	struct addr group = {.b = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	if (!iface->has_ip6 || mac[0] != 0x33 || mac[1] != 0x33)
		return false;
	if (memcmp(mac, all_nodes, MAC_BYTES) == 0)
		return true;
	memcpy(group.b + 12, mac + 2, 4);
	return nd_is_own_group(iface, &group);
}

static bool accept_group(struct packet *p)
{
	p->group = true;
	return memcmp(p->eth->dst, eth_broadcast, MAC_BYTES) == 0 ||
	       is_own_group(p->iface, p->eth->dst);
}

bool eth_accept(struct net *net, struct packet *p)
{
	p->group = false;
	if (memcmp(p->eth->dst, p->iface->mac, MAC_BYTES) == 0)
		return true;
	if (eth_is_group(p->eth->dst) && accept_group(p))
		return true;
	count(net->counters, COUNT_eth_not_ours);
	return false;
}

void eth_header(struct eth_wire *eth, const uint8_t dst[MAC_BYTES], const struct net_if *iface,
		uint16_t type)
{
	memcpy(eth->dst, dst, MAC_BYTES);
	memcpy(eth->src, iface->mac, MAC_BYTES);
	put_be16(eth->type, type);
}

bool eth_is_station(const uint8_t mac[MAC_BYTES])
{
	static const uint8_t zero[MAC_BYTES];

	return !eth_is_group(mac) && memcmp(mac, zero, MAC_BYTES) != 0;
}
