/* SPDX-License-Identifier: BSD-2-Clause */
/* packetdrill.so as a script runner uses it. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS "192.168.0.1"
#define PLAIN   ADDRESS ",tcp.timestamps=no,tcp.ack=each"

static void data(struct runner *r, uint32_t seq, uint32_t ack, uint32_t len)
{
	struct packet p = {.flags = ACK | PSH, .seq = seq, .ack = ack, .len = len, .window = 65535};

	memset(p.payload, 'x', len);
	runner_inject(r, &p);
}

static void bare(struct runner *r, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct packet p = {.flags = flags, .seq = seq, .ack = ack, .window = 65535};

	runner_inject(r, &p);
}

/* The runner calls a NULL pointer all the same. */
static void every_call_is_there(void **state)
{
	struct runner r;
	void *words[sizeof(struct table) / sizeof(void *)];

	(void)state;
	runner_start(&r, ADDRESS);
	memcpy(words, &r.t, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(words[i]);
	runner_stop(&r);
}

static void syn_options(void **state)
{
	static const uint8_t first[4] = {2, 4, 1460 >> 8, 1460 & 255};
	struct packet syn = {
	    .flags = SYN,
	    .window = 65535,
	    .options = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 3, 3, 7},
	    .option_len = 20};
	struct packet answer;
	struct runner r;

	(void)state;
	runner_start(&r, ADDRESS ",tcp.window_scale=8");
	runner_listen(&r);
	runner_inject(&r, &syn);
	answer = runner_expect(&r, SYN | ACK, 0, 1, 0);
	assert_int_equal(answer.option_len, 20);
	assert_memory_equal(answer.options, first, 4);
	assert_int_equal(answer.options[4], 4);  /* sackOK */
	assert_int_equal(answer.options[6], 8);  /* timestamps */
	assert_int_equal(answer.options[16], 1); /* nop */
	assert_int_equal(answer.options[17], 3); /* wscale */
	assert_int_equal(answer.options[19], 8);
	runner_stop(&r);
}

static void passive(const char *flags)
{
	struct runner r;
	char buf[64];

	runner_start(&r, flags);
	runner_accept(&r);
	data(&r, 1, 1, 10);
	runner_expect(&r, ACK, 1, 11, 0);
	assert_int_equal(r.t.read(r.t.ud, r.fd, buf, sizeof(buf)), 10);
	assert_int_equal(buf[9], 'x');
	assert_int_equal(r.t.write(r.t.ud, r.fd, "hello", 5), 5);
	runner_expect(&r, ACK | PSH, 1, 11, 5);
	bare(&r, ACK, 11, 6);
	bare(&r, ACK | FIN, 11, 6);
	runner_expect(&r, ACK, 6, 12, 0);
	assert_int_equal(r.t.read(r.t.ud, r.fd, buf, sizeof(buf)), 0);
	assert_int_equal(r.t.close(r.t.ud, r.fd), 0);
	r.fd = -1;
	runner_expect(&r, ACK | FIN, 6, 12, 0);
	bare(&r, ACK, 12, 7);
	runner_stop(&r);
}

static void passive_open(void **state)
{
	(void)state;
	passive(PLAIN);
}

static void passive_open_ipv6(void **state)
{
	(void)state;
	passive("fd3d::1,tcp.timestamps=no,tcp.ack=each");
}

static void answer_syn(struct runner *r)
{
	struct packet p = {.flags = SYN | ACK,
			   .ack = 1,
			   .window = 65535,
			   .options = {2, 4, 1460 >> 8, 1460 & 255},
			   .option_len = 4};

	runner_inject(r, &p);
	runner_expect(r, ACK, 1, 1, 0);
}

static void active_open(void **state)
{
	struct sockaddr_storage sa;
	struct pollfd p = {.events = POLLIN | POLLOUT};
	socklen_t len = sizeof(int);
	struct runner r;
	int error = -1;

	(void)state;
	runner_start(&r, PLAIN);
	r.fd = p.fd = r.t.socket(r.t.ud, AF_INET, SOCK_STREAM, IPPROTO_TCP);
	assert_int_equal(r.t.fcntl(r.t.ud, r.fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	assert_int_equal(r.t.fcntl(r.t.ud, r.fd, F_GETFL), O_RDWR | O_NONBLOCK);
	assert_int_equal(
	    r.t.connect(r.t.ud, r.fd, (void *)&sa, runner_address(&r, &sa, true, r.peer_port)), -1);
	assert_int_equal(errno, EINPROGRESS);
	runner_expect(&r, SYN, 0, 0, 0);
	assert_int_equal(r.t.poll(r.t.ud, &p, 1, 0), 0);
	answer_syn(&r);
	assert_int_equal(r.t.poll(r.t.ud, &p, 1, 0), 1);
	assert_int_equal(p.revents, POLLOUT);
	assert_int_equal(r.t.getsockopt(r.t.ud, r.fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	runner_stop(&r);
}

static void refused(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	struct runner r;
	int error = 0;

	(void)state;
	runner_start(&r, PLAIN);
	r.fd = r.t.socket(r.t.ud, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	len = runner_address(&r, &sa, true, r.peer_port);
	assert_int_equal(r.t.connect(r.t.ud, r.fd, (void *)&sa, len), -1);
	runner_expect(&r, SYN, 0, 0, 0);
	bare(&r, RST | ACK, 0, 1);
	len = sizeof(error);
	assert_int_equal(r.t.getsockopt(r.t.ud, r.fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, ECONNREFUSED);
	runner_stop(&r);
}

/* Time is virtual: 1 s, 2 s and 4 s pass at once; a tick of the timer wheel is 65 us. */
static void retransmission(void **state)
{
	struct runner r;
	long long sent, again;

	(void)state;
	runner_start(&r, PLAIN ",tcp.recovery=reno,tcp.rto=rfc6298,plugin rfc6298.min=1s");
	runner_accept(&r);
	assert_int_equal(r.t.write(r.t.ud, r.fd, "hello", 5), 5);
	sent = runner_expect(&r, ACK | PSH, 1, 1, 5).at_us;
	for (long long rto_us = 1000000; rto_us <= 4000000; rto_us *= 2) {
		again = runner_expect(&r, ACK | PSH, 1, 1, 5).at_us;
		assert_in_range(again - sent, rto_us, rto_us + 100);
		sent = again;
	}
	bare(&r, ACK, 1, 6);
	runner_stop(&r);
}

static void clock_goes_on(void **state)
{
	struct runner r;
	long long a, b;

	(void)state;
	runner_start(&r, ADDRESS);
	a = runner_now_us(&r);
	b = runner_now_us(&r);
	assert_true(b > a);
	assert_int_equal(r.t.usleep(r.t.ud, 250000), 0);
	assert_in_range(runner_now_us(&r) - b, 250000, 250010);
	runner_stop(&r);
}

/* Nobody sends anything: that is said instead of waiting for ever. */
static void nothing_comes(void **state)
{
	struct runner r;
	struct packet p;

	(void)state;
	runner_start(&r, PLAIN);
	assert_false(runner_receive(&r, &p));
	runner_accept(&r);
	assert_false(runner_receive(&r, &p));
	runner_stop(&r);
}

/* --- blocking
 * ------------------------------------------------------------------------------------- */

static ssize_t do_accept(struct runner *r, void *arg)
{
	(void)arg;
	return r->t.accept(r->t.ud, r->listener, NULL, NULL);
}

static ssize_t do_read(struct runner *r, void *buf)
{
	return r->t.read(r->t.ud, r->fd, buf, 100);
}

static void blocking_accept_and_read(void **state)
{
	struct blocking b;
	struct runner r;
	char buf[100];

	(void)state;
	runner_start(&r, PLAIN);
	runner_listen(&r);
	blocking_start(&b, &r, do_accept, NULL);
	blocking_asleep(&b);
	runner_handshake(&r);
	r.fd = (int)blocking_end(&b);
	assert_true(r.fd >= 0);

	blocking_start(&b, &r, do_read, buf);
	blocking_asleep(&b);
	r.t.usleep(r.t.ud, 1000);
	assert_false(b.done);
	data(&r, 1, 1, 42);
	assert_int_equal(blocking_end(&b), 42);
	runner_stop(&r);
}

/* A call that is cut short by SO_RCVTIMEO waits in virtual time. */
static void blocking_read_times_out(void **state)
{
	struct timeval tv = {.tv_sec = 5};
	struct blocking b;
	struct runner r;
	char buf[100];

	(void)state;
	runner_start(&r, PLAIN);
	runner_accept(&r);
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	blocking_start(&b, &r, do_read, buf);
	blocking_asleep(&b);
	r.t.usleep(r.t.ud, 4900000);
	blocking_asleep(&b);
	r.t.usleep(r.t.ud, 200000);
	assert_int_equal(blocking_end(&b), -1);
	assert_int_equal(b.error, EAGAIN);
	runner_stop(&r);
}

static ssize_t do_connect(struct runner *r, void *arg)
{
	struct sockaddr_storage sa;

	(void)arg;
	return r->t.connect(r->t.ud, r->fd, (void *)&sa,
			    runner_address(r, &sa, true, r->peer_port));
}

static void blocking_connect(void **state)
{
	struct blocking b;
	struct runner r;

	(void)state;
	runner_start(&r, PLAIN);
	r.fd = r.t.socket(r.t.ud, AF_INET, SOCK_STREAM, 0);
	blocking_start(&b, &r, do_connect, NULL);
	blocking_asleep(&b);
	runner_expect(&r, SYN, 0, 0, 0);
	answer_syn(&r);
	assert_int_equal(blocking_end(&b), 0);
	runner_stop(&r);
}

#define LARGE 300000u

static ssize_t do_write_large(struct runner *r, void *buf)
{
	return r->t.write(r->t.ud, r->fd, buf, LARGE);
}

/* More than the send buffer holds: the call ends when the peer has taken enough. */
static void blocking_write(void **state)
{
	struct blocking b;
	struct runner r;
	struct packet p;
	uint8_t *buf = calloc(1, LARGE);

	(void)state;
	runner_start(&r, PLAIN ",tcp.send_buffer=64KB");
	runner_accept(&r);
	blocking_start(&b, &r, do_write_large, buf);
	blocking_asleep(&b);
	for (uint32_t got = 0; got < LARGE;) {
		assert_true(runner_receive(&r, &p));
		assert_int_equal(p.seq, 1 + got);
		got += p.len;
		bare(&r, ACK, 1, 1 + got);
	}
	assert_int_equal(blocking_end(&b), LARGE);
	runner_stop(&r);
	free(buf);
}

/* What may be queued follows the window, unless SO_SNDBUF says. */
static void send_buffer_grows(void **state)
{
	uint8_t *buf = calloc(1, LARGE);
	struct runner r;
	struct packet p;
	int named = 9000;

	(void)state;
	runner_start(&r, PLAIN ",tcp.send_buffer_start=8KB,tcp.initial_window=2,tcp.cc=newreno");
	runner_accept(&r);
	assert_int_equal(r.t.fcntl(r.t.ud, r.fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	assert_int_equal(r.t.write(r.t.ud, r.fd, buf, LARGE), 8192);
	for (uint32_t got = 0; got < 8192;) {
		assert_true(runner_receive(&r, &p));
		got += p.len;
		bare(&r, ACK, 1, 1 + got);
	}
	assert_in_range(r.t.write(r.t.ud, r.fd, buf, LARGE), 9001, LARGE - 1);
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_SOCKET, SO_SNDBUF, &named, sizeof(named)),
			 0);
	assert_int_equal(r.t.write(r.t.ud, r.fd, buf, LARGE), -1);
	runner_stop(&r);
	free(buf);
}

/* --- readiness
 * --------------------------------------------------------------------------------------- */

static void poll_lets_time_pass(void **state)
{
	struct pollfd p = {.events = POLLIN};
	struct runner r;
	long long before;

	(void)state;
	runner_start(&r, PLAIN);
	runner_accept(&r);
	p.fd = r.fd;
	before = runner_now_us(&r);
	assert_int_equal(r.t.poll(r.t.ud, &p, 1, 1500), 0);
	assert_in_range(runner_now_us(&r) - before, 1500000, 1500010);
	data(&r, 1, 1, 1);
	assert_int_equal(r.t.poll(r.t.ud, &p, 1, -1), 1);
	assert_int_equal(p.revents, POLLIN);
	runner_stop(&r);
}

static void epoll_level_and_edge(void **state)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7}, got;
	struct runner r;
	int ep;

	(void)state;
	runner_start(&r, PLAIN);
	runner_accept(&r);
	ep = r.t.epoll_create(r.t.ud, 1);
	assert_true(ep >= 0);
	assert_int_equal(r.t.epoll_ctl(r.t.ud, ep, EPOLL_CTL_ADD, r.fd, &e), 0);
	assert_int_equal(r.t.epoll_ctl(r.t.ud, ep, EPOLL_CTL_ADD, r.fd, &e), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(r.t.epoll_wait(r.t.ud, ep, &got, 1, 0), 0);
	data(&r, 1, 1, 3);
	for (int i = 0; i < 2; i++) { /* level */
		assert_int_equal(r.t.epoll_wait(r.t.ud, ep, &got, 1, -1), 1);
		assert_int_equal(got.events, EPOLLIN);
		assert_int_equal(got.data.u64, 7);
	}
	e.events = EPOLLIN | EPOLLET;
	assert_int_equal(r.t.epoll_ctl(r.t.ud, ep, EPOLL_CTL_MOD, r.fd, &e), 0);
	assert_int_equal(r.t.epoll_wait(r.t.ud, ep, &got, 1, 0), 1);
	assert_int_equal(r.t.epoll_wait(r.t.ud, ep, &got, 1, 0), 0);
	data(&r, 4, 1, 3);
	assert_int_equal(r.t.epoll_wait(r.t.ud, ep, &got, 1, 0), 1);
	assert_int_equal(r.t.close(r.t.ud, ep), 0);
	runner_stop(&r);
}

/* --- options
 * ------------------------------------------------------------------------------------------- */

static void options(void **state)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int one = 1, zero = 0, bytes = -1;
	struct runner r;
	char buf[10];

	(void)state;
	runner_start(&r, PLAIN);
	runner_accept(&r);
	assert_int_equal(r.t.getsockopt(r.t.ud, r.fd, SOL_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
	assert_int_equal(info.tcpi_snd_cwnd, 10);
	assert_int_equal(info.tcpi_snd_mss, 1460);

	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CORK, &one, sizeof(one)), 0);
	assert_int_equal(r.t.write(r.t.ud, r.fd, "ab", 2), 2);
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CORK, &zero, sizeof(zero)), 0);
	runner_expect(&r, ACK | PSH, 1, 1, 2);
	bare(&r, ACK, 1, 3);
	assert_int_equal(r.t.send(r.t.ud, r.fd, "c", 1, MSG_MORE), 1);
	assert_int_equal(r.t.send(r.t.ud, r.fd, "d", 1, 0), 1);
	runner_expect(&r, ACK | PSH, 3, 1, 2);
	bare(&r, ACK, 1, 5);

	data(&r, 1, 5, 8);
	assert_int_equal(r.t.ioctl(r.t.ud, r.fd, FIONREAD, &bytes), 0);
	assert_int_equal(bytes, 8);
	assert_int_equal(r.t.recv(r.t.ud, r.fd, buf, sizeof(buf), MSG_PEEK), 8);
	assert_int_equal(r.t.recv(r.t.ud, r.fd, buf, sizeof(buf), MSG_DONTWAIT), 8);
	assert_int_equal(r.t.recv(r.t.ud, r.fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_SOCKET, 9999, &one, sizeof(one)), -1);
	assert_int_equal(errno, ENOPROTOOPT);
	runner_stop(&r);
}

static void congestion_control(void **state)
{
	char name[32];
	socklen_t len = sizeof(name);
	struct runner r;

	(void)state;
	runner_start(&r,
		     PLAIN ",tcp.cc=newreno,tcp.recovery=racktlp,sack,reno,tcp.initial_window=3");
	runner_accept(&r);
	assert_int_equal(r.t.getsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CONGESTION, name, &len), 0);
	assert_string_equal(name, "newreno");
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CONGESTION, "cubic", 5), 0);
	len = sizeof(name);
	assert_int_equal(r.t.getsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CONGESTION, name, &len), 0);
	assert_string_equal(name, "cubic");
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_TCP, TCP_CONGESTION, "nosuch", 6), -1);
	assert_int_equal(errno, ENOENT);
	runner_stop(&r);
}

static void linger_zero_resets(void **state)
{
	struct linger l = {1, 0};
	struct runner r;

	(void)state;
	runner_start(&r, PLAIN);
	runner_accept(&r);
	assert_int_equal(r.t.setsockopt(r.t.ud, r.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	assert_int_equal(r.t.close(r.t.ud, r.fd), 0);
	r.fd = -1;
	runner_expect(&r, RST | ACK, 1, 1, 0);
	runner_stop(&r);
}

/* A RST at the end, then free: nothing may be left behind, however many are open. */
static void many_left_open(void **state)
{
	struct runner r;
	int fd[8];

	(void)state;
	runner_start(&r, PLAIN);
	runner_listen(&r);
	for (unsigned i = 0; i < 8; i++) {
		r.peer_port++;
		runner_handshake(&r);
		fd[i] = r.t.accept(r.t.ud, r.listener, NULL, NULL);
		assert_true(fd[i] >= 0);
	}
	bare(&r, RST, 1, 1);
	runner_stop(&r);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(close(fd[i]), 0); /* of the kernel: real descriptors */
}

static int status_of(const char *flags)
{
	struct runner r;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(2);
		runner_start(&r, flags);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void wrong_flags(void **state)
{
	(void)state;
	assert_int_equal(status_of("nonsense"), 2);
	assert_int_equal(status_of(ADDRESS ",tcp.nosuch=1"), 2);
	assert_int_equal(status_of(ADDRESS ",tcp.recovery=nosuch"), 2);
	assert_int_equal(status_of(ADDRESS ",tcp.sack=no"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_call_is_there),
	    cmocka_unit_test(syn_options),
	    cmocka_unit_test(passive_open),
	    cmocka_unit_test(passive_open_ipv6),
	    cmocka_unit_test(active_open),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(retransmission),
	    cmocka_unit_test(clock_goes_on),
	    cmocka_unit_test(nothing_comes),
	    cmocka_unit_test(blocking_accept_and_read),
	    cmocka_unit_test(blocking_read_times_out),
	    cmocka_unit_test(blocking_connect),
	    cmocka_unit_test(blocking_write),
	    cmocka_unit_test(send_buffer_grows),
	    cmocka_unit_test(poll_lets_time_pass),
	    cmocka_unit_test(epoll_level_and_edge),
	    cmocka_unit_test(options),
	    cmocka_unit_test(congestion_control),
	    cmocka_unit_test(linger_zero_resets),
	    cmocka_unit_test(many_left_open),
	    cmocka_unit_test(wrong_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
