/* SPDX-License-Identifier: BSD-2-Clause */
#include "afp_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct net_lab lab;
const struct addr ours[2] = {
    {.b = {[10] = 0xff, [11] = 0xff, 10, 99, 0, 2}},
    {.b = {0xfd, 0x99, [15] = 2}},
};

ns_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (ns_t)t.tv_sec * NS_PER_S + (ns_t)t.tv_nsec;
}

struct driver *open_shard(uint32_t shard, uint32_t shards)
{
	struct driver_config config = {.interface = "va",
				       .shard = shard,
				       .shards = shards,
				       .addresses = ours,
				       .address_count = 2};
	struct driver *d = NULL;
	char error[DRIVER_ERROR_MAX] = "";

	int e = af_packet_open(&config, &d, error);
	if (e < 0)
		fail_msg("af_packet_open: %d %s", e, error);
	return d;
}

struct driver *open_driver(void)
{
	struct driver *d = open_shard(0, 1);

	d->ops->rx_ready(d, clock_now());
	return d;
}

struct sockaddr_in to4(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

void peer_udp(const char *address, uint16_t port, const void *data, size_t len)
{
	struct sockaddr_in to = to4(address, port);
	int fd = net_lab_peer_socket(&lab, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)len);
	close(fd);
}

static void see(struct seen *s, const struct frame *f, uint16_t ethertype)
{
	uint32_t len = f->len < sizeof(s->head) ? f->len : sizeof(s->head);

	if (get_be16(f->span[0].base + 12) != ethertype)
		return;
	s->last = *f;
	memcpy(s->head, f->span[0].base, len);
	s->count++;
}

struct seen receive_type(struct driver *d, uint32_t want, uint16_t ethertype)
{
	struct seen s = {0};
	struct frame frames[FRAME_BURST_MAX];
	ns_t end = clock_now() + 300 * NS_PER_MS;

	while (s.count < want && clock_now() < end) {
		uint32_t n = d->ops->rx(d, clock_now(), frames, FRAME_BURST_MAX);
		for (uint32_t i = 0; i < n; i++)
			see(&s, &frames[i], ethertype);
		d->ops->rx_release(d);
	}
	return s;
}

struct seen receive(struct driver *d, uint32_t want)
{
	return receive_type(d, want, ETH_P_IP);
}
