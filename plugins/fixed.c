/* SPDX-License-Identifier: BSD-2-Clause */
/* fixed (cc) - a window of n segments, whatever happens: the book's N.  Unfair on a shared path. */
#include "cc_common.h"

struct params {
	uint64_t window;
};

static void fixed_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	const struct params *p = c->params;

	(void)st;
	out->cwnd = p->window * c->mss;
	out->pacing = 0;
}

static void fixed_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool recovering,
			 struct sp_cc_out *out)
{
	(void)a;
	(void)recovering;
	fixed_open(c, st, out); /* the MSS may have changed */
}

static int fixed_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct params *p = c->params;

	(void)st;
	return snprintf(line, len, "window=%llu", (ull)p->window);
}

static const struct sp_param params[] = {
    {"window", SP_TYPE_U64, offsetof(struct params, window), "10", "1", "65535",
     "full-sized segments that may be out"},
    {0},
};

static const struct sp_cc_ops ops = {
    .size = sizeof(struct sp_cc_ops),
    .open = fixed_open,
    .on_ack = fixed_on_ack,
    .describe = fixed_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_CC,
    .name = "fixed",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "a constant window of n segments",
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
