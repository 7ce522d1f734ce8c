/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll.c - which sockets an epoll instance has.  Kernel descriptors are in the kernel's epoll as
 * always; stack sockets are in our table, with one event queue whose eventfd the kernel's epoll
 * watches too.  Leaves waiting to epwait.c.
 *
 * Changes are made under table_lock and the instance's lock, so either is enough to look. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stackd.h"

#define BESIDE_EXCLUSIVE                                                                           \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

/* ---- the ready list ---- */

void epoll_ready_add(struct epitem *it)
{
	struct epoll *ep = it->epoll;

	if (it->queued)
		return;
	it->queued = true;
	it->ready_next = NULL;
	it->ready_prev = ep->ready_tail;
	if (ep->ready_tail)
		ep->ready_tail->ready_next = it;
	else
		ep->ready_head = it;
	ep->ready_tail = it;
	ep->ready_count++;
}

void epoll_ready_remove(struct epitem *it)
{
	struct epoll *ep = it->epoll;

	if (!it->queued)
		return;
	it->queued = false;
	if (it->ready_prev)
		it->ready_prev->ready_next = it->ready_next;
	else
		ep->ready_head = it->ready_next;
	if (it->ready_next)
		it->ready_next->ready_prev = it->ready_prev;
	else
		ep->ready_tail = it->ready_prev;
	ep->ready_count--;
}

void epoll_kick(struct epoll *ep)
{
	struct evq *e = atomic_load(&ep->evq);

	if (e)
		evq_kick(e);
}

void epoll_wake(struct epitem *it)
{
	struct epoll *ep = it->epoll;

	lock_take(&ep->lock);
	epoll_ready_add(it);
	epoll_kick(ep);
	lock_drop(&ep->lock);
}

/* ---- the instance ---- */

static int register_marks(int epfd, struct evq *e)
{
	struct epoll_event ev = {.events = EPOLLIN,
				 .data.ptr = &epoll_marker[0]};

	if (LIBC->epoll_ctl(epfd, EPOLL_CTL_ADD, e->fd, &ev) < 0 && errno != EEXIST)
		return errno;
	if (crowd_register(e, epfd, &ev))
		return errno;
	ev = (struct epoll_event){.data.ptr = &epoll_marker[1]};
	if (LIBC->epoll_ctl(epfd, EPOLL_CTL_ADD, e->attach->conn, &ev) < 0 && errno != EEXIST)
		return errno;
	return 0;
}

static int make_around(struct epoll *ep, int epfd)
{
	/* by edges: the parent may leave its marks ready for as long as it likes */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET,
				 .data.ptr = &epoll_marker[2]};
	int fd = LIBC->epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return errno;
	ep->around = fd_internal(fd);
	return LIBC->epoll_ctl(ep->around, EPOLL_CTL_ADD, epfd, &ev) < 0 ? errno : 0;
}

int epoll_prepare(struct epoll *ep, struct attach *a, int epfd)
{
	struct evq *e = atomic_load(&ep->evq), *old;
	int error = 0;

	if (e && e->attach == a)
		return 0;
	e = evq_for_epoll(a);
	if (!e)
		return ENOSPC;
	lock_take(&ep->lock);
	old = atomic_load(&ep->evq);
	if (ep->inherited && ep->around < 0)
		error = make_around(ep, epfd);
	if (!error && (!old || old->attach != a))
		error = register_marks(ep->around >= 0 ? ep->around : epfd, e);
	if (!error && (!old || old->attach != a)) {
		evq_arm(e); /* a thread may be asleep in the kernel's epoll already */
		atomic_store(&ep->evq, e);
		e = NULL;
	}
	lock_drop(&ep->lock);
	if (e)
		evq_free(e);
	return error;
}

static struct ofd *instance_at(int fd)
{
	struct ofd *o = ofd_new(KIND_EPOLL);

	if (!o)
		return NULL;
	o->epoll = calloc(1, sizeof(*o->epoll));
	if (!o->epoll) {
		fd_put(o);
		return NULL;
	}
	o->epoll->fd = fd;
	o->epoll->around = -1;
	o->epoll->marks_inside = (uintptr_t)epoll_marker;
	return o;
}

static int create(int fd)
{
	struct ofd *o = fd < 0 ? NULL : instance_at(fd);

	if (o)
		fd_install(fd, o);
	return fd;
}

int stackd_epoll_create1(int flags)
{
	return create(LIBC->epoll_create1(flags));
}

int stackd_epoll_create(int size)
{
	return create(LIBC->epoll_create(size));
}

/* Another poll or epoll waits for this instance: whatever comes must be seen at its descriptor. */
void epoll_nested(struct ofd *o, int fd)
{
	struct epoll *ep = o->epoll;

	if (!ep)
		return;
	if (ep->inherited && !atomic_load(&ep->evq))
		epoll_revive(ep, fd);
	lock_take(&ep->lock);
	atomic_store(&ep->nested, true);
	if (atomic_load(&ep->evq)) {
		evq_arm(atomic_load(&ep->evq));
		if (evq_pending(atomic_load(&ep->evq)) || ep->ready_head)
			epoll_kick(ep);
	}
	lock_drop(&ep->lock);
}

/* ---- items ---- */

static struct epitem *item_at(const struct epoll *ep, int fd)
{
	return fd >= 0 && fd < ep->item_count ? ep->item[fd] : NULL;
}

static bool grow(struct epoll *ep, int fd)
{
	int count = ep->item_count ? ep->item_count : 64;
	struct epitem **p;

	while (count <= fd)
		count *= 2;
	if (count == ep->item_count)
		return true;
	p = realloc(ep->item, (size_t)count * sizeof(struct epitem *));
	if (!p)
		return false;
	memset(p + ep->item_count, 0, (size_t)(count - ep->item_count) * sizeof(struct epitem *));
	ep->item = p;
	ep->item_count = count;
	return true;
}

static struct epitem *item_new(struct epoll *ep, struct ofd *o, int fd)
{
	struct epitem *it = grow(ep, fd) ? calloc(1, sizeof(*it)) : NULL;

	if (!it)
		return NULL;
	it->epoll = ep;
	it->ofd = o;
	it->fd = fd;
	it->next_of_sock = o->items;
	o->items = it;
	ep->item[fd] = it;
	return it;
}

/* table_lock and the instance's lock are held. */
static void item_free(struct epitem *it)
{
	struct epitem **p = &it->ofd->items;

	if (it->watch)
		watch_remove(it->watch);
	both_unwatch(it);
	epoll_ready_remove(it);
	while (*p != it)
		p = &(*p)->next_of_sock;
	*p = it->next_of_sock;
	it->epoll->item[it->fd] = NULL;
	free(it);
}

static void look(struct epitem *it)
{
	struct epoll *ep = it->epoll;

	if (!(ready_bits(it->ofd, it->events) & (it->events | POLLERR | POLLHUP)))
		return;
	epoll_ready_add(it);
	if (ep->waiters || atomic_load(&ep->nested))
		epoll_kick(ep);
}

static int watch_item(struct epitem *it)
{
	uint32_t interest = ready_interest(it->events);
	struct evq *e = atomic_load(&it->epoll->evq);
	int error;

	if (!e || e->attach != it->ofd->attach || attach_is_dead(e->attach)) {
		epoll_ready_add(it); /* its daemon has gone: it is ready, with an error */
		return 0;
	}
	if (it->watch)
		watch_mask(it->watch, it->watch->mask | interest);
	else
		it->watch = watch_add(it->ofd, evq_known(e), it, interest);
	if (!it->watch)
		return ENOSPC;
	error = both_watch(it);
	if (!error)
		look(it);
	return error;
}

static int item_set(struct epitem *it, const struct epoll_event *ev)
{
	it->events = ev->events | EPOLLERR | EPOLLHUP;
	it->data = ev->data;
	it->told = (struct news){0};
	return it->kernel ? 0 : watch_item(it);
}

static int ctl_add(struct epoll *ep, struct ofd *o, int fd, const struct epoll_event *ev)
{
	struct epitem *it = item_at(ep, fd);
	int error;

	if (it && it->ofd == o)
		return EEXIST;
	if (ev->events & EPOLLEXCLUSIVE && ev->events & ~(uint32_t)BESIDE_EXCLUSIVE)
		return EINVAL;
	if (it)
		item_free(it); /* its number has gone to another socket */
	it = item_new(ep, o, fd);
	if (!it)
		return ENOMEM;
	it->kernel = o->mode != MODE_STACK;
	error = item_set(it, ev);
	if (error)
		item_free(it);
	return error;
}

static int ctl_change(struct epoll *ep, struct ofd *o, int op, int fd, const struct epoll_event *ev)
{
	struct epitem *it = item_at(ep, fd);

	if (!it || it->ofd != o)
		return ENOENT;
	if (op == EPOLL_CTL_DEL) {
		item_free(it);
		return 0;
	}
	if ((it->events | ev->events) & EPOLLEXCLUSIVE)
		return EINVAL;
	return item_set(it, ev);
}

static int ctl(struct epoll *ep, int epfd, struct ofd *o, int op, int fd,
	       const struct epoll_event *ev)
{
	int error;

	lock_take(&table_lock);
	lock_take(&ep->lock);
	ep->fd = epfd;
	if (op == EPOLL_CTL_ADD)
		error = ctl_add(ep, o, fd, ev);
	else
		error = ctl_change(ep, o, op, fd, ev);
	lock_drop(&ep->lock);
	lock_drop(&table_lock);
	return error;
}

static int ctl_stack(struct epoll *ep, int epfd, struct ofd *o, int op, int fd,
		     const struct epoll_event *ev)
{
	int error = 0;

	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return EINVAL;
	if (op != EPOLL_CTL_DEL && !ev)
		return EFAULT;
	if (ep->inherited && !atomic_load(&ep->evq))
		epoll_revive(ep, epfd);
	if (op == EPOLL_CTL_ADD && !attach_is_dead(o->attach))
		error = epoll_prepare(ep, o->attach, epfd);
	return error ? error : ctl(ep, epfd, o, op, fd, ev);
}

static int ctl_kernel(struct epoll *ep, int epfd, struct ofd *o, int op, int fd,
		      struct epoll_event *ev)
{
	if (o && o->kind == KIND_EPOLL && op == EPOLL_CTL_ADD)
		epoll_nested(o, fd);
	if (LIBC->epoll_ctl(epfd, op, fd, ev) < 0)
		return errno;
	/* a candidate is noted too: it moves to us when its address decides so */
	if (o && o->kind == KIND_SOCKET && o->mode == MODE_CANDIDATE)
		ctl(ep, epfd, o, op, fd, ev);
	if (op == EPOLL_CTL_ADD)
		atomic_fetch_add(&ep->kernel_items, 1);
	else if (op == EPOLL_CTL_DEL && atomic_load(&ep->kernel_items))
		atomic_fetch_sub(&ep->kernel_items, 1);
	return 0;
}

int stackd_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct ofd *oe = fd_get(epfd), *o = fd_get(fd);
	int error;

	if (!oe || oe->kind != KIND_EPOLL || !oe->epoll)
		error = LIBC->epoll_ctl(epfd, op, fd, ev) < 0 ? errno : 0;
	else if (o && o->kind == KIND_SOCKET && o->mode == MODE_STACK)
		error = ctl_stack(oe->epoll, epfd, o, op, fd, ev);
	else
		error = ctl_kernel(oe->epoll, epfd, o, op, fd, ev);
	fd_put(o);
	fd_put(oe);
	return sock_fail(error);
}

/* ---- what befalls a socket that is in instances ---- */

void epoll_sock_gone(struct ofd *o)
{
	while (o->items) {
		struct epoll *ep = o->items->epoll;

		lock_take(&ep->lock);
		item_free(o->items);
		lock_drop(&ep->lock);
	}
}

void epoll_sock_kernel(struct ofd *o)
{
	lock_take(&table_lock);
	epoll_sock_gone(o);
	lock_drop(&table_lock);
}

void epoll_sock_both(struct ofd *o)
{
	lock_take(&table_lock);
	for (struct epitem *it = o->items; it; it = it->next_of_sock) {
		lock_take(&it->epoll->lock);
		both_watch(it);
		lock_drop(&it->epoll->lock);
	}
	lock_drop(&table_lock);
}

/* An instance that has o and still lets the kernel watch it, with a reference. */
static struct ofd *next_to_migrate(struct ofd *o, int *epfd)
{
	struct ofd *oe = NULL;

	lock_take(&table_lock);
	for (struct epitem *it = o->items; it; it = it->next_of_sock) {
		if (!it->kernel)
			continue;
		it->kernel = false;
		*epfd = it->epoll->fd;
		LIBC->epoll_ctl(*epfd, EPOLL_CTL_DEL, it->fd, NULL);
		oe = fd_get(*epfd);
		break;
	}
	lock_drop(&table_lock);
	return oe;
}

void epoll_sock_migrate(struct ofd *o)
{
	struct ofd *oe;
	int epfd;

	while ((oe = next_to_migrate(o, &epfd))) {
		struct epoll *ep = oe->epoll;

		if (oe->kind == KIND_EPOLL && ep && !epoll_prepare(ep, o->attach, epfd)) {
			lock_take(&table_lock);
			lock_take(&ep->lock);
			for (struct epitem *it = o->items; it; it = it->next_of_sock)
				if (it->epoll == ep && !it->kernel)
					watch_item(it);
			lock_drop(&ep->lock);
			lock_drop(&table_lock);
		}
		fd_put(oe);
	}
}

void epoll_release(struct ofd *o)
{
	struct epoll *ep = o->epoll;

	if (!ep)
		return;
	lock_take(&table_lock);
	lock_take(&ep->lock);
	both_forget(ep);
	for (int fd = 0; fd < ep->item_count; fd++)
		if (ep->item[fd])
			item_free(ep->item[fd]);
	lock_drop(&ep->lock);
	lock_drop(&table_lock);
	if (ep->around >= 0)
		fd_internal_close(ep->around);
	if (atomic_load(&ep->evq)) {
		evq_disarm(atomic_load(&ep->evq));
		evq_free(atomic_load(&ep->evq));
	}
	free(ep->item);
	free(ep);
}

/* ---- fork ---- */

/* In the child: the kernel's instance is the parent's too, with its marks in it. */
void epoll_forked(struct ofd *o)
{
	struct epoll *ep = o->epoll;

	if (o->kind != KIND_EPOLL || !ep)
		return;
	atomic_store(&ep->lock, 0);
	ep->waiters = 0;
	ep->around = -1;
	if (!atomic_load(&ep->evq))
		return;
	ep->inherited = true;
	both_forget(ep);
	atomic_store(&ep->evq, NULL);
	for (int fd = 0; fd < ep->item_count; fd++)
		if (ep->item[fd])
			ep->item[fd]->watch = NULL;
}

void epoll_revive(struct epoll *ep, int epfd)
{
	struct attach *a = attach_current();

	if (!a || attach_is_dead(a) || epoll_prepare(ep, a, epfd))
		return;
	lock_take(&table_lock);
	lock_take(&ep->lock);
	for (int fd = 0; fd < ep->item_count; fd++)
		if (ep->item[fd] && !ep->item[fd]->kernel)
			watch_item(ep->item[fd]);
	lock_drop(&ep->lock);
	lock_drop(&table_lock);
}

/* ---- exec ---- */

struct ofd *epoll_inherit(int fd, uintptr_t marks_inside)
{
	struct ofd *o = instance_at(fd);

	if (!o)
		return NULL;
	o->epoll->inherited = true;
	o->epoll->marks_inside = marks_inside;
	atomic_store(&o->epoll->kernel_items, 1); /* maybe */
	return o;
}

void epoll_put_back(struct epoll *ep, struct ofd *o, int fd, const struct epoll_event *ev,
		    const struct news *told)
{
	struct epitem *it;

	lock_take(&table_lock);
	lock_take(&ep->lock);
	it = item_at(ep, fd) ? NULL : item_new(ep, o, fd);
	if (it) {
		it->events = ev->events;
		it->data = ev->data;
		it->told = *told;
	}
	lock_drop(&ep->lock);
	lock_drop(&table_lock);
}
