/* SPDX-License-Identifier: BSD-2-Clause */
/* test_trajectory: cwnd, ssthresh and RTO over time on a simulated path, against the RFCs'
 * arithmetic, which is done here once more and knows nothing of the plugins.  Virtual time, no
 * randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path.h"

static const char *const recoveries[] = {"gbn", "sr", "textbook", "reno", "sack", "racktlp"};

/* --- RFC 5681 3.1: slow start ------------------------------------------------------------------
 */

static void slow_start_of(const char *cc, const char *recovery, bool grows)
{
	struct path p = {0};
	char settings[256];
	ns_t first;

	snprintf(settings, sizeof(settings),
		 "tcp.cc=%s\ntcp.recovery=%s\nplugin cubic.hystart=no\n", cc, recovery);
	path_open(&p, settings, 0, 100u << 20);
	path_run(&p, 7 * RTT);
	first = p.sample[0].at;
	for (unsigned round = 0; round < 5; round++) {
		uint64_t want = (uint64_t)IW * MSS << (grows ? round : 0);
		uint64_t got = at(&p, first + round * RTT + RTT / 2)->cwnd;

		if (got != want)
			fail_msg("%s with %s: cwnd %llu after %u round trips, not %llu", cc,
				 recovery, (unsigned long long)got, round,
				 (unsigned long long)want);
	}
	path_close(&p);
}

static void slow_start(void **state)
{
	static const char *const cc[] = {"newreno", "cubic", "dctcp"};

	(void)state;
	for (unsigned r = 0; r < array_count(recoveries); r++) {
		for (unsigned i = 0; i < array_count(cc); i++)
			slow_start_of(cc[i], recoveries[r], true);
		slow_start_of("fixed", recoveries[r], false);
	}
}

/* --- RFC 5681 equation 4, RFC 9438 4.6: the decrease --------------------------------------------
 */

static void open_with_loss(struct path *p, const char *cc, const char *recovery, uint32_t first,
			   uint32_t lost)
{
	char settings[256];

	snprintf(settings, sizeof(settings),
		 "tcp.cc=%s\ntcp.recovery=%s\nplugin cubic.hystart=no\n", cc, recovery);
	p->drop_from = first;
	p->drop_to = first + lost;
	path_open(p, settings, 0, 100u << 20);
}

static void decrease_of(const char *cc, const char *recovery, double beta)
{
	struct path p = {0};
	const struct sample *x;
	char what[64];
	uint64_t flight;

	open_with_loss(&p, cc, recovery, 200, 1);
	path_run(&p, 3 * NS_PER_S);
	x = decrease(&p);
	snprintf(what, sizeof(what), "%s with %s: ssthresh", cc, recovery);
	if (!x)
		fail_msg("%s: no decrease", what);
	flight = x[-1].nxt - x[-1].una < x[-1].cwnd ? x[-1].nxt - x[-1].una : x[-1].cwnd;
	near(what, (double)x->ssthresh, (double)flight * beta, 0.01);
	path_close(&p);
}

static void decreases(void **state)
{
	/* what the first loss is answered with: those without a fast retransmit wait for the timer
	 */
	static const char *const those[] = {"gbn", "reno", "sack", "racktlp"};

	(void)state;
	for (unsigned r = 0; r < array_count(those); r++) {
		decrease_of("newreno", those[r], 0.5);
		decrease_of("dctcp", those[r], 0.5); /* RFC 8257 3.5 */
		decrease_of("cubic", those[r], 0.7);
	}
}

/* --- RFC 5681 3.1: after a time-out one segment, slow start, avoidance
 * ---------------------------- */

static void time_out(void **state)
{
	struct path p = {0};
	const struct sample *x;
	ns_t start;

	(void)state;
	open_with_loss(&p, "newreno", "gbn", 200, 1);
	path_run(&p, 4 * NS_PER_S);
	x = decrease(&p);
	assert_non_null(x);
	assert_int_equal(x->cwnd, MSS);
	start = x->at;
	/* one, two, four ... until ssthresh: RFC 3465 2.3 lets one ACK add one segment there */
	for (unsigned round = 1; (uint64_t)MSS << round < x->ssthresh; round++)
		assert_int_equal(at(&p, start + round * RTT + RTT / 2)->cwnd,
				 (uint64_t)MSS << round);
	path_close(&p);
}

/* --- RFC 5681 3.1, RFC 6582, RFC 6937: recovery and avoidance
 * ---------------------------------------- */

static void avoidance_of(const char *cc, const char *recovery)
{
	struct path p = {0};
	const struct sample *begin, *end;
	char what[96];

	open_with_loss(&p, cc, recovery, 200, 1);
	path_run(&p, 4 * NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = recovered(&p, begin);
	snprintf(what, sizeof(what), "%s with %s: cwnd when recovery ends", cc, recovery);
	near(what, (double)end->cwnd, (double)begin->ssthresh, 0.02);
	for (unsigned round = 1; round <= 15; round++) { /* one segment per round trip */
		uint64_t cwnd = at(&p, end->at + round * RTT)->cwnd;
		uint64_t want = end->cwnd + round * MSS;

		if (cwnd + 2 * MSS < want || cwnd > want + 2 * MSS)
			fail_msg("%s with %s: cwnd %llu, %u round trips after recovery, not %llu",
				 cc, recovery, (unsigned long long)cwnd, round,
				 (unsigned long long)want);
	}
	path_close(&p);
}

static void avoidance(void **state)
{
	(void)state;
	avoidance_of("newreno", "reno");
	avoidance_of("newreno", "sack");
	avoidance_of("newreno", "racktlp");
	avoidance_of("dctcp", "sack");
	avoidance_of("dctcp", "racktlp");
}

/* RFC 6937: what is sent in recovery is to what is delivered as ssthresh to the flight before. */
static void prr_of(const char *recovery)
{
	struct path p = {0};
	const struct sample *begin, *end;
	double flight;

	open_with_loss(&p, "newreno", recovery, 200, 1);
	path_run(&p, 4 * NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = recovered(&p, begin);
	flight = (double)(begin[-1].nxt - begin[-1].una);
	for (const struct sample *x = begin; x < end; x++)
		assert_true(x->flight <= begin[-1].flight + 2 * MSS);
	near("sent in recovery", (double)(end->nxt - begin->nxt), flight / 2, 0.05);
	path_close(&p);
}

static void prr(void **state)
{
	(void)state;
	prr_of("sack");
	prr_of("racktlp");
}

/* --- RFC 9438: W(t)
 * ----------------------------------------------------------------------------------- */

static double cube_root(double x)
{
	double r = x > 1 ? x : 1;

	for (unsigned i = 0; i < 200; i++)
		r -= (r * r * r - x) / (3 * r * r);
	return r;
}

static void cubic_of(const char *recovery)
{
	struct path p = {0};
	const struct sample *begin, *end;
	double w_max, k, w_est;

	open_with_loss(&p, "cubic", recovery, 500, 1);
	path_run(&p, 12 * NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = recovered(&p, begin);
	w_max = (double)begin[-1].cwnd / MSS;
	k = cube_root((w_max - (double)end->cwnd / MSS) / 0.4);
	w_est = (double)end->cwnd / MSS;
	for (ns_t t = RTT; t < 9 * NS_PER_S; t += RTT) {
		double s = (double)t / 1e9, w = 0.4 * (s - k) * (s - k) * (s - k) + w_max;
		double got = (double)at(&p, end->at + t)->cwnd / MSS;
		char what[64];

		w_est += w_est < w_max ? 3 * 0.3 / 1.7 : 1; /* per round trip */
		snprintf(what, sizeof(what), "cubic with %s: W(%.1f s)", recovery, s);
		near(what, got, w > w_est ? w : w_est, 0.02);
	}
	path_close(&p);
}

static void cubic(void **state)
{
	(void)state;
	cubic_of("sack");
	cubic_of("racktlp");
}

/* --- RFC 6298
 * -------------------------------------------------------------------------------------------- */

/* Each ACK is a sample of one round trip, the handshake's first. */
static void rto_converges(void **state)
{
	struct path p = {0};
	double srtt = RTT, rttvar = RTT / 2.0, rto;
	uint64_t una = 0;

	(void)state;
	path_open(&p,
		  "tcp.cc=newreno\ntcp.recovery=sack\ntcp.rto=rfc6298\nplugin rfc6298.min=1ms\n", 0,
		  1u << 20);
	path_run(&p, 4 * RTT);
	near("the first RTO", (double)p.sample[0].rto, 3.0 * RTT, 0.01);
	for (uint32_t i = 0; i < p.count && p.sample[i].una < 40 * MSS; i++) {
		for (; una < p.sample[i].una; una += MSS) {
			rttvar = 0.75 * rttvar + 0.25 * (srtt > RTT ? srtt - RTT : RTT - srtt);
			srtt = 0.875 * srtt + 0.125 * RTT;
		}
		rto = srtt + (4 * rttvar > 1e6 ? 4 * rttvar : 1e6);
		near("RTO", (double)p.sample[i].rto, rto, 0.01);
	}
	path_close(&p);
}

/* 5.5: doubled each time, 60 s at the most. */
static void rto_doubles(void **state)
{
	struct path p = {0};
	ns_t rto = 0;
	unsigned doubled = 0;

	(void)state;
	p.dead = true;
	path_open(&p, "tcp.cc=newreno\ntcp.recovery=reno\ntcp.rto=rfc6298\nplugin rfc6298.min=1s\n",
		  0, MSS);
	path_run(&p, 200 * NS_PER_S);
	for (uint32_t i = 0; i < p.count; i++) {
		if (rto && p.sample[i].rto > rto) {
			double want = 2.0 * (double)rto < 60e9 ? 2.0 * (double)rto : 60e9;

			near("RTO", (double)p.sample[i].rto, want, 0.001);
			doubled++;
		}
		rto = p.sample[i].rto;
	}
	assert_int_equal(doubled, 6); /* 1, 2, 4, 8, 16, 32, 60 s */
	path_close(&p);
}

/* --- RFC 5681 4.1: idle restart
 * ---------------------------------------------------------------------------- */

static void idle_of(const char *cc, bool restart)
{
	struct path p = {0};
	char settings[256];
	uint64_t before;

	snprintf(settings, sizeof(settings),
		 "tcp.cc=%s\ntcp.recovery=racktlp\nplugin cubic.hystart=no\ntcp.idle_restart=%s\n",
		 cc, restart ? "yes" : "no");
	path_open(&p, settings, 0, 200 * MSS);
	path_run(&p, 2 * NS_PER_S);
	before = at(&p, p.w.now)->cwnd;
	assert_true(before > IW * MSS);
	path_run(&p, 10 * NS_PER_S);
	p.s->to_send += MSS;
	lab_stream_write(p.s);
	path_run(&p, RTT / 2);
	assert_int_equal(at(&p, p.w.now)->cwnd, restart ? IW * MSS : before);
	path_close(&p);
}

static void idle(void **state)
{
	static const char *const cc[] = {"newreno", "cubic", "dctcp"};

	(void)state;
	for (unsigned i = 0; i < array_count(cc); i++) {
		idle_of(cc[i], true);
		idle_of(cc[i], false);
	}
}

/* --- BBR
 * -----------------------------------------------------------------------------------------------------
 */

/* 1.25, 0.75, six times 1: what comes after what. */
static void gain_cycle(const struct path *p, ns_t from)
{
	double last = 0;
	unsigned cycles = 0;

	for (uint32_t i = 0; i < p->count; i++) {
		const struct sample *x = &p->sample[i];
		double gain = (double)x->pacing / x->rate / 0.99;

		if (x->at < from || strcmp(x->mode, "probe_bw") != 0)
			continue;
		gain = gain > 1.1 ? 1.25 : gain < 0.9 ? 0.75 : 1;
		if (last != 0 && gain != last) {
			double next = last == 1.25 ? 0.75 : last == 0.75 ? 1 : 1.25;

			assert_true(gain == next);
			cycles += gain == 1.25;
		}
		last = gain;
	}
	assert_true(cycles >= 3);
}

static void bbr_of(const char *recovery)
{
	static const char *const order[] = {"startup", "drain", "probe_bw"};
	struct path p = {0};
	unsigned mode = 0;
	char settings[128];
	double link = 20e6 / 8 * MSS / (MSS + 54); /* payload of 20 Mbit/s */

	snprintf(settings, sizeof(settings), "tcp.cc=bbr\ntcp.recovery=%s\n", recovery);
	path_open(&p, settings, 20000000, 100u << 20);
	path_run(&p, 9 * NS_PER_S);
	for (uint32_t i = 0; i < p.count; i++) {
		if (strcmp(p.sample[i].mode, order[mode]) != 0 && mode < 2)
			mode++;
		assert_string_equal(p.sample[i].mode, order[mode]);
		if (mode == 2 && p.sample[i].at > p.sample[0].at + 3 * NS_PER_S)
			near("bandwidth", p.sample[i].rate, link, 0.05);
	}
	assert_int_equal(mode, 2);
	gain_cycle(&p, p.sample[0].at + 3 * NS_PER_S);
	path_close(&p);
}

static void bbr(void **state)
{
	(void)state;
	bbr_of("sack");
	bbr_of("racktlp");
}

/* 1 Gbit/s and 100 ms hold 12.5 MB: the window gets there as soon as a sender could use it. */
static void long_fast_path_of(const char *plugins, const char *autotune, ns_t *took,
			      uint64_t *window)
{
	struct path p = {0};
	char settings[128];
	ns_t begin;

	snprintf(settings, sizeof(settings), "%s\ntcp.autotune=%s\n", plugins, autotune);
	path_open(&p, settings, 1000000000, 60u << 20);
	begin = p.w.now;
	while (!lab_world_accepted(&p.w) || lab_world_accepted(&p.w)->received < 60u << 20) {
		assert_true(p.w.now < begin + 60 * NS_PER_S);
		path_run(&p, 10 * NS_PER_MS);
	}
	*took = p.w.now - begin;
	lab_stream_info(lab_world_accepted(&p.w), p.w.now);
	*window = lab_world_accepted(&p.w)->last.rcv_buffer;
	path_close(&p);
}

static void long_fast_path(void **state)
{
	static const char plugins[] = "tcp.cc=newreno\ntcp.recovery=sack";
	ns_t tuned, full;
	uint64_t window;

	(void)state;
	long_fast_path_of(plugins, "no", &full, &window);
	assert_int_equal(window, RING);
	long_fast_path_of(plugins, "yes", &tuned, &window);
	assert_int_equal(window, RING);
	near("time with a window that grows", (double)tuned, (double)full, 0.01);
}

/* A paced sender isn't held to a segment for each tick of the timers, which are 65.536 us. */
static void pace_beyond_ticks(void **state)
{
	ns_t took, tick = (ns_t)1 << 16;
	uint64_t window;

	(void)state;
	long_fast_path_of("tcp.cc=bbr\ntcp.recovery=racktlp\ntcp.receive_buffer=8MB", "no", &took,
			  &window);
	assert_true(took < (60u << 20) / MSS * tick * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_start),
	    cmocka_unit_test(decreases),
	    cmocka_unit_test(time_out),
	    cmocka_unit_test(avoidance),
	    cmocka_unit_test(prr),
	    cmocka_unit_test(cubic),
	    cmocka_unit_test(idle),
	    cmocka_unit_test(rto_converges),
	    cmocka_unit_test(rto_doubles),
	    cmocka_unit_test(bbr),
	    cmocka_unit_test(long_fast_path),
	    cmocka_unit_test(pace_beyond_ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
