/* SPDX-License-Identifier: BSD-2-Clause */
/* guest.c - threads that wait when all event queues but one are given out.  They share the last
 * one, the host: one of them, the leader, sleeps on its eventfd and tells the others, each by an
 * eventfd of its own.  Who leaves as the leader wakes another, which becomes it. */
#include "client.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static _Atomic uint32_t guest_lock; /* guests, leader; a leaf */

struct evq *guest_new(struct evq *host)
{
	struct evq *e = calloc(1, sizeof(*e));
	int fd = e ? (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;

	if (fd < 0) {
		free(e);
		return NULL;
	}
	e->attach = host->attach;
	e->host = host;
	e->fd = fd_internal(fd);
	e->credit = 1;
	return e;
}

static void tell(struct evq *e)
{
	evq_kick(e->host->leader == e ? e->host : e);
}

/* guest_lock is held. */
static void tell_waiting(struct evq *host, const struct ofd *o)
{
	for (struct evq *e = host->guests; e; e = e->next_guest)
		if (!e->wants || e->wants == o)
			tell(e);
}

static void found(struct watch *w)
{
	struct evq *host = atomic_load(&w->evq);

	if (host)
		tell_waiting(host, w->ofd);
}

void guest_wake(struct evq *host, const struct ofd *o)
{
	lock_take(&guest_lock);
	tell_waiting(host, o);
	lock_drop(&guest_lock);
}

/* From here on whatever befalls `wants` (NULL: anything) wakes this thread. */
void guest_enter(struct evq *e)
{
	struct evq *host = e->host;

	lock_take(&guest_lock);
	e->next_guest = host->guests;
	host->guests = e;
	if (!host->leader)
		host->leader = e;
	if (host->leader == e) {
		evq_arm(host);
		evq_pop(host, found);
	}
	lock_drop(&guest_lock);
}

void guest_leave(struct evq *e)
{
	struct evq *host = e->host, **p = &host->guests;

	lock_take(&guest_lock);
	while (*p && *p != e)
		p = &(*p)->next_guest;
	if (*p)
		*p = e->next_guest;
	if (host->leader == e) {
		host->leader = NULL;
		evq_disarm(host);
	}
	/* also if e was told to lead, but leaves */
	if (!host->leader && host->guests)
		tell(host->guests);
	lock_drop(&guest_lock);
}

/* The thread has ended, maybe cancelled while it slept. */
void guest_free(struct evq *e)
{
	guest_leave(e);
	fd_internal_close(e->fd);
	free(e);
}

int guest_sleeps_on(struct evq *e)
{
	int fd;

	lock_take(&guest_lock);
	fd = e->host->leader == e ? e->host->fd : e->fd;
	lock_drop(&guest_lock);
	return fd;
}

void guest_forked(void)
{
	atomic_store(&guest_lock, 0);
}
