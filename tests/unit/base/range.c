/* SPDX-License-Identifier: BSD-2-Clause */
/* The set against a bitmap of the same offsets. */
#include "base/range.h"

#include "base/rng.h"
#include "check.h"

enum { WORLD = 600 };

static uint8_t model[WORLD];
static struct ranges set;

static void assert_well_formed(void)
{
	assert_true(set.count <= RANGES_MAX);
	assert_true(set.newest < set.count || (set.count == 0 && set.newest == 0));
	for (uint32_t i = 0; i < set.count; i++) {
		assert_true(set.r[i].begin < set.r[i].end);
		assert_true(i == 0 || set.r[i - 1].end < set.r[i].begin);
	}
}

static void assert_like_model(uint64_t base)
{
	uint64_t total = 0;
	uint32_t at = 0;

	for (uint64_t off = 0; off < WORLD; off++) {
		while (at < set.count && set.r[at].end <= base + off)
			at++;
		assert_int_equal(model[off], at < set.count && set.r[at].begin <= base + off);
		total += model[off];
	}
	assert_int_equal(ranges_total(&set), total);
}

static void add_both(uint64_t base, uint64_t begin, uint64_t end)
{
	struct ranges before = set;
	int64_t fresh = 0, got = ranges_add(&set, base + begin, base + end);

	for (uint64_t off = begin; off < end; off++)
		fresh += !model[off];
	if (got < 0) {
		assert_int_equal(before.count, RANGES_MAX);
		assert_memory_equal(&before, &set, sizeof(set));
		assert_true((begin == 0 || !model[begin - 1]) && (end == WORLD || !model[end]));
		assert_int_equal(fresh, end - begin);
		return;
	}
	assert_int_equal(got, fresh);
	for (uint64_t off = begin; off < end; off++)
		model[off] = 1;
	if (fresh == 0)
		assert_int_equal(set.newest, before.newest);
	else
		assert_true(set.r[set.newest].begin <= base + begin &&
			    set.r[set.newest].end >= base + end);
}

static void trim_both(uint64_t base, uint64_t off)
{
	struct range newest = set.r[set.newest];
	bool stays = set.count > 0 && newest.end > base + off;

	ranges_trim(&set, base + off);
	memset(model, 0, off);
	if (stays)
		assert_int_equal(set.r[set.newest].end, newest.end);
}

static void assert_first_common(uint64_t base, uint64_t begin, uint64_t end)
{
	uint64_t first = begin, last;
	struct range got;

	while (first < end && !model[first])
		first++;
	for (last = first; last < end && model[last];)
		last++;
	assert_int_equal(ranges_common(&set, base + begin, base + end, &got), first < end);
	if (first < end) {
		assert_int_equal(got.begin, base + first);
		assert_int_equal(got.end, base + last);
	}
}

static void test_against_bitmap(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("range"));
	for (int life = 0; life < 300; life++) {
		uint64_t base = life % 2 ? 0 : 1ull << 40, longest = life % 3 ? 4 : 40;

		ranges_clear(&set);
		memset(model, 0, sizeof(model));
		for (int step = 0; step < 300; step++) {
			uint64_t begin = rng_below(&r, WORLD - 40),
				 end = begin + rng_below(&r, longest);
			bool held = true;

			if (rng_chance(&r, 0.02))
				trim_both(base, rng_below(&r, WORLD));
			else
				add_both(base, begin, end);
			assert_well_formed();
			begin = rng_below(&r, WORLD - 8);
			end = begin + rng_below(&r, 8);
			for (uint64_t off = begin; off < end; off++)
				held &= model[off];
			assert_int_equal(ranges_hold(&set, base + begin, base + end), held);
			begin = rng_below(&r, WORLD - 40);
			assert_first_common(base, begin, begin + rng_below(&r, 40));
		}
		assert_like_model(base);
	}
}

static void test_full(void **state)
{
	(void)state;
	ranges_clear(&set);
	for (uint64_t i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&set, i * 10, i * 10 + 5), 5);
	assert_int_equal(ranges_add(&set, 10000, 10001), -1);
	assert_int_equal(ranges_add(&set, 6, 8), -1);
	assert_int_equal(ranges_add(&set, 5, 8), 3);
	assert_int_equal(set.newest, 0);
	assert_int_equal(ranges_add(&set, 8, 10), 2);
	assert_int_equal(set.count, RANGES_MAX - 1);
	assert_int_equal(ranges_add(&set, 0, 100000), 100000 - 15 - (RANGES_MAX - 2) * 5);
	assert_int_equal(set.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_bitmap),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
