/* SPDX-License-Identifier: BSD-2-Clause */
/* checker.h - watches the frames of one connection from outside and knows what no TCP may do.  It
 * shares no code with the stack: its own parser, its own bookkeeping byte by byte.
 *
 * Held: nothing is sent beyond the window, above the peer's MSS or below what is acknowledged; the
 * right edge never moves left; nothing is acknowledged, selectively too, that did not come; a byte
 * sent again is the same; SACK blocks are ordered as RFC 2018 and 2883 say: a duplicate's first, then
 * the newest; options are used that both have offered, and timestamps then always; nothing follows a
 * FIN; data in order is acknowledged within 500 ms; the interval of resends never shrinks while
 * nothing comes back; after the last fault delivery goes on (checker_live).
 *
 * Each host is judged by what came to it, not by what the other one sent: something may stand between
 * them that changes segments. */
#ifndef STACKD_TESTS_CHECKER_H
#define STACKD_TESTS_CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#define CHECKER_STREAM_MAX (256u << 10)

/* What one host has sent, and what has come to it. */
struct checker_side {
	bool syn, fin;
	bool hole; /* some of what it sent was not seen: dropped for want of a neighbour's address */
	uint32_t iss;
	bool offers_wscale, offers_sack, offers_ts; /* in its own SYN */
	bool told, told_wscale, told_sack, told_ts; /* in the SYN that came */
	uint8_t wscale, peer_wscale;
	uint16_t mss;	   /* that the peer can take; 0: it did not say */
	int64_t sent_end;  /* one past the highest byte sent, FIN included */
	int64_t fin_at;	   /* offset of its FIN */
	int64_t acked;	   /* highest acknowledgement that has come to it, and counts */
	int64_t acked_most; /* or may have been refused as older than what came before (PAWS) */
	uint64_t acked_at; /* when */
	uint32_t ts_came;  /* newest timestamp of what began at or below its ACK */
	int64_t limit;	   /* highest right edge that has come to it */
	uint8_t *byte;	   /* of the stream as first sent */
	uint8_t *came;	   /* of the peer's stream: CAME_ bits */
	int64_t came_end;  /* one past the bytes that arrived without a gap */
	int64_t newest[2]; /* the last arrival out of order that had new bytes; [0] == [1]: none */
	int64_t twice[2];  /* what came again since the last ACK left */
	int64_t ack_out;   /* highest acknowledgement that it sent */
	int64_t edge_out;  /* highest right edge that it announced */
	uint64_t owes_since; /* ns: in-order data came and no ACK has left; 0: none */
	int64_t again_at;  /* resends of the lowest byte with silence between them */
	uint64_t again_time, again_interval;
};

struct checker {
	struct checker_side side[2];
	unsigned watched;  /* bit 1 << host: whose frames are judged; checker_init: both */
	bool rst_is_wrong; /* outside of the end of a connection */
	bool prompt; /* no segment waits, or is dropped, for want of a neighbour's address:
			 the rules about time and order count */
	uint8_t mac[2][6]; /* a damaged ARP answer sends frames elsewhere */
	uint64_t frames;
	char violation[256]; /* the first; empty: none */
};

void checker_init(struct checker *);
void checker_free(struct checker *);
/* A frame that `host` sends (out) or takes in. */
void checker_see(struct checker *, unsigned host, uint64_t now_ns, bool out, const uint8_t *frame,
		 uint32_t len);
/* Faults were over at `since_ns`, and `queued` bytes are all that `host`'s application has written: a
 * violation when some are left and none were acknowledged for `within_ns`.  How fast it goes is no rule:
 * a SYN that lost its window scale leaves a small window for good. */
void checker_live(struct checker *, unsigned host, uint64_t now_ns, uint64_t since_ns, uint64_t within_ns,
		  uint64_t queued);

#endif
