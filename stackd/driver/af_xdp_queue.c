/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp_queue.c - one AF_XDP socket on one queue, with its UMEM and rings.
 *
 * The UMEM has XDP_RX_CHUNKS for receiving and then XDP_TX_CHUNKS for sending.  The rings are at
 * least as long as that, so that giving a chunk back always finds room. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "driver/af_xdp.h"

#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

#define UMEM_BYTES ((size_t)(XDP_RX_CHUNKS + XDP_TX_CHUNKS) * XDP_CHUNK_BYTES)
/* The kernel shows received frames a moment before it shows that it took their chunks from the fill
 * ring: until then that ring holds those chunks twice. */
#define FILL_SIZE         (2 * XDP_RX_CHUNKS)
#define SEND_BUFFER_BYTES (4 << 20)

/* A queue is free again some 100 ms after its last socket was closed. */
#define BIND_TRIES    200
#define BIND_PAUSE_NS (10 * (long)NS_PER_MS)

static int umem_create(struct xdp_queue *q)
{
	const struct xsk_umem_config config = {
	    .fill_size = FILL_SIZE,
	    .comp_size = XDP_TX_CHUNKS,
	    .frame_size = XDP_CHUNK_BYTES,
	};
	void *mem = mmap(NULL, UMEM_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	q->mem = mem;
	return xsk_umem__create(&q->umem, mem, UMEM_BYTES, &q->fill, &q->completion, &config);
}

static void give_chunks(struct xdp_queue *q)
{
	uint32_t at = 0;

	xsk_ring_prod__reserve(&q->fill, XDP_RX_CHUNKS, &at);
	for (uint32_t i = 0; i < XDP_RX_CHUNKS; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)i * XDP_CHUNK_BYTES;
	xsk_ring_prod__submit(&q->fill, XDP_RX_CHUNKS);
	for (uint32_t i = 0; i < XDP_TX_CHUNKS; i++)
		q->free[q->free_count++] = (uint64_t)(XDP_RX_CHUNKS + i) * XDP_CHUNK_BYTES;
}

static int bind_socket(struct xdp_queue *q, const char *interface, const struct xdp_plan *plan)
{
	const struct timespec pause = {.tv_nsec = BIND_PAUSE_NS};
	unsigned flags = XDP_USE_NEED_WAKEUP | (plan->zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
			 (plan->multi_buffer ? XDP_USE_SG : 0u);
	const struct xsk_socket_config config = {
	    .rx_size = XDP_RX_CHUNKS,
	    .tx_size = XDP_TX_CHUNKS,
	    .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
	    .bind_flags = (uint16_t)flags,
	};
	int err = -EBUSY;

	for (int i = 0; i < BIND_TRIES && err == -EBUSY; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		err =
		    xsk_socket__create(&q->xsk, interface, q->id, q->umem, &q->rx, &q->tx, &config);
	}
	return err;
}

static void explain(int err, const char *interface, uint32_t id, const struct xdp_plan *plan,
		    char error[static DRIVER_ERROR_MAX])
{
	if (err == -EPERM)
		snprintf(
		    error, DRIVER_ERROR_MAX,
		    "not allowed to open an AF_XDP socket on %s: this needs root or CAP_NET_RAW",
		    interface);
	else if (err == -EBUSY)
		snprintf(error, DRIVER_ERROR_MAX,
			 "queue %u of %s is in use by another AF_XDP socket", id, interface);
	else if (err == -EOPNOTSUPP && plan->zero_copy)
		snprintf(error, DRIVER_ERROR_MAX, "%s has no zero-copy", interface);
	else
		snprintf(error, DRIVER_ERROR_MAX, "no AF_XDP socket on queue %u of %s (%s): %s", id,
			 interface, plan->zero_copy ? "zero-copy" : "copy", strerror(-err));
}

int xdp_queue_open(const char *interface, uint32_t id, const struct xdp_plan *plan,
		   struct xdp_queue **out, char error[static DRIVER_ERROR_MAX])
{
	struct xdp_queue *q = calloc(1, sizeof(*q));
	int bytes = SEND_BUFFER_BYTES;
	int err = -ENOMEM;

	if (!q)
		goto fail;
	q->id = id;
	err = umem_create(q);
	if (err)
		goto fail;
	give_chunks(q);
	err = bind_socket(q, interface, plan);
	if (err)
		goto fail;
	/* best effort: the default holds some 90 frames that the other end hasn't freed yet */
	setsockopt(xsk_socket__fd(q->xsk), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	*out = q;
	return 0;
fail:
	explain(err, interface, id, plan, error);
	if (q)
		xdp_queue_close(q);
	return err;
}

void xdp_queue_close(struct xdp_queue *q)
{
	if (q->xsk)
		xsk_socket__delete(q->xsk);
	if (q->umem)
		xsk_umem__delete(q->umem);
	if (q->mem)
		munmap(q->mem, UMEM_BYTES);
	free(q);
}
