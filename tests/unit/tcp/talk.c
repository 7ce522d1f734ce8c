/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"
#include "tcp/segment.h"

uint8_t talk_byte(uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8) * 7 + 3);
}

static void *take_aligned(void *ctx, size_t bytes)
{
	const struct talk *t = ctx;
	size_t size = (bytes + 63) / 64 * 64;
	void *p = t->no_memory ? NULL : aligned_alloc(64, size);

	return p ? memset(p, 0, size) : NULL;
}

static void give(void *ctx, void *slab, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(slab);
}

static void one(struct tcp_plugin_list *l, const struct sp_plugin *p, const void *params)
{
	l->count = 1;
	l->use[0] = (struct tcp_plugin){p, params};
}

void talk_init(struct talk *t, ns_t start)
{
	static const uint8_t own[4] = {10, 0, 0, 1}, peer[4] = {10, 0, 0, 2};

	memset(t, 0, sizeof(*t));
	t->now = start;
	t->own = addr_from4(own);
	t->peer = addr_from4(peer);
	t->own_port = 80;
	t->peer_port = 4000;
	t->peer_iss = 1000000;
	t->rto_ns = NS_PER_S;
	t->secret = 7;
	t->connections_max = 1000;
	t->chunks_max = 10000;
	t->memory = (struct memory){.take = take_aligned, .give = give, .ctx = t};
	t->cwnd_segs = 10;
	fake_net_init(&t->net, &t->own, 1500, 0);
	key_defaults(tcp_keys, &t->profile.knobs);
	t->profile.knobs.syncookies = TCP_SYNCOOKIES_NEVER;
	t->profile.knobs.receive_buffer = t->profile.knobs.send_buffer = TALK_RING;
	one(&t->profile.rto, &plain_rto, &t->rto_ns);
	one(&t->profile.ack, &plain_ack_each, NULL);
	one(&t->profile.recovery, &plain_recovery, NULL);
	one(&t->profile.cc, &plain_cc, &t->cwnd_segs);
	t->rules.fallback = &t->profile;
	t->rx_bytes = TALK_RING;
	t->rx = calloc(1, t->rx_bytes);
	t->tx = calloc(1, TALK_RING);
}

void talk_begin(struct talk *t)
{
	struct tcp_config config = {
	    .net = &t->net,
	    .memory = &t->memory,
	    .counters = &t->counters,
	    .secret = {{t->secret, 11}},
	    .rules = &t->rules,
	    .connections_max = t->connections_max,
	    .chunks_max = t->chunks_max,
	};

	t->tcp = tcp_create(&config, t->now);
	assert_non_null(t->tcp);
}

void talk_end(struct talk *t)
{
	tcp_destroy(t->tcp);
	fake_net_done(&t->net);
	free(t->rx);
	free(t->tx);
}

/* --- text to segment
 * ------------------------------------------------------------------------------- */

struct text {
	char flags[16];
	uint32_t seq, end, len;
	long ack, win, urg; /* -1: not named */
	bool has_options;
	char options[128];
};

static struct text parse(const char *s)
{
	struct text x = {.ack = -1, .win = -1, .urg = -1};
	const char *at;

	if (sscanf(s, "%15s %u:%u(%u)", x.flags, &x.seq, &x.end, &x.len) != 4)
		fail_msg("cannot read '%s'", s);
	if ((at = strstr(s, " ack ")))
		x.ack = strtol(at + 5, NULL, 10);
	if ((at = strstr(s, " win ")))
		x.win = strtol(at + 5, NULL, 10);
	if ((at = strstr(s, " urg ")))
		x.urg = strtol(at + 5, NULL, 10);
	if ((at = strchr(s, '<'))) {
		x.has_options = true;
		snprintf(x.options, sizeof(x.options), "%.*s", (int)strcspn(at + 1, ">"), at + 1);
	}
	return x;
}

static uint8_t flag_bits(const char *f)
{
	uint8_t bits = 0;

	for (; *f; f++)
		bits |= (uint8_t)(*f == 'S'   ? SEG_SYN
				  : *f == 'F' ? SEG_FIN
				  : *f == 'R' ? SEG_RST
				  : *f == 'P' ? SEG_PSH
				  : *f == 'U' ? SEG_URG
				  : *f == 'E' ? SEG_ECE
				  : *f == 'W' ? SEG_CWR
				  : *f == '.' ? SEG_ACK
					      : 0);
	return bits;
}

static void read_options(struct talk *t, char *s, struct segment_options *o)
{
	char *save = NULL;

	*o = (struct segment_options){.wscale = SEGMENT_NO_WSCALE};
	for (char *w = strtok_r(s, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		unsigned a, b;

		if (sscanf(w, "mss %u", &a) == 1) {
			o->mss = (uint16_t)a;
		} else if (strcmp(w, "sackOK") == 0) {
			o->sack_permitted = true;
		} else if (sscanf(w, "wscale %u", &a) == 1) {
			o->wscale = (uint8_t)a;
		} else if (sscanf(w, "ts %u %u", &a, &b) == 2) {
			o->has_ts = true;
			o->tsval = a;
			o->tsecr = b;
		} else if (sscanf(w, "sack %u:%u", &a, &b) == 2) {
			o->sack[o->sack_count].begin = t->iss + a;
			o->sack[o->sack_count++].end = t->iss + b;
		} else {
			fail_msg("unknown option '%s'", w);
		}
	}
}

static void attach(struct talk *t)
{
	struct byte_ring rx = {t->rx, t->rx_bytes}, tx = {t->tx, TALK_RING};

	tcp_attach(t->conn, rx, tx);
}

static void deliver(struct talk *t, const struct net_segment *in)
{
	struct tcp_conn *c = NULL;
	enum tcp_outcome outcome = tcp_input(t->tcp, in, t->now, &c);

	if (outcome == TCP_NEEDS_BUFFERS) {
		if (t->no_buffers)
			return;
		t->conn = c;
		attach(t);
		outcome = tcp_input(t->tcp, in, t->now, &c);
		assert_int_equal(outcome, TCP_DONE);
	}
	if (outcome == TCP_NOT_FOUND)
		tcp_reject(t->tcp, in, t->now);
}

void talk_inject(struct talk *t, const char *s)
{
	struct text x = parse(s);
	struct segment_head h = {.src_port = t->peer_port,
				 .dst_port = t->own_port,
				 .seq = t->peer_iss + x.seq,
				 .flags = flag_bits(x.flags),
				 .ack = x.ack >= 0 ? t->iss + (uint32_t)x.ack : 0,
				 .window = x.win >= 0 ? (uint16_t)x.win : 65535,
				 .urgent = x.urg >= 0 ? (uint16_t)x.urg : 0};
	uint8_t *l4 = calloc(1, NET_TCP_HEADER_MAX + x.len); /* exact: overreads are seen */
	struct net_segment in = {.src = t->peer,
				 .dst = t->own,
				 .ttl = 64,
				 .tos = t->tos,
				 .interface = t->interface,
				 .l4 = l4,
				 .gso_size = t->gso_size};
	uint32_t head;

	read_options(t, x.options, &h.opt);
	head = segment_write(&h, l4);
	for (uint32_t i = 0; i < x.len; i++)
		l4[head + i] = talk_byte(x.seq - 1 + i);
	in.l4_len = in.l4_linear = head + x.len;
	deliver(t, &in);
	free(l4);
	if (!t->hold)
		talk_run(t);
}

/* --- segment to text
 * -------------------------------------------------------------------------------- */

static void write_options(const struct talk *t, const struct segment_options *o, bool values,
			  char *out, size_t size)
{
	char *p = out;
	char *end = out + size;

	*p = 0;
	if (o->mss)
		p += snprintf(p, (size_t)(end - p), ",mss %u", o->mss);
	if (o->sack_permitted)
		p += snprintf(p, (size_t)(end - p), ",sackOK");
	if (o->has_ts && values)
		p += snprintf(p, (size_t)(end - p), ",ts %u %u", o->tsval, o->tsecr);
	else if (o->has_ts)
		p += snprintf(p, (size_t)(end - p), ",ts");
	if (o->wscale != SEGMENT_NO_WSCALE)
		p += snprintf(p, (size_t)(end - p), ",wscale %u", o->wscale);
	for (unsigned i = 0; i < o->sack_count; i++)
		p += snprintf(p, (size_t)(end - p), ",sack %u:%u", o->sack[i].begin - t->peer_iss,
			      o->sack[i].end - t->peer_iss);
	if (*out)
		memmove(out, out + 1, strlen(out));
}

static void write_flags(uint8_t f, char *p)
{
	if (f & SEG_SYN)
		*p++ = 'S';
	if (f & SEG_FIN)
		*p++ = 'F';
	if (f & SEG_RST)
		*p++ = 'R';
	if (f & SEG_PSH)
		*p++ = 'P';
	if (f & SEG_URG)
		*p++ = 'U';
	if (f & SEG_ECE)
		*p++ = 'E';
	if (f & SEG_CWR)
		*p++ = 'W';
	if (f & SEG_ACK)
		*p++ = '.';
	*p = 0;
}

static void check_payload(struct talk *t, const struct fake_packet *p, const struct segment *s)
{
	for (uint32_t i = 0; i < s->len; i++)
		if (p->l4[s->header_len + i] != talk_byte(s->seq - t->iss - 1 + i))
			fail_msg("wrong byte at %u", s->seq - t->iss + i);
}

static void learn(struct talk *t, const struct segment *s)
{
	if ((s->flags & SEG_SYN) && !t->iss_known) {
		t->iss = s->seq;
		t->iss_known = true;
	}
}

void talk_expect(struct talk *t, const char *text)
{
	struct text x = parse(text);
	struct fake_packet *p = fake_net_take(&t->net);
	struct net_segment in;
	struct segment s;
	enum count_id why;
	char flags[16], options[160], got[320];
	uint32_t seq, end;

	if (!p)
		fail_msg("expected '%s', nothing was sent", text);
	in = fake_segment(p);
	assert_true(segment_parse(&in, &s, &why));
	learn(t, &s);
	t->last_tos = p->tos;
	if (s.opt.has_ts)
		t->last_ts = s.opt.tsval;
	seq = s.seq - t->iss;
	end = seq + s.len;
	write_flags(s.flags, flags);
	write_options(t, &s.opt, strstr(x.options, "ts ") != NULL, options, sizeof(options));
	snprintf(got, sizeof(got), "%s %u:%u(%u) ack %u win %u urg %u <%s>", flags, seq, end, s.len,
		 s.ack - t->peer_iss, s.window, s.urgent, options);
	if (strcmp(flags, x.flags) != 0 || seq != x.seq || end != x.end || s.len != x.len ||
	    (x.ack >= 0 && s.ack != t->peer_iss + (uint32_t)x.ack) ||
	    (x.win >= 0 && s.window != x.win) || (x.urg >= 0 && s.urgent != x.urg) ||
	    (x.has_options && strcmp(options, x.options) != 0))
		fail_msg("expected '%s', sent '%s'", text, got);
	check_payload(t, p, &s);
	free(p);
}

void talk_nothing(struct talk *t)
{
	struct fake_packet *p = fake_net_take(&t->net);

	if (p)
		fail_msg("expected nothing, sent flags %02x seq %u len %u", p->l4[13],
			 get_be32(p->l4 + 4) - t->iss, p->len);
}

/* --- time and events
 * --------------------------------------------------------------------------------- */

static void take_events(struct talk *t)
{
	uint32_t events;
	struct tcp_conn *c;

	while ((c = tcp_next_event(t->tcp, &events))) {
		if (c != t->conn)
			continue;
		t->events |= events;
		if (events & TCP_EV_CLOSED) {
			t->closed = true;
			t->error = tcp_conn_error(c);
		}
	}
}

/* A second round is never needed but for what the first one made due at once. */
void talk_run(struct talk *t)
{
	tcp_run(t->tcp, t->now);
	if (t->closed)
		return;
	take_events(t);
}

void talk_after(struct talk *t, ns_t ns)
{
	ns_t until = t->now + ns;

	for (;;) {
		ns_t due = tcp_deadline(t->tcp);

		if (due > until)
			break;
		if (due > t->now)
			t->now = due;
		talk_run(t);
	}
	t->now = until;
	talk_run(t);
}

uint32_t talk_events(struct talk *t)
{
	uint32_t events = t->events;

	t->events = 0;
	return events;
}

/* --- what tests begin with
 * ----------------------------------------------------------------------------- */

void talk_listen(struct talk *t, uint32_t backlog)
{
	struct tcp_listen_config config = {
	    .local = {.port = t->own_port}, .backlog = backlog, .device = t->device};

	assert_int_equal(tcp_listen(t->tcp, &config, &t->listener), 0);
}

void talk_connect(struct talk *t)
{
	struct endpoint local = {.port = t->own_port}, remote = {t->peer, t->peer_port};

	assert_int_equal(
	    tcp_connect_by(t->tcp, t->device, &local, &remote, NULL, NULL, t->now, &t->conn), 0);
	attach(t);
	talk_run(t);
}

void talk_open_passive(struct talk *t, const char *options)
{
	char s[160];

	talk_listen(t, 16);
	snprintf(s, sizeof(s), "S 0:0(0) win 65535 <mss 1460%s%s>", *options ? "," : "", options);
	talk_inject(t, s);
	talk_expect(t, "S. 0:0(0) ack 1");
	if (strstr(options, "ts "))
		talk_inject(t, ". 1:1(0) ack 1 win 65535 <ts 101 0>");
	else
		talk_inject(t, ". 1:1(0) ack 1 win 65535");
	talk_nothing(t);
	assert_non_null(t->conn);
	assert_int_equal(talk_events(t), TCP_EV_ACCEPTED);
	tcp_accepted(t->conn);
}

void talk_open_active(struct talk *t, const char *options)
{
	char s[160];

	talk_connect(t);
	talk_expect(t, "S 0:0(0)");
	snprintf(s, sizeof(s), "S. 0:0(0) ack 1 win 65535 <mss 1460%s%s>", *options ? "," : "",
		 options);
	talk_inject(t, s);
	talk_expect(t, ". 1:1(0) ack 1");
	assert_int_equal(talk_events(t), TCP_EV_CONNECTED);
}

void talk_send(struct talk *t, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		t->tx[(t->queued + i) % TALK_RING] = talk_byte(t->queued + i);
	t->queued += len;
	tcp_queued(t->conn, t->queued);
	talk_run(t);
}

void talk_read(struct talk *t, uint32_t len)
{
	assert_true(t->consumed + len <= tcp_received(t->conn));
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(t->rx[(t->consumed + i) % t->rx_bytes],
				 talk_byte(t->consumed + i));
	t->consumed += len;
	tcp_consumed(t->conn, t->consumed);
	talk_run(t);
}

struct tcp_info talk_info(struct talk *t)
{
	struct tcp_info info;

	assert_false(t->closed);
	tcp_info(t->conn, &info, t->now);
	return info;
}

enum tcp_state talk_state(struct talk *t)
{
	return t->closed ? TCP_CLOSED : talk_info(t).state;
}
