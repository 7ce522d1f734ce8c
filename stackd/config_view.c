/* SPDX-License-Identifier: BSD-2-Clause */
/* config_view.c - typed views of the settings, and the checks that need several of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_part.h"

void config_daemon(const struct config *c, struct config_daemon *out)
{
	const struct key *keys = section_info[SECTION_STACKD].keys;
	struct stackd_keys object = {0};
	char why[KEY_ERROR_MAX];

	key_defaults(keys, &object);
	config_apply(c, SECTION_STACKD, "", keys, &object);
	*out = object.daemon;
	(void)text_cpus(out->cpus_text, out->cpu, &out->cpu_count, why);
	(void)access_parse(out->allow_text, &out->allow, why);
	if (!*out->plugin_dir)
		plugins_default_dir(out->plugin_dir, sizeof(out->plugin_dir));
}

uint32_t config_interface_count(const struct config *c)
{
	uint32_t count = 0;

	while (config_name_at(c, SECTION_INTERFACE, count))
		count++;
	return count;
}

void config_interface(const struct config *c, uint32_t index, struct config_interface *out)
{
	const struct key *keys = section_info[SECTION_INTERFACE].keys;
	const char *name = config_name_at(c, SECTION_INTERFACE, index);
	struct interface_keys object = {0};
	char why[KEY_ERROR_MAX], fault_why[DRIVER_ERROR_MAX];

	key_defaults(keys, &object);
	config_apply(c, SECTION_INTERFACE, name, keys, &object);
	*out = object.interface;
	snprintf(out->name, sizeof(out->name), "%.15s", name);
	(void)text_prefixes(object.address, out->address, &out->address_count, why);
	(void)text_gateways(object.gateway, &out->gateway4, &out->gateway6, why);
	(void)text_queues(object.queues, &out->queues, why);
	out->has_fault = *out->fault_text;
	if (out->has_fault)
		(void)fault_parse(out->fault_text, &out->fault, fault_why);
}

static const char *origin_of(const struct config *c, enum section_id section, const char *name,
			     const char *key)
{
	struct target t = {.section = section};
	const struct setting *s;

	snprintf(t.name, sizeof(t.name), "%.*s", (int)sizeof(t.name) - 1, name);
	snprintf(t.key, sizeof(t.key), "%.*s", (int)sizeof(t.key) - 1, key);
	s = config_find(c, &t);
	return s ? s->origin : "default";
}

static int check_daemon(const struct config *c, char error[static CONFIG_ERROR_MAX])
{
	static const char *const ring[] = {"client_receive_ring", "client_send_ring"};
	struct config_daemon d;

	config_daemon(c, &d);
	for (int i = 0; i < 2; i++) {
		uint64_t bytes = i == 0 ? d.client_receive_ring : d.client_send_ring;

		if (bytes & (bytes - 1))
			return config_fail(error, -EINVAL,
					   "%s: [stackd] %s: %llu is not a power of two; allowed: 4KB, "
					   "8KB, ... 1GB",
					   origin_of(c, SECTION_STACKD, "", ring[i]), ring[i],
					   (unsigned long long)bytes);
	}
	if (d.cpu_count && d.cpu_count < d.shards)
		return config_fail(error, -EINVAL,
				   "%s: [stackd] cpus: names %u for %llu shards; allowed: one each, or "
				   "none",
				   origin_of(c, SECTION_STACKD, "", "cpus"), d.cpu_count,
				   (unsigned long long)d.shards);
	return 0;
}

/* The gateway's network is one of ours there; an IPv6 link-local one always is. */
static bool on_link(const struct config_interface *i, const struct addr *gateway)
{
	if (addr_is_unspecified(gateway) || (!addr_is4(gateway) && addr_is_link_local(gateway)))
		return true;
	for (uint32_t k = 0; k < i->address_count; k++)
		if (prefix_contains(&i->address[k], gateway) &&
		    !addr_equal(&i->address[k].addr, gateway))
			return true;
	return false;
}

static int check_interface(const struct config *c, const struct config_interface *i,
			   char error[static CONFIG_ERROR_MAX])
{
	const struct addr *gateway[] = {&i->gateway4, &i->gateway6};
	char text[ADDR_TEXT_MAX];

	if (i->address_count == 0)
		return config_fail(error, -EINVAL,
				   "[interface %s] address: is missing; it takes addresses like "
				   "10.9.0.2/24, fd00:9::2/64",
				   i->name);
	for (int k = 0; k < 2; k++)
		if (!on_link(i, gateway[k]))
			return config_fail(error, -EINVAL,
					   "%s: [interface %s] gateway: %s is in no network of its "
					   "addresses",
					   origin_of(c, SECTION_INTERFACE, i->name, "gateway"), i->name,
					   addr_format(gateway[k], text));
	return 0;
}

static int check_twice(const struct config *c, const struct config_interface *a,
		       const struct config_interface *b, char error[static CONFIG_ERROR_MAX])
{
	char text[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < a->address_count; i++)
		for (uint32_t k = 0; k < b->address_count; k++)
			if ((a != b || i < k) &&
			    addr_equal(&a->address[i].addr, &b->address[k].addr))
				return config_fail(error, -EINVAL,
						   "%s: [interface %s] address: %s stands there twice",
						   origin_of(c, SECTION_INTERFACE, b->name, "address"),
						   b->name, addr_format(&a->address[i].addr, text));
	return 0;
}

static int check_interfaces(const struct config *c, char error[static CONFIG_ERROR_MAX])
{
	struct config_interface i[INTERFACES_MAX];
	uint32_t count = config_interface_count(c);
	int code = 0;

	if (count == 0)
		return config_fail(error, -EINVAL,
				   "no [interface NAME] section: stackd has nothing to serve");
	if (count > INTERFACES_MAX)
		return config_fail(error, -EINVAL, "more than %u [interface NAME] sections",
				   INTERFACES_MAX);
	for (uint32_t a = 0; a < count && !code; a++) {
		config_interface(c, a, &i[a]);
		code = check_interface(c, &i[a], error);
		for (uint32_t b = 0; b <= a && !code; b++)
			code = check_twice(c, &i[b], &i[a], error);
	}
	return code;
}

int config_check(struct config *c, struct plugins *plugins, char error[static CONFIG_ERROR_MAX])
{
	int code = check_daemon(c, error);

	if (!code)
		code = check_interfaces(c, error);
	if (!code && !config_rules(c, plugins, NULL, error))
		code = -EINVAL;
	return code;
}
