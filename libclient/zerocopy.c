/* SPDX-License-Identifier: BSD-2-Clause */
/* zerocopy.c - the rings without our copy: reserve and commit, peek and consume, and sendfile,
 * which reads the file straight into the send ring. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "stackd.h"

int ring_spans(uint8_t *ring, uint64_t ring_bytes, uint64_t at, uint64_t n, struct iovec iov[2])
{
	uint64_t index = at & (ring_bytes - 1);
	uint64_t first = n < ring_bytes - index ? n : ring_bytes - index;

	iov[0] = (struct iovec){.iov_base = ring + index, .iov_len = first};
	iov[1] = (struct iovec){.iov_base = ring, .iov_len = n - first};
	return n == 0 ? 0 : n == first ? 1 : 2;
}

/* ---- reserve and commit, peek and consume ----
 *
 * What was lent ends at a stream offset: what a copying call does between takes from it, and
 * nothing is given back twice. */

static int no_stack_socket(int fd)
{
	return LIBC->fcntl(fd, F_GETFD, NULL) < 0 ? EBADF : EOPNOTSUPP;
}

/* Of a loan up to `end`, from `at`. */
static bool was_lent(uint64_t end, uint64_t at, size_t len)
{
	return len == 0 || (at < end && len <= end - at);
}

static uint64_t room_or_ask(struct ofd *o, size_t len)
{
	uint64_t n = tx_bytes_room(o);

	if (n < len) { /* the flag, the fence, one more look: docs/PROTOCOL.md */
		atomic_store(&o->sock->tx_nospace, 1);
		atomic_thread_fence(memory_order_seq_cst);
		n = tx_bytes_room(o);
	}
	return n < len ? n : len;
}

static ssize_t reserve(struct ofd *o, size_t len, struct iovec iov[2])
{
	int r = stream_may_send(o);
	uint64_t tail, n;

	if (r)
		return r == 1 ? -EAGAIN : r;
	n = room_or_ask(o, len);
	if (n == 0 && len)
		return attach_glance(o->attach) ? -ECONNRESET : -EAGAIN;
	tail = atomic_load(&o->sock->tx_tail);
	ring_spans(o->tx, o->tx_bytes, tail, n, iov);
	atomic_store(&o->reserved_to, tail + n);
	return (ssize_t)n;
}

ssize_t stackd_reserve(int fd, size_t len, struct iovec iov[2])
{
	struct ofd *o = fd_get_stack(fd);
	ssize_t r;

	if (!o)
		return sock_fail(no_stack_socket(fd));
	r = iov ? reserve(o, len, iov) : -EFAULT;
	fd_put(o);
	return r < 0 ? sock_fail((int)-r) : r;
}

int stackd_commit(int fd, size_t len)
{
	struct ofd *o = fd_get_stack(fd);
	uint64_t tail;
	bool fits;

	if (!o)
		return sock_fail(no_stack_socket(fd));
	tail = atomic_load(&o->sock->tx_tail);
	fits = was_lent(atomic_load(&o->reserved_to), tail, len) && len <= tx_bytes_room(o);
	if (fits && len) {
		atomic_store_explicit(&o->sock->tx_tail, tail + len, memory_order_release);
		stream_sent(o, false);
	}
	fd_put(o);
	return sock_fail(fits ? 0 : EINVAL);
}

static ssize_t peek(struct ofd *o, struct iovec iov[2])
{
	uint64_t n = rx_bytes_available(o), head;
	int r;

	if (n == 0) {
		r = stream_why_empty(o);
		n = rx_bytes_available(o); /* it may have come with what ended it */
		if (n == 0 && r == 1)
			r = attach_glance(o->attach) ? -ECONNRESET : -EAGAIN;
		if (n == 0 || r < 0)
			return r;
	}
	head = atomic_load(&o->sock->rx_head);
	ring_spans(o->rx, o->rx_bytes, head, n, iov);
	atomic_store(&o->peeked_to, head + n);
	return (ssize_t)n;
}

ssize_t stackd_peek(int fd, struct iovec iov[2])
{
	struct ofd *o = fd_get_stack(fd);
	ssize_t r;

	if (!o)
		return sock_fail(no_stack_socket(fd));
	r = iov ? peek(o, iov) : -EFAULT;
	fd_put(o);
	return r < 0 ? sock_fail((int)-r) : r;
}

int stackd_consume(int fd, size_t len)
{
	struct ofd *o = fd_get_stack(fd);
	bool fits;

	if (!o)
		return sock_fail(no_stack_socket(fd));
	fits = was_lent(atomic_load(&o->peeked_to), atomic_load(&o->sock->rx_head), len);
	if (fits && len)
		stream_consume(o, len);
	fd_put(o);
	return sock_fail(fits ? 0 : EINVAL);
}

/* ---- sendfile ---- */

ssize_t stream_fill(struct ofd *o, int in, off_t *offset, size_t len, bool more)
{
	struct stackd_sock *s = o->sock;
	struct iovec iov[2];
	ssize_t n = 0;
	uint64_t tail;

	lock_take(&s->tx_lock);
	tail = atomic_load_explicit(&s->tx_tail, memory_order_relaxed);
	ring_spans(o->tx, o->tx_bytes, tail, tx_bytes_room(o), iov);
	if (iov[0].iov_len) {
		len = len < iov[0].iov_len ? len : iov[0].iov_len;
		n = offset ? LIBC->pread(in, iov[0].iov_base, len, *offset)
			   : LIBC->read(in, iov[0].iov_base, len);
	}
	if (n > 0)
		atomic_store_explicit(&s->tx_tail, tail + (uint64_t)n, memory_order_release);
	lock_drop(&s->tx_lock);
	if (!iov[0].iov_len)
		return -EAGAIN;
	if (n < 0)
		return errno == ESPIPE || errno == EISDIR ? -EINVAL : -errno;
	if (n > 0)
		stream_sent(o, more);
	if (offset)
		*offset += n;
	return n;
}

int stream_fill_wait(struct ofd *o, int flags, int64_t *deadline)
{
	atomic_store(&o->sock->tx_nospace, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (tx_bytes_room(o) && stream_may_send(o) == 0)
		return 0;
	return stream_send_wait(o, flags, deadline, false);
}

static ssize_t sendfile_stack(struct ofd *o, int in, off_t *offset, size_t len)
{
	int64_t deadline = 0;
	size_t sent = 0;

	while (sent < len) {
		ssize_t r = stream_may_send(o);

		if (r == 0) {
			r = stream_fill(o, in, offset, len - sent, false);
			if (r == 0)
				break;
		} else if (r == 1) {
			r = -EAGAIN;
		}
		if (r > 0) {
			sent += (size_t)r;
			continue;
		}
		if (r == -EAGAIN)
			r = stream_fill_wait(o, 0, &deadline);
		if (r < 0)
			return sent ? (ssize_t)sent : r;
	}
	return (ssize_t)sent;
}

ssize_t stackd_sendfile(int out, int in, off_t *offset, size_t count)
{
	struct ofd *o = fd_get_stack(out), *from = fd_get_stack(in);
	ssize_t r;

	if (!o && !from)
		return LIBC->sendfile(out, in, offset, count);
	r = from ? -EINVAL : sendfile_stack(o, in, offset, count);
	fd_put(from);
	fd_put(o);
	if (r >= 0)
		return r;
	if (r == -EPIPE)
		raise(SIGPIPE);
	return sock_fail((int)-r);
}
