/* SPDX-License-Identifier: BSD-2-Clause */
/* The AF_PACKET driver: frames of up to 64 KB in both directions through the kernel's own device
 * layer, with virtio-net headers that carry checksum and segmentation facts.  For every device that
 * AF_XDP serves badly: veth, TAP, bridges, anything without zero-copy.
 *
 * This file puts the parts together: device, socket, the two rings, what the driver declares.  The
 * interface is left as found: the filter, the group memberships, the fanout group and the shield
 * belong to descriptors and vanish with them, also when the process is killed. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/af_packet.h"

#define RCVBUF_WANTED (4u << 20)

static int tx(struct driver *d, ns_t now, const struct tx_frame *f)
{
	return afp_tx_take(&af_packet_of(d)->tx, now, f);
}

static void flush(struct driver *d, ns_t now)
{
	afp_tx_flush(&af_packet_of(d)->tx, now);
}

static ns_t earliest(struct driver *d)
{
	const struct af_packet *a = af_packet_of(d);
	ns_t rearm = !a->rx.armed && a->rx.rearm_at > 0 ? a->rx.rearm_at : NS_NEVER;

	return rearm < a->tx.retry_at ? rearm : a->tx.retry_at;
}

static void read_stats(struct driver *d, struct driver_stats *out)
{
	struct af_packet *a = af_packet_of(d);
	struct tpacket_stats kernel = {0};
	socklen_t len = sizeof(kernel);

	/* reading sets the kernel's counters back to 0 */
	if (getsockopt(a->sock, SOL_PACKET, PACKET_STATISTICS, &kernel, &len) == 0)
		a->kernel_dropped += kernel.tp_drops;
	*out = (struct driver_stats){
	    .rx_frames = a->rx.frames,
	    .rx_bytes = a->rx.bytes,
	    .rx_dropped = a->rx.dropped + a->kernel_dropped,
	    .tx_frames = a->tx.frames,
	    .tx_bytes = a->tx.bytes,
	    .tx_dropped = a->tx.dropped,
	};
}

static void close_all(struct driver *d)
{
	struct af_packet *a = af_packet_of(d);

	afp_rx_close(a);
	afp_tx_close(&a->tx);
	if (a->shield >= 0)
		close(a->shield);
	if (a->sock >= 0)
		close(a->sock);
	free(a);
}

static const struct driver_ops ops = {
    .rx = afp_rx,
    .rx_release = afp_rx_release,
    .tx = tx,
    .flush = flush,
    .rx_ready = afp_rx_ready,
    .deadline = earliest,
    .stats = read_stats,
    .close = close_all,
};

static void declare(struct af_packet *a, const struct device *device)
{
	struct driver_caps *caps = &a->driver.caps;
	uint32_t rcvbuf = afp_socket_rcvbuf(a->sock);

	caps->mtu = device->mtu;
	caps->gso_max = FRAME_GSO_MAX;
	caps->tx_csum = true;
	caps->rx_csum = true;
	caps->queues = device->queues;
	memcpy(caps->mac, device->mac, 6);
	snprintf(caps->name, sizeof(caps->name), "af_packet");
	snprintf(caps->mode, sizeof(caps->mode), "io_uring multishot, vnet header");
	if (rcvbuf < RCVBUF_WANTED)
		snprintf(
		    caps->why_not_better, sizeof(caps->why_not_better),
		    "receive buffer of %u KB only: give CAP_NET_ADMIN or raise net.core.rmem_max",
		    rcvbuf >> 10);
	else if (!device->tso)
		snprintf(caps->why_not_better, sizeof(caps->why_not_better),
			 "the device has no TSO: the kernel cuts large frames in software");
	else if (a->shield < 0)
		snprintf(caps->why_not_better, sizeof(caps->why_not_better),
			 "the kernel's own stack looks at our frames too (no tcx: Linux 6.6 and "
			 "CAP_BPF)");
}

int af_packet_open(const struct driver_config *config, struct driver **out,
		   char error[static DRIVER_ERROR_MAX])
{
	struct device device;
	int e = device_read(config->interface, &device, error);

	if (e < 0)
		return e;
	struct af_packet *a = calloc(1, sizeof(*a));
	if (!a) {
		snprintf(error, DRIVER_ERROR_MAX, "no memory for the driver");
		return -ENOMEM;
	}
	a->driver.ops = &ops;
	a->shield = -1;
	a->sock = e = afp_socket_open(config, &device, error);
	if (e < 0 || (e = afp_rx_open(a, error)) < 0 || (e = afp_tx_open(&a->tx, a->sock, device.mtu, error)) < 0) {
		close_all(&a->driver);
		return e;
	}
	if (config->shard == 0)
		a->shield =
		    afp_shield_attach(device.ifindex, config->addresses, config->address_count);
	a->driver.fd = a->sock; /* readable until our io_uring_enter has taken all: see af_packet_rx.c */
	declare(a, &device);
	*out = &a->driver;
	return 0;
}
