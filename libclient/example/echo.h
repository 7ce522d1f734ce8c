/* SPDX-License-Identifier: BSD-2-Clause */
/* echo.h - what stackd-echo's servers and clients share: the settings, a stream of bytes that are
 * made and checked, and the time it took. */
#ifndef ECHO_H
#define ECHO_H

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "stackd.h"

#define CHUNK_MAX   (1u << 20)
#define CHOICES_MAX 4

/* The same calls under two names. */
struct calls {
	int (*socket)(int, int, int);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*listen)(int, int);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	int (*shutdown)(int, int);
	int (*close)(int);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*recv)(int, void *, size_t, int);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*epoll_create1)(int);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
};

extern const struct calls of_stackd, of_kernel;

struct choice {
	enum stackd_choice kind;
	const char *name;
};

struct settings {
	const struct calls *call;
	const char *rundir, *options;
	struct choice choice[CHOICES_MAX];
	unsigned int choices;
	bool zero_copy;
	double seconds; /* 0: until `count` is done */
	uint64_t count; /* bytes, or rounds */
	size_t chunk;
	struct addrinfo *to;
};

extern struct settings g;

struct stream {
	int fd;
	uint64_t sent, received;
	bool wrong; /* something came that wasn't sent */
};

struct watch {
	double started, cpu;
};

int fail(const char *what); /* says errno; 1 */
const char *side(int fd);   /* "stackd" or "kernel" */
int make_socket(int flags); /* with the plugins that were asked for; -1 with errno */
bool is_refused(int fd);    /* what was asked for is stackd's alone, and this isn't; says so */

void make_pattern(void);
ssize_t put_some(struct stream *, size_t n); /* sends: how many, 0: no room now, -1: errno */
int take_some(struct stream *);              /* 1: something or nothing, 0: the end, -1: errno */
int await(int fd, short events);             /* revents, or -1 */

double seconds(void);
double cpu_seconds(void);
struct watch watch_start(void);
bool time_is_up(const struct watch *);
void say(const struct stream *, const struct watch *, uint64_t bytes, const char *what);
#endif
