/* SPDX-License-Identifier: BSD-2-Clause */
/* ack.c - when the ACK policies acknowledge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define MSS 1000u

static struct sp_conn c;
static struct fake_plugin plugin;
static const struct sp_ack_ops *ops;
static _Alignas(16) unsigned char st[SP_STATE_MAX];

static void start(const char *name, const char *params)
{
	plugin = fake_plugin(SP_ACK, name, params);
	ops = plugin.plugin->ops;
	memset(st, 0, sizeof(st));
	c = (struct sp_conn){.size = sizeof(c),
			     .params = plugin.params,
			     .now = 1000 * MS,
			     .mss = MSS,
			     .rcv_mss = MSS,
			     .rto = 200 * MS};
	if (ops->open)
		ops->open(&c, st);
}

/* How long the ACK for this may wait; SP_NEVER when none is owed. */
static sp_ns wait_for(struct sp_seg s)
{
	sp_ns when;

	s.size = sizeof(s);
	when = ops->on_data(&c, st, &s);
	return when == SP_NEVER ? SP_NEVER : when - c.now;
}

static sp_ns in_order(uint32_t len)
{
	return wait_for((struct sp_seg){.len = len, .in_order = true, .kept = true});
}

static void sent(void)
{
	if (ops->on_sent)
		ops->on_sent(&c, st);
}

static void what_never_waits(void **state)
{
	static const char *const names[] = {"each", "delayed", "quick", "every-n"};
	static const struct sp_seg urgent[] = {
	    {.len = 10},
	    {.len = 10, .kept = true},
	    {.len = 10, .duplicate = true},
	    {.len = 10, .in_order = true, .fills_gap = true},
	    {.len = 0, .in_order = true, .fin = true},
	    {.len = 10, .in_order = true, .ce = true},
	};

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t j = 0; j < sizeof(urgent) / sizeof(urgent[0]); j++) {
			start(names[i], NULL);
			assert_int_equal(wait_for(urgent[j]), 0);
		}
}

/* Kurose & Ross table 3.2. */
static void table_3_2(void **state)
{
	(void)state;
	start("delayed", "delay=499ms every_second=yes");
	assert_int_equal(in_order(100), 499 * MS); /* all before acknowledged: wait for another */
	assert_int_equal(in_order(100), 0); /* one other pending: one cumulative ACK at once */
	sent();
	assert_int_equal(in_order(100), 499 * MS);
	assert_int_equal(wait_for((struct sp_seg){.len = 100, .kept = true}), 0); /* a gap */
	assert_int_equal(wait_for((struct sp_seg){.len = 100, .in_order = true, .fills_gap = true}),
			 0);
}

static void delayed_counts_full_sized(void **state)
{
	(void)state;
	start("delayed", NULL);
	assert_int_equal(in_order(MSS), 40 * MS);
	assert_int_equal(in_order(MSS), 0);
	sent();
	for (int i = 0; i < 19; i++)
		assert_int_equal(in_order(100), 40 * MS); /* 1,900 bytes aren't two full ones */
	assert_int_equal(in_order(100), 0);
	sent();
	assert_int_equal(in_order(5 * MSS), 0); /* a super-segment is several */
}

static void delayed_refuses_500_ms(void **state)
{
	const struct sp_param *p = fake_plugin(SP_ACK, "delayed", NULL).plugin->params;

	(void)state;
	assert_string_equal(p->name, "delay");
	assert_string_equal(p->max, "499ms");
}

static void every_n(void **state)
{
	(void)state;
	start("every-n", "n=3 time=100ms");
	assert_int_equal(in_order(MSS), 100 * MS);
	assert_int_equal(in_order(10), 100 * MS);
	assert_int_equal(in_order(MSS), 0);
	sent();
	assert_int_equal(in_order(2 * MSS), 100 * MS);
	assert_int_equal(in_order(1), 0);
}

static void quick_starts_quick(void **state)
{
	(void)state;
	start("quick", NULL);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(in_order(MSS), 0);
		sent();
		c.now += 10 * MS;
	}
	assert_in_range(in_order(MSS), 1, 40 * MS); /* bulk from here on */
	assert_int_equal(in_order(MSS), 0);         /* every second at least */
	sent();
	assert_int_equal(in_order(2 * MSS), 0);
	sent();
	c.now += 500 * MS; /* longer than the RTO: the peer starts again */
	assert_int_equal(in_order(MSS), 0);
}

static void quick_finds_conversations(void **state)
{
	(void)state;
	start("quick", NULL);
	for (int i = 0; i < 3; i++) {
		in_order(100);
		c.snd_nxt += 50; /* the answer carries the ACK */
		sent();
		c.now += MS;
	}
	assert_int_equal(in_order(100), 40 * MS);
	for (int i = 0; i < 3; i++) { /* now it only listens */
		sent();
		c.now += MS;
		in_order(100);
	}
	assert_int_equal(in_order(100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_never_waits),
	    cmocka_unit_test(table_3_2),
	    cmocka_unit_test(delayed_counts_full_sized),
	    cmocka_unit_test(delayed_refuses_500_ms),
	    cmocka_unit_test(every_n),
	    cmocka_unit_test(quick_starts_quick),
	    cmocka_unit_test(quick_finds_conversations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
