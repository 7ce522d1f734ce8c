/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp_rx.c - receiving: descriptors become frames, chunks go back by rx_release. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "driver/af_xdp.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* Chunks of the frame that begins at descriptor `at`; 0 when its end isn't among the `count`. */
static uint32_t frame_pieces(const struct xdp_queue *q, uint32_t at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!(xsk_ring_cons__rx_desc(&q->rx, at + i)->options & XDP_PKT_CONTD))
			return i + 1;
	return 0;
}

/* A first span of XDP_HEAD_BYTES, gathered from the first chunks.  Zero-copy devices may split
 * headers off. */
static void gather_head(struct frame *f, uint8_t *head)
{
	uint32_t want = f->len < XDP_HEAD_BYTES ? f->len : XDP_HEAD_BYTES, have = 0;
	unsigned first = 0;

	while (have < want) {
		struct span *s = &f->span[first];
		uint32_t n = s->len < want - have ? s->len : want - have;

		memcpy(head + have, s->base, n);
		have += n;
		s->base += n;
		s->len -= n;
		if (s->len == 0)
			first++;
	}
	/* the spent spans make room: a short first span is among them */
	f->span_count = (uint8_t)(f->span_count - first + 1);
	memmove(&f->span[1], &f->span[first], (f->span_count - 1u) * sizeof(f->span[0]));
	f->span[0] = (struct span){head, have};
}

static void build(struct xdp_queue *q, uint32_t at, uint32_t pieces, struct frame *f, uint8_t *head)
{
	f->len = 0;
	f->span_count = (uint8_t)pieces;
	f->csum = FRAME_CSUM_UNKNOWN;
	f->gso_size = 0;
	f->queue = (uint16_t)q->id;
	for (uint32_t i = 0; i < pieces; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);

		f->span[i] = (struct span){q->mem + d->addr, d->len};
		f->len += d->len;
	}
	if (pieces > 1 && f->span[0].len < XDP_HEAD_BYTES)
		gather_head(f, head);
}

static void keep_chunks(struct xdp_queue *q, uint32_t at, uint32_t pieces)
{
	for (uint32_t i = 0; i < pieces; i++) {
		uint64_t addr = xsk_ring_cons__rx_desc(&q->rx, at + i)->addr;

		q->lent[q->lent_count++] = addr & XDP_CHUNK_MASK;
	}
}

/* Writes up to max frames from out[have] on. */
static uint32_t queue_rx(struct af_xdp *x, struct xdp_queue *q, struct frame *out, uint32_t have,
			 uint32_t max)
{
	uint32_t at, used = 0, pieces, available;

	/* the library looks only when it knows of none: half a frame would hide the other half */
	q->rx.cached_prod = __atomic_load_n(q->rx.producer, __ATOMIC_ACQUIRE);
	available = xsk_ring_cons__peek(&q->rx, XDP_RX_CHUNKS, &at);
	while (have < max && (pieces = frame_pieces(q, at + used, available - used)) > 0) {
		keep_chunks(q, at + used, pieces);
		if (pieces <= FRAME_SPANS_MAX) {
			build(q, at + used, pieces, &out[have], x->head[have]);
			x->stats.rx_bytes += out[have].len;
			have++;
		} else {
			x->stats.rx_dropped++;
		}
		used += pieces;
	}
	if (available) {
		xsk_ring_cons__cancel(&q->rx, available - used);
		xsk_ring_cons__release(&q->rx, used);
	}
	return have;
}

uint32_t xdp_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct af_xdp *x = af_xdp_of(d);
	uint32_t n = 0;

	(void)now;
	assert(max <= FRAME_BURST_MAX);
	for (uint32_t i = 0; i < x->queue_count && n < max; i++) {
		struct xdp_queue *q = x->queue[(x->next_queue + i) % x->queue_count];

		assert(q->lent_count == 0);
		n = queue_rx(x, q, out, n, max);
	}
	x->next_queue = (x->next_queue + 1) % x->queue_count;
	x->stats.rx_frames += n;
	return n;
}

static void give_back(struct xdp_queue *q)
{
	uint32_t n = q->lent_count, at = 0, reserved;

	if (n == 0)
		return;
	reserved = xsk_ring_prod__reserve(&q->fill, n, &at);
	assert(reserved == n);
	(void)reserved;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = q->lent[i];
	xsk_ring_prod__submit(&q->fill, n);
	q->lent_count = 0;
}

void xdp_rx_release(struct driver *d)
{
	struct af_xdp *x = af_xdp_of(d);

	for (uint32_t i = 0; i < x->queue_count; i++) {
		struct xdp_queue *q = x->queue[i];

		give_back(q);
		if (xsk_ring_prod__needs_wakeup(&q->fill))
			recvfrom(xsk_socket__fd(q->xsk), NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

bool xdp_rx_ready(struct driver *d, ns_t now)
{
	struct af_xdp *x = af_xdp_of(d);

	(void)now;
	for (uint32_t i = 0; i < x->queue_count; i++) {
		const struct xdp_queue *q = x->queue[i];

		if (__atomic_load_n(q->rx.producer, __ATOMIC_ACQUIRE) != q->rx.cached_cons)
			return true;
	}
	return false;
}
