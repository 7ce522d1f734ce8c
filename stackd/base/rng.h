/* SPDX-License-Identifier: BSD-2-Clause */
/* rng.h - a seeded generator (xoshiro256**), the same on every machine.  Not for secrets. */
#ifndef STACKD_BASE_RNG_H
#define STACKD_BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* 0 <= result < n, without bias; n > 0 */
uint64_t rng_below(struct rng *r, uint64_t n);
/* true with probability p (0..1) */
bool rng_chance(struct rng *r, double p);

#endif
