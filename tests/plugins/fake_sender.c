/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_sender.c - the sender of the fake core: verdicts, room, samples, ACKs and the timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_world.h"

void fake_take_cc(struct world *w, const struct sp_cc_out *out)
{
	w->r.violations += out->cwnd < w->q.view.mss;
	w->q.view.cwnd = out->cwnd < w->q.view.mss ? w->q.view.mss : out->cwnd;
	w->q.view.ssthresh = out->ssthresh;
	w->pacing = out->pacing;
	if (out->cwnd > w->r.cwnd_max)
		w->r.cwnd_max = out->cwnd;
}

struct sp_cc_out fake_cc_now(const struct world *w)
{
	return (struct sp_cc_out){w->q.view.cwnd, w->q.view.ssthresh, w->pacing};
}

static void tell_cc(struct world *w, enum sp_episode e)
{
	const struct sp_cc_ops *cc = w->cc.plugin->ops;
	struct sp_cc_out out = fake_cc_now(w);

	w->q.view.params = w->cc.params;
	if (cc->on_episode)
		cc->on_episode(&w->q.view, w->cc_st, e, &out);
	fake_take_cc(w, &out);
}

static void episode(struct world *w, const struct sp_verdict *v)
{
	w->allowance = v->allowance;
	w->r.enters += v->episode == SP_ENTER;
	w->r.exits += v->episode == SP_EXIT;
	w->r.undos += v->episode == SP_UNDO;
	w->r.timeouts += v->episode == SP_TIMEOUT;
	if (v->episode == SP_SAME)
		return;
	w->recovering = v->episode == SP_ENTER;
	if (v->episode == SP_UNDO)
		fake_unmark(&w->q);
	tell_cc(w, v->episode);
}

void fake_take_estimate(struct world *w, const struct sp_rto_est *e)
{
	w->r.violations += e->rto == 0;
	w->q.view.srtt = e->srtt;
	w->q.view.rttvar = e->rttvar;
	w->q.view.rto = e->rto;
}

struct sp_rto_est fake_estimate(const struct world *w)
{
	return (struct sp_rto_est){w->q.view.srtt, w->q.view.rttvar, w->q.view.rto};
}

static uint32_t new_length(struct world *w)
{
	const struct sp_conn *c = &w->q.view;
	uint64_t left = c->snd_end - c->snd_nxt, room = c->snd_limit - c->snd_nxt;
	uint64_t len = w->f->segments ? w->f->segments[w->next_segment] : c->mss;

	len = len < left ? len : left;
	return (uint32_t)(len < room ? len : room);
}

static bool room_for(struct world *w, uint32_t len)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_conn *c = &w->q.view;
	uint64_t left = 0, out;

	w->q.view.params = w->recovery.params;
	if (rec->left)
		left = rec->left(c, w->rec_st);
	w->r.violations += left > c->flight;
	out = c->flight - left;
	if (out + len <= c->cwnd || out == 0)
		return true;
	if (w->allowance >= len) {
		w->allowance -= len;
		return true;
	}
	w->limited_mark = c->snd_nxt;
	return false;
}

static void pick_next(struct world *w, struct sp_pick *p)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	struct sp_conn *c = &w->q.view;

	p->what = SP_PICK_NOTHING;
	c->params = w->recovery.params;
	if (rec->next) {
		rec->next(c, w->rec_st, p);
	} else {
		p->chunk = c->host->lost(c);
		p->what = p->chunk ? SP_PICK_CHUNK : SP_PICK_NEW;
	}
}

/* Sends one segment.  False: nothing may leave. */
static bool send_one(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	struct sp_conn *c = &w->q.view;
	struct fake_chunk *k;
	struct sp_pick p;

	pick_next(w, &p);
	if (p.what == SP_PICK_NOTHING || (p.what == SP_PICK_NEW && new_length(w) == 0))
		return false;
	if (w->pacing && c->now < w->pace_at)
		return false;
	if (p.what == SP_PICK_CHUNK) {
		w->r.violations += p.chunk->sacked;
		if (!room_for(w, p.chunk->len))
			return false;
		k = (struct fake_chunk *)(uintptr_t)p.chunk;
		fake_again(&w->q, k);
		w->r.again++;
	} else {
		if (!room_for(w, new_length(w)))
			return false;
		k = fake_append(&w->q, new_length(w));
		w->next_segment++;
	}
	w->r.sent++;
	if (w->pacing)
		w->pace_at = (w->pace_at > c->now ? w->pace_at : c->now) +
			     k->c.len * UINT64_C(1000000000) / w->pacing;
	fake_transmit(w, (struct packet){.off = k->c.off, .len = k->c.len, .ts = c->now});
	c->params = w->recovery.params;
	if (rec->on_sent)
		rec->on_sent(c, w->rec_st, &k->c);
	return true;
}

void fake_send_all(struct world *w)
{
	for (uint32_t n = 0; send_one(w); n++)
		assert_true(n < FAKE_CHUNKS); /* a plugin that offers for ever */
	w->allowance = 0;
}

/* The facts of RTT and rate, from the newest of the acknowledged chunks. */
static void measure(struct world *w, const struct packet *p, struct sp_ack *a)
{
	const struct sp_conn *c = &w->q.view;
	const struct fake_chunk *best = NULL;

	for (uint32_t i = 0; i < w->q.newly_count; i++) {
		const struct fake_chunk *k = (const struct fake_chunk *)w->q.newly[i];

		if (!best || k->serial > best->serial)
			best = k;
		if (c->features & SP_TIMESTAMPS && k->c.sends > 1 && a->una > a->una_before &&
		    k->c.off < a->una && p->ts < k->first_again)
			a->ts_original = true;
	}
	if (!best)
		return;
	a->rtt = c->now - best->c.last_sent;
	a->rtt_ambiguous = best->c.sends > 1;
	if (c->features & SP_TIMESTAMPS && a->una > a->una_before) {
		a->rtt = c->now - p->ts;
		a->rtt_ambiguous = false;
	}
	a->round_end = best->round_end;
	a->rate_app_limited = best->c.app_limited;
	sp_ns span = c->now - (best->c.delivered_at ? best->c.delivered_at : best->c.first_sent);
	sp_ns send_span = c->now - best->c.last_sent;

	span = span > send_span ? span : send_span;
	if (span)
		a->rate =
		    (uint64_t)((double)(c->delivered - best->c.delivered) * 1e9 / (double)span);
}

static void tell_rto(struct world *w, const struct sp_ack *a)
{
	const struct sp_rto_ops *rto = w->rto.plugin->ops;
	struct sp_conn *c = &w->q.view;
	struct sp_rto_est e = fake_estimate(w);

	c->params = w->rto.params;
	if (a->rtt && !a->rtt_ambiguous) {
		c->rtt_last = a->rtt;
		c->rtt_min = c->rtt_min && c->rtt_min < a->rtt ? c->rtt_min : a->rtt;
	}
	if (a->rtt && rto->on_rtt)
		rto->on_rtt(c, w->rto_st, a->rtt, a->rtt_ambiguous, &e);
	fake_take_estimate(w, &e);
	if (a->una > a->una_before && rto->on_progress)
		rto->on_progress(c, w->rto_st, &e);
	fake_take_estimate(w, &e);
}

void fake_ack_arrives(struct world *w, const struct packet *p)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_cc_ops *cc = w->cc.plugin->ops;
	struct sp_conn *c = &w->q.view;
	struct sp_ack a = {.size = sizeof(a), .una_before = c->snd_una, .flight_before = c->flight};
	struct sp_verdict v = {SP_SAME, 0};
	uint64_t delivered = c->delivered;
	struct sp_cc_out out;

	if (p->off < c->snd_una)
		return;
	fake_ack(&w->q, p->off);
	for (uint32_t i = 0; i < p->blocks; i++)
		fake_sack(&w->q, p->block[i].begin, p->block[i].end);
	c->snd_limit = c->snd_una + UINT64_C(1000) * c->mss;
	a.una = c->snd_una;
	a.newly = w->q.newly;
	a.newly_count = w->q.newly_count;
	a.delivered = c->delivered - delivered;
	a.sack_news = a.una == a.una_before && a.delivered != 0;
	a.duplicate = a.una == a.una_before && w->q.count && (!p->blocks || a.sack_news);
	a.dsack = c->features & SP_DSACK ? p->dsack : (struct sp_range){0, 0};
	a.ece = p->ce && c->features & SP_ECN;
	measure(w, p, &a);
	c->cwnd_limited = w->limited_mark > a.una_before || w->limited_mark == c->snd_nxt;
	tell_rto(w, &a);
	c->params = w->recovery.params;
	rec->on_ack(c, w->rec_st, &a, &v);
	episode(w, &v);
	if (a.ece && c->snd_una > w->ece_end) {
		w->r.eces++;
		w->ece_end = c->snd_nxt;
		tell_cc(w, SP_ECE);
	}
	out = fake_cc_now(w);
	c->params = w->cc.params;
	cc->on_ack(c, w->cc_st, &a, w->recovering, &out);
	fake_take_cc(w, &out);
	fake_forget(&w->q);
	fake_send_all(w);
}

sp_ns fake_deadline(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	struct sp_conn *c = &w->q.view;

	if (w->q.count == 0)
		return SP_NEVER;
	c->params = w->recovery.params;
	return rec->deadline ? rec->deadline(c, w->rec_st) : c->rto_since + c->rto;
}

void fake_timer_fires(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_rto_ops *rto = w->rto.plugin->ops;
	struct sp_conn *c = &w->q.view;
	struct sp_verdict v = {SP_SAME, 0};

	c->params = w->recovery.params;
	rec->on_timer(c, w->rec_st, &v);
	if (v.episode == SP_TIMEOUT) {
		struct sp_rto_est e = fake_estimate(w);

		c->backoffs++;
		c->params = w->rto.params;
		rto->on_expire(c, w->rto_st, &e);
		fake_take_estimate(w, &e);
		c->rto_since = c->now;
	}
	episode(w, &v);
	fake_send_all(w);
	w->r.violations += fake_deadline(w) <= c->now; /* it must have moved */
}
