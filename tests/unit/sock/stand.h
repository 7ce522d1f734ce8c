/* SPDX-License-Identifier: BSD-2-Clause */
/* stand.h - socket tables of one or two shards over the real tcp and a net that brings everything
 * back: all connections of a test are between its own sockets.  The stand also plays the control
 * thread, and a small client library that keeps to the protocol. */
#ifndef TESTS_SOCK_STAND_H
#define TESTS_SOCK_STAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake_net.h"
#include "sock/sock.h"

#define STAND_SHARDS  2u
#define STAND_CLIENTS 4u
#define STAND_EVQ     2u /* of a client */

/* Control thread and library of one client process. */
struct stand_client {
	struct sock_client sock;
	struct sock_region *region;
	uint32_t sq_tail[STAND_SHARDS], evq_head[STAND_EVQ][STAND_SHARDS];
	_Atomic int evq_fd[STAND_EVQ];
	uint32_t next_slot;
	bool attached, expelled;
	const char *why;
};

struct stand_shard {
	struct net net;
	struct tcp *tcp;
	struct counters counters;
	struct sock_table *table;
};

struct stand {
	struct stand_shard shard[STAND_SHARDS];
	struct sock_ports *ports;
	struct tcp_profile profile;
	struct tcp_rules rules;
	uint64_t rto_ns, cwnd_segs;
	struct addr own;
	ns_t now;
	uint32_t shards;
	bool answers_elsewhere; /* what answers an active open comes to the other shard */
	struct stand_client client[STAND_CLIENTS];
	uint32_t wakeups, regions_freed, adopted;
	int last_wakeup;
};

/* A socket as a program sees it. */
struct stand_sock {
	struct stand_client *client;
	struct sock_region *region;
	uint32_t slot, gen;
};

void stand_init(struct stand *, uint32_t shards, uint32_t sockets);
void stand_done(struct stand *); /* also checks that nothing is left */
struct stand_client *stand_attach(struct stand *, uint32_t sockets);
/* A child that holds all that `parent` does. */
struct stand_client *stand_clone(struct stand *, struct stand_client *parent);
void stand_detach(struct stand *, struct stand_client *);

/* Until nothing moves any more. */
void stand_run(struct stand *);
void stand_turn(struct stand *); /* once */
void stand_after(struct stand *, ns_t); /* time goes on in steps of 10 ms */
uint64_t stand_count(const struct stand *, enum count_id);
uint32_t stand_sockets(const struct stand *);

/* --- the library --- */

struct stackd_sock *stand_shm(const struct stand_sock *);
struct sock *stand_inside(const struct stand_sock *);
struct stand_sock stand_socket(struct stand_client *);
void stand_post(const struct stand_sock *, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2);
void stand_post_to(const struct stand_sock *, uint32_t shard, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2);
int stand_bind(struct stand *, const struct stand_sock *, uint16_t port, uint32_t flags);
int stand_listen(struct stand *, const struct stand_sock *, uint32_t backlog);
void stand_connect(struct stand *, const struct stand_sock *, uint16_t port);
/* False: nobody waits. */
bool stand_accept(struct stand *, const struct stand_sock *listener, struct stand_client *by, struct stand_sock *out);
/* Bytes that fitted. */
uint32_t stand_send(const struct stand_sock *, uint32_t len);
/* Bytes that were there; checks that they are the pattern of stand_send. */
uint32_t stand_read(const struct stand_sock *, uint32_t len);
uint32_t stand_state(const struct stand_sock *);
/* The next subscription in an event queue; -1: empty. */
int stand_pop(struct stand_client *, uint32_t evq);
/* A listener on `port`, a connection to it and its accepted end. */
struct stand_pair {
	struct stand_sock listener, from, to;
};
struct stand_pair stand_pair(struct stand *, struct stand_client *server, struct stand_client *client, uint16_t port);

#endif
