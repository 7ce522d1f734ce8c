/* SPDX-License-Identifier: BSD-2-Clause */
/* recv.c - owns what arrives: its place in the rx ring (out of order too), RCV.NXT, the window we
 * announce, SACK blocks, urgent data, the peer's FIN.  When an ACK leaves, policy says. */
#include "tcp/conn.h"

/* --- the window
 * ------------------------------------------------------------------------------------ */

/* End of the data in order: RCV.NXT without the FIN. */
static uint64_t data_end(const struct tcp_conn *c)
{
	return c->view.rcv_nxt > c->rcv_fin ? c->rcv_fin : c->view.rcv_nxt;
}

uint32_t recv_room(const struct tcp_conn *c)
{
	uint64_t unread = data_end(c) - c->rcv_read;

	return unread < c->rcv_buffer ? c->rcv_buffer - (uint32_t)unread : 0;
}

/* How far the right edge must be able to move before the peer is told without being asked. */
uint32_t recv_threshold(const struct tcp_conn *c)
{
	uint32_t two = 2 * c->view.rcv_mss, half = c->rcv_buffer / 2;
	uint32_t least = two < half ? two : half;

	return least > c->rcv_buffer / 4 ? least : c->rcv_buffer / 4;
}

/* MUST-39: the edge moves by min(half of the buffer, one segment) at least, and never back
 * (SHLD-14). */
uint16_t recv_window(struct tcp_conn *c)
{
	struct sp_conn *v = &c->view;
	uint32_t room = recv_room(c), half = c->rcv_buffer / 2;
	uint32_t step = half < v->rcv_mss ? half : v->rcv_mss;
	uint64_t now = v->rcv_limit > v->rcv_nxt ? v->rcv_limit - v->rcv_nxt : 0;
	uint64_t most = (uint64_t)UINT16_MAX << c->rcv_wscale;
	uint64_t field;

	if (room >= now + step) {
		now = room < most ? room : most;
		now = now >> c->rcv_wscale << c->rcv_wscale;
		if (v->rcv_nxt + now > v->rcv_limit)
			v->rcv_limit = v->rcv_nxt + now;
	}
	/* rounded up where the buffer allows: what was announced stays announced */
	now = v->rcv_limit > v->rcv_nxt ? v->rcv_limit - v->rcv_nxt : 0;
	field = (now + (1u << c->rcv_wscale) - 1) >> c->rcv_wscale;
	if (field << c->rcv_wscale > room)
		field = now >> c->rcv_wscale;
	if (field > UINT16_MAX)
		field = UINT16_MAX;
	if (v->rcv_nxt + (field << c->rcv_wscale) > v->rcv_limit)
		v->rcv_limit = v->rcv_nxt + (field << c->rcv_wscale);
	return (uint16_t)field;
}

void recv_ack_by(struct tcp_conn *c, ns_t when)
{
	if (when >= c->due[TIMER_ACK])
		return;
	if (when > c->tcp->now) {
		timer_set(c, TIMER_ACK, when);
	} else {
		c->due[TIMER_ACK] = when; /* leaves with the next tcp_run */
		conn_dirty(c);
	}
}

/* --- SACK
 * ------------------------------------------------------------------------------------------ */

void recv_note_duplicate(struct tcp_conn *c, uint64_t begin, uint64_t end)
{
	if (c->dsack_on && (int64_t)begin >= 0)
		c->dsack = (struct sp_range){begin, end};
}

void recv_sack_blocks(struct tcp_conn *c, struct segment_options *o)
{
	struct sp_range r[SEGMENT_SACK_MAX];
	uint32_t max = c->ts_on ? 3 : 4, n = 0, held;

	if (!c->sack_on || (!c->held && c->dsack.begin == c->dsack.end))
		return;
	if (c->dsack.begin != c->dsack.end)
		r[n++] = c->dsack;
	held = policy_report(c, r + n, max - n);
	if (held > 0) {
		c->held->reported_count = held;
		memcpy(c->held->reported, r + n, held * sizeof(r[0]));
	}
	n += held;
	o->sack_count = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++) {
		o->sack[i].begin = conn_wire_rcv(c, r[i].begin);
		o->sack[i].end = conn_wire_rcv(c, r[i].end);
	}
}

/* --- text and FIN
 * ---------------------------------------------------------------------------------- */

/* A segment's part that is new and has room: [begin, end) of the stream, at `skip` of its payload.
 */
struct piece {
	uint64_t begin, end;
	uint32_t skip;
	bool fin;
};

static void cut_right(struct tcp_conn *c, struct piece *p, uint64_t limit, enum count_id why)
{
	if (p->end <= limit)
		return;
	count(c->tcp->counters, why);
	p->end = limit > p->begin ? limit : p->begin;
	p->fin = false;
}

static struct piece cut(struct tcp_conn *c, const struct segment *s)
{
	const struct sp_conn *v = &c->view;
	struct piece p = {s->off, s->off + s->len, 0, (s->flags & SEG_FIN) != 0};
	uint64_t room = c->rcv_read + c->rx.size; /* a smaller SO_RCVBUF takes nothing back */

	if ((int64_t)(p.begin - v->rcv_nxt) < 0) {
		if (s->len > 0)
			recv_note_duplicate(c, p.begin, v->rcv_nxt < p.end ? v->rcv_nxt : p.end);
		p.skip = (uint32_t)(v->rcv_nxt - p.begin);
		if (p.skip > s->len)
			p.skip = s->len;
		p.begin += p.skip;
	}
	cut_right(c, &p, c->rcv_fin, COUNT_seg_after_fin);
	cut_right(c, &p, v->rcv_limit < room ? v->rcv_limit : room, COUNT_seg_no_room);
	return p;
}

static void drop_held(struct tcp_conn *c)
{
	pool_give(&c->tcp->held_pool, c->held);
	c->held = NULL;
}

/* RCV.NXT moves over what was just placed and what was held behind it, but not over a FIN: what a
 * peer has sent beyond its own is forgotten. */
static void advance(struct tcp_conn *c, uint64_t end)
{
	struct sp_conn *v = &c->view;
	uint64_t before = v->rcv_nxt;

	v->rcv_nxt = end;
	if (c->held) {
		struct ranges *set = &c->held->set;

		ranges_trim(set, end);
		if (set->count > 0 && set->r[0].begin <= end)
			v->rcv_nxt = set->r[0].end < c->rcv_fin ? set->r[0].end : c->rcv_fin;
		ranges_trim(set, v->rcv_nxt);
		if (set->count == 0 || v->rcv_nxt == c->rcv_fin)
			drop_held(c);
	}
	c->bytes_received += v->rcv_nxt - before;
	if (v->rcv_nxt != before)
		conn_event(c, TCP_EV_READABLE);
}

/* Out-of-order text (SHLD-31).  False: not kept. */
static bool hold(struct tcp_conn *c, const struct segment *s, const struct piece *p)
{
	struct tcp *t = c->tcp;

	if (!c->held) {
		c->held = pool_take(&t->held_pool);
		if (!c->held) {
			count(t->counters, COUNT_seg_ooo_ranges);
			return false;
		}
	}
	if (ranges_add(&c->held->set, p->begin, p->end) < 0) {
		count(t->counters, COUNT_seg_ooo_ranges);
		return false;
	}
	segment_copy(s, p->skip, (uint32_t)(p->end - p->begin), &c->rx, p->begin);
	return true;
}

/* RFC 2883 4.2: of a segment that brings something new, the first part that had come before. */
static void note_part(struct tcp_conn *c, const struct piece *p)
{
	struct range twice;

	if (p->skip == 0 && c->held && ranges_common(&c->held->set, p->begin, p->end, &twice))
		recv_note_duplicate(c, twice.begin, twice.end);
}

static bool held_already(const struct tcp_conn *c, const struct piece *p)
{
	return c->held && p->begin < p->end && ranges_hold(&c->held->set, p->begin, p->end);
}

static void place_out_of_order(struct tcp_conn *c, const struct segment *s, const struct piece *p,
			       struct sp_seg *seg)
{
	if (held_already(c, p)) {
		seg->duplicate = true;
		recv_note_duplicate(c, p->begin, p->end);
		count(c->tcp->counters, COUNT_seg_duplicate);
		return;
	}
	if (!policy_keep(c, seg)) {
		count(c->tcp->counters, COUNT_seg_ooo_declined);
		return;
	}
	note_part(c, p);
	seg->kept = p->begin == p->end || hold(c, s, p);
	if (seg->kept && p->fin)
		c->rcv_fin = p->end;
}

static void place_in_order(struct tcp_conn *c, const struct segment *s, const struct piece *p,
			   struct sp_seg *seg)
{
	seg->in_order = seg->kept = true;
	seg->fills_gap = c->held != NULL;
	note_part(c, p);
	segment_copy(s, p->skip, (uint32_t)(p->end - p->begin), &c->rx, p->begin);
	if (p->fin)
		c->rcv_fin = p->end;
	advance(c, p->end);
	tune_arrived(c, s);
}

static void estimate_mss(struct tcp_conn *c, const struct segment *s)
{
	uint32_t len = s->net->gso_size ? s->net->gso_size : s->len;

	if (len > c->view.rcv_mss && len <= conn_advertised_mss(c))
		c->view.rcv_mss = len;
}

/* "Eighth, check the FIN bit" */
static void take_fin(struct tcp_conn *c)
{
	c->view.rcv_nxt++;
	if (c->view.rcv_limit < c->view.rcv_nxt)
		c->view.rcv_limit = c->view.rcv_nxt;
	conn_event(c, TCP_EV_EOF);
	switch (c->state) {
	case TCP_ESTABLISHED:
		c->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		c->state = TCP_CLOSING;
		break;
	case TCP_FIN_WAIT_2:
		conn_time_wait(c);
		break;
	default:
		break;
	}
}

static struct sp_seg facts(const struct segment *s)
{
	return (struct sp_seg){.size = sizeof(struct sp_seg),
			       .off = s->off,
			       .len = s->len,
			       .push = (s->flags & SEG_PSH) != 0,
			       .fin = (s->flags & SEG_FIN) != 0,
			       .ce = (s->net->tos & 3) == 3};
}

static void owe_duplicate(struct tcp_conn *c)
{
	if (!c->sack_on && c->due[TIMER_ACK] <= c->tcp->now && c->acks_owed < ACKS_OWED_MAX)
		c->acks_owed++;
}

/* RFC 8257 3.2: each ACK tells of the marks of what it acknowledges.  Where they begin or end, what
 * came before is acknowledged on its own, and this segment at once. */
static bool take_each_mark(struct tcp_conn *c, bool ce)
{
	if (ce == c->ce_seen)
		return false;
	if (c->due[TIMER_ACK] != NS_NEVER && transmit_empty(c, c->view.snd_nxt, SEG_ACK) == 0 &&
	    c->acks_owed > 0)
		c->acks_owed--;
	c->ce_seen = ce;
	return true;
}

/* RFC 3168 6.1.3: echoed until the sender says that it has reacted.  True: to be told at once. */
static bool take_congestion(struct tcp_conn *c, const struct segment *s, bool ce)
{
	if (c->view.features & SP_CE_EXACT)
		return take_each_mark(c, ce);
	if (s->flags & SEG_CWR)
		c->ce_seen = false;
	if (ce && c->ecn_on)
		c->ce_seen = true;
	return false;
}

void recv_take(struct tcp_conn *c, const struct segment *s)
{
	struct sp_seg seg = facts(s);
	struct piece p;

	if (s->len == 0 && !seg.fin)
		return;
	if (take_congestion(c, s, seg.ce))
		recv_ack_by(c, c->tcp->now);
	if (c->view.rcv_nxt > c->rcv_fin) { /* "CLOSE-WAIT ... ignore the segment text" */
		count(c->tcp->counters, COUNT_seg_after_fin);
		recv_ack_by(c, c->tcp->now);
		return;
	}
	estimate_mss(c, s);
	p = cut(c, s);
	if (p.begin == p.end && !p.fin) { /* a probe of our shut window, or nothing new */
		recv_ack_by(c, c->tcp->now);
		return;
	}
	if (p.begin == c->view.rcv_nxt)
		place_in_order(c, s, &p, &seg);
	else
		place_out_of_order(c, s, &p, &seg);
	policy_data(c, &seg);
	if (!seg.in_order)
		owe_duplicate(c);
	if (c->view.rcv_nxt == c->rcv_fin)
		take_fin(c);
}

/* "Sixth, check the URG bit".  MUST-62: the pointer names the octet after the urgent data. */
void recv_urgent(struct tcp_conn *c, const struct segment *s)
{
	uint64_t end = s->off + s->urgent;

	if (!(s->flags & SEG_URG) || c->view.rcv_nxt > c->rcv_fin)
		return;
	if (c->urgent_in != NO_OFFSET && (int64_t)(end - c->urgent_in) <= 0)
		return;
	if ((int64_t)(end - c->rcv_read) <= 0)
		return;
	c->urgent_in = end;
	conn_event(c, TCP_EV_URGENT);
}
