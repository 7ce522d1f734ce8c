/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl.c - ioctl and fcntl. */
#include "client.h"

#include <errno.h>
#include <linux/sockios.h>

#include "stackd.h"

static int ioctl_stack(struct ofd *o, int fd, unsigned long request, void *arg)
{
	uint64_t queued = atomic_load(&o->sock->tx_tail) - atomic_load(&o->sock->tx_head);

	switch (request) {
	case FIONREAD: /* SIOCINQ is the same */
		if (o->listening)
			return EINVAL;
		*(int *)arg = (int)urgent_before_mark(o);
		return 0;
	case SIOCOUTQ:
	case SIOCOUTQNSD: /* how much was sent is known only where somebody has asked for it */
		if (o->listening)
			return EINVAL;
		if (request == SIOCOUTQNSD && atomic_load(&o->notsent_lowat))
			queued = tx_bytes_unsent(o);
		*(int *)arg = (int)queued;
		return 0;
	case FIONBIO: /* the kernel's half of a listener never blocks */
		return atomic_load(&o->beside) < 0 && LIBC->ioctl(fd, request, arg) < 0 ? errno : 0;
	case SIOCATMARK:
		*(int *)arg = urgent_at_mark(o);
		return 0;
	default:
		return LIBC->ioctl(fd, request, arg) < 0 ? errno : 0;
	}
}

/* Also a socket that isn't the stack's yet. */
static bool is_mine(const struct ofd *o)
{
	return o && o->kind == KIND_SOCKET && o->mode != MODE_KERNEL;
}

int stackd_ioctl(int fd, unsigned long request, void *arg)
{
	struct ofd *o = fd_get(fd);
	int error;

	if (!o || o->kind != KIND_SOCKET)
		error = LIBC->ioctl(fd, request, arg) < 0 ? errno : 0;
	else if (o->mode == MODE_STACK)
		error = ioctl_stack(o, fd, request, arg);
	else
		error = LIBC->ioctl(fd, request, arg) < 0 ? errno : 0;
	if (!error && o && request == FIONBIO)
		atomic_store(&o->nonblock, *(const int *)arg != 0);
	if (!error && is_mine(o) &&
	    (request == FIOSETOWN || request == SIOCSPGRP || request == FIOASYNC))
		error = owner_changed(o, fd);
	fd_put(o);
	return sock_fail(error);
}

/* F_GETFL and F_SETFL of a listener whose kernel's half never blocks. */
static int flags_beside(const struct ofd *o, int fd, int command, intptr_t arg)
{
	int r = LIBC->fcntl(fd, command, command == F_SETFL ? arg | O_NONBLOCK : arg);

	return command == F_GETFL && r >= 0 && !o->nonblock ? r & ~O_NONBLOCK : r;
}

static int set_owner(int fd, int command, void *arg)
{
	int r = LIBC->fcntl(fd, command, arg), error = 0;
	struct ofd *o = r < 0 ? NULL : fd_get(fd);

	if (is_mine(o))
		error = owner_changed(o, fd);
	fd_put(o);
	return error ? sock_fail(error) : r;
}

int stackd_fcntl(int fd, int command, void *arg)
{
	struct ofd *o;
	int r;

	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return fd_dup_above(fd, command, (int)(intptr_t)arg);
	if (fd_is_internal(fd))
		return sock_fail(EBADF);
	if (command == F_SETOWN || command == F_SETOWN_EX || command == F_SETSIG)
		return set_owner(fd, command, arg);
	if (command != F_SETFL && command != F_GETFL)
		return LIBC->fcntl(fd, command, arg);
	o = fd_get(fd);
	if (o && atomic_load(&o->beside) >= 0)
		r = flags_beside(o, fd, command, (intptr_t)arg);
	else
		r = LIBC->fcntl(fd, command, arg);
	if (r >= 0 && command == F_SETFL && o && o->kind == KIND_SOCKET)
		atomic_store(&o->nonblock, ((intptr_t)arg & O_NONBLOCK) != 0);
	if (r >= 0 && command == F_SETFL && is_mine(o) && o->owner.pid)
		r = sock_fail(owner_changed(o, fd));
	fd_put(o);
	return r;
}
