/* SPDX-License-Identifier: BSD-2-Clause */
/* api.c - what only the public interface has: its version, opening by name, and asking what a
 * socket is. */
#include "client.h"

#include <errno.h>

#include "stackd.h"

unsigned int stackd_version(void)
{
	return STACKD_VERSION;
}

int stackd_open(const char *rundir, const char *options)
{
	struct attach *a = attach_current();
	int error;

	if (a && !attach_is_dead(a))
		return sock_fail(EALREADY);
	error = attach_configure(rundir, options);
	if (error)
		return sock_fail(error);
	return attach_get() ? 0 : -1;
}

int stackd_is_stack(int fd)
{
	struct ofd *o = fd_get_stack(fd);

	fd_put(o);
	return o != NULL;
}
