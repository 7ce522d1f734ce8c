/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin_file.h - opens one plugin and checks all that can be checked without calling it.
 *
 * The shared object is opened with dlopen: its constructors run, if it has any, but none of its
 * hooks.  That is why a file that a stranger could have written is refused before. */
#ifndef STACKD_CTL_PLUGIN_FILE_H
#define STACKD_CTL_PLUGIN_FILE_H

#include "base/key.h"
#include "stackd_plugin.h"

#define PLUGIN_ERROR_MAX  512u
#define PLUGIN_NAME_MAX	  15u /* bytes of a plugin's name: TCP_CONGESTION's limit */
#define PLUGIN_PARAM_NAME_MAX 31u
#define PLUGIN_PARAMS_MAX 64u /* parameters of one plugin */

/* A checked plugin: a copy of its tables with every member that we know and it doesn't zeroed. */
struct plugin_view {
	struct sp_plugin plugin; /* .ops points to a struct sp_*_ops of this build's size */
	struct key *keys;	 /* its parameters; ends with a NULL name */
};

/* "rto", "ack", "recovery", "cc"; NULL for anything else. */
const char *plugin_kind_name(enum sp_kind);

/* Checks a plugin's tables and makes a view of it, which is never freed.  object_size: bytes that
 * are there to be read from `raw` on, 0 when raw is part of this program.  0; -EPROTO: another
 * ABI; -EINVAL: tables that are wrong; -ENOMEM; with a sentence. */
int plugin_check(const struct sp_plugin *raw, size_t object_size, struct plugin_view *out,
		 char error[static PLUGIN_ERROR_MAX]);

/* Opens `path`, which stays open for good.  0; -EACCES: not owned by root or us, or writable by
 * others; -ENOEXEC: not a shared object or not a plugin; -ENOENT ...; or as plugin_check. */
int plugin_file_open(const char *path, struct plugin_view *out, char error[static PLUGIN_ERROR_MAX]);

#endif
