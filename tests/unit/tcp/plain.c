/* SPDX-License-Identifier: BSD-2-Clause */
#include "plain.h"

#include <stdio.h>
#include <stdlib.h>

#define MS      1000000ull
#define RTO_MAX (60000 * MS)

static void rto_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	(void)st;
	e->rto = *(const uint64_t *)c->params;
}

static sp_ns bounded(const struct sp_conn *c, sp_ns rto)
{
	sp_ns least = *(const uint64_t *)c->params;

	return rto < least ? least : rto < RTO_MAX ? rto : RTO_MAX;
}

static void rto_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous,
		    struct sp_rto_est *e)
{
	sp_ns diff = rtt > e->srtt ? rtt - e->srtt : e->srtt - rtt;

	(void)st;
	if (ambiguous)
		return;
	if (e->srtt == 0) {
		e->srtt = rtt;
		e->rttvar = rtt / 2;
	} else {
		e->rttvar = (3 * e->rttvar + diff) / 4;
		e->srtt = (7 * e->srtt + rtt) / 8;
	}
	e->rto = bounded(c, e->srtt + 4 * e->rttvar);
}

static void rto_expire(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	(void)c;
	(void)st;
	e->rto = e->rto * 2 < RTO_MAX ? e->rto * 2 : RTO_MAX;
}

static void rto_progress(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	(void)st;
	e->rto = bounded(c, e->srtt + 4 * e->rttvar);
}

static const struct sp_rto_ops rto_ops = {
    .size = sizeof(rto_ops),
    .open = rto_open,
    .on_rtt = rto_rtt,
    .on_expire = rto_expire,
    .on_progress = rto_progress,
};

#define PLUGIN(id, k, w, r, st, o)                                                                 \
	const struct sp_plugin id = {.abi_major = SP_ABI_MAJOR,                                    \
				     .abi_minor = SP_ABI_MINOR,                                    \
				     .size = sizeof(struct sp_plugin),                             \
				     .kind = k,                                                    \
				     .name = #id,                                                  \
				     .version = "1",                                               \
				     .license = "BSD-2-Clause",                                    \
				     .summary = "for tests",                                       \
				     .wants = w,                                                   \
				     .requires = r,                                                \
				     .state_size = st,                                             \
				     .ops = o}

PLUGIN(plain_rto, SP_RTO, 0, 0, 0, &rto_ops);

static const struct sp_ack_ops each_ops = {.size = sizeof(each_ops)};
PLUGIN(plain_ack_each, SP_ACK, 0, 0, 0, &each_ops);

struct delayed {
	uint32_t bytes;
};

static sp_ns delayed_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	struct delayed *d = st;

	d->bytes += s->len;
	if (!s->in_order || s->fills_gap || s->fin || d->bytes >= 2 * c->rcv_mss)
		return c->now;
	return c->now + 100 * MS;
}

static void delayed_sent(const struct sp_conn *c, void *st)
{
	(void)c;
	((struct delayed *)st)->bytes = 0;
}

static const struct sp_ack_ops delayed_ops = {
    .size = sizeof(delayed_ops), .on_data = delayed_data, .on_sent = delayed_sent};
PLUGIN(plain_ack_delayed, SP_ACK, 0, 0, sizeof(struct delayed), &delayed_ops);

static const struct sp_recovery_ops none_ops = {.size = sizeof(none_ops)};
PLUGIN(plain_recovery, SP_RECOVERY, 0, 0, 0, &none_ops);

struct sack {
	sp_off until;
	bool in;
};

/* The running counts are what a count would give. */
static void check_counts(const struct sp_conn *c)
{
	uint64_t flight = 0, sacked = 0, aged = 0, out = 0;
	sp_off at = c->snd_una;

	for (const struct sp_chunk *k = c->host->first(c); k; k = c->host->next(c, k)) {
		if (k->off != at || k->len == 0)
			abort();
		at += k->len;
		if (k->sacked && k->lost)
			abort();
		flight += k->sacked || k->lost ? 0 : k->len;
		sacked += k->sacked ? k->len : 0;
		out += !k->sacked;
	}
	for (const struct sp_chunk *k = c->host->oldest(c); k; k = c->host->younger(c, k)) {
		const struct sp_chunk *next = c->host->younger(c, k);

		if (next && next->last_sent < k->last_sent)
			abort();
		aged++;
	}
	if (flight != c->flight || sacked != c->sacked || at != c->snd_nxt || aged != out)
		abort();
}

static void sack_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
		     struct sp_verdict *v)
{
	struct sack *s = st;
	const struct sp_chunk *k = c->host->first(c);

	(void)a;
	check_counts(c);
	if (s->in && c->snd_una >= s->until) {
		s->in = false;
		v->episode = SP_EXIT;
	}
	if (!k || c->sacked < 3 * c->mss)
		return;
	if (!s->in) {
		s->in = true;
		s->until = c->snd_nxt;
		v->episode = SP_ENTER;
	}
	for (; k && !k->sacked; k = c->host->next(c, k))
		if (k->sends == 1)
			c->host->mark_lost(c, k);
}

static int sack_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	unsigned chunks = 0, sacked = 0;

	(void)st;
	for (const struct sp_chunk *k = c->host->first(c); k; k = c->host->next(c, k)) {
		chunks++;
		sacked += k->sacked;
	}
	return snprintf(line, len, "chunks=%u sacked=%u", chunks, sacked);
}

static const struct sp_recovery_ops sack_ops = {
    .size = sizeof(sack_ops), .on_ack = sack_ack, .describe = sack_describe};
PLUGIN(plain_sack, SP_RECOVERY, SP_SACK | SP_DSACK, 0, sizeof(struct sack), &sack_ops);
PLUGIN(plain_sack_only, SP_RECOVERY, SP_SACK, SP_SACK, sizeof(struct sack), &sack_ops);

static bool declines_keep(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	(void)c;
	(void)st;
	(void)s;
	return false;
}

static const struct sp_recovery_ops declines_ops = {.size = sizeof(declines_ops),
						    .keep = declines_keep};
PLUGIN(plain_declines, SP_RECOVERY, 0, 0, 0, &declines_ops);

static void cc_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	(void)st;
	out->cwnd = *(const uint64_t *)c->params * c->mss;
}

static const struct sp_cc_ops cc_ops = {.size = sizeof(cc_ops), .open = cc_open};
PLUGIN(plain_cc, SP_CC, 0, 0, 0, &cc_ops);

static void ecn_episode(const struct sp_conn *c, void *st, enum sp_episode e, struct sp_cc_out *out)
{
	(void)c;
	(void)st;
	if (e == SP_ECE)
		out->cwnd /= 2;
}

static const struct sp_cc_ops ecn_ops = {
    .size = sizeof(ecn_ops), .open = cc_open, .on_episode = ecn_episode};
PLUGIN(plain_ecn, SP_CC, SP_ECN, 0, 0, &ecn_ops);
PLUGIN(plain_exact, SP_CC, SP_ECN | SP_CE_EXACT, 0, 0, &ecn_ops);

/* --- wrong ones
 * -------------------------------------------------------------------------------------- */

static void bad_cc_open(const struct sp_conn *c, void *st, struct sp_cc_out *out)
{
	(void)c;
	(void)st;
	out->cwnd = 0;
}

static const struct sp_cc_ops bad_cc_ops = {.size = sizeof(bad_cc_ops), .open = bad_cc_open};
PLUGIN(plain_bad_cc, SP_CC, 0, 0, 0, &bad_cc_ops);

static void bad_rto_open(const struct sp_conn *c, void *st, struct sp_rto_est *e)
{
	(void)c;
	(void)st;
	e->rto = 0;
}

static const struct sp_rto_ops bad_rto_ops = {.size = sizeof(bad_rto_ops), .open = bad_rto_open};
PLUGIN(plain_bad_rto, SP_RTO, 0, 0, 0, &bad_rto_ops);

static sp_ns bad_ack_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	(void)st;
	(void)s;
	return c->now + 900 * MS;
}

static const struct sp_ack_ops bad_ack_ops = {.size = sizeof(bad_ack_ops), .on_data = bad_ack_data};
PLUGIN(plain_bad_ack, SP_ACK, 0, 0, 0, &bad_ack_ops);

static void bad_next(const struct sp_conn *c, void *st, struct sp_pick *p)
{

	(void)c;
	(void)st;
	p->what = c->snd_nxt < c->snd_end ? SP_PICK_NEW : SP_PICK_CHUNK;
	p->chunk = NULL;
}

static sp_ns bad_deadline(const struct sp_conn *c, void *st)
{
	(void)c;
	(void)st;
	return 0;
}

static void bad_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	(void)c;
	(void)st;
	(void)v;
}

static uint32_t bad_report(const struct sp_conn *c, void *st, const struct sp_range *held,
			   uint32_t n, uint32_t newest, struct sp_range *out, uint32_t max)
{
	(void)c;
	(void)st;
	(void)n;
	(void)newest;
	for (uint32_t i = 0; i < max; i++)
		out[i] = (struct sp_range){held[0].begin, held[0].end + 1000};
	return max;
}

static const struct sp_recovery_ops bad_recovery_ops = {
    .size = sizeof(bad_recovery_ops),
    .report = bad_report,
    .deadline = bad_deadline,
    .on_timer = bad_timer,
    .next = bad_next,
};
PLUGIN(plain_bad_recovery, SP_RECOVERY, SP_SACK, 0, 0, &bad_recovery_ops);
