/* SPDX-License-Identifier: BSD-2-Clause */
/* tamper.h - a link that does things to chosen segments: a list of rules, each with what it looks
 * for, which of those it takes, and what it does with them. */
#ifndef STACKD_TESTS_TAMPER_H
#define STACKD_TESTS_TAMPER_H

#include "base/rng.h"
#include "driver/driver.h"

enum tamper_kind {
	TAMPER_ANY,
	TAMPER_SYN, /* SYN and SYN-ACK */
	TAMPER_DATA,
	TAMPER_AGAIN,    /* data that was seen before */
	TAMPER_PURE_ACK, /* no data, SYN, FIN or RST */
	TAMPER_FIN,
};

enum tamper_what {
	TAMPER_DROP,
	TAMPER_DELAY,     /* value: ns */
	TAMPER_DUPLICATE, /* value: ns until the second copy */
	TAMPER_REORDER,   /* the next one overtakes it */
	TAMPER_CORRUPT,   /* a byte, its checksum stays: value picks the byte */
	TAMPER_STRIP,     /* value: kind of option */
	TAMPER_MSS,       /* an MSS option above value is set to it */
	TAMPER_WINDOW,    /* a window field above value is set to it */
	TAMPER_SPLIT,     /* in two; value: bytes of the first, at most */
	TAMPER_MERGE,     /* with the next one, when that continues it */
	TAMPER_WHATS
};

struct tamper_rule {
	enum tamper_kind kind;
	enum tamper_what what;
	uint32_t first; /* of the segments that it looks for, how many it lets pass first */
	uint32_t every; /* then each nth; 0 and 1: all */
	uint32_t count; /* so many altogether; 0: no limit */
	uint64_t value;
	int64_t begin, end; /* only what touches these bytes of the stream; both 0: all */
};

#define TAMPER_RULES_MAX 8u

struct tamper {
	struct tamper_rule rule[TAMPER_RULES_MAX];
	uint32_t count;
	ns_t until; /* no faults from then on; 0: for ever */
	/* its own */
	uint32_t looked[TAMPER_RULES_MAX], done[TAMPER_RULES_MAX];
	uint64_t faults;
	bool syn;
	uint32_t iss;
	int64_t sent_end;
	struct driver *driver;
	uint8_t *held; /* a frame that waits for the next one */
	uint32_t held_len;
	enum tamper_what held_for;
};

extern const char *const tamper_names[TAMPER_WHATS];

/* Draws up to three rules. */
void tamper_draw(struct tamper *, struct rng *);
/* What host's frames meet on their way to `inner`, which the result owns; *t outlives it. */
struct driver *tamper_wrap(struct driver *inner, unsigned host, struct tamper *t);
void tamper_free(struct tamper *); /* what still waits */

#endif
