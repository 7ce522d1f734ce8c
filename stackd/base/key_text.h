/* SPDX-License-Identifier: BSD-2-Clause */
/* key_text.h - single values of the grammar in key.h, without a table around them. */
#ifndef STACKD_BASE_KEY_TEXT_H
#define STACKD_BASE_KEY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

/* Reads a KEY_U64, KEY_TIME, KEY_BYTES or KEY_RATE.  Returns 0; -EINVAL when the text is none or
 * has no whole value in the base unit; -ERANGE when it exceeds 64 bits. */
int key_text_whole(enum key_type type, const char *text, uint64_t *out);
/* The same value in the largest unit that divides it; returns `out`. */
char *key_text_format_whole(enum key_type type, uint64_t value, char *out, size_t len);

/* "0.7", "2%".  Returns 0 or -EINVAL. */
int key_text_real(const char *text, double *out);
/* The shortest of 15 to 17 digits that reads back as the same value; returns `out`. */
char *key_text_format_real(double value, char *out, size_t len);

/* Returns 0 or -EINVAL. */
int key_text_bool(const char *text, bool *out);
/* The index of `text` in "a|b|c", or -EINVAL. */
int key_text_choice(const char *choices, const char *text);
/* The name of a choice, or "" past the end; returns `out`. */
char *key_text_format_choice(const char *choices, int index, char *out, size_t len);

#endif
