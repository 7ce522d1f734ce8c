/* SPDX-License-Identifier: BSD-2-Clause */
/* control_conns.c - show conns in the words, order and units of `ss -tin`, and kill.  Shards are
 * asked for a batch at a time, so that none is held up for long. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_part.h"

#define BATCH 64u

struct batch {
	struct tcp_info info[BATCH];
	uint32_t count;
	uint64_t cursor;
	ns_t now;
	bool done;
	/* looked for: these two ends */
	const struct endpoint *local, *remote;
	bool found, kill;
};

static bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static void next_batch(struct shard *s, void *arg)
{
	struct batch *b = arg;
	struct tcp_conn *conn;

	b->now = shard_now(s);
	b->count = 0;
	while (b->count < BATCH) {
		struct tcp_info *info = &b->info[b->count];

		memset(info, 0, sizeof(*info));
		if (!tcp_next_conn(shard_tcp(s), &b->cursor, &conn, info, b->now)) {
			b->done = true;
			break;
		}
		b->count++;
		if (b->local && conn && same_end(&info->local, b->local) &&
		    same_end(&info->remote, b->remote)) {
			if (b->kill)
				tcp_abort(conn);
			b->found = true;
			b->done = true;
			break;
		}
	}
}

/* --- one connection ------------------------------------------------------------------------------ */

static double ms(ns_t t)
{
	return (double)t / 1e6;
}

static uint64_t ms_since(ns_t now, ns_t then)
{
	return then && now > then ? (now - then) / NS_PER_MS : 0;
}

static uint64_t segs(uint64_t bytes, uint32_t mss)
{
	return mss ? (bytes + mss - 1) / mss : 0;
}

static const char *rate_text(double bits, char out[static 24])
{
	if (bits >= 1e9)
		snprintf(out, 24, "%.1fGbps", bits / 1e9);
	else if (bits >= 1e6)
		snprintf(out, 24, "%.1fMbps", bits / 1e6);
	else if (bits >= 1e3)
		snprintf(out, 24, "%.1fKbps", bits / 1e3);
	else
		snprintf(out, 24, "%.0fbps", bits);
	return out;
}

static double send_rate(const struct tcp_info *i)
{
	return i->srtt ? (double)i->cwnd * 8e9 / (double)i->srtt : 0;
}

static void text_timers(struct writer *w, const struct tcp_info *i)
{
	if (i->features & SP_TIMESTAMPS)
		writer_note(w, "ts");
	if (i->features & SP_SACK)
		writer_note(w, "sack");
	if (i->features & SP_ECN)
		writer_note(w, "ecn");
	writer_note(w, "%s", i->cc ? i->cc : "-");
	if (i->snd_wscale || i->rcv_wscale)
		writer_note(w, "wscale:%u,%u", i->snd_wscale, i->rcv_wscale);
	writer_note(w, "rto:%g", ms(i->rto));
	if (i->backoffs)
		writer_note(w, "backoff:%u", i->backoffs);
	if (i->srtt)
		writer_note(w, "rtt:%g/%g", ms(i->srtt), ms(i->rttvar));
	if (i->ack_timeout)
		writer_note(w, "ato:%g", ms(i->ack_timeout));
	writer_note(w, "mss:%u pmtu:%u rcvmss:%u advmss:%u", i->mss, i->pmtu, i->rcv_mss, i->advmss);
	writer_note(w, "cwnd:%llu", (unsigned long long)segs(i->cwnd, i->mss));
	if (i->ssthresh < (1ull << 40))
		writer_note(w, "ssthresh:%llu", (unsigned long long)segs(i->ssthresh, i->mss));
}

static void count_note(struct writer *w, const char *name, uint64_t value)
{
	if (value)
		writer_note(w, "%s:%llu", name, (unsigned long long)value);
}

static void text_traffic(struct writer *w, const struct tcp_info *i, ns_t now)
{
	char rate[24];

	count_note(w, "bytes_sent", i->bytes_sent);
	count_note(w, "bytes_retrans", i->bytes_retransmitted);
	count_note(w, "bytes_acked", i->bytes_acked);
	count_note(w, "bytes_received", i->bytes_received);
	count_note(w, "segs_out", i->segs_out);
	count_note(w, "segs_in", i->segs_in);
	count_note(w, "data_segs_out", i->data_segs_out);
	count_note(w, "data_segs_in", i->data_segs_in);
	if (i->srtt)
		writer_note(w, "send %s", rate_text(send_rate(i), rate));
	count_note(w, "lastsnd", ms_since(now, i->last_data_sent));
	count_note(w, "lastrcv", ms_since(now, i->last_data_received));
	count_note(w, "lastack", ms_since(now, i->last_ack_received));
	if (i->pacing)
		writer_note(w, "pacing_rate %s", rate_text((double)i->pacing * 8, rate));
	if (i->delivery_rate)
		writer_note(w, "delivery_rate %s", rate_text((double)i->delivery_rate * 8, rate));
	count_note(w, "delivered", segs(i->delivered, i->mss));
	count_note(w, "unacked", segs(i->snd_nxt - i->snd_una, i->mss));
	if (i->retransmits)
		writer_note(w, "retrans:%llu/%llu", (unsigned long long)segs(i->lost, i->mss),
			    (unsigned long long)i->retransmits);
	count_note(w, "lost", segs(i->lost, i->mss));
	count_note(w, "sacked", segs(i->sacked, i->mss));
	count_note(w, "dsack_dups", i->dsacks);
	if (i->rcv_rtt)
		writer_note(w, "rcv_rtt:%g", ms(i->rcv_rtt));
	count_note(w, "rcv_space", i->rcv_limit - i->rcv_nxt);
	count_note(w, "notsent", i->snd_end - i->snd_nxt);
	if (i->rtt_min && i->rtt_min != NS_NEVER)
		writer_note(w, "minrtt:%g", ms(i->rtt_min));
}

/* What ss doesn't know: which plugins decide, and what they say. */
static void text_policy(struct writer *w, const struct tcp_info *i)
{
	static const char *const kind[] = {"recovery", "rto", "ack", "cc"};

	writer_note(w, "recovery:%s rto_plugin:%s ack:%s", i->recovery ? i->recovery : "-",
		    i->rto_plugin ? i->rto_plugin : "-", i->ack ? i->ack : "-");
	count_note(w, "timeouts", i->timeouts);
	count_note(w, "recoveries", i->recoveries);
	count_note(w, "undos", i->undos);
	if (i->recovering)
		writer_note(w, "recovering");
	for (int k = 0; k < 4; k++)
		if (*i->describe[k])
			writer_note(w, "%s(%s)", kind[k], i->describe[k]);
}

static void json_ms(struct writer *w, const char *name, ns_t t)
{
	writer_real(w, name, ms(t));
}

static void json_details(struct writer *w, const struct tcp_info *i, ns_t now)
{
	const struct {
		const char *name;
		uint64_t value;
	} number[] = {
	    {"snd_wscale", i->snd_wscale}, {"rcv_wscale", i->rcv_wscale}, {"backoff", i->backoffs},
	    {"mss", i->mss}, {"pmtu", i->pmtu}, {"rcvmss", i->rcv_mss}, {"advmss", i->advmss},
	    {"cwnd", segs(i->cwnd, i->mss)}, {"cwnd_bytes", i->cwnd},
	    {"flight_bytes", i->flight}, {"sacked_bytes", i->sacked}, {"lost_bytes", i->lost},
	    {"bytes_sent", i->bytes_sent}, {"bytes_retrans", i->bytes_retransmitted},
	    {"bytes_acked", i->bytes_acked}, {"bytes_received", i->bytes_received},
	    {"segs_out", i->segs_out}, {"segs_in", i->segs_in},
	    {"data_segs_out", i->data_segs_out}, {"data_segs_in", i->data_segs_in},
	    {"retrans", i->retransmits}, {"dsack_dups", i->dsacks}, {"timeouts", i->timeouts},
	    {"recoveries", i->recoveries}, {"undos", i->undos}, {"probes", i->probes},
	    {"delivered_bytes", i->delivered}, {"delivery_rate_bps", i->delivery_rate * 8},
	    {"pacing_rate_bps", i->pacing * 8}, {"notsent", i->snd_end - i->snd_nxt},
	    {"rcv_buffer", i->rcv_buffer},
	    {"lastsnd", ms_since(now, i->last_data_sent)},
	    {"lastrcv", ms_since(now, i->last_data_received)},
	    {"lastack", ms_since(now, i->last_ack_received)},
	};

	writer_text(w, "cc", i->cc ? i->cc : "");
	writer_text(w, "recovery", i->recovery ? i->recovery : "");
	writer_text(w, "rto_plugin", i->rto_plugin ? i->rto_plugin : "");
	writer_text(w, "ack", i->ack ? i->ack : "");
	writer_bool(w, "ts", i->features & SP_TIMESTAMPS);
	writer_bool(w, "sack", i->features & SP_SACK);
	writer_bool(w, "ecn", i->features & SP_ECN);
	json_ms(w, "rto", i->rto);
	json_ms(w, "rtt", i->srtt);
	json_ms(w, "rttvar", i->rttvar);
	json_ms(w, "minrtt", i->rtt_min == NS_NEVER ? 0 : i->rtt_min);
	json_ms(w, "ato", i->ack_timeout);
	if (i->ssthresh < (1ull << 40))
		writer_u64(w, "ssthresh", segs(i->ssthresh, i->mss));
	for (size_t k = 0; k < array_count(number); k++)
		writer_u64(w, number[k].name, number[k].value);
	writer_bool(w, "recovering", i->recovering);
	writer_text(w, "recovery_state", i->describe[0]);
	writer_text(w, "rto_state", i->describe[1]);
	writer_text(w, "ack_state", i->describe[2]);
	writer_text(w, "cc_state", i->describe[3]);
}

static void conn_row(struct writer *w, uint32_t shard, const struct tcp_info *i, bool details, ns_t now)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];

	writer_row(w);
	writer_text(w, "state", tcp_state_name(i->state));
	writer_u64(w, "recv_q", i->rcv_nxt - i->rcv_read);
	writer_u64(w, "send_q", i->snd_end - i->snd_una);
	writer_text(w, "local", endpoint_format(&i->local, local));
	writer_text(w, "peer", endpoint_format(&i->remote, remote));
	if (w->json)
		writer_u64(w, "shard", shard);
	if (details && w->json) {
		json_details(w, i, now);
	} else if (details && i->state != TCP_TIME_WAIT) {
		text_timers(w, i);
		text_traffic(w, i, now);
		text_policy(w, i);
	}
	writer_row_end(w);
}

/* --- the commands ------------------------------------------------------------------------------------ */

int control_each_conn(const struct control_context *c,
		      bool (*see)(void *arg, uint32_t shard, const struct tcp_info *, ns_t now), void *arg)
{
	struct batch *b = calloc(1, sizeof(*b));
	bool more = true;

	if (!b)
		return -ENOMEM;
	for (uint32_t s = 0; more && s < c->shard_count; s++) {
		b->cursor = 0;
		for (b->done = false; more && !b->done;) {
			shard_call(c->shards[s], next_batch, b);
			for (uint32_t i = 0; more && i < b->count; i++)
				more = see(arg, s, &b->info[i], b->now);
		}
	}
	free(b);
	return 0;
}

struct shown {
	struct writer *to;
	struct conn_filter filter;
	bool details;
};

static bool show(void *arg, uint32_t shard, const struct tcp_info *i, ns_t now)
{
	struct shown *s = arg;

	if (conn_filter_matches(&s->filter, i))
		conn_row(s->to, shard, i, s->details, now);
	return !s->to->overflow;
}

int control_show_conns(struct control_request *r)
{
	static const struct writer_column columns[] = {{"state", "State", 10},
						       {"recv_q", "Recv-Q", 6},
						       {"send_q", "Send-Q", 6},
						       {"local", "Local Address:Port", 22},
						       {"peer", "Peer Address:Port", 0},
						       {0}};
	struct shown s = {.to = &r->answer, .details = r->word_count > 0 && strcmp(r->word[0], "-i") == 0};

	if (conn_filter_parse(r->word + s.details, &s.filter, r->error))
		return -EINVAL;
	writer_table(&r->answer, "conns", columns);
	if (control_each_conn(r->context, show, &s))
		return control_refuse(r, -ENOMEM, "out of memory");
	writer_table_end(&r->answer);
	return 0;
}

static void drain_shard(struct shard *s, void *arg)
{
	tcp_set_draining(shard_tcp(s), *(bool *)arg);
}

/* What is left is counted without TIME-WAIT: it waits for nobody. */
int control_drain(struct control_request *r)
{
	const struct control_context *c = r->context;
	bool draining = r->word_count == 0;
	struct shard_facts facts;
	uint64_t left = 0;

	if (r->word_count > 1 || (r->word_count == 1 && strcmp(r->word[0], "off") != 0))
		return control_refuse(r, -EINVAL, "usage: drain [--timeout SECONDS], or drain off");
	for (uint32_t s = 0; s < c->shard_count; s++) {
		shard_call(c->shards[s], drain_shard, &draining);
		control_shard_facts(c->shards[s], &facts);
		left += facts.stats.connections;
	}
	writer_bool(&r->answer, "draining", draining);
	writer_u64(&r->answer, "left", left);
	return 0;
}

/* Walks all shards until the connection is found; 0 or -ENOENT. */
static int find(const struct control_context *c, struct batch *b, const struct batch *start)
{
	for (uint32_t s = 0; s < c->shard_count; s++) {
		*b = *start;
		while (!b->done)
			shard_call(c->shards[s], next_batch, b);
		if (b->found)
			return 0;
	}
	return -ENOENT;
}

bool control_conn_exists(const struct control_context *c, const struct endpoint *local,
			 const struct endpoint *remote)
{
	struct batch *b = malloc(2 * sizeof(*b));
	bool exists;

	if (!b)
		return false;
	b[1] = (struct batch){.local = local, .remote = remote};
	exists = find(c, &b[0], &b[1]) == 0;
	free(b);
	return exists;
}

int control_kill(struct control_request *r)
{
	struct endpoint local, remote;
	struct batch *b;
	int code;

	if (conn_name_parse(r->word, r->word_count, &local, &remote))
		return control_refuse(r, -EINVAL,
				      "usage: kill LOCAL REMOTE, as show conns prints them: kill "
				      "10.9.0.2:40000 10.9.0.1:80");
	b = malloc(2 * sizeof(*b));
	if (!b)
		return control_refuse(r, -ENOMEM, "out of memory");
	b[1] = (struct batch){.local = &local, .remote = &remote, .kill = true};
	code = find(r->context, &b[0], &b[1]);
	free(b);
	if (code)
		return control_refuse(r, code, "there is no such connection");
	writer_u64(&r->answer, "killed", 1);
	return 0;
}
