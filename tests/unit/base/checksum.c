/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/checksum.h"

#include "base/bytes.h"
#include "base/rng.h"
#include "check.h"

static uint16_t wire(uint16_t native)
{
	uint8_t b[2];

	memcpy(b, &native, 2);
	return get_be16(b);
}

/* RFC 1071 section 4.1, word by word. */
static uint16_t plain(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* 0 and 0xffff are the same number in ones' complement. */
static void assert_same_sum(uint16_t a, uint16_t b)
{
	assert_int_equal(a % 0xffff, b % 0xffff);
}

static void test_rfc1071_example(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(wire(checksum_fold(checksum_add(0, data, sizeof(data)))), 0xddf2);
	assert_int_equal(wire(checksum_finish(checksum_add(0, data, sizeof(data)))), 0x220d);
}

static void test_ipv4_header(void **state)
{
	static const uint8_t header[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40,
					   0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8,
					   0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

	(void)state;
	assert_int_equal(wire(checksum_finish(checksum_add(0, header, 20))), 0xb861);
}

static void test_pseudo_headers(void **state)
{
	struct addr a, b;

	(void)state;
	addr_parse("192.0.2.1", &a);
	addr_parse("198.51.100.2", &b);
	assert_same_sum(wire(checksum_fold(checksum_pseudo(&a, &b, 6, 20))),
			plain((const uint8_t[]){192, 0, 2, 1, 198, 51, 100, 2, 0, 6, 0, 20}, 12));
	addr_parse("2001:db8::1", &a);
	addr_parse("2001:db8::2", &b);
	assert_same_sum(
	    wire(checksum_fold(checksum_pseudo(&a, &b, 58, 0x12345))),
	    plain((const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0,
				    1,    0x20, 0x01, 0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0,
				    0,    2,    0,    1,    0x23, 0x45, 0, 0, 0, 58},
		  40));
}

static void test_extremes(void **state)
{
	static uint8_t ones[70000];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(checksum_fold(checksum_add(0, ones, sizeof(ones))), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, ones, sizeof(ones))), 0xffff);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(0, ones, 0)), 0);
	assert_int_equal(checksum_finish(0), 0xffff);
}

static void test_random_lengths_and_offsets(void **state)
{
	static uint8_t data[4096 + 64], copy[4096 + 64];
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("checksum"));
	for (int round = 0; round < 20000; round++) {
		size_t len = rng_below(&r, round % 2 ? 300 : 4096), from = rng_below(&r, 64),
		       to = rng_below(&r, 60);
		uint64_t start = rng_next(&r), sum;

		for (size_t i = 0; i < len; i += 8)
			memcpy(data + from + i, &(uint64_t){rng_next(&r)},
			       len - i < 8 ? len - i : 8);
		assert_same_sum(wire(checksum_fold(checksum_add(0, data + from, len))),
				plain(data + from, len));
		memset(copy, 0xa5, sizeof(copy));
		sum = checksum_copy(start, copy + to, data + from, len);
		assert_true(checksum_fold(sum) ==
			    checksum_fold(checksum_add(start, data + from, len)));
		assert_memory_equal(copy + to, data + from, len);
		assert_int_equal(copy[to + len], 0xa5);
		assert_true(to == 0 || copy[to - 1] == 0xa5);
	}
}

static void test_pieces_at_any_offset(void **state)
{
	static uint8_t data[3000];
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("checksum pieces"));
	for (int round = 0; round < 2000; round++) {
		uint64_t sum = 0;
		size_t at = 0, len = 1 + rng_below(&r, sizeof(data));

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)rng_next(&r);
		while (at < len) {
			size_t n = 1 + rng_below(&r, len - at);

			if (at % 2)
				sum = checksum_add_odd(sum, checksum_add(0, data + at, n));
			else
				sum = checksum_add(sum, data + at, n);
			at += n;
		}
		assert_same_sum(wire(checksum_fold(sum)), plain(data, len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc1071_example),
	    cmocka_unit_test(test_ipv4_header),
	    cmocka_unit_test(test_pseudo_headers),
	    cmocka_unit_test(test_extremes),
	    cmocka_unit_test(test_random_lengths_and_offsets),
	    cmocka_unit_test(test_pieces_at_any_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
