/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-run - starts a program whose TCP goes through stackd: checks what would keep it from
 * working and says so, then execs it with preload.so.  Knows nothing of sockets beyond one connect
 * that asks whether the daemon is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "program.h"
#include "stackd_msg.h"

#define OPTIONS_BYTES STACKD_TEXT_MAX
#define PATH_BYTES    4096

struct arguments {
	const char *rundir;
	char options[OPTIONS_BYTES];
	bool require;
};

static const char usage[] =
	"usage: stackd-run [-s RUNDIR] [-o tcp.KEY=VALUE]... [--require] PROGRAM ARGS...\n"
	"  -s RUNDIR          the daemon's run directory (default $STACKD_RUNDIR or " STACKD_RUNDIR ")\n"
	"  -o tcp.KEY=VALUE   for this program's connections, e.g. tcp.recovery=gbn\n"
	"  --require          fail where TCP can't go through stackd, instead of using the kernel\n"
	"  -h                 this text\n";

/* ---- arguments ---- */

static void bad_usage(const char *what)
{
	fprintf(stderr, "stackd-run: %s\n%s", what, usage);
	exit(2);
}

static void add_option(struct arguments *a, const char *text)
{
	size_t used = strlen(a->options);

	if (strncmp(text, "tcp.", 4) != 0 || !strchr(text, '='))
		bad_usage("-o wants tcp.KEY=VALUE");
	if (snprintf(a->options + used, sizeof(a->options) - used, "%s%s", used ? "\n" : "", text) >=
	    (int)(sizeof(a->options) - used))
		bad_usage("too many options");
}

static const char *value_of(int argc, char **argv, int *i)
{
	if (argv[*i][2])
		return argv[*i] + 2;
	if (++*i >= argc)
		bad_usage("an option lacks its value");
	return argv[*i];
}

/* Where the program's own words begin. */
static int parse(int argc, char **argv, struct arguments *a)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--"))
			return i + 1;
		if (!strncmp(argv[i], "-s", 2)) {
			a->rundir = value_of(argc, argv, &i);
		} else if (!strncmp(argv[i], "-o", 2)) {
			add_option(a, value_of(argc, argv, &i));
		} else if (!strcmp(argv[i], "--require")) {
			a->require = true;
		} else if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			exit(0);
		} else {
			bad_usage("unknown option");
		}
	}
	return i;
}

/* ---- the daemon ---- */

static const char *daemon_problem(const char *rundir)
{
	static char text[256];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;

	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", rundir, STACKD_CLIENT_SOCK) >=
	    (int)sizeof(sun.sun_path))
		return "the run directory's name is too long";
	error = fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? errno : 0;
	close(fd);
	switch (error) {
	case 0:
		return NULL;
	case ENOENT:
	case ECONNREFUSED:
		snprintf(text, sizeof(text), "no daemon is running at %s", rundir);
		break;
	case EACCES:
	case EPERM:
		snprintf(text, sizeof(text), "not allowed to use the daemon at %s", rundir);
		break;
	default:
		snprintf(text, sizeof(text), "%s: %s", sun.sun_path, strerror(error));
	}
	return text;
}

/* ---- the environment ---- */

/* From a build tree the library lies beside us; installed, in the configured directory. */
static void find_preload(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	if (slash && (size_t)(slash - path) + sizeof("/preload.so") <= size) {
		strcpy(slash, "/preload.so");
		if (access(path, R_OK) == 0)
			return;
	}
	snprintf(path, size, "%s", PRELOAD_INSTALLED);
}

static void set_environment(const struct arguments *a, const char *preload)
{
	const char *others = getenv("LD_PRELOAD");
	char list[2 * PATH_BYTES];

	snprintf(list, sizeof(list), "%s%s%s", preload, others && *others ? ":" : "",
		 others ? others : "");
	setenv("LD_PRELOAD", list, 1);
	setenv("STACKD_RUNDIR", a->rundir, 1);
	if (a->options[0])
		setenv("STACKD_OPTIONS", a->options, 1);
	if (a->require)
		setenv("STACKD_REQUIRE", "1", 1);
}

static bool complain(const struct arguments *a, const char *program, const char *problem)
{
	if (!problem)
		return false;
	fprintf(stderr, "stackd-run: %s: %s%s\n", program, problem,
		a->require ? "" : "; its TCP goes through the kernel");
	if (a->require)
		exit(1);
	return true;
}

int main(int argc, char **argv)
{
	struct arguments a = {.rundir = getenv("STACKD_RUNDIR")};
	char path[PATH_BYTES], preload[PATH_BYTES];
	int first = parse(argc, argv, &a);
	bool plain = false;

	if (!a.rundir || !*a.rundir)
		a.rundir = STACKD_RUNDIR;
	if (first >= argc)
		bad_usage("which program?");
	if (program_find(argv[first], path, sizeof(path)))
		plain = complain(&a, argv[first], program_problem(path));
	if (!plain)
		plain = complain(&a, argv[first], daemon_problem(a.rundir));
	if (!plain) {
		find_preload(preload, sizeof(preload));
		if (access(preload, R_OK) < 0) {
			fprintf(stderr, "stackd-run: %s: %s\n", preload, strerror(errno));
			return 1;
		}
		set_environment(&a, preload);
	}
	execvp(argv[first], argv + first);
	fprintf(stderr, "stackd-run: %s: %s\n", argv[first], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
