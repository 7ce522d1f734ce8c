/* SPDX-License-Identifier: BSD-2-Clause */
/* shutdown each way, half-closed connections, end of file. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define ALL (POLLIN | POLLOUT | POLLRDHUP | POLLPRI)

static char buf[100000];
static volatile sig_atomic_t signals;

static void on_pipe(int sig)
{
	(void)sig;
	signals++;
}

static void peer_ends_first(void)
{
	struct ends e = ends_open();

	section("the other end shuts");
	other_send(&e, 7);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	show_poll("poll", e.fd, ALL);
	show_poll("poll for nothing", e.fd, 0);
	result("recv 3", recv(e.fd, buf, 3, 0));
	result("recv the rest", recv(e.fd, buf, 100, 0));
	show_poll("poll at the end", e.fd, ALL);
	result("recv the end", recv(e.fd, buf, 100, 0));
	result("recv the end again", recv(e.fd, buf, 100, 0));
	result("read the end", read(e.fd, buf, 100));
	result("send", send(e.fd, "hello", 5, 0));
	result("the other end's recv", other_recv(&e, 5));
	result("shutdown", shutdown(e.fd, SHUT_WR));
	await(e.fd, POLLHUP);
	show_poll("poll when both have", e.fd, ALL);
	result("the other end's last recv", other_recv(&e, 5));
	result("recv when both have", recv(e.fd, buf, 100, 0));
	result("send when both have", send(e.fd, "x", 1, MSG_NOSIGNAL));
	ends_close(&e);
}

static void we_end_first(void)
{
	struct ends e = ends_open();
	struct sigaction sa = {.sa_handler = on_pipe}, old;

	section("we shut");
	result("send", send(e.fd, "last", 4, 0));
	result("shutdown WR", shutdown(e.fd, SHUT_WR));
	result("shutdown WR again", shutdown(e.fd, SHUT_WR));
	show_poll("poll", e.fd, ALL);
	result("send MSG_NOSIGNAL", send(e.fd, "x", 1, MSG_NOSIGNAL));
	signals = 0;
	sigaction(SIGPIPE, &sa, &old);
	result("send", send(e.fd, "x", 1, 0));
	say("signals by send", "%d", (int)signals);
	result("write", write(e.fd, "x", 1));
	say("signals by write too", "%d", (int)signals);
	result("send MSG_NOSIGNAL with a handler", send(e.fd, "x", 1, MSG_NOSIGNAL));
	say("signals then", "%d", (int)signals);
	result("send of 0 bytes", send(e.fd, "x", 0, MSG_NOSIGNAL));
	sigaction(SIGPIPE, &old, NULL);
	result("the other end's recv", other_recv(&e, 100));
	result("recv without waiting", recv(e.fd, buf, 100, MSG_DONTWAIT));
	other_send(&e, 50000);
	result("recv all that still comes", recv(e.fd, buf, 50000, MSG_WAITALL));
	other_close(&e);
	result("recv the end", recv(e.fd, buf, 1, 0));
	await(e.fd, POLLHUP);
	show_poll("poll at the end", e.fd, ALL);
	ends_close(&e);
}

static void deaf(void)
{
	struct ends e = ends_open();

	section("SHUT_RD");
	other_send(&e, 5);
	await_bytes(e.fd, 5);
	result("shutdown RD", shutdown(e.fd, SHUT_RD));
	show_poll("poll", e.fd, ALL);
	result("recv what was there", recv(e.fd, buf, 100, 0));
	result("recv then", recv(e.fd, buf, 100, 0));
	result("recv then without waiting", recv(e.fd, buf, 100, MSG_DONTWAIT));
	result("send", send(e.fd, "abc", 3, 0));
	result("the other end's recv", other_recv(&e, 3));
	result("the other end's send", other_send(&e, 4));
	await_bytes(e.fd, 4);
	result("recv what came afterwards", recv(e.fd, buf, 100, 0));
	result("recv then again", recv(e.fd, buf, 100, 0));
	result("shutdown WR", shutdown(e.fd, SHUT_WR));
	show_poll("poll with both", e.fd, ALL);
	ends_close(&e);
}

static void both_at_once(void)
{
	struct ends e = ends_open();

	section("SHUT_RDWR");
	result("shutdown RDWR", shutdown(e.fd, SHUT_RDWR));
	show_poll("poll", e.fd, ALL);
	result("recv", recv(e.fd, buf, 100, 0));
	result("send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	result("the other end's recv", other_recv(&e, 1));
	result("the other end's shutdown", other_shut(&e, SHUT_WR));
	pause_ms(20);
	result("shutdown WR when all is over", shutdown(e.fd, SHUT_WR));
	result("recv when all is over", recv(e.fd, buf, 100, 0));
	ends_close(&e);
}

static void wrong_how(void)
{
	struct ends e = ends_open();

	section("wrong how");
	result("shutdown 3", shutdown(e.fd, 3));
	result("shutdown -1", shutdown(e.fd, -1));
	result("send is as before", send(e.fd, "x", 1, 0));
	result("the other end's recv", other_recv(&e, 1));
	ends_close(&e);
}

static void copies(void)
{
	struct ends e = ends_open();
	int copy = dup(e.fd);

	section("a copy of the descriptor");
	result("close of one", close(e.fd));
	result("send by the other", send(copy, "abc", 3, 0));
	result("the other end's recv", other_recv(&e, 3));
	e.fd = dup(copy);
	result("shutdown by one", shutdown(copy, SHUT_WR));
	result("send by the copy", send(e.fd, "abc", 3, MSG_NOSIGNAL));
	result("the other end's recv at the end", other_recv(&e, 3));
	close(copy);
	other_send(&e, 4);
	result("recv by the last", recv(e.fd, buf, 4, MSG_WAITALL));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	peer_ends_first();
	we_end_first();
	deaf();
	both_at_once();
	wrong_how();
	copies();
	return observe_end();
}
