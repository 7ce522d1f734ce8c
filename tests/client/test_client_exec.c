/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_exec.c - stack sockets in programs that another one started: exec, vfork, posix_spawn,
 * system, popen.  Only with preload.so: the public interface has no exec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness.h"
#include "scenario.h"

static char self[4096];

static void reap(int expected)
{
	int status = -1;

	CHECK(wait(&status) > 0 && WIFEXITED(status));
	if (WEXITSTATUS(status) != expected)
		fprintf(stderr, "the child's status: %d\n", WEXITSTATUS(status));
	CHECK(WEXITSTATUS(status) == expected);
}

static void expect_echo(int fd, const char *word)
{
	char back[64] = {0};
	size_t n = strlen(word);

	CHECK(send(fd, word, n, 0) == (ssize_t)n);
	CHECK(recv(fd, back, n, MSG_WAITALL) == (ssize_t)n && !strcmp(back, word));
}

static void expect_end(int fd)
{
	char b;

	CHECK(shutdown(fd, SHUT_WR) == 0 && recv(fd, &b, 1, 0) == 0);
}

/* ---- what is started ---- */

/* A server in the manner of inetd's: knows only of its standard input and output. */
static int echo(void)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	char buf[64];
	ssize_t n;

	while (poll(&p, 1, -1) == 1 && (n = read(0, buf, sizeof(buf))) > 0)
		if (write(1, buf, (size_t)n) != n)
			return 2;
	return 0;
}

/* Accepts on descriptor 3 and starts an echo for the connection, once. */
static int wait_server(void)
{
	int fd = accept(3, NULL, NULL);

	if (fd < 0 || dup2(fd, 0) != 0 || dup2(fd, 1) != 1 || close(fd))
		return 3;
	execl(self, self, "echo", (char *)NULL);
	return 4;
}

/* The same with stdio; what is left in the buffer goes when the program ends. */
static int echo_lines(void)
{
	char line[64];

	if (fileno(stdin) != 0 || fileno(stdout) != 1)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		if (printf("%zu ", strlen(line)) < 0 || fputs(line, stdout) < 0)
			return 3;
		if (!strcmp(line, "flush\n") && fflush(stdout))
			return 4;
	}
	return 0;
}

static int says_no(void)
{
	char b;

	return read(0, &b, 1) < 0 ? errno : 0;
}

/* Descriptor 5, and 6, is an instance that has the connection at 9 by edges and a pipe. */
static int go_on_waiting(void)
{
	struct epoll_event ev[4];
	char buf[8];

	if (epoll_wait(5, ev, 4, 50) != 0) /* what was told before exec is no edge */
		return 2;
	if (write(1, "r", 1) != 1 || epoll_wait(5, ev, 4, -1) != 1 || ev[0].events != EPOLLIN ||
	    ev[0].data.u64 != 77 || recv(0, buf, 3, MSG_WAITALL) != 3)
		return 3;
	if (epoll_wait(6, ev, 4, 50) != 0 || write(8, "p", 1) != 1 || epoll_wait(6, ev, 4, -1) != 1 ||
	    ev[0].data.u64 != 78 || read(7, buf, 1) != 1)
		return 4;
	ev[0] = (struct epoll_event){.events = EPOLLIN, .data.u64 = 79};
	if (epoll_ctl(6, EPOLL_CTL_MOD, 9, ev) < 0 || write(1, "s", 1) != 1)
		return 5;
	for (int i = 0; i < 2; i++) /* level */
		if (epoll_wait(5, ev, 4, -1) != 1 || ev[0].data.u64 != 79)
			return 6;
	return epoll_ctl(5, EPOLL_CTL_DEL, 9, ev) < 0 || epoll_wait(6, ev, 4, 50) != 0 ? 7 : 0;
}

static int started(const char *role)
{
	if (!strcmp(role, "epoll"))
		return go_on_waiting();
	if (!strcmp(role, "echo"))
		return echo();
	if (!strcmp(role, "lines"))
		return echo_lines();
	if (!strcmp(role, "wait"))
		return wait_server();
	return strcmp(role, "no") ? 99 : says_no();
}

/* ---- exec ---- */

static void test_inetd(void)
{
	struct pair p = make_pair(5000);

	if (fork() == 0) {
		CHECK(dup2(p.server, 0) == 0 && dup2(p.server, 1) == 1);
		CHECK(fcntl(p.listener, F_SETFD, FD_CLOEXEC) == 0);
		close(p.server);
		close(p.client);
		execl(self, self, "echo", (char *)NULL);
		_exit(9);
	}
	CHECK(close(p.server) == 0);
	expect_echo(p.client, "hello");
	expect_echo(p.client, "again");
	expect_end(p.client);
	reap(0);
}

/* Twice exec: the listener goes over, then what it accepted. */
static void test_wait_server(void)
{
	struct sockaddr_in a = own_addr(5000);
	int c;

	if (fork() == 0) {
		int l = listen_at(5000);

		CHECK(dup2(l, 3) == 3 && (l == 3 || close(l) == 0));
		execl(self, self, "wait", (char *)NULL);
		_exit(9);
	}
	for (int i = 0;; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(c, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
		CHECK(i < 500 && close(c) == 0);
		usleep(20000);
	}
	expect_echo(c, "hello");
	expect_end(c);
	reap(0);
}

/* The listener's other half, the kernel's, goes over too. */
static void test_both_halves(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int l, c;

	/* the fake daemon's board says `listen = both` */
	l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 4) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	if (fork() == 0) {
		CHECK(dup2(l, 3) == 3 && (l == 3 || close(l) == 0));
		execl(self, self, "wait", (char *)NULL);
		_exit(9);
	}
	CHECK(close(l) == 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
	expect_echo(c, "hello");
	expect_end(c);
	reap(0);
	CHECK(close(c) == 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == ECONNREFUSED);
}

static void exec_with_epoll(int ep, struct pair *p)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 77};
	int pipes[2];

	CHECK(pipe(pipes) == 0 && dup2(p->server, 9) == 9);
	for (int i = 0; i < 2; i++) /* out of the way of the numbers below */
		CHECK((pipes[i] = fcntl(pipes[i], F_DUPFD, 50)) >= 50);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, 9, &ev) == 0);
	CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.data.u64 == 77);
	CHECK(dup2(pipes[0], 7) == 7 && dup2(pipes[1], 8) == 8);
	ev = (struct epoll_event){.events = EPOLLIN, .data.u64 = 78};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, 7, &ev) == 0);
	CHECK(dup2(ep, 5) == 5 && dup2(ep, 6) == 6 && dup2(9, 0) == 0 && dup2(9, 1) == 1);
	CHECK(close_range(10, ~0u, 0) == 0);
	execl(self, self, "epoll", (char *)NULL);
}

static int high_instance(void)
{
	int low = epoll_create1(0), ep = fcntl(low, F_DUPFD, 50);

	CHECK(ep >= 50 && close(low) == 0);
	return ep;
}

/* The instance is the child's own, or its parent's too, who has another socket in it. */
static void test_epoll(void)
{
	for (int shared = 0; shared < 2; shared++) {
		struct pair other = make_pair((uint16_t)(6000 + shared)), p;
		int ep = high_instance();
		struct epoll_event ev;
		char b;

		CHECK(add(ep, other.server, EPOLLIN) == 0);
		p = make_pair((uint16_t)(5000 + shared));
		if (fork() == 0) {
			int mine = shared ? ep : high_instance();

			CHECK(close(other.server) == 0 && close(p.client) == 0);
			exec_with_epoll(mine, &p);
			_exit(9);
		}
		CHECK(close(p.server) == 0 && send(p.client, "a", 1, 0) == 1);
		CHECK(recv(p.client, &b, 1, 0) == 1 && b == 'r');
		CHECK(send(p.client, "bc", 2, 0) == 2);
		CHECK(recv(p.client, &b, 1, 0) == 1 && b == 's');
		CHECK(send(p.client, "d", 1, 0) == 1);
		reap(0);
		CHECK(send(other.client, "e", 1, 0) == 1);
		CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.data.fd == other.server);
	}
}

/* What is close-on-exec ends, what isn't doesn't; the process stays the same. */
static void test_cloexec(void)
{
	struct sockaddr_in a = own_addr(5000);
	int l, kept, closed, ready[2];
	char b;

	CHECK(pipe(ready) == 0);
	if (fork() == 0) {
		int fd[2];

		CHECK(read(ready[0], &b, 1) == 1);
		for (int i = 0; i < 2; i++) {
			fd[i] = socket(AF_INET, SOCK_STREAM | (i ? SOCK_CLOEXEC : 0), 0);
			CHECK(connect(fd[i], (struct sockaddr *)&a, sizeof(a)) == 0);
		}
		CHECK(dup2(fd[0], 0) == 0 && dup2(fd[0], 1) == 1 && close(fd[0]) == 0);
		execl(self, self, "echo", (char *)NULL);
		_exit(9);
	}
	l = listen_at(5000);
	CHECK(write(ready[1], "x", 1) == 1);
	kept = accept(l, NULL, NULL);
	closed = accept(l, NULL, NULL);
	CHECK(recv(closed, &b, 1, 0) == 0);
	expect_echo(kept, "kept");
	expect_end(kept);
	reap(0);
}

static void test_failed_exec(void)
{
	struct pair p = make_pair(5000);
	char name[] = "/tmp/stackd-exec-XXXXXX";
	int fd = mkstemp(name);
	char *const argv[] = {name, NULL};

	CHECK(fd >= 0 && write(fd, "garbage garbage", 15) == 15 && fchmod(fd, 0755) == 0 && close(fd) == 0);
	CHECK(execv(name, argv) == -1 && errno == ENOEXEC);
	CHECK(execl("/nowhere", "nowhere", (char *)NULL) == -1 && errno == ENOENT);
	CHECK(unlink(name) == 0);
	CHECK(send(p.client, "a", 1, 0) == 1 && recv(p.server, name, 1, 0) == 1);
	CHECK(close(p.client) == 0 && recv(p.server, name, 1, 0) == 0);
}

/* The child of vfork has nothing but the parent's memory. */
static void test_vfork(void)
{
	struct pair p = make_pair(5000);

	for (int i = 0; i < 3; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			dup2(p.server, 0);
			dup2(p.server, 1);
			close_range(2, ~0u, 0);
			execl("/nowhere/echo", self, "echo", (char *)NULL);
			execl(self, self, i == 2 ? "echo" : "nothing", (char *)NULL);
			_exit(9);
		}
		CHECK(pid > 0);
		if (i < 2)
			reap(99);
	}
	CHECK(close(p.server) == 0);
	expect_echo(p.client, "hello");
	expect_end(p.client);
	reap(0);
}

/* ---- spawn ---- */

static void spawn(struct pair *p, const char *program, const char *role)
{
	char *const argv[] = {self, (char *)(uintptr_t)role, NULL};
	posix_spawn_file_actions_t fa;

	CHECK(posix_spawn_file_actions_init(&fa) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&fa, p->server, 0) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&fa, p->server, 1) == 0);
	CHECK(posix_spawn(&(pid_t){0}, program, &fa, NULL, argv, environ) == 0);
	CHECK(posix_spawn_file_actions_destroy(&fa) == 0);
}

static void test_spawn(void)
{
	struct pair p = make_pair(5000);

	CHECK(fcntl(p.server, F_SETFD, FD_CLOEXEC) == 0 && fcntl(p.client, F_SETFD, FD_CLOEXEC) == 0);
	spawn(&p, self, "nothing");
	reap(99);
	spawn(&p, self, "echo");
	CHECK(close(p.server) == 0);
	expect_echo(p.client, "hello");
	expect_end(p.client);
	reap(0);
}

static void test_shells(void)
{
	struct pair p = make_pair(5000);
	char command[64], back[8] = {0};
	FILE *f;

	CHECK(fcntl(p.client, F_SETFD, FD_CLOEXEC) == 0);
	CHECK(dup2(p.server, 9) == 9);
	snprintf(command, sizeof(command), "echo one >&9; exit 3");
	CHECK(WEXITSTATUS(system(command)) == 3);
	CHECK(recv(p.client, back, 4, MSG_WAITALL) == 4 && !memcmp(back, "one\n", 4));
	f = popen("cat >&9", "w");
	CHECK(f && fputs("two\n", f) >= 0 && pclose(f) == 0);
	CHECK(recv(p.client, back, 4, MSG_WAITALL) == 4 && !memcmp(back, "two\n", 4));
	CHECK(close(p.server) == 0 && close(9) == 0 && recv(p.client, back, 1, 0) == 0);
	CHECK(system(NULL) != 0);
}

static void expect_text(int fd, const char *text)
{
	char back[64] = {0};
	size_t n = strlen(text);

	CHECK(recv(fd, back, n, MSG_WAITALL) == (ssize_t)n && !strcmp(back, text));
}

static void test_standard_streams(void)
{
	struct pair p = make_pair(5000);
	char b;

	CHECK(fcntl(p.server, F_SETFD, FD_CLOEXEC) == 0 && fcntl(p.client, F_SETFD, FD_CLOEXEC) == 0);
	spawn(&p, self, "lines");
	CHECK(close(p.server) == 0);
	CHECK(send(p.client, "ab\nflush\n", 9, 0) == 9);
	expect_text(p.client, "3 ab\n6 flush\n");
	CHECK(send(p.client, "end\n", 4, 0) == 4 && shutdown(p.client, SHUT_WR) == 0);
	expect_text(p.client, "4 end\n");
	CHECK(recv(p.client, &b, 1, 0) == 0);
	reap(0);
}

static void test_fdopen(void)
{
	struct pair p = make_pair(5000);
	FILE *in = fdopen(dup(p.server), "r"), *out = fdopen(p.server, "w");
	char line[64];

	CHECK(in && out && fileno(out) == p.server);
	CHECK(send(p.client, "one\ntwo\n", 8, 0) == 8);
	CHECK(fgets(line, sizeof(line), in) && !strcmp(line, "one\n"));
	CHECK(fgets(line, sizeof(line), in) && !strcmp(line, "two\n"));
	CHECK(fprintf(out, "%d", 12) == 2 && fflush(out) == 0 && dprintf(p.server, "%s", "34") == 2);
	expect_text(p.client, "1234");
	CHECK(fputs("end", out) >= 0 && fclose(out) == 0);
	expect_text(p.client, "end");
	CHECK(fclose(in) == 0 && recv(p.client, line, 1, 0) == 0);
	CHECK(fcntl(p.server, F_GETFD) == -1 && errno == EBADF);
}

/* A program into which nothing can be loaded is told so by its reads, and nothing hangs. */
static void test_static(void)
{
	struct pair p = make_pair(5000);
	char b;

	spawn(&p, getenv("STATIC_PROGRAM"), "no");
	CHECK(close(p.server) == 0);
	CHECK(recv(p.client, &b, 1, 0) == 0);
	reap(ENOTCONN);
}

/* ---- */

TEST(inetd)
TEST(wait_server)
TEST(both_halves)
TEST(epoll)
TEST(cloexec)
TEST(failed_exec)
TEST(vfork)
TEST(spawn)
TEST(shells)
TEST(standard_streams)
TEST(fdopen)
TEST(static)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_inetd),	   cmocka_unit_test(run_wait_server),
		cmocka_unit_test(run_cloexec),	   cmocka_unit_test(run_failed_exec),
		cmocka_unit_test(run_both_halves), cmocka_unit_test(run_epoll),
		cmocka_unit_test(run_vfork),	   cmocka_unit_test(run_spawn),
		cmocka_unit_test(run_shells),	   cmocka_unit_test(run_static),
		cmocka_unit_test(run_standard_streams), cmocka_unit_test(run_fdopen),
	};

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	if (argc > 1 && strlen(argv[1]) && getenv("STACKD_EXEC_TEST"))
		return started(argv[1]);
	setenv("STACKD_EXEC_TEST", "1", 1);
	harness_listens_on_both();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
