/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pool.h"

#include "base/rng.h"
#include "check.h"

static struct source source;
static const struct memory memory = {source_take, source_give, &source};

static int fresh_source(void **state)
{
	(void)state;
	source = (struct source){.limit = 1000};
	return 0;
}

static void test_limit(void **state)
{
	struct pool p;
	void *taken[5];

	(void)state;
	pool_init(&p, &memory, 100, 5);
	assert_int_equal(p.object_size, 128);
	for (int i = 0; i < 5; i++) {
		assert_non_null(taken[i] = pool_take(&p));
		assert_int_equal((uintptr_t)taken[i] % 64, 0);
	}
	assert_null(pool_take(&p));
	pool_give(&p, taken[2]);
	assert_ptr_equal(pool_take(&p), taken[2]);
	assert_null(pool_take(&p));
	assert_int_equal(p.used, 5);
	pool_destroy(&p);
	assert_int_equal(source.taken, source.given);
	assert_int_equal(source.bytes, 0);
}

static void test_source_runs_dry(void **state)
{
	struct pool p;
	unsigned n = 0;

	(void)state;
	source.limit = 2;
	pool_init(&p, &memory, 40000, 100);
	while (pool_take(&p))
		n++;
	assert_int_equal(n, 2); /* one in each slab */
	assert_int_equal(p.used, 2);
	pool_destroy(&p);
	assert_int_equal(source.given, 2);
}

static void test_none_allowed(void **state)
{
	struct pool p;

	(void)state;
	pool_init(&p, &memory, 16, 0);
	assert_null(pool_take(&p));
	assert_int_equal(source.taken, 0);
}

static void test_objects_are_zeroed_and_disjoint(void **state)
{
	enum { MAX = 3000 };
	static uint8_t *out[MAX];
	static const uint32_t sizes[] = {1, 8, 16, 17, 48, 63, 64, 65, 500};
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("pool"));
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct pool p;
		uint32_t size = sizes[s], n = 0;

		pool_init(&p, &memory, size, MAX);
		for (int round = 0; round < 20000; round++) {
			if (n < MAX && rng_chance(&r, 0.6)) {
				assert_non_null(out[n] = pool_take(&p));
				for (uint32_t i = 0; i < size; i++)
					assert_int_equal(out[n][i], 0);
				memset(out[n], (int)(n % 255 + 1), size);
				n++;
			} else if (n > 0) {
				n--;
				for (uint32_t i = 0; i < size; i++)
					assert_int_equal(out[n][i], n % 255 + 1);
				pool_give(&p, out[n]);
			}
			assert_int_equal(p.used, n);
		}
		pool_destroy(&p);
	}
	assert_int_equal(source.taken, source.given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_limit, fresh_source),
	    cmocka_unit_test_setup(test_source_runs_dry, fresh_source),
	    cmocka_unit_test_setup(test_none_allowed, fresh_source),
	    cmocka_unit_test_setup(test_objects_are_zeroed_and_disjoint, fresh_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
