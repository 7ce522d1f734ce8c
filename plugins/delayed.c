/* SPDX-License-Identifier: BSD-2-Clause */
/* delayed - RFC 1122 4.2.3.2 and RFC 5681 4.2: an ACK waits for data to ride on or for a second
 * full-sized segment, but never for 500 ms; gaps, duplicates and what fills a gap don't wait. */
#include "ack_common.h"

struct params {
	uint64_t delay;
	bool every_second;
};

struct state {
	uint64_t bytes, segments; /* taken in order and not acknowledged */
};

static sp_ns delayed_on_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	const struct params *p = c->params;
	struct state *d = st;

	if (ack_urgent(s))
		return c->now;
	if (s->len == 0)
		return SP_NEVER;
	d->bytes += s->len;
	d->segments++;
	if (d->bytes >= 2 * (uint64_t)c->rcv_mss || (p->every_second && d->segments >= 2))
		return c->now;
	return c->now + p->delay;
}

static void delayed_on_sent(const struct sp_conn *c, void *st)
{
	struct state *d = st;

	(void)c;
	d->bytes = d->segments = 0;
}

static int delayed_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct params *p = c->params;
	const struct state *d = st;

	return snprintf(line, len, "delay_us=%llu pending=%llu",
			(unsigned long long)(p->delay / 1000), (unsigned long long)d->bytes);
}

static const struct sp_param params[] = {
    {"delay", SP_TYPE_TIME, offsetof(struct params, delay), "40ms", "0ms", "499ms",
     "how long an ACK may wait (RFC 1122: less than 500ms)"},
    {"every_second", SP_TYPE_BOOL, offsetof(struct params, every_second), "no", NULL, NULL,
     "a second segment of any size is acknowledged at once, not only a full-sized one"},
    {0},
};

static const struct sp_ack_ops ops = {
    .size = sizeof(struct sp_ack_ops),
    .on_data = delayed_on_data,
    .on_sent = delayed_on_sent,
    .describe = delayed_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_ACK,
    .name = "delayed",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "every second full-sized segment, else after a delay (RFC 1122, RFC 5681)",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
