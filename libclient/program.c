/* SPDX-License-Identifier: BSD-2-Clause */
/* program.c - reads the few bytes of a program that tell whether preloading works with it.  Knows
 * ELF and "#!"; makes no decision. */
#include "program.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_BYTES   4096
#define SCRIPTS_MAX  2 /* a script's interpreter may be a script */
#define SECTIONS_MAX 256
#define NEEDED_BYTES 65536

/* ---- finding it ---- */

bool program_find(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");
	size_t len = strlen(name);

	if (strchr(name, '/')) {
		if (len >= size)
			return false;
		memcpy(path, name, len + 1);
		return access(path, X_OK) == 0;
	}
	for (const char *d = dirs ? dirs : "/usr/bin:/bin"; *d;) {
		size_t n = strcspn(d, ":");

		if (n + 1 + len < size) {
			memcpy(path, d, n);
			path[n] = '/';
			memcpy(path + n + 1, name, len + 1);
			if (access(path, X_OK) == 0)
				return true;
		}
		d += n + (d[n] == ':');
	}
	return false;
}

/* ---- ELF ---- */

static bool read_at(int fd, uint64_t at, void *to, size_t len)
{
	return syscall(SYS_pread64, fd, to, len, at) == (long)len;
}

static bool has_interpreter(int fd, const Elf64_Ehdr *e)
{
	Elf64_Phdr h;

	for (uint64_t i = 0; i < e->e_phnum; i++)
		if (read_at(fd, e->e_phoff + i * sizeof(h), &h, sizeof(h)) && h.p_type == PT_INTERP)
			return true;
	return false;
}

static bool begins(int fd, uint64_t at, const char *word)
{
	char text[32];
	size_t len = strlen(word) + 1;

	return read_at(fd, at, text, len) && !memcmp(text, word, len);
}

/* Is this word among the strings of a section, the names of needed libraries among them? */
static bool mentions(int fd, const Elf64_Shdr *s, const char *word)
{
	char part[1024 + 32];
	size_t len = strlen(word), kept = 0;

	for (uint64_t at = 0; at < s->sh_size && at < NEEDED_BYTES;) {
		size_t n = s->sh_size - at < 1024 ? (size_t)(s->sh_size - at) : 1024;

		if (!read_at(fd, s->sh_offset + at, part + kept, n))
			return false;
		if (memmem(part, kept + n, word, len))
			return true;
		at += n;
		n += kept;
		kept = n < len ? n : len - 1;
		memmove(part, part + n - kept, kept);
	}
	return false;
}

struct sections {
	bool go, uring;
};

static void look_at_sections(int fd, const Elf64_Ehdr *e, struct sections *found)
{
	Elf64_Shdr names, h;

	if (e->e_shnum > SECTIONS_MAX ||
	    !read_at(fd, e->e_shoff + (uint64_t)e->e_shstrndx * sizeof(h), &names, sizeof(names)))
		return;
	for (uint64_t i = 0; i < e->e_shnum; i++) {
		if (!read_at(fd, e->e_shoff + i * sizeof(h), &h, sizeof(h)))
			return;
		if (begins(fd, names.sh_offset + h.sh_name, ".go.buildinfo") ||
		    begins(fd, names.sh_offset + h.sh_name, ".note.go.buildid"))
			found->go = true;
		if (begins(fd, names.sh_offset + h.sh_name, ".dynstr"))
			found->uring = mentions(fd, &h, "liburing.so");
	}
}

static const char *elf_problem(int fd)
{
	struct sections found = {false, false};
	Elf64_Ehdr e;

	if (!read_at(fd, 0, &e, sizeof(e)) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	if (e.e_ident[EI_CLASS] != ELFCLASS64)
		return "it is a 32-bit program, and the library is not";
	look_at_sections(fd, &e, &found);
	if (found.go)
		return "it is a Go program, which makes system calls without the C library";
	if (!has_interpreter(fd, &e))
		return "it is statically linked, so nothing can be loaded into it";
	if (found.uring)
		return "it uses io_uring, which takes its sockets past the C library";
	return NULL;
}

/* ---- scripts ---- */

static const char *problem_of(const char *path, int depth);

static char *word_of(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");
	size_t n = strcspn(word, " \t");

	*rest = word + n + (word[n] != 0);
	word[n] = 0;
	return *word ? word : NULL;
}

/* "#!/usr/bin/python3 ..." stands or falls with its interpreter. */
static const char *script_problem(int fd, int depth)
{
	char line[256], path[PATH_BYTES], *rest = line + 2, *word;
	long n = syscall(SYS_pread64, fd, line, sizeof(line) - 1, 0);

	if (n <= 2)
		return NULL;
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	word = word_of(&rest);
	if (word && strlen(word) >= 4 && !strcmp(word + strlen(word) - 4, "/env"))
		word = word_of(&rest);
	if (!word || depth == 0 || !program_find(word, path, sizeof(path)))
		return NULL;
	return problem_of(path, depth - 1);
}

/* ---- */

static const char *privilege_problem(int fd, const struct stat *st)
{
	if ((st->st_mode & S_ISUID && st->st_uid != geteuid()) ||
	    (st->st_mode & S_ISGID && st->st_gid != getegid()))
		return "it is setuid or setgid, for which the loader ignores preloading";
	if (geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "it has file capabilities, for which the loader ignores preloading";
	return NULL;
}

static const char *problem_of(const char *path, int depth)
{
	const char *problem = NULL;
	struct stat st;
	char mark[2];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && read_at(fd, 0, mark, sizeof(mark))) {
		problem = privilege_problem(fd, &st);
		if (!problem)
			problem = mark[0] == '#' && mark[1] == '!' ? script_problem(fd, depth)
								   : elf_problem(fd);
	}
	syscall(SYS_close, fd);
	return problem;
}

const char *program_problem(const char *path)
{
	return problem_of(path, SCRIPTS_MAX);
}
