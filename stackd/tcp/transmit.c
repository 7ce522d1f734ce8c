/* SPDX-License-Identifier: BSD-2-Clause */
/* transmit.c - owns how a segment of a connection is built and handed to net: header, options,
 * spans of the tx ring.  When and what, output.c decides. */
#include "tcp/conn.h"

#include <errno.h>

#define ECT_0 2 /* RFC 3168 5 */

static struct segment_head head_of(struct tcp_conn *c, uint64_t off, uint8_t flags)
{
	struct segment_head h = {
	    .src_port = c->local.port,
	    .dst_port = c->remote.port,
	    .seq = conn_wire(c, off),
	    .flags = flags,
	    .opt.wscale = SEGMENT_NO_WSCALE,
	};

	if (flags & SEG_ACK) {
		h.ack = conn_wire_rcv(c, c->view.rcv_nxt);
		h.window = recv_window(c);
		if (c->ce_seen)
			h.flags |= SEG_ECE;
	}
	if (c->ts_on) {
		h.opt.has_ts = true;
		h.opt.tsval = conn_ts_now(c, c->tcp->now);
		h.opt.tsecr = c->ts_recent;
	}
	return h;
}

/* An ACK has left, alone or with data. */
static void ack_left(struct tcp_conn *c)
{
	c->rcv_acked = c->view.rcv_nxt;
	c->due[TIMER_ACK] = NS_NEVER;
	policy_ack_sent(c);
}

static void counted(struct tcp_conn *c, uint32_t len, uint32_t segments)
{
	struct counters *n = c->tcp->counters;

	c->segs_out += segments;
	count_add(n, COUNT_tx_segments, segments);
	if (len == 0)
		return;
	c->bytes_sent += len;
	c->data_segs_out += segments;
	c->last_sent = c->tcp->now;
	count_add(n, COUNT_tx_data_segments, segments);
}

/* 0, or -ENOBUFS: nothing happened, again later.  A next hop that does not answer is a segment
 * lost on the way, and news for the application. */
static int hand_over(struct tcp_conn *c, const struct segment_head *h, uint64_t off, uint32_t len,
		     uint8_t ecn)
{
	struct tcp *t = c->tcp;
	uint32_t segments = len > c->view.mss ? (len + c->view.mss - 1) / c->view.mss : 1;
	struct net_send out = {
	    .src = &c->local.addr,
	    .dst = &c->remote.addr,
	    .tos = c->tos | ecn,
	    .ttl = c->ttl,
	    .l4 = t->head + NET_HEADROOM,
	    .gso_size = segments > 1 ? (uint16_t)c->view.mss : 0,
	};
	int ret;

	out.l4_len = segment_write(h, out.l4);
	out.data_count = (uint8_t)byte_ring_spans(&c->tx, off, len, out.data);
	ret = net_send(t->net, &c->route, &out, t->now);
	if (ret == -ENOBUFS) {
		t->blocked = true;
		count(t->counters, COUNT_tx_full);
		conn_dirty(c);
		return ret;
	}
	if (ret < 0)
		conn_soft_error(c, -ret);
	if (conn_traced(c))
		trace_send(c, h->flags, off, len);
	counted(c, len, segments);
	if (h->flags & SEG_ACK)
		ack_left(c);
	return 0;
}

uint32_t transmit_max(const struct tcp_conn *c)
{
	uint32_t head = conn_ip_header(c) + 20 + (c->ts_on ? 12 : 0), mss = c->view.mss;
	uint32_t most = c->route.gso_max > head ? c->route.gso_max - head : 0;

	if (c->route.gso_max <= c->route.mtu) /* nobody would cut it up */
		return mss;
	if (most > CHUNK_BYTES_MAX)
		most = CHUNK_BYTES_MAX;
	return most < mss ? mss : most / mss * mss;
}

int transmit_range(struct tcp_conn *c, uint64_t off, uint32_t len)
{
	bool fin = c->fin_queued && off + len > c->tx_tail;
	uint32_t data = len - (fin ? 1 : 0);
	uint8_t flags = SEG_ACK, ecn = 0;
	struct segment_head h;
	int ret;

	assert(off + data <= c->tx_tail);
	if (fin)
		flags |= SEG_FIN;
	if (data > 0 && off + data == c->tx_tail)
		flags |= SEG_PSH; /* MUST-61 */
	h = head_of(c, off, flags);
	if (c->urgent_out != NO_OFFSET && c->urgent_out > off) {
		uint64_t to = c->urgent_out - off;

		h.flags |= SEG_URG; /* MUST-62: the octet after the urgent data */
		h.urgent = to < UINT16_MAX ? (uint16_t)to : UINT16_MAX;
	}
	if (c->view.features & SP_ECN && data > 0 && off == c->view.snd_nxt) {
		ecn = ECT_0; /* RFC 3168 6.1.5: never on what is sent again */
		if (c->cwr_due)
			h.flags |= SEG_CWR;
	}
	ret = hand_over(c, &h, off, data, ecn);
	if (ret == 0 && (h.flags & SEG_CWR))
		c->cwr_due = false;
	return ret;
}

int transmit_empty(struct tcp_conn *c, uint64_t off, uint8_t flags)
{
	struct segment_head h = head_of(c, off, flags);
	int ret;

	if ((flags & (SEG_ACK | SEG_RST)) == SEG_ACK)
		recv_sack_blocks(c, &h.opt);
	ret = hand_over(c, &h, off, 0, 0);
	if (ret == 0)
		c->dsack = (struct sp_range){0, 0};
	return ret;
}

/* RFC 9293 3.5; RFC 7323 2.2: the window of a SYN is never scaled. */
int transmit_syn(struct tcp_conn *c)
{
	bool answer = c->state == TCP_SYN_RECEIVED;
	struct segment_head h = head_of(c, NO_OFFSET, SEG_SYN);

	h.window = (uint16_t)(c->view.rcv_limit < UINT16_MAX ? c->view.rcv_limit : UINT16_MAX);
	h.opt.mss = conn_advertised_mss(c);
	if (answer) {
		h.flags |= SEG_ACK | (c->ecn_on ? SEG_ECE : 0);
		h.ack = conn_wire_rcv(c, 0);
		h.opt.sack_permitted = c->sack_agreed;
		if (c->wscale_on)
			h.opt.wscale = c->rcv_wscale;
	} else {
		if (policy_offers(c->profile) & SP_ECN)
			h.flags |= SEG_ECE | SEG_CWR;
		h.opt.sack_permitted = (policy_offers(c->profile) & SP_SACK) != 0;
		if (c->profile->knobs.use_window_scale)
			h.opt.wscale = c->rcv_wscale;
		if (c->profile->knobs.timestamps) {
			h.opt.has_ts = true;
			h.opt.tsval = conn_ts_now(c, c->tcp->now);
		}
	}
	return hand_over(c, &h, 0, 0, 0);
}
