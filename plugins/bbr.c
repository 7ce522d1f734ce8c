/* SPDX-License-Identifier: BSD-2-Clause */
/* bbr - model-based and paced, after the first published BBR: the window and the pace follow the
 * largest delivery rate of ten round trips and the smallest round trip of ten seconds; loss as such
 * isn't a signal, only a time-out and the first round of recovery hold sending back.
 * Gains are in 1/1024. */
#include "cc_common.h"

#define UNIT       1024u
#define GAIN_HIGH  2955u /* 2 / ln 2: doubles the rate each round */
#define GAIN_DRAIN 355u  /* and its inverse */
#define RATES      10u
#define CWND_MIN   4u /* segments */
#define CYCLE      8u

struct params {
	uint64_t rtt_window, probe_rtt;
};

enum mode { STARTUP, DRAIN, PROBE_BW, PROBE_RTT };

struct state {
	uint64_t rate[RATES]; /* the largest of each of the last rounds, bytes per second */
	uint64_t rounds, round_delivered;
	uint64_t full_rate;
	sp_ns rtt_min, rtt_min_at, cycle_at, probe_rtt_end;
	uint64_t prior_cwnd, initial;
	uint32_t full_rounds, cycle;
	enum mode mode;
	bool full, recovering, conserve, round_start, rtt_expired;
	bool has_rtt; /* the pace of before was a guess */
	bool idle;    /* nothing delivered since sending began again */
	uint64_t conserve_end;
};

static const uint32_t cycle_gain[CYCLE] = {1280, 768, UNIT, UNIT, UNIT, UNIT, UNIT, UNIT};

static uint64_t rate_max(const struct state *s)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < RATES; i++)
		if (s->rate[i] > most)
			most = s->rate[i];
	return most;
}

/* Bytes that fill the path, times a gain. */
static uint64_t inflight(const struct sp_conn *c, const struct state *s, uint32_t gain)
{
	uint64_t rate = rate_max(s), bdp;

	if (rate == 0 || s->rtt_min == 0)
		return s->initial;
	bdp = (uint64_t)((double)rate * (double)s->rtt_min / 1e9 * gain / UNIT);
	return bdp + 3 * (uint64_t)c->mss; /* room for stretched ACKs */
}

/* A round ends when something sent after the last one ended is delivered. */
static void update_round(const struct sp_conn *c, struct state *s, const struct sp_ack *a)
{
	s->round_start = false;
	for (uint32_t i = 0; i < a->newly_count; i++)
		s->round_start |= a->newly[i]->delivered >= s->round_delivered;
	if (!s->round_start)
		return;
	s->round_delivered = c->delivered;
	s->rounds++;
	s->rate[s->rounds % RATES] = 0;
}

static void update_rate(struct state *s, const struct sp_ack *a)
{
	uint64_t *slot = &s->rate[s->rounds % RATES];

	if (a->rate > *slot && (!a->rate_app_limited || a->rate >= rate_max(s)))
		*slot = a->rate;
}

static void update_full(struct state *s, const struct sp_ack *a)
{
	uint64_t rate = rate_max(s);

	if (s->full || !s->round_start || a->rate_app_limited)
		return;
	if (rate >= s->full_rate + s->full_rate / 4) {
		s->full_rate = rate;
		s->full_rounds = 0;
	} else if (++s->full_rounds >= 3) {
		s->full = true;
	}
}

static void update_rtt(const struct sp_conn *c, struct state *s, const struct sp_ack *a)
{
	const struct params *p = c->params;

	s->rtt_expired = s->rtt_min != 0 && c->now > s->rtt_min_at + p->rtt_window;
	if (a->rtt != 0 && !a->rtt_ambiguous &&
	    (s->rtt_min == 0 || a->rtt <= s->rtt_min || s->rtt_expired)) {
		s->rtt_min = a->rtt;
		s->rtt_min_at = c->now;
	}
}

static void probe_bw_begin(const struct sp_conn *c, struct state *s)
{
	s->mode = PROBE_BW;
	s->cycle = 2; /* a fixed phase: no randomness in a plugin */
	s->cycle_at = c->now;
}

static void cycle_advance(const struct sp_conn *c, struct state *s, const struct sp_ack *a)
{
	bool over = c->now - s->cycle_at > s->rtt_min;

	if (cycle_gain[s->cycle] > UNIT) /* until the path was really filled */
		over = over && (s->recovering || a->flight_before >= inflight(c, s, 1280));
	else if (cycle_gain[s->cycle] < UNIT) /* or drained */
		over = over || c->flight <= inflight(c, s, UNIT);
	if (over) {
		s->cycle = (s->cycle + 1) % CYCLE;
		s->cycle_at = c->now;
	}
}

static void probe_rtt(const struct sp_conn *c, struct state *s, struct sp_cc_out *out)
{
	const struct params *p = c->params;

	if (s->mode != PROBE_RTT && s->rtt_expired && !s->idle) {
		s->mode = PROBE_RTT;
		s->prior_cwnd = out->cwnd > s->prior_cwnd ? out->cwnd : s->prior_cwnd;
		s->probe_rtt_end = 0;
	}
	if (s->mode != PROBE_RTT)
		return;
	if (s->probe_rtt_end == 0 && c->flight <= CWND_MIN * (uint64_t)c->mss)
		s->probe_rtt_end = c->now + p->probe_rtt;
	if (s->probe_rtt_end == 0 || c->now < s->probe_rtt_end)
		return;
	s->rtt_min_at = c->now;
	out->cwnd = out->cwnd > s->prior_cwnd ? out->cwnd : s->prior_cwnd;
	if (s->full)
		probe_bw_begin(c, s);
	else
		s->mode = STARTUP;
}

static void update_mode(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
			struct sp_cc_out *out)
{
	if (s->mode == STARTUP && s->full)
		s->mode = DRAIN;
	if (s->mode == DRAIN && c->flight <= inflight(c, s, UNIT))
		probe_bw_begin(c, s);
	if (s->mode == PROBE_BW)
		cycle_advance(c, s, a);
	probe_rtt(c, s, out);
}

static uint32_t pacing_gain(const struct state *s)
{
	switch (s->mode) {
	case STARTUP:
		return GAIN_HIGH;
	case DRAIN:
		return GAIN_DRAIN;
	case PROBE_BW:
		return cycle_gain[s->cycle];
	default:
		return UNIT;
	}
}

static uint64_t pace_of(const struct state *s, uint64_t rate)
{
	return (uint64_t)((double)rate * pacing_gain(s) / UNIT * 0.99); /* let a queue drain */
}

/* Before there is a rate: the window in a round trip, or in 1 ms. */
static void guess_pacing(const struct sp_conn *c, struct state *s, struct sp_cc_out *out)
{
	s->has_rtt = c->srtt != 0;
	out->pacing = pace_of(s, (uint64_t)((double)out->cwnd * 1e9 /
					    (double)(c->srtt ? c->srtt : 1000000)));
}

static void set_pacing(const struct sp_conn *c, struct state *s, struct sp_cc_out *out)
{
	uint64_t pace = pace_of(s, rate_max(s));

	if (!s->has_rtt)
		guess_pacing(c, s, out);
	if (pace != 0 && (s->full || pace > out->pacing))
		out->pacing = pace;
}

static void set_cwnd(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
		     struct sp_cc_out *out)
{
	uint64_t target = inflight(c, s, s->mode == PROBE_BW ? 2 * UNIT : GAIN_HIGH);
	uint64_t least = CWND_MIN * (uint64_t)c->mss;

	if (s->conserve && a->una >= s->conserve_end)
		s->conserve = false;
	if (s->conserve) {
		uint64_t kept = c->flight + a->delivered;

		out->cwnd = out->cwnd > kept ? out->cwnd : kept;
	} else if (s->full) {
		out->cwnd += a->delivered;
		out->cwnd = out->cwnd < target ? out->cwnd : target;
	} else if (out->cwnd < target || c->delivered < s->initial) {
		out->cwnd += a->delivered;
	}
	if (out->cwnd < least)
		out->cwnd = least;
	if (s->mode == PROBE_RTT && out->cwnd > least)
		out->cwnd = least;
}

static void bbr_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	struct state *s = st;

	s->initial = out->cwnd;
	s->round_delivered = c->delivered;
	guess_pacing(c, s, out);
}

static void bbr_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool recovering,
		       struct sp_cc_out *out)
{
	struct state *s = st;

	(void)recovering;
	if (a->newly_count == 0)
		return;
	update_round(c, s, a);
	update_rate(s, a);
	update_full(s, a);
	update_rtt(c, s, a);
	update_mode(c, s, a, out);
	s->idle = false;
	set_pacing(c, s, out);
	set_cwnd(c, s, a, out);
}

static void bbr_on_episode(const struct sp_conn *c, void *st, enum sp_episode e,
			   struct sp_cc_out *out)
{
	struct state *s = st;

	if (e == SP_ENTER || e == SP_TIMEOUT) {
		if (!s->recovering)
			s->prior_cwnd = out->cwnd;
		s->recovering = true;
		s->conserve = e == SP_ENTER; /* after a time-out growth is the usual one */
		s->conserve_end = c->snd_nxt;
		out->cwnd = e == SP_TIMEOUT ? c->mss : c->flight + c->mss;
	} else if (e == SP_EXIT || e == SP_UNDO) {
		s->recovering = s->conserve = false;
		if (out->cwnd < s->prior_cwnd)
			out->cwnd = s->prior_cwnd;
	} else if (e == SP_IDLE) { /* no probing up, nor of the round trip that idling has measured */
		s->idle = true;
		if (s->mode == PROBE_BW)
			out->pacing = (uint64_t)((double)rate_max(s) * 0.99);
	}
	cc_at_least_one(c, out);
}

static int bbr_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	static const char *const names[] = {"startup", "drain", "probe_bw", "probe_rtt"};
	const struct state *s = st;

	(void)c;
	return snprintf(line, len, "mode=%s rate=%llu rtt_min_us=%llu round=%llu", names[s->mode],
			(ull)rate_max(s), (ull)(s->rtt_min / 1000), (ull)s->rounds);
}

static const struct sp_param params[] = {
    {"rtt_window", SP_TYPE_TIME, offsetof(struct params, rtt_window), "10s", "1s", "10m",
     "how long the smallest round trip is believed"},
    {"probe_rtt", SP_TYPE_TIME, offsetof(struct params, probe_rtt), "200ms", "1ms", "1s",
     "how long the path is kept nearly empty to measure it"},
    {0},
};

static const struct sp_cc_ops ops = {
    .size = sizeof(struct sp_cc_ops),
    .open = bbr_open,
    .on_ack = bbr_on_ack,
    .on_episode = bbr_on_episode,
    .describe = bbr_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_CC,
    .name = "bbr",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "paced by a model of the path's rate and round trip (BBR, first version)",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
