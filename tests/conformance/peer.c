/* SPDX-License-Identifier: BSD-2-Clause */
/* conform_peer PATH OWN4 PEER4 OWN6 PEER6 - the other host of a conformance program: does on the
 * kernel's TCP what it is asked at the unix socket PATH.  A process for each program, so that all
 * its sockets go when the program does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "alphabet.h"
#include "ask.h"

#define PATIENCE_S 10

static char *const *address; /* [0] ours, [1] theirs, by IPv4; [2], [3] by IPv6 */

static socklen_t make_addr(struct sockaddr_storage *ss, int domain, bool theirs, int port)
{
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)domain;
	in->sin_port = htons((uint16_t)port);
	if (domain == AF_INET)
		inet_pton(AF_INET, address[theirs], &in->sin_addr);
	else
		inet_pton(AF_INET6, address[2 + theirs], &in6->sin6_addr);
	return domain == AF_INET ? sizeof(*in) : sizeof(*in6);
}

static int patient_socket(int domain)
{
	struct timeval t = {.tv_sec = PATIENCE_S};
	int fd = socket(domain, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return fd;
}

static int do_listen(int domain, int port, int backlog)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, domain, false, port);
	int fd = patient_socket(domain);

	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, backlog) < 0)
		return -1;
	return fd;
}

static int do_connect(int domain, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, domain, true, port);
	int fd = patient_socket(domain);

	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int do_reset(int fd)
{
	struct linger hard = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	return close(fd);
}

static long new_handle(int fd)
{
	if (fd >= 0)
		alphabet_begin(fd);
	return fd;
}

static long obey(const struct ask *q)
{
	switch (q->what) {
	case ASK_LISTEN:
		return do_listen(q->handle, (int)q->a, (int)q->b);
	case ASK_ACCEPT:
		return new_handle(accept(q->handle, NULL, NULL));
	case ASK_CONNECT:
		return new_handle(do_connect(q->handle, (int)q->a));
	case ASK_SEND:
		return alphabet_send(q->handle, (size_t)q->a, (int)q->b);
	case ASK_RECV:
		return alphabet_recv(q->handle, (size_t)q->a);
	case ASK_SHUT:
		return shutdown(q->handle, (int)q->a);
	case ASK_CLOSE:
		return close(q->handle);
	case ASK_RESET:
		return do_reset(q->handle);
	default:
		errno = ENOSYS;
		return -1;
	}
}

static int serve(int control)
{
	struct ask q;

	while (recv(control, &q, sizeof(q), 0) == sizeof(q)) {
		struct answer r = {0};

		errno = 0;
		r.value = obey(&q);
		r.error = r.value < 0 ? errno : 0;
		if (send(control, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (argc != 6 || strlen(argv[1]) >= sizeof(sun.sun_path))
		return 2;
	address = argv + 2;
	strcpy(sun.sun_path, argv[1]);
	signal(SIGCHLD, SIG_IGN);
	if (bind(listener, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(listener, 16) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		int control = accept(listener, NULL, NULL);

		if (control >= 0 && fork() == 0)
			_exit(serve(control));
		close(control);
	}
}
