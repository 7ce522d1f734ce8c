/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hist.h"

#include "base/rng.h"
#include "check.h"

static void test_empty_and_small(void **state)
{
	static struct hist h;

	(void)state;
	assert_int_equal(hist_quantile(&h, 0.5), 0);
	for (uint64_t v = 0; v < 8; v++)
		hist_add(&h, v);
	assert_int_equal(hist_quantile(&h, 0), 0);
	assert_int_equal(hist_quantile(&h, 0.5), 3);
	assert_int_equal(hist_quantile(&h, 1), 7);
	assert_int_equal(h.sum, 28);
}

static void test_one_value_is_exact_to_an_eighth(void **state)
{
	static struct hist h;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (uint64_t sub = 0; sub < 16; sub++) {
			uint64_t v = (1ull << bit) + (sub << bit) / 16, got;

			memset(&h, 0, sizeof(h));
			hist_add(&h, v);
			hist_add(&h, UINT64_MAX); /* so that max does not help */
			got = hist_quantile(&h, 0.5);
			assert_true(got >= v);
			assert_true(got - v <= v / 8);
		}
	}
	assert_int_equal(hist_quantile(&h, 1), UINT64_MAX);
}

static void test_quantiles_of_a_spread(void **state)
{
	static struct hist a, b;
	static const double qs[] = {0.01, 0.1, 0.5, 0.9, 0.99, 1};

	(void)state;
	for (uint64_t v = 1; v <= 10000; v++)
		hist_add(v % 2 ? &a : &b, v);
	hist_merge(&a, &b);
	assert_int_equal(a.count, 10000);
	assert_int_equal(a.max, 10000);
	assert_int_equal(a.sum, 10000ull * 10001 / 2);
	for (size_t i = 0; i < sizeof(qs) / sizeof(*qs); i++) {
		double exact = qs[i] * 10000, got = (double)hist_quantile(&a, qs[i]);

		assert_true(got >= exact - 0.5 && got <= exact * 1.125 + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_and_small),
	    cmocka_unit_test(test_one_value_is_exact_to_an_eighth),
	    cmocka_unit_test(test_quantiles_of_a_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
