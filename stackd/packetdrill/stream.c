/* SPDX-License-Identifier: BSD-2-Clause */
/* stream.c - owns the way of bytes between a call's buffers and a connection's rings. */
#include "packetdrill/adapter.h"

#include <errno.h>

static size_t total(const struct iovec *v, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += v[i].iov_len;
	return bytes;
}

/* --- receiving ----------------------------------------------------------------------------------
 */

/* What recv waits for. */
struct wanted {
	struct so *so;
	uint64_t bytes;
};

static bool has_wanted(void *arg)
{
	const struct wanted *w = arg;
	const struct so *s = w->so;

	return s->arrived - s->received >= w->bytes || s->eof || s->read_shut || s->error ||
	       s->state == STATE_ENDED;
}

/* discard: MSG_TRUNC, the bytes go nowhere. */
static size_t copy_out(const struct so *s, const struct iovec *v, size_t count, bool discard)
{
	uint64_t off = s->received;

	for (size_t i = 0; i < count && off < s->arrived; i++) {
		uint64_t len = v[i].iov_len < s->arrived - off ? v[i].iov_len : s->arrived - off;

		if (!discard)
			byte_ring_read(&s->rx, off, v[i].iov_base, (uint32_t)len);
		off += len;
	}
	return (size_t)(off - s->received);
}

/* After the peer's FIN a RST takes nothing from the reader. */
static ssize_t nothing(struct so *s)
{
	if (s->error && !s->fin)
		return -so_take_error(s);
	return 0;
}

ssize_t so_receive(struct so *s, const struct iovec *v, size_t count, int flags)
{
	bool waits = !s->nonblock && !(flags & MSG_DONTWAIT);
	size_t most = total(v, count), got;
	struct wanted wanted = {s, flags & MSG_WAITALL ? most : 1};

	if (flags & MSG_OOB)
		return -EINVAL; /* urgent data is in the stream */
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (!s->was_connected && !s->error)
		return -ENOTCONN;
	if (most == 0)
		return 0;
	if (waits)
		adapter_wait(s->adapter, has_wanted, &wanted,
			     adapter_deadline(s->adapter, s->options.receive_ns));
	got = copy_out(s, v, count, flags & MSG_TRUNC);
	if (got == 0)
		return s->eof || s->read_shut || s->error ? nothing(s) : -EAGAIN;
	if (flags & MSG_PEEK)
		return (ssize_t)got;
	s->received += got;
	if (s->conn) {
		tcp_consumed(s->conn, s->received);
		adapter_turn(s->adapter);
	}
	return (ssize_t)got;
}

/* --- sending
 * -------------------------------------------------------------------------------------- */

uint32_t so_send_limit(const struct so *s)
{
	return s->options.send_buffer < s->tx.size ? s->options.send_buffer : s->tx.size;
}

uint32_t so_room(const struct so *s)
{
	uint64_t used = s->queued - s->acked;
	uint32_t limit = so_send_limit(s);

	return used < limit ? limit - (uint32_t)used : 0;
}

static bool has_room(void *arg)
{
	const struct so *s = arg;

	return s->state != STATE_CONNECTED || s->write_shut || s->error || so_room(s) > 0;
}

static bool is_open(void *arg)
{
	return ((const struct so *)arg)->state != STATE_CONNECTING;
}

/* As much as there is room for, from `skip` on. */
static size_t copy_in(struct so *s, const struct iovec *v, size_t count, size_t skip)
{
	size_t done = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *from = v[i].iov_base;
		size_t len = v[i].iov_len, room = so_room(s);

		if (skip >= len) {
			skip -= len;
			continue;
		}
		from += skip;
		len -= skip;
		skip = 0;
		if (len > room)
			len = room;
		byte_ring_write(&s->tx, s->queued, from, (uint32_t)len);
		s->queued += len;
		done += len;
		if (so_room(s) == 0)
			break;
	}
	return done;
}

static int send_error(struct so *s)
{
	if (s->error)
		return so_take_error(s);
	if (s->write_shut || s->state == STATE_ENDED)
		return EPIPE;
	return s->state == STATE_CONNECTED && s->conn ? 0 : ENOTCONN;
}

/* MSG_MORE corks until the next call without it. */
static void cork(struct so *s, bool more)
{
	if (more == s->more)
		return;
	s->more = more;
	tcp_set_option(s->conn, TCP_OPT_CORK, more || s->options.value[TCP_OPT_CORK]);
}

static void push(struct so *s, bool urgent)
{
	if (urgent)
		tcp_queue_urgent(s->conn, s->queued);
	tcp_queued(s->conn, s->queued);
	adapter_turn(s->adapter);
}

ssize_t so_send(struct so *s, const struct iovec *v, size_t count, int flags)
{
	bool waits = !s->nonblock && !(flags & MSG_DONTWAIT);
	size_t all = total(v, count), done = 0;
	ns_t until = adapter_deadline(s->adapter, s->options.send_ns);
	int error;

	if (s->state == STATE_CONNECTING) {
		if (!waits || !adapter_wait(s->adapter, is_open, s, until))
			return -EAGAIN;
	}
	while ((error = send_error(s)) == 0 && done < all) {
		size_t n;

		cork(s, flags & MSG_MORE);
		n = copy_in(s, v, count, done);
		done += n;
		if (n > 0)
			push(s, flags & MSG_OOB && done == all);
		if (done < all && (!waits || !adapter_wait(s->adapter, has_room, s, until)))
			return done ? (ssize_t)done : -EAGAIN;
	}
	return error && done == 0 ? -error : (ssize_t)done;
}
