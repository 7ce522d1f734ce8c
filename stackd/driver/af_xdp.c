/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp.c - the AF_XDP driver: which mode, which queues, and the door.
 *
 * Modes, best first: native zero-copy; then, on devices that can't, generic with multi-buffer
 * frames, because a veth keeps its peer's segmentation offload only then and its 64 KB frames are
 * worth more than the cheaper entry; native copy where MTU-size frames are wanted anyway.
 *
 * Shard s of n has the queues q with q % n == s, one socket each.  It sends on the first, or where
 * nothing is zero-copy through a packet socket beside them (af_xdp_sender.c). */
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/af_xdp.h"

#define ETH_LEN   14u
#define PLANS_MAX 3u

static ns_t xdp_deadline(struct driver *d)
{
	return af_xdp_of(d)->retry_at;
}

static void xdp_stats(struct driver *d, struct driver_stats *out)
{
	struct af_xdp *x = af_xdp_of(d);

	*out = x->stats;
	for (uint32_t i = 0; i < x->queue_count; i++) {
		struct xdp_statistics s = {0};
		socklen_t len = sizeof(s);

		if (getsockopt(xsk_socket__fd(x->queue[i]->xsk), SOL_XDP, XDP_STATISTICS, &s,
			       &len) < 0)
			continue;
		out->rx_dropped += s.rx_dropped + s.rx_ring_full;
		out->tx_dropped += s.tx_invalid_descs;
	}
	if (x->sender)
		xdp_sender_stats(x->sender, out);
}

static void close_queues(struct af_xdp *x)
{
	if (x->queue_count > 1 && x->driver.fd >= 0)
		close(x->driver.fd);
	x->driver.fd = -1;
	while (x->queue_count)
		xdp_queue_close(x->queue[--x->queue_count]);
}

static void xdp_close(struct driver *d)
{
	struct af_xdp *x = af_xdp_of(d);

	if (x->sender)
		xdp_sender_close(x->sender);
	close_queues(x);
	xdp_interface_put(x->interface);
	free(x);
}

static const struct driver_ops xdp_ops = {
    .rx = xdp_rx,
    .rx_release = xdp_rx_release,
    .tx = xdp_tx,
    .flush = xdp_flush,
    .rx_ready = xdp_rx_ready,
    .deadline = xdp_deadline,
    .stats = xdp_stats,
    .close = xdp_close,
};

static const struct driver_ops xdp_sender_ops = {
    .rx = xdp_rx,
    .rx_release = xdp_rx_release,
    .tx = xdp_sender_tx,
    .flush = xdp_sender_flush,
    .rx_ready = xdp_rx_ready,
    .deadline = xdp_sender_deadline,
    .stats = xdp_stats,
    .close = xdp_close,
};

static int open_queues(struct af_xdp *x, const struct driver_config *c, uint32_t queues,
		       const struct xdp_plan *plan, char error[static DRIVER_ERROR_MAX])
{
	for (uint32_t q = c->shard; q < queues; q += c->shards) {
		int err = xdp_queue_open(c->interface, q, plan, &x->queue[x->queue_count], error);

		if (err) {
			close_queues(x);
			return err;
		}
		x->queue_count++;
	}
	return 0;
}

/* One descriptor to wait on: the socket's own, or an epoll over several. */
static int open_fd(struct af_xdp *x)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (x->queue_count == 1) {
		x->driver.fd = xsk_socket__fd(x->queue[0]->xsk);
		return 0;
	}
	x->driver.fd = epoll_create1(EPOLL_CLOEXEC);
	if (x->driver.fd < 0)
		return -errno;
	for (uint32_t i = 0; i < x->queue_count; i++)
		if (epoll_ctl(x->driver.fd, EPOLL_CTL_ADD, xsk_socket__fd(x->queue[i]->xsk),
			      &event) < 0)
			return -errno;
	return 0;
}

static unsigned make_plans(const struct driver_config *c, uint32_t mtu,
			   struct xdp_plan plans[PLANS_MAX])
{
	bool large = mtu + ETH_LEN > XDP_CHUNK_ROOM;
	unsigned n = 0;

	if (c->mode != AF_XDP_GENERIC)
		plans[n++] =
		    (struct xdp_plan){.native = true, .zero_copy = true, .multi_buffer = large};
	if (c->require_zerocopy)
		return n;
	if (c->mode == AF_XDP_NATIVE ||
	    (c->mode == AF_XDP_AUTO && (c->prefer_native || c->require_native)))
		plans[n++] = (struct xdp_plan){.native = true, .multi_buffer = true};
	if (c->mode != AF_XDP_NATIVE && !c->require_native)
		plans[n++] = (struct xdp_plan){.multi_buffer = true};
	return n;
}

static void add_reason(struct xdp_interface *i, const char *why)
{
	size_t used = strlen(i->why_not_better);

	snprintf(i->why_not_better + used, sizeof(i->why_not_better) - used, "%s%s",
		 used ? "; " : "", why);
}

/* The first plan that the device takes; the reasons of those before it are kept. */
static int open_by_plan(struct af_xdp *x, const struct driver_config *c,
			const struct device *device, uint32_t queues,
			char error[static DRIVER_ERROR_MAX])
{
	struct xdp_interface *i = x->interface;
	struct xdp_plan plans[PLANS_MAX];
	unsigned n = make_plans(c, device->mtu, plans);
	int err = -EOPNOTSUPP;

	for (unsigned p = 0; p < n; p++) {
		err = open_queues(x, c, queues, &plans[p], error);
		if (err == 0) {
			err = xdp_interface_attach(i, &plans[p], error);
			if (err == 0)
				return 0;
			close_queues(x);
		}
		if (err == -EPERM || err == -EBUSY)
			break;
		add_reason(i, error);
	}
	return err;
}

static void explain_choice(struct xdp_interface *i, const struct driver_config *c)
{
	const char *why = NULL;

	if (c->mode == AF_XDP_GENERIC)
		why = "generic mode is configured";
	else if (!i->plan.native && !c->prefer_native)
		why = "native mode without it would cut a veth peer's 64 KB frames to the MTU";
	if (why)
		add_reason(i, why);
}

/* Not where MTU-size frames are wanted, and never a reason to fail. */
static void open_sender(struct af_xdp *x, const struct driver_config *c,
			const struct device *device)
{
	char why[DRIVER_ERROR_MAX];

	if (x->interface->plan.zero_copy || c->prefer_native)
		return;
	if (xdp_sender_open(c->interface, device, &x->sender, why) < 0)
		add_reason(x->interface, why);
}

static const char *mode_name(const struct xdp_plan *plan)
{
	if (plan->zero_copy)
		return "native zero-copy";
	return plan->native ? "native copy" : "generic copy";
}

static void declare_caps(struct af_xdp *x, const struct device *device, uint32_t queues)
{
	struct driver_caps *caps = &x->driver.caps;
	const struct xdp_plan *plan = &x->interface->plan;

	caps->mtu = device->mtu;
	caps->gso_max = x->sender ? FRAME_GSO_MAX : device->mtu + ETH_LEN;
	caps->tx_csum = x->sender;
	caps->zero_copy = plan->zero_copy;
	caps->queues = (uint16_t)queues;
	memcpy(caps->mac, device->mac, sizeof(caps->mac));
	strcpy(caps->name, "af_xdp");
	snprintf(caps->mode, sizeof(caps->mode), "%.16s%.3s%s", mode_name(plan),
		 plan->multi_buffer ? " sg" : "", x->sender ? ", sends by af_packet" : "");
	snprintf(caps->why_not_better, sizeof(caps->why_not_better), "%s",
		 x->interface->why_not_better);
}

/* What can be refused before anything is opened. */
static int check(const struct driver_config *c, const struct device *device, uint32_t queues,
		 char error[static DRIVER_ERROR_MAX])
{
	if (!device->up) {
		snprintf(error, DRIVER_ERROR_MAX, "interface %s is down: 'ip link set %s up'",
			 c->interface, c->interface);
		return -ENETDOWN;
	}
	if (c->mode == AF_XDP_GENERIC && (c->require_native || c->require_zerocopy)) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "interface %s: generic mode is neither native nor zero-copy",
			 c->interface);
		return -EINVAL;
	}
	if (c->shards > queues) {
		snprintf(
		    error, DRIVER_ERROR_MAX,
		    "interface %s has %u queue%s: set shards to %u or less, or driver = af_packet",
		    c->interface, queues, queues == 1 ? "" : "s", queues);
		return -EINVAL;
	}
	return 0;
}

static uint32_t count_queues(const struct driver_config *c, const struct device *device)
{
	uint32_t n = device->queues;

	if (c->queues && c->queues < n)
		n = c->queues;
	return n < STACKD_XDP_QUEUES_MAX ? n : STACKD_XDP_QUEUES_MAX;
}

static int open_shard(struct af_xdp *x, const struct driver_config *c, const struct device *device,
		      uint32_t queues, char error[static DRIVER_ERROR_MAX])
{
	int err;

	if (c->shard == 0) {
		err = open_by_plan(x, c, device, queues, error);
		if (err == 0)
			explain_choice(x->interface, c);
	} else {
		err = open_queues(x, c, queues, &x->interface->plan, error);
	}
	if (err)
		return err;
	err = open_fd(x);
	for (uint32_t i = 0; i < x->queue_count && err == 0; i++)
		err = xdp_interface_steer(x->interface, x->queue[i]->id,
					  xsk_socket__fd(x->queue[i]->xsk));
	if (err) {
		snprintf(error, DRIVER_ERROR_MAX, "interface %s: %s", c->interface, strerror(-err));
		close_queues(x);
	}
	return err;
}

int af_xdp_open(const struct driver_config *c, struct driver **out,
		char error[static DRIVER_ERROR_MAX])
{
	struct device device = {0};
	struct af_xdp *x;
	uint32_t queues;
	int err = device_read(c->interface, &device, error);

	if (err)
		return err;
	queues = count_queues(c, &device);
	err = check(c, &device, queues, error);
	if (err)
		return err;
	x = calloc(1, sizeof(*x));
	if (!x) {
		snprintf(error, DRIVER_ERROR_MAX, "no memory for interface %s", c->interface);
		return -ENOMEM;
	}
	x->driver.fd = -1;
	x->retry_at = NS_NEVER;
	err = xdp_interface_get(c, &device, &x->interface, error);
	if (err)
		goto fail;
	err = open_shard(x, c, &device, queues, error);
	if (err)
		goto put;
	open_sender(x, c, &device);
	x->driver.ops = x->sender ? &xdp_sender_ops : &xdp_ops;
	declare_caps(x, &device, queues);
	*out = &x->driver;
	return 0;
put:
	xdp_interface_put(x->interface);
fail:
	free(x);
	return err;
}
