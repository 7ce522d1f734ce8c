/* SPDX-License-Identifier: BSD-2-Clause */
/* fault_line.h - one direction of an impaired link: frames go in, and come out late, twice,
 * damaged, out of order or not at all. */
#ifndef STACKD_DRIVER_FAULT_LINE_H
#define STACKD_DRIVER_FAULT_LINE_H

#include "base/rng.h"
#include "driver/driver.h"

#define FAULT_NONE      UINT32_MAX
#define FAULT_QUEUE_MAX 65536u

/* A held frame. */
struct fault_held {
	ns_t due_ns;
	uint64_t order; /* of arrival: settles equal times */
	uint32_t len;
	uint16_t queue;
	uint8_t csum; /* enum frame_csum */
};

struct fault_line {
	const struct fault_config *config;
	struct rng *rng;
	struct driver_stats *stats;

	uint8_t *mem; /* `slots` of slot_bytes */
	size_t mem_bytes;
	uint32_t slots, slot_bytes;
	struct fault_held *held;
	uint32_t *free; /* a stack: a slot used lately is still in the cache */
	uint32_t free_count;
	uint32_t *heap; /* slots by due time */
	uint32_t heap_count;
	uint64_t order;

	ns_t last_due_ns; /* frames that are not reordered leave in order */
	ns_t link_free_ns;
	uint64_t link_rest; /* of the division by the rate, so that it never drifts */
	ns_t *leaving;      /* ring: when each frame in the queue has left the link */
	uint32_t leaving_first, leaving_count, queue_max;
};

/* frame_max: bytes of the largest frame.  0, or -ENOMEM with nothing kept. */
int fault_line_open(struct fault_line *, const struct fault_config *, struct rng *,
		    struct driver_stats *, uint32_t frame_max);
void fault_line_close(struct fault_line *);

uint8_t *fault_line_mem(const struct fault_line *, uint32_t slot);
/* A slot to write a frame into, to be passed to fault_line_put; FAULT_NONE: all are held. */
uint32_t fault_line_reserve(struct fault_line *);
/* Decides the fate of the frame of `len` bytes in the slot. */
void fault_line_put(struct fault_line *, ns_t now, uint32_t slot, uint32_t len, uint8_t csum,
		    uint16_t queue);
/* The earliest frame if it is due, still in the line; FAULT_NONE. */
uint32_t fault_line_peek(const struct fault_line *, ns_t now);
/* Takes that frame out; the slot's memory stays until fault_line_free. */
void fault_line_take(struct fault_line *);
void fault_line_free(struct fault_line *, uint32_t slot);
/* When the next frame is due; NS_NEVER. */
ns_t fault_line_deadline(const struct fault_line *);

#endif
