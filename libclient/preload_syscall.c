/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_syscall.c - syscall(), for the programs that avoid the C library's names.  libuv closes by
 * it, and a socket that is closed unseen would leave its number to a file that is taken for it. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"

#include <stdarg.h>
#include <sys/syscall.h>

#define FD	      ((int)a[0])
#define AS_POINTER(n) ((void *)a[n])

/* Calls that only make, copy and close descriptors; false: not one of them. */
static bool on_descriptor(long number, const long a[6], long *result)
{
	switch (number) {
	case SYS_close:
		*result = close(FD);
		return true;
	case SYS_close_range:
		*result = close_range((unsigned int)a[0], (unsigned int)a[1], (int)a[2]);
		return true;
	case SYS_dup:
		*result = dup(FD);
		return true;
	case SYS_dup3:
		*result = dup3(FD, (int)a[1], (int)a[2]);
		return true;
	case SYS_fcntl:
		*result = fcntl(FD, (int)a[1], AS_POINTER(2));
		return true;
	case SYS_ioctl:
		*result = ioctl(FD, (unsigned long)a[1], AS_POINTER(2));
		return true;
	default:
		return false;
	}
}

static bool on_socket(long number, const long a[6], long *result)
{
	switch (number) {
	case SYS_socket:
		*result = socket((int)a[0], (int)a[1], (int)a[2]);
		return true;
	case SYS_bind:
		*result = bind(FD, AS_POINTER(1), (socklen_t)a[2]);
		return true;
	case SYS_listen:
		*result = listen(FD, (int)a[1]);
		return true;
	case SYS_connect:
		*result = connect(FD, AS_POINTER(1), (socklen_t)a[2]);
		return true;
	case SYS_accept4:
		*result = accept4(FD, AS_POINTER(1), AS_POINTER(2), (int)a[3]);
		return true;
	case SYS_shutdown:
		*result = shutdown(FD, (int)a[1]);
		return true;
	case SYS_getsockopt:
		*result = getsockopt(FD, (int)a[1], (int)a[2], AS_POINTER(3), AS_POINTER(4));
		return true;
	case SYS_setsockopt:
		*result = setsockopt(FD, (int)a[1], (int)a[2], AS_POINTER(3), (socklen_t)a[4]);
		return true;
	default:
		return false;
	}
}

static bool on_bytes(long number, const long a[6], long *result)
{
	switch (number) {
	case SYS_read:
		*result = read(FD, AS_POINTER(1), (size_t)a[2]);
		return true;
	case SYS_write:
		*result = write(FD, AS_POINTER(1), (size_t)a[2]);
		return true;
	case SYS_readv:
		*result = readv(FD, AS_POINTER(1), (int)a[2]);
		return true;
	case SYS_writev:
		*result = writev(FD, AS_POINTER(1), (int)a[2]);
		return true;
	case SYS_preadv2:
		*result = preadv2(FD, AS_POINTER(1), (int)a[2], a[3], (int)a[5]);
		return true;
	case SYS_pwritev2:
		*result = pwritev2(FD, AS_POINTER(1), (int)a[2], a[3], (int)a[5]);
		return true;
	case SYS_recvfrom:
		*result = recvfrom(FD, AS_POINTER(1), (size_t)a[2], (int)a[3], AS_POINTER(4), AS_POINTER(5));
		return true;
	case SYS_sendto:
		*result = sendto(FD, AS_POINTER(1), (size_t)a[2], (int)a[3], AS_POINTER(4), (socklen_t)a[5]);
		return true;
	case SYS_recvmsg:
		*result = recvmsg(FD, AS_POINTER(1), (int)a[2]);
		return true;
	case SYS_sendmsg:
		*result = sendmsg(FD, AS_POINTER(1), (int)a[2]);
		return true;
	default:
		return false;
	}
}

PRELOAD long syscall(long number, ...)
{
	long a[6], result;
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (on_descriptor(number, a, &result) || on_socket(number, a, &result) ||
	    on_bytes(number, a, &result))
		return result;
	return LIBC->syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
