/* SPDX-License-Identifier: BSD-2-Clause */
/* l4.c - a TCP segment's checksum, by the interface's policy, and the hand-over to our caller.
 *
 * What crossed no wire (veth, virtio) carries only the pseudo-header's sum.  A driver may know; if
 * it doesn't, the field itself tells: `partial-ok` accepts it, `strict` refuses and counts it so
 * that the operator sees what to switch off, `trust` looks at nothing.  Where the driver does know,
 * the field is not asked: one damaged segment in 65,536 looks partial. */
#include "net/state.h"

#include <string.h>

#include "base/checksum.h"

enum sum_verdict { SUM_GOOD, SUM_PARTIAL, SUM_WRONG };

static bool field_is_partial(const struct packet *p, uint64_t pseudo)
{
	uint16_t field;

	memcpy(&field, p->l4 + TCP_CHECKSUM_OFFSET, sizeof(field));
	return field == checksum_fold(pseudo);
}

static enum sum_verdict sum_look(const struct packet *p, bool partial_ok)
{
	uint64_t pseudo = checksum_pseudo(&p->src, &p->dst, IP_PROTOCOL_TCP, p->l4_len);
	bool partial = p->frame->csum == FRAME_CSUM_UNKNOWN && field_is_partial(p, pseudo);

	if (partial && partial_ok)
		return SUM_PARTIAL;
	if (checksum_finish(frame_sum(p, pseudo)) == 0)
		return SUM_GOOD;
	return partial ? SUM_PARTIAL : SUM_WRONG;
}

static bool sum_accept(struct net *net, const struct packet *p, enum rx_csum policy)
{
	enum sum_verdict v = SUM_GOOD;

	if (p->frame->csum == FRAME_CSUM_GOOD || policy == RX_CSUM_TRUST)
		return true;
	if (p->frame->csum == FRAME_CSUM_PARTIAL)
		v = SUM_PARTIAL;
	else
		v = sum_look(p, policy == RX_CSUM_PARTIAL_OK);
	if (v == SUM_GOOD || (v == SUM_PARTIAL && policy == RX_CSUM_PARTIAL_OK))
		return true;
	count(net->counters, v == SUM_PARTIAL ? COUNT_l4_checksum_partial : COUNT_l4_checksum);
	return false;
}

static void fill_segment(const struct packet *p, struct net_segment *s)
{
	s->src = p->src;
	s->dst = p->dst;
	s->tos = p->tos;
	s->ttl = p->ttl;
	s->interface = p->iface ? p->iface->index : NET_LOOP;
	s->gso_size = p->frame->gso_size;
	s->l4 = p->l4;
	s->l4_linear = p->l4_linear;
	s->l4_len = p->l4_len;
	s->more = p->more;
	s->more_count = p->more_count;
}

enum net_verdict l4_segment(struct net *net, struct packet *p, struct net_result *out)
{
	if (p->l4_linear < TCP_HEADER_BYTES) {
		count(net->counters, COUNT_seg_short);
		return NET_DONE;
	}
	if (p->group) { /* RFC 9293 MUST-57, RFC 1122 3.3.6 */
		count(net->counters, COUNT_seg_group_address);
		return NET_DONE;
	}
	if (!sum_accept(net, p, p->iface ? p->iface->rx_csum : RX_CSUM_TRUST))
		return NET_DONE;
	fill_segment(p, &out->segment);
	return NET_SEGMENT;
}
