/* SPDX-License-Identifier: BSD-2-Clause */
#include "alphabet.h"

#include <assert.h>
#include <sys/socket.h>

#define DESCRIPTORS_MAX 1024

static size_t sent[DESCRIPTORS_MAX];

void alphabet_begin(int fd)
{
	assert(fd >= 0 && fd < DESCRIPTORS_MAX);
	sent[fd] = 0;
}

long alphabet_send(int fd, size_t n, int flags)
{
	size_t done = 0;

	while (done < n) {
		char buf[65536];
		size_t part = n - done < sizeof(buf) ? n - done : sizeof(buf);
		ssize_t r;

		for (size_t i = 0; i < part; i++)
			buf[i] = (char)('a' + (sent[fd] + i) % 26);
		r = send(fd, buf, part, MSG_NOSIGNAL | flags);
		if (r < 0)
			return -1;
		sent[fd] += (size_t)r;
		done += (size_t)r;
	}
	return (long)done;
}

long alphabet_recv(int fd, size_t n)
{
	char buf[65536];
	size_t got = 0;

	while (got < n) {
		ssize_t r = recv(fd, buf, n - got < sizeof(buf) ? n - got : sizeof(buf), 0);

		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (long)got;
}
