/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd_xdp.h - what the XDP program steer.bpf.c and its loader agree on.
 *
 * The program takes the frames that concern the addresses in the map `addresses` and hands them to
 * the AF_XDP socket of their receive queue in the map `sockets`.  Everything else, and everything
 * on a queue without a socket, passes to the kernel. */
#ifndef STACKD_XDP_H
#define STACKD_XDP_H

#include <linux/types.h>

#define STACKD_XDP_QUEUES_MAX    64
#define STACKD_XDP_ADDRESSES_MAX 64

/* Key of `addresses`, network order; IPv4 as ::ffff:a.b.c.d.  The value is not looked at. */
struct stackd_xdp_address {
	__u8 b[16];
};

/* Index into `counts`, one 64-bit counter per CPU. */
enum stackd_xdp_count {
	STACKD_XDP_TAKEN,     /* handed to a socket */
	STACKD_XDP_NO_SOCKET, /* ours, but its queue has no socket: passed */
	STACKD_XDP_PASSED,    /* not ours */
	STACKD_XDP_COUNT_MAX
};

#endif
