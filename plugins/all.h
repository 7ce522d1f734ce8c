/* SPDX-License-Identifier: BSD-2-Clause */
/* all.h - every plugin that ships, linked in: for tests and the lab, which need no dlopen. */
#ifndef STACKD_PLUGINS_ALL_H
#define STACKD_PLUGINS_ALL_H

#include "stackd_plugin.h"

extern const struct sp_plugin *const stackd_all_plugins[]; /* ends with NULL */

#endif
