/* SPDX-License-Identifier: BSD-2-Clause */
/* fork.c - what fork and exit mean for the attachment.  Before fork the daemon makes a second
 * client that holds all that this one holds; the child goes on with it.  Both then share sockets
 * as two processes share open descriptions.  A process that never attached pays nothing. */
#include "client.h"

#include <errno.h>
#include <pthread.h>

#include "stackd.h"

#define LEAVE_PATIENCE_NS 200000000

static _Thread_local bool cloned __attribute__((tls_model("initial-exec")));
static _Atomic bool left;

static bool attached(void)
{
	struct attach *a = attach_current();

	return a && !attach_is_dead(a) && !fd_in_foreign_process();
}

static void before(void)
{
	if (attached() && !cloned)
		attach_clone(attach_current()); /* a failure shows in the child: ECONNRESET */
	lock_take(&table_lock);
}

static void in_parent(void)
{
	lock_drop(&table_lock);
	attach_clone_parent();
}

static void in_child(void)
{
	lock_thread_id = 0;
	fd_process_changed();
	atomic_store(&table_lock, 0);
	queue_forked();
	owner_forked();
	fd_each(epoll_forked);
	attach_clone_child();
	wait_forked();
	signal_forked();
}

static void install(void)
{
	pthread_atfork(before, in_parent, in_child);
}

void fork_prepare_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

/* fork, but it fails when the daemon can't give the child an attachment. */
pid_t fork_cloned(void)
{
	pid_t pid;

	if (attached()) {
		if (attach_clone(attach_current())) {
			errno = EAGAIN;
			return -1;
		}
		cloned = true;
	}
	pid = LIBC->fork();
	cloned = false;
	if (pid < 0)
		attach_clone_parent();
	return pid;
}

static void close_sock(struct ofd *o)
{
	if (o->kind == KIND_SOCKET && o->mode == MODE_STACK && !attach_is_dead(o->attach))
		queue_post(o, STACKD_OP_CLOSE, 0, o->linger == 0, 0);
}

/* The process ends: what it still holds is closed in order, with FIN, and not reset. */
void fork_leave(void)
{
	if (!attached() || atomic_exchange(&left, true))
		return;
	fd_each(close_sock);
	/* what the daemon hasn't seen when we are gone would be reset */
	queue_flush(attach_current(), LEAVE_PATIENCE_NS);
}

#define LAST 101 /* after the destructors without a number */

__attribute__((destructor(LAST))) static void at_exit(void)
{
	fork_leave();
}
