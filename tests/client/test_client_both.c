/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_both.c - `listen = both`: a listener on a wildcard has connections of the stack (a
 * fake daemon's) and of the kernel (over loopback).  Built twice, as test_client_wait.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "harness.h"
#include "scenario.h"

#define SOON_MS	   20000
#define QUIET_MS   40

enum side { STACK, KERNEL };

static uint16_t first_port; /* of the fake daemon's choice */

static struct sockaddr_in addr_of(const char *ip, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	a.sin_addr.s_addr = inet_addr(ip);
	return a;
}

/* What ended a moment ago keeps no port. */
static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	return fd;
}

static int bound(uint16_t *port)
{
	struct sockaddr_in a = addr_of("0.0.0.0", *port);
	socklen_t len = sizeof(a);
	int fd = new_socket();

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.sin_addr.s_addr == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int listener(uint16_t *port)
{
	int fd;

	*port = 0;
	fd = bound(port);
	CHECK(listen(fd, 16) == 0);
	return fd;
}

static int dial(enum side side, uint16_t port)
{
	struct sockaddr_in a = addr_of(side == STACK ? "10.77.0.1" : "127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

struct call {
	uint16_t port;
	enum side side;
	int fd;
};

static void *dial_later(void *arg)
{
	struct call *c = arg;

	usleep(50000);
	c->fd = dial(c->side, c->port);
	CHECK(c->fd >= 0);
	return NULL;
}

static void set_nonblock(int fd, bool on)
{
	CHECK(fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0) == 0);
}

/* One connection of each kind is there, and no more: both are accepted and carry bytes. */
static void accept_two(int l, int stack, int kernel)
{
	char b = 0;

	for (int i = 0; i < 2; i++) {
		int fd = accept(l, NULL, NULL);

		CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	}
	CHECK(read(stack, &b, 1) == 1 && b == 'x' && read(kernel, &b, 1) == 1 && b == 'x');
	CHECK(close(stack) == 0 && close(kernel) == 0);
}

/* ---- accept ---- */

static void test_accept(void)
{
	struct sockaddr_in from;
	socklen_t len;
	struct call c;
	int l = listener(&c.port);

	for (int i = 0; i < 6; i++) {
		pthread_t t;
		char b = 0;
		int fd;

		c.side = i % 3 ? KERNEL : STACK;
		t = start(dial_later, (intptr_t)&c);
		len = sizeof(from);
		fd = accept(l, (struct sockaddr *)&from, &len);
		CHECK(fd >= 0 && len == sizeof(from));
		pthread_join(t, NULL);
		CHECK((from.sin_addr.s_addr == inet_addr("127.0.0.1")) == (c.side == KERNEL));
		CHECK(write(c.fd, "q", 1) == 1 && read(fd, &b, 1) == 1 && b == 'q');
		CHECK(write(fd, "a", 1) == 1 && read(c.fd, &b, 1) == 1 && b == 'a');
		CHECK(close(fd) == 0 && read(c.fd, &b, 1) == 0 && close(c.fd) == 0);
	}
}

static void test_nonblock(void)
{
	uint16_t port;
	int l = listener(&port), off = 0, fd, kernel;

	CHECK(!(fcntl(l, F_GETFL, 0) & O_NONBLOCK));
	set_nonblock(l, true);
	CHECK(fcntl(l, F_GETFL, 0) & O_NONBLOCK);
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	accept_two(l, dial(STACK, port), dial(KERNEL, port));
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	CHECK(ioctl(l, FIONBIO, &off) == 0 && !(fcntl(l, F_GETFL, 0) & O_NONBLOCK));
	kernel = dial(KERNEL, port);
	fd = accept(l, NULL, NULL);
	CHECK(fd >= 0 && !(fcntl(fd, F_GETFL, 0) & O_NONBLOCK) && kernel >= 0);
}

static void test_timeout(void)
{
	struct timeval t = {.tv_usec = 50000};
	uint16_t port;
	int l = listener(&port);

	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	accept_two(l, dial(STACK, port), dial(KERNEL, port));
}

/* Neither half starves the other. */
static void test_fair(void)
{
	uint16_t port;
	int l = listener(&port), kernel = dial(KERNEL, port), got = 0;

	for (int i = 0; i < 6; i++)
		CHECK(dial(STACK, port) >= 0);
	for (int i = 0; i < 4; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);

		CHECK(accept(l, (struct sockaddr *)&from, &len) >= 0);
		got += from.sin_addr.s_addr == inet_addr("127.0.0.1");
	}
	CHECK(kernel >= 0 && got == 1);
}

static void *accept_one(void *arg)
{
	int fd = accept((int)(intptr_t)arg, NULL, NULL);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	return NULL;
}

static void test_threads(void)
{
	uint16_t port;
	int l = listener(&port), fd[8];
	pthread_t t[8];
	char b;

	for (int i = 0; i < 8; i++)
		t[i] = start(accept_one, l);
	for (int i = 0; i < 8; i++)
		fd[i] = dial(i & 1 ? KERNEL : STACK, port);
	for (int i = 0; i < 8; i++)
		CHECK(read(fd[i], &b, 1) == 1 && b == 'x');
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
}

/* ---- ports, names, the end ---- */

static void test_port_in_use(void)
{
	struct sockaddr_in a = addr_of("127.0.0.1", first_port);
	socklen_t len = sizeof(a);
	int theirs = new_socket(), fd;
	uint16_t port = 0;

	/* the daemon's first choice is the kernel's already, by us or by somebody else */
	if (bind(theirs, (struct sockaddr *)&a, sizeof(a)) == 0)
		CHECK(listen(theirs, 1) == 0);
	fd = bound(&port);
	CHECK(port > first_port && listen(fd, 4) == 0);
	accept_two(fd, dial(STACK, port), dial(KERNEL, port));

	theirs = socket(AF_INET, SOCK_STREAM, 0);
	a = addr_of("127.0.0.1", 0);
	CHECK(bind(theirs, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(theirs, 1) == 0);
	CHECK(getsockname(theirs, (struct sockaddr *)&a, &len) == 0);
	a.sin_addr.s_addr = 0;
	fd = new_socket();
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == EADDRINUSE);
	CHECK(close(theirs) == 0);
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
	accept_two(fd, dial(STACK, ntohs(a.sin_port)), dial(KERNEL, ntohs(a.sin_port)));
}

/* Unbound; and a client on a wildcard still goes where its address says. */
static void test_unbound(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	uint16_t port, own = 0;
	int l = new_socket(), fd;

	CHECK(listen(l, 4) == 0 && getsockname(l, (struct sockaddr *)&a, &len) == 0);
	port = ntohs(a.sin_port);
	accept_two(l, dial(STACK, port), dial(KERNEL, port));
	for (int i = 0; i < 2; i++) {
		a = addr_of(i ? "127.0.0.1" : "10.77.0.1", port);
		own = 0;
		fd = bound(&own);
		CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
		CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
		CHECK(i == 0 || ntohs(a.sin_port) == own);
		CHECK(accept(l, NULL, NULL) >= 0);
	}
}

static void test_ends(void)
{
	uint16_t port;
	int l = listener(&port), copy = fcntl(l, F_DUPFD, 0);

	CHECK(close(l) == 0);
	accept_two(copy, dial(STACK, port), dial(KERNEL, port));
	CHECK(shutdown(copy, SHUT_RDWR) == 0);
	CHECK(accept(copy, NULL, NULL) == -1 && errno == EINVAL);
	CHECK(dial(KERNEL, port) == -1 && errno == ECONNREFUSED);
	CHECK(close(copy) == 0);
	CHECK(dial(KERNEL, port) == -1 && dial(STACK, port) == -1);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in a = addr_of("0.0.0.0", port);
		int fd = new_socket();

		CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == (i ? -1 : 0));
		if (i == 0)
			CHECK(listen(l = fd, 1) == 0 && listen(l, 5) == 0);
	}
	CHECK(errno == EADDRINUSE);
	accept_two(l, dial(STACK, port), dial(KERNEL, port));
}

/* ---- poll and select ---- */

static void test_poll(void)
{
	struct call c = {.side = KERNEL};
	int l = listener(&c.port);
	struct pollfd p[2] = {{.fd = l, .events = POLLIN | POLLOUT}, {.fd = -1}};
	pthread_t t;
	fd_set set;

	CHECK(poll(p, 1, 0) == 0 && poll(p, 2, QUIET_MS) == 0);
	for (int i = 0; i < 4; i++) {
		c.side = i & 1 ? KERNEL : STACK;
		t = start(dial_later, (intptr_t)&c);
		FD_ZERO(&set);
		FD_SET(l, &set);
		if (i < 2)
			CHECK(poll(p, 2, SOON_MS) == 1 && p[0].revents == POLLIN);
		else
			CHECK(select(l + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(l, &set));
		pthread_join(t, NULL);
		CHECK(poll(p, 1, 0) == 1 && p[0].revents == POLLIN); /* level */
		CHECK(close(accept(l, NULL, NULL)) == 0 && close(c.fd) == 0);
		CHECK(poll(p, 1, 0) == 0);
	}
}

/* ---- epoll ---- */

static int wait_one(int ep)
{
	struct epoll_event ev[4];
	int n = epoll_wait(ep, ev, 4, SOON_MS);

	return n == 1 && ev[0].events == EPOLLIN ? ev[0].data.fd : -1;
}

static bool is_quiet(int ep)
{
	struct epoll_event ev[4];

	return epoll_wait(ep, ev, 4, 0) == 0 && epoll_wait(ep, ev, 4, QUIET_MS) == 0;
}

static void test_epoll_level(void)
{
	struct call c = {.side = KERNEL};
	int ep = epoll_create1(0), l = listener(&c.port), stack;
	pthread_t t;

	CHECK(add(ep, l, EPOLLIN) == 0 && is_quiet(ep));
	t = start(dial_later, (intptr_t)&c);
	CHECK(wait_one(ep) == l && wait_one(ep) == l);
	pthread_join(t, NULL);
	stack = dial(STACK, c.port);
	accept_two(l, stack, c.fd);
	CHECK(is_quiet(ep));
	CHECK((c.fd = dial(KERNEL, c.port)) >= 0 && wait_one(ep) == l);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, l, NULL) == 0 && is_quiet(ep));
	CHECK(add(ep, l, EPOLLIN) == 0 && wait_one(ep) == l);
	CHECK(close(l) == 0 && is_quiet(ep));
}

static void test_epoll_edge(void)
{
	uint16_t port;
	int ep = epoll_create1(0), l = listener(&port), kernel = dial(KERNEL, port);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = l};

	CHECK(add(ep, l, EPOLLIN | EPOLLET) == 0);
	CHECK(wait_one(ep) == l && is_quiet(ep)); /* what was there is told once */
	CHECK(dial(KERNEL, port) >= 0 && wait_one(ep) == l && is_quiet(ep));
	CHECK(dial(STACK, port) >= 0 && wait_one(ep) == l && is_quiet(ep));
	for (int i = 0; i < 3; i++)
		CHECK(accept(l, NULL, NULL) >= 0);
	CHECK(is_quiet(ep) && kernel >= 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, l, &ev) == 0 && is_quiet(ep));
	CHECK(dial(KERNEL, port) >= 0 && wait_one(ep) == l);
	CHECK(dial(KERNEL, port) >= 0 && is_quiet(ep));
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, l, &ev) == 0 && wait_one(ep) == l && is_quiet(ep));
}

/* Registered before it listens, under two numbers, in two instances, one within another. */
static void test_epoll_places(void)
{
	uint16_t port = 0;
	int ep = epoll_create1(0), outer = epoll_create1(0), l, copy, fd;
	struct pollfd p = {.fd = outer, .events = POLLIN};
	struct epoll_event ev[4];

	l = bound(&port);
	CHECK(add(ep, l, EPOLLIN | EPOLLET) == 0 && add(outer, ep, EPOLLIN) == 0);
	epoll_wait(ep, ev, 4, 0); /* HUP */
	CHECK(listen(l, 4) == 0);
	while (epoll_wait(ep, ev, 4, 0) > 0)
		;
	CHECK(dial(KERNEL, port) >= 0 && poll(&p, 1, SOON_MS) == 1);
	CHECK(wait_one(outer) == ep && wait_one(ep) == l);
	fd = accept(l, NULL, NULL);
	CHECK(fd >= 0);
	copy = fcntl(l, F_DUPFD, 0);
	CHECK(add(ep, copy, EPOLLIN) == 0 && is_quiet(ep));
	CHECK(dial(KERNEL, port) >= 0 && epoll_wait(ep, ev, 4, SOON_MS) == 2);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, copy, NULL) == 0);
	CHECK(dial(KERNEL, port) >= 0 && wait_one(ep) == l);
}

/* ---- processes ---- */

static void worker(int l, bool by_epoll)
{
	int ep = epoll_create1(0), fd;

	if (by_epoll)
		CHECK(add(ep, l, EPOLLIN | EPOLLEXCLUSIVE) == 0);
	for (;;) {
		if (by_epoll)
			CHECK(wait_one(ep) == l);
		fd = accept(l, NULL, NULL);
		if (fd < 0 && errno == EAGAIN && by_epoll)
			continue;
		CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	}
}

static void prefork(bool by_epoll)
{
	uint16_t port;
	int l = listener(&port);
	pid_t pid[2];
	char b;

	set_nonblock(l, by_epoll);
	for (int i = 0; i < 2; i++)
		if ((pid[i] = fork()) == 0)
			worker(l, by_epoll);
	CHECK(close(l) == 0);
	for (int i = 0; i < 40; i++) {
		int fd = dial(i & 1 ? KERNEL : STACK, port);

		CHECK(fd >= 0 && read(fd, &b, 1) == 1 && b == 'x' && close(fd) == 0);
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		CHECK(waitpid(pid[i], NULL, 0) == pid[i]);
	}
	CHECK(dial(KERNEL, port) == -1 && errno == ECONNREFUSED);
}

static void test_prefork(void)
{
	prefork(false);
	prefork(true);
}

/* An instance that was made before fork serves both processes' listeners. */
static void test_forked_epoll(void)
{
	uint16_t port;
	int ep = epoll_create1(0), l = listener(&port), status;
	pid_t pid;

	CHECK(add(ep, l, EPOLLIN) == 0 && is_quiet(ep));
	pid = fork();
	if (pid == 0) {
		CHECK(wait_one(ep) == l && accept(l, NULL, NULL) >= 0 && close(l) == 0);
		CHECK(is_quiet(ep));
		_exit(0);
	}
	CHECK(dial(KERNEL, port) >= 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	while (!is_quiet(ep)) /* it may still stand there by its edge */
		;
	CHECK(dial(KERNEL, port) >= 0 && wait_one(ep) == l);
	CHECK(dial(STACK, port) >= 0 && wait_one(ep) == l);
}

/* ---- */

TEST(accept)
TEST(nonblock)
TEST(timeout)
TEST(fair)
TEST(threads)
TEST(port_in_use)
TEST(unbound)
TEST(ends)
TEST(poll)
TEST(epoll_level)
TEST(epoll_edge)
TEST(epoll_places)
TEST(prefork)
TEST(forked_epoll)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run_accept),      cmocka_unit_test(run_nonblock),
	    cmocka_unit_test(run_timeout),     cmocka_unit_test(run_fair),
	    cmocka_unit_test(run_threads),     cmocka_unit_test(run_port_in_use),
	    cmocka_unit_test(run_unbound),     cmocka_unit_test(run_ends),
	    cmocka_unit_test(run_poll),        cmocka_unit_test(run_epoll_level),
	    cmocka_unit_test(run_epoll_edge),  cmocka_unit_test(run_epoll_places),
	    cmocka_unit_test(run_prefork),     cmocka_unit_test(run_forked_epoll),
	};

	first_port = harness_listens_on_both();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
