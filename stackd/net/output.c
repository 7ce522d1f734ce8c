/* SPDX-License-Identifier: BSD-2-Clause */
/* output.c - what leaves: TCP segments (the hot path), our own packets, packets that wait.
 *
 * Owns the slots: copies of packets that wait for a neighbour's MAC, and ICMP messages until the
 * driver has flushed them.  When too many wait, the oldest is given up: the neighbours that never
 * answer are among the oldest. */
#include "net/state.h"

#include <errno.h>
#include <string.h>

#include "base/checksum.h"

/* --- to the driver ----------------------------------------------------------------- */

static uint32_t frame_bytes(const struct tx_frame *f)
{
	uint32_t bytes = f->head_len;

	for (uint32_t i = 0; i < f->data_count; i++)
		bytes += f->data[i].len;
	return bytes;
}

/* A copy for those who look. */
static void put_on_tape(struct net *net, const struct net_if *iface, const struct tx_frame *f, ns_t now)
{
	uint32_t len = frame_bytes(f);
	struct tape_frame *t = tape_write(net->tape, TAPE_FRAME_OUT, now, (uint32_t)sizeof(*t) + len);
	uint8_t *to;

	if (!t)
		return;
	*t = (struct tape_frame){.interface = (uint32_t)(iface - net->interface), .len = len};
	to = (uint8_t *)(t + 1);
	memcpy(to, f->head, f->head_len);
	to += f->head_len;
	for (uint32_t i = 0; i < f->data_count; i++) {
		memcpy(to, f->data[i].base, f->data[i].len);
		to += f->data[i].len;
	}
	tape_end(net->tape);
}

static int transmit(struct net *net, const struct net_if *iface, const struct tx_frame *f, ns_t now)
{
	int rc = iface->driver->ops->tx(iface->driver, now, f);

	if (rc == 0) {
		count(net->counters, COUNT_tx_frames);
		count_add(net->counters, COUNT_tx_bytes, frame_bytes(f));
		if (net->tape)
			put_on_tape(net, iface, f, now);
	}
	return rc;
}

static void transmit_own(struct net *net, const struct net_if *iface, const struct tx_frame *f,
			 ns_t now)
{
	if (transmit(net, iface, f, now) != 0)
		count(net->counters, COUNT_tx_own_dropped);
}

void output_short(struct net *net, const struct net_if *iface, const uint8_t *frame, uint32_t len,
		  bool ip6)
{
	struct tx_frame f = {.head = frame, .head_len = (uint16_t)len, .ipv6 = ip6};

	transmit_own(net, iface, &f, net->now);
}

/* --- slots ------------------------------------------------------------------------- */

void slots_init(struct net *net)
{
	list_init(&net->slots_free);
	list_init(&net->slots_sent);
	list_init(&net->slots_waiting);
	for (uint32_t i = 0; i < SLOTS_MAX; i++)
		list_push_back(&net->slots_free, &net->slot[i].node);
}

static struct slot *slot_of(struct list *node)
{
	return node ? container_of(node, struct slot, node) : NULL;
}

struct slot *slot_take(struct net *net)
{
	struct slot *s = slot_of(list_pop(&net->slots_free));

	if (!s)
		count(net->counters, COUNT_icmp_limited);
	return s;
}

static void slot_give(struct net *net, struct slot *s)
{
	list_push_front(&net->slots_free, &s->node);
}

static struct slot *slot_oldest_waiting(struct net *net)
{
	struct slot *s = slot_of(list_pop(&net->slots_waiting));

	if (s) {
		net->waiting_count--;
		count(net->counters, COUNT_arp_unresolved);
	}
	return s;
}

static void slot_wait(struct net *net, struct slot *s, const struct neighbour *n)
{
	if (net->waiting_count >= NEIGHBOUR_QUEUE_MAX)
		slot_give(net, slot_oldest_waiting(net));
	s->neighbour = neigh_index(net, n);
	list_push_back(&net->slots_waiting, &s->node);
	net->waiting_count++;
}

/* Copies a packet that has to wait.  One larger than a slot, or for which there is none, is lost
 * as if on the wire. */
static void slot_copy(struct net *net, const struct tx_frame *f, const struct neighbour *n)
{
	struct slot *s = NULL;
	uint8_t *at;

	if (frame_bytes(f) <= SLOT_BYTES)
		s = slot_of(list_pop(&net->slots_free));
	if (!s && frame_bytes(f) <= SLOT_BYTES)
		s = slot_oldest_waiting(net);
	if (!s) {
		count(net->counters, COUNT_arp_unresolved);
		return;
	}
	s->frame = *f;
	s->frame.head = s->bytes;
	memcpy(s->bytes, f->head, f->head_len);
	at = s->bytes + f->head_len;
	for (uint32_t i = 0; i < f->data_count; i++) {
		memcpy(at, f->data[i].base, f->data[i].len);
		s->frame.data[i].base = at;
		at += f->data[i].len;
	}
	slot_wait(net, s, n);
}

static void slot_transmit(struct net *net, struct slot *s, const struct neighbour *n, ns_t now)
{
	uint8_t *head = s->bytes + (s->frame.head - s->bytes);

	memcpy(head, &n->eth, ETH_BYTES);
	transmit_own(net, &net->interface[n->interface], &s->frame, now);
	list_push_back(&net->slots_sent, &s->node);
}

void slots_resolved(struct net *net, struct neighbour *n, ns_t now)
{
	list_for_each_safe (it, tmp, &net->slots_waiting) {
		struct slot *s = slot_of(it);

		if (s->neighbour != neigh_index(net, n))
			continue;
		list_unlink(it);
		net->waiting_count--;
		neigh_use(net, n, now);
		slot_transmit(net, s, n, now);
	}
}

void slots_failed(struct net *net, const struct neighbour *n)
{
	list_for_each_safe (it, tmp, &net->slots_waiting) {
		struct slot *s = slot_of(it);

		if (s->neighbour != neigh_index(net, n))
			continue;
		list_unlink(it);
		net->waiting_count--;
		count(net->counters, COUNT_arp_unresolved);
		slot_give(net, s);
	}
}

void slots_flushed(struct net *net)
{
	struct list *node;

	while ((node = list_pop(&net->slots_sent)))
		slot_give(net, slot_of(node));
}

/* --- packets of our own ------------------------------------------------------------ */

static void slot_to_neighbour(struct net *net, struct slot *s, const struct net_route *route,
			      ns_t now)
{
	struct neighbour *n = neigh_get(net, route->interface, &route->next_hop, now);

	switch (n ? neigh_use(net, n, now) : NEIGH_USE_DEAD) {
	case NEIGH_USE_SEND:
		slot_transmit(net, s, n, now);
		return;
	case NEIGH_USE_WAIT:
		slot_wait(net, s, n);
		return;
	case NEIGH_USE_DEAD:
		count(net->counters, COUNT_arp_unresolved);
		slot_give(net, s);
	}
}

void slot_send(struct net *net, struct slot *s, const struct ip_fields *f, ns_t now)
{
	uint8_t *message = slot_message(s);
	struct net_route route;
	uint8_t *ip;

	if (net_route(net, f->dst, f->src, &route) != 0 || route.local) {
		count(net->counters, COUNT_ip_no_route);
		slot_give(net, s);
		return;
	}
	ip = addr_is4(f->dst) ? ip4_header(net, message, f) : ip6_header(message, f);
	s->frame = (struct tx_frame){.head = ip - ETH_BYTES, .ipv6 = !addr_is4(f->dst)};
	s->frame.head_len = (uint16_t)(message + ICMP_BYTES - s->frame.head);
	if (f->l4_len > ICMP_BYTES)
		s->frame.data[s->frame.data_count++] =
		    (struct span){message + ICMP_BYTES, f->l4_len - ICMP_BYTES};
	slot_to_neighbour(net, s, &route, now);
}

/* --- TCP segments ------------------------------------------------------------------ */

static uint64_t payload_sum(const struct net_send *s, uint64_t sum)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < s->data_count; i++) {
		const struct span *d = &s->data[i];

		if (at & 1)
			sum = checksum_add_odd(sum, checksum_add(0, d->base, d->len));
		else
			sum = checksum_add(sum, d->base, d->len);
		at += d->len;
	}
	return sum;
}

/* The pseudo-header's sum for a driver that finishes it; or all of it. */
static void put_checksum(const struct net_send *s, uint32_t l4_len, bool partial)
{
	uint64_t pseudo = checksum_pseudo(s->src, s->dst, IP_PROTOCOL_TCP, l4_len);
	uint8_t *field = s->l4 + TCP_CHECKSUM_OFFSET;
	uint16_t sum;

	if (partial) {
		sum = checksum_fold(pseudo);
	} else {
		memset(field, 0, sizeof(sum));
		sum = checksum_finish(payload_sum(s, checksum_add(pseudo, s->l4, s->l4_len)));
	}
	memcpy(field, &sum, sizeof(sum));
}

/* -EMSGSIZE: the driver takes less than when the route was made (an impairment was put around
 * it); the caller tries again with what it takes now. */
static int sent(struct net *net, struct net_route *route, int rc)
{
	const struct net_if *iface = &net->interface[route->interface];

	if (rc == 0)
		return 0;
	count(net->counters, COUNT_tx_full);
	if (rc == -EMSGSIZE && route->gso_max > route->mtu)
		route->gso_max = iface->driver->caps.gso_max > ETH_BYTES + iface->mtu
				     ? iface->driver->caps.gso_max - ETH_BYTES
				     : route->mtu;
	return -ENOBUFS;
}

static int send_slowly(struct net *net, struct net_route *route, const struct tx_frame *f,
		       uint8_t *eth, ns_t now)
{
	struct neighbour *n = neigh_get(net, route->interface, &route->next_hop, now);

	if (!n)
		return 0;
	route->neighbour_hint = neigh_hint(net, n);
	switch (neigh_use(net, n, now)) {
	case NEIGH_USE_SEND:
		memcpy(eth, &n->eth, ETH_BYTES);
		return sent(net, route, transmit(net, &net->interface[route->interface], f, now));
	case NEIGH_USE_WAIT:
		slot_copy(net, f, n);
		return 0;
	case NEIGH_USE_DEAD:
		break;
	}
	return -EHOSTUNREACH;
}

static void tx_frame_fill(struct tx_frame *f, const uint8_t *eth, const struct net_send *s,
			  bool ip4, bool partial)
{
	f->head = eth;
	f->csum_start = (uint16_t)(s->l4 - eth);
	f->head_len = (uint16_t)(f->csum_start + s->l4_len);
	f->csum_offset = TCP_CHECKSUM_OFFSET;
	f->gso_size = s->gso_size;
	f->csum_partial = partial;
	f->ipv6 = !ip4;
	f->data_count = s->data_count;
	for (uint32_t i = 0; i < s->data_count; i++)
		f->data[i] = s->data[i];
}

int net_send(struct net *net, struct net_route *route, const struct net_send *s, ns_t now)
{
	struct ip_fields fields = {.src = s->src,
				   .dst = s->dst,
				   .tos = s->tos,
				   .ttl = s->ttl ? s->ttl : 64,
				   .protocol = IP_PROTOCOL_TCP,
				   .l4_len = s->l4_len};
	bool ip4 = addr_is4(s->dst);
	bool partial = route->local || net->interface[route->interface].tx_csum;
	struct neighbour *n;
	struct tx_frame f;
	uint8_t *ip, *eth;

	for (uint32_t i = 0; i < s->data_count; i++)
		fields.l4_len += s->data[i].len;
	assert(fields.l4_len <= UINT16_MAX - IP4_BYTES);
	assert(s->l4_len >= TCP_HEADER_BYTES && s->l4_len <= NET_TCP_HEADER_MAX);
	assert(partial || fields.l4_len <= route->mtu);
	net->now = now;
	put_checksum(s, fields.l4_len, partial);
	ip = ip4 ? ip4_header(net, s->l4, &fields) : ip6_header(s->l4, &fields);
	eth = ip - ETH_BYTES;
	if (route->local)
		return loop_send(net, ip, s);
	tx_frame_fill(&f, eth, s, ip4, partial);
	n = neigh_of_hint(net, route->neighbour_hint);
	if (!n || n->state != NEIGH_REACHABLE || now >= n->due)
		return send_slowly(net, route, &f, eth, now);
	n->used = now;
	memcpy(eth, &n->eth, ETH_BYTES);
	return sent(net, route, transmit(net, &net->interface[n->interface], &f, now));
}
