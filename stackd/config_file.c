/* SPDX-License-Identifier: BSD-2-Clause */
/* config_file.c - reads an INI file into the list of settings.  The grammar of the file is inih's;
 * this file counts the lines, so that every error has one, and takes comments and indentation off. */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config_part.h"

#define LINE_BYTES_MAX	198	/* inih's buffer is 200 bytes */
#define INPUT_BYTES_MAX 4096
#define FILE_BYTES_MAX	(1 << 20)

struct reader {
	struct config *config;
	const char *path;
	FILE *file;
	uint32_t line;
	bool failed;
	int code;
	struct target section;
	bool in_section;
	char *error; /* CONFIG_ERROR_MAX */
};

/* Keeps the first error. */
static void fail_at(struct reader *r, uint32_t line, int code, const char *why)
{
	if (r->failed)
		return;
	r->failed = true;
	r->code = code;
	snprintf(r->error, CONFIG_ERROR_MAX, "%.120s:%u: %.360s", r->path, line, why);
}

/* A comment begins with ';' or '#' at the start, or with ';' after a blank. */
static void strip(char *line)
{
	size_t len, skip = strspn(line, " \t\r\n");

	memmove(line, line + skip, strlen(line + skip) + 1);
	if (*line == ';' || *line == '#')
		*line = 0;
	for (char *c = line; *c; c++)
		if (*c == ';' && c > line && (c[-1] == ' ' || c[-1] == '\t')) {
			*c = 0;
			break;
		}
	len = strlen(line);
	while (len > 0 && strchr(" \t\r\n", line[len - 1]))
		line[--len] = 0;
}

/* One line for inih.  What inih would refuse is refused here, where the reason is known. */
static char *next_line(char *out, int size, void *arg)
{
	struct reader *r = arg;
	char line[INPUT_BYTES_MAX];
	size_t len;

	if (r->failed || !fgets(line, sizeof(line), r->file))
		return NULL;
	r->line++;
	len = strlen(line);
	if (len == sizeof(line) - 1 && line[len - 1] != '\n') {
		fail_at(r, r->line, -EINVAL, "the line is longer than 4094 bytes");
		return NULL;
	}
	strip(line);
	if (strlen(line) > LINE_BYTES_MAX || strlen(line) + 2 > (size_t)size) {
		fail_at(r, r->line, -EINVAL,
			"the line is longer than 198 bytes without its comment; address, gateway, "
			"fault, allow, local and remote may stand there several times");
		return NULL;
	}
	if (*line && *line != '[' && !strchr(line, '=')) {
		fail_at(r, r->line, -EINVAL, "neither [SECTION] nor KEY = VALUE nor a comment");
		return NULL;
	}
	snprintf(out, (size_t)size, "%s\n", line);
	/* inih tells a section only with its first key: an empty one must be known, too */
	if (*line == '[') {
		char *end = strchr(line, ']'), why[CONFIG_ERROR_MAX];
		int code;

		if (!end || end[1]) {
			fail_at(r, r->line, -EINVAL, "a section is written [NAME] or [KIND NAME]");
			return NULL;
		}
		*end = 0;
		strip(line + 1);
		code = config_parse_section(line + 1, &r->section, why);
		if (!code && config_open_section(r->config, &r->section))
			code = config_fail(why, -ENOMEM, "out of memory");
		r->in_section = true;
		if (code) {
			fail_at(r, r->line, -EINVAL, why);
			return NULL;
		}
	}
	return out;
}

/* A list key may come again: its values are joined. */
static int store_again(struct reader *r, const struct target *t, const struct setting *before,
		       const char *value, const char *origin, char why[static CONFIG_ERROR_MAX])
{
	char joined[2 * KEY_TEXT_MAX + 4];

	if (!key_is_list(t->section, t->key))
		return config_fail(why, -EINVAL, "%s: was set already in line %u of this section", t->key,
				   before->line);
	snprintf(joined, sizeof(joined), "%s, %.255s", before->value, value);
	return config_store(r->config, t, joined, origin, r->line, why);
}

static int on_value(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;
	char why[CONFIG_ERROR_MAX], origin[160];
	const struct setting *before;
	struct target t = r->section;
	int code;

	(void)section; /* inih cuts it; next_line has the whole */
	if (r->failed)
		return 0;
	if (!r->in_section) {
		fail_at(r, r->line, -EINVAL, "stands before any [SECTION]");
		return 0;
	}
	snprintf(t.key, sizeof(t.key), "%s", key);
	section_canonical_key(t.section, t.key);
	snprintf(origin, sizeof(origin), "%.140s:%u", r->path, r->line);
	before = config_find(r->config, &t);
	if (before && before->line)
		code = store_again(r, &t, before, value, origin, why);
	else
		code = config_store(r->config, &t, value, origin, r->line, why);
	if (code)
		fail_at(r, r->line, -EINVAL, why);
	return !code;
}

int config_load_file(struct config *c, const char *path, char error[static CONFIG_ERROR_MAX])
{
	struct reader r = {.config = c, .path = path, .error = error};
	struct stat st;
	int line, code;

	r.file = fopen(path, "re");
	if (!r.file || fstat(fileno(r.file), &st) < 0) {
		code = -errno;
		if (r.file)
			fclose(r.file);
		return config_fail(error, code, "%.200s: %s", path, strerror(-code));
	}
	if (S_ISDIR(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		fclose(r.file);
		return config_fail(error, -EINVAL, "%.200s: is not a configuration file", path);
	}
	line = ini_parse_stream(next_line, &r, on_value, &r);
	if (line)
		fail_at(&r, line > 0 ? (uint32_t)line : r.line, -EINVAL, "not understood");
	fclose(r.file);
	for (uint32_t i = 0; i < c->count; i++)
		c->setting[i].line = 0;
	return r.code;
}
