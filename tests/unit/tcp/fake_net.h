/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_net.h - a net of one address that keeps what is sent, for tests of tcp/. */
#ifndef TESTS_TCP_FAKE_NET_H
#define TESTS_TCP_FAKE_NET_H

#include "net/net.h"

#define FAKE_PACKETS_MAX 1024u

struct fake_packet {
	struct addr src, dst;
	uint8_t tos, ttl;
	uint16_t gso_size;
	uint32_t len;
	uint8_t l4[]; /* len bytes */
};

struct net {
	struct addr own;
	uint32_t mtu, gso_max;
	int refuse;          /* what net_send returns instead of taking a segment */
	bool tolerant;       /* takes segments larger than it should */
	uint32_t room;       /* segments until it is full */
	uint32_t begin, end; /* of the queue */
	struct fake_packet *queue[FAKE_PACKETS_MAX];
};

void fake_net_init(struct net *, const struct addr *own, uint32_t mtu, uint32_t gso_max);
void fake_net_done(struct net *);
/* The oldest segment that was sent; NULL: none.  The caller frees it. */
struct fake_packet *fake_net_take(struct net *);
/* As net would hand it up. */
struct net_segment fake_segment(const struct fake_packet *);

#endif
