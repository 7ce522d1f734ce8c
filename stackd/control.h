/* SPDX-License-Identifier: BSD-2-Clause */
/* control.h - the daemon's end of control.sock: answers stackdctl.  Control thread only; what
 * concerns connections is asked of the shards by shard_call. */
#ifndef STACKD_CONTROL_H
#define STACKD_CONTROL_H

#include "config.h"
#include "ctl/writer.h"
#include "loop.h"
#include "plugin.h"
#include "shard.h"
#include "tcp/tcp.h"

struct control_context {
	struct config *config;
	struct plugins *plugins;
	struct shard **shards;
	uint32_t shard_count;
	struct loop *loop;
	/* `set` has changed the rules: for connections that are opened from now on */
	void (*apply_rules)(void *arg, const struct tcp_rules *);
	void (*show_clients)(void *arg, struct writer *);
	/* The next listener, summed over the shards; false at the end.  *cursor starts at 0.  May be
	 * NULL: `show listeners` is refused then. */
	bool (*next_listener)(void *arg, uint64_t *cursor, struct tcp_listener_info *out, uint32_t *pid);
	void *arg;
	struct taps *taps; /* control_create's own */
};

struct control;

/* Listens on control.sock in the configured rundir, which exists.  0 or -errno with a sentence. */
int control_create(const struct control_context *, struct control **out,
		   char error[static CONFIG_ERROR_MAX]);
/* Unanswered requests are cut off; the socket's file is removed. */
void control_destroy(struct control *);

#endif
