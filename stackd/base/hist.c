/* SPDX-License-Identifier: BSD-2-Clause */
/* hist.c - values below 8 have a bucket each; above, each power of two has eight. */
#include "base/hist.h"

static unsigned bucket_of(uint64_t value)
{
	unsigned log;

	if (value < 8)
		return (unsigned)value;
	log = 63 - (unsigned)__builtin_clzll(value);
	return (log - 2) * 8 + (unsigned)(value >> (log - 3) & 7);
}

static uint64_t bucket_last(unsigned bucket)
{
	unsigned shift;

	if (bucket < 8)
		return bucket;
	shift = bucket / 8 - 1;
	return ((8ull + bucket % 8) << shift) + ((1ull << shift) - 1);
}

void hist_add(struct hist *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
	h->bucket[bucket_of(value)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	double want = q * (double)h->count;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > 0 && (double)seen >= want)
			return bucket_last(i) < h->max ? bucket_last(i) : h->max;
	}
	return h->max;
}
