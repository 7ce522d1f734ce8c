/* SPDX-License-Identifier: BSD-2-Clause */
/* range.h - a set of disjoint, non-touching [begin, end) ranges of offsets, ascending. */
#ifndef STACKD_BASE_RANGE_H
#define STACKD_BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 64u

struct range {
	uint64_t begin, end;
};

struct ranges {
	uint32_t count;
	uint32_t newest; /* index of the one that grew last */
	struct range r[RANGES_MAX];
};

void ranges_clear(struct ranges *s);
/* Adds [begin, end), joining what overlaps or touches.  Returns the bytes that were not in the
 * set before, or -1 when a further range would be needed and there is no room (nothing changed).
 * Adding nothing new returns 0 and leaves `newest` alone. */
int64_t ranges_add(struct ranges *s, uint64_t begin, uint64_t end);
/* True when all of [begin, end) is in the set. */
bool ranges_hold(const struct ranges *s, uint64_t begin, uint64_t end);
/* The first part of [begin, end) that is in the set; false: none. */
bool ranges_common(const struct ranges *s, uint64_t begin, uint64_t end, struct range *out);
/* Removes all below `off`; a range that spans it is cut. */
void ranges_trim(struct ranges *s, uint64_t off);
uint64_t ranges_total(const struct ranges *s);

#endif
