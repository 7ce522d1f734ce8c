/* SPDX-License-Identifier: BSD-2-Clause */
/* interfaces.h - opens the drivers that the configuration asks for, says which it took and why, and
 * tells the clients by the board what is reached through them. */
#ifndef STACKD_INTERFACES_H
#define STACKD_INTERFACES_H

#include "config.h"
#include "shard.h"

struct interfaces {
	uint32_t count;
	struct config_interface config[INTERFACES_MAX];
	struct driver *driver[SHARDS_MAX][INTERFACES_MAX];
};

/* Opens every interface for every shard.  0, or -errno with a sentence; then nothing is left open. */
int interfaces_open(const struct config *, uint32_t shards, struct interfaces *out,
		    char error[static CONFIG_ERROR_MAX]);
/* The part of a shard's configuration that is about interfaces; the drivers are its own then. */
void interfaces_give(struct interfaces *, uint32_t shard, struct shard_config *);
/* Own addresses, on-link prefixes and default routes. */
void interfaces_routes(const struct interfaces *, struct stackd_board *);
/* One line an interface, of what would be opened. */
void interfaces_describe(const struct config *, void (*say)(const char *line));

#endif
