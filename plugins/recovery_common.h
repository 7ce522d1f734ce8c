/* SPDX-License-Identifier: BSD-2-Clause */
/* recovery_common.h - what the recovery plugins share: marking after a time-out, the episode
 * until a recovery point, and the proof by timestamp that an episode was a mistake. */
#ifndef STACKD_PLUGINS_RECOVERY_COMMON_H
#define STACKD_PLUGINS_RECOVERY_COMMON_H

#include <stdio.h>

#include "stackd_plugin.h"

#define DUP_THRESH 3u /* RFC 5681: the third duplicate ACK */

typedef unsigned long long ull;

static inline sp_off chunk_end(const struct sp_chunk *k)
{
	return k->off + k->len;
}

static inline uint32_t chunk_segments(const struct sp_conn *c, const struct sp_chunk *k)
{
	return (k->len + c->mss - 1) / c->mss;
}

/* RFC 6298 5.4 and RFC 5681 3.1: after a time-out everything outstanding is presumed lost. */
static inline void mark_all_lost(const struct sp_conn *c)
{
	for (const struct sp_chunk *k = c->host->first(c); k; k = c->host->next(c, k))
		if (!k->sacked)
			c->host->mark_lost(c, k);
}

static inline void mark_first_lost(const struct sp_conn *c)
{
	const struct sp_chunk *k = c->host->first(c);

	if (k && !k->sacked)
		c->host->mark_lost(c, k);
}

/* One segment of the lowest lost chunk (with a FIN) may leave though the window is full. */
static inline uint32_t lost_allowance(const struct sp_conn *c)
{
	const struct sp_chunk *k = c->host->lost(c);

	if (!k)
		return 0;
	return k->len < c->mss + 1 ? k->len : c->mss + 1;
}

static inline bool new_data_may_leave(const struct sp_conn *c)
{
	return c->snd_nxt < c->snd_end && c->snd_nxt < c->snd_limit;
}

static inline void pick_chunk(struct sp_pick *p, const struct sp_chunk *k)
{
	p->what = SP_PICK_CHUNK;
	p->chunk = k;
}

/* What is sent again at snd_una deserves a whole RTO: only it can move snd_una.  RFC 6298 5 does
 * not ask for it, but with a least RTO near the round trip every fast retransmit would time out. */
static inline bool is_first_again(const struct sp_conn *c, const struct sp_chunk *k)
{
	return k->sends > 1 && k->off <= c->snd_una;
}

static inline sp_ns rto_at(const struct sp_conn *c, sp_ns first_again)
{
	if (c->rto_since == SP_NEVER)
		return SP_NEVER;
	return (c->rto_since > first_again ? c->rto_since : first_again) + c->rto;
}

/* From the loss found, or the time-out, until snd_una reaches what was snd_nxt then. */
struct episode {
	enum { EPISODE_NONE, EPISODE_LOSS, EPISODE_TIMEOUT } kind;
	bool judged; /* an ACK of new data has come since */
	sp_off end;
};

static inline const char *episode_name(const struct episode *e)
{
	return e->kind == EPISODE_LOSS      ? "recovery"
	       : e->kind == EPISODE_TIMEOUT ? "timeout"
					    : "open";
}

static inline void episode_begin(const struct sp_conn *c, struct episode *e, bool timeout)
{
	e->kind = timeout ? EPISODE_TIMEOUT : EPISODE_LOSS;
	e->judged = false;
	e->end = c->snd_nxt;
}

/* RFC 3522: the first ACK of new data after a resend carries the timestamp of the original. */
static inline bool episode_was_spurious(struct episode *e, const struct sp_ack *a)
{
	bool first = !e->judged;

	if (e->kind == EPISODE_NONE || a->una == a->una_before)
		return false;
	e->judged = true;
	return first && a->ts_original;
}

static inline bool episode_over(const struct episode *e, const struct sp_ack *a)
{
	return e->kind != EPISODE_NONE && a->una >= e->end;
}

#endif
