/* SPDX-License-Identifier: BSD-2-Clause */
/* splice.c - between a pipe and a stack socket, by a copy: from the pipe straight into the send
 * ring, from the receive ring straight into the pipe.  Bytes leave one side only when the other has
 * them.  The order of the checks is that of Linux's splice. */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "stackd.h"

#define KNOWN_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

struct pipe_end {
	int fd;
	short events; /* what poll says when it can be used */
	bool nonblock;
};

/* 0, or an errno: EINVAL, it is no pipe; EBADF, it is the other end of one. */
static int open_pipe(struct pipe_end *p, int fd, int access)
{
	int flags = LIBC->fcntl(fd, F_GETFL);

	if (flags < 0 || ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR))
		return EBADF;
	if (LIBC->fcntl(fd, F_GETPIPE_SZ) < 0)
		return EINVAL;
	*p = (struct pipe_end){.fd = fd, .events = access == O_RDONLY ? POLLIN : POLLOUT};
	p->nonblock = flags & O_NONBLOCK;
	return 0;
}

/* 0: a read, or a write of PIPE_BUF bytes, will not wait. */
static int await_pipe(const struct pipe_end *p, bool wait)
{
	struct pollfd f = {.fd = p->fd, .events = p->events};
	int n = LIBC->poll(&f, 1, wait ? -1 : 0);

	return n < 0 ? -errno : n == 0 ? -EAGAIN : 0;
}

/* ---- pipe to socket ---- */

static ssize_t fill(struct ofd *o, int in, size_t len, bool more)
{
	ssize_t r = stream_may_send(o);

	if (r == 0)
		return stream_fill(o, in, NULL, len, more);
	return r == 1 ? -EAGAIN : r;
}

static ssize_t to_socket(struct ofd *o, const struct pipe_end *p, size_t len, unsigned int flags)
{
	bool wait = !(flags & SPLICE_F_NONBLOCK);
	int64_t deadline = 0;
	size_t moved = 0;
	ssize_t r = 0;

	if (flags & SPLICE_F_MORE)
		stream_hold(o);
	while (moved < len) {
		r = await_pipe(p, wait && !moved);
		if (r == 0) {
			r = fill(o, p->fd, len - moved, flags & SPLICE_F_MORE);
			if (r == -EAGAIN)
				r = stream_fill_wait(o, wait ? 0 : MSG_DONTWAIT, &deadline);
			else if (r == 0)
				break; /* nobody writes to the pipe any more */
		}
		if (r < 0)
			break;
		moved += (size_t)r;
	}
	return moved ? (ssize_t)moved : r;
}

/* ---- socket to pipe ---- */

/* Bytes written; 0: none are there to be read; -errno. */
static ssize_t drain(struct ofd *o, int out, size_t len)
{
	struct stackd_sock *s = o->sock;
	struct iovec iov[2];
	uint64_t head, n;
	ssize_t r = 0;

	lock_take(&s->rx_lock);
	head = atomic_load_explicit(&s->rx_head, memory_order_relaxed);
	n = atomic_load_explicit(&s->rx_tail, memory_order_acquire) - head;
	if (n && urgent_is_set(o))
		head += urgent_limit(o, head, &n);
	n = n < len ? n : len;
	n = n < PIPE_BUF ? n : PIPE_BUF;
	if (n)
		r = LIBC->writev(out, iov, ring_spans(o->rx, o->rx_bytes, head, n, iov));
	if (r > 0)
		atomic_store_explicit(&s->rx_head, head + (uint64_t)r, memory_order_release);
	lock_drop(&s->rx_lock);
	if (r > 0)
		stream_consumed(o, head + (uint64_t)r);
	return r < 0 ? -errno : r;
}

static ssize_t to_pipe(struct ofd *o, const struct pipe_end *p, size_t len, unsigned int flags)
{
	bool wait = !(flags & SPLICE_F_NONBLOCK) && !p->nonblock;
	int64_t deadline = wait_deadline(o->rcvtimeo_ns);
	size_t moved = 0;

	while (moved < len) {
		ssize_t r = await_pipe(p, wait && !moved);

		if (r == 0)
			r = drain(o, p->fd, len - moved);
		if (r > 0) {
			moved += (size_t)r;
			continue;
		}
		if (r < 0 || moved)
			return moved ? (ssize_t)moved : r;
		r = stream_why_empty(o);
		if (r == 1)
			r = stream_recv_wait(o, wait ? 0 : MSG_DONTWAIT, deadline, false);
		else if (r == 0 && !rx_bytes_readable(o))
			return 0;
		if (r < 0 && !rx_bytes_readable(o))
			return r;
	}
	return (ssize_t)moved;
}

/* ---- the call ---- */

static ssize_t splice_stack(struct ofd *from, int in, const off_t *in_off, struct ofd *to, int out,
			    const off_t *out_off, size_t len, unsigned int flags)
{
	struct pipe_end p;
	int error;

	if (flags & ~(unsigned int)KNOWN_FLAGS)
		return -EINVAL;
	if (from && to)
		return -EINVAL;
	error = to ? open_pipe(&p, in, O_RDONLY) : open_pipe(&p, out, O_WRONLY);
	if (error)
		return -error;
	if (to ? in_off != NULL : out_off != NULL)
		return -ESPIPE;
	if (in_off || out_off)
		return -EINVAL;
	if (lock_is_mine(to ? &to->sock->tx_lock : &from->sock->rx_lock))
		return -EDEADLK;
	return to ? to_socket(to, &p, len, flags) : to_pipe(from, &p, len, flags);
}

ssize_t stackd_splice(int in, off_t *in_off, int out, off_t *out_off, size_t len,
		      unsigned int flags)
{
	struct ofd *from = fd_get_stack(in), *to = fd_get_stack(out);
	ssize_t r;

	if (!from && !to)
		return LIBC->splice(in, in_off, out, out_off, len, flags);
	r = len ? splice_stack(from, in, in_off, to, out, out_off, len, flags) : 0;
	fd_put(from);
	fd_put(to);
	if (r >= 0)
		return r;
	if (r == -EPIPE && to)
		raise(SIGPIPE);
	return sock_fail((int)-r);
}
