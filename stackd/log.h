/* SPDX-License-Identifier: BSD-2-Clause */
/* log.h - what the daemon says to its operator: lines on stderr, with "<N>" in front for the
 * journal.  Any thread; a line is one write.  Never on the frame path. */
#ifndef STACKD_LOG_H
#define STACKD_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are not written.  Looks at JOURNAL_STREAM.  Before it is called: INFO. */
void log_init(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
