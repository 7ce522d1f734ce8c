/* SPDX-License-Identifier: BSD-2-Clause */
/* cubic - CUBIC (RFC 9438) with fast convergence and the Reno-friendly region, HyStart++ (RFC 9406)
 * in the initial slow start, PRR in recovery, undo.  Times are milliseconds inside, as the growth
 * takes seconds; only + - * / of doubles and an integer cube root, so every machine agrees. */
#include "cc_common.h"
#include "hystart.h"

struct params {
	double c, beta;
	uint64_t abc_limit;
	bool fast_convergence, hystart;
};

struct growth {
	double w_max;  /* bytes: the plateau */
	double w_est;  /* bytes: what Reno would have */
	double credit; /* bytes, less than one, not added to cwnd yet */
	uint64_t cwnd_prior;
	uint64_t k_ms;   /* from the epoch to the plateau */
	sp_ns epoch;     /* 0: avoidance has not begun since the last event */
	sp_ns stalled;   /* since when the window isn't used; 0: it is */
	bool after_loss; /* the epoch begins below w_max, not on it */
};

struct state {
	struct cc_loss loss;
	struct hystart hystart;
	struct growth grow, before; /* before: for undo */
};

/* The whole part of the cube root. */
static uint64_t cube_root(uint64_t x)
{
	uint64_t root = 0;

	for (int shift = 63; shift >= 0; shift -= 3) {
		uint64_t try;

		root *= 2;
		try = 3 * root * (root + 1) + 1;
		if ((x >> shift) >= try) {
			x -= try << shift;
			root++;
		}
	}
	return root;
}

static void epoch_begin(const struct sp_conn *c, struct growth *g, uint64_t cwnd)
{
	const struct params *p = c->params;
	double below;

	g->epoch = c->now;
	g->credit = 0;
	g->w_est = (double)cwnd;
	if (!g->after_loss || g->w_max <= (double)cwnd) { /* 4.2, 4.8: start on the plateau */
		g->w_max = (double)cwnd;
		g->k_ms = 0;
		return;
	}
	below = (g->w_max - (double)cwnd) / c->mss;
	g->k_ms = cube_root((uint64_t)(below / p->c * 1e9));
}

/* W_cubic(t), figure 1 of the RFC, in bytes. */
static double w_cubic(const struct sp_conn *c, const struct growth *g, sp_ns t)
{
	const struct params *p = c->params;
	double s = ((double)(t / 1000) - (double)g->k_ms * 1000) / 1e6;

	return p->c * s * s * s * c->mss + g->w_max;
}

/* 4.3: the window of an AIMD flow with the same decrease. */
static void reno_friendly(const struct sp_conn *c, struct growth *g, uint64_t cwnd, uint64_t acked)
{
	const struct params *p = c->params;
	double alpha = g->w_est >= (double)g->cwnd_prior ? 1 : 3 * (1 - p->beta) / (1 + p->beta);

	g->w_est += alpha * (double)acked / (double)cwnd * c->mss;
}

static void avoidance(const struct sp_conn *c, struct state *s, uint64_t acked,
		      struct sp_cc_out *out)
{
	struct growth *g = &s->grow;
	double cwnd = (double)out->cwnd, target, w;

	if (g->epoch == 0)
		epoch_begin(c, g, out->cwnd);
	reno_friendly(c, g, out->cwnd, acked);
	w = w_cubic(c, g, c->now - g->epoch);
	if (w < g->w_est) {
		if (g->w_est > cwnd)
			out->cwnd = (uint64_t)g->w_est;
		return;
	}
	target = w_cubic(c, g, c->now - g->epoch + c->srtt);
	target = target < cwnd ? cwnd : target > 1.5 * cwnd ? 1.5 * cwnd : target;
	g->credit += (target - cwnd) / cwnd * (double)acked; /* 4.4, 4.5 */
	out->cwnd += (uint64_t)g->credit;
	g->credit -= (double)(uint64_t)g->credit;
}

/* Returns what is left for avoidance. */
static uint64_t slow_start(const struct sp_conn *c, struct state *s, const struct sp_ack *a,
			   struct sp_cc_out *out)
{
	const struct params *p = c->params;
	uint64_t bytes = a->delivered;

	if (s->hystart.running) {
		bool end = hystart_on_ack(&s->hystart, c, a);

		if (end) {
			out->ssthresh = out->cwnd;
			s->hystart.running = false;
			return bytes;
		}
		if (s->hystart.css) {
			uint64_t most = p->abc_limit * c->mss;

			bytes = (bytes < most ? bytes : most) / HYSTART_CSS_DIVISOR;
		}
	}
	return cc_slow_start(c, &s->loss, bytes, p->abc_limit, out);
}

/* 5.8: time in which the window wasn't used doesn't count. */
static void resume(const struct sp_conn *c, struct growth *g)
{
	if (g->epoch != 0 && g->stalled != 0)
		g->epoch += c->now - (g->stalled > g->epoch ? g->stalled : g->epoch);
	g->stalled = 0;
}

static void cubic_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	const struct params *p = c->params;
	struct state *s = st;

	s->loss.initial = out->cwnd;
	if (p->hystart)
		hystart_begin(&s->hystart, c);
}

static void cubic_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool recovering,
			 struct sp_cc_out *out)
{
	struct state *s = st;
	uint64_t bytes = a->delivered;

	(void)recovering;
	if (cc_recovering(c, &s->loss, a, out))
		return;
	if (!c->cwnd_limited) {
		if (s->grow.stalled == 0)
			s->grow.stalled = c->now;
		return;
	}
	resume(c, &s->grow);
	if (out->cwnd < out->ssthresh)
		bytes = slow_start(c, s, a, out);
	if (out->cwnd >= out->ssthresh && bytes != 0)
		avoidance(c, s, bytes, out);
}

/* 4.6, 4.7: where the next plateau is. */
static void reduce(const struct sp_conn *c, struct state *s, uint64_t cwnd)
{
	const struct params *p = c->params;
	struct growth *g = &s->grow;

	s->before = *g;
	g->cwnd_prior = cwnd;
	if (p->fast_convergence && (double)cwnd < g->w_max)
		g->w_max = (double)cwnd * (1 + p->beta) / 2;
	else
		g->w_max = (double)cwnd;
	g->after_loss = true;
}

static void cubic_on_episode(const struct sp_conn *c, void *st, enum sp_episode e,
			     struct sp_cc_out *out)
{
	const struct params *p = c->params;
	struct state *s = st;
	uint64_t flight = cc_flight_size(c, out->cwnd);

	if (cc_is_news(c, &s->loss, e)) {
		reduce(c, s, out->cwnd);
		s->hystart.running = false;
	}
	if (e == SP_TIMEOUT)
		s->grow.after_loss = false; /* 4.8: K = 0 in the first avoidance afterwards */
	else if (e == SP_UNDO && s->loss.prior_valid)
		s->grow = s->before;
	cc_episode(c, &s->loss, e, (uint64_t)((double)flight * p->beta), out);
	if (e != SP_UNDO)
		s->grow.epoch = 0;
}

static int cubic_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "phase=%s w_max=%llu k_ms=%llu w_est=%llu",
			s->loss.recovering                     ? "recovery"
			: c->cwnd >= c->ssthresh               ? "avoidance"
			: s->hystart.running && s->hystart.css ? "css"
							       : "slow-start",
			(ull)s->grow.w_max, (ull)s->grow.k_ms, (ull)s->grow.w_est);
}

static const struct sp_param params[] = {
    {"c", SP_TYPE_REAL, offsetof(struct params, c), "0.4", "0.01", "10",
     "steepness of the cubic, segments per cubic second"},
    {"beta", SP_TYPE_REAL, offsetof(struct params, beta), "0.7", "0.1", "0.95",
     "what a decrease leaves of the window"},
    {"abc_limit", SP_TYPE_U64, offsetof(struct params, abc_limit), "2", "1", "64",
     "segments that one ACK may add in slow start (RFC 3465 L)"},
    {"fast_convergence", SP_TYPE_BOOL, offsetof(struct params, fast_convergence), "yes", NULL, NULL,
     "give room to newer flows when the plateau falls"},
    {"hystart", SP_TYPE_BOOL, offsetof(struct params, hystart), "yes", NULL, NULL,
     "leave the initial slow start when the round trip grows (HyStart++)"},
    {0},
};

static const struct sp_cc_ops ops = {
    .size = sizeof(struct sp_cc_ops),
    .open = cubic_open,
    .on_ack = cubic_on_ack,
    .on_episode = cubic_on_episode,
    .describe = cubic_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_CC,
    .name = "cubic",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "CUBIC with HyStart++ and PRR (RFC 9438, RFC 9406, RFC 6937)",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
