/* SPDX-License-Identifier: BSD-2-Clause */
/* table.h - an intrusive hash table with chaining.  The user gives a keyed hash (siphash.h) and
 * compares; buckets are fixed at init (memory.take, a power of two). */
#ifndef STACKD_BASE_TABLE_H
#define STACKD_BASE_TABLE_H

#include <stdint.h>

#include "base/pool.h"

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	const struct memory *memory;
	struct table_node **bucket;
	uint32_t mask, count;
};

/* buckets: rounded up to a power of two.  Returns 0 or -ENOMEM. */
int table_init(struct table *t, const struct memory *m, uint32_t buckets);
void table_destroy(struct table *t);
void table_insert(struct table *t, struct table_node *n, uint64_t hash);
void table_remove(struct table *t, struct table_node *n);

static inline struct table_node *table_chain(const struct table *t, uint64_t hash)
{
	return t->bucket[hash & t->mask];
}

/* Walks all nodes in the table whose hash is `h`; the body compares the key. */
#define table_for_hash(n, t, h)                                                                    \
	for (struct table_node *n = table_chain(t, h); n; n = n->next)                             \
		if (n->hash != (h)) {                                                              \
		} else

#endif
