/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.c - what happens to a connection, written down for those who look.  Decides nothing. */
#include "tcp/conn.h"

static const char *name_of(const struct tcp_conn *c, unsigned kind)
{
	return c->plugin[kind].plugin ? c->plugin[kind].plugin->name : NULL;
}

/* A record with what every kind has; NULL: no room. */
static struct tcp_trace *start(const struct tcp_conn *c, enum tcp_trace_kind kind)
{
	const struct sp_conn *v = &c->view;
	struct tcp_trace *t = tape_write(c->tcp->tape, TAPE_TCP, c->tcp->now, sizeof(*t));

	if (t)
		*t = (struct tcp_trace){.kind = (uint8_t)kind,
					.state = c->state,
					.recovering = c->recovering,
					.mss = v->mss,
					.backoffs = v->backoffs,
					.local = c->local,
					.remote = c->remote,
					.cwnd_before = v->cwnd,
					.ssthresh_before = v->ssthresh,
					.cwnd = v->cwnd,
					.ssthresh = v->ssthresh,
					.pipe = v->flight,
					.sacked = v->sacked,
					.lost = c->lost_bytes,
					.snd_una = v->snd_una,
					.snd_nxt = v->snd_nxt,
					.rcv_nxt = v->rcv_nxt,
					.rto = v->rto,
					.srtt = v->srtt,
					.recovery = name_of(c, KIND_RECOVERY),
					.rto_plugin = name_of(c, KIND_RTO),
					.ack = name_of(c, KIND_ACK),
					.cc = name_of(c, KIND_CC)};
	return t;
}

static void verdict(struct tcp_trace *t, const struct sp_verdict *v, struct sp_cc_out before)
{
	t->episode = (uint8_t)v->episode;
	t->allowance = v->allowance;
	t->cwnd_before = before.cwnd;
	t->ssthresh_before = before.ssthresh;
}

void trace_ack(const struct tcp_conn *c, const struct sp_ack *a, const struct sp_verdict *v,
	       struct sp_cc_out before)
{
	struct tcp_trace *t = start(c, TCP_TRACE_ACK);

	if (!t)
		return;
	verdict(t, v, before);
	t->off = a->una_before;
	t->len = a->una - a->una_before;
	t->delivered = a->delivered;
	t->duplicate = a->duplicate;
	t->sack_news = a->sack_news;
	t->rtt = a->rtt;
	tape_end(c->tcp->tape);
}

void trace_data(const struct tcp_conn *c, const struct sp_seg *seg, ns_t ack_by)
{
	struct tcp_trace *t = start(c, TCP_TRACE_DATA);

	if (!t)
		return;
	t->off = seg->off;
	t->len = seg->len;
	t->in_order = seg->in_order;
	t->kept = seg->kept;
	t->duplicate = seg->duplicate;
	t->ack_by = ack_by;
	tape_end(c->tcp->tape);
}

void trace_timer(const struct tcp_conn *c, const struct sp_verdict *v, struct sp_cc_out before)
{
	struct tcp_trace *t = start(c, TCP_TRACE_TIMER);

	if (!t)
		return;
	verdict(t, v, before);
	tape_end(c->tcp->tape);
}

void trace_wait(const struct tcp_conn *c)
{
	if (start(c, TCP_TRACE_WAIT))
		tape_end(c->tcp->tape);
}

void trace_send(const struct tcp_conn *c, uint8_t flags, uint64_t off, uint32_t len)
{
	bool text = len > 0 || (flags & SEG_FIN);
	struct tcp_trace *t = start(c, text ? TCP_TRACE_SEND : TCP_TRACE_EMPTY);

	if (!t)
		return;
	t->flags = flags;
	t->off = off;
	t->len = len;
	t->again = text && off < c->view.snd_nxt;
	tape_end(c->tcp->tape);
}

void trace_end(const struct tcp_conn *c)
{
	struct tcp_trace *t = start(c, TCP_TRACE_END);

	if (!t)
		return;
	t->error = c->error;
	tape_end(c->tcp->tape);
}
