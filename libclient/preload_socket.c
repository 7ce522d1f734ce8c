/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_socket.c - the C library's names for what makes, names and ends sockets. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"
#include "stackd.h"

#include <linux/sockios.h>
#include <stdarg.h>

PRELOAD int socket(int domain, int type, int protocol)
{
	return stackd_socket(domain, type, protocol);
}

PRELOAD int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return stackd_bind(fd, sa, len);
}

PRELOAD int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return stackd_connect(fd, sa, len);
}

PRELOAD int listen(int fd, int backlog)
{
	return stackd_listen(fd, backlog);
}

PRELOAD int accept(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return fd_is_ours(fd) ? stackd_accept(fd, sa, len) : LIBC->accept(fd, sa, len);
}

PRELOAD int accept4(int fd, struct sockaddr *restrict sa, socklen_t *restrict len, int flags)
{
	return stackd_accept4(fd, sa, len, flags);
}

PRELOAD int shutdown(int fd, int how)
{
	return stackd_shutdown(fd, how);
}

PRELOAD int getsockname(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return stackd_getsockname(fd, sa, len);
}

PRELOAD int getpeername(int fd, struct sockaddr *restrict sa, socklen_t *restrict len)
{
	return stackd_getpeername(fd, sa, len);
}

PRELOAD int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	return stackd_getsockopt(fd, level, name, value, len);
}

PRELOAD int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return stackd_setsockopt(fd, level, name, value, len);
}

PRELOAD int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return stackd_ioctl(fd, request, arg);
}

/* The C library's own calls the kernel past our ioctl. */
PRELOAD int sockatmark(int fd)
{
	int mark;

	return stackd_ioctl(fd, SIOCATMARK, &mark) < 0 ? -1 : mark;
}

PRELOAD int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return stackd_fcntl(fd, command, arg);
}

PRELOAD int fcntl64(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return stackd_fcntl(fd, command, arg);
}
