/* SPDX-License-Identifier: BSD-2-Clause */
/* socket, bind, getsockname, getpeername: in each state, and what they refuse. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static int try_bind(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	return bind(fd, (const struct sockaddr *)ss, len);
}

static void kinds_of_socket(void)
{
	section("socket");
	outcome("stream with protocol 0", socket(ends_domain(), SOCK_STREAM, 0));
	outcome("stream with IPPROTO_TCP", socket(ends_domain(), SOCK_STREAM, IPPROTO_TCP));
	outcome("stream with IPPROTO_UDP", socket(ends_domain(), SOCK_STREAM, IPPROTO_UDP));
	outcome("datagram with IPPROTO_TCP", socket(ends_domain(), SOCK_DGRAM, IPPROTO_TCP));
	outcome("seqpacket", socket(ends_domain(), SOCK_SEQPACKET, 0));
	outcome("type 77", socket(ends_domain(), 77, 0));
	outcome("unknown type flag", socket(ends_domain(), SOCK_STREAM | 0x100000, 0));
	outcome("family 200", socket(200, SOCK_STREAM, 0));
	outcome("protocol 9999", socket(ends_domain(), SOCK_STREAM, 9999));
}

static void fresh(void)
{
	int fd = new_socket(0), value = -1;
	socklen_t len = sizeof(value);

	section("fresh");
	show_name("getsockname", fd, false);
	show_name("getpeername", fd, true);
	result("getsockopt SO_TYPE", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
	say("type", "%d", value == SOCK_STREAM);
	result("getsockopt SO_PROTOCOL", getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &len));
	say("protocol", "%d", value);
	result("getsockopt SO_DOMAIN", getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len));
	say("domain", "%d", value == ends_domain());
	close(fd);
}

static void bound(void)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, next_port());
	int fd = new_socket(0), second = new_socket(0), value = 1;
	socklen_t size = sizeof(value);

	section("bound");
	result("bind", try_bind(fd, &ss, len));
	show_name("getsockname", fd, false);
	show_name("getpeername", fd, true);
	result("bind again", try_bind(fd, &ss, len));
	result("the same port on another socket", try_bind(second, &ss, len));
	result("getsockopt SO_ACCEPTCONN",
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
	say("accepting", "%d", value);
	close(fd);
	result("after the first is closed", try_bind(second, &ss, len));
	close(second);
}

static void ephemeral(void)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, 0);
	int fd = new_socket(0);

	section("port 0");
	result("bind to own address", try_bind(fd, &ss, len));
	show_name("getsockname", fd, false);
	close(fd);
	fd = new_socket(0);
	len = any_addr(&ss, 0);
	result("bind to the wildcard", try_bind(fd, &ss, len));
	show_name("getsockname of the wildcard", fd, false);
	close(fd);
	fd = new_socket(0);
	result("listen without bind", listen(fd, 1));
	show_name("getsockname of a listener without bind", fd, false);
	show_name("getpeername of a listener", fd, true);
	close(fd);
}

static void refused(void)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = new_socket(0);

	section("bind refuses");
	len = make_addr(&ss, ends_domain() == AF_INET ? "10.9.0.77" : "fd00:9::77", next_port());
	result("an address that isn't ours", try_bind(fd, &ss, len));
	len = make_addr(&ss, ends_domain() == AF_INET ? "203.0.113.9" : "2001:db8::9", next_port());
	result("an address of nobody", try_bind(fd, &ss, len));
	len = own_addr(&ss, next_port());
	result("an address cut short", try_bind(fd, &ss, 7));
	result("length 0", try_bind(fd, &ss, 0));
	ss.ss_family = AF_UNIX;
	result("the family of another", try_bind(fd, &ss, len));
	len = own_addr(&ss, next_port());
	result("a length too long for sockaddr_storage", bind(fd, (struct sockaddr *)&ss, 4096));
	result("the right one after all that", try_bind(fd, &ss, len));
	show_name("getsockname", fd, false);
	close(fd);
}

static void other_family(void)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = new_socket(0);

	section("another family");
	len = make_addr(&ss, ends_domain() == AF_INET ? "fd00:9::2" : "10.9.0.2", next_port());
	result("bind", try_bind(fd, &ss, len));
	result("connect", connect(fd, (struct sockaddr *)&ss, len));
	close(fd);
}

static void connected(void)
{
	struct ends e = ends_open();
	struct sockaddr_storage ss = {0};
	socklen_t len = 5;

	section("connected");
	show_name("getsockname", e.fd, false);
	show_name("getpeername", e.fd, true);
	result("getpeername with 5 bytes of room", getpeername(e.fd, (struct sockaddr *)&ss, &len));
	say("the length it gives", "%d", (int)len);
	result("bind", try_bind(e.fd, &ss, own_addr(&ss, next_port())));
	result("listen", listen(e.fd, 1));
	other_close(&e);
	need(await(e.fd, POLLIN));
	show_name("getpeername after the peer's FIN", e.fd, true);
	shutdown(e.fd, SHUT_WR);
	await_state(e.fd, TCP_CLOSE);
	show_name("getsockname after both FINs", e.fd, false);
	result("getpeername after both FINs", getpeername(e.fd, (struct sockaddr *)&ss, &len));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	kinds_of_socket();
	fresh();
	bound();
	ephemeral();
	refused();
	other_family();
	connected();
	return observe_end();
}
