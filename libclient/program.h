/* SPDX-License-Identifier: BSD-2-Clause */
/* program.h - can a library be loaded into this program?  For stackd-run, which says so, and for
 * exec, which leaves sockets only to programs that can take them up.  Async-signal-safe. */
#ifndef STACKD_CLIENT_PROGRAM_H
#define STACKD_CLIENT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Where execvp would find it: the name itself if it has a slash, else along $PATH. */
bool program_find(const char *name, char *path, size_t size);
/* Why its calls can't be seen, as a sentence; NULL: no reason is known. */
const char *program_problem(const char *path);

#endif
