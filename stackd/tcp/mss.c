/* SPDX-License-Identifier: BSD-2-Clause */
/* mss.c - owns how large a segment may be: the peer's MSS, the path's MTU as routers tell it
 * (RFC 1191, 8201), paths that swallow large packets without a word, and the search upwards from
 * there (RFC 4821, 8899).
 *
 * Sizes are those of IP packets.  The route's MTU is the interface's, or less by what ICMP told
 * any connection in the last ten minutes; `mtu_cap` is this connection's own doubt, below it. */
#include "tcp/conn.h"

#define PROBE_LOSSES_MAX    3u /* RFC 8899 5.1.2: MAX_PROBES */
#define SEARCH_STEP         32u
#define PROBE_WAIT_NS       (5 * NS_PER_S)
#define BLACK_HOLE_TIMEOUTS 3u /* of one segment in a row, and again for each two more */

static uint32_t heads(const struct tcp_conn *c)
{
	return conn_ip_header(c) + 20;
}

uint16_t conn_advertised_mss(const struct tcp_conn *c)
{
	uint32_t limit = c->route.mtu - heads(c); /* RFC 6691 */

	if (limit > UINT16_MAX)
		limit = UINT16_MAX;
	return (uint16_t)(c->maxseg && c->maxseg < limit ? c->maxseg : limit);
}

/* The largest packet that the two ends and the route allow. */
static uint32_t packet_most(const struct tcp_conn *c)
{
	uint32_t mss = conn_advertised_mss(c);

	return heads(c) + (c->peer_mss < mss ? c->peer_mss : mss);
}

uint32_t mss_packet(const struct tcp_conn *c)
{
	uint32_t most = packet_most(c);

	return c->mtu_cap && c->mtu_cap < most ? c->mtu_cap : most;
}

void conn_update_mss(struct tcp_conn *c)
{
	c->view.mss = mss_packet(c) - heads(c) - (c->ts_on ? 12 : 0);
}

/* What was sent larger than the path takes never arrived: again at once, in pieces. */
static void resend_larger(struct tcp_conn *c)
{
	list_for_each (n, &c->by_off) {
		struct chunk *k = container_of(n, struct chunk, by_off);
		uint64_t end = k->c.off + k->c.len;
		uint64_t data = (end < c->tx_tail ? end : c->tx_tail) - k->c.off;

		if (!k->c.sacked && data > c->view.mss)
			sent_mark_lost(c, k);
	}
	conn_dirty(c);
}

void mss_ask_route(struct tcp_conn *c)
{
	uint32_t before = c->view.mss;

	if (net_route_by(c->tcp->net, c->device, &c->remote.addr, &c->local.addr, &c->route) < 0)
		return;
	conn_update_mss(c);
	if (c->view.mss < before)
		resend_larger(c);
}

void mss_too_big(struct tcp_conn *c, uint32_t mtu)
{
	const struct tcp_knobs *k = &c->profile->knobs;
	uint32_t before = c->view.mss;

	if (k->pmtud == TCP_PMTUD_OFF)
		return;
	net_set_pmtu(c->tcp->net, &c->remote.addr, mtu, c->tcp->now);
	mss_ask_route(c);
	c->mtu_next = c->tcp->now + k->pmtud_interval_ns;
	if (c->view.mss < before)
		count(c->tcp->counters, COUNT_pmtu_reduced);
	else if (c->mtu_probe > packet_most(c))
		resend_larger(c);
}

/* --- black holes -------------------------------------------------------------------------------
 */

/* The next size to fall back to from packets of `size`; 0: none below. */
static uint32_t step_down(const struct tcp_conn *c, uint32_t size)
{
	uint32_t base = (uint32_t)c->profile->knobs.pmtud_base + heads(c);
	uint32_t half = (uint32_t)c->profile->knobs.pmtud_base / 2 + heads(c);

	if (!addr_is4(&c->remote.addr)) /* RFC 8200: what each link takes */
		return size > IP6_MTU_MIN ? IP6_MTU_MIN : 0;
	return base < size ? base : half < size ? half : 0;
}

void mss_timed_out(struct tcp_conn *c)
{
	uint32_t backoffs = c->view.backoffs, before = c->view.mss, packet;
	const struct chunk *first = sent_first(c);
	uint64_t size;

	if (c->profile->knobs.pmtud != TCP_PMTUD_PROBE || !first ||
	    backoffs < BLACK_HOLE_TIMEOUTS || (backoffs - BLACK_HOLE_TIMEOUTS) % 2 ||
	    c->tcp->now - c->mtu_cut < c->view.rto / 2) /* another timer of that moment */
		return;
	size = first->c.len + heads(c);
	packet = step_down(c, size < mss_packet(c) ? (uint32_t)size : mss_packet(c));
	if (packet == 0)
		return;
	c->mtu_cap = packet;
	c->mtu_cut = c->tcp->now;
	c->mtu_bad = 0;
	c->mtu_losses = 0;
	c->mtu_next = c->tcp->now + PROBE_WAIT_NS;
	conn_update_mss(c);
	count(c->tcp->counters, COUNT_pmtu_black_hole);
	if (c->view.mss < before)
		resend_larger(c);
}

/* --- the search upwards ------------------------------------------------------------------------
 */

static void rest(struct tcp_conn *c)
{
	c->mtu_bad = 0;
	c->mtu_losses = 0;
	c->mtu_next = c->tcp->now + c->profile->knobs.pmtud_interval_ns;
}

void mss_begin(struct tcp_conn *c)
{
	c->mtu_next = NS_NEVER;
	if (c->profile->knobs.pmtud != TCP_PMTUD_OFF)
		rest(c);
}

/* What routers told is forgotten after a while.  Whoever probes keeps to the old size until a
 * larger one has passed. */
static void look_again(struct tcp_conn *c)
{
	uint32_t before = mss_packet(c);

	rest(c);
	mss_ask_route(c);
	if (c->profile->knobs.pmtud != TCP_PMTUD_PROBE || packet_most(c) <= before)
		return;
	c->mtu_cap = before;
	c->mtu_next = c->tcp->now;
	conn_update_mss(c);
}

/* RFC 4821 7.3: first all that there is room for, then the middle of what is known. */
static uint32_t next_size(const struct tcp_conn *c)
{
	uint32_t most = packet_most(c), size = c->mtu_bad ? (c->mtu_cap + c->mtu_bad) / 2 : most;

	if (size > most)
		size = most;
	return c->mtu_bad && size < c->mtu_cap + SEARCH_STEP ? c->mtu_cap : size;
}

uint32_t mss_probe_due(struct tcp_conn *c)
{
	uint32_t size;

	if (c->mtu_probe)
		return 0;
	if (!c->mtu_cap)
		look_again(c);
	if (!c->mtu_cap || (c->view.features & SP_PER_SEGMENT) || c->urgent_out != NO_OFFSET ||
	    c->recovering || c->lost_bytes)
		return 0;
	size = next_size(c);
	if (size <= c->mtu_cap) {
		rest(c);
		return 0;
	}
	return size - heads(c) - (c->ts_on ? 12 : 0);
}

void mss_probe_sent(struct tcp_conn *c, struct chunk *k)
{
	k->probe = true;
	c->mtu_verdict = MTU_UNKNOWN;
	c->mtu_probe = k->c.len + heads(c) + (c->ts_on ? 12 : 0);
	count(c->tcp->counters, COUNT_pmtu_probes);
}

bool mss_only_probe_lost(const struct tcp_conn *c)
{
	return c->mtu_verdict == MTU_LOST &&
	       c->lost_bytes + heads(c) + (c->ts_on ? 12 : 0) == c->mtu_probe;
}

static void passed(struct tcp_conn *c)
{
	if (c->mtu_probe <= mss_packet(c)) /* a router has spoken meanwhile, or it was raised */
		return;
	c->mtu_cap = c->mtu_probe;
	c->mtu_losses = 0;
	c->mtu_next = c->tcp->now;
	if (c->mtu_cap >= packet_most(c)) {
		c->mtu_cap = 0;
		rest(c);
	}
	conn_update_mss(c);
}

static void was_lost(struct tcp_conn *c)
{
	c->mtu_next = c->tcp->now + PROBE_WAIT_NS;
	if (++c->mtu_losses < PROBE_LOSSES_MAX)
		return;
	c->mtu_losses = 0;
	c->mtu_bad = c->mtu_probe;
}

void mss_probe_judged(struct tcp_conn *c)
{
	if (c->mtu_verdict == MTU_PASSED)
		passed(c);
	else
		was_lost(c);
	c->mtu_verdict = MTU_UNKNOWN;
	c->mtu_probe = 0;
}
