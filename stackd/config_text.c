/* SPDX-License-Identifier: BSD-2-Clause */
/* config_text.c - the values that are lists: cpus, addresses, ports, plugins.  Each is parsed by one
 * function, both to check a setting and to use it. */
#include "config_part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " \t,"
#define QUEUES_MAX 64u

static int wrong(char error[static KEY_ERROR_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(char error[static KEY_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, KEY_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

bool next_word(const char **list, char *word, size_t len)
{
	size_t n;

	*list += strspn(*list, SEPARATORS);
	n = strcspn(*list, SEPARATORS);
	if (n == 0)
		return false;
	snprintf(word, len, "%.*s", (int)n, *list);
	*list += n;
	return true;
}

/* "N" or "N-M", N <= M <= max */
static bool parse_range(const char *word, unsigned long max, unsigned long *first, unsigned long *last)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	*first = *last = strtoul(word, &end, 10);
	if (*end == '-') {
		word = end + 1;
		if (*word < '0' || *word > '9')
			return false;
		*last = strtoul(word, &end, 10);
	}
	return !*end && *first <= *last && *last <= max;
}

int text_cpus(const char *text, uint32_t cpu[static SHARDS_MAX], uint32_t *count,
	      char error[static KEY_ERROR_MAX])
{
	unsigned long first, last;
	char word[32];

	*count = 0;
	while (next_word(&text, word, sizeof(word))) {
		if (!parse_range(word, 1023, &first, &last))
			return wrong(error, "'%s' is not a CPU number (0 to 1023) or a range like 2-5",
				     word);
		for (; first <= last; first++) {
			if (*count == SHARDS_MAX)
				return wrong(error, "more than %u CPUs", SHARDS_MAX);
			cpu[(*count)++] = (uint32_t)first;
		}
	}
	return 0;
}

int text_prefixes(const char *text, struct prefix out[static ADDRESSES_MAX], uint32_t *count,
		  char error[static KEY_ERROR_MAX])
{
	char word[ADDR_TEXT_MAX + 8];

	*count = 0;
	while (next_word(&text, word, sizeof(word))) {
		if (*count == ADDRESSES_MAX)
			return wrong(error, "more than %u addresses", ADDRESSES_MAX);
		if (prefix_parse(word, &out[*count]))
			return wrong(error,
				     "'%s' is not an address like 10.9.0.2/24 or fd00:9::2/64", word);
		(*count)++;
	}
	return 0;
}

int text_gateways(const char *text, struct addr *gateway4, struct addr *gateway6,
		  char error[static KEY_ERROR_MAX])
{
	char word[ADDR_TEXT_MAX];
	struct addr a, *to;

	memset(gateway4, 0, sizeof(*gateway4));
	memset(gateway6, 0, sizeof(*gateway6));
	while (next_word(&text, word, sizeof(word))) {
		if (addr_parse(word, &a) || addr_is_unspecified(&a) || addr_is_multicast(&a) ||
		    addr_is_broadcast4(&a))
			return wrong(error, "'%s' is not a router's address like 10.9.0.1 or fe80::1",
				     word);
		to = addr_is4(&a) ? gateway4 : gateway6;
		if (!addr_is_unspecified(to))
			return wrong(error, "'%s' is a second %s router; one of each family is allowed",
				     word, addr_is4(&a) ? "IPv4" : "IPv6");
		*to = a;
	}
	return 0;
}

int text_queues(const char *text, uint32_t *queues, char error[static KEY_ERROR_MAX])
{
	unsigned long first, last;

	*queues = 0;
	if (strcmp(text, "auto") == 0)
		return 0;
	if (!parse_range(text, QUEUES_MAX, &first, &last) || first != last || first == 0)
		return wrong(error, "'%.60s' is neither auto nor a number; allowed: 1 to %u", text,
			     QUEUES_MAX);
	*queues = (uint32_t)first;
	return 0;
}

int text_ports(const char *text, struct port_range out[static PORT_RANGES_MAX], uint32_t *count,
	       char error[static KEY_ERROR_MAX])
{
	unsigned long first, last;
	char word[32];

	*count = 0;
	while (next_word(&text, word, sizeof(word))) {
		if (!parse_range(word, 65535, &first, &last) || first == 0)
			return wrong(error, "'%s' is not a port (1 to 65535) or a range like 8000-8099",
				     word);
		if (*count == PORT_RANGES_MAX)
			return wrong(error, "more than %u ports and ranges", PORT_RANGES_MAX);
		out[(*count)++] = (struct port_range){(uint16_t)first, (uint16_t)last};
	}
	return 0;
}

static bool plugin_word_is_good(const char *word)
{
	size_t len = strlen(word);

	if (*word == '/')
		return true;
	return len <= PLUGIN_NAME_MAX &&
	       strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

int text_plugins(const char *text, char (*word)[PLUGIN_WORD_MAX], uint32_t *count,
		 char error[static KEY_ERROR_MAX])
{
	*count = 0;
	for (char next[PLUGIN_WORD_MAX]; next_word(&text, next, sizeof(next)); (*count)++) {
		if (*count == PLUGIN_CHOICES_MAX)
			return wrong(error, "more than %u plugins", PLUGIN_CHOICES_MAX);
		if (!plugin_word_is_good(next))
			return wrong(error, "'%.60s' is neither a plugin's name (a-z, 0-9, '-', '_', at "
				     "most %u) nor an absolute path", next, PLUGIN_NAME_MAX);
		for (uint32_t i = 0; i < *count; i++)
			if (strcmp(word[i], next) == 0)
				return wrong(error, "'%.60s' stands there twice", next);
		memcpy(word[*count], next, sizeof(next));
	}
	return 0;
}

static int check_cpus(const char *text, char error[static KEY_ERROR_MAX])
{
	uint32_t cpu[SHARDS_MAX], count;

	return text_cpus(text, cpu, &count, error);
}

static int check_allow(const char *text, char error[static KEY_ERROR_MAX])
{
	char why[ACCESS_ERROR_MAX];
	struct access allow;

	return access_parse(text, &allow, why) ? wrong(error, "%s", why) : 0;
}

/* Room for "/control.sock" in a socket's address. */
static int check_rundir(const char *text, char error[static KEY_ERROR_MAX])
{
	if (*text != '/' || strlen(text) > 90)
		return wrong(error, "'%.100s' is not an absolute path of at most 90 bytes", text);
	return 0;
}

static int check_dir(const char *text, char error[static KEY_ERROR_MAX])
{
	if (*text && *text != '/')
		return wrong(error, "'%.100s' is not an absolute path", text);
	return 0;
}

static int check_addresses(const char *text, char error[static KEY_ERROR_MAX])
{
	struct prefix prefix[ADDRESSES_MAX];
	uint32_t count;
	char shown[ADDR_TEXT_MAX];
	int code = text_prefixes(text, prefix, &count, error);

	for (uint32_t i = 0; !code && i < count; i++)
		if (addr_is_unspecified(&prefix[i].addr) || addr_is_multicast(&prefix[i].addr) ||
		    addr_is_broadcast4(&prefix[i].addr))
			return wrong(error, "'%s' can't be an own address",
				     prefix_format(&prefix[i], shown));
	return code;
}

static int check_prefixes(const char *text, char error[static KEY_ERROR_MAX])
{
	struct prefix prefix[ADDRESSES_MAX];
	uint32_t count;

	return text_prefixes(text, prefix, &count, error);
}

static int check_gateways(const char *text, char error[static KEY_ERROR_MAX])
{
	struct addr gateway4, gateway6;

	return text_gateways(text, &gateway4, &gateway6, error);
}

static int check_queues(const char *text, char error[static KEY_ERROR_MAX])
{
	uint32_t queues;

	return text_queues(text, &queues, error);
}

static int check_fault(const char *text, char error[static KEY_ERROR_MAX])
{
	char why[DRIVER_ERROR_MAX];
	struct fault_config fault;

	return fault_parse(text, &fault, why) ? wrong(error, "%s", why) : 0;
}

static int check_ports(const char *text, char error[static KEY_ERROR_MAX])
{
	struct port_range range[PORT_RANGES_MAX];
	uint32_t count;

	return text_ports(text, range, &count, error);
}

static int check_plugins(const char *text, char error[static KEY_ERROR_MAX])
{
	char word[PLUGIN_CHOICES_MAX][PLUGIN_WORD_MAX];
	uint32_t count;
	int code = text_plugins(text, word, &count, error);

	return !code && count == 0 ? wrong(error, "names no plugin") : code;
}

text_check *key_text_check(enum section_id section, const char *key)
{
	static const struct {
		enum section_id section;
		const char *key;
		text_check *check;
	} checks[] = {
	    {SECTION_STACKD, "cpus", check_cpus},	  {SECTION_STACKD, "allow", check_allow},
	    {SECTION_STACKD, "rundir", check_rundir},	  {SECTION_STACKD, "plugin_dir", check_dir},
	    {SECTION_INTERFACE, "address", check_addresses}, {SECTION_INTERFACE, "gateway", check_gateways},
	    {SECTION_INTERFACE, "queues", check_queues},  {SECTION_INTERFACE, "fault", check_fault},
	    {SECTION_RULE, "local", check_prefixes},	  {SECTION_RULE, "remote", check_prefixes},
	    {SECTION_RULE, "local_port", check_ports},	  {SECTION_RULE, "remote_port", check_ports},
	    {SECTION_RULE, "port", check_ports},
	};

	if ((section == SECTION_TCP || section == SECTION_RULE) && key_find(policy_keys, key))
		return check_plugins;
	for (size_t i = 0; i < array_count(checks); i++)
		if (checks[i].section == section && strcmp(checks[i].key, key) == 0)
			return checks[i].check;
	return NULL;
}
