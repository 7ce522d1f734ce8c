/* SPDX-License-Identifier: BSD-2-Clause */
/* scenario.h - what most tests begin with: a listener, a connected pair, threads with a job. */
#ifndef TEST_CLIENT_SCENARIO_H
#define TEST_CLIENT_SCENARIO_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

struct pair {
	int listener, client, server;
};

struct drain {
	int fd;
	uint8_t *buf;
	size_t len, got;
};

static inline int listen_at(uint16_t port)
{
	struct sockaddr_in a = own_addr(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0);
	return fd;
}

static inline struct pair make_pair(uint16_t port)
{
	struct sockaddr_in a = own_addr(port);
	struct pair p = {.listener = listen_at(port)};

	p.client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(p.client, (struct sockaddr *)&a, sizeof(a)) == 0);
	p.server = accept(p.listener, NULL, NULL);
	CHECK(p.server >= 0);
	return p;
}

static inline pthread_t start(void *(*fn)(void *), intptr_t arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, fn, (void *)arg) == 0);
	return t;
}

static inline int add(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static inline uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

static inline void *echo_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	static char buf[50000];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t r = write(fd, buf + at, (size_t)(n - at));

			CHECK(r > 0);
			at += r;
		}
	CHECK(n == 0 && close(fd) == 0);
	return NULL;
}

static inline void *drain_thread(void *arg)
{
	struct drain *d = arg;
	ssize_t n;

	while ((n = recv(d->fd, d->buf + d->got, d->len - d->got, 0)) > 0)
		d->got += (size_t)n;
	CHECK(n == 0);
	return NULL;
}
#endif
