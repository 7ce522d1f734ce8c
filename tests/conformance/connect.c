/* SPDX-License-Identifier: BSD-2-Clause */
/* connect: blocking and not, twice, refused, to nobody. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static int pending(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len) == 0 ? value : errno;
}

static int try_connect(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	return connect(fd, (const struct sockaddr *)ss, len);
}

static void blocking(bool to_peer)
{
	struct sockaddr_storage ss;
	int port = next_port(), fd = new_socket(0);
	int listener = to_peer ? peer_listen(port, 4) : listen_at(port, 4);
	socklen_t len = to_peer ? peer_addr(&ss, port) : own_addr(&ss, port);

	section(to_peer ? "blocking, to the peer" : "blocking, to ourselves");
	result("connect", try_connect(fd, &ss, len));
	result("connect again", try_connect(fd, &ss, len));
	say("SO_ERROR", "%s", error_name(pending(fd)));
	show_name("getsockname", fd, false);
	show_name("getpeername", fd, true);
	show_poll("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	result("shutdown", shutdown(fd, SHUT_RDWR));
	result("connect after shutdown", try_connect(fd, &ss, len));
	close(fd);
	if (to_peer)
		peer_close(listener);
	else
		close(listener);
}

static void unblocking(bool to_peer)
{
	struct sockaddr_storage ss;
	int port = next_port(), fd = new_socket(SOCK_NONBLOCK);
	int listener = to_peer ? peer_listen(port, 4) : listen_at(port, 4);
	socklen_t len = to_peer ? peer_addr(&ss, port) : own_addr(&ss, port);
	int r = try_connect(fd, &ss, len);

	section(to_peer ? "without blocking, to the peer" : "without blocking, to ourselves");
	say("connect", "%s", error_name(r ? errno : 0));
	await(fd, POLLOUT);
	show_poll("poll when it is done", fd, POLLIN | POLLOUT | POLLRDHUP);
	say("SO_ERROR", "%s", error_name(pending(fd)));
	r = try_connect(fd, &ss, len);
	say("connect again", "%s", r == 0 ? "0" : error_name(errno));
	result("and again", try_connect(fd, &ss, len));
	close(fd);
	if (to_peer)
		peer_close(listener);
	else
		close(listener);
}

static void nobody_listens(bool to_peer)
{
	struct sockaddr_storage ss;
	int port = next_port(), fd = new_socket(0);
	socklen_t len = to_peer ? peer_addr(&ss, port) : own_addr(&ss, port);

	section(to_peer ? "refused by the peer" : "refused by ourselves");
	result("connect", try_connect(fd, &ss, len));
	say("SO_ERROR", "%s", error_name(pending(fd)));
	show_name("getpeername", fd, true);
	show_poll("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	result("send", send(fd, "x", 1, MSG_NOSIGNAL));
	result("recv", recv(fd, (char[1]){0}, 1, MSG_DONTWAIT));
	result("shutdown", shutdown(fd, SHUT_RDWR));
	result("connect again", try_connect(fd, &ss, len));
	if (to_peer) {
		int listener = peer_listen(port, 1);

		result("connect when somebody listens", try_connect(fd, &ss, len));
		result("send then", send(fd, "x", 1, MSG_NOSIGNAL));
		peer_close(listener);
	}
	close(fd);
}

static void refused_later(void)
{
	struct sockaddr_storage ss;
	int fd = new_socket(SOCK_NONBLOCK), r;
	socklen_t len = peer_addr(&ss, next_port());

	section("refused without blocking");
	r = try_connect(fd, &ss, len);
	say("connect", "%s", error_name(r ? errno : 0));
	await(fd, POLLOUT);
	show_poll("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say("SO_ERROR", "%s", error_name(pending(fd)));
	say("SO_ERROR once more", "%s", error_name(pending(fd)));
	show_poll("poll then", fd, POLLIN | POLLOUT | POLLRDHUP);
	result("recv", recv(fd, (char[1]){0}, 1, 0));
	result("send", send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
	fd = new_socket(SOCK_NONBLOCK);
	(void)!try_connect(fd, &ss, len);
	await(fd, POLLOUT);
	result("connect tells the error", try_connect(fd, &ss, len));
	close(fd);
	fd = new_socket(SOCK_NONBLOCK);
	(void)!try_connect(fd, &ss, len);
	await(fd, POLLOUT);
	result("recv tells the error", recv(fd, (char[1]){0}, 1, 0));
	result("recv after that", recv(fd, (char[1]){0}, 1, 0));
	close(fd);
	fd = new_socket(SOCK_NONBLOCK);
	(void)!try_connect(fd, &ss, len);
	await(fd, POLLOUT);
	result("send tells the error", send(fd, "x", 1, MSG_NOSIGNAL));
	result("send after that", send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
}

/* An address of our network at which nobody is: its SYN waits for a neighbour. */
static socklen_t nobody(struct sockaddr_storage *ss)
{
	return make_addr(ss, ends_domain() == AF_INET ? "10.9.0.77" : "fd00:9::77", next_port());
}

static void on_its_way(void)
{
	struct sockaddr_storage ss;
	socklen_t len = nobody(&ss);
	int fd = new_socket(SOCK_NONBLOCK);

	section("on its way");
	result("connect", try_connect(fd, &ss, len));
	result("connect again", try_connect(fd, &ss, len));
	show_poll("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say("SO_ERROR", "%s", error_name(pending(fd)));
	show_name("getpeername", fd, true);
	result("send", send(fd, "x", 1, MSG_NOSIGNAL));
	result("recv", recv(fd, (char[1]){0}, 1, 0));
	result("listen", listen(fd, 1));
	result("bind", bind(fd, (struct sockaddr *)&ss, own_addr(&ss, next_port())));
	result("shutdown RD", shutdown(fd, SHUT_RD));
	result("shutdown RDWR", shutdown(fd, SHUT_RDWR));
	show_poll("poll after shutdown", fd, POLLIN | POLLOUT | POLLRDHUP);
	close(fd);
}

static void timed(void)
{
	struct timeval t = {.tv_usec = 100000};
	struct sockaddr_storage ss;
	socklen_t len = nobody(&ss);
	int fd = new_socket(0);

	section("with SO_SNDTIMEO");
	need(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	result("connect", try_connect(fd, &ss, len));
	result("connect again", try_connect(fd, &ss, len));
	close(fd);
}

static void unreachable(void)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(&ss, ends_domain() == AF_INET ? "203.0.113.9" : "2001:db8::9", 9);
	int fd = new_socket(0);

	section("unreachable");
	result("no route", try_connect(fd, &ss, len));
	close(fd);
	fd = new_socket(0);
	len = own_addr(&ss, 9);
	result("cut short", try_connect(fd, &ss, 3));
	ss.ss_family = AF_UNIX;
	result("the family of another", try_connect(fd, &ss, len));
	ss.ss_family = AF_UNSPEC;
	result("AF_UNSPEC on a fresh socket", try_connect(fd, &ss, len));
	len = any_addr(&ss, 9);
	result("to the wildcard where nobody listens", try_connect(fd, &ss, len));
	close(fd);
	fd = new_socket(0);
	len = own_addr(&ss, 0);
	result("to port 0", try_connect(fd, &ss, len));
	close(fd);
}

static void bound_first(void)
{
	struct sockaddr_storage ss;
	int port = next_port(), from = next_port(), fd = new_socket(0),
	    listener = peer_listen(port, 4);
	socklen_t len = own_addr(&ss, from);

	section("bound first");
	result("bind", bind(fd, (struct sockaddr *)&ss, len));
	len = peer_addr(&ss, port);
	result("connect", try_connect(fd, &ss, len));
	show_name("getsockname", fd, false);
	close(fd);
	fd = new_socket(0);
	len = any_addr(&ss, next_port());
	result("bind to the wildcard", bind(fd, (struct sockaddr *)&ss, len));
	len = peer_addr(&ss, port);
	result("connect from it", try_connect(fd, &ss, len));
	show_name("getsockname then", fd, false);
	close(fd);
	peer_close(listener);
}

static void listener_connects(void)
{
	struct sockaddr_storage ss;
	int port = next_port(), fd = listen_at(port, 1);
	socklen_t len = own_addr(&ss, port);

	section("a listener");
	result("connect", try_connect(fd, &ss, len));
	show_name("getpeername", fd, true);
	close(fd);
}

static void unconnected(void)
{
	struct sockaddr_storage ss;
	int port = next_port();
	struct ends e = ends_open();
	socklen_t len = own_addr(&ss, port);

	section("AF_UNSPEC");
	ss.ss_family = AF_UNSPEC;
	result("connect", try_connect(e.fd, &ss, len));
	show_name("getpeername", e.fd, true);
	result("send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	result("the other end's recv", other_recv(&e, 1));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	blocking(false);
	blocking(true);
	unblocking(false);
	unblocking(true);
	nobody_listens(false);
	nobody_listens(true);
	refused_later();
	on_its_way();
	timed();
	unreachable();
	bound_first();
	listener_connects();
	unconnected();
	return observe_end();
}
