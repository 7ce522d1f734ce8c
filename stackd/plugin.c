/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.c - the register of plugins and of the parameter structs made for them.  Which file may be
 * a plugin is decided in ctl/plugin_file.c. */
#include "plugin.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define PLUGINS_MAX	   256u
#define PARAM_VARIANTS_MAX 256u /* of one plugin: a live `set` makes one */

struct variant {
	struct variant *next;
	_Alignas(8) uint8_t params[SP_PARAMS_MAX];
};

struct loaded {
	struct plugin plugin;
	struct plugin_view view;
	char *path;
	struct variant *variants;
	uint32_t variant_count;
};

struct plugins {
	struct loaded *at[PLUGINS_MAX];
	uint32_t count;
	bool dir_works;
	char dir[PATH_MAX];
};

const char *plugins_default_dir(char *out, size_t len)
{
	static const char beside[] = "/../plugins";
	char exe[PATH_MAX], real[PATH_MAX];
	ssize_t got = readlink("/proc/self/exe", exe, sizeof(exe) - sizeof(beside));
	char *slash;

	if (got > 0) {
		exe[got] = 0;
		slash = strrchr(exe, '/');
		memcpy(slash ? slash : exe, beside, sizeof(beside));
		/* installed, bin/../plugins does not exist */
		if (access(exe, R_OK | X_OK) == 0 && realpath(exe, real)) {
			snprintf(out, len, "%s", real);
			return out;
		}
	}
	snprintf(out, len, "%s", STACKD_PLUGIN_DIR);
	return out;
}

static int add(struct plugins *all, const struct plugin_view *view, const char *path,
	       struct loaded **out)
{
	struct loaded *l;

	if (all->count == PLUGINS_MAX)
		return -ENOBUFS;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->path = path ? strdup(path) : NULL;
	if (path && !l->path) {
		free(l);
		return -ENOMEM;
	}
	l->view = *view;
	l->plugin = (struct plugin){.plugin = &l->view.plugin, .keys = l->view.keys, .path = l->path};
	all->at[all->count++] = l;
	*out = l;
	return 0;
}

struct plugins *plugins_create(const struct sp_plugin *const *builtin)
{
	struct plugins *all = calloc(1, sizeof(*all));
	char error[PLUGIN_ERROR_MAX];
	struct plugin_view view;
	struct loaded *l;

	for (; all && builtin && *builtin; builtin++) {
		if (plugin_check(*builtin, 0, &view, error))
			log_error("built-in plugin %s: %s", (*builtin)->name, error);
		else if (add(all, &view, NULL, &l))
			log_error("built-in plugin %s: no room", (*builtin)->name);
	}
	return all;
}

void plugins_destroy(struct plugins *all)
{
	if (!all)
		return;
	for (uint32_t i = 0; i < all->count; i++) {
		struct loaded *l = all->at[i];

		for (struct variant *v = l->variants, *next; v; v = next) {
			next = v->next;
			free(v);
		}
		free(l->view.keys);
		free((void *)(uintptr_t)l->view.plugin.ops);
		free(l->path);
		free(l);
	}
	free(all);
}

static struct loaded *by_path(struct plugins *all, const char *path)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (all->at[i]->path && strcmp(all->at[i]->path, path) == 0)
			return all->at[i];
	return NULL;
}

static int load(struct plugins *all, const char *path, struct loaded **out,
		char error[static PLUGIN_ERROR_MAX])
{
	char real[PATH_MAX];
	struct plugin_view view;
	int code;

	if (!realpath(path, real)) {
		code = -errno;
		snprintf(error, PLUGIN_ERROR_MAX, "%s", strerror(errno));
		return code;
	}
	*out = by_path(all, real);
	if (*out)
		return 0;
	code = plugin_file_open(real, &view, error);
	if (code)
		return code;
	code = add(all, &view, real, out);
	if (code)
		snprintf(error, PLUGIN_ERROR_MAX, "%s",
			 code == -ENOBUFS ? "too many plugins" : strerror(-code));
	return code;
}

static int is_shared_object(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 3 && strcmp(d->d_name + len - 3, ".so") == 0;
}

int plugins_load_dir(struct plugins *all, const char *dir, char error[static PLUGIN_ERROR_MAX])
{
	char path[PATH_MAX], why[PLUGIN_ERROR_MAX];
	struct dirent **entry;
	struct loaded *l;
	int n, loaded = 0;

	snprintf(all->dir, sizeof(all->dir), "%s", dir);
	n = scandir(dir, &entry, is_shared_object, alphasort);
	all->dir_works = n >= 0;
	if (n < 0) {
		int code = -errno;

		snprintf(error, PLUGIN_ERROR_MAX, "plugin folder %s: %s", dir, strerror(errno));
		return code;
	}
	for (int i = 0; i < n; i++) {
		int len = snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);

		if (len < 0 || (size_t)len >= sizeof(path))
			log_warning("plugin %s: path too long", entry[i]->d_name);
		else if (load(all, path, &l, why))
			log_warning("plugin %s: %s", path, why);
		else
			loaded++;
		free(entry[i]);
	}
	free(entry);
	return loaded;
}

/* Files before built-ins: a newer version of a built-in may be installed. */
static struct loaded *by_name(const struct plugins *all, enum sp_kind kind, const char *name)
{
	struct loaded *found = NULL;

	for (uint32_t i = 0; i < all->count; i++) {
		struct loaded *l = all->at[i];

		if (l->plugin.plugin->kind != kind || strcmp(l->plugin.plugin->name, name) != 0)
			continue;
		if (l->path)
			return l;
		if (!found)
			found = l;
	}
	return found;
}

/* "; did you mean x?" or the names that there are. */
static void explain_missing(const struct plugins *all, enum sp_kind kind, const char *name,
			    char error[static PLUGIN_ERROR_MAX])
{
	struct key keys[PLUGINS_MAX + 1] = {{0}};
	const char *nearest;
	uint32_t n = 0;
	int len;

	for (uint32_t i = 0; i < all->count; i++)
		if (all->at[i]->plugin.plugin->kind == kind)
			keys[n++].name = all->at[i]->plugin.plugin->name;
	nearest = key_nearest(keys, name);
	len = snprintf(error, PLUGIN_ERROR_MAX, "there is no %s plugin %.64s in %.128s",
		       plugin_kind_name(kind), name, *all->dir ? all->dir : "the built-in set");
	if (nearest)
		len += snprintf(error + len, PLUGIN_ERROR_MAX - (size_t)len, "; did you mean %s?",
				nearest);
	else
		len += snprintf(error + len, PLUGIN_ERROR_MAX - (size_t)len, "; there are:");
	for (uint32_t i = 0; !nearest && i < n && (size_t)len + 20 < PLUGIN_ERROR_MAX; i++)
		len += snprintf(error + len, PLUGIN_ERROR_MAX - (size_t)len, " %s", keys[i].name);
}

const struct plugin *plugins_find(struct plugins *all, enum sp_kind kind, const char *name,
				  char error[static PLUGIN_ERROR_MAX])
{
	char why[PLUGIN_ERROR_MAX];
	struct loaded *l;

	if (!strchr(name, '/')) {
		l = by_name(all, kind, name);
		if (!l)
			explain_missing(all, kind, name, error);
		return l ? &l->plugin : NULL;
	}
	if (load(all, name, &l, why)) {
		snprintf(error, PLUGIN_ERROR_MAX, "%.200s: %.300s", name, why);
		return NULL;
	}
	if (l->plugin.plugin->kind != kind) {
		snprintf(error, PLUGIN_ERROR_MAX, "%.200s is a plugin of kind %s, not %s", name,
			 plugin_kind_name(l->plugin.plugin->kind), plugin_kind_name(kind));
		return NULL;
	}
	return &l->plugin;
}

const struct plugin *plugins_builtin(const struct plugins *all, enum sp_kind kind)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (!all->at[i]->path && all->at[i]->plugin.plugin->kind == kind)
			return &all->at[i]->plugin;
	return NULL;
}

bool plugins_dir_works(const struct plugins *all)
{
	return all->dir_works;
}

const struct plugin *plugins_at(const struct plugins *all, uint32_t index)
{
	for (int built_in = 0; built_in < 2; built_in++)
		for (uint32_t i = 0; i < all->count; i++)
			if ((all->at[i]->path ? 0 : 1) == built_in && index-- == 0)
				return &all->at[i]->plugin;
	return NULL;
}

bool plugins_is_hidden(const struct plugins *all, const struct plugin *p)
{
	return &by_name(all, p->plugin->kind, p->plugin->name)->plugin != p;
}

/* The variant with these bytes, made if need be. */
static int intern(struct loaded *l, const uint8_t params[static SP_PARAMS_MAX], const void **out,
		  char error[static PLUGIN_ERROR_MAX])
{
	struct variant *v;

	for (v = l->variants; v; v = v->next)
		if (memcmp(v->params, params, SP_PARAMS_MAX) == 0)
			break;
	if (!v) {
		if (l->variant_count == PARAM_VARIANTS_MAX) {
			snprintf(error, PLUGIN_ERROR_MAX,
				 "%s: its parameters were changed more than %u times; restart stackd",
				 l->plugin.plugin->name, PARAM_VARIANTS_MAX);
			return -ENOBUFS;
		}
		v = calloc(1, sizeof(*v));
		if (!v) {
			snprintf(error, PLUGIN_ERROR_MAX, "out of memory");
			return -ENOMEM;
		}
		memcpy(v->params, params, SP_PARAMS_MAX);
		v->next = l->variants;
		l->variants = v;
		l->variant_count++;
	}
	*out = v->params;
	return 0;
}

int plugins_params(struct plugins *all, const struct plugin *plugin,
		   const struct plugin_setting *setting, uint32_t count, const void **out,
		   char error[static PLUGIN_ERROR_MAX])
{
	_Alignas(8) uint8_t params[SP_PARAMS_MAX] = {0};
	char why[KEY_ERROR_MAX];

	(void)all;
	*out = NULL;
	key_defaults(plugin->keys, params);
	for (uint32_t i = 0; i < count; i++) {
		const struct key *key = key_find(plugin->keys, setting[i].key);
		int code = key ? key_set(key, params, setting[i].value, why) : -ENOENT;

		if (code == -ENOENT)
			snprintf(error, PLUGIN_ERROR_MAX, "%s has no parameter %.64s",
				 plugin->plugin->name, setting[i].key);
		else if (code)
			snprintf(error, PLUGIN_ERROR_MAX, "%s", why);
		if (code)
			return code;
	}
	if (plugin->plugin->params_size == 0)
		return 0;
	return intern((struct loaded *)(uintptr_t)plugin, params, out, error);
}
