/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.c - text and JSON from one description; owns the growing buffer and its limit. */
#include "ctl/writer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_FIELD_MAX 4096u /* of one formatted value */

static bool room(char **text, size_t *size, size_t need, size_t max)
{
	size_t want = *size ? *size : 1024;
	char *grown;

	if (need > max)
		return false;
	if (need <= *size)
		return true;
	while (want < need)
		want *= 2;
	grown = realloc(*text, want);
	if (!grown)
		return false;
	*text = grown;
	*size = want;
	return true;
}

static void put(struct writer *w, const char *text, size_t len)
{
	if (w->overflow)
		return;
	if (!room(&w->text, &w->size, w->len + len + 1, w->max)) {
		w->overflow = true;
		return;
	}
	memcpy(w->text + w->len, text, len);
	w->len += len;
	w->text[w->len] = 0;
}

static void puts_(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void put_second(struct writer *w, const char *text)
{
	size_t len = strlen(text);

	if (!room(&w->second, &w->second_size, w->second_len + len + 2, w->max)) {
		w->overflow = true;
		return;
	}
	if (w->second_len)
		w->second[w->second_len++] = ' ';
	memcpy(w->second + w->second_len, text, len + 1);
	w->second_len += len;
}

static void put_quoted(struct writer *w, const char *text)
{
	puts_(w, "\"");
	for (const char *c = text; *c; c++) {
		unsigned char u = (unsigned char)*c;
		char escape[8];

		if (u == '"' || u == '\\')
			snprintf(escape, sizeof(escape), "\\%c", u);
		else if (u == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (u < 0x20 || u == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", u);
		else
			snprintf(escape, sizeof(escape), "%c", u);
		puts_(w, escape);
	}
	puts_(w, "\"");
}

/* A terminal that shows the text must not be driven by it. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void indent(struct writer *w)
{
	for (uint32_t i = 1; i < w->depth; i++)
		puts_(w, "  ");
}

static void separate(struct writer *w, const char *name)
{
	if (w->filled[w->depth])
		puts_(w, ",");
	w->filled[w->depth] = true;
	if (name) {
		put_quoted(w, name);
		puts_(w, ":");
	}
}

static void enter(struct writer *w)
{
	assert(w->depth + 1 < WRITER_DEPTH_MAX);
	w->filled[++w->depth] = false;
}

void writer_init(struct writer *w, bool json, size_t max)
{
	*w = (struct writer){.json = json, .max = max};
	enter(w);
	if (json)
		puts_(w, "{");
}

void writer_free(struct writer *w)
{
	free(w->text);
	free(w->second);
	*w = (struct writer){0};
}

void writer_finish(struct writer *w)
{
	assert(w->depth == 1);
	if (w->json)
		puts_(w, "}\n");
}

void writer_object(struct writer *w, const char *name)
{
	if (w->json) {
		separate(w, name);
		puts_(w, "{");
	} else if (name) {
		indent(w);
		puts_(w, name);
		puts_(w, ":\n");
	}
	enter(w);
}

void writer_object_end(struct writer *w)
{
	assert(w->depth > 1);
	w->depth--;
	if (w->json)
		puts_(w, "}");
}

static void put_cell(struct writer *w, int width, const char *text, bool last)
{
	char cell[WRITER_FIELD_MAX];

	if (last && width >= 0)
		snprintf(cell, sizeof(cell), "%s\n", text);
	else
		snprintf(cell, sizeof(cell), "%*s%s", -width, text, last ? "\n" : " ");
	puts_(w, cell);
}

void writer_table(struct writer *w, const char *name, const struct writer_column *columns)
{
	w->columns = columns;
	w->column_count = 0;
	while (columns[w->column_count].name)
		w->column_count++;
	assert(w->column_count > 0 && w->column_count <= WRITER_COLUMNS_MAX);
	if (w->json) {
		separate(w, name);
		puts_(w, "[");
		enter(w);
		return;
	}
	for (uint32_t i = 0; i < w->column_count; i++)
		put_cell(w, columns[i].width, columns[i].title, i + 1 == w->column_count);
}

void writer_row(struct writer *w)
{
	assert(w->columns && !w->in_row);
	w->in_row = true;
	w->cells = 0;
	w->second_len = 0;
	if (w->json) {
		separate(w, NULL);
		puts_(w, "{");
		enter(w);
	}
}

void writer_row_end(struct writer *w)
{
	assert(w->in_row);
	w->in_row = false;
	if (w->json) {
		w->depth--;
		puts_(w, "}");
		return;
	}
	assert(w->cells == w->column_count);
	if (w->second_len) {
		puts_(w, "\t ");
		put(w, w->second, w->second_len);
		puts_(w, "\n");
	}
}

void writer_table_end(struct writer *w)
{
	assert(w->columns && !w->in_row);
	w->columns = NULL;
	if (w->json) {
		w->depth--;
		puts_(w, "]");
	}
}

static bool is_column(const struct writer *w, const char *name)
{
	for (uint32_t i = 0; i < w->column_count; i++)
		if (strcmp(w->columns[i].name, name) == 0)
			return true;
	return false;
}

/* One value in text; `value` is clean. */
static void show(struct writer *w, const char *name, const char *value)
{
	char line[WRITER_FIELD_MAX];

	if (w->in_row && is_column(w, name)) {
		assert(strcmp(w->columns[w->cells].name, name) == 0);
		put_cell(w, w->columns[w->cells].width, *value ? value : "-",
			 w->cells + 1 == w->column_count);
		w->cells++;
	} else if (w->in_row) {
		snprintf(line, sizeof(line), "%.64s:%s", name, value);
		put_second(w, line);
	} else {
		indent(w);
		puts_(w, name);
		puts_(w, *value ? ": " : ":");
		puts_(w, value);
		puts_(w, "\n");
	}
}

void writer_text(struct writer *w, const char *name, const char *value)
{
	char copy[WRITER_FIELD_MAX - 72];

	if (w->json) {
		separate(w, name);
		put_quoted(w, value);
		return;
	}
	snprintf(copy, sizeof(copy), "%s", value);
	clean(copy);
	show(w, name, copy);
}

void writer_textf(struct writer *w, const char *name, const char *format, ...)
{
	char value[WRITER_FIELD_MAX - 72];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	writer_text(w, name, value);
}

static void number(struct writer *w, const char *name, const char *value)
{
	if (w->json) {
		separate(w, name);
		puts_(w, value);
	} else {
		show(w, name, value);
	}
}

void writer_u64(struct writer *w, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	number(w, name, text);
}

void writer_real(struct writer *w, const char *name, double value)
{
	char text[40];

	if (!isfinite(value))
		value = 0;
	snprintf(text, sizeof(text), "%.6g", value);
	number(w, name, text);
}

void writer_bool(struct writer *w, const char *name, bool value)
{
	if (w->json)
		number(w, name, value ? "true" : "false");
	else
		show(w, name, value ? "yes" : "no");
}

void writer_note(struct writer *w, const char *format, ...)
{
	char text[WRITER_FIELD_MAX];
	va_list args;

	if (w->json)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clean(text);
	if (w->in_row) {
		put_second(w, text);
		return;
	}
	indent(w);
	puts_(w, text);
	puts_(w, "\n");
}

bool writer_bytes(struct writer *w, const void *bytes, size_t len)
{
	if (w->overflow || !room(&w->text, &w->size, w->len + len + 1, w->max))
		return false;
	put(w, bytes, len);
	return true;
}

void writer_raw(struct writer *w, const char *format, ...)
{
	char text[WRITER_FIELD_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	puts_(w, text);
}
