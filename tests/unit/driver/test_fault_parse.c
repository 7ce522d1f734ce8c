/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fault_parse.c - the text of an impairment. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "driver/driver.h"

static void test_all_words(void **state)
{
	struct fault_config c;
	char error[DRIVER_ERROR_MAX];

	(void)state;
	assert_int_equal(fault_parse("loss 2%, delay 20ms, jitter 5ms, reorder 1%, duplicate 0.1%, "
				     "corrupt 0.5%, rate 100mbit, queue 100, seed 7, direction in",
				     &c, error),
			 0);
	assert_float_equal(c.loss, 0.02, 1e-12);
	assert_float_equal(c.reorder, 0.01, 1e-12);
	assert_float_equal(c.duplicate, 0.001, 1e-12);
	assert_float_equal(c.corrupt, 0.005, 1e-12);
	assert_int_equal(c.delay_ns, 20 * NS_PER_MS);
	assert_int_equal(c.jitter_ns, 5 * NS_PER_MS);
	assert_int_equal(c.rate_bps, 100000000);
	assert_int_equal(c.queue, 100);
	assert_int_equal(c.seed, 7);
	assert_int_equal(c.direction, FAULT_IN);
}

static void test_empty_and_units(void **state)
{
	struct fault_config c;
	char error[DRIVER_ERROR_MAX];

	(void)state;
	assert_int_equal(fault_parse("  ", &c, error), 0);
	assert_true(c.loss == 0 && c.delay_ns == 0 && c.rate_bps == 0 && c.direction == FAULT_BOTH);
	assert_int_equal(fault_parse(" delay 1.5us ,rate 2gbit,direction both", &c, error), 0);
	assert_int_equal(c.delay_ns, 1500);
	assert_int_equal(c.rate_bps, 2000000000);
	assert_int_equal(fault_parse("delay 1s,jitter 250ns,rate 9600bit", &c, error), 0);
	assert_int_equal(c.delay_ns, NS_PER_S);
	assert_int_equal(c.jitter_ns, 250);
	assert_int_equal(c.rate_bps, 9600);
	assert_int_equal(fault_parse("loss 0, reorder 0.0, delay 0, jitter 0", &c, error), 0);
	assert_true(c.loss == 0 && c.reorder == 0 && c.delay_ns == 0 && c.jitter_ns == 0);
}

static void test_errors_name_the_word(void **state)
{
	static const struct {
		const char *text, *says, *allows;
	} wrong[] = {
	    {"los 2%", "\"los\"", "duplicate"},
	    {"delay 20ms, speed 3", "\"speed\"", "rate"},
	    {"loss 2", "\"2\"", "2%"},
	    {"loss 101%", "\"101%\"", "100%"},
	    {"loss -1%", "\"-1%\"", "2%"},
	    {"loss nan%", "\"nan%\"", "2%"},
	    {"loss 0x2%", "\"0x2%\"", "2%"},
	    {"delay 20", "\"20\"", "ms"},
	    {"delay", "delay", "20ms"},
	    {"delay 20ms 5ms", "\"5ms\"", "one value"},
	    {"delay 20 ms", "\"20\"", "ms"},
	    {"jitter 601s", "jitter", "600s"},
	    {"rate 0mbit", "rate", "mbit"},
	    {"rate 0", "rate", "above 0"},
	    {"rate 10mb", "\"10mb\"", "mbit"},
	    {"queue 0", "queue", "65536"},
	    {"queue 65537", "queue", "65536"},
	    {"seed -1", "seed", "number"},
	    {"seed 99999999999999999999", "seed", "number"},
	    {"direction up", "\"up\"", "both"},
	    {"loss 2%,,delay 1ms", "commas", "loss"},
	    {"loss 2%,", "commas", "loss"},
	    {"lossssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss 2%", "long",
	     ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct fault_config c = {.seed = 99};
		char error[DRIVER_ERROR_MAX];

		print_message("%s\n", wrong[i].text);
		assert_int_equal(fault_parse(wrong[i].text, &c, error), -EINVAL);
		print_message("  %s\n", error);
		assert_non_null(strstr(error, wrong[i].says));
		assert_non_null(strstr(error, wrong[i].allows));
		assert_int_equal(c.seed, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_words),
	    cmocka_unit_test(test_empty_and_units),
	    cmocka_unit_test(test_errors_name_the_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
