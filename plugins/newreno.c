/* SPDX-License-Identifier: BSD-2-Clause */
/* newreno - slow start and congestion avoidance of RFC 5681, counted in bytes (RFC 3465), no growth
 * of a window that isn't used (RFC 7661), PRR in recovery (RFC 6937). */
#include "cc_common.h"

struct params {
	uint64_t abc_limit;
};

struct state {
	struct cc_loss loss;
	uint64_t acked; /* bytes towards the next segment in congestion avoidance */
};

static void newreno_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	struct state *s = st;

	(void)c;
	s->loss.initial = out->cwnd;
}

static void newreno_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
			   bool recovering, struct sp_cc_out *out)
{
	const struct params *p = c->params;
	struct state *s = st;

	(void)recovering; /* also true after a time-out, when slow start must go on */
	if (cc_recovering(c, &s->loss, a, out) || !c->cwnd_limited)
		return;
	cc_reno_growth(c, &s->loss, a->delivered, p->abc_limit, &s->acked, out);
}

static void newreno_on_episode(const struct sp_conn *c, void *st, enum sp_episode e,
			       struct sp_cc_out *out)
{
	struct state *s = st;

	cc_episode(c, &s->loss, e, cc_flight_size(c, out->cwnd) / 2, out);
	s->acked = 0;
}

static int newreno_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "phase=%s acked=%llu",
			s->loss.recovering      ? "recovery"
			: c->cwnd < c->ssthresh ? "slow-start"
						: "avoidance",
			(ull)s->acked);
}

static const struct sp_param params[] = {
    {"abc_limit", SP_TYPE_U64, offsetof(struct params, abc_limit), "2", "1", "64",
     "segments that one ACK may add in slow start (RFC 3465 L)"},
    {0},
};

static const struct sp_cc_ops ops = {
    .size = sizeof(struct sp_cc_ops),
    .open = newreno_open,
    .on_ack = newreno_on_ack,
    .on_episode = newreno_on_episode,
    .describe = newreno_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_CC,
    .name = "newreno",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "slow start and additive increase, halved on loss (RFC 5681, RFC 6937)",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
