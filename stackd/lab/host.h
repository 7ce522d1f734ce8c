/* SPDX-License-Identifier: BSD-2-Clause */
/* host.h - a whole stack in virtual time: a driver's end, net and tcp, with streams in place of
 * applications.  Two hosts on a pair make a world; its clock jumps from one event to the next. */
#ifndef STACKD_LAB_HOST_H
#define STACKD_LAB_HOST_H

#include "driver/driver.h"
#include "net/net.h"
#include "tcp/tcp.h"

/* What an application would be: it sends `to_send` patterned bytes as fast as the ring takes them,
 * and reads and checks whatever comes. */
struct lab_stream {
	struct lab_host *host;
	struct tcp_conn *conn; /* NULL: ended, or not yet */
	struct byte_ring rx, tx;
	uint64_t seed;	       /* of the pattern sent; the other end expects the same */
	uint64_t to_send, queued, acked;
	uint64_t arrived, received, read_max; /* read_max: stop reading there (UINT64_MAX: never) */
	ns_t read_every_ns, next_read;	      /* a slow reader; 0: reads whatever is there at once */
	uint64_t read_bytes;		      /* what a slow reader takes at a time */
	uint64_t expect_seed;
	uint64_t wrong_at;  /* offset of the first wrong byte; UINT64_MAX: none */
	bool close_when_done; /* FIN when all is queued */
	bool connected, eof, ended, closed_by_us;
	ns_t ended_at;
	int error;
	struct tcp_info last; /* refreshed by lab_stream_info, and when the connection ends */
};

struct lab_host_config {
	const char *address;	/* "10.0.0.1/24" */
	struct driver *driver;	/* owned */
	const struct tcp_rules *rules;
	uint64_t seed;
	uint32_t ring_bytes; /* of each stream and direction, a power of two */
	uint32_t burst; /* frames taken in at once; 0: FRAME_BURST_MAX */
	struct addr gateway; /* unspecified or zero: none */
	bool lenient; /* what a plugin does wrong is counted and clamped, not asserted */
};

#define LAB_STREAMS_MAX 64u

struct lab_host {
	struct lab_host_config config;
	struct memory memory;
	uint64_t memory_bytes; /* taken by the stack and not given back */
	struct net *net;
	struct tcp *tcp;
	struct counters counters;
	struct addr address;
	struct lab_stream *stream[LAB_STREAMS_MAX]; /* all, also accepted ones */
	uint32_t stream_count;
	struct lab_stream accept_template; /* what an accepted stream is to do */
	uint32_t accepted;
};

struct lab_world {
	ns_t now;
	struct lab_host *host[2];
	bool introduced; /* the hosts know each other's MAC: no ARP or ND in the way */
	ns_t introduce_at;
	uint64_t turns;
};

/* Memory for a tool: what can't be had ends the program, with a sentence. */
void *lab_alloc(size_t bytes); /* zeroed; free() it */
void lab_fail(const char *what) __attribute__((noreturn));

/* Ends the program when something can't be made. */
struct lab_host *lab_host_create(const struct lab_host_config *, ns_t now);
void lab_host_destroy(struct lab_host *);
/* One burst in, streams served, timers, output.  True if a frame came in or a stream moved. */
bool lab_host_turn(struct lab_host *, ns_t now);
ns_t lab_host_deadline(const struct lab_host *, ns_t now);

int lab_listen(struct lab_host *, uint16_t port, uint32_t backlog);
/* NULL: refused at once. */
struct lab_stream *lab_connect(struct lab_host *, const struct addr *to, uint16_t port, uint16_t local_port,
			       const struct lab_stream *what, ns_t now);
void lab_stream_info(struct lab_stream *, ns_t now);
/* Goes on after to_send, read_max or close_when_done were changed; lab_run does the rest. */
void lab_stream_write(struct lab_stream *);
void lab_stream_read(struct lab_stream *, ns_t now);

/* Runs until `done` says so, nothing is pending any more, or `until`.  True when done. */
bool lab_run(struct lab_world *, ns_t until, bool (*done)(void *), void *arg);

/* The byte at an offset of the stream with this seed. */
uint8_t lab_byte(uint64_t seed, uint64_t off);

#endif
