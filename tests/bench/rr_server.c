/* SPDX-License-Identifier: BSD-2-Clause */
/* rr-server - sends back what comes, all connections in one thread with epoll.  With -1 it closes
 * each connection after its first answer, so that TIME-WAIT stays here and the client's ports are
 * free at once.
 *
 *   rr-server [-1] ADDRESS PORT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define EVENTS 128

static bool once;

static void watch(int epoll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	load_need(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e), "epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		load_set_nodelay(fd);
		watch(epoll, fd);
	}
}

static void serve(int fd)
{
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n || once)
		close(fd);
}

static int make_listener(const struct sockaddr_in *at)
{
	int one = 1, fd = load_need(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");

	load_need(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
	load_need(bind(fd, (const struct sockaddr *)at, sizeof(*at)), "bind");
	load_need(listen(fd, 1024), "listen");
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event event[EVENTS];
	struct sockaddr_in at;
	int listener, epoll, n;

	once = argc == 4 && strcmp(argv[1], "-1") == 0;
	if (argc != 3 + once) {
		fprintf(stderr, "usage: rr-server [-1] ADDRESS PORT\n");
		return 2;
	}
	at = load_address(argv[argc - 2], argv[argc - 1]);
	listener = make_listener(&at);
	epoll = load_need(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	watch(epoll, listener);
	for (;;) {
		n = epoll_wait(epoll, event, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			load_need(n, "epoll_wait");
		for (int i = 0; i < n; i++) {
			if (event[i].data.fd == listener)
				accept_all(epoll, listener);
			else
				serve(event[i].data.fd);
		}
	}
}
