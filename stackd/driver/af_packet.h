/* SPDX-License-Identifier: BSD-2-Clause */
/* af_packet.h - what the parts of the AF_PACKET driver share.  Nobody else includes it.
 *
 * One socket per shard.  Receiving has an io_uring of its own, so that its descriptor means
 * "frames are there" and nothing else; sending has another. */
#ifndef STACKD_DRIVER_AF_PACKET_H
#define STACKD_DRIVER_AF_PACKET_H

#include <linux/filter.h>

#include "base/addr.h"
#include "driver/af_packet_tx.h"
#include "driver/device.h"
#include "driver/driver.h"

#define AFP_RX_BUFFERS 64u /* a power of two */
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

/* af_packet_shield.c: drops IP packets to `addresses` at the interface's tc ingress, behind the
 * packet sockets, until the returned descriptor is closed.  The descriptor or -errno. */
int afp_shield_attach(int ifindex, const struct addr *addresses, uint32_t count);

/* af_packet_socket.c: a bound, filtered socket with vnet headers; the descriptor or -errno. */
int afp_socket_open(const struct driver_config *, const struct device *,
		    char error[static DRIVER_ERROR_MAX]);
/* Bytes of the socket's receive buffer. */
uint32_t afp_socket_rcvbuf(int sock);

/* af_packet_rx.c */
int afp_rx_open(struct af_packet *, char error[static DRIVER_ERROR_MAX]);
void afp_rx_close(struct af_packet *);
uint32_t afp_rx(struct driver *, ns_t now, struct frame *out, uint32_t max);
void afp_rx_release(struct driver *);
bool afp_rx_ready(struct driver *, ns_t now);

#endif
