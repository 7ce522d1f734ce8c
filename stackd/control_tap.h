/* SPDX-License-Identifier: BSD-2-Clause */
/* control_tap.h - what the shards write on their tapes, for those who look: `trace`, `capture`.
 * While nobody does there is no tape.  Control thread only. */
#ifndef STACKD_CONTROL_TAP_H
#define STACKD_CONTROL_TAP_H

#include "base/tape.h"
#include "shard.h"

struct taps;

/* Embedded by who looks. */
struct tap_user {
	struct tap_user *next;
	bool frames; /* wants them too */
	void (*take)(struct tap_user *, uint32_t shard, const struct tape_record *);
	uint64_t lost_before;
};

struct taps *taps_create(struct shard **shards, uint32_t count); /* NULL: out of memory */
void taps_destroy(struct taps *); /* NULL: nothing */
/* From now on; 0 or -ENOMEM. */
int taps_join(struct taps *, struct tap_user *);
void taps_leave(struct taps *, struct tap_user *);
/* Gives what there is to all who look, the oldest first. */
void taps_drain(struct taps *);
/* Records that found no room on the tapes since this user joined. */
uint64_t taps_lost(const struct taps *, const struct tap_user *);

/* --- control_trace.c ---------------------------------------------------------------------------- */

struct tcp_trace;

#define TRACE_TEXT_MAX 320u

/* What happened and what the plugins made of it, in words. */
void trace_words(const struct tcp_trace *, ns_t at, char out[static TRACE_TEXT_MAX]);

#endif
