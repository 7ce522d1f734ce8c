/* SPDX-License-Identifier: BSD-2-Clause */
/* echo_stream.c - a stream whose every byte is made by the sender and checked by the receiver, so
 * with and without a copy the same work is done; through stackd or the kernel. */
#include "echo.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PATTERN_PRIME 251

const struct calls of_stackd = {
    stackd_socket,   stackd_bind,          stackd_connect,    stackd_listen,    stackd_accept4,
    stackd_shutdown, stackd_close,         stackd_setsockopt, stackd_send,      stackd_recv,
    stackd_poll,     stackd_epoll_create1, stackd_epoll_ctl,  stackd_epoll_wait};
const struct calls of_kernel = {socket,   bind,          connect,    listen,    accept4,
				shutdown, close,         setsockopt, send,      recv,
				poll,     epoll_create1, epoll_ctl,  epoll_wait};

struct settings g = {.call = &of_stackd};

int fail(const char *what)
{
	fprintf(stderr, "stackd-echo: %s: %s\n", what, strerror(errno));
	return 1;
}

const char *side(int fd)
{
	return g.call == &of_kernel || !stackd_is_stack(fd) ? "kernel" : "stackd";
}

int make_socket(int flags)
{
	int fd = g.call->socket(g.to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int on = 1;

	for (unsigned int i = 0; fd >= 0 && i < g.choices; i++)
		if (stackd_setsockopt(fd, SOL_STACKD, (int)g.choice[i].kind, g.choice[i].name,
				      (socklen_t)strlen(g.choice[i].name)) < 0)
			return -1;
	if (fd >= 0)
		g.call->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

bool is_refused(int fd)
{
	if ((!g.zero_copy && !g.choices) || stackd_is_stack(fd))
		return false;
	fputs("stackd-echo: -z and -p: this address is the kernel's, not stackd's\n", stderr);
	return true;
}

/* ---- the bytes: the pattern from any offset on ---- */

static char pattern[CHUNK_MAX + PATTERN_PRIME];

void make_pattern(void)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i % PATTERN_PRIME);
}

static void fill(void *to, size_t n, uint64_t at)
{
	memcpy(to, pattern + at % PATTERN_PRIME, n);
}

static bool as_sent(const void *bytes, size_t n, uint64_t at)
{
	for (size_t done = 0; done < n; done += CHUNK_MAX) {
		size_t part = n - done < CHUNK_MAX ? n - done : CHUNK_MAX;

		if (memcmp((const char *)bytes + done, pattern + (at + done) % PATTERN_PRIME,
			   part) != 0)
			return false;
	}
	return true;
}

ssize_t put_some(struct stream *s, size_t n)
{
	static char buf[CHUNK_MAX];
	struct iovec iov[2];
	ssize_t r;

	n = n < g.chunk ? n : g.chunk;
	if (g.zero_copy) {
		r = stackd_reserve(s->fd, n, iov);
		if (r > 0) {
			fill(iov[0].iov_base, iov[0].iov_len, s->sent);
			fill(iov[1].iov_base, iov[1].iov_len, s->sent + iov[0].iov_len);
			if (stackd_commit(s->fd, (size_t)r) < 0)
				return -1;
		}
	} else {
		fill(buf, n, s->sent);
		r = g.call->send(s->fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (r < 0)
		return errno == EAGAIN ? 0 : -1;
	s->sent += (uint64_t)r;
	return r;
}

static ssize_t take_lent(struct stream *s)
{
	struct iovec iov[2];
	ssize_t n = stackd_peek(s->fd, iov);

	if (n <= 0)
		return n;
	s->wrong |= !as_sent(iov[0].iov_base, iov[0].iov_len, s->received) ||
		    !as_sent(iov[1].iov_base, iov[1].iov_len, s->received + iov[0].iov_len);
	return stackd_consume(s->fd, (size_t)n) < 0 ? -1 : n;
}

int take_some(struct stream *s)
{
	static char buf[CHUNK_MAX];
	ssize_t n = g.zero_copy ? take_lent(s) : g.call->recv(s->fd, buf, g.chunk, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 1 : -1;
	if (!g.zero_copy)
		s->wrong |= !as_sent(buf, (size_t)n, s->received);
	s->received += (uint64_t)n;
	return n > 0;
}

int await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = g.call->poll(&p, 1, -1);

	return n < 0 ? -1 : p.revents;
}

/* ---- measuring ---- */

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double cpu_seconds(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

struct watch watch_start(void)
{
	return (struct watch){.started = seconds(), .cpu = cpu_seconds()};
}

bool time_is_up(const struct watch *w)
{
	return g.seconds > 0 && seconds() - w->started >= g.seconds;
}

void say(const struct stream *s, const struct watch *w, uint64_t bytes, const char *what)
{
	double took = seconds() - w->started;

	printf("%s%s: %" PRIu64 " bytes %s in %.3f s, %.3f Gbit/s, %.3f CPU seconds, %s\n",
	       side(s->fd), g.zero_copy ? " without a copy" : "", bytes, what, took,
	       (double)bytes * 8 / took / 1e9, cpu_seconds() - w->cpu,
	       s->wrong ? "WRONG" : "all as sent");
	fflush(stdout);
}
