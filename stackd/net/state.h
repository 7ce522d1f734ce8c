/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h - what the files of net/ share: the state of one shard's net and the calls between them.
 *
 * Nothing outside net/ includes this.  All of it is used by the shard's thread only. */
#ifndef STACKD_NET_STATE_H
#define STACKD_NET_STATE_H

#include "base/limits.h"
#include "base/list.h"
#include "base/table.h"
#include "net/net.h"
#include "net/wire.h"

/* --- limits and times of net/ -------------------------------------------------------------- */

#define NEIGH_ASK_INTERVAL_NS NS_PER_S        /* RFC 4861 10: RETRANS_TIMER */
#define NEIGH_ASK_MAX         3u              /* MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT */
#define NEIGH_REACHABLE_NS    (30 * NS_PER_S) /* REACHABLE_TIME */
#define NEIGH_HOLD_NS         NS_PER_S        /* a failed neighbour is not asked again so long */

#define ANSWERS_MAX 64u /* packets of our own (ICMP) between two flushes */
#define SLOTS_MAX   (NEIGHBOUR_QUEUE_MAX + ANSWERS_MAX)
#define SLOT_BYTES  (FRAME_LINEAR_MAX + NET_HEADROOM)

#define ICMP_BURST       50u /* refusals that we send at once, and how often one more */
#define ICMP_INTERVAL_NS (10 * NS_PER_MS)

#define PMTU_SETS 64u
#define PMTU_WAYS 4u

#define LOOP_SLOTS      64u /* a power of two */
#define LOOP_SLOT_BYTES 65536u
#define LOOP_MTU        (FRAME_GSO_MAX - ETH_BYTES)

#define TRIMS_MAX FRAME_BURST_MAX

/* --- state ------------------------------------------------------------------------- */

struct net_if {
	struct driver *driver; /* not owned */
	enum rx_csum rx_csum;
	uint32_t mtu, gso_max; /* IP packet bytes */
	bool tx_csum, has_ip6;
	uint8_t index, mac[MAC_BYTES];
	uint32_t address_count, broadcast4_count, not_source_count;
	struct prefix address[ADDRESSES_MAX + 1]; /* as configured, then the IPv6 link-local one */
	struct addr broadcast4[ADDRESSES_MAX];    /* of the IPv4 prefixes */
	struct addr not_source[2 * ADDRESSES_MAX + 1]; /* both: what no packet may come from */
	struct addr gateway4, gateway6;
};

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE, /* asked, no answer yet: packets wait */
	NEIGH_REACHABLE,  /* confirmed, until `due` */
	NEIGH_STALE,      /* known, confirmation is old; asked again when used */
	NEIGH_PROBE,      /* known, used, being asked */
	NEIGH_FAILED,     /* did not answer; not asked again until `due` */
};

struct neighbour {
	struct table_node node;
	struct addr addr;
	ns_t due, used, since; /* used: by a send, 0 never; since: in this state, or confirmed */
	uint32_t generation;   /* of this place in the table, for hints */
	uint8_t interface, state, asked;
	struct eth_wire eth; /* the header of frames to it */
};

/* A packet that net owns: an answer until the next flush, or one that waits for a neighbour. */
struct slot {
	struct list node;
	uint32_t neighbour;
	struct tx_frame frame;
	uint8_t bytes[SLOT_BYTES];
};

struct pmtu {
	struct addr dst;
	uint32_t mtu; /* 0: free */
	ns_t until;
};

struct net {
	const struct memory *memory;
	struct counters *counters;
	struct siphash_key secret;
	ns_t now; /* the latest time we were told */
	struct tape *tape; /* NULL: nobody looks */
	uint32_t interface_count;
	uint16_t ip4_id;
	struct net_if interface[INTERFACES_MAX];

	struct neighbour *neighbour; /* NEIGHBOURS_MAX */
	struct table neighbours;
	ns_t neigh_due; /* no question is due before; NS_NEVER */

	struct slot *slot;                                 /* SLOTS_MAX */
	struct list slots_free, slots_sent, slots_waiting; /* waiting: the oldest first */
	uint32_t waiting_count, sent_count;

	struct pmtu (*pmtu)[PMTU_WAYS]; /* PMTU_SETS */

	uint32_t icmp_tokens;
	ns_t icmp_refilled;

	uint8_t *loop; /* LOOP_SLOTS of LOOP_SLOT_BYTES */
	uint32_t loop_len[LOOP_SLOTS];
	uint16_t loop_gso_size[LOOP_SLOTS];
	uint32_t loop_head, loop_lent, loop_tail; /* written, lent, free again */

	uint32_t trim_next;
	struct span trim[TRIMS_MAX][FRAME_SPANS_MAX];
};

/* A packet on its way in: each layer fills its part before it calls the next. */
struct packet {
	const struct frame *frame;
	const struct net_if *iface; /* NULL: it comes from ourselves */
	ns_t now;
	const struct eth_wire *eth;
	bool group; /* to a group of ours, by MAC or IP address */
	/* ip */
	struct addr src, dst;
	const uint8_t *ip;
	uint32_t ip_len; /* of the packet as its header says */
	uint8_t tos, ttl, protocol;
	/* layer 4, cut to the packet's length */
	const uint8_t *l4;
	uint32_t l4_linear, l4_len;
	const struct span *more;
	uint32_t more_count;
};

/* --- frame.c: bytes spread over spans ------------------------------------------------------------
 */

/* Sets l4 and its spans to what follows the first `header` bytes of the IP packet. */
void frame_cut(struct net *, struct packet *, uint32_t header);
/* The sum of layer 4 over all its spans, added to `sum`. */
uint64_t frame_sum(const struct packet *, uint64_t sum);
/* Copies up to max bytes of layer 4; returns how many. */
uint32_t frame_gather(const struct packet *, uint8_t *out, uint32_t max);

/* --- eth.c -------------------------------------------------------------------------------------
 */

extern const uint8_t eth_broadcast[MAC_BYTES];
/* True when the frame is for us; sets p->group. */
bool eth_accept(struct net *, struct packet *);
void eth_header(struct eth_wire *, const uint8_t dst[MAC_BYTES], const struct net_if *,
		uint16_t type);
/* RFC 2464 7 */
void eth_group_mac(const struct addr *group, uint8_t mac[MAC_BYTES]);
static inline bool eth_is_group(const uint8_t mac[MAC_BYTES])
{
	return mac[0] & 1;
}
/* A MAC that a neighbour can have: not a group, not zero. */
bool eth_is_station(const uint8_t mac[MAC_BYTES]);

/* --- arp.c, nd.c -------------------------------------------------------------------------------
 */

enum net_verdict arp_input(struct net *, struct packet *, struct net_result *);
/* mac: whom to ask, NULL all */
void arp_ask(struct net *, const struct net_if *, const struct addr *target, const uint8_t *mac);
void arp_announce(struct net *, const struct net_if *, const struct addr *own);

enum net_verdict nd_input(struct net *, struct packet *, struct net_result *);
void nd_ask(struct net *, const struct net_if *, const struct addr *target, const uint8_t *mac);
void nd_announce(struct net *, const struct net_if *, const struct addr *own);
/* True when `group` is the solicited-node group (RFC 4291 2.7.1) of an address of ours. */
bool nd_is_own_group(const struct net_if *, const struct addr *group);

/* --- neigh.c -----------------------------------------------------------------------------------
 */

enum neigh_use { NEIGH_USE_SEND, NEIGH_USE_WAIT, NEIGH_USE_DEAD };
enum { NEIGH_CONFIRMED = 1, NEIGH_OVERRIDE = 2, NEIGH_CREATE = 4 };

int neigh_init(struct net *);
void neigh_destroy(struct net *);
/* The entry, made and asked for if there was none; NULL (counted) when the table is full. */
struct neighbour *neigh_get(struct net *, uint8_t interface, const struct addr *, ns_t now);
struct neighbour *neigh_find(struct net *, uint8_t interface, const struct addr *);
/* A packet wants to go there: what to do with it. */
enum neigh_use neigh_use(struct net *, struct neighbour *, ns_t now);
/* A neighbour's MAC was heard; mac NULL: it answered without saying.  True when that is news. */
bool neigh_learn(struct net *, uint8_t interface, const struct addr *, const uint8_t *mac,
		 unsigned flags, ns_t now);
void neigh_timers(struct net *, ns_t now);

static inline uint32_t neigh_index(const struct net *net, const struct neighbour *n)
{
	return (uint32_t)(n - net->neighbour);
}

#define NEIGH_HINT_BITS 10u
static_assert(NEIGHBOURS_MAX <= 1u << NEIGH_HINT_BITS, "an index fits in a hint");

/* Never 0: generations begin at 1. */
static inline uint32_t neigh_hint(const struct net *net, const struct neighbour *n)
{
	return n->generation << NEIGH_HINT_BITS | neigh_index(net, n);
}

/* The entry that a hint was made for, NULL when its place has been given to another. */
static inline struct neighbour *neigh_of_hint(struct net *net, uint32_t hint)
{
	struct neighbour *n = &net->neighbour[hint & (NEIGHBOURS_MAX - 1)];

	return neigh_hint(net, n) == hint ? n : NULL;
}

/* --- ipv4.c, ipv6.c ------------------------------------------------------------------------------
 */

enum net_verdict ip4_input(struct net *, struct packet *, struct net_result *);
enum net_verdict ip6_input(struct net *, struct packet *, struct net_result *);

struct ip_fields {
	const struct addr *src, *dst;
	uint8_t tos, ttl, protocol;
	uint32_t l4_len;
};
/* Each writes the header in front of `l4` and returns where it begins. */
uint8_t *ip4_header(struct net *, uint8_t *l4, const struct ip_fields *);
uint8_t *ip6_header(uint8_t *l4, const struct ip_fields *);

/* --- l4.c ----------------------------------------------------------------------------------------
 */

/* A TCP segment: its checksum by the interface's policy, then out. */
enum net_verdict l4_segment(struct net *, struct packet *, struct net_result *);

/* --- icmp.c, icmp6.c --------------------------------------------------------------- */

enum net_verdict icmp_input(struct net *, struct packet *, struct net_result *);
enum net_verdict icmp6_input(struct net *, struct packet *, struct net_result *);
/* Tells the sender that its packet is refused, when that is allowed and within the rate limit;
 * rest: the four bytes after the checksum. */
void icmp_refuse(struct net *, const struct packet *, uint8_t type, uint8_t code);
void icmp6_refuse(struct net *, const struct packet *, uint8_t type, uint8_t code, uint32_t rest);
bool icmp_may_send(struct net *, const struct packet *);
/* Answers an echo request with `reply_type`. */
void icmp_echo(struct net *, const struct packet *, uint8_t reply_type);
/* The quoted TCP segment of an error: sets ports and sequence number. */
void icmp_quote(struct net_error *, const struct tcp_quote_wire *);

/* --- route.c, pmtu.c --------------------------------------------------------------- */

bool if_owns(const struct net_if *, const struct addr *);
/* Multicast, broadcast, unspecified: nothing that one host can be. */
bool if_is_group(const struct net_if *, const struct addr *);
bool if_is_on_link(const struct net_if *, const struct addr *);
/* Our address on the interface to speak to `dst` from; NULL when there is none of the family. */
const struct addr *if_source(const struct net_if *, const struct addr *dst);
/* True for a source that no packet may come from: a group, loopback, reserved, our own. */
bool ip_bad_source(const struct packet *);
bool ip_is_loopback(const struct addr *);
uint32_t pmtu_of(const struct net *, const struct addr *dst, uint32_t mtu);

/* --- output.c ---------------------------------------------------------------------- */

/* A slot whose message begins at slot_message(); NULL (counted) when too many are out. */
struct slot *slot_take(struct net *);
static inline uint8_t *slot_message(struct slot *s)
{
	return s->bytes + NET_HEADROOM;
}
#define SLOT_MESSAGE_MAX (SLOT_BYTES - NET_HEADROOM)
/* Sends the message of len bytes, whose first 8 are its header and whose checksum is done. */
void slot_send(struct net *, struct slot *, const struct ip_fields *, ns_t now);
/* Sends what waits for this neighbour; or gives it up. */
void slots_resolved(struct net *, struct neighbour *, ns_t now);
void slots_failed(struct net *, const struct neighbour *);
void slots_flushed(struct net *);
void slots_init(struct net *);
/* A short frame (ARP, ND) that the driver copies at once. */
void output_short(struct net *, const struct net_if *, const uint8_t *frame, uint32_t len,
		  bool ip6);

/* --- loop.c ------------------------------------------------------------------------ */

int loop_send(struct net *, const uint8_t *ip, const struct net_send *);
static inline bool loop_pending(const struct net *net)
{
	return net->loop_head != net->loop_lent;
}

#endif
