/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may have a port: SO_REUSEADDR, SO_REUSEPORT, wildcards, IPv4 and IPv6 beside each other. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

enum { PLAIN, ADDR = 1, PORT = 2, ONLY6 = 4, LISTEN = 8 };

static int open_bound(const char *text, int port, int how, int *error)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, text, port);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	need(fd >= 0);
	if (how & ADDR)
		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (how & PORT)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (ss.ss_family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !!(how & ONLY6));
	*error = bind(fd, (struct sockaddr *)&ss, len) < 0 ? errno : 0;
	if (!*error && how & LISTEN)
		*error = listen(fd, 2) < 0 ? errno : 0;
	return fd;
}

static void two(const char *a, int how_a, const char *b, int how_b)
{
	static const char *const names[] = {"plain", "addr", "port", "addr+port"};
	char what[128];
	int port = next_port(), error, first = open_bound(a, port, how_a, &error), second;

	snprintf(what, sizeof(what), "%s %s%s%s, then %s %s%s%s", a, names[how_a & 3],
		 how_a & ONLY6 ? " v6only" : "", how_a & LISTEN ? " listening" : "", b,
		 names[how_b & 3], how_b & ONLY6 ? " v6only" : "",
		 how_b & LISTEN ? " listening" : "");
	if (error) {
		say(what, "the first: %s", error_name(error));
	} else {
		second = open_bound(b, port, how_b, &error);
		say(what, "%s", error_name(error));
		close(second);
	}
	close(first);
}

static void same_address(void)
{
	static const int how[] = {PLAIN, ADDR, PORT, ADDR | PORT};

	section("the same address");
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++) {
			two("10.9.0.2", how[a], "10.9.0.2", how[b]);
			two("10.9.0.2", how[a] | LISTEN, "10.9.0.2", how[b] | LISTEN);
		}
}

static void wildcards(void)
{
	static const char *const all[] = {"10.9.0.2", "0.0.0.0", "fd00:9::2", "::"};

	section("wildcards");
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++) {
			two(all[a], LISTEN, all[b], PLAIN);
			two(all[a], ADDR | LISTEN, all[b], ADDR | LISTEN);
		}
	two("::", ONLY6 | LISTEN, "0.0.0.0", LISTEN);
	two("0.0.0.0", LISTEN, "::", ONLY6 | LISTEN);
	two("::", ONLY6 | LISTEN, "10.9.0.2", LISTEN);
	two("::", ONLY6 | LISTEN, "fd00:9::2", LISTEN);
	two("::ffff:10.9.0.2", LISTEN, "10.9.0.2", LISTEN);
	two("10.9.0.2", LISTEN, "::ffff:10.9.0.2", LISTEN);
	two("::ffff:10.9.0.2", ONLY6, "10.9.0.2", LISTEN);
}

static void afterwards(void)
{
	int port = next_port(), error, fd = open_bound("10.9.0.2", port, LISTEN, &error), other,
	    accepted;

	section("afterwards");
	say("listening", "%s", error_name(error));
	other = peer_connect(port);
	if (other >= 0)
		accepted = accept(fd, NULL, NULL);
	else
		accepted = -1;
	close(fd);
	fd = open_bound("10.9.0.2", port, LISTEN, &error);
	say("while its connection lives, plain", "%s", error_name(error));
	close(fd);
	fd = open_bound("10.9.0.2", port, ADDR | LISTEN, &error);
	say("while its connection lives, SO_REUSEADDR", "%s", error_name(error));
	close(fd);
	close(accepted);
	peer_close(other);
	fd = open_bound("10.9.0.2", port, ADDR | LISTEN, &error);
	say("when it has ended, SO_REUSEADDR", "%s", error_name(error));
	close(fd);
}

static void shared(void)
{
	int port = next_port(), error, a, b, other[8], got = 0;

	section("SO_REUSEPORT shares");
	a = open_bound("10.9.0.2", port, PORT | LISTEN, &error);
	b = open_bound("10.9.0.2", port, PORT | LISTEN, &error);
	say("two listeners", "%s", error_name(error));
	set_blocking(a, false);
	set_blocking(b, false);
	for (int i = 0; i < 2; i++)
		other[i] = peer_connect(port);
	for (int i = 0; i < 500 && got < 2; i++) {
		struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

		poll(p, 2, 20);
		got += accept(a, NULL, NULL) >= 0;
		got += accept(b, NULL, NULL) >= 0;
	}
	say("both connections came", "%d", got);
	close(a);
	peer_close(other[0]);
	peer_close(other[1]);
	close(b);
}

static void ephemeral(void)
{
	struct sockaddr_storage ss, name;
	socklen_t len = make_addr(&ss, "10.9.0.2", 0), size;
	int fd[40], port[40], same = 0, outside = 0;

	section("ephemeral");
	for (int i = 0; i < 40; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		need(bind(fd[i], (struct sockaddr *)&ss, len) == 0);
		size = sizeof(name);
		need(getsockname(fd[i], (struct sockaddr *)&name, &size) == 0);
		port[i] = ntohs(((struct sockaddr_in *)&name)->sin_port);
		outside += port[i] < 32768 || port[i] > 60999;
		for (int j = 0; j < i; j++)
			same += port[i] == port[j];
	}
	say("twice the same", "%d", same);
	say("outside the range", "%d", outside);
	for (int i = 0; i < 40; i++)
		close(fd[i]);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	same_address();
	wildcards();
	afterwards();
	shared();
	ephemeral();
	return observe_end();
}
