/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-run - starts a program whose TCP goes through stackd: checks what would keep it from
 * working and says so, then execs it with preload.so.  Knows nothing of sockets beyond one connect
 * that asks whether the daemon is there. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

/* ---- the program ---- */

static bool find_program(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size && access(path, X_OK) == 0;
	for (const char *d = dirs ? dirs : "/usr/bin:/bin"; *d;) {
		size_t n = strcspn(d, ":");

		if (snprintf(path, size, "%.*s/%s", (int)n, d, name) < (int)size &&
		    access(path, X_OK) == 0)
			return true;
		d += n + (d[n] == ':');
	}
	return false;
}

/* Does [off, off + len) lie in the file? */
static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static bool has_interpreter(const uint8_t *p, uint64_t size)
{
	const Elf64_Ehdr *e = (const void *)p;

	if (!inside(e->e_phoff, (uint64_t)e->e_phnum * sizeof(Elf64_Phdr), size))
		return true; /* not for us to judge */
	for (int i = 0; i < e->e_phnum; i++) {
		Elf64_Phdr h;

		memcpy(&h, p + e->e_phoff + (uint64_t)i * sizeof(h), sizeof(h));
		if (h.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static bool has_go_section(const uint8_t *p, uint64_t size)
{
	const Elf64_Ehdr *e = (const void *)p;
	Elf64_Shdr names, h;

	if (!inside(e->e_shoff, (uint64_t)e->e_shnum * sizeof(h), size) ||
	    e->e_shstrndx >= e->e_shnum)
		return false;
	memcpy(&names, p + e->e_shoff + e->e_shstrndx * sizeof(h), sizeof(h));
	if (!inside(names.sh_offset, names.sh_size, size))
		return false;
	for (int i = 0; i < e->e_shnum; i++) {
		const char *name;

		memcpy(&h, p + e->e_shoff + (uint64_t)i * sizeof(h), sizeof(h));
		if (h.sh_name >= names.sh_size)
			continue;
		name = (const char *)p + names.sh_offset + h.sh_name;
		if (!strncmp(name, ".go.buildinfo", names.sh_size - h.sh_name) ||
		    !strncmp(name, ".note.go.buildid", names.sh_size - h.sh_name))
			return true;
	}
	return false;
}

static const char *elf_problem(const uint8_t *p, uint64_t size)
{
	const Elf64_Ehdr *e = (const void *)p;

	if (size < sizeof(*e) || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_CLASS] != ELFCLASS64)
		return NULL;
	if (has_go_section(p, size))
		return "it is a Go program, which makes system calls without the C library";
	if (!has_interpreter(p, size))
		return "it is statically linked, so nothing can be loaded into it";
	return NULL;
}

static const char *program_problem(const char *path, int depth);

/* "#!/usr/bin/python3 ..." stands or falls with its interpreter. */
static const char *script_problem(const char *text, uint64_t size, int depth)
{
	char line[PATH_BYTES], path[PATH_BYTES], *word, *rest;
	size_t n = size < sizeof(line) - 1 ? (size_t)size : sizeof(line) - 1;

	memcpy(line, text, n);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	word = strtok_r(line, " \t", &rest);
	if (word && strlen(word) >= 4 && !strcmp(word + strlen(word) - 4, "/env"))
		word = strtok_r(NULL, " \t", &rest);
	if (!word || depth == 0 || !find_program(word, path, sizeof(path)))
		return NULL;
	return program_problem(path, depth - 1);
}

static const char *program_problem(const char *path, int depth)
{
	const char *problem = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	    (st.st_mode & S_ISGID && st.st_gid != getegid())) {
		close(fd);
		return "it is setuid or setgid, for which the loader ignores preloading";
	}
	p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	if (st.st_size > 2 && !memcmp(p, "#!", 2))
		problem = script_problem((const char *)p + 2, (uint64_t)st.st_size - 2, depth);
	else
		problem = elf_problem(p, (uint64_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return problem;
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
	if (find_program(argv[first], path, sizeof(path)))
		plain = complain(&a, argv[first], program_problem(path, 2));
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
