/* SPDX-License-Identifier: BSD-2-Clause */
/* tape.c - records lie in one piece: what doesn't fit before the memory's end starts at its beginning
 * again, behind a gap. */
#include "base/tape.h"

#include <assert.h>
#include <stddef.h>

void tape_init(struct tape *t, void *memory, uint32_t size)
{
	assert(((uintptr_t)memory & 7) == 0 && size >= 64 && (size & (size - 1)) == 0);
	*t = (struct tape){.memory = memory, .size = size};
}

static struct tape_record *record_at(const struct tape *t, uint64_t at)
{
	return (struct tape_record *)(void *)(t->memory + (at & (t->size - 1)));
}

/* True when [at, at + bytes) is the writer's. */
static bool is_free(struct tape *t, uint64_t end)
{
	if (end - t->room_from <= t->size)
		return true;
	t->room_from = atomic_load_explicit(&t->taken, memory_order_acquire);
	return end - t->room_from <= t->size;
}

void *tape_write(struct tape *t, enum tape_kind kind, ns_t at, uint32_t len)
{
	uint64_t bytes = (sizeof(struct tape_record) + (uint64_t)len + 7) & ~7ull;
	uint64_t from = atomic_load_explicit(&t->written, memory_order_relaxed);
	uint64_t left = t->size - (from & (t->size - 1)), gap = left < bytes ? left : 0;
	struct tape_record *r;

	if (bytes > t->size || !is_free(t, from + gap + bytes)) {
		atomic_fetch_add_explicit(&t->lost, 1, memory_order_relaxed);
		return NULL;
	}
	if (gap >= sizeof(*r))
		*record_at(t, from) = (struct tape_record){(uint32_t)gap, TAPE_GAP, 0};
	r = record_at(t, from + gap);
	*r = (struct tape_record){(uint32_t)bytes, kind, at};
	t->at = from + gap + bytes;
	return r + 1;
}

void tape_end(struct tape *t)
{
	atomic_store_explicit(&t->written, t->at, memory_order_release);
}

const struct tape_record *tape_read(struct tape *t)
{
	uint64_t end = atomic_load_explicit(&t->written, memory_order_acquire);
	uint64_t from = atomic_load_explicit(&t->taken, memory_order_relaxed);
	uint64_t left = t->size - (from & (t->size - 1));

	if (from == end)
		return NULL;
	/* a gap too small for a head has none */
	if (left < sizeof(struct tape_record) || record_at(t, from)->kind == TAPE_GAP) {
		from += left;
		atomic_store_explicit(&t->taken, from, memory_order_release);
	}
	return record_at(t, from);
}

void tape_took(struct tape *t)
{
	uint64_t from = atomic_load_explicit(&t->taken, memory_order_relaxed);

	atomic_store_explicit(&t->taken, from + record_at(t, from)->bytes, memory_order_release);
}
