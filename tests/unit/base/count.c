/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/count.h"

#include <ctype.h>

#include "check.h"

static void test_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_MAX; i++) {
		const struct count_info *c = &count_info[i];

		assert_non_null(c->name);
		for (const char *p = c->name; *p; p++)
			assert_true(islower(*p) || isdigit(*p) || *p == '_');
		assert_true(strlen(c->sentence) >= 8);
		assert_true(c->sentence[strlen(c->sentence) - 1] != '.');
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(c->name, count_info[j].name);
	}
	assert_string_equal(count_info[COUNT_ip_checksum].name, "ip_checksum");
	assert_int_equal(count_info[COUNT_ip_checksum].kind, COUNT_DROP);
	assert_int_equal(count_info[COUNT_rx_frames].kind, COUNT_FACT);
}

static void test_counting(void **state)
{
	static struct counters c;

	(void)state;
	count(&c, COUNT_rx_frames);
	count_add(&c, COUNT_rx_frames, 4);
	assert_int_equal(c.n[COUNT_rx_frames], 5);
	assert_int_equal(c.n[COUNT_rx_bytes], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
