/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - a driver whose other end is the script: IP packets without a link in between. */
#ifndef STACKD_PACKETDRILL_WIRE_H
#define STACKD_PACKETDRILL_WIRE_H

#include "driver/driver.h"

struct wire_packet {
	struct wire_packet *next;
	ns_t at; /* when it was sent */
	uint32_t len;
	uint8_t bytes[]; /* from the IP header */
};

/* NULL: out of memory. */
struct driver *wire_open(uint32_t mtu);
/* The next rx lends this packet; it is copied.  False: it is no IP packet, or larger than any. */
bool wire_put(struct driver *, const void *packet, size_t len);
/* The oldest packet that was sent and not taken yet, to be freed; NULL: none. */
struct wire_packet *wire_take(struct driver *);

#endif
