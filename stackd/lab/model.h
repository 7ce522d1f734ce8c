/* SPDX-License-Identifier: BSD-2-Clause */
/* model.h - the book's Selective Repeat with k-bit packet numbers, for the one figure that depends on
 * them (fig. 3.27).  TCP's core can't be brought to it: its numbers have 32 bits, and no window has
 * more than 2^30 bytes (RFC 7323 2.3), so that an old segment is never within it. */
#ifndef STACKD_LAB_MODEL_H
#define STACKD_LAB_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_EVENTS_MAX 64u

struct model_config {
	uint32_t numbers; /* 2^k */
	uint32_t window, packets;
	uint32_t drop_acks; /* bit n - 1: the nth */
	uint32_t delay_ms, timeout_ms;
};

/* A transmission. */
struct model_event {
	uint32_t at_ms, number;
	bool ack, dropped, again;
};

struct model_result {
	uint32_t sent, again, acks;
	bool complete;
	bool wrong; /* the receiver took an old packet for a new one */
	uint32_t count;
	struct model_event event[MODEL_EVENTS_MAX];
};

void model_run(const struct model_config *, struct model_result *);

#endif
