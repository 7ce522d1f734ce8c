/* SPDX-License-Identifier: BSD-2-Clause */
/* control_watch.c - `watch`: once a second what each shard does and the busiest connections, as rates
 * since the second before. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_part.h"

#define SEEN_MAX     65536u /* connections whose rates are known */
#define ROWS_MAX     32u
#define TICKS_A_TURN (1000u / CONTROL_TICK_MS)

/* A connection as it was in one turn. */
struct seen {
	struct endpoint local, remote;
	enum tcp_state state;
	uint64_t in, out, again, cwnd, pipe; /* bytes; again: segments sent again */
	ns_t opened, srtt;
	double in_rate, out_rate; /* bytes a second */
	uint64_t again_now;
	char recovery[16], cc[16];
};

struct turn {
	struct seen *conn; /* by opened and ends */
	uint32_t count;
	uint64_t beyond; /* not looked at: too many */
	ns_t at;
};

struct watch {
	struct control_stream stream;
	const struct control_context *context;
	struct conn_filter filter;
	bool json;
	uint32_t ticks;
	struct turn before, now;
	struct shard_facts shard[SHARDS_MAX]; /* as they were */
};

/* --- one turn ---------------------------------------------------------------------------------------- */

static void copy_name(char out[static 16], const char *name)
{
	snprintf(out, 16, "%s", name ? name : "");
}

static bool see(void *arg, uint32_t shard, const struct tcp_info *i, ns_t now)
{
	struct watch *w = arg;
	struct seen *s;

	(void)shard;
	(void)now;
	if (i->state == TCP_TIME_WAIT || !conn_filter_matches(&w->filter, i))
		return true;
	if (w->now.count == SEEN_MAX) {
		w->now.beyond++;
		return true;
	}
	s = &w->now.conn[w->now.count++];
	*s = (struct seen){.local = i->local, .remote = i->remote, .state = i->state, .in = i->bytes_received,
			   .out = i->bytes_acked, .again = i->retransmits, .cwnd = i->cwnd, .pipe = i->flight,
			   .opened = i->opened, .srtt = i->srtt};
	copy_name(s->recovery, i->recovery);
	copy_name(s->cc, i->cc);
	return true;
}

static int by_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port != b->port ? (a->port < b->port ? -1 : 1) : memcmp(a->addr.b, b->addr.b, 16);
}

static int by_name(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int order;

	if (x->opened != y->opened)
		return x->opened < y->opened ? -1 : 1;
	order = by_end(&x->local, &y->local);
	return order ? order : by_end(&x->remote, &y->remote);
}

static int by_rate(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	double rx = x->in_rate + x->out_rate, ry = y->in_rate + y->out_rate;

	return rx != ry ? (rx > ry ? -1 : 1) : by_name(a, b);
}

static void rate(const struct turn *before, struct turn *now)
{
	double seconds = (double)(now->at - before->at) / 1e9;

	for (uint32_t i = 0; before->at && seconds > 0 && i < now->count; i++) {
		struct seen *s = &now->conn[i];
		const struct seen *was = bsearch(s, before->conn, before->count, sizeof(*s), by_name);

		s->in_rate = (double)(s->in - (was ? was->in : 0)) / seconds;
		s->out_rate = (double)(s->out - (was ? was->out : 0)) / seconds;
		s->again_now = s->again - (was ? was->again : 0);
	}
}

/* --- shown ------------------------------------------------------------------------------------------- */

static void bits(struct writer *w, const char *name, double bytes)
{
	double b = bytes * 8;

	if (w->json)
		writer_u64(w, name, (uint64_t)b);
	else if (b >= 1e9)
		writer_textf(w, name, "%.2fG", b / 1e9);
	else if (b >= 1e6)
		writer_textf(w, name, "%.1fM", b / 1e6);
	else if (b >= 1e3)
		writer_textf(w, name, "%.1fK", b / 1e3);
	else
		writer_textf(w, name, "%.0f", b);
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static void shard_row(struct writer *w, uint32_t shard, const struct shard_facts *now,
		      const struct shard_facts *was, double seconds)
{
	const uint64_t *n = now->counters.n, *m = was->counters.n;
	uint64_t busy = now->stats.busy_ns - was->stats.busy_ns, idle = now->stats.idle_ns - was->stats.idle_ns;

	writer_row(w);
	writer_u64(w, "shard", shard);
	writer_u64(w, "connections", now->stats.connections);
	writer_u64(w, "listeners", now->stats.listeners);
	writer_u64(w, "turns", (uint64_t)per_second(now->stats.loops, was->stats.loops, seconds));
	writer_u64(w, "sleeps", (uint64_t)per_second(now->stats.sleeps, was->stats.sleeps, seconds));
	writer_u64(w, "rx_frames", (uint64_t)per_second(n[COUNT_rx_frames], m[COUNT_rx_frames], seconds));
	writer_u64(w, "tx_frames", (uint64_t)per_second(n[COUNT_tx_frames], m[COUNT_tx_frames], seconds));
	bits(w, "rx_bits", per_second(n[COUNT_rx_bytes], m[COUNT_rx_bytes], seconds));
	bits(w, "tx_bits", per_second(n[COUNT_tx_bytes], m[COUNT_tx_bytes], seconds));
	writer_real(w, "busy", busy + idle ? (double)(busy * 1000 / (busy + idle)) / 1e3 : 0);
	writer_row_end(w);
}

static void shard_rows(struct watch *w, struct writer *to, double seconds)
{
	static const struct writer_column columns[] = {
	    {"shard", "Shard", 5},		{"connections", "Conns", -8},
	    {"listeners", "Listeners", -9},	{"turns", "Turns/s", -9},
	    {"sleeps", "Sleeps/s", -9},		{"rx_frames", "Rx-Frames/s", -11},
	    {"tx_frames", "Tx-Frames/s", -11},	{"rx_bits", "Rx-bit/s", -9},
	    {"tx_bits", "Tx-bit/s", -9},	{"busy", "Busy", -6},
	    {0}};
	struct shard_facts now;

	writer_table(to, "shards", columns);
	for (uint32_t i = 0; i < w->context->shard_count; i++) {
		control_shard_facts(w->context->shards[i], &now);
		shard_row(to, i, &now, &w->shard[i], seconds);
		w->shard[i] = now;
	}
	writer_table_end(to);
}

static void conn_rows(struct watch *w, struct writer *to)
{
	static const struct writer_column columns[] = {
	    {"state", "State", 10},	{"local", "Local Address:Port", 22}, {"peer", "Peer Address:Port", 22},
	    {"in_bits", "In-bit/s", -9}, {"out_bits", "Out-bit/s", -9},	     {"retrans", "Again", -6},
	    {"cwnd_bytes", "Cwnd", -9}, {"pipe_bytes", "Pipe", -9},	     {"rtt", "RTT-ms", -8},
	    {"recovery", "Recovery", 9}, {"cc", "CC", 0},		     {0}};
	uint32_t shown = w->now.count < ROWS_MAX ? w->now.count : ROWS_MAX;
	char end[ENDPOINT_TEXT_MAX];

	writer_table(to, "conns", columns);
	for (uint32_t i = 0; i < shown; i++) {
		const struct seen *s = &w->now.conn[i];

		writer_row(to);
		writer_text(to, "state", tcp_state_name(s->state));
		writer_text(to, "local", endpoint_format(&s->local, end));
		writer_text(to, "peer", endpoint_format(&s->remote, end));
		bits(to, "in_bits", s->in_rate);
		bits(to, "out_bits", s->out_rate);
		writer_u64(to, "retrans", s->again_now);
		writer_u64(to, "cwnd_bytes", s->cwnd);
		writer_u64(to, "pipe_bytes", s->pipe);
		writer_real(to, "rtt", (double)(s->srtt / 1000) / 1e3);
		writer_text(to, "recovery", s->recovery);
		writer_text(to, "cc", s->cc);
		writer_row_end(to);
	}
	writer_table_end(to);
	if (w->now.count + w->now.beyond > shown)
		writer_u64(to, "more", w->now.count + w->now.beyond - shown);
}

static ns_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (ns_t)t.tv_sec * NS_PER_S + (ns_t)t.tv_nsec;
}

static void turn(struct watch *w, struct writer *out)
{
	struct turn spare = w->before;
	struct writer to;
	double seconds;

	w->before = w->now;
	w->now = (struct turn){.conn = spare.conn, .at = clock_now()};
	control_each_conn(w->context, see, w);
	seconds = w->before.at ? (double)(w->now.at - w->before.at) / 1e9 : 0;
	qsort(w->now.conn, w->now.count, sizeof(w->now.conn[0]), by_name);
	rate(&w->before, &w->now);
	qsort(w->now.conn, w->now.count, sizeof(w->now.conn[0]), by_rate);
	writer_init(&to, w->json, CONTROL_STREAM_MAX);
	if (!w->json)
		writer_raw(&to, "\f"); /* where a screen begins */
	shard_rows(w, &to, seconds);
	if (!w->json)
		writer_raw(&to, "\n");
	conn_rows(w, &to);
	writer_finish(&to);
	writer_bytes(out, to.text, to.len);
	writer_free(&to);
	qsort(w->now.conn, w->now.count, sizeof(w->now.conn[0]), by_name);
}

/* A reader that is behind gets fewer turns, not older ones. */
static bool fill(struct control_stream *s, struct writer *out, bool ending)
{
	struct watch *w = container_of(s, struct watch, stream);

	if (w->ticks++ >= TICKS_A_TURN && out->len == 0) {
		turn(w, out);
		w->ticks = 1;
	}
	return !ending;
}

static void close_watch(struct control_stream *s)
{
	struct watch *w = container_of(s, struct watch, stream);

	free(w->before.conn);
	free(w->now.conn);
	free(w);
}

int control_watch(struct control_request *r)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return control_refuse(r, -ENOMEM, "out of memory");
	w->stream = (struct control_stream){fill, close_watch};
	w->context = r->context;
	w->json = r->answer.json;
	w->ticks = TICKS_A_TURN;
	if (conn_filter_parse(r->word, &w->filter, r->error)) {
		free(w);
		return -EINVAL;
	}
	/* taken by the kernel as they are used */
	w->before.conn = calloc(SEEN_MAX, sizeof(w->before.conn[0]));
	w->now.conn = calloc(SEEN_MAX, sizeof(w->now.conn[0]));
	if (!w->before.conn || !w->now.conn) {
		close_watch(&w->stream);
		return control_refuse(r, -ENOMEM, "out of memory");
	}
	writer_free(&r->answer);
	writer_init(&r->answer, false, CONTROL_STREAM_MAX);
	r->stream = &w->stream;
	return 0;
}
