/* SPDX-License-Identifier: BSD-2-Clause */
/* reno - fast retransmit and NewReno fast recovery without SACK (RFC 5681 3.2, RFC 6582), limited
 * transmit (RFC 3042), Eifel detection when timestamps tell (RFC 3522).
 *
 * The window isn't inflated: each duplicate ACK is a segment that has left, which `left` says.
 * The first loss is forced out by the allowance. */
#include "recovery_common.h"

struct state {
	struct episode episode;
	uint64_t duplicates; /* of snd_una */
	uint64_t left;       /* bytes that duplicates prove to have arrived, in recovery */
	sp_off recover;      /* RFC 6582: no second reaction to losses below */
	bool recover_set;
	sp_ns first_again; /* when the first was sent again */
};

static void enter(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	mark_first_lost(c);
	episode_begin(c, &s->episode, false);
	s->recover = c->snd_nxt;
	s->recover_set = true;
	s->left = DUP_THRESH * (uint64_t)c->mss;
	v->episode = SP_ENTER;
	v->allowance = lost_allowance(c);
}

static void duplicate_ack(const struct sp_conn *c, struct state *s, struct sp_verdict *v)
{
	s->duplicates++;
	if (s->episode.kind == EPISODE_LOSS)
		s->left += c->mss;
	else if (s->recover_set && c->snd_una < s->recover)
		return; /* caused by what a time-out made us resend (RFC 6582 section 4) */
	else if (s->duplicates < DUP_THRESH)
		v->allowance = (uint32_t)s->duplicates * c->mss; /* RFC 3042 */
	else
		enter(c, s, v);
}

/* RFC 6582 3.2 step 3: the next hole begins at snd_una.  One segment of what was acknowledged is
 * the resend, the rest had been counted by duplicates. */
static void partial_ack(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
			struct sp_verdict *v)
{
	uint64_t counted = a->una - a->una_before;

	counted = counted > c->mss ? counted - c->mss : 0;
	s->left = s->left > counted ? s->left - counted : 0;
	mark_first_lost(c);
	v->allowance = lost_allowance(c);
}

static void finish(struct state *s, struct sp_verdict *v, enum sp_episode how)
{
	s->episode.kind = EPISODE_NONE;
	s->left = 0;
	v->episode = how;
}

static void reno_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
			struct sp_verdict *v)
{
	struct state *s = st;

	if (a->una == a->una_before) {
		if (a->duplicate)
			duplicate_ack(c, s, v);
		return;
	}
	s->duplicates = 0;
	if (episode_was_spurious(&s->episode, a))
		finish(s, v, SP_UNDO);
	else if (episode_over(&s->episode, a))
		finish(s, v, SP_EXIT);
	else if (s->episode.kind == EPISODE_LOSS)
		partial_ack(c, s, a, v);
}

static void reno_on_sent(const struct sp_conn *c, void *st, const struct sp_chunk *k)
{
	struct state *s = st;

	if (is_first_again(c, k))
		s->first_again = c->now;
}

static sp_ns reno_deadline(const struct sp_conn *c, void *st)
{
	const struct state *s = st;

	return rto_at(c, s->first_again);
}

static void reno_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;

	mark_all_lost(c);
	episode_begin(c, &s->episode, true);
	s->recover = c->snd_nxt;
	s->recover_set = true;
	s->duplicates = s->left = 0;
	v->episode = SP_TIMEOUT;
	v->allowance = lost_allowance(c);
}

static uint64_t reno_left(const struct sp_conn *c, void *st)
{
	const struct state *s = st;

	return s->left < c->flight ? s->left : c->flight;
}

static int reno_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	(void)c;
	return snprintf(line, len, "state=%s duplicates=%llu left=%llu recover=%llu",
			episode_name(&s->episode), (ull)s->duplicates, (ull)s->left,
			(ull)s->recover);
}

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .on_sent = reno_on_sent,
    .on_ack = reno_on_ack,
    .deadline = reno_deadline,
    .on_timer = reno_on_timer,
    .left = reno_left,
    .describe = reno_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "reno",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "NewReno without SACK, limited transmit (RFC 5681, RFC 6582, RFC 3042)",
    .wants = SP_TIMESTAMPS | SP_PER_SEGMENT,
    .state_size = sizeof(struct state),
    .ops = &ops,
};
