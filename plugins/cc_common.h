/* SPDX-License-Identifier: BSD-2-Clause */
/* cc_common.h - what loss-based congestion control shares: the reaction to each episode, PRR while
 * recovering, slow start counted in bytes (RFC 3465), and undo.  A plugin adds its own decrease
 * and its own growth in congestion avoidance. */
#ifndef STACKD_PLUGINS_CC_COMMON_H
#define STACKD_PLUGINS_CC_COMMON_H

#include <stdio.h>

#include "prr.h"
#include "stackd_plugin.h"

typedef unsigned long long ull;

struct cc_loss {
	uint64_t initial; /* the window at open: the restart window of RFC 5681 4.1 */
	uint64_t prior_cwnd, prior_ssthresh;
	sp_off timeout_una, timeout_end; /* of the latest time-out */
	sp_off ece_end;                  /* losses below were answered with the marks */
	bool recovering, timed_out, prior_valid;
	struct prr prr;
};

/* What a decrease starts from: no more than was really out (RFC 5681 equation 4). */
static inline uint64_t cc_flight_size(const struct sp_conn *c, uint64_t cwnd)
{
	uint64_t out = c->snd_nxt - c->snd_una;

	out = out < cwnd ? out : cwnd;
	return out > c->mss ? out : c->mss;
}

static inline uint64_t cc_floor(const struct sp_conn *c, uint64_t ssthresh)
{
	return ssthresh > 2 * (uint64_t)c->mss ? ssthresh : 2 * (uint64_t)c->mss;
}

/* The MSS may have grown since (path MTU discovery). */
static inline void cc_at_least_one(const struct sp_conn *c, struct sp_cc_out *out)
{
	if (out->cwnd < c->mss)
		out->cwnd = c->mss;
}

/* Is this episode the first news of a congestion?  Not when the same segment times out again
 * (RFC 5681 3.1) or when the marks of this window were answered already. */
static inline bool cc_is_news(const struct sp_conn *c, const struct cc_loss *l, enum sp_episode e)
{
	switch (e) {
	case SP_ENTER:
		return c->snd_una >= l->ece_end;
	case SP_TIMEOUT:
		return !l->timed_out || l->timeout_una != c->snd_una;
	case SP_ECE:
		return !l->recovering;
	default:
		return false;
	}
}

/* A time-out in recovery may turn out to be a mistake without the loss before it being one: undone,
 * the window is what that recovery was to leave. */
static inline void cc_remember(struct cc_loss *l, const struct sp_cc_out *out)
{
	l->prior_cwnd = l->recovering ? out->ssthresh : out->cwnd;
	l->prior_ssthresh = out->ssthresh;
	l->prior_valid = true;
}

static inline void cc_time_out(const struct sp_conn *c, struct cc_loss *l, struct sp_cc_out *out)
{
	l->recovering = false;
	l->timed_out = true;
	l->timeout_una = c->snd_una;
	l->timeout_end = c->snd_nxt;
	out->cwnd = c->mss; /* the loss window */
}

static inline void cc_exit(const struct sp_conn *c, struct cc_loss *l, struct sp_cc_out *out)
{
	uint64_t flight = c->flight > c->mss ? c->flight : c->mss;

	if (!l->recovering)
		return;
	l->recovering = false;
	out->cwnd = out->ssthresh;
	if (!(c->features & SP_SACK) && out->cwnd > flight + c->mss)
		out->cwnd = flight + c->mss; /* RFC 6582 3.2 (3) option 1: no burst */
}

static inline void cc_undo(struct cc_loss *l, struct sp_cc_out *out)
{
	l->recovering = l->timed_out = false;
	if (!l->prior_valid)
		return;
	l->prior_valid = false;
	if (out->cwnd < l->prior_cwnd)
		out->cwnd = l->prior_cwnd;
	if (out->ssthresh < l->prior_ssthresh)
		out->ssthresh = l->prior_ssthresh;
}

/* Applies an episode; `reduced` is the plugin's ssthresh should this be news. */
static inline void cc_episode(const struct sp_conn *c, struct cc_loss *l, enum sp_episode e,
			      uint64_t reduced, struct sp_cc_out *out)
{
	bool news = cc_is_news(c, l, e);

	cc_at_least_one(c, out);
	if (news && e != SP_ECE)
		cc_remember(l, out);
	if (news)
		out->ssthresh = cc_floor(c, reduced);
	switch (e) {
	case SP_ENTER:
		l->recovering = true;
		prr_begin(&l->prr, c->snd_nxt - c->snd_una);
		if (!(c->features & SP_SACK))
			out->cwnd = out->ssthresh;
		break;
	case SP_TIMEOUT:
		cc_time_out(c, l, out);
		break;
	case SP_ECE:
		if (news) {
			l->ece_end = c->snd_nxt;
			l->prior_valid = false; /* congestion was real: nothing to undo */
			out->cwnd = out->ssthresh;
		}
		break;
	case SP_EXIT:
		cc_exit(c, l, out);
		break;
	case SP_UNDO:
		cc_undo(l, out);
		break;
	case SP_IDLE:
		if (out->cwnd > l->initial)
			out->cwnd = l->initial;
		break;
	default:
		break;
	}
}

/* True while recovery decides the window, and not growth. */
static inline bool cc_recovering(const struct sp_conn *c, struct cc_loss *l, const struct sp_ack *a,
				 struct sp_cc_out *out)
{
	cc_at_least_one(c, out);
	if (!l->recovering)
		return false;
	if (c->features & SP_SACK)
		out->cwnd = prr_window(&l->prr, out->ssthresh, c->flight, a->flight_before,
				       a->delivered, c->mss);
	return true;
}

/* RFC 3465 with at most `limit` segments for one ACK; one as long as what was out at a time-out is
 * acknowledged: a resend that fills a hole brings much at once (2.3).  Returns the bytes left over
 * when ssthresh is reached. */
static inline uint64_t cc_slow_start(const struct sp_conn *c, const struct cc_loss *l,
				     uint64_t delivered, uint64_t limit, struct sp_cc_out *out)
{
	uint64_t bytes = limit * c->mss, room;

	if (l->timed_out && c->snd_una < l->timeout_end + delivered)
		bytes = c->mss;
	if (bytes > delivered)
		bytes = delivered;
	room = out->ssthresh > out->cwnd ? out->ssthresh - out->cwnd : 0;
	if (bytes > room) {
		out->cwnd += room;
		return bytes - room;
	}
	out->cwnd += bytes;
	return 0;
}

/* Growth of RFC 5681: slow start, then one segment for each window that was acknowledged; *credit
 * keeps the bytes towards it. */
static inline void cc_reno_growth(const struct sp_conn *c, const struct cc_loss *l,
				  uint64_t delivered, uint64_t limit, uint64_t *credit,
				  struct sp_cc_out *out)
{
	uint64_t bytes = delivered;

	if (out->cwnd < out->ssthresh)
		bytes = cc_slow_start(c, l, bytes, limit, out);
	if (out->cwnd < out->ssthresh)
		return;
	*credit += bytes;
	if (*credit >= out->cwnd) {
		*credit -= out->cwnd;
		out->cwnd += c->mss;
	}
}

#endif
