/* SPDX-License-Identifier: BSD-2-Clause */
/* sr - Selective Repeat (Kurose & Ross 3.4.4): a timer for each segment, and only that segment is
 * sent again.  SACK serves as the individual ACK: the receiver reports just the range that the
 * arriving segment joined.  What TCP's cumulative field covers counts as acknowledged, so a lost
 * ACK repaired by a later one resends nothing, unlike in the book.
 *
 * The window is the book's: nothing leaves beyond snd_una + cwnd, though segments above the base
 * are acknowledged.  The book has no back-off.  Here the expiry of the base's timer is told as a
 * time-out, so that the rto plugin may back off (`fixed` doesn't) and a dead peer is noticed; the
 * expiries of later segments are not, else ten losses in one window would double the time ten
 * times. */
#include "recovery_common.h"

struct state {
	struct episode episode;
	uint64_t expiries;
};

static uint32_t sr_report(const struct sp_conn *c, void *st, const struct sp_range *held,
			  uint32_t n, uint32_t newest, struct sp_range *out, uint32_t max)
{
	(void)c;
	(void)st;
	if (newest >= n || max == 0)
		return 0;
	out[0] = held[newest];
	return 1;
}

static void sr_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
		      struct sp_verdict *v)
{
	struct state *s = st;

	(void)c;
	if (!episode_over(&s->episode, a))
		return;
	s->episode.kind = EPISODE_NONE;
	v->episode = SP_EXIT;
}

static bool timer_runs(const struct sp_chunk *k)
{
	return !k->sacked && !k->lost; /* a lost one waits to be sent */
}

static sp_ns sr_deadline(const struct sp_conn *c, void *st)
{
	const struct sp_chunk *k = c->host->oldest(c);

	(void)st;
	while (k && !timer_runs(k))
		k = c->host->younger(c, k);
	if (k)
		return k->last_sent + c->rto;
	return c->snd_una == c->snd_nxt ? SP_NEVER : c->now + c->rto;
}

static void sr_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;
	const struct sp_chunk *k, *younger;

	for (k = c->host->oldest(c); k && k->last_sent + c->rto <= c->now; k = younger) {
		younger = c->host->younger(c, k);
		if (!timer_runs(k))
			continue;
		c->host->mark_lost(c, k);
		s->expiries++;
		if (k->off <= c->snd_una)
			v->episode = SP_TIMEOUT;
	}
	if (v->episode == SP_TIMEOUT)
		episode_begin(c, &s->episode, true);
	v->allowance = lost_allowance(c);
}

static void sr_next(const struct sp_conn *c, void *st, struct sp_pick *p)
{
	const struct sp_chunk *lost = c->host->lost(c);

	(void)st;
	if (lost)
		pick_chunk(p, lost);
	else if (c->snd_nxt < c->snd_una + c->cwnd)
		p->what = SP_PICK_NEW;
	else
		p->what = SP_PICK_NOTHING;
}

static int sr_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "state=%s send_base=%llu expiries=%llu",
			episode_name(&s->episode), (ull)c->snd_una, (ull)s->expiries);
}

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .report = sr_report,
    .on_ack = sr_on_ack,
    .deadline = sr_deadline,
    .on_timer = sr_on_timer,
    .next = sr_next,
    .describe = sr_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "sr",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "Selective Repeat: a timer per segment, only that one resent (Kurose & Ross 3.4.4)",
    .wants = SP_SACK | SP_PER_SEGMENT,
    .requires = SP_SACK,
    .state_size = sizeof(struct state),
    .ops = &ops,
};
