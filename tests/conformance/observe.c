/* SPDX-License-Identifier: BSD-2-Clause */
#include "observe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"

#define STUCK_S       25
#define PATIENCE_MS   10000
#define EPHEMERAL_MIN 32768

static const char *current = "start";

static void stuck(int sig)
{
	static const char text[] = "stuck: \n";

	(void)sig;
	if (write(STDOUT_FILENO, text, 7) < 0 ||
	    write(STDOUT_FILENO, current, strlen(current)) < 0 ||
	    write(STDOUT_FILENO, text + 7, 1) < 0)
		_exit(4);
	_exit(3);
}

void observe_start(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s local|active|passive 4|6\n", argv[0]);
		exit(2);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, stuck);
	alarm(STUCK_S);
	ends_start(argv[1], atoi(argv[2]));
}

int observe_end(void)
{
	section("end");
	say("reached", "yes");
	return 0;
}

void section(const char *name)
{
	current = name;
}

void say(const char *what, const char *format, ...)
{
	char line[512], value[256];
	va_list ap;
	int n;

	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "%s: %s: %s\n", current, what, value);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(4);
}

const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "none";
}

long show_result(const char *what, long r)
{
	int saved = errno;

	if (r < 0)
		say(what, "%s", error_name(saved));
	else
		say(what, "%ld", r);
	errno = saved;
	return r;
}

long show_outcome(const char *what, long r)
{
	int saved = errno;

	say(what, "%s", r < 0 ? error_name(saved) : "ok");
	errno = saved;
	return r;
}

/* ---- poll ---- */

void say_poll(const char *what, int revents)
{
	static const struct {
		int bit;
		const char *name;
	} names[] = {{POLLIN, "IN"},   {POLLPRI, "PRI"},   {POLLOUT, "OUT"},    {POLLERR, "ERR"},
		     {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"}, {POLLRDHUP, "RDHUP"}};
	char text[64] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(revents & names[i].bit))
			continue;
		if (text[0])
			strcat(text, "+");
		strcat(text, names[i].name);
	}
	say(what, "%s", text[0] ? text : "nothing");
}

void show_poll(const char *what, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (poll(&p, 1, 0) < 0)
		say(what, "%s", error_name(errno));
	else
		say_poll(what, p.revents);
}

bool await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int r;

	do
		r = poll(&p, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r == 1 && p.revents & (events | POLLERR | POLLHUP))
		return true;
	say("waited in vain for", "%#x, got %#x", (unsigned)events, (unsigned)p.revents);
	return false;
}

void await_bytes(int fd, int n)
{
	int have = 0;

	for (int i = 0; i < PATIENCE_MS && have < n; i++) {
		if (ioctl(fd, FIONREAD, &have) < 0)
			break;
		if (have < n)
			pause_ms(1);
	}
	if (have < n)
		say("waited in vain for bytes", "%d of %d", have, n);
}

void await_state(int fd, int state)
{
	struct tcp_info info = {0};

	for (int i = 0; i < PATIENCE_MS; i++) {
		socklen_t len = sizeof(info);

		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
		    info.tcpi_state == state)
			return;
		pause_ms(1);
	}
	say("waited in vain for state", "%d, it is %d", state, info.tcpi_state);
}

/* ---- names ---- */

void say_name(const char *what, const struct sockaddr_storage *ss, socklen_t len)
{
	char text[INET6_ADDRSTRLEN] = "?", number[16];
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	int port = ntohs(in->sin_port); /* the same place in both */

	if (len == 0) {
		say(what, "empty");
		return;
	}
	if (ss->ss_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	snprintf(number, sizeof(number), "%d", port_number(port));
	say(what, "%s port %s, %d bytes", text, port >= EPHEMERAL_MIN ? "ephemeral" : number,
	    (int)len);
}

void show_name(const char *what, int fd, bool peer)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	int r = peer ? getpeername(fd, (struct sockaddr *)&ss, &len)
		     : getsockname(fd, (struct sockaddr *)&ss, &len);

	if (r < 0)
		say(what, "%s", error_name(errno));
	else
		say_name(what, &ss, len);
}

/* ---- small things ---- */

void set_blocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	need(flags >= 0);
	need(fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0);
}

void set_int(int fd, int level, int name, int value)
{
	need(setsockopt(fd, level, name, &value, sizeof(value)) == 0);
}

void pause_ms(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

void need_(bool holds, const char *text, const char *file, int line)
{
	if (holds)
		return;
	say("can't go on", "%s (%s, line %d): %s", text, file, line, error_name(errno));
	_exit(5);
}
