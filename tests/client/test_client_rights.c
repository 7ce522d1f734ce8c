/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_rights.c - stack sockets passed over unix sockets, against a fake daemon.  Built twice: over the
 * public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "scenario.h"

struct message {
	char byte;
	struct iovec iov;
	struct msghdr m;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
};

static struct msghdr *prepare(struct message *g, int count)
{
	memset(g, 0, sizeof(*g));
	g->iov = (struct iovec){.iov_base = &g->byte, .iov_len = 1};
	g->m = (struct msghdr){.msg_iov = &g->iov, .msg_iovlen = 1, .msg_control = &g->control};
	g->m.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
	return &g->m;
}

static void pass(int over, const int *fd, int count)
{
	struct message g;

	prepare(&g, count);
	g.control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN((size_t)count * sizeof(int)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&g.control.head), fd, (size_t)count * sizeof(int));
	CHECK(sendmsg(over, &g.m, 0) == 1);
}

static void take(int over, int *fd, int count, int flags)
{
	struct message g;

	CHECK(recvmsg(over, prepare(&g, count), flags) == 1);
	CHECK(g.control.head.cmsg_len == CMSG_LEN((size_t)count * sizeof(int)));
	memcpy(fd, CMSG_DATA(&g.control.head), (size_t)count * sizeof(int));
}

static void talk(int a, int b)
{
	char c;

	CHECK(send(a, "x", 1, 0) == 1 && recv(b, &c, 1, 0) == 1 && c == 'x');
	CHECK(send(b, "y", 1, 0) == 1 && recv(a, &c, 1, 0) == 1 && c == 'y');
}

static pid_t receiver(int over)
{
	char b;
	int fd, option = 0;
	socklen_t len = sizeof(option);
	pid_t pid = fork();

	if (pid)
		return pid;
	take(over, &fd, 1, MSG_CMSG_CLOEXEC);
	CHECK(fcntl(fd, F_GETFD, 0) == FD_CLOEXEC);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &option, &len) == 0 && option == 1);
	while (recv(fd, &b, 1, 0) == 1)
		CHECK(send(fd, &b, 1, 0) == 1);
	CHECK(close(fd) == 0);
	exit(0);
}

static void test_pass(void)
{
	struct pair p;
	int unix_pair[2], status, on = 1;
	char b;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) == 0);
	receiver(unix_pair[1]); /* it attaches by itself */
	p = make_pair(5000);
	CHECK(setsockopt(p.server, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	pass(unix_pair[0], &p.server, 1);
	CHECK(close(p.server) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(send(p.client, "x", 1, 0) == 1 && recv(p.client, &b, 1, 0) == 1 && b == 'x');
	CHECK(shutdown(p.client, SHUT_WR) == 0 && recv(p.client, &b, 1, 0) == 0);
	CHECK(wait(&status) > 0 && status == 0);
}

/* To the same process, with a kernel descriptor between, before and after it has closed its own. */
static void test_to_myself(void)
{
	struct pair p = make_pair(5000);
	int unix_pair[2], got[3];
	char b;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, unix_pair) == 0);
	pass(unix_pair[0], (int[]){p.server, unix_pair[0], p.client}, 3);
	take(unix_pair[1], got, 3, 0);
	talk(got[0], p.client);
	talk(got[0], got[2]);
	CHECK(write(got[1], "k", 1) == 1 && read(unix_pair[1], &b, 1) == 1 && b == 'k');
	CHECK(close(got[0]) == 0 && close(got[2]) == 0);
	talk(p.server, p.client);
	pass(unix_pair[0], &p.server, 1);
	CHECK(close(p.server) == 0);
	take(unix_pair[1], got, 1, 0);
	talk(got[0], p.client);
	CHECK(close(got[0]) == 0 && recv(p.client, &b, 1, 0) == 0);
}

static void test_listener(void)
{
	int l = listen_at(5000), unix_pair[2], status;
	struct sockaddr_in a = own_addr(5000);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	char b;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, unix_pair) == 0);
	if (fork() == 0) {
		int got, s;

		close(l);
		take(unix_pair[1], &got, 1, 0);
		CHECK((s = accept(got, NULL, NULL)) >= 0 && send(s, "z", 1, 0) == 1);
		exit(0);
	}
	pass(unix_pair[0], &l, 1);
	CHECK(close(l) == 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(recv(c, &b, 1, 0) == 1 && b == 'z' && recv(c, &b, 1, 0) == 0);
	CHECK(wait(&status) > 0 && status == 0);
}

/* Nobody takes it from the unix socket: when that is closed, so is the connection, in order. */
static void test_never_taken(void)
{
	struct pair p = make_pair(5000);
	int unix_pair[2];
	char b;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) == 0);
	CHECK(send(p.server, "last", 4, 0) == 4);
	pass(unix_pair[0], &p.server, 1);
	CHECK(close(p.server) == 0);
	CHECK(close(unix_pair[0]) == 0 && close(unix_pair[1]) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(recv(p.client, &b, 1, 0) == 1);
	CHECK(recv(p.client, &b, 1, 0) == 0);
}

/* Past the library, and past its syscall(). */
static long raw(long number, long a, const void *b, long c)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x2 __asm__("x2") = c;
	register const void *x1 __asm__("x1") = b;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#else
	return syscall(number, a, b, c);
#endif
}

/* Received past the library: reads end at once, and so does the connection when it is closed. */
static void test_without_library(void)
{
	struct pair p = make_pair(5000);
	struct message g;
	int unix_pair[2], got;
	char b;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) == 0);
	pass(unix_pair[0], &p.server, 1);
	CHECK(close(p.server) == 0);
	CHECK(raw(SYS_recvmsg, unix_pair[1], prepare(&g, 1), 0) == 1);
	memcpy(&got, CMSG_DATA(&g.control.head), sizeof(got));
	CHECK(raw(SYS_read, got, &b, 1) == 0);
	CHECK(raw(SYS_close, got, NULL, 0) == 0);
	CHECK(recv(p.client, &b, 1, 0) == 0);
}

TEST(pass)
TEST(to_myself)
TEST(listener)
TEST(never_taken)
TEST(without_library)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_pass),	   cmocka_unit_test(run_to_myself),
		cmocka_unit_test(run_listener),	   cmocka_unit_test(run_never_taken),
		cmocka_unit_test(run_without_library),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
