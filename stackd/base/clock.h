/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - units of time.  Nobody below the shard reads a clock: `now` is an argument. */
#ifndef STACKD_BASE_CLOCK_H
#define STACKD_BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t ns_t; /* nanoseconds of CLOCK_MONOTONIC, or of a simulated clock */

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define NS_NEVER UINT64_MAX

#endif
