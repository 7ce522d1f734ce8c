/* SPDX-License-Identifier: BSD-2-Clause */
/* edit.h - changes a frame on its way: finds its TCP header without the stack's parser, strips
 * options, makes its checksums right again. */
#ifndef STACKD_TESTS_EDIT_H
#define STACKD_TESTS_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#define EDIT_ETH_BYTES 14u

enum { EDIT_MSS = 2, EDIT_WSCALE = 3, EDIT_SACK_PERMITTED = 4, EDIT_SACK = 5, EDIT_TIMESTAMPS = 8 };

struct edit {
	uint8_t *frame, *ip, *tcp, *data;
	uint32_t frame_len, tcp_len, data_len; /* tcp_len: header and data */
	bool v6;
};

/* False: not TCP in one piece, or malformed. */
bool edit_begin(struct edit *, uint8_t *frame, uint32_t len);
/* The option's bytes, its kind first; NULL: it isn't there. */
uint8_t *edit_option(const struct edit *, uint8_t kind);
/* NOPs in its place, each time that it occurs. */
void edit_strip(const struct edit *, uint8_t kind);
/* The same segment with other data: writes a frame to `out` and returns its length. */
uint32_t edit_with_data(const struct edit *, const uint8_t *data, uint32_t len, uint8_t *out);
/* IPv4 header, TCP, ICMP and ICMPv6: whichever it is.  What is cut short stays as it is. */
void edit_sums(uint8_t *frame, uint32_t len);

#endif
