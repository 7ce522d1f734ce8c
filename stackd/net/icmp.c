/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp.c - ICMP for IPv4 (RFC 792, 1122 3.2.2), and what ICMPv6 shares with it: echo, the rate
 * limit, the quoted segment.
 *
 * An error about TCP is translated, not judged: whether it quotes something in flight is tcp's to
 * say (RFC 5927).  Redirects are ignored; routes are configured. */
#include "net/state.h"

#include <errno.h>
#include <string.h>

#include "base/checksum.h"

#define ICMP_QUOTE_PACKET_MAX 576u /* RFC 1812 4.3.2.3: bytes of the whole error packet */
#define ICMP_BURST            50u
#define ICMP_INTERVAL_NS      (10 * NS_PER_MS)

bool icmp_may_send(struct net *net, const struct packet *p)
{
	uint64_t refill = (p->now - net->icmp_refilled) / ICMP_INTERVAL_NS;

	if (!p->iface || p->group)
		return false;
	if (refill) {
		net->icmp_refilled = p->now;
		net->icmp_tokens = refill + net->icmp_tokens > ICMP_BURST
				       ? ICMP_BURST
				       : net->icmp_tokens + (uint32_t)refill;
	}
	if (net->icmp_tokens == 0) {
		count(net->counters, COUNT_icmp_limited);
		return false;
	}
	net->icmp_tokens--;
	return true;
}

static void icmp_finish(struct icmp_wire *icmp, uint32_t len)
{
	uint16_t sum;

	memset(icmp->checksum, 0, sizeof(icmp->checksum));
	sum = checksum_finish(checksum_add(0, icmp, len));
	memcpy(icmp->checksum, &sum, sizeof(sum));
}

void icmp_refuse(struct net *net, const struct packet *p, uint8_t type, uint8_t code)
{
	uint32_t header = (uint32_t)(p->l4 - p->ip);
	uint32_t room = ICMP_QUOTE_PACKET_MAX - IP4_BYTES - ICMP_BYTES - header;
	struct ip_fields f = {
	    .src = &p->dst, .dst = &p->src, .ttl = 64, .protocol = IP_PROTOCOL_ICMP};
	struct icmp_wire *icmp;
	struct slot *slot;

	if (!icmp_may_send(net, p) || !(slot = slot_take(net)))
		return;
	icmp = (void *)slot_message(slot);
	*icmp = (struct icmp_wire){.type = type, .code = code};
	memcpy(icmp + 1, p->ip, header);
	f.l4_len = ICMP_BYTES + header + frame_gather(p, (uint8_t *)(icmp + 1) + header, room);
	icmp_finish(icmp, f.l4_len);
	slot_send(net, slot, &f, p->now);
}

void icmp_echo(struct net *net, const struct packet *p, uint8_t reply_type)
{
	const struct addr *src = p->group ? if_source(p->iface, &p->src) : &p->dst;
	struct ip_fields f = {.src = src,
			      .dst = &p->src,
			      .tos = p->tos & 0xfcu,
			      .ttl = 64,
			      .protocol = p->protocol,
			      .l4_len = p->l4_len};
	struct icmp_wire *icmp;
	struct slot *slot;

	if (!src || p->l4_len > SLOT_MESSAGE_MAX) {
		count(net->counters, COUNT_icmp_too_long);
		return;
	}
	slot = slot_take(net);
	if (!slot)
		return;
	icmp = (void *)slot_message(slot);
	frame_gather(p, (uint8_t *)icmp, p->l4_len);
	icmp->type = reply_type;
	if (p->protocol == IP_PROTOCOL_ICMP6) {
		uint16_t sum;

		memset(icmp->checksum, 0, sizeof(icmp->checksum));
		sum = checksum_finish(checksum_add(
		    checksum_pseudo(src, &p->src, IP_PROTOCOL_ICMP6, p->l4_len), icmp, p->l4_len));
		memcpy(icmp->checksum, &sum, sizeof(sum));
	} else {
		icmp_finish(icmp, p->l4_len);
	}
	count(net->counters, COUNT_icmp_echo);
	slot_send(net, slot, &f, p->now);
}

void icmp_quote(struct net_error *e, const struct tcp_quote_wire *tcp)
{
	e->local_port = get_be16(tcp->src_port);
	e->remote_port = get_be16(tcp->dst_port);
	e->seq = get_be32(tcp->seq);
}

/* RFC 9293 3.9.2.2; RFC 1812 5.2.7.1 for the codes beyond RFC 792 */
static void icmp_unreachable(const struct icmp_wire *icmp, struct net_error *e)
{
	e->kind = NET_ERROR_SOFT;
	e->error = EHOSTUNREACH;
	switch (icmp->code) {
	case ICMP_UNREACHABLE_NET:
	case ICMP_UNREACHABLE_NET_UNKNOWN:
	case ICMP_UNREACHABLE_NET_TOS:
		e->error = ENETUNREACH;
		break;
	case ICMP_UNREACHABLE_PROTOCOL:
	case ICMP_UNREACHABLE_PORT:
		e->kind = NET_ERROR_HARD;
		e->error = ECONNREFUSED;
		break;
	case ICMP_UNREACHABLE_FRAGMENT:
		e->kind = NET_ERROR_TOO_BIG;
		e->error = EMSGSIZE;
		e->mtu = get_be16(icmp->rest + 2);
		break;
	default:
		break;
	}
}

static void icmp_meaning(const struct icmp_wire *icmp, struct net_error *e)
{
	*e = (struct net_error){.kind = NET_ERROR_SOFT, .error = EHOSTUNREACH};
	if (icmp->type == ICMP_UNREACHABLE)
		icmp_unreachable(icmp, e);
	else if (icmp->type == ICMP_PARAMETER)
		e->error = EPROTO;
}

static enum net_verdict icmp_error(struct net *net, const struct packet *p, struct net_result *out)
{
	const struct icmp_wire *icmp = (const void *)p->l4;
	const struct ip4_wire *quoted = (const void *)(icmp + 1);
	uint32_t room = p->l4_linear - ICMP_BYTES;
	uint32_t header = room < IP4_BYTES ? 0 : (quoted->version_length & 15u) * 4u;

	if (header < IP4_BYTES || quoted->version_length >> 4 != 4 ||
	    header + sizeof(struct tcp_quote_wire) > room) {
		count(net->counters, COUNT_icmp_short);
		return NET_DONE;
	}
	icmp_meaning(icmp, &out->error);
	out->error.local = addr_from4(quoted->src);
	out->error.remote = addr_from4(quoted->dst);
	if (quoted->protocol != IP_PROTOCOL_TCP || get_be16(quoted->fragment) & IP4_OFFSET ||
	    !if_owns(p->iface, &out->error.local)) {
		count(net->counters, COUNT_icmp_unknown);
		return NET_DONE;
	}
	icmp_quote(&out->error, (const void *)((const uint8_t *)quoted + header));
	count(net->counters, COUNT_icmp_error_rx);
	return NET_ERROR;
}

static enum net_verdict icmp_type(struct net *net, const struct packet *p, struct net_result *out)
{
	switch (p->l4[0]) {
	case ICMP_ECHO_REQUEST:
		icmp_echo(net, p, ICMP_ECHO_REPLY);
		return NET_DONE;
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER:
		return icmp_error(net, p, out);
	case ICMP_SOURCE_QUENCH: /* RFC 9293 MUST-55: silently */
		return NET_DONE;
	default:
		count(net->counters, COUNT_icmp_unknown);
		return NET_DONE;
	}
}

enum net_verdict icmp_input(struct net *net, struct packet *p, struct net_result *out)
{
	if (p->l4_linear < ICMP_BYTES) {
		count(net->counters, COUNT_icmp_short);
		return NET_DONE;
	}
	if (p->group || !p->iface) {
		count(net->counters, COUNT_icmp_unknown);
		return NET_DONE;
	}
	if (p->frame->csum != FRAME_CSUM_GOOD && checksum_finish(frame_sum(p, 0)) != 0) {
		count(net->counters, COUNT_icmp_checksum);
		return NET_DONE;
	}
	return icmp_type(net, p, out);
}
