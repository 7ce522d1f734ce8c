/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.c - epoll behind loop.h.  A descriptor's slot carries a generation, so that an event that
 * was fetched before its descriptor was removed in the same round goes to nobody. */
#include "loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOOP_EVENTS 64

struct watch {
	loop_fn *fn; /* NULL: not watched */
	void *arg;
	uint32_t generation;
};

struct loop {
	int epoll;
	bool stopped;
	uint32_t count;
	struct watch *watch; /* by descriptor */
};

struct loop *loop_create(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	return l;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	close(l->epoll);
	free(l->watch);
	free(l);
}

static int grow(struct loop *l, uint32_t fd)
{
	uint32_t count = l->count ? l->count : 64;
	struct watch *grown;

	if (fd < l->count)
		return 0;
	while (count <= fd)
		count *= 2;
	grown = realloc(l->watch, count * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = l->count; i < count; i++)
		grown[i] = (struct watch){0};
	l->watch = grown;
	l->count = count;
	return 0;
}

static int control(struct loop *l, int op, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	event.data.u64 = (uint64_t)l->watch[fd].generation << 32 | (uint32_t)fd;
	return epoll_ctl(l->epoll, op, fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *arg)
{
	int error;

	if (fd < 0)
		return -EBADF;
	error = grow(l, (uint32_t)fd);
	if (error)
		return error;
	l->watch[fd].generation++;
	error = control(l, EPOLL_CTL_ADD, fd, events);
	if (error)
		return error;
	l->watch[fd].fn = fn;
	l->watch[fd].arg = arg;
	return 0;
}

int loop_change(struct loop *l, int fd, uint32_t events)
{
	if (fd < 0 || (uint32_t)fd >= l->count || !l->watch[fd].fn)
		return -ENOENT;
	return control(l, EPOLL_CTL_MOD, fd, events);
}

void loop_remove(struct loop *l, int fd)
{
	if (fd < 0 || (uint32_t)fd >= l->count || !l->watch[fd].fn)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
	l->watch[fd].fn = NULL;
	l->watch[fd].generation++;
}

static void dispatch(struct loop *l, const struct epoll_event *event)
{
	uint32_t fd = (uint32_t)event->data.u64;
	struct watch watch = l->watch[fd];

	if (watch.fn && watch.generation == (uint32_t)(event->data.u64 >> 32))
		watch.fn(l, (int)fd, event->events, watch.arg);
}

int loop_run(struct loop *l)
{
	struct epoll_event events[LOOP_EVENTS];

	l->stopped = false;
	while (!l->stopped) {
		int n = epoll_wait(l->epoll, events, LOOP_EVENTS, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n && !l->stopped; i++)
			dispatch(l, &events[i]);
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}
