/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4 on IPv6 sockets: mapped addresses, dual-stack listeners, IPV6_V6ONLY. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static int open6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	need(fd >= 0);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return fd;
}

static int dial(int fd, const char *text, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, text, port);

	return connect(fd, (struct sockaddr *)&ss, len);
}

static int take(int fd, const char *text, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, text, port);

	return bind(fd, (struct sockaddr *)&ss, len);
}

static void show_accepted(const char *what, int listener)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	char text[96];
	int fd;

	if (!await(listener, POLLIN))
		return;
	fd = accept(listener, (struct sockaddr *)&ss, &len);
	snprintf(text, sizeof(text), "%s: accept's address", what);
	say_name(text, &ss, len);
	snprintf(text, sizeof(text), "%s: getsockname", what);
	show_name(text, fd, false);
	snprintf(text, sizeof(text), "%s: getpeername", what);
	show_name(text, fd, true);
	close(fd);
}

static void dual(void)
{
	int port = next_port(), listener = open6(), four, six, mapped;

	section("dual-stack listener");
	result("bind", take(listener, "::", port));
	result("listen", listen(listener, 5));
	show_name("getsockname", listener, false);
	four = socket(AF_INET, SOCK_STREAM, 0);
	result("connect by IPv4", dial(four, "10.9.0.2", port));
	show_accepted("from IPv4", listener);
	six = open6();
	result("connect by IPv6", dial(six, "fd00:9::2", port));
	show_accepted("from IPv6", listener);
	mapped = open6();
	result("connect by a mapped address", dial(mapped, "::ffff:10.9.0.2", port));
	show_name("its getsockname", mapped, false);
	show_name("its getpeername", mapped, true);
	show_accepted("from a mapped one", listener);
	close(four);
	close(six);
	close(mapped);
	close(listener);
}

static void only6(void)
{
	int port = next_port(), listener = open6(), fd;

	section("IPV6_V6ONLY listener");
	set_int(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	result("bind", take(listener, "::", port));
	result("listen", listen(listener, 5));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	result("connect by IPv4", dial(fd, "10.9.0.2", port));
	close(fd);
	fd = open6();
	result("connect by IPv6", dial(fd, "fd00:9::2", port));
	close(fd);
	close(listener);
	fd = open6();
	set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	result("connect of a V6ONLY socket to a mapped address", dial(fd, "::ffff:10.9.0.2", port));
	result("bind of it to a mapped address", take(fd, "::ffff:10.9.0.2", port));
	close(fd);
}

static void mapped_listener(void)
{
	int port = next_port(), listener = open6(), fd;

	section("listener on a mapped address");
	result("bind", take(listener, "::ffff:10.9.0.2", port));
	result("listen", listen(listener, 5));
	show_name("getsockname", listener, false);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	result("connect by IPv4", dial(fd, "10.9.0.2", port));
	show_accepted("from IPv4", listener);
	close(fd);
	fd = open6();
	result("connect by IPv6", dial(fd, "fd00:9::2", port));
	close(fd);
	close(listener);
}

static void mixed_bind(void)
{
	int port = next_port(), listener = peer_listen(port, 4), fd = open6();

	section("bound and connected in different families");
	result("bind to an IPv6 address", take(fd, "fd00:9::2", 0));
	result("connect to a mapped one", dial(fd, "::ffff:10.9.0.1", port));
	close(fd);
	fd = open6();
	result("bind to a mapped address", take(fd, "::ffff:10.9.0.2", 0));
	result("connect to an IPv6 one", dial(fd, "fd00:9::1", port));
	close(fd);
	fd = open6();
	result("bind to the wildcard", take(fd, "::", 0));
	result("connect to a mapped one then", dial(fd, "::ffff:10.9.0.1", port));
	show_name("getsockname", fd, false);
	close(fd);
	peer_close(listener);
}

static void odd_addresses(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	section("odd addresses");
	result("connect to a broadcast address", dial(fd, "10.9.0.255", 9));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	result("connect to a multicast address", dial(fd, "224.0.0.1", 9));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	result("connect to 255.255.255.255", dial(fd, "255.255.255.255", 9));
	result("bind to a multicast address", take(fd, "224.0.0.1", next_port()));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	result("bind to the broadcast address", take(fd, "10.9.0.255", next_port()));
	close(fd);
	fd = open6();
	result("connect to an IPv6 multicast address", dial(fd, "ff02::1", 9));
	close(fd);
	fd = open6();
	result("connect to a link-local address without a scope", dial(fd, "fe80::1", 9));
	close(fd);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	dual();
	only6();
	mapped_listener();
	mixed_bind();
	odd_addresses();
	return observe_end();
}
