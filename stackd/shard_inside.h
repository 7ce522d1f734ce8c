/* SPDX-License-Identifier: BSD-2-Clause */
/* shard_inside.h - what shard.c (the loop) and handover.c (messages between shards) share. */
#ifndef STACKD_SHARD_INSIDE_H
#define STACKD_SHARD_INSIDE_H

#include <pthread.h>

#include "shard.h"
#include "waker.h"

struct shard {
	struct shard_config config;
	struct net *net;
	struct tcp *tcp;
	struct sock_table *socks;
	_Atomic uint32_t *sleeping; /* on the board */
	struct mailbox mailbox;
	void (*on_letter)(void *to, struct mail *);
	int epoll;
	struct waker waker;
	bool has_waker;
	_Atomic uint32_t frames_waiting; /* handed over to it, in its mailbox */
	ns_t now, started_at;
	struct tape *tape; /* NULL: nobody looks at frames */
	_Atomic bool stop;
	bool started;
	pthread_t thread;
	ns_t spin_ns; /* how long it looks now, by what it learned */
	struct shard_stats stats;
	struct counters counters;
};

ns_t shard_clock(void);

/* tcp_input, with buffers for a connection that needs them. */
enum tcp_outcome shard_segment(struct shard *, const struct net_segment *);
/* A frame's way through net and tcp. */
void shard_frame(struct shard *, uint32_t interface, const struct frame *);

/* handover.c */
/* Nobody here knows the segment: it is offered to the next shard, and to the one after; when it has
 * been everywhere it is rejected. */
void handover_frame(struct shard *, uint32_t interface, const struct frame *, const struct net_segment *);
/* To all other shards. */
void handover_error(struct shard *, const struct net_error *);
void handover_neighbour(struct shard *, const struct net_neighbour *);
/* Carries what the sockets want to tell others. */
void handover_letters(struct shard *);

#endif
