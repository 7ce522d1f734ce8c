/* SPDX-License-Identifier: BSD-2-Clause */
/* sack - loss recovery by SACK (RFC 6675): a segment is lost with three others, or more than two
 * full-sized ones, held above it.  The core's flight is the RFC's pipe.  Eifel detection when
 * timestamps tell (RFC 3522). */
#include "recovery_common.h"

struct state {
	struct episode episode;
	uint64_t duplicates;
	sp_off high_rxt;  /* all below that is to be sent again has been */
	sp_off judged_to; /* all below that was not sacked is marked already */
	sp_off rescue;    /* the chunk offered as a rescue */
	bool rescue_offered, rescued;
	sp_ns first_again; /* when the first was sent again */
};

/* IsLost() for every chunk at once, from the top: what is held above only grows downwards. */
static bool mark_losses(const struct sp_conn *c, struct state *s)
{
	uint64_t held_bytes = 0, held_ranges = 0;
	bool any = false, in_range = false;
	sp_off judged_to = s->judged_to;
	const struct sp_chunk *k;

	if (c->sacked == 0)
		return false;
	for (k = c->host->last(c); k && chunk_end(k) > s->judged_to; k = c->host->prev(c, k)) {
		if (k->sacked) {
			held_bytes += k->len;
			held_ranges += !in_range;
			in_range = true;
			continue;
		}
		in_range = false;
		if (held_ranges < DUP_THRESH && held_bytes <= (DUP_THRESH - 1) * (uint64_t)c->mss)
			continue;
		if (judged_to < chunk_end(k))
			judged_to = chunk_end(k);
		if (!k->lost)
			c->host->mark_lost(c, k);
		any = true;
	}
	s->judged_to = judged_to;
	return any;
}

static void enter(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	episode_begin(c, &s->episode, false);
	s->high_rxt = c->snd_una;
	s->rescued = s->rescue_offered = false;
	v->episode = SP_ENTER;
	v->allowance = lost_allowance(c);
}

static void sack_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
			struct sp_verdict *v)
{
	struct state *s = st;

	if (a->una > a->una_before)
		s->duplicates = 0;
	else
		s->duplicates += a->sack_news; /* section 2: what tells of nothing new is none */
	if (episode_was_spurious(&s->episode, a)) {
		if (s->episode.kind == EPISODE_TIMEOUT)
			s->judged_to = c->snd_una;
		s->episode.kind = EPISODE_NONE;
		v->episode = SP_UNDO;
		return;
	}
	if (episode_over(&s->episode, a)) {
		s->episode.kind = EPISODE_NONE;
		v->episode = SP_EXIT;
	}
	bool lost = mark_losses(c, s);
	if (s->episode.kind != EPISODE_NONE)
		return;
	if (!lost && s->duplicates == DUP_THRESH) { /* section 5 (1) */
		mark_first_lost(c);
		lost = true;
	}
	if (lost)
		enter(c, s, v);
}

static void sack_on_sent(const struct sp_conn *c, void *st, const struct sp_chunk *k)
{
	struct state *s = st;

	if (k->sends < 2)
		return;
	if (is_first_again(c, k))
		s->first_again = c->now;
	if (s->rescue_offered && k->off == s->rescue && k->off > s->high_rxt)
		s->rescued = true; /* HighRxt stays: section 4 NextSeg (4) */
	else if (chunk_end(k) > s->high_rxt)
		s->high_rxt = chunk_end(k);
	s->rescue_offered = false;
}

static sp_ns sack_deadline(const struct sp_conn *c, void *st)
{
	const struct state *s = st;

	return rto_at(c, s->first_again);
}

static void sack_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;

	mark_all_lost(c);
	episode_begin(c, &s->episode, true);
	s->duplicates = 0;
	s->high_rxt = c->snd_una;
	s->judged_to = c->snd_nxt; /* nothing of this flight is judged by SACK again */
	v->episode = SP_TIMEOUT;
	v->allowance = lost_allowance(c);
}

static const struct sp_chunk *highest_sacked(const struct sp_conn *c)
{
	const struct sp_chunk *k = c->host->last(c);

	while (k && !k->sacked)
		k = c->host->prev(c, k);
	return k;
}

/* NextSeg (3): a hole below what is held that isn't known to be lost. */
static const struct sp_chunk *doubtful(const struct sp_conn *c, const struct state *s)
{
	const struct sp_chunk *top = c->sacked ? highest_sacked(c) : NULL, *k = top;
	const struct sp_chunk *lowest = NULL;

	for (; k && k->off >= s->high_rxt; k = c->host->prev(c, k))
		if (!k->sacked)
			lowest = k;
	return lowest;
}

/* NextSeg() of section 4; (1) is the lowest lost chunk. */
static void sack_next(const struct sp_conn *c, void *st, struct sp_pick *p)
{
	struct state *s = st;
	const struct sp_chunk *k = c->host->lost(c);

	p->what = SP_PICK_NOTHING;
	if (k) {
		pick_chunk(p, k);
	} else if (new_data_may_leave(c)) {
		p->what = SP_PICK_NEW;
	} else if (s->episode.kind == EPISODE_LOSS) {
		if ((k = doubtful(c, s))) {
			pick_chunk(p, k);
		} else if (!s->rescued && (k = c->host->last(c)) && !k->sacked &&
			   k->off >= s->high_rxt) {
			s->rescue = k->off;
			s->rescue_offered = true;
			pick_chunk(p, k);
		}
	}
}

static int sack_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "state=%s pipe=%llu high_rxt=%llu end=%llu",
			episode_name(&s->episode), (ull)c->flight, (ull)s->high_rxt,
			(ull)s->episode.end);
}

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .on_sent = sack_on_sent,
    .on_ack = sack_on_ack,
    .deadline = sack_deadline,
    .on_timer = sack_on_timer,
    .next = sack_next,
    .describe = sack_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "sack",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "loss recovery by SACK with a rescue retransmission (RFC 6675)",
    .wants = SP_SACK | SP_TIMESTAMPS,
    .requires = SP_SACK,
    .state_size = sizeof(struct state),
    .ops = &ops,
};
