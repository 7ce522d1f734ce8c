/* SPDX-License-Identifier: BSD-2-Clause */
/* ladder.h - a conversation as the books draw it: two sides, time downwards, one arrow for each
 * segment that was sent. */
#ifndef STACKD_LAB_LADDER_H
#define STACKD_LAB_LADDER_H

#include "lab/stage.h"

#define LADDER_LABEL_MAX 48u

/* Writes what stands on the arrow of record `i`. */
typedef void (*ladder_label)(void *arg, const struct stage *, uint32_t i, char out[static LADDER_LABEL_MAX]);

/* Flags, numbers and length, the sequence numbers of A and B counted from these bases. */
struct ladder_bases {
	int64_t base[2];
};
void ladder_plain(void *bases, const struct stage *, uint32_t i, char out[static LADDER_LABEL_MAX]);

/* From record `from` on. */
void ladder_draw(const struct stage *, uint32_t from, ladder_label, void *arg);

#endif
