/* SPDX-License-Identifier: BSD-2-Clause */
/* config_rules.c - compiles settings into what tcp asks: immutable rules and profiles.  A profile is
 * made once for equal contents, rules once for equal settings and overrides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_part.h"
#include "log.h"

#define OVERRIDES_MAX	   64u
#define PLUGIN_SETTINGS_MAX 64u

struct override {
	char key[SETTING_KEY_MAX], value[KEY_TEXT_MAX];
};

struct cached {
	struct cached *next;
	char *text; /* all that went into it */
	struct tcp_rules rules;
};

struct profile_node {
	struct profile_node *next;
	struct tcp_profile profile;
};

struct compiled {
	struct cached *cached;
	struct profile_node *profiles;
	uint32_t cached_count, profile_count;
	bool warned[4]; /* by policy key: a default plugin is missing */
};

/* One compilation. */
struct compile {
	struct config *config;
	struct plugins *plugins;
	struct override override[OVERRIDES_MAX];
	uint32_t override_count;
	char *error; /* CONFIG_ERROR_MAX */
};

void compiled_destroy(struct compiled *all)
{
	if (!all)
		return;
	for (struct cached *c = all->cached, *next; c; c = next) {
		next = c->next;
		free(c->text);
		free(c);
	}
	for (struct profile_node *p = all->profiles, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	free(all);
}

/* --- overrides -------------------------------------------------------------------------------- */

static int parse_override(struct compile *k, const char *line)
{
	struct override *o = &k->override[k->override_count];
	const char *equals = strchr(line, '=');
	char path[96], why[CONFIG_ERROR_MAX];
	struct config scratch = {0};
	struct target t;
	int code;

	if (!equals || strncmp(line, "tcp.", 4) != 0)
		return config_fail(k->error, -EINVAL, "'%.60s' is not tcp.KEY=VALUE", line);
	if (k->override_count == OVERRIDES_MAX)
		return config_fail(k->error, -EINVAL, "more than %u choices", OVERRIDES_MAX);
	snprintf(path, sizeof(path), "%.*s", (int)(equals - line), line);
	code = config_parse_path(path, &t, why);
	if (!code)
		code = config_store(&scratch, &t, equals + 1, "", 0, why);
	free(scratch.setting);
	free(scratch.named);
	if (code)
		return config_fail(k->error, code, "%s", why);
	/* a client may choose, but not make us load files */
	if (key_find(policy_keys, t.key) && strchr(equals, '/'))
		return config_fail(k->error, -EINVAL, "tcp.%s: name a plugin; a path is only for the "
				   "configuration", t.key);
	memcpy(o->key, t.key, sizeof(o->key));
	snprintf(o->value, sizeof(o->value), "%s", equals + 1);
	k->override_count++;
	return 0;
}

static int parse_overrides(struct compile *k, const char *text)
{
	char line[KEY_TEXT_MAX + 64];
	int code = 0;

	while (text && *text && !code) {
		size_t len = strcspn(text, "\n");

		if (len >= sizeof(line))
			return config_fail(k->error, -EINVAL, "'%.60s...' is too long", text);
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		if (*line)
			code = parse_override(k, line);
		text += len + (text[len] == '\n');
	}
	return code;
}

/* The last one counts. */
static const struct override *find_override(const struct compile *k, const char *key)
{
	for (uint32_t i = k->override_count; i-- > 0;)
		if (strcmp(k->override[i].key, key) == 0)
			return &k->override[i];
	return NULL;
}

/* --- plugins and their parameters ---------------------------------------------------------------- */

bool config_names_plugin(const char *name, const struct sp_plugin *p)
{
	const char *kind = plugin_kind_name(p->kind);
	size_t len = strlen(kind);

	if (strncmp(name, kind, len) == 0 && name[len] == '/')
		name += len + 1;
	return strcmp(name, p->name) == 0;
}

/* The [plugin] settings that are this plugin's; two plugins of one name share a section. */
static int gather_settings(const struct compile *k, const struct plugin *p,
			   struct plugin_setting out[static PLUGIN_SETTINGS_MAX], uint32_t *count)
{
	_Alignas(8) uint8_t scratch[SP_PARAMS_MAX];
	char why[KEY_ERROR_MAX];

	*count = 0;
	for (uint32_t i = 0; i < k->config->count; i++) {
		const struct setting *s = &k->config->setting[i];
		const struct key *key;

		if (s->section != SECTION_PLUGIN || !config_names_plugin(s->name, p->plugin))
			continue;
		key = key_find(p->keys, s->key);
		if (!key || *count == PLUGIN_SETTINGS_MAX)
			continue; /* check_plugin_setting finds out */
		if (key_set(key, scratch, s->value, why))
			return config_fail(k->error, -EINVAL, "%s: [plugin %s] %s", s->origin, s->name,
					   why);
		out[(*count)++] = (struct plugin_setting){s->key, s->value};
	}
	return 0;
}

static int add_choice(const struct compile *k, const struct plugin *p, struct tcp_plugin_list *list)
{
	struct plugin_setting setting[PLUGIN_SETTINGS_MAX];
	char why[PLUGIN_ERROR_MAX];
	uint32_t count;
	int code = gather_settings(k, p, setting, &count);

	if (code)
		return code;
	list->use[list->count].plugin = p->plugin;
	code = plugins_params(k->plugins, p, setting, count, &list->use[list->count].params, why);
	if (code)
		return config_fail(k->error, code, "[plugin %s] %s", p->plugin->name, why);
	list->count++;
	return 0;
}

static void warn_missing(const struct compile *k, int index, const char *what)
{
	struct compiled *all = k->config->compiled;

	if (all->warned[index])
		return;
	all->warned[index] = true;
	log_warning("tcp.%s: %s", policy_keys[index].name, what);
}

/* Where the list comes from, and its text. */
static const char *policy_text(const struct compile *k, const char *rule, int index, const char **origin)
{
	const char *key = policy_keys[index].name;
	const struct override *o = find_override(k, key);
	struct target t = {.section = SECTION_RULE};
	const struct setting *s;

	*origin = NULL;
	if (o)
		return *origin = "asked for", o->value;
	snprintf(t.key, sizeof(t.key), "%s", key);
	if (rule) {
		snprintf(t.name, sizeof(t.name), "%s", rule);
		s = config_find(k->config, &t);
		if (s && *s->value)
			return *origin = s->origin, s->value;
	}
	t.section = SECTION_TCP;
	*t.name = 0;
	s = config_find(k->config, &t);
	if (s)
		return *origin = s->origin, s->value;
	return policy_keys[index].def;
}

/* A plugin that a default names, or any when the plugin folder can't be read, may be missing: the
 * built-in set still makes a working TCP. */
static int choose(const struct compile *k, const char *rule, int index, struct tcp_plugin_list *list)
{
	char word[PLUGIN_CHOICES_MAX][PLUGIN_WORD_MAX], why[PLUGIN_ERROR_MAX];
	const char *origin, *text = policy_text(k, rule, index, &origin);
	bool lenient = !origin || !plugins_dir_works(k->plugins);
	const struct plugin *p;
	uint32_t count;
	int code;

	if (text_plugins(text, word, &count, why))
		return config_fail(k->error, -EINVAL, "tcp.%s: %s", policy_keys[index].name, why);
	for (uint32_t i = 0; i < count; i++) {
		p = plugins_find(k->plugins, policy_kinds[index], word[i], why);
		if (!p && !lenient)
			return config_fail(k->error, -ENOENT, "%s: tcp.%s: %s", origin,
					   policy_keys[index].name, why);
		if (!p) {
			warn_missing(k, index, why);
			continue;
		}
		code = add_choice(k, p, list);
		if (code)
			return code;
	}
	if (list->count)
		return 0;
	p = plugins_builtin(k->plugins, policy_kinds[index]);
	if (!p)
		return config_fail(k->error, -ENOENT, "tcp.%s: %s", policy_keys[index].name, why);
	log_warning("tcp.%s: using the built-in %s instead", policy_keys[index].name, p->plugin->name);
	return add_choice(k, p, list);
}

/* Finds settings that no plugin takes.  After the lists, which may have loaded plugins by path. */
static int check_plugin_setting(const struct compile *k, const struct setting *s)
{
	char known[128] = "";
	const struct plugin *p;
	bool named = false;
	struct plugin_setting one = {s->key, s->value};
	const char *nearest = NULL;
	uint32_t count;

	for (uint32_t i = 0; (p = plugins_at(k->plugins, i)); i++) {
		struct plugin_setting all[PLUGIN_SETTINGS_MAX];

		if (!config_names_plugin(s->name, p->plugin))
			continue;
		named = true;
		if (key_find(p->keys, one.key))
			return gather_settings(k, p, all, &count);
		if (!nearest)
			nearest = key_nearest(p->keys, s->key);
		for (const struct key *key = p->keys; key->name && strlen(known) < 90; key++)
			snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", key->name);
	}
	if (!named && !plugins_dir_works(k->plugins))
		return 0;
	if (!named)
		return config_fail(k->error, -ENOENT,
				   "%s: [plugin %s]: there is no plugin of that name; `stackdctl show "
				   "plugins` lists them",
				   s->origin, s->name);
	if (nearest)
		return config_fail(k->error, -ENOENT,
				   "%s: [plugin %s] %s: unknown parameter; did you mean %s?", s->origin,
				   s->name, s->key, nearest);
	return config_fail(k->error, -ENOENT, "%s: [plugin %s] %s: unknown parameter; it has%s", s->origin,
			   s->name, s->key, *known ? known : " none");
}

static int check_plugin_settings(const struct compile *k)
{
	int code = 0;

	for (uint32_t i = 0; i < k->config->count && !code; i++)
		if (k->config->setting[i].section == SECTION_PLUGIN)
			code = check_plugin_setting(k, &k->config->setting[i]);
	return code;
}

/* --- profiles -------------------------------------------------------------------------------------- */

static const struct tcp_profile *intern(struct compile *k, const struct tcp_profile *profile)
{
	struct compiled *all = k->config->compiled;
	struct profile_node *p;

	for (p = all->profiles; p; p = p->next)
		if (memcmp(&p->profile, profile, sizeof(*profile)) == 0)
			return &p->profile;
	if (all->profile_count == PROFILES_MAX) {
		config_fail(k->error, -ENOBUFS, "more than %u different profiles; restart stackd",
			    PROFILES_MAX);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		config_fail(k->error, -ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(&p->profile, profile, sizeof(*profile));
	p->next = all->profiles;
	all->profiles = p;
	all->profile_count++;
	return &p->profile;
}

/* rule NULL: the fallback. */
static const struct tcp_profile *make_profile(struct compile *k, const char *rule)
{
	struct tcp_profile profile;
	struct tcp_plugin_list *list[] = {&profile.recovery, &profile.rto, &profile.ack, &profile.cc};
	char why[KEY_ERROR_MAX];

	memset(&profile, 0, sizeof(profile)); /* padding too: intern compares bytes */
	key_defaults(tcp_keys, &profile.knobs);
	config_apply(k->config, SECTION_TCP, "", tcp_keys, &profile.knobs);
	if (rule)
		config_apply(k->config, SECTION_RULE, rule, tcp_keys, &profile.knobs);
	for (uint32_t i = 0; i < k->override_count; i++) {
		const struct key *key = key_find(tcp_keys, k->override[i].key);

		if (key)
			(void)key_set(key, &profile.knobs, k->override[i].value, why);
	}
	for (int i = 0; i < 4; i++)
		if (choose(k, rule, i, list[i]))
			return NULL;
	return intern(k, &profile);
}

/* --- rules -------------------------------------------------------------------------------------------- */

struct match {
	struct prefix local[ADDRESSES_MAX], remote[ADDRESSES_MAX];
	uint32_t local_count, remote_count;
	struct port_range local_port[PORT_RANGES_MAX], remote_port[PORT_RANGES_MAX], port[PORT_RANGES_MAX];
	uint32_t local_ports, remote_ports, ports;
	enum tcp_direction direction;
};

static void read_match(const struct config *c, const char *rule, struct match *m)
{
	const struct key *keys = section_info[SECTION_RULE].keys;
	static const struct port_range any = {0, 65535};
	struct rule_keys object = {0};
	char why[KEY_ERROR_MAX];

	*m = (struct match){0};
	key_defaults(keys, &object);
	config_apply(c, SECTION_RULE, rule, keys, &object);
	m->direction = (enum tcp_direction)object.direction;
	(void)text_prefixes(object.local, m->local, &m->local_count, why);
	(void)text_prefixes(object.remote, m->remote, &m->remote_count, why);
	(void)text_ports(object.local_port, m->local_port, &m->local_ports, why);
	(void)text_ports(object.remote_port, m->remote_port, &m->remote_ports, why);
	(void)text_ports(object.port, m->port, &m->ports, why);
	/* an empty list is one entry that matches all */
	m->local_count += m->local_count == 0;
	m->remote_count += m->remote_count == 0;
	if (m->local_ports == 0)
		m->local_port[m->local_ports++] = any;
	if (m->remote_ports == 0)
		m->remote_port[m->remote_ports++] = any;
}

static struct port_range both(struct port_range a, struct port_range b)
{
	return (struct port_range){a.min > b.min ? a.min : b.min, a.max < b.max ? a.max : b.max};
}

static int add_rule(struct tcp_rules *rules, const struct tcp_rule *rule)
{
	if (rule->local_port_min > rule->local_port_max || rule->remote_port_min > rule->remote_port_max)
		return 0; /* port and local_port exclude each other */
	if (rules->count == RULES_MAX)
		return -ENOBUFS;
	rules->rule[rules->count++] = *rule;
	return 0;
}

/* One pair of port ranges; `port` stands for either end. */
static int add_ports(struct tcp_rules *rules, const struct match *m, struct tcp_rule *rule,
		     struct port_range local, struct port_range remote)
{
	int code = 0;

	for (uint32_t i = 0; i < (m->ports ? 2 * m->ports : 1) && !code; i++) {
		struct port_range l = local, r = remote;

		if (m->ports && i % 2 == 0)
			l = both(local, m->port[i / 2]);
		else if (m->ports)
			r = both(remote, m->port[i / 2]);
		rule->local_port_min = l.min;
		rule->local_port_max = l.max;
		rule->remote_port_min = r.min;
		rule->remote_port_max = r.max;
		code = add_rule(rules, rule);
	}
	return code;
}

static int expand(struct tcp_rules *rules, const struct match *m, const struct tcp_profile *profile)
{
	struct tcp_rule rule = {.direction = m->direction, .profile = profile};
	int code = 0;

	for (uint32_t a = 0; a < m->local_count; a++)
		for (uint32_t b = 0; b < m->remote_count; b++)
			for (uint32_t c = 0; c < m->local_ports; c++)
				for (uint32_t d = 0; d < m->remote_ports && !code; d++) {
					rule.local = m->local[a];
					rule.remote = m->remote[b];
					code = add_ports(rules, m, &rule, m->local_port[c],
							 m->remote_port[d]);
				}
	return code;
}

static int compile_rules(struct compile *k, struct tcp_rules *rules)
{
	const struct tcp_profile *profile;
	struct match match;
	const char *rule;

	rules->fallback = make_profile(k, NULL);
	if (!rules->fallback)
		return -EINVAL;
	for (uint32_t i = 0; (rule = config_name_at(k->config, SECTION_RULE, i)); i++) {
		profile = make_profile(k, rule);
		if (!profile)
			return -EINVAL;
		read_match(k->config, rule, &match);
		if (expand(rules, &match, profile))
			return config_fail(k->error, -ENOBUFS,
					   "[rule %s]: more than %u combinations of addresses and ports in "
					   "all rules",
					   rule, RULES_MAX);
	}
	return check_plugin_settings(k);
}

/* All that the result depends on. */
static char *fingerprint(const struct config *c, const char *overrides)
{
	const char *rule;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (uint32_t i = 0; (rule = config_name_at(c, SECTION_RULE, i)); i++)
		fprintf(f, "rule %s\n", rule);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct setting *s = &c->setting[i];

		if (s->section == SECTION_TCP || s->section == SECTION_PLUGIN || s->section == SECTION_RULE)
			fprintf(f, "%d %s.%s=%s\n", (int)s->section, s->name, s->key, s->value);
	}
	fprintf(f, "\n%s", overrides ? overrides : "");
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static const struct tcp_rules *find_cached(const struct compiled *all, const char *text)
{
	for (const struct cached *c = all->cached; c; c = c->next)
		if (strcmp(c->text, text) == 0)
			return &c->rules;
	return NULL;
}

static const struct tcp_rules *compile_text(struct compile *k, const char *overrides, char *text)
{
	struct compiled *all = k->config->compiled;
	struct cached *c;

	if (all->cached_count == PROFILES_MAX) {
		config_fail(k->error, -ENOBUFS, "more than %u different sets of rules; restart stackd",
			    PROFILES_MAX);
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		config_fail(k->error, -ENOMEM, "out of memory");
		return NULL;
	}
	if (parse_overrides(k, overrides) || compile_rules(k, &c->rules)) {
		free(c);
		return NULL;
	}
	c->text = text;
	c->next = all->cached;
	all->cached = c;
	all->cached_count++;
	return &c->rules;
}

const struct tcp_rules *config_rules(struct config *c, struct plugins *plugins, const char *overrides,
				     char error[static CONFIG_ERROR_MAX])
{
	struct compile k = {.config = c, .plugins = plugins, .error = error};
	const struct tcp_rules *rules;
	char *text;

	if (!c->compiled)
		c->compiled = calloc(1, sizeof(*c->compiled));
	text = c->compiled ? fingerprint(c, overrides) : NULL;
	if (!text) {
		config_fail(error, -ENOMEM, "out of memory");
		return NULL;
	}
	rules = find_cached(c->compiled, text);
	if (rules) {
		free(text);
		return rules;
	}
	rules = compile_text(&k, overrides, text);
	if (!rules)
		free(text);
	return rules;
}

bool config_has_rules(const struct config *c, const char *overrides)
{
	char *text = c->compiled ? fingerprint(c, overrides) : NULL;
	bool has = text && find_cached(c->compiled, text);

	free(text);
	return has;
}

uint64_t config_compiled(const struct config *c)
{
	return c->compiled ? (uint64_t)c->compiled->cached_count + c->compiled->profile_count : 0;
}

static int check_live(const struct target *t, char error[static CONFIG_ERROR_MAX])
{
	if (t->section != SECTION_STACKD && t->section != SECTION_INTERFACE)
		return 0;
	if (t->section == SECTION_STACKD && strcmp(t->key, "log_level") == 0)
		return 0;
	return config_fail(error, -EPERM,
			   "[%s] %s: is read when stackd starts; set it in the file and start again",
			   section_info[t->section].name, t->key);
}

const struct tcp_rules *config_set_live(struct config *c, struct plugins *plugins, const char *path,
					const char *value, char error[static CONFIG_ERROR_MAX])
{
	const struct tcp_rules *rules;
	struct setting before = {0};
	const struct setting *s;
	struct target t;
	uint32_t named = c->named_count;
	char why[CONFIG_ERROR_MAX];

	if (config_parse_path(path, &t, error) || check_live(&t, error))
		return NULL;
	s = config_find(c, &t);
	if (s)
		before = *s;
	if (config_store(c, &t, value, "set", 0, error))
		return NULL;
	rules = config_rules(c, plugins, NULL, error);
	if (rules)
		return rules;
	if (*before.key)
		(void)config_store(c, &t, before.value, before.origin, 0, why);
	else
		config_forget(c, &t);
	c->named_count = named;
	return NULL;
}
