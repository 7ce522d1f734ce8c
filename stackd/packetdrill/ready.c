/* SPDX-License-Identifier: BSD-2-Clause */
/* ready.c - owns what poll and epoll say, and epoll's lists of interest. */
#include "packetdrill/adapter.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool can_read(const struct so *s)
{
	if (s->state == STATE_LISTENING)
		return !list_empty(&s->ready);
	return s->arrived > s->received || s->eof || s->read_shut;
}

static bool can_write(const struct so *s)
{
	if (s->state == STATE_CONNECTED && !s->write_shut)
		return so_room(s) > 0 && so_room(s) >= (s->queued - s->acked) / 2;
	return s->state == STATE_ENDED || s->write_shut;
}

short so_poll(const struct so *s)
{
	unsigned mask = 0;

	if (s->state == STATE_FRESH)
		return POLLOUT | POLLHUP;
	if (can_read(s))
		mask |= POLLIN | POLLRDNORM;
	if (can_write(s))
		mask |= POLLOUT | POLLWRNORM;
	if (s->eof || s->read_shut)
		mask |= POLLRDHUP;
	if (s->state == STATE_ENDED || ((s->eof || s->read_shut) && s->write_shut))
		mask |= POLLHUP;
	if (s->error)
		mask |= POLLERR;
	return (short)mask;
}

static ns_t until_ms(const struct adapter *a, int timeout_ms)
{
	if (timeout_ms < 0)
		return NS_NEVER;
	return adapter_deadline(a, (unsigned)timeout_ms * NS_PER_MS);
}

/* --- poll
 * ----------------------------------------------------------------------------------------- */

struct polled {
	struct adapter *adapter;
	struct pollfd *fds;
	nfds_t count;
};

static short look(struct adapter *a, const struct pollfd *p)
{
	struct so *s = so_find(a, p->fd);
	struct pollfd other = {.fd = p->fd, .events = p->events};

	if (p->fd < 0)
		return 0;
	if (s)
		return (short)(so_poll(s) & (p->events | POLLERR | POLLHUP));
	poll(&other, 1, 0);
	return other.revents;
}

static bool any_ready(void *arg)
{
	struct polled *p = arg;
	bool any = false;

	for (nfds_t i = 0; i < p->count; i++) {
		p->fds[i].revents = look(p->adapter, &p->fds[i]);
		any |= p->fds[i].revents != 0;
	}
	return any;
}

int ready_poll(struct adapter *a, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct polled p = {a, fds, count};
	int n = 0;

	adapter_wait(a, any_ready, &p, until_ms(a, timeout_ms));
	for (nfds_t i = 0; i < count; i++)
		n += fds[i].revents != 0;
	return n;
}

/* --- epoll
 * ------------------------------------------------------------------------------------------- */

struct interest {
	struct list node;
	struct so *so;
	struct epoll_event event;
	uint64_t told; /* news of the socket when it was last reported */
	bool spent;    /* EPOLLONESHOT */
};

struct ep {
	struct list node, interests;
	int fd;
};

static struct ep *ep_find(struct adapter *a, int fd)
{
	list_for_each (n, &a->epolls) {
		struct ep *e = container_of(n, struct ep, node);

		if (e->fd == fd)
			return e;
	}
	return NULL;
}

static struct interest *interest_find(struct ep *e, const struct so *s)
{
	list_for_each (n, &e->interests) {
		struct interest *i = container_of(n, struct interest, node);

		if (i->so == s)
			return i;
	}
	return NULL;
}

static void interest_free(struct interest *i)
{
	list_unlink(&i->node);
	free(i);
}

int ready_epoll_create(struct adapter *a, int *fd)
{
	struct ep *e = calloc(1, sizeof(*e));

	if (!e)
		return ENOMEM;
	e->fd = *fd = eventfd(0, EFD_CLOEXEC);
	if (e->fd < 0) {
		free(e);
		return errno;
	}
	list_init(&e->interests);
	list_push_back(&a->epolls, &e->node);
	return 0;
}

static void ep_free(struct ep *e)
{
	while (!list_empty(&e->interests))
		interest_free(container_of(e->interests.next, struct interest, node));
	list_unlink(&e->node);
	free(e);
}

bool ready_epoll_close(struct adapter *a, int epfd)
{
	struct ep *e = ep_find(a, epfd);

	if (e)
		ep_free(e);
	return e;
}

void ready_free(struct adapter *a)
{
	while (!list_empty(&a->epolls))
		ep_free(container_of(a->epolls.next, struct ep, node));
}

void ready_forget(struct so *s)
{
	list_for_each (n, &s->adapter->epolls) {
		struct interest *i = interest_find(container_of(n, struct ep, node), s);

		if (i)
			interest_free(i);
	}
}

static int interest_add(struct ep *e, struct so *s, const struct epoll_event *event)
{
	struct interest *i = calloc(1, sizeof(*i));

	if (!i)
		return ENOMEM;
	i->so = s;
	i->event = *event;
	i->told = UINT64_MAX;
	list_push_back(&e->interests, &i->node);
	return 0;
}

int ready_epoll_ctl(struct adapter *a, int epfd, int op, int fd, const struct epoll_event *event)
{
	struct ep *e = ep_find(a, epfd);
	struct so *s = so_find(a, fd);
	struct interest *i = e && s ? interest_find(e, s) : NULL;

	if (!e)
		return EBADF;
	if (!s)
		return EPERM; /* only sockets of the stack have news in virtual time */
	if (op == EPOLL_CTL_ADD)
		return i ? EEXIST : interest_add(e, s, event);
	if (op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD)
		return EINVAL;
	if (!i)
		return ENOENT;
	if (op == EPOLL_CTL_DEL) {
		interest_free(i);
		return 0;
	}
	i->event = *event;
	i->told = UINT64_MAX;
	i->spent = false;
	return 0;
}

static uint32_t mask_of(const struct interest *i)
{
	uint32_t mask = (uint16_t)so_poll(i->so);

	if (i->spent || ((i->event.events & EPOLLET) && i->told == i->so->news))
		return 0;
	return mask & (i->event.events | EPOLLERR | EPOLLHUP);
}

static bool ep_ready(void *arg)
{
	const struct ep *e = arg;

	list_for_each (n, &e->interests) {
		if (mask_of(container_of(n, struct interest, node)))
			return true;
	}
	return false;
}

int ready_epoll_wait(struct adapter *a, int epfd, struct epoll_event *out, int max, int timeout_ms)
{
	struct ep *e = ep_find(a, epfd);
	int count = 0;

	if (!e || max <= 0)
		return e ? -EINVAL : -EBADF;
	adapter_wait(a, ep_ready, e, until_ms(a, timeout_ms));
	list_for_each (n, &e->interests) {
		struct interest *i = container_of(n, struct interest, node);
		uint32_t mask = mask_of(i);

		if (mask == 0 || count == max)
			continue;
		out[count++] = (struct epoll_event){.events = mask, .data = i->event.data};
		i->told = i->so->news;
		i->spent = i->event.events & EPOLLONESHOT;
	}
	return count;
}
