/* SPDX-License-Identifier: BSD-2-Clause */
/* config_show.c - `show config` and `describe`: all from the key tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/count.h"
#include "config_part.h"

/* --- what is in force ---------------------------------------------------------------------------- */

/* The index-th key of a section instance. */
struct place {
	enum section_id section;
	const char *name;
	const struct key *key;
	const struct plugin *plugin;
};

static const struct key *table_at(const struct key *table, uint32_t *index)
{
	for (; table && table->name; table++)
		if ((*index)-- == 0)
			return table;
	return NULL;
}

/* *index counts down through the keys of this section; NULL: not among them. */
static const struct key *keys_at(const struct section_info *info, uint32_t *index)
{
	const struct key *key = table_at(info->keys, index);

	return key ? key : table_at(info->more, index);
}

static bool plugin_place(const struct plugins *plugins, uint32_t *index, struct place *out)
{
	const struct plugin *p;

	for (uint32_t i = 0; plugins && (p = plugins_at(plugins, i)); i++) {
		if (plugins_is_hidden(plugins, p))
			continue;
		out->key = table_at(p->keys, index);
		out->name = p->plugin->name;
		out->plugin = p;
		if (out->key)
			return true;
	}
	return false;
}

static bool place_at(const struct config *c, const struct plugins *plugins, uint32_t index,
		     struct place *out)
{
	for (int id = 0; id < SECTION_COUNT; id++) {
		const struct section_info *info = &section_info[id];
		uint32_t n = 0;

		*out = (struct place){.section = (enum section_id)id, .name = ""};
		if (id == SECTION_PLUGIN && plugin_place(plugins, &index, out))
			return true;
		if (id == SECTION_PLUGIN)
			continue;
		while (!info->named || (out->name = config_name_at(c, out->section, n))) {
			out->key = keys_at(info, &index);
			if (out->key)
				return true;
			if (!info->named || ++n == 0)
				break;
		}
	}
	return false;
}

/* A [plugin] setting that concerns this plugin's key. */
static const struct setting *plugin_setting(const struct config *c, const struct plugin *p, const char *key)
{
	const struct setting *found = NULL;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct setting *s = &c->setting[i];

		if (s->section == SECTION_PLUGIN && strcmp(s->key, key) == 0 &&
		    config_names_plugin(s->name, p->plugin))
			found = s;
	}
	return found;
}

static const struct setting *setting_at(const struct config *c, const struct place *at)
{
	struct target t = {.section = at->section};

	if (at->plugin)
		return plugin_setting(c, at->plugin, at->key->name);
	snprintf(t.name, sizeof(t.name), "%s", at->name);
	snprintf(t.key, sizeof(t.key), "%s", at->key->name);
	return config_find(c, &t);
}

/* What is in force where nothing is set: the default, but in a rule what [tcp] says. */
static const char *unset_value(const struct place *at)
{
	bool in_more;

	if (at->section == SECTION_RULE && section_key(SECTION_RULE, at->key->name, &in_more) && in_more)
		return "";
	return at->key->def ? at->key->def : "";
}

bool config_next(const struct config *c, const struct plugins *plugins, uint32_t *cursor,
		 struct config_value *out)
{
	const struct setting *s;
	struct place at;

	do {
		if (!place_at(c, plugins, (*cursor)++, &at))
			return false;
		s = setting_at(c, &at);
	} while (at.section == SECTION_RULE && !s); /* a rule has what was said, no defaults */
	*out = (struct config_value){.sentence = at.key->sentence};
	if (at.plugin)
		snprintf(out->section, sizeof(out->section), "plugin %s/%s",
			 plugin_kind_name(at.plugin->plugin->kind), at.name);
	else
		config_section_title(at.section, at.name, out->section, sizeof(out->section));
	snprintf(out->key, sizeof(out->key), "%s", at.key->name);
	snprintf(out->value, sizeof(out->value), "%s", s ? s->value : unset_value(&at));
	snprintf(out->origin, sizeof(out->origin), "%s", s ? s->origin : "default");
	return true;
}

int config_get(const struct config *c, const struct plugins *plugins, const char *path, char *out,
	       size_t len)
{
	char why[CONFIG_ERROR_MAX];
	const struct setting *s;
	const struct key *key;
	const struct plugin *p;
	struct target t;

	if (config_parse_path(path, &t, why))
		return -ENOENT;
	s = config_find(c, &t);
	key = section_key(t.section, t.key, NULL);
	for (uint32_t i = 0; !key && plugins && t.section == SECTION_PLUGIN && (p = plugins_at(plugins, i));
	     i++)
		if (config_names_plugin(t.name, p->plugin))
			key = key_find(p->keys, t.key);
	if (!s && (!key || !key->def))
		return -ENOENT;
	snprintf(out, len, "%s", s ? s->value : key->def);
	return 0;
}

/* --- describe --------------------------------------------------------------------------------------- */

static void describe_key(struct writer *w, const char *section, const struct key *key)
{
	writer_textf(w, "key", "%s.%s", section, key->name);
	writer_text(w, "is", key->sentence);
	writer_text(w, "type", key_type_name(key->type));
	if (key->choices)
		writer_text(w, "choices", key->choices);
	writer_text(w, "default", key->def ? key->def : "");
	if (key->min)
		writer_text(w, "min", key->min);
	if (key->max)
		writer_text(w, "max", key->max);
}

/* What a list of plugins may name. */
static void describe_choices(struct writer *w, const struct plugins *plugins, const struct key *key)
{
	const struct plugin *p;
	char names[512] = "";
	enum sp_kind kind;

	for (int i = 0; i < 4; i++) {
		if (strcmp(policy_keys[i].name, key->name) != 0)
			continue;
		kind = policy_kinds[i];
		for (uint32_t k = 0; plugins && (p = plugins_at(plugins, k)); k++)
			if (p->plugin->kind == kind && !plugins_is_hidden(plugins, p))
				snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
					 *names ? "|" : "", p->plugin->name);
		writer_text(w, "choices", names);
	}
}

static void describe_value(struct writer *w, const struct config *c, const struct place *at)
{
	const struct setting *s = setting_at(c, at);

	writer_text(w, "value", s ? s->value : unset_value(at));
	writer_text(w, "origin", s ? s->origin : "default");
}

static const struct writer_column key_columns[] = {
    {"key", "Key", 22}, {"type", "Type", 7}, {"default", "Default", 20}, {"is", "Is", 0}, {0}};

static void key_row(struct writer *w, const struct key *key)
{
	writer_row(w);
	writer_text(w, "key", key->name);
	writer_text(w, "type", key_type_name(key->type));
	writer_text(w, "default", key->def ? key->def : "");
	writer_text(w, "is", key->sentence);
	writer_row_end(w);
}

static void describe_section(struct writer *w, const struct section_info *info)
{
	writer_text(w, "section", info->name);
	writer_text(w, "is", info->sentence);
	if (!info->keys)
		return;
	writer_table(w, "keys", key_columns);
	for (const struct key *k = info->keys; k->name; k++)
		key_row(w, k);
	for (const struct key *k = info->more; k && k->name; k++)
		key_row(w, k);
	writer_table_end(w);
}

static void describe_plugin(struct writer *w, const struct plugin *p)
{
	writer_textf(w, "plugin", "%s/%s", plugin_kind_name(p->plugin->kind), p->plugin->name);
	writer_text(w, "is", p->plugin->summary);
	writer_text(w, "version", p->plugin->version);
	writer_text(w, "license", p->plugin->license);
	writer_text(w, "file", p->path ? p->path : "built in");
	writer_table(w, "parameters", key_columns);
	for (const struct key *k = p->keys; k->name; k++)
		key_row(w, k);
	writer_table_end(w);
}

/* "NAME", "NAME.KEY", "plugin NAME" or "plugin NAME.KEY".  Returns how many it described. */
static uint32_t describe_plugins(const struct config *c, const struct plugins *plugins, const char *name,
				 struct writer *w)
{
	const struct plugin *p;
	char wanted[64], title[64];
	const char *dot;
	uint32_t found = 0;

	if (strncmp(name, "plugin ", 7) == 0)
		name += 7;
	dot = strchr(name, '.');
	snprintf(wanted, sizeof(wanted), "%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
	for (uint32_t i = 0; plugins && (p = plugins_at(plugins, i)); i++) {
		const struct key *key = dot ? key_find(p->keys, dot + 1) : NULL;
		struct place at = {SECTION_PLUGIN, wanted, key, p};

		if (!config_names_plugin(wanted, p->plugin) || (dot && !key) ||
		    plugins_is_hidden(plugins, p))
			continue;
		snprintf(title, sizeof(title), "plugin %s/%s", plugin_kind_name(p->plugin->kind),
			 p->plugin->name);
		writer_object(w, title);
		if (key)
			describe_key(w, title, key);
		if (key)
			describe_value(w, c, &at);
		else
			describe_plugin(w, p);
		writer_object_end(w);
		found++;
	}
	return found;
}

/* "SECTION", "SECTION.KEY", "SECTION NAME.KEY", or KEY alone. */
static uint32_t describe_settings(const struct config *c, const struct plugins *plugins, const char *name,
				  struct writer *w)
{
	const char *dot = strrchr(name, '.'), *wanted = dot ? dot + 1 : name;
	uint32_t found = 0;

	for (int id = 0; id < SECTION_COUNT; id++) {
		const struct section_info *info = &section_info[id];
		size_t len = strlen(info->name);
		const struct key *key = section_key((enum section_id)id, wanted, NULL);
		struct place at = {(enum section_id)id, "", key, NULL};
		char title[64];

		if (!dot && strcmp(name, info->name) == 0) {
			describe_section(w, info);
			return 1;
		}
		if (!key || (dot && (strncmp(name, info->name, len) != 0 ||
				     (name[len] != '.' && name[len] != ' '))))
			continue;
		if (!dot && id == SECTION_RULE && found)
			continue; /* it stands in [tcp] */
		snprintf(title, sizeof(title), "%.*s", dot ? (int)(dot - name) : (int)len,
			 dot ? name : info->name);
		writer_object(w, title);
		describe_key(w, title, key);
		if (id == SECTION_TCP || id == SECTION_RULE)
			describe_choices(w, plugins, key);
		if (!info->named)
			describe_value(w, c, &at);
		writer_object_end(w);
		found++;
	}
	return found;
}

static uint32_t describe_counter(const char *name, struct writer *w)
{
	static const char *const kinds[] = {"fact", "drop", "fault"};

	for (int i = 0; i < COUNT_MAX; i++) {
		if (strcmp(count_info[i].name, name) != 0)
			continue;
		writer_text(w, "counter", name);
		writer_text(w, "is", count_info[i].sentence);
		writer_text(w, "kind", kinds[count_info[i].kind]);
		return 1;
	}
	return 0;
}

static const char *nearest_name(const char *name)
{
	const char *dot = strrchr(name, '.'), *nearest = NULL;

	for (int id = 0; id < SECTION_COUNT && !nearest; id++)
		nearest = section_nearest_key((enum section_id)id, dot ? dot + 1 : name);
	return nearest;
}

int config_describe(const struct config *c, const struct plugins *plugins, const char *name,
		    struct writer *w, char error[static CONFIG_ERROR_MAX])
{
	uint32_t found = describe_settings(c, plugins, name, w);
	const char *nearest;

	if (!found)
		found = describe_plugins(c, plugins, name, w);
	if (!found)
		found = describe_counter(name, w);
	if (found)
		return 0;
	nearest = nearest_name(name);
	return config_fail(error, -ENOENT, "there is no key, plugin or counter named %.60s%s%s%s", name,
			   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}
