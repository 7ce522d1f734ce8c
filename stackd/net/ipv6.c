/* SPDX-License-Identifier: BSD-2-Clause */
/* ipv6.c - IPv6 (RFC 8200): what is accepted, and the headers of ours.
 *
 * Hop-by-hop, destination options and a finished routing header are skipped, so far as they fit in
 * what a frame's first span holds for sure.  Fragments are refused. */
#include "net/state.h"

#include <string.h>

#define EXTENSIONS_MAX      8u
#define EXTENSION_BYTES_MAX 128u /* leaves room for a TCP header in the first span's 256 bytes */

static enum net_verdict refuse(struct net *net, enum count_id reason)
{
	count(net->counters, reason);
	return NET_DONE;
}

static bool ip6_lengths(struct net *net, struct packet *p)
{
	const struct ip6_wire *ip = (const void *)p->ip;

	if (p->frame->span[0].len < ETH_BYTES + IP6_BYTES) {
		count(net->counters, COUNT_ip6_short);
		return false;
	}
	if (ip->version_class_flow[0] >> 4 != 6) {
		count(net->counters, COUNT_ip_version);
		return false;
	}
	p->ip_len = IP6_BYTES + get_be16(ip->payload_length);
	if (p->ip_len > p->frame->len - ETH_BYTES) {
		count(net->counters, COUNT_ip6_short);
		return false;
	}
	return true;
}

/* True for our own addresses and the groups that we listen to; sets p->group. */
static bool ip6_is_ours(struct net *net, struct packet *p)
{
	static const struct addr all_nodes = {
	    .b = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	if (addr_is4(&p->dst)) /* no mapped address may come from a wire */
		return false;
	if (!p->iface)
		return net_is_local(net, &p->dst);
	if (!addr_is_multicast(&p->dst))
		return if_owns(p->iface, &p->dst);
	p->group = true;
	return addr_equal(&p->dst, &all_nodes) || nd_is_own_group(p->iface, &p->dst);
}

/* A duplicate address probe has no source yet: ICMPv6 decides. */
static bool ip6_source_refused(const struct packet *p)
{
	if (addr_is_unspecified(&p->src))
		return p->protocol != IP_PROTOCOL_ICMP6;
	return ip_bad_source(p) || addr_is4(&p->src);
}

enum walk { WALK_ON, WALK_END, WALK_FRAGMENT, WALK_REFUSED };

/* One step along the chain; *at is moved past the header that it looks at. */
static enum walk ip6_step(const struct packet *p, uint8_t *next, uint32_t *at)
{
	const struct ip6_extension_wire *e = (const void *)(p->ip + *at);
	uint32_t linear = p->frame->span[0].len - ETH_BYTES;
	uint32_t room = p->ip_len < linear ? p->ip_len : linear;
	uint32_t len;

	if (*next == IP_PROTOCOL_FRAGMENT)
		return WALK_FRAGMENT;
	if (*next != IP_PROTOCOL_HOP_BY_HOP && *next != IP_PROTOCOL_DESTINATION &&
	    *next != IP_PROTOCOL_ROUTING)
		return WALK_END;
	if (*next == IP_PROTOCOL_HOP_BY_HOP && *at != IP6_BYTES)
		return WALK_REFUSED;
	if (*at + sizeof(*e) > room)
		return WALK_REFUSED;
	len = (e->length_8 + 1u) * 8u;
	if (len > room - *at || *at + len > IP6_BYTES + EXTENSION_BYTES_MAX)
		return WALK_REFUSED;
	if (*next == IP_PROTOCOL_ROUTING && e->segments_left != 0)
		return WALK_REFUSED;
	*next = e->next_header;
	*at += len;
	return WALK_ON;
}

/* Sets protocol and *header to what follows the extension headers. */
static enum walk ip6_walk(struct packet *p, uint32_t *header)
{
	enum walk w = WALK_ON;

	p->protocol = ((const struct ip6_wire *)(const void *)p->ip)->next_header;
	*header = IP6_BYTES;
	for (uint32_t i = 0; i <= EXTENSIONS_MAX && w == WALK_ON; i++)
		w = ip6_step(p, &p->protocol, header);
	return w == WALK_ON ? WALK_REFUSED : w;
}

/* Where the number of the header at `header` stands: the pointer of a parameter problem. */
static uint32_t next_header_at(const struct packet *p, uint32_t header)
{
	uint32_t at = IP6_BYTES, where = offsetof(struct ip6_wire, next_header);

	while (at < header) {
		where = at;
		at += (p->ip[at + 1] + 1u) * 8u;
	}
	return where;
}

static enum net_verdict ip6_protocol(struct net *net, struct packet *p, uint32_t header,
				     struct net_result *out)
{
	switch (p->protocol) {
	case IP_PROTOCOL_TCP:
		return l4_segment(net, p, out);
	case IP_PROTOCOL_ICMP6:
		return icmp6_input(net, p, out);
	case IP_PROTOCOL_NONE:
		break;
	case IP_PROTOCOL_UDP:
		icmp6_refuse(net, p, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_PORT, 0);
		break;
	default:
		icmp6_refuse(net, p, ICMP6_PARAMETER, ICMP6_PARAMETER_NEXT_HEADER,
			     next_header_at(p, header));
	}
	return refuse(net, COUNT_ip_protocol);
}

enum net_verdict ip6_input(struct net *net, struct packet *p, struct net_result *out)
{
	const struct ip6_wire *ip = (const void *)p->ip;
	uint32_t header;

	if (!ip6_lengths(net, p))
		return NET_DONE;
	memcpy(p->src.b, ip->src, sizeof(p->src.b));
	memcpy(p->dst.b, ip->dst, sizeof(p->dst.b));
	if (!ip6_is_ours(net, p))
		return refuse(net, COUNT_ip_not_ours);
	switch (ip6_walk(p, &header)) {
	case WALK_FRAGMENT:
		return refuse(net, COUNT_ip6_fragment);
	case WALK_REFUSED:
		return refuse(net, COUNT_ip6_extension);
	case WALK_ON:
	case WALK_END:
		break;
	}
	if (ip6_source_refused(p))
		return refuse(net, COUNT_ip_bad_source);
	p->tos = (uint8_t)(get_be16(ip->version_class_flow) >> 4);
	p->ttl = ip->hop_limit;
	frame_cut(net, p, header);
	return ip6_protocol(net, p, header, out);
}

uint8_t *ip6_header(uint8_t *l4, const struct ip_fields *f)
{
	struct ip6_wire *ip = (void *)(l4 - IP6_BYTES);

	put_be32(ip->version_class_flow, 6u << 28 | (uint32_t)f->tos << 20);
	put_be16(ip->payload_length, (uint16_t)f->l4_len);
	ip->next_header = f->protocol;
	ip->hop_limit = f->ttl;
	memcpy(ip->src, f->src->b, sizeof(ip->src));
	memcpy(ip->dst, f->dst->b, sizeof(ip->dst));
	return (uint8_t *)ip;
}
