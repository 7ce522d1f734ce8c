/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.h - a view of a byte ring: memory whose size is a power of two, addressed by 64-bit
 * stream offset.  Who may read or write which offsets is the user's affair. */
#ifndef STACKD_BASE_RING_H
#define STACKD_BASE_RING_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

struct byte_ring {
	uint8_t *mem;
	uint32_t size; /* power of two; 0: no memory attached */
};

/* The one or two spans that hold [off, off + len), len <= size.  Returns how many (0 for len 0). */
static inline unsigned byte_ring_spans(const struct byte_ring *r, uint64_t off, uint32_t len,
				       struct span out[2])
{
	uint32_t at = (uint32_t)off & (r->size - 1);
	uint32_t first = r->size - at;

	if (len == 0)
		return 0;
	if (len <= first) {
		out[0] = (struct span){r->mem + at, len};
		return 1;
	}
	out[0] = (struct span){r->mem + at, first};
	out[1] = (struct span){r->mem, len - first};
	return 2;
}

static inline void byte_ring_write(const struct byte_ring *r, uint64_t off, const void *src, uint32_t len)
{
	uint32_t at = (uint32_t)off & (r->size - 1);
	uint32_t first = r->size - at < len ? r->size - at : len;

	memcpy(r->mem + at, src, first);
	if (len > first)
		memcpy(r->mem, (const uint8_t *)src + first, len - first);
}

static inline void byte_ring_read(const struct byte_ring *r, uint64_t off, void *dst, uint32_t len)
{
	uint32_t at = (uint32_t)off & (r->size - 1);
	uint32_t first = r->size - at < len ? r->size - at : len;

	memcpy(dst, r->mem + at, first);
	if (len > first)
		memcpy((uint8_t *)dst + first, r->mem, len - first);
}

#endif
