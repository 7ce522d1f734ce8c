/* SPDX-License-Identifier: BSD-2-Clause */
/* event.c - TCP's news into shared memory; subscriptions and event queues; letters to others. */
#include <assert.h>
#include <errno.h>

#include "sock/table.h"

/* How many letters wait is for clients to decide: the ring doubles when it is full. */
static bool letters_grow(struct sock_table *t)
{
	const struct memory *m = t->config.memory;
	uint32_t old = t->letters_size;
	struct sock_letter *wider = m->take(m->ctx, 2 * old * sizeof(*wider));

	if (!wider)
		return false;
	for (uint32_t i = t->letters_head; i != t->letters_tail; i++)
		wider[i & (2 * old - 1)] = t->letters[i & (old - 1)];
	m->give(m->ctx, t->letters, old * sizeof(*t->letters));
	t->letters = wider;
	t->letters_size = 2 * old;
	return true;
}

void sock_letter(struct sock_table *t, const struct sock_letter *l)
{
	if (t->letters_tail - t->letters_head == t->letters_size && !letters_grow(t)) {
		count(t->counters, COUNT_client_letters_lost);
		return;
	}
	t->letters[t->letters_tail++ & (t->letters_size - 1)] = *l;
}

bool sock_next_letter(struct sock_table *t, struct sock_letter *out)
{
	if (t->letters_head == t->letters_tail)
		return false;
	*out = t->letters[t->letters_head++ & (t->letters_size - 1)];
	return true;
}

void sock_expel(struct sock_table *t, struct sock_client *c, enum count_id id, const char *why)
{
	count(t->counters, id);
	if (atomic_exchange(&c->expelled, true))
		return;
	count(t->counters, COUNT_client_expelled);
	c->expelled_why = why;
	sock_letter(t, &(struct sock_letter){.kind = SOCK_EXPEL, .client = c});
}

/* --- subscriptions ---------------------------------------------------------------------------- */

void sock_sub_free(struct sock_table *t, struct sock_sub *sub)
{
	struct sock_client *c = sub->client;

	c->sub_at[t->shard * c->own->head.sub_count + sub->id] = NULL;
	list_unlink(&sub->of_sock);
	list_unlink(&sub->of_client);
	pool_give(&t->subs, sub);
}

void sock_sub_end(struct sock_table *t, struct sock_client *c, const struct sock *s, const struct stackd_sqe *e)
{
	struct sock_sub *sub = c->sub_at[t->shard * c->own->head.sub_count + (uint32_t)e->arg2];

	if (sub && sub->sock == s && (int32_t)((uint32_t)(e->arg2 >> 32) - sub->turn) >= 0)
		sock_sub_free(t, sub);
}

void sock_sub_set(struct sock_table *t, struct sock_client *c, struct sock *s, const struct stackd_sqe *e)
{
	uint32_t id = (uint32_t)e->arg2, evq = (uint32_t)e->arg, turn = (uint32_t)(e->arg2 >> 32);
	struct sock_sub **at = &c->sub_at[t->shard * c->own->head.sub_count + id];
	struct sock_sub *sub = *at;

	if (atomic_load(&stackd_shm_sub(c->own->mem, &c->own->head, id)->turn) != turn)
		return;
	if (sub && (sub->sock != s || sub->evq != evq)) {
		sock_sub_free(t, sub);
		sub = NULL;
	}
	if (!sub) {
		sub = pool_take(&t->subs);
		if (!sub) {
			sock_expel(t, c, COUNT_client_bad_message, "too many subscriptions");
			return;
		}
		*sub = (struct sock_sub){.client = c, .sock = s, .evq = evq, .id = id};
		list_push_back(sock_subs(t, s), &sub->of_sock);
		list_push_back(&c->subs[t->shard], &sub->of_client);
		*at = sub;
	}
	sub->interest = e->opt;
	sub->turn = turn;
	if (!(sub->interest & STACKD_SIGNAL))
		sock_post(t, sub);
}

void sock_post(struct sock_table *t, struct sock_sub *sub)
{
	struct sock_client *c = sub->client;
	const struct stackd_shm_head *h = &c->own->head;
	struct sock_evq *q = &c->evq[t->shard * h->evq_count + sub->evq];
	struct stackd_evq_ring *ring;
	uint32_t head;

	if (!q->client) {
		q->client = c;
		list_init(&q->touched);
	}
	if (list_empty(&q->touched))
		list_push_back(&t->touched, &q->touched);
	if (sub->interest & STACKD_SIGNAL) {
		q->signals = true;
		return;
	}
	if (atomic_exchange(&stackd_shm_sub(c->own->mem, h, sub->id)->posted, 1))
		return;
	ring = stackd_shm_evq_ring(c->own->mem, h, sub->evq, t->shard);
	head = atomic_load_explicit(&ring->head, memory_order_acquire);
	if (q->tail - head >= h->evq_entries) {
		sock_expel(t, c, COUNT_client_bad_index, "event queue index outside its ring");
		return;
	}
	atomic_store_explicit(&ring->sub[q->tail & (h->evq_entries - 1)], sub->id, memory_order_relaxed);
	atomic_store_explicit(&ring->tail, ++q->tail, memory_order_release);
}

/* what 0: everybody hears of it, but SIGURG tells of nothing else. */
static bool is_for(const struct sock_sub *sub, uint32_t what)
{
	if (what)
		return sub->interest & what;
	return !(sub->interest & STACKD_SIGNAL) || (sub->interest & STACKD_IN);
}

void sock_tell(struct sock_table *t, struct list *subs, uint32_t what)
{
	list_for_each(n, subs) {
		struct sock_sub *sub = container_of(n, struct sock_sub, of_sock);

		if (is_for(sub, what))
			sock_post(t, sub);
	}
}

/* -1: it is awake. */
static int wakeup_fd(struct sock_table *t, struct sock_evq *q)
{
	struct sock_client *c = q->client;
	const struct stackd_shm_head *h = &c->own->head;
	uint32_t number = (uint32_t)(q - &c->evq[t->shard * h->evq_count]);
	struct stackd_evq *shm = stackd_shm_evq(c->own->mem, h, number);

	if (!q->signals && (!atomic_load_explicit(&shm->sleeping, memory_order_relaxed) ||
			    !atomic_exchange(&shm->sleeping, 0)))
		return -1;
	q->signals = false;
	return atomic_load(&c->evq_fd[number]);
}

int sock_next_wakeup(struct sock_table *t, bool *trusted)
{
	struct list *n;

	if (list_empty(&t->touched))
		return -1;
	atomic_thread_fence(memory_order_seq_cst);
	while ((n = list_pop(&t->touched))) {
		struct sock_evq *q = container_of(n, struct sock_evq, touched);
		int fd = wakeup_fd(t, q);

		if (fd >= 0) {
			*trusted = q->client->trusted;
			count(t->counters, COUNT_client_wakeups);
			return fd;
		}
	}
	return -1;
}

/* --- news --------------------------------------------------------------------------------------- */

static uint32_t news_received(struct sock *s, struct stackd_sock *shm)
{
	s->rx_tail = tcp_received(s->conn);
	atomic_store_explicit(&shm->rx_tail, s->rx_tail, memory_order_release);
	return STACKD_IN;
}

/* TCP would take more.  Before the cursor is stored, so that who looks at both again sees both. */
static void grow_tx(struct sock *s, struct stackd_sock *shm)
{
	uint32_t limit = s->tx_fixed ? 0 : tcp_send_limit(s->conn, (uint32_t)s->region->head.tx_bytes);

	if (limit <= s->tx_limit)
		return;
	s->tx_limit = limit;
	atomic_store_explicit(&shm->tx_limit, limit, memory_order_relaxed);
}

/* As Linux does: a third is free, and of TCP_NOTSENT_LOWAT less than half is unsent. */
static bool is_writable(const struct sock *s, uint64_t tail)
{
	uint64_t limit = s->tx_limit;

	return tail - s->tx_head <= limit - limit / 3 &&
	       (!s->tx_lowat || (tail - s->tx_sent) * 2 < s->tx_lowat);
}

/* A writer that found no room hears of it. */
static uint32_t news_room(struct sock *s, struct stackd_sock *shm)
{
	uint64_t sent = s->tx_lowat ? tcp_sent(s->conn) : 0;

	grow_tx(s, shm);
	s->tx_head = tcp_acked(s->conn);
	atomic_store_explicit(&shm->tx_head, s->tx_head, memory_order_release);
	if (sent > s->tx_sent) {
		s->tx_sent = sent;
		atomic_store_explicit(&shm->tx_sent, sent, memory_order_release);
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&shm->tx_nospace, memory_order_relaxed) ||
	    !is_writable(s, atomic_load_explicit(&shm->tx_tail, memory_order_relaxed)))
		return 0;
	atomic_store_explicit(&shm->tx_nospace, 0, memory_order_relaxed);
	return STACKD_OUT;
}

void sock_tell_room(struct sock_table *t, struct sock *s)
{
	if (s->kind == SOCK_CONN && news_room(s, sock_shm(s)))
		sock_tell(t, &s->subs, STACKD_OUT);
}

static void news_connected(struct sock *s, struct stackd_sock *shm)
{
	sock_publish_endpoints(s);
	grow_tx(s, shm);
	atomic_store_explicit(&shm->rx_ack_at, tcp_consume_at(s->conn), memory_order_relaxed);
	atomic_store_explicit(&shm->state, STACKD_SOCK_CONNECTED, memory_order_release);
}

static void news_closed(struct sock_table *t, struct sock *s, struct stackd_sock *shm)
{
	int error = tcp_conn_error(s->conn);
	uint32_t flags = STACKD_RX_EOF | STACKD_TX_SHUT | (error ? STACKD_RESET : 0);

	s->conn = NULL;
	s->kind = SOCK_ENDED;
	if (s->holders == 0 && !s->offered) {
		sock_free(t, s);
		return;
	}
	if (error)
		atomic_store_explicit(&shm->error, error, memory_order_relaxed);
	atomic_fetch_or_explicit(&shm->flags, flags, memory_order_release);
	atomic_store_explicit(&shm->state, STACKD_SOCK_CLOSED, memory_order_release);
	sock_tell(t, &s->subs, 0);
}

/* As Linux: SO_ERROR tells it, or the time-out that it ends in; with IP_RECVERR it is an error at once. */
static void news_soft_error(struct sock_table *t, struct sock *s, struct stackd_sock *shm)
{
	const struct sock_options *o = s->options;
	int error = tcp_soft_error(s->conn);
	bool now = error && o && (o->set >> STACKD_OPT_RECVERR & 1) && o->value[STACKD_OPT_RECVERR];

	atomic_store_explicit(&shm->soft_error, error, memory_order_relaxed);
	if (!now || atomic_load_explicit(&shm->state, memory_order_relaxed) != STACKD_SOCK_CONNECTED)
		return;
	atomic_store_explicit(&shm->error, error, memory_order_release);
	sock_tell(t, &s->subs, 0);
}

static void sock_news(struct sock_table *t, struct sock *s, uint32_t events)
{
	struct stackd_sock *shm = sock_shm(s);
	uint32_t what = 0;

	if (events & TCP_EV_CONNECTED) {
		news_connected(s, shm);
		what |= STACKD_IN | STACKD_OUT;
	}
	if (events & TCP_EV_READABLE)
		what |= news_received(s, shm);
	if (events & (TCP_EV_WRITABLE | TCP_EV_SENT))
		what |= news_room(s, shm);
	if (events & TCP_EV_URGENT) {
		atomic_store_explicit(&shm->urgent_off, tcp_urgent(s->conn), memory_order_relaxed);
		atomic_fetch_or_explicit(&shm->flags, STACKD_URGENT, memory_order_release);
		what |= STACKD_IN | STACKD_URGENT_IN;
	}
	if (events & TCP_EV_EOF) {
		atomic_fetch_or_explicit(&shm->flags, STACKD_RX_EOF, memory_order_release);
		what |= STACKD_IN | STACKD_OUT;
	}
	if (events & TCP_EV_SOFT_ERROR)
		news_soft_error(t, s, shm);
	if (events & TCP_EV_ACCEPTED) {
		grow_tx(s, shm);
		sock_offer(t, s);
	}
	if (what)
		sock_tell(t, &s->subs, what);
	if (events & TCP_EV_CLOSED)
		news_closed(t, s, shm);
	else
		sock_give_back(t, s);
}

bool sock_events(struct sock_table *t)
{
	bool any = false;
	struct tcp_conn *conn;
	uint32_t events;

	while ((conn = tcp_next_event(t->tcp, &events))) {
		struct sock *s = tcp_user(conn);

		any = true;
		if (s)
			sock_news(t, s, events);
	}
	return any;
}
