/* SPDX-License-Identifier: BSD-2-Clause */
/* stream.c - bytes in and out of the rings.  Owns rx_head and tx_tail; the order of the checks is
 * that of Linux's tcp_recvmsg and tcp_sendmsg.  Without waiting none of this is a system call. */
#include "client.h"
#include "exec.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "stackd.h"

#define CALL_MOST ((size_t)INT_MAX & ~(size_t)4095) /* bytes */

/* ---- a cursor over the program's buffers ---- */

struct cursor {
	const struct iovec *iov;
	size_t index, inside, left;
};

/* As Linux imports them: no length below 0, none that leaves the program's half of the addresses,
 * and what is too much for one call is cut.  0 or -errno. */
static int cursor_init(struct cursor *c, const struct iovec *iov, size_t count)
{
	*c = (struct cursor){.iov = iov};
	for (size_t i = 0; i < count; i++) {
		size_t len = iov[i].iov_len;

		if (len > SSIZE_MAX)
			return -EINVAL;
		if ((uintptr_t)iov[i].iov_base > (uintptr_t)INTPTR_MAX - len)
			return -EFAULT;
		c->left += len < CALL_MOST - c->left ? len : CALL_MOST - c->left;
	}
	return 0;
}

/* Moves n bytes between the buffers and a ring at stream offset `at`. */
static void ring_copy(struct cursor *c, uint8_t *ring, uint64_t ring_bytes, uint64_t at, size_t n,
		      bool out)
{
	c->left -= n;
	while (n) {
		const struct iovec *v = &c->iov[c->index];
		uint64_t index = at & (ring_bytes - 1);
		size_t part = v->iov_len - c->inside;

		part = part < n ? part : n;
		part = part < ring_bytes - index ? part : (size_t)(ring_bytes - index);
		if (out)
			memcpy((uint8_t *)v->iov_base + c->inside, ring + index, part);
		else
			memcpy(ring + index, (uint8_t *)v->iov_base + c->inside, part);
		c->inside += part;
		at += part;
		n -= part;
		if (c->inside == v->iov_len) {
			c->index++;
			c->inside = 0;
		}
	}
}

/* ---- receive ---- */

void stream_consumed(struct ofd *o, uint64_t head)
{
	struct stackd_sock *s = o->sock;

	/* the daemon moves rx_ack_at, then looks at rx_head; we the other way round */
	atomic_thread_fence(memory_order_seq_cst);
	if (head >= atomic_load_explicit(&s->rx_ack_at, memory_order_relaxed) &&
	    atomic_exchange(&s->rx_posted, 1) == 0)
		queue_post(o, STACKD_OP_RECV, 0, 0, 0);
}

void stream_consume(struct ofd *o, size_t len)
{
	uint64_t head = atomic_load_explicit(&o->sock->rx_head, memory_order_relaxed) + len;

	atomic_store_explicit(&o->sock->rx_head, head, memory_order_release);
	stream_consumed(o, head);
}

/* What is there now, at most c->left. */
static size_t take(struct ofd *o, struct cursor *c, int flags)
{
	struct stackd_sock *s = o->sock;
	uint64_t head, n;

	if (rx_bytes_readable(o) == 0 || c->left == 0)
		return 0;
	lock_take(&s->rx_lock);
	head = atomic_load_explicit(&s->rx_head, memory_order_relaxed);
	n = atomic_load_explicit(&s->rx_tail, memory_order_acquire) - head;
	if (urgent_is_set(o))
		head += urgent_limit(o, head, &n);
	n = n < c->left ? n : c->left;
	if (flags & MSG_TRUNC)
		c->left -= n;
	else
		ring_copy(c, o->rx, o->rx_bytes, head, (size_t)n, true);
	if (!(flags & MSG_PEEK))
		atomic_store_explicit(&s->rx_head, head + n, memory_order_release);
	lock_drop(&s->rx_lock);
	if (n && !(flags & MSG_PEEK))
		stream_consumed(o, head + n);
	return (size_t)n;
}

/* Nothing to read: 0 end of file, -errno, or 1: it may still come. */
int stream_why_empty(struct ofd *o)
{
	uint32_t state = sock_state(o);
	int error = sock_take_error(o);

	if (error)
		return -error;
	if ((state == STACKD_SOCK_CONNECTED &&
	     (atomic_load_explicit(&o->sock->flags, memory_order_acquire) & STACKD_RX_EOF)) ||
	    (sock_shut(o) & 1))
		return 0;
	switch (state) {
	case STACKD_SOCK_CLOSED:
		return 0;
	case STACKD_SOCK_OPEN:
	case STACKD_SOCK_LISTENING:
		return -ENOTCONN;
	default:
		return 1;
	}
}

ssize_t stream_recv_wait(struct ofd *o, int flags, int64_t deadline, bool part)
{
	if (o->nonblock || (flags & MSG_DONTWAIT))
		return attach_glance(o->attach) ? -ECONNRESET : -EAGAIN;
	return -wait_for(o, STACKD_IN, ready_readable, !o->rcvtimeo_ns && !part, deadline);
}

static ssize_t recv_stack(struct ofd *o, const struct iovec *iov, size_t count, int flags)
{
	struct cursor c;
	size_t got = 0, least;
	int64_t deadline = 0;
	int error;

	if (flags & MSG_OOB)
		return urgent_recv(o, iov, count, flags);
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (lock_is_mine(&o->sock->rx_lock))
		return -EDEADLK;
	error = cursor_init(&c, iov, count);
	if (error)
		return error;
	least = flags & MSG_WAITALL && !(flags & MSG_PEEK) ? c.left : (size_t)o->rcvlowat;
	least = least < c.left ? least : c.left;
	for (;;) {
		ssize_t r;

		got += take(o, &c, flags);
		if (got && (got >= least || (flags & MSG_PEEK) || urgent_at_mark(o)))
			return (ssize_t)got;
		if (c.left == 0 && rx_bytes_readable(o))
			return (ssize_t)got; /* asked for no bytes; without any it would wait */
		r = rx_bytes_readable(o) ? 1 : stream_why_empty(o);
		if (r == 1 && rx_bytes_readable(o) && c.left)
			continue; /* it came between the two looks */
		if (r == 1) {
			deadline = deadline ? deadline : wait_deadline(o->rcvtimeo_ns);
			r = stream_recv_wait(o, flags, deadline, got);
			if (r == 0)
				continue;
		}
		/* data may have come with what ended it */
		if (r == 0 && rx_bytes_readable(o) && c.left && !got)
			continue;
		return got ? (ssize_t)got : r;
	}
}

static bool no_bytes(const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		if (iov[i].iov_len)
			return false;
	return true;
}

static ssize_t result(struct ofd *o, ssize_t r)
{
	fd_put(o);
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

ssize_t stackd_recv(int fd, void *buf, size_t len, int flags)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	return o ? result(o, recv_stack(o, &iov, 1, flags)) : LIBC->recv(fd, buf, len, flags);
}

ssize_t stackd_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *sa,
			socklen_t *sa_len)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	if (!o)
		return LIBC->recvfrom(fd, buf, len, flags, sa, sa_len);
	if (sa_len)
		*sa_len = 0; /* a connected stream names nobody */
	return result(o, recv_stack(o, &iov, 1, flags));
}

ssize_t stackd_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct ofd *o = fd_get_stack(fd);
	ssize_t r;

	if (!o) {
		r = LIBC->recvmsg(fd, m, flags);
		if (r >= 0)
			rights_received(m, flags);
		return r;
	}
	if (!m)
		return result(o, -EFAULT);
	r = m->msg_iovlen > IOV_MAX ? -EMSGSIZE : recv_stack(o, m->msg_iov, m->msg_iovlen, flags);
	if (r >= 0) {
		m->msg_namelen = 0;
		m->msg_controllen = 0;
		m->msg_flags = flags & MSG_OOB;
	}
	return result(o, r);
}

ssize_t stackd_read(int fd, void *buf, size_t len)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	if (!o)
		return LIBC->read(fd, buf, len);
	return result(o, len ? recv_stack(o, &iov, 1, 0) : 0);
}

ssize_t stackd_readv(int fd, const struct iovec *iov, int count)
{
	struct ofd *o = fd_get_stack(fd);

	if (!o)
		return LIBC->readv(fd, iov, count);
	if (count < 0 || count > IOV_MAX)
		return result(o, -EINVAL);
	return result(o, no_bytes(iov, count) ? 0 : recv_stack(o, iov, (size_t)count, 0));
}

/* ---- send ---- */

void stream_sent(struct ofd *o, bool more)
{
	if (atomic_exchange(&o->sock->tx_posted, 1) == 0)
		queue_post(o, STACKD_OP_SEND, 0, 0, 0);
	if (!more && (sock_word(o) & SOCK_MORE))
		option_more(o, false);
}

void stream_hold(struct ofd *o)
{
	if (!(sock_word(o) & SOCK_MORE))
		option_more(o, true);
}

/* As much as there is room for; with less than all of it the daemon is asked to tell of room. */
static size_t put(struct ofd *o, struct cursor *c, int flags)
{
	struct stackd_sock *s = o->sock;
	uint64_t tail, n;

	lock_take(&s->tx_lock);
	tail = atomic_load_explicit(&s->tx_tail, memory_order_relaxed);
	n = tx_bytes_room(o);
	n = n < c->left ? n : c->left;
	ring_copy(c, o->tx, o->tx_bytes, tail, (size_t)n, false);
	if (n && (flags & MSG_OOB) && c->left == 0) /* before the daemon can see the byte */
		queue_post(o, STACKD_OP_URGENT, 0, (int64_t)(tail + n), 0);
	atomic_store_explicit(&s->tx_tail, tail + n, memory_order_release);
	if (c->left)
		atomic_store_explicit(&s->tx_nospace, 1, memory_order_relaxed);
	lock_drop(&s->tx_lock);
	if (n)
		stream_sent(o, flags & MSG_MORE);
	return (size_t)n;
}

/* 0: may send; 1: not connected yet; else -errno. */
int stream_may_send(struct ofd *o)
{
	uint32_t state = sock_state(o);
	int error = sock_take_error(o);

	if (error)
		return -error;
	if (state == STACKD_SOCK_CONNECTING)
		return 1;
	if (state != STACKD_SOCK_CONNECTED || (sock_shut(o) & 2) ||
	    (atomic_load_explicit(&o->sock->flags, memory_order_acquire) & STACKD_TX_SHUT))
		return -EPIPE;
	return 0;
}

static bool sendable(struct ofd *o)
{
	return ready_connected(o) && ready_writable(o);
}

int stream_send_wait(struct ofd *o, int flags, int64_t *deadline, bool part)
{
	if (o->nonblock || (flags & MSG_DONTWAIT))
		return attach_glance(o->attach) ? -ECONNRESET : -EAGAIN;
	if (!*deadline)
		*deadline = wait_deadline(o->sndtimeo_ns);
	return -wait_for(o, STACKD_OUT, sendable, !o->sndtimeo_ns && !part, *deadline);
}

static ssize_t send_stack(struct ofd *o, const struct iovec *iov, size_t count, int flags)
{
	struct cursor c;
	int64_t deadline = 0;
	size_t queued = 0;
	int error;

	if (flags & MSG_FASTOPEN)
		return -EOPNOTSUPP;
	if (lock_is_mine(&o->sock->tx_lock))
		return -EDEADLK;
	error = cursor_init(&c, iov, count);
	if (error)
		return error;
	if (flags & MSG_MORE)
		stream_hold(o);
	for (;;) {
		int r = stream_may_send(o);

		if (r == 0) {
			queued += put(o, &c, flags);
			if (c.left == 0)
				return (ssize_t)queued;
			/* room that came before the daemon could see tx_nospace is ours to find */
			atomic_thread_fence(memory_order_seq_cst);
			if (tx_bytes_room(o))
				continue;
		}
		if (r >= 0)
			r = stream_send_wait(o, flags, &deadline, queued);
		if (r < 0)
			return queued ? (ssize_t)queued : r;
	}
}

static ssize_t sent_result(struct ofd *o, ssize_t r, int flags)
{
	r = result(o, r);
	if (r < 0 && errno == EPIPE && !(flags & MSG_NOSIGNAL)) {
		raise(SIGPIPE);
		errno = EPIPE;
	}
	return r;
}

ssize_t stackd_send(int fd, const void *buf, size_t len, int flags)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	if (!o)
		return LIBC->send(fd, buf, len, flags);
	return sent_result(o, send_stack(o, &iov, 1, flags), flags);
}

ssize_t stackd_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa,
		      socklen_t sa_len)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	if (!o)
		return LIBC->sendto(fd, buf, len, flags, sa, sa_len);
	return sent_result(o, send_stack(o, &iov, 1, flags), flags);
}

ssize_t stackd_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct ofd *o = fd_get_stack(fd);

	if (!o)
		return rights_ours(m) ? rights_send(fd, m, flags) : LIBC->sendmsg(fd, m, flags);
	if (!m || m->msg_iovlen > IOV_MAX)
		return result(o, m ? -EMSGSIZE : -EFAULT);
	return sent_result(o, send_stack(o, m->msg_iov, m->msg_iovlen, flags), flags);
}

ssize_t stackd_write(int fd, const void *buf, size_t len)
{
	struct ofd *o = fd_get_stack(fd);
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	if (!o)
		return LIBC->write(fd, buf, len);
	return sent_result(o, send_stack(o, &iov, 1, 0), 0);
}

ssize_t stackd_writev(int fd, const struct iovec *iov, int count)
{
	struct ofd *o = fd_get_stack(fd);

	if (!o)
		return LIBC->writev(fd, iov, count);
	if (count < 0 || count > IOV_MAX)
		return result(o, -EINVAL);
	return sent_result(o, no_bytes(iov, count) ? 0 : send_stack(o, iov, (size_t)count, 0), 0);
}
