/* SPDX-License-Identifier: BSD-2-Clause */
/* control_filter.c - which connections are meant, in the words of ss(8). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control_part.h"

static bool parse_port(const char *text, uint16_t *out)
{
	char *end;
	unsigned long value;

	text += *text == ':';
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || value == 0 || value > 65535)
		return false;
	*out = (uint16_t)value;
	return true;
}

/* ADDRESS, PREFIX/BITS or ENDPOINT:PORT */
static bool parse_end(const char *text, struct prefix *prefix, uint16_t *port)
{
	struct endpoint end;

	if (prefix_parse(text, prefix) == 0)
		return true;
	if (endpoint_parse(text, &end))
		return false;
	*prefix = (struct prefix){.addr = end.addr, .bits = 128};
	*port = end.port;
	return true;
}

static bool known_state(const char *name)
{
	if (strcasecmp(name, "established") == 0)
		return true;
	for (int s = TCP_CLOSED; s <= TCP_TIME_WAIT; s++)
		if (strcasecmp(tcp_state_name((enum tcp_state)s), name) == 0)
			return true;
	return false;
}

/* One condition, its word and its value.  False: the value is wrong. */
static bool parse_condition(const char *what, const char *value, struct conn_filter *f, bool *known)
{
	*known = true;
	if (strcmp(what, "src") == 0)
		return parse_end(value, &f->local, &f->local_port);
	if (strcmp(what, "dst") == 0)
		return parse_end(value, &f->remote, &f->remote_port);
	if (strcmp(what, "sport") == 0)
		return parse_port(value, &f->local_port);
	if (strcmp(what, "dport") == 0)
		return parse_port(value, &f->remote_port);
	if (strcmp(what, "state") == 0) {
		snprintf(f->state, sizeof(f->state), "%s",
			 strcasecmp(value, "established") == 0 ? "ESTAB" : value);
		return known_state(value);
	}
	if (strcmp(what, "recovery") == 0 || strcmp(what, "cc") == 0) {
		char *to = *what == 'c' ? f->cc : f->recovery;

		snprintf(to, sizeof(f->cc), "%s", value);
		return strlen(value) < sizeof(f->cc);
	}
	*known = false;
	return false;
}

int conn_filter_parse(const char *const *word, struct conn_filter *out, char error[static CONFIG_ERROR_MAX])
{
	*out = (struct conn_filter){0};
	while (*word) {
		const char *what = *word++;
		bool known;

		if (strcmp(what, "and") == 0)
			continue;
		if (*word && (strcmp(*word, "=") == 0 || strcmp(*word, "eq") == 0))
			word++;
		if (parse_condition(what, *word ? *word : "", out, &known)) {
			word++;
			continue;
		}
		if (!known)
			return config_fail(error, -EINVAL,
					   "'%.60s' is no filter; there are: state NAME, src ADDRESS, dst "
					   "ADDRESS, sport PORT, dport PORT, recovery NAME, cc NAME",
					   what);
		return config_fail(error, -EINVAL, "%s: '%.60s' is not what it takes", what,
				   *word ? *word : "");
	}
	return 0;
}

static bool has_name(const char *wanted, const char *name)
{
	return !*wanted || (name && strcasecmp(wanted, name) == 0);
}

bool conn_filter_ends(const struct conn_filter *f, const struct endpoint *local, const struct endpoint *remote)
{
	return (!f->local_port || f->local_port == local->port) &&
	       (!f->remote_port || f->remote_port == remote->port) &&
	       (!f->local.bits || prefix_contains(&f->local, &local->addr)) &&
	       (!f->remote.bits || prefix_contains(&f->remote, &remote->addr));
}

bool conn_filter_matches(const struct conn_filter *f, const struct tcp_info *i)
{
	return has_name(f->state, tcp_state_name(i->state)) && has_name(f->recovery, i->recovery) &&
	       has_name(f->cc, i->cc) && conn_filter_ends(f, &i->local, &i->remote);
}

int conn_name_parse(const char *const *word, uint32_t count, struct endpoint *local, struct endpoint *remote)
{
	char text[2 * ENDPOINT_TEXT_MAX + 2] = "";
	char *dash;

	if (count == 2)
		snprintf(text, sizeof(text), "%.56s-%.56s", word[0], word[1]);
	else if (count == 1)
		snprintf(text, sizeof(text), "%s", word[0]);
	dash = strchr(text, '-');
	if (dash)
		*dash++ = 0;
	return !dash || endpoint_parse(text, local) || endpoint_parse(dash, remote) ? -EINVAL : 0;
}
