/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_fd.c - the C library's names for copying and closing descriptors. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"
#include "stackd.h"

#include <limits.h>

PRELOAD int close(int fd)
{
	return stackd_close(fd);
}

PRELOAD int dup(int fd)
{
	return fd_dup(fd);
}

PRELOAD int dup2(int fd, int copy)
{
	return fd_dup_to(fd, copy, 0, false);
}

PRELOAD int dup3(int fd, int copy, int flags)
{
	return fd_dup_to(fd, copy, flags, true);
}

PRELOAD int close_range(unsigned int first, unsigned int last, int flags)
{
	return fd_close_range(first, last, flags);
}

PRELOAD void closefrom(int first)
{
	fd_close_range(first > 0 ? (unsigned int)first : 0, UINT_MAX, 0);
}
