/* SPDX-License-Identifier: BSD-2-Clause */
/* control_trace.c - `trace`: each event of a connection with what its plugins made of it, a line each. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_part.h"
#include "control_tap.h"

struct trace {
	struct control_stream stream;
	struct tap_user user;
	struct taps *taps;
	struct conn_filter filter;
	bool one, ended, json; /* one: a single connection, whose end is ours */
	ns_t started;
	struct writer lines;
	uint64_t lost;
};

/* --- in words ---------------------------------------------------------------------------------------- */

struct words {
	char *text;
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) say(struct words *w, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->text + w->len, TRACE_TEXT_MAX - w->len, format, args);
	va_end(args);
	if (n > 0)
		w->len = w->len + (size_t)n < TRACE_TEXT_MAX ? w->len + (size_t)n : TRACE_TEXT_MAX - 1;
}

static unsigned long long u(uint64_t v)
{
	return v;
}

static double ms(ns_t t)
{
	return (double)t / 1e6;
}

static const char *or_none(const char *name)
{
	return name ? name : "-";
}

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = {"ack", "data", "timer", "wait", "send", "empty", "end"};

	return names[kind];
}

static const char *episode_name(uint8_t episode)
{
	static const char *const names[] = {"", "enters recovery", "leaves recovery", "time-out", "undo", "", ""};

	return names[episode];
}

/* SYN, ACK ... of a segment we sent. */
static void flag_words(uint8_t flags, char out[static 32])
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	size_t len = 0;

	*out = 0;
	for (unsigned i = 0; i < 8; i++)
		if (flags & (1u << i))
			len += (size_t)snprintf(out + len, 32 - len, "%s%s", len ? "," : "", names[i]);
}

static void say_window(struct words *w, const struct tcp_trace *t)
{
	if (*episode_name(t->episode))
		say(w, "; %s: %s", or_none(t->recovery), episode_name(t->episode));
	if (t->allowance)
		say(w, "; %s: %u bytes may leave beyond cwnd", or_none(t->recovery), t->allowance);
	if (t->cwnd != t->cwnd_before)
		say(w, "; %s: cwnd %llu -> %llu", or_none(t->cc), u(t->cwnd_before), u(t->cwnd));
	if (t->ssthresh != t->ssthresh_before)
		say(w, "; %s: ssthresh -> %llu", or_none(t->cc), u(t->ssthresh));
}

static void say_ack(struct words *w, const struct tcp_trace *t)
{
	if (t->len)
		say(w, "acked %llu:%llu", u(t->off), u(t->off + t->len));
	else
		say(w, "%s", t->duplicate ? "duplicate ack" : "ack");
	if (t->sack_news)
		say(w, ", sack");
	if (t->delivered != t->len)
		say(w, ", delivered %llu", u(t->delivered));
	if (t->rtt)
		say(w, ", rtt %.3fms", ms(t->rtt));
	say_window(w, t);
}

static void say_data(struct words *w, const struct tcp_trace *t, ns_t at)
{
	say(w, "got %llu:%llu%s", u(t->off), u(t->off + t->len),
	    t->duplicate ? ", held already" : t->in_order ? "" : ", out of order");
	if (!t->kept && !t->duplicate)
		say(w, "; %s: not kept", or_none(t->recovery));
	if (t->ack_by == NS_NEVER)
		say(w, "; %s: no ack owed", or_none(t->ack));
	else if (t->ack_by <= at)
		say(w, "; %s: ack now", or_none(t->ack));
	else
		say(w, "; %s: ack within %.3fms", or_none(t->ack), ms(t->ack_by - at));
}

static void say_sent(struct words *w, const struct tcp_trace *t)
{
	char flags[32];

	flag_words(t->flags, flags);
	if (t->kind == TCP_TRACE_EMPTY) {
		say(w, "sent %s", flags);
		if (t->flags & 0x10)
			say(w, " ack %llu", u(t->rcv_nxt));
		return;
	}
	say(w, "sent %llu:%llu %s", u(t->off), u(t->off + t->len), flags);
	say(w, "; %s: %s", or_none(t->recovery), t->again ? "again" : "new data");
}

void trace_words(const struct tcp_trace *t, ns_t at, char out[static TRACE_TEXT_MAX])
{
	struct words w = {out, 0};

	*out = 0;
	switch ((enum tcp_trace_kind)t->kind) {
	case TCP_TRACE_ACK:
		say_ack(&w, t);
		break;
	case TCP_TRACE_DATA:
		say_data(&w, t, at);
		break;
	case TCP_TRACE_TIMER:
		say(&w, "timer of %s", or_none(t->recovery));
		if (t->episode == SP_TIMEOUT)
			say(&w, "; %s: rto -> %.0fms, backed off %u times", or_none(t->rto_plugin), ms(t->rto),
			    t->backoffs);
		say_window(&w, t);
		break;
	case TCP_TRACE_WAIT:
		say(&w, "no answer; %s: rto -> %.0fms", or_none(t->rto_plugin), ms(t->rto));
		break;
	case TCP_TRACE_SEND:
	case TCP_TRACE_EMPTY:
		say_sent(&w, t);
		break;
	case TCP_TRACE_END:
		say(&w, "ended%s%s", t->error ? ": " : "", t->error ? strerror(t->error) : "");
		break;
	}
}

/* --- lines ------------------------------------------------------------------------------------------- */

static void text_line(struct trace *tr, const struct tcp_trace *t, ns_t at, struct writer *w)
{
	char words[TRACE_TEXT_MAX], local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];

	trace_words(t, at, words);
	writer_raw(w, "%11.6f ", (double)(at - tr->started) / 1e9);
	if (!tr->one)
		writer_raw(w, "%s-%s ", endpoint_format(&t->local, local), endpoint_format(&t->remote, remote));
	writer_raw(w, "%s %s", tcp_state_name((enum tcp_state)t->state), words);
	writer_raw(w, " | cwnd:%llu", u(t->cwnd));
	if (t->ssthresh < (1ull << 40))
		writer_raw(w, " ssthresh:%llu", u(t->ssthresh));
	writer_raw(w, " pipe:%llu", u(t->pipe));
	if (t->sacked)
		writer_raw(w, " sacked:%llu", u(t->sacked));
	if (t->lost)
		writer_raw(w, " lost:%llu", u(t->lost));
	writer_raw(w, " rto:%.0fms", ms(t->rto));
	if (t->srtt)
		writer_raw(w, " srtt:%.3fms", ms(t->srtt));
	writer_raw(w, "%s\n", t->recovering ? " recovering" : "");
}

static void json_numbers(struct writer *w, const struct tcp_trace *t)
{
	writer_u64(w, "offset", t->off == UINT64_MAX ? 0 : t->off);
	writer_u64(w, "len", t->len);
	writer_u64(w, "delivered", t->delivered);
	writer_real(w, "rtt", ms(t->rtt));
	writer_u64(w, "cwnd_before", t->cwnd_before);
	writer_u64(w, "cwnd", t->cwnd);
	if (t->ssthresh < (1ull << 40))
		writer_u64(w, "ssthresh", t->ssthresh);
	writer_u64(w, "pipe", t->pipe);
	writer_u64(w, "sacked", t->sacked);
	writer_u64(w, "lost", t->lost);
	writer_real(w, "rto", ms(t->rto));
	writer_real(w, "srtt", ms(t->srtt));
	writer_u64(w, "backoff", t->backoffs);
	writer_u64(w, "snd_una", t->snd_una);
	writer_u64(w, "snd_nxt", t->snd_nxt);
	writer_u64(w, "rcv_nxt", t->rcv_nxt);
}

static void json_line(struct trace *tr, const struct tcp_trace *t, ns_t at, struct writer *w)
{
	char words[TRACE_TEXT_MAX], end[ENDPOINT_TEXT_MAX], flags[32];

	trace_words(t, at, words);
	flag_words(t->flags, flags);
	writer_real(w, "time", (double)((at - tr->started) / 1000) / 1e6);
	writer_text(w, "event", kind_name(t->kind));
	writer_text(w, "local", endpoint_format(&t->local, end));
	writer_text(w, "peer", endpoint_format(&t->remote, end));
	writer_text(w, "state", tcp_state_name((enum tcp_state)t->state));
	writer_text(w, "says", words);
	writer_text(w, "flags", flags);
	writer_text(w, "episode", episode_name(t->episode));
	json_numbers(w, t);
	writer_bool(w, "again", t->again);
	writer_bool(w, "duplicate", t->duplicate);
	writer_bool(w, "in_order", t->in_order);
	writer_bool(w, "kept", t->kept);
	writer_bool(w, "recovering", t->recovering);
	writer_text(w, "recovery", or_none(t->recovery));
	writer_text(w, "rto_plugin", or_none(t->rto_plugin));
	writer_text(w, "ack", or_none(t->ack));
	writer_text(w, "cc", or_none(t->cc));
	if (t->error)
		writer_text(w, "error", strerror(t->error));
}

static void take(struct tap_user *user, uint32_t shard, const struct tape_record *r)
{
	struct trace *tr = container_of(user, struct trace, user);
	const struct tcp_trace *t = tape_body(r);
	struct writer line;

	(void)shard;
	if (r->kind != TAPE_TCP || tr->ended || !conn_filter_ends(&tr->filter, &t->local, &t->remote))
		return;
	if (r->at < tr->started)
		tr->started = r->at;
	writer_init(&line, tr->json, 1 << 16);
	if (tr->json)
		json_line(tr, t, r->at, &line);
	else
		text_line(tr, t, r->at, &line);
	writer_finish(&line);
	if (!writer_bytes(&tr->lines, line.text, line.len))
		tr->lost++;
	writer_free(&line);
	tr->ended = tr->one && t->kind == TCP_TRACE_END;
}

/* --- the stream -------------------------------------------------------------------------------------- */

static void say_lost(struct trace *tr, struct writer *out)
{
	uint64_t lost = tr->lost + taps_lost(tr->taps, &tr->user);
	char line[96];
	int n;

	if (!lost)
		return;
	n = snprintf(line, sizeof(line), tr->json ? "{\"event\":\"lost\",\"count\":%llu}\n" : "(%llu events lost)\n",
		     u(lost));
	writer_bytes(out, line, (size_t)n);
}

static bool fill(struct control_stream *s, struct writer *out, bool ending)
{
	struct trace *tr = container_of(s, struct trace, stream);

	taps_drain(tr->taps);
	if (writer_bytes(out, tr->lines.text ? tr->lines.text : "", tr->lines.len))
		tr->lines.len = 0;
	ending |= tr->ended && tr->lines.len == 0;
	if (ending)
		say_lost(tr, out);
	return !ending;
}

static void close_trace(struct control_stream *s)
{
	struct trace *tr = container_of(s, struct trace, stream);

	taps_leave(tr->taps, &tr->user);
	writer_free(&tr->lines);
	free(tr);
}

static int wanted(struct control_request *r, struct trace *tr)
{
	struct endpoint local, remote;

	if (conn_name_parse(r->word, r->word_count, &local, &remote) == 0) {
		if (!control_conn_exists(r->context, &local, &remote))
			return control_refuse(r, -ENOENT, "there is no such connection; show conns lists them");
		tr->one = true;
		tr->filter = (struct conn_filter){.local = {.addr = local.addr, .bits = 128},
						  .remote = {.addr = remote.addr, .bits = 128},
						  .local_port = local.port,
						  .remote_port = remote.port};
		return 0;
	}
	if (conn_filter_parse(r->word, &tr->filter, r->error))
		return -EINVAL;
	if (r->word_count == 0 || *tr->filter.state || *tr->filter.recovery || *tr->filter.cc)
		return control_refuse(r, -EINVAL,
				      "usage: trace LOCAL REMOTE, as show conns prints them, or trace with src, "
				      "dst, sport, dport for connections to come: trace dport 80");
	return 0;
}

int control_trace(struct control_request *r)
{
	struct trace *tr = calloc(1, sizeof(*tr));
	int code = tr ? wanted(r, tr) : -ENOMEM;

	if (!code) {
		*tr = (struct trace){.stream = {fill, close_trace}, .user = {.take = take}, .taps = r->context->taps,
				     .filter = tr->filter, .one = tr->one, .json = r->answer.json, .started = NS_NEVER};
		code = taps_join(tr->taps, &tr->user);
	}
	if (code) {
		free(tr);
		return code == -ENOMEM ? control_refuse(r, code, "out of memory") : code;
	}
	writer_free(&r->answer);
	writer_init(&r->answer, false, CONTROL_STREAM_MAX);
	writer_init(&tr->lines, false, CONTROL_STREAM_MAX);
	r->stream = &tr->stream;
	return 0;
}
