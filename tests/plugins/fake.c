/* SPDX-License-Identifier: BSD-2-Clause */
/* fake.c - the plugins with their parameters, and the loop of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "all.h"
#include "base/key.h"
#include "fake_world.h"

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

static void open_all(struct world *w)
{
	const struct sp_rto_ops *rto = w->rto.plugin->ops;
	const struct sp_ack_ops *ack = w->ack.plugin->ops;
	const struct sp_recovery_ops *rec = w->recovery.plugin->ops;
	const struct sp_cc_ops *cc = w->cc.plugin->ops;
	struct sp_rto_est e = fake_estimate(w);
	struct sp_cc_out out = fake_cc_now(w);

	w->q.view.params = w->rto.params;
	rto->open(&w->q.view, w->rto_st, &e);
	fake_take_estimate(w, &e);
	w->q.view.params = w->recovery.params;
	if (rec->open)
		rec->open(&w->q.view, w->rec_st);
	w->q.view.params = w->cc.params;
	if (cc->open)
		cc->open(&w->q.view, w->cc_st, &out);
	fake_take_cc(w, &out);
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
	sp_ns arrival = w->packets ? w->packet[best].at : SP_NEVER, due = fake_deadline(w);
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
			fake_ack_arrives(w, &p);
		else
			fake_data_arrives(w, &p);
	} else if (w->ack_due == next) {
		fake_send_ack(w);
	} else if (due == next) {
		fake_timer_fires(w);
	} else {
		fake_send_all(w);
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
	fake_send_all(w);
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
