/* SPDX-License-Identifier: BSD-2-Clause */
/* ack_common.h - the arrivals that no policy may delay, and how many segments one arrival is. */
#ifndef STACKD_PLUGINS_ACK_COMMON_H
#define STACKD_PLUGINS_ACK_COMMON_H

#include <stdio.h>

#include "stackd_plugin.h"

/* RFC 5681 4.2: duplicates, gaps and what fills one.  A FIN, because the peer waits for nothing
 * else.  CE, so that the echo isn't a delayed ACK late (RFC 8257 3.2). */
static inline bool ack_urgent(const struct sp_seg *s)
{
	return !s->in_order || s->duplicate || s->fills_gap || s->fin || s->ce;
}

/* A received super-segment counts as the full-sized segments it was made of. */
static inline uint64_t ack_segments(const struct sp_conn *c, const struct sp_seg *s)
{
	uint32_t mss = c->rcv_mss ? c->rcv_mss : 1;

	return (s->len + (uint64_t)mss - 1) / mss;
}

#endif
