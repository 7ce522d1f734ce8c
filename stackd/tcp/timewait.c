/* SPDX-License-Identifier: BSD-2-Clause */
/* timewait.c - owns what is left of a connection for 2 MSL (MUST-13): a small record that answers
 * late segments and makes way for a new SYN (MAY-2, RFC 6191).  A RST does not end it (RFC 1337).
 */
#include "tcp/conn.h"

struct time_wait {
	struct table_node node;
	struct timer timer;
	struct endpoint local, remote;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent, ts_offset;
	ns_t since, length;
	uint16_t window;
	uint8_t tos, ttl, device;
	bool ts_on;
};

void time_wait_init(struct tcp *t)
{
	pool_init(&t->time_wait_pool, t->memory, sizeof(struct time_wait), t->conn_pool.max);
}

static void forget(struct tcp *t, struct time_wait *w)
{
	wheel_cancel(&t->time_wait_wheel, &w->timer);
	table_remove(&t->time_waits, &w->node);
	pool_give(&t->time_wait_pool, w);
}

void time_wait_add(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;
	ns_t length = c->profile->knobs.time_wait_ns;
	struct time_wait *w = length ? pool_take(&t->time_wait_pool) : NULL;

	if (!w) {
		if (length)
			count(t->counters, COUNT_conn_time_wait_limit);
		return;
	}
	*w = (struct time_wait){
	    .local = c->local,
	    .remote = c->remote,
	    .snd_nxt = conn_wire(c, c->view.snd_nxt),
	    .rcv_nxt = conn_wire_rcv(c, c->view.rcv_nxt),
	    .ts_recent = c->ts_recent,
	    .ts_offset = c->ts_offset,
	    .ts_on = c->ts_on,
	    .since = t->now,
	    .length = length,
	    .window = recv_window(c),
	    .tos = c->tos,
	    .ttl = c->ttl,
	    .device = c->device,
	};
	timer_init(&w->timer);
	wheel_arm(&t->time_wait_wheel, &w->timer, t->now + length);
	table_insert(&t->time_waits, &w->node, c->node.hash);
}

static struct time_wait *find(struct tcp *t, uint64_t hash, uint32_t interface,
			      const struct endpoint *local, const struct endpoint *remote)
{
	table_for_hash(n, &t->time_waits, hash)
	{
		struct time_wait *w = container_of(n, struct time_wait, node);

		if (w->local.port == local->port && w->remote.port == remote->port &&
		    addr_equal(&w->remote.addr, &remote->addr) &&
		    addr_equal(&w->local.addr, &local->addr) && demux_hears(w->device, interface))
			return w;
	}
	return NULL;
}

struct time_wait *time_wait_find(struct tcp *t, uint64_t hash, const struct segment *s)
{
	return find(t, hash, s->net->interface, &s->local, &s->remote);
}

static void acknowledge(struct tcp *t, const struct time_wait *w)
{
	struct segment_head h = {
	    .src_port = w->local.port,
	    .dst_port = w->remote.port,
	    .seq = w->snd_nxt,
	    .ack = w->rcv_nxt,
	    .window = w->window,
	    .flags = SEG_ACK,
	    .opt.wscale = SEGMENT_NO_WSCALE,
	};

	if (w->ts_on) {
		h.opt.has_ts = true;
		h.opt.tsval = w->ts_offset + (uint32_t)(t->now / NS_PER_MS);
		h.opt.tsecr = w->ts_recent;
	}
	output_bare(t, (struct output_way){w->device, w->tos, w->ttl}, &w->local, &w->remote, &h);
}

/* A SYN that can't be an old duplicate (RFC 6191 2): by its timestamp; where that says nothing or
 * there is none, by its number.  An older timestamp makes it old, whatever its number. */
static bool is_newer(struct tcp *t, const struct time_wait *w, const struct segment *s)
{
	if (!w->ts_on || !s->opt.has_ts || s->opt.tsval == w->ts_recent)
		return seq_before(w->rcv_nxt, s->seq);
	if (seq_before(w->ts_recent, s->opt.tsval))
		return true;
	count(t->counters, COUNT_seg_paws);
	return false;
}

bool time_wait_input(struct tcp *t, struct time_wait *w, const struct segment *s)
{
	if (s->flags & SEG_RST) {
		count(t->counters, COUNT_seg_rst_no_connection);
		return true;
	}
	if ((s->flags & (SEG_SYN | SEG_ACK | SEG_FIN)) == SEG_SYN && is_newer(t, w, s)) {
		count(t->counters, COUNT_conn_time_wait_reused);
		forget(t, w);
		return false;
	}
	if (s->flags & SEG_FIN) /* "restart the 2 MSL time-wait timeout" */
		wheel_arm(&t->time_wait_wheel, &w->timer, t->now + w->length);
	if (s->len > 0 || s->seq != w->rcv_nxt || (s->flags & (SEG_SYN | SEG_FIN)))
		acknowledge(t, w);
	return true;
}

bool time_wait_reuse(struct tcp *t, uint64_t hash, const struct endpoint *local,
		     const struct endpoint *remote)
{
	struct time_wait *w = find(t, hash, DEMUX_NOWHERE, local, remote);

	if (!w)
		return true;
	if (!w->ts_on || t->now < w->since + NS_PER_S)
		return false;
	forget(t, w);
	return true;
}

void time_wait_expire(struct tcp *t)
{
	struct timer *tm;

	if (t->time_waits.count == 0)
		return;
	while ((tm = wheel_expired(&t->time_wait_wheel, t->now)))
		forget(t, container_of(tm, struct time_wait, timer));
}

bool time_wait_next(struct tcp *t, uint64_t *cursor, struct tcp_info *out)
{
	uint32_t bucket = (uint32_t)(*cursor >> 32), at = (uint32_t)*cursor;

	for (; bucket <= t->time_waits.mask; bucket++, at = 0) {
		struct table_node *n = t->time_waits.bucket[bucket];

		for (uint32_t i = 0; n && i < at; i++)
			n = n->next;
		if (n) {
			struct time_wait *w = container_of(n, struct time_wait, node);

			*out = (struct tcp_info){.state = TCP_TIME_WAIT,
						 .local = w->local,
						 .remote = w->remote,
						 .opened = w->since};
			*cursor = (uint64_t)bucket << 32 | (at + 1);
			return true;
		}
	}
	*cursor = (uint64_t)bucket << 32;
	return false;
}
