/* SPDX-License-Identifier: BSD-2-Clause */
/* output.c - owns when a segment leaves and how large it is: cwnd's room, what recovery wants next,
 * Nagle and silly windows, the FIN, pacing, ACKs, probes and RSTs. */
#include "tcp/conn.h"

#include <errno.h>

/* How late a timer may tell that the next segment may go.  That is made good, or no pace were
 * faster than a segment for each tick of the timers; being idle for longer is not. */
#define PACE_LATE_NS NS_PER_MS

/* --- how much
 * ------------------------------------------------------------------------------------- */

/* Bytes that may leave now: cwnd's room or the recovery's allowance; with nothing out one segment
 * always may. */
static uint64_t budget(struct tcp_conn *c, uint64_t resent)
{
	const struct sp_conn *v = &c->view;
	uint64_t out = v->flight - policy_left(c) + resent;
	uint64_t room = v->cwnd > out ? v->cwnd - out : 0;

	if (room < c->allowance)
		room = c->allowance;
	if (room < v->mss && out == 0)
		room = v->mss;
	return room;
}

static void spend(struct tcp_conn *c, uint32_t len)
{
	c->allowance = c->allowance > len ? c->allowance - len : 0;
	if (c->pacing == 0)
		return;
	if (c->pace_until + PACE_LATE_NS < c->view.now)
		c->pace_until = c->view.now;
	c->pace_until += (ns_t)((double)len * 1e9 / (double)c->pacing);
	timer_set(c, TIMER_PACING, c->pace_until > c->view.now ? c->pace_until : NS_NEVER);
}

static uint32_t largest(const struct tcp_conn *c)
{
	uint32_t most = transmit_max(c), mss = c->view.mss;
	uint64_t burst = c->pacing / 1000; /* 1 ms of the pace, two segments at least */

	if ((c->view.features & SP_PER_SEGMENT) || c->urgent_out != NO_OFFSET)
		return mss;
	if (c->pacing == 0 || burst >= most)
		return most;
	return burst < 2 * mss ? (2 * mss < most ? 2 * mss : most) : (uint32_t)burst / mss * mss;
}

static bool paced(const struct tcp_conn *c)
{
	return c->pacing > 0 && c->pace_until > c->view.now;
}

static void stopped_by_cwnd(struct tcp_conn *c)
{
	c->view.cwnd_limited = true;
	c->limited_mark = c->view.snd_nxt;
}

/* --- sending again
 * --------------------------------------------------------------------------------- */

static void record_resent(struct tcp_conn *c, struct chunk *k, uint32_t len)
{
	uint32_t segments = (len + c->view.mss - 1) / c->view.mss;

	c->retransmits += segments;
	c->bytes_retransmitted += len;
	count_add(c->tcp->counters, COUNT_tx_retransmits, segments);
	sent_again(c, k);
	if (c->view.rto_since == NS_NEVER)
		c->view.rto_since = c->view.now;
	spend(c, len);
	policy_sent(c, k);
}

/* How much of a chunk may be sent again now; 0: nothing. */
static uint32_t resend_len(const struct tcp_conn *c, const struct chunk *k, uint64_t room)
{
	uint64_t window = c->view.snd_limit > k->c.off ? c->view.snd_limit - k->c.off : 0;
	uint32_t len = k->c.len, most = largest(c), mss = c->view.mss;
	bool fin = k->c.off + len > c->tx_tail;

	if (len > window) /* SHLD-16: within the window, also when it has shrunk */
		len = (uint32_t)window;
	if (len > most + fin) /* a FIN may ride along */
		len = most;
	if (len > room)
		len = room >= mss ? (uint32_t)room / mss * mss : 0;
	return len;
}

/* True when something was sent.  *resent: bytes that are twice in the network now. */
static bool send_again(struct tcp_conn *c, struct chunk *k, uint64_t *resent)
{
	uint32_t len = resend_len(c, k, budget(c, *resent));

	if (len == 0) {
		stopped_by_cwnd(c);
		return false;
	}
	if (len < k->c.len && !sent_split(c, k, len)) {
		count(c->tcp->counters, COUNT_chunk_limit);
		/* its front goes, and all of it counts as sent: the rest waits for the next
		 * time-out, and no duplicate ACK of this one sends it once more */
		if (transmit_range(c, k->c.off, len) == 0)
			record_resent(c, k, len);
		return false;
	}
	if (transmit_range(c, k->c.off, len) < 0)
		return false;
	if (!k->c.lost)
		*resent += len;
	record_resent(c, k, len);
	return true;
}

/* --- sending for the first time
 * --------------------------------------------------------------------- */

/* draft-minshall-nagle: SND.SML */
static bool nagle_holds(const struct tcp_conn *c)
{
	if (c->nodelay)
		return false;
	return !c->profile->knobs.nagle_minshall || c->small_end > c->view.snd_una;
}

/* A segment that is not full: RFC 9293 3.7.4 (Nagle) and 3.8.6.2.1, cases 2 to 4 (MUST-38). */
static bool small_may_leave(const struct tcp_conn *c, uint64_t data, uint64_t window)
{
	bool idle = sent_empty(c);

	if (c->override)
		return true;
	if (data > window)
		return idle && window >= c->snd_wnd_max / 2 && window > 0;
	if (c->fin_queued || c->push_now)
		return true;
	return !c->cork && (idle || !nagle_holds(c));
}

/* Bytes of new data for one segment (or several of one size); 0: none now. */
static uint32_t new_len(struct tcp_conn *c, uint64_t data, uint64_t window, uint64_t room)
{
	uint64_t usable = data < window ? data : window;
	uint32_t mss = c->view.mss, most = largest(c);
	uint64_t full;

	if (usable > most)
		usable = most;
	full = usable - usable % mss;
	if (usable % mss && (full == 0 || usable == data) && small_may_leave(c, data, window))
		full = usable;
	if (full > room) {
		full = room - room % mss;
		if (full == 0)
			stopped_by_cwnd(c);
	}
	return (uint32_t)full;
}

static void mark_app_limited(struct tcp_conn *c)
{
	if (c->lost_bytes == 0 && c->view.flight < c->view.cwnd)
		c->app_limited = c->view.delivered + c->view.flight + 1;
}

static void fin_leaves(struct tcp_conn *c)
{
	c->fin_sent = true;
	if (c->state == TCP_ESTABLISHED)
		c->state = TCP_FIN_WAIT_1;
	else if (c->state == TCP_CLOSE_WAIT)
		c->state = TCP_LAST_ACK;
}

/* Nothing is out: sending begins (again). */
static void start_flight(struct tcp_conn *c)
{
	struct sp_conn *v = &c->view;

	if (c->profile->knobs.idle_restart && c->data_segs_out > 0 &&
	    v->now - c->last_sent > v->rto)
		policy_idle(c);
	c->rate_from = v->now;
	v->delivered_at = v->now;
}

static struct chunk *record_new(struct tcp_conn *c, uint32_t len, bool alone)
{
	struct sp_conn *v = &c->view;
	struct chunk *k;

	if (v->rto_since == NS_NEVER)
		v->rto_since = v->now; /* RFC 6298 5.1 */
	if (v->snd_nxt + len > c->tx_tail)
		fin_leaves(c);
	k = sent_append(c, len, alone);
	policy_sent(c, k);
	if (len % v->mss && !alone)
		c->small_end = v->snd_nxt;
	if (c->stalled_since == NS_NEVER)
		timer_progress(c);
	spend(c, len);
	return k;
}

/* New data in one segment that is larger than what is known to pass (RFC 4821 7.4): only with so
 * much behind it that its loss is found without a time-out.  *wait: there is a little too little
 * room. */
static bool send_probe(struct tcp_conn *c, uint64_t data, uint64_t window, uint64_t room,
		       bool *wait)
{
	struct sp_conn *v = &c->view;
	uint32_t mss = v->mss, len = mss_probe_due(c);
	uint64_t behind = len + 3 * (uint64_t)v->mss;
	int ret;

	if (len == 0 || data < behind || window < behind || v->cwnd < behind)
		return false;
	*wait = room < len;
	if (*wait || !sent_ready(c))
		return false;
	v->mss = len; /* for this one */
	ret = transmit_range(c, v->snd_nxt, len);
	v->mss = mss;
	if (ret == 0)
		mss_probe_sent(c, record_new(c, len, true));
	return ret == 0;
}

static bool send_new(struct tcp_conn *c, uint64_t resent)
{
	struct sp_conn *v = &c->view;
	uint64_t data = v->snd_nxt < c->tx_tail ? c->tx_tail - v->snd_nxt : 0;
	uint64_t window = v->snd_limit > v->snd_nxt ? v->snd_limit - v->snd_nxt : 0;
	bool wait = false;
	uint64_t room;
	uint32_t len;

	if (v->snd_nxt == v->snd_end) {
		mark_app_limited(c);
		return false;
	}
	if (window == 0)
		return false;
	if (sent_empty(c))
		start_flight(c);
	room = budget(c, resent);
	if (v->now >= c->mtu_next && send_probe(c, data, window, room, &wait))
		return true;
	if (wait) {
		stopped_by_cwnd(c);
		return false;
	}
	len = new_len(c, data, window, room);
	if (c->fin_queued && len == data && window > len && room > len)
		len++;
	if (len == 0)
		return false;
	if (!sent_ready(c)) {
		count(c->tcp->counters, COUNT_chunk_limit);
		return false;
	}
	if (transmit_range(c, v->snd_nxt, len) < 0)
		return false;
	record_new(c, len, false);
	return true;
}

/* A plugin may want only the end of a chunk resent (a tail loss probe of a large one). */
static struct chunk *skip_front(struct tcp_conn *c, const struct sp_pick *pick)
{
	struct chunk *k = (struct chunk *)(uintptr_t)pick->chunk;

	if (pick->skip == 0 || pick->skip >= k->c.len || !sent_split(c, k, pick->skip))
		return k;
	return container_of(k->by_off.next, struct chunk, by_off);
}

/* Recovery wants nothing sent though there is more and the peer would take it: a window of its own
 * (snd_una + cwnd) stops it, and cwnd may grow on as if we had stopped. */
static void stopped_by_plugin(struct tcp_conn *c)
{
	const struct sp_conn *v = &c->view;

	if (v->snd_nxt < v->snd_end && v->snd_nxt < v->snd_limit &&
	    v->snd_nxt >= v->snd_una + v->cwnd)
		stopped_by_cwnd(c);
}

static void send_data(struct tcp_conn *c)
{
	uint64_t resent = 0;
	struct sp_pick pick = {.what = SP_PICK_NEW};
	bool more = c->view.snd_nxt < c->view.snd_end || !sent_empty(c);

	if (!more) /* nothing waits, nothing is out: nobody needs to be asked */
		mark_app_limited(c);
	while (more && !paced(c)) {
		policy_next(c, &pick);
		if (pick.what == SP_PICK_CHUNK)
			more = send_again(c, skip_front(c, &pick), &resent);
		else
			more = pick.what == SP_PICK_NEW && send_new(c, resent);
	}
	if (pick.what == SP_PICK_NOTHING)
		stopped_by_plugin(c);
	c->allowance = 0;
	c->push_now = false;
}

/* --- one round of output
 * --------------------------------------------------------------------------- */

bool output_window_shut(const struct tcp_conn *c)
{
	return c->view.snd_limit <= c->view.snd_una && c->view.snd_end > c->view.snd_una;
}

/* Data waits and nothing that is out will bring an ACK: a timer must go on (3.8.6.1). */
static void arm_persist(struct tcp_conn *c)
{
	bool waits = c->view.snd_end > c->view.snd_nxt && sent_empty(c);
	ns_t wait;

	if (!output_window_shut(c) && !waits) {
		c->persist_shift = 0;
		timer_set(c, TIMER_PERSIST, NS_NEVER);
		return;
	}
	if (output_window_shut(c) && c->stalled_since == NS_NEVER)
		timer_stalled(c);
	if (c->due[TIMER_PERSIST] != NS_NEVER)
		return;
	wait = c->persist_shift < 16 ? c->view.rto << c->persist_shift : PERSIST_MAX_NS;
	if (wait > PERSIST_MAX_NS)
		wait = PERSIST_MAX_NS;
	if (c->cork && !output_window_shut(c) && wait > CORK_MAX_NS)
		wait = CORK_MAX_NS;
	timer_set(c, TIMER_PERSIST, c->view.now + wait); /* SHLD-29, SHLD-30 */
}

static void arm(struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED)
		return;
	arm_persist(c);
	timer_set(c, TIMER_RECOVERY, output_window_shut(c) ? NS_NEVER : policy_deadline(c));
}

static bool ack_due(const struct tcp_conn *c)
{
	return c->due[TIMER_ACK] <= c->view.now;
}

static void send_syn(struct tcp_conn *c)
{
	if (!c->syn_due || transmit_syn(c) < 0)
		return;
	if (c->segs_out == 1)
		c->syn_sent_at = c->view.now;
	c->syn_due = false;
	timer_set(c, TIMER_HANDSHAKE, c->view.now + c->view.rto);
}

/* Without SACK a peer learns by counting: a burst of n out-of-order segments is answered by n
 * duplicate ACKs, the last of which may ride on data. */
static void send_owed_acks(struct tcp_conn *c)
{
	unsigned owed = c->acks_owed;

	c->acks_owed = 0;
	if (owed < 2)
		return;
	for (; owed > 1; owed--)
		if (transmit_empty(c, c->view.snd_nxt, SEG_ACK) < 0)
			return;
	recv_ack_by(c, c->view.now);
}

void output_run(struct tcp_conn *c)
{
	c->view.now = c->tcp->now;
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
		send_syn(c);
		if (ack_due(c))
			transmit_empty(c, 0, SEG_ACK);
		return;
	}
	/* SACK blocks go alone: with data they could make a segment larger than the path takes */
	if (ack_due(c) && c->sack_on && (c->held || c->dsack.begin != c->dsack.end))
		transmit_empty(c, c->view.snd_nxt, SEG_ACK);
	send_owed_acks(c);
	send_data(c);
	if (ack_due(c))
		transmit_empty(c, c->view.snd_nxt, SEG_ACK);
	arm(c);
}

/* --- what leaves outside of the flow
 * ----------------------------------------------------------------- */

/* One octet at SND.UNA (MUST-36); it is not in the sent queue: the answer alone counts. */
void output_probe(struct tcp_conn *c)
{
	bool fin = c->view.snd_una >= c->tx_tail;

	c->probes_sent++;
	count(c->tcp->counters, COUNT_tx_probes);
	if (transmit_range(c, c->view.snd_una, 1) < 0)
		return;
	c->probe_end = c->view.snd_una + 1;
	c->probe_segs = c->segs_out;
	if (fin)
		fin_leaves(c);
}

/* SEG.SEQ = SND.NXT-1 and no data (SHLD-12) */
void output_keepalive(struct tcp_conn *c)
{
	c->probes_sent++;
	count(c->tcp->counters, COUNT_tx_probes);
	transmit_empty(c, c->view.snd_nxt - 1, SEG_ACK);
}

void output_rst(struct tcp_conn *c)
{
	if (transmit_empty(c, c->view.snd_nxt, SEG_RST | SEG_ACK) == 0)
		count(c->tcp->counters, COUNT_tx_rst);
}

bool challenge_allowed(struct tcp *t, const struct tcp_knobs *k)
{
	if (k->challenge_ack_limit == 0)
		return true;
	if (t->now - t->challenge_second >= NS_PER_S) {
		t->challenge_second = t->now;
		t->challenges = 0;
	}
	if (t->challenges < k->challenge_ack_limit) {
		t->challenges++;
		return true;
	}
	count(t->counters, COUNT_challenge_limited);
	return false;
}

/* RFC 5961: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, a limited number of times */
void output_challenge(struct tcp_conn *c)
{
	if (challenge_allowed(c->tcp, &c->profile->knobs))
		recv_ack_by(c, c->tcp->now);
}

void output_ack_from_probe(struct tcp_conn *c)
{
	if (challenge_allowed(c->tcp, &c->profile->knobs))
		transmit_empty(c, c->probe_end, SEG_ACK);
}

void output_bare(struct tcp *t, struct output_way way, const struct endpoint *local,
		 const struct endpoint *remote, const struct segment_head *h)
{
	struct net_send out = {.src = &local->addr,
			       .dst = &remote->addr,
			       .tos = way.tos,
			       .ttl = way.ttl,
			       .l4 = t->head + NET_HEADROOM};
	struct net_route route;

	if (net_route_by(t->net, way.device, &remote->addr, &local->addr, &route) < 0)
		return;
	out.l4_len = segment_write(h, out.l4);
	if (net_send(t->net, &route, &out, t->now) == 0) {
		count(t->counters, COUNT_tx_segments);
		if (h->flags & SEG_RST)
			count(t->counters, COUNT_tx_rst);
	}
}

void output_reset(struct tcp *t, const struct segment *s)
{
	struct segment_head h = {
	    .src_port = s->local.port, .dst_port = s->remote.port, .opt.wscale = SEGMENT_NO_WSCALE};

	if (s->flags & SEG_ACK) {
		h.seq = s->ack;
		h.flags = SEG_RST;
	} else {
		h.ack =
		    s->seq + s->len + (s->flags & SEG_SYN ? 1 : 0) + (s->flags & SEG_FIN ? 1 : 0);
		h.flags = SEG_RST | SEG_ACK;
	}
	output_bare(t, (struct output_way){0}, &s->local, &s->remote, &h);
}

/* RFC 9293 3.10.7.1, CLOSED STATE */
void output_reject(struct tcp *t, const struct segment *s)
{
	if (s->flags & SEG_RST) {
		count(t->counters, COUNT_seg_rst_no_connection);
		return;
	}
	count(t->counters, COUNT_seg_no_connection);
	output_reset(t, s);
}
