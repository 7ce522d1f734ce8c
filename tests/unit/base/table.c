/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/table.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "check.h"

struct entry {
	struct table_node node;
	uint32_t key;
	bool in;
};

static struct source source;
static const struct memory memory = {source_take, source_give, &source};

static struct entry *find(const struct table *t, uint64_t hash, uint32_t key)
{
	table_for_hash(n, t, hash)
	{
		struct entry *e = container_of(n, struct entry, node);

		if (e->key == key)
			return e;
	}
	return NULL;
}

static void test_no_memory(void **state)
{
	struct table t;

	(void)state;
	source = (struct source){.limit = 0};
	assert_int_equal(table_init(&t, &memory, 8), -ENOMEM);
	table_destroy(&t);
}

static void test_sizes(void **state)
{
	static const uint32_t rows[][2] = {{0, 0},       {1, 0},       {2, 1},      {3, 3},
					   {1000, 1023}, {1024, 1023}, {1025, 2047}};
	struct table t;

	(void)state;
	source = (struct source){.limit = 1};
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_int_equal(table_init(&t, &memory, rows[i][0]), 0);
		assert_int_equal(t.mask, rows[i][1]);
		table_destroy(&t);
		assert_int_equal(source.bytes, 0);
	}
}

/* Few hashes and fewer buckets, so that chains hold equal hashes and foreign ones. */
static void test_against_flags(void **state)
{
	static struct entry entries[200];
	struct table t;
	struct rng r;
	uint32_t count = 0;

	(void)state;
	source = (struct source){.limit = 1};
	rng_seed(&r, seed_from_env("table"));
	assert_int_equal(table_init(&t, &memory, 16), 0);
	for (int round = 0; round < 50000; round++) {
		uint32_t key = (uint32_t)rng_below(&r, array_count(entries));
		uint64_t hash = (uint64_t)(key % 40) << 32 | key % 20;
		struct entry *e = &entries[key];

		assert_ptr_equal(find(&t, hash, key), e->in ? e : NULL);
		e->key = key;
		if (e->in)
			table_remove(&t, &e->node);
		else
			table_insert(&t, &e->node, hash);
		e->in = !e->in;
		count += e->in ? 1u : UINT32_MAX;
		assert_int_equal(t.count, count);
	}
	table_destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_against_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
