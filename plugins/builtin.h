/* SPDX-License-Identifier: BSD-2-Clause */
/* builtin.h - the plugins that are linked in: enough for a working TCP when the plugin directory is
 * missing or wrong (rfc6298, delayed, reno, newreno). */
#ifndef STACKD_PLUGINS_BUILTIN_H
#define STACKD_PLUGINS_BUILTIN_H

#include "stackd_plugin.h"

extern const struct sp_plugin *const stackd_builtin_plugins[]; /* ends with NULL */

#endif
