/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.h - every limit of the daemon in one place. */
#ifndef STACKD_BASE_LIMITS_H
#define STACKD_BASE_LIMITS_H

/* base/range.h: RANGES_MAX; libclient/stackd_shm.h: what the shared memory can hold */

#define SHARDS_MAX 16u
#define INTERFACES_MAX 8u
#define ADDRESSES_MAX 16u	/* of one interface */
#define ROUTES_MAX 64u
#define NEIGHBOURS_MAX 1024u	/* per shard */
#define NEIGHBOUR_QUEUE_MAX 64u /* packets that wait for a neighbour, per shard */

#define FRAME_BURST_MAX 64u	/* frames of one receive burst */
#define FRAME_SPANS_MAX 18u	/* pieces of one received frame: 64 KB in 4 KB chunks */
#define FRAME_LINEAR_MAX 2048u	/* an MTU-size frame fits in one buffer of this size */
#define FRAME_GSO_MAX 65535u	/* bytes of the largest frame, headers included */

#define LISTENERS_MAX 1024u
#define CONNECTIONS_MAX 1000000u /* per shard, unless configured lower */
#define CHUNKS_PER_CONNECTION_MAX 8192u
#define BACKLOG_MAX 65535u
#define CLIENTS_MAX 1024u
#define RULES_MAX 128u
#define PROFILES_MAX 4096u
#define PLUGIN_CHOICES_MAX 8u /* names in one `recovery = a, b, c` */

#endif
