/* SPDX-License-Identifier: BSD-2-Clause */
#include "shipped.h"

#include <stdlib.h>
#include <string.h>

#include "all.h"
#include "base/key.h"

static uint8_t params[64][SP_PARAMS_MAX] __attribute__((aligned(16)));

static struct tcp_plugin with_defaults(unsigned at)
{
	const struct sp_plugin *p = stackd_all_plugins[at];
	char error[KEY_ERROR_MAX];

	memset(params[at], 0, SP_PARAMS_MAX);
	for (const struct sp_param *q = p->params; q && q->name; q++) {
		struct key k = {.name = q->name,
				.type = (enum key_type)q->type,
				.offset = q->offset,
				.def = q->def};

		if (key_set(&k, params[at], q->def, error) < 0)
			abort();
	}
	return (struct tcp_plugin){p, params[at]};
}

struct tcp_plugin shipped(enum sp_kind kind, unsigned i)
{
	for (unsigned at = 0; stackd_all_plugins[at]; at++)
		if (stackd_all_plugins[at]->kind == kind && i-- == 0)
			return with_defaults(at);
	return (struct tcp_plugin){NULL, NULL};
}

struct tcp_plugin shipped_named(enum sp_kind kind, const char *name)
{
	for (unsigned i = 0;; i++) {
		struct tcp_plugin p = shipped(kind, i);

		if (!p.plugin)
			abort();
		if (strcmp(p.plugin->name, name) == 0)
			return p;
	}
}
