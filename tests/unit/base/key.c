/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/key.h"

#include <errno.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/key_text.h"
#include "base/rng.h"
#include "check.h"

struct config {
	uint64_t conns, min, buffer, rate;
	double loss;
	bool on;
	int mode;
	char name[KEY_TEXT_MAX];
};

#define FIELD(f) offsetof(struct config, f)

static const struct key table[] = {
    {"conns", KEY_U64, FIELD(conns), "1000", "1", "1e6", NULL, "connections at the most"},
    {"min", KEY_TIME, FIELD(min), "200ms", "1ms", "60s", NULL, "the shortest timeout"},
    {"buffer", KEY_BYTES, FIELD(buffer), "64KB", "4KB", NULL, NULL, "bytes of a buffer"},
    {"rate", KEY_RATE, FIELD(rate), "10mbit", NULL, "100gbit", NULL, "bits per second"},
    {"loss", KEY_REAL, FIELD(loss), "2%", "0", "1", NULL, "share of frames lost"},
    {"on", KEY_BOOL, FIELD(on), "yes", NULL, NULL, NULL, "whether"},
    {"mode", KEY_CHOICE, FIELD(mode), "auto", NULL, NULL, "auto|native|generic", "how"},
    {"name", KEY_TEXT, FIELD(name), "eth0", NULL, NULL, NULL, "a name"},
    {NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};

static struct config config;
static char error[KEY_ERROR_MAX];

static int set(const char *name, const char *text)
{
	return key_set(key_find(table, name), &config, text, error);
}

static void test_defaults(void **state)
{
	(void)state;
	key_defaults(table, &config);
	assert_int_equal(config.conns, 1000);
	assert_int_equal(config.min, 200000000);
	assert_int_equal(config.buffer, 65536);
	assert_int_equal(config.rate, 10000000);
	assert_true(config.loss == 0.02);
	assert_true(config.on);
	assert_int_equal(config.mode, 0);
	assert_string_equal(config.name, "eth0");
}

static void test_grammar(void **state)
{
	static const struct {
		enum key_type type;
		const char *text;
		uint64_t value;
	} rows[] = {
	    {KEY_U64, "0", 0},
	    {KEY_U64, "10", 10},
	    {KEY_U64, "1e6", 1000000},
	    {KEY_U64, "2.5e3", 2500},
	    {KEY_U64, "007", 7},
	    {KEY_U64, "18446744073709551615", UINT64_MAX},
	    {KEY_TIME, "0", 0},
	    {KEY_TIME, "7ns", 7},
	    {KEY_TIME, "50us", 50000},
	    {KEY_TIME, "200ms", 200000000},
	    {KEY_TIME, "1s", 1000000000},
	    {KEY_TIME, "2m", 120000000000},
	    {KEY_TIME, "2h", 7200000000000},
	    {KEY_TIME, "0.5us", 500},
	    {KEY_TIME, "1.25s", 1250000000},
	    {KEY_BYTES, "1500", 1500},
	    {KEY_BYTES, "64KB", 65536},
	    {KEY_BYTES, "1MB", 1048576},
	    {KEY_BYTES, "1GB", 1073741824},
	    {KEY_BYTES, "64k", 65536},
	    {KEY_BYTES, "0.5KB", 512},
	    {KEY_RATE, "500kbit", 500000},
	    {KEY_RATE, "10mbit", 10000000},
	    {KEY_RATE, "1gbit", 1000000000},
	    {KEY_RATE, "9600bit", 9600},
	    {KEY_RATE, "2.5Gbit", 2500000000},
	    {KEY_RATE, "0", 0},
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_int_equal(key_text_whole(rows[i].type, rows[i].text, &v), 0);
		assert_true(v == rows[i].value);
	}
}

static void test_refused(void **state)
{
	static const struct {
		enum key_type type;
		const char *text;
		int reason;
	} rows[] = {
	    {KEY_U64, "", -EINVAL},
	    {KEY_U64, "-1", -EINVAL},
	    {KEY_U64, "+1", -EINVAL},
	    {KEY_U64, "1.5", -EINVAL},
	    {KEY_U64, "1e", -EINVAL},
	    {KEY_U64, "1 ", -EINVAL},
	    {KEY_U64, " 1", -EINVAL},
	    {KEY_U64, "0x10", -EINVAL},
	    {KEY_U64, "1e20", -ERANGE},
	    {KEY_U64, "1.", -EINVAL},
	    {KEY_U64, "18446744073709551616", -ERANGE},
	    {KEY_U64, "1e999999999999", -ERANGE},
	    {KEY_TIME, "200", -EINVAL},
	    {KEY_TIME, "5x", -EINVAL},
	    {KEY_TIME, "ms", -EINVAL},
	    {KEY_TIME, "1s2ms", -EINVAL},
	    {KEY_TIME, "0.0001us", -EINVAL},
	    {KEY_TIME, "9999999h", -ERANGE},
	    {KEY_BYTES, "64KiB", -EINVAL},
	    {KEY_BYTES, "99999999999GB", -ERANGE},
	    {KEY_RATE, "10", -EINVAL},
	    {KEY_RATE, "10MB", -EINVAL},
	};
	uint64_t v = 99;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		assert_int_equal(key_text_whole(rows[i].type, rows[i].text, &v), rows[i].reason);
	assert_int_equal(v, 99);
}

static void test_reals_bools_choices(void **state)
{
	static const char *const bad[] = {"",   "x", "nan", "inf",   "0x1", " 1",
					  "1 ", "%", "1%%", "1e999", "-",   "--1"};
	double v;

	(void)state;
	assert_int_equal(key_text_real("0.7", &v), 0);
	assert_true(v == 0.7);
	assert_int_equal(key_text_real("2.5%", &v), 0);
	assert_true(v == 0.025);
	assert_int_equal(key_text_real("-1e-3", &v), 0);
	assert_true(v == -0.001);
	for (size_t i = 0; i < array_count(bad); i++)
		assert_int_equal(key_text_real(bad[i], &v), -EINVAL);
	assert_int_equal(set("on", "OFF"), 0);
	assert_false(config.on);
	assert_int_equal(set("on", "true"), 0);
	assert_true(config.on);
	assert_int_equal(set("on", "2"), -EINVAL);
	assert_int_equal(set("mode", "generic"), 0);
	assert_int_equal(config.mode, 2);
	assert_int_equal(set("mode", "gen"), -EINVAL);
	assert_int_equal(set("mode", ""), -EINVAL);
	assert_int_equal(set("mode", "auto|native"), -EINVAL);
	assert_int_equal(config.mode, 2);
}

static void test_sentences(void **state)
{
	static const struct {
		const char *name, *text, *sentence;
		int reason;
	} rows[] = {
	    {"min", "5x", "min: '5x' is not a time; allowed: 1ms to 60s, for example 200ms",
	     -EINVAL},
	    {"min", "2m", "min: '2m' is out of range; allowed: 1ms to 60s, for example 200ms",
	     -ERANGE},
	    {"min", "999us", "min: '999us' is out of range; allowed: 1ms to 60s, for example 200ms",
	     -ERANGE},
	    {"conns", "many",
	     "conns: 'many' is not a whole number; allowed: 1 to 1e6, for example 1000", -EINVAL},
	    {"buffer", "1", "buffer: '1' is out of range; allowed: 4KB and more, for example 64KB",
	     -ERANGE},
	    {"rate", "fast",
	     "rate: 'fast' is not a rate; allowed: up to 100gbit, for example 10mbit", -EINVAL},
	    {"loss", "101%", "loss: '101%' is out of range; allowed: 0 to 1, for example 2%",
	     -ERANGE},
	    {"on", "a\nb",
	     "on: 'a?b' is not yes or no; allowed: yes, no, true, false, on, off, 1, 0", -EINVAL},
	    {"mode", "x", "mode: 'x' is not one of the choices; allowed: auto, native, generic",
	     -EINVAL},
	};

	(void)state;
	key_defaults(table, &config);
	for (size_t i = 0; i < array_count(rows); i++) {
		struct config before = config;

		assert_int_equal(set(rows[i].name, rows[i].text), rows[i].reason);
		assert_string_equal(error, rows[i].sentence);
		assert_memory_equal(&before, &config, sizeof(config));
	}
}

static void test_long_text(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[KEY_TEXT_MAX - 1] = 0;
	assert_int_equal(set("name", text), 0);
	assert_string_equal(config.name, text);
	text[KEY_TEXT_MAX - 1] = 'a';
	text[sizeof(text) - 1] = 0;
	assert_int_equal(set("name", text), -ERANGE);
	assert_non_null(strstr(error, "is too long; allowed: up to 255 bytes"));
	for (const struct key *k = table; k->name; k++)
		assert_true(k->type == KEY_TEXT || set(k->name, text) == -EINVAL);
}

static void assert_round(const struct key *k)
{
	struct config before = config;
	char text[300];

	key_get(k, &config, text, sizeof(text));
	assert_int_equal(key_set(k, &config, text, error), 0);
	assert_memory_equal(&before, &config, sizeof(config));
}

static void test_round_trips(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, seed_from_env("key"));
	key_defaults(table, &config);
	for (int i = 0; i < 20000; i++) {
		config.conns = 1 + rng_below(&r, 1000000);
		config.min = 1000000 + rng_below(&r, 59999000000);
		if (i % 2)
			config.min = config.min / 1000000 * 1000000;
		config.buffer = 4096 + (rng_next(&r) >> rng_below(&r, 40));
		if (config.buffer < 4096)
			config.buffer = 4096;
		config.rate = rng_below(&r, 100000000) * (i % 2 ? 1 : 1000);
		config.loss = (double)(rng_next(&r) >> 11) * 0x1p-53;
		config.on = i % 2;
		config.mode = i % 3;
		for (const struct key *k = table; k->name; k++)
			assert_round(k);
	}
}

static void test_canonical_texts(void **state)
{
	static const char *const rows[][3] = {
	    {"min", "1500ms", "1500ms"},   {"min", "2000ms", "2s"},      {"min", "60s", "1m"},
	    {"buffer", "65536", "64KB"},   {"buffer", "5000", "5000"},   {"rate", "0", "0bit"},
	    {"rate", "1000kbit", "1mbit"}, {"loss", "2%", "0.02"},       {"on", "1", "yes"},
	    {"on", "off", "no"},           {"mode", "native", "native"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_int_equal(set(rows[i][0], rows[i][1]), 0);
		assert_string_equal(
		    key_get(key_find(table, rows[i][0]), &config, text, sizeof(text)), rows[i][2]);
	}
}

static void test_nearest(void **state)
{
	(void)state;
	assert_string_equal(key_nearest(table, "bufer"), "buffer");
	assert_string_equal(key_nearest(table, "buffers"), "buffer");
	assert_string_equal(key_nearest(table, "mod"), "mode");
	assert_null(key_nearest(table, "something"));
	assert_null(key_nearest(table, ""));
	assert_null(key_find(table, "bufer"));
	assert_string_equal(key_type_name(KEY_TIME), "time");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),    cmocka_unit_test(test_grammar),
	    cmocka_unit_test(test_refused),     cmocka_unit_test(test_reals_bools_choices),
	    cmocka_unit_test(test_sentences),   cmocka_unit_test(test_long_text),
	    cmocka_unit_test(test_round_trips), cmocka_unit_test(test_canonical_texts),
	    cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
