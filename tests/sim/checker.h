/* SPDX-License-Identifier: BSD-2-Clause */
/* checker.h - watches the frames of one connection from outside and knows what no TCP may do.  It
 * shares no code with the stack: its own parser, its own bookkeeping byte by byte.
 *
 * Held: nothing is sent beyond the window or below what is acknowledged; the right edge never moves
 * left; nothing is acknowledged, selectively too, that did not come; a byte sent again is the same;
 * SACK blocks are ordered as RFC 2018 and 2883 say; nothing follows a FIN; data in order is
 * acknowledged within 500 ms; the interval of resends never shrinks while nothing comes back. */
#ifndef STACKD_TESTS_CHECKER_H
#define STACKD_TESTS_CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#define CHECKER_STREAM_MAX (256u << 10)

/* What one host has sent, and what it has been told. */
struct checker_side {
	bool syn, agreed_scale, fin;
	bool hole; /* some of what it sent was not seen: dropped for want of a neighbour's address */
	uint32_t iss;
	uint8_t wscale;
	bool has_wscale;
	int64_t sent_end;  /* one past the highest byte sent, FIN included */
	int64_t fin_at;	   /* offset of its FIN */
	int64_t acked;	   /* highest acknowledgement that has come to it */
	int64_t limit;	   /* highest right edge that has come to it */
	uint8_t *byte;	   /* of the stream as first sent */
	uint8_t *came;	   /* of the peer's stream: 1 what has arrived here */
	int64_t came_end;  /* one past what arrived without a gap, FIN included */
	int64_t peer_fin;  /* offset of a FIN that arrived; -1 */
	int64_t ack_out;   /* highest acknowledgement that it sent */
	int64_t edge_out;  /* highest right edge that it announced */
	uint64_t owes_since; /* ns: in-order data came and no ACK has left; 0: none */
	int64_t again_at;  /* resends of the lowest byte with silence between them */
	uint64_t again_time, again_interval;
};

struct checker {
	struct checker_side side[2];
	bool rst_is_wrong;
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

#endif
