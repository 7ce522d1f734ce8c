/* SPDX-License-Identifier: BSD-2-Clause */
/* seen.h - a TCP segment as it stands in a frame, read without the stack's own parser, so that what
 * the stack says of itself can be checked against it. */
#ifndef STACKD_LAB_SEEN_H
#define STACKD_LAB_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_FIN = 1, SEEN_SYN = 2, SEEN_RST = 4, SEEN_PSH = 8, SEEN_ACK = 16, SEEN_URG = 32 };

struct seen {
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint16_t window; /* as in the header, not scaled */
	uint8_t flags;	 /* SEEN_ bits */
	uint32_t len;	 /* bytes of data */
	const uint8_t *data;
	uint16_t mss; /* options; 0: none */
	bool has_wscale, has_ts, sack_permitted;
	uint8_t wscale;
	uint32_t tsval, tsecr;
	uint32_t sack_count;
	struct {
		uint32_t begin, end;
	} sack[4];
};

/* False: not TCP over IPv4 or IPv6, or malformed.  Checksums are not looked at. */
bool seen_parse(const uint8_t *frame, uint32_t len, struct seen *out);
/* Of IP header and TCP: for frames that may have been damaged. */
bool seen_sums_are_right(const uint8_t *frame, uint32_t len);

#endif
