/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - one conversation of a capture, and what stackd's TCP does in the place of one of its ends. */
#ifndef STACKD_LAB_REPLAY_H
#define STACKD_LAB_REPLAY_H

#include <stdio.h>

#include "base/addr.h"
#include "lab/capture_file.h"
#include "lab/rules.h"
#include "lab/seen.h"

enum replay_who { REPLAY_CAPTURED, REPLAY_PEER, REPLAY_OURS, REPLAY_WHO_MAX };

struct replay_event {
	ns_t at;	/* since the SYN */
	uint32_t order; /* among those of the same time: as in the file, then ours */
	enum replay_who who;
	struct seen seen;
	int64_t off, ack; /* in the streams: 0 is the first byte */
	int64_t release;    /* of the stream may be sent from now on, 0: as before */
	bool release_fin;
	bool again, beyond; /* beyond: a peer's ACK of what ours had not sent */
};

struct replay {
	struct endpoint end[2]; /* of the captured end, of the peer */
	bool we_open;
	uint32_t iss[2]; /* as captured */
	uint32_t tsval;	 /* the first that the captured end sent */
	uint16_t mss;	 /* that it offered */
	struct replay_event *event; /* by time; captured ones before ours */
	uint32_t count, room, conversations;
	int error; /* of our connection: errno; 0: none */
};

enum replay_end { REPLAY_AS_CAPTURED, REPLAY_OPENER, REPLAY_ACCEPTOR };

/* Finds the nth conversation that begins with a SYN (1 is the first) and takes it apart.  What the
 * captured end sent may be sent as soon as the text of the peer that came before it is there; paced: when
 * the captured end first sent it.
 * 0, or -EINVAL with a sentence. */
int replay_find(struct replay *, const struct capture_file *, uint32_t nth, enum replay_end, bool paced,
		char error[static CAPTURE_ERROR_MAX]);
void replay_free(struct replay *);

/* --- replay_run.c ---------------------------------------------------------------------------- */

/* Plays the peer's segments to our TCP at their times and appends what it sends. */
void replay_run(struct replay *, const struct tcp_rules *);
struct replay_event *replay_add(struct replay *);
void replay_sort(struct replay *);

/* --- replay_show.c --------------------------------------------------------------------------- */

void replay_show(const struct replay *, FILE *out);
void replay_json(const struct replay *, FILE *out);

#endif
