/* SPDX-License-Identifier: BSD-2-Clause */
/* Every refusal of a frame has its counter: a good packet, one change each, and which counter
 * moved. */
#include "world.h"

static uint8_t f[2048], l4[1600];

static uint32_t good4(void)
{
	return put_ip4(f, "10.0.0.2", "10.0.0.1", 6, l4, put_tcp(l4, 4000, 80, 77, 100));
}

static uint32_t good6(void)
{
	return put_ip6(f, "fd00::2", "fd00::1", 6, l4, put_tcp(l4, 4000, 80, 77, 100));
}

/* One packet is refused, by this reason and no other drop. */
static void refused(struct world *w, uint32_t len, enum count_id reason)
{
	memset(&w->counters, 0, sizeof(w->counters));
	assert_int_equal(feed(w, 0, f, len), NET_DONE);
	for (uint32_t i = 0; i < COUNT_MAX; i++) {
		uint64_t expected = i == (uint32_t)reason;

		if (count_info[i].kind == COUNT_DROP && w->counters.n[i] != expected)
			fail_msg("%s is %d, not %d", count_info[i].name, (int)w->counters.n[i],
				 (int)expected);
	}
}

static void good_ones_pass(void **state)
{
	struct world *w = *state;
	struct addr src = A("10.0.0.2"), dst = A("10.0.0.1"), src6 = A("fd00::2");

	assert_int_equal(feed(w, 0, f, good4()), NET_SEGMENT);
	assert_true(addr_equal(&w->out.segment.src, &src) && addr_equal(&w->out.segment.dst, &dst));
	assert_int_equal(w->out.segment.l4_len, 120);
	assert_int_equal(w->out.segment.l4_linear, 120);
	assert_int_equal(w->out.segment.more_count, 0);
	assert_int_equal(w->out.segment.ttl, 61);
	assert_int_equal(w->out.segment.interface, 0);
	assert_memory_equal(w->out.segment.l4 + 20, l4 + 20, 100);
	assert_int_equal(feed(w, 0, f, good6()), NET_SEGMENT);
	assert_true(addr_equal(&w->out.segment.src, &src6));
	assert_int_equal(w->out.segment.l4_len, 120);
}

static void ethernet(void **state)
{
	struct world *w = *state;
	uint32_t len = good4();

	refused(w, 13, COUNT_eth_short);
	f[5] ^= 4;
	refused(w, len, COUNT_eth_not_ours);
	f[5] ^= 4;
	put_be16(f + 12, 0x8100);
	refused(w, len, COUNT_eth_unknown_type);
	put_be16(f + 12, 100);
	refused(w, len, COUNT_eth_unknown_type);
	len = good4();
	memcpy(f, "\x01\x00\x5e\x00\x00\x01", 6);
	refused(w, len, COUNT_eth_not_ours);
	memcpy(f, mac_all, 6); /* RFC 1122 3.3.6: unicast inside a broadcast frame */
	refused(w, len, COUNT_seg_group_address);
}

static void ip4_header(void **state)
{
	struct world *w = *state;
	uint32_t len = good4();

	refused(w, 14, COUNT_ip_short);
	refused(w, 33, COUNT_ip_short);
	refused(w, len - 1, COUNT_ip_short);
	f[14] = 0x65;
	refused(w, len, COUNT_ip_version);
	f[14] = 0x44;
	refused(w, len, COUNT_ip_header_length);
	f[14] = 0x45;
	put_be16(f + 16, 19);
	refused(w, len, COUNT_ip_header_length);
	good4();
	f[22]++;
	refused(w, len, COUNT_ip_checksum);
	good4();
	put_be16(f + 20, 0x2000);
	fix_ip4(f);
	refused(w, len, COUNT_ip_fragment);
	put_be16(f + 20, 0x0001);
	fix_ip4(f);
	refused(w, len, COUNT_ip_fragment);
	put_be16(f + 20, 0x4000);
	fix_ip4(f);
	assert_int_equal(feed(w, 0, f, len), NET_SEGMENT);
}

static void ip4_addresses(void **state)
{
	static const char *const bad_source[] = {"0.0.0.0",    "255.255.255.255", "224.0.0.1",
						 "10.0.0.255", "127.0.0.1",       "10.0.0.1"};
	static const char *const not_ours[] = {"10.0.0.3",  "10.0.0.255", "255.255.255.255",
					       "224.0.0.1", "10.1.0.1",   "127.0.0.1",
					       "0.0.0.0"};
	struct world *w = *state;
	uint32_t len = put_tcp(l4, 4000, 80, 77, 1);

	for (uint32_t i = 0; i < array_count(bad_source); i++)
		refused(w, put_ip4(f, bad_source[i], "10.0.0.1", 6, l4, len), COUNT_ip_bad_source);
	for (uint32_t i = 0; i < array_count(not_ours); i++)
		refused(w, put_ip4(f, "10.0.0.2", not_ours[i], 6, l4, len), COUNT_ip_not_ours);
}

static void ip6_header(void **state)
{
	struct world *w = *state;
	uint32_t len = good6();

	refused(w, 53, COUNT_ip6_short);
	refused(w, len - 1, COUNT_ip6_short);
	f[14] = 0x40;
	refused(w, len, COUNT_ip_version);
}

static void ip6_addresses(void **state)
{
	static const char *const bad_source[] = {"::", "::1", "ff02::1", "fd00::1",
						 "::ffff:10.0.0.2"};
	static const char *const not_ours[] = {"fd00::3", "ff02::2", "::1", "fd01::1", "::"};
	struct world *w = *state;
	struct addr mapped = A("::ffff:10.0.0.1");
	uint32_t len = put_tcp(l4, 4000, 80, 77, 1);

	for (uint32_t i = 0; i < array_count(bad_source); i++)
		refused(w, put_ip6(f, bad_source[i], "fd00::1", 6, l4, len), COUNT_ip_bad_source);
	for (uint32_t i = 0; i < array_count(not_ours); i++)
		refused(w, put_ip6(f, "fd00::2", not_ours[i], 6, l4, len), COUNT_ip_not_ours);
	len = good6();
	memcpy(f + 38, mapped.b, 16); /* our IPv4 address, dressed up */
	refused(w, len, COUNT_ip_not_ours);
	len = put_ip6(f, "fd00::2", "ff02::1", 6, l4, put_tcp(l4, 4000, 80, 77, 1));
	refused(w, len, COUNT_seg_group_address);
}

static void transport(void **state)
{
	struct world *w = *state;

	put_tcp(l4, 1, 2, 3, 0);
	refused(w, put_ip4(f, "10.0.0.2", "10.0.0.1", 6, l4, 19), COUNT_seg_short);
	refused(w, put_ip6(f, "fd00::2", "fd00::1", 6, l4, 0), COUNT_seg_short);
	refused(w, put_ip4(f, "10.0.0.2", "10.0.0.1", 17, l4, 20), COUNT_ip_protocol);
	refused(w, put_ip4(f, "10.0.0.2", "10.0.0.1", 132, l4, 20), COUNT_ip_protocol);
	refused(w, put_ip6(f, "fd00::2", "fd00::1", 17, l4, 20), COUNT_ip_protocol);
	refused(w, put_ip6(f, "fd00::2", "fd00::1", 59, l4, 20), COUNT_ip_protocol);
	refused(w, put_ip4(f, "10.0.0.2", "10.0.0.1", 58, l4, 20), COUNT_ip_protocol);
}

/* RFC 9293 MUST-50 */
static void ip4_options_are_skipped(void **state)
{
	struct world *w = *state;
	uint8_t with[2048];
	uint32_t len = good4();

	for (uint8_t words = 1; words <= 10; words++) {
		memcpy(with, f, 34);
		memset(with + 34, 1, words * 4u);
		memcpy(with + 34 + words * 4u, f + 34, len - 34);
		with[14] = (uint8_t)(0x45 + words);
		put_be16(with + 16, (uint16_t)(len - 14 + words * 4u));
		fix_ip4(with);
		assert_int_equal(feed(w, 0, with, len + words * 4u), NET_SEGMENT);
		assert_int_equal(w->out.segment.l4_len, 120);
	}
	with[14] = 0x4f; /* the header longer than the packet */
	put_be16(with + 16, 40);
	assert_int_equal(feed(w, 0, with, len), NET_DONE);
	assert_int_equal(counted(w, COUNT_ip_header_length), 1);
}

/* Ethernet pads to 60 bytes; the total length says what counts. */
static void padding_is_cut(void **state)
{
	struct world *w = *state;
	uint32_t len = put_ip4(f, "10.0.0.2", "10.0.0.1", 6, l4, put_tcp(l4, 1, 2, 3, 1));

	memset(f + len, 0xee, 60 - len);
	assert_int_equal(feed(w, 0, f, 60), NET_SEGMENT);
	assert_int_equal(w->out.segment.l4_len, 21);
	assert_int_equal(w->out.segment.l4_linear, 21);
}

/* Inserts extension headers between the IPv6 header and the segment. */
static uint32_t extended(uint8_t first, const uint8_t *chain, uint32_t bytes)
{
	static uint8_t tail[2048];
	uint32_t len = good6();

	memcpy(tail, f + 54, len - 54);
	memcpy(f + 54, chain, bytes);
	memcpy(f + 54 + bytes, tail, len - 54);
	f[20] = first;
	put_be16(f + 18, (uint16_t)(len - 54 + bytes));
	return len + bytes;
}

static void ip6_extensions(void **state)
{
	struct world *w = *state;
	static const uint8_t fine[] = {43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 6, 1,
				       1,  4, 0, 0, 0, 0, 1, 6, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t route[] = {6, 0, 0, 1, 0, 0, 0, 0};
	static const uint8_t hop_late[] = {0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t fragment[] = {6, 0, 0, 1, 0, 0, 0, 9};
	static const uint8_t endless[] = {60, 255, 0, 0, 0, 0, 0, 0};
	uint8_t nine[72] = {0}, large[136] = {0};

	assert_int_equal(feed(w, 0, f, extended(0, fine, 32)), NET_SEGMENT);
	assert_int_equal(w->out.segment.l4_len, 120);
	refused(w, extended(43, route, 8), COUNT_ip6_extension);
	refused(w, extended(60, hop_late, 16), COUNT_ip6_extension);
	refused(w, extended(60, endless, 8), COUNT_ip6_extension);
	refused(w, extended(44, fragment, 8), COUNT_ip6_fragment);
	for (uint32_t i = 0; i < 72; i += 8)
		nine[i] = 60;
	nine[64] = 6;
	refused(w, extended(60, nine, 72), COUNT_ip6_extension);
	nine[8] = 6; /* chained: the second says TCP */
	assert_int_equal(feed(w, 0, f, extended(60, nine, 16)), NET_SEGMENT);
	large[0] = 6;
	large[1] = 16;
	refused(w, extended(60, large, 136), COUNT_ip6_extension);
	good6();
	f[20] = 60; /* nothing follows */
	put_be16(f + 18, 0);
	refused(w, 54, COUNT_ip6_extension);
}

static void arp_refusals(void **state)
{
	struct world *w = *state;
	static const struct {
		uint32_t at;
		uint8_t byte;
	} change[] = {{15, 2}, {16, 9}, {18, 8}, {19, 16}, {21, 9}, {22, 0xff}};

	for (uint32_t i = 0; i < array_count(change); i++) {
		uint32_t len = put_arp(f, mac_all, 1, "10.0.0.2", mac_peer, "10.0.0.1");

		f[change[i].at] = change[i].byte;
		refused(w, len, COUNT_arp_malformed);
	}
	put_arp(f, mac_all, 1, "10.0.0.2", mac_peer, "10.0.0.1");
	refused(w, 41, COUNT_arp_malformed);
	memset(f + 22, 0, 6);
	refused(w, 60, COUNT_arp_malformed);
	assert_int_equal(w->fake[0].count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	    T(good_ones_pass), T(ethernet),       T(ip4_header),   T(ip4_addresses),
	    T(ip6_header),     T(ip6_addresses),  T(transport),    T(ip4_options_are_skipped),
	    T(padding_is_cut), T(ip6_extensions), T(arp_refusals),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
