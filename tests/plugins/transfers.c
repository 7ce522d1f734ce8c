/* SPDX-License-Identifier: BSD-2-Clause */
/* transfers.c - seeded transfers through every recovery plugin, with losses of up to 30 %, packets
 * that overtake and packets that come twice: all complete and no plugin breaks a rule.
 * Seeds: argv[1] or PLUGIN_SEED is the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "fake.h"

#define RUNS 1000u

static uint64_t first_seed = 1;

static struct fake_config random_config(const char *recovery, uint64_t seed)
{
	static const char *const rtos[] = {"rfc6298", "linux", "textbook", "fixed"};
	static const char *const acks[] = {"each", "delayed", "quick", "every-n"};
	static const char *const ccs[] = {"newreno", "cubic", "fixed", "bbr", "dctcp"};
	struct rng r;

	rng_seed(&r, seed * 977);
	struct fake_config f = {
	    .recovery = recovery,
	    .rto = rtos[rng_below(&r, 4)],
	    .ack = acks[rng_below(&r, 4)],
	    .cc = ccs[rng_below(&r, 5)],
	    .mss = 1000,
	    .total = 1000 * (20 + rng_below(&r, 60)) + rng_below(&r, 1000),
	    .features = SP_SACK | SP_DSACK | SP_ECN,
	    .delay = (1 + rng_below(&r, 50)) * MS,
	    .loss = (double)rng_below(&r, 31) / 100,
	    .ack_loss = (double)rng_below(&r, 31) / 100,
	    .overtake = (double)rng_below(&r, 11) / 100,
	    .duplicate = (double)rng_below(&r, 6) / 100,
	    .limit = UINT64_C(86400000) * MS,
	    .seed = seed,
	};
	if (rng_below(&r, 2))
		f.features |= SP_TIMESTAMPS;
	return f;
}

static void all_complete(void **state)
{
	const char *recovery = *state;
	uint64_t sent = 0, again = 0, timeouts = 0, undos = 0;
	double seconds = 0;

	for (uint64_t seed = first_seed; seed < first_seed + RUNS; seed++) {
		struct fake_config f = random_config(recovery, seed);
		struct fake_result r = fake_run(&f);

		if (!r.complete || r.violations)
			fail_msg("seed %llu: %s/%s/%s/%s loss %.2f complete %d violations %u after "
				 "%.1f s",
				 (unsigned long long)seed, f.recovery, f.rto, f.ack, f.cc, f.loss,
				 r.complete, r.violations, (double)r.time / 1e9);
		sent += r.sent;
		again += r.again;
		timeouts += r.timeouts;
		undos += r.undos;
		seconds += (double)r.time / 1e9;
	}
	print_message(
	    "%-8s seeds %llu+%u: %llu sent, %llu again, %llu time-outs, %llu undos, %.0f s\n",
	    recovery, (unsigned long long)first_seed, RUNS, (unsigned long long)sent,
	    (unsigned long long)again, (unsigned long long)timeouts, (unsigned long long)undos,
	    seconds);
}

int main(int argc, char **argv)
{
	const char *seed = argc > 1 ? argv[1] : getenv("PLUGIN_SEED");
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(all_complete, "gbn"),
	    cmocka_unit_test_prestate(all_complete, "sr"),
	    cmocka_unit_test_prestate(all_complete, "textbook"),
	    cmocka_unit_test_prestate(all_complete, "reno"),
	    cmocka_unit_test_prestate(all_complete, "sack"),
	    cmocka_unit_test_prestate(all_complete, "racktlp"),
	};

	if (seed)
		first_seed = strtoull(seed, NULL, 10);
	print_message("first seed %llu\n", (unsigned long long)first_seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
