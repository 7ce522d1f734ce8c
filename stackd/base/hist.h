/* SPDX-License-Identifier: BSD-2-Clause */
/* hist.h - a histogram with buckets of 1/8 of a power of two (error below 12.5 %). */
#ifndef STACKD_BASE_HIST_H
#define STACKD_BASE_HIST_H

#include <stdint.h>

#define HIST_BUCKETS 496u

struct hist {
	uint64_t count, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);
/* The value below which the fraction q (0..1) lies; 0 when empty. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
