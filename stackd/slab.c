/* SPDX-License-Identifier: BSD-2-Clause */
#include "slab.h"

#include <sys/mman.h>

void *slab_map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

void slab_unmap(void *mem, size_t bytes)
{
	if (mem)
		munmap(mem, bytes);
}

static void *take(void *ctx, size_t bytes)
{
	(void)ctx;
	return slab_map(bytes);
}

static void give(void *ctx, void *slab, size_t bytes)
{
	(void)ctx;
	slab_unmap(slab, bytes);
}

const struct memory slab_memory = {take, give, NULL};
