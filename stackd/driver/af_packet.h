/* SPDX-License-Identifier: BSD-2-Clause */
/* af_packet.h - what the parts of the AF_PACKET driver share.  Nobody else includes it.
 *
 * One socket per shard.  Receiving has an io_uring of its own, so that its descriptor means
 * "frames are there" and nothing else; sending has another. */
#ifndef STACKD_DRIVER_AF_PACKET_H
#define STACKD_DRIVER_AF_PACKET_H

#include <liburing.h>
#include <linux/filter.h>
#include <linux/virtio_net.h>
#include <net/if.h>

#include "base/addr.h"
#include "driver/driver.h"

#define AFP_VNET_LEN ((uint32_t)sizeof(struct virtio_net_hdr))
/* A whole GSO frame and its vnet header; an odd number of cache lines, so that the first lines of
 * the buffers spread over the cache's sets. */
#define AFP_BUFFER_BYTES (1025u * 64u)

#define AFP_RX_BUFFERS  64u /* a power of two */
#define AFP_TX_SLOTS    64u
#define AFP_TX_HEAD_MAX 2048u
#define AFP_PARKED_MAX  16u

#define AFP_FILTER_MAX 512u

struct afp_rx {
	struct io_uring ring;
	bool ring_open;
	bool enabled; /* the ring belongs to the thread that first calls rx */
	bool armed;   /* a multishot receive is in the kernel */
	struct io_uring_buf_ring *posts;
	uint8_t *buffers;
	uint16_t posted, posted_max; /* buffers that the kernel has, and that it shall have */
	uint16_t free_count, lent_count;
	uint16_t free[AFP_RX_BUFFERS]; /* a stack: the one used last is the warmest */
	uint16_t lent[AFP_RX_BUFFERS];
	uint32_t errors; /* in a row, without a frame between them */
	ns_t rearm_at;   /* not before this */
	uint64_t frames, bytes, dropped;
};

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

struct af_packet {
	struct driver driver;
	int sock;
	int shield; /* bpf link that keeps our frames from the kernel's own stack; -1 */
	struct afp_rx rx;
	struct afp_tx tx;
	uint64_t kernel_dropped;
};

static inline struct af_packet *af_packet_of(struct driver *d)
{
	return container_of(d, struct af_packet, driver);
}

/* af_packet_filter.c: a socket filter that passes what concerns `addresses`.  Writes at most
 * AFP_FILTER_MAX instructions and returns how many. */
uint32_t afp_filter_build(const struct addr *addresses, uint32_t count, struct sock_filter *out);

/* af_packet_device.c */
struct afp_device {
	int ifindex;
	uint32_t mtu;
	uint16_t queues;
	bool tso;
	uint8_t mac[6];
};
/* 0, -ENODEV, -EOPNOTSUPP (not Ethernet), with a sentence. */
int afp_device_read(const char *interface, struct afp_device *out,
		    char error[static DRIVER_ERROR_MAX]);

/* af_packet_shield.c: drops IP packets to `addresses` at the interface's tc ingress, behind the
 * packet sockets, until the returned descriptor is closed.  The descriptor or -errno. */
int afp_shield_attach(int ifindex, const struct addr *addresses, uint32_t count);

/* af_packet_socket.c: a bound, filtered socket with vnet headers; the descriptor or -errno. */
int afp_socket_open(const struct driver_config *, const struct afp_device *,
		    char error[static DRIVER_ERROR_MAX]);
/* Bytes of the socket's receive buffer. */
uint32_t afp_socket_rcvbuf(int sock);

/* af_packet_ring.c: a ring that is switched on by the thread that uses it first, with `sock` as its
 * fixed file 0.  0 or -errno with a sentence. */
int afp_ring_open(struct io_uring *, uint32_t entries, uint32_t cq_entries, int sock,
		  char error[static DRIVER_ERROR_MAX]);
void afp_ring_enable(struct io_uring *);

/* af_packet_rx.c */
int afp_rx_open(struct af_packet *, char error[static DRIVER_ERROR_MAX]);
void afp_rx_close(struct af_packet *);
uint32_t afp_rx(struct driver *, ns_t now, struct frame *out, uint32_t max);
void afp_rx_release(struct driver *);
bool afp_rx_ready(struct driver *, ns_t now);

/* af_packet_tx.c */
int afp_tx_open(struct af_packet *, char error[static DRIVER_ERROR_MAX]);
void afp_tx_close(struct af_packet *);
int afp_tx(struct driver *, ns_t now, const struct tx_frame *);
void afp_flush(struct driver *, ns_t now);

#endif
