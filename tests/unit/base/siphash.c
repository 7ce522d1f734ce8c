/* SPDX-License-Identifier: BSD-2-Clause */
/* The vectors of the paper's authors: key 00..0f, message 00 01 02 ... of each length. */
#include "base/siphash.h"

#include "check.h"

static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static void test_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
	    {0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd}, {2, 0x0d6c8009d9a94f5a},
	    {3, 0x85676696d7fb7e2d},  {7, 0xab0200f58b01d137}, {8, 0x93f5f5799a932462},
	    {15, 0xa129ca6149be45e5},
	};
	uint8_t message[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_true(siphash(&key, message, rows[i].len) == rows[i].hash);
}

static void test_any_alignment(void **state)
{
	uint8_t room[80];

	(void)state;
	for (unsigned at = 0; at < 16; at++) {
		for (unsigned i = 0; i < 15; i++)
			room[at + i] = (uint8_t)i;
		assert_true(siphash(&key, room + at, 15) == 0xa129ca6149be45e5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_any_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
