/* SPDX-License-Identifier: BSD-2-Clause */
/* stackdctl.h - what the tool's own files share. */
#ifndef STACKD_CTL_STACKDCTL_H
#define STACKD_CTL_STACKDCTL_H

#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

struct options {
	const char *rundir;
	bool json;
};

/* Each says why on stderr and returns the exit status. */
int wrong_usage(const char *why, const char *what);
int no_daemon(const char *rundir, int error);
int daemon_gone(void);
/* A daemon answers now. */
bool serves(const struct options *);

/* A descriptor with the answer, whose first byte says how it went; -1: *code is the exit status. */
int ask_daemon(const struct options *, char **word, int count, int *code);

/* --- follow.c: answers that go on until ^C, or until the reader or the daemon goes ------------------ */

int follow(const struct options *, char **word, int count);
/* Takes -w FILE out of the words. */
int capture(const struct options *, char **word, int count);

#endif
