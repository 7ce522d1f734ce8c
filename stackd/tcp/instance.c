/* SPDX-License-Identifier: BSD-2-Clause */
/* instance.c - owns the instance: memory, the way of a segment to its connection, the run of timers
 * and output, and the queue of events. */
#include "tcp/conn.h"

#define LISTENER_BUCKETS 256u
#define BUCKETS_MAX      (1u << 17)

static void init_pools(struct tcp *t, const struct tcp_config *config)
{
	static const uint32_t class_size[STATE_CLASSES] = {64, 128, 256, 512};
	const struct memory *m = config->memory;
	uint32_t n = config->connections_max;

	pool_init(&t->conn_pool, m, sizeof(struct tcp_conn), n);
	pool_init(&t->chunk_pool, m, sizeof(struct chunk), config->chunks_max);
	pool_init(&t->held_pool, m, sizeof(struct held), n);
	pool_init(&t->listener_pool, m, sizeof(struct tcp_listener), LISTENERS_MAX);
	for (unsigned i = 0; i < STATE_CLASSES; i++)
		pool_init(&t->state_pool[i], m, class_size[i], KIND_MAX * n);
	time_wait_init(t);
}

static void destroy_pools(struct tcp *t)
{
	pool_destroy(&t->conn_pool);
	pool_destroy(&t->chunk_pool);
	pool_destroy(&t->held_pool);
	pool_destroy(&t->listener_pool);
	pool_destroy(&t->time_wait_pool);
	for (unsigned i = 0; i < STATE_CLASSES; i++)
		pool_destroy(&t->state_pool[i]);
}

static int init_tables(struct tcp *t, const struct tcp_config *config)
{
	uint32_t buckets =
	    config->connections_max < BUCKETS_MAX ? config->connections_max : BUCKETS_MAX;
	int ret = table_init(&t->conns, t->memory, buckets);

	if (ret < 0)
		return ret;
	ret = table_init(&t->time_waits, t->memory, buckets);
	if (ret < 0)
		goto no_time_waits;
	ret = table_init(&t->listeners, t->memory, LISTENER_BUCKETS);
	if (ret < 0)
		goto no_listeners;
	return 0;

no_listeners:
	table_destroy(&t->time_waits);
no_time_waits:
	table_destroy(&t->conns);
	return ret;
}

struct tcp *tcp_create(const struct tcp_config *config, ns_t now)
{
	const struct memory *m = config->memory;
	struct tcp *t = m->take(m->ctx, sizeof(*t));

	if (!t)
		return NULL;
	t->net = config->net;
	t->memory = m;
	t->counters = config->counters;
	t->secret = config->secret;
	t->rules = config->rules;
	t->debug = config->debug;
	t->now = now;
	t->challenge_second = now;
	list_init(&t->dirty);
	list_init(&t->eventful);
	list_init(&t->acked);
	wheel_init(&t->wheel, now);
	wheel_init(&t->time_wait_wheel, now);
	t->newly = m->take(m->ctx, NEWLY_MAX * sizeof(t->newly[0]));
	if (!t->newly)
		goto no_newly;
	if (init_tables(t, config) < 0)
		goto no_tables;
	init_pools(t, config);
	return t;

no_tables:
	m->give(m->ctx, t->newly, NEWLY_MAX * sizeof(t->newly[0]));
no_newly:
	m->give(m->ctx, t, sizeof(*t));
	return NULL;
}

void tcp_destroy(struct tcp *t)
{
	const struct memory *m = t->memory;

	destroy_pools(t);
	table_destroy(&t->conns);
	table_destroy(&t->time_waits);
	table_destroy(&t->listeners);
	m->give(m->ctx, t->newly, NEWLY_MAX * sizeof(t->newly[0]));
	m->give(m->ctx, t, sizeof(*t));
}

void tcp_set_rules(struct tcp *t, const struct tcp_rules *rules)
{
	t->rules = rules;
}

void tcp_set_tape(struct tcp *t, struct tape *tape)
{
	t->tape = tape;
}

void tcp_set_draining(struct tcp *t, bool draining)
{
	t->draining = draining;
}

uint32_t tcp_conn_count(const struct tcp *t)
{
	return t->conns.count;
}

uint32_t tcp_listener_count(const struct tcp *t)
{
	return t->listeners.count;
}

/* Time goes on, and a connection whose end was told is freed. */
static void begin(struct tcp *t, ns_t now)
{
	assert(now >= t->now);
	t->now = now;
	if (t->dying)
		conn_free(t->dying);
	t->dying = NULL;
}

/* --- frames
 * ---------------------------------------------------------------------------------------- */

static bool parse(struct tcp *t, const struct net_segment *in, struct segment *s)
{
	enum count_id why;

	if (segment_parse(in, s, &why))
		return true;
	count(t->counters, why);
	return false;
}

enum tcp_outcome tcp_input(struct tcp *t, const struct net_segment *in, ns_t now,
			   struct tcp_conn **conn)
{
	struct tcp_listener *l;
	struct time_wait *w;
	struct segment s;
	uint64_t hash;

	begin(t, now);
	*conn = NULL;
	if (!parse(t, in, &s))
		return TCP_DONE;
	*conn = demux_recent(t, &s);
	if (*conn)
		return input_segment(*conn, &s);
	hash = demux_hash(t, &s.local, &s.remote);
	*conn = demux_find(t, hash, in->interface, &s.local, &s.remote);
	if (*conn) {
		t->recent = *conn;
		return input_segment(*conn, &s);
	}
	w = time_wait_find(t, hash, &s);
	if (w && time_wait_input(t, w, &s))
		return TCP_DONE;
	l = demux_listener(t, hash, &s);
	if (l && t->draining) {
		count(t->counters, COUNT_tcp_draining);
		l = NULL;
	}
	return l ? listen_input(l, &s, conn) : TCP_NOT_FOUND;
}

struct tcp_conn *tcp_lookup(struct tcp *t, const struct net_segment *in)
{
	struct segment s;

	if (!parse(t, in, &s))
		return NULL;
	return demux_find(t, demux_hash(t, &s.local, &s.remote), in->interface, &s.local, &s.remote);
}

void tcp_reject(struct tcp *t, const struct net_segment *in, ns_t now)
{
	struct segment s;

	begin(t, now);
	if (parse(t, in, &s))
		output_reject(t, &s);
}

/* --- ICMP (MUST-54)
 * -------------------------------------------------------------------------------- */

static void icmp_error(struct tcp_conn *c, const struct net_error *e)
{
	/* RFC 5927 4: hard errors are soft ones on a synchronised connection */
	if (e->kind == NET_ERROR_TOO_BIG)
		mss_too_big(c, e->mtu);
	else if (e->kind == NET_ERROR_HARD && c->state == TCP_SYN_SENT)
		conn_finish(c, e->error);
	else
		conn_soft_error(c, e->error);
}

bool tcp_error(struct tcp *t, const struct net_error *e, ns_t now)
{
	struct endpoint local = {e->local, e->local_port}, remote = {e->remote, e->remote_port};
	struct tcp_conn *c;
	uint64_t off;

	begin(t, now);
	c = demux_find(t, demux_hash(t, &local, &remote), DEMUX_NOWHERE, &local, &remote);
	if (!c)
		return false;
	c->view.now = now;
	off = seq_unwrap(e->seq, c->iss + 1, c->view.snd_una);
	/* the SYN stands one below offset 0 */
	if (conn_synchronized(c) ? off < c->view.snd_una || off >= c->view.snd_nxt
				 : e->seq != c->iss) {
		count(t->counters, COUNT_icmp_stale);
		return true;
	}
	icmp_error(c, e);
	return true;
}

/* --- running
 * ----------------------------------------------------------------------------------------- */

void tcp_run(struct tcp *t, ns_t now)
{
	struct list round, *n;

	begin(t, now);
	t->blocked = false;
	timer_run(t);
	/* one round: who is blocked by the driver waits for the next */
	list_init(&round);
	while ((n = list_pop(&t->dirty)))
		list_push_back(&round, n);
	while ((n = list_pop(&round)))
		output_run(container_of(n, struct tcp_conn, dirty));
}

ns_t tcp_deadline(const struct tcp *t)
{
	ns_t a = wheel_next(&t->wheel), b = wheel_next(&t->time_wait_wheel);

	if (!list_empty(&t->dirty) && !t->blocked)
		return t->now;
	return a < b ? a : b;
}

bool tcp_blocked(const struct tcp *t)
{
	return t->blocked;
}

struct tcp_conn *tcp_next_event(struct tcp *t, uint32_t *events)
{
	struct tcp_conn *c;
	struct list *n;

	begin(t, t->now);
	n = list_pop(&t->eventful);
	if (!n)
		return NULL;
	c = container_of(n, struct tcp_conn, eventful);
	*events = c->events;
	c->events = 0;
	if (*events & TCP_EV_CLOSED)
		t->dying = c;
	return c;
}
