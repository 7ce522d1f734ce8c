/* SPDX-License-Identifier: BSD-2-Clause */
#include "checker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/seen.h"

#define ACK_DELAY_MAX_NS 500000000ull
#define MSS_LEAST	 48u /* a smaller offer of the peer is not taken at its word */

enum { CAME_BYTE = 1, CAME_FIN = 2 /* with this offset */ };

typedef long long ll;

static void violation(struct checker *c, unsigned host, uint64_t now, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void violation(struct checker *c, unsigned host, uint64_t now, const char *format, ...)
{
	va_list args;
	int n;

	if (*c->violation || !(c->watched >> host & 1))
		return;
	n = snprintf(c->violation, sizeof(c->violation), "host %u at %.6f s, frame %llu: ", host,
		     (double)now / 1e9, (unsigned long long)c->frames);
	va_start(args, format);
	vsnprintf(c->violation + n, sizeof(c->violation) - (size_t)n, format, args);
	va_end(args);
}

void checker_init(struct checker *c)
{
	memset(c, 0, sizeof(*c));
	c->watched = 3;
	for (unsigned i = 0; i < 2; i++) {
		c->side[i].byte = calloc(1, CHECKER_STREAM_MAX);
		c->side[i].came = calloc(1, CHECKER_STREAM_MAX);
		if (!c->side[i].byte || !c->side[i].came)
			abort();
		c->side[i].again_at = -1;
	}
}

void checker_free(struct checker *c)
{
	for (unsigned i = 0; i < 2; i++) {
		free(c->side[i].byte);
		free(c->side[i].came);
	}
}

static int64_t offset(uint32_t iss, uint32_t seq)
{
	return (int32_t)(seq - iss - 1);
}

/* --- sent ---------------------------------------------------------------------------------------- */

static void sent_syn(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host];

	if (me->syn && me->iss != s->seq)
		violation(c, host, now, "another initial sequence number");
	me->syn = true;
	me->iss = s->seq;
	me->offers_wscale = s->has_wscale;
	me->wscale = s->wscale;
	me->offers_sack = s->sack_permitted;
	me->offers_ts = s->has_ts;
	me->edge_out = s->window;
}

/* RFC 7323 3.2: once agreed, in every segment but RST; and no option that was not agreed. */
static void sent_options(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	const struct checker_side *me = &c->side[host];
	bool ts = me->offers_ts && me->told_ts;

	if (s->flags & (SEEN_SYN | SEEN_RST))
		return;
	if (s->has_ts != ts)
		violation(c, host, now, ts ? "no timestamp" : "a timestamp that was not agreed");
	if (s->sack_count && !(me->offers_sack && me->told_sack))
		violation(c, host, now, "SACK that was not agreed");
	if (me->mss >= MSS_LEAST && s->len > me->mss)
		violation(c, host, now, "%u bytes, and the peer's MSS is %u", s->len, me->mss);
}

static void sent_bytes(struct checker *c, unsigned host, uint64_t now, const struct seen *s, int64_t off)
{
	struct checker_side *me = &c->side[host];
	int64_t end = off + s->len, known = me->sent_end < end ? me->sent_end : end;

	if (off < 0 || end > CHECKER_STREAM_MAX) {
		violation(c, host, now, "data at offset %lld", (ll)off);
		return;
	}
	if (me->fin && known > me->fin_at)
		known = me->fin_at;
	me->hole |= off > me->sent_end;
	if (known > off && !me->hole && memcmp(me->byte + off, s->data, (size_t)(known - off)) != 0)
		violation(c, host, now, "bytes resent at %lld differ from the first", (ll)off);
	memcpy(me->byte + off, s->data, s->len);
}

/* RFC 6298 5.5: while nothing comes back, the timer does not shrink (probes and pacing move it a bit). */
static void sent_again(struct checker *c, unsigned host, uint64_t now, int64_t off)
{
	struct checker_side *me = &c->side[host];
	uint64_t interval = now - me->again_time;

	if (c->prompt && me->again_at == off && me->again_interval &&
	    2 * interval < me->again_interval)
		violation(c, host, now, "resent at %lld after %.3f s, the time before after %.3f s",
			  (ll)off, (double)interval / 1e9, (double)me->again_interval / 1e9);
	me->again_interval = me->again_at == off ? interval : 0;
	me->again_at = off;
	me->again_time = now;
}

static void sent_data(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host];
	int64_t off = offset(me->iss, s->seq), end = off + s->len + !!(s->flags & SEEN_FIN);
	bool probe = end - off == 1 && end <= me->limit + 1;

	if (off < me->acked && c->prompt)
		violation(c, host, now, "data at %lld, but %lld is acknowledged", (ll)off, (ll)me->acked);
	if (end > me->limit && !probe)
		violation(c, host, now, "sent up to %lld beyond the window that ends at %lld", (ll)end,
			  (ll)me->limit);
	if (off > me->sent_end && c->prompt)
		violation(c, host, now, "sent %lld though only %lld came before", (ll)off,
			  (ll)me->sent_end);
	sent_bytes(c, host, now, s, off);
	if (me->fin && off + s->len > me->fin_at)
		violation(c, host, now, "data up to %lld after the FIN at %lld", (ll)(off + s->len),
			  (ll)me->fin_at);
	if (s->flags & SEEN_FIN) {
		if (me->fin ? me->fin_at != off + s->len : off + s->len < me->sent_end)
			violation(c, host, now, "FIN at %lld", (ll)(off + s->len));
		me->fin = true;
		me->fin_at = off + s->len;
	}
	if (off < me->sent_end && off == me->acked && !probe)
		sent_again(c, host, now, off);
	if (end > me->sent_end)
		me->sent_end = end;
}

static bool fin_came(const struct checker_side *me, int64_t at)
{
	return at >= 0 && at < CHECKER_STREAM_MAX && me->came[at] & CAME_FIN;
}

static bool has_come(const struct checker_side *me, int64_t begin, int64_t end)
{
	if (fin_came(me, end - 1))
		end--;
	if (begin < 0 || end > CHECKER_STREAM_MAX)
		return false;
	for (int64_t i = begin; i < end; i++)
		if (!(me->came[i] & CAME_BYTE))
			return false;
	return true;
}

/* Of the blocks that are no duplicate's the first holds what came last (RFC 2018 4). */
static void sent_newest(struct checker *c, unsigned host, uint64_t now, const struct seen *s, uint32_t from)
{
	const struct checker_side *me = &c->side[host];
	uint32_t iss = c->side[!host].iss;

	for (uint32_t i = from + 1; i < s->sack_count; i++)
		if (me->newest[0] < me->newest[1] && offset(iss, s->sack[i].begin) <= me->newest[0] &&
		    offset(iss, s->sack[i].end) >= me->newest[1])
			violation(c, host, now, "SACK block %u holds %lld-%lld, which came last", i + 1,
				  (ll)me->newest[0], (ll)me->newest[1]);
}

static bool overlap(const struct seen *s, uint32_t i, uint32_t j)
{
	return (int32_t)(s->sack[i].begin - s->sack[j].end) < 0 &&
	       (int32_t)(s->sack[j].begin - s->sack[i].end) < 0;
}

/* Inside what came, above the ACK and apart from each other; only the first may be a duplicate's. */
static void sent_sack(struct checker *c, unsigned host, uint64_t now, const struct seen *s, int64_t ack)
{
	struct checker_side *me = &c->side[host], *peer = &c->side[!host];
	bool dsack = false;

	for (uint32_t i = 0; i < s->sack_count; i++) {
		int64_t begin = offset(peer->iss, s->sack[i].begin);
		int64_t end = offset(peer->iss, s->sack[i].end);

		if (begin >= end || !has_come(me, begin, end))
			violation(c, host, now, "SACK %lld-%lld of what did not come", (ll)begin, (ll)end);
		if (i > 0 && begin < ack)
			violation(c, host, now, "SACK %lld-%lld below the ACK %lld and not first",
				  (ll)begin, (ll)end, (ll)ack);
		dsack |= i == 0 && (begin < ack || (begin >= me->twice[0] && end <= me->twice[1]));
		for (uint32_t j = 0; j < i; j++) {
			dsack |= j == 0 && overlap(s, i, j);
			if (j > 0 && overlap(s, i, j))
				violation(c, host, now, "SACK %lld-%lld twice", (ll)begin, (ll)end);
		}
	}
	sent_newest(c, host, now, s, dsack);
}

static void sent_ack(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host], *peer = &c->side[!host];
	bool scaled = me->offers_wscale && me->told_wscale && !(s->flags & SEEN_SYN);
	unsigned scale = scaled ? me->wscale : 0;
	int64_t ack = offset(peer->iss, s->ack), edge = ack + ((int64_t)s->window << scale);

	if (ack > me->came_end + fin_came(me, me->came_end))
		violation(c, host, now, "ACK %lld, but only %lld has come", (ll)ack, (ll)me->came_end);
	if (ack < me->ack_out)
		violation(c, host, now, "ACK %lld after ACK %lld", (ll)ack, (ll)me->ack_out);
	/* RFC 7323 2.4: the scale's rounding alone may take back less than a unit */
	if (edge + ((int64_t)1 << scale) <= me->edge_out)
		violation(c, host, now, "right edge from %lld back to %lld", (ll)me->edge_out, (ll)edge);
	sent_sack(c, host, now, s, ack);
	me->ack_out = ack;
	if (edge > me->edge_out)
		me->edge_out = edge;
	if (me->newest[0] < ack)
		me->newest[0] = me->newest[1];
	me->twice[0] = me->twice[1] = 0;
	me->owes_since = 0;
}

/* Both FINs are acknowledged or have come. */
static bool is_over(const struct checker_side *me)
{
	return me->fin && me->acked_most > me->fin_at && fin_came(me, me->came_end);
}

static void sent(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host];

	/* a late duplicate of the SYN meets the listener: another connection, not looked at */
	if (s->flags & SEEN_SYN && me->syn && me->iss != s->seq && is_over(me))
		c->watched = 0;
	sent_options(c, host, now, s);
	if (s->flags & SEEN_SYN) {
		sent_syn(c, host, now, s);
	} else if (s->flags & SEEN_RST) {
		/* a late duplicate may find the connection over */
		if (c->rst_is_wrong && !is_over(me))
			violation(c, host, now, "RST");
		return;
	} else if (s->len > 0 || (s->flags & SEEN_FIN)) {
		sent_data(c, host, now, s);
	}
	if (s->flags & SEEN_ACK && c->side[!host].syn)
		sent_ack(c, host, now, s);
	if (c->prompt && me->owes_since && now > me->owes_since + ACK_DELAY_MAX_NS)
		violation(c, host, now, "data in order and no ACK for more than 500 ms");
}

/* --- taken in ------------------------------------------------------------------------------------ */

/* A segment that leaves a gap is to be reported first, as far as it is in the window.  When all of that
 * had come before, it may have been refused then, or not: no rule. */
static void came_newest(struct checker_side *me, int64_t off, int64_t end)
{
	int64_t held = end < me->edge_out ? end : me->edge_out;
	bool is_new = false;

	for (int64_t i = off; i < held; i++)
		is_new |= !(me->came[i] & CAME_BYTE);
	if (off > me->ack_out && off < me->edge_out) {
		me->newest[0] = is_new ? off : 0;
		me->newest[1] = is_new ? held : 0;
	}
	if (!is_new && off < held) {
		me->twice[0] = off;
		me->twice[1] = end;
	}
}

static void came_data(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host], *peer = &c->side[!host];
	int64_t off = offset(peer->iss, s->seq), end = off + s->len;

	if (off < 0)
		off = 0;
	if (end < off || end >= CHECKER_STREAM_MAX)
		return;
	came_newest(me, off, end);
	for (int64_t i = off; i < end; i++)
		me->came[i] |= CAME_BYTE;
	if (s->flags & SEEN_FIN)
		me->came[end] |= CAME_FIN;
	while (me->came_end < CHECKER_STREAM_MAX && me->came[me->came_end] & CAME_BYTE)
		me->came_end++;
	if (off <= me->ack_out && end > me->ack_out && end <= me->edge_out && me->owes_since == 0)
		me->owes_since = now;
}

/* The first one counts. */
static void came_syn(struct checker_side *me, const struct checker_side *peer, const struct seen *s)
{
	if (me->told || s->seq != peer->iss || (s->flags & SEEN_ACK && s->ack != me->iss + 1))
		return;
	me->told = true;
	me->told_wscale = s->has_wscale;
	me->peer_wscale = s->wscale > 14 ? 14 : s->wscale;
	me->told_sack = s->sack_permitted;
	me->told_ts = s->has_ts;
	me->mss = s->mss;
}

static bool acceptable(const struct checker *c, unsigned host, const struct seen *s)
{
	const struct checker_side *me = &c->side[host], *peer = &c->side[!host];
	int64_t off = offset(peer->iss, s->seq), end = off + s->len + !!(s->flags & SEEN_FIN);

	if (s->flags & SEEN_SYN)
		return true;
	return end == off ? off >= me->ack_out && off <= me->edge_out
			  : end > me->ack_out && off <= me->edge_out;
}

/* RFC 7323 5.3: an older timestamp than the newest that came at or below the ACK.  Something that came
 * again may have brought that one, and whether it counts is nobody's rule. */
static bool overtaken(struct checker_side *me, const struct seen *s, int64_t off)
{
	bool older = s->has_ts && me->ts_came && (int32_t)(s->tsval - me->ts_came) < 0;

	if (s->has_ts && !older && (s->flags & SEEN_SYN || off <= me->ack_out))
		me->ts_came = s->tsval;
	return older;
}

static void came(struct checker *c, unsigned host, uint64_t now, const struct seen *s)
{
	struct checker_side *me = &c->side[host], *peer = &c->side[!host];
	bool scaled = me->offers_wscale && me->told_wscale && !(s->flags & SEEN_SYN);
	unsigned scale = scaled ? me->peer_wscale : 0;
	int64_t ack = offset(me->iss, s->ack), edge = ack + ((int64_t)s->window << scale);
	int64_t off = offset(peer->iss, s->seq), end = off + s->len + !!(s->flags & SEEN_FIN);
	bool late;

	me->again_at = -1;
	if (s->flags & SEEN_SYN)
		came_syn(me, peer, s);
	if (s->flags & SEEN_RST)
		return;
	late = overtaken(me, s, off);
	/* RFC 9293 3.10.7.4: the ACK of an unacceptable segment counts for nothing */
	if (s->flags & SEEN_ACK && me->syn && acceptable(c, host, s)) {
		/* what has come and is not acknowledged yet makes its number an old one, too */
		bool counts = s->flags & SEEN_SYN || off >= me->came_end || end > me->came_end;

		if (ack > me->acked_most && counts) {
			me->acked_most = ack;
			me->acked_at = now;
		}
		if (ack > me->acked && counts && !late)
			me->acked = ack;
		if (edge > me->limit)
			me->limit = edge;
	}
	if (!(s->flags & SEEN_SYN) && (s->len > 0 || (s->flags & SEEN_FIN)))
		came_data(c, host, now, s);
}

void checker_see(struct checker *c, unsigned host, uint64_t now, bool out, const uint8_t *frame,
		 uint32_t len)
{
	struct seen s;

	c->frames++;
	if (!seen_parse(frame, len, &s))
		return;
	for (unsigned i = 0; i < 2; i++)
		if (c->prompt && c->side[i].owes_since && now > c->side[i].owes_since + ACK_DELAY_MAX_NS)
			violation(c, i, now, "data in order and no ACK for more than 500 ms");
	if (out)
		sent(c, host, now, &s);
	else if (seen_sums_are_right(frame, len) && memcmp(frame, c->mac[host], 6) == 0)
		came(c, host, now, &s);
}

void checker_live(struct checker *c, unsigned host, uint64_t now, uint64_t since, uint64_t within,
		  uint64_t queued)
{
	const struct checker_side *me = &c->side[host];
	uint64_t from = since > me->acked_at ? since : me->acked_at;

	if (now > from + within && me->acked_most < (int64_t)queued)
		violation(c, host, now, "%lld of %lld queued bytes acknowledged, no more for %.0f s without faults",
			  (ll)me->acked_most, (ll)queued, (double)(now - from) / 1e9);
}
