/* SPDX-License-Identifier: BSD-2-Clause */
/* ipv4.c - IPv4 (RFC 791, 1122): what is accepted, and the headers of ours.
 *
 * Options are skipped (RFC 9293 MUST-50).  Fragments are refused: ours carry DF, and a peer's TCP
 * does path MTU discovery. */
#include "net/state.h"

#include <string.h>

#include "base/checksum.h"

static enum net_verdict refuse(struct net *net, enum count_id reason)
{
	count(net->counters, reason);
	return NET_DONE;
}

/* The sum of a header without options, folded: 0xffff when its checksum is right. */
static uint16_t plain_header_sum(const struct ip4_wire *ip)
{
	uint32_t word[IP4_BYTES / 4];
	uint64_t sum = 0;

	memcpy(word, ip, sizeof(word));
	for (uint32_t i = 0; i < IP4_BYTES / 4; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static bool ip4_sum_is_right(const struct ip4_wire *ip, uint32_t header)
{
	if (header == IP4_BYTES)
		return plain_header_sum(ip) == 0xffff;
	return checksum_finish(checksum_add(0, ip, header)) == 0;
}

/* True when lengths and version hold; sets ip_len. */
static bool ip4_lengths(struct net *net, struct packet *p, uint32_t *header)
{
	const struct ip4_wire *ip = (const void *)p->ip;
	uint32_t linear = p->frame->span[0].len - ETH_BYTES;

	if (linear < IP4_BYTES) {
		count(net->counters, COUNT_ip_short);
		return false;
	}
	if (ip->version_length >> 4 != 4) {
		count(net->counters, COUNT_ip_version);
		return false;
	}
	*header = (ip->version_length & 15u) * 4u;
	p->ip_len = get_be16(ip->total_length);
	if (*header < IP4_BYTES || *header > p->ip_len) {
		count(net->counters, COUNT_ip_header_length);
		return false;
	}
	if (p->ip_len > p->frame->len - ETH_BYTES || *header > linear) {
		count(net->counters, COUNT_ip_short);
		return false;
	}
	return true;
}

static enum net_verdict ip4_protocol(struct net *net, struct packet *p, struct net_result *out)
{
	switch (p->protocol) {
	case IP_PROTOCOL_TCP:
		return l4_segment(net, p, out);
	case IP_PROTOCOL_ICMP:
		return icmp_input(net, p, out);
	case IP_PROTOCOL_UDP:
		icmp_refuse(net, p, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PORT);
		break;
	default:
		icmp_refuse(net, p, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROTOCOL);
	}
	return refuse(net, COUNT_ip_protocol);
}

enum net_verdict ip4_input(struct net *net, struct packet *p, struct net_result *out)
{
	const struct ip4_wire *ip = (const void *)p->ip;
	uint32_t header;

	if (!ip4_lengths(net, p, &header))
		return NET_DONE;
	if (!ip4_sum_is_right(ip, header))
		return refuse(net, COUNT_ip_checksum);
	if (get_be16(ip->fragment) & IP4_MORE_OR_OFFSET)
		return refuse(net, COUNT_ip_fragment);
	p->src = addr_from4(ip->src);
	p->dst = addr_from4(ip->dst);
	if (!(p->iface ? if_owns(p->iface, &p->dst) : net_is_local(net, &p->dst)))
		return refuse(net, COUNT_ip_not_ours);
	if (ip_bad_source(p))
		return refuse(net, COUNT_ip_bad_source);
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->protocol = ip->protocol;
	frame_cut(net, p, header);
	return ip4_protocol(net, p, out);
}

uint8_t *ip4_header(struct net *net, uint8_t *l4, const struct ip_fields *f)
{
	struct ip4_wire *ip = (void *)(l4 - IP4_BYTES);
	uint16_t sum;

	ip->version_length = 0x45;
	ip->tos = f->tos;
	put_be16(ip->total_length, (uint16_t)(IP4_BYTES + f->l4_len));
	put_be16(ip->id, net->ip4_id++);
	put_be16(ip->fragment, IP4_DONT_FRAGMENT);
	ip->ttl = f->ttl;
	ip->protocol = f->protocol;
	memset(ip->checksum, 0, sizeof(ip->checksum));
	memcpy(ip->src, f->src->b + 12, 4);
	memcpy(ip->dst, f->dst->b + 12, 4);
	sum = (uint16_t)~plain_header_sum(ip);
	memcpy(ip->checksum, &sum, sizeof(sum));
	return (uint8_t *)ip;
}
