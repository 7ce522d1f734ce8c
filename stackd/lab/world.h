/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h - two hosts and the link between them, made from a few numbers. */
#ifndef STACKD_LAB_WORLD_H
#define STACKD_LAB_WORLD_H

#include "lab/host.h"
#include "lab/tap.h"

struct lab_world_config {
	uint64_t seed;
	uint32_t mtu, burst; /* burst: see lab_host_config */
	bool v6, lenient, introduced; /* introduced: see lab_world */
	const struct tcp_rules *rules[2];
	uint32_t ring_bytes[2];
	/* What befalls the frames that each host sends; NULL: nothing.  The seed comes from here too. */
	const struct fault_config *fault[2];
	/* Puts something of its own between host and impairment; NULL: nothing. */
	struct driver *(*wrap)(void *arg, unsigned host, struct driver *inner);
	void *wrap_arg;
	tap_fn see; /* of both hosts; may be NULL */
	void *see_arg;
};

#define LAB_PORT 80u

/* Host 0 opens, host 1 listens on LAB_PORT.  Ends the program when something can't be made. */
void lab_world_open(struct lab_world *, const struct lab_world_config *);
void lab_world_close(struct lab_world *);
/* Host 0 connects to host 1. */
struct lab_stream *lab_world_connect(struct lab_world *, const struct lab_stream *what);
/* The stream that host 1 has accepted first; NULL: not yet. */
struct lab_stream *lab_world_accepted(const struct lab_world *);
/* Connections that are neither gone nor in TIME-WAIT. */
uint32_t lab_host_connections(struct lab_host *, ns_t now);

#endif
