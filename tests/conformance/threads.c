/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that share a socket: reading, accepting, closing and shutting under each other. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define MANY 4

static struct ends ends;
static int listener;
static atomic_int sum, failures;

static void *read_bytes(void *arg)
{
	char buf[100];
	ssize_t n;

	(void)arg;
	while ((n = recv(ends.fd, buf, sizeof(buf), 0)) > 0)
		atomic_fetch_add(&sum, (int)n);
	atomic_fetch_add(&failures, n < 0);
	return NULL;
}

static void *write_bytes(void *arg)
{
	char buf[1000];

	memset(buf, *(const char *)arg, sizeof(buf));
	for (int i = 0; i < 20; i++)
		if (send(ends.fd, buf, sizeof(buf), MSG_NOSIGNAL) != sizeof(buf))
			atomic_fetch_add(&failures, 1);
	return NULL;
}

static void *accept_one(void *arg)
{
	int fd = accept(listener, NULL, NULL);

	(void)arg;
	atomic_fetch_add(fd >= 0 ? &sum : &failures, 1);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void run(void *(*body)(void *), void (*meanwhile)(void))
{
	static const char letters[MANY + 1] = "abcd";
	pthread_t t[MANY];

	atomic_store(&sum, 0);
	atomic_store(&failures, 0);
	for (int i = 0; i < MANY; i++)
		need(pthread_create(&t[i], NULL, body, (void *)(letters + i)) == 0);
	if (meanwhile)
		meanwhile();
	for (int i = 0; i < MANY; i++)
		pthread_join(t[i], NULL);
}

static void feed(void)
{
	other_send(&ends, 50000);
	other_shut(&ends, SHUT_WR);
}

static void readers(void)
{
	section("four readers");
	ends = ends_open();
	run(read_bytes, feed);
	say("all bytes came", "%d", atomic_load(&sum));
	say("failures", "%d", atomic_load(&failures));
	ends_close(&ends);
}

static void drain(void)
{
	say("the other end's recv", "%ld", other_recv(&ends, MANY * 20 * 1000));
}

static void writers(void)
{
	section("four writers");
	ends = ends_open();
	run(write_bytes, drain);
	say("failures", "%d", atomic_load(&failures));
	ends_close(&ends);
}

static void shut_it(void)
{
	pause_ms(30);
	shutdown(ends.fd, SHUT_RDWR);
}

static void shut_under_readers(void)
{
	section("shutdown while four read");
	ends = ends_open();
	run(read_bytes, shut_it);
	say("all returned, failures", "%d", atomic_load(&failures));
	ends_close(&ends);
}

static void reset_it(void)
{
	pause_ms(30);
	other_reset(&ends);
}

static void reset_under_readers(void)
{
	section("reset while four read");
	ends = ends_open();
	run(read_bytes, reset_it);
	say("one is told, the others get the end", "%d", atomic_load(&failures));
	ends_close(&ends);
}

static int port;

static void four_connections(void)
{
	int other[MANY];

	for (int i = 0; i < MANY; i++)
		other[i] = peer_connect(port);
	for (int i = 0; i < MANY; i++)
		peer_close(other[i]);
}

static void acceptors(void)
{
	section("four accept");
	port = next_port();
	listener = listen_at(port, 8);
	run(accept_one, four_connections);
	say("accepted", "%d", atomic_load(&sum));
	close(listener);
}

static void shut_listener(void)
{
	pause_ms(30);
	shutdown(listener, SHUT_RD);
}

static void shut_under_acceptors(void)
{
	section("shutdown of the listener while four accept");
	listener = listen_at(next_port(), 8);
	run(accept_one, shut_listener);
	say("failures", "%d", atomic_load(&failures));
	close(listener);
}

/* Linux lets a call that waits go on with the file that was closed: data still wakes it. */
static void *read_one(void *arg)
{
	char byte;

	*(long *)arg = recv(ends.fd, &byte, 1, 0);
	return NULL;
}

static void closed_under_a_reader(void)
{
	pthread_t t;
	long n = -7;
	int spare;

	section("close while another reads");
	ends = ends_open();
	spare = dup(ends.fd);
	need(pthread_create(&t, NULL, read_one, &n) == 0);
	pause_ms(30);
	result("close", close(ends.fd));
	other_send(&ends, 1);
	pthread_join(t, NULL);
	say("the reader got", "%ld", n);
	ends.fd = spare;
	result("recv by the copy", recv(spare, (char[1]){0}, 1, MSG_DONTWAIT));
	ends_close(&ends);
}

static void *poll_it(void *arg)
{
	struct pollfd p = {.fd = ends.fd, .events = POLLIN};

	*(long *)arg = poll(&p, 1, 10000) == 1 ? p.revents : -1;
	return NULL;
}

static void two_pollers(void)
{
	pthread_t t[2];
	long bits[2] = {0};

	section("two poll the same socket");
	ends = ends_open();
	for (int i = 0; i < 2; i++)
		need(pthread_create(&t[i], NULL, poll_it, &bits[i]) == 0);
	pause_ms(20);
	other_send(&ends, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	say_poll("one", (int)bits[0]);
	say_poll("the other", (int)bits[1]);
	ends_close(&ends);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	readers();
	writers();
	shut_under_readers();
	reset_under_readers();
	acceptors();
	shut_under_acceptors();
	closed_under_a_reader();
	two_pollers();
	return observe_end();
}
