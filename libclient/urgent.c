/* SPDX-License-Identifier: BSD-2-Clause */
/* urgent.c - the urgent byte as Linux shows it: at most one, the one before the peer's urgent
 * pointer.  Reading stops in front of it once; it is got with MSG_OOB and passed over by reads, or,
 * with SO_OOBINLINE, is data like all others.  That somebody has got it is kept in the slot's word
 * of the clients, for all processes that share the socket. */
#include "client.h"

#include <errno.h>

#define MARK_BITS  28
#define OTHER_BITS 7u

static bool is_inline(const struct ofd *o)
{
	return option_value(o, SOL_SOCKET, SO_OOBINLINE) != 0;
}

uint64_t urgent_mark(const struct ofd *o)
{
	uint64_t off;

	if (!urgent_is_set(o))
		return URGENT_NONE;
	off = atomic_load_explicit(&o->sock->urgent_off, memory_order_relaxed);
	return off > atomic_load_explicit(&o->sock->rx_head, memory_order_relaxed) ? off - 1
										   : URGENT_NONE;
}

bool urgent_at_mark(const struct ofd *o)
{
	return urgent_mark(o) == atomic_load_explicit(&o->sock->rx_head, memory_order_relaxed);
}

/* ---- was it got already? ---- */

static uint32_t got_word(uint64_t mark)
{
	return SOCK_URGENT_GOT | (uint32_t)mark << (32 - MARK_BITS);
}

static bool was_got(const struct ofd *o, uint64_t mark)
{
	return (sock_word(o) & ~OTHER_BITS) == got_word(mark);
}

static void note_got(struct ofd *o, uint64_t mark)
{
	uint32_t word = sock_word(o);

	while (!__atomic_compare_exchange_n(&o->sock->client_word, &word,
					    (word & OTHER_BITS) | got_word(mark), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

/* ---- what reads see ---- */

uint64_t urgent_readable(const struct ofd *o, uint64_t available)
{
	return available - (urgent_at_mark(o) && !is_inline(o));
}

bool urgent_limit(const struct ofd *o, uint64_t head, uint64_t *n)
{
	uint64_t mark = urgent_mark(o);

	if (mark == URGENT_NONE)
		return false;
	if (mark == head && *n && !is_inline(o)) {
		--*n;
		return true;
	}
	if (mark > head && *n > mark - head)
		*n = mark - head;
	return false;
}

uint64_t urgent_before_mark(const struct ofd *o)
{
	uint64_t mark = urgent_mark(o), available = rx_bytes_available(o);
	uint64_t head = atomic_load_explicit(&o->sock->rx_head, memory_order_relaxed);

	return mark == URGENT_NONE || is_inline(o) || mark - head >= available ? available
									       : mark - head;
}

static bool has_come(const struct ofd *o, uint64_t mark)
{
	return mark < atomic_load_explicit(&o->sock->rx_tail, memory_order_acquire);
}

bool urgent_is_ready(const struct ofd *o)
{
	uint64_t mark = urgent_mark(o);

	return mark != URGENT_NONE && has_come(o, mark) && !was_got(o, mark);
}

/* recv with MSG_OOB, in the order of Linux's tcp_recv_urg. */
ssize_t urgent_recv(struct ofd *o, const struct iovec *iov, size_t count, int flags)
{
	uint32_t state = sock_state(o);
	uint64_t mark = urgent_mark(o);

	if (state == STACKD_SOCK_LISTENING)
		return -ENOTCONN;
	if (mark == URGENT_NONE || is_inline(o) || was_got(o, mark))
		return -EINVAL;
	if (!has_come(o, mark))
		return state == STACKD_SOCK_CLOSED || (sock_shut(o) & 1) ? 0 : -EAGAIN;
	if (!(flags & MSG_PEEK))
		note_got(o, mark);
	for (size_t i = 0; i < count; i++)
		if (iov[i].iov_len) {
			if (!(flags & MSG_TRUNC))
				*(uint8_t *)iov[i].iov_base = o->rx[mark & (o->rx_bytes - 1)];
			return 1;
		}
	return 0;
}
