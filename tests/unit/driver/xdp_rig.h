/* SPDX-License-Identifier: BSD-2-Clause */
/* xdp_rig.h - a veth pair in a network namespace of the test's own: the AF_XDP driver at one end,
 * an AF_PACKET socket at the other. */
#ifndef TESTS_UNIT_DRIVER_XDP_RIG_H
#define TESTS_UNIT_DRIVER_XDP_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/libbpf.h>

#include "base/addr.h"
#include "driver/driver.h"
#include "frames.h"

#define NEAR "va"
#define FAR  "vb"

static struct addr ours[2]; /* 10.9.0.2 and fd00::2 */
static uint8_t buf[70000];

static inline ns_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (ns_t)t.tv_sec * NS_PER_S + (ns_t)t.tv_nsec;
}

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static inline void make_veth(unsigned queues, unsigned mtu)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "ip link del " NEAR " 2>/dev/null; "
		 "ip link add " NEAR " numrxqueues %u numtxqueues %u type veth peer name " FAR
		 " numrxqueues %u numtxqueues %u && "
		 "for i in " NEAR " " FAR "; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; "
		 "ip link set $i mtu %u up || exit 1; done",
		 queues, queues, queues, queues, mtu);
	run(command);
}

static inline int open_packet(const char *interface, int vnet)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), one = 1, bytes = 64 << 20;
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	assert_true(fd >= 0);
	to.sll_ifindex = (int)if_nametoindex(interface);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &vnet, sizeof(vnet)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline struct driver_config config(enum af_xdp_mode mode)
{
	struct driver_config c = {.interface = NEAR, .shards = 1, .mode = mode};

	c.addresses = ours;
	c.address_count = 2;
	return c;
}

static inline struct driver *open_driver(enum af_xdp_mode mode)
{
	struct driver_config c = config(mode);
	char error[DRIVER_ERROR_MAX] = "";
	static struct driver *d; /* gcc 12 at -O3 thinks that an automatic one dangles */

	if (af_xdp_open(&c, &d, error) != 0)
		fail_msg("%s", error);
	print_message("%s, %s; %s\n", d->caps.name, d->caps.mode, d->caps.why_not_better);
	return d;
}

static inline bool attached(void)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(NEAR), 0, &id), 0);
	return id != 0;
}

/* The next frame within a second, copied; 0: none came. */
static inline uint32_t receive(struct driver *d, uint8_t *out, struct frame *f)
{
	ns_t end = now_ns() + NS_PER_S;

	while (now_ns() < end) {
		struct pollfd p = {.fd = d->fd, .events = POLLIN};
		uint32_t at = 0;

		if (d->ops->rx(d, now_ns(), f, 1) == 1) {
			for (unsigned i = 0; i < f->span_count; i++) {
				memcpy(out + at, f->span[i].base, f->span[i].len);
				at += f->span[i].len;
			}
			assert_int_equal(at, f->len);
			d->ops->rx_release(d);
			return at;
		}
		d->ops->rx_release(d);
		if (!d->ops->rx_ready(d, now_ns()))
			poll(&p, 1, 100);
	}
	return 0;
}

static inline void expect_nothing(struct driver *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	struct frame f;

	if (!d->ops->rx_ready(d, now_ns()))
		assert_int_equal(poll(&p, 1, 50), 0);
	assert_int_equal(d->ops->rx(d, now_ns(), &f, 1), 0);
	d->ops->rx_release(d);
}

static inline void far_send(int fd, const uint8_t *frame, uint32_t len)
{
	assert_int_equal(send(fd, frame, len, 0), len);
}

/* Exits with 77 when there is no root.  The namespace ends with the process. */
static inline void enter_namespace(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
		fprintf(stderr, "needs root, to make a network namespace\n");
		exit(77);
	}
	addr_parse("10.9.0.2", &ours[0]);
	addr_parse("fd00::2", &ours[1]);
}

#endif
