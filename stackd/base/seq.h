/* SPDX-License-Identifier: BSD-2-Clause */
/* seq.h - 32-bit sequence numbers (RFC 9293 3.4) exist only where bytes meet the wire;
 * inside the core a position is a 64-bit offset.  seq_unwrap joins the two. */
#ifndef STACKD_BASE_SEQ_H
#define STACKD_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* The signed distance from b to a, in -2^31 .. 2^31-1. */
static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

/* The offset nearest to `near` whose wire form with initial number `base` is `seq`.
 * May be "negative" (as a wrapped uint64_t) for a segment from before the stream: callers
 * compare with (int64_t). */
static inline uint64_t seq_unwrap(uint32_t seq, uint32_t base, uint64_t near)
{
	return near + (uint64_t)(int64_t)seq_diff(seq - base, (uint32_t)near);
}

#endif
