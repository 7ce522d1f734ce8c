/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_process.c - fork and the exits that run no destructor.  vfork stays the C library's: its
 * child runs in our memory, which fd.c notices. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"

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
