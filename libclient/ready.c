/* SPDX-License-Identifier: BSD-2-Clause */
/* ready.c - what poll would say of a stack socket, read from shared memory alone.  The bits follow
 * Linux's tcp_poll. */
#include "client.h"

#define ROOM_PART 3 /* writable: a third of the buffer is free, as on Linux */

static uint32_t flags_of(const struct ofd *o)
{
	return atomic_load_explicit(&o->sock->flags, memory_order_acquire);
}

static bool takes_a_byte(const struct ofd *o)
{
	return tx_bytes_room(o) > 0;
}

static bool poll_writable(const struct ofd *o)
{
	uint64_t need = atomic_load_explicit(&o->sock->tx_limit, memory_order_relaxed) / ROOM_PART;
	uint32_t lowat = atomic_load_explicit(&o->notsent_lowat, memory_order_relaxed);

	return tx_bytes_free(o) >= (need ? need : 1) && (!lowat || tx_bytes_unsent(o) * 2 < lowat);
}

/* If not, the daemon is asked to tell, and the look is repeated. */
static bool has_room(struct ofd *o, bool (*enough)(const struct ofd *))
{
	if (enough(o))
		return true;
	atomic_store_explicit(&o->sock->tx_nospace, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return enough(o);
}

static uint32_t connected_bits(struct ofd *o, uint32_t want)
{
	uint32_t flags = flags_of(o), shut = sock_shut(o), bits = 0;
	bool eof = (flags & STACKD_RX_EOF) || (shut & 1);
	bool fin = (flags & STACKD_TX_SHUT) || (shut & 2);

	if (eof)
		bits |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (eof && fin)
		bits |= POLLHUP;
	if (rx_bytes_readable(o) >= (uint64_t)o->rcvlowat)
		bits |= POLLIN | POLLRDNORM;
	if ((want & (POLLOUT | POLLWRNORM)) && (fin || has_room(o, poll_writable)))
		bits |= POLLOUT | POLLWRNORM;
	if ((flags & STACKD_URGENT) && urgent_is_ready(o))
		bits |= POLLPRI;
	return bits;
}

uint32_t ready_bits(struct ofd *o, uint32_t want)
{
	uint32_t state = sock_state(o), bits = 0;

	if (attach_is_dead(o->attach))
		return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP | POLLRDNORM | POLLWRNORM;
	switch (state) {
	case STACKD_SOCK_CONNECTED:
		bits = connected_bits(o, want);
		break;
	case STACKD_SOCK_LISTENING:
		bits = accept_pending(o) || both_pending(o) ? POLLIN | POLLRDNORM : 0;
		if (sock_shut(o) & 1)
			bits = POLLOUT | POLLWRNORM | POLLHUP;
		break;
	case STACKD_SOCK_OPEN:
		bits = POLLOUT | POLLWRNORM | POLLHUP;
		if (sock_shut(o) & 1)
			bits |= POLLIN | POLLRDNORM | POLLRDHUP;
		break;
	case STACKD_SOCK_CLOSED:
		bits = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP | POLLRDHUP;
		break;
	default:
		break;
	}
	if (atomic_load_explicit(&o->sock->error, memory_order_relaxed) ||
	    atomic_load_explicit(&o->error, memory_order_relaxed))
		bits |= POLLERR;
	return bits;
}

static void how_far(const struct ofd *o, uint32_t want, struct news *n)
{
	bool in = want & (POLLIN | POLLRDNORM), out = want & (POLLOUT | POLLWRNORM);

	n->in = 0;
	if (in && sock_state(o) == STACKD_SOCK_LISTENING)
		n->in = accept_tail(o);
	else if (in)
		n->in = atomic_load_explicit(&o->sock->rx_tail, memory_order_acquire);
	if (want & POLLPRI)
		n->in += atomic_load_explicit(&o->sock->urgent_off, memory_order_relaxed);
	if (out)
		n->out = atomic_load_explicit(&o->sock->tx_head, memory_order_acquire) +
			 atomic_load_explicit(&o->sock->tx_sent, memory_order_acquire);
	n->gen = o->gen;
}

/* Data that comes between the two looks belongs to one or the other, so they are repeated. */
struct news ready_news(struct ofd *o, uint32_t want)
{
	struct news before = {0}, n = {0};

	how_far(o, want, &n);
	do {
		before = n;
		n.bits = ready_bits(o, want) & want;
		how_far(o, want, &n);
	} while (n.in != before.in || n.out != before.out);
	return n;
}

bool ready_readable(struct ofd *o)
{
	return rx_bytes_readable(o) || sock_state(o) != STACKD_SOCK_CONNECTED ||
	       (flags_of(o) & STACKD_RX_EOF) || (sock_shut(o) & 1) ||
	       atomic_load_explicit(&o->sock->error, memory_order_relaxed);
}

bool ready_writable(struct ofd *o)
{
	return sock_state(o) != STACKD_SOCK_CONNECTED || has_room(o, takes_a_byte) ||
	       (flags_of(o) & STACKD_TX_SHUT) || (sock_shut(o) & 2) ||
	       atomic_load_explicit(&o->sock->error, memory_order_relaxed);
}

bool ready_accept(struct ofd *o)
{
	return accept_pending(o) || both_pending(o) || (sock_shut(o) & 1) || attach_is_dead(o->attach);
}

bool ready_connected(struct ofd *o)
{
	return sock_state(o) != STACKD_SOCK_CONNECTING;
}

uint32_t ready_interest(uint32_t events)
{
	return (events & (POLLIN | POLLRDNORM | POLLRDHUP | POLLPRI) ? STACKD_IN : 0u) |
	       (events & (POLLOUT | POLLWRNORM) ? STACKD_OUT : 0u);
}
