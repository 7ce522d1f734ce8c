/* SPDX-License-Identifier: BSD-2-Clause */
/* exec.c - what a program leaves for the one that takes its place or begins beside it.  Owns the
 * way out; inherit.c is the way in.
 *
 * The daemon makes a client that holds all that this one holds, as before fork.  Its connection and
 * a sealed memfd with a description of each stack socket stay open across exec; nothing else is
 * needed, no variable and no fixed number: the new program finds the memfd among its descriptors,
 * and its sockets by the inodes of the kernel sockets behind them, to whatever numbers they were
 * moved.  Epoll instances: exec_epoll.c.  If the exec fails, both are closed and the daemon forgets the client.
 *
 * Async-signal-safe: this may run in the child of a threaded process, or in a vfork child. */
#include "exec.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "program.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

char exec_library[4096];

/* ---- is there anything to leave, and can it be taken? ---- */

static bool is_stack(const struct ofd *o)
{
	return o->kind == KIND_SOCKET && o->mode == MODE_STACK && o->inode &&
	       !attach_is_dead(o->attach);
}

struct search {
	uint64_t inode;
	bool found;
};

static void compare(struct ofd *o, void *arg)
{
	struct search *s = arg;

	s->found |= is_stack(o) && (!s->inode || o->inode == s->inode);
}

static bool stays_open(int fd, void *arg)
{
	struct search *any = arg, one = {0};

	if (LIBC->fcntl(fd, F_GETFD) & FD_CLOEXEC)
		return true;
	one.inode = fd_inode(fd);
	if (one.inode)
		fd_each_with(compare, &one);
	any->found |= one.found;
	return !any->found;
}

static bool has_something(bool spawn)
{
	struct search any = {0};

	fd_each_with(compare, &any);
	if (any.found && !spawn) {
		any.found = false;
		fd_each_open(stays_open, &any);
	}
	return any.found;
}

static bool is_preloaded(char *const envp[])
{
	static const char name[] = "LD_PRELOAD=";

	for (; envp && *envp && exec_library[0]; envp++)
		if (!strncmp(*envp, name, sizeof(name) - 1) && strstr(*envp, exec_library))
			return true;
	return false;
}

/* ---- leaving it ---- */

static void write_luggage(struct ofd *o, void *arg)
{
	struct exec_writer *w = arg;
	struct luggage l;
	off_t at = (off_t)(sizeof(w->head) + w->head.count * sizeof(l));

	if (!is_stack(o))
		return;
	luggage_pack(o, &l);
	if (pwrite(w->fd, &l, sizeof(l), at) == (ssize_t)sizeof(l))
		w->head.count++;
}

static int make_table(int conn, bool spawn)
{
	struct exec_writer w = {.spawn = spawn,
				.head = {.magic = EXEC_MAGIC,
					 .luggage_bytes = sizeof(struct luggage),
					 .conn_inode = fd_inode(conn),
					 .conn = conn}};

	w.fd = (int)syscall(SYS_memfd_create, "stackd-exec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (w.fd < 0)
		return -1;
	w.fd = fd_high(w.fd);
	fd_each_with(write_luggage, &w);
	w.at = (off_t)(sizeof(w.head) + w.head.count * sizeof(struct luggage));
	fd_each_open(exec_put_epoll, &w);
	if (pwrite(w.fd, &w.head, sizeof(w.head), 0) == (ssize_t)sizeof(w.head) &&
	    LIBC->fcntl(w.fd, F_ADD_SEALS, SEALS) == 0)
		return w.fd;
	LIBC->close(w.fd);
	return -1;
}

bool exec_hand_over(struct handover *h, const char *path, char *const envp[], bool spawn)
{
	struct attach *a = attach_current();
	int saved = errno;

	*h = (struct handover){-1, -1};
	if (a && !attach_is_dead(a) && is_preloaded(envp) && has_something(spawn) &&
	    access(path, X_OK) == 0 && !program_problem(path) &&
	    attach_clone_connection(a, &h->conn) == 0) {
		h->conn = fd_high(h->conn);
		h->table = make_table(h->conn, spawn);
		if (h->table < 0)
			exec_take_back(h);
	}
	errno = saved;
	return h->table >= 0;
}

void exec_keep_open(const struct handover *h)
{
	LIBC->fcntl(h->conn, F_SETFD, 0);
	LIBC->fcntl(h->table, F_SETFD, 0);
}

void exec_take_back(struct handover *h)
{
	int saved = errno;

	if (h->conn >= 0)
		LIBC->close(h->conn);
	if (h->table >= 0)
		LIBC->close(h->table);
	*h = (struct handover){-1, -1};
	errno = saved;
}
