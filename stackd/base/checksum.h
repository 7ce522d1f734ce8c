/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.h - the Internet checksum (RFC 1071).  Sums are unfolded native-order partial sums;
 * a piece that starts at an odd offset of the datagram is summed with checksum_add_odd. */
#ifndef STACKD_BASE_CHECKSUM_H
#define STACKD_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Adds the bytes to a running sum; the data counts as if padded to an even length. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);
/* The same while copying. */
uint64_t checksum_copy(uint64_t sum, void *dst, const void *src, size_t len);
/* Adds a sum computed alone for a piece that begins at an odd offset. */
uint64_t checksum_add_odd(uint64_t sum, uint64_t piece);
/* The pseudo-header of TCP and ICMPv6 over IPv4 or IPv6 (by the addresses' family). */
uint64_t checksum_pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol, uint32_t len);
/* Folded, not complemented; in network order, to be stored with memcpy or put as is. */
uint16_t checksum_fold(uint64_t sum);
/* ~fold: the value for the header. */
uint16_t checksum_finish(uint64_t sum);

#endif
