/* SPDX-License-Identifier: BSD-2-Clause */
/* The AF_PACKET driver against the kernel's own TCP and UDP over a veth pair: frames and their
 * facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afp_case.h"
#include "toy_tcp.h"

static void small_frame(void **state)
{
	struct driver *d = open_driver();
	(void)state;

	assert_true(d->caps.tx_csum && d->caps.rx_csum);
	assert_int_equal(d->caps.mtu, 1500);
	assert_int_equal(d->caps.gso_max, 65535);
	assert_memory_equal(d->caps.mac, lab.mac, 6);
	peer_udp("10.99.0.2", 7, "hello", 5);
	struct seen s = receive(d, 1);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.last.len, 14 + 20 + 8 + 5);
	assert_int_equal(s.last.span_count, 1);
	assert_int_equal(s.last.csum, FRAME_CSUM_PARTIAL);
	assert_int_equal(s.last.gso_size, 0);
	assert_memory_equal(s.head, lab.mac, 6);
	assert_memory_equal(s.head + 42, "hello", 5);
	d->ops->close(d);
}

static void full_sum_is_unknown(void **state)
{
	struct driver *d = open_driver();
	(void)state;

	net_lab_enter_peer(&lab);
	net_lab_offload("vb", false);
	peer_udp("10.99.0.2", 7, "hello", 5);
	net_lab_enter_peer(&lab);
	net_lab_offload("vb", true);
	net_lab_leave_peer(&lab);
	struct seen s = receive(d, 1);
	assert_int_equal(s.count, 1);
	assert_int_not_equal(s.last.csum, FRAME_CSUM_PARTIAL);
	d->ops->close(d);
}

static void filter_takes_only_ours(void **state)
{
	static const uint8_t payload[8] = {0};
	struct driver *d = open_driver();
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	(void)state;

	peer_udp("10.99.0.3", 7, payload, sizeof(payload));
	assert_int_equal(receive(d, 1).count, 0);

	int fd = net_lab_peer_socket(&lab, AF_INET6, SOCK_DGRAM, 0);
	inet_pton(AF_INET6, "fd99::2", &to6.sin6_addr);
	assert_int_equal(sendto(fd, payload, 8, 0, (struct sockaddr *)&to6, sizeof(to6)), 8);
	struct seen s = receive_type(d, 1, ETH_P_IPV6);
	assert_int_equal(s.count, 1);
	assert_memory_equal(s.head + 38, &ours[1], 16);
	/* neighbour discovery of an address that isn't ours comes by multicast, of ours too */
	inet_pton(AF_INET6, "fd99::2:2", &to6.sin6_addr);
	assert_int_equal(sendto(fd, payload, 8, 0, (struct sockaddr *)&to6, sizeof(to6)), 8);
	s = receive_type(d, 1, ETH_P_IPV6);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.head[38], 0xff);
	close(fd);
	d->ops->close(d);
}

static void filter_takes_arp_for_ours(void **state)
{
	struct driver *d = open_driver();
	(void)state;

	peer_udp("10.99.0.77", 7, "x", 1);
	assert_int_equal(receive_type(d, 1, ETH_P_ARP).count, 0);
	net_lab_run_peer(&lab, "ip neigh del 10.99.0.2 dev vb");
	peer_udp("10.99.0.2", 7, "x", 1);
	assert_int_equal(receive_type(d, 1, ETH_P_ARP).count, 1);
	d->ops->close(d);
	char command[128];
	snprintf(
	    command, sizeof(command),
	    "ip neigh replace 10.99.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev vb nud permanent",
	    lab.mac[0], lab.mac[1], lab.mac[2], lab.mac[3], lab.mac[4], lab.mac[5]);
	net_lab_run_peer(&lab, command);
}

struct client {
	int fd;
	uint32_t send_bytes, read_bytes;
	bool ok;
};

static void *client_run(void *arg)
{
	struct client *c = arg;
	struct sockaddr_in to = to4("10.99.0.2", 80);
	uint8_t *data = malloc(c->send_bytes + c->read_bytes);

	c->ok = connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	for (uint32_t i = 0; i < c->send_bytes; i++)
		data[i] = toy_tcp_byte(i);
	if (c->ok && c->send_bytes > 0)
		c->ok = send(c->fd, data, c->send_bytes, 0) == (ssize_t)c->send_bytes;
	for (uint32_t got = 0; c->ok && got < c->read_bytes;) {
		ssize_t n = recv(c->fd, data, c->read_bytes - got, 0);
		c->ok = n > 0;
		for (ssize_t i = 0; i < n; i++)
			c->ok &= data[i] == toy_tcp_byte(got + (uint64_t)i);
		got += n > 0 ? (uint32_t)n : 0;
	}
	free(data);
	return NULL;
}

static pthread_t client_start(struct client *c)
{
	pthread_t thread;

	struct timeval limit = {.tv_sec = 20};
	struct linger at_once = {.l_onoff =
				     1}; /* a reset, and no FIN that is sent again and again */
	c->fd = net_lab_peer_socket(&lab, AF_INET, SOCK_STREAM, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	assert_int_equal(pthread_create(&thread, NULL, client_run, c), 0);
	return thread;
}

static void client_end(struct client *c, pthread_t thread)
{
	pthread_join(thread, NULL);
	close(c->fd);
	assert_true(c->ok);
}

static void kernel_sends_large_segments(void **state)
{
	struct driver *d = open_driver();
	struct toy_tcp toy = {.driver = d};
	struct client c = {.send_bytes = 8 << 20};
	pthread_t thread = client_start(&c);
	ns_t end = clock_now() + 20 * NS_PER_S;
	(void)state;

	while (toy.received < c.send_bytes && clock_now() < end)
		toy_tcp_poll(&toy);
	client_end(&c, thread);
	assert_int_equal(toy.received, c.send_bytes);
	assert_true(toy.content_ok);
	assert_true(toy.largest > 60000);
	assert_true(toy.gso_frames > 100);
	assert_int_equal(toy.gso_size, 1460);
	assert_int_equal(toy.csum[FRAME_CSUM_PARTIAL], toy.frames);
	struct driver_stats stats;
	d->ops->stats(d, &stats);
	assert_true(stats.rx_frames >= toy.frames && stats.rx_bytes > c.send_bytes);
	assert_int_equal(stats.tx_dropped, 0);
	assert_int_equal(stats.rx_dropped, 0);
	d->ops->close(d);
}

/* Counts the frames of our segments on the peer's side and checks their sums. */
struct tap {
	uint32_t frames, longest, bad, bytes;
};

static void tap_frame(struct tap *t, const uint8_t *p, uint32_t len)
{
	uint32_t total = get_be16(p + 16), tcp_len = total - 20;

	if (get_be16(p + 12) != ETH_P_IP || p[23] != 6 || total < 41 || total + 14 > len)
		return;
	uint32_t pseudo = toy_sum(p + 26, 8, 6 + tcp_len);
	t->frames++;
	t->bytes += tcp_len - (uint32_t)(p[46] >> 4) * 4;
	t->longest = len > t->longest ? len : t->longest;
	t->bad += toy_fold(toy_sum(p + 34, tcp_len, pseudo)) != 0xffff;
	t->bad += toy_fold(toy_sum(p + 14, 20, 0)) != 0xffff;
}

static struct tap tap_read(int fd)
{
	static uint8_t bytes[70000];
	struct tap t = {0};
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len)) > 0)
		if (from.sll_pkttype == PACKET_HOST)
			tap_frame(&t, bytes, (uint32_t)n);
	return t;
}

static int tap_open(void)
{
	int bytes = 16 << 20, fd = net_lab_peer_socket(&lab, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return fd;
}

static struct tap send_one_large(struct driver *d, uint32_t bytes)
{
	static uint8_t data[65000];
	struct toy_tcp toy = {.driver = d};
	struct client c = {.read_bytes = bytes};
	pthread_t thread = client_start(&c);
	ns_t end = clock_now() + 2 * NS_PER_S;

	for (uint32_t i = 0; i < bytes; i++)
		data[i] = toy_tcp_byte(i);
	while (!toy.established && clock_now() < end)
		toy_tcp_poll(&toy);
	usleep(20000); /* the peer's last ACK */
	toy_tcp_poll(&toy);
	int fd = tap_open();
	struct span spans[2] = {{data, 1000}, {data + 1000, bytes - 1000}};
	assert_int_equal(toy_tcp_send(&toy, spans, 2), 0);
	memset(data, 0xee, sizeof(data)); /* nothing may look at it after flush */
	client_end(&c, thread);
	struct tap t = tap_read(fd);
	close(fd);
	return t;
}

static void large_frame_crosses_whole(void **state)
{
	struct driver *d = open_driver();
	(void)state;

	struct tap t = send_one_large(d, 60000);
	assert_int_equal(t.frames, 1);
	assert_int_equal(t.bytes, 60000);
	d->ops->close(d);
}

static void kernel_splits_with_right_sums(void **state)
{
	(void)state;

	net_lab_offload("va", false);
	struct driver *d = open_driver();
	struct tap t = send_one_large(d, 60000);
	assert_int_equal(t.frames, (60000 + 1447) / 1448);
	assert_int_equal(t.bytes, 60000);
	assert_int_equal(t.longest, 14 + 20 + 20 + 1448);
	assert_int_equal(t.bad, 0);
	assert_true(strstr(d->caps.why_not_better, "TSO") != NULL);
	d->ops->close(d);
	net_lab_offload("va", true);
}

static void refuses_too_long(void **state)
{
	static uint8_t data[65536];
	struct driver *d = open_driver();
	struct tx_frame f = {.head = data, .head_len = 54, .data_count = 1, .data = {{data, 1461}}};
	(void)state;

	assert_int_equal(d->ops->tx(d, 0, &f), -EMSGSIZE);
	f = (struct tx_frame){.head = data,
			      .head_len = 54,
			      .csum_partial = true,
			      .csum_start = 34,
			      .csum_offset = 16,
			      .gso_size = 1460,
			      .data_count = 1,
			      .data = {{data, 65535 - 53}}};
	assert_int_equal(d->ops->tx(d, 0, &f), -EMSGSIZE);
	d->ops->close(d);
}

/* The kernel with ip_forward on would send our packets back where they came from. */
static void kernel_does_not_forward(void **state)
{
	(void)state;

	net_lab_run("ip addr add 10.99.1.1/32 dev va && ip route add 10.99.0.0/24 dev va && "
		    "sysctl -qw net.ipv4.ip_forward=1");
	struct driver *d = open_driver();
	int fd = tap_open();
	peer_udp("10.99.0.2", 7, "hello", 5);
	receive(d, 1);
	usleep(50000);
	uint8_t bytes[2000];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	int back = 0;
	while (recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &len) > 0)
		back += from.sll_pkttype != PACKET_OUTGOING && get_be16(bytes + 12) != ETH_P_IPV6;
	assert_int_equal(back, 0);
	close(fd);
	d->ops->close(d);
	net_lab_run("ip addr del 10.99.1.1/32 dev va && sysctl -qw net.ipv4.ip_forward=0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_frame),
	    cmocka_unit_test(full_sum_is_unknown),
	    cmocka_unit_test(filter_takes_only_ours),
	    cmocka_unit_test(filter_takes_arp_for_ours),
	    cmocka_unit_test(kernel_sends_large_segments),
	    cmocka_unit_test(large_frame_crosses_whole),
	    cmocka_unit_test(kernel_splits_with_right_sums),
	    cmocka_unit_test(refuses_too_long),
	    cmocka_unit_test(kernel_does_not_forward),
	};

	if (!net_lab_open(&lab)) {
		fprintf(stderr, "needs root for network namespaces\n");
		return 77;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_lab_close(&lab);
	return failed;
}
