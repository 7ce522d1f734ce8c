/* SPDX-License-Identifier: BSD-2-Clause */
/* shard.h - one thread with its drivers, net, tcp and sockets; nothing of it is shared on the frame
 * path.  Everybody else asks the shard's thread to do things by shard_call. */
#ifndef STACKD_SHARD_H
#define STACKD_SHARD_H

#include <stdint.h>

#include "base/count.h"
#include "driver/driver.h"
#include "net/net.h"
#include "tcp/tcp.h"

struct shard;
struct sock_table;

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
void shard_stats(const struct shard *, struct shard_stats *out);
const struct counters *shard_counters(const struct shard *);

#endif
