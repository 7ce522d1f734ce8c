/* SPDX-License-Identifier: BSD-2-Clause */
/* observe.h - what a conformance program has to say: one observation a line, "section: what:
 * value".
 *
 * Each program is run on the kernel's TCP and through stackd, and what it says is compared line by
 * line (run.py), so a value may depend on nothing but the rules: no times, no descriptors' numbers,
 * no ports but fixed ones. */
#ifndef CONFORMANCE_OBSERVE_H
#define CONFORMANCE_OBSERVE_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

/* argv: local | active | passive (see ends.h), 4 | 6. */
void observe_start(int argc, char **argv);
int observe_end(void); /* for main to return */

void section(const char *name);
void say(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *error_name(int error); /* "EPIPE"; "none" */

/* Says what a call gave: its number, or the errno. */
#define result(what, call) (errno = 0, show_result(what, (long)(call)))
long show_result(const char *what, long r);
/* The same, but any success is "ok": descriptors. */
#define outcome(what, call) (errno = 0, show_outcome(what, (long)(call)))
long show_outcome(const char *what, long r);

/* What poll says now, without waiting. */
void show_poll(const char *what, int fd, short events);
void say_poll(const char *what, int revents);
/* Waits, at most 10 s, for any of the events; says so if none came. */
bool await(int fd, short events);
void await_bytes(int fd, int n);     /* FIONREAD */
void await_state(int fd, int state); /* of TCP_INFO */

void show_name(const char *what, int fd,
	       bool peer); /* address, and the port if it isn't ephemeral */
void say_name(const char *what, const struct sockaddr_storage *, socklen_t len);

void set_blocking(int fd, bool on);
void set_int(int fd, int level, int name, int value); /* has to succeed */
void pause_ms(int ms);
/* Has to hold for the observation to mean anything: else says so and ends. */
#define need(condition) need_(condition, #condition, __FILE__, __LINE__)
void need_(bool holds, const char *text, const char *file, int line);

#endif
