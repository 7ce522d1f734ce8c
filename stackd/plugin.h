/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.h - which plugins there are: the files of a folder, single files by path, and the built-in
 * set, found by kind and name.  Control thread only; what it hands out is immutable and lives as
 * long as the process. */
#ifndef STACKD_PLUGIN_LOADER_H
#define STACKD_PLUGIN_LOADER_H

#include <stdbool.h>

#include "ctl/plugin_file.h"

struct plugins;

struct plugin {
	const struct sp_plugin *plugin;
	const struct key *keys; /* its parameters */
	const char *path;	/* NULL: built in */
};

/* A parameter's value as configured. */
struct plugin_setting {
	const char *key, *value;
};

/* The folder that is meant when none is configured: ../plugins beside an uninstalled daemon, else
 * where it was installed. */
const char *plugins_default_dir(char *out, size_t len);

/* builtin: ends with NULL; may be NULL.  Returns NULL when out of memory. */
struct plugins *plugins_create(const struct sp_plugin *const *builtin);
void plugins_destroy(struct plugins *); /* for tests: no plugin may be in use any more */

/* Loads all *.so of a folder; a file that is refused is logged as a warning and left out.  Returns
 * how many were loaded; -ENOENT, -EACCES, -ENOTDIR ... when the folder can't be read, with a
 * sentence. */
int plugins_load_dir(struct plugins *, const char *dir, char error[static PLUGIN_ERROR_MAX]);

/* By name, or by path when it holds a '/' (which loads it).  A file goes before a built-in of the
 * same name.  NULL with a sentence. */
const struct plugin *plugins_find(struct plugins *, enum sp_kind, const char *name,
				  char error[static PLUGIN_ERROR_MAX]);
/* A built-in of that kind, the first of its table; NULL when there is none. */
const struct plugin *plugins_builtin(const struct plugins *, enum sp_kind);
/* False: the last plugins_load_dir failed, or there was none. */
bool plugins_dir_works(const struct plugins *);

/* All of them, files first; NULL at the end. */
const struct plugin *plugins_at(const struct plugins *, uint32_t index);
/* Another of the same kind and name is found instead of this one. */
bool plugins_is_hidden(const struct plugins *, const struct plugin *);

/* The plugin's parameter struct with its defaults and these settings; the same values give the same
 * pointer.  *out is NULL for a plugin without parameters.  0; -ENOENT unknown key, -EINVAL, -ERANGE
 * wrong value, -ENOBUFS too many variants, -ENOMEM; with a sentence. */
int plugins_params(struct plugins *, const struct plugin *, const struct plugin_setting *, uint32_t count,
		   const void **out, char error[static PLUGIN_ERROR_MAX]);

#endif
