/* SPDX-License-Identifier: BSD-2-Clause */
/* submit.c - what clients submit: each entry copied once, checked, then done. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "sock/table.h"

/* --- cursors that a client moved ------------------------------------------------------------- */

bool sock_take_sent(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	uint64_t tail = atomic_load_explicit(&sock_shm(s)->tx_tail, memory_order_acquire);

	if (tail < s->tx_tail || tail - s->tx_head > s->region->head.tx_bytes) {
		sock_expel(t, c, COUNT_client_bad_index, "tx_tail outside the send ring");
		return false;
	}
	s->tx_tail = tail;
	tcp_queued(s->conn, tail);
	return true;
}

bool sock_take_read(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	struct stackd_sock *shm = sock_shm(s);
	uint64_t head = atomic_load_explicit(&shm->rx_head, memory_order_acquire);

	if (head < s->rx_head || head > s->rx_tail) {
		sock_expel(t, c, COUNT_client_bad_index, "rx_head outside what was received");
		return false;
	}
	s->rx_head = head;
	tcp_consumed(s->conn, head);
	atomic_store_explicit(&shm->rx_ack_at, tcp_consume_at(s->conn), memory_order_relaxed);
	return true;
}

/* Clears the client's "posted" mark before its cursor is read, so that a later move posts again. */
static void do_send(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	atomic_exchange(&sock_shm(s)->tx_posted, 0);
	if (s->kind == SOCK_CONN)
		sock_take_sent(t, c, s);
}

static void do_recv(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	atomic_exchange(&sock_shm(s)->rx_posted, 0);
	if (s->kind == SOCK_CONN)
		sock_take_read(t, c, s);
}

/* MSG_OOB: what the byte before `end` is to TCP. */
static void do_urgent(struct sock_table *t, struct sock_client *c, struct sock *s, int64_t end)
{
	if (s->kind != SOCK_CONN)
		return;
	if (end <= 0 || (uint64_t)end > s->tx_head + s->region->head.tx_bytes) {
		sock_expel(t, c, COUNT_client_bad_index, "urgent data outside the send ring");
		return;
	}
	tcp_queue_urgent(s->conn, (uint64_t)end);
}

/* --- options ------------------------------------------------------------------------------------ */

static const struct {
	bool known;
	enum tcp_opt opt;
} tcp_opt_of[STACKD_OPT_COUNT] = {
	[STACKD_OPT_NODELAY] = {true, TCP_OPT_NODELAY},
	[STACKD_OPT_CORK] = {true, TCP_OPT_CORK},
	[STACKD_OPT_PUSH] = {true, TCP_OPT_PUSH},
	[STACKD_OPT_KEEPALIVE] = {true, TCP_OPT_KEEPALIVE},
	[STACKD_OPT_KEEPIDLE] = {true, TCP_OPT_KEEPIDLE_S},
	[STACKD_OPT_KEEPINTVL] = {true, TCP_OPT_KEEPINTVL_S},
	[STACKD_OPT_KEEPCNT] = {true, TCP_OPT_KEEPCNT},
	[STACKD_OPT_USER_TIMEOUT] = {true, TCP_OPT_USER_TIMEOUT_MS},
	[STACKD_OPT_SYNCNT] = {true, TCP_OPT_SYNCNT},
	[STACKD_OPT_LINGER2] = {true, TCP_OPT_LINGER2_S},
	[STACKD_OPT_SNDBUF] = {true, TCP_OPT_SNDBUF},
	[STACKD_OPT_RCVBUF] = {true, TCP_OPT_RCVBUF},
	[STACKD_OPT_MAXSEG] = {true, TCP_OPT_MAXSEG},
	[STACKD_OPT_QUICKACK] = {true, TCP_OPT_QUICKACK},
	[STACKD_OPT_TOS] = {true, TCP_OPT_TOS},
	[STACKD_OPT_TTL] = {true, TCP_OPT_TTL},
	[STACKD_OPT_NOTSENT_LOWAT] = {true, TCP_OPT_TELL_SENT},
};

static void set_tx_limit(struct sock *s, int64_t value)
{
	int64_t most = (int64_t)s->region->head.tx_bytes;

	if (value > most)
		value = most;
	if (value < 4096)
		value = 4096;
	s->tx_fixed = true;
	s->tx_limit = (uint32_t)value;
	atomic_store_explicit(&sock_shm(s)->tx_limit, s->tx_limit, memory_order_relaxed);
}

static void apply_option(struct sock *s, uint32_t opt, int64_t value)
{
	if (opt == STACKD_OPT_SNDBUF)
		set_tx_limit(s, value);
	if (opt == STACKD_OPT_NOTSENT_LOWAT)
		s->tx_lowat = (uint32_t)value;
	if (s->conn && tcp_opt_of[opt].known)
		tcp_set_option(s->conn, tcp_opt_of[opt].opt, value);
}

static void keep_option(struct sock_options *o, uint32_t opt, int64_t value)
{
	atomic_store_explicit(&o->value[opt], value, memory_order_relaxed);
	atomic_fetch_or_explicit(&o->set, 1u << opt, memory_order_release);
}

void sock_copy_options(struct sock_options *to, const struct sock_options *from)
{
	uint32_t set = from ? atomic_load_explicit(&from->set, memory_order_acquire) : 0;

	atomic_store_explicit(&to->set, 0, memory_order_relaxed);
	for (uint32_t opt = 1; opt < STACKD_OPT_COUNT; opt++)
		if (set >> opt & 1)
			keep_option(to, opt, atomic_load_explicit(&from->value[opt], memory_order_relaxed));
}

void sock_inherit_options(struct sock_table *t, struct sock *s, const struct sock_options *from)
{
	struct sock_options *o = from ? pool_take(&t->options) : NULL;

	if (o)
		sock_copy_options(o, from);
	s->options = o;
}

void sock_apply_options(struct sock *s, const struct sock_options *o)
{
	uint32_t set = o ? atomic_load_explicit(&o->set, memory_order_acquire) : 0;

	for (uint32_t opt = 1; opt < STACKD_OPT_COUNT; opt++)
		if (set >> opt & 1)
			apply_option(s, opt, atomic_load_explicit(&o->value[opt], memory_order_relaxed));
}

static void set_device(struct sock_table *t, struct sock_client *c, struct sock *s, int64_t device)
{
	if (device < 0 || device > INTERFACES_MAX)
		sock_expel(t, c, COUNT_client_bad_message, "no such interface");
	else if (s->kind == SOCK_OPEN)
		s->device = (uint8_t)device;
	else if (s->conn)
		tcp_set_option(s->conn, TCP_OPT_DEVICE, device);
}

static void do_setopt(struct sock_table *t, struct sock_client *c, struct sock *s, const struct stackd_sqe *e)
{
	if (e->opt == 0 || e->opt >= STACKD_OPT_COUNT) {
		sock_expel(t, c, COUNT_client_bad_message, "unknown socket option");
		return;
	}
	if (e->opt == STACKD_OPT_DEVICE) {
		set_device(t, c, s, e->arg);
		return;
	}
	if (!s->options)
		s->options = pool_take(&t->options);
	if (s->options)
		keep_option(s->options, e->opt, e->arg);
	apply_option(s, e->opt, e->arg);
	if (e->opt == STACKD_OPT_NOTSENT_LOWAT)
		sock_tell_room(t, s);
}

/* --- connections ---------------------------------------------------------------------------------- */

static void connect_failed(struct sock_table *t, struct sock *s, int error)
{
	struct stackd_sock *shm = sock_shm(s);

	s->kind = SOCK_ENDED;
	atomic_store_explicit(&shm->error, error, memory_order_relaxed);
	atomic_fetch_or_explicit(&shm->flags, STACKD_RX_EOF | STACKD_TX_SHUT | STACKD_RESET,
				 memory_order_release);
	atomic_store_explicit(&shm->state, STACKD_SOCK_CLOSED, memory_order_release);
	sock_tell(t, &s->subs, 0);
}

/* Linux has no route to a group, and sends to port 0, where nobody answers but with a reset. */
static int connect_error(const struct endpoint *remote, int error)
{
	if (error != EINVAL)
		return error;
	return remote->port ? ENETUNREACH : ECONNREFUSED;
}

static void do_connect(struct sock_table *t, struct sock_client *c, struct sock *s)
{
	struct stackd_sock *shm = sock_shm(s);
	struct endpoint remote;
	int err;

	if (s->kind != SOCK_OPEN) {
		count(t->counters, COUNT_client_bad_message);
		return;
	}
	memcpy(remote.addr.b, shm->req_addr, 16);
	remote.port = *(volatile uint16_t *)&shm->req_port;
	err = sock_connect_from(t, s, &remote, s->rules ? s->rules : c->rules, t->now);
	if (err) {
		connect_failed(t, s, connect_error(&remote, -err));
		return;
	}
	s->kind = SOCK_CONN;
	sock_attach_rings(s);
	sock_apply_options(s, s->options);
	sock_publish_endpoints(s);
	atomic_store_explicit(&shm->state, STACKD_SOCK_CONNECTING, memory_order_release);
}

static void do_shutdown(struct sock_table *t, struct sock_client *c, struct sock *s, int64_t how)
{
	if (how != SHUT_WR) /* the word of it is the clients'; who sleeps in another process must look */
		sock_tell(t, sock_subs(t, s), STACKD_IN);
	if (s->kind != SOCK_CONN || how == SHUT_RD || !sock_take_sent(t, c, s))
		return;
	tcp_shutdown_write(s->conn);
	atomic_fetch_or_explicit(&sock_shm(s)->flags, STACKD_TX_SHUT, memory_order_release);
	sock_tell(t, &s->subs, STACKD_OUT); /* writers in other processes */
}

static void do_claim(struct sock_table *t, struct sock_client *c, struct sock *s, uint32_t gen)
{
	if (!s->offered || s->gen != gen) {
		count(t->counters, COUNT_client_bad_handle);
		return;
	}
	s->offered = false;
	sock_hold(c, s);
	if (s->conn)
		tcp_accepted(s->conn);
}

/* --- the queue -------------------------------------------------------------------------------------- */

static void do_sub(struct sock_table *t, struct sock_client *c, struct sock *s, const struct stackd_sqe *e)
{
	if (e->op == STACKD_OP_SUB)
		sock_sub_set(t, c, s, e);
	else
		sock_sub_end(t, c, s, e);
	if (s->kind == SOCK_LISTENER && t->config.shards > 1)
		sock_letter(t, &(struct sock_letter){.kind = SOCK_TO_ALL, .client = c, .sqe = *e});
}

static void do_op(struct sock_table *t, struct sock_client *c, struct sock *s, const struct stackd_sqe *e)
{
	switch (e->op) {
	case STACKD_OP_CONNECT:
		do_connect(t, c, s);
		break;
	case STACKD_OP_SEND:
		do_send(t, c, s);
		break;
	case STACKD_OP_RECV:
		do_recv(t, c, s);
		break;
	case STACKD_OP_SHUTDOWN:
		do_shutdown(t, c, s, e->arg);
		break;
	case STACKD_OP_CLOSE:
		sock_let_go(t, c, s, e->arg == 1);
		break;
	case STACKD_OP_SETOPT:
		do_setopt(t, c, s, e);
		break;
	case STACKD_OP_URGENT:
		do_urgent(t, c, s, e->arg);
		break;
	case STACKD_OP_SUB:
	case STACKD_OP_UNSUB:
		do_sub(t, c, s, e);
		break;
	default:
		sock_expel(t, c, COUNT_client_bad_message, "unknown operation");
	}
}

/* The socket an entry names, made when its first operation comes.  NULL: refused. */
static struct sock *sock_of(struct sock_table *t, struct sock_client *c, const struct stackd_sqe *e)
{
	struct sock *s = sock_find(c, e->region, e->slot, e->gen);

	/* CLOSE too: only what was in use gets a new generation, and without one the client can't take
	 * the slot again */
	if (!s && (e->op == STACKD_OP_CONNECT || e->op == STACKD_OP_SETOPT || e->op == STACKD_OP_SUB ||
		   e->op == STACKD_OP_CLOSE))
		s = sock_open(t, c, e->region, e->slot, e->gen);
	if (!s && e->op != STACKD_OP_UNSUB)
		count(t->counters, COUNT_client_bad_handle);
	return s;
}

static bool in_range(const struct sock_client *c, const struct sock_region *r, const struct stackd_sqe *e)
{
	const struct stackd_shm_head *h = &c->own->head;

	if (!r || e->slot >= r->head.sock_count)
		return false;
	if (e->op != STACKD_OP_SUB && e->op != STACKD_OP_UNSUB)
		return true;
	return (uint32_t)e->arg2 < h->sub_count && e->arg >= 0 && e->arg < (int64_t)h->evq_count;
}

/* A subscription on a listener, passed on by its owner.  Only as long as the record of this shard
 * names the socket is it sure to stay a listener. */
static void submit_listener_sub(struct sock_table *t, struct sock_client *c, struct sock *s,
				const struct stackd_sqe *e)
{
	struct sock_listener *l = s->listener;

	if (e->op == STACKD_OP_UNSUB)
		sock_sub_end(t, c, s, e);
	else if (l && l[t->shard].sock == s && s->gen == e->gen)
		sock_sub_set(t, c, s, e);
}

void sock_submit(struct sock_table *t, struct sock_client *c, const struct stackd_sqe *e, bool for_all, ns_t now)
{
	struct sock_region *r = sock_region_of(c, e->region);
	struct sock *s;
	uint32_t owner;

	t->now = now;
	if (!in_range(c, r, e)) {
		sock_expel(t, c, COUNT_client_bad_handle, "no such socket or subscription");
		return;
	}
	s = &r->socks[e->slot];
	owner = sock_owner(r, e->slot);
	if (for_all)
		submit_listener_sub(t, c, s, e);
	else if (owner != t->shard || s->kind == SOCK_MOVING) /* to ourselves: behind what is on its way */
		sock_letter(t, &(struct sock_letter){
				       .kind = SOCK_TO_SHARD, .shard = owner, .client = c, .sqe = *e});
	else if (e->op == STACKD_OP_CLAIM)
		do_claim(t, c, s, e->gen);
	else if ((s = sock_of(t, c, e)))
		do_op(t, c, s, e);
}

static bool letters_room(const struct sock_table *t)
{
	return t->letters_tail - t->letters_head < t->config.letters_max / 2;
}

/* Entries that wait; a lie about them expels. */
static uint32_t entries(struct sock_table *t, struct sock_client *c, const struct stackd_sq *q)
{
	uint32_t n = atomic_load_explicit(&q->tail, memory_order_acquire) - c->sq_head[t->shard];

	if (n <= c->own->head.sq_entries)
		return n;
	sock_expel(t, c, COUNT_client_bad_index, "submission queue index outside its ring");
	return 0;
}

/* To the end, also of what is posted meanwhile: an URGENT that stands before a cursor's move is done
 * before what the move brings leaves. */
static bool poll_client(struct sock_table *t, struct sock_client *c, ns_t now)
{
	const struct stackd_shm_head *h = &c->own->head;
	struct stackd_sq *q = stackd_shm_sq(c->own->mem, h, t->shard);
	uint32_t head = c->sq_head[t->shard], begin = head;

	for (uint32_t i = 0; i < SOCK_BURST && letters_room(t) && entries(t, c, q) > 0; i++) {
		struct stackd_sqe e = q->entry[head & (h->sq_entries - 1)];

		atomic_signal_fence(memory_order_seq_cst); /* the compiler can't look there again */
		c->sq_head[t->shard] = ++head;
		sock_submit(t, c, &e, false, now);
		if (atomic_load_explicit(&c->expelled, memory_order_relaxed))
			break;
	}
	if (head == begin)
		return false;
	atomic_store_explicit(&q->head, head, memory_order_release);
	return true;
}

bool sock_poll(struct sock_table *t, ns_t now)
{
	bool any = false;

	t->now = now;
	list_for_each(n, &t->clients) {
		struct sock_client *c = container_of(n, struct sock_client, node[t->shard]);

		if (!atomic_load_explicit(&c->expelled, memory_order_relaxed) && poll_client(t, c, now))
			any = true;
	}
	return any;
}

bool sock_ready(struct sock_table *t)
{
	list_for_each(n, &t->clients) {
		struct sock_client *c = container_of(n, struct sock_client, node[t->shard]);
		struct stackd_sq *q = stackd_shm_sq(c->own->mem, &c->own->head, t->shard);

		if (!atomic_load_explicit(&c->expelled, memory_order_relaxed) &&
		    atomic_load_explicit(&q->tail, memory_order_acquire) != c->sq_head[t->shard])
			return true;
	}
	return false;
}
