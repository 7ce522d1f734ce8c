/* SPDX-License-Identifier: BSD-2-Clause */
/* cc.c - congestion control: PRR's arithmetic, growth and decrease against the RFCs' formulas, and
 * the trajectories that only a measured run shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "prr.h"

#define MSS 1000u

static struct sp_conn c;
static struct fake_plugin plugin;
static const struct sp_cc_ops *ops;
static _Alignas(16) unsigned char st[SP_STATE_MAX];
static struct sp_cc_out out;

static void start(const char *name, const char *params, uint64_t cwnd_segments)
{
	plugin = fake_plugin(SP_CC, name, params);
	ops = plugin.plugin->ops;
	memset(st, 0, sizeof(st));
	c = (struct sp_conn){.size = sizeof(c),
			     .params = plugin.params,
			     .now = 1000 * MS,
			     .mss = MSS,
			     .features = SP_SACK,
			     .srtt = 100 * MS,
			     .rtt_min = 100 * MS,
			     .cwnd_limited = true,
			     .ssthresh = UINT64_MAX};
	out = (struct sp_cc_out){cwnd_segments * MSS, UINT64_MAX, 0};
	ops->open(&c, st, &out);
	c.cwnd = out.cwnd;
}

/* `bytes` are acknowledged, the window is full again afterwards. */
static void acked(uint64_t bytes, struct sp_ack a)
{
	a.size = sizeof(a);
	a.una_before = c.snd_una;
	c.snd_nxt = c.snd_una + (c.cwnd > bytes ? c.cwnd : bytes);
	a.flight_before = c.snd_nxt - c.snd_una;
	c.snd_una += bytes;
	c.delivered += bytes;
	c.flight = c.snd_nxt - c.snd_una;
	a.una = c.snd_una;
	a.delivered = bytes;
	ops->on_ack(&c, st, &a, false, &out);
	c.cwnd = out.cwnd;
	c.ssthresh = out.ssthresh;
}

static void tell(enum sp_episode e)
{
	c.snd_nxt = c.snd_una + c.cwnd;
	c.flight = e == SP_TIMEOUT ? 0 : c.cwnd - MSS;
	ops->on_episode(&c, st, e, &out);
	c.cwnd = out.cwnd;
	c.ssthresh = out.ssthresh;
}

/* --- PRR ----------------------------------------------------------------------------- */

/* RFC 6937 section 4, first example: 20 segments out, the first lost, ssthresh 10 (Reno): every
 * other ACK sends one, and the window ends at ssthresh. */
static void prr_one_loss(void **state)
{
	struct prr p;
	uint64_t pipe = 20 - 3, cwnd, sent = 0, ssthresh = 10;

	(void)state;
	prr_begin(&p, 20 * MSS);
	pipe--; /* the lost one */
	for (uint32_t i = 0; i < 17; i++) {
		uint64_t before = pipe;

		if (i > 0)
			pipe--; /* one more is sacked */
		cwnd = prr_window(&p, ssthresh * MSS, pipe * MSS, before * MSS, MSS, MSS);
		while (pipe * MSS + MSS <= cwnd) {
			pipe++;
			sent++;
		}
	}
	assert_in_range(sent, 8, 10);
	assert_in_range(pipe, ssthresh - 1, ssthresh);
}

/* Proportional part: sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out. */
static void prr_arithmetic(void **state)
{
	struct prr p;

	(void)state;
	prr_begin(&p, 100 * MSS);
	/* the first: the resend is forced */
	assert_int_equal(prr_window(&p, 50 * MSS, 90 * MSS, 99 * MSS, MSS, MSS), 91 * MSS);
	/* 6 delivered, 1 sent: ceil(6 * 50 / 100) - 1 = 2 */
	assert_int_equal(prr_window(&p, 50 * MSS, 86 * MSS, 91 * MSS, 5 * MSS, MSS), 88 * MSS);
	/* below ssthresh, slow-start reduction bound: max(26 - 3, 20) + 1 MSS at most */
	assert_int_equal(prr_window(&p, 50 * MSS, 10 * MSS, 88 * MSS, 20 * MSS, MSS), 34 * MSS);
	/* never above ssthresh */
	assert_int_equal(prr_window(&p, 50 * MSS, 49 * MSS, 49 * MSS, 9 * MSS, MSS), 50 * MSS);
}

static void prr_rounds_up(void **state)
{
	struct prr p;

	(void)state;
	prr_begin(&p, 3000);
	prr_window(&p, 1000, 2000, 3000, 1000, MSS); /* delivered 1,000, the resend */
	/* ceil(1100 * 1000 / 3000) = 367 more than is out, were 1,000 not out already: nothing;
	 * then ceil(4000 * 1000 / 3000) - 1000 = 334 */
	assert_int_equal(prr_window(&p, 1000, 2900, 3000, 100, MSS), 2900);
	assert_int_equal(prr_window(&p, 1000, 2000, 2900, 2900, MSS), 2334);
}

static void prr_never_below_a_segment(void **state)
{
	struct prr p;

	(void)state;
	prr_begin(&p, 2 * MSS);
	prr_window(&p, 2 * MSS, 0, 2 * MSS, MSS, MSS);
	assert_true(prr_window(&p, 2 * MSS, 0, 5 * MSS, 0, MSS) >= MSS);
}

/* --- newreno ------------------------------------------------------------------------- */

static void newreno_growth(void **state)
{
	(void)state;
	start("newreno", NULL, 10);
	acked(MSS, (struct sp_ack){0});
	assert_int_equal(out.cwnd, 11 * MSS);
	acked(2 * MSS, (struct sp_ack){0});
	assert_int_equal(out.cwnd, 13 * MSS);
	acked(8 * MSS, (struct sp_ack){0}); /* L = 2 */
	assert_int_equal(out.cwnd, 15 * MSS);
	c.cwnd_limited = false;
	acked(2 * MSS, (struct sp_ack){0}); /* not used: not grown */
	assert_int_equal(out.cwnd, 15 * MSS);
	c.cwnd_limited = true;
	out.ssthresh = 16 * MSS;
	acked(2 * MSS, (struct sp_ack){0}); /* one to ssthresh, the other counts for avoidance */
	assert_int_equal(out.cwnd, 16 * MSS);
	for (int i = 0; i < 14; i++)
		acked(MSS, (struct sp_ack){0});
	assert_int_equal(out.cwnd, 16 * MSS);
	acked(MSS, (struct sp_ack){0}); /* a window acknowledged: one segment */
	assert_int_equal(out.cwnd, 17 * MSS);
}

static void newreno_timeouts(void **state)
{
	(void)state;
	start("newreno", NULL, 20);
	tell(SP_TIMEOUT);
	assert_int_equal(out.cwnd, MSS);
	assert_int_equal(out.ssthresh, 10 * MSS);
	c.cwnd = 20 * MSS; /* as much is out as before; the same segment times out again */
	tell(SP_TIMEOUT);
	assert_int_equal(out.ssthresh, 10 * MSS); /* held (RFC 5681 3.1) */
	tell(SP_UNDO);
	assert_int_equal(out.ssthresh, UINT64_MAX);
}

static void newreno_recovery_and_undo(void **state)
{
	(void)state;
	start("newreno", NULL, 20);
	tell(SP_ENTER);
	assert_int_equal(out.ssthresh, 10 * MSS);
	tell(SP_EXIT);
	assert_int_equal(out.cwnd, 10 * MSS);
	start("newreno", NULL, 20);
	tell(SP_ENTER);
	tell(SP_TIMEOUT);
	assert_int_equal(out.cwnd, MSS);
	tell(SP_UNDO);
	assert_int_equal(out.cwnd, 10 * MSS); /* the loss before the time-out was one */
	assert_int_equal(out.ssthresh, 10 * MSS);
	start("newreno", NULL, 3);
	tell(SP_ENTER);
	assert_int_equal(out.ssthresh, 2 * MSS); /* never lower */
}

static void idle_restarts_with_the_initial_window(void **state)
{
	static const char *const names[] = {"newreno", "cubic", "dctcp"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(names[i], NULL, 10);
		out.cwnd = 50 * MSS;
		tell(SP_IDLE);
		assert_int_equal(out.cwnd, 10 * MSS);
	}
}

static void one_reaction_to_marks_and_loss(void **state)
{
	(void)state;
	start("newreno", NULL, 40);
	tell(SP_ECE);
	assert_int_equal(out.cwnd, 20 * MSS);
	sp_off una = c.snd_una;

	tell(SP_ENTER); /* of the same window */
	assert_int_equal(out.ssthresh, 20 * MSS);
	c.snd_una = una + 41 * MSS;
	tell(SP_EXIT);
	tell(SP_ENTER); /* of a later one */
	assert_int_equal(out.ssthresh, 10 * MSS);
}

static void the_mss_may_grow(void **state)
{
	static const char *const names[] = {"fixed", "newreno", "cubic", "dctcp", "bbr"};

	(void)state;
	for (int i = 0; i < 5; i++) {
		start(names[i], NULL, 10);
		if (ops->on_episode)
			tell(SP_TIMEOUT);
		c.mss = 9 * MSS;
		c.cwnd_limited = false;
		if (ops->on_episode) {
			tell(SP_EXIT);
			assert_true(out.cwnd >= c.mss);
		}
		acked(MSS, (struct sp_ack){0});
		assert_true(out.cwnd >= c.mss);
	}
}

/* --- cubic --------------------------------------------------------------------------- */

static double cube(double x)
{
	return x * x * x;
}

/* One epoch after a loss at 1,000 segments with a long round trip, where the cubic rules. */
static void cubic_follows_the_formula(void **state)
{
	double w_max = 1000, k = 0;
	sp_ns epoch;

	(void)state;
	start("cubic", "hystart=no", 1000);
	tell(SP_ENTER);
	assert_int_equal(out.ssthresh, 700 * MSS);
	tell(SP_EXIT);
	c.snd_una += 2000 * MSS;
	while (cube(k) < w_max * 0.3 / 0.4) /* K by search: 9.086 s */
		k += 0.0001;
	acked(MSS, (struct sp_ack){0});
	epoch = c.now;
	for (int round = 0; round < 130; round++) {
		uint64_t window = out.cwnd / MSS;
		double t;

		for (uint64_t i = 0; i < window; i++) {
			c.now += 100 * MS / window;
			acked(MSS, (struct sp_ack){0});
		}
		t = (double)(c.now - epoch) / 1e9;
		double want = 0.4 * cube(t - k) + w_max, got = (double)out.cwnd / MSS;

		/* the window lags its target by up to a round trip */
		if (got < want * 0.97 - 3 || got > want * 1.03 + 3)
			fail_msg("after %.2f s cwnd %.1f, W_cubic %.1f", t, got, want);
	}
	assert_true(out.cwnd > 1000 * MSS); /* beyond the plateau */
}

static void cubic_reno_friendly(void **state)
{
	(void)state;
	start("cubic", "hystart=no", 20);
	tell(SP_ENTER);
	tell(SP_EXIT);
	c.srtt = 2 * MS; /* short and small: AIMD is faster than the cubic */
	acked(MSS, (struct sp_ack){0});
	double est = 14;

	for (int i = 0; i < 500; i++) {
		est += (est >= 20 ? 1 : 3 * 0.3 / 1.7) / ((double)out.cwnd / MSS);
		c.now += MS / 10;
		acked(MSS, (struct sp_ack){0});
	}
	assert_in_range(out.cwnd, (uint64_t)(est * MSS * 0.95), (uint64_t)(est * MSS * 1.06));
}

static void cubic_fast_convergence(void **state)
{
	char line[96];

	(void)state;
	start("cubic", "hystart=no", 100);
	tell(SP_ENTER);
	tell(SP_EXIT);
	c.snd_una += 200 * MSS;
	tell(SP_ENTER); /* at 70, below the plateau of 100: the next is 70 * 0.85 */
	ops->describe(&c, st, line, sizeof(line));
	assert_non_null(strstr(line, "w_max=59500"));
}

static void cubic_undo(void **state)
{
	char line[96];

	(void)state;
	start("cubic", "hystart=no", 100);
	tell(SP_ENTER);
	tell(SP_UNDO);
	assert_int_equal(out.cwnd, 100 * MSS);
	assert_int_equal(out.ssthresh, UINT64_MAX);
	ops->describe(&c, st, line, sizeof(line));
	assert_non_null(strstr(line, "w_max=0"));
	start("cubic", "hystart=no", 100);
	tell(SP_ENTER);
	tell(SP_TIMEOUT);
	tell(SP_UNDO); /* of the time-out alone */
	assert_int_equal(out.cwnd, 70 * MSS);
	ops->describe(&c, st, line, sizeof(line));
	assert_non_null(strstr(line, "w_max=100000"));
}

/* A round of `samples` ACKs of one segment with this round trip. */
static void round_of(uint32_t samples, sp_ns rtt)
{
	for (uint32_t i = 0; i < samples; i++)
		acked(MSS, (struct sp_ack){.rtt = rtt});
}

static const char *cubic_phase(void)
{
	static char line[96];

	ops->describe(&c, st, line, sizeof(line));
	return strchr(line, '=') + 1;
}

static void hystart_exits(void **state)
{
	(void)state;
	start("cubic", NULL, 10);
	round_of(1, 100 * MS);
	round_of(30, 100 * MS);
	assert_int_equal(strncmp(cubic_phase(), "slow-start", 10), 0);
	/* 100 / 8 = 12.5 ms more is the threshold; eight samples of it */
	for (int i = 0; i < 200 && strncmp(cubic_phase(), "css", 3); i++)
		round_of(1, 113 * MS);
	assert_int_equal(strncmp(cubic_phase(), "css", 3), 0);
	uint64_t before = out.cwnd;

	acked(2 * MSS, (struct sp_ack){.rtt = 113 * MS});
	assert_int_equal(out.cwnd, before + MSS / 2); /* a quarter of the growth */
	for (int i = 0; i < 2000 && out.ssthresh == UINT64_MAX; i++)
		round_of(1, 113 * MS);
	assert_true(out.ssthresh != UINT64_MAX); /* five rounds later */
	assert_int_equal(strncmp(cubic_phase(), "avoidance", 9), 0);
}

static void hystart_resumes_after_a_false_alarm(void **state)
{
	(void)state;
	start("cubic", NULL, 10);
	round_of(31, 100 * MS);
	for (int i = 0; i < 200 && strncmp(cubic_phase(), "css", 3); i++)
		round_of(1, 113 * MS);
	for (int i = 0; i < 300 && strncmp(cubic_phase(), "css", 3) == 0; i++)
		round_of(1, 105 * MS);
	assert_int_equal(strncmp(cubic_phase(), "slow-start", 10), 0);
	assert_int_equal(out.ssthresh, UINT64_MAX);
}

static void hystart_ignores_small_growth(void **state)
{
	(void)state;
	start("cubic", NULL, 10);
	round_of(31, 100 * MS);
	for (int i = 0; i < 300; i++)
		round_of(1, 112 * MS);
	assert_int_equal(strncmp(cubic_phase(), "slow-start", 10), 0);
}

/* --- dctcp --------------------------------------------------------------------------- */

static double dctcp_alpha(void)
{
	char line[96];
	double alpha;

	ops->describe(&c, st, line, sizeof(line));
	assert_int_equal(sscanf(line, "alpha=%lf", &alpha), 1);
	return alpha;
}

static void dctcp_window(bool marked)
{
	uint64_t n = c.cwnd / MSS + 1;

	c.cwnd_limited = false; /* keep the window still */
	while (n--)
		acked(MSS, (struct sp_ack){.ece = marked});
}

static void dctcp_alpha_and_cut(void **state)
{
	double alpha;

	(void)state;
	start("dctcp", NULL, 100);
	out.ssthresh = 100 * MSS;
	tell(SP_ECE);
	assert_int_equal(out.cwnd, 50 * MSS); /* alpha is 1 at first */
	for (int i = 0; i < 100; i++)
		dctcp_window(false);
	alpha = dctcp_alpha();
	assert_true(alpha < 0.01); /* (15/16)^100 = 0.0016 */
	for (int i = 0; i < 200; i++)
		dctcp_window(true);
	assert_true(dctcp_alpha() > 0.99);
	uint64_t before = out.cwnd;

	for (int i = 0; i < 200; i++)
		dctcp_window(i % 4 == 0); /* every fourth window: alpha goes round 1/4 */
	alpha = dctcp_alpha();
	assert_true(alpha > 0.2 && alpha < 0.3);
	tell(SP_ECE);
	assert_in_range(out.cwnd, (uint64_t)((double)before * (1 - alpha / 2)) - 2 * MSS,
			(uint64_t)((double)before * (1 - alpha / 2)) + 2 * MSS);
	assert_int_equal(out.ssthresh, out.cwnd);
}

/* --- trajectories -------------------------------------------------------------------- */

/* 10 Mbit/s, 40 ms, with a queue of `queue` bytes; the path holds 50,000 bytes. */
static struct fake_result path(const char *cc, uint64_t queue, uint64_t mark)
{
	struct fake_config f = {
	    .rto = "rfc6298",
	    .ack = "delayed",
	    .recovery = "racktlp",
	    .cc = cc,
	    .mss = 1000,
	    .total = 5000000,
	    .features = SP_SACK | SP_DSACK | SP_TIMESTAMPS | SP_ECN,
	    .delay = 20 * MS,
	    .rate = 1250000,
	    .queue = queue,
	    .mark_above = mark,
	    .limit = 100000 * MS,
	    .seed = 7,
	};
	struct fake_result r = fake_run(&f);

	print_message(
	    "%-8s %.2f s of 4.00, %u again, %u time-outs, %u recoveries, queue %llu | %s\n", cc,
	    (double)r.time / 1e9, r.again, r.timeouts, r.enters, (unsigned long long)r.queue_max,
	    r.described[3]);
	assert_true(r.complete);
	assert_int_equal(r.violations, 0);
	return r;
}

static void each_fills_the_path(void **state)
{
	static const char *const names[] = {"newreno", "cubic", "bbr"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct fake_result r = path(names[i], 50000, 0);

		assert_true(r.time < 4900 * MS); /* 4 s at full rate */
		assert_int_equal(r.timeouts, 0);
	}
}

static void loss_based_control_backs_off(void **state)
{
	struct fake_result r = path("newreno", 25000, 0);

	(void)state;
	assert_in_range(r.enters, 2, 40);
	assert_in_range(r.cwnd_max, 50000, 160000);
}

static void dctcp_keeps_the_queue_short(void **state)
{
	struct fake_result marked = path("dctcp", 200000, 10000);
	struct fake_result reno = path("newreno", 200000, 0);

	(void)state;
	assert_true(marked.eces > 5);
	assert_int_equal(marked.again, 0);
	assert_true(marked.time < 4600 * MS);
	assert_true(reno.queue_max > 2 * marked.queue_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prr_one_loss),
	    cmocka_unit_test(prr_arithmetic),
	    cmocka_unit_test(prr_rounds_up),
	    cmocka_unit_test(prr_never_below_a_segment),
	    cmocka_unit_test(newreno_growth),
	    cmocka_unit_test(newreno_timeouts),
	    cmocka_unit_test(newreno_recovery_and_undo),
	    cmocka_unit_test(idle_restarts_with_the_initial_window),
	    cmocka_unit_test(one_reaction_to_marks_and_loss),
	    cmocka_unit_test(the_mss_may_grow),
	    cmocka_unit_test(cubic_follows_the_formula),
	    cmocka_unit_test(cubic_reno_friendly),
	    cmocka_unit_test(cubic_fast_convergence),
	    cmocka_unit_test(cubic_undo),
	    cmocka_unit_test(hystart_exits),
	    cmocka_unit_test(hystart_resumes_after_a_false_alarm),
	    cmocka_unit_test(hystart_ignores_small_growth),
	    cmocka_unit_test(dctcp_alpha_and_cut),
	    cmocka_unit_test(each_fills_the_path),
	    cmocka_unit_test(loss_based_control_backs_off),
	    cmocka_unit_test(dctcp_keeps_the_queue_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
