/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp6.c - ICMPv6 (RFC 4443): echo, errors in and out; neighbour discovery is nd.c's.
 *
 * As with IPv4, an error about TCP is translated, not judged. */
#include "net/state.h"

#include <errno.h>
#include <string.h>

#include "base/checksum.h"

#define ICMP6_QUOTE_PACKET_MAX 1280u /* RFC 4443 2.4 (c): the minimum MTU */

void icmp6_refuse(struct net *net, const struct packet *p, uint8_t type, uint8_t code,
		  uint32_t rest)
{
	uint32_t header = (uint32_t)(p->l4 - p->ip);
	uint32_t room = ICMP6_QUOTE_PACKET_MAX - IP6_BYTES - ICMP_BYTES - header;
	struct ip_fields f = {
	    .src = &p->dst, .dst = &p->src, .ttl = 64, .protocol = IP_PROTOCOL_ICMP6};
	struct icmp_wire *icmp;
	struct slot *slot;
	uint16_t sum;

	if (!icmp_may_send(net, p) || !(slot = slot_take(net)))
		return;
	icmp = (void *)slot_message(slot);
	*icmp = (struct icmp_wire){.type = type, .code = code};
	put_be32(icmp->rest, rest);
	memcpy(icmp + 1, p->ip, header);
	f.l4_len = ICMP_BYTES + header + frame_gather(p, (uint8_t *)(icmp + 1) + header, room);
	sum = checksum_finish(checksum_add(
	    checksum_pseudo(f.src, f.dst, IP_PROTOCOL_ICMP6, f.l4_len), icmp, f.l4_len));
	memcpy(icmp->checksum, &sum, sizeof(sum));
	slot_send(net, slot, &f, p->now);
}

static void icmp6_meaning(const struct icmp_wire *icmp, struct net_error *e)
{
	*e = (struct net_error){.kind = NET_ERROR_SOFT, .error = EHOSTUNREACH};
	if (icmp->type == ICMP6_TOO_BIG) {
		e->kind = NET_ERROR_TOO_BIG;
		e->error = EMSGSIZE;
		e->mtu = get_be32(icmp->rest);
	} else if (icmp->type == ICMP6_PARAMETER) {
		e->error = EPROTO;
	} else if (icmp->type == ICMP6_UNREACHABLE && icmp->code == ICMP6_UNREACHABLE_PORT) {
		e->kind = NET_ERROR_HARD;
		e->error = ECONNREFUSED;
	} else if (icmp->type == ICMP6_UNREACHABLE && icmp->code == ICMP6_UNREACHABLE_NO_ROUTE) {
		e->error = ENETUNREACH;
	}
}

/* We send no extension headers, so that none is looked for in what is quoted. */
static enum net_verdict icmp6_error(struct net *net, const struct packet *p, struct net_result *out)
{
	const struct icmp_wire *icmp = (const void *)p->l4;
	const struct ip6_wire *quoted = (const void *)(icmp + 1);

	if (p->l4_linear < ICMP_BYTES + IP6_BYTES + sizeof(struct tcp_quote_wire) ||
	    quoted->version_class_flow[0] >> 4 != 6) {
		count(net->counters, COUNT_icmp_short);
		return NET_DONE;
	}
	icmp6_meaning(icmp, &out->error);
	memcpy(out->error.local.b, quoted->src, sizeof(quoted->src));
	memcpy(out->error.remote.b, quoted->dst, sizeof(quoted->dst));
	if (quoted->next_header != IP_PROTOCOL_TCP || p->group || addr_is4(&out->error.local) ||
	    addr_is4(&out->error.remote) || !if_owns(p->iface, &out->error.local)) {
		count(net->counters, COUNT_icmp_unknown);
		return NET_DONE;
	}
	icmp_quote(&out->error, (const void *)(quoted + 1));
	count(net->counters, COUNT_icmp_error_rx);
	return NET_ERROR;
}

static enum net_verdict icmp6_type(struct net *net, struct packet *p, struct net_result *out)
{
	switch (p->l4[0]) {
	case ICMP6_ECHO_REQUEST:
		icmp_echo(net, p, ICMP6_ECHO_REPLY);
		return NET_DONE;
	case ICMP6_UNREACHABLE:
	case ICMP6_TOO_BIG:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAMETER:
		return icmp6_error(net, p, out);
	default:
		count(net->counters, COUNT_icmp_unknown);
		return NET_DONE;
	}
}

static bool is_discovery(uint8_t type)
{
	return type == ICMP6_ROUTER_ADVERTISEMENT || type == ICMP6_NEIGHBOUR_SOLICITATION ||
	       type == ICMP6_NEIGHBOUR_ADVERTISEMENT;
}

enum net_verdict icmp6_input(struct net *net, struct packet *p, struct net_result *out)
{
	uint64_t sum;

	if (p->l4_linear < ICMP_BYTES || !p->iface) {
		count(net->counters, COUNT_icmp_short);
		return NET_DONE;
	}
	sum = checksum_pseudo(&p->src, &p->dst, IP_PROTOCOL_ICMP6, p->l4_len);
	if (p->frame->csum != FRAME_CSUM_GOOD && checksum_finish(frame_sum(p, sum)) != 0) {
		count(net->counters, COUNT_l4_checksum);
		return NET_DONE;
	}
	if (is_discovery(p->l4[0]))
		return nd_input(net, p, out);
	if (addr_is_unspecified(&p->src)) {
		count(net->counters, COUNT_ip_bad_source);
		return NET_DONE;
	}
	return icmp6_type(net, p, out);
}
