/* SPDX-License-Identifier: BSD-2-Clause */
/* range.c - the set is a sorted array; searches start at its end, where data usually arrives. */
#include "base/range.h"

#include <string.h>

void ranges_clear(struct ranges *s)
{
	s->count = 0;
	s->newest = 0;
}

/* Index of the first range that ends at or after `off`. */
static uint32_t first_reaching(const struct ranges *s, uint64_t off)
{
	uint32_t i = s->count;

	while (i > 0 && s->r[i - 1].end >= off)
		i--;
	return i;
}

static int64_t insert(struct ranges *s, uint32_t at, uint64_t begin, uint64_t end)
{
	if (s->count == RANGES_MAX)
		return -1;
	memmove(&s->r[at + 1], &s->r[at], (s->count - at) * sizeof(s->r[0]));
	s->r[at] = (struct range){begin, end};
	s->count++;
	s->newest = at;
	return (int64_t)(end - begin);
}

int64_t ranges_add(struct ranges *s, uint64_t begin, uint64_t end)
{
	uint32_t at = first_reaching(s, begin), after = at;
	uint64_t held = 0;

	if (begin >= end)
		return 0;
	for (; after < s->count && s->r[after].begin <= end; after++)
		held += s->r[after].end - s->r[after].begin;
	if (after == at)
		return insert(s, at, begin, end);
	if (s->r[at].begin < begin)
		begin = s->r[at].begin;
	if (s->r[after - 1].end > end)
		end = s->r[after - 1].end;
	if (held == end - begin)
		return 0;
	s->r[at] = (struct range){begin, end};
	memmove(&s->r[at + 1], &s->r[after], (s->count - after) * sizeof(s->r[0]));
	s->count -= after - at - 1;
	s->newest = at;
	return (int64_t)(end - begin - held);
}

bool ranges_hold(const struct ranges *s, uint64_t begin, uint64_t end)
{
	uint32_t i = first_reaching(s, end);

	return begin >= end || (i < s->count && s->r[i].begin <= begin);
}

bool ranges_common(const struct ranges *s, uint64_t begin, uint64_t end, struct range *out)
{
	uint32_t i = first_reaching(s, begin + 1);

	if (begin >= end || i == s->count || s->r[i].begin >= end)
		return false;
	out->begin = s->r[i].begin > begin ? s->r[i].begin : begin;
	out->end = s->r[i].end < end ? s->r[i].end : end;
	return true;
}

void ranges_trim(struct ranges *s, uint64_t off)
{
	uint32_t gone = 0;

	while (gone < s->count && s->r[gone].end <= off)
		gone++;
	s->count -= gone;
	memmove(&s->r[0], &s->r[gone], s->count * sizeof(s->r[0]));
	s->newest = s->newest < gone ? 0 : s->newest - gone;
	if (s->count > 0 && s->r[0].begin < off)
		s->r[0].begin = off;
}

uint64_t ranges_total(const struct ranges *s)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < s->count; i++)
		total += s->r[i].end - s->r[i].begin;
	return total;
}
