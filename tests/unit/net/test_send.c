/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes, path MTUs, net_send and what comes back to ourselves. */
#include "world.h"

static int route(struct world *w, const char *dst, const char *src, struct net_route *r)
{
	struct addr d = A(dst), s = src ? A(src) : (struct addr){0};

	memset(r, 0xa5, sizeof(*r));
	return net_route(w->net, &d, src ? &s : NULL, r);
}

static void assert_text(const struct addr *a, const char *text)
{
	struct addr b = A(text);

	assert_true(addr_equal(a, &b));
}

static void choice(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *dst, *src, *next_hop, *from;
		int interface;
	} table[] = {
	    {"10.0.0.9", NULL, "10.0.0.9", "10.0.0.1", 0},
	    {"10.1.0.9", NULL, "10.1.0.9", "10.1.0.1", 1},
	    {"10.1.7.9", NULL, "10.1.7.9", "10.1.7.1", 1}, /* the longer prefix's address */
	    {"10.1.7.9", "10.1.0.1", "10.1.7.9", "10.1.0.1", 1},
	    {"10.0.0.9", "0.0.0.0", "10.0.0.9", "10.0.0.1", 0},
	    {"192.0.2.1", NULL, "10.0.0.254", "10.0.0.1", 0},
	    {"192.0.2.1", "10.1.0.1", "10.0.0.254", "10.1.0.1", 0}, /* no gateway on its own link */
	    {"fd00::9", NULL, "fd00::9", "fd00::1", 0},
	    {"fd01::9", NULL, "fd01::9", "fd01::1", 1},
	    {"2001:db8::1", NULL, "fd00::fe", "fd00::1", 0},
	    {"fe80::9", NULL, "fe80::9", "fe80::ff:fe00:1", 0},
	    {"fe80::9", "fd01::1", "fe80::9", "fd01::1", 1},
	};

	for (uint32_t i = 0; i < array_count(table); i++) {
		struct net_route r;

		assert_int_equal(route(w, table[i].dst, table[i].src, &r), 0);
		assert_int_equal(r.interface, table[i].interface);
		assert_text(&r.next_hop, table[i].next_hop);
		assert_text(&r.src, table[i].from);
		assert_int_equal(r.mtu, 1500);
		assert_int_equal(r.gso_max, 1500);
		assert_false(r.local);
	}
}

static void refused(void **state)
{
	struct world *w = *state;
	static const char *const invalid[] = {"0.0.0.0",         "::",         "224.0.0.1",
					      "255.255.255.255", "10.0.0.255", "10.1.255.255",
					      "10.1.7.255",      "ff02::1"};
	struct net_route r;
	struct world *four;

	for (uint32_t i = 0; i < array_count(invalid); i++)
		assert_int_equal(route(w, invalid[i], NULL, &r), -EINVAL);
	assert_int_equal(route(w, "10.0.0.9", "10.0.0.2", &r), -EADDRNOTAVAIL);
	assert_int_equal(route(w, "10.0.0.9", "fd00::1", &r), -EADDRNOTAVAIL);
	assert_int_equal(route(w, "127.0.0.1", NULL, &r), -ENETUNREACH);
	four = world_make(&(struct world_options){.only4 = true});
	assert_int_equal(route(four, "fd00::9", NULL, &r), -ENETUNREACH);
	assert_int_equal(route(four, "fe80::9", NULL, &r), -ENETUNREACH);
	world_free(four);
}

/* By one interface alone, whatever the others have. */
static void confined(void **state)
{
	struct world *w = *state;
	static const struct {
		uint32_t device;
		const char *dst, *src;
		int result;
		const char *next_hop, *from;
	} table[] = {
	    {1, "10.0.0.9", NULL, 0, "10.0.0.9", "10.0.0.1"},
	    {2, "10.0.0.9", NULL, -ENETUNREACH, NULL, NULL},
	    {2, "10.1.0.9", NULL, 0, "10.1.0.9", "10.1.0.1"},
	    {1, "10.1.0.9", NULL, 0, "10.0.0.254", "10.0.0.1"}, /* by its gateway then */
	    {1, "192.0.2.1", NULL, 0, "10.0.0.254", "10.0.0.1"},
	    {2, "192.0.2.1", NULL, -ENETUNREACH, NULL, NULL},
	    {1, "192.0.2.1", "10.1.0.1", 0, "10.0.0.254", "10.1.0.1"},
	    {2, "fe80::9", NULL, 0, "fe80::9", "fe80::ff:fe00:2"},
	    {1, "10.0.0.1", NULL, -ENETUNREACH, NULL, NULL}, /* ourselves */
	    {3, "10.0.0.9", NULL, -ENETUNREACH, NULL, NULL}, /* there are two */
	    {1, "224.0.0.1", NULL, -EINVAL, NULL, NULL},
	};

	for (uint32_t i = 0; i < array_count(table); i++) {
		struct addr d = A(table[i].dst), s = table[i].src ? A(table[i].src) : (struct addr){0};
		struct net_route r;

		assert_int_equal(net_route_by(w->net, table[i].device, &d, &s, &r), table[i].result);
		if (table[i].result)
			continue;
		assert_int_equal(r.interface + 1, table[i].device);
		assert_text(&r.next_hop, table[i].next_hop);
		assert_text(&r.src, table[i].from);
	}
}

static void path_mtu(void **state)
{
	struct world *w = *state;
	struct addr far = A("192.0.2.1"), far6 = A("2001:db8::1");
	struct net_route r;

	net_set_pmtu(w->net, &far, 1400, w->now);
	route(w, "192.0.2.1", NULL, &r);
	assert_int_equal(r.mtu, 1400);
	assert_int_equal(r.gso_max, 1400);
	route(w, "192.0.2.2", NULL, &r);
	assert_int_equal(r.mtu, 1500);
	net_set_pmtu(w->net, &far, 1450, w->now); /* never larger */
	net_set_pmtu(w->net, &far6, 600, w->now);
	route(w, "192.0.2.1", NULL, &r);
	assert_int_equal(r.mtu, 1400);
	route(w, "2001:db8::1", NULL, &r);
	assert_int_equal(r.mtu, 1280);
	net_set_pmtu(w->net, &far, 0, w->now); /* the next plateau */
	route(w, "192.0.2.1", NULL, &r);
	assert_int_equal(r.mtu, 1006);
	net_set_pmtu(w->net, &far, 68, w->now);
	route(w, "192.0.2.1", NULL, &r);
	assert_int_equal(r.mtu, 296);
	world_pass(w, 600 * SECOND);
	route(w, "192.0.2.1", NULL, &r);
	assert_int_equal(r.mtu, 1500);
	assert_int_equal(net_deadline(w->net), NS_NEVER);
}

/* A known peer in each family, and the way to it. */
static void route_both(struct world *w, struct net_route *r, struct net_route *r6)
{
	know_peer4(w, "10.0.0.2");
	know_peer6(w, "fd00::2");
	route(w, "10.0.0.2", NULL, r);
	route(w, "fd00::2", NULL, r6);
}

static void full_sums(void **state)
{
	struct world *w = *state;
	struct net_route r, r6;

	route_both(w, &r, &r6);
	for (uint32_t payload = 0; payload < 1400; payload += 33) {
		world_quiet(w);
		assert_int_equal(send_tcp(w, &r, "10.0.0.2", payload, 0), 0);
		assert_int_equal(send_tcp(w, &r6, "fd00::2", payload, 0), 0);
		world_pass(w, 0);
		assert_int_equal(w->fake[0].count, 2);
		for (uint32_t i = 0; i < 2; i++) {
			assert_false(w->fake[0].record[i].csum_partial);
			assert_sums(&w->fake[0].record[i]);
		}
		assert_int_equal(counted(w, COUNT_tx_bytes), 54 + 74 + 2 * payload);
	}
	assert_int_equal(w->fake[0].record[0].bytes[22], 64);
	assert_int_equal(get_be16(w->fake[0].record[0].bytes + 20), 0x4000);
}

static int send_marked(struct world *w, struct net_route *r, const char *dst, uint8_t tos,
		       uint8_t ttl)
{
	static uint8_t buffer[NET_HEADROOM + 20];
	struct addr d = A(dst);
	struct net_send s = {.src = &r->src,
			     .dst = &d,
			     .l4 = buffer + NET_HEADROOM,
			     .l4_len = 20,
			     .tos = tos,
			     .ttl = ttl};

	put_tcp(buffer + NET_HEADROOM, 80, 4000, 1000, 0);
	return net_send(w->net, r, &s, w->now);
}

/* SHLD-22, MUST-49: as they are given, in the fields of both families */
static void diffserv_and_ttl(void **state)
{
	struct world *w = *state;
	struct net_route r, r6;

	route_both(w, &r, &r6);
	for (uint32_t tos = 0; tos < 256; tos++) {
		const uint8_t *four, *sixth;
		uint8_t ttl = (uint8_t)(tos | 1);

		world_quiet(w);
		assert_int_equal(send_marked(w, &r, "10.0.0.2", (uint8_t)tos, ttl), 0);
		assert_int_equal(send_marked(w, &r6, "fd00::2", (uint8_t)tos, ttl), 0);
		world_pass(w, 0);
		assert_int_equal(w->fake[0].count, 2);
		four = w->fake[0].record[0].bytes + 14;
		sixth = w->fake[0].record[1].bytes + 14;
		assert_int_equal(four[1], tos);
		assert_int_equal(four[8], ttl);
		assert_int_equal(get_be16(sixth) >> 4 & 0xff, tos);
		assert_int_equal(sixth[7], ttl);
		assert_sums(&w->fake[0].record[0]);
	}
}

static void partial_sums_and_gso(void **state)
{
	struct world *w = world_make(&(struct world_options){.tx_csum = true, .gso_max = 65535});
	const struct record *x;
	struct net_route r;
	struct addr src = A("10.0.0.1"), dst = A("10.0.0.2");
	uint16_t field;

	(void)state;
	know_peer4(w, "10.0.0.2");
	route(w, "10.0.0.2", NULL, &r);
	assert_int_equal(r.gso_max, 65521);
	assert_int_equal(r.mtu, 1500);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 65481, 1460), 0);
	world_pass(w, 0);
	x = &w->fake[0].record[0];
	assert_int_equal(x->len, 65535);
	assert_true(x->csum_partial);
	assert_int_equal(x->csum_start, 34);
	assert_int_equal(x->gso_size, 1460);
	memcpy(&field, x->bytes + 50, 2);
	assert_int_equal(field, checksum_fold(checksum_pseudo(&src, &dst, 6, 65501)));
	/* an impairment is put around the driver: it takes one MTU from now on */
	w->fake[0].driver.caps.gso_max = 1514;
	w->fake[0].fail = -EMSGSIZE;
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 20000, 1460), -ENOBUFS);
	assert_int_equal(r.gso_max, 1500);
	world_free(w);
}

static void driver_is_full(void **state)
{
	struct world *w = *state;
	struct net_route r;

	know_peer4(w, "10.0.0.2");
	route(w, "10.0.0.2", NULL, &r);
	w->fake[0].fail = -ENOBUFS;
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 5, 0), -ENOBUFS);
	assert_int_equal(send_tcp(w, &r, "10.0.0.2", 5, 0), -ENOBUFS);
	assert_int_equal(counted(w, COUNT_tx_full), 2);
	assert_int_equal(counted(w, COUNT_tx_frames), 0);
	route(w, "10.0.0.3", NULL, &r);
	assert_int_equal(send_tcp(w, &r, "10.0.0.3", 5, 0), 0); /* waits; its question was lost */
	assert_int_equal(counted(w, COUNT_tx_own_dropped), 1);
	w->fake[0].fail = 0;
	world_pass(w, SECOND);
	assert_int_equal(w->fake[0].count, 1);
}

static void loop(void **state)
{
	static const char *const own[] = {"10.0.0.1", "fd00::1", "10.1.7.1"};
	struct world *w = *state;
	struct frame frames[8];
	struct net_route r;

	for (uint32_t i = 0; i < array_count(own); i++) {
		struct addr a = A(own[i]);

		assert_int_equal(route(w, own[i], NULL, &r), 0);
		assert_true(r.local);
		assert_int_equal(r.interface, NET_LOOP);
		assert_int_equal(r.mtu, 65521);
		assert_int_equal(net_deadline(w->net), NS_NEVER);
		assert_int_equal(send_tcp(w, &r, own[i], 65000, 0), 0);
		assert_int_equal(net_deadline(w->net), 0); /* at once */
		assert_int_equal(net_loop(w->net, frames, 8), 1);
		assert_int_equal(net_deadline(w->net), NS_NEVER);
		assert_int_equal(net_input(w->net, NET_LOOP, &frames[0], w->now, &w->out),
				 NET_SEGMENT);
		assert_int_equal(w->out.segment.l4_len, 65020);
		assert_int_equal(w->out.segment.interface, NET_LOOP);
		assert_true(addr_equal(&w->out.segment.src, &a) &&
			    addr_equal(&w->out.segment.dst, &a));
		assert_int_equal(w->out.segment.l4[20 + 64999], (uint8_t)(64999 * 7 + 3));
	}
	assert_int_equal(w->fake[0].count + w->fake[1].count, 0);
}

/* Lent frames keep their place until the next call. */
static void loop_is_limited(void **state)
{
	struct world *w = *state;
	struct frame frames[64];
	struct net_route r;
	uint32_t n = 0;

	route(w, "10.0.0.1", NULL, &r);
	while (send_tcp(w, &r, "10.0.0.1", n, 0) == 0)
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(send_tcp(w, &r, "10.0.0.1", 1, 0), -ENOBUFS);
	assert_int_equal(net_loop(w->net, frames, 10), 10);
	assert_int_equal(send_tcp(w, &r, "10.0.0.1", 1, 0), -ENOBUFS);
	assert_int_equal(net_loop(w->net, frames, 1), 1);
	assert_int_equal(frames[0].len, 54 + 10);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(send_tcp(w, &r, "10.0.0.1", 100 + i, 1000), 0);
	assert_int_equal(net_loop(w->net, frames, 64), 63);
	assert_int_equal(frames[62].len, 54 + 109);
	assert_int_equal(frames[62].gso_size, 1000);
	assert_int_equal(net_loop(w->net, frames, 64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	    T(choice),
	    T(refused),
	    T(confined),
	    T(path_mtu),
	    T(full_sums),
	    T(diffserv_and_ttl),
	    cmocka_unit_test(partial_sums_and_gso),
	    T(driver_is_full),
	    T(loop),
	    T(loop_is_limited),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
