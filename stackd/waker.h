/* SPDX-License-Identifier: BSD-2-Clause */
/* waker.h - writes to the eventfds of sleeping clients, without ever blocking on one.
 *
 * An eventfd's O_NONBLOCK belongs to all who hold it: a client may clear it and fill the counter,
 * and whoever writes then stands still.  A signal from the kernel's own asynchronous I/O can't
 * block, but costs three times a write; so it is used for the clients of other users only.
 *
 * With SOCK_FD_SIGNAL it is one end of a pair of unix sockets.  Shutting it down, each time anew, is
 * news for the other end, whose owner the kernel signals: see libclient/owner.c. */
#ifndef STACKD_WAKER_H
#define STACKD_WAKER_H

#include <linux/aio_abi.h>
#include <stdbool.h>

struct waker {
	aio_context_t context; /* 0: the kernel has none */
	int null;	       /* of /dev/null: what is read from to get a completion */
};

/* One thread uses it.  Returns 0 or -errno. */
int waker_init(struct waker *);
void waker_destroy(struct waker *);
void waker_wake(struct waker *, int eventfd, bool trusted);

#endif
