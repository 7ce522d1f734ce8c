/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"

#define MAPPED_BYTES (64u << 10)

/* --- the pattern --------------------------------------------------------------------------------------- */

/* Eight bytes of the pattern. */
static uint64_t word(uint64_t seed, uint64_t index)
{
	uint64_t x = index * 0x9e3779b97f4a7c15ull + seed;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

uint8_t lab_byte(uint64_t seed, uint64_t off)
{
	return (uint8_t)(word(seed, off >> 3) >> (off & 7) * 8);
}

/* The pattern from `off` on; the host's byte order does not show. */
static void fill(uint64_t seed, uint64_t off, uint8_t *mem, uint32_t len)
{
	uint64_t x = word(seed, off >> 3);

	for (uint32_t i = 0; i < len; i++, off++) {
		if ((off & 7) == 0)
			x = word(seed, off >> 3);
		mem[i] = (uint8_t)(x >> (off & 7) * 8);
	}
}

/* Offset of the first byte that isn't the pattern's; len: none. */
static uint32_t differs(uint64_t seed, uint64_t off, const uint8_t *mem, uint32_t len)
{
	uint64_t x = word(seed, off >> 3);

	for (uint32_t i = 0; i < len; i++, off++) {
		if ((off & 7) == 0)
			x = word(seed, off >> 3);
		if (mem[i] != (uint8_t)(x >> (off & 7) * 8))
			return i;
	}
	return len;
}

/* --- memory --------------------------------------------------------------------------------------------- */

void lab_fail(const char *what)
{
	fprintf(stderr, "stackd-lab: %s\n", what);
	abort();
}

void *lab_alloc(size_t bytes)
{
	void *mem = calloc(1, bytes ? bytes : 1);

	if (!mem)
		lab_fail("out of memory");
	return mem;
}

/* Large slabs straight from the kernel: they are zero and cost nothing where they aren't used. */
static void *slab_take(size_t round)
{
	void *mem;

	if (round >= MAPPED_BYTES) {
		mem = mmap(NULL, round, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return mem == MAP_FAILED ? NULL : mem;
	}
	mem = aligned_alloc(64, round);
	if (mem)
		memset(mem, 0, round);
	return mem;
}

static size_t rounded(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static void *take(void *ctx, size_t bytes)
{
	void *mem = slab_take(rounded(bytes));
	struct lab_host *h = ctx;

	if (!mem)
		lab_fail("out of memory");
	h->memory_bytes += bytes;
	return mem;
}

static void give(void *ctx, void *slab, size_t bytes)
{
	struct lab_host *h = ctx;

	h->memory_bytes -= bytes;
	if (rounded(bytes) >= MAPPED_BYTES)
		munmap(slab, rounded(bytes));
	else
		free(slab);
}

/* --- streams ---------------------------------------------------------------------------------------------- */

static struct lab_stream *stream_new(struct lab_host *h, const struct lab_stream *what)
{
	struct lab_stream *s;
	uint32_t bytes = h->config.ring_bytes;

	if (h->stream_count == LAB_STREAMS_MAX)
		lab_fail("too many streams on one host");
	s = lab_alloc(sizeof(*s));
	*s = *what;
	s->host = h;
	s->wrong_at = UINT64_MAX;
	s->rx = (struct byte_ring){lab_alloc(bytes), bytes};
	s->tx = (struct byte_ring){lab_alloc(bytes), bytes};
	h->stream[h->stream_count++] = s;
	return s;
}

void lab_stream_write(struct lab_stream *s)
{
	uint64_t end = s->acked + s->tx.size;
	struct span span[2];
	unsigned n;

	if (!s->conn || !s->connected || s->closed_by_us)
		return;
	if (end > s->to_send)
		end = s->to_send;
	if (end > s->queued) {
		n = byte_ring_spans(&s->tx, s->queued, (uint32_t)(end - s->queued), span);
		for (unsigned i = 0; i < n; i++) {
			fill(s->seed, s->queued, (uint8_t *)(uintptr_t)span[i].base, span[i].len);
			s->queued += span[i].len;
		}
		tcp_queued(s->conn, s->queued);
	}
	if (s->queued == s->to_send && s->close_when_done) {
		s->closed_by_us = true;
		tcp_shutdown_write(s->conn);
	}
}

static void read_upto(struct lab_stream *s, uint64_t upto)
{
	struct span span[2];
	unsigned n;

	if (upto > s->read_max)
		upto = s->read_max;
	if (upto <= s->received)
		return;
	n = byte_ring_spans(&s->rx, s->received, (uint32_t)(upto - s->received), span);
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = differs(s->expect_seed, s->received, span[i].base, span[i].len);

		if (at < span[i].len && s->wrong_at == UINT64_MAX)
			s->wrong_at = s->received + at;
		s->received += span[i].len;
	}
	if (s->conn)
		tcp_consumed(s->conn, s->received);
}

void lab_stream_read(struct lab_stream *s, ns_t now)
{
	uint64_t upto = s->arrived;

	if (s->read_every_ns) {
		if (now < s->next_read)
			return;
		if (upto > s->received + s->read_bytes)
			upto = s->received + s->read_bytes;
	}
	if (upto <= s->received)
		return;
	read_upto(s, upto);
	s->next_read = now + s->read_every_ns;
}

/* When the stream wants to read on: only a slow reader does. */
static ns_t read_deadline(const struct lab_stream *s)
{
	bool more = s->read_every_ns && s->arrived > s->received && s->received < s->read_max;

	return more ? s->next_read : NS_NEVER;
}

void lab_stream_info(struct lab_stream *s, ns_t now)
{
	if (s->conn)
		tcp_info(s->conn, &s->last, now);
}

static void stream_news(struct lab_host *h, struct lab_stream *s, uint32_t events, ns_t now)
{
	if (events & (TCP_EV_CONNECTED | TCP_EV_ACCEPTED))
		s->connected = true;
	if (events & TCP_EV_ACCEPTED) {
		h->accepted++;
		tcp_accepted(s->conn);
	}
	if (events & TCP_EV_READABLE)
		s->arrived = tcp_received(s->conn);
	if (events & TCP_EV_WRITABLE)
		s->acked = tcp_acked(s->conn);
	if (events & TCP_EV_EOF)
		s->eof = true;
	if (events & TCP_EV_CLOSED) {
		s->error = tcp_conn_error(s->conn);
		lab_stream_info(s, now);
		s->ended = true;
		s->ended_at = now;
		s->conn = NULL;
	}
	lab_stream_read(s, now);
	lab_stream_write(s);
}

static bool serve_streams(struct lab_host *h, ns_t now)
{
	struct tcp_conn *conn;
	uint32_t events;
	bool any = false;

	while ((conn = tcp_next_event(h->tcp, &events))) {
		struct lab_stream *s = tcp_user(conn);

		any = true;
		if (s)
			stream_news(h, s, events, now);
	}
	return any;
}

/* --- frames ------------------------------------------------------------------------------------------------- */

static void segment_arrived(struct lab_host *h, const struct net_segment *seg, ns_t now)
{
	struct tcp_conn *conn;
	enum tcp_outcome o = tcp_input(h->tcp, seg, now, &conn);

	if (o == TCP_NEEDS_BUFFERS) {
		struct lab_stream *s = stream_new(h, &h->accept_template);

		s->conn = conn;
		tcp_set_user(conn, s);
		tcp_attach(conn, s->rx, s->tx);
		o = tcp_input(h->tcp, seg, now, &conn);
	}
	if (o == TCP_NOT_FOUND)
		tcp_reject(h->tcp, seg, now);
}

bool lab_host_turn(struct lab_host *h, ns_t now)
{
	struct driver *d = h->config.driver;
	struct frame frames[FRAME_BURST_MAX];
	uint32_t n = d->ops->rx(d, now, frames, h->config.burst ? h->config.burst : FRAME_BURST_MAX);
	struct net_result r;
	bool any = n > 0;

	for (uint32_t i = 0; i < n; i++) {
		switch (net_input(h->net, 0, &frames[i], now, &r)) {
		case NET_SEGMENT: segment_arrived(h, &r.segment, now); break;
		case NET_ERROR: tcp_error(h->tcp, &r.error, now); break;
		default: break;
		}
	}
	if (n)
		d->ops->rx_release(d);
	for (uint32_t i = 0; i < h->stream_count; i++)
		if (read_deadline(h->stream[i]) <= now)
			lab_stream_read(h->stream[i], now);
	any |= serve_streams(h, now);
	tcp_run(h->tcp, now);
	any |= serve_streams(h, now);
	net_flush(h->net, now);
	return any;
}

static ns_t earliest(ns_t a, ns_t b)
{
	return a < b ? a : b;
}

ns_t lab_host_deadline(const struct lab_host *h, ns_t now)
{
	struct driver *d = h->config.driver;
	ns_t at = earliest(tcp_deadline(h->tcp), net_deadline(h->net));

	for (uint32_t i = 0; i < h->stream_count; i++)
		at = earliest(at, read_deadline(h->stream[i]));
	if (d->ops->deadline)
		at = earliest(at, d->ops->deadline(d));
	if (d->ops->rx_ready(d, now))
		at = now;
	if (tcp_blocked(h->tcp))
		at = earliest(at, now + 10 * NS_PER_US);
	return at;
}

/* --- hosts ------------------------------------------------------------------------------------------------------ */

struct lab_host *lab_host_create(const struct lab_host_config *config, ns_t now)
{
	struct lab_host *h = lab_alloc(sizeof(*h));
	struct net_config net = {.interface_count = 1, .memory = &h->memory};
	struct tcp_config tcp = {.memory = &h->memory, .rules = config->rules, .connections_max = 64,
				 .chunks_max = 1000000, .debug = !config->lenient};
	struct rng rng;

	h->memory = (struct memory){take, give, h};
	h->config = *config;
	rng_seed(&rng, config->seed);
	net.secret.k[0] = tcp.secret.k[0] = rng_next(&rng);
	net.secret.k[1] = tcp.secret.k[1] = rng_next(&rng);
	/* no hardware fills in a checksum here, and a damaged one may look as if it were only begun */
	net.interface[0] = (struct net_if_config){
		.driver = config->driver, .rx_csum = RX_CSUM_STRICT, .address_count = 1};
	if (prefix_parse(config->address, &net.interface[0].address[0]) != 0)
		lab_fail("an address that is none");
	h->address = net.interface[0].address[0].addr;
	if (addr_is4(&config->gateway))
		net.interface[0].gateway4 = config->gateway;
	else
		net.interface[0].gateway6 = config->gateway;
	net.counters = tcp.counters = &h->counters;
	h->net = net_create(&net, now);
	if (!h->net)
		lab_fail("net_create failed");
	tcp.net = h->net;
	h->tcp = tcp_create(&tcp, now);
	if (!h->tcp)
		lab_fail("tcp_create failed");
	h->accept_template = (struct lab_stream){.read_max = UINT64_MAX, .close_when_done = true};
	return h;
}

void lab_host_destroy(struct lab_host *h)
{
	tcp_destroy(h->tcp);
	net_destroy(h->net);
	h->config.driver->ops->close(h->config.driver);
	if (h->memory_bytes != 0)
		lab_fail("the stack has not given back all of its memory");
	for (uint32_t i = 0; i < h->stream_count; i++) {
		free(h->stream[i]->rx.mem);
		free(h->stream[i]->tx.mem);
		free(h->stream[i]);
	}
	free(h);
}

int lab_listen(struct lab_host *h, uint16_t port, uint32_t backlog)
{
	struct tcp_listen_config c = {.local = {h->address, port}, .backlog = backlog, .user = h};
	struct tcp_listener *l;

	return tcp_listen(h->tcp, &c, &l);
}

struct lab_stream *lab_connect(struct lab_host *h, const struct addr *to, uint16_t port, uint16_t local_port,
			       const struct lab_stream *what, ns_t now)
{
	struct endpoint local = {h->address, local_port}, remote = {*to, port};
	struct lab_stream *s = stream_new(h, what);

	if (tcp_connect(h->tcp, &local, &remote, NULL, s, now, &s->conn)) {
		h->stream_count--;
		free(s->rx.mem);
		free(s->tx.mem);
		free(s);
		return NULL;
	}
	tcp_attach(s->conn, s->rx, s->tx);
	return s;
}

/* Each host is told where the other is, as if it had just asked. */
static void introduce(struct lab_world *w)
{
	if (!w->introduced || w->now < w->introduce_at)
		return;
	w->introduce_at = w->now + NS_PER_S;
	for (unsigned i = 0; i < 2; i++) {
		struct net_neighbour n = {.addr = w->host[!i]->address, .confirmed = true};

		memcpy(n.mac, w->host[!i]->config.driver->caps.mac, sizeof(n.mac));
		net_learn(w->host[i]->net, &n, w->now);
	}
}

bool lab_run(struct lab_world *w, ns_t until, bool (*done)(void *), void *arg)
{
	while (w->now < until) {
		bool any;
		ns_t next;

		introduce(w);
		any = lab_host_turn(w->host[0], w->now);
		any |= lab_host_turn(w->host[1], w->now);
		w->turns++;
		if (done && done(arg))
			return true;
		if (any)
			continue;
		next = earliest(lab_host_deadline(w->host[0], w->now), lab_host_deadline(w->host[1], w->now));
		if (next == NS_NEVER)
			return false;
		if (next > w->now)
			w->now = next;
		else
			w->now += 1; /* something is due that the last turn could not do */
	}
	return false;
}
