/* SPDX-License-Identifier: BSD-2-Clause */
/* textbook (rto) - Kurose & Ross 3.5.3: EstimatedRTT = 0.875 E + 0.125 S, DevRTT = 0.75 D +
 * 0.25 |S - E| with the new E, TimeoutInterval = E + 4 D; 1 s at first; doubled on a time-out and
 * computed anew from E and D at the next new ACK.  The first D is half of the first sample, as
 * in RFC 6298; the book gives none. */
#include "rto_common.h"

struct params {
	uint64_t initial, min, max;
};

struct state {
	sp_ns estimated, deviation;
};

static void compute(const struct params *p, const struct state *s, struct sp_rto_est *e)
{
	e->srtt = s->estimated;
	e->rttvar = s->deviation;
	e->rto = s->estimated == 0 ? p->initial
				   : rto_limit(s->estimated + 4 * s->deviation, p->min, p->max);
}

static void textbook_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	compute(c->params, st, e);
}

static void textbook_on_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous,
			    struct sp_rto_est *e)
{
	struct state *s = st;

	if (ambiguous || rtt == 0) /* a SampleRTT is never of a segment that was sent again */
		return;
	if (s->estimated == 0) {
		s->estimated = rtt;
		s->deviation = rtt / 2;
	} else {
		s->estimated = (7 * s->estimated + rtt) / 8;
		s->deviation = (3 * s->deviation + rto_apart(rtt, s->estimated)) / 4;
	}
	compute(c->params, s, e);
}

static void textbook_on_expire(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	(void)st;
	e->rto = rto_doubled(c->rto, p->max);
}

static void textbook_on_progress(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	compute(c->params, st, e);
}

static int textbook_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "estimated_us=%llu deviation_us=%llu interval_us=%llu",
			(unsigned long long)(s->estimated / 1000),
			(unsigned long long)(s->deviation / 1000),
			(unsigned long long)(c->rto / 1000));
}

static const struct sp_param params[] = {
    {"initial", SP_TYPE_TIME, offsetof(struct params, initial), "1s", "1ms", "60s",
     "TimeoutInterval before the first sample"},
    {"min", SP_TYPE_TIME, offsetof(struct params, min), "1ms", "1us", "60s",
     "never wait less; the book has no minimum"},
    {"max", SP_TYPE_TIME, offsetof(struct params, max), "60s", "1s", "120s",
     "where doubling ends; the book has no maximum"},
    {0},
};

static const struct sp_rto_ops ops = {
    .size = sizeof(struct sp_rto_ops),
    .open = textbook_open,
    .on_rtt = textbook_on_rtt,
    .on_expire = textbook_on_expire,
    .on_progress = textbook_on_progress,
    .describe = textbook_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RTO,
    .name = "textbook",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "EstimatedRTT + 4 DevRTT, doubled on time-out only (Kurose & Ross 3.5.3)",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
