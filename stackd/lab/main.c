/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-lab - experiments on stackd's TCP in virtual time: no root, no network. */
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "all.h"
#include "lab/command.h"
#include "lab/host.h"

static const char usage[] =
	"usage: stackd-lab COMMAND [ARGUMENTS]\n"
	"\n"
	"Experiments on stackd's TCP and its plugins in virtual time: no root, no network, and the same\n"
	"seed gives the same bytes on any machine.\n"
	"\n"
	"  scenario   the textbook's scenarios, segment by segment, with its counts\n"
	"  sweep      goodput, time, retransmissions by recovery, loss, round trip, rate ...\n"
	"  replay     a captured conversation with stackd's TCP in the place of one end\n"
	"  conform    puts a plugin file to the test, rule by rule\n"
	"\n"
	"  stackd-lab COMMAND --help tells more.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"scenario", lab_scenario},
	{"sweep", lab_sweep},
	{"replay", lab_replay},
	{"conform", lab_conform},
};

int lab_usage(const char *command, const char *word, const char *text)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		fputs(text, stdout);
		return 0;
	}
	fprintf(stderr, "stackd-lab%s%s: unknown %s '%s'\n\n%s", *command ? " " : "", command,
		*word == '-' ? "option" : "argument", word, text);
	return LAB_USAGE;
}

/* In a build folder: ../../plugins beside us, once it is built.  NULL: not there. */
static const char *build_dir(char *out, size_t len)
{
	char exe[PATH_MAX], probe[PATH_MAX + 32];
	ssize_t got = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (got <= 0)
		return NULL;
	exe[got] = 0;
	slash = strrchr(exe, '/');
	if (slash)
		*slash = 0;
	snprintf(probe, sizeof(probe), "%s/../../plugins/gbn.so", exe);
	if (access(probe, R_OK) != 0)
		return NULL;
	snprintf(out, len, "%.*s/../../plugins", PATH_MAX - 32, exe);
	return out;
}

struct plugins *lab_plugins(void)
{
	const char *dir = getenv("STACKD_PLUGIN_DIR");
	char error[PLUGIN_ERROR_MAX], path[PATH_MAX];
	struct plugins *plugins = plugins_create(stackd_all_plugins);

	if (!plugins)
		lab_fail("out of memory");
	if (!dir || !*dir)
		dir = build_dir(path, sizeof(path));
	if (!dir)
		dir = plugins_default_dir(path, sizeof(path));
	if (plugins_load_dir(plugins, dir, error) < 0)
		fprintf(stderr, "stackd-lab: %s; the plugins that are linked in are used\n", error);
	return plugins;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		fputs(usage, stderr);
		return LAB_USAGE;
	}
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0) {
		printf("stackd-lab %s\n", STACKD_VERSION);
		return 0;
	}
	return lab_usage("", argv[1], usage);
}
