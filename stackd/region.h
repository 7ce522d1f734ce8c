/* SPDX-License-Identifier: BSD-2-Clause */
/* region.h - makes the shared memory of clients: sealed memfds and the board.  Control thread. */
#ifndef STACKD_REGION_H
#define STACKD_REGION_H

#include "sock/sock.h"
#include "stackd_shm.h"

struct region_config {
	uint32_t shards;
	uint32_t sockets;	     /* slots of a client; half of them for accepted connections */
	uint64_t rx_bytes, tx_bytes; /* rings, powers of two */
};

/* A region with refs 1.  0 or -errno. */
int region_create(const struct region_config *, struct sock_region **out);
void region_free(struct sock_region *);

/* Bit set for the sockets of a region; freed with region_free_bits. */
_Atomic uint64_t *region_bits(const struct sock_region *);
void region_free_bits(const struct sock_region *, _Atomic uint64_t *bits);

/* A record for a listener; its memory stays until the region is freed.  NULL: no memory. */
struct sock_listener *region_listener(struct sock_region *);
/* It is unlistened on every shard: may be given to another listener. */
void region_free_listener(struct sock_region *, struct sock_listener *);

/* The board: *fd is for clients and can't be mapped writable; the result is ours to write. */
struct stackd_board *board_create(int *fd);

#endif
