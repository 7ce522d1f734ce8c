/* SPDX-License-Identifier: BSD-2-Clause */
/* talk.h - a conversation with one tcp instance on a virtual clock: the test plays the peer.
 *
 * Segments are written as
 *	"FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [<option,option>]"
 * with flags out of S F R P U E W . (ECE, CWR; the dot is ACK) or -, numbers relative to each
 *side's initial one (so the SYN is 0 and the first byte 1), options mss N, sackOK, ts VAL ECR,
 *wscale N, sack A:B. An expectation names what it cares about: ack, win, urg and options that it
 *leaves out may be anything; "<>" means no options; ts without numbers means any. */
#ifndef TESTS_TCP_TALK_H
#define TESTS_TCP_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fake_net.h"
#include "plain.h"
#include "tcp/tcp.h"

#define TALK_RING 65536u

struct talk {
	struct net net;
	struct tcp *tcp;
	struct counters counters;
	struct tcp_profile profile;
	struct tcp_rules rules;
	uint64_t rto_ns, cwnd_segs;
	uint64_t secret; /* half of the instance's */
	uint32_t connections_max, chunks_max;
	struct memory memory;
	bool no_memory; /* no further slab for any pool */
	ns_t now;
	struct tcp_listener *listener;
	struct tcp_conn *conn;
	struct addr peer, own;
	uint16_t peer_port, own_port;
	uint32_t peer_iss, iss; /* iss: learned from our SYN */
	bool iss_known;
	uint8_t *rx, *tx;
	uint32_t rx_bytes; /* TALK_RING, unless a test takes a larger rx before talk_begin */
	uint32_t events;   /* of conn, since talk_events */
	uint64_t queued, consumed;
	bool closed, no_buffers;
	int error;         /* once closed: conn is gone then */
	bool hold;         /* injected segments are of one burst: no tcp_run after each */
	uint8_t tos;       /* of injected segments */
	uint8_t last_tos;  /* of the last expected one */
	uint16_t gso_size; /* of injected segments */
	uint8_t interface; /* that they come by */
	uint8_t device;    /* that listeners and connections are confined to */
	uint32_t last_ts;  /* timestamp of the last expected segment that had one */
};

/* start: the clock.  Before talk_begin the profile may be changed. */
void talk_init(struct talk *, ns_t start);
void talk_begin(struct talk *);
void talk_end(struct talk *);

void talk_inject(struct talk *, const char *segment);
void talk_expect(struct talk *, const char *segment);
void talk_nothing(struct talk *);
/* Runs all timers up to now + ns. */
void talk_after(struct talk *, ns_t ns);
/* tcp_run and the events. */
void talk_run(struct talk *);
uint32_t talk_events(struct talk *); /* and forgets them */

void talk_listen(struct talk *, uint32_t backlog);
void talk_connect(struct talk *);
/* A handshake with MSS 1460 and the given further options of the peer ("" for none). */
void talk_open_passive(struct talk *, const char *options);
void talk_open_active(struct talk *, const char *options);
void talk_send(struct talk *, uint32_t len); /* bytes of a pattern */
void talk_read(struct talk *, uint32_t len); /* checks the pattern */
enum tcp_state talk_state(struct talk *);
struct tcp_info talk_info(struct talk *);
uint8_t talk_byte(uint64_t off); /* the pattern */

#endif
