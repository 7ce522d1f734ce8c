/* SPDX-License-Identifier: BSD-2-Clause */
/* request.c - owns what the application asks for: RFC 9293 3.10.1 to 3.10.6 (OPEN, SEND, RECEIVE,
 * CLOSE, ABORT), options, and moving a connection in SYN-SENT to another shard. */
#include "tcp/conn.h"

#include <errno.h>

/* --- OPEN
 * --------------------------------------------------------------------------------------------- */

int tcp_connect_by(struct tcp *t, uint32_t device, const struct endpoint *local,
		   const struct endpoint *remote, const struct tcp_rules *rules, void *user, ns_t now,
		   struct tcp_conn **out)
{
	struct endpoint from = *local;
	struct net_route route;
	struct tcp_conn *c;
	uint64_t hash;
	int ret;

	assert(now >= t->now && local->port != 0);
	t->now = now;
	if (remote->port == 0)
		return -EINVAL;
	if (t->draining) {
		count(t->counters, COUNT_tcp_draining);
		return -ENETDOWN;
	}
	ret = net_route_by(t->net, device, &remote->addr, &local->addr, &route); /* MUST-44, MUST-46 */
	if (ret < 0)
		return ret;
	from.addr = route.src;
	hash = demux_hash(t, &from, remote);
	if (demux_find(t, hash, DEMUX_NOWHERE, &from, remote) ||
	    !time_wait_reuse(t, hash, &from, remote))
		return -EADDRINUSE;
	c = conn_create(t, &from, remote,
			tcp_match(rules ? rules : t->rules, &from, remote, TCP_ACTIVE), false);
	if (!c)
		return -ENOBUFS;
	c->state = TCP_SYN_SENT;
	c->device = (uint8_t)device;
	c->route = route;
	c->user = user;
	c->syn_due = true;
	conn_dirty(c);
	*out = c;
	return 0;
}

int tcp_connect(struct tcp *t, const struct endpoint *local, const struct endpoint *remote,
		const struct tcp_rules *rules, void *user, ns_t now, struct tcp_conn **out)
{
	return tcp_connect_by(t, NET_ANY, local, remote, rules, user, now, out);
}

void tcp_attach(struct tcp_conn *c, struct byte_ring rx, struct byte_ring tx)
{
	c->rx = rx;
	c->tx = tx;
	tune_limit(c, rx.size);
	/* never announced yet, so a smaller ring may still lower it */
	if (c->segs_out == 0 && c->view.rcv_limit > c->rcv_buffer)
		c->view.rcv_limit = c->rcv_buffer;
}

/* --- SEND, RECEIVE
 * -------------------------------------------------------------------------------------- */

void tcp_queued(struct tcp_conn *c, uint64_t tail)
{
	if (c->fin_queued || tail <= c->tx_tail)
		return;
	assert(tail - c->view.snd_una <= c->tx.size);
	c->tx_tail = c->view.snd_end = tail;
	conn_dirty(c);
}

void tcp_queue_urgent(struct tcp_conn *c, uint64_t end)
{
	if (c->fin_queued || end <= c->view.snd_una)
		return;
	c->urgent_out = end;
	conn_dirty(c);
}

static uint64_t announced(const struct tcp_conn *c)
{
	return c->view.rcv_limit > c->view.rcv_nxt ? c->view.rcv_limit - c->view.rcv_nxt : 0;
}

/* The largest window that the field and its scale can say. */
static uint64_t window_max(const struct tcp_conn *c)
{
	return (uint64_t)UINT16_MAX << c->rcv_wscale;
}

static uint64_t announceable(const struct tcp_conn *c)
{
	uint64_t room = recv_room(c), most = window_max(c);

	return room < most ? room : most;
}

void tcp_consumed(struct tcp_conn *c, uint64_t head)
{
	uint64_t freed = head - c->rcv_read;

	if (head <= c->rcv_read || head > c->view.rcv_nxt)
		return;
	c->rcv_read = head;
	if (!conn_synchronized(c) || c->view.rcv_nxt > c->rcv_fin)
		return;
	policy_read(c, freed);
	if (announceable(c) >= announced(c) + recv_threshold(c))
		recv_ack_by(c, c->tcp->now);
}

uint64_t tcp_consume_at(const struct tcp_conn *c)
{
	uint64_t room = announced(c) + recv_threshold(c), used = tcp_received(c);

	if (room >= c->rcv_buffer || room > window_max(c))
		return used > c->rcv_read ? used : c->rcv_read + 1;
	return used + room > c->rcv_buffer ? used + room - c->rcv_buffer : 0;
}

uint64_t tcp_received(const struct tcp_conn *c)
{
	return c->view.rcv_nxt > c->rcv_fin ? c->rcv_fin : c->view.rcv_nxt;
}

uint64_t tcp_acked(const struct tcp_conn *c)
{
	return c->view.snd_una < c->tx_tail ? c->view.snd_una : c->tx_tail;
}

uint64_t tcp_sent(const struct tcp_conn *c)
{
	return c->view.snd_nxt < c->tx_tail ? c->view.snd_nxt : c->tx_tail;
}

uint64_t tcp_urgent(const struct tcp_conn *c)
{
	return c->urgent_in == NO_OFFSET ? 0 : c->urgent_in;
}

/* --- CLOSE, ABORT
 * --------------------------------------------------------------------------------------- */

void tcp_shutdown_write(struct tcp_conn *c)
{
	if (c->fin_queued || c->state == TCP_CLOSED)
		return;
	c->fin_queued = true;
	c->view.snd_end = c->tx_tail + 1;
	conn_dirty(c);
}

void tcp_close(struct tcp_conn *c, bool unread, ns_t linger_ns)
{
	if (c->state == TCP_CLOSED)
		return;
	c->view.now = c->tcp->now;
	if (c->state == TCP_SYN_SENT) { /* RFC 9293 3.10.4: "Delete the TCB" */
		conn_finish(c, 0);
		return;
	}
	if (linger_ns == 0 || unread) {
		conn_reset(c, 0);
		return;
	}
	c->orphan = true;
	tcp_shutdown_write(c);
	if (linger_ns != NS_NEVER)
		timer_set(c, TIMER_LINGER, c->tcp->now + linger_ns);
	if (c->state == TCP_FIN_WAIT_2)
		timer_set(c, TIMER_FIN_WAIT2, c->tcp->now + conn_fin_wait2_ns(c));
}

/* Data that comes for an orphan is answered with a RST (input.c), and a FIN has no bytes. */
bool tcp_let_go(struct tcp_conn *c)
{
	static uint8_t nowhere;

	if (!c->orphan || c->state == TCP_CLOSED || c->view.snd_una < c->tx_tail)
		return false;
	c->user = NULL;
	c->rx.mem = c->tx.mem = &nowhere;
	return true;
}

void tcp_abort(struct tcp_conn *c)
{
	c->view.now = c->tcp->now;
	if (c->state != TCP_CLOSED)
		conn_reset(c, ECONNABORTED);
}

/* --- options
 * ---------------------------------------------------------------------------------------------- */

static bool within(int64_t v, int64_t min, int64_t max)
{
	return v >= min && v <= max;
}

static int set_flag(struct tcp_conn *c, enum tcp_opt opt, bool on)
{
	switch (opt) {
	case TCP_OPT_NODELAY:
		c->nodelay = on;
		break;
	case TCP_OPT_CORK:
		c->cork = on;
		break;
	case TCP_OPT_PUSH:
		c->push_now = on;
		break;
	case TCP_OPT_KEEPALIVE:
		c->keepalive = on;
		timer_keepalive(c);
		return 0;
	default: /* TCP_OPT_QUICKACK: what is owed leaves now */
		if (on && c->due[TIMER_ACK] != NS_NEVER)
			recv_ack_by(c, c->tcp->now);
		return 0;
	}
	conn_dirty(c);
	return 0;
}

static int set_u32(uint32_t *field, int64_t v, int64_t min, int64_t max)
{
	if (!within(v, min, max))
		return -EINVAL;
	*field = (uint32_t)v;
	return 0;
}

static int set_keep(struct tcp_conn *c, uint32_t *field, int64_t v, int64_t max)
{
	int ret = set_u32(field, v, 1, max);

	if (ret == 0)
		timer_keepalive(c);
	return ret;
}

static int set_user_timeout(struct tcp_conn *c, int64_t v)
{
	int ret = set_u32(&c->user_timeout_ms, v, 0, INT32_MAX);

	if (ret < 0)
		return ret;
	timer_set(c, TIMER_USER,
		  v == 0 || c->stalled_since == NS_NEVER ? NS_NEVER
							 : c->stalled_since + (ns_t)v * NS_PER_MS);
	return 0;
}

static int set_device(struct tcp_conn *c, int64_t v)
{
	struct net_route route;
	int ret;

	if (!within(v, NET_ANY, INTERFACES_MAX))
		return -EINVAL;
	ret = net_route_by(c->tcp->net, (uint32_t)v, &c->remote.addr, &c->local.addr, &route);
	if (ret < 0)
		return ret;
	c->device = (uint8_t)v;
	mss_ask_route(c);
	return 0;
}

int tcp_set_option(struct tcp_conn *c, enum tcp_opt opt, int64_t v)
{
	if (c->state == TCP_CLOSED)
		return -EINVAL;
	c->view.now = c->tcp->now;
	switch (opt) {
	case TCP_OPT_NODELAY:
	case TCP_OPT_CORK:
	case TCP_OPT_PUSH:
	case TCP_OPT_KEEPALIVE:
	case TCP_OPT_QUICKACK:
		return set_flag(c, opt, v != 0);
	case TCP_OPT_KEEPIDLE_S:
		return set_keep(c, &c->keep_idle_s, v, 32767);
	case TCP_OPT_KEEPINTVL_S:
		return set_keep(c, &c->keep_interval_s, v, 32767);
	case TCP_OPT_KEEPCNT:
		return set_keep(c, &c->keep_count, v, 127);
	case TCP_OPT_USER_TIMEOUT_MS:
		return set_user_timeout(c, v);
	case TCP_OPT_SYNCNT:
		return set_u32(&c->syn_retries, v, 1, 127);
	case TCP_OPT_LINGER2_S:
		return set_u32(&c->linger2_s, v, 0, 86400);
	case TCP_OPT_SNDBUF: /* the owner of the ring decides how much is queued */
		return within(v, 1, INT32_MAX) ? 0 : -EINVAL;
	case TCP_OPT_RCVBUF:
		if (!within(v, 1, INT32_MAX))
			return -EINVAL;
		tune_fix(c, c->rx.size && v > c->rx.size ? c->rx.size : (uint32_t)v);
		return 0;
	case TCP_OPT_MAXSEG:
		if (!within(v, 88, 65495))
			return -EINVAL;
		c->maxseg = (uint16_t)v;
		if (conn_synchronized(c))
			conn_update_mss(c);
		return 0;
	case TCP_OPT_TOS:
		if (!within(v, 0, 255))
			return -EINVAL;
		c->tos = (uint8_t)(v & 0xfc); /* the ECN bits are TCP's */
		return 0;
	case TCP_OPT_TELL_SENT:
		c->tells_sent = v != 0;
		return 0;
	case TCP_OPT_TTL:
		if (!within(v, 1, 255))
			return -EINVAL;
		c->ttl = (uint8_t)v;
		return 0;
	case TCP_OPT_DEVICE:
		return set_device(c, v);
	}
	return -EINVAL;
}

int tcp_set_cc(struct tcp_conn *c, struct tcp_plugin cc)
{
	if (!c->plugins_open)
		return -EINVAL;
	return policy_set_cc(c, cc) ? 0 : -ENOBUFS;
}

/* --- to another shard
 * --------------------------------------------------------------------------------------- */

struct export_record {
	struct tcp_conn conn;
	uint8_t rto_state[SP_STATE_MAX];
};

size_t tcp_export_size(void)
{
	return sizeof(struct export_record);
}

bool tcp_export(struct tcp *from, struct tcp_conn *c, void *record)
{
	struct export_record *r = record;

	(void)from;
	if (c->state != TCP_SYN_SENT)
		return false;
	r->conn = *c;
	if (c->plugin_state[KIND_RTO])
		memcpy(r->rto_state, c->plugin_state[KIND_RTO],
		       c->plugin[KIND_RTO].plugin->state_size);
	conn_free(c);
	return true;
}

static void restore(struct tcp_conn *c, const struct export_record *r)
{
	struct tcp_conn fresh = *c;

	*c = r->conn;
	c->tcp = fresh.tcp;
	c->node = fresh.node;
	c->route = fresh.route;
	memcpy(c->plugin, fresh.plugin, sizeof(c->plugin));
	memcpy(c->plugin_state, fresh.plugin_state, sizeof(c->plugin_state));
	sent_init(c);
	list_init(&c->dirty);
	list_init(&c->eventful);
	list_init(&c->of_listener);
	timer_init(&c->timer);
	if (c->plugin_state[KIND_RTO])
		memcpy(c->plugin_state[KIND_RTO], r->rto_state,
		       c->plugin[KIND_RTO].plugin->state_size);
}

struct tcp_conn *tcp_import(struct tcp *to, const void *record, ns_t now)
{
	const struct export_record *r = record;
	struct tcp_conn *c;

	to->now = now > to->now ? now : to->now;
	c = conn_create(to, &r->conn.local, &r->conn.remote, r->conn.profile, false);
	if (!c)
		return NULL;
	if (net_route_by(to->net, r->conn.device, &c->remote.addr, &c->local.addr, &c->route) < 0) {
		conn_free(c);
		return NULL;
	}
	restore(c, r);
	for (unsigned i = 0; i < TIMER_MAX; i++)
		if (c->due[i] != NS_NEVER)
			timer_set(c, (enum conn_timer)i, c->due[i]);
	if (c->events)
		conn_event(c, 0);
	conn_dirty(c);
	return c;
}
