/* SPDX-License-Identifier: BSD-2-Clause */
/* judge.h - SEGMENT ARRIVES as a function: what RFC 9293 3.10.7, with RFC 5961 and RFC 1337, has an
 * end of a connection do with one segment.  Written from the RFCs, it asks the stack nothing; it
 * thinks in 32-bit sequence numbers as they do.  Where the stack differs on purpose, the judge says
 * so at the place and docs/rfc9293.md has it in its table of choices. */
#ifndef TESTS_TCP_JUDGE_H
#define TESTS_TCP_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/count.h"
#include "tcp/tcp.h"

/* One end, as far as its peer can know it. */
struct judge_end {
	enum tcp_state state;
	bool listening; /* somebody does, on this port */
	bool passive, orphan, fin_sent;
	uint32_t iss, snd_una, snd_nxt, snd_wnd_max;
	uint32_t irs, rcv_nxt, rcv_wnd;
	uint32_t read; /* the number up to which the user has read */
};

struct judge_segment {
	uint8_t flags; /* SEG_SYN and so on */
	uint32_t seq, ack, len;
	uint16_t urgent;
};

enum judge_reply { REPLY_NONE, REPLY_ACK, REPLY_RST, REPLY_RST_ACK, REPLY_SYN_ACK };

struct judge_verdict {
	enum judge_reply reply;
	bool any_seq;      /* of the reply: a fresh initial number */
	uint32_t seq, ack; /* of the reply, as far as its flags have them */
	struct judge_end after;
	uint32_t kept, kept_len; /* text taken: its sequence number */
	bool urgent;             /* the user is told */
	int error;               /* when a connection that the user knows has ended */
	enum count_id why;       /* the one refusal counter that moves; COUNT_MAX: none */
};

struct judge_verdict judge(const struct judge_end *, const struct judge_segment *);

#endif
