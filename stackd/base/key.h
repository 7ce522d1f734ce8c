/* SPDX-License-Identifier: BSD-2-Clause */
/* key.h - one grammar for configured values: the file, -o, stackdctl set, plugin parameters.
 *
 * A key table describes the fields of a struct; key_set parses, checks the range and stores.
 * Grammar: numbers 10, 1e6; bytes 1500, 64KB, 1MB, 1GB (powers of 1024); times 50us, 200ms, 1s, 2m,
 * 2h; rates 10mbit, 1gbit, 500kbit (bits per second, powers of 1000); reals 0.7 and 2%; booleans
 * yes/no true/false on/off 1/0; choices by name; texts as they are. */
#ifndef STACKD_BASE_KEY_H
#define STACKD_BASE_KEY_H

#include <stddef.h>
#include <stdint.h>

enum key_type {
	KEY_U64 = 1, /* uint64_t */
	KEY_BOOL,    /* bool */
	KEY_TIME,    /* uint64_t ns */
	KEY_BYTES,   /* uint64_t */
	KEY_REAL,    /* double */
	KEY_RATE,    /* uint64_t bits per second */
	KEY_CHOICE,  /* int: index in `choices` */
	KEY_TEXT,    /* char[KEY_TEXT_MAX] */
};

#define KEY_TEXT_MAX 256u

struct key {
	const char *name;
	enum key_type type;
	uint32_t offset;	     /* of the field in the struct */
	const char *def, *min, *max; /* in the grammar; min, max may be NULL */
	const char *choices;	     /* "auto|native|generic" */
	const char *sentence;
};

#define KEY_ERROR_MAX 256u

/* Parses `text` and stores it in the field.  Returns 0; or -EINVAL / -ERANGE with a sentence in
 * `error` that says what was wrong and what is allowed, nothing stored. */
int key_set(const struct key *k, void *object, const char *text, char error[static KEY_ERROR_MAX]);
/* The field's value in the grammar, so that key_set of it gives the same again.  Returns `out`. */
char *key_get(const struct key *k, const void *object, char *out, size_t len);
/* All fields of a table (ended by a NULL name) to their defaults. */
void key_defaults(const struct key *table, void *object);
/* NULL when there is none. */
const struct key *key_find(const struct key *table, const char *name);
/* The name in the table nearest to a mistyped one (edit distance), or NULL when none is near. */
const char *key_nearest(const struct key *table, const char *name);
/* A word for the type: "time", "bytes", ... */
const char *key_type_name(enum key_type t);

#endif
