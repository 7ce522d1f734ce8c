/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set_lines(struct config *c, const char *text, char error[static CONFIG_ERROR_MAX])
{
	char line[KEY_TEXT_MAX + 64];

	while (*text) {
		size_t len = strcspn(text, "\n");
		int code;

		if (len >= sizeof(line))
			return config_fail(error, -EINVAL, "'%.60s...' is too long", text);
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		code = len ? config_set_option(c, line, error) : 0;
		if (code)
			return code;
		text += len + (text[len] == '\n');
	}
	return 0;
}

int lab_rules_make(struct lab_rules *r, struct plugins *plugins, const char *settings,
		   char error[static CONFIG_ERROR_MAX])
{
	int code;

	r->config = config_create();
	if (!r->config)
		return config_fail(error, -ENOMEM, "out of memory");
	code = set_lines(r->config, settings, error);
	r->rules = code ? NULL : config_rules(r->config, plugins, NULL, error);
	if (r->rules)
		return 0;
	config_destroy(r->config);
	return code ? code : -EINVAL;
}

void lab_rules_free(struct lab_rules *r)
{
	config_destroy(r->config);
}
