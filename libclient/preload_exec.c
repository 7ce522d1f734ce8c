/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_exec.c - the C library's names for starting programs.  Within the C library they call
 * each other unseen, so each of them is here. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "exec.h"
#include "preload.h"
#include "program.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATH_BYTES 4096
#define CLOSES_MARK                                                                                \
	0x73746b64 /* in a padding word of file actions: they close what they don't know */

__attribute__((constructor)) static void begin(void)
{
	const char *list = getenv("LD_PRELOAD");
	Dl_info self;

	if (!dladdr((const void *)(uintptr_t)exec_library, &self) || !self.dli_fname || !list ||
	    strlen(self.dli_fname) >= sizeof(exec_library) || !strstr(list, self.dli_fname))
		return;
	memcpy(exec_library, self.dli_fname, strlen(self.dli_fname) + 1);
	inherit_sockets();
	stdio_begin();
}

/* ---- exec ---- */

static void before(struct handover *h, const char *path, char *const envp[])
{
	if (exec_hand_over(h, path, envp, false))
		exec_keep_open(h);
}

static void before_named(struct handover *h, const char *name, char *const envp[])
{
	char path[PATH_BYTES];

	*h = (struct handover){-1, -1};
	if (program_find(name, path, sizeof(path)))
		before(h, path, envp);
}

static int failed(struct handover *h)
{
	exec_take_back(h);
	return -1;
}

PRELOAD int execve(const char *path, char *const argv[], char *const envp[])
{
	struct handover h;

	before(&h, path, envp);
	LIBC->execve(path, argv, envp);
	return failed(&h);
}

PRELOAD int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PRELOAD int execvpe(const char *name, char *const argv[], char *const envp[])
{
	struct handover h;

	before_named(&h, name, envp);
	LIBC->execvpe(name, argv, envp);
	return failed(&h);
}

PRELOAD int execvp(const char *name, char *const argv[])
{
	return execvpe(name, argv, environ);
}

PRELOAD int fexecve(int fd, char *const argv[], char *const envp[])
{
	char path[32];
	struct handover h;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	before(&h, path, envp);
	LIBC->fexecve(fd, argv, envp);
	return failed(&h);
}

PRELOAD int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct handover h = {-1, -1};

	if (dir == AT_FDCWD || path[0] == '/')
		before(&h, path, envp);
	LIBC->execveat(dir, path, argv, envp, flags);
	return failed(&h);
}

/* The words of execl and its kin, ended by NULL; *envp: what stands behind, if it is wanted. */
static size_t count_words(va_list ap)
{
	size_t n = 1;

	while (va_arg(ap, char *))
		n++;
	return n;
}

static void collect_words(const char *first, va_list ap, size_t count, char **argv)
{
	argv[0] = (char *)(uintptr_t)first;
	for (size_t i = 1; i <= count; i++)
		argv[i] = va_arg(ap, char *);
}

#define WORDS(first)                                                                               \
	va_list ap;                                                                                \
	size_t count;                                                                              \
	va_start(ap, first);                                                                       \
	count = count_words(ap);                                                                   \
	va_end(ap);                                                                                \
	char *argv[count + 1];                                                                     \
	va_start(ap, first);                                                                       \
	collect_words(first, ap, count, argv)

PRELOAD int execl(const char *path, const char *first, ...)
{
	WORDS(first);
	va_end(ap);
	return execve(path, argv, environ);
}

PRELOAD int execlp(const char *name, const char *first, ...)
{
	WORDS(first);
	va_end(ap);
	return execvpe(name, argv, environ);
}

PRELOAD int execle(const char *path, const char *first, ...)
{
	char *const *envp;

	WORDS(first);
	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* ---- posix_spawn ---- */

/* The child keeps both open by a copy of each to itself, which the C library takes as just that. */
static int add_keeps(posix_spawn_file_actions_t *fa, const struct handover *h, int *added)
{
	int error = posix_spawn_file_actions_adddup2(fa, h->conn, h->conn);

	*added += !error;
	if (!error) {
		error = posix_spawn_file_actions_adddup2(fa, h->table, h->table);
		*added += !error;
	}
	return error;
}

typedef int spawn_fn(pid_t *, const char *, const posix_spawn_file_actions_t *,
		     const posix_spawnattr_t *, char *const[], char *const[]);

static int spawn(spawn_fn *real, struct handover *h, pid_t *pid, const char *name,
		 const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr,
		 char *const argv[], char *const envp[])
{
	posix_spawn_file_actions_t own, *use = (posix_spawn_file_actions_t *)(uintptr_t)fa;
	int added = 0, error = 0;

	if (!fa) {
		error = posix_spawn_file_actions_init(&own);
		use = &own;
	}
	if (!error && !add_keeps(use, h, &added))
		error = real(pid, name, use, attr, argv, envp);
	else
		error = real(pid, name, fa, attr, argv, envp);
	if (fa)
		use->__used -= added; /* copies own no memory */
	else
		posix_spawn_file_actions_destroy(&own);
	exec_take_back(h);
	return error;
}

static bool closes_unknown(const posix_spawn_file_actions_t *fa)
{
	return fa && fa->__pad[15] == CLOSES_MARK;
}

PRELOAD int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *fa, int from)
{
	fa->__pad[15] = CLOSES_MARK;
	return LIBC->posix_spawn_file_actions_addclosefrom_np(fa, from);
}

PRELOAD int posix_spawn(pid_t *restrict pid, const char *restrict path,
			const posix_spawn_file_actions_t *fa,
			const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			char *const envp[restrict])
{
	struct handover h;

	if (closes_unknown(fa) || !exec_hand_over(&h, path, envp, true))
		return LIBC->posix_spawn(pid, path, fa, attr, argv, envp);
	return spawn(LIBC->posix_spawn, &h, pid, path, fa, attr, argv, envp);
}

PRELOAD int posix_spawnp(pid_t *restrict pid, const char *restrict name,
			 const posix_spawn_file_actions_t *fa,
			 const posix_spawnattr_t *restrict attr, char *const argv[restrict],
			 char *const envp[restrict])
{
	char path[PATH_BYTES];
	struct handover h;

	if (closes_unknown(fa) || !program_find(name, path, sizeof(path)) ||
	    !exec_hand_over(&h, path, envp, true))
		return LIBC->posix_spawnp(pid, name, fa, attr, argv, envp);
	return spawn(LIBC->posix_spawnp, &h, pid, name, fa, attr, argv, envp);
}

/* ---- a shell ---- */

static pid_t spawn_shell(const char *command, const sigset_t *mask, const struct sigaction *intr,
			 const struct sigaction *quit)
{
	char *const argv[] = {"sh", "-c", "--", (char *)(uintptr_t)command, NULL};
	posix_spawnattr_t attr;
	sigset_t reset;
	pid_t pid = -1;
	int error;

	sigemptyset(&reset);
	if (intr->sa_handler != SIG_IGN)
		sigaddset(&reset, SIGINT);
	if (quit->sa_handler != SIG_IGN)
		sigaddset(&reset, SIGQUIT);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, mask);
	posix_spawnattr_setsigdefault(&attr, &reset);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(&pid, "/bin/sh", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (error)
		errno = error;
	return error ? -1 : pid;
}

/* system(3) by posix_spawn, when there is something to hand over: the C library's own goes past us.
 */
static int run_shell(const char *command)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, intr, quit;
	sigset_t block, mask;
	int status = -1;
	pid_t pid;

	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigaction(SIGINT, &ignore, &intr);
	sigaction(SIGQUIT, &ignore, &quit);
	sigprocmask(SIG_BLOCK, &block, &mask);
	pid = spawn_shell(command, &mask, &intr, &quit);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &intr, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return status;
}

PRELOAD int system(const char *command)
{
	return command && attach_current() ? run_shell(command) : LIBC->system(command);
}

/* Its pipe ends are the C library's own business: what is handed over stays open in between. */
PRELOAD FILE *popen(const char *command, const char *mode)
{
	struct handover h;
	FILE *f;

	if (exec_hand_over(&h, "/bin/sh", environ, false))
		exec_keep_open(&h);
	f = LIBC->popen(command, mode);
	exec_take_back(&h);
	return f;
}
