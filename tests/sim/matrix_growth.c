/* SPDX-License-Identifier: BSD-2-Clause */
/* matrix_growth.c - how the window grows, and starts again after idling. */
#include "matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- slow start ---------------------------------------------------------------------------------
 */

/* RFC 6298 with a sample for each segment, the handshake's the first; RFC 6675's pipe is all that
 * is out while nothing is lost. */
static void undisturbed(const struct cell *c, const struct path *p, ns_t until)
{
	double srtt = RTT, rttvar = RTT / 2.0, rto;
	uint64_t una = 0;

	for (const struct sample *x = p->sample; x < p->sample + p->count && x->at < until; x++) {
		for (; una < x->una; una += MSS) {
			rttvar = 0.75 * rttvar + 0.25 * (srtt > RTT ? srtt - RTT : RTT - srtt);
			srtt = 0.875 * srtt + 0.125 * RTT;
		}
		rto = srtt + 4 * rttvar;
		within(c, "RTO", (double)x->rto, rto > (double)RTO ? rto : (double)RTO, 1e4);
		equal(c, "pipe", x->flight, x->nxt - x->una);
		if (x->flight > x->cwnd)
			fail_msg("%s with %s: %llu out, cwnd %llu", c->cc, c->recovery,
				 (unsigned long long)x->flight, (unsigned long long)x->cwnd);
		equal(c, "ssthresh", x->ssthresh, UINT64_MAX);
	}
}

/* Six round trips without a limit, of which nothing disturbs five; when the first began. */
static ns_t begin_growing(const struct cell *c, struct path *p)
{
	ns_t first;

	open_cell(p, c, "", 0, 100u << 20);
	path_run(p, 6 * RTT);
	first = p->sample[0].at;
	undisturbed(c, p, first + 5 * RTT);
	return first;
}

/* RFC 5681 3.1 with ACKs of one segment: doubled each round trip from RFC 6928's window. */
void check_slow_start(const struct cell *c)
{
	struct path p = {0};
	ns_t first = begin_growing(c, &p);

	for (unsigned round = 0; round < 5; round++) {
		const struct sample *x = at(&p, first + round * RTT + RTT / 2);

		equal(c, "cwnd", x->cwnd, (uint64_t)IW * MSS << (is(c->cc, "fixed") ? 0 : round));
		equal(c, "pipe", x->flight, x->cwnd);
	}
	path_close(&p);
}

/* BBR's Startup: each delivered byte adds one, paced at 2 / ln 2 of the rate, and not less than the
 * initial window in a round trip. */
void check_startup(const struct cell *c)
{
	double guess = IW * MSS / 0.1;
	struct path p = {0};
	ns_t first = begin_growing(c, &p);

	for (const struct sample *x = first_after(&p, first + RTT); x < p.sample + p.count; x++) {
		double rate = x->rate > guess ? x->rate : guess;
		uint64_t target = (uint64_t)(2.8857 * x->rate * (double)RTT / 1e9) + 3 * MSS;
		bool grows = x[-1].cwnd < target || x->una < IW * MSS;

		assert_string_equal(x->mode, "startup");
		if (x[-1].cwnd + MSS < target || x[-1].cwnd > target + MSS)
			equal(c, "cwnd", x->cwnd, x[-1].cwnd + (grows ? x->una - x[-1].una : 0));
		near("pace", (double)x->pacing, 2.8857 * 0.99 * rate, 0.01);
	}
	for (unsigned round = 1; round < 4; round++)
		near("what a round delivers",
		     (double)(at(&p, first + (round + 2) * RTT)->una -
			      at(&p, first + (round + 1) * RTT)->una),
		     2 * (double)(at(&p, first + (round + 1) * RTT)->una -
				  at(&p, first + round * RTT)->una),
		     0.3);
	path_close(&p);
}

/* --- congestion avoidance ------------------------------------------------------------------------
 */

static double cube_root(double x)
{
	double r = x > 1 ? x : 1;

	for (unsigned i = 0; i < 200; i++)
		r -= (r * r * r - x) / (3 * r * r);
	return r;
}

/* The first sample after the loss with cwnd on ssthresh and no recovery. */
static const struct sample *avoidance_begins(const struct path *p, const struct sample *x)
{
	for (; x < p->sample + p->count; x++)
		if (!x->recovering && x->cwnd >= x->ssthresh)
			return x;
	fail_msg("cwnd does not reach ssthresh");
	return NULL;
}

/* RFC 5681 3.1: one segment for each round trip. */
void check_avoidance(const struct cell *c)
{
	struct path p = {0};
	const struct sample *begin, *end;

	open_with_loss(&p, c);
	path_run(&p, 4 * NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = avoidance_begins(&p, begin);
	for (unsigned round = 1; round <= 15; round++)
		within(c, "cwnd", (double)at(&p, end->at + round * RTT)->cwnd,
		       (double)end->cwnd + round * MSS, 2 * MSS);
	equal(c, "ssthresh", at(&p, p.w.now)->ssthresh, begin->ssthresh);
	equal(c, "RTO", at(&p, p.w.now)->rto, RTO);
	path_close(&p);
}

/* RFC 9438 4.2, 4.3: the cubic around the window before the loss, or what Reno would have if that
 * is more.  After a time-out K is 0 and the plateau where avoidance begins (4.8). */
void check_cubic_avoidance(const struct cell *c)
{
	struct path p = {0};
	const struct sample *begin, *end;
	double prior, w_max, k, w_est, last;

	open_with_loss(&p, c);
	path_run(&p, 8 * NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = avoidance_begins(&p, begin);
	prior = (double)begin[-1].cwnd / MSS;
	last = w_est = (double)end->cwnd / MSS;
	w_max = waits_for_timer(c) ? w_est : prior;
	k = w_max > w_est ? cube_root((w_max - w_est) / 0.4) : 0;
	/* growth follows the curve with the ACKs of the next round trip */
	for (ns_t t = RTT; t < 5 * NS_PER_S; t += RTT) {
		double s = (double)t / 1e9, w = 0.4 * (s - k) * (s - k) * (s - k) + w_max;
		double got = (double)at(&p, end->at + t)->cwnd / MSS;

		w_est += w_est < prior ? 3 * 0.3 / 1.7 : 1; /* per round trip */
		w = w > w_est ? w : w_est;
		if (got < 0.99 * last || got > 1.01 * w)
			fail_msg("cubic with %s: W(%.1f s) is %.2f, not %.2f to %.2f", c->recovery,
				 s, got, last, w);
		last = w;
	}
	path_close(&p);
}

/* ProbeBW: two BDPs and room for three segments, paced at 1.25, 0.75 and six times 1 of the rate.
 */
void check_probe_bw(const struct cell *c)
{
	struct path p = {0};
	unsigned up = 0, down = 0;

	open_cell(&p, c, "", LINK_BPS, 100u << 20);
	path_run(&p, 8 * NS_PER_S);
	for (const struct sample *x = first_after(&p, 4 * NS_PER_S + p.sample[0].at);
	     x < p.sample + p.count; x++) {
		double gain = (double)x->pacing / x->rate / 0.99;

		assert_string_equal(x->mode, "probe_bw");
		within(c, "rate", x->rate, LINK_BYTES, 0.03 * LINK_BYTES);
		within(c, "cwnd", (double)x->cwnd, 2 * BDP + 3 * MSS, 0.05 * BDP);
		gain = gain > 1.1 ? 1.25 : gain < 0.9 ? 0.75 : 1;
		up += gain > 1;
		down += gain < 1;
		near("gain", (double)x->pacing / x->rate / 0.99, gain, 0.02);
	}
	assert_true(up > 0 && down > 0);
	path_close(&p);
}

/* --- idle restart --------------------------------------------------------------------------------
 */

/* RFC 5681 4.1: after an RTO without sending not more than the restart window; with the knob off,
 * and for those that hold no window against the network, as before. */
static void idle_of(const struct cell *c, bool restart)
{
	struct path p = {0};
	const struct sample *before, *after;
	bool falls = restart && !is(c->cc, "fixed") && !is(c->cc, "bbr");

	open_cell(&p, c, restart ? "tcp.idle_restart=yes\n" : "tcp.idle_restart=no\n",
		  is(c->cc, "bbr") ? LINK_BPS : 0, is(c->cc, "bbr") ? 10u << 20 : 200 * MSS);
	path_run(&p, 8 * NS_PER_S);
	before = at(&p, p.w.now);
	assert_true(before->una == p.s->to_send && before->flight == 0);
	assert_true(is(c->cc, "fixed") || before->cwnd > IW * MSS);
	path_run(&p, 12 * NS_PER_S);
	p.s->to_send += MSS;
	lab_stream_write(p.s);
	path_run(&p, RTT / 2);
	after = at(&p, p.w.now);
	equal(c, "cwnd", after->cwnd, falls ? IW * MSS : before->cwnd);
	equal(c, "ssthresh", after->ssthresh, before->ssthresh);
	equal(c, "RTO", after->rto, before->rto);
	equal(c, "pipe", after->flight, MSS);
	if (is(c->cc, "bbr") && restart) { /* paced at the rate, and its model is still good */
		near("pace", (double)after->pacing, 0.99 * after->rate, 0.01);
		path_run(&p, 2 * RTT);
		assert_string_equal(at(&p, p.w.now)->mode, "probe_bw");
	}
	path_close(&p);
}

void check_idle(const struct cell *c)
{
	idle_of(c, true);
	idle_of(c, false);
}
