/* SPDX-License-Identifier: BSD-2-Clause */
/* exec_epoll.c - epoll instances across exec, behind the sockets in the same memfd.  What the
 * kernel's instance has of the kernel's descriptors it keeps by itself; what is written down is
 * which stack sockets it has, and what their edges have told.
 *
 * The new program finds an instance by its number, its sockets by their inodes.  Other processes may
 * have the kernel's instance too, so it goes on as a forked child does: with one of its own around
 * it. */
#include "exec.h"

#include <stdlib.h>
#include <string.h>

/* ---- out; async-signal-safe ---- */

static bool is_left(const struct epitem *it)
{
	return it && !it->kernel && it->ofd->inode && it->ofd->mode == MODE_STACK;
}

static bool put(struct exec_writer *w, const void *p, size_t len)
{
	bool ok = pwrite(w->fd, p, len, w->at) == (ssize_t)len;

	w->at += (off_t)len;
	return ok;
}

static uint32_t put_items(struct exec_writer *w, const struct epoll *ep)
{
	uint32_t n = 0;

	for (int fd = 0; fd < ep->item_count; fd++) {
		const struct epitem *it = ep->item[fd];
		struct exec_item e;

		if (!is_left(it))
			continue;
		e = (struct exec_item){.inode = it->ofd->inode,
				       .fd = it->fd,
				       .events = it->events,
				       .data = it->data.u64,
				       .told = it->told};
		e.told.in -= it->edges; /* they begin anew */
		n += put(w, &e, sizeof(e));
	}
	return n;
}

static void put_instance(struct exec_writer *w, int fd, struct epoll *ep)
{
	struct exec_epoll e = {.id = (uintptr_t)ep, .marks = ep->marks_inside, .fd = fd};
	off_t start = w->at;

	if (lock_is_mine(&ep->lock))
		return; /* a signal handler's exec */
	w->at += (off_t)sizeof(e);
	lock_take(&ep->lock);
	e.items = put_items(w, ep);
	lock_drop(&ep->lock);
	if (e.items && pwrite(w->fd, &e, sizeof(e), start) == (ssize_t)sizeof(e))
		w->head.epolls++;
	else
		w->at = start;
}

bool exec_put_epoll(int fd, void *arg)
{
	struct exec_writer *w = arg;
	struct ofd *o;

	if (!w->spawn && (LIBC->fcntl(fd, F_GETFD) & FD_CLOEXEC))
		return true;
	o = fd_get(fd);
	if (o && o->kind == KIND_EPOLL && o->epoll)
		put_instance(w, fd, o->epoll);
	fd_put(o);
	return true;
}

/* ---- in ---- */

static bool is_instance(int fd)
{
	static const char kind[] = "anon_inode:[eventpoll]";
	char path[32], link[sizeof(kind)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, link, sizeof(link)) == (ssize_t)sizeof(kind) - 1 &&
	       !memcmp(link, kind, sizeof(kind) - 1);
}

static struct ofd *socket_of(const struct estate *e, uint64_t inode)
{
	for (uint32_t i = 0; i < e->head.count; i++)
		if (e->luggage[i].inode == inode)
			return e->ofd[i];
	return NULL;
}

struct known {
	uint64_t id;
	struct ofd *ofd;
};

/* The instance of another number, NULL: none so far. */
static struct ofd *find(const struct known *k, uint32_t count, uint64_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (k[i].id == id && k[i].ofd)
			return k[i].ofd;
	return NULL;
}

static void take_items(const struct estate *e, const struct exec_epoll *x, struct ofd *o, off_t at)
{
	for (uint32_t i = 0; i < x->items; i++, at += (off_t)sizeof(struct exec_item)) {
		struct epoll_event ev;
		struct exec_item item;
		struct ofd *s;

		if (pread(e->table, &item, sizeof(item), at) != (ssize_t)sizeof(item))
			return;
		s = socket_of(e, item.inode);
		ev = (struct epoll_event){.events = item.events, .data.u64 = item.data};
		if (s && item.fd >= 0)
			epoll_put_back(o->epoll, s, item.fd, &ev, &item.told);
	}
}

/* NULL: it isn't there any more. */
static struct ofd *take_instance(const struct estate *e, const struct exec_epoll *x,
				 struct ofd *same, off_t at)
{
	struct ofd *o = same;

	if (!is_instance(x->fd))
		return NULL;
	if (same)
		atomic_fetch_add(&same->refs, 1);
	else
		o = epoll_inherit(x->fd, (uintptr_t)x->marks);
	if (!o || !fd_install(x->fd, o))
		return NULL;
	if (!same)
		take_items(e, x, o, at);
	return o;
}

void exec_take_epolls(const struct estate *e)
{
	struct known *k = calloc(e->head.epolls + 1, sizeof(*k));
	off_t at = (off_t)(sizeof(e->head) + e->head.count * sizeof(*e->luggage));
	struct exec_epoll x;

	for (uint32_t i = 0; k && i < e->head.epolls; i++) {
		if (pread(e->table, &x, sizeof(x), at) != (ssize_t)sizeof(x))
			break;
		at += (off_t)sizeof(x);
		k[i].id = x.id;
		k[i].ofd = take_instance(e, &x, find(k, i, x.id), at);
		at += (off_t)(x.items * sizeof(struct exec_item));
	}
	free(k);
}
