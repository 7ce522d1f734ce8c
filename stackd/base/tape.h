/* SPDX-License-Identifier: BSD-2-Clause */
/* tape.h - a queue of records from one thread to another, in memory given once.  The writer never
 * waits: what finds no room is counted and gone.  What the records say is their kinds' affair. */
#ifndef STACKD_BASE_TAPE_H
#define STACKD_BASE_TAPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum tape_kind { TAPE_GAP, TAPE_FRAME_IN, TAPE_FRAME_OUT, TAPE_TCP };

/* Before each record, whose bytes follow; aligned to 8. */
struct tape_record {
	uint32_t bytes; /* of the record with this head, a multiple of 8 */
	uint32_t kind;
	ns_t at;
};

/* The record of a frame; its bytes follow. */
struct tape_frame {
	uint32_t interface, len;
};

struct tape {
	_Atomic uint64_t written, taken; /* bytes since the start; of the writer, of the reader */
	_Atomic uint64_t lost;		 /* records that found no room */
	uint64_t at, room_from;		 /* the writer's: where it writes, what it knows of `taken` */
	uint8_t *memory;
	uint32_t size;
	bool frames; /* frames are wanted too */
};

/* memory: aligned to 8; size: a power of two.  Before the other thread knows of it. */
void tape_init(struct tape *, void *memory, uint32_t size);

/* The writer: room for a record of `len` bytes, aligned to 8; NULL: there is none, counted. */
void *tape_write(struct tape *, enum tape_kind, ns_t at, uint32_t len);
/* The record is complete; nothing of it may be touched afterwards. */
void tape_end(struct tape *);

/* The reader: the oldest record, NULL: none; the same again until tape_took. */
const struct tape_record *tape_read(struct tape *);
void tape_took(struct tape *);

static inline const void *tape_body(const struct tape_record *r)
{
	return r + 1;
}

#endif
