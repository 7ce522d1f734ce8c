/* SPDX-License-Identifier: BSD-2-Clause */
/* rr-client - one byte there and back, again and again, and how long it took.
 *
 *   rr-client ADDRESS PORT MILLISECONDS CONNECTIONS    1: blocking calls; more: one thread with
 * epoll rr-client ADDRESS PORT MILLISECONDS connect        a connection for each request; the
 * server closes
 *
 * Prints one line of JSON: transactions, seconds, and the latency's median and 99th percentile. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define SAMPLES_MAX     (4u << 20)
#define CONNECTIONS_MAX 1024u

static uint32_t *sample; /* latencies in ns */
static size_t samples;
static uint64_t transactions;

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void note(uint64_t latency_ns)
{
	transactions++;
	if (samples < SAMPLES_MAX)
		sample[samples++] = latency_ns < UINT32_MAX ? (uint32_t)latency_ns : UINT32_MAX;
}

static int open_connection(const struct sockaddr_in *to)
{
	int fd = load_need(socket(AF_INET, SOCK_STREAM, 0), "socket");

	load_need(connect(fd, (const struct sockaddr *)to, sizeof(*to)), "connect");
	return fd;
}

static void ask(int fd)
{
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		load_need(-1, "send");
}

static void get(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, 0) != 1) {
		fprintf(stderr, "recv: no answer\n");
		exit(1);
	}
}

static void run_one(const struct sockaddr_in *to, uint64_t end)
{
	int fd = open_connection(to);
	uint64_t now = load_now_ns(), began;

	load_set_nodelay(fd);
	while (now < end) {
		began = now;
		ask(fd);
		get(fd);
		now = load_now_ns();
		note(now - began);
	}
}

static void run_many(const struct sockaddr_in *to, uint64_t end, unsigned count)
{
	static uint64_t began[CONNECTIONS_MAX];
	static int fd[CONNECTIONS_MAX];
	struct epoll_event event[64];
	int n, epoll = load_need(epoll_create1(0), "epoll_create1");
	uint64_t now;

	for (unsigned i = 0; i < count; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};

		fd[i] = open_connection(to);
		load_set_nodelay(fd[i]);
		load_need(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[i], &e), "epoll_ctl");
	}
	for (unsigned i = 0; i < count; i++) {
		began[i] = load_now_ns();
		ask(fd[i]);
	}
	while ((now = load_now_ns()) < end) {
		n = epoll_wait(epoll, event, 64, 1000);
		if (n == 0) {
			fprintf(stderr, "no answer on any of %u connections for a second\n", count);
			exit(1);
		}
		now = load_now_ns();
		for (int i = 0; i < n; i++) {
			unsigned k = event[i].data.u32;

			get(fd[k]);
			note(now - began[k]);
			began[k] = now;
			ask(fd[k]);
		}
	}
}

static void run_connects(const struct sockaddr_in *to, uint64_t end)
{
	uint64_t now = load_now_ns(), began;
	char byte;
	int fd;

	while (now < end) {
		began = now;
		fd = open_connection(to);
		ask(fd);
		get(fd);
		if (recv(fd, &byte, 1, 0) != 0) {
			fprintf(stderr, "recv: the server did not close\n");
			exit(1);
		}
		close(fd);
		now = load_now_ns();
		note(now - began);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to;
	uint64_t began, end, took;

	if (argc != 5) {
		fprintf(stderr, "usage: rr-client ADDRESS PORT MILLISECONDS CONNECTIONS|connect\n");
		return 2;
	}
	to = load_address(argv[1], argv[2]);
	sample = malloc(SAMPLES_MAX * sizeof(*sample));
	if (!sample)
		load_need(-1, "malloc");
	began = load_now_ns();
	end = began + load_number(argv[3], 1, 3600000) * 1000000u;
	if (strcmp(argv[4], "connect") == 0) {
		run_connects(&to, end);
	} else {
		unsigned count = (unsigned)load_number(argv[4], 1, CONNECTIONS_MAX);

		if (count == 1)
			run_one(&to, end);
		else
			run_many(&to, end, count);
	}
	took = load_now_ns() - began;
	if (samples == 0) {
		fprintf(stderr, "not one transaction\n");
		return 1;
	}
	qsort(sample, samples, sizeof(*sample), by_size);
	printf("{\"transactions\":%llu,\"seconds\":%.6f,\"median_us\":%.2f,\"p99_us\":%.2f}\n",
	       (unsigned long long)transactions, (double)took / 1e9, sample[samples / 2] / 1e3,
	       sample[samples * 99 / 100] / 1e3);
	return 0;
}
