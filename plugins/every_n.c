/* SPDX-License-Identifier: BSD-2-Clause */
/* every-n - one ACK for n full-sized segments, or after a time.  Beyond n = 2 this is fewer than
 * RFC 5681 asks for: for long paths with little room for ACKs, and for experiments. */
#include "ack_common.h"

struct params {
	uint64_t n, time;
};

struct state {
	uint64_t segments;
};

static sp_ns every_n_on_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	const struct params *p = c->params;
	struct state *e = st;

	if (ack_urgent(s))
		return c->now;
	if (s->len == 0)
		return SP_NEVER;
	e->segments += ack_segments(c, s);
	return e->segments >= p->n ? c->now : c->now + p->time;
}

static void every_n_on_sent(const struct sp_conn *c, void *st)
{
	struct state *e = st;

	(void)c;
	e->segments = 0;
}

static int every_n_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct params *p = c->params;
	const struct state *e = st;

	return snprintf(line, len, "n=%llu pending=%llu", (unsigned long long)p->n,
			(unsigned long long)e->segments);
}

static const struct sp_param params[] = {
    {"n", SP_TYPE_U64, offsetof(struct params, n), "4", "1", "64", "segments for one ACK"},
    {"time", SP_TYPE_TIME, offsetof(struct params, time), "40ms", "0ms", "499ms",
     "how long an ACK may wait"},
    {0},
};

static const struct sp_ack_ops ops = {
    .size = sizeof(struct sp_ack_ops),
    .on_data = every_n_on_data,
    .on_sent = every_n_on_sent,
    .describe = every_n_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_ACK,
    .name = "every-n",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "one ACK for n segments, or after a time",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
