/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_stream.c - bytes, names, options and descriptors, against a fake daemon.  Built twice: over the
 * public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "harness.h"
#include "scenario.h"
#include "stackd.h"

/* ---- bytes ---- */

#define BULK 3000000

static void test_echo(void)
{
	struct pair p = make_pair(5000);
	pthread_t t = start(echo_thread, p.server);
	uint8_t *out = pattern(BULK), *in = malloc(BULK);
	size_t sent = 0, got = 0;

	CHECK(fcntl(p.client, F_SETFL, O_NONBLOCK) == 0);
	while (got < BULK) {
		struct pollfd f = {.fd = p.client, .events = POLLIN | (sent < BULK ? POLLOUT : 0)};
		ssize_t n;

		CHECK(poll(&f, 1, -1) == 1);
		n = sent < BULK ? send(p.client, out + sent, BULK - sent, 0) : 0;
		CHECK(n >= 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		n = recv(p.client, in + got, BULK - got, 0);
		CHECK(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
	}
	CHECK(!memcmp(in, out, BULK));
	CHECK(shutdown(p.client, SHUT_WR) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(fcntl(p.client, F_SETFL, 0) == 0);
	CHECK(recv(p.client, in, 1, 0) == 0);
	CHECK(close(p.client) == 0 && close(p.client) == -1 && errno == EBADF);
}

static void test_flags(void)
{
	struct pair p = make_pair(5000);
	struct iovec two[2];
	char buf[32] = "", a[3], b[8];
	int n = 0;

	CHECK(recv(p.client, buf, 4, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(write(p.server, "hello world", 11) == 11);
	CHECK(recv(p.client, buf, 5, MSG_PEEK) == 5 && !memcmp(buf, "hello", 5));
	CHECK(ioctl(p.client, FIONREAD, &n) == 0 && n == 11);
	two[0] = (struct iovec){a, 3};
	two[1] = (struct iovec){b, 8};
	CHECK(readv(p.client, two, 2) == 11 && !memcmp(a, "hel", 3) && !memcmp(b, "lo world", 8));
	CHECK(send(p.server, "abc", 3, 0) == 3);
	CHECK(recv(p.client, buf, 3, MSG_WAITALL) == 3);
	CHECK(recv(p.client, buf, 1, MSG_OOB) == -1 && errno == EINVAL);
	CHECK(recv(p.client, buf, 1, MSG_ERRQUEUE) == -1 && errno == EAGAIN);
	CHECK(send(p.server, "xyz", 3, 0) == 3);
	CHECK(recv(p.client, NULL, 2, MSG_TRUNC) == 2);
	CHECK(recv(p.client, buf, 4, 0) == 1 && buf[0] == 'z');
	CHECK(shutdown(p.server, SHUT_WR) == 0);
	CHECK(send(p.server, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CHECK(recv(p.client, buf, 4, 0) == 0);
	CHECK(send(p.client, "still", 5, 0) == 5);
	CHECK(recv(p.server, buf, 5, MSG_WAITALL) == 5);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void test_sigpipe(void)
{
	struct pair p = make_pair(5000);

	signal(SIGPIPE, on_signal);
	CHECK(shutdown(p.client, SHUT_WR) == 0);
	CHECK(write(p.client, "x", 1) == -1 && errno == EPIPE && signals == 1);
	CHECK(send(p.client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE && signals == 1);
}

static void test_sendfile(void)
{
	struct pair p = make_pair(5000);
	uint8_t *want = pattern(BULK), *got = malloc(BULK);
	char path[] = "/tmp/stackd-file-XXXXXX";
	int file = mkstemp(path);
	pthread_t t;
	struct drain d = {.fd = p.client, .buf = got, .len = BULK};
	off_t offset = 5;

	CHECK(file >= 0 && unlink(path) == 0);
	CHECK(write(file, want, BULK) == BULK);
	t = start(drain_thread, (intptr_t)&d);
	CHECK(sendfile(p.server, file, &offset, BULK) == BULK - 5 && offset == BULK);
	CHECK(close(p.server) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(d.got == BULK - 5 && !memcmp(got, want + 5, BULK - 5));
	CHECK(sendfile(file, p.client, NULL, 1) == -1 && errno == EINVAL);
}

/* ---- names and errors ---- */

static void test_names(void)
{
	struct pair p = make_pair(5000);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK(getpeername(p.client, (struct sockaddr *)&a, &len) == 0 && len == sizeof(a));
	CHECK(ntohs(a.sin_port) == 5000 && a.sin_addr.s_addr == own_addr(0).sin_addr.s_addr);
	CHECK(getsockname(p.server, (struct sockaddr *)&a, &len) == 0 && ntohs(a.sin_port) == 5000);
	len = 4;
	CHECK(getsockname(p.listener, (struct sockaddr *)&a, &len) == 0 && len == sizeof(a));
	len = sizeof(a);
	CHECK(getpeername(p.listener, (struct sockaddr *)&a, &len) == -1 && errno == ENOTCONN);
	CHECK(stackd_is_stack(p.client) == 1 && stackd_is_stack(0) == 0);
}

static void test_connect_errors(void)
{
	struct sockaddr_in a = own_addr(1234), hole = own_addr(9);
	int fd = socket(AF_INET, SOCK_STREAM, 0), error = 0;
	struct pollfd p;
	socklen_t len = sizeof(error);

	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == ECONNREFUSED);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == ECONNREFUSED);
	CHECK(close(fd) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == EINPROGRESS);
	p = (struct pollfd){.fd = fd, .events = POLLOUT};
	CHECK(poll(&p, 1, 2000) == 1 && (p.revents & POLLERR) && (p.revents & POLLHUP));
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == ECONNREFUSED);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
	CHECK(close(fd) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(connect(fd, (struct sockaddr *)&hole, sizeof(hole)) == -1 && errno == EINPROGRESS);
	CHECK(connect(fd, (struct sockaddr *)&hole, sizeof(hole)) == -1 && errno == EALREADY);
	CHECK(recv(fd, &error, 1, 0) == -1 && errno == EAGAIN);
	CHECK(shutdown(fd, 7) == -1 && errno == EINVAL);
}

static void test_not_ours(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s, pipes[2];
	char b;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 5) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	CHECK(connect(c, (struct sockaddr *)&a, len) == 0 && (s = accept(l, NULL, NULL)) >= 0);
	CHECK(!stackd_is_stack(l) && !stackd_is_stack(c) && !stackd_is_stack(s));
	CHECK(write(c, "k", 1) == 1 && read(s, &b, 1) == 1 && b == 'k');
	CHECK(pipe(pipes) == 0);
	CHECK(recv(pipes[0], &b, 1, 0) == -1 && errno == ENOTSOCK);
	CHECK(recv(-1, &b, 1, 0) == -1 && errno == EBADF);
	CHECK(recv(1 << 22, &b, 1, 0) == -1 && errno == EBADF);
	CHECK(close(1 << 22) == -1 && errno == EBADF);
	CHECK(poll(&(struct pollfd){.fd = 900}, 1, 0) == 1);
	/* a wildcard bind is the stack's until it connects to what isn't */
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_addr.s_addr = 0;
	s = a.sin_port;
	a.sin_port = 0;
	CHECK(bind(c, (struct sockaddr *)&a, len) == 0 && stackd_is_stack(c));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = (in_port_t)s;
	CHECK(connect(c, (struct sockaddr *)&a, len) == 0 && !stackd_is_stack(c));
}

/* A port that was free in the stack, but isn't in the kernel. */
static void test_port_taken_beside(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET}, b = a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	CHECK(bind(c, (struct sockaddr *)&b, len) == 0 && stackd_is_stack(c));
	CHECK(getsockname(c, (struct sockaddr *)&b, &len) == 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = b.sin_port;
	CHECK(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 5) == 0);
	CHECK(connect(c, (struct sockaddr *)&a, len) == 0 && !stackd_is_stack(c));
	CHECK(getsockname(c, (struct sockaddr *)&b, &len) == 0 && b.sin_port != a.sin_port);
}

static void test_options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, off = 0, l = listen_at(5000);
	struct sockaddr_in a = own_addr(5000);
	socklen_t len = sizeof(on);
	struct tcp_info info;
	char text[32] = "";

	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, len) == 0);
	CHECK(setsockopt(fd, SOL_STACKD, STACKD_RECOVERY, "gbn", 3) == 0);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, &len) == 0 && off);
	off = 0;
	CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, len) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, &len) == 0 && off);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, len) == -1);
	CHECK(errno == ENOPROTOOPT);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6) == -1 && errno == ENOENT);
	len = sizeof(text);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len) == 0);
	CHECK(!strcmp(text, "reno"));
	len = sizeof(info);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
	CHECK(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss == 1448 && len >= 104);
	len = sizeof(off);
	CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &off, &len) == 0 && off == 1);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &off, &len) == 0 && off == SOCK_STREAM);
}

/* Nothing is taken and then ignored, also while the socket's side is still open. */
static void test_options_refused(void)
{
	struct sockaddr_in a = own_addr(5001);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, rate = 1000000, l = listen_at(5001);

	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) == -1);
	CHECK(errno == ENOPROTOOPT);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == ENOPROTOOPT);
	CHECK(close(fd) == 0 && close(l) == 0);
}

/* ---- descriptors ---- */

static void test_dup(void)
{
	struct pair p = make_pair(5000);
	int copy = fcntl(p.client, F_DUPFD, 100);
	char b;

	CHECK(copy >= 100 && close(p.client) == 0);
	CHECK(write(copy, "a", 1) == 1 && read(p.server, &b, 1) == 1 && b == 'a');
	CHECK(write(p.server, "b", 1) == 1 && read(copy, &b, 1) == 1 && b == 'b');
	CHECK(close(copy) == 0);
	CHECK(read(p.server, &b, 1) == 0);
}

static void test_protected(void)
{
	struct pair p = make_pair(5000);
	char b;

	CHECK(write(p.client, "a", 1) == 1 && read(p.server, &b, 1) == 1);
	for (int fd = 3; fd < 70000; fd++)
		if (fd != p.client && fd != p.server)
			close(fd);
	CHECK(write(p.client, "b", 1) == 1 && read(p.server, &b, 1) == 1 && b == 'b');
}

static void test_reset(void)
{
	struct pair p = make_pair(5000);
	struct linger hard = {.l_onoff = 1};
	char b;

	CHECK(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	CHECK(close(p.server) == 0);
	CHECK(recv(p.client, &b, 1, 0) == -1 && errno == ECONNRESET);
	CHECK(recv(p.client, &b, 1, 0) == 0);
	CHECK(send(p.client, &b, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
}

/* ---- */

TEST(echo)
TEST(flags)
TEST(sigpipe)
TEST(sendfile)
TEST(names)
TEST(connect_errors)
TEST(not_ours)
TEST(port_taken_beside)
TEST(options)
TEST(options_refused)
TEST(dup)
TEST(protected)
TEST(reset)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_echo),
		cmocka_unit_test(run_flags),
		cmocka_unit_test(run_sigpipe),
		cmocka_unit_test(run_sendfile),
		cmocka_unit_test(run_names),
		cmocka_unit_test(run_connect_errors),
		cmocka_unit_test(run_not_ours),
		cmocka_unit_test(run_port_taken_beside),
		cmocka_unit_test(run_options),
		cmocka_unit_test(run_options_refused),
		cmocka_unit_test(run_dup),
		cmocka_unit_test(run_protected),
		cmocka_unit_test(run_reset),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
