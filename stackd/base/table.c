/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - the chains are singly linked: with a bucket per expected entry they are short. */
#include "base/table.h"

#include <assert.h>
#include <errno.h>

static size_t table_bytes(const struct table *t)
{
	return ((size_t)t->mask + 1) * sizeof(struct table_node *);
}

int table_init(struct table *t, const struct memory *m, uint32_t buckets)
{
	uint32_t size = 1;

	assert(buckets <= 1u << 31);
	while (size < buckets)
		size *= 2;
	*t = (struct table){.memory = m, .mask = size - 1};
	t->bucket = m->take(m->ctx, table_bytes(t));
	return t->bucket ? 0 : -ENOMEM;
}

void table_destroy(struct table *t)
{
	if (t->bucket)
		t->memory->give(t->memory->ctx, t->bucket, table_bytes(t));
	t->bucket = NULL;
	t->count = 0;
}

void table_insert(struct table *t, struct table_node *n, uint64_t hash)
{
	struct table_node **at = &t->bucket[hash & t->mask];

	n->hash = hash;
	n->next = *at;
	*at = n;
	t->count++;
}

void table_remove(struct table *t, struct table_node *n)
{
	struct table_node **at = &t->bucket[n->hash & t->mask];

	while (*at != n) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	t->count--;
}
