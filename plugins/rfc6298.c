/* SPDX-License-Identifier: BSD-2-Clause */
/* rfc6298 - the standard retransmission time: Jacobson's estimator, Karn's rule, doubling.
 * The RFC's minimum of 1 s is a SHOULD that nobody follows; the default here is 200 ms. */
#include "rto_common.h"

struct params {
	uint64_t min, max, initial, granularity;
	bool reset_on_progress, strict_karn;
};

struct state {
	sp_ns srtt, rttvar;
};

static void compute(const struct params *p, const struct state *s, struct sp_rto_est *e)
{
	sp_ns spread = 4 * s->rttvar;

	e->srtt = s->srtt;
	e->rttvar = s->rttvar;
	if (spread < p->granularity)
		spread = p->granularity;
	/* (2.1): 1 s until there is a sample */
	e->rto = s->srtt == 0 ? p->initial : rto_limit(s->srtt + spread, p->min, p->max);
}

static void rfc6298_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	compute(c->params, st, e);
}

static void rfc6298_on_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous,
			   struct sp_rto_est *e)
{
	struct state *s = st;

	if (ambiguous || rtt == 0) /* section 3, Karn */
		return;
	if (s->srtt == 0) { /* (2.2) */
		s->srtt = rtt;
		s->rttvar = rtt / 2;
	} else { /* (2.3) */
		s->rttvar = (3 * s->rttvar + rto_apart(s->srtt, rtt)) / 4;
		s->srtt = (7 * s->srtt + rtt) / 8;
	}
	compute(c->params, s, e);
}

static void rfc6298_on_expire(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	(void)st;
	e->rto = rto_doubled(c->rto, p->max); /* (5.5) */
}

static void rfc6298_on_progress(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	if (rto_progress_ends_backoff(c, p->reset_on_progress, p->strict_karn))
		compute(p, st, e);
}

static int rfc6298_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "srtt_us=%llu rttvar_us=%llu rto_us=%llu",
			(unsigned long long)(s->srtt / 1000),
			(unsigned long long)(s->rttvar / 1000),
			(unsigned long long)(c->rto / 1000));
}

static const struct sp_param params[] = {
    {"min", SP_TYPE_TIME, offsetof(struct params, min), "200ms", "1ms", "60s",
     "never wait less; RFC 6298 asks for 1s"},
    {"max", SP_TYPE_TIME, offsetof(struct params, max), "60s", "1s", "120s", "never wait longer"},
    {"initial", SP_TYPE_TIME, offsetof(struct params, initial), "1s", "1ms", "60s",
     "before the first sample"},
    {"granularity", SP_TYPE_TIME, offsetof(struct params, granularity), "1ms", "1us", "1s",
     "the least that the variation adds"},
    RTO_PARAM_RESET(struct params),
    {0},
};

static const struct sp_rto_ops ops = {
    .size = sizeof(struct sp_rto_ops),
    .open = rfc6298_open,
    .on_rtt = rfc6298_on_rtt,
    .on_expire = rfc6298_on_expire,
    .on_progress = rfc6298_on_progress,
    .describe = rfc6298_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RTO,
    .name = "rfc6298",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "SRTT + 4 RTTVAR, Karn's rule, doubled on each expiry (RFC 6298)",
    .wants = SP_TIMESTAMPS,
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
