/* SPDX-License-Identifier: BSD-2-Clause */
/* many.c - very many connections with one thread and one epoll instance, by the plain socket calls.
 *
 *   many server ADDRESS PORT PORTS             echoes on PORTS ports from PORT on
 *   many hold ADDRESS PORT PORTS COUNT         COUNT connections at once; a message on each, and
 *                                              again when "again" is read; ends when its input does
 *   many churn ADDRESS PORT PORTS COUNT WIDTH  opens, uses and closes COUNT connections, WIDTH at once
 *
 * Each message differs and must come back as it was. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS	      512
#define MESSAGE_BYTES 64
#define OPENING_MAX   256
#define SILENCE_MS    30000

enum state { FREE, OPENING, WAITING, IDLE, LISTENING };

struct end {
	enum state state;
	uint32_t number, got;
};

static struct sockaddr_in base;
static int ports, ep, fd_max;
static struct end *ends; /* by descriptor */

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

static void prepare(char **argv)
{
	struct rlimit r;

	base = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = (in_port_t)atoi(argv[3])};
	if (inet_pton(AF_INET, argv[2], &base.sin_addr) != 1)
		die(argv[2]);
	ports = atoi(argv[4]);
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	fd_max = (int)(r.rlim_max < 1u << 20 ? r.rlim_max : 1u << 20);
	ends = calloc((size_t)fd_max, sizeof(*ends));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!ends || ep < 0)
		die("prepare");
}

static struct sockaddr_in address(uint32_t number)
{
	struct sockaddr_in a = base;

	a.sin_port = htons((in_port_t)(base.sin_port + number % (uint32_t)ports));
	return a;
}

static void watch(int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(ep, op, fd, &e) < 0)
		die("epoll_ctl");
}

/* ---- server ---- */

static void accept_all(int l)
{
	int fd;

	while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		ends[fd].state = WAITING;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static void echo(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && write(fd, buf, (size_t)n) == n)
		return;
	if (n < 0 && errno == EAGAIN)
		return;
	if (close(fd) < 0)
		die("close");
}

static void serve(void)
{
	struct epoll_event e[EVENTS];

	for (int i = 0; i < ports; i++) {
		struct sockaddr_in a = address((uint32_t)i);
		int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
		if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 4096) < 0)
			die("listen");
		ends[l].state = LISTENING;
		watch(EPOLL_CTL_ADD, l, EPOLLIN);
	}
	say("listening");
	for (;;) {
		int n = epoll_wait(ep, e, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (ends[e[i].data.fd].state == LISTENING)
				accept_all(e[i].data.fd);
			else
				echo(e[i].data.fd);
	}
}

/* ---- client ---- */

static void compose(uint32_t number, char *text)
{
	snprintf(text, MESSAGE_BYTES, "%0*" PRIu32, MESSAGE_BYTES - 1, number * 2654435761u);
}

static void speak(int fd)
{
	char text[MESSAGE_BYTES];

	compose(ends[fd].number, text);
	if (write(fd, text, sizeof(text)) != sizeof(text))
		die("write");
	ends[fd].state = WAITING;
	ends[fd].got = 0;
}

static int open_one(uint32_t number)
{
	struct sockaddr_in a = address(number);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		die("connect");
	ends[fd] = (struct end){.state = OPENING, .number = number};
	watch(EPOLL_CTL_ADD, fd, EPOLLOUT);
	return fd;
}

static void opened(int fd)
{
	socklen_t len = sizeof(errno);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &len) < 0 || errno)
		die("connect");
	watch(EPOLL_CTL_MOD, fd, EPOLLIN);
	speak(fd);
}

/* Is the whole message back? */
static bool listen_to(int fd)
{
	char text[MESSAGE_BYTES], back[MESSAGE_BYTES];
	struct end *end = &ends[fd];
	ssize_t n = read(fd, back, sizeof(back) - end->got);

	if (n <= 0)
		die(n ? "read" : "closed by the server");
	compose(end->number, text);
	if (memcmp(text + end->got, back, (size_t)n) != 0) {
		fprintf(stderr, "connection %" PRIu32 " got something else\n", end->number);
		exit(1);
	}
	end->got += (uint32_t)n;
	return end->got == MESSAGE_BYTES;
}

/* Waits for events; calls `finished` for each connection whose message is back. */
static void turn(void (*finished)(int fd))
{
	struct epoll_event e[EVENTS];
	int n;

	errno = 0;
	n = epoll_wait(ep, e, EVENTS, SILENCE_MS);

	if (n <= 0 && errno != EINTR)
		die(n ? "epoll_wait" : "nothing happens");
	for (int i = 0; i < n; i++) {
		int fd = e[i].data.fd;

		if (ends[fd].state == OPENING)
			opened(fd);
		else if (ends[fd].state == WAITING && listen_to(fd))
			finished(fd);
	}
}

static uint32_t done;

static void keep(int fd)
{
	ends[fd].state = IDLE;
	done++;
}

static void finish(int fd)
{
	ends[fd].state = FREE;
	if (close(fd) < 0)
		die("close");
	done++;
}

static void hold(uint32_t count)
{
	uint32_t begun = 0;
	char line[16];

	while (done < count) {
		while (begun < count && begun - done < OPENING_MAX)
			open_one(begun++);
		turn(keep);
	}
	say("held");
	while (fgets(line, sizeof(line), stdin)) {
		done = 0;
		for (int fd = 0; fd < fd_max; fd++)
			if (ends[fd].state == IDLE)
				speak(fd);
		while (done < count)
			turn(keep);
		say("again");
	}
	for (int fd = 0; fd < fd_max; fd++)
		if (ends[fd].state == IDLE)
			finish(fd);
	say("closed");
}

static void churn(uint32_t count, uint32_t width)
{
	struct timespec from, to;
	uint32_t begun = 0;
	double took;

	clock_gettime(CLOCK_MONOTONIC, &from);
	while (done < count) {
		while (begun < count && begun - done < width)
			open_one(begun++);
		turn(finish);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	took = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
	printf("churned %" PRIu32 " in %.1f s, %.0f a second\n", done, took, done / took);
}

int main(int argc, char **argv)
{
	if (argc < 5 || (argc < 6 && strcmp(argv[1], "server") != 0))
		return 2;
	prepare(argv);
	if (!strcmp(argv[1], "server"))
		serve();
	else if (!strcmp(argv[1], "hold"))
		hold((uint32_t)atoi(argv[5]));
	else if (!strcmp(argv[1], "churn") && argc > 6)
		churn((uint32_t)atoi(argv[5]), (uint32_t)atoi(argv[6]));
	else
		return 2;
	return 0;
}
