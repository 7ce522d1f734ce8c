/* SPDX-License-Identifier: BSD-2-Clause */
/* racktlp - RACK-TLP (RFC 8985): loss is judged by time of sending, the tail is probed, a time-out
 * marks only what is old enough.  Mistakes are found by timestamp (Eifel, RFC 3522), by F-RTO
 * (RFC 5682) and by DSACK of all that was resent, and undone.
 *
 * Sections of the file: RACK (the RFC's section 6), TLP (7), spurious time-outs and undo, hooks.
 * The one timer is the earliest of reordering timer, probe and retransmission time-out. */
#include "recovery_common.h"

struct params {
	uint64_t max_ack_delay, probe_initial;
	bool tlp, frto, adapt;
};

enum frto { FRTO_OFF, FRTO_FIRST, FRTO_SECOND };

struct state {
	struct episode episode;
	/* RACK */
	sp_ns xmit_ts, rtt; /* of the most recently sent segment that was delivered */
	sp_off end_seq;
	sp_off fack; /* highest delivered */
	bool reordering_seen;
	bool in_dsack_round;
	sp_off dsack_round;
	uint32_t reo_mult, reo_persist;
	sp_ns reo_at; /* reordering timer; SP_NEVER */
	/* TLP */
	sp_ns pto_base; /* latest sending of new data or delivery */
	bool probe_due; /* the next segment sent is the probe */
	bool probe_out, probe_is_rtx;
	sp_off probe_end;
	sp_ns rto_base; /* a probe was due, or the oldest sent again: the RTO counts from there */
	/* undo */
	enum frto frto;
	uint32_t frto_new; /* new segments that F-RTO may send yet */
	bool undo_open;    /* the latest episode can still turn out to be a mistake */
	sp_off undo_una;
	uint64_t resent, resent_dsacked; /* bytes, in the latest episode */
};

/* --- RACK: RFC 8985 section 6 -------------------------------------------------------------- */

static bool sent_after(sp_ns t1, sp_off end1, sp_ns t2, sp_off end2)
{
	return t1 > t2 || (t1 == t2 && end1 > end2);
}

/* Step 2.  A resend that seems to be acknowledged faster than the path is, or whose timestamp is
 * the original's, tells nothing about its own time of sending. */
static void rack_update(const struct sp_conn *c, struct state *s, const struct sp_ack *a)
{
	for (uint32_t i = 0; i < a->newly_count; i++) {
		const struct sp_chunk *k = a->newly[i];
		sp_ns rtt = c->now - k->last_sent;

		if (k->sends > 1 && (a->ts_original || rtt < c->rtt_min))
			continue;
		if (sent_after(k->last_sent, chunk_end(k), s->xmit_ts, s->end_seq)) {
			s->xmit_ts = k->last_sent;
			s->end_seq = chunk_end(k);
			s->rtt = rtt;
		}
	}
}

/* Step 3: something never resent arrives below what had been delivered before this ACK. */
static void rack_detect_reordering(struct state *s, const struct sp_ack *a)
{
	sp_off fack = s->fack;

	for (uint32_t i = 0; i < a->newly_count; i++) {
		const struct sp_chunk *k = a->newly[i];

		if (chunk_end(k) < fack && k->sends == 1)
			s->reordering_seen = true;
		if (chunk_end(k) > s->fack)
			s->fack = chunk_end(k);
	}
}

/* Step 4, first half: DSACKs widen the window once per round trip; 16 recoveries narrow it. */
static void rack_adapt(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
		       bool exiting)
{
	if (s->in_dsack_round && a->una >= s->dsack_round)
		s->in_dsack_round = false;
	if (!s->in_dsack_round && a->dsack.end > a->dsack.begin) {
		s->in_dsack_round = true;
		s->dsack_round = c->snd_nxt;
		s->reo_mult++;
		s->reo_persist = 16;
	} else if (exiting && s->reo_persist > 0 && --s->reo_persist == 0) {
		s->reo_mult = 1;
	}
}

static bool three_sacked(const struct sp_conn *c)
{
	uint32_t segments = 0;

	if (c->sacked > (DUP_THRESH - 1) * (uint64_t)c->mss)
		return true;
	if (c->sacked == 0)
		return false;
	for (const struct sp_chunk *k = c->host->last(c); k; k = c->host->prev(c, k))
		if (k->sacked && (segments += chunk_segments(c, k)) >= DUP_THRESH)
			return true;
	return false;
}

/* Step 4, second half. */
static sp_ns rack_reo_wnd(const struct sp_conn *c, const struct state *s)
{
	const struct params *p = c->params;
	sp_ns wnd = (p->adapt ? s->reo_mult : 1) * (c->rtt_min / 4);

	if (!s->reordering_seen && (s->episode.kind != EPISODE_NONE || three_sacked(c)))
		return 0;
	return wnd < c->srtt ? wnd : c->srtt;
}

/* Step 5.  True when something was found lost; sets the reordering timer for what may be yet. */
static bool rack_detect_loss(const struct sp_conn *c, struct state *s)
{
	const struct sp_chunk *k, *younger;
	sp_ns patience;
	bool found = false;

	s->reo_at = SP_NEVER;
	if (s->rtt == 0 && s->end_seq == 0) /* nothing delivered yet */
		return false;
	patience = s->rtt + rack_reo_wnd(c, s);
	for (k = c->host->oldest(c); k && k->last_sent <= s->xmit_ts; k = younger) {
		younger = c->host->younger(c, k);
		if (k->sacked || k->lost ||
		    !sent_after(s->xmit_ts, s->end_seq, k->last_sent, chunk_end(k)))
			continue;
		if (k->last_sent + patience <= c->now) {
			c->host->mark_lost(c, k);
			found = true;
		} else if (s->reo_at == SP_NEVER || k->last_sent + patience > s->reo_at) {
			s->reo_at = k->last_sent + patience;
		}
	}
	return found;
}

/* Section 6.3: the first, and what has been out for longer than a round trip. */
static void rack_mark_on_rto(const struct sp_conn *c, struct state *s)
{
	sp_ns patience = s->rtt + rack_reo_wnd(c, s);
	const struct sp_chunk *k;

	mark_first_lost(c);
	for (k = c->host->first(c); k; k = c->host->next(c, k))
		if (!k->sacked && !k->lost && k->last_sent + patience <= c->now)
			c->host->mark_lost(c, k);
}

/* --- TLP: RFC 8985 section 7 --------------------------------------------------------------- */

/* 7.2: when the tail is probed; SP_NEVER when it isn't to be. */
static sp_ns probe_time(const struct sp_conn *c, const struct state *s)
{
	const struct params *p = c->params;
	sp_ns pto = c->srtt ? 2 * c->srtt : p->probe_initial, rto = rto_at(c, s->rto_base);

	if (!p->tlp || s->pto_base == 0 || s->episode.kind != EPISODE_NONE || c->sacked != 0 ||
	    s->probe_out || c->snd_una == c->snd_nxt || c->backoffs != 0)
		return SP_NEVER;
	if (c->srtt && c->snd_nxt - c->snd_una <= c->mss)
		pto += p->max_ack_delay;
	return s->pto_base + pto < rto ? s->pto_base + pto : rto;
}

static const struct sp_chunk *highest_unsacked(const struct sp_conn *c)
{
	const struct sp_chunk *k = c->host->last(c);

	while (k && k->sacked)
		k = c->host->prev(c, k);
	return k;
}

/* 7.3: new data if there is some, else the highest segment again. */
static void probe_start(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	s->probe_due = true;
	s->rto_base = c->now;
	s->pto_base = 0;
	v->allowance = c->mss + 1; /* a FIN may ride along */
}

static void probe_pick(const struct sp_conn *c, struct sp_pick *p)
{
	const struct sp_chunk *k = highest_unsacked(c);

	if (new_data_may_leave(c) || !k)
		return;
	pick_chunk(p, k);
	p->skip = (k->len - 1) / c->mss * c->mss;
	if (p->skip >= c->mss && k->len - p->skip == 1)
		p->skip -= c->mss; /* not a FIN alone */
}

static void probe_sent(const struct sp_conn *c, struct state *s, const struct sp_chunk *k)
{
	s->probe_due = chunk_end(k) < c->snd_nxt; /* only a front of it: the tail is still due */
	s->probe_out = true;
	s->probe_is_rtx = k->sends > 1;
	s->probe_end = chunk_end(k) > c->snd_nxt ? chunk_end(k) : c->snd_nxt;
}

/* 7.4.2: true when the probe has repaired a loss, which congestion control must hear of. */
static bool probe_judge(struct state *s, const struct sp_ack *a)
{
	if (!s->probe_out || a->una < s->probe_end)
		return false;
	if (!s->probe_is_rtx || (a->dsack.end > a->dsack.begin && a->dsack.end == s->probe_end)) {
		s->probe_out = false; /* both copies arrived */
		return false;
	}
	if (a->una > s->probe_end) {
		s->probe_out = false;
		return true;
	}
	if (a->duplicate && !a->sack_news)
		s->probe_out = false; /* both arrived, and the peer doesn't send DSACK */
	return false;
}

/* --- mistakes ------------------------------------------------------------------------------ */

static void undo_watch(const struct sp_conn *c, struct state *s)
{
	s->undo_open = true;
	s->undo_una = c->snd_una;
	s->resent = s->resent_dsacked = 0;
}

/* Every byte that the episode resent has been reported as a duplicate. */
static bool undo_by_dsack(struct state *s, const struct sp_ack *a)
{
	if (!s->undo_open || a->dsack.end <= a->dsack.begin || a->dsack.begin < s->undo_una ||
	    a->dsack.end > s->episode.end)
		return false;
	s->resent_dsacked += a->dsack.end - a->dsack.begin;
	return s->resent != 0 && s->resent_dsacked >= s->resent;
}

static bool original_delivered(const struct state *s, const struct sp_ack *a)
{
	for (uint32_t i = 0; i < a->newly_count; i++)
		if (a->newly[i]->sends == 1 && a->newly[i]->off < s->episode.end)
			return true;
	return false;
}

/* RFC 5682 section 3.1 steps 2 and 3: true when the time-out was spurious. */
static bool frto_judge(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
		       struct sp_verdict *v)
{
	enum frto step = s->frto;

	if (step == FRTO_OFF || (a->una == a->una_before && !a->duplicate))
		return false;
	s->frto = FRTO_OFF;
	if (step == FRTO_SECOND)
		return original_delivered(s, a);
	if (a->una > a->una_before && a->una < s->episode.end && new_data_may_leave(c)) {
		s->frto = FRTO_SECOND;
		s->frto_new = 2;
		v->allowance = 2 * c->mss;
	}
	return false;
}

/* --- hooks --------------------------------------------------------------------------------- */

static void racktlp_open(const struct sp_conn *c, void *st)
{
	struct state *s = st;

	(void)c;
	s->reo_mult = 1;
	s->reo_at = SP_NEVER;
}

static void racktlp_on_sent(const struct sp_conn *c, void *st, const struct sp_chunk *k)
{
	struct state *s = st;

	if (s->probe_due) {
		probe_sent(c, s, k);
	} else if (k->sends > 1) {
		s->resent += k->len;
		if (is_first_again(c, k))
			s->rto_base = c->now;
	} else {
		s->pto_base = c->now;
		if (s->frto == FRTO_SECOND && s->frto_new > 0)
			s->frto_new--;
	}
}

static void enter(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	episode_begin(c, &s->episode, false);
	undo_watch(c, s);
	v->episode = SP_ENTER;
	v->allowance = lost_allowance(c);
}

static void leave(struct state *s, struct sp_verdict *v, enum sp_episode how)
{
	s->episode.kind = EPISODE_NONE;
	s->frto = FRTO_OFF;
	if (how == SP_UNDO)
		s->undo_open = false;
	v->episode = how;
}

static void racktlp_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
			   struct sp_verdict *v)
{
	struct state *s = st;
	bool exiting = episode_over(&s->episode, a), repaired = probe_judge(s, a);

	if (a->newly_count != 0) {
		s->pto_base = c->now;
		s->probe_due = false;
	}
	rack_update(c, s, a);
	rack_detect_reordering(s, a);
	rack_adapt(c, s, a, exiting);
	if (undo_by_dsack(s, a) || frto_judge(c, s, a, v) || episode_was_spurious(&s->episode, a)) {
		leave(s, v, SP_UNDO);
		return;
	}
	if (exiting)
		leave(s, v, SP_EXIT);
	bool lost = rack_detect_loss(c, s);
	if (s->episode.kind != EPISODE_NONE)
		return;
	if (lost) {
		enter(c, s, v);
	} else if (repaired) { /* over with the next ACK */
		enter(c, s, v);
		s->episode.end = c->snd_una;
		s->undo_open = false;
	}
}

static sp_ns racktlp_deadline(const struct sp_conn *c, void *st)
{
	const struct state *s = st;
	sp_ns at, probe;

	if (c->snd_una == c->snd_nxt)
		return SP_NEVER;
	at = rto_at(c, s->rto_base);
	probe = probe_time(c, s);
	if (probe < at)
		at = probe;
	return s->reo_at < at ? s->reo_at : at;
}

static void time_out(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	const struct params *p = c->params;
	bool again = s->episode.kind == EPISODE_TIMEOUT;

	rack_mark_on_rto(c, s);
	episode_begin(c, &s->episode, true);
	if (!again)
		undo_watch(c, s);
	s->frto = p->frto && !again ? FRTO_FIRST : FRTO_OFF;
	s->probe_out = s->probe_due = false;
	s->reo_at = SP_NEVER;
	v->episode = SP_TIMEOUT;
	v->allowance = lost_allowance(c);
}

static void racktlp_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;

	if (s->reo_at <= c->now) {
		if (rack_detect_loss(c, s) && s->episode.kind == EPISODE_NONE)
			enter(c, s, v);
	} else if (probe_time(c, s) <= c->now) {
		probe_start(c, s, v);
	} else if (rto_at(c, s->rto_base) <= c->now) {
		time_out(c, s, v);
	}
}

static void racktlp_next(const struct sp_conn *c, void *st, struct sp_pick *p)
{
	struct state *s = st;
	const struct sp_chunk *k = c->host->lost(c);

	p->what = SP_PICK_NEW;
	if (s->probe_due) {
		probe_pick(c, p);
	} else if (s->frto == FRTO_SECOND) {
		if (s->frto_new == 0 || !new_data_may_leave(c))
			p->what = SP_PICK_NOTHING; /* what comes next tells */
	} else if (k) {
		pick_chunk(p, k);
	}
}

static int racktlp_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(
	    line, len, "state=%s rack_rtt_us=%llu reo_wnd_us=%llu reordering=%s probe=%s",
	    episode_name(&s->episode), (ull)(s->rtt / 1000), (ull)(rack_reo_wnd(c, s) / 1000),
	    s->reordering_seen ? "yes" : "no", s->probe_out ? "out" : "no");
}

static const struct sp_param params[] = {
    {"tlp", SP_TYPE_BOOL, offsetof(struct params, tlp), "yes", NULL, NULL,
     "probe the tail before the time-out"},
    {"frto", SP_TYPE_BOOL, offsetof(struct params, frto), "yes", NULL, NULL,
     "send new data after a time-out to see whether it was spurious"},
    {"adapt", SP_TYPE_BOOL, offsetof(struct params, adapt), "yes", NULL, NULL,
     "widen the reordering window when DSACKs come"},
    {"max_ack_delay", SP_TYPE_TIME, offsetof(struct params, max_ack_delay), "200ms", "0ms", "500ms",
     "added to the probe time of a single segment, for the peer's delayed ACK"},
    {"probe_initial", SP_TYPE_TIME, offsetof(struct params, probe_initial), "1s", "1ms", "60s",
     "probe time before the first round-trip sample"},
    {0},
};

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .open = racktlp_open,
    .on_sent = racktlp_on_sent,
    .on_ack = racktlp_on_ack,
    .deadline = racktlp_deadline,
    .on_timer = racktlp_on_timer,
    .next = racktlp_next,
    .describe = racktlp_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "racktlp",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "loss by time of sending, tail loss probe, undo by DSACK, F-RTO, Eifel (RFC 8985)",
    .wants = SP_SACK | SP_DSACK | SP_TIMESTAMPS,
    .requires = SP_SACK,
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
