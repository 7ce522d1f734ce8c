/* SPDX-License-Identifier: BSD-2-Clause */
/* individual.h - the book's individual ACK on a link between two TCPs.  A TCP's ACK number covers all
 * that has come, also what an ACK that was lost should have told.  Here a link takes that out: an ACK
 * says that the segment which asked for it has come (as a SACK block), and of others only what such
 * ACKs have told before. */
#ifndef STACKD_LAB_INDIVIDUAL_H
#define STACKD_LAB_INDIVIDUAL_H

#include <stdint.h>

#include "base/range.h"

#define INDIVIDUAL_FRAME_MAX 128u

/* Writes what goes instead of `frame`, a bare ACK over IPv4 without options: `told` and the segment
 * `asked` (offsets of the stream whose initial sequence number is `iss`), the latter as a SACK block
 * unless the ACK number covers it.  Returns the length; 0: it is no such frame. */
uint32_t individual_ack(const uint8_t *frame, uint32_t len, const struct ranges *told, struct range asked,
			uint32_t iss, uint8_t out[static INDIVIDUAL_FRAME_MAX]);

#endif
