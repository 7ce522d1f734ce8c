/* SPDX-License-Identifier: BSD-2-Clause */
/* fault_line.c - the model of an impaired link.  Owns the held frames of one direction.
 *
 * The order of the decisions: loss, duplicate, corrupt, then the rate with its drop-tail queue,
 * then delay and jitter, then reorder.
 * - Jitter adds 0 to jitter_ns and keeps the order, as a queue on the way would.
 * - A reordered frame is held back by a further quarter to whole of max(delay / 4, 1 ms); whatever
 *   comes in the meantime overtakes it.
 * - A duplicate follows its original and takes its own place in the queue.
 * - Corruption flips one bit anywhere behind the Ethernet header.  The frame's layer-4 sum is made
 *   real first, so that a receiver that looks will see it.
 * - The rate counts the bits of the frame from the Ethernet header on, without preamble or FCS. */
#include "driver/fault_line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "driver/split.h"

#define ETH_LEN       14u
#define SLOTS_MAX     65536u
#define MEM_BYTES_MAX (1ull << 30) /* of address space: pages are taken as they are used */
#define QUEUE_DEFAULT 1000u

uint8_t *fault_line_mem(const struct fault_line *l, uint32_t slot)
{
	return l->mem + (size_t)slot * l->slot_bytes;
}

static bool earlier(const struct fault_line *l, uint32_t a, uint32_t b)
{
	const struct fault_held *x = &l->held[a], *y = &l->held[b];

	return x->due_ns != y->due_ns ? x->due_ns < y->due_ns : x->order < y->order;
}

static void heap_swap(struct fault_line *l, uint32_t i, uint32_t j)
{
	uint32_t slot = l->heap[i];

	l->heap[i] = l->heap[j];
	l->heap[j] = slot;
}

static void heap_push(struct fault_line *l, uint32_t slot)
{
	uint32_t i = l->heap_count++;

	l->heap[i] = slot;
	while (i > 0 && earlier(l, l->heap[i], l->heap[(i - 1) / 2])) {
		heap_swap(l, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void heap_pop(struct fault_line *l)
{
	uint32_t i = 0;

	l->heap[0] = l->heap[--l->heap_count];
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= l->heap_count)
			return;
		if (child + 1 < l->heap_count && earlier(l, l->heap[child + 1], l->heap[child]))
			child++;
		if (!earlier(l, l->heap[child], l->heap[i]))
			return;
		heap_swap(l, i, child);
		i = child;
	}
}

uint32_t fault_line_reserve(struct fault_line *l)
{
	return l->free_count ? l->free[--l->free_count] : FAULT_NONE;
}

void fault_line_free(struct fault_line *l, uint32_t slot)
{
	assert(l->free_count < l->slots);
	l->free[l->free_count++] = slot;
}

uint32_t fault_line_peek(const struct fault_line *l, ns_t now)
{
	if (l->heap_count == 0 || l->held[l->heap[0]].due_ns > now)
		return FAULT_NONE;
	return l->heap[0];
}

void fault_line_take(struct fault_line *l)
{
	heap_pop(l);
}

ns_t fault_line_deadline(const struct fault_line *l)
{
	return l->heap_count ? l->held[l->heap[0]].due_ns : NS_NEVER;
}

static bool has_full_sum(const struct fault_held *h, const uint8_t *mem)
{
	if (h->csum == FRAME_CSUM_UNKNOWN)
		return !frame_sum_is_partial(mem, h->len);
	return h->csum == FRAME_CSUM_FULL;
}

static void corrupt(struct fault_line *l, uint32_t slot)
{
	struct fault_held *h = &l->held[slot];
	uint8_t *mem = fault_line_mem(l, slot);
	uint64_t bit;

	if (h->len <= ETH_LEN)
		return;
	if (!has_full_sum(h, mem))
		frame_sum_fill(mem, h->len);
	h->csum = FRAME_CSUM_FULL;
	bit = rng_below(l->rng, (uint64_t)(h->len - ETH_LEN) * 8);
	mem[ETH_LEN + bit / 8] ^= (uint8_t)(1u << (bit & 7));
	l->stats->fault_corrupted++;
}

/* Drop-tail: false when as many frames as the queue holds have not left yet. */
static bool serialise(struct fault_line *l, ns_t now, uint32_t len, ns_t *leaves_ns)
{
	uint64_t rate = l->config->rate_bps;
	uint64_t bits_ns = (uint64_t)len * 8 * NS_PER_S + l->link_rest;

	*leaves_ns = now;
	if (rate == 0)
		return true;
	while (l->leaving_count && l->leaving[l->leaving_first] <= now) {
		l->leaving_first = (l->leaving_first + 1) % l->queue_max;
		l->leaving_count--;
	}
	if (l->leaving_count == l->queue_max)
		return false;
	if (l->link_free_ns < now) {
		l->link_free_ns = now;
		bits_ns -= l->link_rest;
	}
	l->link_free_ns += bits_ns / rate;
	l->link_rest = bits_ns % rate;
	l->leaving[(l->leaving_first + l->leaving_count++) % l->queue_max] = l->link_free_ns;
	*leaves_ns = l->link_free_ns;
	return true;
}

static ns_t hold_back_ns(struct fault_line *l)
{
	ns_t most = l->config->delay_ns / 4 > NS_PER_MS ? l->config->delay_ns / 4 : NS_PER_MS;

	return most / 4 + rng_below(l->rng, most - most / 4 + 1);
}

/* Gives the slot its time, or frees it when the queue is full. */
static void schedule(struct fault_line *l, ns_t now, uint32_t slot, bool reorder)
{
	const struct fault_config *c = l->config;
	struct fault_held *h = &l->held[slot];
	ns_t due;

	if (!serialise(l, now, h->len, &due)) {
		l->stats->fault_queue_full++;
		fault_line_free(l, slot);
		return;
	}
	due += c->delay_ns;
	if (c->jitter_ns)
		due += rng_below(l->rng, c->jitter_ns + 1);
	if (due < l->last_due_ns)
		due = l->last_due_ns;
	if (reorder) {
		due += hold_back_ns(l);
		l->stats->fault_reordered++;
	} else {
		l->last_due_ns = due;
	}
	if (due > now)
		l->stats->fault_delayed++;
	h->due_ns = due;
	h->order = l->order++;
	heap_push(l, slot);
}

/* A copy in a slot of its own; FAULT_NONE when all are held. */
static uint32_t duplicate(struct fault_line *l, uint32_t slot)
{
	uint32_t twin = fault_line_reserve(l);

	if (twin == FAULT_NONE)
		return FAULT_NONE;
	memcpy(fault_line_mem(l, twin), fault_line_mem(l, slot), l->held[slot].len);
	l->held[twin] = l->held[slot];
	l->stats->fault_duplicated++;
	return twin;
}

void fault_line_put(struct fault_line *l, ns_t now, uint32_t slot, uint32_t len, uint8_t csum,
		    uint16_t queue)
{
	const struct fault_config *c = l->config;
	struct fault_held *h = &l->held[slot];
	bool lost = rng_chance(l->rng, c->loss);
	bool twice = rng_chance(l->rng, c->duplicate);
	bool damaged = rng_chance(l->rng, c->corrupt);
	bool reorder = rng_chance(l->rng, c->reorder);
	uint32_t twin;

	assert(len <= l->slot_bytes);
	if (lost) {
		l->stats->fault_lost++;
		fault_line_free(l, slot);
		return;
	}
	h->len = len;
	h->csum = csum;
	h->queue = queue;
	twin = twice ? duplicate(l, slot) : FAULT_NONE;
	if (damaged)
		corrupt(l, slot);
	schedule(l, now, slot, reorder);
	if (twin != FAULT_NONE)
		schedule(l, now, twin, false);
}

int fault_line_open(struct fault_line *l, const struct fault_config *c, struct rng *rng,
		    struct driver_stats *stats, uint32_t frame_max)
{
	void *mem;

	memset(l, 0, sizeof(*l));
	l->config = c;
	l->rng = rng;
	l->stats = stats;
	l->queue_max = c->queue ? c->queue : QUEUE_DEFAULT;
	l->slot_bytes = (frame_max + 63u) & ~63u;
	l->slots = SLOTS_MAX;
	if ((uint64_t)l->slots * l->slot_bytes > MEM_BYTES_MAX)
		l->slots = (uint32_t)(MEM_BYTES_MAX / l->slot_bytes);
	l->held = calloc(l->slots, sizeof(*l->held));
	l->free = calloc(l->slots, sizeof(*l->free));
	l->heap = calloc(l->slots, sizeof(*l->heap));
	l->leaving = calloc(l->queue_max, sizeof(*l->leaving));
	l->mem_bytes = (size_t)l->slots * l->slot_bytes;
	mem = mmap(NULL, l->mem_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	l->mem = mem == MAP_FAILED ? NULL : mem;
	if (!l->held || !l->free || !l->heap || !l->leaving || !l->mem) {
		fault_line_close(l);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < l->slots; i++)
		l->free[l->free_count++] = l->slots - 1 - i;
	return 0;
}

void fault_line_close(struct fault_line *l)
{
	if (l->mem)
		munmap(l->mem, l->mem_bytes);
	free(l->held);
	free(l->free);
	free(l->heap);
	free(l->leaving);
	memset(l, 0, sizeof(*l));
}
