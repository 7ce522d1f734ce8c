/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp.h - what the parts of the AF_XDP driver share.  Nobody else includes it. */
#ifndef STACKD_DRIVER_AF_XDP_H
#define STACKD_DRIVER_AF_XDP_H

#include <net/if.h>
#include <xdp/xsk.h>

#include "base/addr.h"
#include "driver/device.h"
#include "driver/driver.h"

#include "stackd_xdp.h"

#define XDP_CHUNK_BYTES 4096u /* the most that the kernel allows */
#define XDP_CHUNK_MASK  (~(uint64_t)(XDP_CHUNK_BYTES - 1))
/* What a chunk holds of a received frame: the kernel keeps 256 bytes before it. */
#define XDP_CHUNK_ROOM (XDP_CHUNK_BYTES - 256u)
/* Per queue: 56 frames of 64 KB.  In bulk 512 and 2048 cost as much, 256 lose frames. */
#define XDP_RX_CHUNKS 1024u
#define XDP_TX_CHUNKS  512u
#define XDP_HEAD_BYTES 256u /* that driver.h promises in the first span */

/* How an interface is driven, best first. */
struct xdp_plan {
	bool native, zero_copy;
	bool multi_buffer; /* frames in several chunks */
};

/* One queue: a socket with its own UMEM and four rings. */
struct xdp_queue {
	uint32_t id;
	uint8_t *mem;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion, rx;
	uint32_t lent_count;
	uint32_t free_count;
	uint64_t lent[XDP_RX_CHUNKS]; /* chunks in frames of the last rx */
	uint64_t free[XDP_TX_CHUNKS]; /* a stack: the chunk used last is the warmest */
};

/* An interface of this process, shared by the shards.  af_xdp_prog.c */
struct xdp_interface {
	struct xdp_interface *next;
	int ifindex;
	char name[IFNAMSIZ];
	uint32_t refs;
	struct steer_bpf *skel;
	int link; /* the attachment: gone when the descriptor is, also by kill -9 */
	struct xdp_plan plan;
	char why_not_better[160];
};

struct af_xdp {
	struct driver driver;
	struct xdp_interface *interface;
	struct xdp_queue *queue[STACKD_XDP_QUEUES_MAX]; /* sending uses the first */
	uint32_t queue_count, next_queue;
	struct xdp_sender *sender; /* NULL: the first queue's socket sends */
	uint32_t tx_taken; /* descriptors written since the last flush */
	ns_t retry_at;     /* NS_NEVER: the kernel took all that was given */
	struct driver_stats stats;
	uint8_t head[FRAME_BURST_MAX][XDP_HEAD_BYTES]; /* of frames whose first chunk is short */
};

static inline struct af_xdp *af_xdp_of(struct driver *d)
{
	return container_of(d, struct af_xdp, driver);
}

/* af_xdp_prog.c: shard 0 creates the interface's entry and loads the program, the others find it.
 * 0 or -errno with a sentence. */
int xdp_interface_get(const struct driver_config *, const struct device *,
		      struct xdp_interface **out, char error[static DRIVER_ERROR_MAX]);
/* The last one detaches the program. */
void xdp_interface_put(struct xdp_interface *);
int xdp_interface_attach(struct xdp_interface *, const struct xdp_plan *,
			 char error[static DRIVER_ERROR_MAX]);
/* From now on frames of that queue go to this socket. */
int xdp_interface_steer(struct xdp_interface *, uint32_t queue, int xsk);

/* af_xdp_queue.c: 0 or -errno with a sentence. */
int xdp_queue_open(const char *interface, uint32_t id, const struct xdp_plan *,
		   struct xdp_queue **out, char error[static DRIVER_ERROR_MAX]);
void xdp_queue_close(struct xdp_queue *);

/* af_xdp_rx.c */
uint32_t xdp_rx(struct driver *, ns_t now, struct frame *out, uint32_t max);
void xdp_rx_release(struct driver *);
bool xdp_rx_ready(struct driver *, ns_t now);

/* af_xdp_tx.c */
int xdp_tx(struct driver *, ns_t now, const struct tx_frame *);
void xdp_flush(struct driver *, ns_t now);

/* af_xdp_sender.c: sending beside the AF_XDP sockets.  0 or -errno with a sentence. */
int xdp_sender_open(const char *interface, const struct device *, struct xdp_sender **out,
		    char error[static DRIVER_ERROR_MAX]);
void xdp_sender_close(struct xdp_sender *);
int xdp_sender_tx(struct driver *, ns_t now, const struct tx_frame *);
void xdp_sender_flush(struct driver *, ns_t now);
ns_t xdp_sender_deadline(struct driver *);
void xdp_sender_stats(const struct xdp_sender *, struct driver_stats *);

#endif
