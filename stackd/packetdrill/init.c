/* SPDX-License-Identifier: BSD-2-Clause */
/* init.c - the one symbol of packetdrill.so: reads the flags and puts an adapter together. */
#include "packetdrill/adapter.h"
#include "packetdrill/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "all.h"

#define MTU          1500u
#define START_NS     (1000 * NS_PER_S) /* not 0, so that a forgotten time shows */
#define SETTINGS_MAX 4096u

static void refuse(const char *what, const char *why)
{
	fprintf(stderr, "packetdrill.so: '%s': %s\n", what, why);
	exit(2);
}

/* "ADDRESS,KEY=VALUE,..." into the address and lines.  A value may be a list: only a comma in front
 * of a word with '=' begins a new setting. */
static void split(const char *flags, struct addr *address, char lines[static SETTINGS_MAX])
{
	char text[ADDR_TEXT_MAX];
	size_t len = strcspn(flags, ",");
	char *out = lines;

	if (strlen(flags) >= SETTINGS_MAX)
		refuse(flags, "too long");
	snprintf(text, sizeof(text), "%.*s", (int)len, flags);
	if (addr_parse(text, address) != 0 || addr_is_unspecified(address))
		refuse(flags, "begins with no address (ADDRESS[,SECTION.KEY=VALUE...])");
	for (flags += len; *flags; flags += len) {
		size_t word = strcspn(flags + 1, ",=");

		*out++ = flags[1 + word] == '=' ? '\n' : ',';
		flags++;
		len = strcspn(flags, ",");
		memcpy(out, flags, len);
		out += len;
	}
	*out = 0;
}

/* Any address but our own does: it is only a place for a MAC. */
static struct addr gateway_for(const struct addr *own)
{
	static const char *const choice[2][2] = {{"fe80::1", "fe80::2"},
						 {"10.255.255.1", "10.255.255.2"}};
	struct addr a;

	for (unsigned i = 0; i < 2; i++)
		if (addr_parse(choice[addr_is4(own)][i], &a) == 0 && !addr_equal(&a, own))
			break;
	return a;
}

static void make_host(struct adapter *a)
{
	char text[ADDR_TEXT_MAX];
	struct lab_host_config c = {.address = addr_format(&a->address, text),
				    .driver = a->wire,
				    .rules = a->rules.rules,
				    .seed = 1,
				    .gateway = a->gateway,
				    .lenient = true};

	a->host = lab_host_create(&c, a->now);
}

/* A misspelt plugin would leave another one at work. */
static void check_plugins(const struct adapter *a, const char *flags)
{
	static const struct {
		const char *key;
		enum sp_kind kind;
	} list[] = {{"tcp.recovery", SP_RECOVERY},
		    {"tcp.rto", SP_RTO},
		    {"tcp.ack", SP_ACK},
		    {"tcp.cc", SP_CC}};
	char names[KEY_TEXT_MAX], error[PLUGIN_ERROR_MAX];

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char *save = NULL;

		if (config_get(a->rules.config, a->plugins, list[i].key, names, sizeof(names)) < 0)
			continue;
		for (char *w = strtok_r(names, ", ", &save); w; w = strtok_r(NULL, ", ", &save))
			if (!plugins_find(a->plugins, list[i].kind, w, error))
				refuse(flags, error);
	}
}

static struct adapter *create(const char *flags)
{
	struct adapter *a = lab_alloc(sizeof(*a));
	char lines[SETTINGS_MAX], error[CONFIG_ERROR_MAX];

	split(flags, &a->address, lines);
	a->plugins = plugins_create(stackd_all_plugins);
	a->wire = wire_open(MTU);
	if (!a->plugins || !a->wire)
		lab_fail("out of memory");
	if (lab_rules_make(&a->rules, a->plugins, lines, error) < 0)
		refuse(flags, error);
	check_plugins(a, flags);
	a->gateway = gateway_for(&a->address);
	a->now = START_NS;
	a->driver_thread = pthread_self();
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->moved, NULL);
	pthread_cond_init(&a->settled, NULL);
	list_init(&a->sockets);
	list_init(&a->epolls);
	list_init(&a->waiters);
	make_host(a);
	return a;
}

/* Descriptors that the script left open are closed by whoever made the script. */
static void call_free(void *ud)
{
	struct adapter *a = ud;

	lab_host_destroy(a->host);
	while (!list_empty(&a->sockets))
		so_free(container_of(a->sockets.next, struct so, node));
	ready_free(a);
	lab_rules_free(&a->rules);
	plugins_destroy(a->plugins);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->moved);
	pthread_cond_destroy(&a->settled);
	free(a);
}

__attribute__((visibility("default"))) void packetdrill_interface_init(const char *flags,
								       struct packetdrill_calls *c)
{
	c->userdata = create(flags ? flags : "");
	c->free = call_free;
	calls_fill(c);
}
