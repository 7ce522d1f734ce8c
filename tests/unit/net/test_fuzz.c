/* SPDX-License-Identifier: BSD-2-Clause */
/* 100,000 mutated frames: nothing crashes (run it with the address sanitizer), what comes out keeps
 * the contract, and what goes out is well formed.  Seed: argv[1] or FUZZ_SEED; count: FUZZ_COUNT.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

#define FRAME_MAX 1600u

static uint64_t seed = 1;
static uint32_t rounds = 100000;
static struct rng rng;
static uint8_t f[FRAME_MAX + 64], l4[FRAME_MAX];

static uint32_t some(uint32_t n)
{
	return (uint32_t)rng_below(&rng, n);
}

static uint32_t tcp_error(bool six)
{
	uint8_t quote[100], tcp[20];

	put_tcp(tcp, 80, 4000, 7, 0);
	if (six)
		put_ip6(quote, "fd00::1", "fd00::9", 6, tcp, 20);
	else
		put_ip4(quote, "10.0.0.1", "10.0.0.9", 6, tcp, 20);
	memset(l4, 0, 8);
	l4[0] = six ? (uint8_t)(1 + some(4)) : (uint8_t)(some(2) ? 3 : 11 + some(2));
	l4[1] = (uint8_t)some(6);
	memcpy(l4 + 8, quote + 14, 60);
	return 8 + (six ? 60 : 40);
}

/* A legal frame of any kind that the net knows. */
static uint32_t legal(void)
{
	static const uint8_t chain[] = {60, 0, 0, 0, 0, 0, 0, 0, 43, 0, 0, 0,
					0,  0, 0, 0, 6, 0, 0, 0, 0,  0, 0, 0};
	uint32_t len = some(1200);

	switch (some(9)) {
	case 0:
		return put_arp(f, some(2) ? mac_all : mac_if[0], (uint16_t)(1 + some(2)),
			       "10.0.0.2", mac_peer, some(4) ? "10.0.0.1" : "10.0.0.2");
	case 1:
		return put_ip4(f, "10.0.0.2", "10.0.0.1", 6, l4, put_tcp(l4, 1, 2, 3, len));
	case 2:
		return put_ip6(f, "fd00::2", "fd00::1", 6, l4, put_tcp(l4, 1, 2, 3, len));
	case 3:
		l4[0] = 8;
		return put_ip4(f, "10.0.0.2", "10.0.0.1", 1, l4, 8 + len);
	case 4:
		l4[0] = 128;
		return put_ip6(f, "fd00::2", some(2) ? "fd00::1" : "ff02::1", 58, l4, 8 + len);
	case 5:
		return put_ip4(f, "10.0.0.2", "10.0.0.1", 1, l4, tcp_error(false));
	case 6:
		return put_ip6(f, "fd00::2", "fd00::1", 58, l4, tcp_error(true));
	case 7:
		memcpy(l4, chain, sizeof(chain));
		put_tcp(l4 + 24, 1, 2, 3, len);
		return put_ip6(f, "fd00::2", "fd00::1", 0, l4, 44 + len);
	default:
		return put_ip6(
		    f, some(8) ? "fd00::2" : "::", some(2) ? "fd00::1" : "ff02::1:ff00:1", 58, l4,
		    put_nd(l4, (uint8_t)(134 + some(3)), (uint8_t)(some(8) << 5),
			   some(2) ? "fd00::1" : "fd00::2", (uint8_t)some(3), mac_peer));
	}
}

/* Makes the sums good again now and then, so that mutations reach what lies behind them. */
static void mend(uint32_t len)
{
	if (len >= 34 && get_be16(f + 12) == 0x0800 && (f[14] & 15u) * 4u + 14 <= len)
		fix_ip4(f);
}

static uint32_t mutate(uint32_t len)
{
	uint32_t changes = some(4);

	for (uint32_t i = 0; i < changes; i++) {
		uint32_t at = some(3) ? some(len < 90 ? len : 90) : some(len);

		if (some(2))
			f[at] = (uint8_t)some(256);
		else
			f[at] = (uint8_t)(f[at] ^ 1u << some(8));
	}
	if (some(10) == 0)
		len = some(len + 1);
	else if (some(10) == 0)
		len += some(40);
	if (some(3))
		mend(len);
	return len;
}

static void check_segment(const struct net_segment *s)
{
	uint32_t len = s->l4_linear, sum = 0;

	assert_true(s->l4_linear >= 20);
	for (uint32_t i = 0; i < s->more_count; i++)
		len += s->more[i].len;
	assert_int_equal(len, s->l4_len);
	for (uint32_t i = 0; i < s->l4_linear; i++) /* all of it may be read */
		sum += s->l4[i];
	for (uint32_t i = 0; i < s->more_count; i++)
		sum += plain_sum(s->more[i].base, s->more[i].len, 0);
	assert_true(sum != UINT32_MAX);
	assert_int_equal(s->interface, 0);
}

static void check_sent(struct world *w)
{
	for (uint32_t i = 0; i < w->fake[0].count; i++) {
		const struct record *r = &w->fake[0].record[i];

		if (get_be16(r->bytes + 12) != 0x0806)
			assert_sums(r);
	}
	world_quiet(w);
}

static uint64_t verdict_count[4];

static void one(struct world *w)
{
	uint32_t len = mutate(legal());
	uint32_t cut[2] = {256 + some(8), 1 + some(50)};
	uint32_t cuts = len > cut[0] + cut[1] ? some(3) : 0;
	enum net_verdict v = feed_spans(w, f, len, cut, cuts,
					(uint8_t)(some(2) ? FRAME_CSUM_GOOD : FRAME_CSUM_UNKNOWN));

	verdict_count[v]++;
	if (v == NET_SEGMENT)
		check_segment(&w->out.segment);
	else if (v == NET_NEIGHBOUR)
		net_learn(w->net, &w->out.neighbour, w->now);
}

static void mutated_frames(void **state)
{
	struct world *w = *state;

	rng_seed(&rng, seed);
	know_peer4(w, "10.0.0.2");
	for (uint32_t i = 0; i < rounds; i++) {
		one(w);
		if (some(20) == 0) {
			world_pass(w, some(5) ? NS_PER_MS : some(40) * SECOND);
			check_sent(w);
		}
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_true(verdict_count[i] > 0);
	printf("done %u, segment %u, error %u, neighbour %u\n", (unsigned)verdict_count[NET_DONE],
	       (unsigned)verdict_count[NET_SEGMENT], (unsigned)verdict_count[NET_ERROR],
	       (unsigned)verdict_count[NET_NEIGHBOUR]);
}

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : getenv("FUZZ_SEED");
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(mutated_frames, world_setup, world_teardown),
	};

	if (text)
		seed = strtoull(text, NULL, 0);
	if (getenv("FUZZ_COUNT"))
		rounds = (uint32_t)strtoul(getenv("FUZZ_COUNT"), NULL, 0);
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
