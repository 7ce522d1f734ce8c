/* SPDX-License-Identifier: BSD-2-Clause */
/* af_packet_tx.h - sending through a packet socket with vnet headers: frames of up to 64 KB whose
 * checksum and segmentation the kernel or the device finishes.  A half of the AF_PACKET driver, and
 * the sender of the AF_XDP driver where an AF_XDP socket copies anyway (af_xdp_sender.c). */
#ifndef STACKD_DRIVER_AF_PACKET_TX_H
#define STACKD_DRIVER_AF_PACKET_TX_H

#include <liburing.h>
#include <linux/virtio_net.h>

#include "driver/device.h"
#include "driver/driver.h"

#define AFP_VNET_LEN ((uint32_t)sizeof(struct virtio_net_hdr))
/* A whole GSO frame and its vnet header; an odd number of cache lines, so that the first lines of
 * the buffers spread over the cache's sets. */
#define AFP_BUFFER_BYTES (1025u * 64u)

#define AFP_TX_SLOTS    64u
#define AFP_TX_HEAD_MAX 2048u
#define AFP_PARKED_MAX  16u

struct afp_tx_slot {
	struct msghdr msg;
	struct iovec iov[3];
	uint32_t len; /* of the frame, without the vnet header */
	struct virtio_net_hdr vnet;
	uint8_t head[AFP_TX_HEAD_MAX]; /* directly behind vnet */
};

/* A copy of a frame that the kernel had no room for. */
struct afp_parked {
	uint32_t len; /* with the vnet header */
	uint8_t *bytes;
};

struct afp_tx {
	int sock;
	uint32_t mtu;
	struct io_uring ring;
	bool ring_open;
	bool enabled;
	uint32_t taken; /* slots filled since the last flush */
	struct afp_tx_slot *slots;
	uint8_t *park; /* AFP_PARKED_MAX buffers, untouched until needed */
	struct afp_parked parked[AFP_PARKED_MAX];
	uint32_t parked_head, parked_count;
	ns_t retry_at;
	uint64_t frames, bytes, dropped;
};

/* af_packet_socket.c: a socket bound to the device that sends frames with vnet headers and receives
 * none; the descriptor or -errno. */
int afp_send_socket_open(const char *interface, const struct device *,
			 char error[static DRIVER_ERROR_MAX]);

/* af_packet_ring.c: a ring that is switched on by the thread that uses it first, with `sock` as its
 * fixed file 0.  0 or -errno with a sentence. */
int afp_ring_open(struct io_uring *, uint32_t entries, uint32_t cq_entries, int sock,
		  char error[static DRIVER_ERROR_MAX]);
void afp_ring_enable(struct io_uring *);

/* `sock` stays the caller's, and open until afp_tx_close.  0 or -errno with a sentence;
 * afp_tx_close is due either way. */
int afp_tx_open(struct afp_tx *, int sock, uint32_t mtu, char error[static DRIVER_ERROR_MAX]);
void afp_tx_close(struct afp_tx *);
/* As tx and flush of driver.h; frames have at most FRAME_GSO_MAX bytes. */
int afp_tx_take(struct afp_tx *, ns_t now, const struct tx_frame *);
void afp_tx_flush(struct afp_tx *, ns_t now);

#endif
