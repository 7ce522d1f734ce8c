/* SPDX-License-Identifier: BSD-2-Clause */
/* fixed (rto) - always the same time, never backed off: for experiments and the textbook. */
#include "rto_common.h"

struct params {
	uint64_t time;
};

struct state {
	sp_ns srtt; /* only so that it can be looked at */
};

static void fixed_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	(void)st;
	e->rto = p->time;
}

static void fixed_on_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous,
			 struct sp_rto_est *e)
{
	struct state *s = st;

	if (!ambiguous && rtt != 0)
		s->srtt = s->srtt == 0 ? rtt : (7 * s->srtt + rtt) / 8;
	e->srtt = s->srtt;
	fixed_open(c, st, e);
}

static int fixed_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct params *p = c->params;

	(void)st;
	return snprintf(line, len, "time_us=%llu", (unsigned long long)(p->time / 1000));
}

static const struct sp_param params[] = {
    {"time", SP_TYPE_TIME, offsetof(struct params, time), "1s", "1ms", "120s",
     "the retransmission time"},
    {0},
};

static const struct sp_rto_ops ops = {
    .size = sizeof(struct sp_rto_ops),
    .open = fixed_open,
    .on_rtt = fixed_on_rtt,
    .on_expire = fixed_open,
    .on_progress = fixed_open,
    .describe = fixed_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RTO,
    .name = "fixed",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "one constant time, without back-off",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
