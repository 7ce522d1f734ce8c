/* SPDX-License-Identifier: BSD-2-Clause */
/* fake.c - the transfer: sender, receiver, link and the loop of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "all.h"
#include "base/key.h"
#include "fake.h"

#define PACKETS 8192u
#define HELD    256u

struct packet {
	sp_ns at;
	uint64_t order;
	bool ack, ce;
	sp_off off; /* or the acknowledgement number */
	uint32_t len;
	sp_ns ts;
	struct sp_range block[3], dsack;
	uint32_t blocks;
};

struct world {
	const struct fake_config *f;
	struct fake_result r;
	struct rng rng;
	/* sender */
	struct fake_queue q; /* its view is the sender's */
	struct fake_plugin rto, ack, recovery, cc;
	_Alignas(16) unsigned char rto_st[SP_STATE_MAX], ack_st[SP_STATE_MAX], rec_st[SP_STATE_MAX],
	    cc_st[SP_STATE_MAX], rcv_rec_st[SP_STATE_MAX];
	uint32_t allowance, next_segment;
	bool recovering;
	sp_off limited_mark, ece_end;
	uint64_t pacing;
	sp_ns pace_at;
	/* receiver */
	struct sp_conn peer;
	struct sp_range held[HELD], dsack;
	uint32_t held_count, newest;
	sp_ns ack_due, ts_recent;
	sp_off last_ack;
	bool ce_seen;
	/* link */
	struct packet packet[PACKETS];
	uint32_t packets, nth_data, nth_ack;
	uint64_t order;
	sp_ns busy;
};

/* --- plugins and parameters
 * ----------------------------------------------------------------------- */

static struct key key_of(const struct sp_param *p)
{
	return (struct key){
	    p->name, (enum key_type)p->type, p->offset, p->def, p->min, p->max, NULL, p->sentence};
}

static void set_param(struct fake_plugin *f, const char *name, const char *value)
{
	char error[KEY_ERROR_MAX];

	for (const struct sp_param *p = f->plugin->params; p && p->name; p++)
		if (strcmp(p->name, name) == 0) {
			struct key k = key_of(p);

			if (key_set(&k, f->params, value, error) != 0)
				fail_msg("%s %s=%s: %s", f->plugin->name, name, value, error);
			return;
		}
	fail_msg("%s has no parameter %s", f->plugin->name, name);
}

struct fake_plugin fake_plugin(enum sp_kind kind, const char *name, const char *params)
{
	struct fake_plugin f = {0};
	char text[256] = "", *rest = text;

	for (const struct sp_plugin *const *p = stackd_all_plugins; *p; p++)
		if ((*p)->kind == kind && strcmp((*p)->name, name) == 0)
			f.plugin = *p;
	if (!f.plugin)
		fail_msg("no plugin %s", name);
	for (const struct sp_param *p = f.plugin->params; p && p->name; p++)
		set_param(&f, p->name, p->def);
	strncpy(text, params ? params : "", sizeof(text) - 1);
	for (char *value; (value = strsep(&rest, " ")) && *value;) {
		char *word = strsep(&value, "=");

		set_param(&f, word, value ? value : "");
	}
	return f;
}

/* --- link
 * ------------------------------------------------------------------------------------------- */

static bool dropped(struct world *w, bool ack)
{
	const struct fake_config *f = w->f;
	uint32_t nth = ack ? ++w->nth_ack : ++w->nth_data;

	if (f->fate)
		return f->fate(ack, nth) == FAKE_DROP;
	return rng_chance(&w->rng, ack ? f->ack_loss : f->loss);
}

static void put(struct world *w, struct packet p, sp_ns at)
{
	assert_true(w->packets < PACKETS);
	p.at = at;
	p.order = ++w->order;
	w->packet[w->packets++] = p;
}

static void transmit(struct world *w, struct packet p)
{
	const struct fake_config *f = w->f;
	sp_ns now = w->q.view.now, at = now + f->delay;

	if (dropped(w, p.ack))
		return;
	if (!p.ack && f->rate) {
		sp_ns start = w->busy > now ? w->busy : now;
		uint64_t queued = (uint64_t)((double)(start - now) * (double)f->rate / 1e9);

		if (f->queue && queued + p.len > f->queue)
			return;
		if (queued > w->r.queue_max)
			w->r.queue_max = queued;
		p.ce = f->mark_above && queued > f->mark_above;
		w->busy = start + p.len * UINT64_C(1000000000) / f->rate;
		at = w->busy + f->delay;
	}
	if (p.ack && now < f->ack_extra_until)
		at += f->ack_extra;
	if (rng_chance(&w->rng, f->overtake))
		at += f->delay * (1 + rng_below(&w->rng, 100)) / 50;
	put(w, p, at);
	if (rng_chance(&w->rng, f->duplicate))
		put(w, p, at + f->delay / 4);
}

/* --- receiver
 * --------------------------------------------------------------------------------------- */

static void send_ack(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_ack_ops *ack = w->ack.plugin->ops;
	struct packet p = {.ack = true, .off = w->peer.rcv_nxt, .ts = w->ts_recent};

	if (w->peer.features & SP_SACK && w->held_count) {
		w->peer.params = w->recovery.params;
		if (rec->report) {
			p.blocks = rec->report(&w->peer, w->rcv_rec_st, w->held, w->held_count,
					       w->newest, p.block, 3);
		} else {
			p.block[p.blocks++] = w->held[w->newest];
			for (uint32_t i = w->held_count; i-- > 0 && p.blocks < 3;)
				if (i != w->newest)
					p.block[p.blocks++] = w->held[i];
		}
	}
	if (w->peer.features & SP_DSACK)
		p.dsack = w->dsack;
	p.ce = w->ce_seen;
	w->ce_seen = false;
	w->dsack = (struct sp_range){0, 0};
	if (w->r.acks < FAKE_LOG)
		w->r.ack_log[w->r.acks] = p.off;
	w->r.acks++;
	w->ack_due = SP_NEVER;
	w->last_ack = p.off;
	transmit(w, p);
	w->peer.params = w->ack.params;
	if (ack->on_sent)
		ack->on_sent(&w->peer, w->ack_st);
}

/* Adds to the held ranges, joining neighbours. */
static void hold(struct world *w, sp_off begin, sp_off end)
{
	uint32_t i = 0, j;

	while (i < w->held_count && w->held[i].end < begin)
		i++;
	for (j = i; j < w->held_count && w->held[j].begin <= end; j++) {
		begin = w->held[j].begin < begin ? w->held[j].begin : begin;
		end = w->held[j].end > end ? w->held[j].end : end;
	}
	assert_true(w->held_count + 1 - (j - i) <= HELD);
	memmove(&w->held[i + 1], &w->held[j], (w->held_count - j) * sizeof(w->held[0]));
	w->held_count += 1 - (j - i);
	w->held[i] = (struct sp_range){begin, end};
	w->newest = i;
}

static void take_held(struct world *w)
{
	while (w->held_count && w->held[0].begin <= w->peer.rcv_nxt) {
		if (w->held[0].end > w->peer.rcv_nxt)
			w->peer.rcv_nxt = w->held[0].end;
		memmove(&w->held[0], &w->held[1], --w->held_count * sizeof(w->held[0]));
		w->newest = w->newest ? w->newest - 1 : 0;
	}
}

static bool is_held(const struct world *w, sp_off begin, sp_off end)
{
	for (uint32_t i = 0; i < w->held_count; i++)
		if (w->held[i].begin <= begin && end <= w->held[i].end)
			return true;
	return false;
}

static void data_arrives(struct world *w, const struct packet *p)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_ack_ops *ack = w->ack.plugin->ops;
	sp_off end = p->off + p->len;
	struct sp_seg s = {.size = sizeof(s), .len = p->len, .off = p->off, .ce = p->ce};
	sp_ns when;

	if (p->off <= w->last_ack && p->ts > w->ts_recent)
		w->ts_recent = p->ts;
	w->ce_seen |= p->ce;
	s.duplicate = end <= w->peer.rcv_nxt || is_held(w, p->off, end);
	s.in_order = p->off <= w->peer.rcv_nxt && !s.duplicate;
	s.fills_gap = s.in_order && w->held_count;
	s.kept = s.in_order;
	w->peer.params = w->recovery.params;
	if (s.duplicate) {
		w->dsack = (struct sp_range){p->off, end};
	} else if (s.in_order) {
		w->peer.rcv_nxt = end;
		take_held(w);
	} else if (!rec->keep || rec->keep(&w->peer, w->rcv_rec_st, &s)) {
		s.kept = true;
		hold(w, p->off, end);
	}
	w->r.discarded += !s.kept && !s.duplicate;
	w->peer.params = w->ack.params;
	when = ack->on_data(&w->peer, w->ack_st, &s);
	if (when < w->ack_due)
		w->ack_due = when;
	if (w->ack_due <= w->peer.now)
		send_ack(w);
}

/* --- sender
 * ------------------------------------------------------------------------------------------- */

static void take_cc(struct world *w, const struct sp_cc_out *out)
{
	w->r.violations += out->cwnd < w->q.view.mss;
	w->q.view.cwnd = out->cwnd < w->q.view.mss ? w->q.view.mss : out->cwnd;
	w->q.view.ssthresh = out->ssthresh;
	w->pacing = out->pacing;
	if (out->cwnd > w->r.cwnd_max)
		w->r.cwnd_max = out->cwnd;
}

static struct sp_cc_out cc_now(const struct world *w)
{
	return (struct sp_cc_out){w->q.view.cwnd, w->q.view.ssthresh, w->pacing};
}

static void tell_cc(struct world *w, enum sp_episode e)
{
	const struct sp_cc_ops *cc = w->cc.plugin->ops;
	struct sp_cc_out out = cc_now(w);

	w->q.view.params = w->cc.params;
	if (cc->on_episode)
		cc->on_episode(&w->q.view, w->cc_st, e, &out);
	take_cc(w, &out);
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

static void take_estimate(struct world *w, const struct sp_rto_est *e)
{
	w->r.violations += e->rto == 0;
	w->q.view.srtt = e->srtt;
	w->q.view.rttvar = e->rttvar;
	w->q.view.rto = e->rto;
}

static struct sp_rto_est estimate(const struct world *w)
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
	transmit(w, (struct packet){.off = k->c.off, .len = k->c.len, .ts = c->now});
	c->params = w->recovery.params;
	if (rec->on_sent)
		rec->on_sent(c, w->rec_st, &k->c);
	return true;
}

static void send_all(struct world *w)
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
	struct sp_rto_est e = estimate(w);

	c->params = w->rto.params;
	if (a->rtt && !a->rtt_ambiguous) {
		c->rtt_last = a->rtt;
		c->rtt_min = c->rtt_min && c->rtt_min < a->rtt ? c->rtt_min : a->rtt;
	}
	if (a->rtt && rto->on_rtt)
		rto->on_rtt(c, w->rto_st, a->rtt, a->rtt_ambiguous, &e);
	take_estimate(w, &e);
	if (a->una > a->una_before && rto->on_progress)
		rto->on_progress(c, w->rto_st, &e);
	take_estimate(w, &e);
}

static void ack_arrives(struct world *w, const struct packet *p)
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
	out = cc_now(w);
	c->params = w->cc.params;
	cc->on_ack(c, w->cc_st, &a, w->recovering, &out);
	take_cc(w, &out);
	fake_forget(&w->q);
	send_all(w);
}

static sp_ns deadline(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	struct sp_conn *c = &w->q.view;

	if (w->q.count == 0)
		return SP_NEVER;
	c->params = w->recovery.params;
	return rec->deadline ? rec->deadline(c, w->rec_st) : c->rto_since + c->rto;
}

static void timer_fires(struct world *w)
{
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_rto_ops *rto = w->rto.plugin->ops;
	struct sp_conn *c = &w->q.view;
	struct sp_verdict v = {SP_SAME, 0};

	c->params = w->recovery.params;
	rec->on_timer(c, w->rec_st, &v);
	if (v.episode == SP_TIMEOUT) {
		struct sp_rto_est e = estimate(w);

		c->backoffs++;
		c->params = w->rto.params;
		rto->on_expire(c, w->rto_st, &e);
		take_estimate(w, &e);
		c->rto_since = c->now;
	}
	episode(w, &v);
	send_all(w);
	w->r.violations += deadline(w) <= c->now; /* it must have moved */
}

/* --- the loop
 * -------------------------------------------------------------------------------------------- */

static void open_all(struct world *w)
{
	const struct sp_rto_ops *rto = w->rto.plugin->ops;
	const struct sp_ack_ops *ack = w->ack.plugin->ops;
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_cc_ops *cc = w->cc.plugin->ops;
	struct sp_rto_est e = estimate(w);
	struct sp_cc_out out = cc_now(w);

	w->q.view.params = w->rto.params;
	rto->open(&w->q.view, w->rto_st, &e);
	take_estimate(w, &e);
	w->q.view.params = w->recovery.params;
	if (rec->open)
		rec->open(&w->q.view, w->rec_st);
	w->q.view.params = w->cc.params;
	if (cc->open)
		cc->open(&w->q.view, w->cc_st, &out);
	take_cc(w, &out);
	w->peer.params = w->ack.params;
	if (ack->open)
		ack->open(&w->peer, w->ack_st);
}

static void set_up(struct world *w, const struct fake_config *f)
{
	uint32_t wanted;

	w->f = f;
	rng_seed(&w->rng, f->seed);
	w->rto = fake_plugin(SP_RTO, f->rto, f->rto_params);
	w->ack = fake_plugin(SP_ACK, f->ack, f->ack_params);
	w->recovery = fake_plugin(SP_RECOVERY, f->recovery, f->recovery_params);
	w->cc = fake_plugin(SP_CC, f->cc, f->cc_params);
	wanted = w->rto.plugin->wants | w->ack.plugin->wants | w->recovery.plugin->wants |
		 w->cc.plugin->wants;
	fake_queue_init(&w->q, f->mss);
	w->q.view.now = MS;
	w->q.view.features = (f->features | SP_PER_SEGMENT) & wanted;
	w->q.view.cwnd = (f->initial_window ? f->initial_window : 10) * (uint64_t)f->mss;
	w->q.view.snd_limit = UINT64_C(1000) * f->mss;
	w->q.view.snd_end = f->total;
	for (uint32_t i = 0; f->segments && f->segments[i]; i++)
		w->q.view.snd_end += f->segments[i];
	w->peer = w->q.view;
	w->ack_due = SP_NEVER;
	open_all(w);
}

static uint32_t earliest(const struct world *w)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < w->packets; i++)
		if (w->packet[i].at < w->packet[best].at ||
		    (w->packet[i].at == w->packet[best].at &&
		     w->packet[i].order < w->packet[best].order))
			best = i;
	return best;
}

static sp_ns min(sp_ns a, sp_ns b)
{
	return a < b ? a : b;
}

/* One event.  False: nothing is going to happen any more. */
static bool step(struct world *w)
{
	struct sp_conn *c = &w->q.view;
	uint32_t best = earliest(w);
	sp_ns arrival = w->packets ? w->packet[best].at : SP_NEVER, due = deadline(w);
	sp_ns pace = w->pacing && w->pace_at > c->now ? w->pace_at : SP_NEVER;
	sp_ns next = min(min(arrival, due), min(w->ack_due, pace));

	if (next == SP_NEVER || next > w->f->limit)
		return false;
	c->now = w->peer.now = next > c->now ? next : c->now;
	w->peer.rto = c->rto;
	if (arrival == next) {
		struct packet p = w->packet[best];

		w->packet[best] = w->packet[--w->packets];
		if (p.ack)
			ack_arrives(w, &p);
		else
			data_arrives(w, &p);
	} else if (w->ack_due == next) {
		send_ack(w);
	} else if (due == next) {
		timer_fires(w);
	} else {
		send_all(w);
	}
	return true;
}

static void describe_all(struct world *w)
{
	const struct fake_plugin *p[4] = {&w->rto, &w->ack, &w->recovery, &w->cc};
	const void *st[4] = {w->rto_st, w->ack_st, w->rec_st, w->cc_st};

	for (int i = 0; i < 4; i++) {
		const void *ops = p[i]->plugin->ops;
		int (*describe)(const struct sp_conn *, const void *, char *, size_t) =
		    i == 0   ? ((const struct sp_rto_ops *)ops)->describe
		    : i == 1 ? ((const struct sp_ack_ops *)ops)->describe
		    : i == 2 ? ((const struct sp_recovery_ops *)ops)->describe
			     : ((const struct sp_cc_ops *)ops)->describe;

		w->q.view.params = p[i]->params;
		if (describe)
			describe(&w->q.view, st[i], w->r.described[i], sizeof(w->r.described[i]));
	}
}

struct fake_result fake_run(const struct fake_config *f)
{
	struct world *w = calloc(1, sizeof(*w));
	struct fake_result r;

	set_up(w, f);
	send_all(w);
	/* to the end of what is under way, so that all ACKs are counted */
	while ((w->q.view.snd_una < w->q.view.snd_end || w->packets || w->ack_due != SP_NEVER) &&
	       step(w))
		;
	describe_all(w);
	r = w->r;
	r.complete = w->q.view.snd_una == w->q.view.snd_end && w->peer.rcv_nxt == w->q.view.snd_end;
	r.time = w->q.view.now;
	r.cwnd = w->q.view.cwnd;
	r.ssthresh = w->q.view.ssthresh;
	r.violations += w->q.violations;
	fake_queue_free(&w->q);
	free(w);
	return r;
}
