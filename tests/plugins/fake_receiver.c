/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_receiver.c - the receiver of the fake core, and the link to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_world.h"

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

void fake_transmit(struct world *w, struct packet p)
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

void fake_send_ack(struct world *w)
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
	fake_transmit(w, p);
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

void fake_data_arrives(struct world *w, const struct packet *p)
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
		fake_send_ack(w);
}
