/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.c - a slab is a header of 64 bytes and its objects; free objects are chained through their
 * first word.  Under AddressSanitizer a free object may not be touched. */
#include "base/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#endif
#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define forbid(p, n) __asan_poison_memory_region(p, n)
#define permit(p, n) __asan_unpoison_memory_region(p, n)
#else
#define forbid(p, n) ((void)0)
#define permit(p, n) ((void)0)
#endif

#define SLAB_BYTES  65536u
#define SLAB_HEADER 64u

struct slab {
	struct slab *next;
	size_t bytes;
};

struct free_object {
	struct free_object *next;
};

void pool_init(struct pool *p, const struct memory *m, uint32_t object_size, uint32_t max)
{
	uint32_t align = object_size < 64 ? 16 : 64;

	assert(object_size > 0);
	*p = (struct pool){.memory = m, .max = max};
	p->object_size = (object_size + align - 1) / align * align;
	p->per_slab = (SLAB_BYTES - SLAB_HEADER) / p->object_size;
	if (p->per_slab > max)
		p->per_slab = max;
	if (p->per_slab == 0)
		p->per_slab = 1;
}

static void chain(struct pool *p, void *object)
{
	struct free_object *f = object;

	f->next = p->free;
	p->free = f;
	forbid(object, p->object_size);
}

static bool grow(struct pool *p)
{
	size_t bytes = SLAB_HEADER + (size_t)p->per_slab * p->object_size;
	struct slab *s = p->memory->take(p->memory->ctx, bytes);

	if (!s)
		return false;
	*s = (struct slab){p->slabs, bytes};
	p->slabs = s;
	for (uint32_t i = p->per_slab; i-- > 0;)
		chain(p, (char *)s + SLAB_HEADER + (size_t)i * p->object_size);
	p->grown += p->per_slab;
	return true;
}

void *pool_take(struct pool *p)
{
	struct free_object *f;

	if (p->used == p->max || (!p->free && !grow(p)))
		return NULL;
	f = p->free;
	permit(f, p->object_size);
	p->free = f->next;
	p->used++;
	memset(f, 0, p->object_size);
	return f;
}

void pool_give(struct pool *p, void *object)
{
	assert(p->used > 0);
	p->used--;
	chain(p, object);
}

void pool_destroy(struct pool *p)
{
	struct slab *s = p->slabs, *next;

	for (; s; s = next) {
		next = s->next;
		permit(s, s->bytes);
		p->memory->give(p->memory->ctx, s, s->bytes);
	}
	p->free = p->slabs = NULL;
	p->used = p->grown = 0;
}
