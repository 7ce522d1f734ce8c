/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c - owns what can be seen of a connection from outside. */
#include "tcp/conn.h"

const char *tcp_state_name(enum tcp_state state)
{
	static const char *const name[] = {
	    [TCP_CLOSED] = "CLOSED",         [TCP_LISTEN] = "LISTEN",
	    [TCP_SYN_SENT] = "SYN-SENT",     [TCP_SYN_RECEIVED] = "SYN-RECV",
	    [TCP_ESTABLISHED] = "ESTAB",     [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
	    [TCP_FIN_WAIT_2] = "FIN-WAIT-2", [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
	    [TCP_CLOSING] = "CLOSING",       [TCP_LAST_ACK] = "LAST-ACK",
	    [TCP_TIME_WAIT] = "TIME-WAIT",
	};

	return state < array_count(name) ? name[state] : "?";
}

void *tcp_user(const struct tcp_conn *c)
{
	return c->user;
}

void tcp_set_user(struct tcp_conn *c, void *user)
{
	c->user = user;
}

int tcp_conn_error(const struct tcp_conn *c)
{
	return c->error;
}

int tcp_soft_error(const struct tcp_conn *c)
{
	return c->soft_error;
}

void tcp_endpoints(const struct tcp_conn *c, struct endpoint *local, struct endpoint *remote)
{
	*local = c->local;
	*remote = c->remote;
}

static const char *plugin_name(const struct tcp_conn *c, unsigned kind)
{
	return c->plugin[kind].plugin ? c->plugin[kind].plugin->name : "";
}

static void sending(const struct tcp_conn *c, struct tcp_info *o)
{
	const struct sp_conn *v = &c->view;

	o->mss = v->mss;
	o->backoffs = v->backoffs;
	o->srtt = v->srtt;
	o->rttvar = v->rttvar;
	o->rtt_min = v->rtt_min;
	o->rto = v->rto;
	o->cwnd = v->cwnd;
	o->ssthresh = v->ssthresh;
	o->flight = v->flight;
	o->sacked = v->sacked;
	o->lost = c->lost_bytes;
	o->pacing = c->pacing;
	o->snd_una = v->snd_una;
	o->snd_nxt = v->snd_nxt;
	o->snd_end = v->snd_end;
	o->snd_limit = v->snd_limit;
	o->delivered = v->delivered;
	o->delivery_rate = c->rate;
	o->snd_wscale = c->snd_wscale;
	o->recovering = c->recovering;
}

static void receiving(const struct tcp_conn *c, struct tcp_info *o)
{
	o->rcv_mss = c->view.rcv_mss;
	o->rcv_nxt = c->view.rcv_nxt;
	o->rcv_limit = c->view.rcv_limit;
	o->rcv_read = c->rcv_read;
	o->rcv_wscale = c->rcv_wscale;
	o->ack_timeout = c->ack_timeout;
	o->rcv_rtt = c->rcv_buffer < c->rcv_buffer_max ? tune_rtt(c) : c->tune.rtt;
	o->rcv_buffer = c->rcv_buffer;
}

static void counted(const struct tcp_conn *c, struct tcp_info *o)
{
	o->bytes_sent = c->bytes_sent;
	o->bytes_retransmitted = c->bytes_retransmitted;
	o->bytes_acked = tcp_acked(c);
	o->bytes_received = c->bytes_received;
	o->segs_in = c->segs_in;
	o->segs_out = c->segs_out;
	o->data_segs_in = c->data_segs_in;
	o->data_segs_out = c->data_segs_out;
	o->retransmits = c->retransmits;
	o->dsacks = c->dsacks;
	o->timeouts = c->timeouts;
	o->recoveries = c->recoveries;
	o->undos = c->undos;
	o->probes = c->probes_sent;
	o->last_data_sent = c->last_sent;
	o->last_data_received = c->last_received;
	o->last_ack_received = c->last_ack;
	o->opened = c->opened;
}

void tcp_info(const struct tcp_conn *c, struct tcp_info *o, ns_t now)
{
	char describe[KIND_MAX][96];

	(void)now;
	*o = (struct tcp_info){.state = (enum tcp_state)c->state,
			       .local = c->local,
			       .remote = c->remote,
			       .features = c->view.features,
			       .advmss = c->route.mtu ? conn_advertised_mss(c) - (c->ts_on ? 12u : 0) : 0,
			       .pmtu = c->route.mtu ? mss_packet(c) : 0};
	if (c->ts_on)
		o->features |= SP_TIMESTAMPS;
	sending(c, o);
	receiving(c, o);
	counted(c, o);
	o->recovery = plugin_name(c, KIND_RECOVERY);
	o->rto_plugin = plugin_name(c, KIND_RTO);
	o->ack = plugin_name(c, KIND_ACK);
	o->cc = plugin_name(c, KIND_CC);
	policy_describe(c, describe);
	memcpy(o->describe[0], describe[KIND_RECOVERY], sizeof(describe[0]));
	memcpy(o->describe[1], describe[KIND_RTO], sizeof(describe[0]));
	memcpy(o->describe[2], describe[KIND_ACK], sizeof(describe[0]));
	memcpy(o->describe[3], describe[KIND_CC], sizeof(describe[0]));
}

/* The cursor is a place in the table, bucket above and node in its chain below; the top bit says
 * that the connections are done and TIME-WAIT is being walked. */
#define CURSOR_TIME_WAIT (1ull << 63)

static struct tcp_conn *conn_at(struct tcp *t, uint64_t *cursor)
{
	uint32_t bucket = (uint32_t)(*cursor >> 32), at = (uint32_t)*cursor;

	for (; bucket <= t->conns.mask; bucket++, at = 0) {
		struct table_node *n = t->conns.bucket[bucket];

		for (uint32_t i = 0; n && i < at; i++)
			n = n->next;
		if (n) {
			*cursor = (uint64_t)bucket << 32 | (at + 1);
			return container_of(n, struct tcp_conn, node);
		}
	}
	return NULL;
}

bool tcp_next_conn(struct tcp *t, uint64_t *cursor, struct tcp_conn **conn, struct tcp_info *out,
		   ns_t now)
{
	uint64_t place = *cursor & ~CURSOR_TIME_WAIT;
	bool found;

	*conn = NULL;
	if (!(*cursor & CURSOR_TIME_WAIT)) {
		*conn = conn_at(t, &place);
		if (*conn) {
			*cursor = place;
			tcp_info(*conn, out, now);
			return true;
		}
		place = 0;
	}
	found = time_wait_next(t, &place, out);
	*cursor = place | CURSOR_TIME_WAIT;
	return found;
}
