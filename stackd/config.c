/* SPDX-License-Identifier: BSD-2-Clause */
/* config.c - the list of settings: names, storing, looking up.  Reading files is config_file.c's,
 * typed views config_view.c's, policy config_rules.c's, showing config_show.c's. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_part.h"

#define SETTINGS_MAX 4096u
#define OPTION_MAX   512u

int config_fail(char error[static CONFIG_ERROR_MAX], int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CONFIG_ERROR_MAX, format, args);
	va_end(args);
	return code;
}

struct config *config_create(void)
{
	return calloc(1, sizeof(struct config));
}

void config_destroy(struct config *c)
{
	if (!c)
		return;
	compiled_destroy(c->compiled);
	free(c->setting);
	free(c->named);
	free(c);
}

static int unknown_section(const char *word, char error[static CONFIG_ERROR_MAX])
{
	struct key keys[SECTION_COUNT + 1] = {{0}};
	const char *nearest;

	for (int i = 0; i < SECTION_COUNT; i++)
		keys[i].name = section_info[i].name;
	nearest = key_nearest(keys, word);
	if (nearest)
		return config_fail(error, -ENOENT, "[%.60s]: unknown section; did you mean [%s]?", word,
				   nearest);
	return config_fail(error, -ENOENT,
			   "[%.60s]: unknown section; there are [stackd], [interface NAME], [tcp], "
			   "[plugin NAME] and [rule NAME]",
			   word);
}

static bool section_name_is_good(enum section_id id, const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	static const char plugin_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_/";
	size_t len = strlen(name);

	if (id == SECTION_INTERFACE) /* the kernel's rule */
		return len <= 15 && !strpbrk(name, "/ :\t");
	if (id == SECTION_PLUGIN)
		return len < SECTION_NAME_MAX && strspn(name, plugin_letters) == len;
	return len < SECTION_NAME_MAX && strspn(name, letters) == len;
}

int config_parse_section(const char *text, struct target *out, char error[static CONFIG_ERROR_MAX])
{
	size_t len = strcspn(text, " \t");
	const char *name = text + len + strspn(text + len, " \t");
	const struct section_info *info;
	char word[64];
	int id;

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	for (id = 0; id < SECTION_COUNT; id++)
		if (strcmp(section_info[id].name, word) == 0)
			break;
	if (id == SECTION_COUNT)
		return unknown_section(word, error);
	info = &section_info[id];
	*out = (struct target){.section = (enum section_id)id};
	if (info->named && !*name)
		return config_fail(error, -ENOENT, "[%s]: needs a name: [%s NAME]", info->name,
				   info->name);
	if (!info->named && *name)
		return config_fail(error, -ENOENT, "[%s %.60s]: [%s] takes no name", info->name, name,
				   info->name);
	if (!section_name_is_good(out->section, name))
		return config_fail(error, -EINVAL, "[%s %.60s]: not a name for this section; allowed: %s",
				   info->name, name,
				   id == SECTION_INTERFACE
					   ? "a network device's name, up to 15 bytes"
					   : "letters, digits, '-' and '_', up to 31 bytes");
	snprintf(out->name, sizeof(out->name), "%s", name);
	return 0;
}

int config_parse_path(const char *path, struct target *out, char error[static CONFIG_ERROR_MAX])
{
	const char *dot = strrchr(path, '.');
	char section[128];
	int code;

	if (!dot || dot == path || !dot[1])
		return config_fail(error, -ENOENT,
				   "'%.60s' is not SECTION.KEY, for example tcp.recovery or \"interface "
				   "eth0.address\"",
				   path);
	snprintf(section, sizeof(section), "%.*s", (int)(dot - path), path);
	code = config_parse_section(section, out, error);
	if (code)
		return code;
	if (strlen(dot + 1) >= sizeof(out->key))
		return config_fail(error, -ENOENT, "%.60s: unknown key", path);
	snprintf(out->key, sizeof(out->key), "%s", dot + 1);
	section_canonical_key(out->section, out->key);
	return 0;
}

void config_section_title(enum section_id id, const char *name, char *out, size_t len)
{
	snprintf(out, len, "%s%s%s", section_info[id].name, *name ? " " : "", name);
}

struct setting *config_find(const struct config *c, const struct target *t)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct setting *s = &c->setting[i];

		if (s->section == t->section && strcmp(s->key, t->key) == 0 &&
		    strcmp(s->name, t->name) == 0)
			return s;
	}
	return NULL;
}

const char *config_name_at(const struct config *c, enum section_id section, uint32_t index)
{
	for (uint32_t i = 0; i < c->named_count; i++)
		if (c->named[i].section == section && index-- == 0)
			return c->named[i].name;
	return NULL;
}

int config_open_section(struct config *c, const struct target *t)
{
	const char *name;

	if (!section_info[t->section].named)
		return 0;
	for (uint32_t i = 0; (name = config_name_at(c, t->section, i)); i++)
		if (strcmp(name, t->name) == 0)
			return 0;
	if (c->named_count == c->named_size) {
		uint32_t size = c->named_size ? 2 * c->named_size : 16;
		struct named *grown = realloc(c->named, size * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->named = grown;
		c->named_size = size;
	}
	c->named[c->named_count].section = t->section;
	memcpy(c->named[c->named_count++].name, t->name, sizeof(t->name));
	return 0;
}

static int unknown_key(const struct target *t, char error[static CONFIG_ERROR_MAX])
{
	const char *nearest = section_nearest_key(t->section, t->key);
	char title[64];

	config_section_title(t->section, t->name, title, sizeof(title));
	if (nearest)
		return config_fail(error, -ENOENT, "[%s] %s: unknown key; did you mean %s?", title, t->key,
				   nearest);
	return config_fail(error, -ENOENT, "[%s] %s: unknown key; `stackdctl describe %s` lists them",
			   title, t->key, section_info[t->section].name);
}

/* The value alone, by its key's type, range and grammar.  An empty one means the default. */
static int check_value(const struct target *t, const char **value, char error[static CONFIG_ERROR_MAX])
{
	union section_object scratch;
	char title[64], why[KEY_ERROR_MAX];
	const struct key *key;
	text_check *check;

	config_section_title(t->section, t->name, title, sizeof(title));
	if (strlen(*value) >= KEY_TEXT_MAX)
		return config_fail(error, -ERANGE, "[%s] %s: longer than %u bytes", title, t->key,
				   KEY_TEXT_MAX - 1);
	if (t->section == SECTION_PLUGIN)
		return **value ? 0
			       : config_fail(error, -EINVAL, "[%s] %s: has no value", title, t->key);
	key = section_key(t->section, t->key, NULL);
	if (!key)
		return unknown_key(t, error);
	if (!**value && key->def)
		*value = key->def;
	if (!**value)
		return 0;
	if (key_set(key, &scratch, *value, why))
		return config_fail(error, -EINVAL, "[%s] %s", title, why);
	check = key_text_check(t->section, t->key);
	if (check && check(*value, why))
		return config_fail(error, -EINVAL, "[%s] %s: %s", title, t->key, why);
	return 0;
}

static struct setting *add_setting(struct config *c, const struct target *t)
{
	struct setting *s;

	if (c->count == c->size) {
		uint32_t size = c->size ? 2 * c->size : 64;
		struct setting *grown =
			size > SETTINGS_MAX ? NULL : realloc(c->setting, size * sizeof(*grown));

		if (!grown)
			return NULL;
		c->setting = grown;
		c->size = size;
	}
	s = &c->setting[c->count++];
	*s = (struct setting){.section = t->section};
	memcpy(s->name, t->name, sizeof(s->name));
	memcpy(s->key, t->key, sizeof(s->key));
	return s;
}

int config_store(struct config *c, const struct target *t, const char *value, const char *origin,
		 uint32_t line, char error[static CONFIG_ERROR_MAX])
{
	int code = check_value(t, &value, error);
	struct setting *s;

	if (code)
		return code;
	if (config_open_section(c, t))
		return config_fail(error, -ENOMEM, "out of memory");
	s = config_find(c, t);
	if (!s)
		s = add_setting(c, t);
	if (!s)
		return config_fail(error, -ENOMEM, "no room for more than %u settings", SETTINGS_MAX);
	snprintf(s->value, sizeof(s->value), "%s", value);
	snprintf(s->origin, sizeof(s->origin), "%s", origin);
	s->line = line;
	return 0;
}

void config_forget(struct config *c, const struct target *t)
{
	struct setting *s = config_find(c, t);

	if (!s)
		return;
	memmove(s, s + 1, (size_t)(&c->setting[c->count] - (s + 1)) * sizeof(*s));
	c->count--;
}

int config_set(struct config *c, const char *path, const char *value, const char *origin,
	       char error[static CONFIG_ERROR_MAX])
{
	struct target t;
	int code = config_parse_path(path, &t, error);

	return code ? code : config_store(c, &t, value, origin, 0, error);
}

/* Without the blanks around it. */
static void trim(char *text)
{
	size_t len = strlen(text), skip = strspn(text, " \t");

	while (len > skip && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	memmove(text, text + skip, len - skip);
	text[len - skip] = 0;
}

int config_set_option(struct config *c, const char *option, char error[static CONFIG_ERROR_MAX])
{
	char copy[OPTION_MAX], *equals;

	snprintf(copy, sizeof(copy), "%s", option);
	equals = strchr(copy, '=');
	if (!equals || strlen(option) >= sizeof(copy))
		return config_fail(error, -EINVAL,
				   "'%.60s' is not SECTION.KEY=VALUE, for example tcp.recovery=sr",
				   option);
	*equals++ = 0;
	trim(copy);
	trim(equals);
	return config_set(c, copy, equals, "-o", error);
}

void config_apply(const struct config *c, enum section_id section, const char *name,
		  const struct key *keys, void *object)
{
	char why[KEY_ERROR_MAX];

	for (uint32_t i = 0; i < c->count; i++) {
		const struct setting *s = &c->setting[i];
		const struct key *key;

		if (s->section != section || strcmp(s->name, name) != 0)
			continue;
		key = key_find(keys, s->key);
		if (key)
			(void)key_set(key, object, s->value, why); /* config_store has checked it */
	}
}
