/* SPDX-License-Identifier: BSD-2-Clause */
/* The neighbour table's life, by ARP and by ND: ask, learn, queue, age, probe, fail, evict. */
#include "world.h"

#include <stdio.h>

static uint8_t f[2048], l4[64];

static struct net_route route_to(struct world *w, const char *dst)
{
	struct net_route r;
	struct addr d = A(dst);

	assert_int_equal(net_route(w->net, &d, NULL, &r), 0);
	return r;
}

static enum net_verdict arp(struct world *w, const uint8_t *dst, uint16_t op, const char *sender,
			    const uint8_t *mac, const char *target)
{
	return feed(w, 0, f, put_arp(f, dst, op, sender, mac, target));
}

static enum net_verdict nd(struct world *w, const char *src, const char *dst, uint32_t len)
{
	return feed(w, 0, f, put_ip6(f, src, dst, 58, l4, len));
}

static const struct record *sent(struct world *w, uint32_t i)
{
	assert_true(w->fake[0].count > i);
	return &w->fake[0].record[i];
}

static void assert_arp_request(const struct record *r, const uint8_t *dst, const char *target)
{
	struct addr t = A(target), own = A("10.0.0.1");

	assert_int_equal(r->len, 42);
	assert_memory_equal(r->bytes, dst, 6);
	assert_memory_equal(r->bytes + 6, mac_if[0], 6);
	assert_int_equal(get_be16(r->bytes + 12), 0x0806);
	assert_int_equal(get_be16(r->bytes + 20), 1);
	assert_memory_equal(r->bytes + 22, mac_if[0], 6);
	assert_memory_equal(r->bytes + 28, own.b + 12, 4);
	assert_memory_equal(r->bytes + 38, t.b + 12, 4);
}

static void announced(void **state)
{
	struct world *w = world_make(&(struct world_options){0});
	const struct record *r = sent(w, 0);

	(void)state;
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, 3); /* IPv4, IPv6, link-local */
	assert_int_equal(w->fake[1].count, 4);
	assert_arp_request(r, mac_all, "10.0.0.1");
	r = sent(w, 2);
	assert_int_equal(r->bytes[54], 136);
	assert_int_equal(r->bytes[58], 0x20);
	assert_memory_equal(r->bytes + 62, A("fe80::ff:fe00:1").b, 16);
	assert_memory_equal(r->bytes, "\x33\x33\x00\x00\x00\x01", 6);
	assert_sums(r);
	world_free(w);
	w = world_make(&(struct world_options){.only4 = true});
	assert_int_equal(w->fake[0].count, 1);
	world_free(w);
}

static void arp_answers(void **state)
{
	struct world *w = *state;

	assert_int_equal(arp(w, mac_all, 1, "10.0.0.2", mac_peer, "10.0.0.1"), NET_NEIGHBOUR);
	assert_memory_equal(w->out.neighbour.mac, mac_peer, 6);
	assert_false(w->out.neighbour.confirmed);
	assert_int_equal(w->fake[0].count, 1);
	assert_memory_equal(sent(w, 0)->bytes, mac_peer, 6);
	assert_int_equal(get_be16(sent(w, 0)->bytes + 20), 2);
	assert_memory_equal(sent(w, 0)->bytes + 22, mac_if[0], 6);
	assert_memory_equal(sent(w, 0)->bytes + 28, A("10.0.0.1").b + 12, 4);
	assert_memory_equal(sent(w, 0)->bytes + 32, mac_peer, 6);
	assert_memory_equal(sent(w, 0)->bytes + 38, A("10.0.0.2").b + 12, 4);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "stale");
	/* the same again is no news */
	assert_int_equal(arp(w, mac_all, 1, "10.0.0.2", mac_peer, "10.0.0.1"), NET_DONE);
	assert_int_equal(net_deadline(w->net), NS_NEVER);
}

static void arp_learns_only_what_concerns_us(void **state)
{
	struct world *w = *state;
	const uint8_t other[6] = {2, 0, 0, 0, 0, 0xbb};

	arp(w, mac_all, 1, "10.0.0.2", mac_peer, "10.0.0.3"); /* asks for another */
	arp(w, mac_all, 2, "10.0.0.4", mac_peer, "10.0.0.4"); /* gratuitous, unknown */
	assert_null(neighbour_state(w, "10.0.0.2"));
	assert_null(neighbour_state(w, "10.0.0.4"));
	assert_int_equal(w->fake[0].count, 0);
	arp(w, mac_all, 1, "10.9.9.9", mac_peer, "10.0.0.1"); /* answered, but not of this link */
	arp(w, mac_all, 1, "0.0.0.0", mac_peer, "10.0.0.1");  /* RFC 5227 probe: likewise */
	assert_int_equal(w->fake[0].count, 2);
	assert_null(neighbour_state(w, "10.9.9.9"));
	assert_null(neighbour_state(w, "0.0.0.0"));
	know_peer4(w, "10.0.0.2"); /* a known one that moves is followed, but not confirmed */
	assert_int_equal(arp(w, mac_all, 1, "10.0.0.2", other, "10.0.0.2"), NET_NEIGHBOUR);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "stale");
	assert_memory_equal(w->out.neighbour.mac, other, 6);
}

static void conflicts_are_counted(void **state)
{
	struct world *w = *state;

	arp(w, mac_all, 1, "10.0.0.1", mac_peer, "10.0.0.1");
	assert_int_equal(counted(w, COUNT_address_conflict), 1);
	arp(w, mac_all, 1, "10.0.0.1", mac_if[0], "10.0.0.1"); /* our own, come back */
	assert_int_equal(counted(w, COUNT_address_conflict), 1);
	nd(w, "fd00::2", "ff02::1", put_nd(l4, 136, 0x20, "fd00::1", 2, mac_peer));
	assert_int_equal(counted(w, COUNT_address_conflict), 2);
	assert_int_equal(w->fake[0].count, 0);
}

/* Asked at 0, 1 and 2 s; what waits goes out in order when the answer comes. */
static void resolves(struct world *w, const char *peer)
{
	struct net_route r = route_to(w, peer);
	uint32_t first;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(send_tcp(w, &r, peer, 100 + i, 0), 0);
	assert_string_equal(neighbour_state(w, peer), "incomplete");
	assert_int_equal(w->fake[0].count, 1);
	assert_int_equal(net_deadline(w->net), w->now + SECOND);
	world_pass(w, SECOND - 1);
	assert_int_equal(w->fake[0].count, 1);
	world_pass(w, 1);
	assert_int_equal(w->fake[0].count, 2);
	world_pass(w, SECOND);
	assert_int_equal(w->fake[0].count, 3);
	first = 3;
	if (addr_is4(&r.src)) {
		assert_arp_request(sent(w, 2), mac_all, peer);
		assert_int_equal(arp(w, mac_if[0], 2, peer, mac_peer, "10.0.0.1"), NET_NEIGHBOUR);
	} else {
		assert_int_equal(sent(w, 2)->bytes[54], 135);
		assert_memory_equal(sent(w, 2)->bytes, "\x33\x33\xff\x00\x00\x02", 6);
		assert_sums(sent(w, 2));
		assert_int_equal(nd(w, peer, "fd00::1", put_nd(l4, 136, 0x60, peer, 2, mac_peer)),
				 NET_NEIGHBOUR);
	}
	assert_true(w->out.neighbour.confirmed);
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, first + 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct record *x = sent(w, first + i);

		assert_memory_equal(x->bytes, mac_peer, 6);
		assert_int_equal(x->len, 14 + (addr_is4(&r.src) ? 20u : 40u) + 20 + 100 + i);
		assert_sums(x);
	}
	assert_string_equal(neighbour_state(w, peer), "reachable");
	world_pass(w, 10 * SECOND); /* one scan finds nothing to do, then silence */
	assert_int_equal(net_deadline(w->net), NS_NEVER);
	assert_int_equal(counted(w, COUNT_arp_unresolved), 0);
}

static void arp_resolves(void **state)
{
	resolves(*state, "10.0.0.2");
}

static void nd_resolves(void **state)
{
	resolves(*state, "fd00::2");
}

static void fails_and_holds(struct world *w, const char *peer)
{
	struct net_route r = route_to(w, peer);

	assert_int_equal(send_tcp(w, &r, peer, 10, 0), 0);
	assert_int_equal(send_tcp(w, &r, peer, 10, 0), 0);
	for (int i = 0; i < 3; i++)
		world_pass(w, SECOND);
	assert_string_equal(neighbour_state(w, peer), "failed");
	assert_int_equal(counted(w, COUNT_arp_unresolved), 2);
	assert_int_equal(w->fake[0].count, 3);
	assert_int_equal(net_deadline(w->net), NS_NEVER);
	assert_int_equal(send_tcp(w, &r, peer, 10, 0), -EHOSTUNREACH);
	world_pass(w, SECOND - 1);
	assert_int_equal(send_tcp(w, &r, peer, 10, 0), -EHOSTUNREACH);
	assert_int_equal(w->fake[0].count, 3);
	world_pass(w, 1);
	assert_int_equal(send_tcp(w, &r, peer, 10, 0), 0);
	assert_int_equal(w->fake[0].count, 4);
	assert_string_equal(neighbour_state(w, peer), "incomplete");
}

static void arp_fails(void **state)
{
	fails_and_holds(*state, "10.0.0.2");
}

static void nd_fails(void **state)
{
	fails_and_holds(*state, "fd00::2");
}

/* After 30 s the next send goes out and asks the known MAC, three times; then all are asked. */
static void ages(struct world *w, const char *peer, bool six)
{
	struct net_route r = route_to(w, peer);

	assert_int_equal(send_tcp(w, &r, peer, 0, 0), 0);
	world_pass(w, 30 * SECOND - 1);
	assert_int_equal(send_tcp(w, &r, peer, 0, 0), 0);
	assert_int_equal(w->fake[0].count, 2);
	assert_string_equal(neighbour_state(w, peer), "reachable");
	world_pass(w, 1);
	assert_string_equal(neighbour_state(w, peer), "stale");
	assert_int_equal(net_deadline(w->net), NS_NEVER);
	assert_int_equal(send_tcp(w, &r, peer, 0, 0), 0);
	assert_string_equal(neighbour_state(w, peer), "probe");
	assert_int_equal(w->fake[0].count, 4);
	assert_memory_equal(sent(w, 2)->bytes, mac_peer, 6); /* unicast */
	assert_int_equal(get_be16(sent(w, 2)->bytes + 12), six ? 0x86dd : 0x0806);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send_tcp(w, &r, peer, 0, 0), 0);
		world_pass(w, SECOND);
	}
	assert_string_equal(neighbour_state(w, peer), "failed");
	assert_int_equal(send_tcp(w, &r, peer, 0, 0), 0); /* no hold: it may have moved */
	assert_string_equal(neighbour_state(w, peer), "incomplete");
}

static void arp_ages(void **state)
{
	know_peer4(*state, "10.0.0.2");
	ages(*state, "10.0.0.2", false);
}

static void nd_ages(void **state)
{
	know_peer6(*state, "fd00::2");
	ages(*state, "fd00::2", true);
}

static void probe_answered(void **state)
{
	struct world *w = *state;
	struct net_route r = route_to(w, "10.0.0.2");

	know_peer4(w, "10.0.0.2");
	world_pass(w, 40 * SECOND);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 0, 0), 0);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "probe");
	arp(w, mac_if[0], 2, "10.0.0.2", mac_peer, "10.0.0.1");
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "reachable");
	world_pass(w, 5 * SECOND);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "reachable");
}

/* The queue holds so many; a further one pushes out the oldest. */
static void queue_is_limited(void **state)
{
	struct world *w = *state;
	struct net_route r = route_to(w, "10.0.0.2"), dead = route_to(w, "10.0.0.3");

	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(send_tcp(w, &dead, "10.0.0.3", 1, 0), 0);
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		assert_int_equal(send_tcp(w, &r, "10.0.0.2", i, 0), 0);
	assert_int_equal(counted(w, COUNT_arp_unresolved), 10);
	world_quiet(w);
	arp(w, mac_if[0], 2, "10.0.0.2", mac_peer, "10.0.0.1");
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, NEIGHBOUR_QUEUE_MAX);
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		assert_int_equal(sent(w, i)->len, 54 + i);
}

static void large_ones_do_not_wait(void **state)
{
	struct world *w = world_make(&(struct world_options){.tx_csum = true, .gso_max = 65535});
	struct net_route r = route_to(w, "10.0.0.2");

	(void)state;
	world_quiet(w);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 20000, 1460), 0);
	assert_int_equal(counted(w, COUNT_arp_unresolved), 1);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "incomplete");
	world_free(w);
}

static void fill(struct world *w, uint32_t from, uint32_t n)
{
	char text[32];

	for (uint32_t i = from; i < from + n; i++) {
		struct net_neighbour l = {.interface = 1, .mac = {2, 1, 1, 1, 1, 1}};

		snprintf(text, sizeof(text), "10.1.%u.%u", 100 + i / 250, 1 + i % 250);
		l.addr = A(text);
		net_learn(w->net, &l, w->now);
	}
}

/* A flood of strangers pushes out other strangers, not whom we talk to. */
static void eviction_spares_those_in_use(void **state)
{
	struct world *w = *state;
	struct net_route r = route_to(w, "10.0.0.2");

	know_peer4(w, "10.0.0.2");
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 0, 0), 0);
	fill(w, 0, NEIGHBOURS_MAX + 500);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "reachable");
	assert_null(neighbour_state(w, "10.1.100.1"));
	assert_int_equal(counted(w, COUNT_neigh_full), 0);
	world_pass(w, 31 * SECOND); /* long unused: strangers that were never used still go first */
	fill(w, 2000, NEIGHBOURS_MAX - 1);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "stale");
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 0, 0), 0);
}

static void full_of_questions(void **state)
{
	struct world *w = *state;
	char text[32];

	for (uint32_t i = 0; i <= NEIGHBOURS_MAX; i++) {
		struct net_route r;

		snprintf(text, sizeof(text), "10.1.%u.%u", 100 + i / 250, 1 + i % 250);
		r = route_to(w, text);
		w->fake[1].count = 0;
		assert_int_equal(send_tcp(w, &r, text, 0, 0), 0);
	}
	assert_int_equal(counted(w, COUNT_neigh_full), 1);
}

/* A place given to another makes hints for it worthless. */
static void hints_expire(void **state)
{
	struct world *w = *state;
	struct net_route r = route_to(w, "10.0.0.2");
	uint32_t hint;

	know_peer4(w, "10.0.0.2");
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 0, 0), 0);
	hint = r.neighbour_hint;
	assert_int_not_equal(hint, 0);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 0, 0), 0);
	assert_int_equal(r.neighbour_hint, hint);
	world_pass(w, 31 * SECOND);
	fill(w, 0, NEIGHBOURS_MAX); /* all places but one; then that one, longest without use */
	for (uint32_t i = 0; neighbour_state(w, "10.0.0.2") && i < 3; i++) {
		struct net_route other;
		char text[32];

		/* use all strangers, so that the old friend is the one to go */
		for (uint32_t k = 0; k < NEIGHBOURS_MAX; k++) {
			snprintf(text, sizeof(text), "10.1.%u.%u", 100 + k / 250, 1 + k % 250);
			if (!neighbour_state(w, text))
				continue;
			other = route_to(w, text);
			w->fake[1].count = 0;
			send_tcp(w, &other, text, 0, 0);
		}
		fill(w, 3000, 1);
	}
	assert_null(neighbour_state(w, "10.0.0.2"));
	world_quiet(w);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 5, 0), 0);
	assert_int_equal(w->fake[1].count, 0); /* not to the stranger; asked for anew */
	assert_int_equal(w->fake[0].count, 1);
	assert_arp_request(sent(w, 0), mac_all, "10.0.0.2");
	assert_int_not_equal(r.neighbour_hint, hint);
}

static void nd_answers(void **state)
{
	struct world *w = *state;
	const struct record *r;
	uint32_t len = put_nd(l4, 135, 0, "fd00::1", 1, mac_peer);

	len = put_ip6(f, "fd00::2", "ff02::1:ff00:1", 58, l4, len);
	memcpy(f, "\x33\x33\xff\x00\x00\x01", 6);
	assert_int_equal(feed(w, 0, f, len), NET_NEIGHBOUR);
	assert_string_equal(neighbour_state(w, "fd00::2"), "stale");
	world_pass(w, 0);
	r = sent(w, 0);
	assert_memory_equal(r->bytes, mac_peer, 6);
	assert_int_equal(r->bytes[21], 255);
	assert_memory_equal(r->bytes + 22, A("fd00::1").b, 16);
	assert_memory_equal(r->bytes + 38, A("fd00::2").b, 16);
	assert_int_equal(r->bytes[54], 136);
	assert_int_equal(r->bytes[58], 0x60);
	assert_memory_equal(r->bytes + 62, A("fd00::1").b, 16);
	assert_int_equal(r->bytes[78], 2);
	assert_memory_equal(r->bytes + 80, mac_if[0], 6);
	assert_sums(r);
	/* not ours, and an address of the other interface: no answer */
	nd(w, "fd00::2", "fd00::1", put_nd(l4, 135, 0, "fd00::9", 1, mac_peer));
	nd(w, "fd00::2", "fd00::1", put_nd(l4, 135, 0, "fd01::1", 1, mac_peer));
	assert_int_equal(w->fake[0].count, 1);
	/* a duplicate address probe is answered to all, and is a conflict */
	nd(w, "::", "ff02::1:ff00:1", put_nd(l4, 135, 0, "fd00::1", 0, NULL));
	r = sent(w, 1);
	assert_memory_equal(r->bytes, "\x33\x33\x00\x00\x00\x01", 6);
	assert_int_equal(r->bytes[58], 0x20);
	assert_int_equal(counted(w, COUNT_address_conflict), 1);
}

static void nd_link_local(void **state)
{
	struct world *w = *state;
	struct net_route r;
	struct addr dst = A("fe80::2"), src = A("fe80::ff:fe00:2");

	nd(w, "fe80::2", "fe80::ff:fe00:1", put_nd(l4, 135, 0, "fe80::ff:fe00:1", 1, mac_peer));
	assert_int_equal(w->fake[0].count, 1);
	assert_int_equal(net_route(w->net, &dst, NULL, &r), 0);
	assert_int_equal(r.interface, 0);
	assert_memory_equal(r.src.b, A("fe80::ff:fe00:1").b, 16);
	/* the source says which link is meant */
	assert_int_equal(net_route(w->net, &dst, &src, &r), 0);
	assert_int_equal(r.interface, 1);
}

static void nd_refusals(void **state)
{
	struct world *w = *state;
	uint32_t n = 0, len;
#define BAD(len_)                                                                                  \
	assert_int_equal(feed(w, 0, f, len_), NET_DONE);                                           \
	assert_int_equal(counted(w, COUNT_nd_malformed), ++n)

	len = put_ip6(f, "fd00::2", "fd00::1", 58, l4, put_nd(l4, 135, 0, "fd00::1", 1, mac_peer));
	f[21] = 254; /* hop limit */
	BAD(len);
	l4[1] = 1; /* code */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 32));
	put_nd(l4, 135, 0, "fd00::1", 1, mac_peer);
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 23)); /* short */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 28)); /* half an option */
	l4[25] = 0;                                        /* option of no length */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 32));
	l4[25] = 2; /* option past the end */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 32));
	put_nd(l4, 135, 0, "ff02::1", 1, mac_peer); /* target a group */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 32));
	put_nd(l4, 135, 0, "fd00::1", 1, mac_all); /* MAC a group */
	BAD(put_ip6(f, "fd00::2", "fd00::1", 58, l4, 32));
	put_nd(l4, 135, 0, "fd00::1", 1, mac_peer); /* probe with a MAC */
	BAD(put_ip6(f, "::", "ff02::1:ff00:1", 58, l4, 32));
	BAD(put_ip6(f, "::", "fd00::1", 58, l4, 24));  /* probe to one station */
	put_nd(l4, 136, 0x60, "fd00::2", 2, mac_peer); /* solicited, to all */
	BAD(put_ip6(f, "fd00::2", "ff02::1", 58, l4, 32));
#undef BAD
	assert_int_equal(w->fake[0].count, 0);
	nd(w, "fe80::9", "ff02::1", put_nd(l4, 134, 0, "fd00::2", 1, mac_peer));
	assert_int_equal(counted(w, COUNT_nd_ra_ignored), 1);
}

/* RFC 4861 7.2.5: without the override flag a different MAC only casts doubt. */
static void nd_override(void **state)
{
	struct world *w = *state;
	const uint8_t other[6] = {2, 0, 0, 0, 0, 0xbb};

	know_peer6(w, "fd00::2");
	assert_int_equal(nd(w, "fd00::2", "ff02::1", put_nd(l4, 136, 0, "fd00::2", 2, other)),
			 NET_DONE);
	assert_string_equal(neighbour_state(w, "fd00::2"), "stale");
	nd(w, "fd00::2", "fd00::1", put_nd(l4, 136, 0x40, "fd00::2", 0, NULL));
	assert_string_equal(neighbour_state(w, "fd00::2"), "reachable");
	assert_int_equal(nd(w, "fd00::2", "ff02::1", put_nd(l4, 136, 0x20, "fd00::2", 2, other)),
			 NET_NEIGHBOUR);
	assert_string_equal(neighbour_state(w, "fd00::2"), "stale");
	/* an advertisement of somebody unknown makes no entry */
	nd(w, "fd00::7", "ff02::1", put_nd(l4, 136, 0x20, "fd00::7", 2, other));
	assert_null(neighbour_state(w, "fd00::7"));
}

/* Another shard's receive queue got the answer. */
static void told_by_another_shard(void **state)
{
	struct world *w = *state;
	struct net_route r = route_to(w, "10.0.0.2");
	struct net_neighbour l = {.interface = 0, .addr = A("10.0.0.2"), .confirmed = true};

	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 9, 0), 0);
	memcpy(l.mac, mac_peer, 6);
	net_learn(w->net, &l, w->now);
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, 2);
	assert_string_equal(neighbour_state(w, "10.0.0.2"), "reachable");
	/* and an answer to a question of its own makes none here, but is passed on */
	assert_int_equal(arp(w, mac_if[0], 2, "10.0.0.5", mac_peer, "10.0.0.1"), NET_NEIGHBOUR);
	assert_true(w->out.neighbour.confirmed);
	assert_null(neighbour_state(w, "10.0.0.5"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	    cmocka_unit_test(announced),
	    T(arp_answers),
	    T(arp_learns_only_what_concerns_us),
	    T(conflicts_are_counted),
	    T(arp_resolves),
	    T(nd_resolves),
	    T(arp_fails),
	    T(nd_fails),
	    T(arp_ages),
	    T(nd_ages),
	    T(probe_answered),
	    T(queue_is_limited),
	    cmocka_unit_test(large_ones_do_not_wait),
	    T(eviction_spares_those_in_use),
	    T(full_of_questions),
	    T(hints_expire),
	    T(nd_answers),
	    T(nd_link_local),
	    T(nd_refusals),
	    T(nd_override),
	    T(told_by_another_shard),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
