/* SPDX-License-Identifier: BSD-2-Clause */
/* pmtu.c - path MTUs that routers told (RFC 1191, 8201): a small cache, forgotten after ten
 * minutes.
 *
 * That the news is about something of ours is checked by tcp before it comes here. */
#include "net/state.h"

#define PMTU_AGE_NS (600 * NS_PER_S)
#define PMTU_MIN4                                                                                  \
	296u /* smaller ones are taken for an attack: SLIP's, the least that was in use            \
	      */
#define PMTU_MIN6 1280u

static struct pmtu *pmtu_set(const struct net *net, const struct addr *dst)
{
	return net->pmtu[siphash(&net->secret, dst->b, sizeof(dst->b)) % PMTU_SETS];
}

uint32_t pmtu_of(const struct net *net, const struct addr *dst, uint32_t mtu)
{
	const struct pmtu *set = pmtu_set(net, dst);

	for (uint32_t i = 0; i < PMTU_WAYS; i++) {
		if (set[i].mtu && addr_equal(&set[i].dst, dst) && net->now < set[i].until)
			return set[i].mtu < mtu ? set[i].mtu : mtu;
	}
	return mtu;
}

/* RFC 1191 7.1: a router of before 1990 doesn't say how much it takes */
static uint32_t pmtu_plateau(uint32_t below)
{
	static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (uint32_t i = 0; i < array_count(plateau); i++) {
		if (plateau[i] < below)
			return plateau[i];
	}
	return below;
}

/* Its own place, or the one that ends first. */
static struct pmtu *pmtu_place(const struct net *net, const struct addr *dst)
{
	struct pmtu *set = pmtu_set(net, dst);
	struct pmtu *best = &set[0];

	for (uint32_t i = 0; i < PMTU_WAYS; i++) {
		if (set[i].mtu && addr_equal(&set[i].dst, dst))
			return &set[i];
		if (set[i].until < best->until)
			best = &set[i];
	}
	return best;
}

void net_set_pmtu(struct net *net, const struct addr *dst, uint32_t mtu, ns_t now)
{
	uint32_t min = addr_is4(dst) ? PMTU_MIN4 : PMTU_MIN6;
	struct net_route route;

	net->now = now;
	if (net_route(net, dst, NULL, &route) != 0 || route.local)
		return;
	if (mtu == 0)
		mtu = pmtu_plateau(route.mtu);
	if (mtu < min)
		mtu = min;
	if (mtu < route.mtu)
		*pmtu_place(net, dst) =
		    (struct pmtu){.dst = *dst, .mtu = mtu, .until = now + PMTU_AGE_NS};
}
