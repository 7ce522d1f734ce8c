/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_process.c - threads, fork, and the death of the daemon, against a fake daemon.  Built twice: over the
 * public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"
#include "scenario.h"

/* ---- threads ---- */

static void *shutdown_later(void *arg)
{
	usleep(50000);
	CHECK(shutdown((int)(intptr_t)arg, SHUT_RD) == 0);
	return NULL;
}

static void test_shutdown_wakes(void)
{
	struct pair p = make_pair(5000);
	pthread_t t = start(shutdown_later, p.client);
	char b;

	CHECK(recv(p.client, &b, 1, 0) == 0);
	pthread_join(t, NULL);
}

/* In another process too, a reader and an acceptor. */
static void test_shutdown_wakes_others(void)
{
	struct pair p = make_pair(5000);
	int status;
	char b;

	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			if (i)
				CHECK(recv(p.client, &b, 1, 0) == 0);
			else
				CHECK(accept(p.listener, NULL, NULL) == -1 && errno == EINVAL);
			exit(0);
		}
	usleep(50000);
	CHECK(shutdown(p.client, SHUT_RD) == 0 && shutdown(p.listener, SHUT_RD) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(wait(&status) > 0 && status == 0);
}

#define READERS 4
#define SHARE	200000

static void *count_thread(void *arg)
{
	char buf[1000];
	intptr_t total = 0;
	ssize_t n;

	while ((n = recv((int)(intptr_t)arg, buf, sizeof(buf), 0)) > 0)
		total += n;
	CHECK(n == 0);
	return (void *)total;
}

static void *send_share(void *arg)
{
	char buf[777] = {0};

	for (int left = SHARE; left > 0;) {
		ssize_t n = send((int)(intptr_t)arg, buf, left < 777 ? (size_t)left : 777, 0);

		CHECK(n > 0);
		left -= (int)n;
	}
	return NULL;
}

static void test_threads_share(void)
{
	struct pair p = make_pair(5000);
	pthread_t r[READERS], w[2];
	intptr_t total = 0;
	void *part;

	for (int i = 0; i < READERS; i++)
		r[i] = start(count_thread, p.server);
	for (int i = 0; i < 2; i++)
		w[i] = start(send_share, p.client);
	for (int i = 0; i < 2; i++)
		pthread_join(w[i], NULL);
	CHECK(shutdown(p.client, SHUT_WR) == 0);
	for (int i = 0; i < READERS; i++) {
		pthread_join(r[i], &part);
		total += (intptr_t)part;
	}
	CHECK(total == 2 * SHARE);
}

static void *churn_thread(void *arg)
{
	struct sockaddr_in a = own_addr(5000);
	char b;

	(void)arg;
	for (int i = 0; i < 60; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
		CHECK(write(fd, "z", 1) == 1);
		CHECK(read(fd, &b, 1) == 1 && b == 'z');
		CHECK(close(fd) == 0);
	}
	return NULL;
}

static void *accept_thread(void *arg)
{
	for (int i = 0; i < 180; i++) {
		int fd = accept((int)(intptr_t)arg, NULL, NULL);
		char b;

		CHECK(fd >= 0 && read(fd, &b, 1) == 1 && write(fd, &b, 1) == 1);
		CHECK(read(fd, &b, 1) == 0 && close(fd) == 0);
	}
	return NULL;
}

static void test_churn(void)
{
	int l = listen_at(5000);
	pthread_t a = start(accept_thread, l), c[3];

	for (int i = 0; i < 3; i++)
		c[i] = start(churn_thread, 0);
	for (int i = 0; i < 3; i++)
		pthread_join(c[i], NULL);
	pthread_join(a, NULL);
}

/* ---- processes ---- */

static void reap(int count)
{
	while (count--) {
		int status = -1;

		CHECK(wait(&status) > 0 && status == 0);
	}
}

static void test_fork_server(void)
{
	int l = listen_at(5000);
	struct sockaddr_in a = own_addr(5000);
	char b;

	for (int i = 0; i < 5; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), s;

		CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
		CHECK((s = accept(l, NULL, NULL)) >= 0);
		if (fork() == 0) {
			close(c);
			close(l);
			CHECK(read(s, &b, 1) == 1 && write(s, &b, 1) == 1);
			exit(0);
		}
		CHECK(close(s) == 0);
		CHECK(write(c, "f", 1) == 1 && read(c, &b, 1) == 1 && b == 'f');
		CHECK(read(c, &b, 1) == 0); /* the child's exit closed it, in order */
		CHECK(close(c) == 0);
		reap(1);
	}
}

static void worker(int l)
{
	struct pollfd f = {.fd = l, .events = POLLIN};
	char b;

	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	for (;;) {
		int s;

		CHECK(poll(&f, 1, -1) == 1);
		s = accept(l, NULL, NULL);
		if (s < 0)
			continue;
		CHECK(fcntl(s, F_SETFL, 0) == 0);
		CHECK(read(s, &b, 1) == 1);
		CHECK(write(s, &b, 1) == 1 && close(s) == 0);
		if (b == 'q')
			exit(0);
	}
}

static void test_workers(void)
{
	int l = listen_at(5000);
	struct sockaddr_in a = own_addr(5000);

	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			worker(l);
	for (int i = 0; i < 33; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);
		char b = i < 30 ? 'x' : 'q', back;

		CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
		CHECK(write(c, &b, 1) == 1 && read(c, &back, 1) == 1 && back == b);
		CHECK(close(c) == 0);
	}
	reap(3);
}

/* The child doesn't turn round and round about what its parent leaves undone. */
static void test_fork_epoll_idle(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0), pipes[2];
	struct epoll_event ev[2];
	char b;

	CHECK(pipe(pipes) == 0 && add(ep, p.client, EPOLLIN) == 0 && add(ep, pipes[0], EPOLLIN) == 0);
	CHECK(write(p.server, "a", 1) == 1);
	usleep(20000);
	if (fork() == 0) {
		clock_t start = clock();

		CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, p.client, NULL) == 0);
		CHECK(epoll_wait(ep, ev, 2, 500) == 0);
		CHECK(clock() - start < CLOCKS_PER_SEC / 10);
		CHECK(write(pipes[1], "xy", 2) == 2); /* level-triggered, through the shared one */
		for (int i = 0; i < 3; i++)
			CHECK(epoll_wait(ep, ev, 1, 1000) == 1 && ev[0].data.fd == pipes[0]);
		CHECK(read(pipes[0], &b, 1) == 1 && epoll_wait(ep, ev, 2, 1000) == 1);
		CHECK(read(pipes[0], &b, 1) == 1 && epoll_wait(ep, ev, 2, 50) == 0);
		exit(0);
	}
	reap(1);
	CHECK(epoll_wait(ep, ev, 2, 1000) == 1 && ev[0].data.fd == p.client);
}

/* ---- more threads than event queues ---- */

#define CROWD 44

struct member {
	int fd;
	bool polls;
};

static void *member_thread(void *arg)
{
	struct member *m = arg;
	char b;

	for (;;) {
		struct pollfd p = {.fd = m->fd, .events = POLLIN};

		CHECK(!m->polls || poll(&p, 1, -1) == 1);
		if (recv(m->fd, &b, 1, 0) == 0)
			return NULL;
		CHECK(send(m->fd, &b, 1, 0) == 1);
	}
}

static void test_crowd(void)
{
	struct sockaddr_in a = own_addr(5000);
	int l = listen_at(5000), fd[CROWD];
	struct member m[CROWD];
	pthread_t t[CROWD];
	clock_t begin;
	char b;

	for (int i = 0; i < CROWD; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(connect(fd[i], (struct sockaddr *)&a, sizeof(a)) == 0);
		m[i] = (struct member){accept(l, NULL, NULL), i % 3 == 0};
		CHECK(m[i].fd >= 0);
		t[i] = start(member_thread, (intptr_t)&m[i]);
	}
	usleep(200000);
	begin = clock();
	usleep(300000);
	CHECK(clock() - begin < CLOCKS_PER_SEC / 30); /* asleep, all of them */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < CROWD; i++)
			CHECK(send(fd[(i * 7 + round) % CROWD], "x", 1, 0) == 1);
		for (int i = 0; i < CROWD; i++)
			CHECK(recv(fd[i], &b, 1, 0) == 1);
	}
	for (int i = 0; i < CROWD; i++) {
		if (i % 2)
			CHECK(shutdown(m[i].fd, SHUT_RD) == 0);
		else
			CHECK(close(fd[i]) == 0);
		pthread_join(t[i], NULL);
	}
}

/* ---- signals ---- */

static int handler_fd;
static volatile sig_atomic_t handled, busy;

static void peeks(int sig)
{
	int saved = errno;
	char b;

	(void)sig;
	handled++;
	if (recv(handler_fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
		busy += errno == EDEADLK;
	errno = saved;
}

/* A handler that uses the socket of its own thread's copy is told, and doesn't wait for itself. */
static void test_handler(void)
{
	static uint8_t buf[65536];
	struct pair p = make_pair(5000);
	struct itimerval often = {{0, 200}, {0, 200}};
	struct sigaction sa = {.sa_handler = peeks, .sa_flags = SA_RESTART};

	handler_fd = p.client;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	while (handled < 500) {
		ssize_t left = send(p.server, buf, sizeof(buf), 0), n;

		CHECK(left > 0);
		for (; left > 0; left -= n) { /* a signal ends what has begun */
			n = recv(p.client, buf, (size_t)left, MSG_WAITALL);
			CHECK(n > 0);
		}
	}
	often = (struct itimerval){0};
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	printf("busy at %d of %d signals\n", (int)busy, (int)handled);
}

static void test_fork_epoll(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0);
	struct epoll_event ev[2];
	char b;

	CHECK(add(ep, p.client, EPOLLIN) == 0 && epoll_wait(ep, ev, 2, 0) == 0);
	if (fork() == 0) {
		CHECK(epoll_wait(ep, ev, 2, 3000) == 1 && ev[0].data.fd == p.client);
		CHECK(read(p.client, &b, 1) == 1 && b == '1');
		exit(0);
	}
	CHECK(write(p.server, "1", 1) == 1);
	reap(1);
	CHECK(write(p.server, "2", 1) == 1);
	CHECK(epoll_wait(ep, ev, 2, 3000) == 1);
	CHECK(read(p.client, &b, 1) == 1 && b == '2');
}

static void test_daemon_dies(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0);
	struct epoll_event ev[2];
	int64_t start_ms;
	char b;

	CHECK(add(ep, p.server, EPOLLIN) == 0 && epoll_wait(ep, ev, 2, 0) == 0);
	if (fork() == 0) {
		usleep(100000);
		kill(harness_daemon, SIGKILL);
		_exit(0);
	}
	start_ms = now_ms();
	CHECK(recv(p.client, &b, 1, 0) == -1 && errno == ECONNRESET);
	CHECK(now_ms() - start_ms < 2000);
	CHECK(epoll_wait(ep, ev, 2, 1000) == 1 && (ev[0].events & EPOLLHUP));
	CHECK(send(p.client, &b, 1, MSG_NOSIGNAL) == -1 && errno == ECONNRESET);
	CHECK(accept(p.listener, NULL, NULL) == -1);
	CHECK(close(p.client) == 0);
}

/* ---- system calls by number ---- */

#ifndef TEST_API_NAMES_H
static void test_raw_close(void)
{
	struct pair p = make_pair(5000);
	int file;
	char b = 'x';

	CHECK(syscall(SYS_close, p.client) == 0);
	file = memfd_create("test", 0);
	CHECK(file == p.client);
	CHECK(write(file, &b, 1) == 1 && lseek(file, 0, SEEK_SET) == 0);
	b = 0;
	CHECK(read(file, &b, 1) == 1 && b == 'x');
	CHECK(read(p.server, &b, 1) == 0);
	CHECK(syscall(SYS_close, p.client) == 0);
	CHECK(syscall(SYS_close, p.client) == -1 && errno == EBADF);
}

static void test_raw_stream(void)
{
	struct sockaddr_in a = own_addr(5000);
	int l = listen_at(5000), s, c = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	char b[4];

	CHECK(c >= 0 && syscall(SYS_connect, c, &a, sizeof(a)) == 0);
	s = (int)syscall(SYS_accept4, l, NULL, NULL, SOCK_NONBLOCK);
	CHECK(s >= 0);
	CHECK(syscall(SYS_read, s, b, sizeof(b)) == -1 && errno == EAGAIN);
	CHECK(syscall(SYS_write, c, "abc", 3L) == 3);
	CHECK(poll(&(struct pollfd){.fd = s, .events = POLLIN}, 1, 3000) == 1);
	CHECK(syscall(SYS_recvfrom, s, b, sizeof(b), 0L, NULL, NULL) == 3 && !memcmp(b, "abc", 3));
	CHECK(syscall(SYS_shutdown, c, (long)SHUT_WR) == 0);
	CHECK(poll(&(struct pollfd){.fd = s, .events = POLLIN}, 1, 3000) == 1 && read(s, b, 1) == 0);
}

/* As sshd's child before the log-in: another user, one descriptor, no call that makes one. */
static void shut_in(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_eventfd2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	CHECK(setresuid(getuid(), getuid(), getuid()) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1, 1}) == 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void test_sandbox(void)
{
	struct pair p = make_pair(5000);
	struct rusage used;
	char b;

	if (fork() == 0) {
		shut_in();
		CHECK(read(p.server, &b, 1) == 1 && write(p.server, &b, 1) == 1);
		CHECK(poll(&(struct pollfd){.fd = p.server, .events = POLLIN}, 1, -1) == 1);
		CHECK(read(p.server, &b, 1) == 1 && write(p.server, &b, 1) == 1);
		getrusage(RUSAGE_SELF, &used);
		CHECK(used.ru_utime.tv_sec + used.ru_stime.tv_sec == 0);
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		usleep(1300000);
		CHECK(write(p.client, "x", 1) == 1 && read(p.client, &b, 1) == 1 && b == 'x');
	}
	reap(1);
}
#endif

/* ---- */

TEST(shutdown_wakes)
TEST(shutdown_wakes_others)
TEST(threads_share)
TEST(churn)
TEST(fork_server)
TEST(workers)
TEST(fork_epoll)
TEST(fork_epoll_idle)
TEST(crowd)
TEST(handler)
TEST(daemon_dies)
#ifndef TEST_API_NAMES_H
TEST(raw_close)
TEST(raw_stream)
TEST(sandbox)
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_shutdown_wakes),
		cmocka_unit_test(run_shutdown_wakes_others),
		cmocka_unit_test(run_threads_share),
		cmocka_unit_test(run_churn),
		cmocka_unit_test(run_fork_server),
		cmocka_unit_test(run_workers),
		cmocka_unit_test(run_fork_epoll),
		cmocka_unit_test(run_fork_epoll_idle),
		cmocka_unit_test(run_crowd),
		cmocka_unit_test(run_handler),
		cmocka_unit_test(run_daemon_dies),
#ifndef TEST_API_NAMES_H
		cmocka_unit_test(run_raw_close),
		cmocka_unit_test(run_raw_stream),
		cmocka_unit_test(run_sandbox),
#endif
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
