/* SPDX-License-Identifier: BSD-2-Clause */
/* calls.c - the table that the script runner calls: each call takes the lock, finds its socket and
 * speaks the C library's language of -1 and errno.  Descriptors that are none of ours go to the C
 * library. */
#include "packetdrill/adapter.h"
#include "packetdrill/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- in and out ----------------------------------------------------------------------------------
 */

static struct so *enter(struct adapter *a, int fd)
{
	struct so *s;

	pthread_mutex_lock(&a->lock);
	s = so_find(a, fd);
	if (s)
		s->busy++;
	return s;
}

/* Ends a call; what it brought about happens before it returns. */
static int leave(struct adapter *a, struct so *s, int error)
{
	if (s)
		s->busy--;
	adapter_turn(a);
	pthread_mutex_unlock(&a->lock);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

static ssize_t leave_bytes(struct adapter *a, struct so *s, ssize_t n)
{
	return leave(a, s, n < 0 ? (int)-n : 0) ? -1 : n;
}

/* --- life of a socket
 * ------------------------------------------------------------------------------ */

static int call_socket(void *ud, int domain, int type, int protocol)
{
	struct adapter *a = ud;
	int fd = -1, error;

	pthread_mutex_lock(&a->lock);
	error = so_create(a, domain, type, protocol, &fd);
	return leave(a, NULL, error) ? -1 : fd;
}

static int call_bind(void *ud, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_bind(s, sa, len) : EBADF);
}

static int call_listen(void *ud, int fd, int backlog)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_listen(s, backlog) : EBADF);
}

static int call_accept(void *ud, int fd, struct sockaddr *sa, socklen_t *len)
{
	struct so *s = enter(ud, fd);
	int new = -1, error = s ? so_accept(s, sa, len, &new) : EBADF;

	return leave(ud, s, error) ? -1 : new;
}

static int call_connect(void *ud, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_connect(s, sa, len) : EBADF);
}

static int call_shutdown(void *ud, int fd, int how)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_shutdown(s, how) : EBADF);
}

static int call_close(void *ud, int fd)
{
	struct so *s = enter(ud, fd);
	int r = s ? so_close(s) : 0;

	if (!s)
		ready_epoll_close(ud, fd);
	leave(ud, s, 0);
	return s ? r : close(fd);
}

/* --- data
 * -------------------------------------------------------------------------------------------- */

static ssize_t receive(void *ud, int fd, const struct iovec *v, size_t count, int flags)
{
	struct so *s = enter(ud, fd);

	return leave_bytes(ud, s, s ? so_receive(s, v, count, flags) : -EBADF);
}

static ssize_t transmit(void *ud, int fd, const struct iovec *v, size_t count, int flags)
{
	struct so *s = enter(ud, fd);

	return leave_bytes(ud, s, s ? so_send(s, v, count, flags) : -EBADF);
}

static bool is_ours(void *ud, int fd)
{
	struct so *s = enter(ud, fd);

	leave(ud, s, 0);
	return s;
}

static ssize_t call_readv(void *ud, int fd, const struct iovec *v, int count)
{
	if (!is_ours(ud, fd))
		return readv(fd, v, count);
	return receive(ud, fd, v, (size_t)count, 0);
}

static ssize_t call_read(void *ud, int fd, void *buf, size_t len)
{
	struct iovec v = {buf, len};

	return call_readv(ud, fd, &v, 1);
}

static ssize_t call_recv(void *ud, int fd, void *buf, size_t len, int flags)
{
	struct iovec v = {buf, len};

	return receive(ud, fd, &v, 1, flags);
}

static ssize_t call_recvfrom(void *ud, int fd, void *buf, size_t len, int flags,
			     struct sockaddr *sa, socklen_t *sa_len)
{
	(void)sa;
	if (sa_len)
		*sa_len = 0; /* a stream's receiver knows from whom */
	return call_recv(ud, fd, buf, len, flags);
}

static ssize_t call_recvmsg(void *ud, int fd, struct msghdr *m, int flags)
{
	m->msg_namelen = 0;
	m->msg_controllen = 0;
	m->msg_flags = 0;
	return receive(ud, fd, m->msg_iov, m->msg_iovlen, flags);
}

static ssize_t call_writev(void *ud, int fd, const struct iovec *v, int count)
{
	if (!is_ours(ud, fd))
		return writev(fd, v, count);
	return transmit(ud, fd, v, (size_t)count, 0);
}

static ssize_t call_write(void *ud, int fd, const void *buf, size_t len)
{
	struct iovec v = {(void *)(uintptr_t)buf, len};

	return call_writev(ud, fd, &v, 1);
}

static ssize_t call_send(void *ud, int fd, const void *buf, size_t len, int flags)
{
	struct iovec v = {(void *)(uintptr_t)buf, len};

	return transmit(ud, fd, &v, 1, flags);
}

static ssize_t call_sendto(void *ud, int fd, const void *buf, size_t len, int flags,
			   const struct sockaddr *sa, socklen_t sa_len)
{
	if (sa && sa_len && (flags & MSG_FASTOPEN)) { /* data in a SYN is not sent */
		errno = EOPNOTSUPP;
		return -1;
	}
	return call_send(ud, fd, buf, len, flags);
}

static ssize_t call_sendmsg(void *ud, int fd, const struct msghdr *m, int flags)
{
	return transmit(ud, fd, m->msg_iov, m->msg_iovlen, flags);
}

static int call_pipe(void *ud, int fd[2])
{
	(void)ud;
	return pipe(fd);
}

static ssize_t call_splice(void *ud, int from, loff_t *from_off, int to, loff_t *to_off, size_t len,
			   unsigned flags)
{
	if (!is_ours(ud, from) && !is_ours(ud, to))
		return splice(from, from_off, to, to_off, len, flags);
	errno = EINVAL; /* as from every socket of stackd */
	return -1;
}

/* --- options and readiness
 * ------------------------------------------------------------------------------ */

static int call_getsockopt(void *ud, int fd, int level, int name, void *value, socklen_t *len)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_get_option(s, level, name, value, len) : EBADF);
}

static int call_setsockopt(void *ud, int fd, int level, int name, const void *value, socklen_t len)
{
	struct so *s = enter(ud, fd);

	return leave(ud, s, s ? so_set_option(s, level, name, value, len) : EBADF);
}

/* O_NONBLOCK is kept by us: the descriptor's own flag would do nothing for the stack. */
static int file_flags(struct adapter *a, struct so *s, int command, int value)
{
	int flags = O_RDWR | (s->nonblock ? O_NONBLOCK : 0);

	if (command == F_SETFL)
		s->nonblock = value & O_NONBLOCK;
	leave(a, s, 0);
	return command == F_SETFL ? 0 : flags;
}

static int call_fcntl(void *ud, int fd, int command, ...)
{
	struct so *s;
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	s = enter(ud, fd);
	if (s && (command == F_GETFL || command == F_SETFL))
		return file_flags(ud, s, command, (int)value);
	leave(ud, s, 0);
	return fcntl(fd, command, value);
}

static int call_ioctl(void *ud, int fd, unsigned long request, ...)
{
	struct so *s;
	va_list args;
	void *value;

	va_start(args, request);
	value = va_arg(args, void *);
	va_end(args);
	s = enter(ud, fd);
	if (s)
		return leave(ud, s, so_ioctl(s, request, value));
	leave(ud, NULL, 0);
	return ioctl(fd, request, value);
}

static int call_poll(void *ud, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct adapter *a = ud;
	int n;

	pthread_mutex_lock(&a->lock);
	n = ready_poll(a, fds, count, timeout_ms);
	return (int)leave_bytes(a, NULL, n);
}

static int call_epoll_create(void *ud, int size)
{
	struct adapter *a = ud;
	int fd = -1, error;

	pthread_mutex_lock(&a->lock);
	error = size > 0 ? ready_epoll_create(a, &fd) : EINVAL;
	return leave(a, NULL, error) ? -1 : fd;
}

static int call_epoll_ctl(void *ud, int epfd, int op, int fd, struct epoll_event *event)
{
	struct adapter *a = ud;

	pthread_mutex_lock(&a->lock);
	return leave(a, NULL, ready_epoll_ctl(a, epfd, op, fd, event));
}

static int call_epoll_wait(void *ud, int epfd, struct epoll_event *out, int max, int timeout_ms)
{
	struct adapter *a = ud;

	pthread_mutex_lock(&a->lock);
	return (int)leave_bytes(a, NULL, ready_epoll_wait(a, epfd, out, max, timeout_ms));
}

/* --- packets and time
 * --------------------------------------------------------------------------------------- */

static int call_netdev_send(void *ud, const void *packet, size_t len)
{
	struct adapter *a = ud;
	bool taken;

	pthread_mutex_lock(&a->lock);
	taken = wire_put(a->wire, packet, len);
	return leave(a, NULL, taken ? 0 : EINVAL);
}

static int call_netdev_receive(void *ud, void *packet, size_t *len, long long *time_us)
{
	struct adapter *a = ud;
	struct wire_packet *p;
	ns_t limit;

	pthread_mutex_lock(&a->lock);
	limit = a->now + NEVER_LIMIT_NS;
	while (!(p = wire_take(a->wire)) && adapter_step(a, limit))
		;
	if (!p)
		*len = 0;
	if (p && *len > p->len)
		*len = p->len;
	if (p)
		memcpy(packet, p->bytes, *len);
	*time_us = (long long)((p ? p->at : a->now) / NS_PER_US);
	free(p);
	return leave(a, NULL, 0);
}

static int call_usleep(void *ud, useconds_t us)
{
	struct adapter *a = ud;

	pthread_mutex_lock(&a->lock);
	adapter_advance(a, a->now + us * NS_PER_US);
	return leave(a, NULL, 0);
}

/* Whoever spins on the clock sees it go on. */
static int call_gettimeofday(void *ud, struct timeval *tv, struct timezone *tz)
{
	struct adapter *a = ud;

	(void)tz;
	pthread_mutex_lock(&a->lock);
	adapter_advance(a, a->now + NS_PER_US);
	tv->tv_sec = (time_t)(a->now / NS_PER_S);
	tv->tv_usec = (suseconds_t)(a->now % NS_PER_S / NS_PER_US);
	return leave(a, NULL, 0);
}

void calls_fill(struct packetdrill_calls *c)
{
	c->socket = call_socket;
	c->bind = call_bind;
	c->listen = call_listen;
	c->accept = call_accept;
	c->connect = call_connect;
	c->read = call_read;
	c->readv = call_readv;
	c->recv = call_recv;
	c->recvfrom = call_recvfrom;
	c->recvmsg = call_recvmsg;
	c->write = call_write;
	c->writev = call_writev;
	c->send = call_send;
	c->sendto = call_sendto;
	c->sendmsg = call_sendmsg;
	c->fcntl = call_fcntl;
	c->ioctl = call_ioctl;
	c->close = call_close;
	c->shutdown = call_shutdown;
	c->getsockopt = call_getsockopt;
	c->setsockopt = call_setsockopt;
	c->poll = call_poll;
	c->netdev_send = call_netdev_send;
	c->netdev_receive = call_netdev_receive;
	c->usleep = call_usleep;
	c->gettimeofday = call_gettimeofday;
	c->epoll_create = call_epoll_create;
	c->epoll_ctl = call_epoll_ctl;
	c->epoll_wait = call_epoll_wait;
	c->pipe = call_pipe;
	c->splice = call_splice;
}
