/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_stream.c - the C library's names for moving bytes, with the forms that programs built
 * with _FORTIFY_SOURCE call. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "exec.h"
#include "preload.h"
#include "stackd.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

PRELOAD ssize_t read(int fd, void *buf, size_t len)
{
	return stackd_read(fd, buf, len);
}

PRELOAD ssize_t readv(int fd, const struct iovec *iov, int count)
{
	return stackd_readv(fd, iov, count);
}

PRELOAD ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return stackd_recv(fd, buf, len, flags);
}

PRELOAD ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			 struct sockaddr *restrict sa, socklen_t *restrict sa_len)
{
	return stackd_recvfrom(fd, buf, len, flags, sa, sa_len);
}

PRELOAD ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	return stackd_recvmsg(fd, m, flags);
}

PRELOAD ssize_t write(int fd, const void *buf, size_t len)
{
	return stackd_write(fd, buf, len);
}

PRELOAD ssize_t writev(int fd, const struct iovec *iov, int count)
{
	return stackd_writev(fd, iov, count);
}

PRELOAD ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return stackd_send(fd, buf, len, flags);
}

PRELOAD ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
		       socklen_t sa_len)
{
	return stackd_sendto(fd, buf, len, flags, sa, sa_len);
}

PRELOAD ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return stackd_sendmsg(fd, m, flags);
}

PRELOAD ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	return stackd_sendfile(out, in, offset, count);
}

PRELOAD ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
	return stackd_sendfile(out, in, offset, count);
}

/* ---- several messages in one call ---- */

PRELOAD int sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags)
{
	bool ours = fd_is_ours(fd);
	unsigned int i;

	for (i = 0; i < count && !ours; i++)
		ours = rights_ours(&m[i].msg_hdr);
	if (!ours)
		return LIBC->sendmmsg(fd, m, count, flags);
	for (i = 0; i < count; i++) {
		ssize_t n = stackd_sendmsg(fd, &m[i].msg_hdr, flags);

		if (n < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned int)n;
	}
	return (int)i;
}

PRELOAD int recvmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags, struct timespec *t)
{
	unsigned int i;

	if (!fd_is_ours(fd)) {
		int got = LIBC->recvmmsg(fd, m, count, flags, t);

		for (int n = 0; n < got; n++)
			rights_received(&m[n].msg_hdr, flags);
		return got;
	}
	if (t && (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= 1000000000))
		return sock_fail(EINVAL);
	for (i = 0; i < count; i++) {
		ssize_t n = stackd_recvmsg(fd, &m[i].msg_hdr, flags & ~MSG_WAITFORONE);

		if (n < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned int)n;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	return (int)i;
}

PRELOAD ssize_t splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
		       unsigned int flags)
{
	return stackd_splice(in, in_off, out, out_off, len, flags);
}

/* ---- readv and writev with flags ---- */

/* Offset -1 stands for none; any other is the kernel's to refuse. */
static bool is_stream(int fd, off_t offset)
{
	struct ofd *o = offset == -1 ? fd_get_stack(fd) : NULL;

	fd_put(o);
	return o;
}

/* The kernel socket behind knows which flags there are; it is not connected, so no more happens. */
static bool flags_are_known(int fd, int flags)
{
	char byte;
	struct iovec one = {.iov_base = &byte, .iov_len = 1};

	return LIBC->preadv2(fd, &one, 1, -1, flags) >= 0 || errno == ENOTCONN;
}

static bool is_empty(const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		if (iov[i].iov_len)
			return false;
	return true;
}

PRELOAD ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};

	if (!is_stream(fd, offset))
		return LIBC->preadv2(fd, iov, count, offset, flags);
	if (!flags || count < 0 || count > IOV_MAX || is_empty(iov, count))
		return stackd_readv(fd, iov, count);
	if (!flags_are_known(fd, flags))
		return -1;
	return flags & RWF_NOWAIT ? stackd_recvmsg(fd, &m, MSG_DONTWAIT)
				  : stackd_readv(fd, iov, count);
}

PRELOAD ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};

	if (!is_stream(fd, offset))
		return LIBC->pwritev2(fd, iov, count, offset, flags);
	if (!flags || count < 0 || count > IOV_MAX || is_empty(iov, count))
		return stackd_writev(fd, iov, count);
	if (!flags_are_known(fd, flags))
		return -1;
	return flags & RWF_NOWAIT ? stackd_sendmsg(fd, &m, MSG_DONTWAIT)
				  : stackd_writev(fd, iov, count);
}

PRELOAD ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
	return preadv2(fd, iov, count, offset, flags);
}

PRELOAD ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
	return pwritev2(fd, iov, count, offset, flags);
}

/* ---- with a known buffer size ---- */

static void check(size_t len, size_t room)
{
	static const char text[] = "stackd: buffer overflow detected\n";

	if (len <= room)
		return;
	if (LIBC->write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

PRELOAD ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
PRELOAD ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
PRELOAD ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
			       struct sockaddr *sa, socklen_t *sa_len);

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	check(len, room);
	return stackd_read(fd, buf, len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	check(len, room);
	return stackd_recv(fd, buf, len, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags, struct sockaddr *sa,
		       socklen_t *sa_len)
{
	check(len, room);
	return stackd_recvfrom(fd, buf, len, flags, sa, sa_len);
}
