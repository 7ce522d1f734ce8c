/* SPDX-License-Identifier: BSD-2-Clause */
/* shard.h - one thread with its drivers, net, tcp and sockets; nothing of it is shared on the frame
 * path.  Everybody else asks the shard's thread to do things by shard_call. */
#ifndef STACKD_SHARD_H
#define STACKD_SHARD_H

#include <stdint.h>

#include "base/count.h"
#include "driver/driver.h"
#include "net/net.h"
#include "mailbox.h"
#include "sock/sock.h"
#include "tcp/tcp.h"

struct shard;

struct shard_config {
	uint32_t index, count;
	struct driver *driver[INTERFACES_MAX]; /* owned from shard_create on */
	struct net_config net;		       /* interfaces as configured; the rest is filled in */
	const struct tcp_rules *rules;
	uint32_t connections_max;
	int cpu; /* -1: not pinned */
	ns_t spin_ns;
	bool debug; /* assert on what plugins do wrong */
	struct stackd_board *board;
	struct mailbox *control; /* where letters for the control thread go */
	struct siphash_key secret;
	struct shard **peers; /* [count], filled before shard_start */
};

/* What a shard tells the control thread; freed by the receiver. */
struct shard_letter {
	struct mail mail; /* deliver: set by shard_on_letter */
	struct sock_letter letter;
};

/* Builds all but the thread.  0 or -errno; on failure the drivers are closed too. */
int shard_create(const struct shard_config *, struct shard **out);
/* deliver: what the control thread does with a letter. */
void shard_on_letter(struct shard *, void (*deliver)(void *to, struct mail *));
int shard_start(struct shard *); /* 0 or -errno */
void shard_stop(struct shard *); /* asks the thread to end and waits for it */
void shard_destroy(struct shard *);
/* A client's kick eventfd: written when the shard's `sleeping` is set.  Any thread.  0 or -errno. */
int shard_watch_kick(struct shard *, int eventfd);
/* Before it is closed: the client may hold it open for longer. */
void shard_forget_kick(struct shard *, int eventfd);

struct shard_stats {
	uint64_t loops, sleeps, busy_ns, idle_ns;
	uint32_t connections, listeners, sockets, clients;
};

/* Runs fn(shard, arg) on the shard's thread, between two bursts, and waits until it has returned.
 * For the control thread; shards never call each other so. */
void shard_call(struct shard *, void (*fn)(struct shard *, void *arg), void *arg);

/* For use inside a shard_call (or on the shard's thread). */
uint32_t shard_index(const struct shard *);
ns_t shard_now(const struct shard *);
struct tcp *shard_tcp(struct shard *);
struct net *shard_net(struct shard *);
struct sock_table *shard_socks(struct shard *);
uint32_t shard_driver_count(const struct shard *);
struct driver *shard_driver(struct shard *, uint32_t interface);
/* What happens from now on is written there, frames too if it wants them; NULL: not any more. */
void shard_set_tape(struct shard *, struct tape *);
void shard_stats(const struct shard *, struct shard_stats *out);
const struct counters *shard_counters(const struct shard *);

#endif
