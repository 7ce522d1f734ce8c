/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving: one multishot receive that fills buffers of a provided ring.
 *
 * A buffer is free, posted (the kernel may fill it) or lent (the shard reads it); its next owner is
 * decided in rx_release.  How many are posted is a matter of cache: the frames of one burst are
 * written by the kernel and then read by us, so large frames want few buffers and small ones many.
 * When the posted ones are used up the receive ends with ENOBUFS, and the next rx starts it again:
 * that costs one entry in a system call which is made anyway.  Bulk over veth from kernel TCP, each
 * frame copied on to a 4 MB ring, in Gbit/s and CPU seconds per Gbit of both ends: 4 posted 50
 * (0.040), 8 58 (0.033), 16 54 (0.034), 64 36 (0.044).
 *
 * With DEFER_TASKRUN the kernel copies frames inside our io_uring_enter, on this thread; until then
 * they stay with the socket.  So it is the socket that a sleeper watches: poll on the ring's own
 * descriptor was seen not to wake (Linux 6.18, the ring watched by epoll in another thread). */
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "driver/af_packet.h"

#define BUFFERS_BYTES ((size_t)AFP_RX_BUFFERS * AFP_BUFFER_BYTES)
#define POSTS_BYTES   (AFP_RX_BUFFERS * sizeof(struct io_uring_buf))
#define GROUP         0

#ifndef AFP_POST_LARGE
#define AFP_POST_LARGE 8u
#endif
#ifndef AFP_POST_SMALL
#define AFP_POST_SMALL AFP_RX_BUFFERS
#endif
#define LARGE_FRAME 8192u

#define ERRORS_BEFORE_PAUSE 4u
#define PAUSE_NS            (10 * NS_PER_MS)

static void post(struct afp_rx *rx, uint16_t buffer)
{
	io_uring_buf_ring_add(rx->posts, rx->buffers + (size_t)buffer * AFP_BUFFER_BYTES,
			      AFP_BUFFER_BYTES, buffer, io_uring_buf_ring_mask(AFP_RX_BUFFERS), 0);
	io_uring_buf_ring_advance(rx->posts, 1);
	rx->posted++;
}

static void give_back(struct afp_rx *rx, uint16_t buffer)
{
	if (rx->posted < rx->posted_max)
		post(rx, buffer);
	else
		rx->free[rx->free_count++] = buffer;
}

static void post_more(struct afp_rx *rx)
{
	while (rx->posted < rx->posted_max && rx->free_count > 0)
		post(rx, rx->free[--rx->free_count]);
}

static int register_posts(struct afp_rx *rx, char error[static DRIVER_ERROR_MAX])
{
	struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)rx->posts,
				       .ring_entries = AFP_RX_BUFFERS,
				       .bgid = GROUP};

	io_uring_buf_ring_init(rx->posts);
	int e = io_uring_register_buf_ring(&rx->ring, &reg, 0);
	if (e < 0)
		snprintf(error, DRIVER_ERROR_MAX, "io_uring takes no buffer ring: %s",
			 strerror(-e));
	return e;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int afp_rx_open(struct af_packet *a, char error[static DRIVER_ERROR_MAX])
{
	struct afp_rx *rx = &a->rx;
	int e = afp_ring_open(&rx->ring, 8, 4 * AFP_RX_BUFFERS, a->sock, error);

	if (e < 0)
		return e;
	rx->ring_open = true;
	rx->buffers = map(BUFFERS_BYTES);
	rx->posts = map(POSTS_BYTES);
	if (!rx->buffers || !rx->posts) {
		snprintf(error, DRIVER_ERROR_MAX, "no memory for %zu KB of receive buffers",
			 BUFFERS_BYTES >> 10);
		return -ENOMEM;
	}
	if ((e = register_posts(rx, error)) < 0)
		return e;
	for (uint16_t i = AFP_RX_BUFFERS; i > 0; i--)
		rx->free[rx->free_count++] = (uint16_t)(i - 1);
	rx->posted_max = AFP_POST_SMALL;
	post_more(rx);
	return 0;
}

void afp_rx_close(struct af_packet *a)
{
	struct afp_rx *rx = &a->rx;

	if (rx->ring_open)
		io_uring_queue_exit(&rx->ring);
	if (rx->buffers)
		munmap(rx->buffers, BUFFERS_BYTES);
	if (rx->posts)
		munmap(rx->posts, POSTS_BYTES);
}

static void arm(struct afp_rx *rx, ns_t now)
{
	if (!rx->enabled) {
		afp_ring_enable(&rx->ring);
		rx->enabled = true;
	}
	if (rx->armed || now < rx->rearm_at)
		return;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&rx->ring);
	assert(sqe);
	io_uring_prep_recv_multishot(sqe, 0, NULL, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	rx->armed = true;
	rx->rearm_at = 0;
}

static bool kernel_has_work(const struct afp_rx *rx)
{
	return (IO_URING_READ_ONCE(*rx->ring.sq.kflags) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* Lets the kernel copy frames, when there is a reason to. */
static void enter(struct afp_rx *rx, bool wanted)
{
	if (io_uring_sq_ready(&rx->ring) > 0)
		io_uring_submit_and_get_events(&rx->ring);
	else if (wanted && kernel_has_work(rx))
		io_uring_get_events(&rx->ring);
}

/* ENETDOWN comes once when the interface goes down; the same receive serves again when it comes up.
 * Anything that repeats without a frame in between gets a pause. */
static void ended(struct afp_rx *rx, ns_t now, int error)
{
	rx->armed = false;
	if (error == 0 || error == -ENOBUFS)
		return;
	if (error != -ENETDOWN)
		rx->dropped++;
	if (++rx->errors >= ERRORS_BEFORE_PAUSE || error == -ENETDOWN)
		rx->rearm_at = now + PAUSE_NS;
}

static uint8_t vouched(const struct virtio_net_hdr *vnet)
{
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return FRAME_CSUM_PARTIAL;
	return vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID ? FRAME_CSUM_GOOD : FRAME_CSUM_FULL;
}

static void describe(const uint8_t *buffer, uint32_t len, struct frame *out)
{
	struct virtio_net_hdr vnet;

	memcpy(&vnet, buffer, sizeof(vnet));
	out->len = len;
	out->span_count = 1;
	out->csum = vouched(&vnet);
	out->gso_size = vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : vnet.gso_size;
	out->queue = 0;
	out->span[0] = (struct span){.base = buffer + AFP_VNET_LEN, .len = len};
}

/* Takes one completion; true when it is a frame. */
static bool take(struct afp_rx *rx, ns_t now, const struct io_uring_cqe *cqe, struct frame *out)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		ended(rx, now, cqe->res < 0 ? cqe->res : 0);
	if (!(cqe->flags & IORING_CQE_F_BUFFER))
		return false;
	uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	assert(buffer < AFP_RX_BUFFERS && rx->posted > 0);
	rx->posted--;
	/* a full buffer was cut off: longer than any frame we take (BIG TCP) */
	if (cqe->res < (int)(AFP_VNET_LEN + ETH_HLEN) || cqe->res == (int)AFP_BUFFER_BYTES) {
		rx->dropped++;
		give_back(rx, buffer);
		return false;
	}
	rx->lent[rx->lent_count++] = buffer;
	describe(rx->buffers + (size_t)buffer * AFP_BUFFER_BYTES, (uint32_t)cqe->res - AFP_VNET_LEN,
		 out);
	return true;
}

static void adapt(struct afp_rx *rx, uint32_t frames, uint64_t bytes)
{
	rx->errors = 0;
	rx->frames += frames;
	rx->bytes += bytes;
	rx->posted_max = bytes / frames > LARGE_FRAME ? AFP_POST_LARGE : AFP_POST_SMALL;
}

uint32_t afp_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct afp_rx *rx = &af_packet_of(d)->rx;
	struct io_uring_cqe *cqe;
	uint32_t frames = 0;
	uint64_t bytes = 0;
	unsigned head, seen = 0;

	assert(rx->lent_count == 0);
	arm(rx, now);
	enter(rx, io_uring_cq_ready(&rx->ring) == 0);
	io_uring_for_each_cqe(&rx->ring, head, cqe)
	{
		if (frames == max)
			break;
		seen++;
		if (take(rx, now, cqe, &out[frames]))
			bytes += out[frames++].len;
	}
	io_uring_cq_advance(&rx->ring, seen);
	if (frames > 0)
		adapt(rx, frames, bytes);
	return frames;
}

void afp_rx_release(struct driver *d)
{
	struct afp_rx *rx = &af_packet_of(d)->rx;

	while (rx->lent_count > 0)
		give_back(rx, rx->lent[--rx->lent_count]);
	post_more(rx);
}

/* The receive must stand before anybody sleeps on the descriptor; starting it may find frames. */
bool afp_rx_ready(struct driver *d, ns_t now)
{
	struct afp_rx *rx = &af_packet_of(d)->rx;

	arm(rx, now);
	enter(rx, false);
	return io_uring_cq_ready(&rx->ring) > 0 || kernel_has_work(rx);
}
