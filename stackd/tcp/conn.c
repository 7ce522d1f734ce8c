/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.c - owns the life of a connection: made, negotiated, established, ended, freed. */
#include "tcp/conn.h"

#include <errno.h>

static void take_knobs(struct tcp_conn *c)
{
	const struct tcp_knobs *k = &c->profile->knobs;

	tune_init(c);
	c->nodelay = !k->nagle;
	c->keepalive = k->keepalive;
	c->keep_idle_s = (uint32_t)(k->keepalive_time_ns / NS_PER_S);
	c->keep_interval_s = (uint32_t)(k->keepalive_interval_ns / NS_PER_S);
	c->keep_count = (uint32_t)k->keepalive_probes;
	c->user_timeout_ms = (uint32_t)(k->user_timeout_ns / NS_PER_MS);
	c->syn_retries = (uint32_t)(c->passive ? k->synack_retries : k->syn_retries);
	c->retries = (uint32_t)k->retries;
	c->ttl = (uint8_t)k->ttl;
	c->tos = (uint8_t)(k->tos & 0xfc);
	c->maxseg = (uint16_t)k->mss;
}

/* RFC 6528: a clock of 4 us plus a keyed hash of the four-tuple; the timestamps' own offset comes
 * from the same place, so that neither tells the uptime. */
static void take_numbers(struct tcp_conn *c, uint64_t hash)
{
	uint64_t key[2] = {hash, 1};
	uint64_t f = siphash(&c->tcp->secret, key, sizeof(key));

	c->iss = (uint32_t)f + (uint32_t)(c->tcp->now / (4 * NS_PER_US));
	c->ts_offset = (uint32_t)(f >> 32);
}

static void init_view(struct tcp_conn *c)
{
	struct sp_conn *v = &c->view;

	v->size = sizeof(*v);
	v->host = &sent_host;
	v->now = c->tcp->now;
	v->rto_since = NS_NEVER;
	v->mss = v->rcv_mss = addr_is4(&c->remote.addr) ? MSS_DEFAULT4 : MSS_DEFAULT6;
	v->rcv_limit = c->rcv_buffer < UINT16_MAX ? c->rcv_buffer : UINT16_MAX;
}

struct tcp_conn *conn_create(struct tcp *t, const struct endpoint *local,
			     const struct endpoint *remote, const struct tcp_profile *profile,
			     bool passive)
{
	uint64_t hash = demux_hash(t, local, remote);
	struct tcp_conn *c = pool_take(&t->conn_pool);

	if (!c) {
		count(t->counters, COUNT_conn_limit);
		return NULL;
	}
	c->tcp = t;
	c->local = *local;
	c->remote = *remote;
	c->profile = profile;
	c->passive = passive;
	sent_init(c);
	list_init(&c->dirty);
	list_init(&c->eventful);
	list_init(&c->of_listener);
	timer_init(&c->timer);
	for (unsigned i = 0; i < TIMER_MAX; i++)
		c->due[i] = NS_NEVER;
	c->rcv_fin = c->urgent_in = c->urgent_out = NO_OFFSET;
	c->stalled_since = NS_NEVER;
	c->opened = c->last_received = t->now;
	take_knobs(c);
	take_numbers(c, hash);
	init_view(c);
	if (!policy_open_rto(c)) {
		count(t->counters, COUNT_conn_limit);
		pool_give(&t->conn_pool, c);
		return NULL;
	}
	table_insert(&t->conns, &c->node, hash);
	return c;
}

static void leave_everything(struct tcp_conn *c)
{
	table_remove(&c->tcp->conns, &c->node);
	if (c->tcp->recent == c)
		c->tcp->recent = NULL;
	timer_clear_all(c);
	sent_clear(c);
	policy_close(c);
	listen_uncount(c);
	list_unlink(&c->dirty);
	if (c->held)
		pool_give(&c->tcp->held_pool, c->held);
	c->held = NULL;
}

void conn_finish(struct tcp_conn *c, int error)
{
	bool known = !c->passive || c->rx.mem;

	if (c->state == TCP_CLOSED)
		return;
	c->error = error;
	if (conn_traced(c))
		trace_end(c);
	leave_everything(c);
	c->state = TCP_CLOSED;
	if (known)
		conn_event(c, TCP_EV_CLOSED);
	else
		conn_free(c);
}

void conn_free(struct tcp_conn *c)
{
	if (c->state != TCP_CLOSED)
		leave_everything(c);
	list_unlink(&c->eventful);
	list_unlink(&c->of_listener);
	pool_give(&c->tcp->conn_pool, c);
}

void conn_reset(struct tcp_conn *c, int error)
{
	/* RFC 9293 3.10.5: ABORT says so to a peer that knows of us */
	if (c->state >= TCP_SYN_RECEIVED) {
		output_rst(c);
		count(c->tcp->counters, COUNT_conn_reset_tx);
	}
	conn_finish(c, error);
}

void conn_event(struct tcp_conn *c, uint32_t events)
{
	if (c->passive && !c->rx.mem) /* nobody knows it yet */
		return;
	c->events |= events;
	if (list_empty(&c->eventful))
		list_push_back(&c->tcp->eventful, &c->eventful);
}

void conn_dirty(struct tcp_conn *c)
{
	if (list_empty(&c->dirty) && c->state != TCP_CLOSED)
		list_push_back(&c->tcp->dirty, &c->dirty);
}

void conn_soft_error(struct tcp_conn *c, int error)
{
	c->soft_error = error;
	conn_event(c, TCP_EV_SOFT_ERROR);
}

ns_t conn_fin_wait2_ns(const struct tcp_conn *c)
{
	return c->linger2_s ? c->linger2_s * NS_PER_S : c->profile->knobs.fin_wait2_ns;
}

uint32_t conn_ts_now(const struct tcp_conn *c, ns_t now)
{
	return c->ts_offset + (uint32_t)(now / NS_PER_MS);
}

void conn_negotiate(struct tcp_conn *c, const struct segment_options *syn)
{
	const struct tcp_knobs *k = &c->profile->knobs;
	uint32_t adv = conn_advertised_mss(c);

	c->peer_mss = (uint16_t)(addr_is4(&c->remote.addr) ? MSS_DEFAULT4 : MSS_DEFAULT6);
	if (syn->mss)
		c->peer_mss = syn->mss < MSS_LOWEST ? MSS_LOWEST : syn->mss;
	c->wscale_on = k->use_window_scale && syn->wscale != SEGMENT_NO_WSCALE;
	c->snd_wscale = c->wscale_on ? syn->wscale : 0;
	if (!c->wscale_on)
		c->rcv_wscale = 0;
	c->sack_agreed = (policy_offers(c->profile) & SP_SACK) && syn->sack_permitted;
	c->ts_on = k->timestamps && syn->has_ts;
	if (c->ts_on) {
		c->ts_recent = syn->tsval;
		c->ts_recent_at = c->tcp->now;
	}
	c->view.rcv_mss = adv < MSS_DEFAULT4 ? adv : MSS_DEFAULT4;
	conn_update_mss(c);
}

void conn_negotiate_ecn(struct tcp_conn *c, uint8_t flags)
{
	uint8_t asked = c->state == TCP_SYN_SENT && (flags & SEG_ACK) ? SEG_ECE : SEG_ECE | SEG_CWR;

	c->ecn_on = (policy_offers(c->profile) & SP_ECN) && (flags & (SEG_ECE | SEG_CWR)) == asked;
}

static uint32_t agreed_features(const struct tcp_conn *c)
{
	uint32_t f = 0;

	if (c->sack_agreed)
		f |= SP_SACK | (c->profile->knobs.dsack ? SP_DSACK : 0);
	if (c->ts_on)
		f |= SP_TIMESTAMPS;
	if (c->ecn_on)
		f |= SP_ECN;
	return f;
}

/* Karn's rule for the handshake: resent, only a timestamp can tell (RFC 6298 3). */
static void sample_handshake(struct tcp_conn *c)
{
	ns_t rtt = c->tcp->now - c->syn_sent_at;

	policy_rtt(c, rtt ? rtt : 1, c->tries > 0);
}

bool conn_establish(struct tcp_conn *c)
{
	if (!policy_open(c, agreed_features(c))) {
		count(c->tcp->counters, COUNT_conn_limit);
		return false;
	}
	c->state = TCP_ESTABLISHED;
	if (c->segs_out > 0)
		sample_handshake(c);
	c->syn_due = false;
	c->tries = 0;
	mss_begin(c);
	tune_begin_round(c);
	timer_set(c, TIMER_HANDSHAKE, NS_NEVER);
	timer_keepalive(c);
	if (c->listener) {
		c->listener->handshakes--;
		c->listener->waiting++;
		c->listener->accepted++;
		c->backlog = BACKLOG_WAITING;
	}
	count(c->tcp->counters, c->passive ? COUNT_conn_passive : COUNT_conn_active);
	conn_event(c, c->passive ? TCP_EV_ACCEPTED : TCP_EV_CONNECTED);
	conn_dirty(c);
	return true;
}

void conn_time_wait(struct tcp_conn *c)
{
	count(c->tcp->counters, COUNT_conn_time_wait);
	if (c->due[TIMER_ACK] != NS_NEVER) /* of the peer's FIN */
		transmit_empty(c, c->view.snd_nxt, SEG_ACK);
	time_wait_add(c);
	conn_finish(c, 0);
}
