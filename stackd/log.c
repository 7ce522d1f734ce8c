/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - one line, one write. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static const char *const names[] = {"error", "warning", "info", "debug"};
static const char syslog_levels[] = {'3', '4', '6', '7'};

static enum log_level limit = LOG_LEVEL_INFO;
static bool journal;

/* JOURNAL_STREAM is "device:inode" of the stream; stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char expected[64];

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(expected, sizeof(expected), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(stream, expected) == 0;
}

void log_init(enum log_level level)
{
	limit = level;
	journal = stderr_is_journal();
}

/* What came from outside must not start a line of its own. */
static void one_line(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t len;
	va_list args;
	int saved = errno;

	if (level > limit)
		return;
	if (journal)
		len = (size_t)snprintf(line, sizeof(line), "<%c>", syslog_levels[level]);
	else
		len = (size_t)snprintf(line, sizeof(line), "stackd: %s%s",
				       level == LOG_LEVEL_INFO ? "" : names[level],
				       level == LOG_LEVEL_INFO ? "" : ": ");
	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	len = strlen(line);
	one_line(line, len);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0) {
		/* nobody reads stderr, and there's nobody else to tell */
	}
	errno = saved;
}
