/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h - objects of one size, in whole slabs taken from an injected source.  One thread. */
#ifndef STACKD_BASE_POOL_H
#define STACKD_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

/* Where slabs come from.  `take` returns zeroed memory aligned to 64 bytes, or NULL. */
struct memory {
	void *(*take)(void *ctx, size_t bytes);
	void (*give)(void *ctx, void *slab, size_t bytes);
	void *ctx;
};

struct pool {
	const struct memory *memory;
	uint32_t object_size, per_slab;
	uint32_t used, grown, max; /* objects; grown: in all slabs */
	void *free, *slabs;
};

/* object_size is rounded up to 16, from 64 on to 64.  max: objects at the most. */
void pool_init(struct pool *p, const struct memory *m, uint32_t object_size, uint32_t max);
/* A zeroed object, or NULL at the limit or when the source has no more. */
void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *object);
/* Returns all slabs; objects still out are gone. */
void pool_destroy(struct pool *p);

#endif
