/* SPDX-License-Identifier: BSD-2-Clause */
/* scene.h - one transfer between two whole stacks over a link that tampers by rules, every segment
 * of it kept.  Host 0 sends, in segments of 1,000 bytes; the checker watches both; each scene must
 * deliver every byte and close in order.  Virtual time, no randomness. */
#ifndef STACKD_TESTS_SCENE_H
#define STACKD_TESTS_SCENE_H

#include "checker.h"
#include "lab/rules.h"
#include "lab/seen.h"
#include "lab/world.h"
#include "tamper.h"

#define SCENE_START_NS  (1000 * NS_PER_S) /* of a lab_world */
#define SCENE_MSS       1000u
#define SCENE_BYTES     100000u
#define SCENE_LINES_MAX 4096u

/* A segment as a host has sent it or has got it. */
struct line {
	ns_t at;
	unsigned host;
	bool out;
	struct seen seen;
	int64_t off; /* of its first byte in its sender's stream */
};

struct scene {
	struct lab_rules rules;
	struct lab_world w;
	struct tamper tamper[2]; /* of what host 0, the sender, and host 1 send */
	struct checker checker;
	struct lab_stream *client, *server;
	uint32_t iss[2];
	struct line line[SCENE_LINES_MAX];
	uint32_t count;
	uint64_t bytes;
	char settings[1024];
};

/* Before and after all scenes: the plugins. */
void scenes_begin(void);
void scenes_end(void);

/* Both ends with this recovery; before scene_play bytes, settings and rules may be changed. */
void scene_set(struct scene *, const char *recovery);
/* Of what `host` sends; the rest of the rule may be set. */
struct tamper_rule *scene_rule(struct scene *, unsigned host, enum tamper_kind, enum tamper_what,
			       uint64_t value);
/* The first of that kind that has the byte at `off`. */
void scene_once(struct scene *, unsigned host, enum tamper_kind, enum tamper_what, uint64_t value,
		int64_t off);
/* Runs it to its end, which must be a good one.  VERBOSE=1 shows the segments. */
void scene_play(struct scene *);
void scene_end(struct scene *);

/* How often a part of [begin, end) of host 0's text left it, or came to host 1. */
uint32_t scene_sent(const struct scene *, int64_t begin, int64_t end);
uint32_t scene_came(const struct scene *, int64_t begin, int64_t end);
/* Segments without text and with just these flags that host 1 has sent (out), or that came to host
 * 0. */
uint32_t scene_bare(const struct scene *, bool out, uint8_t flags);
/* ACKs of host 1 whose first SACK block lies below what they acknowledge (RFC 2883). */
uint32_t scene_duplicates_told(const struct scene *);
uint64_t scene_counted(const struct scene *, unsigned host, enum count_id);

#endif
