/* SPDX-License-Identifier: BSD-2-Clause */
#include "builtin.h"

extern const struct sp_plugin stackd_plugin_rfc6298, stackd_plugin_delayed, stackd_plugin_reno,
    stackd_plugin_newreno;

const struct sp_plugin *const stackd_builtin_plugins[] = {
    &stackd_plugin_rfc6298,
    &stackd_plugin_delayed,
    &stackd_plugin_reno,
    &stackd_plugin_newreno,
    NULL,
};
