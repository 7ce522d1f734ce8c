/* SPDX-License-Identifier: BSD-2-Clause */
/* linux - the retransmission time as the Linux kernel reckons it: the floor applies to the
 * variation and is added to SRTT; a falling round trip raises the variation by an eighth only;
 * the variation used is the largest mean deviation of the last round trip and falls slowly. */
#include "rto_common.h"

struct params {
	uint64_t min, max, initial;
	bool reset_on_progress, strict_karn;
};

struct state {
	sp_ns srtt;
	sp_ns mdev4, mdev4_max, rttvar4; /* four times the mean deviation */
	sp_off round_end;
};

static void compute(const struct params *p, const struct state *s, struct sp_rto_est *e)
{
	e->srtt = s->srtt;
	e->rttvar = s->rttvar4 / 4;
	e->rto = s->srtt == 0 ? p->initial : rto_limit(s->srtt + s->rttvar4, p->min, p->max);
}

static void linux_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	compute(c->params, st, e);
}

static void first_sample(const struct sp_conn *c, const struct params *p, struct state *s,
			 sp_ns rtt)
{
	s->srtt = rtt;
	s->mdev4 = 2 * rtt;
	s->rttvar4 = s->mdev4 > p->min ? s->mdev4 : p->min;
	s->mdev4_max = s->rttvar4;
	s->round_end = c->snd_nxt;
}

static void later_sample(const struct sp_conn *c, const struct params *p, struct state *s,
			 sp_ns rtt)
{
	bool falling = rtt < s->srtt;
	sp_ns error = rto_apart(rtt, s->srtt), mean = s->mdev4 / 4;

	s->srtt = (7 * s->srtt + rtt) / 8;
	if (error <= mean)
		s->mdev4 -= mean - error;
	else
		s->mdev4 += falling ? (error - mean) / 8 : error - mean;
	if (s->mdev4 > s->mdev4_max) {
		s->mdev4_max = s->mdev4;
		if (s->mdev4_max > s->rttvar4)
			s->rttvar4 = s->mdev4_max;
	}
	if (c->snd_una > s->round_end) {
		if (s->mdev4_max < s->rttvar4)
			s->rttvar4 -= (s->rttvar4 - s->mdev4_max) / 4;
		s->round_end = c->snd_nxt;
		s->mdev4_max = p->min;
	}
}

static void linux_on_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous,
			 struct sp_rto_est *e)
{
	struct state *s = st;

	if (ambiguous || rtt == 0)
		return;
	if (s->srtt == 0)
		first_sample(c, c->params, s, rtt);
	else
		later_sample(c, c->params, s, rtt);
	compute(c->params, s, e);
}

static void linux_on_expire(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	(void)st;
	e->rto = rto_doubled(c->rto, p->max);
}

static void linux_on_progress(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	const struct params *p = c->params;

	if (rto_progress_ends_backoff(c, p->reset_on_progress, p->strict_karn))
		compute(p, st, e);
}

static int linux_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "srtt_us=%llu mdev_us=%llu rttvar_us=%llu rto_us=%llu",
			(unsigned long long)(s->srtt / 1000), (unsigned long long)(s->mdev4 / 4000),
			(unsigned long long)(s->rttvar4 / 4000),
			(unsigned long long)(c->rto / 1000));
}

static const struct sp_param params[] = {
    {"min", SP_TYPE_TIME, offsetof(struct params, min), "200ms", "1ms", "60s",
     "the least that is added to SRTT"},
    {"max", SP_TYPE_TIME, offsetof(struct params, max), "120s", "1s", "120s", "never wait longer"},
    {"initial", SP_TYPE_TIME, offsetof(struct params, initial), "1s", "1ms", "60s",
     "before the first sample"},
    RTO_PARAM_RESET(struct params),
    {0},
};

static const struct sp_rto_ops ops = {
    .size = sizeof(struct sp_rto_ops),
    .open = linux_open,
    .on_rtt = linux_on_rtt,
    .on_expire = linux_on_expire,
    .on_progress = linux_on_progress,
    .describe = linux_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RTO,
    .name = "linux",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "SRTT + max(200 ms, 4 RTTVAR), slow to forget, as the Linux kernel does it",
    .wants = SP_TIMESTAMPS,
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
