/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_api.c - what only the public API has: its version, the rings without a copy, the
 * notification descriptor, plugins by socket; and that wrong arguments harm nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/uio.h>

#include "harness.h"
#include "scenario.h"
#include "stackd.h"

#define FAILS(call, number) CHECK((errno = 0, (call)) == -1 && errno == (number))

static void test_version(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", STACKD_VERSION_MAJOR, STACKD_VERSION_MINOR,
		 STACKD_VERSION_PATCH);
	CHECK(stackd_version() == STACKD_VERSION && !strcmp(text, VERSION_OF_BUILD));
}

/* ---- lent rings ---- */

static size_t spans_bytes(const struct iovec iov[2])
{
	return iov[0].iov_len + iov[1].iov_len;
}

static void test_not_a_stack_socket(void)
{
	struct iovec iov[2];
	int pipes[2], undecided = socket(AF_INET, SOCK_STREAM, 0);
	int numbers[3];

	CHECK(pipe(pipes) == 0);
	numbers[0] = pipes[0];
	numbers[1] = undecided;
	numbers[2] = epoll_create1(0);
	for (int i = 0; i < 3; i++) {
		FAILS(stackd_reserve(numbers[i], 1, iov), EOPNOTSUPP);
		FAILS(stackd_commit(numbers[i], 0), EOPNOTSUPP);
		FAILS(stackd_peek(numbers[i], iov), EOPNOTSUPP);
		FAILS(stackd_consume(numbers[i], 0), EOPNOTSUPP);
		CHECK(stackd_is_stack(numbers[i]) == 0);
	}
	FAILS(stackd_reserve(-1, 1, iov), EBADF);
	FAILS(stackd_commit(12345, 1), EBADF);
	FAILS(stackd_peek(-1, iov), EBADF);
	FAILS(stackd_consume(-1, 1), EBADF);
	CHECK(stackd_is_stack(-1) == 0 && stackd_is_stack(12345) == 0);
}

static void test_not_connected(void)
{
	struct sockaddr_in a = own_addr(5001);
	int listener = listen_at(5000), bound = socket(AF_INET, SOCK_STREAM, 0);
	int both[2] = {listener, bound};
	struct iovec iov[2];

	CHECK(bind(bound, (struct sockaddr *)&a, sizeof(a)) == 0);
	for (int i = 0; i < 2; i++) {
		FAILS(stackd_reserve(both[i], 100, iov), EPIPE);
		FAILS(stackd_commit(both[i], 1), EINVAL);
		FAILS(stackd_peek(both[i], iov), ENOTCONN);
		FAILS(stackd_consume(both[i], 1), EINVAL);
	}
}

static void test_commit_too_much(void)
{
	struct pair p = make_pair(5000);
	struct iovec iov[2];
	char buf[64];

	FAILS(stackd_commit(p.client, 1), EINVAL); /* there is room, but none was asked for */
	FAILS(stackd_reserve(p.client, 10, NULL), EFAULT);
	FAILS(stackd_commit(p.client, 1), EINVAL);
	CHECK(stackd_reserve(p.client, 0, iov) == 0 && spans_bytes(iov) == 0);
	CHECK(stackd_reserve(p.client, 10, iov) == 10 && spans_bytes(iov) == 10);
	memcpy(iov[0].iov_base, "0123456789", 10);
	FAILS(stackd_commit(p.client, 11), EINVAL);
	FAILS(stackd_commit(p.client, SIZE_MAX), EINVAL);
	CHECK(stackd_commit(p.client, 4) == 0 && stackd_commit(p.client, 0) == 0);
	FAILS(stackd_commit(p.client, 7), EINVAL);
	CHECK(stackd_commit(p.client, 6) == 0); /* in pieces */
	FAILS(stackd_commit(p.client, 1), EINVAL);
	CHECK(recv(p.server, buf, 10, MSG_WAITALL) == 10 && !memcmp(buf, "0123456789", 10));
	FAILS(recv(p.server, buf, 1, MSG_DONTWAIT), EAGAIN);
}

/* A copying send takes the reserved place. */
static void test_send_between(void)
{
	struct pair p = make_pair(5000);
	struct iovec iov[2];
	char buf[64];

	CHECK(stackd_reserve(p.client, 8, iov) == 8);
	memcpy(iov[0].iov_base, "reserved", 8);
	CHECK(send(p.client, "sent", 4, 0) == 4);
	FAILS(stackd_commit(p.client, 5), EINVAL);
	CHECK(send(p.client, "more", 4, 0) == 4);
	FAILS(stackd_commit(p.client, 1), EINVAL);
	CHECK(recv(p.server, buf, 8, MSG_WAITALL) == 8 && !memcmp(buf, "sentmore", 8));
}

static void test_consume_too_much(void)
{
	struct pair p = make_pair(5000);
	struct iovec iov[2];
	char buf[64];

	FAILS(stackd_peek(p.client, iov), EAGAIN);
	CHECK(send(p.server, "abcdef", 6, 0) == 6);
	FAILS(stackd_consume(p.client, 1), EINVAL); /* there is something, but nobody has looked */
	FAILS(stackd_peek(p.client, NULL), EFAULT);
	CHECK(recv(p.client, buf, 1, 0) == 1 && buf[0] == 'a');
	CHECK(stackd_peek(p.client, iov) == 5 && !memcmp(iov[0].iov_base, "bcdef", 5));
	CHECK(send(p.server, "unseen", 6, 0) == 6);
	FAILS(stackd_consume(p.client, 6), EINVAL);
	FAILS(stackd_consume(p.client, SIZE_MAX), EINVAL);
	CHECK(stackd_consume(p.client, 2) == 0 && stackd_consume(p.client, 0) == 0);
	CHECK(recv(p.client, buf, 2, 0) == 2 && !memcmp(buf, "de", 2));
	FAILS(stackd_consume(p.client, 2), EINVAL);
	CHECK(stackd_consume(p.client, 1) == 0);
	CHECK(recv(p.client, buf, 6, MSG_WAITALL) == 6 && !memcmp(buf, "unseen", 6));
	CHECK(shutdown(p.server, SHUT_WR) == 0);
	CHECK(recv(p.client, buf, 1, 0) == 0 && stackd_peek(p.client, iov) == 0);
	FAILS(stackd_consume(p.client, 1), EINVAL);
}

static void test_after_shutdown(void)
{
	struct pair p = make_pair(5000);
	struct iovec iov[2];
	char c;

	CHECK(shutdown(p.client, SHUT_WR) == 0);
	FAILS(stackd_reserve(p.client, 1, iov), EPIPE);
	FAILS(stackd_commit(p.client, 1), EINVAL);
	CHECK(recv(p.server, &c, 1, 0) == 0);
}

static void fill_spans(const struct iovec iov[2], uint64_t at, const uint8_t *bytes)
{
	memcpy(iov[0].iov_base, bytes + at, iov[0].iov_len);
	memcpy(iov[1].iov_base, bytes + at + iov[0].iov_len, iov[1].iov_len);
}

static void check_spans(const struct iovec iov[2], uint64_t at, const uint8_t *bytes)
{
	CHECK(!memcmp(iov[0].iov_base, bytes + at, iov[0].iov_len));
	CHECK(!memcmp(iov[1].iov_base, bytes + at + iov[0].iov_len, iov[1].iov_len));
}

/* Many times round both rings, in sizes that part the spans anywhere. */
static void test_round_the_rings(void)
{
	enum { BULK = 5000000 };
	struct pair p = make_pair(5000);
	uint8_t *bytes = pattern(BULK);
	uint64_t sent = 0, got = 0;
	struct iovec iov[2];

	while (got < BULK) {
		struct pollfd f[2] = {{.fd = p.client, .events = sent < BULK ? POLLOUT : 0},
				      {.fd = p.server, .events = POLLIN}};
		size_t want = 1 + sent % 70001;
		ssize_t n;

		CHECK(poll(f, 2, -1) > 0);
		want = want < BULK - sent ? want : BULK - sent;
		n = want ? stackd_reserve(p.client, want, iov) : 0;
		CHECK(n >= 0 ? (size_t)n == spans_bytes(iov) || !want : errno == EAGAIN);
		if (n > 0) {
			fill_spans(iov, sent, bytes);
			CHECK(stackd_commit(p.client, (size_t)n) == 0);
			sent += (uint64_t)n;
		}
		n = stackd_peek(p.server, iov);
		CHECK(n > 0 ? (size_t)n == spans_bytes(iov) : errno == EAGAIN);
		if (n > 0) {
			check_spans(iov, got, bytes);
			n = n / 3 + 1;
			CHECK(stackd_consume(p.server, (size_t)n) == 0);
			got += (uint64_t)n;
		}
	}
	free(bytes);
}

/* ---- the descriptor for another loop ---- */

/* The kernel's own poll, whatever api_names.h has made of the name. */
static bool kernel_says_readable(int fd, int timeout_ms)
{
	struct pollfd f = {.fd = fd, .events = POLLIN};

	return (poll)(&f, 1, timeout_ms) == 1;
}

static void test_notify_fd(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0), pipes[2];
	struct epoll_event ev;
	char c;

	FAILS(stackd_notify_fd(-1), EBADF);
	FAILS(stackd_notify_fd(p.client), EINVAL);
	CHECK(stackd_notify_fd(ep) == ep && add(ep, p.client, EPOLLIN) == 0);
	for (int i = 0; i < 100; i++) {
		CHECK(send(p.server, "x", 1, 0) == 1);
		CHECK(kernel_says_readable(ep, -1));
		while (epoll_wait(ep, &ev, 1, 0) == 0)
			CHECK(kernel_says_readable(ep, -1));
		CHECK(ev.data.fd == p.client && kernel_says_readable(ep, 0)); /* by level */
		CHECK(recv(p.client, &c, 1, 0) == 1);
	}
	while (epoll_wait(ep, &ev, 1, 0) != 0)
		continue;
	CHECK(!kernel_says_readable(ep, 0));
	CHECK(pipe(pipes) == 0 && add(ep, pipes[0], EPOLLIN) == 0 &&
	      (write)(pipes[1], "x", 1) == 1);
	CHECK(kernel_says_readable(ep, -1) && epoll_wait(ep, &ev, 1, 0) == 1 &&
	      ev.data.fd == pipes[0]);
}

/* ---- plugins by socket ---- */

static void test_choice(void)
{
	char name[64], long_name[100];
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0), listener = listen_at(5000);
	struct sockaddr_in a = own_addr(5000);

	memset(long_name, 'x', sizeof(long_name));
	CHECK(stackd_setsockopt(fd, SOL_STACKD, STACKD_RECOVERY, "gbn", 3) == 0);
	CHECK(stackd_getsockopt(fd, SOL_STACKD, STACKD_RECOVERY, name, &len) == 0);
	CHECK(len == 4 && !strcmp(name, "gbn"));
	FAILS(stackd_setsockopt(fd, SOL_STACKD, STACKD_RTO, long_name, 100), EINVAL);
	FAILS(stackd_setsockopt(fd, SOL_STACKD, STACKD_RTO, NULL, 3), EINVAL);
	FAILS(stackd_setsockopt(fd, SOL_STACKD, 4, "gbn", 3), ENOPROTOOPT);
	FAILS(stackd_setsockopt(fd, SOL_STACKD, -1, "gbn", 3), ENOPROTOOPT);
	FAILS(stackd_getsockopt(fd, SOL_STACKD, STACKD_ACK, NULL, &len), EFAULT);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	      accept(listener, NULL, NULL) >= 0);
	len = sizeof(name);
	CHECK(stackd_getsockopt(fd, SOL_STACKD, STACKD_RECOVERY, name, &len) == 0);
}

/* ---- opening, and the plain calls ---- */

static void test_open(void)
{
	char long_text[5000];

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = 0;
	FAILS(stackd_open("/nonexistent", NULL), ENOENT);
	FAILS(stackd_open(long_text, NULL), ENAMETOOLONG);
	FAILS(stackd_open(NULL, long_text), EINVAL);
	CHECK(stackd_open(NULL, NULL) == 0);
	FAILS(stackd_open(NULL, NULL), EALREADY);
}

static void test_wrong_arguments(void)
{
	struct pair p = make_pair(5000);
	struct iovec iov = {NULL, 0};
	struct sockaddr_in a = own_addr(5001);
	struct epoll_event ev[1];
	int ep = epoll_create1(0);
	char c;

	FAILS(stackd_recvmsg(p.client, NULL, 0), EFAULT);
	FAILS(stackd_sendmsg(p.client, NULL, 0), EFAULT);
	FAILS(stackd_readv(p.client, &iov, -1), EINVAL);
	FAILS(stackd_writev(p.client, &iov, -1), EINVAL);
	FAILS(stackd_getsockname(p.client, NULL, NULL), EFAULT);
	FAILS(stackd_getpeername(p.client, (struct sockaddr *)&a, NULL), EFAULT);
	FAILS(stackd_shutdown(p.client, 7), EINVAL);
	FAILS(stackd_bind(p.client, NULL, 16), EFAULT);
	FAILS(stackd_connect(p.client, NULL, 16), EFAULT);
	FAILS(stackd_setsockopt(p.client, SOL_SOCKET, SO_KEEPALIVE, NULL, 4), EFAULT);
	FAILS(stackd_epoll_ctl(ep, EPOLL_CTL_ADD, p.client, NULL), EFAULT);
	FAILS(stackd_epoll_ctl(p.client, EPOLL_CTL_ADD, ep, ev), EINVAL);
	CHECK(add(ep, p.client, EPOLLIN) == 0);
	FAILS(stackd_epoll_wait(ep, ev, 0, 0), EINVAL);
	FAILS(stackd_close(-1), EBADF);
	CHECK(send(p.client, "!", 1, 0) == 1 && recv(p.server, &c, 1, 0) == 1 && c == '!');
}

TEST(version)
TEST(not_a_stack_socket)
TEST(not_connected)
TEST(commit_too_much)
TEST(send_between)
TEST(consume_too_much)
TEST(after_shutdown)
TEST(round_the_rings)
TEST(notify_fd)
TEST(choice)
TEST(open)
TEST(wrong_arguments)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run_version),        cmocka_unit_test(run_not_a_stack_socket),
	    cmocka_unit_test(run_not_connected),  cmocka_unit_test(run_commit_too_much),
	    cmocka_unit_test(run_send_between),   cmocka_unit_test(run_consume_too_much),
	    cmocka_unit_test(run_after_shutdown), cmocka_unit_test(run_round_the_rings),
	    cmocka_unit_test(run_notify_fd),      cmocka_unit_test(run_choice),
	    cmocka_unit_test(run_open),           cmocka_unit_test(run_wrong_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
