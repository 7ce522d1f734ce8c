/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.c - epoll instances beyond the number of event queues.  They share one, the host, whose
 * eventfd is in each of their kernel epolls: whoever sees it first takes all events and puts each
 * on its instance's ready list, which that instance's own eventfd tells.  The host is always armed.
 *
 * The host's ring is read under table_lock alone. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

struct evq *crowd_new(struct evq *host)
{
	struct evq *e = calloc(1, sizeof(*e));
	int fd = e ? (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;

	if (fd < 0) {
		free(e);
		return NULL;
	}
	*e = (struct evq){.attach = host->attach, .index = host->index, .credit = 1};
	e->host = host;
	e->crowded = true;
	e->fd = fd_internal(fd);
	return e;
}

void crowd_free(struct evq *e)
{
	fd_internal_close(e->fd);
	free(e);
}

int crowd_register(const struct evq *e, int epfd, struct epoll_event *mark)
{
	if (!e->crowded)
		return 0;
	return LIBC->epoll_ctl(epfd, EPOLL_CTL_ADD, e->host->fd, mark) < 0 && errno != EEXIST
		   ? errno
		   : 0;
}

static void found(struct watch *w)
{
	if (w->item)
		epoll_wake(w->item);
}

void crowd_pop(struct evq *e)
{
	/* with its flag used up by what another one has taken, the host would be silent for ever */
	if (!e || !e->crowded || (!evq_pending(e) && evq_is_armed(e->host)))
		return;
	lock_take(&table_lock);
	do {
		evq_arm(e->host);
		evq_pop(e->host, found);
	} while (evq_pending(e));
	lock_drop(&table_lock);
}
