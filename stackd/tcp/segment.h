/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.h - a TCP segment as the wire has it: parsing at one door, and writing headers. */
#ifndef STACKD_TCP_SEGMENT_H
#define STACKD_TCP_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/count.h"
#include "base/ring.h"
#include "net/net.h"

enum segment_flag {
	SEG_FIN = 1,
	SEG_SYN = 2,
	SEG_RST = 4,
	SEG_PSH = 8,
	SEG_ACK = 16,
	SEG_URG = 32,
	SEG_ECE = 64,
	SEG_CWR = 128,
};

#define SEGMENT_SACK_MAX  4u
#define SEGMENT_NO_WSCALE 255u

struct segment_options {
	uint16_t mss;   /* 0: none */
	uint8_t wscale; /* SEGMENT_NO_WSCALE: none */
	bool sack_permitted, has_ts;
	uint32_t tsval, tsecr;
	uint8_t sack_count;
	struct {
		uint32_t begin, end;
	} sack[SEGMENT_SACK_MAX];
};

/* A legal segment.  The part after `opt` is set once the connection is known. */
struct segment {
	const struct net_segment *net;
	struct endpoint local, remote; /* ours, theirs */
	uint32_t seq, ack;
	uint16_t window, urgent; /* as on the wire */
	uint8_t flags, header_len;
	uint32_t len; /* bytes of payload */
	struct segment_options opt;

	uint64_t off;     /* of the first payload byte */
	uint64_t ack_off; /* what it acknowledges */
};

/* Reads and checks a segment.  False: refused, *why says the counter. */
bool segment_parse(const struct net_segment *in, struct segment *out, enum count_id *why);

/* Copies payload bytes [from, from + len) of the segment to stream offset `off` of the ring. */
void segment_copy(const struct segment *s, uint32_t from, uint32_t len,
		  const struct byte_ring *ring, uint64_t off);

/* A header to be written. */
struct segment_head {
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags;
	struct segment_options opt;
};

/* Writes the header with its options, checksum 0; returns its length (20..60, MUST-69: padded with
 * zero or NOP).  SACK blocks that do not fit are left out. */
uint16_t segment_write(const struct segment_head *h, uint8_t out[static NET_TCP_HEADER_MAX]);

#endif
