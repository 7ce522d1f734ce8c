/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/addr.h"

#include <errno.h>

#include "check.h"

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void test_texts_round(void **state)
{
	static const char *const texts[] = {
	    "0.0.0.0", "10.9.0.2", "255.255.255.255", "::",
	    "::1",     "fd00::1",  "2001:db8:0:1::a", "fe80::5054:ff:fe12:3456"};
	char out[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct addr a = parsed(texts[i]);

		assert_string_equal(addr_format(&a, out), texts[i]);
		assert_int_equal(addr_is4(&a), strchr(texts[i], ':') == NULL);
	}
}

static void test_mapped_is_ipv4(void **state)
{
	struct addr a = parsed("::ffff:10.9.0.2"), b = parsed("10.9.0.2");

	(void)state;
	assert_true(addr_is4(&a));
	assert_true(addr_equal(&a, &b));
}

static void test_refused_texts(void **state)
{
	static const char *const texts[] = {
	    "",        "10.9.0",    "10.9.0.256", "10.9.0.2 ", " 10.9.0.2",
	    "a.b.c.d", "1.2.3.4.5", ":::",        "12345::",   "localhost"};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(addr_parse(texts[i], &a), -EINVAL);
}

static void test_classes(void **state)
{
	static const struct {
		const char *text;
		bool multicast, broadcast, unspecified, link_local;
	} rows[] = {
	    {"224.0.0.1", true, false, false, false},
	    {"239.255.255.255", true, false, false, false},
	    {"223.255.255.255", false, false, false, false},
	    {"240.0.0.1", false, false, false, false},
	    {"255.255.255.255", false, true, false, false},
	    {"10.0.0.255", false, false, false, false},
	    {"0.0.0.0", false, false, true, false},
	    {"::", false, false, true, false},
	    {"::1", false, false, false, false},
	    {"ff02::1", true, false, false, false},
	    {"fe80::1", false, false, false, true},
	    {"febf::1", false, false, false, true},
	    {"fec0::1", false, false, false, false},
	    {"169.254.3.4", false, false, false, true},
	    {"169.253.3.4", false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct addr a = parsed(rows[i].text);

		assert_int_equal(addr_is_multicast(&a), rows[i].multicast);
		assert_int_equal(addr_is_broadcast4(&a), rows[i].broadcast);
		assert_int_equal(addr_is_unspecified(&a), rows[i].unspecified);
		assert_int_equal(addr_is_link_local(&a), rows[i].link_local);
	}
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *text, *address;
		bool inside;
	} rows[] = {
	    {"10.9.0.2/24", "10.9.0.255", true}, {"10.9.0.2/24", "10.9.1.0", false},
	    {"10.9.0.2/31", "10.9.0.3", true},   {"10.9.0.2/31", "10.9.0.4", false},
	    {"0.0.0.0/0", "203.0.113.9", true},  {"0.0.0.0/0", "2001:db8::1", false},
	    {"::/0", "2001:db8::1", true},       {"::/0", "203.0.113.9", false},
	    {"fd00::/8", "fdff::1", true},       {"fd00::/8", "fe00::1", false},
	    {"10.9.0.2/32", "10.9.0.2", true},   {"10.9.0.2/32", "10.9.0.3", false},
	    {"fd00::1/128", "fd00::1", true},    {"2001:db8::/33", "2001:db8:8000::", false},
	};
	char out[ADDR_TEXT_MAX];
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct addr a = parsed(rows[i].address);

		assert_int_equal(prefix_parse(rows[i].text, &p), 0);
		assert_string_equal(prefix_format(&p, out), rows[i].text);
		assert_int_equal(prefix_contains(&p, &a), rows[i].inside);
	}
	assert_int_equal(prefix_parse("10.9.0.2", &p), 0);
	assert_int_equal(p.bits, 128);
	assert_int_equal(prefix_parse("10.9.0.2/24", &p), 0);
	assert_int_equal(p.bits, 120);
}

static void test_refused_prefixes(void **state)
{
	static const char *const texts[] = {
	    "10.9.0.2/",
	    "10.9.0.2/33",
	    "fd00::/129",
	    "/8",
	    "10.9.0.2/-1",
	    "10.9.0.2/ 8",
	    "10.9.0.2/8x",
	    "10.9.0.2/99999999999",
	    "fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8"};
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(prefix_parse(texts[i], &p), -EINVAL);
}

static void test_endpoints(void **state)
{
	static const char *const good[] = {"10.9.0.2:80", "[fd00::1]:65535", "[::]:0", "0.0.0.0:1"};
	static const char *const bad[] = {"10.9.0.2",    "10.9.0.2:",     "10.9.0.2:65536",
					  "fd00::1:80",  "[10.9.0.2]:80", "[fd00::1]80",
					  "[fd00::1:80", ":80",           "[]:80",
					  "10.9.0.2:8o"};
	char out[ENDPOINT_TEXT_MAX];
	struct endpoint e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(endpoint_parse(good[i], &e), 0);
		assert_string_equal(endpoint_format(&e, out), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(endpoint_parse(bad[i], &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts_round),   cmocka_unit_test(test_mapped_is_ipv4),
	    cmocka_unit_test(test_refused_texts), cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_refused_prefixes),
	    cmocka_unit_test(test_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
