/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.h - the control thread's event loop (epoll).  Not for the frame path. */
#ifndef STACKD_LOOP_H
#define STACKD_LOOP_H

#include <stdint.h>

struct loop;

/* events: EPOLLIN ...; level-triggered.  The callback may add and remove descriptors. */
typedef void loop_fn(struct loop *, int fd, uint32_t events, void *arg);

struct loop *loop_create(void); /* NULL with errno */
void loop_destroy(struct loop *);
int loop_add(struct loop *, int fd, uint32_t events, loop_fn *, void *arg); /* 0 or -errno */
int loop_change(struct loop *, int fd, uint32_t events);
void loop_remove(struct loop *, int fd); /* does not close it */
/* Runs until loop_stop.  0 or -errno. */
int loop_run(struct loop *);
void loop_stop(struct loop *);

#endif
