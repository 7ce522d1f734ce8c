/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.c - owns listeners and passive opens up to SYN-RECEIVED: who may begin a handshake, and
 * what a listener's backlog counts. */
#include "tcp/conn.h"

#include <errno.h>

int tcp_listen(struct tcp *t, const struct tcp_listen_config *config, struct tcp_listener **out)
{
	struct tcp_listener *l = pool_take(&t->listener_pool);

	if (!l)
		return -ENOBUFS;
	l->tcp = t;
	l->local = config->local;
	l->any = addr_is_unspecified(&config->local.addr);
	l->v4_only = config->v4_only;
	l->v6_only = config->v6_only;
	l->device = config->device;
	l->rules = config->rules;
	l->user = config->user;
	list_init(&l->conns);
	tcp_listener_set_backlog(l, config->backlog);
	table_insert(&t->listeners, &l->node, demux_listener_hash(t, l->local.port));
	*out = l;
	return 0;
}

void tcp_listener_set_backlog(struct tcp_listener *l, uint32_t backlog)
{
	l->backlog = backlog == 0 ? 1 : backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX;
}

void *tcp_listener_user(const struct tcp_listener *l)
{
	return l->user;
}

struct tcp_listener *tcp_listener_of(const struct tcp_conn *c)
{
	return c->listener;
}

void tcp_listener_info(const struct tcp_listener *l, struct tcp_listener_info *out)
{
	*out = (struct tcp_listener_info){
	    .local = l->local,
	    .backlog = l->backlog,
	    .waiting = l->waiting,
	    .handshakes = l->handshakes,
	    .accepted = l->accepted,
	    .refused = l->refused,
	};
}

/* The connection no longer counts for its listener. */
void listen_uncount(struct tcp_conn *c)
{
	if (c->listener && c->backlog == BACKLOG_HANDSHAKE)
		c->listener->handshakes--;
	else if (c->listener && c->backlog == BACKLOG_WAITING)
		c->listener->waiting--;
	c->backlog = BACKLOG_NONE;
}

void tcp_accepted(struct tcp_conn *c)
{
	listen_uncount(c);
}

void tcp_unlisten(struct tcp *t, struct tcp_listener *l)
{
	struct list *n;

	while ((n = list_pop(&l->conns))) {
		struct tcp_conn *c = container_of(n, struct tcp_conn, of_listener);
		bool handshake = c->backlog == BACKLOG_HANDSHAKE;

		listen_uncount(c);
		c->listener = NULL;
		if (handshake)
			conn_finish(c, ECONNABORTED);
	}
	table_remove(&t->listeners, &l->node);
	pool_give(&t->listener_pool, l);
}

static bool has_room(const struct tcp_listener *l, const struct tcp_profile *p)
{
	return l->handshakes + l->waiting < l->backlog && l->handshakes < p->knobs.syn_backlog;
}

/* A connection in SYN-RECEIVED, as the SYN with these options asks for; NULL: no memory or route.
 */
static struct tcp_conn *embryo(struct tcp_listener *l, const struct segment *s, uint32_t irs,
			       const struct segment_options *syn, const struct tcp_profile *p)
{
	struct tcp *t = l->tcp;
	struct net_route route;
	struct tcp_conn *c;

	if (net_route_by(t->net, l->device, &s->remote.addr, &s->local.addr, &route) < 0)
		return NULL;
	c = conn_create(t, &s->local, &s->remote, p, true);
	if (!c) {
		l->refused++;
		return NULL;
	}
	c->state = TCP_SYN_RECEIVED;
	c->device = l->device;
	c->route = route;
	c->irs = irs;
	conn_negotiate(c, syn);
	c->snd_wnd = c->snd_wnd_max = s->window; /* never scaled in a SYN */
	c->view.snd_limit = s->window;
	c->segs_in = 1;
	return c;
}

static void join(struct tcp_listener *l, struct tcp_conn *c)
{
	c->listener = l;
	c->backlog = BACKLOG_HANDSHAKE;
	l->handshakes++;
	list_push_back(&l->conns, &c->of_listener);
}

/* "Third, check for a SYN" */
static void take_syn(struct tcp_listener *l, const struct segment *s, const struct tcp_profile *p)
{
	bool room = has_room(l, p);
	bool cookie = p->knobs.syncookies == TCP_SYNCOOKIES_ALWAYS ||
		      (!room && p->knobs.syncookies == TCP_SYNCOOKIES_FULL);
	struct tcp_conn *c;

	/* what waits for accept, a cookie would not help */
	if ((!room && !cookie) || l->waiting >= l->backlog) {
		l->refused++;
		count(l->tcp->counters, COUNT_listen_backlog);
		return;
	}
	c = embryo(l, s, s->seq, &s->opt, p);
	if (!c)
		return;
	if (cookie) {
		cookie_send(c, s->opt.mss);
		conn_free(c);
		return;
	}
	conn_negotiate_ecn(c, s->flags);
	join(l, c);
	c->syn_due = true;
	conn_dirty(c);
}

/* "Second, check for an ACK": none is due, unless it brings back a cookie, or another shard knows
 * the connection.  While nobody accepts, a good cookie waits for its peer's next segment. */
static enum tcp_outcome take_ack(struct tcp_listener *l, struct segment *s,
				 const struct tcp_profile *p, struct tcp_conn **conn)
{
	struct tcp *t = l->tcp;
	struct segment_options syn;
	struct tcp_conn *c;

	if (p->knobs.syncookies == TCP_SYNCOOKIES_NEVER ||
	    !cookie_check(t, demux_hash(t, &s->local, &s->remote), s, &syn))
		return TCP_NOT_FOUND;
	if (l->waiting >= l->backlog) {
		l->refused++;
		count(t->counters, COUNT_listen_backlog);
		return TCP_DONE;
	}
	c = embryo(l, s, s->seq - 1, &syn, p);
	if (!c)
		return TCP_DONE;
	c->iss = s->ack - 1;
	join(l, c);
	c->tries = (uint8_t)c->syn_retries; /* no SYN-ACK again: without buffers it goes */
	timer_set(c, TIMER_HANDSHAKE, t->now + c->view.rto);
	*conn = c;
	return input_segment(c, s);
}

/* RFC 9293 3.10.7.2, LISTEN STATE */
enum tcp_outcome listen_input(struct tcp_listener *l, struct segment *s, struct tcp_conn **conn)
{
	struct tcp *t = l->tcp;
	const struct tcp_rules *rules = l->rules ? l->rules : t->rules;
	const struct tcp_profile *p = tcp_match(rules, &s->local, &s->remote, TCP_PASSIVE);

	if (s->flags &
	    SEG_RST) /* "First, check for a RST": another shard may know its connection */
		return TCP_NOT_FOUND;
	if (s->flags & SEG_ACK)
		return take_ack(l, s, p, conn);
	if ((s->flags & SEG_SYN) && !(s->flags & SEG_FIN))
		take_syn(l, s, p);
	else
		count(t->counters, COUNT_seg_no_flags);
	return TCP_DONE;
}
