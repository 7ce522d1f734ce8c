/* SPDX-License-Identifier: BSD-2-Clause */
/* ack.c - owns what an ACK means to the sender: the sent queue, SACK and DSACK, round-trip and
 * delivery-rate samples, the peer's window.  What follows from it, policy decides. */
#include "tcp/conn.h"

/* RFC 9293 3.10.7.4: "the send window should be updated" by the newest segment only.  One that
 * acknowledges more than any before is that in any case, so that a forged or damaged number in
 * SND.WL1 shuts the window for no longer than to the next progress.  True: moved. */
static bool take_window(struct tcp_conn *c, const struct segment *s)
{
	uint32_t wnd = (uint32_t)s->window << c->snd_wscale;
	uint64_t limit = s->ack_off + wnd;
	int64_t newer = (int64_t)(s->off - c->snd_wl1);
	bool moved, was_shut = output_window_shut(c);

	if ((int64_t)(s->ack_off - c->view.snd_una) < 0)
		return false;
	if (s->ack_off == c->view.snd_una &&
	    (newer < 0 || (newer == 0 && (int64_t)(s->ack_off - c->snd_wl2) < 0)))
		return false;
	moved = limit != c->view.snd_limit;
	c->snd_wnd = wnd;
	if (wnd > c->snd_wnd_max)
		c->snd_wnd_max = wnd;
	c->snd_wl1 = s->off;
	c->snd_wl2 = s->ack_off;
	c->view.snd_limit = limit;
	if (was_shut && limit > c->view.snd_una)
		timer_progress(c);
	if (was_shut && limit > c->view.snd_una && !sent_empty(c))
		c->view.rto_since = c->view.now; /* the probes' time was not the network's fault */
	return moved;
}

/* SND.UNA moves. */
static void advance(struct tcp_conn *c, uint64_t ack, uint32_t *n)
{
	struct sp_conn *v = &c->view;
	uint64_t data_before = v->snd_una;

	sent_ack(c, ack, n);
	if (ack > v->snd_nxt) { /* the byte of a window probe was taken */
		v->delivered += ack - v->snd_nxt;
		v->snd_nxt = ack;
		if (c->segs_out != c->probe_segs) /* its number was the probe's: refused */
			recv_ack_by(c, v->now);
	}
	v->snd_una = ack;
	if (c->urgent_out <= ack)
		c->urgent_out = NO_OFFSET;
	v->backoffs = 0;
	v->rto_since = sent_empty(c) ? NS_NEVER : v->now; /* RFC 6298 5.2, 5.3 */
	timer_progress(c);
	if (data_before < c->tx_tail)
		conn_event(c, TCP_EV_WRITABLE);
}

/* --- SACK ----------------------------------------------------------------------------------------
 */

static struct sp_range block(const struct tcp_conn *c, const struct segment *s, unsigned i)
{
	return (struct sp_range){
	    seq_unwrap(s->opt.sack[i].begin, c->iss + 1, c->view.snd_una),
	    seq_unwrap(s->opt.sack[i].end, c->iss + 1, c->view.snd_una),
	};
}

/* RFC 2883 4: the first block is a duplicate's when it lies below the ACK or within the second. */
static bool is_dsack(const struct tcp_conn *c, const struct segment *s, struct sp_range first)
{
	struct sp_range second;

	if ((int64_t)(first.end - s->ack_off) <= 0)
		return true;
	if (s->opt.sack_count < 2)
		return false;
	second = block(c, s, 1);
	return first.begin >= second.begin && first.end <= second.end;
}

static void take_sack(struct tcp_conn *c, const struct segment *s, struct sp_ack *a, uint32_t *n)
{
	for (unsigned i = 0; i < s->opt.sack_count; i++) {
		struct sp_range r = block(c, s, i);
		bool sane = (int64_t)(r.end - r.begin) > 0 &&
			    (int64_t)(r.end - c->view.snd_nxt) <= 0 &&
			    (int64_t)(r.begin - c->view.snd_una) >= -(int64_t)c->snd_wnd_max;

		if (!sane) {
			count(c->tcp->counters, COUNT_sack_invalid);
			continue;
		}
		if (i == 0 && is_dsack(c, s, r)) {
			c->dsacks++;
			if (c->dsack_on && (int64_t)r.begin >= 0)
				a->dsack = r;
			continue;
		}
		if ((int64_t)(r.end - c->view.snd_una) > 0)
			sent_sack(c, r.begin, r.end, n);
	}
}

/* --- samples
 * --------------------------------------------------------------------------------------- */

static ns_t timestamp_rtt(const struct tcp_conn *c, const struct segment *s, ns_t by_chunk)
{
	uint32_t ms = conn_ts_now(c, c->view.now) - s->opt.tsecr;

	if (ms > INT32_MAX)
		return by_chunk;
	if (ms == 0)
		return by_chunk < NS_PER_MS ? by_chunk : NS_PER_MS;
	return ms * NS_PER_MS;
}

static ns_t first_again(const struct sp_chunk *k)
{
	return ((const struct chunk *)k)->first_again;
}

/* The youngest of the newly delivered chunks gives the sample.  With a chunk among them that was
 * sent more than once it is ambiguous (Karn, MUST-18) unless a timestamp was echoed. */
static void sample_rtt(struct tcp_conn *c, const struct segment *s, struct sp_ack *a)
{
	const struct sp_chunk *youngest = NULL;
	bool stamped = c->ts_on && s->opt.has_ts && s->opt.tsecr != 0;

	for (uint32_t i = 0; i < a->newly_count; i++) {
		const struct sp_chunk *k = a->newly[i];

		if (k->sends > 1) {
			a->rtt_ambiguous = true;
			if (stamped && !k->sacked &&
			    seq_before(s->opt.tsecr, conn_ts_now(c, first_again(k))))
				a->ts_original = true;
		}
		if (!youngest || k->last_sent >= youngest->last_sent)
			youngest = k;
	}
	if (!youngest)
		return;
	a->rtt = c->view.now - youngest->last_sent;
	if (a->rtt_ambiguous && stamped && a->una != a->una_before) {
		a->rtt = timestamp_rtt(c, s, a->rtt);
		a->rtt_ambiguous = false;
	}
	if (a->rtt == 0)
		a->rtt = 1;
}

/* draft-cheng-iccrg-delivery-rate-estimation: bytes delivered since the newest of the delivered
 * chunks was sent, over the longer of the sending and the acknowledging time. */
static void sample_rate(struct tcp_conn *c, struct sp_ack *a)
{
	const struct chunk *newest = NULL;
	ns_t sending, acking, interval;

	for (uint32_t i = 0; i < a->newly_count; i++) {
		const struct chunk *k = (const struct chunk *)a->newly[i];

		if (!newest || k->c.delivered > newest->c.delivered ||
		    (k->c.delivered == newest->c.delivered &&
		     k->c.last_sent >= newest->c.last_sent))
			newest = k;
	}
	if (!newest)
		return;
	a->round_end = newest->round_end;
	a->rate_app_limited = newest->c.app_limited;
	sending = newest->c.last_sent - newest->rate_from;
	acking = c->view.now - newest->c.delivered_at;
	interval = sending > acking ? sending : acking;
	c->rate_from = newest->c.last_sent;
	if (interval == 0 || interval < c->view.rtt_min)
		return;
	a->rate =
	    (uint64_t)((double)(c->view.delivered - newest->c.delivered) * 1e9 / (double)interval);
	c->rate = a->rate;
}

/* RFC 5681 section 2; a probe of a shut window is answered by ACKs that mean nothing of the kind */
static bool is_duplicate(const struct tcp_conn *c, const struct segment *s, bool outstanding,
			 uint32_t window_before)
{
	return outstanding && s->len == 0 && !(s->flags & (SEG_SYN | SEG_FIN)) &&
	       s->ack_off == c->view.snd_una && c->snd_wnd == window_before && c->snd_wnd > 0;
}

static void after_hooks(struct tcp_conn *c)
{
	struct sp_conn *v = &c->view;

	sent_release(c->tcp);
	if (c->mtu_verdict)
		mss_probe_judged(c);
	if (v->snd_una >= c->limited_mark && c->profile->knobs.cwnd_validation)
		v->cwnd_limited = false;
	if (c->app_limited && v->delivered > c->app_limited)
		c->app_limited = 0;
	conn_dirty(c);
}

/* An ACK that says anything: from the facts to the hooks. */
static void process_news(struct tcp_conn *c, const struct segment *s, bool progress,
			 bool window_moved, uint32_t window_before)
{
	struct sp_conn *v = &c->view;
	struct sp_ack a = {.size = sizeof(a),
			   .window_moved = window_moved,
			   .una_before = v->snd_una,
			   .flight_before = v->flight,
			   .newly = c->tcp->newly};
	uint64_t delivered = v->delivered;
	bool outstanding = !sent_empty(c);
	uint32_t cumulative, n = 0;

	if (progress)
		advance(c, s->ack_off, &n);
	else
		a.duplicate = is_duplicate(c, s, outstanding, window_before);
	cumulative = n;
	if (c->sack_on && s->opt.sack_count)
		take_sack(c, s, &a, &n);
	a.sack_news = n > cumulative;
	if (!progress && a.sack_news)
		a.duplicate = true;
	if (!progress && !a.duplicate && !a.window_moved && a.dsack.begin == a.dsack.end)
		return;
	a.newly_count = n;
	a.una = v->snd_una;
	a.ece = (v->features & SP_ECN) && (s->flags & SEG_ECE);
	a.delivered = v->delivered - delivered;
	sample_rate(c, &a);
	if (a.delivered > 0)
		v->delivered_at = v->now;
	sample_rtt(c, s, &a);
	policy_ack(c, &a, progress);
	after_hooks(c);
}

/* Most data segments of a stream that goes one way repeat the same ACK. */
void ack_process(struct tcp_conn *c, const struct segment *s)
{
	uint32_t window_before = c->snd_wnd;
	bool progress = (int64_t)(s->ack_off - c->view.snd_una) > 0;
	bool moved = take_window(c, s);

	c->last_ack = c->view.now;
	if (c->soft_error) /* the path works */
		conn_soft_error(c, 0);
	if (progress || moved || s->len == 0 || (c->sack_on && s->opt.sack_count))
		process_news(c, s, progress, moved, window_before);
}
