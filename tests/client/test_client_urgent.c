/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_urgent.c - urgent data, against a fake daemon; what is expected is what Linux does.  Built twice: over the
 * public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

#include "harness.h"
#include "scenario.h"

static void wait_readable(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	do
		CHECK(poll(&p, 1, 10000) == 1);
	while ((p.revents & events) != events);
}

static bool at_mark(int fd)
{
	int yes = -1;

	CHECK(ioctl(fd, SIOCATMARK, &yes) == 0 && (yes == 0 || yes == 1));
	return yes;
}

static void expect(int fd, const char *text, int flags)
{
	char buf[32] = {0};

	CHECK(recv(fd, buf, sizeof(buf), flags) == (ssize_t)strlen(text));
	CHECK(!strcmp(buf, text));
}

static void expect_no(int fd, int flags, int error)
{
	char b;

	CHECK(recv(fd, &b, 1, flags | MSG_DONTWAIT) == -1 && errno == error);
}

static struct pair with_urgent(void)
{
	struct pair p = make_pair(5000);

	expect_no(p.server, MSG_OOB, EINVAL);
	CHECK(send(p.client, "abc", 3, 0) == 3 && send(p.client, "xyU", 3, MSG_OOB) == 3);
	CHECK(send(p.client, "def", 3, 0) == 3);
	wait_readable(p.server, POLLIN | POLLPRI);
	while (recv(p.server, (char[9]){0}, 9, MSG_PEEK) < 5) /* "def" may still be on its way */
		usleep(1000);
	return p;
}

static void test_apart(void)
{
	struct pair p = with_urgent();
	int n = 0;

	CHECK(!at_mark(p.server) && ioctl(p.server, FIONREAD, &n) == 0 && n == 5);
	expect(p.server, "abcxy", MSG_PEEK);
	expect(p.server, "U", MSG_OOB | MSG_PEEK);
	expect(p.server, "abcxy", 0);
	CHECK(at_mark(p.server));
	expect(p.server, "U", MSG_OOB);
	expect_no(p.server, MSG_OOB, EINVAL);
	CHECK(at_mark(p.server));
	usleep(50000);
	expect(p.server, "def", MSG_PEEK);
	expect(p.server, "def", 0);
	CHECK(!at_mark(p.server));
	expect_no(p.server, MSG_OOB, EINVAL);
	expect_no(p.server, 0, EAGAIN);
}

static void test_passed_over(void)
{
	struct pair p = with_urgent();
	char buf[8];

	CHECK(recv(p.server, buf, 8, MSG_WAITALL) == 5); /* stops at the mark */
	CHECK(recv(p.server, buf, 3, MSG_WAITALL) == 3 && !memcmp(buf, "def", 3));
	expect_no(p.server, MSG_OOB, EINVAL);
}

static void test_inline(void)
{
	struct pair p = make_pair(5000);
	int on = 1, value = 0;
	socklen_t len = sizeof(value);

	CHECK(setsockopt(p.server, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0);
	CHECK(getsockopt(p.server, SOL_SOCKET, SO_OOBINLINE, &value, &len) == 0 && value == 1);
	CHECK(send(p.client, "abc", 3, 0) == 3 && send(p.client, "U", 1, MSG_OOB) == 1);
	wait_readable(p.server, POLLPRI);
	expect(p.server, "abc", 0);
	CHECK(at_mark(p.server));
	expect_no(p.server, MSG_OOB, EINVAL);
	expect(p.server, "U", 0);
	CHECK(!at_mark(p.server));
}

/* Only the urgent byte is there: nothing to read, but something exceptional. */
static void test_alone(void)
{
	struct pair p = make_pair(5000);
	struct pollfd f = {.fd = p.server, .events = POLLIN | POLLPRI};
	struct timeval none = {0};
	struct epoll_event ev;
	int ep = epoll_create1(0);
	fd_set r, x;

	CHECK(add(ep, p.server, EPOLLPRI | EPOLLET) == 0 && epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(send(p.client, "U", 1, MSG_OOB) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 10000) == 1 && ev.events == EPOLLPRI);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	while (poll(&f, 1, 1000) == 1 && f.revents != POLLPRI)
		;
	CHECK(f.revents == POLLPRI);
	FD_ZERO(&r);
	FD_ZERO(&x);
	FD_SET(p.server, &r);
	FD_SET(p.server, &x);
	CHECK(select(p.server + 1, &r, NULL, &x, &none) == 1);
	CHECK(!FD_ISSET(p.server, &r) && FD_ISSET(p.server, &x));
	expect_no(p.server, 0, EAGAIN);
	expect(p.server, "U", MSG_OOB);
	CHECK(poll(&f, 1, 0) == 0);
	CHECK(send(p.client, "V", 1, MSG_OOB) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 10000) == 1 && ev.events == EPOLLPRI);
	expect(p.server, "V", MSG_OOB);
	CHECK(shutdown(p.client, SHUT_WR) == 0);
	wait_readable(p.server, POLLIN);
}

/* What was got is got for all who share the socket. */
static void test_once(void)
{
	struct pair p = with_urgent();
	struct iovec iov = {.iov_base = (char[4]){0}, .iov_len = 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	CHECK(recvmsg(p.server, &m, MSG_OOB) == 1 && m.msg_flags == MSG_OOB);
	expect_no(p.server, MSG_OOB, EINVAL);
	expect_no(p.listener, MSG_OOB, ENOTCONN);
}

TEST(apart)
TEST(passed_over)
TEST(inline)
TEST(alone)
TEST(once)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_apart), cmocka_unit_test(run_passed_over),
		cmocka_unit_test(run_inline), cmocka_unit_test(run_alone),
		cmocka_unit_test(run_once),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
