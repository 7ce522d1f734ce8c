/* SPDX-License-Identifier: BSD-2-Clause */
/* driver.h - the contract between the frame drivers and the layers above.
 *
 * A driver moves Ethernet frames of one shard's queue(s) of one interface.  It owns the frames'
 * memory.  One thread calls it; it never calls up.  Frames are lent by `rx` until `rx_release`;
 * what `tx` is given must stay valid until `flush` has returned, and not longer.
 *
 * Set-up (af_xdp_open, af_packet_open, pair_open, faulty_wrap) returns 0 or -errno with a
 * sentence; the frame path has no errors. */
#ifndef STACKD_DRIVER_DRIVER_H
#define STACKD_DRIVER_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"

enum frame_csum {
	FRAME_CSUM_UNKNOWN = 0, /* nobody vouches: verify; it may be partial */
	FRAME_CSUM_GOOD,	/* the device or kernel has verified the layer-4 sum */
	FRAME_CSUM_PARTIAL,	/* only the pseudo-header sum is filled: it crossed no wire */
	FRAME_CSUM_FULL,	/* not partial, for certain, and not yet verified */
};

/* A received frame.  The first span holds at least the first 256 bytes, or all of the frame. */
struct frame {
	uint32_t len; /* all spans together, from the Ethernet header */
	uint8_t span_count;
	uint8_t csum;	   /* enum frame_csum */
	uint16_t gso_size; /* bytes of payload per original segment; 0: one segment, or unknown */
	uint16_t queue;
	struct span span[FRAME_SPANS_MAX];
};

/* A frame to be sent: a header (Ethernet to TCP options) that the driver copies at once, and up to
 * two spans of payload that it reads until flush. */
struct tx_frame {
	const uint8_t *head;
	uint16_t head_len;
	uint16_t csum_start; /* offset of the layer-4 header; used when csum_partial */
	uint16_t csum_offset;
	uint16_t gso_size; /* payload bytes per segment; 0: send as one frame */
	bool csum_partial; /* the layer-4 field holds the folded pseudo-header sum: finish it */
	bool ipv6;
	uint8_t data_count;
	struct span data[2];
};

struct driver_caps {
	uint32_t mtu;	  /* IP packet bytes */
	uint32_t gso_max; /* largest frame that tx takes, from the Ethernet header; mtu + 14 without GSO */
	bool tx_csum;	  /* tx takes csum_partial */
	bool rx_csum;	  /* rx says GOOD, PARTIAL or FULL; otherwise always UNKNOWN */
	bool zero_copy;
	uint16_t queues; /* of the interface */
	uint8_t mac[6];
	char name[24]; /* "af_xdp", "af_packet", "pair"; "faulty+af_xdp" for a wrapped one */
	char mode[48]; /* "native zero-copy", "io_uring multishot, vnet header", ... */
	char why_not_better[160];
};

struct driver_stats {
	uint64_t rx_frames, rx_bytes, rx_dropped; /* dropped: by kernel or ring, as far as it tells */
	uint64_t tx_frames, tx_bytes, tx_dropped; /* dropped: taken by tx and then refused below */
	uint64_t fault_lost, fault_delayed, fault_reordered, fault_duplicated, fault_corrupted, fault_queue_full;
};

struct driver;

struct driver_ops {
	/* Lends up to `max` frames (<= FRAME_BURST_MAX).  `now` is for drivers that hold frames back. */
	uint32_t (*rx)(struct driver *, ns_t now, struct frame *out, uint32_t max);
	/* Gives back all frames lent by the last rx.  Called before the next rx. */
	void (*rx_release)(struct driver *);
	/* Takes one frame.  0; -ENOBUFS: no room until some time after flush, nothing was taken;
	 * -EMSGSIZE: larger than gso_max. */
	int (*tx)(struct driver *, ns_t now, const struct tx_frame *);
	/* Hands everything taken to the kernel (or the other end).  Never blocks. */
	void (*flush)(struct driver *, ns_t now);
	/* True when rx would find something now.  Called last before sleeping, after which a poll
	 * of `fd` must wake for anything that comes later. */
	bool (*rx_ready)(struct driver *, ns_t now);
	/* When the driver wants rx or flush to be called again by itself; NS_NEVER.  NULL: never. */
	ns_t (*deadline)(struct driver *);
	void (*stats)(struct driver *, struct driver_stats *);
	void (*close)(struct driver *);
};

struct driver {
	const struct driver_ops *ops;
	struct driver_caps caps;
	int fd; /* readable (poll, epoll) when rx has something; -1: none */
};

#define DRIVER_ERROR_MAX 256u

enum af_xdp_mode { AF_XDP_AUTO, AF_XDP_NATIVE, AF_XDP_GENERIC };

struct prefix;
struct addr;

struct driver_config {
	const char *interface;	/* kernel name */
	uint32_t shard, shards; /* this one of so many */
	uint32_t queues;	/* 0: all of the device's */
	enum af_xdp_mode mode;
	bool require_zerocopy, require_native;
	bool prefer_native; /* auto mode: MTU-size frames matter more than bulk speed (a fault is set) */
	const struct addr *addresses; /* ours; what is not for them passes to the kernel */
	uint32_t address_count;
};

/* Shard 0 opens first: it attaches the XDP program and claims the interface; the last to close puts
 * the interface back.  Returns 0; -ENODEV, -EPERM, -EOPNOTSUPP, -EBUSY ..., with a sentence in error. */
int af_xdp_open(const struct driver_config *, struct driver **out, char error[static DRIVER_ERROR_MAX]);
int af_packet_open(const struct driver_config *, struct driver **out, char error[static DRIVER_ERROR_MAX]);

/* Two ends in memory; what one sends the other receives, in order, at once.  For tests and the
 * lab; both ends on one thread, or each on its own. */
struct pair_config {
	uint32_t mtu;
	uint32_t gso_max;   /* 0: mtu + 14 */
	uint32_t depth;	    /* frames in flight per direction, a power of two */
	bool vouch;	    /* ends declare tx_csum and rx_csum: no checksum is computed; what is sent
			     * csum_partial arrives PARTIAL, what carries a full sum FULL */
	uint8_t mac[2][6];
};
int pair_open(const struct pair_config *, struct driver *ends[2]);

enum fault_direction { FAULT_IN = 1, FAULT_OUT = 2, FAULT_BOTH = 3 };

/* What the impairment does with each frame, per direction, decided by one seeded generator. */
struct fault_config {
	double loss, reorder, duplicate, corrupt; /* probabilities */
	ns_t delay_ns, jitter_ns;
	uint64_t rate_bps;    /* bits per second, 0: no limit */
	uint32_t queue;	      /* frames that wait for the rate; 0: 1000 */
	uint64_t seed;
	enum fault_direction direction; /* 0 counts as both */
};

/* "loss 2%, delay 20ms, jitter 5ms, reorder 1%, duplicate 0.1%, corrupt 0.1%, rate 100mbit,
 * queue 100, seed 7, direction in".  Empty: no fault.  Returns 0 or -EINVAL with a sentence. */
int fault_parse(const char *text, struct fault_config *out, char error[static DRIVER_ERROR_MAX]);
/* Puts an impairment around `inner`, which it then owns.  Its caps say gso_max = mtu + 14, so that a
 * lost frame is a lost segment. */
int faulty_wrap(struct driver *inner, const struct fault_config *, struct driver **out);

#endif
