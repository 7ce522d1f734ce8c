/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: a good file, each kind of error with its line, precedence, rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "builtin.h"
#include "config.h"

static char error[CONFIG_ERROR_MAX];
static char path[] = "/tmp/stackd-config-XXXXXX";

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int load(struct config *c, const char *text)
{
	*error = 0;
	write_file(text);
	return config_load_file(c, path, error);
}

static struct plugins *load_plugins(void)
{
	struct plugins *p = plugins_create(stackd_builtin_plugins);
	char why[PLUGIN_ERROR_MAX];

	assert_non_null(p);
	assert_true(plugins_load_dir(p, PLUGIN_DIR, why) > 10);
	return p;
}

static const char good[] =
    "; a comment\n"
    "[stackd]\n"
    "shards = 2                     ; one thread each\n"
    "cpus = 2,3\n"
    "spin = 100us\n"
    "  rundir = /run/test\n"
    "allow = uid:0 gid:0\n"
    "\n"
    "[interface veth1]\n"
    "driver = af_packet ; why\n"
    "address = 10.9.0.2/24, fd00:9::2/64\n"
    "address = 10.9.1.2/24\n"
    "gateway = 10.9.0.1\n"
    "queues = auto\n"
    "rx_csum = strict\n"
    "fault = loss 2%, delay 20ms, seed 7\n"
    "require =\n"
    "[tcp]\n"
    "recovery = racktlp, sack, reno\n"
    "receive_buffer = 2MB\n"
    "[plugin rfc6298]\n"
    "min = 300ms\n"
    "[rule lab]\n"
    "remote = 10.9.0.0/24\n"
    "port = 5201\n"
    "recovery = gbn\n"
    "[rule rest]\n"
    "direction = passive\n"
    "local_port = 80, 8000-8099\n"
    "cc = newreno\n";

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

static const char *first(const struct tcp_plugin_list *l)
{
	return l->use[0].plugin->name;
}

static const struct tcp_profile *match(const struct tcp_rules *r, const char *local, const char *remote,
				       enum tcp_direction d)
{
	struct endpoint l, p;

	assert_int_equal(endpoint_parse(local, &l), 0);
	assert_int_equal(endpoint_parse(remote, &p), 0);
	return tcp_match(r, &l, &p, d);
}

static void compiles_rules_in_order(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *r;
	const struct tcp_profile *m;

	(void)state;
	assert_int_equal(load(c, good), 0);
	r = config_rules(c, p, NULL, error);
	if (!r)
		fail_msg("%s", error);
	assert_int_equal(r->count, 4); /* lab: port at either end; rest: two ranges */
	assert_int_equal(r->fallback->recovery.count, 3);
	assert_string_equal(first(&r->fallback->recovery), "racktlp");
	assert_string_equal(first(&r->fallback->cc), "cubic");
	assert_int_equal(r->fallback->knobs.receive_buffer, 2 << 20);

	m = match(r, "10.9.0.2:40000", "10.9.0.1:5201", TCP_ACTIVE);
	assert_string_equal(first(&m->recovery), "gbn");
	assert_int_equal(m->recovery.count, 1);
	assert_int_equal(m->knobs.receive_buffer, 2 << 20); /* from [tcp] */
	m = match(r, "10.9.0.2:5201", "10.9.0.1:40000", TCP_PASSIVE);
	assert_string_equal(first(&m->recovery), "gbn");
	assert_ptr_equal(match(r, "10.9.0.2:5201", "10.8.0.1:40000", TCP_PASSIVE), r->fallback);
	m = match(r, "10.9.0.2:8050", "10.8.0.1:40000", TCP_PASSIVE);
	assert_string_equal(first(&m->cc), "newreno");
	assert_ptr_equal(match(r, "10.9.0.2:8050", "10.8.0.1:40000", TCP_ACTIVE), r->fallback);
	assert_ptr_equal(match(r, "10.9.0.2:8100", "10.8.0.1:40000", TCP_PASSIVE), r->fallback);
	assert_ptr_equal(config_rules(c, p, NULL, error), r); /* kept */
	config_destroy(c);
	plugins_destroy(p);
}

static void overrides_win(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *r, *plain;

	(void)state;
	assert_int_equal(load(c, good), 0);
	plain = config_rules(c, p, NULL, error);
	r = config_rules(c, p, "tcp.recovery=sr\ntcp.mss=1000\n", error);
	if (!r)
		fail_msg("%s", error);
	assert_ptr_not_equal(r, plain);
	assert_string_equal(first(&r->fallback->recovery), "sr");
	assert_string_equal(first(&match(r, "10.9.0.2:1", "10.9.0.1:5201", TCP_ACTIVE)->recovery), "sr");
	assert_int_equal(r->fallback->knobs.mss, 1000);
	assert_int_equal(plain->fallback->knobs.mss, 0);

	assert_null(config_rules(c, p, "stackd.shards=2", error));
	assert_non_null(strstr(error, "is not tcp.KEY=VALUE"));
	assert_null(config_rules(c, p, "tcp.recovery=/tmp/x.so", error));
	assert_non_null(strstr(error, "a path is only for the configuration"));
	assert_null(config_rules(c, p, "tcp.recovery=rakctlp", error));
	assert_non_null(strstr(error, "did you mean racktlp?"));
	assert_null(config_rules(c, p, "tcp.mss=many", error));
	assert_null(config_rules(c, p, "tcp.nothing=1", error));
	config_destroy(c);
	plugins_destroy(p);
}

/* A process that asks for ever new profiles meets a limit, and no one else is hurt. */
static void profiles_have_a_limit(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *plain = config_rules(c, p, NULL, error);
	char text[64];
	uint32_t made = 0;

	(void)state;
	assert_non_null(plain);
	for (uint32_t i = 0; i < 2 * PROFILES_MAX; i++) {
		snprintf(text, sizeof(text), "tcp.mss=%u", 500 + i);
		if (!config_rules(c, p, text, error))
			break;
		made++;
	}
	assert_in_range(made, PROFILES_MAX / 2, PROFILES_MAX);
	assert_non_null(strstr(error, "restart stackd"));
	assert_ptr_equal(config_rules(c, p, NULL, error), plain);
	config_destroy(c);
	plugins_destroy(p);
}

static void plugin_parameters(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *r, *again;

	(void)state;
	assert_int_equal(load(c, "[tcp]\nrto = rfc6298\n[plugin rfc6298]\nmin = 300ms\n"), 0);
	r = config_rules(c, p, NULL, error);
	if (!r)
		fail_msg("%s", error);
	assert_non_null(r->fallback->rto.use[0].params);
	again = config_set_live(c, p, "plugin rfc6298.min", "250ms", error);
	assert_non_null(again);
	assert_ptr_not_equal(again->fallback->rto.use[0].params, r->fallback->rto.use[0].params);

	assert_null(config_set_live(c, p, "plugin rfc6298.mim", "250ms", error));
	assert_non_null(strstr(error, "[plugin rfc6298] mim: unknown parameter; did you mean min?"));
	assert_null(config_set_live(c, p, "plugin rfc6298.min", "many", error));
	assert_non_null(strstr(error, "is not a time"));
	assert_null(config_set_live(c, p, "plugin nosuch.min", "1s", error));
	assert_non_null(strstr(error, "there is no plugin of that name"));
	assert_ptr_equal(config_rules(c, p, NULL, error), again); /* nothing has stuck */

	config_destroy(c);
	c = config_create();
	assert_int_equal(load(c, "[plugin rfc6298]\n\nmin = 5\n[plugin gbn]\nwhat = 1\n"), 0);
	assert_null(config_rules(c, p, NULL, error));
	assert_non_null(strstr(error, ":3: [plugin rfc6298] min: '5' is not a time"));
	config_destroy(c);
	plugins_destroy(p);
}

static void set_while_serving(void **state)
{
	struct plugins *p = load_plugins();
	struct config *c = config_create();
	const struct tcp_rules *r;
	char value[KEY_TEXT_MAX];

	(void)state;
	assert_int_equal(load(c, good), 0);
	r = config_set_live(c, p, "tcp.recovery", "sr", error);
	assert_non_null(r);
	assert_string_equal(first(&r->fallback->recovery), "sr");
	assert_null(config_set_live(c, p, "tcp.recovery", "nosuch", error));
	assert_int_equal(config_get(c, p, "tcp.recovery", value, sizeof(value)), 0);
	assert_string_equal(value, "sr"); /* as before */
	assert_null(config_set_live(c, p, "stackd.shards", "1", error));
	assert_non_null(strstr(error, "read when stackd starts"));
	assert_non_null(config_set_live(c, p, "stackd.log_level", "debug", error));
	assert_null(config_set_live(c, p, "rule new.cc", "nosuch", error));
	assert_null(config_set_live(c, p, "rule new.remotee", "10.0.0.0/8", error));
	assert_int_equal(config_rules(c, p, NULL, error)->count, 4); /* no trace of [rule new] */
	config_destroy(c);
	plugins_destroy(p);
}

/* A wrong plugin folder still leaves a working TCP; a wrong name in a good folder is refused. */
static void falls_back_to_the_built_in_set(void **state)
{
	struct plugins *p = plugins_create(stackd_builtin_plugins);
	struct config *c = config_create();
	const struct tcp_rules *r;

	(void)state;
	assert_int_equal(plugins_load_dir(p, "/nowhere/plugins", error), -ENOENT);
	r = config_rules(c, p, NULL, error);
	if (!r)
		fail_msg("%s", error);
	assert_string_equal(first(&r->fallback->recovery), "reno");
	assert_string_equal(first(&r->fallback->rto), "rfc6298");
	assert_string_equal(first(&r->fallback->ack), "delayed");
	assert_string_equal(first(&r->fallback->cc), "newreno");
	config_destroy(c);
	plugins_destroy(p);

	p = load_plugins();
	c = config_create();
	assert_int_equal(load(c, "[tcp]\nrecovery = rack\n"), 0);
	assert_null(config_rules(c, p, NULL, error));
	assert_non_null(strstr(error, ":2: tcp.recovery: there is no recovery plugin rack"));
	config_destroy(c);
	plugins_destroy(p);
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
	    cmocka_unit_test(compiles_rules_in_order),
	    cmocka_unit_test(overrides_win),
	    cmocka_unit_test(profiles_have_a_limit),
	    cmocka_unit_test(plugin_parameters),
	    cmocka_unit_test(set_while_serving),
	    cmocka_unit_test(falls_back_to_the_built_in_set),
	    cmocka_unit_test(checks_the_whole),
	    cmocka_unit_test(shows_where_each_value_comes_from),
	    cmocka_unit_test(describes_names),
	    cmocka_unit_test(the_example_is_good),
	    cmocka_unit_test(dashes_and_underscores),
	    cmocka_unit_test(survives_broken_files),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
