/* SPDX-License-Identifier: BSD-2-Clause */
/* core_bench.c - what a segment costs the core: two ends of net and tcp on the driver in memory,
 *one sends as fast as it may, the other reads.  No socket, no copy for an application, no checksum.
 *
 * The time of each end is measured apart.  Instructions, of one end:
 *	valgrind --tool=callgrind --toggle-collect=receiver_turn core-bench 1 20000 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "all.h"
#include "lab/rules.h"
#include "net/net.h"
#include "tcp/tcp.h"

#define RING  (1u << 20)
#define START (1000 * NS_PER_S)
#define STEP  (NS_PER_US / 4)

struct end {
	struct driver *driver;
	struct net *net;
	struct tcp *tcp;
	struct tcp_conn *conn;
	struct counters counters;
	struct addr address;
	struct byte_ring rx, tx;
	bool connected;
	uint64_t spent_ns;
};

static struct end sender, receiver;
static uint32_t burst = FRAME_BURST_MAX;

static void need(bool what, const char *sentence)
{
	if (what)
		return;
	fprintf(stderr, "core-bench: %s\n", sentence);
	exit(1);
}

static void *take(void *ctx, size_t bytes)
{
	void *mem = aligned_alloc(64, (bytes + 63) / 64 * 64);

	(void)ctx;
	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

static void give(void *ctx, void *mem, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(mem);
}

static const struct memory memory = {take, give, NULL};

static void create(struct end *e, struct driver *d, const char *address,
		   const struct tcp_rules *rules)
{
	struct net_config net = {.interface_count = 1,
				 .memory = &memory,
				 .counters = &e->counters,
				 .interface[0] = {.driver = d, .address_count = 1}};
	struct tcp_config tcp = {.memory = &memory,
				 .rules = rules,
				 .counters = &e->counters,
				 .connections_max = 16,
				 .chunks_max = 100000};

	need(prefix_parse(address, &net.interface[0].address[0]) == 0, "no address");
	e->driver = d;
	e->address = net.interface[0].address[0].addr;
	e->net = net_create(&net, START);
	tcp.net = e->net;
	e->tcp = e->net ? tcp_create(&tcp, START) : NULL;
	e->rx = (struct byte_ring){calloc(1, RING), RING};
	e->tx = (struct byte_ring){calloc(1, RING), RING};
	need(e->tcp && e->rx.mem && e->tx.mem, "out of memory");
}

static void segment(struct end *e, const struct net_segment *s, ns_t now)
{
	struct tcp_conn *conn;

	if (tcp_input(e->tcp, s, now, &conn) == TCP_NEEDS_BUFFERS) {
		e->conn = conn;
		tcp_attach(conn, e->rx, e->tx);
		tcp_input(e->tcp, s, now, &conn);
	}
}

static void events(struct end *e)
{
	struct tcp_conn *conn;
	uint32_t what;

	while ((conn = tcp_next_event(e->tcp, &what))) {
		if (what & TCP_EV_ACCEPTED)
			tcp_accepted(conn);
		if (what & (TCP_EV_ACCEPTED | TCP_EV_CONNECTED))
			e->connected = true;
		if (what & TCP_EV_READABLE)
			tcp_consumed(conn, tcp_received(conn));
		if (e == &sender && e->connected)
			tcp_queued(conn, tcp_acked(conn) + RING);
	}
}

static void turn(struct end *e, ns_t now)
{
	struct frame frames[FRAME_BURST_MAX];
	struct net_result r;
	uint32_t n = e->driver->ops->rx(e->driver, now, frames, burst);

	for (uint32_t i = 0; i < n; i++)
		if (net_input(e->net, 0, &frames[i], now, &r) == NET_SEGMENT)
			segment(e, &r.segment, now);
	if (n)
		e->driver->ops->rx_release(e->driver);
	events(e);
	tcp_run(e->tcp, now);
	events(e);
	net_flush(e->net, now);
}

__attribute__((noinline)) static void receiver_turn(ns_t now)
{
	turn(&receiver, now);
	__asm__ volatile(""); /* a frame of its own, for the profiler */
}

__attribute__((noinline)) static void sender_turn(ns_t now)
{
	turn(&sender, now);
	__asm__ volatile("");
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void meet(ns_t now)
{
	struct end *both[2] = {&sender, &receiver};

	for (int i = 0; i < 2; i++) {
		struct net_neighbour n = {.addr = both[!i]->address, .confirmed = true};

		memcpy(n.mac, both[!i]->driver->caps.mac, sizeof(n.mac));
		net_learn(both[i]->net, &n, now);
	}
}

static void run(uint64_t segments)
{
	const uint64_t *got = &sender.counters.n[COUNT_tx_data_segments];
	uint64_t acks = 0, last = clock_ns();
	ns_t now = START;

	for (uint64_t step = 0; *got < segments; step++, now += STEP) {
		uint64_t at;

		if (step % 4000000 == 0)
			meet(now);
		sender_turn(now);
		at = clock_ns();
		sender.spent_ns += at - last;
		receiver_turn(now);
		last = clock_ns();
		receiver.spent_ns += last - at;
		need(step < 100 * segments + 100000, "nothing moves");
	}
	acks = receiver.counters.n[COUNT_tx_segments];
	printf("%llu segments, %llu ACKs, %llu resent\n", (unsigned long long)*got,
	       (unsigned long long)acks,
	       (unsigned long long)sender.counters.n[COUNT_tx_retransmits]);
	printf(
	    "sender    %6.1f ns a segment\nreceiver  %6.1f ns a segment, %.2f million a second\n",
	    (double)sender.spent_ns / (double)*got, (double)receiver.spent_ns / (double)*got,
	    (double)*got * 1e3 / (double)receiver.spent_ns);
}

int main(int argc, char **argv)
{
	struct pair_config pair = {.mtu = 1500,
				   .depth = 1024,
				   .vouch = true,
				   .mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}};
	struct plugins *plugins = plugins_create(stackd_all_plugins);
	char error[CONFIG_ERROR_MAX] = "";
	struct lab_rules rules;
	struct driver *ends[2];
	struct tcp_listen_config listen = {.backlog = 1};
	struct endpoint local, remote;
	struct tcp_listener *l;
	uint64_t segments = argc > 2 ? strtoull(argv[2], NULL, 10) : 5000000;

	if (argc > 1)
		burst = (uint32_t)strtoul(argv[1], NULL, 10);
	if (burst < 1 || burst > FRAME_BURST_MAX || argc > 4) {
		fprintf(stderr, "usage: core-bench [FRAMES-AT-ONCE [SEGMENTS [SETTING]]]\n");
		return 2;
	}
	need(lab_rules_make(&rules, plugins, argc > 3 ? argv[3] : "tcp.ack=each", error) == 0,
	     error);
	need(pair_open(&pair, ends) == 0, "no driver");
	create(&sender, ends[0], "10.0.0.1/24", rules.rules);
	create(&receiver, ends[1], "10.0.0.2/24", rules.rules);
	meet(START);
	listen.local = remote = (struct endpoint){receiver.address, 80};
	local = (struct endpoint){sender.address, 40000};
	need(tcp_listen(receiver.tcp, &listen, &l) == 0, "cannot listen");
	need(tcp_connect(sender.tcp, &local, &remote, NULL, &sender, START, &sender.conn) == 0,
	     "cannot connect");
	tcp_attach(sender.conn, sender.rx, sender.tx);
	run(segments);
	for (int i = 0; i < 2; i++) {
		struct end *e = i ? &receiver : &sender;

		tcp_destroy(e->tcp);
		net_destroy(e->net);
		e->driver->ops->close(e->driver);
		free(e->rx.mem);
		free(e->tx.mem);
	}
	lab_rules_free(&rules);
	plugins_destroy(plugins);
	return 0;
}
