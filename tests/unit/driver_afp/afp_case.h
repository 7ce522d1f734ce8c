/* SPDX-License-Identifier: BSD-2-Clause */
/* afp_case.h - what the tests of the AF_PACKET driver share: one lab, a driver on "va", frames of a
 * kernel peer. */
#ifndef AFP_CASE_H
#define AFP_CASE_H

#include <netinet/in.h>

#include "base/addr.h"
#include "driver/driver.h"
#include "net_lab.h"

extern struct net_lab lab;
extern const struct addr ours[2]; /* 10.99.0.2, fd99::2 */

struct seen {
	uint32_t count;
	struct frame last;
	uint8_t head[128]; /* of the last one */
};

ns_t clock_now(void);
struct driver *open_shard(uint32_t shard, uint32_t shards);
/* The only shard, receiving. */
struct driver *open_driver(void);
struct sockaddr_in to4(const char *address, uint16_t port);
/* One datagram from the peer's kernel. */
void peer_udp(const char *address, uint16_t port, const void *data, size_t len);
/* Receives until `want` frames of an EtherType have come or 300 ms are over; the peer's own
 * neighbour discovery may come between them. */
struct seen receive_type(struct driver *, uint32_t want, uint16_t ethertype);
/* The same of IPv4. */
struct seen receive(struct driver *, uint32_t want);

#endif
