/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp_tx.c - sending, on the shard's first queue: a frame is copied into chunks at once. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "driver/af_xdp.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* The kernel sends 32 frames a call in copy mode. */
#define KICKS_MAX     (XDP_TX_CHUNKS / 32u + 2u)
#define RETRY_NS      (50 * NS_PER_US)
#define RETRY_DOWN_NS (10 * NS_PER_MS) /* the interface is down */

static void reap(struct xdp_queue *q)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->completion, XDP_TX_CHUNKS, &at);

	for (uint32_t i = 0; i < n; i++)
		q->free[q->free_count++] =
		    *xsk_ring_cons__comp_addr(&q->completion, at + i) & XDP_CHUNK_MASK;
	if (n > 0)
		xsk_ring_cons__release(&q->completion, n);
}

/* What remains to be copied of a frame. */
struct copy {
	struct span span[3];
	unsigned at;
};

static void copy_bytes(struct copy *c, uint8_t *dst, uint32_t len)
{
	while (len > 0) {
		struct span *s = &c->span[c->at];
		uint32_t n = s->len < len ? s->len : len;

		memcpy(dst, s->base, n);
		dst += n;
		len -= n;
		s->base += n;
		s->len -= n;
		if (s->len == 0)
			c->at++;
	}
}

static void write_frame(struct xdp_queue *q, uint32_t at, uint32_t pieces, struct copy *c,
			uint32_t len)
{
	for (uint32_t i = 0; i < pieces; i++) {
		struct xdp_desc *d = xsk_ring_prod__tx_desc(&q->tx, at + i);

		d->addr = q->free[--q->free_count];
		d->len = len < XDP_CHUNK_BYTES ? len : XDP_CHUNK_BYTES;
		d->options = i + 1 < pieces ? XDP_PKT_CONTD : 0;
		copy_bytes(c, q->mem + d->addr, d->len);
		len -= d->len;
	}
}

int xdp_tx(struct driver *d, ns_t now, const struct tx_frame *t)
{
	struct af_xdp *x = af_xdp_of(d);
	struct xdp_queue *q = x->queue[0];
	struct copy c = {.span = {{t->head, t->head_len}}};
	uint32_t len = t->head_len, pieces, at;

	(void)now;
	assert(!t->csum_partial);
	for (unsigned i = 0; i < t->data_count; i++) {
		c.span[i + 1] = t->data[i];
		len += t->data[i].len;
	}
	if (len > d->caps.gso_max)
		return -EMSGSIZE;
	pieces = (len + XDP_CHUNK_BYTES - 1) / XDP_CHUNK_BYTES;
	if (q->free_count < pieces)
		reap(q);
	if (q->free_count < pieces || xsk_ring_prod__reserve(&q->tx, pieces, &at) < pieces)
		return -ENOBUFS;
	write_frame(q, at, pieces, &c, len);
	x->tx_taken += pieces;
	x->stats.tx_frames++;
	x->stats.tx_bytes += len;
	return 0;
}

static uint32_t waiting(const struct xdp_queue *q)
{
	return *q->tx.producer - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

/* Calls the kernel until it has taken all, or takes no more. */
static ns_t kick(struct xdp_queue *q, ns_t now)
{
	uint32_t left = waiting(q);

	for (unsigned i = 0; i < KICKS_MAX && left > 0; i++) {
		uint32_t before = left;
		bool down;

		if (!xsk_ring_prod__needs_wakeup(&q->tx))
			return NS_NEVER;
		down = sendto(xsk_socket__fd(q->xsk), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
		       errno != EAGAIN && errno != EBUSY && errno != ENOBUFS;
		reap(q);
		left = waiting(q);
		if (left == before)
			return now + (down ? RETRY_DOWN_NS : RETRY_NS);
	}
	return left > 0 ? now + RETRY_NS : NS_NEVER;
}

void xdp_flush(struct driver *d, ns_t now)
{
	struct af_xdp *x = af_xdp_of(d);

	if (x->tx_taken == 0 && x->retry_at == NS_NEVER)
		return;
	if (x->tx_taken > 0)
		xsk_ring_prod__submit(&x->queue[0]->tx, x->tx_taken);
	x->tx_taken = 0;
	x->retry_at = kick(x->queue[0], now);
}
