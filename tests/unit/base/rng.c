/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/rng.h"

#include "check.h"

/* splitmix64 of 0 begins e220a8397b1dcdaf 6e789e6aa1b965f4 (Steele, Lea, Flood 2014). */
static void test_same_on_every_machine(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 0);
	assert_true(r.s[0] == 0xe220a8397b1dcdaf);
	assert_true(r.s[1] == 0x6e789e6aa1b965f4);
	r = (struct rng){{1, 2, 3, 4}};
	assert_int_equal(rng_next(&r), 11520);
	assert_int_equal(rng_next(&r), 0);
	assert_int_equal(rng_next(&r), 1509978240);
	assert_int_equal(rng_next(&r), 1215971899390074240);
}

static void test_below_is_even(void **state)
{
	unsigned n[7] = {0};
	struct rng r;

	(void)state;
	rng_seed(&r, 42);
	for (int i = 0; i < 70000; i++)
		n[rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(n[i], 9500, 10500);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rng_below(&r, 1), 0);
	/* two thirds of all values: plain modulo would give the lower half twice as often */
	n[0] = 0;
	for (int i = 0; i < 9000; i++)
		n[0] += rng_below(&r, 3ull << 62) < 3ull << 61;
	assert_in_range(n[0], 4200, 4800);
}

static void test_chance(void **state)
{
	unsigned hits = 0;
	struct rng r;

	(void)state;
	rng_seed(&r, 7);
	for (int i = 0; i < 100000; i++) {
		hits += rng_chance(&r, 0.02);
		assert_false(rng_chance(&r, 0));
		assert_true(rng_chance(&r, 1));
	}
	assert_in_range(hits, 1800, 2200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_on_every_machine),
	    cmocka_unit_test(test_below_is_even),
	    cmocka_unit_test(test_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
