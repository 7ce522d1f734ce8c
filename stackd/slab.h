/* SPDX-License-Identifier: BSD-2-Clause */
/* slab.h - the daemon's source of slabs: anonymous mappings. */
#ifndef STACKD_SLAB_H
#define STACKD_SLAB_H

#include "base/pool.h"

extern const struct memory slab_memory;

/* Zeroed pages, taken from the kernel when they are touched.  NULL with errno. */
void *slab_map(size_t bytes);
void slab_unmap(void *mem, size_t bytes);

#endif
