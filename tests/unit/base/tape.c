/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/tape.h"

#include <pthread.h>
#include <sched.h>

#include "base/rng.h"
#include "check.h"

#define SIZE  4096u
#define TURNS 200000u

static uint64_t seed;
static _Alignas(8) uint8_t memory[SIZE];

static bool put(struct tape *t, uint32_t number, uint32_t len)
{
	uint8_t *body = tape_write(t, TAPE_TCP, number, len);

	if (!body)
		return false;
	memset(body, (int)(number & 0xff), len);
	tape_end(t);
	return true;
}

static void check(const struct tape_record *r)
{
	const uint8_t *body = tape_body(r);

	assert_int_equal(r->kind, TAPE_TCP);
	for (uint32_t i = 0; i + 7 < r->bytes - sizeof(*r); i++)
		assert_int_equal(body[i], r->at & 0xff);
}

static void test_first_in_first_out(void **state)
{
	const struct tape_record *r;
	struct tape t;

	(void)state;
	tape_init(&t, memory, SIZE);
	assert_null(tape_read(&t));
	assert_true(put(&t, 1, 20));
	assert_true(put(&t, 2, 8));
	r = tape_read(&t);
	assert_non_null(r);
	assert_int_equal(r->at, 1);
	assert_int_equal(r->bytes, 40);
	assert_ptr_equal(tape_read(&t), r);
	tape_took(&t);
	assert_int_equal(tape_read(&t)->at, 2);
	tape_took(&t);
	assert_null(tape_read(&t));
}

static void test_full_is_counted(void **state)
{
	struct tape t;
	uint32_t n = 0;

	(void)state;
	tape_init(&t, memory, SIZE);
	assert_null(tape_write(&t, TAPE_TCP, 0, SIZE));
	while (put(&t, n, 100))
		n++;
	assert_int_equal(n, SIZE / 120);
	assert_int_equal(atomic_load(&t.lost), 2); /* the one that is too long for any, and the last */
	tape_read(&t);
	tape_took(&t);
	assert_false(put(&t, n, 150)); /* the end is too short, and so is the front still */
	tape_read(&t);
	tape_took(&t);
	assert_true(put(&t, n, 150));
}

/* Every length, so that records meet the end of the memory in every way. */
static void test_wraps(void **state)
{
	struct rng rng;
	uint32_t in = 0, out = 0;
	struct tape t;

	(void)state;
	rng_seed(&rng, seed);
	tape_init(&t, memory, SIZE);
	while (in < TURNS) {
		const struct tape_record *r;

		while (put(&t, in, (uint32_t)rng_below(&rng, 600)))
			in++;
		for (uint64_t n = rng_below(&rng, 20); n > 0 && (r = tape_read(&t)); n--) {
			assert_int_equal(r->at, out++);
			check(r);
			tape_took(&t);
		}
	}
	assert_true(out <= in);
}

static void *write_many(void *arg)
{
	struct rng rng;

	rng_seed(&rng, seed + 1);
	for (uint32_t i = 0; i < TURNS; i++)
		if (!put(arg, i, (uint32_t)rng_below(&rng, 300)))
			sched_yield();
	return NULL;
}

static void test_two_threads(void **state)
{
	const struct tape_record *r;
	uint64_t got = 0, last = 0;
	pthread_t writer;
	struct tape t;

	(void)state;
	tape_init(&t, memory, SIZE);
	assert_int_equal(pthread_create(&writer, NULL, write_many, &t), 0);
	while (got + atomic_load(&t.lost) < TURNS) {
		r = tape_read(&t);
		if (!r) {
			sched_yield();
			continue;
		}
		assert_true(got == 0 || r->at > last);
		last = r->at;
		check(r);
		tape_took(&t);
		got++;
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_true(got > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_in_first_out),
		cmocka_unit_test(test_full_is_counted),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_two_threads),
	};

	seed = seed_from_env("tape");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
