/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_process.c - fork and the exits that run no destructor.  vfork stays the C library's: its
 * child runs in our memory, which fd.c notices. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>

PRELOAD pid_t fork(void)
{
	return fork_cloned();
}

PRELOAD void _exit(int status)
{
	fork_leave();
	LIBC->_exit(status);
	__builtin_unreachable();
}

PRELOAD void _Exit(int status)
{
	fork_leave();
	LIBC->exit_now(status);
}

/* ---- giving up privileges: who may attach now may not afterwards, so it is done first ---- */

static void attach_first(void)
{
	int saved = errno;

	if (!fd_in_foreign_process()) {
		struct attach *a = attach_current() ? attach_current() : attach_get();

		if (a && !attach_is_dead(a))
			wait_evq(a); /* a sandbox may follow, where no eventfd can be made */
	}
	errno = saved;
}

PRELOAD int prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
		wait_confine();
	return LIBC->prctl(option, a[0], a[1], a[2], a[3]);
}

PRELOAD int setuid(uid_t uid)
{
	attach_first();
	return LIBC->setuid(uid);
}

PRELOAD int setreuid(uid_t real, uid_t effective)
{
	attach_first();
	return LIBC->setreuid(real, effective);
}

PRELOAD int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	attach_first();
	return LIBC->setresuid(real, effective, saved);
}

PRELOAD int setgid(gid_t gid)
{
	attach_first();
	return LIBC->setgid(gid);
}

PRELOAD int setgroups(size_t count, const gid_t *list)
{
	attach_first();
	return LIBC->setgroups(count, list);
}

PRELOAD int initgroups(const char *user, gid_t group)
{
	attach_first();
	return LIBC->initgroups(user, group);
}
