/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_splice.c - splice between pipes and stack sockets, and what other calls of that kind
 * say of a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>

#include "harness.h"
#include "scenario.h"
#include "stackd.h"

#define BULK 1000000

struct through {
	int in, out;
	size_t moved;
};

static void *splice_thread(void *arg)
{
	struct through *t = arg;
	ssize_t n;

	while ((n = splice(t->in, NULL, t->out, NULL, 100000, SPLICE_F_MOVE | SPLICE_F_MORE)) > 0)
		t->moved += (size_t)n;
	CHECK(n == 0 && close(t->out) == 0);
	return NULL;
}

static void *read_thread(void *arg)
{
	struct drain *d = arg;
	ssize_t n;

	while ((n = read(d->fd, d->buf + d->got, d->len - d->got)) > 0)
		d->got += (size_t)n;
	CHECK(n == 0);
	return NULL;
}

/* A pipe, a connection, a pipe: every byte comes through, in order. */
static void test_bulk(void)
{
	struct pair p = make_pair(5000);
	uint8_t *want = pattern(BULK), *got = malloc(BULK + 1);
	struct drain d = {.buf = got, .len = BULK + 1};
	struct through first, second;
	int in[2], out[2];
	pthread_t t[3];

	CHECK(pipe(in) == 0 && pipe(out) == 0);
	first = (struct through){.in = in[0], .out = p.client};
	second = (struct through){.in = p.server, .out = out[1]};
	d.fd = out[0];
	t[0] = start(splice_thread, (intptr_t)&first);
	t[1] = start(splice_thread, (intptr_t)&second);
	t[2] = start(read_thread, (intptr_t)&d);
	for (size_t at = 0; at < BULK;) {
		ssize_t n = write(in[1], want + at, BULK - at);

		CHECK(n > 0);
		at += (size_t)n;
	}
	CHECK(close(in[1]) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(first.moved == BULK && second.moved == BULK);
	CHECK(d.got == BULK && !memcmp(got, want, BULK));
}

static void test_nonblock(void)
{
	struct pair p = make_pair(5000);
	size_t filled = 0;
	ssize_t n;
	char buf[4096] = "";
	int q[2];

	CHECK(pipe(q) == 0);
	CHECK(splice(q[0], NULL, p.client, NULL, 10, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN);
	CHECK(splice(p.server, NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN);
	do { /* until the ring is full */
		CHECK(write(q[1], buf, sizeof(buf)) == sizeof(buf));
		n = splice(q[0], NULL, p.client, NULL, 100000, SPLICE_F_NONBLOCK);
		filled += n > 0 ? (size_t)n : 0;
	} while (n == sizeof(buf) && filled < 100000000);
	CHECK(n > 0 || errno == EAGAIN);
	CHECK(fcntl(q[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(q[1], buf, sizeof(buf)) > 0)
		;
	CHECK(fcntl(q[1], F_SETFL, 0) == 0);
	CHECK(splice(p.server, NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN);
}

static void test_less_than_asked(void)
{
	struct pair p = make_pair(5000);
	char buf[100];
	int q[2];

	CHECK(pipe(q) == 0);
	CHECK(write(q[1], "hello world", 11) == 11);
	CHECK(splice(q[0], NULL, p.client, NULL, 5, SPLICE_F_MORE) == 5);
	CHECK(splice(q[0], NULL, p.client, NULL, 100, 0) == 6);
	CHECK(recv(p.server, buf, 11, MSG_PEEK | MSG_WAITALL) > 0);
	CHECK(recv(p.server, buf, 3, MSG_WAITALL) == 3 && !memcmp(buf, "hel", 3));
	CHECK(send(p.client, "!", 1, 0) == 1 && close(p.client) == 0);
	for (int got = 0; got < 9;) {
		ssize_t n = splice(p.server, NULL, q[1], NULL, 100, 0);

		CHECK(n > 0);
		got += (int)n;
	}
	CHECK(read(q[0], buf, sizeof(buf)) == 9 && !memcmp(buf, "lo world!", 9));
	CHECK(splice(p.server, NULL, q[1], NULL, 100, 0) == 0);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void test_errors(void)
{
	struct pair p = make_pair(5000);
	off_t at = 0;
	int q[2];

	signal(SIGPIPE, on_signal);
	CHECK(pipe(q) == 0 && write(q[1], "x", 1) == 1);
	CHECK(splice(q[0], NULL, p.client, NULL, 0, 0) == 0);
	CHECK(splice(q[0], NULL, p.client, NULL, 1, 0x1000) == -1 && errno == EINVAL);
	CHECK(splice(p.client, NULL, p.server, NULL, 1, 0) == -1 && errno == EINVAL);
	CHECK(splice(q[1], NULL, p.client, NULL, 1, 0) == -1 && errno == EBADF);
	CHECK(splice(p.client, NULL, q[0], NULL, 1, 0) == -1 && errno == EBADF);
	CHECK(splice(-1, NULL, p.client, NULL, 1, 0) == -1 && errno == EBADF);
	CHECK(splice(q[0], &at, p.client, NULL, 1, 0) == -1 && errno == ESPIPE);
	CHECK(splice(q[0], NULL, p.client, &at, 1, 0) == -1 && errno == EINVAL);
	CHECK(splice(p.client, NULL, q[1], &at, 1, 0) == -1 && errno == ESPIPE);
	CHECK(tee(q[0], p.client, 1, 0) == -1 && errno == EINVAL);
	CHECK(tee(p.client, q[1], 1, 0) == -1 && errno == EINVAL);
	CHECK(splice(p.listener, NULL, q[1], NULL, 1, SPLICE_F_NONBLOCK) == -1);
	CHECK(shutdown(p.client, SHUT_WR) == 0);
	CHECK(splice(q[0], NULL, p.client, NULL, 1, 0) == -1 && errno == EPIPE && signals == 1);
	CHECK(write(p.server, "y", 1) == 1 && close(q[0]) == 0);
	CHECK(splice(p.client, NULL, q[1], NULL, 1, 0) == -1 && errno == EPIPE && signals == 2);
}

TEST(bulk)
TEST(nonblock)
TEST(less_than_asked)
TEST(errors)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run_bulk),
	    cmocka_unit_test(run_nonblock),
	    cmocka_unit_test(run_less_than_asked),
	    cmocka_unit_test(run_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
