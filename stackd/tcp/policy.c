/* SPDX-License-Identifier: BSD-2-Clause */
/* policy.c - the only caller of plugin hooks: their order, and the check of every verdict.  What a
 * plugin does wrong is clamped and counted (and asserted in debug), and goes no further. */
#include "tcp/conn.h"

static const uint32_t class_size[STATE_CLASSES] = {64, 128, 256, 512};

static const struct sp_rto_ops *rto_ops(const struct tcp_conn *c)
{
	return c->plugin[KIND_RTO].plugin->ops;
}

static const struct sp_ack_ops *ack_ops(const struct tcp_conn *c)
{
	return c->plugin[KIND_ACK].plugin->ops;
}

static const struct sp_recovery_ops *recovery_ops(const struct tcp_conn *c)
{
	return c->plugin[KIND_RECOVERY].plugin->ops;
}

static const struct sp_cc_ops *cc_ops(const struct tcp_conn *c)
{
	return c->plugin[KIND_CC].plugin->ops;
}

static void fault(const struct tcp_conn *c, enum count_id id)
{
	count(c->tcp->counters, id);
	assert(!c->tcp->debug);
}

/* The state of the plugin that is about to be called, its parameters in the view. */
static void *ready(struct tcp_conn *c, unsigned kind)
{
	c->view.params = c->plugin[kind].params;
	c->view.now = c->tcp->now;
	return c->plugin_state[kind];
}

/* --- choosing ------------------------------------------------------------------------------------
 */

static uint32_t wants_of(const struct tcp_plugin_list *l)
{
	uint32_t wants = 0;

	for (uint32_t i = 0; i < l->count; i++)
	wants |= l->use[i].plugin->wants | l->use[i].plugin->requires;
	return wants;
}

uint32_t policy_offers(const struct tcp_profile *p)
{
	uint32_t wants =
	    wants_of(&p->recovery) | wants_of(&p->cc) | wants_of(&p->ack) | wants_of(&p->rto);

	if (!p->knobs.sack)
		wants &= ~(uint32_t)(SP_SACK | SP_DSACK);
	if (!p->knobs.dsack)
		wants &= ~(uint32_t)SP_DSACK;
	if (!p->knobs.ecn)
		wants &= ~(uint32_t)SP_ECN;
	wants &= ~(uint32_t)SP_TIMESTAMPS;
	return p->knobs.timestamps ? wants | SP_TIMESTAMPS : wants;
}

/* The first whose requirements are met; else the first without any, else the last. */
static struct tcp_plugin choose(const struct tcp_plugin_list *l, uint32_t agreed)
{
	assert(l->count > 0);
	for (uint32_t i = 0; i < l->count; i++)
		if ((l->use[i].plugin->requires & ~agreed) == 0)
			return l->use[i];
	for (uint32_t i = 0; i < l->count; i++)
		if (l->use[i].plugin->requires == 0)
			return l->use[i];
	return l->use[l->count - 1];
}

static int class_of(uint32_t bytes)
{
	for (int i = 0; i < STATE_CLASSES; i++)
		if (bytes <= class_size[i])
			return i;
	return -1;
}

static void give_state(struct tcp_conn *c, unsigned kind)
{
	if (!c->plugin_state[kind])
		return;
	pool_give(&c->tcp->state_pool[class_of(c->plugin[kind].plugin->state_size)],
		  c->plugin_state[kind]);
	c->plugin_state[kind] = NULL;
}

/* Takes the plugin with a zeroed state, in place of the one before. */
static bool use(struct tcp_conn *c, unsigned kind, struct tcp_plugin p)
{
	int class = class_of(p.plugin->state_size);
	void *state = NULL;

	assert(class >= 0);
	if (p.plugin->state_size > 0) {
		state = pool_take(&c->tcp->state_pool[class]);
		if (!state)
			return false;
	}
	give_state(c, kind);
	c->plugin[kind] = p;
	c->plugin_state[kind] = state;
	return true;
}

static void take_estimate(struct tcp_conn *c, struct sp_rto_est e)
{
	if (e.rto == 0 || e.rto > RTO_MAX_NS) {
		fault(c, COUNT_plugin_bad_rto);
		e.rto = e.rto == 0 ? NS_PER_S : RTO_MAX_NS;
	}
	c->view.srtt = e.srtt;
	c->view.rttvar = e.rttvar;
	c->view.rto = e.rto;
}

static struct sp_rto_est estimate(const struct tcp_conn *c)
{
	return (struct sp_rto_est){c->view.srtt, c->view.rttvar, c->view.rto};
}

static bool open_rto(struct tcp_conn *c, struct tcp_plugin p)
{
	struct sp_rto_est e = {.rto = NS_PER_S};

	if (!use(c, KIND_RTO, p))
		return false;
	if (rto_ops(c)->open)
		rto_ops(c)->open(&c->view, ready(c, KIND_RTO), &e);
	take_estimate(c, e);
	return true;
}

bool policy_open_rto(struct tcp_conn *c)
{
	return open_rto(c, choose(&c->profile->rto, 0));
}

static void take_cc(struct tcp_conn *c, struct sp_cc_out out)
{
	if (out.cwnd < c->view.mss) {
		fault(c, COUNT_plugin_cwnd_low);
		out.cwnd = c->view.mss;
	}
	c->view.cwnd = out.cwnd;
	c->view.ssthresh = out.ssthresh;
	c->pacing = c->profile->knobs.pacing ? out.pacing : 0;
}

static struct sp_cc_out cc_now(const struct tcp_conn *c)
{
	return (struct sp_cc_out){c->view.cwnd, c->view.ssthresh, c->pacing};
}

static uint64_t initial_window(const struct tcp_conn *c)
{
	uint64_t mss = c->view.mss, segments = c->profile->knobs.initial_window;
	uint64_t floor = 2 * mss > 14600 ? 2 * mss : 14600;

	if (segments)
		return segments * mss;
	return 10 * mss < floor ? 10 * mss : floor; /* RFC 6928 */
}

static void open_all(struct tcp_conn *c)
{
	struct sp_cc_out out = {.cwnd = initial_window(c), .ssthresh = UINT64_MAX};

	c->view.cwnd = out.cwnd;
	c->view.ssthresh = out.ssthresh;
	if (recovery_ops(c)->open)
		recovery_ops(c)->open(&c->view, ready(c, KIND_RECOVERY));
	if (ack_ops(c)->open)
		ack_ops(c)->open(&c->view, ready(c, KIND_ACK));
	if (cc_ops(c)->open)
		cc_ops(c)->open(&c->view, ready(c, KIND_CC), &out);
	take_cc(c, out);
}

bool policy_open(struct tcp_conn *c, uint32_t agreed)
{
	const struct tcp_profile *p = c->profile;
	struct tcp_plugin rto = choose(&p->rto, agreed);
	uint32_t wanted = 0;

	agreed |= SP_PER_SEGMENT | (agreed & SP_ECN ? SP_CE_EXACT : 0);
	if (!use(c, KIND_RECOVERY, choose(&p->recovery, agreed)) ||
	    !use(c, KIND_ACK, choose(&p->ack, agreed)) || !use(c, KIND_CC, choose(&p->cc, agreed)))
		return false;
	if (rto.plugin != c->plugin[KIND_RTO].plugin && !open_rto(c, rto))
		return false;
	for (unsigned i = 0; i < KIND_MAX; i++)
	wanted |= c->plugin[i].plugin->wants | c->plugin[i].plugin->requires;
	c->view.features = agreed & wanted;
	c->sack_on = (c->view.features & SP_SACK) != 0;
	c->dsack_on = c->sack_on && (c->view.features & SP_DSACK);
	c->view.cwnd_limited = !p->knobs.cwnd_validation;
	open_all(c);
	c->plugins_open = true;
	return true;
}

void policy_close(struct tcp_conn *c)
{
	for (unsigned i = 0; i < KIND_MAX; i++)
		give_state(c, i);
	c->plugins_open = false;
}

bool policy_set_cc(struct tcp_conn *c, struct tcp_plugin cc)
{
	struct sp_cc_out out = cc_now(c);

	if (!use(c, KIND_CC, cc))
		return false;
	c->view.features &= ~(uint32_t)SP_CE_EXACT;
	if (c->view.features & SP_ECN)
		c->view.features |= cc.plugin->wants & SP_CE_EXACT;
	if (cc_ops(c)->open)
		cc_ops(c)->open(&c->view, ready(c, KIND_CC), &out);
	take_cc(c, out);
	return true;
}

/* --- the sending half ----------------------------------------------------------------------------
 */

/* A path that has become longer is believed after the window, after half of it at the earliest. */
static void take_rtt_min(struct tcp_conn *c, ns_t rtt)
{
	ns_t *half = c->rtt_min_half, age = c->tcp->now - c->rtt_min_since;

	if (half[0] == 0 || age >= RTT_MIN_WINDOW / 2) {
		half[1] = age < RTT_MIN_WINDOW ? half[0] : 0;
		half[0] = rtt;
		c->rtt_min_since = c->tcp->now;
	} else if (rtt < half[0]) {
		half[0] = rtt;
	}
	c->view.rtt_min = half[1] && half[1] < half[0] ? half[1] : half[0];
}

void policy_rtt(struct tcp_conn *c, ns_t rtt, bool ambiguous)
{
	struct sp_rto_est e = estimate(c);

	if (!ambiguous) {
		c->view.rtt_last = rtt;
		take_rtt_min(c, rtt);
	}
	if (rto_ops(c)->on_rtt) {
		rto_ops(c)->on_rtt(&c->view, ready(c, KIND_RTO), rtt, ambiguous, &e);
		take_estimate(c, e);
	}
}

void policy_expire(struct tcp_conn *c)
{
	struct sp_rto_est e = estimate(c);

	if (rto_ops(c)->on_expire)
		rto_ops(c)->on_expire(&c->view, ready(c, KIND_RTO), &e);
	else
		e.rto = e.rto * 2 < RTO_MAX_NS ? e.rto * 2 : RTO_MAX_NS;
	take_estimate(c, e);
}

static void progress_made(struct tcp_conn *c)
{
	struct sp_rto_est e = estimate(c);

	if (!rto_ops(c)->on_progress)
		return;
	rto_ops(c)->on_progress(&c->view, ready(c, KIND_RTO), &e);
	take_estimate(c, e);
}

static void tell_cc(struct tcp_conn *c, enum sp_episode episode)
{
	struct sp_cc_out out = cc_now(c);

	if (!cc_ops(c)->on_episode)
		return;
	cc_ops(c)->on_episode(&c->view, ready(c, KIND_CC), episode, &out);
	take_cc(c, out);
}

/* The loss of a probe of the path's MTU is no news for congestion control, neither where it begins
 * nor where it is over; but what is lost besides is. */
static bool spares_cc(struct tcp_conn *c, enum sp_episode e)
{
	bool spared = c->cc_spared;

	if (e == SP_ENTER && mss_only_probe_lost(c)) {
		c->lost_more = false;
		return c->cc_spared = true;
	}
	if (e != SP_SAME)
		c->cc_spared = false;
	if (spared && c->lost_more && e == SP_SAME) {
		c->cc_spared = false;
		tell_cc(c, SP_ENTER);
	}
	return spared && (e == SP_EXIT || e == SP_UNDO);
}

static void episode(struct tcp_conn *c, const struct sp_verdict *v)
{
	struct counters *n = c->tcp->counters;
	bool spared = spares_cc(c, v->episode);

	c->allowance = v->allowance;
	switch (v->episode) {
	case SP_ENTER:
		c->recovering = true;
		c->recoveries++;
		count(n, COUNT_recoveries);
		break;
	case SP_TIMEOUT:
		c->recovering = false; /* slow start grows cwnd again */
		c->timeouts++;
		count(n, COUNT_timeouts);
		break;
	case SP_UNDO:
		sent_unmark_lost(c);
		c->recovering = false;
		c->undos++;
		count(n, COUNT_undos);
		break;
	case SP_EXIT:
		c->recovering = false;
		break;
	default:
		return;
	}
	if (!spared)
		tell_cc(c, v->episode);
}

void policy_ack(struct tcp_conn *c, struct sp_ack *a, bool progress)
{
	struct sp_verdict v = {.episode = SP_SAME};
	struct sp_cc_out out, before = cc_now(c);

	if (a->rtt)
		policy_rtt(c, a->rtt, a->rtt_ambiguous);
	if (progress)
		progress_made(c);
	if (recovery_ops(c)->on_ack)
		recovery_ops(c)->on_ack(&c->view, ready(c, KIND_RECOVERY), a, &v);
	episode(c, &v);
	if (a->ece && c->view.snd_una > c->ece_mark) { /* once per window */
		c->ece_mark = c->view.snd_nxt;
		c->cwr_due = true;
		tell_cc(c, SP_ECE);
	}
	out = cc_now(c);
	if (cc_ops(c)->on_ack) {
		cc_ops(c)->on_ack(&c->view, ready(c, KIND_CC), a, c->recovering && !c->cc_spared,
				  &out);
		take_cc(c, out);
	}
	if (conn_traced(c))
		trace_ack(c, a, &v, before);
}

/* The peer may throw away what it has only selectively acknowledged (RFC 2018 section 8): when the
 * oldest chunk stands as sacked, its marks are not believed any more. */
static void unsack(struct tcp_conn *c)
{
	struct chunk *first = sent_first(c);

	if (!first || !first->c.sacked)
		return;
	sent_unsack(c);
}

/* Without on_timer: everything out is taken for lost. */
static void default_timer(struct tcp_conn *c, struct sp_verdict *v)
{
	v->episode = SP_TIMEOUT;
	list_for_each (n, &c->by_off) {
		struct chunk *k = container_of(n, struct chunk, by_off);

		if (!k->c.sacked)
			sent_mark_lost(c, k);
	}
}

void policy_timer(struct tcp_conn *c)
{
	struct sp_verdict v = {.episode = SP_SAME};
	struct sp_cc_out before = cc_now(c);

	unsack(c);
	c->timer_ran = true;
	if (recovery_ops(c)->on_timer)
		recovery_ops(c)->on_timer(&c->view, ready(c, KIND_RECOVERY), &v);
	else
		default_timer(c, &v);
	if (v.episode == SP_TIMEOUT) {
		c->view.backoffs++;
		policy_expire(c);
		c->view.rto_since = c->view.now; /* RFC 6298 5.6 */
		c->pace_until = c->view.now; /* 5.4: at once */
	}
	episode(c, &v);
	if (conn_traced(c))
		trace_timer(c, &v, before);
}

void policy_idle(struct tcp_conn *c)
{
	tell_cc(c, SP_IDLE);
}

ns_t policy_deadline(struct tcp_conn *c)
{
	ns_t now = c->tcp->now, due;

	if (!c->plugins_open || sent_empty(c) || c->view.rto_since == NS_NEVER)
		return NS_NEVER;
	due = c->view.rto_since + c->view.rto;
	if (recovery_ops(c)->deadline)
		due = recovery_ops(c)->deadline(&c->view, ready(c, KIND_RECOVERY));
	if (due == NS_NEVER)
		due = c->view.rto_since + RTO_MAX_NS; /* something is out: never wait for ever */
	if (!c->timer_ran)                            /* a little late is the wheel's doing */
		return due > now ? due : now;
	c->timer_ran = false;
	if (due > now) {
		c->past_deadlines = 0;
		return due;
	}
	if (c->past_deadlines < 8) {
		c->past_deadlines++;
		return now;
	}
	fault(c, COUNT_plugin_deadline_past);
	return now + NS_PER_MS;
}

void policy_next(struct tcp_conn *c, struct sp_pick *pick)
{
	*pick = (struct sp_pick){.what = SP_PICK_NOTHING};
	if (recovery_ops(c)->next) {
		recovery_ops(c)->next(&c->view, ready(c, KIND_RECOVERY), pick);
	} else {
		pick->chunk = c->view.host->lost(&c->view);
		pick->what = pick->chunk ? SP_PICK_CHUNK : SP_PICK_NEW;
	}
	if (pick->what != SP_PICK_CHUNK)
		return;
	if (!sent_owns(c, pick->chunk) || pick->chunk->sacked) {
		fault(c, COUNT_plugin_bad_chunk);
		pick->what = SP_PICK_NOTHING;
	}
}

uint64_t policy_left(struct tcp_conn *c)
{
	uint64_t left;

	if (!recovery_ops(c)->left)
		return 0;
	left = recovery_ops(c)->left(&c->view, ready(c, KIND_RECOVERY));
	return left < c->view.flight ? left : c->view.flight;
}

void policy_sent(struct tcp_conn *c, const struct chunk *k)
{
	if (recovery_ops(c)->on_sent)
		recovery_ops(c)->on_sent(&c->view, ready(c, KIND_RECOVERY), &k->c);
}

/* --- the receiving half --------------------------------------------------------------------------
 */

bool policy_keep(struct tcp_conn *c, const struct sp_seg *seg)
{
	if (!recovery_ops(c)->keep)
		return true;
	return recovery_ops(c)->keep(&c->view, ready(c, KIND_RECOVERY), seg);
}

void policy_data(struct tcp_conn *c, const struct sp_seg *seg)
{
	ns_t now = c->tcp->now, when = now;

	if (ack_ops(c)->on_data)
		when = ack_ops(c)->on_data(&c->view, ready(c, KIND_ACK), seg);
	if (when != NS_NEVER && when > now + ACK_DELAY_MAX_NS) {
		fault(c, COUNT_plugin_ack_late);
		when = now + ACK_DELAY_MAX_NS;
	}
	if (when != NS_NEVER)
		c->ack_timeout = when > now ? when - now : 0;
	recv_ack_by(c, when);
	if (conn_traced(c))
		trace_data(c, seg, when);
}

void policy_read(struct tcp_conn *c, uint64_t freed)
{
	if (c->plugins_open && ack_ops(c)->on_read)
		recv_ack_by(c, ack_ops(c)->on_read(&c->view, ready(c, KIND_ACK), freed));
}

void policy_ack_sent(struct tcp_conn *c)
{
	if (c->plugins_open && ack_ops(c)->on_sent)
		ack_ops(c)->on_sent(&c->view, ready(c, KIND_ACK));
}

static bool listed(const struct sp_range *out, uint32_t n, const struct range *r)
{
	for (uint32_t i = 0; i < n; i++)
		if (out[i].begin == r->begin)
			return true;
	return false;
}

/* RFC 2018 section 4: the newest, then those reported before, in that order. */
static uint32_t default_report(const struct held *h, struct sp_range *out, uint32_t max)
{
	const struct range *r = h->set.r;
	uint32_t n = 0;

	out[n++] = (struct sp_range){r[h->set.newest].begin, r[h->set.newest].end};
	for (uint32_t i = 0; i < h->reported_count && n < max; i++)
		for (uint32_t j = 0; j < h->set.count; j++)
			if (r[j].begin <= h->reported[i].begin && h->reported[i].begin < r[j].end) {
				if (!listed(out, n, &r[j]))
					out[n++] = (struct sp_range){r[j].begin, r[j].end};
				break;
			}
	for (uint32_t j = h->set.count; j-- > 0 && n < max;)
		if (!listed(out, n, &r[j]))
			out[n++] = (struct sp_range){r[j].begin, r[j].end};
	return n;
}

uint32_t policy_report(struct tcp_conn *c, struct sp_range *out, uint32_t max)
{
	struct held *h = c->held;
	struct sp_range held[RANGES_MAX];
	uint32_t n, good = 0;

	if (!h || h->set.count == 0 || max == 0)
		return 0;
	if (!recovery_ops(c)->report)
		return default_report(h, out, max);
	for (uint32_t i = 0; i < h->set.count; i++)
		held[i] = (struct sp_range){h->set.r[i].begin, h->set.r[i].end};
	n = recovery_ops(c)->report(&c->view, ready(c, KIND_RECOVERY), held, h->set.count,
				    h->set.newest, out, max);
	for (uint32_t i = 0; i < n && i < max; i++)
		if (out[i].begin < out[i].end && ranges_hold(&h->set, out[i].begin, out[i].end))
			out[good++] = out[i];
	if (good < n)
		fault(c, COUNT_plugin_bad_report);
	return good;
}

/* --- looking
 * --------------------------------------------------------------------------------------- */

void policy_describe(const struct tcp_conn *c, char out[KIND_MAX][96])
{
	/* the view itself, not a copy: the host's functions find the connection around it */
	struct sp_conn *view = &((struct tcp_conn *)(uintptr_t)c)->view;
	const void *params = view->params;
	int (*describe)(const struct sp_conn *, const void *, char *, size_t);

	for (unsigned i = 0; i < KIND_MAX; i++) {
		out[i][0] = 0;
		if (!c->plugins_open)
			continue;
		describe = i == KIND_RTO   ? rto_ops(c)->describe
			   : i == KIND_ACK ? ack_ops(c)->describe
			   : i == KIND_CC  ? cc_ops(c)->describe
					   : recovery_ops(c)->describe;
		view->params = c->plugin[i].params;
		if (describe)
			describe(view, c->plugin_state[i], out[i], sizeof(out[i]));
	}
	view->params = params;
}
