/* SPDX-License-Identifier: BSD-2-Clause */
/* split.h - cuts a large TCP frame into the segments that it was, or could have been, sent as. */
#ifndef STACKD_DRIVER_SPLIT_H
#define STACKD_DRIVER_SPLIT_H

#include "driver/driver.h"

#define SPLIT_HEADER_MAX 134u /* Ethernet, 60 bytes of IP, 60 bytes of TCP */

/* What the TCP checksum of a frame turned out to be. */
enum split_sum {
	SPLIT_SUM_FULL,    /* each segment gets its own full sum */
	SPLIT_SUM_PARTIAL, /* nobody said so, but only the pseudo-header is summed: keep it so */
	SPLIT_SUM_WRONG,   /* each segment stays as wrong as the whole was */
};

struct split {
	const struct frame *frame;
	uint8_t head[SPLIT_HEADER_MAX];
	uint16_t ip_len, head_len; /* IP header; Ethernet to TCP options */
	bool ipv6;
	uint32_t payload, mss, done;
	uint16_t index;
	enum split_sum sum;
	uint8_t csum; /* enum frame_csum of the segments */
};

/* Copies [off, off + len) of a frame's spans.  The range lies within the frame. */
void frame_copy(const struct frame *f, uint32_t off, void *dst, uint32_t len);

/* True when f is a TCP frame that has to be cut: gso_size is set and smaller than its payload, or
 * it is longer than mtu + 14.  The frame must stay until the last split_next. */
bool split_begin(struct split *s, const struct frame *f, uint32_t mtu);
/* Writes the next segment (mtu + 14 bytes at most for a frame whose gso_size fits the mtu) and
 * returns its length; 0 after the last, or when it is longer than `room`. */
uint32_t split_next(struct split *s, uint8_t *out, uint32_t room);

/* Where the TCP, UDP or ICMPv6 checksum of a whole contiguous frame lies; 0 when it has none, is
 * not IP, is cut short or is a fragment. */
uint32_t frame_sum_offset(const uint8_t *frame, uint32_t len);
/* Writes the full layer-4 checksum into a frame that has one. */
void frame_sum_fill(uint8_t *frame, uint32_t len);
/* True when the checksum field holds no more than the folded pseudo-header sum. */
bool frame_sum_is_partial(const uint8_t *frame, uint32_t len);

#endif
