/* SPDX-License-Identifier: BSD-2-Clause */
/* poll, ppoll, select, pselect: bits, mixes, timeouts, wrong arguments. */
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[100];

static void mixed(void)
{
	struct ends e = ends_open(), f = ends_open();
	int event = eventfd(0, 0), closed = dup(event);
	struct pollfd p[6] = {
	    {.fd = e.fd, .events = POLLIN},   {.fd = event, .events = POLLIN},
	    {.fd = -1, .events = POLLIN},     {.fd = f.fd, .events = POLLIN | POLLOUT},
	    {.fd = closed, .events = POLLIN}, {.fd = e.fd, .events = POLLOUT}};

	section("poll of several");
	close(closed);
	result("poll", poll(p, 6, 0));
	say_poll("a quiet socket", p[0].revents);
	say_poll("a quiet event", p[1].revents);
	say_poll("-1", p[2].revents);
	say_poll("a writable socket", p[3].revents);
	say_poll("a closed descriptor", p[4].revents);
	say_poll("the first one again", p[5].revents);
	other_send(&e, 1);
	need(eventfd_write(event, 1) == 0);
	await(e.fd, POLLIN);
	result("poll then", poll(p, 3, 5000));
	say_poll("the socket", p[0].revents);
	say_poll("the event", p[1].revents);
	result("poll of none", poll(p, 0, 1));
	result("poll of -1 alone", poll(p + 2, 1, 1));
	p[0].events = POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND;
	result("poll for the other names", poll(p, 1, 0));
	say("normal", "%d %d", !!(p[0].revents & POLLRDNORM), !!(p[0].revents & POLLWRNORM));
	say("band", "%d %d", !!(p[0].revents & POLLRDBAND), !!(p[0].revents & POLLWRBAND));
	close(event);
	ends_close(&e);
	ends_close(&f);
}

static void later(void)
{
	struct ends e = ends_open();
	struct pollfd p = {.fd = e.fd, .events = POLLIN};
	struct timespec t = {.tv_nsec = 30000000}, wrong = {.tv_nsec = 2000000000};

	section("poll that waits");
	result("poll for 30 ms", poll(&p, 1, 30));
	result("ppoll for 30 ms", ppoll(&p, 1, &t, NULL));
	say("the time is left alone", "%d", t.tv_nsec == 30000000);
	result("ppoll with a wrong time", ppoll(&p, 1, &wrong, NULL));
	wrong = (struct timespec){.tv_sec = -1};
	result("ppoll with a negative time", ppoll(&p, 1, &wrong, NULL));
	other_send(&e, 1);
	result("poll for ever", poll(&p, 1, -1));
	say_poll("bits", p.revents);
	result("ppoll for ever", ppoll(&p, 1, NULL, NULL));
	result("recv", recv(e.fd, buf, 10, 0));
	other_shut(&e, SHUT_WR);
	result("poll for the end", poll(&p, 1, -1));
	say_poll("bits at the end", p.revents);
	p.events = POLLRDHUP;
	result("poll for the end by POLLRDHUP", poll(&p, 1, -1));
	say_poll("bits then", p.revents);
	p.events = 0;
	result("poll for nothing", poll(&p, 1, 10));
	other_close(&e);
	shutdown(e.fd, SHUT_WR);
	result("poll for nothing until it has ended", poll(&p, 1, 10000));
	say_poll("bits of nothing", p.revents);
	ends_close(&e);
}

static void say_sets(const char *what, int n, int fd, const fd_set *r, const fd_set *w,
		     const fd_set *x)
{
	say(what, "%d: %s%s%s", n, r && FD_ISSET(fd, r) ? "r" : "-",
	    w && FD_ISSET(fd, w) ? "w" : "-", x && FD_ISSET(fd, x) ? "x" : "-");
}

static void all_sets(int fd, fd_set *r, fd_set *w, fd_set *x)
{
	FD_ZERO(r);
	FD_ZERO(w);
	FD_ZERO(x);
	FD_SET(fd, r);
	FD_SET(fd, w);
	FD_SET(fd, x);
}

static void by_select(void)
{
	struct ends e = ends_open();
	struct timeval t = {0};
	fd_set r, w, x;

	section("select");
	all_sets(e.fd, &r, &w, &x);
	say_sets("a quiet socket", select(e.fd + 1, &r, &w, &x, &t), e.fd, &r, &w, &x);
	other_send(&e, 1);
	await(e.fd, POLLIN);
	all_sets(e.fd, &r, &w, &x);
	say_sets("with data", select(e.fd + 1, &r, &w, &x, &t), e.fd, &r, &w, &x);
	all_sets(e.fd, &r, &w, &x);
	say_sets("only the read set", select(e.fd + 1, &r, NULL, NULL, &t), e.fd, &r, NULL, NULL);
	all_sets(e.fd, &r, &w, &x);
	say_sets("n too small", select(e.fd, &r, &w, &x, &t), e.fd, &r, &w, &x);
	result("n negative", select(-1, &r, &w, &x, &t));
	t.tv_usec = -1;
	result("a negative time", select(e.fd + 1, &r, &w, &x, &t));
	t = (struct timeval){.tv_usec = 1500000};
	all_sets(e.fd, &r, &w, &x);
	say_sets("more than a second of microseconds", select(e.fd + 1, &r, NULL, NULL, &t), e.fd,
		 &r, NULL, NULL);
	need(recv(e.fd, buf, 10, 0) == 1);
	t = (struct timeval){.tv_usec = 20000};
	all_sets(e.fd, &r, &w, &x);
	say_sets("nothing for 20 ms", select(e.fd + 1, &r, NULL, &x, &t), e.fd, &r, NULL, &x);
	say("the time that is left", "%ld %ld", (long)t.tv_sec, (long)t.tv_usec);
	other_send(&e, 1);
	all_sets(e.fd, &r, &w, &x);
	say_sets("data by and by", select(e.fd + 1, &r, NULL, NULL, NULL), e.fd, &r, NULL, NULL);
	other_reset(&e);
	await(e.fd, POLLHUP);
	all_sets(e.fd, &r, &w, &x);
	t = (struct timeval){0};
	say_sets("after a reset", select(e.fd + 1, &r, &w, &x, &t), e.fd, &r, &w, &x);
	all_sets(e.fd, &r, &w, &x);
	close(e.fd);
	result("a closed descriptor", select(e.fd + 1, &r, &w, &x, &t));
	e.fd = -1;
	ends_close(&e);
}

static void by_pselect(void)
{
	struct ends e = ends_open();
	struct timespec t = {.tv_nsec = 20000000};
	int event = eventfd(1, 0), most;
	fd_set r, w;

	section("pselect");
	most = event > e.fd ? event : e.fd;
	FD_ZERO(&r);
	FD_SET(e.fd, &r);
	result("nothing for 20 ms", pselect(e.fd + 1, &r, NULL, NULL, &t, NULL));
	say("the time is left alone", "%d", t.tv_nsec == 20000000);
	FD_SET(e.fd, &r);
	FD_SET(event, &r);
	w = r;
	result("with a kernel descriptor that is ready",
	       pselect(most + 1, &r, NULL, NULL, NULL, NULL));
	say("which", "%d %d", !!FD_ISSET(e.fd, &r), !!FD_ISSET(event, &r));
	other_send(&e, 1);
	await(e.fd, POLLIN);
	FD_SET(e.fd, &r);
	FD_SET(event, &r);
	result("both", pselect(most + 1, &r, &w, NULL, &t, NULL));
	t.tv_nsec = 1000000000;
	result("a wrong time", pselect(most + 1, &r, &w, NULL, &t, NULL));
	close(event);
	ends_close(&e);
}

static void of_a_listener(void)
{
	int port = next_port(), listener = listen_at(port, 2), other;

	section("listener");
	show_poll("without a connection", listener, POLLIN | POLLOUT);
	other = peer_connect(port);
	await(listener, POLLIN);
	show_poll("with one", listener, POLLIN | POLLOUT | POLLRDHUP);
	peer_close(other);
	pause_ms(20);
	show_poll("when it has gone", listener, POLLIN | POLLOUT | POLLRDHUP);
	outcome("accept", accept(listener, NULL, NULL));
	show_poll("when it is accepted", listener, POLLIN | POLLOUT);
	close(listener);
}

/* ---- TCP_NOTSENT_LOWAT ---- */

#define MARK 16384

static char block[200000];

static int unsent(int fd)
{
	int n = -1;

	need(ioctl(fd, SIOCOUTQNSD, &n) == 0);
	return n;
}

/* Until nothing more is taken, and it stays so: what doesn't fill a segment may leave late. */
static void fill(int fd)
{
	for (int quiet = 0; quiet < 15; quiet++) {
		while (send(fd, block, 4000, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			quiet = 0;
		pause_ms(40);
	}
}

static void *reads(void *arg)
{
	return (void *)(intptr_t)other_recv(arg, 3 * sizeof(block));
}

static void unsent_mark(void)
{
	struct ends e = ends_open();
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
	int ep = epoll_create1(0), value = 0;
	socklen_t len = sizeof(value);

	section("TCP_NOTSENT_LOWAT");
	set_int(e.fd, SOL_SOCKET, SO_SNDBUF, 200000);
	result("set", setsockopt(e.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){MARK}, sizeof(int)));
	need(getsockopt(e.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &len) == 0);
	say("get", "%d", value);
	need(epoll_ctl(ep, EPOLL_CTL_ADD, e.fd, &ev) == 0);
	result("epoll when empty", epoll_wait(ep, &ev, 1, 1000));
	show_poll("poll when empty", e.fd, POLLOUT);
	fill(e.fd);
	result("send at the mark", send(e.fd, block, 1, MSG_DONTWAIT));
	say("as much is unsent", "%d", unsent(e.fd) >= MARK);
	say("and not much more", "%d", unsent(e.fd) < MARK + 100000);
	show_poll("poll at the mark", e.fd, POLLOUT);
	epoll_wait(ep, &ev, 1, 0);
	result("epoll at the mark", epoll_wait(ep, &ev, 1, 0));
	for (int i = 0; i < 3000 && unsent(e.fd) >= MARK / 2; i++) {
		other_recv(&e, 4000);
		pause_ms(1);
	}
	result("epoll when half is sent", epoll_wait(ep, &ev, 1, 10000));
	await(e.fd, POLLOUT);
	show_poll("poll when half is sent", e.fd, POLLOUT);
	result("send then", send(e.fd, block, 100, MSG_DONTWAIT));
	fill(e.fd);
	set_int(e.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0x7fffffff);
	result("send with a higher mark", send(e.fd, block, 100, MSG_DONTWAIT));
	close(ep);
	ends_close(&e);
}

static void lowest_mark(void)
{
	struct ends e = ends_open();
	struct pollfd p = {.fd = e.fd, .events = POLLOUT};
	pthread_t t;
	void *read_by_then;

	section("TCP_NOTSENT_LOWAT 1");
	set_int(e.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1);
	need(pthread_create(&t, NULL, reads, &e) == 0);
	for (int i = 0; i < 2; i++)
		result("send that waits", send(e.fd, block, sizeof(block), 0));
	for (size_t sent = 0; sent < sizeof(block); sent += 10000) {
		need(poll(&p, 1, 10000) == 1);
		need(send(e.fd, block, 10000, MSG_DONTWAIT) == 10000);
	}
	pthread_join(t, &read_by_then);
	say("arrived", "%d", (long)(intptr_t)read_by_then == 3 * sizeof(block));
	result("send when all is read", send(e.fd, block, 1, MSG_DONTWAIT));
	result("poll then", poll(&p, 1, 10000));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	mixed();
	later();
	by_select();
	by_pselect();
	of_a_listener();
	unsent_mark();
	lowest_mark();
	return observe_end();
}
