/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client.c - what programs do with sockets, against a fake daemon.  Built twice: over the
 * public API (api_names.h), and with the plain names for a run with preload.so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "stackd.h"
#include "scenario.h"

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
	CHECK(!strcmp(text, "newreno"));
	len = sizeof(info);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
	CHECK(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss == 1448 && len >= 104);
	len = sizeof(off);
	CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &off, &len) == 0 && off == 1);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &off, &len) == 0 && off == SOCK_STREAM);
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

static int add(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
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
		while ((n = send(p.client, block, sizeof(block), MSG_DONTWAIT)) > 0)
			total += (size_t)n;
		CHECK(errno == EAGAIN);
		while (epoll_wait(ep, ev, 2, 0) > 0)
			;
		while (total) {
			n = recv(p.server, block, sizeof(block), 0);
			CHECK(n > 0);
			total -= (size_t)n;
		}
		CHECK(epoll_wait(ep, ev, 2, 2000) == 1 && (ev[0].events & EPOLLOUT));
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
				CHECK(epoll_wait(outer, ev, 2, 2000) == 1 && ev[0].data.fd == inner);
		} while (epoll_wait(inner, ev, 2, 0) == 0);
		CHECK(ev[0].data.fd == p.client);
		pthread_join(t, NULL);
		CHECK(read(p.client, &b, 1) == 1);
		CHECK(epoll_wait(inner, ev, 2, 0) == 0);
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

static void tick(int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
	struct itimerval it = {.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000};

	sigaction(SIGVTALRM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	(void)it;
}

static void *kick_main(void *arg)
{
	pthread_t *t = (pthread_t *)arg;

	usleep(60000);
	pthread_kill(*t, SIGUSR1);
	return NULL;
}

static void *kick_and_write(void *arg)
{
	void **both = arg;

	kick_main(both[0]);
	usleep(60000);
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

	tick(0);
	t = start(kick_main, (intptr_t)&self);
	CHECK(recv(p.client, &b, 1, 0) == -1 && errno == EINTR && signals == 1);
	pthread_join(t, NULL);
	tick(SA_RESTART);
	t = start(kick_and_write, (intptr_t)both);
	CHECK(recv(p.client, &b, 1, 0) == 1 && signals == 2);
	pthread_join(t, NULL);
	t = start(kick_main, (intptr_t)&self);
	CHECK(poll(&f, 1, -1) == -1 && errno == EINTR && signals == 3);
	pthread_join(t, NULL);
}

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

#define TEST(name)                                                                                 \
	static void run_##name(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(harness_run(test_##name, 30), 0);                                 \
	}

TEST(echo)
TEST(flags)
TEST(sigpipe)
TEST(sendfile)
TEST(names)
TEST(connect_errors)
TEST(not_ours)
TEST(options)
TEST(dup)
TEST(protected)
TEST(poll_mix)
TEST(epoll_levels)
TEST(epoll_edges)
TEST(epoll_writable)
TEST(epoll_early)
TEST(epoll_nested)
TEST(timeouts)
TEST(eintr)
TEST(shutdown_wakes)
TEST(threads_share)
TEST(churn)
TEST(fork_server)
TEST(workers)
TEST(fork_epoll)
TEST(daemon_dies)
TEST(reset)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_echo), cmocka_unit_test(run_flags),
		cmocka_unit_test(run_sigpipe), cmocka_unit_test(run_sendfile),
		cmocka_unit_test(run_names), cmocka_unit_test(run_connect_errors),
		cmocka_unit_test(run_not_ours), cmocka_unit_test(run_options),
		cmocka_unit_test(run_dup), cmocka_unit_test(run_protected),
		cmocka_unit_test(run_poll_mix), cmocka_unit_test(run_epoll_levels),
		cmocka_unit_test(run_epoll_edges), cmocka_unit_test(run_epoll_writable),
		cmocka_unit_test(run_epoll_early), cmocka_unit_test(run_epoll_nested),
		cmocka_unit_test(run_timeouts), cmocka_unit_test(run_eintr),
		cmocka_unit_test(run_shutdown_wakes), cmocka_unit_test(run_threads_share),
		cmocka_unit_test(run_churn), cmocka_unit_test(run_fork_server),
		cmocka_unit_test(run_workers), cmocka_unit_test(run_fork_epoll),
		cmocka_unit_test(run_daemon_dies), cmocka_unit_test(run_reset),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
