/* SPDX-License-Identifier: BSD-2-Clause */
/* control_request.c - the words of a request, and which command they are. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control_part.h"
#include "log.h"

int control_refuse(struct control_request *r, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->error, sizeof(r->error), format, args);
	va_end(args);
	return code;
}

int control_parse(const char *text, size_t len, const char *word[static CONTROL_WORDS_MAX + 1],
		  uint32_t *count)
{
	const char *at = text, *end = text + len;

	*count = 0;
	while (at < end) {
		const char *nul = memchr(at, 0, (size_t)(end - at));

		if (!nul)
			break;
		if (nul == at) {
			word[*count] = NULL;
			return 1;
		}
		if (*count == CONTROL_WORDS_MAX)
			return -EINVAL;
		word[(*count)++] = at;
		at = nul + 1;
	}
	return len < CONTROL_REQUEST_MAX ? 0 : -EINVAL;
}

static int describe(struct control_request *r)
{
	const struct control_context *c = r->context;
	char name[128];

	if (r->word_count == 0 || r->word_count > 2)
		return control_refuse(r, -EINVAL, "usage: describe NAME, for example tcp.rto");
	/* "interface mtu" and "plugin rfc6298.min" may come as two words */
	snprintf(name, sizeof(name), "%s%s%s", r->word[0], r->word_count > 1 ? " " : "",
		 r->word_count > 1 ? r->word[1] : "");
	return config_describe(c->config, c->plugins, name, &r->answer, r->error);
}

/* "set tcp.recovery sr", "set plugin rfc6298.min 200ms", "set tcp.recovery=sr" */
static int set(struct control_request *r)
{
	const struct control_context *c = r->context;
	char path[128] = "", value[KEY_TEXT_MAX] = "";
	const struct tcp_rules *rules;
	struct config_daemon daemon;
	uint32_t at = 0;
	char *equals;

	if (at < r->word_count)
		snprintf(path, sizeof(path), "%s", r->word[at++]);
	if (at < r->word_count && !strchr(path, '.')) {
		strncat(path, " ", sizeof(path) - strlen(path) - 1);
		strncat(path, r->word[at++], sizeof(path) - strlen(path) - 1);
	}
	equals = strchr(path, '=');
	if (equals) {
		*equals = 0;
		snprintf(value, sizeof(value), "%.127s", equals + 1);
	}
	if (!equals && at == r->word_count)
		return control_refuse(r, -EINVAL, "usage: set SECTION.KEY VALUE");
	for (; at < r->word_count; at++) {
		if (strlen(value) + strlen(r->word[at]) + 2 > sizeof(value))
			return control_refuse(r, -ERANGE, "the value is longer than %u bytes",
					      KEY_TEXT_MAX - 1);
		if (*value)
			strcat(value, " ");
		strcat(value, r->word[at]);
	}
	rules = config_set_live(c->config, c->plugins, path, value, r->error);
	if (!rules)
		return -EINVAL;
	config_daemon(c->config, &daemon);
	log_init((enum log_level)daemon.log_level);
	c->apply_rules(c->arg, rules);
	log_info("control: %s = %s", path, value);
	writer_text(&r->answer, path, value);
	return 0;
}

static int wait_(struct control_request *r)
{
	writer_text(&r->answer, "state", "serving");
	return 0;
}

static const struct command {
	const char *first, *second;
	int (*run)(struct control_request *);
	bool changes;
} commands[] = {
    {"show", "conns", control_show_conns, false},
    {"show", "listeners", control_show_listeners, false},
    {"show", "shards", control_show_shards, false},
    {"show", "clients", control_show_clients, false},
    {"show", "interfaces", control_show_interfaces, false},
    {"show", "plugins", control_show_plugins, false},
    {"show", "drops", control_show_drops, false},
    {"show", "memory", control_show_memory, false},
    {"show", "config", control_show_config, false},
    {"describe", NULL, describe, false},
    {"set", NULL, set, true},
    {"kill", NULL, control_kill, true},
    {"drain", NULL, control_drain, true},
    {"metrics", NULL, control_metrics, false},
    {"watch", NULL, control_watch, false},
    {"trace", NULL, control_trace, false},
    {"capture", NULL, control_capture, false},
    {"wait", NULL, wait_, false},
};

static bool take_json(struct control_request *r)
{
	bool found = false;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->word_count; i++) {
		if (strcmp(r->word[i], "--json") == 0)
			found = true;
		else
			r->word[kept++] = r->word[i];
	}
	r->word_count = kept;
	r->word[kept] = NULL;
	return found;
}

static int unknown(struct control_request *r)
{
	struct key keys[array_count(commands) + 1] = {{0}};
	bool show = r->word_count > 0 && strcmp(r->word[0], "show") == 0;
	const char *wrong = r->word_count > (uint32_t)show ? r->word[show] : "", *nearest;
	char names[256] = "";
	uint32_t n = 0;

	for (size_t i = 0; i < array_count(commands); i++) {
		const char *name = show ? commands[i].second : commands[i].first;

		if (!name || (n && strcmp(keys[n - 1].name, name) == 0))
			continue;
		keys[n++].name = name;
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", n > 1 ? ", " : "",
			 name);
	}
	nearest = *wrong ? key_nearest(keys, wrong) : NULL;
	if (nearest)
		return control_refuse(r, -EINVAL, "unknown: %s%.60s; did you mean %s?",
				      show ? "show " : "", wrong, nearest);
	return control_refuse(r, -EINVAL, "unknown: %s%.60s; there are: %s", show ? "show " : "", wrong,
			      names);
}

int control_run(struct control_request *r)
{
	const struct command *c = commands, *end = commands + array_count(commands);
	uint32_t own;
	int code;

	writer_init(&r->answer, take_json(r), CONTROL_ANSWER_MAX);
	for (; c < end; c++)
		if (r->word_count > 0 && strcmp(c->first, r->word[0]) == 0 &&
		    (!c->second || (r->word_count > 1 && strcmp(c->second, r->word[1]) == 0)))
			break;
	if (c == end)
		return unknown(r);
	if (c->changes && !r->may_change)
		return control_refuse(r, -EPERM, "%s is for root and the daemon's user", c->first);
	own = c->second ? 2 : 1;
	r->word_count -= own;
	memmove(r->word, r->word + own, (r->word_count + 1) * sizeof(r->word[0]));
	code = c->run(r);
	if (!code && c->run != control_metrics && !r->stream)
		writer_finish(&r->answer);
	return code;
}
