/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll: level and edge, ONESHOT, EXCLUSIVE, nested, several instances, wrong arguments. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

static char buf[100000];
static volatile int minus_one = -1; /* which the compiler would find wrong */

static int add(int ep, int fd, unsigned events, unsigned data)
{
	struct epoll_event ev = {.events = events, .data.u32 = data};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static int change(int ep, int fd, unsigned events, unsigned data)
{
	struct epoll_event ev = {.events = events, .data.u32 = data};

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

/* What epoll_wait says without waiting, in the order of the data. */
static void show(const char *what, int ep, int ms)
{
	struct epoll_event ev[8];
	unsigned by_data[8] = {0};
	char text[128] = "";
	int n = epoll_wait(ep, ev, 8, ms), at = 0;

	for (int i = 0; i < n; i++)
		by_data[ev[i].data.u32 & 7] |= ev[i].events;
	for (unsigned i = 0; i < 8; i++)
		if (by_data[i])
			at += snprintf(
			    text + at, sizeof(text) - (size_t)at, " %u:%s%s%s%s%s%s", i,
			    by_data[i] & EPOLLIN ? "I" : "", by_data[i] & EPOLLOUT ? "O" : "",
			    by_data[i] & EPOLLPRI ? "P" : "", by_data[i] & EPOLLRDHUP ? "R" : "",
			    by_data[i] & EPOLLHUP ? "H" : "", by_data[i] & EPOLLERR ? "E" : "");
	say(what, "%d%s", n, text);
}

static void level(void)
{
	struct ends e = ends_open();
	int ep = epoll_create1(0);

	section("level");
	result("add", add(ep, e.fd, EPOLLIN | EPOLLRDHUP, 1));
	result("add again", add(ep, e.fd, EPOLLIN, 1));
	show("quiet", ep, 0);
	other_send(&e, 10);
	show("with data", ep, 10000);
	show("and again", ep, 0);
	need(recv(e.fd, buf, 4, 0) == 4);
	show("with less data", ep, 0);
	need(recv(e.fd, buf, 100, 0) == 6);
	show("with none", ep, 0);
	result("MOD to EPOLLOUT", change(ep, e.fd, EPOLLOUT, 2));
	show("writable", ep, 0);
	result("MOD to both", change(ep, e.fd, ALL, 3));
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	show("at the end", ep, 0);
	result("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, e.fd, NULL));
	show("without it", ep, 0);
	result("DEL again", epoll_ctl(ep, EPOLL_CTL_DEL, e.fd, NULL));
	result("MOD then", change(ep, e.fd, EPOLLIN, 3));
	close(ep);
	ends_close(&e);
}

static void edge(void)
{
	struct ends e = ends_open();
	int ep = epoll_create1(0);

	section("edge");
	result("add", add(ep, e.fd, ALL | EPOLLET, 1));
	show("first", ep, 0);
	show("then", ep, 0);
	other_send(&e, 10);
	await(e.fd, POLLIN);
	show("data", ep, 10000);
	show("no news", ep, 0);
	need(recv(e.fd, buf, 4, 0) == 4);
	show("partly read", ep, 0);
	other_send(&e, 5);
	await_bytes(e.fd, 11);
	show("more data", ep, 10000);
	show("no news then", ep, 0);
	result("MOD", change(ep, e.fd, ALL | EPOLLET, 2));
	show("after MOD", ep, 0);
	show("after MOD, then", ep, 0);
	need(recv(e.fd, buf, 100, 0) == 11);
	show("all read", ep, 0);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	show("the end", ep, 10000);
	show("the end, then", ep, 0);
	close(ep);
	ends_close(&e);
}

static void writable_again(void)
{
	struct ends e = ends_open();
	int ep = epoll_create1(0);
	long total = 0, n;

	section("edge of room");
	set_blocking(e.fd, false);
	need(add(ep, e.fd, EPOLLOUT | EPOLLET, 1) == 0);
	show("first", ep, 0);
	while ((n = send(e.fd, buf, sizeof(buf), 0)) > 0)
		total += n;
	say("full", "%s", error_name(errno));
	say("the other end reads it all", "%d", other_recv(&e, (size_t)total) == total);
	show("room", ep, 10000);
	await(e.fd, POLLOUT);
	result("send", send(e.fd, buf, 1, 0));
	close(ep);
	ends_close(&e);
}

static void oneshot(void)
{
	struct ends e = ends_open();
	int ep = epoll_create1(0);

	section("ONESHOT");
	need(add(ep, e.fd, EPOLLIN | EPOLLONESHOT, 1) == 0);
	other_send(&e, 1);
	show("data", ep, 10000);
	show("once only", ep, 0);
	other_send(&e, 1);
	await_bytes(e.fd, 2);
	show("more data", ep, 0);
	result("MOD", change(ep, e.fd, EPOLLIN | EPOLLONESHOT, 2));
	show("armed again", ep, 10000);
	show("once only then", ep, 0);
	other_close(&e);
	await(e.fd, POLLRDHUP);
	show("the end is not told", ep, 0);
	result("MOD with ET", change(ep, e.fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT | EPOLLET, 3));
	show("armed with ET", ep, 10000);
	close(ep);
	ends_close(&e);
}

static void instances(void)
{
	struct ends e = ends_open();
	int a = epoll_create1(0), b = epoll_create1(0), outer = epoll_create1(0), copy = dup(e.fd);

	section("several instances");
	need(add(a, e.fd, EPOLLIN, 1) == 0 && add(b, e.fd, EPOLLIN | EPOLLET, 2) == 0);
	result("nested", add(outer, a, EPOLLIN, 3));
	result("in itself", add(a, a, EPOLLIN, 3));
	result("in a circle", add(a, outer, EPOLLIN, 4));
	show("the outer, quiet", outer, 0);
	show_poll("poll of the inner, quiet", a, POLLIN);
	other_send(&e, 1);
	show("the outer", outer, 10000);
	show_poll("poll of the inner", a, POLLIN);
	show("the inner", a, 0);
	show("the other", b, 0);
	show("the other again", b, 0);
	need(recv(e.fd, buf, 10, 0) == 1);
	show("the outer when read", outer, 0);
	show_poll("poll of the inner when read", a, POLLIN);
	result("a copy too", add(a, copy, EPOLLIN, 5));
	other_send(&e, 1);
	await(e.fd, POLLIN);
	show("both copies", a, 0);
	close(copy);
	need(recv(e.fd, buf, 10, 0) == 1);
	close(outer);
	close(b);
	close(a);
	ends_close(&e);
}

static void closed_inside(void)
{
	struct ends e = ends_open(), f = ends_open();
	int ep = epoll_create1(0), event = eventfd(1, 0);

	section("closed while in it");
	need(add(ep, e.fd, EPOLLIN, 1) == 0 && add(ep, f.fd, EPOLLIN, 2) == 0);
	need(add(ep, event, EPOLLIN, 3) == 0);
	other_send(&e, 1);
	other_send(&f, 1);
	await(e.fd, POLLIN);
	await(f.fd, POLLIN);
	show("three", ep, 0);
	close(e.fd);
	e.fd = -1;
	show("two", ep, 0);
	close(event);
	show("one", ep, 0);
	other_reset(&f);
	await(f.fd, POLLHUP);
	show("reset", ep, 0);
	close(ep);
	ends_close(&e);
	ends_close(&f);
}

static void before_connect(void)
{
	struct sockaddr_storage ss;
	int ep = epoll_create1(0), port = next_port(), listener = peer_listen(port, 2),
	    fd = new_socket(SOCK_NONBLOCK);
	socklen_t len = peer_addr(&ss, port);

	section("before connect");
	result("add", add(ep, fd, ALL, 1));
	show("a fresh socket", ep, 0);
	result("MOD", change(ep, fd, EPOLLOUT | EPOLLIN | EPOLLET, 2));
	show("after MOD", ep, 0);
	(void)!connect(fd, (struct sockaddr *)&ss, len);
	await(fd, POLLOUT);
	show("connected", ep, 10000);
	show("no news", ep, 0);
	result("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
	close(fd);
	fd = new_socket(SOCK_NONBLOCK);
	need(add(ep, fd, EPOLLOUT, 3) == 0);
	peer_close(listener);
	(void)!connect(fd, (struct sockaddr *)&ss, len);
	await(fd, POLLOUT);
	show("refused", ep, 10000);
	close(fd);
	close(ep);
}

static void listening(void)
{
	int ep = epoll_create1(0), port = next_port(), listener = listen_at(port, 4), a, b;

	section("listener");
	set_blocking(listener, false);
	result("add EXCLUSIVE", add(ep, listener, EPOLLIN | EPOLLEXCLUSIVE, 1));
	result("MOD of it", change(ep, listener, EPOLLIN, 1));
	show("quiet", ep, 0);
	a = peer_connect(port);
	show("one", ep, 10000);
	b = peer_connect(port);
	pause_ms(10);
	outcome("accept", accept(listener, NULL, NULL));
	show("another", ep, 10000);
	outcome("accept then", accept(listener, NULL, NULL));
	show("none", ep, 0);
	result("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, listener, NULL));
	result("add EXCLUSIVE and ONESHOT",
	       add(ep, listener, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
	result("add with ET", add(ep, listener, EPOLLIN | EPOLLET, 2));
	peer_close(a);
	a = peer_connect(port);
	show("with ET", ep, 10000);
	show("with ET, then", ep, 0);
	peer_close(a);
	peer_close(b);
	close(listener);
	close(ep);
}

static void wrong(void)
{
	struct ends e = ends_open();
	struct epoll_event ev;
	struct timespec t = {.tv_nsec = 2000000000};
	int ep = epoll_create1(0), null = open("/dev/null", O_RDWR);

	section("wrong arguments");
	result("epoll_create of 0", epoll_create(0));
	result("epoll_create1 with a wrong flag", epoll_create1(77));
	result("operation 9", epoll_ctl(ep, 9, e.fd, &ev));
	result("add of -1", add(ep, -1, EPOLLIN, 1));
	result("add of /dev/null", add(ep, null, EPOLLIN, 1));
	result("add to a socket", add(e.fd, e.fd, EPOLLIN, 1));
	result("add to -1", add(-1, e.fd, EPOLLIN, 1));
	result("MOD of what isn't there", change(ep, e.fd, EPOLLIN, 1));
	result("DEL of what isn't there", epoll_ctl(ep, EPOLL_CTL_DEL, e.fd, &ev));
	result("wait for 0 events", epoll_wait(ep, &ev, 0, 0));
	result("wait for -1 events", epoll_wait(ep, &ev, minus_one, 0));
	result("wait on a socket", epoll_wait(e.fd, &ev, 1, 0));
	result("wait on -1", epoll_wait(-1, &ev, 1, 0));
	need(add(ep, e.fd, EPOLLIN, 1) == 0);
	result("wait for 0 events with a socket", epoll_wait(ep, &ev, 0, 0));
	result("wait 20 ms", epoll_wait(ep, &ev, 1, 20));
	result("epoll_pwait 20 ms", epoll_pwait(ep, &ev, 1, 20, NULL));
	result("epoll_pwait2 with a wrong time", epoll_pwait2(ep, &ev, 1, &t, NULL));
	t.tv_nsec = 1000000;
	result("epoll_pwait2 of 1 ms", epoll_pwait2(ep, &ev, 1, &t, NULL));
	other_send(&e, 1);
	result("epoll_pwait2 for ever", epoll_pwait2(ep, &ev, 1, NULL, NULL));
	close(null);
	close(ep);
	ends_close(&e);
}

static void few_at_a_time(void)
{
	struct ends e[3];
	struct epoll_event ev;
	int ep = epoll_create1(0), seen = 0;

	section("one event at a time");
	for (int i = 0; i < 3; i++) {
		e[i] = ends_open();
		need(add(ep, e[i].fd, EPOLLIN, (unsigned)i) == 0);
		other_send(&e[i], 1);
		await(e[i].fd, POLLIN);
	}
	for (int i = 0; i < 3; i++) {
		need(epoll_wait(ep, &ev, 1, 10000) == 1);
		seen |= 1 << ev.data.u32;
	}
	say("each gets its turn", "%d", seen);
	for (int i = 0; i < 3; i++)
		ends_close(&e[i]);
	show("when all are closed", ep, 0);
	close(ep);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	level();
	edge();
	writable_again();
	oneshot();
	instances();
	closed_inside();
	before_connect();
	listening();
	wrong();
	few_at_a_time();
	return observe_end();
}
