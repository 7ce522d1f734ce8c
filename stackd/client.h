/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h - the daemon's end of client.sock: client processes attach, ask and go.  Control thread
 * only; what touches sockets happens by shard_call. */
#ifndef STACKD_CLIENT_H
#define STACKD_CLIENT_H

#include "access.h"
#include "config.h"
#include "ctl/writer.h"
#include "loop.h"
#include "mailbox.h"
#include "region.h"
#include "shard.h"

struct clients_config {
	struct loop *loop;
	struct config *config;
	struct plugins *plugins;
	const char *rundir;
	struct access access;
	uint64_t clients_per_user, rule_sets_per_user; /* but for root and the daemon's own */
	struct region_config region;
	struct stackd_board *board;
	int board_fd;
	struct shard **shards;
	uint32_t shard_count;
};

struct clients;

/* Listens on client.sock.  0 or -errno with a sentence. */
int clients_create(const struct clients_config *, struct clients **out, char error[static CONFIG_ERROR_MAX]);
/* All clients go (what they hold is reset), the socket's file is removed; the shards still run. */
void clients_leave(struct clients *);
/* After the shards have stopped. */
void clients_destroy(struct clients *);
/* The mailbox that shards' letters go to. */
struct mailbox *clients_mailbox(struct clients *);
/* What the shards do with a letter: for shard_on_letter. */
void clients_on_letter(void *clients, struct mail *);
void clients_show(struct clients *, struct writer *);
/* The next listener, summed over the shards, and a process that holds it; false at the end.
 * *cursor starts at 0. */
bool clients_next_listener(struct clients *, uint64_t *cursor, struct tcp_listener_info *out, uint32_t *pid);

#endif
