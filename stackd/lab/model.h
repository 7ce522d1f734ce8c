/* SPDX-License-Identifier: BSD-2-Clause */
/* model.h - the book's Selective Repeat with k-bit packet numbers, which TCP has not: for what
 * depends on the numbers (fig. 3.27) and for individual ACKs, that a cumulative field can't say. */
#ifndef STACKD_LAB_MODEL_H
#define STACKD_LAB_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_EVENTS_MAX 64u

struct model_config {
	uint32_t numbers; /* 2^k; 0: as many as packets */
	uint32_t window, packets;
	uint32_t drop_data, drop_acks; /* bit n - 1: the nth transmission */
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
