/* SPDX-License-Identifier: BSD-2-Clause */
/* dctcp - Data Center TCP (RFC 8257): the window is cut in proportion to the share of bytes that
 * met congestion marks.  Growth and the reaction to loss are NewReno's.  Meant for a network whose
 * queues mark early, with a peer that echoes each mark. */
#include "cc_common.h"

struct params {
	double gain;
	uint64_t abc_limit;
};

struct state {
	struct cc_loss loss;
	double alpha;
	uint64_t acked, marked; /* bytes in this observation window */
	uint64_t credit;        /* bytes towards the next segment in avoidance */
	sp_off window_end;
};

static void dctcp_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	struct state *s = st;

	s->loss.initial = out->cwnd;
	s->alpha = 1; /* section 3.3: be careful before there is an estimate */
	s->window_end = c->snd_nxt;
}

/* Section 3.3, steps 1 to 8. */
static void observe(const struct sp_conn *c, struct state *s, const struct sp_ack *a)
{
	const struct params *p = c->params;
	double share;

	s->acked += a->delivered;
	if (a->ece)
		s->marked += a->delivered;
	if (c->snd_una <= s->window_end)
		return;
	share = s->acked ? (double)s->marked / (double)s->acked : 0;
	s->alpha = s->alpha * (1 - p->gain) + p->gain * share;
	s->acked = s->marked = 0;
	s->window_end = c->snd_nxt;
}

static void dctcp_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool recovering,
			 struct sp_cc_out *out)
{
	const struct params *p = c->params;
	struct state *s = st;

	(void)recovering;
	observe(c, s, a);
	if (cc_recovering(c, &s->loss, a, out) || !c->cwnd_limited)
		return;
	cc_reno_growth(c, &s->loss, a->delivered, p->abc_limit, &s->credit, out);
}

static void dctcp_on_episode(const struct sp_conn *c, void *st, enum sp_episode e,
			     struct sp_cc_out *out)
{
	struct state *s = st;
	uint64_t reduced = cc_flight_size(c, out->cwnd) / 2;

	if (e == SP_ECE) /* step 9 */
		reduced = (uint64_t)((double)out->cwnd * (1 - s->alpha / 2));
	cc_episode(c, &s->loss, e, reduced, out);
	s->credit = 0;
}

static int dctcp_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	(void)c;
	return snprintf(line, len, "alpha=%.4f acked=%llu marked=%llu", s->alpha, (ull)s->acked,
			(ull)s->marked);
}

static const struct sp_param params[] = {
    {"gain", SP_TYPE_REAL, offsetof(struct params, gain), "0.0625", "0.001", "1",
     "weight of the newest window in alpha (RFC 8257 g)"},
    {"abc_limit", SP_TYPE_U64, offsetof(struct params, abc_limit), "2", "1", "64",
     "segments that one ACK may add in slow start (RFC 3465 L)"},
    {0},
};

static const struct sp_cc_ops ops = {
    .size = sizeof(struct sp_cc_ops),
    .open = dctcp_open,
    .on_ack = dctcp_on_ack,
    .on_episode = dctcp_on_episode,
    .describe = dctcp_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_CC,
    .name = "dctcp",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "cuts the window by the share of marked bytes (RFC 8257)",
    .wants = SP_ECN | SP_CE_EXACT,
    .requires = SP_ECN,
    .state_size = sizeof(struct state),
    .params_size = sizeof(struct params),
    .params = params,
    .ops = &ops,
};
