/* SPDX-License-Identifier: BSD-2-Clause */
/* check.h - what the tests of base share: cmocka in its order, a seed, a counting slab source. */
#ifndef TESTS_UNIT_BASE_CHECK_H
#define TESTS_UNIT_BASE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"

/* From SEED in the environment, else the clock; printed, so that a failure can be repeated. */
static inline uint64_t seed_from_env(const char *who)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	printf("%s: SEED=%llu\n", who, (unsigned long long)seed);
	return seed;
}

/* Counts what is out and refuses beyond a limit. */
struct source {
	unsigned taken, given, limit;
	size_t bytes;
};

static inline void *source_take(void *ctx, size_t bytes)
{
	struct source *s = ctx;
	size_t whole = (bytes + 63) / 64 * 64;
	void *slab;

	if (s->taken - s->given == s->limit)
		return NULL;
	slab = aligned_alloc(64, whole);
	memset(slab, 0, whole);
	s->taken++;
	s->bytes += bytes;
	return slab;
}

static inline void source_give(void *ctx, void *slab, size_t bytes)
{
	struct source *s = ctx;

	s->given++;
	s->bytes -= bytes;
	free(slab);
}

#endif
