/* SPDX-License-Identifier: BSD-2-Clause */
/* libc.h - the C library's own functions, behind whatever interposes them.
 *
 * All code of libclient that wants the kernel calls LIBC->name(): inside preload.so the plain name
 * would be our own wrapper again. */
#ifndef STACKD_CLIENT_LIBC_H
#define STACKD_CLIENT_LIBC_H

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LIBC_FUNCTIONS(X)                                                                          \
	X(socket) X(bind) X(listen) X(accept) X(accept4) X(connect) X(shutdown) X(close)           \
	X(getsockname) X(getpeername) X(getsockopt) X(setsockopt) X(read) X(readv) X(recv)         \
	X(recvfrom) X(recvmsg) X(recvmmsg) X(write) X(writev) X(send) X(sendto) X(sendmsg)         \
	X(sendmmsg) X(sendfile) X(sendfile64) X(splice) X(select) X(pselect) X(poll)        \
	X(ppoll) X(epoll_create) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(epoll_pwait)        \
	X(epoll_pwait2) X(fcntl) X(fcntl64) X(ioctl) X(dup) X(dup2) X(dup3) X(close_range)         \
	X(closefrom) X(fork) X(_exit) X(pread) X(setuid) X(setreuid) X(setresuid) X(setgid)        \
	X(setgroups) X(initgroups) X(execve) X(execvpe) X(fexecve) X(execveat) X(posix_spawn)       \
	X(posix_spawnp) X(posix_spawn_file_actions_addclosefrom_np) X(system) X(popen)         \
	X(syscall) X(fdopen) X(fileno) X(vdprintf) X(prctl)                                          \
	X(preadv2) X(pwritev2) X(sigaction)

struct libc {
#define LIBC_MEMBER(name) __typeof__(&name) name;
	LIBC_FUNCTIONS(LIBC_MEMBER)
#undef LIBC_MEMBER
	void (*exit_now)(int) __attribute__((noreturn)); /* _Exit */
};

extern struct libc libc_table;
extern _Atomic bool libc_loaded;

/* Fills the table at the first use, which may be before any constructor has run. */
const struct libc *libc_load(void);

#define LIBC (atomic_load_explicit(&libc_loaded, memory_order_acquire) ? &libc_table : libc_load())

#endif
