/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: settings become rules and profiles. */
#include "config_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compiles_rules_in_order),
	    cmocka_unit_test(overrides_win),
	    cmocka_unit_test(profiles_have_a_limit),
	    cmocka_unit_test(plugin_parameters),
	    cmocka_unit_test(set_while_serving),
	    cmocka_unit_test(falls_back_to_the_built_in_set),
	};

	return run_with_file(tests, array_count(tests), "config rules");
}
