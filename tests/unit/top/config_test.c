/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: a good file, each kind of error with its line, precedence, showing. */
#include "config_fixture.h"

static void reads_a_good_file(void **state)
{
	struct config *c = config_create();
	struct config_daemon d;
	struct config_interface i;
	char text[ADDR_TEXT_MAX];

	(void)state;
	if (load(c, good))
		fail_msg("%s", error);
	config_daemon(c, &d);
	assert_int_equal(d.shards, 2);
	assert_int_equal(d.cpu_count, 2);
	assert_int_equal(d.cpu[1], 3);
	assert_int_equal(d.spin_ns, 100 * NS_PER_US);
	assert_string_equal(d.rundir, "/run/test");
	assert_int_equal(d.allow.uid_count, 1);
	assert_int_equal(d.allow.gid_count, 1);
	assert_int_equal(d.client_send_ring, 1 << 20);
	assert_int_equal(config_interface_count(c), 1);
	config_interface(c, 0, &i);
	assert_string_equal(i.name, "veth1");
	assert_int_equal(i.driver, CONFIG_DRIVER_AF_PACKET);
	assert_int_equal(i.address_count, 3);
	assert_string_equal(prefix_format(&i.address[2], text), "10.9.1.2/24");
	assert_string_equal(addr_format(&i.gateway4, text), "10.9.0.1");
	assert_true(addr_is_unspecified(&i.gateway6));
	assert_int_equal(i.rx_csum, RX_CSUM_STRICT);
	assert_int_equal(i.require, CONFIG_REQUIRE_NOTHING);
	assert_true(i.has_fault);
	assert_int_equal(i.fault.delay_ns, 20 * NS_PER_MS);
	config_destroy(c);
}

static void names_the_line_and_the_nearest(void **state)
{
	static const struct {
		const char *text, *line, *says;
	} wrong[] = {
	    {"[tcp]\nrecover = gbn\n", ":2: ", "[tcp] recover: unknown key; did you mean recovery?"},
	    {"\n\n[interfase veth0]\n", ":3: ", "unknown section; did you mean [interface]?"},
	    {"[zebra]\n", ":1: ", "unknown section; there are [stackd]"},
	    {"[interface]\n", ":1: ", "needs a name"},
	    {"[tcp x]\n", ":1: ", "takes no name"},
	    {"[interface much-too-long-name]\n", ":1: ", "up to 15 bytes"},
	    {"shards = 1\n", ":1: ", "before any [SECTION]"},
	    {"[stackd]\nshards = 0\n", ":2: ", "shards: '0' is out of range; allowed: 1 to 16"},
	    {"[stackd]\nshards = two\n", ":2: ", "'two' is not a whole number"},
	    {"[stackd]\nspin = 50 parsecs\n", ":2: ", "is not a time"},
	    {"[stackd]\nshards = 1\n;\nshards = 2\n", ":4: ", "was set already in line 2"},
	    {"[stackd]\nwhat is this\n", ":2: ", "neither [SECTION] nor KEY = VALUE"},
	    {"[stackd\n", ":1: ", "a section is written [NAME]"},
	    {"[stackd]\nallow = root\n", ":2: ", "'root' is neither uid:NAME nor gid:NAME"},
	    {"[stackd]\nallow = gid:nobody-has-this\n", ":2: ", "no group named 'nobody-has-this'"},
	    {"[stackd]\nrundir = run\n", ":2: ", "not an absolute path"},
	    {"[interface e]\naddress = 10.9.0.300\n", ":2: ", "'10.9.0.300' is not an address like"},
	    {"[interface e]\naddress = 224.0.0.1\n", ":2: ", "can't be an own address"},
	    {"[interface e]\ngateway = 10.0.0.1 10.0.0.2\n", ":2: ", "a second IPv4 router"},
	    {"[interface e]\nqueues = 0\n", ":2: ", "neither auto nor a number"},
	    {"[interface e]\ndriver = dpdk\n", ":2: ", "allowed: auto, af_xdp, af_packet"},
	    {"[interface e]\nfault = loss 200%\n", ":2: ", "loss"},
	    {"[tcp]\ncc = cubic, cubic\n", ":2: ", "'cubic' stands there twice"},
	    {"[tcp]\ncc = ,\n", ":2: ", "names no plugin"},
	    {"[tcp]\ncc = ../evil.so\n", ":2: ", "nor an absolute path"},
	    {"[rule a]\nport = 70000\n", ":2: ", "'70000' is not a port"},
	    {"[rule a]\nport = 20-10\n", ":2: ", "'20-10' is not a port"},
	    {"[plugin sr]\nx =\n", ":2: ", "has no value"},
	};

	(void)state;
	for (size_t i = 0; i < array_count(wrong); i++) {
		struct config *c = config_create();

		assert_int_equal(load(c, wrong[i].text), -EINVAL);
		if (strncmp(error, path, strlen(path)) != 0 || !strstr(error, wrong[i].line) ||
		    !strstr(error, wrong[i].says))
			fail_msg("'%s' gave '%s', expected '%s...%s'", wrong[i].text, error,
				 wrong[i].line, wrong[i].says);
		config_destroy(c);
	}
}

static void refuses_odd_files(void **state)
{
	struct config *c = config_create();
	char line[6000];

	(void)state;
	assert_int_equal(config_load_file(c, "/nowhere/at.all", error), -ENOENT);
	assert_int_equal(config_load_file(c, "/tmp", error), -EINVAL);
	memset(line, 'x', sizeof(line));
	memcpy(line, "[stackd]\n\nallow = ", 18);
	line[300] = '\n';
	line[301] = 0;
	assert_int_equal(load(c, line), -EINVAL);
	assert_non_null(strstr(error, ":3: the line is longer than 198 bytes"));
	line[300] = line[301] = 'x';
	line[sizeof(line) - 1] = 0;
	assert_int_equal(load(c, line), -EINVAL);
	assert_non_null(strstr(error, ":3: the line is longer than 4094 bytes"));
	config_destroy(c);
}

static void later_settings_win(void **state)
{
	struct config *c = config_create();
	char value[KEY_TEXT_MAX];

	(void)state;
	assert_int_equal(load(c, good), 0);
	assert_int_equal(config_get(c, NULL, "tcp.rto", value, sizeof(value)), 0);
	assert_string_equal(value, "rfc6298"); /* the default */
	assert_int_equal(config_set_option(c, "tcp.recovery = sr", error), 0);
	assert_int_equal(config_get(c, NULL, "tcp.recovery", value, sizeof(value)), 0);
	assert_string_equal(value, "sr");
	assert_int_equal(config_set_option(c, "interface eth0.7.address=10.0.0.1/8", error), 0);
	assert_int_equal(config_get(c, NULL, "interface eth0.7.address", value, sizeof(value)), 0);
	assert_string_equal(value, "10.0.0.1/8");
	assert_int_equal(config_set(c, "tcp.recovery", "", "set", error), 0); /* back to the default */
	assert_int_equal(config_get(c, NULL, "tcp.recovery", value, sizeof(value)), 0);
	assert_string_equal(value, "racktlp, sack, reno");

	assert_int_equal(config_set_option(c, "tcp.recovery", error), -EINVAL);
	assert_int_equal(config_set_option(c, "recovery=sr", error), -ENOENT);
	assert_int_equal(config_set_option(c, "tcp.rtp=sr", error), -ENOENT);
	assert_non_null(strstr(error, "did you mean rto?"));
	config_destroy(c);
}

static void checks_the_whole(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
	    {"[tcp]\n", "no [interface NAME] section"},
	    {"[interface e]\n", "[interface e] address: is missing"},
	    {"[interface e]\naddress = 10.0.0.1/8\ngateway = 11.0.0.1\n",
	     ":3: [interface e] gateway: 11.0.0.1 is in no network"},
	    {"[interface e]\naddress = 10.0.0.1/8\n[interface f]\naddress = 10.0.0.1/8\n",
	     ":4: [interface f] address: 10.0.0.1 stands there twice"},
	    {"[stackd]\nshards = 2\ncpus = 1\n[interface e]\naddress = 10.0.0.1/8\n",
	     ":3: [stackd] cpus: names 1 for 2 shards"},
	    {"[stackd]\nclient_send_ring = 5000\n[interface e]\naddress = 10.0.0.1/8\n",
	     ":2: [stackd] client_send_ring: 5000 is not a power of two"},
	    {"[interface e]\naddress = 10.0.0.1/8\n[tcp]\ncc = nosuch\n", ":4: tcp.cc: there is no cc plugin"},
	};
	struct plugins *p = load_plugins();
	struct config *c = config_create();

	(void)state;
	assert_int_equal(load(c, good), 0);
	if (config_check(c, p, error))
		fail_msg("%s", error);
	config_destroy(c);
	for (size_t i = 0; i < array_count(wrong); i++) {
		c = config_create();
		assert_int_equal(load(c, wrong[i].text), 0);
		assert_int_equal(config_check(c, p, error), -EINVAL);
		if (!strstr(error, wrong[i].says))
			fail_msg("'%s' gave '%s', expected '%s'", wrong[i].text, error, wrong[i].says);
		config_destroy(c);
	}
	plugins_destroy(p);
}

static void the_example_is_good(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *r;

	(void)state;
	if (config_load_file(c, EXAMPLE, error) || config_check(c, p, error))
		fail_msg("%s", error);
	r = config_rules(c, p, NULL, error);
	assert_string_equal(first(&r->fallback->recovery), "racktlp");
	assert_int_equal(r->count, 0);
	config_destroy(c);
	plugins_destroy(p);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Bytes changed, doubled and cut at random: it may refuse, with a line, and must not fall over. */
static void survives_broken_files(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 20240607;
	struct plugins *p = load_plugins();
	char text[2 * sizeof(good)];
	uint32_t refused = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	seed |= 1;
	for (int round = 0; round < 2000; round++) {
		struct config *c = config_create();
		size_t len = strlen(good);

		memcpy(text, good, len);
		for (uint64_t n = next_random(&seed) % 6; n-- > 0;) {
			size_t at = next_random(&seed) % len;

			switch (next_random(&seed) % 3) {
			case 0:
				text[at] = (char)(1 + next_random(&seed) % 255);
				break;
			case 1:
				text[at] = "[]=;,\n .-"[next_random(&seed) % 9];
				break;
			default:
				memmove(text + at, text + at + 1, len - at - 1);
				len--;
			}
		}
		text[len] = 0;
		if (load(c, text)) {
			refused++;
			assert_non_null(strchr(error, ':'));
		} else if (!config_check(c, p, error)) {
			assert_non_null(config_rules(c, p, "tcp.mss=700", error));
		}
		config_destroy(c);
	}
	assert_in_range(refused, 200, 1999);
	plugins_destroy(p);
}

/* A key is found with either sign between its words. */
static void dashes_and_underscores(void **state)
{
	struct config *c = config_create();
	char one[KEY_TEXT_MAX], other[KEY_TEXT_MAX];

	(void)state;
	assert_int_equal(load(c, "[tcp]\ninitial_window = 4\n[stackd]\nlog-level = error\n"), 0);
	assert_int_equal(config_get(c, NULL, "tcp.initial-window", one, sizeof(one)), 0);
	assert_int_equal(config_get(c, NULL, "tcp.initial_window", other, sizeof(other)), 0);
	assert_string_equal(one, "4");
	assert_string_equal(other, "4");
	assert_int_equal(load(c, "[tcp]\ninitial_window = 4\ninitial-window = 4\n"), -EINVAL);
	assert_non_null(strstr(error, ":3: "));
	config_destroy(c);
}

static void shows_where_each_value_comes_from(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	struct config_value v;
	char expected[64];
	uint32_t cursor = 0, seen = 0, defaults = 0;

	(void)state;
	assert_int_equal(load(c, good), 0);
	assert_int_equal(config_set_option(c, "tcp.cc=newreno", error), 0);
	snprintf(expected, sizeof(expected), "%s:3", path);
	while (config_next(c, p, &cursor, &v)) {
		assert_non_null(v.sentence);
		defaults += strcmp(v.origin, "default") == 0;
		if (strcmp(v.section, "stackd") == 0 && strcmp(v.key, "shards") == 0) {
			assert_string_equal(v.value, "2");
			assert_string_equal(v.origin, expected);
			seen |= 1;
		} else if (strcmp(v.section, "tcp") == 0 && strcmp(v.key, "cc") == 0) {
			assert_string_equal(v.value, "newreno");
			assert_string_equal(v.origin, "-o");
			seen |= 2;
		} else if (strcmp(v.section, "plugin rto/rfc6298") == 0 && strcmp(v.key, "min") == 0) {
			assert_string_equal(v.value, "300ms");
			seen |= 4;
		} else if (strcmp(v.section, "rule lab") == 0 && strcmp(v.key, "recovery") == 0) {
			assert_string_equal(v.value, "gbn");
			seen |= 8;
		}
	}
	assert_int_equal(seen, 15);
	assert_true(defaults > 20);
	config_destroy(c);
	plugins_destroy(p);
}

static void describes_names(void **state)
{
	static const struct {
		const char *name, *says;
	} known[] = {
	    {"tcp.rto", "retransmission timer"}, {"mss", "MSS"}, {"stackd", "client_send_ring"},
	    {"interface.mtu", "the device's"}, {"interface e.mtu", "the device's"},
	    {"rfc6298", "min"}, {"plugin rfc6298.min", "default"}, {"rfc6298.min", "default"},
	    {"ip_checksum", "IPv4 header checksum wrong"}, {"rule", "direction"},
	};
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	struct writer w;

	(void)state;
	for (size_t i = 0; i < array_count(known); i++) {
		writer_init(&w, false, 1 << 20);
		if (config_describe(c, p, known[i].name, &w, error))
			fail_msg("%s: %s", known[i].name, error);
		writer_finish(&w);
		if (!strstr(w.text, known[i].says))
			fail_msg("%s: '%s' lacks '%s'", known[i].name, w.text, known[i].says);
		writer_free(&w);
	}
	writer_init(&w, false, 1 << 20);
	assert_int_equal(config_describe(c, p, "tcp.rot", &w, error), -ENOENT);
	assert_non_null(strstr(error, "did you mean rto?"));
	writer_free(&w);
	config_destroy(c);
	plugins_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_a_good_file),
	    cmocka_unit_test(names_the_line_and_the_nearest),
	    cmocka_unit_test(refuses_odd_files),
	    cmocka_unit_test(later_settings_win),
	    cmocka_unit_test(checks_the_whole),
	    cmocka_unit_test(shows_where_each_value_comes_from),
	    cmocka_unit_test(describes_names),
	    cmocka_unit_test(the_example_is_good),
	    cmocka_unit_test(dashes_and_underscores),
	    cmocka_unit_test(survives_broken_files),
	};

	return run_with_file(tests, array_count(tests), "config");
}
