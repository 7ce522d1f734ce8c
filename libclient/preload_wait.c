/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_wait.c - the C library's names for waiting. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"
#include "stackd.h"

#include <stdlib.h>

PRELOAD int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return stackd_poll(fds, n, timeout_ms);
}

PRELOAD int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	return stackd_ppoll(fds, n, t, mask);
}

PRELOAD int select(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict x,
		   struct timeval *restrict t)
{
	return stackd_select(n, r, w, x, t);
}

PRELOAD int pselect(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict x,
		    const struct timespec *restrict t, const sigset_t *restrict mask)
{
	return stackd_pselect(n, r, w, x, t, mask);
}

PRELOAD int epoll_create(int size)
{
	return stackd_epoll_create(size);
}

PRELOAD int epoll_create1(int flags)
{
	return stackd_epoll_create1(flags);
}

PRELOAD int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return stackd_epoll_ctl(epfd, op, fd, ev);
}

PRELOAD int epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
	return stackd_epoll_wait(epfd, ev, max, timeout_ms);
}

PRELOAD int epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms,
			const sigset_t *mask)
{
	return stackd_epoll_pwait(epfd, ev, max, timeout_ms, mask);
}

PRELOAD int epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *t,
			 const sigset_t *mask)
{
	return stackd_epoll_pwait2(epfd, ev, max, t, mask);
}

PRELOAD int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room);
PRELOAD int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t,
			const sigset_t *mask, size_t room);

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	if (room / sizeof(*fds) < n)
		abort();
	return stackd_poll(fds, n, timeout_ms);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask,
		size_t room)
{
	if (room / sizeof(*fds) < n)
		abort();
	return stackd_ppoll(fds, n, t, mask);
}
