/* SPDX-License-Identifier: BSD-2-Clause */
/* both.c - the kernel's half of a listener on a wildcard, where the daemon says `listen = both`.
 * The kernel socket behind it is bound and listens too; owns a copy of its descriptor for as long
 * as the description lives, whatever becomes of the program's numbers.
 *
 * It never blocks, so that one thread can wait for both halves; to the program it looks as it was
 * set.  What is accepted there is a plain kernel socket.
 *
 * An epoll instance has it by edges, under a mark of ours: each puts the listener on the instance's
 * ready list, and whether something is there is looked up when it is harvested. */
#include "client.h"

#include <errno.h>

#define PORT_TRIES 64

char epoll_marker[EPOLL_MARKS + FD_NUMBERS];

/* ---- bind, listen, the end ---- */

/* The stack has chosen a port that is the kernel's: another one. */
static int choose_again(struct ofd *o)
{
	o->local.port = 0;
	return sock_renew(o);
}

int both_bind(struct ofd *o, int fd, bool any_port)
{
	int error = 0;

	if (!o->attach->board->listen_both || !addr_is_any(&o->local) || o->ifindex)
		return 0;
	for (int tries = 0; tries < PORT_TRIES; tries++) {
		error = sock_bind_kernel(o, fd, o->local.port);
		o->both = !error;
		if (error != EADDRINUSE || !any_port || choose_again(o))
			break;
	}
	if (!o->both) {
		o->bound = false;
		o->local = (struct addr){{0}, 0};
		sock_renew(o);
	}
	return error;
}

int both_listen(struct ofd *o, int fd, int backlog)
{
	int copy;

	if (!o->both)
		return 0;
	if (LIBC->listen(fd, backlog) < 0)
		return errno;
	LIBC->fcntl(fd, F_SETFL, LIBC->fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (atomic_load(&o->beside) >= 0)
		return 0;
	copy = LIBC->dup(fd);
	if (copy < 0)
		return errno;
	atomic_store(&o->beside, fd_internal(copy));
	return 0;
}

void both_shutdown(const struct ofd *o, int how)
{
	if (atomic_load(&o->beside) >= 0)
		LIBC->shutdown(atomic_load(&o->beside), how);
}

void both_inherit(struct ofd *o, int fd)
{
	int copy = o->both && o->listening && atomic_load(&o->beside) < 0 ? LIBC->dup(fd) : -1;

	if (copy >= 0)
		atomic_store(&o->beside, fd_internal(copy));
}

void both_release(struct ofd *o)
{
	int fd = atomic_exchange(&o->beside, -1);

	if (fd >= 0)
		fd_internal_close(fd);
}

/* ---- accept ---- */

bool both_pending(const struct ofd *o)
{
	struct pollfd p = {.fd = atomic_load(&o->beside), .events = POLLIN};
	int saved = errno;
	bool yes = p.fd >= 0 && LIBC->poll(&p, 1, 0) > 0 && (p.revents & POLLIN);

	errno = saved;
	return yes;
}

int both_accept(const struct ofd *o, struct sockaddr *sa, socklen_t *len, int flags)
{
	int fd = atomic_load(&o->beside);

	if (fd < 0)
		return -EAGAIN;
	fd = LIBC->accept4(fd, sa, len, flags);
	return fd < 0 ? -errno : fd;
}

/* ---- epoll: table_lock and the instance's lock are held, but for both_heard ---- */

static int kernel_epoll(const struct epoll *ep)
{
	return ep->around >= 0 ? ep->around : ep->fd;
}

static bool is_watched(const struct epoll *ep, const struct ofd *o)
{
	for (const struct epitem *it = ep->besides; it; it = it->next_beside)
		if (it->ofd == o)
			return true;
	return false;
}

int both_watch(struct epitem *it)
{
	struct epoll *ep = it->epoll;
	int fd = atomic_load(&it->ofd->beside);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET | (it->events & EPOLLEXCLUSIVE)};

	if (fd < 0 || it->beside)
		return 0;
	ev.data.ptr = &epoll_marker[EPOLL_MARKS + fd];
	if (!is_watched(ep, it->ofd)) {
		/* the first edge is what we find there ourselves */
		it->first_edge_known = both_pending(it->ofd);
		if (LIBC->epoll_ctl(kernel_epoll(ep), EPOLL_CTL_ADD, fd, &ev) < 0 &&
		    errno != EEXIST)
			return errno;
		atomic_fetch_add(&ep->kernel_items, 1);
	}
	it->beside = true;
	it->next_beside = ep->besides;
	ep->besides = it;
	return 0;
}

void both_unwatch(struct epitem *it)
{
	struct epoll *ep = it->epoll;
	struct epitem **p = &ep->besides;

	if (!it->beside)
		return;
	while (*p != it)
		p = &(*p)->next_beside;
	*p = it->next_beside;
	it->beside = false;
	if (is_watched(ep, it->ofd))
		return;
	LIBC->epoll_ctl(kernel_epoll(ep), EPOLL_CTL_DEL, atomic_load(&it->ofd->beside), NULL);
	atomic_fetch_sub(&ep->kernel_items, 1);
}

/* Without a word to the kernel: the instance has gone, or it is the parent's. */
void both_forget(struct epoll *ep)
{
	for (struct epitem *it = ep->besides; it; it = it->next_beside)
		it->beside = false;
	ep->besides = NULL;
}

void both_heard(struct epoll *ep, int fd)
{
	lock_take(&ep->lock);
	for (struct epitem *it = ep->besides; it; it = it->next_beside) {
		if (atomic_load(&it->ofd->beside) != fd)
			continue;
		it->edges += !it->first_edge_known;
		it->first_edge_known = false;
		epoll_ready_add(it);
	}
	lock_drop(&ep->lock);
}
