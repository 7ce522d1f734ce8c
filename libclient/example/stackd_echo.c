/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-echo - stackd.h in use: an echo server on epoll, and a client that sends a number of bytes
 * through it, checks every one that comes back, and says how fast it was.
 *
 *	stackd-echo [-s RUNDIR] [-o tcp.KEY=VALUE] server ADDRESS PORT
 *	stackd-echo [-s RUNDIR] [-o tcp.KEY=VALUE] client ADDRESS PORT [BYTES]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stackd.h"

#define EVENTS_MAX    64
#define DEFAULT_BYTES 1000000
#define PATTERN_PRIME 251

static int fail(const char *what)
{
	fprintf(stderr, "stackd-echo: %s: %s\n", what, strerror(errno));
	return 1;
}

static int resolve(const char *host, const char *port, struct addrinfo **out)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	int error = getaddrinfo(host, port, &hints, out);

	if (error)
		fprintf(stderr, "stackd-echo: %s: %s\n", host, gai_strerror(error));
	return error;
}

/* ---- server: what was received is sent from where it lies ---- */

enum progress { WAIT_IN, WAIT_OUT, DONE };

/* One copy, from ring to ring. */
static enum progress echo_some(int fd)
{
	struct iovec in[2], out[2];

	for (;;) {
		ssize_t have = stackd_peek(fd, in), room;
		size_t n;

		if (have < 0)
			return errno == EAGAIN ? WAIT_IN : DONE;
		if (have == 0)
			return DONE;
		room = stackd_reserve(fd, in[0].iov_len, out);
		if (room < 0)
			return errno == EAGAIN ? WAIT_OUT : DONE;
		n = out[0].iov_len < in[0].iov_len ? out[0].iov_len : in[0].iov_len;
		memcpy(out[0].iov_base, in[0].iov_base, n);
		if (stackd_commit(fd, n) < 0 || stackd_consume(fd, n) < 0)
			return DONE;
	}
}

/* The same for a socket that is the kernel's. */
static enum progress echo_kernel(int fd)
{
	char buf[16384];
	ssize_t n = stackd_recv(fd, buf, sizeof(buf), 0);

	for (ssize_t sent = 0; n > 0 && sent < n;) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		ssize_t r = stackd_send(fd, buf + sent, (size_t)(n - sent), MSG_NOSIGNAL);

		if (r < 0 && errno != EAGAIN)
			return DONE;
		if (r < 0)
			stackd_poll(&p, 1, -1);
		sent += r > 0 ? r : 0;
	}
	return n > 0 || (n < 0 && errno == EAGAIN) ? WAIT_IN : DONE;
}

static void serve_one(int ep, int fd)
{
	enum progress p = stackd_is_stack(fd) ? echo_some(fd) : echo_kernel(fd);
	struct epoll_event ev = {.events = p == WAIT_OUT ? EPOLLOUT : EPOLLIN, .data.fd = fd};

	if (p == DONE)
		stackd_close(fd);
	else
		stackd_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

static void welcome(int ep, int listener)
{
	int fd = stackd_accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= 0 && stackd_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		stackd_close(fd);
}

static int server(const struct addrinfo *ai)
{
	struct epoll_event ev[EVENTS_MAX];
	int ep = stackd_epoll_create1(EPOLL_CLOEXEC), on = 1, n;
	int fd = stackd_socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	stackd_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || stackd_bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || stackd_listen(fd, 128) < 0)
		return fail("listen");
	ev[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
	if (stackd_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev[0]) < 0)
		return fail("epoll");
	printf("serving through %s\n", stackd_is_stack(fd) ? "stackd" : "the kernel");
	fflush(stdout);
	while ((n = stackd_epoll_wait(ep, ev, EVENTS_MAX, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == fd)
				welcome(ep, fd);
			else
				serve_one(ep, ev[i].data.fd);
		}
	return fail("epoll");
}

/* ---- client ---- */

struct transfer {
	uint64_t total, sent, received;
	bool wrong;
};

static void fill(char *buf, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)((at + i) % PATTERN_PRIME);
}

static int send_some(int fd, struct transfer *t)
{
	char buf[65536];
	uint64_t left = t->total - t->sent;
	size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);
	ssize_t r;

	fill(buf, n, t->sent);
	r = stackd_send(fd, buf, n, MSG_NOSIGNAL);
	if (r < 0)
		return errno == EAGAIN ? 0 : -1;
	t->sent += (uint64_t)r;
	if (t->sent == t->total)
		stackd_shutdown(fd, SHUT_WR);
	return 0;
}

static int receive_some(int fd, struct transfer *t)
{
	char buf[65536], want[65536];
	ssize_t r = stackd_recv(fd, buf, sizeof(buf), 0);

	if (r < 0)
		return errno == EAGAIN ? 0 : -1;
	if (r == 0)
		return 1;
	fill(want, (size_t)r, t->received);
	t->wrong |= memcmp(buf, want, (size_t)r) != 0;
	t->received += (uint64_t)r;
	return 0;
}

static int run_transfer(int fd, struct transfer *t)
{
	int end = 0;

	while (!end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (t->sent < t->total)
			p.events |= POLLOUT;
		if (stackd_poll(&p, 1, -1) < 0)
			return -1;
		if (p.revents & POLLOUT && t->sent < t->total && send_some(fd, t) < 0)
			return -1;
		if (p.revents & (POLLIN | POLLHUP | POLLERR))
			end = receive_some(fd, t);
	}
	return end < 0 ? -1 : 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int client(const struct addrinfo *ai, uint64_t bytes)
{
	struct transfer t = {.total = bytes};
	int fd = stackd_socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double start = seconds(), took;

	if (fd < 0 || stackd_connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		return fail("connect");
	stackd_fcntl(fd, F_SETFL, (void *)(intptr_t)O_NONBLOCK);
	if (run_transfer(fd, &t) < 0)
		return fail("transfer");
	took = seconds() - start;
	printf("%s: %" PRIu64 " bytes there and back in %.3f s, %.1f MB/s each way%s\n",
	       stackd_is_stack(fd) ? "stackd" : "kernel", t.received, took,
	       (double)t.received / took / 1e6,
	       t.wrong || t.received != t.total ? ", WRONG" : ", all as sent");
	stackd_close(fd);
	return t.wrong || t.received != t.total;
}

int main(int argc, char **argv)
{
	const char *rundir = NULL, *options = NULL;
	struct addrinfo *ai;
	int opt;

	while ((opt = getopt(argc, argv, "s:o:")) != -1)
		*(opt == 's' ? &rundir : &options) = optarg;
	argv += optind;
	argc -= optind;
	if (argc < 3) {
		fputs("usage: stackd-echo [-s RUNDIR] [-o tcp.KEY=VALUE] server|client ADDRESS PORT "
		      "[BYTES]\n",
		      stderr);
		return 2;
	}
	if ((rundir || options) && stackd_open(rundir, options) < 0)
		return fail("stackd");
	if (resolve(argv[1], argv[2], &ai))
		return 1;
	if (!strcmp(argv[0], "server"))
		return server(ai);
	return client(ai, argc > 3 ? strtoull(argv[3], NULL, 10) : DEFAULT_BYTES);
}
