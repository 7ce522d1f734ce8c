/* SPDX-License-Identifier: BSD-2-Clause */
/* key_text.c - reads and writes single values; key.c knows their tables, ranges and errors. */
#include "base/key_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/clock.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* ascending, the name that is written before its other spellings; ended by NULL */
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit time_units[] = {
    {"ns", 1},       {"us", NS_PER_US},    {"ms", NS_PER_MS},
    {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
    {NULL, 0},
};
static const struct unit byte_units[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1ull << 10},
    {"K", 1ull << 10},
    {"MB", 1ull << 20},
    {"M", 1ull << 20},
    {"GB", 1ull << 30},
    {"G", 1ull << 30},
    {NULL, 0},
};
static const struct unit rate_units[] = {
    {"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}, {NULL, 0},
};

static const struct unit *units_of(enum key_type type)
{
	switch (type) {
	case KEY_TIME:
		return time_units;
	case KEY_BYTES:
		return byte_units;
	case KEY_RATE:
		return rate_units;
	default:
		return no_units;
	}
}

/* digits * 10^exponent */
struct decimal {
	uint64_t digits;
	int exponent;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int read_digits(const char **text, struct decimal *d, bool fraction)
{
	for (; is_digit(**text); (*text)++) {
		if (__builtin_mul_overflow(d->digits, 10, &d->digits) ||
		    __builtin_add_overflow(d->digits, (uint64_t)(**text - '0'), &d->digits))
			return -ERANGE;
		d->exponent -= fraction;
	}
	return 0;
}

/* 10, 1.5, 1e6; leaves *text behind the number. */
static int read_decimal(const char **text, struct decimal *d)
{
	int exponent = 0;

	*d = (struct decimal){0, 0};
	if (!is_digit(**text))
		return -EINVAL;
	if (read_digits(text, d, false) != 0)
		return -ERANGE;
	if (**text == '.') {
		(*text)++;
		if (!is_digit(**text))
			return -EINVAL;
		if (read_digits(text, d, true) != 0)
			return -ERANGE;
	}
	if ((**text == 'e' || **text == 'E') && is_digit((*text)[1])) {
		for ((*text)++; is_digit(**text); (*text)++)
			if (exponent < 1000)
				exponent = exponent * 10 + (**text - '0');
		d->exponent += exponent;
	}
	return 0;
}

static int scale(struct decimal d, uint64_t factor, uint64_t *out)
{
	unsigned __int128 v = (unsigned __int128)d.digits * factor;

	for (; d.exponent < 0 && v > 0; d.exponent++) {
		if (v % 10 != 0)
			return -EINVAL;
		v /= 10;
	}
	for (; d.exponent > 0 && v > 0; d.exponent--) {
		if (v > UINT64_MAX)
			return -ERANGE;
		v *= 10;
	}
	if (v > UINT64_MAX)
		return -ERANGE;
	*out = (uint64_t)v;
	return 0;
}

int key_text_whole(enum key_type type, const char *text, uint64_t *out)
{
	struct decimal d;
	int r = read_decimal(&text, &d);

	if (r != 0)
		return r;
	if (*text == 0 && d.digits == 0) { /* nothing needs no unit */
		*out = 0;
		return 0;
	}
	for (const struct unit *u = units_of(type); u->name; u++)
		if (strcasecmp(text, u->name) == 0)
			return scale(d, u->factor, out);
	return -EINVAL;
}

char *key_text_format_whole(enum key_type type, uint64_t value, char *out, size_t len)
{
	const struct unit *best = units_of(type);

	for (const struct unit *u = best; u->name; u++)
		if (value != 0 && u->factor > best->factor && value % u->factor == 0)
			best = u;
	snprintf(out, len, "%llu%s", (unsigned long long)(value / best->factor), best->name);
	return out;
}

int key_text_real(const char *text, double *out)
{
	const char *digits = *text == '-' ? text + 1 : text;
	char *end;
	double v;

	/* strtod alone would take "inf", "nan", "0x1p3" and leading blanks */
	if (strspn(text, "0123456789.eE+-") < strcspn(text, "%") ||
	    !(is_digit(*digits) || *digits == '.'))
		return -EINVAL;
	v = strtod(text, &end);
	if (end == text || v - v != 0)
		return -EINVAL;
	if (*end == '%') {
		v /= 100;
		end++;
	}
	if (*end != 0)
		return -EINVAL;
	*out = v;
	return 0;
}

char *key_text_format_real(double value, char *out, size_t len)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, len, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	return out;
}

int key_text_bool(const char *text, bool *out)
{
	static const char *const no[] = {"no", "false", "off", "0"};
	static const char *const yes[] = {"yes", "true", "on", "1"};

	for (size_t i = 0; i < array_count(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

int key_text_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (int index = 0;; index++) {
		size_t n = strcspn(choices, "|");

		if (n == len && strncmp(choices, text, n) == 0)
			return index;
		if (choices[n] == 0)
			return -EINVAL;
		choices += n + 1;
	}
}

char *key_text_format_choice(const char *choices, int index, char *out, size_t len)
{
	for (; index > 0; index--) {
		choices += strcspn(choices, "|");
		choices += *choices == '|';
	}
	snprintf(out, len, "%.*s", (int)strcspn(choices, "|"), choices);
	return out;
}
