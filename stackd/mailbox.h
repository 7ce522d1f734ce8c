/* SPDX-License-Identifier: BSD-2-Clause */
/* mailbox.h - messages from other threads to one thread, first in, first out.  Off the frame path. */
#ifndef STACKD_MAILBOX_H
#define STACKD_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded in the message; `deliver` runs on the receiving thread and owns the message. */
struct mail {
	struct mail *next;
	void (*deliver)(void *to, struct mail *);
};

struct mailbox {
	pthread_mutex_t lock;
	struct mail *first, **last;
	_Atomic bool waiting;
	_Atomic uint32_t *sleeping; /* the receiver's flag; NULL: always write the eventfd */
	int fd;			    /* eventfd the receiver sleeps on */
};

int mailbox_init(struct mailbox *, _Atomic uint32_t *sleeping); /* 0 or -errno */
void mailbox_destroy(struct mailbox *);
/* Any thread.  Wakes the receiver if it sleeps. */
void mailbox_post(struct mailbox *, struct mail *);
/* The receiver: delivers all there is.  True if there was anything. */
bool mailbox_drain(struct mailbox *, void *to);

static inline bool mailbox_waiting(const struct mailbox *m)
{
	return atomic_load_explicit(&m->waiting, memory_order_acquire);
}

#endif
