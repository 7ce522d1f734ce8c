/* SPDX-License-Identifier: BSD-2-Clause */
/* neigh.c - the neighbour table, one for ARP and ND: who is known, who is being asked.
 *
 *   (none) --send--> INCOMPLETE --answer--> REACHABLE --30 s--> STALE --send--> PROBE --answer-->
 * REACHABLE | 3 x 1 s                                               | 3 x 1 s
 *                        +--> FAILED, held for 1 s                               +--> FAILED, no
 * hold
 *
 * RFC 4861 7.3 without DELAY: nobody above confirms reachability, so waiting for it is in vain.
 * Only INCOMPLETE and PROBE have a timer; the rest ages when it is looked at, so that an idle
 * shard sleeps.  When the table is full, the entry longest without use makes room; entries in use
 * never do, so that asking for us from many addresses costs nobody his neighbour. */
#include "net/state.h"

#include <errno.h>
#include <string.h>

static const char *const state_name[] = {
    [NEIGH_FREE] = "free",   [NEIGH_INCOMPLETE] = "incomplete", [NEIGH_REACHABLE] = "reachable",
    [NEIGH_STALE] = "stale", [NEIGH_PROBE] = "probe",           [NEIGH_FAILED] = "failed",
};

int neigh_init(struct net *net)
{
	net->neigh_due = NS_NEVER;
	net->neighbour =
	    net->memory->take(net->memory->ctx, NEIGHBOURS_MAX * sizeof(struct neighbour));
	if (!net->neighbour)
		return -ENOMEM;
	return table_init(&net->neighbours, net->memory, NEIGHBOURS_MAX);
}

void neigh_destroy(struct net *net)
{
	if (!net->neighbour)
		return;
	if (net->neighbours.bucket)
		table_destroy(&net->neighbours);
	net->memory->give(net->memory->ctx, net->neighbour,
			  NEIGHBOURS_MAX * sizeof(struct neighbour));
}

static uint64_t neigh_hash(const struct net *net, uint8_t interface, const struct addr *a)
{
	uint8_t key[17];

	memcpy(key, a->b, 16);
	key[16] = interface;
	return siphash(&net->secret, key, sizeof(key));
}

struct neighbour *neigh_find(struct net *net, uint8_t interface, const struct addr *a)
{
	uint64_t hash = neigh_hash(net, interface, a);

	table_for_hash(node, &net->neighbours, hash)
	{
		struct neighbour *n = container_of(node, struct neighbour, node);

		if (n->interface == interface && addr_equal(&n->addr, a))
			return n;
	}
	return NULL;
}

/* --- making room ---------------------------------------------------------------------------------
 */

static bool neigh_in_use(const struct neighbour *n, ns_t now)
{
	if (n->state == NEIGH_INCOMPLETE || n->state == NEIGH_PROBE)
		return true;
	return n->state != NEIGH_FAILED && n->used && now - n->used < NEIGH_REACHABLE_NS;
}

/* A free place, or that of the entry longest without use; NULL when all are in use. */
static struct neighbour *neigh_place(struct net *net, ns_t now)
{
	struct neighbour *best = NULL;

	for (uint32_t i = 0; i < NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &net->neighbour[i];

		if (n->state == NEIGH_FREE)
			return n;
		if (neigh_in_use(n, now))
			continue;
		if (!best || n->used < best->used ||
		    (n->used == best->used && n->since < best->since))
			best = n;
	}
	return best;
}

static struct neighbour *neigh_make(struct net *net, uint8_t interface, const struct addr *a,
				    ns_t now)
{
	struct neighbour *n = neigh_place(net, now);
	uint32_t generation;

	if (!n) {
		count(net->counters, COUNT_neigh_full);
		return NULL;
	}
	if (n->state != NEIGH_FREE)
		table_remove(&net->neighbours, &n->node);
	generation = (n->generation + 1) & (UINT32_MAX >> NEIGH_HINT_BITS);
	*n = (struct neighbour){.addr = *a,
				.interface = interface,
				.generation = generation ? generation : 1,
				.since = now};
	table_insert(&net->neighbours, &n->node, neigh_hash(net, interface, a));
	return n;
}

/* --- asking --------------------------------------------------------------------------------------
 */

static void neigh_ask(struct net *net, struct neighbour *n, ns_t now)
{
	const struct net_if *iface = &net->interface[n->interface];
	const uint8_t *mac = n->state == NEIGH_PROBE ? n->eth.dst : NULL;

	n->asked++;
	n->due = now + NEIGH_ASK_INTERVAL_NS;
	if (n->due < net->neigh_due)
		net->neigh_due = n->due;
	if (addr_is4(&n->addr))
		arp_ask(net, iface, &n->addr, mac);
	else
		nd_ask(net, iface, &n->addr, mac);
}

static void neigh_enter(struct neighbour *n, enum neigh_state state, ns_t now)
{
	n->state = (uint8_t)state;
	n->since = now;
	n->asked = 0;
}

struct neighbour *neigh_get(struct net *net, uint8_t interface, const struct addr *a, ns_t now)
{
	struct neighbour *n = neigh_find(net, interface, a);

	if (n)
		return n;
	n = neigh_make(net, interface, a, now);
	if (!n)
		return NULL;
	neigh_enter(n, NEIGH_INCOMPLETE, now);
	neigh_ask(net, n, now);
	return n;
}

enum neigh_use neigh_use(struct net *net, struct neighbour *n, ns_t now)
{
	n->used = now;
	switch ((enum neigh_state)n->state) {
	case NEIGH_REACHABLE:
		if (now < n->due)
			return NEIGH_USE_SEND;
		/* fall through */
	case NEIGH_STALE:
		neigh_enter(n, NEIGH_PROBE, now);
		neigh_ask(net, n, now);
		return NEIGH_USE_SEND;
	case NEIGH_PROBE:
		return NEIGH_USE_SEND;
	case NEIGH_FAILED:
		if (now < n->due)
			return NEIGH_USE_DEAD;
		neigh_enter(n, NEIGH_INCOMPLETE, now);
		neigh_ask(net, n, now);
		return NEIGH_USE_WAIT;
	case NEIGH_INCOMPLETE:
	case NEIGH_FREE:
		break;
	}
	assert(n->state == NEIGH_INCOMPLETE);
	return NEIGH_USE_WAIT;
}

static void neigh_give_up(struct net *net, struct neighbour *n, ns_t now)
{
	/* whoever was known may have moved: it is asked for again at once, by all */
	ns_t hold = n->state == NEIGH_PROBE ? 0 : NEIGH_HOLD_NS;

	neigh_enter(n, NEIGH_FAILED, now);
	n->due = now + hold;
	slots_failed(net, n);
}

void neigh_timers(struct net *net, ns_t now)
{
	if (now < net->neigh_due)
		return;
	net->neigh_due = NS_NEVER;
	for (uint32_t i = 0; i < NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &net->neighbour[i];

		if (n->state != NEIGH_INCOMPLETE && n->state != NEIGH_PROBE)
			continue;
		if (now < n->due) {
			if (n->due < net->neigh_due)
				net->neigh_due = n->due;
		} else if (n->asked < NEIGH_ASK_MAX) {
			neigh_ask(net, n, now);
		} else {
			neigh_give_up(net, n, now);
		}
	}
}

/* --- learning ------------------------------------------------------------------------------------
 */

static void neigh_set_mac(const struct net *net, struct neighbour *n, const uint8_t *mac)
{
	eth_header(&n->eth, mac, &net->interface[n->interface],
		   addr_is4(&n->addr) ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
}

static void neigh_confirm(struct neighbour *n, ns_t now)
{
	neigh_enter(n, NEIGH_REACHABLE, now);
	n->due = now + NEIGH_REACHABLE_NS;
}

/* No MAC was known: INCOMPLETE, FAILED and what has just been made. */
static bool neigh_resolve(struct net *net, struct neighbour *n, const uint8_t *mac, unsigned flags,
			  ns_t now)
{
	if (!mac)
		return false;
	neigh_set_mac(net, n, mac);
	if (flags & NEIGH_CONFIRMED)
		neigh_confirm(n, now);
	else
		neigh_enter(n, NEIGH_STALE, now);
	slots_resolved(net, n, now);
	return true;
}

/* RFC 4861 7.2.5, the table of appendix C */
bool neigh_learn(struct net *net, uint8_t interface, const struct addr *a, const uint8_t *mac,
		 unsigned flags, ns_t now)
{
	struct neighbour *n = neigh_find(net, interface, a);
	bool differs;

	if (!n && (flags & NEIGH_CREATE) && mac)
		n = neigh_make(net, interface, a, now);
	if (!n)
		return false;
	if (n->state == NEIGH_FREE || n->state == NEIGH_INCOMPLETE || n->state == NEIGH_FAILED)
		return neigh_resolve(net, n, mac, flags, now);
	differs = mac && memcmp(n->eth.dst, mac, MAC_BYTES) != 0;
	if (differs && !(flags & NEIGH_OVERRIDE)) {
		if (n->state == NEIGH_REACHABLE)
			neigh_enter(n, NEIGH_STALE, now);
		return false;
	}
	if (differs) {
		neigh_set_mac(net, n, mac);
		neigh_enter(n, NEIGH_STALE, now);
	}
	if (flags & NEIGH_CONFIRMED)
		neigh_confirm(n, now);
	return differs;
}

void net_learn(struct net *net, const struct net_neighbour *l, ns_t now)
{
	if (l->interface >= net->interface_count)
		return;
	neigh_learn(net, l->interface, &l->addr, l->mac,
		    NEIGH_OVERRIDE | NEIGH_CREATE | (l->confirmed ? NEIGH_CONFIRMED : 0u), now);
}

bool net_next_neighbour(const struct net *net, uint32_t *at, ns_t now,
			struct net_neighbour_info *out)
{
	const struct neighbour *n;
	uint8_t state;

	while (*at < NEIGHBOURS_MAX && net->neighbour[*at].state == NEIGH_FREE)
		(*at)++;
	if (*at >= NEIGHBOURS_MAX)
		return false;
	n = &net->neighbour[(*at)++];
	state = n->state == NEIGH_REACHABLE && now >= n->due ? NEIGH_STALE : n->state;
	*out = (struct net_neighbour_info){.addr = n->addr,
					   .interface = n->interface,
					   .state = state_name[state],
					   .age_ns = now > n->since ? now - n->since : 0};
	memcpy(out->mac, n->eth.dst, MAC_BYTES);
	return true;
}
