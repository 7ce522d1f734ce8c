/* SPDX-License-Identifier: BSD-2-Clause */
/* key.c - keys in their tables: storing, ranges, and the sentences about what is wrong.  How a
 * single value is written is key_text.c's. */
#include "base/key.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/key_text.h"

#define NAME_MAX_BYTES 64u /* of names that are compared for nearness */
#define NEAR_MAX       2u  /* edits to the nearest name at the most */

/* A parsed value of any type. */
union value {
	uint64_t whole;
	double real;
	bool truth;
	int choice;
	const char *text;
};

static const struct type_info {
	const char *name, *phrase, *example;
} types[] = {
    [KEY_U64] = {"number", "a whole number", "10"},
    [KEY_BOOL] = {"bool", "yes or no", "yes"},
    [KEY_TIME] = {"time", "a time", "200ms"},
    [KEY_BYTES] = {"bytes", "a number of bytes", "64KB"},
    [KEY_REAL] = {"real", "a real number", "0.7"},
    [KEY_RATE] = {"rate", "a rate", "10mbit"},
    [KEY_CHOICE] = {"choice", "one of the choices", ""},
    [KEY_TEXT] = {"text", "a text", ""},
};

static const struct type_info *type_info(enum key_type t)
{
	assert((unsigned)t >= KEY_U64 && (unsigned)t < array_count(types));
	return &types[t];
}

const char *key_type_name(enum key_type t)
{
	return type_info(t)->name;
}

/* Appends to a text of KEY_ERROR_MAX, cut at its end. */
static __attribute__((format(printf, 2, 3))) void say(char *error, const char *format, ...)
{
	size_t len = strlen(error);
	va_list args;

	va_start(args, format);
	vsnprintf(error + len, KEY_ERROR_MAX - len, format, args);
	va_end(args);
}

/* The offending text, fit for a terminal. */
static void say_quoted(char *error, const char *text)
{
	size_t at;

	say(error, "'");
	at = strlen(error);
	say(error, "%.60s%s'", text, strlen(text) > 60 ? "..." : "");
	for (; error[at]; at++)
		if ((unsigned char)error[at] < 32 || error[at] == 127)
			error[at] = '?';
}

static void say_choices(char *error, const char *choices)
{
	for (; *choices; choices += *choices == '|') {
		size_t n = strcspn(choices, "|");

		say(error, "%.*s%s", (int)n, choices, choices[n] ? ", " : "");
		choices += n;
	}
}

static void say_allowed(char *error, const struct key *k)
{
	const char *example = k->def && *k->def ? k->def : type_info(k->type)->example;

	if (k->type == KEY_CHOICE) {
		say(error, "; allowed: ");
		say_choices(error, k->choices);
		return;
	}
	if (k->min && k->max)
		say(error, "; allowed: %s to %s", k->min, k->max);
	else if (k->min)
		say(error, "; allowed: %s and more", k->min);
	else if (k->max)
		say(error, "; allowed: up to %s", k->max);
	if (k->type == KEY_BOOL)
		say(error, "; allowed: yes, no, true, false, on, off, 1, 0");
	else if (k->type == KEY_TEXT)
		say(error, "; allowed: up to %u bytes", KEY_TEXT_MAX - 1);
	else
		say(error, "%s for example %s", k->min || k->max ? "," : ";", example);
}

static int refuse(char *error, const struct key *k, const char *text, int reason)
{
	error[0] = 0;
	say(error, "%s: ", k->name);
	say_quoted(error, text);
	if (reason == -EINVAL)
		say(error, " is not %s", type_info(k->type)->phrase);
	else
		say(error, " is %s", k->type == KEY_TEXT ? "too long" : "out of range");
	say_allowed(error, k);
	return reason;
}

static int parse(const struct key *k, const char *text, union value *v)
{
	switch (k->type) {
	case KEY_U64:
	case KEY_TIME:
	case KEY_BYTES:
	case KEY_RATE:
		return key_text_whole(k->type, text, &v->whole);
	case KEY_BOOL:
		return key_text_bool(text, &v->truth);
	case KEY_REAL:
		return key_text_real(text, &v->real);
	case KEY_CHOICE:
		v->choice = key_text_choice(k->choices, text);
		return v->choice < 0 ? v->choice : 0;
	case KEY_TEXT:
		v->text = text;
		return strlen(text) < KEY_TEXT_MAX ? 0 : -ERANGE;
	}
	return -EINVAL;
}

static bool is_below(const struct key *k, union value a, union value b)
{
	return k->type == KEY_REAL ? a.real < b.real : a.whole < b.whole;
}

static bool in_range(const struct key *k, union value v)
{
	union value bound;

	if (k->type == KEY_BOOL || k->type == KEY_CHOICE || k->type == KEY_TEXT)
		return true;
	if (k->min && parse(k, k->min, &bound) == 0 && is_below(k, v, bound))
		return false;
	return !(k->max && parse(k, k->max, &bound) == 0 && is_below(k, bound, v));
}

static void store(const struct key *k, void *object, union value v)
{
	char *field = (char *)object + k->offset;

	switch (k->type) {
	case KEY_U64:
	case KEY_TIME:
	case KEY_BYTES:
	case KEY_RATE:
		memcpy(field, &v.whole, sizeof(v.whole));
		break;
	case KEY_BOOL:
		memcpy(field, &v.truth, sizeof(v.truth));
		break;
	case KEY_REAL:
		memcpy(field, &v.real, sizeof(v.real));
		break;
	case KEY_CHOICE:
		memcpy(field, &v.choice, sizeof(v.choice));
		break;
	case KEY_TEXT:
		strcpy(field, v.text);
		break;
	}
}

int key_set(const struct key *k, void *object, const char *text, char error[static KEY_ERROR_MAX])
{
	union value v;
	int r = parse(k, text, &v);

	if (r == 0 && !in_range(k, v))
		r = -ERANGE;
	if (r != 0)
		return refuse(error, k, text, r);
	store(k, object, v);
	return 0;
}

char *key_get(const struct key *k, const void *object, char *out, size_t len)
{
	const char *field = (const char *)object + k->offset;
	union value v;

	switch (k->type) {
	case KEY_U64:
	case KEY_TIME:
	case KEY_BYTES:
	case KEY_RATE:
		memcpy(&v.whole, field, sizeof(v.whole));
		return key_text_format_whole(k->type, v.whole, out, len);
	case KEY_BOOL:
		memcpy(&v.truth, field, sizeof(v.truth));
		snprintf(out, len, "%s", v.truth ? "yes" : "no");
		return out;
	case KEY_REAL:
		memcpy(&v.real, field, sizeof(v.real));
		return key_text_format_real(v.real, out, len);
	case KEY_CHOICE:
		memcpy(&v.choice, field, sizeof(v.choice));
		return key_text_format_choice(k->choices, v.choice, out, len);
	case KEY_TEXT:
		snprintf(out, len, "%s", field);
		return out;
	}
	return out;
}

void key_defaults(const struct key *table, void *object)
{
	char error[KEY_ERROR_MAX];

	for (const struct key *k = table; k->name; k++) {
		int r = key_set(k, object, k->def, error);

		assert(r == 0);
		(void)r;
	}
}

const struct key *key_find(const struct key *table, const char *name)
{
	for (const struct key *k = table; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance, a row at a time. */
static unsigned edits(const char *a, const char *b)
{
	unsigned row[NAME_MAX_BYTES + 1];
	size_t len = strlen(b);

	if (len > NAME_MAX_BYTES || strlen(a) > NAME_MAX_BYTES)
		return NEAR_MAX + 1;
	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= len; j++) {
			unsigned changed = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min3(changed, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[len];
}

const char *key_nearest(const struct key *table, const char *name)
{
	const char *best = NULL;
	unsigned least = NEAR_MAX + 1;

	for (const struct key *k = table; k->name; k++) {
		unsigned n = edits(name, k->name);

		if (n < least && n < strlen(k->name)) {
			least = n;
			best = k->name;
		}
	}
	return best;
}
