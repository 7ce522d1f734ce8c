/* SPDX-License-Identifier: BSD-2-Clause */
/* net.h - the door of net/: Ethernet, ARP, neighbour discovery, IPv4, IPv6, ICMP, routes.
 *
 * One `struct net` per shard.  It calls its drivers and nobody above: what arrives for TCP is
 * returned.  No clock, no system call; `now` is an argument.  No allocation after net_create. */
#ifndef STACKD_NET_NET_H
#define STACKD_NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/pool.h"
#include "base/siphash.h"
#include "base/tape.h"
#include "driver/driver.h"

enum rx_csum { RX_CSUM_PARTIAL_OK, RX_CSUM_STRICT, RX_CSUM_TRUST };

struct net_if_config {
	struct driver *driver; /* not owned */
	struct prefix address[ADDRESSES_MAX]; /* own address with the on-link prefix length */
	uint32_t address_count;
	struct addr gateway4, gateway6; /* unspecified: none */
	enum rx_csum rx_csum;
	uint32_t mtu; /* 0: the driver's */
	char name[16];
};

struct net_config {
	struct net_if_config interface[INTERFACES_MAX];
	uint32_t interface_count;
	const struct memory *memory;
	struct counters *counters;
	struct siphash_key secret;
};

struct net;

/* Builds the shard's net and announces our addresses (gratuitous ARP, unsolicited NA; beside IPv6
 * addresses a link-local one is made from the MAC), which leaves with the first net_flush.  NULL
 * when out of memory. */
struct net *net_create(const struct net_config *, ns_t now);
void net_destroy(struct net *);

/* A TCP segment addressed to us, its IP header checked and its checksum verified. */
struct net_segment {
	struct addr src, dst;
	uint8_t tos;	   /* DSCP and ECN */
	uint8_t ttl;
	uint8_t interface;
	uint16_t gso_size; /* the payload is several segments of this size; 0: one */
	const uint8_t *l4; /* the TCP header; at least l4_linear bytes of the segment follow in memory */
	uint32_t l4_linear;
	uint32_t l4_len; /* TCP header and payload together */
	/* the rest, beyond l4_linear */
	const struct span *more;
	uint32_t more_count;
};

/* An ICMP error about a TCP segment that we are said to have sent. */
struct net_error {
	enum { NET_ERROR_SOFT, NET_ERROR_HARD, NET_ERROR_TOO_BIG } kind;
	int error; /* errno for the application: EHOSTUNREACH, ECONNREFUSED ... */
	struct addr local, remote;
	uint16_t local_port, remote_port;
	uint32_t seq;
	uint32_t mtu; /* TOO_BIG: the next hop's, 0 when the router didn't say */
};

/* A neighbour's address that was learned here; other shards are told by net_learn. */
struct net_neighbour {
	uint8_t interface;
	struct addr addr;
	uint8_t mac[6];
	bool confirmed; /* it answered a question: ours, or another shard's */
};

enum net_verdict {
	NET_DONE,      /* answered, consumed or dropped (counted) */
	NET_SEGMENT,   /* out->segment; valid until the frame is released */
	NET_ERROR,     /* out->error */
	NET_NEIGHBOUR, /* out->neighbour; already in this shard's table */
};

struct net_result {
	union {
		struct net_segment segment;
		struct net_error error;
		struct net_neighbour neighbour;
	};
};

enum net_verdict net_input(struct net *, uint32_t interface, const struct frame *, ns_t now,
			   struct net_result *out);
void net_learn(struct net *, const struct net_neighbour *, ns_t now);

/* What we send to our own addresses comes back here: the shard feeds these frames to net_input with
 * interface NET_LOOP.  Lends up to max, valid until the next call. */
#define NET_LOOP 255u
uint32_t net_loop(struct net *, struct frame *out, uint32_t max);

/* Where a destination is reached, cached by each connection (net_route again when it changes). */
struct net_route {
	struct addr src; /* our address on that interface */
	struct addr next_hop;
	uint32_t mtu;	   /* of the path: IP packet bytes */
	uint32_t gso_max;  /* IP packet bytes that one net_send may carry; == mtu without GSO */
	uint8_t interface;
	bool local; /* dst is one of our own addresses */
	uint32_t neighbour_hint; /* net's own */
};

/* What is confined to one interface names it plus 1; this is what isn't. */
#define NET_ANY 0u

/* 0; -ENETUNREACH; -EADDRNOTAVAIL when `src` (may be NULL or unspecified) is not ours;
 * -EINVAL for a multicast, broadcast or unspecified destination.  device: the only interface (plus
 * 1) that will do, by which our own addresses are not reached; NET_ANY: all. */
int net_route_by(struct net *, uint32_t device, const struct addr *dst, const struct addr *src,
		 struct net_route *out);
static inline int net_route(struct net *n, const struct addr *dst, const struct addr *src, struct net_route *out)
{
	return net_route_by(n, NET_ANY, dst, src, out);
}
/* True when `a` is an address of ours. */
bool net_is_local(const struct net *, const struct addr *a);
/* A smaller path MTU was learned for dst (RFC 1191, 8201); it ages out after ten minutes. */
void net_set_pmtu(struct net *, const struct addr *dst, uint32_t mtu, ns_t now);

#define NET_HEADROOM 64u /* bytes in front of the TCP header that net_send may write */
#define NET_TCP_HEADER_MAX 60u

/* One TCP segment (or, with gso_size, several) to send. */
struct net_send {
	const struct addr *src, *dst;
	uint8_t tos, ttl; /* ttl 0: 64 */
	uint8_t *l4;	   /* the TCP header in the caller's buffer, NET_HEADROOM bytes free in front;
			      its checksum field is filled here */
	uint16_t l4_len;   /* header bytes */
	uint16_t gso_size; /* payload bytes per segment; 0: one segment */
	uint8_t data_count;
	struct span data[2]; /* valid until net_flush */
};

/* 0: sent, or waiting for the neighbour; -ENOBUFS: the driver has no room, try after flush;
 * -EHOSTUNREACH: the neighbour does not answer. */
int net_send(struct net *, struct net_route *, const struct net_send *, ns_t now);
/* One flush for all interfaces; then timers: neighbours' retries and ageing. */
void net_flush(struct net *, ns_t now);
/* Frames that leave are copied there; NULL: not any more. */
void net_set_tape(struct net *, struct tape *);
/* When net_flush wants to be called by itself (retries, ageing), NS_NEVER. */
ns_t net_deadline(const struct net *);

struct net_neighbour_info {
	struct addr addr;
	uint8_t mac[6];
	uint8_t interface;
	const char *state; /* "reachable", "stale", "probe", "incomplete", "failed" */
	ns_t age_ns;
};
/* Neighbours from index *at on; returns false at the end. */
bool net_next_neighbour(const struct net *, uint32_t *at, ns_t now, struct net_neighbour_info *out);

#endif
