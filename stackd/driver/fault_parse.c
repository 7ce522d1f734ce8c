/* SPDX-License-Identifier: BSD-2-Clause */
/* fault_parse.c - the text of an impairment, as it stands in the configuration. */
#include "driver/driver.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/fault_line.h"

#define WORDS        "loss, delay, jitter, reorder, duplicate, corrupt, rate, queue, seed, direction"
#define TEXT_MAX     48
#define DELAY_MAX_NS (600 * NS_PER_S)
#define RATE_MAX_BPS 1e13

struct unit {
	const char *name;
	double factor;
};

static const struct unit time_units[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
static const struct unit rate_units[] = {
    {"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {NULL, 0}};
static const struct unit chance_units[] = {{"%", 0.01}, {NULL, 0}};

/* A number with one of the units, or a plain 0; false when it is neither, negative or above `most`. */
static bool parse_quantity(const char *text, const struct unit *units, double most, double *out)
{
	char *end;
	double v;

	if (*text < '0' || *text > '9' || text[1] == 'x')
		return false;
	v = strtod(text, &end);
	if (v == 0 && *end == '\0') {
		*out = 0;
		return true;
	}
	for (; units->name; units++) {
		if (strcmp(end, units->name) == 0) {
			*out = v * units->factor;
			return isfinite(*out) && *out <= most;
		}
	}
	return false;
}

static bool parse_count(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static const char *parse_chance(const char *text, double *out)
{
	return parse_quantity(text, chance_units, 1.0, out)
		   ? NULL
		   : "a share like 2% or 0.1%, at most 100%";
}

static const char *parse_time(const char *text, ns_t *out)
{
	double v;

	if (!parse_quantity(text, time_units, (double)DELAY_MAX_NS, &v))
		return "a time like 20ms (ns, us, ms, s), at most 600s";
	*out = (ns_t)(v + 0.5);
	return NULL;
}

static const char *parse_rate(const char *text, uint64_t *out)
{
	double v;

	if (!parse_quantity(text, rate_units, RATE_MAX_BPS, &v) || v < 1)
		return "a rate like 100mbit (bit, kbit, mbit, gbit), above 0";
	*out = (uint64_t)(v + 0.5);
	return NULL;
}

static const char *parse_queue(const char *text, uint32_t *out)
{
	uint64_t v;

	if (!parse_count(text, &v) || v == 0 || v > FAULT_QUEUE_MAX)
		return "a number of frames, 1 to 65536";
	*out = (uint32_t)v;
	return NULL;
}

static const char *parse_direction(const char *text, enum fault_direction *out)
{
	if (strcmp(text, "in") == 0)
		*out = FAULT_IN;
	else if (strcmp(text, "out") == 0)
		*out = FAULT_OUT;
	else if (strcmp(text, "both") == 0)
		*out = FAULT_BOTH;
	else
		return "in, out or both";
	return NULL;
}

/* NULL; what the value should be; or "" for a word that isn't one. */
static const char *parse_word(const char *word, const char *value, struct fault_config *c)
{
	if (strcmp(word, "loss") == 0)
		return parse_chance(value, &c->loss);
	if (strcmp(word, "reorder") == 0)
		return parse_chance(value, &c->reorder);
	if (strcmp(word, "duplicate") == 0)
		return parse_chance(value, &c->duplicate);
	if (strcmp(word, "corrupt") == 0)
		return parse_chance(value, &c->corrupt);
	if (strcmp(word, "delay") == 0)
		return parse_time(value, &c->delay_ns);
	if (strcmp(word, "jitter") == 0)
		return parse_time(value, &c->jitter_ns);
	if (strcmp(word, "rate") == 0)
		return parse_rate(value, &c->rate_bps);
	if (strcmp(word, "queue") == 0)
		return parse_queue(value, &c->queue);
	if (strcmp(word, "seed") == 0)
		return parse_count(value, &c->seed) ? NULL : "a number";
	if (strcmp(word, "direction") == 0)
		return parse_direction(value, &c->direction);
	return "";
}

/* One "word value" of `len` bytes. */
static int parse_item(const char *item, size_t len, struct fault_config *c, char *error)
{
	char text[TEXT_MAX], word[TEXT_MAX], value[TEXT_MAX], more[TEXT_MAX];
	const char *wanted;
	int words;

	if (len >= sizeof(text)) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "fault: \"%.20s...\" is too long for one word and its value", item);
		return -EINVAL;
	}
	memcpy(text, item, len);
	text[len] = '\0';
	words = sscanf(text, "%47s %47s %47s", word, value, more);
	if (words <= 0) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "fault: nothing between two commas; it can be: " WORDS);
		return -EINVAL;
	}
	wanted = parse_word(word, words >= 2 ? value : "", c);
	if (wanted && *wanted == '\0') {
		snprintf(error, DRIVER_ERROR_MAX, "fault: unknown word \"%s\"; it can be: " WORDS,
			 word);
		return -EINVAL;
	}
	if (wanted) {
		snprintf(error, DRIVER_ERROR_MAX, "fault: \"%s\" wants %s, not \"%s\"", word,
			 wanted, words >= 2 ? value : "");
		return -EINVAL;
	}
	if (words > 2) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "fault: \"%s\" wants one value; \"%s\" is too many", word, more);
		return -EINVAL;
	}
	return 0;
}

int fault_parse(const char *text, struct fault_config *out, char error[static DRIVER_ERROR_MAX])
{
	struct fault_config c = {.direction = FAULT_BOTH};

	error[0] = '\0';
	if (text[strspn(text, " \t")] == '\0') {
		*out = c;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(text, ",");
		int err = parse_item(text, len, &c, error);

		if (err)
			return err;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*out = c;
	return 0;
}
