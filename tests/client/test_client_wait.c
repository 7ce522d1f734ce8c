/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_wait.c - poll, select, epoll, time-outs, signals, against a fake daemon.  Built
 * twice: over the public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>

#include "harness.h"
#include "scenario.h"

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

/* ---- waiting ---- */

static void *write_pipe_later(void *arg)
{
	usleep(50000);
	CHECK(write((int)(intptr_t)arg, "p", 1) == 1);
	return NULL;
}

static void test_poll_mix(void)
{
	struct pair p = make_pair(5000);
	int pipes[2];
	struct pollfd f[2];
	int64_t start_ms = now_ms();
	fd_set set;
	pthread_t t;
	char b;

	CHECK(pipe(pipes) == 0);
	f[0] = (struct pollfd){.fd = p.client, .events = POLLIN};
	f[1] = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	CHECK(poll(f, 2, 60) == 0 && now_ms() - start_ms >= 60);
	t = start(write_pipe_later, pipes[1]);
	CHECK(poll(f, 2, -1) == 1 && f[1].revents == POLLIN && f[0].revents == 0);
	pthread_join(t, NULL);
	CHECK(read(pipes[0], &b, 1) == 1);
	t = start(write_pipe_later, p.server);
	CHECK(poll(f, 2, -1) == 1 && f[0].revents == POLLIN && f[1].revents == 0);
	pthread_join(t, NULL);
	CHECK(write(pipes[1], "x", 1) == 1 && poll(f, 2, -1) == 2);
	FD_ZERO(&set);
	FD_SET(p.client, &set);
	FD_SET(pipes[0], &set);
	CHECK(select(64, &set, NULL, NULL, NULL) == 2 && FD_ISSET(p.client, &set));
	CHECK(read(p.client, &b, 1) == 1);
	FD_SET(p.client, &set);
	CHECK(select(64, &set, NULL, NULL, NULL) == 1 && !FD_ISSET(p.client, &set));
	CHECK(close(p.server) == 0);
	f[0].events = POLLIN | POLLRDHUP;
	CHECK(poll(f, 1, 2000) == 1 && (f[0].revents & POLLRDHUP));
}

static void test_epoll_levels(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(EPOLL_CLOEXEC), pipes[2];
	struct epoll_event ev[4];
	char b;

	CHECK(pipe(pipes) == 0 && add(ep, pipes[0], EPOLLIN) == 0);
	CHECK(add(ep, p.client, EPOLLIN) == 0);
	CHECK(add(ep, p.client, EPOLLIN) == -1 && errno == EEXIST);
	CHECK(epoll_wait(ep, ev, 4, 30) == 0);
	CHECK(write(p.server, "ab", 2) == 2);
	CHECK(epoll_wait(ep, ev, 4, -1) == 1 && ev[0].data.fd == p.client);
	CHECK(epoll_wait(ep, ev, 4, 0) == 1); /* level: as long as there is something */
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(epoll_wait(ep, ev, 4, 0) == 2); /* both kinds */
	for (int i = 0, n = 1; n == 1; i++)   /* and one that waits hears of the kernel's soon */
		CHECK((n = epoll_wait(ep, ev, 4, -1)) >= 1 && i < 16);
	CHECK(read(p.client, &b, 1) == 1 && epoll_wait(ep, ev, 4, 0) == 2);
	CHECK(read(p.client, &b, 1) == 1 && read(pipes[0], &b, 1) == 1);
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	ev[0] = (struct epoll_event){.events = EPOLLIN | EPOLLOUT, .data.fd = p.client};
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p.client, ev) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].events == EPOLLOUT);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, p.client, ev) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, p.client, ev) == -1 && errno == ENOENT);
	CHECK(write(p.server, "c", 1) == 1 && epoll_wait(ep, ev, 4, 30) == 0);
	CHECK(add(ep, p.client, EPOLLIN) == 0 && epoll_wait(ep, ev, 4, 0) == 1);
	CHECK(close(p.client) == 0 && epoll_wait(ep, ev, 4, 0) == 0);
}

static void test_epoll_edges(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0);
	struct epoll_event ev[4];
	pthread_t t;
	char b;

	CHECK(add(ep, p.client, EPOLLIN | EPOLLET) == 0);
	CHECK(write(p.server, "ab", 2) == 2);
	CHECK(epoll_wait(ep, ev, 4, -1) == 1 && ev[0].events == EPOLLIN);
	CHECK(epoll_wait(ep, ev, 4, 20) == 0); /* told once */
	t = start(write_pipe_later, p.server);
	CHECK(epoll_wait(ep, ev, 4, 2000) == 1); /* more came */
	pthread_join(t, NULL);
	ev[0] = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.fd = 7};
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p.client, ev) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].data.fd == 7);
	CHECK(write(p.server, "d", 1) == 1 && epoll_wait(ep, ev, 4, 30) == 0);
	ev[0] = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.fd = 8};
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p.client, ev) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 1 && ev[0].data.fd == 8);
	while (recv(p.client, &b, 1, MSG_DONTWAIT) == 1)
		;
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
}

static void test_epoll_writable(void)
{
	struct pair p = make_pair(5000);
	int ep = epoll_create1(0);
	struct epoll_event ev[2];
	static char block[65536];
	size_t total = 0;
	ssize_t n;

	CHECK(add(ep, p.client, EPOLLOUT | EPOLLET) == 0);
	for (int round = 0; round < 30; round++) {
		bool told = false; /* while the daemon still moves what was sent */

		while ((n = send(p.client, block, sizeof(block), MSG_DONTWAIT)) > 0)
			total += (size_t)n;
		CHECK(errno == EAGAIN);
		while (epoll_wait(ep, ev, 2, 0) > 0)
			told = true;
		while (total) {
			n = recv(p.server, block, sizeof(block), 0);
			CHECK(n > 0);
			total -= (size_t)n;
		}
		CHECK(told || (epoll_wait(ep, ev, 2, 2000) == 1 && (ev[0].events & EPOLLOUT)));
	}
}

static void test_epoll_early(void)
{
	struct sockaddr_in a = own_addr(5000);
	int ep = epoll_create1(0), l = socket(AF_INET, SOCK_STREAM, 0);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event ev[4];

	/* both are in the kernel's epoll before they become the stack's */
	CHECK(add(ep, l, EPOLLIN) == 0 && add(ep, c, EPOLLOUT) == 0);
	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 5) == 0);
	connect(c, (struct sockaddr *)&a, sizeof(a));
	for (int got = 0; got != 3;) {
		int n = epoll_wait(ep, ev, 4, 2000);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			CHECK(!(ev[i].events & EPOLLHUP));
			got |= ev[i].data.fd == l ? 1 : 2;
		}
	}
	CHECK(accept(l, NULL, NULL) >= 0);
}

static void test_epoll_nested(void)
{
	struct pair p = make_pair(5000);
	int inner = epoll_create1(0), outer = epoll_create1(0);
	struct epoll_event ev[2];
	struct pollfd f = {.fd = inner, .events = POLLIN};
	pthread_t t;
	char b;

	CHECK(add(inner, p.client, EPOLLIN) == 0 && add(outer, inner, EPOLLIN) == 0);
	CHECK(epoll_wait(inner, ev, 2, 0) == 0);
	for (int i = 0; i < 3; i++) {
		t = start(write_pipe_later, p.server);
		do { /* a wake-up for what has gone again is allowed */
			if (i == 1)
				CHECK(poll(&f, 1, 2000) == 1);
			else
				CHECK(epoll_wait(outer, ev, 2, 2000) == 1 &&
				      ev[0].data.fd == inner);
		} while (epoll_wait(inner, ev, 2, 0) == 0);
		CHECK(ev[0].data.fd == p.client);
		pthread_join(t, NULL);
		CHECK(read(p.client, &b, 1) == 1);
		CHECK(epoll_wait(inner, ev, 2, 0) == 0);
	}
}

#define INSTANCES 1000

static void *await_byte(void *arg)
{
	struct epoll_event ev;
	char b;

	CHECK(epoll_wait((int)(intptr_t)arg, &ev, 1, -1) == 1 && (ev.events & EPOLLIN));
	CHECK(read(ev.data.fd, &b, 1) == 1);
	return NULL;
}

/* The last instances share an event queue; each is told of its own socket all the same. */
static void sleep_in_last(struct pair p, const int *ep)
{
	struct sockaddr_in a = own_addr(5000);
	int client[8], server[8];
	pthread_t t[8];

	for (int i = 0; i < 8; i++) {
		client[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(connect(client[i], (struct sockaddr *)&a, sizeof(a)) == 0);
		server[i] = accept(p.listener, NULL, NULL);
		CHECK(server[i] >= 0 &&
		      add(ep[INSTANCES - 1 - i], client[i], EPOLLIN | EPOLLET) == 0);
	}
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++)
			t[i] = start(await_byte, ep[INSTANCES - 1 - i]);
		for (int i = 7; i >= 0; i--)
			CHECK(write(server[i], "x", 1) == 1);
		for (int i = 0; i < 8; i++)
			CHECK(pthread_join(t[i], NULL) == 0);
	}
	for (int i = 0; i < 8; i++)
		CHECK(close(client[i]) == 0 && close(server[i]) == 0);
}

static void test_epoll_crowd(void)
{
	struct rlimit limit;
	struct epoll_event ev;
	static int ep[INSTANCES];
	struct pair p;
	char b;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	p = make_pair(5000);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < INSTANCES; i++) {
			ep[i] = epoll_create1(0);
			CHECK(ep[i] >= 0 && add(ep[i], p.client, EPOLLIN) == 0);
		}
		for (int i = 0; i < INSTANCES; i++)
			CHECK(epoll_wait(ep[i], &ev, 1, 0) == 0);
		CHECK(write(p.server, "x", 1) == 1);
		for (int i = INSTANCES - 1; i >= 0; i--)
			CHECK(epoll_wait(ep[i], &ev, 1, -1) == 1 && ev.data.fd == p.client);
		CHECK(read(p.client, &b, 1) == 1);
		for (int i = 0; i < INSTANCES; i++)
			CHECK(epoll_wait(ep[i], &ev, 1, 0) == 0);
		sleep_in_last(p, ep);
		for (int i = 0; i < INSTANCES; i++)
			CHECK(close(ep[i]) == 0);
	}
}

static void test_timeouts(void)
{
	struct pair p = make_pair(5000);
	struct timeval tv = {.tv_usec = 80000};
	int64_t start_ms = now_ms();
	char b;

	CHECK(setsockopt(p.client, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(recv(p.client, &b, 1, 0) == -1 && errno == EAGAIN);
	CHECK(now_ms() - start_ms >= 75 && now_ms() - start_ms < 2000);
	CHECK(setsockopt(p.listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(accept(p.listener, NULL, NULL) == -1 && errno == EAGAIN);
}

static void handle_with(int flags)
{
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = flags}, NULL);
}

static _Atomic bool back;

/* Until the call has returned: a signal just before it sleeps interrupts nothing. */
static void *kick_main(void *arg)
{
	pthread_t *t = (pthread_t *)arg;

	do {
		usleep(60000);
		if (!back)
			pthread_kill(*t, SIGUSR1);
	} while (!back);
	return NULL;
}

static void *kick_and_write(void *arg)
{
	void **both = arg;

	for (int i = 0; i < 3; i++) {
		usleep(40000);
		pthread_kill(*(pthread_t *)both[0], SIGUSR1);
	}
	usleep(40000);
	CHECK(write((int)(intptr_t)both[1], "w", 1) == 1);
	return NULL;
}

static void test_eintr(void)
{
	struct pair p = make_pair(5000);
	pthread_t self = pthread_self(), t;
	void *both[2] = {&self, (void *)(intptr_t)p.server};
	struct pollfd f = {.fd = p.client, .events = POLLIN};
	char b;

	handle_with(0);
	t = start(kick_main, (intptr_t)&self);
	CHECK(recv(p.client, &b, 1, 0) == -1 && errno == EINTR && signals >= 1);
	back = true;
	pthread_join(t, NULL);
	signals = 0;
	handle_with(SA_RESTART);
	t = start(kick_and_write, (intptr_t)both);
	CHECK(recv(p.client, &b, 1, 0) == 1 && signals == 3);
	pthread_join(t, NULL);
	back = false;
	t = start(kick_main, (intptr_t)&self);
	CHECK(poll(&f, 1, -1) == -1 && errno == EINTR && signals >= 4);
	back = true;
	pthread_join(t, NULL);
}

/* ---- */

TEST(poll_mix)
TEST(epoll_levels)
TEST(epoll_edges)
TEST(epoll_writable)
TEST(epoll_early)
TEST(epoll_nested)
TEST(epoll_crowd)
TEST(timeouts)
TEST(eintr)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run_poll_mix),    cmocka_unit_test(run_epoll_levels),
	    cmocka_unit_test(run_epoll_edges), cmocka_unit_test(run_epoll_writable),
	    cmocka_unit_test(run_epoll_early), cmocka_unit_test(run_epoll_nested),
	    cmocka_unit_test(run_epoll_crowd), cmocka_unit_test(run_timeouts),
	    cmocka_unit_test(run_eintr),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
