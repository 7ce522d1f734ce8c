/* SPDX-License-Identifier: BSD-2-Clause */
#include "stand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "region.h"

#define RING 16384u
#define STEP (10 * NS_PER_MS)
#define SOON (2 * NS_PER_MS)

static void *take(void *ctx, size_t bytes)
{
	size_t size = (bytes + 63) / 64 * 64;
	void *p = aligned_alloc(64, size);

	(void)ctx;
	return p ? memset(p, 0, size) : NULL;
}

static void give(void *ctx, void *slab, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(slab);
}

static const struct memory memory = {take, give, NULL};

static void one(struct tcp_plugin_list *l, const struct sp_plugin *p, const void *params)
{
	l->count = 1;
	l->use[0] = (struct tcp_plugin){p, params};
}

static void start_shard(struct stand *s, uint32_t i)
{
	struct stand_shard *sh = &s->shard[i];
	struct tcp_config tcp = {.net = &sh->net, .memory = &memory, .counters = &sh->counters,
				 .secret = {{7, 11}}, .rules = &s->rules, .connections_max = 1000,
				 .chunks_max = 100000};
	struct sock_table_config table = {.memory = &memory, .counters = &sh->counters, .shard = i,
					  .shards = s->shards, .letters_max = 64, .port_min = 40000,
					  .port_max = 40999};

	fake_net_init(&sh->net, &s->own, 1500, 0);
	sh->tcp = table.tcp = tcp_create(&tcp, s->now);
	assert_non_null(sh->tcp);
	sh->table = sock_table_create(&table);
	assert_non_null(sh->table);
}

void stand_init(struct stand *s, uint32_t shards, uint32_t sockets)
{
	static const uint8_t own[4] = {10, 0, 0, 1};

	(void)sockets;
	memset(s, 0, sizeof(*s));
	s->shards = shards;
	s->now = NS_PER_S;
	s->own = addr_from4(own);
	s->rto_ns = NS_PER_S;
	s->cwnd_segs = 10;
	s->last_wakeup = -1;
	key_defaults(tcp_keys, &s->profile.knobs);
	s->profile.knobs.time_wait_ns = NS_PER_S;
	s->profile.knobs.receive_buffer = RING;
	one(&s->profile.rto, &plain_rto, &s->rto_ns);
	one(&s->profile.ack, &plain_ack_each, NULL);
	one(&s->profile.recovery, &plain_recovery, NULL);
	one(&s->profile.cc, &plain_cc, &s->cwnd_segs);
	s->rules.fallback = &s->profile;
	for (uint32_t i = 0; i < shards; i++)
		start_shard(s, i);
	s->ports = sock_ports_create(&memory, 40000, 40999);
	assert_non_null(s->ports);
}

void stand_done(struct stand *s)
{
	for (uint32_t i = 0; i < STAND_CLIENTS; i++)
		if (s->client[i].attached)
			stand_detach(s, &s->client[i]);
	stand_run(s);
	stand_after(s, 5 * NS_PER_S);
	assert_int_equal(stand_sockets(s), 0);
	for (uint32_t i = 0; i < s->shards; i++) {
		sock_table_destroy(s->shard[i].table);
		tcp_destroy(s->shard[i].tcp);
		fake_net_done(&s->shard[i].net);
	}
	sock_ports_destroy(s->ports);
}

/* --- clients -------------------------------------------------------------------------------------- */

static void unref(struct stand *s, struct sock_region *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	s->regions_freed++;
	region_free(r);
}

static void hold(struct sock_client *c, struct sock_region *r)
{
	struct sock_holds *h = &c->holds[c->hold_count++];

	h->region = r;
	h->bits = calloc((r->head.sock_count + 63) / 64, sizeof(*h->bits));
	atomic_fetch_add(&r->refs, 1);
}

static struct stand_client *free_place(struct stand *s)
{
	for (uint32_t i = 0; i < STAND_CLIENTS; i++)
		if (!s->client[i].attached)
			return &s->client[i];
	fail_msg("too many clients");
	return NULL;
}

struct stand_client *stand_attach(struct stand *s, uint32_t sockets)
{
	struct region_config config = {s->shards, sockets, RING, RING};
	struct stand_client *c = free_place(s);
	const struct stackd_shm_head *h;

	memset(c, 0, sizeof(*c));
	assert_int_equal(region_create(&config, &c->region), 0);
	h = &c->region->head;
	c->attached = true;
	c->sock.own = c->region;
	c->sock.evq_fd = calloc(h->evq_count, sizeof(*c->sock.evq_fd));
	c->sock.evq = calloc(h->evq_count * s->shards, sizeof(*c->sock.evq));
	c->sock.sub_at = calloc((size_t)h->sub_count * s->shards, sizeof(struct sock_sub *));
	for (uint32_t q = 0; q < h->evq_count; q++)
		c->sock.evq_fd[q] = (int)(100 + q);
	hold(&c->sock, c->region);
	for (uint32_t i = 0; i < s->shards; i++)
		sock_add_client(s->shard[i].table, &c->sock);
	return c;
}

struct stand_client *stand_clone(struct stand *s, struct stand_client *parent)
{
	struct stand_client *c = stand_attach(s, parent->region->head.sock_count);

	for (uint32_t i = 0; i < parent->sock.hold_count; i++)
		hold(&c->sock, parent->sock.holds[i].region);
	for (uint32_t i = 0; i < s->shards; i++)
		sock_clone_holds(s->shard[i].table, &parent->sock, &c->sock);
	return c;
}

static void free_client(struct stand *s, struct stand_client *c)
{
	c->attached = false;
	for (uint32_t i = 0; i < c->sock.hold_count; i++) {
		free((void *)(uintptr_t)c->sock.holds[i].bits);
		unref(s, c->sock.holds[i].region);
	}
	free((void *)(uintptr_t)c->sock.evq_fd);
	free(c->sock.evq);
	free(c->sock.sub_at);
	unref(s, c->region);
}

void stand_detach(struct stand *s, struct stand_client *c)
{
	c->sock.expelled = true;
	for (uint32_t i = 0; i < s->shards; i++)
		sock_remove_client(s->shard[i].table, &c->sock);
	free_client(s, c);
}

/* --- the control thread ----------------------------------------------------------------------------- */

static void unlisten(struct stand *s, struct sock *sock)
{
	struct sock_listener *record = sock->listener;
	struct sock_region *r = sock->region;

	for (uint32_t i = 0; i < s->shards; i++)
		sock_poll(s->shard[i].table, s->now);
	for (uint32_t i = 0; i < s->shards; i++)
		sock_unlisten(s->shard[i].table, sock);
	region_free_listener(r, record);
	sock_free_listener(s->shard[sock_owner(r, sock->slot)].table, sock);
}

static void expel(struct stand *s, struct sock_client *sock)
{
	for (uint32_t i = 0; sock && i < STAND_CLIENTS; i++) {
		struct stand_client *c = &s->client[i];

		if (!c->attached || &c->sock != sock)
			continue;
		c->expelled = true;
		c->why = sock->expelled_why;
		stand_detach(s, c);
	}
}

static void deliver(struct stand *s, uint32_t from, const struct sock_letter *l)
{
	switch (l->kind) {
	case SOCK_TO_SHARD:
		if (l->client && !l->client->expelled)
			sock_submit(s->shard[l->shard].table, l->client, &l->sqe, false, s->now);
		break;
	case SOCK_TO_ALL:
		for (uint32_t i = 0; l->client && !l->client->expelled && i < s->shards; i++)
			if (i != from)
				sock_submit(s->shard[i].table, l->client, &l->sqe, true, s->now);
		break;
	case SOCK_EXPEL: expel(s, l->client); break;
	case SOCK_UNLISTEN: unlisten(s, l->sock); break;
	case SOCK_REGION_EMPTY:
		s->regions_freed++;
		region_free(l->region);
		break;
	}
}

static bool letters(struct stand *s, uint32_t from)
{
	struct sock_letter l;
	bool any = false;

	while (sock_next_letter(s->shard[from].table, &l)) {
		any = true;
		deliver(s, from, &l);
	}
	return any;
}

/* --- the wire ------------------------------------------------------------------------------------------ */

static enum tcp_outcome input(struct stand *s, uint32_t shard, const struct net_segment *seg)
{
	struct stand_shard *sh = &s->shard[shard];
	struct tcp_conn *conn;
	enum tcp_outcome o = tcp_input(sh->tcp, seg, s->now, &conn);

	if (o == TCP_NEEDS_BUFFERS && sock_give_buffers(sh->table, conn))
		o = tcp_input(sh->tcp, seg, s->now, &conn);
	return o;
}

static void move(struct stand *s, uint32_t from, uint32_t to, struct tcp_conn *conn)
{
	struct sock *sock = tcp_user(conn);
	void *record = aligned_alloc(64, (tcp_export_size() + 63) / 64 * 64);
	struct sock_options options;

	if (tcp_export(s->shard[from].tcp, conn, record)) {
		sock_depart(s->shard[from].table, sock, to, &options);
		sock_adopt(s->shard[to].table, sock, tcp_import(s->shard[to].tcp, record, s->now), &options);
		s->adopted++;
	}
	free(record);
}

/* A receive queue is chosen by the ports; who knows the connection may be another one. */
static void arrives(struct stand *s, const struct net_segment *seg)
{
	uint32_t at = (uint32_t)(seg->l4[1] ^ seg->l4[3]) % s->shards;

	for (uint32_t i = 0; i < s->shards; i++) {
		struct tcp_conn *conn = tcp_lookup(s->shard[i].tcp, seg);

		if (!conn)
			continue;
		if (s->answers_elsewhere && s->shards > 1) {
			uint32_t to = (i + 1) % s->shards;

			move(s, i, to, conn);
			i = tcp_lookup(s->shard[to].tcp, seg) ? to : i;
		}
		input(s, i, seg);
		return;
	}
	if (input(s, at, seg) == TCP_NOT_FOUND)
		tcp_reject(s->shard[at].tcp, seg, s->now);
}

static bool wire(struct stand *s)
{
	bool any = false;

	for (uint32_t i = 0; i < s->shards; i++) {
		struct fake_packet *p;

		while ((p = fake_net_take(&s->shard[i].net))) {
			struct net_segment seg = fake_segment(p);

			any = true;
			arrives(s, &seg);
			free(p);
		}
	}
	return any;
}

static bool turn_shard(struct stand *s, uint32_t i)
{
	struct stand_shard *sh = &s->shard[i];
	bool any = sock_events(sh->table), trusted;
	int fd;

	any |= sock_poll(sh->table, s->now);
	sh->net.room = 500;
	tcp_run(sh->tcp, s->now);
	any |= sock_events(sh->table);
	while ((fd = sock_next_wakeup(sh->table, &trusted)) >= 0) {
		s->wakeups++;
		s->last_wakeup = fd;
	}
	return letters(s, i) || any;
}

static bool turn(struct stand *s)
{
	bool any = wire(s);

	s->now += NS_PER_US;
	for (uint32_t i = 0; i < s->shards; i++)
		any |= turn_shard(s, i);
	return any;
}

void stand_turn(struct stand *s)
{
	turn(s);
}

/* What is due so soon belongs to what goes on. */
static bool soon(struct stand *s)
{
	bool any = false;

	for (uint32_t i = 0; i < s->shards; i++) {
		ns_t at = tcp_deadline(s->shard[i].tcp);

		if (at > s->now && at <= s->now + SOON) {
			s->now = at;
			any = true;
		}
	}
	return any;
}

void stand_run(struct stand *s)
{
	for (int quiet = 0; quiet < 3;)
		quiet = turn(s) || soon(s) ? 0 : quiet + 1;
}

void stand_after(struct stand *s, ns_t ns)
{
	for (ns_t end = s->now + ns; s->now < end; s->now += STEP)
		stand_run(s);
}

uint64_t stand_count(const struct stand *s, enum count_id id)
{
	return s->shard[0].counters.n[id] + s->shard[1].counters.n[id];
}

uint32_t stand_sockets(const struct stand *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->shards; i++)
		n += sock_count(s->shard[i].table);
	return n;
}
