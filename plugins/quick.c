/* SPDX-License-Identifier: BSD-2-Clause */
/* quick - adaptive: at once while the peer is in slow start (the first segments, and again after
 * a pause), delayed when the conversation goes to and fro and data will carry the ACK, and for
 * bulk at least every second full-sized segment.  The delay follows the time between arrivals. */
#include "ack_common.h"

#define PINGPONG_AT  3u /* answers in a row that make a conversation interactive */
#define PINGPONG_MAX 6u /* and how much silence towards the peer it survives */

struct params {
	uint64_t segments, delay;
};

struct state {
	uint64_t quick;   /* segments still acknowledged at once */
	uint64_t pending; /* bytes taken in order and not acknowledged */
	sp_ns last;       /* arrival of the data before; 0 none */
	sp_ns between;    /* of arrivals, smoothed */
	sp_off snd_nxt;   /* at the last ACK: did data ride on it? */
	uint32_t pingpong;
};

static void quick_open(const struct sp_conn *c, void *st)
{
	const struct params *p = c->params;
	struct state *q = st;

	q->quick = p->segments;
	q->between = p->delay / 2;
	q->snd_nxt = c->snd_nxt;
}

/* A pause longer than the RTO: the peer begins again with slow start. */
static void watch_arrivals(const struct sp_conn *c, const struct params *p, struct state *q)
{
	sp_ns since = q->last == 0 ? 0 : c->now - q->last;

	q->last = c->now;
	if (since > c->rto) {
		q->quick = p->segments;
		q->between = p->delay / 2;
	} else if (since != 0) {
		q->between = (q->between + (since < p->delay ? since : p->delay)) / 2;
	}
}

static sp_ns patience(const struct params *p, const struct state *q)
{
	sp_ns wait = q->pingpong >= PINGPONG_AT ? p->delay : p->delay / 2 + q->between;

	return wait < p->delay ? wait : p->delay;
}

static sp_ns quick_on_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	const struct params *p = c->params;
	struct state *q = st;
	bool interactive = q->pingpong >= PINGPONG_AT;

	if (s->len != 0)
		watch_arrivals(c, p, q);
	if (ack_urgent(s)) {
		if (!s->in_order && q->quick < p->segments / 2)
			q->quick = p->segments / 2; /* the peer repairs a loss: feed it ACKs */
		return c->now;
	}
	if (s->len == 0)
		return SP_NEVER;
	q->pending += s->len;
	if (q->pending >= 2 * (uint64_t)c->rcv_mss) /* one super-segment is enough for that */
		return c->now;
	if (q->quick > 0 && !interactive)
		return c->now;
	return c->now + patience(p, q);
}

static void quick_on_sent(const struct sp_conn *c, void *st)
{
	struct state *q = st;

	if (q->pending != 0) { /* it acknowledged something: with data or alone? */
		if (c->snd_nxt > q->snd_nxt)
			q->pingpong += q->pingpong < PINGPONG_MAX;
		else
			q->pingpong -= q->pingpong > 0;
		q->quick -= q->quick > 0;
	}
	q->snd_nxt = c->snd_nxt;
	q->pending = 0;
}

static int quick_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *q = st;

	(void)c;
	return snprintf(line, len, "mode=%s quick=%llu between_us=%llu pending=%llu",
			q->pingpong >= PINGPONG_AT ? "interactive"
			: q->quick > 0             ? "quick"
						   : "bulk",
			(unsigned long long)q->quick, (unsigned long long)(q->between / 1000),
			(unsigned long long)q->pending);
}

static const struct sp_param params[] = {
    {"segments", SP_TYPE_U64, offsetof(struct params, segments), "16", "0", "1000",
     "acknowledged at once in the beginning and after a pause"},
    {"delay", SP_TYPE_TIME, offsetof(struct params, delay), "40ms", "1ms", "499ms",
     "the longest that an ACK waits"},
    {0},
};

static const struct sp_ack_ops ops = {
    .size = sizeof(struct sp_ack_ops),
    .open = quick_open,
    .on_data = quick_on_data,
    .on_sent = quick_on_sent,
    .describe = quick_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_ACK,
    .name = "quick",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "at once while the peer starts, delayed for conversations and bulk",
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
