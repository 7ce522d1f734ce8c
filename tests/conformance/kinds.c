/* SPDX-License-Identifier: BSD-2-Clause */
/* Every socket call on what is no socket, no descriptor, or a socket of another kind or state. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[16];

static void receive_all(int fd)
{
	struct iovec v = {buf, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};

	result("recv", recv(fd, buf, 1, MSG_DONTWAIT));
	result("recvfrom", recvfrom(fd, buf, 1, MSG_DONTWAIT, NULL, NULL));
	result("recvmsg", recvmsg(fd, &m, MSG_DONTWAIT));
	result("recvmmsg", recvmmsg(fd, &mm, 1, MSG_DONTWAIT, NULL));
}

static void send_all(int fd)
{
	struct iovec v = {buf, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};

	result("send", send(fd, buf, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	result("sendto", sendto(fd, buf, 1, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0));
	result("sendmsg", sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT));
	result("sendmmsg", sendmmsg(fd, &mm, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
}

static void names_all(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, 9);
	int value = 0;

	result("bind", bind(fd, (struct sockaddr *)&ss, len));
	result("getsockname", getsockname(fd, (struct sockaddr *)&ss, &len));
	result("getpeername", getpeername(fd, (struct sockaddr *)&ss, &len));
	len = sizeof(value);
	result("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
	result("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	result("TCP option", setsockopt(fd, IPPROTO_TCP, 1, &value, sizeof(value)));
	result("shutdown", shutdown(fd, SHUT_RDWR));
	result("listen", listen(fd, 1));
	result("accept", accept(fd, NULL, NULL));
	result("accept4", accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

static void try_all(const char *name, int fd)
{
	section(name);
	receive_all(fd);
	send_all(fd);
	names_all(fd);
}

static void no_descriptor(void)
{
	int fd = new_socket(0);

	close(fd);
	try_all("closed", fd);
	result("read", read(fd, buf, 1));
	result("write", write(fd, buf, 1));
	result("readv", readv(fd, &(struct iovec){buf, 1}, 1));
	result("writev", writev(fd, &(struct iovec){buf, 1}, 1));
	result("sendfile", sendfile(fd, 0, NULL, 1));
	result("dup", dup(fd));
	result("fcntl", fcntl(fd, F_GETFL));
	result("close", close(fd));
	try_all("-1", -1);
	result("close", close(-1));
	try_all("number beyond every limit", 0x7fffff);
}

static void no_socket(void)
{
	int p[2], file = open("/dev/null", O_RDWR);

	try_all("file", file);
	close(file);
	need(pipe(p) == 0);
	try_all("pipe", p[0]);
	close(p[0]);
	close(p[1]);
}

static void other_sockets(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	try_all("unix stream", fd);
	close(fd);
	fd = socket(ends_domain(), SOCK_DGRAM, 0);
	section("datagram");
	result("listen", listen(fd, 1));
	result("accept", accept(fd, NULL, NULL));
	result("recv", recv(fd, buf, 1, MSG_DONTWAIT));
	result("send", send(fd, buf, 1, MSG_NOSIGNAL));
	close(fd);
}

static void wrong_state(void)
{
	struct ends e = ends_open();
	int fd = new_socket(0), value = 1;
	socklen_t len = sizeof(value);

	section("state");
	result("accept on a fresh socket", accept(fd, NULL, NULL));
	result("accept on a connection", accept(e.fd, NULL, NULL));
	result("listen on a connection", listen(e.fd, 1));
	close(fd);
	fd = listen_at(next_port(), 1);
	result("listen again", listen(fd, 5));
	result("listen with a negative backlog", listen(fd, -1));
	result("getsockopt SO_ACCEPTCONN", getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
	say("it listens", "%d", value);
	result("getpeername of a listener", getpeername(fd, (struct sockaddr *)buf, &len));
	close(fd);
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	no_descriptor();
	no_socket();
	other_sockets();
	wrong_state();
	return observe_end();
}
