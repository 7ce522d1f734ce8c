/* SPDX-License-Identifier: BSD-2-Clause */
/* The same calls as text and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/writer.h"

static const struct writer_column columns[] = {{"name", "Name", 6}, {"count", "Count", -5}, {0}};

static void write_sample(struct writer *w, bool json)
{
	writer_init(w, json, 4096);
	writer_text(w, "state", "ser\"ving\n");
	writer_object(w, "inner");
	writer_u64(w, "n", 7);
	writer_bool(w, "ok", true);
	writer_object_end(w);
	writer_table(w, "rows", columns);
	for (uint64_t i = 0; i < 2; i++) {
		writer_row(w);
		writer_textf(w, "name", "r%u", (unsigned)i);
		writer_u64(w, "count", 10 * i);
		if (i == 1)
			writer_real(w, "share", 0.5);
		writer_note(w, "only in text");
		writer_row_end(w);
	}
	writer_table_end(w);
	writer_finish(w);
}

static void writes_json(void **state)
{
	struct writer w;

	(void)state;
	write_sample(&w, true);
	assert_string_equal(w.text, "{\"state\":\"ser\\\"ving\\n\",\"inner\":{\"n\":7,\"ok\":true},"
				    "\"rows\":[{\"name\":\"r0\",\"count\":0},"
				    "{\"name\":\"r1\",\"count\":10,\"share\":0.5}]}\n");
	writer_free(&w);
}

static void writes_text(void **state)
{
	struct writer w;

	(void)state;
	write_sample(&w, false);
	assert_string_equal(w.text, "state: ser\"ving?\n"
				    "inner:\n"
				    "  n: 7\n"
				    "  ok: yes\n"
				    "Name   Count\n"
				    "r0         0\n"
				    "\t only in text\n"
				    "r1        10\n"
				    "\t share:0.5 only in text\n");
	writer_free(&w);
}

static void escapes_control_bytes(void **state)
{
	struct writer w;

	(void)state;
	writer_init(&w, true, 4096);
	writer_text(&w, "x", "\x1b[31m\\\x7f");
	writer_finish(&w);
	assert_string_equal(w.text, "{\"x\":\"\\u001b[31m\\\\\\u007f\"}\n");
	writer_free(&w);
	writer_init(&w, false, 4096);
	writer_text(&w, "x", "\x1b[31m");
	assert_string_equal(w.text, "x: ?[31m\n");
	writer_free(&w);
}

static void stops_at_its_limit(void **state)
{
	struct writer w;

	(void)state;
	writer_init(&w, false, 2000);
	for (int i = 0; i < 100 && !w.overflow; i++)
		writer_text(&w, "name", "a value that fills the buffer slowly");
	assert_true(w.overflow);
	assert_true(w.len < 2000);
	assert_int_equal(strlen(w.text), w.len);
	writer_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_json),
	    cmocka_unit_test(writes_text),
	    cmocka_unit_test(escapes_control_bytes),
	    cmocka_unit_test(stops_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
