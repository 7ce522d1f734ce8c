/* SPDX-License-Identifier: BSD-2-Clause */
/* path.h - one connection on a simulated path of 100 ms, and what its sender thinks over time: a
 * sample for each change.  What is lost, and when, the test says.  Virtual time, no randomness. */
#ifndef STACKD_TESTS_PATH_H
#define STACKD_TESTS_PATH_H

#include "lab/rules.h"
#include "lab/seen.h"
#include "lab/world.h"

#define MSS     1460u
#define IW      10u
#define ONE_WAY (50 * NS_PER_MS)
#define RTT     (2 * ONE_WAY)
#define RING    (16u << 20)

struct sample {
	ns_t at;
	uint64_t cwnd, ssthresh, flight, una, nxt, pacing;
	ns_t rto;
	bool recovering;
	char mode[16]; /* bbr's */
	double rate;   /* bbr's, bytes per second */
	double alpha;  /* dctcp's */
};

struct path {
	struct lab_rules rules;
	struct lab_world w;
	struct lab_stream *s;
	uint32_t iss, drop_from, drop_to, seen; /* data segments of that number are lost, once */
	bool dead, deaf;                        /* no data passes any more; no ACK comes back */
	ns_t lost_at, again_at; /* when the first of the lost left, and when again; 0: not */
	uint32_t lost_seq;
	uint64_t sent_end;
	/* Sees what the sender sends and takes in; NULL: nobody. */
	void (*also)(struct path *, bool sent, uint8_t *frame, uint32_t len);
	void *also_arg;
	struct sample *sample;
	uint32_t count;
};

/* settings: as stackd's -o, a line each; rate_bps 0: the path has no bottleneck.  What the caller
 * has set before says what is lost. */
void path_open(struct path *, const char *settings, uint64_t rate_bps, uint64_t bytes);
void path_run(struct path *, ns_t ns);
void path_close(struct path *);
/* The last sample at or before a time. */
const struct sample *at(const struct path *, ns_t when);
/* The first sample in which ssthresh fell; NULL: never. */
const struct sample *decrease(const struct path *);
/* The sample in which recovery is over. */
const struct sample *recovered(const struct path *, const struct sample *);
/* Fails the test unless `got` is `want` within this part of it. */
void near(const char *what, double got, double want, double part);

#endif
