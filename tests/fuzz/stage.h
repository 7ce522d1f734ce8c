/* SPDX-License-Identifier: BSD-2-Clause */
/* stage.h - one host on a virtual clock, with a listener, and a peer that the fuzzer plays: it
 * sends any frame, and sees what the stack answers. */
#ifndef STACKD_TESTS_STAGE_H
#define STACKD_TESTS_STAGE_H

#include "lab/host.h"
#include "lab/seen.h"

#define STAGE_FRAME_MAX 2048u
#define STAGE_MTU       1500u
#define STAGE_OWN_PORT  80u
#define STAGE_PEER_PORT 40000u
#define STAGE_SEED_PEER 77u /* of the bytes that the peer sends; lab_byte */

/* A segment of the peer. */
struct stage_segment {
	uint32_t seq, ack, len;
	uint16_t window, urgent;
	uint8_t flags;
	uint8_t options_len; /* a multiple of 4 */
	uint8_t options[40];
	uint64_t off; /* of the data in the peer's stream */
};

struct stage {
	ns_t now;
	bool v6;
	struct lab_host *host;
	struct driver *peer;       /* the peer's end of the link */
	struct driver *end;        /* the stack's */
	struct lab_stream *stream; /* the connection; NULL: none yet */
	uint32_t peer_iss;
	uint32_t iss;      /* of the stack; 0 until a SYN of it was seen */
	uint32_t sent_end; /* one past the highest number the stack sent */
	uint32_t ts_last;  /* the last timestamp of the stack */
	bool ts;
	uint64_t turns;
	/* Both directions, as the stack's end sees them; may be NULL. */
	void (*see)(void *arg, struct stage *, bool out, const uint8_t *frame, uint32_t len);
	void *see_arg;
};

/* Settings, as lab_rules_make takes them.  Made once per text, kept for ever. */
const struct tcp_rules *stage_rules(const char *settings);
void stage_open(struct stage *, const char *settings, bool v6, uint32_t ring_bytes);
void stage_close(struct stage *);
/* A frame from the peer; at most STAGE_FRAME_MAX bytes.  Sums are made right when asked. */
void stage_inject(struct stage *, const uint8_t *frame, uint32_t len, bool sums);
/* The link-layer and IP header in front of a packet from the peer; returns its length. */
uint32_t stage_header(const struct stage *, uint8_t proto, uint32_t l4_len, uint8_t *out);
void stage_send(struct stage *, const struct stage_segment *);
/* Runs the stack's timers and answers for a time. */
void stage_after(struct stage *, ns_t);
/* The handshake, by the stack (active) or by the peer. */
void stage_handshake(struct stage *, bool active, const struct lab_stream *what);
/* The stack's next number as the peer would expect to be acknowledged, and the peer's own. */
uint32_t stage_rcv_nxt(const struct stage *);
/* Ends the program with a sentence, for the fuzzer to find. */
void stage_fail(const char *why) __attribute__((noreturn));

#endif
