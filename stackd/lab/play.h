/* SPDX-License-Identifier: BSD-2-Clause */
/* play.h - what a scenario has given: counts, ACK numbers, single facts, and the segments behind
 * them; each beside what the book says. */
#ifndef STACKD_LAB_PLAY_H
#define STACKD_LAB_PLAY_H

#include <stdio.h>

#include "lab/ladder.h"
#include "lab/model.h"

#define PLAY_ACKS_MAX  32u
#define PLAY_FACTS_MAX 16u

struct play_fact {
	const char *what;
	char want[48], got[48];
	bool ok;
};

struct play {
	const char *scenario, *title, *recovery;
	const char *note; /* may be NULL */
	bool on_model;	  /* `model` stands for the stage */
	uint32_t sent, again, acks;
	double done_ms; /* when the last byte was acknowledged; 0: not */
	bool has_want;
	uint32_t want_sent, want_again, want_acks;
	uint32_t ack_count, want_ack_count; /* want_ack_count 0: not compared */
	int64_t ack_number[PLAY_ACKS_MAX], want_ack[PLAY_ACKS_MAX];
	uint32_t fact_count;
	struct play_fact fact[PLAY_FACTS_MAX];
	ladder_label label;
	void *label_arg;
	uint32_t ladder_from;
	struct ladder_bases bases;
	struct stage stage;
	struct model_result model;
};

void play_fact(struct play *, const char *what, uint64_t want, uint64_t got);
/* ok says whether `got` will do; `want` says in words what would. */
void play_fact_if(struct play *, const char *what, bool ok, const char *want, const char *got, ...)
	__attribute__((format(printf, 5, 6)));
/* sent, again and acks from the stage's record, A being the sender. */
void play_count(struct play *);
bool play_right(const struct play *);
/* Title, ladder and facts. */
void play_show(const struct play *);
void play_json(const struct play *, FILE *out);
/* Heads the table, or a line of it. */
void play_table_head(void);
void play_table_line(const struct play *, FILE *out);

/* --- the book's table (book.c) and single conversations (demo.c) --------------------------------- */

/* Calls `each` for every play of a scenario; false: no scenario of that name.  NULL name: all. */
typedef void (*play_each)(void *arg, struct play *);
bool book_run(const char *name, struct plugins *, play_each, void *arg);
bool demo_run(const char *name, struct plugins *, play_each, void *arg);
void book_names(void (*tell)(const char *name, const char *title));
void demo_names(void (*tell)(const char *name, const char *title));

#endif
