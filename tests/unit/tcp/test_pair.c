/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pair.c - two instances over a link that loses, delays, reorders and duplicates; both sides
 * write and read in random pieces with plugins drawn by lot, and every byte is compared.  argv[1]:
 * the only seed to run; or 0 and how many. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "shipped.h"
#include "talk.h"

#define WIRE_MAX 4096u
#define TIME_MAX (3600 * NS_PER_S)

struct flying {
	ns_t at;
	int to;
	struct fake_packet *p;
};

struct side {
	struct net net;
	struct tcp *tcp;
	struct counters counters;
	struct tcp_conn *conn;
	uint8_t rx[TALK_RING], tx[TALK_RING];
	uint64_t total, queued, consumed; /* total: to be sent */
	bool shut, eof, closed;
	int error;
};

struct pair {
	struct rng rng;
	struct side side[2];
	struct flying wire[WIRE_MAX];
	uint32_t flying;
	struct tcp_profile profile;
	struct tcp_rules rules;
	uint64_t rto_ns, cwnd_segs;
	double loss, reorder, duplicate;
	uint32_t path_mtu; /* from path_at on */
	ns_t path_at;
	bool path_tells; /* by ICMP */
	ns_t now;
};

static uint8_t byte_of(int side, uint64_t off)
{
	return (uint8_t)(talk_byte(off) + side);
}

static void *take_memory(void *ctx, size_t bytes)
{
	size_t size = (bytes + 63) / 64 * 64;
	void *p = aligned_alloc(64, size);

	(void)ctx;
	return p ? memset(p, 0, size) : NULL;
}

static void give_memory(void *ctx, void *slab, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(slab);
}

static const struct memory memory = {.take = take_memory, .give = give_memory};

static void put_on_wire(struct pair *w, int to, struct fake_packet *p, ns_t delay)
{
	assert_true(w->flying < WIRE_MAX);
	w->wire[w->flying++] = (struct flying){w->now + delay, to, p};
}

/* Larger than the path takes: swallowed, with or without a word. */
static bool too_big(struct pair *w, int from, const struct fake_packet *p)
{
	uint32_t head = 20 + (p->l4[12] >> 4) * 4u, data = p->len + 20 - head;
	uint32_t size = head + (p->gso_size && p->gso_size < data ? p->gso_size : data);
	struct net_error e = {.kind = NET_ERROR_TOO_BIG, .mtu = w->path_mtu};

	if (w->now < w->path_at || size <= w->path_mtu)
		return false;
	if (!w->path_tells)
		return true;
	e.local = p->src;
	e.remote = p->dst;
	e.local_port = get_be16(p->l4);
	e.remote_port = get_be16(p->l4 + 2);
	e.seq = get_be32(p->l4 + 4);
	tcp_error(w->side[from].tcp, &e, w->now);
	return true;
}

/* What a side has sent: lost, late, twice, or on its way. */
static void take_sent(struct pair *w, int from)
{
	struct fake_packet *p;

	while ((p = fake_net_take(&w->side[from].net))) {
		ns_t delay = 5 * NS_PER_MS;

		if (too_big(w, from, p)) {
			free(p);
			continue;
		}
		if (rng_chance(&w->rng, w->reorder))
			delay += rng_below(&w->rng, 10 * NS_PER_MS);
		if (rng_chance(&w->rng, w->duplicate)) {
			size_t size = offsetof(struct fake_packet, l4) + p->len;
			struct fake_packet *twin = malloc(size);

			memcpy(twin, p, size);
			put_on_wire(w, !from, twin, delay + rng_below(&w->rng, NS_PER_MS));
		}
		if (rng_chance(&w->rng, w->loss))
			free(p);
		else
			put_on_wire(w, !from, p, delay);
	}
}

static void attach(struct side *s, struct tcp_conn *c)
{
	struct byte_ring rx = {s->rx, TALK_RING}, tx = {s->tx, TALK_RING};

	s->conn = c;
	tcp_attach(c, rx, tx);
}

static void deliver(struct pair *w, int to, struct fake_packet *p)
{
	struct side *s = &w->side[to];
	struct net_segment in = fake_segment(p);
	struct tcp_conn *c;
	enum tcp_outcome outcome;

	/* a second span, at an odd place */
	struct span rest;
	uint32_t head = (uint32_t)(p->l4[12] >> 4) * 4;

	if (p->len > head + 7) {
		in.l4_linear = head + 7;
		rest = (struct span){p->l4 + in.l4_linear, p->len - in.l4_linear};
		in.more = &rest;
		in.more_count = 1;
	}
	outcome = tcp_input(s->tcp, &in, w->now, &c);
	if (outcome == TCP_NEEDS_BUFFERS) {
		attach(s, c);
		tcp_input(s->tcp, &in, w->now, &c);
	} else if (outcome == TCP_NOT_FOUND) {
		tcp_reject(s->tcp, &in, w->now);
	}
	free(p);
}

static void write_some(struct pair *w, int i)
{
	struct side *s = &w->side[i];
	uint64_t room = TALK_RING - (s->queued - tcp_acked(s->conn));
	uint64_t n = s->total - s->queued < room ? s->total - s->queued : room;

	if (n > 0) {
		n = 1 + rng_below(&w->rng, n);
		for (uint64_t k = 0; k < n; k++)
			s->tx[(s->queued + k) % TALK_RING] = byte_of(i, s->queued + k);
		s->queued += n;
		tcp_queued(s->conn, s->queued);
	}
	if (s->queued == s->total && !s->shut) {
		s->shut = true;
		tcp_shutdown_write(s->conn);
	}
}

static void read_some(struct pair *w, int i)
{
	struct side *s = &w->side[i];
	uint64_t there = tcp_received(s->conn) - s->consumed;
	uint64_t n = there ? 1 + rng_below(&w->rng, there) : 0;

	for (uint64_t k = 0; k < n; k++, s->consumed++)
		assert_int_equal(s->rx[s->consumed % TALK_RING], byte_of(!i, s->consumed));
	if (n)
		tcp_consumed(s->conn, s->consumed);
}

static void work(struct pair *w, int i)
{
	struct side *s = &w->side[i];
	uint32_t events;
	struct tcp_conn *c;

	tcp_run(s->tcp, w->now);
	while ((c = tcp_next_event(s->tcp, &events))) {
		assert_ptr_equal(c, s->conn);
		if (events & TCP_EV_CLOSED) {
			/* what came last is still in the ring */
			while (s->consumed < tcp_received(c))
				read_some(w, i);
			s->closed = true;
			s->error = tcp_conn_error(c);
		}
		if (events & TCP_EV_EOF)
			s->eof = true;
	}
	if (s->conn && !s->closed && tcp_next_event(s->tcp, &events) == NULL) {
		if (rng_chance(&w->rng, 0.7))
			write_some(w, i);
		if (rng_chance(&w->rng, 0.7))
			read_some(w, i);
		tcp_run(s->tcp, w->now);
	}
	take_sent(w, i);
}

static ns_t next_time(const struct pair *w)
{
	ns_t next = w->now + 20 * NS_PER_MS; /* the applications' own pace */

	for (int i = 0; i < 2; i++) {
		ns_t due = tcp_deadline(w->side[i].tcp);
		if (due < next)
			next = due;
	}
	for (uint32_t i = 0; i < w->flying; i++)
		if (w->wire[i].at < next)
			next = w->wire[i].at;
	return next > w->now ? next : w->now + 1000;
}

static void deliver_due(struct pair *w)
{
	for (uint32_t i = 0; i < w->flying;) {
		struct flying f = w->wire[i];

		if (f.at > w->now) {
			i++;
			continue;
		}
		memmove(&w->wire[i], &w->wire[i + 1], (--w->flying - i) * sizeof(f));
		deliver(w, f.to, f.p);
	}
}

/* Some run short of chunks: what can't be recorded waits, and what can't be split as well. */
static void start(struct pair *w, uint32_t gso_max)
{
	uint32_t chunks = rng_chance(&w->rng, 0.2) ? 2 + (uint32_t)rng_below(&w->rng, 20) : 10000;

	for (uint8_t i = 0; i < 2; i++) {
		uint8_t v4[4] = {10, 0, 0, (uint8_t)(i + 1)};
		struct addr own = addr_from4(v4);
		struct side *s = &w->side[i];
		struct tcp_config config = {.net = &s->net,
					    .memory = &memory,
					    .counters = &s->counters,
					    .secret = {{i, 5}},
					    .rules = &w->rules,
					    .connections_max = 100,
					    .chunks_max = chunks};

		fake_net_init(&s->net, &own, 1500, gso_max);
		s->tcp = tcp_create(&config, w->now);
		s->total = 1 + rng_below(&w->rng, 200000);
	}
}

static void open(struct pair *w)
{
	struct tcp_listen_config lc = {.local = {.port = 80}, .backlog = 1};
	struct tcp_listener *l;
	struct endpoint local = {w->side[0].net.own, 5000}, remote = {w->side[1].net.own, 80};
	struct tcp_conn *c;

	assert_int_equal(tcp_listen(w->side[1].tcp, &lc, &l), 0);
	assert_int_equal(tcp_connect(w->side[0].tcp, &local, &remote, NULL, NULL, w->now, &c), 0);
	attach(&w->side[0], c);
}

/* One of those that ship, of this kind; or one of the tests' own. */
static struct tcp_plugin any_of(struct pair *w, enum sp_kind kind)
{
	static const struct sp_plugin *const own[] = {&plain_recovery, &plain_sack, &plain_declines,
						      &plain_ack_each, &plain_ack_delayed};
	struct tcp_plugin list[64];
	unsigned n = 0;

	while ((list[n] = shipped(kind, n)).plugin)
		n++;
	for (unsigned i = 0; i < array_count(own); i++)
		if (own[i]->kind == kind)
			list[n++] = (struct tcp_plugin){own[i], NULL};
	if (kind == SP_RTO)
		list[n++] = (struct tcp_plugin){&plain_rto, &w->rto_ns};
	if (kind == SP_CC)
		list[n++] = (struct tcp_plugin){&plain_cc, &w->cwnd_segs};
	return list[rng_below(&w->rng, n)];
}

static void choose(struct pair *w)
{
	struct tcp_profile *p = &w->profile;

	key_defaults(tcp_keys, &p->knobs);
	p->knobs.receive_buffer = 1024 + rng_below(&w->rng, TALK_RING - 1024);
	p->knobs.timestamps = rng_chance(&w->rng, 0.5);
	p->knobs.nagle = rng_chance(&w->rng, 0.5);
	p->knobs.syn_retries = p->knobs.synack_retries = p->knobs.retries = 100;
	p->knobs.time_wait_ns = 240 * NS_PER_S;
	w->rto_ns = 200 * NS_PER_MS;
	w->cwnd_segs = 1 + rng_below(&w->rng, 30);
	p->recovery.count = p->rto.count = p->ack.count = p->cc.count = 1;
	p->recovery.use[0] = any_of(w, SP_RECOVERY);
	p->ack.use[0] = any_of(w, SP_ACK);
	p->rto.use[0] = any_of(w, SP_RTO);
	p->cc.use[0] = any_of(w, SP_CC);
	w->rules.fallback = p;
	w->loss = (double)rng_below(&w->rng, 4) * 0.05;
	w->reorder = rng_chance(&w->rng, 0.5) ? 0.1 : 0;
	w->duplicate = rng_chance(&w->rng, 0.5) ? 0.05 : 0;
	w->path_mtu = rng_chance(&w->rng, 0.3) ? 600 + (uint32_t)rng_below(&w->rng, 900) : 1500;
	w->path_at = w->now + rng_below(&w->rng, 2 * NS_PER_S);
	w->path_tells = rng_chance(&w->rng, 0.5);
}

static void finish(struct pair *w)
{
	for (uint32_t i = 0; i < w->flying; i++)
		free(w->wire[i].p);
	for (int i = 0; i < 2; i++) {
		fake_net_done(&w->side[i].net);
		tcp_destroy(w->side[i].tcp);
	}
	free(w);
}

static void transfer(uint64_t seed)
{
	struct pair *w = calloc(1, sizeof(*w));

	rng_seed(&w->rng, seed);
	w->now = NS_PER_S + seed * 37 * NS_PER_S;
	choose(w);
	start(w, rng_chance(&w->rng, 0.5) ? 65535 : 0);
	open(w);
	while (!w->side[0].closed || !w->side[1].closed) {
		work(w, 0);
		work(w, 1);
		w->now = next_time(w);
		deliver_due(w);
		if (w->now > TIME_MAX + seed * 37 * NS_PER_S) {
			for (int i = 0; i < 2; i++) {
				struct tcp_info o;
				if (w->side[i].closed || !w->side[i].conn)
					continue;
				tcp_info(w->side[i].conn, &o, w->now);
				fprintf(stderr,
					"%d %s una %lu nxt %lu end %lu limit %lu flight %lu "
					"lost %lu rcv %lu cwnd %lu total %lu rto %lu\n",
					i, tcp_state_name(o.state), o.snd_una, o.snd_nxt, o.snd_end,
					o.snd_limit, o.flight, o.lost, o.rcv_nxt, o.cwnd,
					w->side[i].total, o.rto);
			}
			fail_msg("seed %lu does not end", seed);
		}
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->side[i].consumed, w->side[!i].total);
		assert_true(w->side[i].eof);
		assert_int_equal(w->side[i].error, 0);
	}
	for (unsigned i = 0; i < COUNT_MAX; i++)
		if (count_info[i].kind == COUNT_FAULT &&
		    w->side[0].counters.n[i] + w->side[1].counters.n[i] > 0)
			fail_msg("seed %lu: %s", seed, count_info[i].name);
	print_message("seed %lu: %lu and %lu bytes in %llu ms, %lu resent, %s %s %s %s\n", seed,
		      w->side[0].total, w->side[1].total,
		      (uint64_t)(w->now - seed * 37 * NS_PER_S) / NS_PER_MS,
		      w->side[0].counters.n[COUNT_tx_retransmits] +
			  w->side[1].counters.n[COUNT_tx_retransmits],
		      w->profile.recovery.use[0].plugin->name, w->profile.ack.use[0].plugin->name,
		      w->profile.rto.use[0].plugin->name, w->profile.cc.use[0].plugin->name);
	finish(w);
}

static uint64_t only_seed, seeds = 300;

static void transfers(void **state)
{
	(void)state;
	for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : seeds);
	     seed++)
		transfer(seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(transfers)};

	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	if (argc > 2) /* 0 N: the first N */
		seeds = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
