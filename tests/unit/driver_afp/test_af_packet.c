/* SPDX-License-Identifier: BSD-2-Clause */
/* The AF_PACKET driver against the kernel's own TCP and UDP over a veth pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "driver/driver.h"
#include "net_lab.h"
#include "toy_tcp.h"

static struct net_lab lab;
static const struct addr ours[] = {
    {.b = {[10] = 0xff, [11] = 0xff, 10, 99, 0, 2}},
    {.b = {0xfd, 0x99, [15] = 2}},
};

static ns_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (ns_t)t.tv_sec * NS_PER_S + (ns_t)t.tv_nsec;
}

static struct driver *open_shard(uint32_t shard, uint32_t shards)
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

static struct driver *open_driver(void)
{
	struct driver *d = open_shard(0, 1);

	d->ops->rx_ready(d, clock_now());
	return d;
}

static struct sockaddr_in to4(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

static void peer_udp(const char *address, uint16_t port, const void *data, size_t len)
{
	struct sockaddr_in to = to4(address, port);
	int fd = net_lab_peer_socket(&lab, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)len);
	close(fd);
}

/* Receives until `want` frames of an EtherType have come or 300 ms are over; the peer's own neighbour
 * discovery may come between them.  The headers of the last one are left. */
struct seen {
	uint32_t count;
	struct frame last;
	uint8_t head[128];
};

static void see(struct seen *s, const struct frame *f, uint16_t ethertype)
{
	uint32_t len = f->len < sizeof(s->head) ? f->len : sizeof(s->head);

	if (get_be16(f->span[0].base + 12) != ethertype)
		return;
	s->last = *f;
	memcpy(s->head, f->span[0].base, len);
	s->count++;
}

static struct seen receive_type(struct driver *d, uint32_t want, uint16_t ethertype)
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

static struct seen receive(struct driver *d, uint32_t want)
{
	return receive_type(d, want, ETH_P_IP);
}

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
	snprintf(command, sizeof(command),
		 "ip neigh replace 10.99.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev vb nud permanent", lab.mac[0],
		 lab.mac[1], lab.mac[2], lab.mac[3], lab.mac[4], lab.mac[5]);
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

	struct timeval limit = {.tv_sec = 5};
	struct linger at_once = {.l_onoff = 1}; /* a reset, and no FIN that is sent again and again */
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
	ns_t end = clock_now() + 5 * NS_PER_S;
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

	while ((n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > 0)
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

static void drain(struct driver *d)
{
	struct frame frames[FRAME_BURST_MAX];

	d->ops->rx(d, clock_now(), frames, FRAME_BURST_MAX);
	d->ops->rx_release(d);
}

static void wakes_a_sleeper(void **state)
{
	struct driver *d = open_driver();
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	(void)state;

	/* before the sleep, and without any sleep between: each must make the descriptor readable */
	for (int i = 0; i < 200; i++) {
		while (d->ops->rx_ready(d, clock_now()))
			drain(d);
		assert_int_equal(poll(&p, 1, 0), 0);
		peer_udp("10.99.0.2", 7, "x", 1);
		assert_int_equal(poll(&p, 1, 1000), 1);
		assert_true(d->ops->rx_ready(d, clock_now()));
		assert_int_equal(receive(d, 1).count, 1);
	}
	d->ops->close(d);
}

static void *late_sender(void *arg)
{
	int fd = *(int *)arg;
	struct sockaddr_in to = to4("10.99.0.2", 7);

	for (int i = 0; i < 20000; i++) {
		sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
		if (i % 64 == 0)
			usleep((useconds_t)(i % 7) * 30);
	}
	return NULL;
}

/* Sleeps whenever rx_ready says so, against a sender that doesn't care: a lost wake-up is a time-out. */
static void never_misses_a_wake_up(void **state)
{
	struct driver *d = open_driver();
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	struct frame frames[FRAME_BURST_MAX];
	uint32_t got = 0, sleeps = 0;
	pthread_t thread;
	(void)state;

	int fd = net_lab_peer_socket(&lab, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(pthread_create(&thread, NULL, late_sender, &fd), 0);
	while (got < 20000) {
		got += d->ops->rx(d, clock_now(), frames, FRAME_BURST_MAX);
		d->ops->rx_release(d);
		if (d->ops->rx_ready(d, clock_now()))
			continue;
		if (got < 20000)
			assert_int_equal(poll(&p, 1, 2000), 1);
		sleeps++;
	}
	pthread_join(thread, NULL);
	assert_true(sleeps > 0);
	close(fd);
	d->ops->close(d);
}

/* A pool of 64 buffers and a burst of more: the receive ends without buffers and starts again. */
static void outlives_a_flood(void **state)
{
	struct driver *d = open_driver();
	(void)state;

	for (int i = 0; i < 500; i++)
		peer_udp("10.99.0.2", 7, "x", 1);
	assert_int_equal(receive(d, 500).count, 500);
	d->ops->close(d);
}

static void counts_drops(void **state)
{
	static uint8_t data[1400];
	struct driver *d = open_driver();
	struct sockaddr_in to = to4("10.99.0.2", 7);
	struct driver_stats stats;
	(void)state;

	int fd = net_lab_peer_socket(&lab, AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < 120000; i++)
		sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	uint32_t got = receive(d, 120000).count;
	d->ops->stats(d, &stats);
	assert_true(stats.rx_dropped > 0);
	assert_in_range(stats.rx_frames, got, got + 20);
	uint64_t all = stats.rx_frames + stats.rx_dropped;
	assert_in_range(all, 120000, 120000 + 20); /* and the peer's neighbour discovery */
	d->ops->stats(d, &stats);
	assert_in_range(stats.rx_frames + stats.rx_dropped, all, all + 20);
	d->ops->close(d);
}

static void shards_share_flows(void **state)
{
	struct driver *d[2] = {open_shard(0, 2), open_shard(1, 2)};
	uint32_t got[2] = {0};
	(void)state;

	assert_int_equal(receive(d[0], 1).count, 0);
	assert_int_equal(receive(d[1], 1).count, 0);
	for (int flow = 0; flow < 64; flow++) {
		int fd = net_lab_peer_socket(&lab, AF_INET, SOCK_DGRAM, 0);
		struct sockaddr_in to = to4("10.99.0.2", 7);
		for (int i = 0; i < 3; i++)
			sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
		close(fd);
		uint32_t n[2] = {receive(d[0], 3).count, 0};
		n[1] = receive(d[1], n[0] == 0 ? 3 : 1).count;
		/* a flow is with one of them, and whole */
		assert_true((n[0] == 3 && n[1] == 0) || (n[0] == 0 && n[1] == 3));
		got[0] += n[0];
		got[1] += n[1];
		if (flow >= 7 && got[0] > 0 && got[1] > 0)
			break;
	}
	assert_true(got[0] > 0 && got[1] > 0);
	d[1]->ops->close(d[1]);
	d[0]->ops->close(d[0]);
}

static void interface_down_and_up(void **state)
{
	struct driver *d = open_driver();
	uint8_t head[14] = {0};
	struct tx_frame f = {.head = head, .head_len = sizeof(head)};
	struct driver_stats stats;
	int loops = 0;
	(void)state;

	net_lab_run("ip link set va down");
	ns_t end = clock_now() + 100 * NS_PER_MS;
	while (clock_now() < end) {
		struct pollfd p = {.fd = d->fd, .events = POLLIN};
		struct frame frame;
		assert_int_equal(d->ops->rx(d, clock_now(), &frame, 1), 0);
		d->ops->rx_release(d);
		loops++;
		if (d->ops->rx_ready(d, clock_now()))
			continue;
		ns_t deadline = d->ops->deadline(d);
		poll(&p, 1, deadline < end ? 10 : 100);
	}
	assert_true(loops < 10);
	assert_int_equal(d->ops->tx(d, clock_now(), &f), 0);
	d->ops->flush(d, clock_now());
	d->ops->stats(d, &stats);
	assert_int_equal(stats.tx_frames, 0);
	assert_int_equal(stats.tx_dropped, 1);
	net_lab_run("ip link set va up");
	usleep(50000);
	d->ops->rx_ready(d, clock_now());
	receive(d, 4);
	peer_udp("10.99.0.2", 7, "hello", 5);
	assert_true(receive(d, 1).count >= 1);
	d->ops->close(d);
}

/* pfifo of two frames behind a slow rate: what doesn't fit waits aside, nothing is lost. */
static void full_queue_holds_back(void **state)
{
	struct driver *d = open_driver();
	uint8_t head[1000] = {0};
	struct tx_frame f = {.head = head, .head_len = sizeof(head)};
	struct driver_stats stats;
	uint32_t taken = 0, refused = 0;
	(void)state;

	memset(head, 0xff, 6);
	head[12] = 0x88;
	head[13] = 0xb5; /* local experimental */
	net_lab_run("tc qdisc add dev va root tbf rate 4mbit burst 2000 limit 4000");
	ns_t end = clock_now() + 2 * NS_PER_S;
	while (taken < 50 && clock_now() < end) {
		int e = d->ops->tx(d, clock_now(), &f);
		assert_true(e == 0 || e == -ENOBUFS);
		taken += e == 0;
		refused += e != 0;
		d->ops->flush(d, clock_now());
	}
	while (d->ops->deadline(d) != NS_NEVER && clock_now() < end)
		d->ops->flush(d, clock_now());
	net_lab_run("tc qdisc del dev va root");
	d->ops->stats(d, &stats);
	assert_int_equal(taken, 50);
	assert_true(refused > 0);
	assert_int_equal(stats.tx_frames, 50);
	assert_int_equal(stats.tx_dropped, 0);
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

static void missing_interface(void **state)
{
	struct driver_config config = {.interface = "nosuch0", .shards = 1};
	struct driver *d = NULL;
	char error[DRIVER_ERROR_MAX] = "";
	(void)state;

	assert_int_equal(af_packet_open(&config, &d, error), -ENODEV);
	assert_non_null(strstr(error, "nosuch0"));
	assert_non_null(strstr(error, "va"));
	config.interface = "lo";
	assert_int_equal(af_packet_open(&config, &d, error), -EOPNOTSUPP);
	assert_null(d);
}

struct handed {
	struct driver *driver;
	uint32_t count;
};

static void *shard_thread(void *arg)
{
	struct handed *h = arg;

	h->count = receive(h->driver, 1).count;
	return NULL;
}

static void opens_here_runs_there(void **state)
{
	struct handed h = {.driver = open_shard(0, 1)};
	pthread_t thread;
	(void)state;

	peer_udp("10.99.0.2", 7, "hello", 5);
	assert_int_equal(pthread_create(&thread, NULL, shard_thread, &h), 0);
	pthread_join(thread, NULL);
	assert_int_equal(h.count, 1);
	h.driver->ops->close(h.driver);
}

static void interface_removed(void **state)
{
	net_lab_run("ip link add vc type veth peer name vd && ip link set vd addrgenmode none && "
		    "ip link set vc addrgenmode none && ip link set vc up && ip link set vd up");
	struct driver_config config = {.interface = "vc", .shards = 1, .addresses = ours, .address_count = 2};
	struct driver *d = NULL;
	char error[DRIVER_ERROR_MAX];
	struct frame frame;
	uint8_t head[14] = {0};
	struct tx_frame f = {.head = head, .head_len = sizeof(head)};
	struct driver_stats stats;
	(void)state;

	assert_int_equal(af_packet_open(&config, &d, error), 0);
	d->ops->rx_ready(d, clock_now());
	net_lab_run("ip link del vc");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(d->ops->rx(d, clock_now(), &frame, 1), 0);
		d->ops->rx_release(d);
		usleep(1000);
	}
	assert_false(d->ops->rx_ready(d, clock_now()));
	assert_int_equal(d->ops->tx(d, clock_now(), &f), 0);
	d->ops->flush(d, clock_now());
	d->ops->stats(d, &stats);
	assert_int_equal(stats.tx_dropped, 1);
	d->ops->close(d);
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
	    cmocka_unit_test(wakes_a_sleeper),
	    cmocka_unit_test(never_misses_a_wake_up),
	    cmocka_unit_test(outlives_a_flood),
	    cmocka_unit_test(counts_drops),
	    cmocka_unit_test(shards_share_flows),
	    cmocka_unit_test(interface_down_and_up),
	    cmocka_unit_test(full_queue_holds_back),
	    cmocka_unit_test(kernel_does_not_forward),
	    cmocka_unit_test(missing_interface),
	    cmocka_unit_test(opens_here_runs_there),
	    cmocka_unit_test(interface_removed),
	};

	if (!net_lab_open(&lab)) {
		fprintf(stderr, "needs root for network namespaces\n");
		return 77;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_lab_close(&lab);
	return failed;
}
