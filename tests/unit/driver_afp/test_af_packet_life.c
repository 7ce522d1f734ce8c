/* SPDX-License-Identifier: BSD-2-Clause */
/* The AF_PACKET driver when things change: sleeping and waking, floods, shards, full queues, an
 * interface that goes down, up and away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afp_case.h"

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

	/* before the sleep, and without any sleep between: each must make the descriptor readable
	 */
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

/* The control thread may register the descriptor before the shard's thread has enabled the ring. */
static void epoll_before_the_first_rx(void **state)
{
	struct driver *d = open_shard(0, 1);
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)state;

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, d->fd, &event), 0);
	for (int i = 0; i < 100; i++) {
		while (d->ops->rx_ready(d, clock_now()))
			drain(d);
		peer_udp("10.99.0.2", 7, "x", 1);
		assert_int_equal(epoll_wait(epoll, &event, 1, 1000), 1);
		assert_int_equal(receive(d, 1).count, 1);
	}
	close(epoll);
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

/* Sleeps whenever rx_ready says so, against a sender that doesn't care: a lost wake-up is a
 * time-out. */
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

static int open_as_nobody(void)
{
	struct driver_config config = {.interface = "va", .shards = 1};
	struct driver *d;
	char error[DRIVER_ERROR_MAX] = "";

	if (setresuid(65534, 65534, 65534) < 0)
		return 2;
	return af_packet_open(&config, &d, error) == -EPERM && strstr(error, "CAP_NET_RAW") ? 0 : 1;
}

static void missing_privilege(void **state)
{
	int status = -1;
	pid_t pid = fork();
	(void)state;

	if (pid == 0)
		_exit(open_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
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
	struct driver_config config = {
	    .interface = "vc", .shards = 1, .addresses = ours, .address_count = 2};
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
	    cmocka_unit_test(wakes_a_sleeper),        cmocka_unit_test(epoll_before_the_first_rx),
	    cmocka_unit_test(never_misses_a_wake_up), cmocka_unit_test(outlives_a_flood),
	    cmocka_unit_test(counts_drops),           cmocka_unit_test(shards_share_flows),
	    cmocka_unit_test(interface_down_and_up),  cmocka_unit_test(full_queue_holds_back),
	    cmocka_unit_test(missing_interface),      cmocka_unit_test(missing_privilege),
	    cmocka_unit_test(opens_here_runs_there),  cmocka_unit_test(interface_removed),
	};

	if (!net_lab_open(&lab)) {
		fprintf(stderr, "needs root for network namespaces\n");
		return 77;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_lab_close(&lab);
	return failed;
}
