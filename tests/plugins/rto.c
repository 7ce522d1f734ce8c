/* SPDX-License-Identifier: BSD-2-Clause */
/* rto.c - the arithmetic of the retransmission-time plugins, sample by sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define US UINT64_C(1000)

static struct fake_queue q;
static struct fake_plugin plugin;
static const struct sp_rto_ops *ops;
static _Alignas(16) unsigned char st[SP_STATE_MAX];
static struct sp_rto_est est;

static void keep(void)
{
	q.view.srtt = est.srtt;
	q.view.rttvar = est.rttvar;
	q.view.rto = est.rto;
}

static void start(const char *name, const char *params, uint32_t features)
{
	plugin = fake_plugin(SP_RTO, name, params);
	ops = plugin.plugin->ops;
	memset(st, 0, sizeof(st));
	memset(&est, 0, sizeof(est));
	est.rto = 1000 * MS;
	fake_queue_init(&q, 1000);
	q.view.params = plugin.params;
	q.view.features = features;
	ops->open(&q.view, st, &est);
	keep();
}

static sp_ns sample(sp_ns rtt, bool ambiguous)
{
	ops->on_rtt(&q.view, st, rtt, ambiguous, &est);
	keep();
	return est.rto;
}

static sp_ns expire(void)
{
	ops->on_expire(&q.view, st, &est);
	keep();
	return est.rto;
}

static sp_ns progress(void)
{
	if (ops->on_progress)
		ops->on_progress(&q.view, st, &est);
	keep();
	return est.rto;
}

static void rfc6298_arithmetic(void **state)
{
	(void)state;
	start("rfc6298", "min=1ms", 0);
	assert_int_equal(est.rto, 1000 * MS);
	assert_int_equal(sample(100 * MS, false), 300 * MS); /* R + 4 R/2 */
	assert_int_equal(est.srtt, 100 * MS);
	assert_int_equal(est.rttvar, 50 * MS);
	/* RTTVAR = 3/4 50 + 1/4 |100 - 140| = 47.5; SRTT = 7/8 100 + 1/8 140 = 105 */
	assert_int_equal(sample(140 * MS, false), 105 * MS + 4 * 47500 * US);
	for (int i = 0; i < 200; i++)
		sample(10 * MS, false);
	/* the variation dies away: SRTT + G is left */
	assert_in_range(est.rto, 10900 * US, 11100 * US);
}

static void rfc6298_limits(void **state)
{
	(void)state;
	start("rfc6298", NULL, 0);
	assert_int_equal(sample(MS, false), 200 * MS);
	for (int i = 0; i < 20; i++)
		expire();
	assert_int_equal(est.rto, 60000 * MS);
	start("rfc6298", "max=3s", 0);
	assert_int_equal(sample(20000 * MS, false), 3000 * MS);
}

static void rfc6298_karn(void **state)
{
	(void)state;
	start("rfc6298", NULL, SP_TIMESTAMPS);
	sample(100 * MS, false);
	assert_int_equal(expire(), 600 * MS);
	assert_int_equal(expire(), 1200 * MS);
	assert_int_equal(sample(1 * MS, true), 1200 * MS); /* ambiguous: not even looked at */
	assert_int_equal(est.srtt, 100 * MS);
	assert_int_equal(progress(), 1200 * MS); /* strict with timestamps */
	assert_in_range(sample(100 * MS, false), 200 * MS, 300 * MS);
}

static void progress_ends_the_backoff_where_asked(void **state)
{
	static const struct {
		const char *params;
		uint32_t features;
		bool ends;
	} cases[] = {
	    {NULL, SP_TIMESTAMPS, false},
	    {NULL, 0, true},
	    {"strict_karn=yes", 0, false},
	    {"reset_on_progress=yes", SP_TIMESTAMPS, true},
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start("rfc6298", cases[i].params, cases[i].features);
		sample(100 * MS, false);
		expire();
		assert_int_equal(progress(), cases[i].ends ? 300 * MS : 600 * MS);
	}
}

static void linux_adds_the_floor(void **state)
{
	(void)state;
	start("linux", NULL, 0);
	assert_int_equal(sample(10 * MS, false), 210 * MS);
	for (int i = 0; i < 100; i++)
		sample(10 * MS, false);
	assert_int_equal(est.rto, 210 * MS);
	start("linux", "min=1ms", 0);
	assert_int_equal(sample(100 * MS, false), 300 * MS);
	/* rising by 200: mdev4 = 200 + (200 - 50) = 350 */
	assert_int_equal(sample(300 * MS, false), 125 * MS + 350 * MS);
	/* falling by 105: (105 - 87.5) / 8 only */
	sp_ns before = est.rttvar;

	sample(20 * MS, false);
	assert_int_equal(est.rttvar, (350 * MS + (105 * MS - 350 * MS / 4) / 8) / 4);
	assert_true(est.rttvar > before);
}

static void linux_forgets_slowly(void **state)
{
	sp_ns peak;

	(void)state;
	start("linux", "min=1ms", 0);
	sample(100 * MS, false);
	sample(500 * MS, false);
	peak = est.rttvar;
	for (int round = 1; round < 4; round++) {
		q.view.snd_una = q.view.snd_nxt + 1;
		q.view.snd_nxt = q.view.snd_una + 1;
		sample(150 * MS, false);
	}
	assert_true(est.rttvar < peak);
	assert_true(est.rttvar > peak / 4); /* a quarter of the difference in a round trip */
}

static void textbook_estimator(void **state)
{
	(void)state;
	start("textbook", NULL, 0);
	assert_int_equal(est.rto, 1000 * MS);
	/* bring E and D to the exercise's 100 and 5 ms: one sample, then equal ones shrink D */
	sample(100 * MS, false);
	for (int i = 0; i < 8; i++)
		sample(100 * MS, false);
	assert_int_equal(est.srtt, 100 * MS);
	sp_ns d = est.rttvar;

	/* SampleRTT 106: E = 0.875 100 + 0.125 106 = 100.75; D = 0.75 D + 0.25 |106 - 100.75| */
	sample(106 * MS, false);
	assert_int_equal(est.srtt, 100750 * US);
	assert_int_equal(est.rttvar, (3 * d + 5250 * US) / 4);
	assert_int_equal(est.rto, est.srtt + 4 * est.rttvar);
}

static void textbook_doubles_on_timeout_only(void **state)
{
	sp_ns interval;

	(void)state;
	start("textbook", NULL, SP_TIMESTAMPS);
	interval = sample(100 * MS, false);
	assert_int_equal(expire(), 2 * interval);
	assert_int_equal(expire(), 4 * interval);
	assert_int_equal(sample(100 * MS, true), 4 * interval);
	assert_int_equal(progress(), interval); /* a new ACK: anew from E and D */
}

static void fixed_never_changes(void **state)
{
	(void)state;
	start("fixed", "time=750ms", 0);
	assert_int_equal(est.rto, 750 * MS);
	assert_int_equal(sample(9 * MS, false), 750 * MS);
	assert_int_equal(expire(), 750 * MS);
	assert_int_equal(progress(), 750 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc6298_arithmetic),
	    cmocka_unit_test(rfc6298_limits),
	    cmocka_unit_test(rfc6298_karn),
	    cmocka_unit_test(progress_ends_the_backoff_where_asked),
	    cmocka_unit_test(linux_adds_the_floor),
	    cmocka_unit_test(linux_forgets_slowly),
	    cmocka_unit_test(textbook_estimator),
	    cmocka_unit_test(textbook_doubles_on_timeout_only),
	    cmocka_unit_test(fixed_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
