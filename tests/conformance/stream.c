/* SPDX-License-Identifier: BSD-2-Clause */
/* recv and send with their flags. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[300000];

static void say_bytes(const char *what, long n)
{
	say(what, "%.*s", n < 0 ? 0 : n > 40 ? 40 : (int)n, buf);
}

static void nothing_there(void)
{
	struct ends e = ends_open();

	section("nothing there");
	result("recv MSG_DONTWAIT", recv(e.fd, buf, 10, MSG_DONTWAIT));
	result("recv MSG_PEEK|DONTWAIT", recv(e.fd, buf, 10, MSG_PEEK | MSG_DONTWAIT));
	result("recv MSG_WAITALL|DONTWAIT", recv(e.fd, buf, 10, MSG_WAITALL | MSG_DONTWAIT));
	result("recv of 0 bytes MSG_DONTWAIT", recv(e.fd, buf, 0, MSG_DONTWAIT));
	result("read of 0 bytes", read(e.fd, buf, 0));
	result("recv MSG_ERRQUEUE", recv(e.fd, buf, 10, MSG_ERRQUEUE));
	result("recv MSG_OOB", recv(e.fd, buf, 10, MSG_OOB));
	result("recv MSG_OOB|DONTWAIT", recv(e.fd, buf, 10, MSG_OOB | MSG_DONTWAIT));
	set_blocking(e.fd, false);
	result("recv of a non-blocking socket", recv(e.fd, buf, 10, 0));
	result("read of a non-blocking socket", read(e.fd, buf, 10));
	show_poll("poll", e.fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP);
	ends_close(&e);
}

static void peeking(void)
{
	struct ends e = ends_open();

	section("MSG_PEEK");
	other_send(&e, 10);
	await_bytes(e.fd, 10);
	result("peek 4", recv(e.fd, buf, 4, MSG_PEEK));
	say_bytes("bytes", 4);
	result("peek 100", recv(e.fd, buf, 100, MSG_PEEK));
	result("peek 100 and wait for all, but not really",
	       recv(e.fd, buf, 100, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT));
	result("peek 10 and wait for all", recv(e.fd, buf, 10, MSG_PEEK | MSG_WAITALL));
	result("recv 3", recv(e.fd, buf, 3, 0));
	say_bytes("bytes", 3);
	result("peek the rest", recv(e.fd, buf, 100, MSG_PEEK));
	say_bytes("bytes", 7);
	result("recv the rest", recv(e.fd, buf, 100, 0));
	result("peek nothing", recv(e.fd, buf, 100, MSG_PEEK | MSG_DONTWAIT));
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLIN);
	result("peek the end", recv(e.fd, buf, 100, MSG_PEEK));
	result("recv the end", recv(e.fd, buf, 100, 0));
	result("recv the end with DONTWAIT", recv(e.fd, buf, 100, MSG_DONTWAIT));
	result("recv the end with WAITALL", recv(e.fd, buf, 100, MSG_WAITALL));
	result("recv the end with OOB", recv(e.fd, buf, 100, MSG_OOB));
	ends_close(&e);
}

static void truncating(void)
{
	struct ends e = ends_open();

	section("MSG_TRUNC");
	other_send(&e, 26);
	await_bytes(e.fd, 26);
	memset(buf, '-', 26);
	result("recv 10 into nothing", recv(e.fd, buf, 10, MSG_TRUNC));
	say_bytes("bytes untouched", 10);
	result("with a null pointer", recv(e.fd, NULL, 5, MSG_TRUNC));
	result("recv what follows", recv(e.fd, buf, 4, 0));
	say_bytes("bytes", 4);
	result("peek and truncate", recv(e.fd, buf, 100, MSG_PEEK | MSG_TRUNC));
	result("recv the rest", recv(e.fd, buf, 100, 0));
	say_bytes("bytes of the rest", 7);
	ends_close(&e);
}

static void waiting_for_all(void)
{
	struct ends e = ends_open();

	section("MSG_WAITALL");
	other_send(&e, 30);
	await_bytes(e.fd, 30);
	result("what is there", recv(e.fd, buf, 20, MSG_WAITALL));
	result("more than is there, without waiting",
	       recv(e.fd, buf, 20, MSG_WAITALL | MSG_DONTWAIT));
	other_send(&e, 5);
	other_shut(&e, SHUT_WR);
	result("more than will come", recv(e.fd, buf, 20, MSG_WAITALL));
	result("at the end", recv(e.fd, buf, 20, MSG_WAITALL));
	ends_close(&e);
	e = ends_open();
	other_send(&e, 200000);
	result("200000 at once", recv(e.fd, buf, 200000, MSG_WAITALL));
	say("right", "%d", buf[0] == 'a' && buf[199999] == 'a' + 199999 % 26);
	ends_close(&e);
}

static void lowat(void)
{
	struct ends e = ends_open();

	section("SO_RCVLOWAT");
	set_int(e.fd, SOL_SOCKET, SO_RCVLOWAT, 8);
	other_send(&e, 4);
	await_bytes(e.fd, 4);
	show_poll("poll with too little", e.fd, POLLIN);
	result("recv without waiting", recv(e.fd, buf, 2, MSG_DONTWAIT));
	other_send(&e, 6);
	await_bytes(e.fd, 8);
	show_poll("poll with enough", e.fd, POLLIN);
	result("recv", recv(e.fd, buf, 100, 0));
	other_send(&e, 3);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	show_poll("poll with too little at the end", e.fd, POLLIN | POLLRDHUP);
	result("recv too little at the end", recv(e.fd, buf, 100, 0));
	ends_close(&e);
}

static void sending(void)
{
	struct ends e = ends_open();

	section("send");
	result("0 bytes", send(e.fd, buf, 0, 0));
	result("write of 0 bytes", write(e.fd, buf, 0));
	result("1 byte", send(e.fd, "x", 1, 0));
	result("MSG_DONTWAIT", send(e.fd, "yz", 2, MSG_DONTWAIT));
	result("MSG_NOSIGNAL", send(e.fd, "yz", 2, MSG_NOSIGNAL));
	result("MSG_MORE", send(e.fd, "more", 4, MSG_MORE));
	result("MSG_EOR", send(e.fd, "eor", 3, MSG_EOR));
	result("MSG_DONTROUTE", send(e.fd, "dr", 2, MSG_DONTROUTE));
	result("MSG_CONFIRM", send(e.fd, "cf", 2, MSG_CONFIRM));
	result("sendto with an address", sendto(e.fd, "to", 2, 0, (struct sockaddr *)buf, 16));
	result("sendto with no address", sendto(e.fd, "to", 2, 0, NULL, 0));
	result("recv by the other end", other_recv(&e, 20));
	result("unknown flags", send(e.fd, "u", 1, 0x1000000));
	ends_close(&e);
}

static void full(void)
{
	struct ends e = ends_open();
	long total = 0, n;

	section("full");
	set_int(e.fd, SOL_SOCKET, SO_SNDBUF, 20000);
	set_blocking(e.fd, false);
	for (int quiet = 0; quiet < 3; quiet++) {
		while ((n = send(e.fd, buf, sizeof(buf), MSG_NOSIGNAL)) > 0) {
			total += n;
			quiet = 0;
		}
		pause_ms(20);
	}
	say("the last send", "%s", error_name(errno));
	say("something went", "%d", total > 0);
	result("send of 0 bytes", send(e.fd, "x", 0, 0));
	say("all of it comes", "%d", other_recv(&e, (size_t)total) == total);
	await(e.fd, POLLOUT);
	show_poll("poll then", e.fd, POLLIN | POLLOUT);
	result("send then", send(e.fd, "x", 1, 0));
	ends_close(&e);
}

static void unconnected(void)
{
	struct ends e = ends_open();

	section("unconnected");
	close(e.fd);
	e.fd = new_socket(0);
	result("recv", recv(e.fd, buf, 1, 0));
	result("recv MSG_DONTWAIT", recv(e.fd, buf, 1, MSG_DONTWAIT));
	result("read", read(e.fd, buf, 1));
	result("read of 0 bytes", read(e.fd, buf, 0));
	result("send", send(e.fd, buf, 1, MSG_NOSIGNAL));
	result("write", write(e.fd, buf, 1));
	result("shutdown", shutdown(e.fd, SHUT_WR));
	result("recv MSG_OOB", recv(e.fd, buf, 1, MSG_OOB));
	show_poll("poll", e.fd, POLLIN | POLLOUT | POLLRDHUP);
	ends_close(&e);
}

static void of_a_listener(void)
{
	int fd = listen_at(next_port(), 1);

	section("listener");
	result("recv", recv(fd, buf, 1, MSG_DONTWAIT));
	result("read", read(fd, buf, 1));
	result("send", send(fd, buf, 1, MSG_NOSIGNAL));
	result("write", write(fd, buf, 1));
	result("recv of 0 bytes", recv(fd, buf, 0, 0));
	result("recv MSG_OOB", recv(fd, buf, 1, MSG_OOB));
	show_poll("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	result("shutdown WR", shutdown(fd, SHUT_WR));
	result("shutdown RD", shutdown(fd, SHUT_RD));
	show_poll("poll after shutdown", fd, POLLIN | POLLOUT | POLLRDHUP);
	result("accept after shutdown", accept(fd, NULL, NULL));
	close(fd);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	nothing_there();
	peeking();
	truncating();
	waiting_for_all();
	lowat();
	sending();
	full();
	unconnected();
	of_a_listener();
	return observe_end();
}
