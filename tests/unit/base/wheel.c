/* SPDX-License-Identifier: BSD-2-Clause */
/* The wheel against an array of due times. */
#include "base/wheel.h"

#include "base/bytes.h"
#include "base/rng.h"
#include "check.h"

#define TICK (1ull << WHEEL_TICK_SHIFT)

enum { TIMERS = 64 };

static struct wheel wheel;
static struct timer timers[TIMERS];
static ns_t due[TIMERS]; /* the model */

static void start(ns_t now)
{
	wheel_init(&wheel, now);
	for (int i = 0; i < TIMERS; i++) {
		timer_init(&timers[i]);
		due[i] = NS_NEVER;
	}
}

static void arm(unsigned i, ns_t at)
{
	wheel_arm(&wheel, &timers[i], at);
	due[i] = at;
	assert_true(timers[i].due == at);
}

static ns_t model_next(void)
{
	ns_t least = NS_NEVER;

	for (int i = 0; i < TIMERS; i++)
		if (due[i] < least)
			least = due[i];
	return least;
}

/* A time up to `span` powers of two ahead, now and then in the past or never. */
static ns_t random_due(struct rng *r, ns_t now, unsigned span)
{
	ns_t ahead = rng_next(r) >> (64 - 1 - rng_below(r, span));

	if (rng_chance(r, 0.05))
		return NS_NEVER;
	if (rng_chance(r, 0.05))
		return now - (ahead < now ? ahead : now);
	return now + ahead;
}

/* What a handler may do while timers expire: move or cancel any, its own too. */
static void disturb(struct rng *r, ns_t now, unsigned span)
{
	unsigned i = (unsigned)rng_below(r, TIMERS);

	if (rng_chance(r, 0.3)) {
		wheel_cancel(&wheel, &timers[i]);
		due[i] = NS_NEVER;
	} else {
		ns_t at = random_due(r, now, span);

		/* later than now, or the loop could go on for ever */
		arm(i, at <= now ? now + 1 : at);
	}
}

static void expire_all(struct rng *r, ns_t now, unsigned span, bool disturbed)
{
	struct timer *t;

	while ((t = wheel_expired(&wheel, now)) != NULL) {
		ptrdiff_t i = t - timers;

		assert_in_range(i, 0, TIMERS - 1);
		assert_true(due[i] <= now);
		assert_true(t->due == NS_NEVER);
		due[i] = NS_NEVER;
		if (disturbed && rng_chance(r, 0.3))
			disturb(r, now, span);
	}
	for (int i = 0; i < TIMERS; i++)
		assert_true(due[i] == NS_NEVER || due[i] + TICK > now);
}

static void run_life(struct rng *r, unsigned span)
{
	ns_t now = rng_next(r) >> (4 + rng_below(r, 50));

	start(now);
	for (int step = 0; step < 500; step++) {
		ns_t next, first;

		for (uint64_t n = rng_below(r, 4); n > 0; n--) {
			ns_t at = random_due(r, now, span);

			arm((unsigned)rng_below(r, TIMERS), at);
		}
		next = wheel_next(&wheel);
		first = model_next() > now ? model_next() : now;
		assert_true(first > NS_NEVER - TICK || next < first + TICK);
		if (rng_chance(r, 0.5) && next != NS_NEVER)
			now = next > now ? next : now;
		else
			now += rng_next(r) >> (63 - rng_below(r, span));
		expire_all(r, now, span, true);
		next = wheel_next(&wheel);
		assert_true(next > now);
		assert_int_equal(next == NS_NEVER, model_next() == NS_NEVER);
	}
}

static void test_against_model(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("wheel"));
	for (int life = 0; life < 300; life++)
		run_life(&r, 12 + (unsigned)life % 40);
}

/* A sleeper that wakes at wheel_next and nowhere else comes to every timer, within a tick, after at
 * most a wake for each level and lazy move. */
static void test_sleeper_converges(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("wheel sleeper"));
	for (int life = 0; life < 2000; life++) {
		ns_t now = rng_next(&r) >> 12, next;
		unsigned wakes = 0, moves = 0;

		start(now);
		for (unsigned i = 0; i < 4; i++) {
			arm(i, now + TICK + (rng_next(&r) >> (12 + rng_below(&r, 40))));
			for (; rng_chance(&r, 0.5); moves++)
				arm(i, due[i] + (rng_next(&r) >> (12 + rng_below(&r, 40))));
		}
		while ((next = wheel_next(&wheel)) != NS_NEVER) {
			assert_true(next > now);
			assert_true(next < model_next() + TICK);
			now = next;
			expire_all(&r, now, 1, false);
			wakes++;
		}
		assert_true(model_next() == NS_NEVER);
		assert_true(wakes <= 4 * 2 * WHEEL_LEVELS);
	}
}

static void test_past_and_present(void **state)
{
	(void)state;
	start(1000 * TICK + 5);
	arm(0, 3);
	arm(1, 1000 * TICK + 5);
	assert_true(wheel_next(&wheel) <= 1000 * TICK + 5);
	assert_ptr_equal(wheel_expired(&wheel, 1000 * TICK + 5), &timers[0]);
	assert_ptr_equal(wheel_expired(&wheel, 1000 * TICK + 5), &timers[1]);
	assert_null(wheel_expired(&wheel, 1000 * TICK + 5));
	assert_true(wheel_next(&wheel) == NS_NEVER);
	arm(2, 1000 * TICK + 6);
	assert_null(wheel_expired(&wheel, 1000 * TICK + 5));
	assert_ptr_equal(wheel_expired(&wheel, 1001 * TICK), &timers[2]);
}

static void test_expired_may_be_taken_back(void **state)
{
	(void)state;
	start(0);
	for (unsigned i = 0; i < 4; i++)
		arm(i, TICK);
	assert_non_null(wheel_expired(&wheel, 2 * TICK));
	wheel_cancel(&wheel, &timers[0]);
	wheel_cancel(&wheel, &timers[1]);
	arm(2, 5 * TICK);
	arm(3, 5 * TICK);
	assert_null(wheel_expired(&wheel, 4 * TICK));
	assert_non_null(wheel_expired(&wheel, 5 * TICK));
	assert_non_null(wheel_expired(&wheel, 5 * TICK));
	assert_null(wheel_expired(&wheel, 5 * TICK));
}

static void test_moving_later_does_not_relink(void **state)
{
	struct list *before;

	(void)state;
	start(0);
	arm(0, 100 * TICK);
	arm(1, 100 * TICK);
	before = timers[0].node.next;
	arm(0, 300 * TICK);
	assert_ptr_equal(timers[0].node.next, before);
	assert_true(timers[0].linked == 100 * TICK);
	assert_ptr_equal(wheel_expired(&wheel, 200 * TICK), &timers[1]);
	assert_null(wheel_expired(&wheel, 200 * TICK));
	assert_true(timers[0].linked == 300 * TICK);
	assert_ptr_equal(wheel_expired(&wheel, 300 * TICK), &timers[0]);
}

static void test_end_of_time(void **state)
{
	(void)state;
	start(NS_NEVER - 10 * TICK);
	arm(0, NS_NEVER - 4 * TICK);
	wheel_arm(&wheel, &timers[1], NS_NEVER - 1);
	assert_true(timers[1].due == NS_NEVER);
	assert_null(wheel_expired(&wheel, NS_NEVER - 5 * TICK));
	assert_ptr_equal(wheel_expired(&wheel, NS_NEVER - 2 * TICK), &timers[0]);
	assert_true(wheel_next(&wheel) == NS_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_model),
	    cmocka_unit_test(test_sleeper_converges),
	    cmocka_unit_test(test_past_and_present),
	    cmocka_unit_test(test_expired_may_be_taken_back),
	    cmocka_unit_test(test_moving_later_does_not_relink),
	    cmocka_unit_test(test_end_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
