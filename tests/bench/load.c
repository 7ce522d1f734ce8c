/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

uint64_t load_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int load_need(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

unsigned long load_number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n < least || n > most) {
		fprintf(stderr, "%s: a number from %lu to %lu is needed\n", text, least, most);
		exit(2);
	}
	return n;
}

struct sockaddr_in load_address(const char *address, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	a.sin_port = htons((uint16_t)load_number(port, 1, 65535));
	if (inet_pton(AF_INET, address, &a.sin_addr) != 1) {
		fprintf(stderr, "%s: no IPv4 address\n", address);
		exit(2);
	}
	return a;
}

void load_set_nodelay(int fd)
{
	int one = 1;

	load_need(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
}
