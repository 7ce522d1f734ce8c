/* SPDX-License-Identifier: BSD-2-Clause */
/* conf_keys.c - writes the keys of stackd.conf(5) from the tables that the daemon reads by. */
#include <stdio.h>

#include "config_part.h"

/* scdoc takes _, * and \ as markup. */
static void plain(const char *text)
{
	for (; *text; text++) {
		if (*text == '_' || *text == '*' || *text == '\\' || *text == '[')
			putchar('\\');
		putchar(*text);
	}
}

static void write_choices(const char *choices)
{
	for (; *choices; choices++) {
		if (*choices == '|')
			fputs(", ", stdout);
		else
			putchar(*choices);
	}
}

static void write_key(const struct key *k)
{
	fputs("*", stdout);
	plain(k->name);
	printf("* = _%s_\n\t", key_type_name(k->type));
	plain(k->sentence);
	putchar('.');
	if (k->choices) {
		fputs(" One of: ", stdout);
		write_choices(k->choices);
		putchar('.');
	}
	if (k->min && k->max)
		printf(" From %s to %s.", k->min, k->max);
	else if (k->min)
		printf(" %s or more.", k->min);
	else if (k->max)
		printf(" Up to %s.", k->max);
	if (k->def && *k->def) {
		fputs(" Default: ", stdout);
		plain(k->def);
		putchar('.');
	}
	fputs("\n\n", stdout);
}

static void write_section(const struct section_info *info)
{
	printf("# [%s%s]\n\n", info->name, info->named ? " NAME" : "");
	plain(info->sentence);
	fputs(".\n\n", stdout);
	for (const struct key *k = info->keys; k && k->name; k++)
		write_key(k);
	if (info->named && info->more)
		fputs("Any key of [tcp] may stand here, for the connections that match.\n\n", stdout);
	for (const struct key *k = info->more; k && k->name && !info->named; k++)
		write_key(k);
	if (!info->keys)
		fputs("The keys are the plugin's own parameters: *stackdctl describe* NAME lists them. "
		      "NAME may be KIND/NAME where two kinds share a name, such as rto/fixed.\n\n",
		      stdout);
}

int main(void)
{
	for (int id = 0; id < SECTION_COUNT; id++)
		write_section(&section_info[id]);
	return 0;
}
