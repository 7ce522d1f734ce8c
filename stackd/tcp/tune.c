/* SPDX-License-Identifier: BSD-2-Clause */
/* tune.c - owns how large the buffers of a connection are: what the window may span, and how much
 * the application may queue, between their start and their limit.
 *
 * Receiving: after Fisk and Feng, "Dynamic Right-Sizing in TCP": who reads a quarter of a buffer's
 * worth in about a round trip gets a buffer twice as large.  So it is always twice what a sender
 * has out that doubles it with each round trip, and has room for what that sends while a loss is
 * repaired.  What counts is what came *and* was read since the round began: a reader that is slow,
 * or reads in gulps what had waited, gets no more.  The window widens with what comes, two bytes
 * for each, so that a sender that it held up does not send all of the rest in one burst.
 *
 * Sending: twice cwnd, so that a window's worth waits when this one is acknowledged.
 *
 * Neither ever shrinks by itself. */
#include "tcp/conn.h"

/* A window is announced in units of the scale: with a coarse one a small buffer would look shut. */
#define WINDOW_UNITS_MIN 64u
/* An application's wake-up takes its time too, and timestamps count in milliseconds. */
#define RTT_LEAST NS_PER_MS

static uint8_t wscale_for(const struct tcp_conn *c)
{
	uint8_t s = (uint8_t)c->profile->knobs.window_scale;

	while (s < 14 && c->rcv_buffer_max >> s > UINT16_MAX)
		s++;
	while (s > 0 && c->rcv_buffer_max >> s < WINDOW_UNITS_MIN)
		s--;
	return s;
}

static uint32_t receive_start(const struct tcp_conn *c)
{
	const struct tcp_knobs *k = &c->profile->knobs;
	uint32_t least = WINDOW_UNITS_MIN << c->rcv_wscale;

	if (!k->autotune || k->receive_buffer_start >= c->rcv_buffer_max)
		return c->rcv_buffer_max;
	if (k->receive_buffer_start >= least)
		return (uint32_t)k->receive_buffer_start;
	return least < c->rcv_buffer_max ? least : c->rcv_buffer_max;
}

void tune_init(struct tcp_conn *c)
{
	const struct tcp_knobs *k = &c->profile->knobs;

	c->rcv_buffer_max = (uint32_t)k->receive_buffer;
	c->rcv_wscale = k->use_window_scale ? wscale_for(c) : 0; /* it can't be changed later */
	c->rcv_buffer = c->tune.goal = receive_start(c);
}

void tune_limit(struct tcp_conn *c, uint32_t bytes)
{
	if (c->rcv_buffer_max > bytes)
		c->rcv_buffer_max = bytes;
	if (c->rcv_buffer > bytes)
		c->rcv_buffer = bytes;
	if (c->tune.goal > bytes)
		c->tune.goal = bytes;
}

void tune_fix(struct tcp_conn *c, uint32_t bytes)
{
	c->rcv_buffer = c->rcv_buffer_max = c->tune.goal = bytes;
}

void tune_begin_round(struct tcp_conn *c)
{
	c->tune.since = c->tcp->now;
	c->tune.mark = c->view.rcv_nxt;
	c->tune.edge = c->view.rcv_limit;
	c->tune.least_ms = UINT32_MAX;
}

ns_t tune_rtt(const struct tcp_conn *c)
{
	ns_t rtt = c->tune.rtt ? c->tune.rtt : c->view.srtt;

	return rtt == 0 || rtt > RTT_LEAST ? rtt : RTT_LEAST;
}

/* The round trip as a receiver sees it.  An echoed timestamp left us that long ago at the most
 * (RFC 7323 4.1).  Without, the handshake's sample stands; without that too: what lies beyond an
 * edge that we announced was sent after we had moved it on. */
static void sample(struct tcp_conn *c, const struct segment *s)
{
	struct tune *u = &c->tune;
	ns_t took = c->tcp->now - u->since;

	if (c->ts_on && s->opt.has_ts && s->opt.tsecr != 0) {
		uint32_t ms = conn_ts_now(c, c->tcp->now) - s->opt.tsecr;

		if (ms < u->least_ms)
			u->least_ms = ms;
	} else if (c->view.srtt == 0 && c->view.rcv_nxt > u->edge &&
		   (u->rtt == 0 || took < u->rtt)) {
		u->rtt = took;
	}
}

static void end_round(struct tcp_conn *c)
{
	if (c->tune.least_ms <= INT32_MAX)
		c->tune.rtt = c->tune.least_ms ? c->tune.least_ms * NS_PER_MS : RTT_LEAST;
	tune_begin_round(c);
}

/* Half a round trip more than one: rounds begin with what comes, and that is never on the dot. */
static bool round_over(const struct tcp_conn *c, ns_t rtt)
{
	return c->tcp->now - c->tune.since > rtt + rtt / 2;
}

static void widen(struct tcp_conn *c, uint32_t len)
{
	uint32_t left = c->tune.goal - c->rcv_buffer;

	c->rcv_buffer += 2 * (uint64_t)len < left ? 2 * len : left;
}

static void aim_higher(struct tcp_conn *c)
{
	uint32_t goal = c->tune.goal, most = c->rcv_buffer_max;

	c->tune.goal = goal < most / 2 ? 2 * goal : most;
	end_round(c);
	c->tune.mark = c->rcv_read;
}

void tune_arrived(struct tcp_conn *c, const struct segment *s)
{
	ns_t rtt;

	if (c->rcv_buffer >= c->rcv_buffer_max)
		return;
	sample(c, s);
	rtt = tune_rtt(c);
	if (rtt == 0)
		return;
	if (round_over(c, rtt))
		end_round(c);
	else if ((int64_t)(c->rcv_read - c->tune.mark) >= (int64_t)(c->tune.goal / 4))
		aim_higher(c);
	widen(c, s->len);
}

uint32_t tcp_send_limit(const struct tcp_conn *c, uint32_t ring_bytes)
{
	const struct tcp_knobs *k = &c->profile->knobs;
	uint64_t most = k->send_buffer < ring_bytes ? k->send_buffer : ring_bytes;
	uint64_t wanted = 2 * c->view.cwnd;

	if (!k->autotune)
		return (uint32_t)most;
	if (wanted < k->send_buffer_start)
		wanted = k->send_buffer_start;
	return (uint32_t)(wanted < most ? wanted : most);
}
