/* SPDX-License-Identifier: BSD-2-Clause */
/* cookie.c - owns SYN cookies (RFC 4987 3.6): a handshake of which nothing is kept.  Our initial
 * number says when, which MSS, and that it was us:
 *
 *	5 bits time in 64 s | 3 bits index of the MSS | 24 bits keyed hash
 *
 * With timestamps the lowest 6 bits of the one we send carry window scale and SACK; without them
 * such a connection has neither. */
#include "tcp/conn.h"

#define COOKIE_TICK_NS (64 * NS_PER_S)
#define COOKIE_TICKS   2u /* how long one is good: this tick and the one before */
#define TS_BITS        0x3fu
#define TS_SACK        0x10u
#define TS_NO_WSCALE   0x0fu

static const uint16_t mss_table[8] = {MSS_LOWEST, 536, 1220, 1360, 1440, 1460, 4312, 8960};

static uint32_t keyed(const struct tcp *t, uint64_t hash, uint32_t irs, uint32_t when, unsigned mss)
{
	uint64_t key[4] = {hash, (uint64_t)irs << 32 | when, mss, 2};

	return (uint32_t)siphash(&t->secret, key, sizeof(key)) & 0xffffff;
}

static uint32_t tick(const struct tcp *t)
{
	return (uint32_t)(t->now / COOKIE_TICK_NS);
}

static unsigned mss_index(uint16_t mss)
{
	unsigned i = array_count(mss_table) - 1;

	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

/* The latest timestamp not after now whose low bits say what was agreed. */
static uint32_t stamp(const struct tcp_conn *c)
{
	uint32_t bits =
	    (c->wscale_on ? c->snd_wscale : TS_NO_WSCALE) | (c->sack_agreed ? TS_SACK : 0);
	uint32_t now = conn_ts_now(c, c->tcp->now), ts = (now & ~TS_BITS) | bits;

	return seq_before(now, ts) ? ts - TS_BITS - 1 : ts;
}

/* A connection that is made to find out what it would say, and put back at once. */
void cookie_send(struct tcp_conn *c, uint16_t peer_mss)
{
	struct tcp *t = c->tcp;
	uint32_t when = tick(t);
	unsigned mss = mss_index(peer_mss ? peer_mss : c->peer_mss);
	struct segment_head h = {
	    .src_port = c->local.port,
	    .dst_port = c->remote.port,
	    .seq = (when & 31) << 27 | mss << 24 | keyed(t, c->node.hash, c->irs, when, mss),
	    .ack = c->irs + 1,
	    .window = (uint16_t)c->view.rcv_limit,
	    .flags = SEG_SYN | SEG_ACK,
	    .opt = {.mss = conn_advertised_mss(c), .wscale = SEGMENT_NO_WSCALE},
	};

	if (c->ts_on) {
		h.opt.has_ts = true;
		h.opt.tsval = stamp(c);
		h.opt.tsecr = c->ts_recent;
		h.opt.sack_permitted = c->sack_agreed;
		if (c->wscale_on)
			h.opt.wscale = c->rcv_wscale;
	}
	t->cookie_sent = true;
	t->cookie_sent_at = t->now;
	count(t->counters, COUNT_syn_cookie_sent);
	output_bare(t, (struct output_way){c->device, c->tos, c->ttl}, &c->local, &c->remote, &h);
}

static bool recent(const struct tcp *t)
{
	return t->cookie_sent && t->now - t->cookie_sent_at <= COOKIE_TICKS * COOKIE_TICK_NS;
}

bool cookie_check(struct tcp *t, uint64_t hash, const struct segment *s,
		  struct segment_options *syn)
{
	uint32_t cookie = s->ack - 1, irs = s->seq - 1;
	unsigned mss = cookie >> 24 & 7;

	if (!recent(t) || (s->flags & (SEG_SYN | SEG_RST)))
		return false;
	*syn = (struct segment_options){.mss = mss_table[mss],
					.wscale = SEGMENT_NO_WSCALE,
					.has_ts = s->opt.has_ts,
					.tsval = s->opt.tsval};
	for (uint32_t age = 0; age < COOKIE_TICKS; age++) {
		uint32_t when = tick(t) - age;

		if (cookie >> 27 != (when & 31) ||
		    (cookie & 0xffffff) != keyed(t, hash, irs, when, mss))
			continue;
		if (s->opt.has_ts) {
			uint8_t wscale = s->opt.tsecr & TS_NO_WSCALE;

			syn->sack_permitted = (s->opt.tsecr & TS_SACK) != 0;
			if (wscale != TS_NO_WSCALE)
				syn->wscale = wscale;
		}
		count(t->counters, COUNT_syn_cookie_ok);
		return true;
	}
	count(t->counters, COUNT_syn_cookie_bad);
	return false;
}
