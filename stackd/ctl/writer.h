/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.h - one interface behind text and JSON, into a bounded buffer.
 *
 * What is shown is written once.  A table is an array of objects in JSON and aligned columns in
 * text, where fields that are no column follow on a second line as name:value.  Outside of a table
 * a field is a line "name: value".  Names are C words; texts are escaped as each form needs it.
 * Single-threaded; allocates with the C library: for the control thread and for tools. */
#ifndef STACKD_CTL_WRITER_H
#define STACKD_CTL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_DEPTH_MAX   8u
#define WRITER_COLUMNS_MAX 16u

/* A column of a table in text.  width: the least number of characters, negative: to the right. */
struct writer_column {
	const char *name, *title;
	int width;
};

struct writer {
	char *text; /* NUL-terminated once something was written */
	size_t len, size, max;
	bool json, overflow; /* overflow: more than max bytes, or no memory; the text is cut */
	/* private */
	bool in_row, detail;
	uint32_t depth, column_count, cells;
	bool filled[WRITER_DEPTH_MAX];
	const struct writer_column *columns;
	char *second;
	size_t second_len, second_size;
};

/* max: bytes of the whole text. */
void writer_init(struct writer *, bool json, size_t max);
void writer_free(struct writer *);
/* Ends the text (JSON: closes the outermost object).  Call once, after the last field. */
void writer_finish(struct writer *);

/* A group of fields; in text indented below its name.  name NULL inside an array. */
void writer_object(struct writer *, const char *name);
void writer_object_end(struct writer *);

/* columns ends with a NULL name and must live until the table's end.  In text, cells must be
 * written in the order of the columns. */
void writer_table(struct writer *, const char *name, const struct writer_column *columns);
void writer_row(struct writer *);
void writer_row_end(struct writer *);
void writer_table_end(struct writer *);

void writer_text(struct writer *, const char *name, const char *value);
void writer_textf(struct writer *, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void writer_u64(struct writer *, const char *name, uint64_t value);
void writer_real(struct writer *, const char *name, double value);
void writer_bool(struct writer *, const char *name, bool value);

/* Only in text: a word of the row's second line, or a line of its own outside of a table. */
void writer_note(struct writer *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As they are; false: they don't fit, nothing was written. */
bool writer_bytes(struct writer *, const void *bytes, size_t len);
/* As it is, in both forms: for formats of their own (metrics). */
void writer_raw(struct writer *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
