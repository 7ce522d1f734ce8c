/* SPDX-License-Identifier: BSD-2-Clause */
/* SO_BINDTODEVICE and SO_BINDTOIFINDEX: what they take and give, and whom a listener hears then.
 * The interface to the peer is va. */
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static void read_back(const char *what, int fd)
{
	char name[IFNAMSIZ] = "?";
	socklen_t len = sizeof(name), int_len = sizeof(int);
	int ifindex = -1;

	need(getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, &int_len) == 0);
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) < 0)
		say(what, "%s", error_name(errno));
	else
		say(what, "%.*s, %u bytes, %s", (int)len, name, len,
		    ifindex == 0                                ? "0"
		    : ifindex == (int)if_nametoindex(name) ? "its index"
							   : "another index");
}

static int set_name(int fd, const char *name)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1);
}

static int set_index(int fd, int ifindex)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex));
}

static void values(const char *state, int fd)
{
	char name[IFNAMSIZ], what[64];
	socklen_t len = 2;

	section(state);
	read_back("at first", fd);
	result("unknown name", set_name(fd, "nosuch0"));
	result("unknown index", set_index(fd, 99999));
	result("negative index", set_index(fd, -1));
	result("short index", setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, "xx", 2));
	read_back("after these", fd);
	result("va", set_name(fd, "va"));
	read_back("after va", fd);
	result("too short to read", getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	snprintf(what, sizeof(what), "va without its end");
	result(what, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "vaxx", 2));
	read_back("after that", fd);
	result("its index", set_index(fd, (int)if_nametoindex("va")));
	result("none", set_name(fd, ""));
	read_back("after none", fd);
	result("va by index", set_index(fd, (int)if_nametoindex("va")));
	result("index 0", set_index(fd, 0));
	read_back("after index 0", fd);
	result("va again", set_name(fd, "va"));
}

static int open_at(const char *name, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = any_addr(&ss, port);
	int fd = new_socket(0);

	need(set_name(fd, name) == 0);
	result(name, bind(fd, (struct sockaddr *)&ss, len));
	result("listen", listen(fd, 4));
	return fd;
}

/* On one port: va's, and loopback's. */
static void two_listeners(void)
{
	struct sockaddr_storage ss;
	int port = next_port(), va, lo, fd, handle = 0;
	socklen_t len;

	section("two listeners");
	va = open_at("va", port);
	lo = open_at("lo", port);
	result("a third one on va", set_name(fd = new_socket(0), "va"));
	len = any_addr(&ss, port);
	result("its bind", bind(fd, (struct sockaddr *)&ss, len));
	close(fd);
	result("one on all", bind(fd = new_socket(0), (struct sockaddr *)&ss, len));
	close(fd);
	fd = new_socket(0);
	len = loop_addr(&ss, port);
	result("connect over loopback", connect(fd, (struct sockaddr *)&ss, len));
	show_poll("lo's", lo, POLLIN);
	show_poll("va's", va, POLLIN);
	close(fd);
	if (!ends_local()) {
		handle = peer_connect(port);
		need(await(va, POLLIN));
		fd = accept(va, NULL, NULL);
		read_back("accepted", fd);
		result("peer", peer_close(handle));
		close(fd);
	}
	close(va);
	close(lo);
}

static void prepare(int fd)
{
	need(set_name(fd, "va") == 0);
}

static void connected(void)
{
	struct ends e = ends_open_with(prepare);
	char byte = 0;

	section("connected");
	read_back("of a connection", e.fd);
	need(other_send(&e, 1) == 1);
	result("recv", recv(e.fd, &byte, 1, 0));
	result("the same again", set_name(e.fd, "va"));
	result("unknown", set_name(e.fd, "nosuch0"));
	result("to loopback", set_name(e.fd, "lo"));
	ends_close(&e);
}

static void bound(void)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, next_port());
	int fd = new_socket(0);

	need(bind(fd, (struct sockaddr *)&ss, len) == 0);
	values("bound", fd);
	result("listen", listen(fd, 1));
	read_back("listening", fd);
	close(fd);
}

int main(int argc, char **argv)
{
	int fd;

	observe_start(argc, argv);
	values("fresh", fd = new_socket(0));
	close(fd);
	bound();
	two_listeners();
	if (!ends_local())
		connected();
	return observe_end();
}
