/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_conversation: the fuzzer plays the peer and the application.  What the stack sends is judged
 * by the trace checker; what the application reads is the peer's pattern; and in the end, when the
 * peer has fallen silent, nothing waits for ever and all memory comes back.
 *
 * Input: two bytes of settings, then steps.  A step's first byte says which, what follows are its
 * numbers, little, and relative to the connection's real ones; see step(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/checker.h"
#include "stage.h"

#define SILENCE_NS (3 * 3600 * NS_PER_S) /* longer than any R2 */
#define PEER_MAX   100000                /* offsets of the peer's stream that are used */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the receive buffer is as large as the ring */
static const uint32_t ring_bytes[] = {16384, 4096, 65536, 1024, 8192, 2048};
static const char *const settings[] = {
    "tcp.receive-buffer=16KB\ntcp.recovery=racktlp\ntcp.cc=cubic\n",
    "tcp.receive-buffer=4KB\ntcp.recovery=sack\ntcp.cc=newreno\n",
    "tcp.receive-buffer=64KB\ntcp.recovery=reno\ntcp.cc=bbr\ntcp.ack=each\n",
    "tcp.receive-buffer=1KB\ntcp.recovery=gbn\ntcp.cc=fixed\ntcp.rto=textbook\n",
    "tcp.receive-buffer=8KB\ntcp.recovery=sr\ntcp.cc=dctcp\ntcp.ack=every-n\n",
    "tcp.receive-buffer=2KB\ntcp.recovery=textbook\ntcp.cc=newreno\ntcp.keepalive=yes\n",
};

struct talk {
	struct stage stage;
	struct checker checker;
	const uint8_t *at, *end;
	bool verbose;
	bool gone; /* the application has closed */
};

static uint32_t take(struct talk *t, unsigned bytes)
{
	uint32_t v = 0;

	for (; bytes > 0; bytes--)
		v = v << 8 | (t->at < t->end ? *t->at++ : 0);
	return v;
}

static struct lab_stream *alive(struct talk *t)
{
	struct lab_stream *s = t->stage.stream;

	return s && s->conn ? s : NULL;
}

/* One connection is watched; when it is over, or never came to be, a SYN may begin another one. */
static bool is_another(const struct talk *t, const struct seen *s, bool out)
{
	const struct lab_stream *stream = t->stage.stream;
	const struct checker_side *own = &t->checker.side[0];

	if (stream)
		return stream->ended;
	return s->flags & SEEN_RST ||
	       (out && s->flags & SEEN_SYN && own->syn && own->iss != s->seq);
}

/* VERBOSE=1: for one input. */
static void show(const struct talk *t, const struct seen *s, bool out)
{
	uint32_t own = t->checker.side[0].iss + 1, peer = t->checker.side[1].iss + 1;

	printf("%12.6f %c flags %02x seq %d len %u ack %d win %u", (double)t->stage.now / 1e9,
	       out ? '>' : '<', s->flags, (int)(s->seq - (out ? own : peer)), s->len,
	       (int)(s->ack - (out ? peer : own)), s->window);
	for (uint32_t i = 0; i < s->sack_count; i++)
		printf(" {%d-%d}", (int)(s->sack[i].begin - (out ? peer : own)),
		       (int)(s->sack[i].end - (out ? peer : own)));
	printf("%s\n", s->has_ts ? " ts" : "");
}

static void see(void *arg, struct stage *stage, bool out, const uint8_t *frame, uint32_t len)
{
	struct talk *t = arg;
	struct checker_side *peer = &t->checker.side[1];
	struct seen s;

	if (!seen_parse(frame, len, &s))
		return;
	if (is_another(t, &s, out))
		t->checker.watched = 0;
	if (!out && s.flags & SEEN_SYN && (!t->checker.side[0].syn || !peer->syn)) {
		peer->syn = true;
		peer->iss = s.seq;
	}
	if (out && s.flags & SEEN_SYN && s.flags & SEEN_ACK)
		peer->iss = s.ack - 1;
	if (t->verbose)
		show(t, &s, out);
	checker_see(&t->checker, 0, stage->now, out, frame, len);
}

/* --- the peer ------------------------------------------------------------------------------- */

static uint8_t put_timestamps(struct talk *t, struct stage_segment *g, uint8_t how)
{
	static const uint8_t kind[4] = {1, 1, 8, 10};
	uint32_t val = (uint32_t)(t->stage.now / NS_PER_MS), ecr = t->stage.ts_last;

	if (!t->stage.ts || how == 1)
		return 0;
	memcpy(g->options, kind, sizeof(kind));
	put_be32(g->options + 4, how == 2 ? val - 5000 : val);
	put_be32(g->options + 8, how == 3 ? ecr + 5000 : ecr);
	return 12;
}

/* Blocks above what the stack has acknowledged to have sent: offsets from its initial number. */
static uint8_t put_sack(struct talk *t, uint8_t *at, uint8_t room, unsigned blocks)
{
	uint8_t len = (uint8_t)(4 + 8 * blocks);

	if (blocks == 0 || len > room)
		return 0;
	at[0] = at[1] = 1;
	at[2] = 5;
	at[3] = (uint8_t)(2 + 8 * blocks);
	for (unsigned i = 0; i < blocks; i++) {
		uint32_t begin = t->stage.sent_end - take(t, 2);

		put_be32(at + 4 + 8 * i, begin);
		put_be32(at + 8 + 8 * i, begin + take(t, 2));
	}
	return len;
}

/* flags; number and acknowledgement relative; window; length; options: how the timestamp is (two
 * bits), SACK blocks (two), urgent pointer (one) */
static void segment(struct talk *t)
{
	uint8_t flags = (uint8_t)take(t, 1), how;
	int32_t seq = (int16_t)take(t, 2), ack = (int16_t)take(t, 2);
	struct stage_segment g = {.flags = flags & 0x3f};
	int64_t off;

	g.seq = stage_rcv_nxt(&t->stage) + (uint32_t)seq;
	g.ack = t->stage.sent_end + (uint32_t)ack;
	g.window = (uint16_t)take(t, 2);
	g.len = take(t, 1) * (flags & 0x80 ? 5 : 1);
	how = (uint8_t)take(t, 1);
	off = (int32_t)(g.seq - t->stage.peer_iss - 1 + (g.flags & SEEN_SYN ? 1 : 0));
	if (off < 0 && g.len > 0)
		return; /* there is no such byte */
	if (off > PEER_MAX)
		return;
	g.off = (uint64_t)(off < 0 ? 0 : off);
	g.options_len = put_timestamps(t, &g, how & 3);
	g.options_len =
	    (uint8_t)(g.options_len + put_sack(t, g.options + g.options_len,
					       (uint8_t)(40 - g.options_len), how >> 2 & 3));
	g.urgent = how & 16 ? (uint16_t)take(t, 1) : 0;
	stage_send(&t->stage, &g);
}

/* An ordinary one: in order, all acknowledged. */
static void good_segment(struct talk *t)
{
	uint32_t len = take(t, 2) % 1449;
	struct stage_segment g = {.seq = stage_rcv_nxt(&t->stage),
				  .ack = t->stage.sent_end,
				  .window = (uint16_t)take(t, 2),
				  .len = len,
				  .flags = SEEN_ACK};

	g.off = g.seq - t->stage.peer_iss - 1;
	if (g.off > PEER_MAX)
		return;
	g.options_len = put_timestamps(t, &g, 0);
	stage_send(&t->stage, &g);
}

/* --- the application -------------------------------------------------------------------------- */

static void end_of(struct talk *t, struct lab_stream *s, uint8_t how)
{
	static const ns_t lingers[] = {NS_NEVER, 0, 5 * NS_PER_S};

	switch (how & 3) {
	case 0:
		tcp_shutdown_write(s->conn);
		s->closed_by_us = true;
		break;
	case 1:
		t->gone = true;
		tcp_abort(s->conn);
		break;
	default:
		s->closed_by_us = t->gone = true;
		tcp_close(s->conn, s->received < tcp_received(s->conn), lingers[(how >> 2) % 3]);
		break;
	}
}

static void application(struct talk *t, uint8_t what)
{
	struct lab_stream *s = alive(t);
	uint32_t number = take(t, 2);

	if (!s || t->gone)
		return;
	switch (what) {
	case 0:
		if (s->to_send < PEER_MAX)
			s->to_send += number;
		lab_stream_write(s);
		break;
	case 1:
		s->read_max += number;
		lab_stream_read(s, t->stage.now);
		break;
	case 2:
		end_of(t, s, (uint8_t)number);
		break;
	default:
		tcp_set_option(s->conn, (enum tcp_opt)(number >> 8 & 15), (int8_t)number * 100);
		break;
	}
	stage_after(&t->stage, 0);
}

/* --- steps ------------------------------------------------------------------------------------ */

static ns_t wait_of(uint8_t n)
{
	static const ns_t waits[] = {1,   10,   40,   50,   100,   200,   250,
				     500, 1000, 1500, 3000, 10000, 60000, 120000};

	return waits[n % array_count(waits)] * NS_PER_MS;
}

static void step(struct talk *t)
{
	uint8_t what = (uint8_t)take(t, 1);

	switch (what & 7) {
	case 0:
		stage_after(&t->stage, wait_of(what >> 3));
		break;
	case 1:
	case 2:
	case 3:
		segment(t);
		break;
	case 4:
		good_segment(t);
		break;
	case 5:
		application(t, what >> 3 & 3);
		break;
	case 6:
		application(t, 0);
		break;
	default:
		application(t, 1);
		break;
	}
}

static void check(struct talk *t)
{
	struct lab_stream *s = t->stage.stream;

	if (*t->checker.violation)
		stage_fail(t->checker.violation);
	if (!s)
		return;
	if (s->wrong_at != UINT64_MAX)
		stage_fail("the application has read a wrong byte");
	if (!s->conn)
		return;
	lab_stream_info(s, t->stage.now);
	if (s->last.snd_una > s->last.snd_nxt || s->last.snd_nxt > s->last.snd_end + 1)
		stage_fail("what is sent is out of order");
	if (s->last.sacked + s->last.lost > s->last.snd_nxt - s->last.snd_una)
		stage_fail("more is sacked or lost than is out");
}

/* The peer is silent: what is sent or queued must make the connection end by R2.  Idle it may be.
 */
static void silence(struct talk *t)
{
	struct lab_stream *s;

	stage_after(&t->stage, SILENCE_NS);
	check(t);
	s = alive(t);
	if (!s)
		return;
	if (s->last.state == TCP_SYN_SENT || s->last.state == TCP_SYN_RECEIVED)
		stage_fail("a handshake that never ends");
	if (s->last.snd_una < s->last.snd_end)
		stage_fail("data waits for ever");
	if (t->gone)
		stage_fail("a closed connection stays for ever");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_stream what = {.seed = 1, .expect_seed = STAGE_SEED_PEER, .read_max = 0};
	struct talk t = {.at = data + 2, .end = data + size};

	if (size < 2)
		return 0;
	if (data[0] & 4)
		what.read_max = UINT64_MAX / 2;
	t.verbose = getenv("VERBOSE") != NULL;
	checker_init(&t.checker);
	t.checker.watched = 1;
	stage_open(&t.stage, settings[data[1] % array_count(settings)], data[0] & 1,
		   ring_bytes[data[1] % array_count(settings)]);
	t.stage.see = see;
	t.stage.see_arg = &t;
	memcpy(t.checker.mac[0], t.stage.end->caps.mac, 6);
	if (!(data[0] & 8))
		stage_handshake(&t.stage, data[0] & 2, &what);
	else if (data[0] & 2)
		t.stage.host->accept_template = what;
	while (t.at < t.end) {
		step(&t);
		check(&t);
	}
	silence(&t);
	stage_close(&t.stage);
	checker_free(&t.checker);
	return 0;
}
