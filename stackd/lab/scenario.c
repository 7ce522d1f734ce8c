/* SPDX-License-Identifier: BSD-2-Clause */
/* scenario.c - `stackd-lab scenario`: which scenarios, and in which form they are told. */
#include <stdlib.h>
#include <string.h>

#include "lab/command.h"
#include "lab/play.h"

static const char usage[] =
	"usage: stackd-lab scenario [--json] [--list] [NAME...]\n"
	"\n"
	"Plays the scenarios of the textbook (Kurose & Ross, chapter 3) on stackd's own TCP and plugins in\n"
	"virtual time: each as a ladder of the segments that were really sent, then a table of counts\n"
	"beside the book's.  Without NAME all of them.\n"
	"\n"
	"  --json   an array with an object per scenario and recovery, with all segments\n"
	"  --list   the names\n"
	"\n"
	"Exit 1 when a count is not the book's.\n";

struct telling {
	bool json;
	bool wrong;
	uint32_t plays;
	char *table; /* the lines for the end */
	size_t table_len;
	FILE *to_table;
};

static void tell(void *arg, struct play *p)
{
	struct telling *t = arg;

	t->wrong |= !play_right(p);
	if (t->json) {
		printf("%s", t->plays++ ? ",\n" : "[\n");
		play_json(p, stdout);
		return;
	}
	t->plays++;
	play_show(p);
	play_table_line(p, t->to_table);
}

static void list_one(const char *name, const char *title)
{
	printf("%-20s %s\n", name, title);
}

static int no_such(const char *name)
{
	fprintf(stderr, "stackd-lab scenario: there is no scenario '%s'; `stackd-lab scenario --list` names "
			"them\n", name);
	return LAB_USAGE;
}

static int play_all(char **names, int count, struct telling *t)
{
	struct plugins *plugins = lab_plugins();
	int code = 0;

	for (int i = 0; i < count || (i == 0 && count == 0); i++) {
		const char *name = count ? names[i] : NULL;
		bool book = book_run(name, plugins, tell, t);

		if (!demo_run(name, plugins, tell, t) && !book) {
			code = no_such(name);
			break;
		}
	}
	plugins_destroy(plugins);
	return code;
}

int lab_scenario(int argc, char **argv)
{
	struct telling t = {0};
	int code, first = 1;

	for (; first < argc && argv[first][0] == '-'; first++) {
		if (strcmp(argv[first], "--json") == 0) {
			t.json = true;
		} else if (strcmp(argv[first], "--list") == 0) {
			book_names(list_one);
			demo_names(list_one);
			return 0;
		} else {
			return lab_usage("scenario", argv[first], usage);
		}
	}
	t.to_table = open_memstream(&t.table, &t.table_len);
	if (!t.to_table)
		lab_fail("out of memory");
	code = play_all(argv + first, argc - first, &t);
	fclose(t.to_table);
	if (t.json && t.plays)
		printf("\n]\n");
	if (!t.json && t.plays) {
		play_table_head();
		fputs(t.table, stdout);
	}
	free(t.table);
	return code ? code : t.wrong ? LAB_DIFFERS : 0;
}
