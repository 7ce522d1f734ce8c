/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h - what the tests of net/ stand on: a net with two interfaces whose drivers record what is
 * sent, and crafted packets with checksums computed by a second, plain implementation. */
#ifndef TESTS_NET_WORLD_H
#define TESTS_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/checksum.h"
#include "net/net.h"

#define SECOND     NS_PER_S
#define T0         (1000 * SECOND) /* the time at which a world is made */
#define RECORD_MAX 300u

struct record {
	uint32_t len, data_count;
	uint16_t gso_size, csum_start;
	bool csum_partial, flushed;
	struct span data[2];
	uint8_t bytes[70000];
};

struct fake {
	struct driver driver;
	struct record *record; /* RECORD_MAX */
	uint32_t count;
	int fail; /* what tx returns; 0: takes the frame */
};

/* if0: 10.0.0.1/24, fd00::1/64, fe80 of its MAC; gateways 10.0.0.254, fd00::fe
 * if1: 10.1.0.1/16, 10.1.7.1/24, fd01::1/64; no gateway */
struct world {
	struct fake fake[2];
	struct memory memory;
	struct counters counters;
	struct net *net;
	struct net_result out;
	ns_t now;
	int taken; /* blocks of memory out */
};

struct world_options {
	bool tx_csum;
	uint32_t gso_max;
	enum rx_csum rx_csum;
	bool only4;
};

struct world *world_make(const struct world_options *);
void world_free(struct world *);
int world_setup(void **state);
int world_teardown(void **state);
/* Forgets what was recorded and counted. */
void world_quiet(struct world *);
uint64_t counted(const struct world *, enum count_id);
/* Moves the clock, flushes; what was sent is complete then. */
void world_pass(struct world *, ns_t by);

/* Feeds a frame in memory of exactly its size. */
enum net_verdict feed(struct world *, uint32_t interface, const uint8_t *bytes, uint32_t len);
/* The same in spans of the given first lengths, the last takes the rest; gone with feed_release. */
enum net_verdict feed_spans(struct world *, const uint8_t *bytes, uint32_t len, const uint32_t *cut,
			    uint32_t cuts, uint8_t csum);
void feed_release(void);

extern const uint8_t mac_if[2][6], mac_peer[6], mac_all[6];
struct addr A(const char *text);

/* --- crafting: each returns the length of what it wrote ---------------------------- */

uint16_t plain_sum(const void *data, uint32_t len, uint32_t sum);
uint32_t put_eth(uint8_t *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type);
uint32_t put_arp(uint8_t *f, const uint8_t dst[6], uint16_t op, const char *sender,
		 const uint8_t smac[6], const char *target);
/* A whole frame from the peer's MAC to interface 0's around a layer-4 message (copied, TCP and ICMP
 * sums filled in). */
uint32_t put_ip4(uint8_t *f, const char *src, const char *dst, uint8_t protocol, const void *l4,
		 uint32_t len);
uint32_t put_ip6(uint8_t *f, const char *src, const char *dst, uint8_t protocol, const void *l4,
		 uint32_t len);
void fix_ip4(uint8_t *f); /* the header's sum again */
/* A TCP segment with a 20-byte header. */
uint32_t put_tcp(uint8_t *l4, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t payload);
/* Neighbour discovery: an option of type `option` with the peer's MAC, 0 none. */
uint32_t put_nd(uint8_t *l4, uint8_t type, uint8_t flags, const char *target, uint8_t option,
		const uint8_t mac[6]);

/* The peer of interface 0 becomes known and confirmed: asked by a send, answered. */
void know_peer4(struct world *, const char *addr);
void know_peer6(struct world *, const char *addr);
/* Sends a TCP segment of `payload` bytes. */
int send_tcp(struct world *, struct net_route *, const char *dst, uint32_t payload,
	     uint16_t gso_size);
/* "reachable", ...; NULL when not in the table */
const char *neighbour_state(struct world *, const char *addr);
/* Checks every sum in a recorded frame that says nothing of a partial one. */
void assert_sums(const struct record *);

#endif
