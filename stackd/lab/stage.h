/* SPDX-License-Identifier: BSD-2-Clause */
/* stage.h - one scripted conversation: two hosts, a link of constant delay on which chosen segments
 * are dropped or held back, and a record of every segment that was really sent.  Host 0 is A, the
 * client and sender of data; host 1 is B. */
#ifndef STACKD_LAB_STAGE_H
#define STACKD_LAB_STAGE_H

#include "lab/individual.h"
#include "lab/rules.h"
#include "lab/seen.h"
#include "lab/world.h"

#define STAGE_RECORDS_MAX 512u

struct stage_record {
	ns_t at, arrived; /* since the stage opened; arrived 0: not */
	unsigned from;
	struct seen seen; /* data is not kept */
	int64_t off, ack; /* as offsets in the streams: 0 is the first byte */
	bool dropped, again;
	uint32_t asked_by; /* ACKs: record of the data that had arrived last; else UINT32_MAX */
	uint32_t print;	   /* of the bytes: tells which arrival this is */
};

/* What befalls a segment, by its number among those of its kind, counted from 1. */
struct stage_tamper {
	unsigned from;
	bool data;	/* counts segments with data; else those with an ACK alone */
	uint32_t which; /* bit n - 1: the nth */
	bool drop;
	ns_t delay_ns;
};
#define STAGE_TAMPERS_MAX 4u

struct stage_config {
	const char *settings[2]; /* of A and B: lines SECTION.KEY=VALUE; [1] NULL: as A */
	ns_t delay_ns;		 /* one way */
	uint64_t rate_bps;	 /* 0: no limit */
	uint32_t ring_bytes[2];	 /* 0: 64 KB */
	bool individual; /* the link makes B's ACKs individual ones; then without timestamps */
	struct stage_tamper tamper[STAGE_TAMPERS_MAX];
};

struct stage {
	struct lab_world w;
	struct stage_config config;
	struct lab_rules rules[2];
	ns_t opened;
	struct lab_stream *stream[2];
	struct stage_record record[STAGE_RECORDS_MAX];
	uint32_t count, missed;	   /* missed: sent when the record was full */
	uint32_t seen_of[2][2];	   /* by host: segments without and with data so far */
	uint32_t first;		   /* the conversation proper begins at this record */
	uint32_t iss[2];
	int64_t sent_end[2];
	uint32_t last_data[2]; /* record of the data that arrived last at a host */
	struct ranges told;    /* by individual ACKs that were not dropped */
	uint8_t instead[INDIVIDUAL_FRAME_MAX];
};

/* Opens the connection unless `later`.  0, or -errno with a sentence. */
int stage_open(struct stage *, const struct stage_config *, struct plugins *, bool later,
	       char error[static CONFIG_ERROR_MAX]);
void stage_close(struct stage *);
void stage_connect(struct stage *);
/* Host `i` writes that many bytes as one write, and sends what may be sent. */
void stage_write(struct stage *, unsigned i, uint64_t bytes);
/* Lets time pass. */
void stage_pass(struct stage *, ns_t ns);
/* What is recorded from here on is what the scenario is about. */
void stage_begin(struct stage *);

#endif
