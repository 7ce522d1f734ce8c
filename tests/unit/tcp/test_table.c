/* SPDX-License-Identifier: BSD-2-Clause */
/* test_table.c [STEP] - every state x kind of segment x sequence boundary x ACK boundary, once
 * each: what the stack does against what judge.c says.  STEP: each so manyth case, where they cost
 * more. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "talk.h"
#include "tcp/segment.h"

#define WINDOW      4096u /* of the receiver, at most */
#define PEER_WINDOW 20000u
#define URGENT      5u
#define SHOWN_MAX   20u

/* How a state is reached, one letter a step: L we listen, C we connect, S the peer's SYN, A its ACK
 * of our SYN, Y its SYN-ACK, d text of the peer that is read, w text of ours that is acknowledged,
 * o text of ours that is not, z the peer fills the window, f we shut down, c we close for good, a
 * the peer acknowledges all, F its FIN. */
static const struct place {
	const char *name, *steps;
	enum tcp_state state;
} places[] = {
    {"CLOSED", "", TCP_CLOSED},
    {"LISTEN", "L", TCP_LISTEN},
    {"SYN-SENT", "C", TCP_SYN_SENT},
    {"SYN-RECEIVED, passive", "LS", TCP_SYN_RECEIVED},
    {"SYN-RECEIVED, simultaneous", "CS", TCP_SYN_RECEIVED},
    {"ESTABLISHED, fresh", "LSA", TCP_ESTABLISHED},
    {"ESTABLISHED", "LSAdwo", TCP_ESTABLISHED},
    {"ESTABLISHED, window shut", "CYdwoz", TCP_ESTABLISHED},
    {"FIN-WAIT-1", "LSAdwof", TCP_FIN_WAIT_1},
    {"FIN-WAIT-1, window shut", "LSAdwofz", TCP_FIN_WAIT_1},
    {"FIN-WAIT-1, nobody reads", "CYdwoc", TCP_FIN_WAIT_1},
    {"FIN-WAIT-2", "CYdwfa", TCP_FIN_WAIT_2},
    {"FIN-WAIT-2, window shut", "LSAdwzfa", TCP_FIN_WAIT_2},
    {"FIN-WAIT-2, nobody reads", "LSAdwca", TCP_FIN_WAIT_2},
    {"CLOSE-WAIT", "LSAdwoF", TCP_CLOSE_WAIT},
    {"CLOSING", "LSAdwfF", TCP_CLOSING},
    {"CLOSING, text out", "CYdwofF", TCP_CLOSING},
    {"LAST-ACK", "LSAdwFf", TCP_LAST_ACK},
    {"LAST-ACK, text out", "CYdwoFf", TCP_LAST_ACK},
    {"TIME-WAIT", "LSAdwofaF", TCP_TIME_WAIT},
    {"TIME-WAIT, nobody listens", "CYdwfaF", TCP_TIME_WAIT},
};

static const uint8_t kinds[] = {
    0, /* no flag at all */
    SEG_FIN,
    SEG_SYN,
    SEG_SYN | SEG_FIN,
    SEG_RST,
    SEG_RST | SEG_FIN,
    SEG_RST | SEG_SYN,
    SEG_RST | SEG_SYN | SEG_FIN,
    SEG_URG,
    SEG_ACK,
    SEG_ACK | SEG_FIN,
    SEG_ACK | SEG_SYN,
    SEG_ACK | SEG_SYN | SEG_FIN,
    SEG_ACK | SEG_RST,
    SEG_ACK | SEG_RST | SEG_FIN,
    SEG_ACK | SEG_RST | SEG_SYN,
    SEG_ACK | SEG_RST | SEG_SYN | SEG_FIN,
    SEG_ACK | SEG_URG,
    SEG_ACK | SEG_URG | SEG_FIN,
    SEG_ACK | SEG_URG | SEG_SYN,
    0xff, /* a Christmas tree */
};

struct table {
	struct talk t;
	struct judge_end end;
	uint32_t edge;              /* of the window as announced */
	uint32_t heard;             /* text of the peer so far */
	uint8_t shadow[2 * WINDOW]; /* what the ring should hold */
	uint64_t cases, played, wrong;
};

static unsigned every_nth = 1;

/* --- reaching a state ------------------------------------------------------------------------ */

/* What the peer learns from all that was sent. */
static void listen_to(struct table *b)
{
	struct fake_packet *p;

	while ((p = fake_net_take(&b->t.net))) {
		uint32_t seq = get_be32(p->l4 + 4), ack = get_be32(p->l4 + 8);
		uint32_t len = p->len - (p->l4[12] >> 4) * 4u;
		uint8_t flags = p->l4[13];

		if ((flags & SEG_SYN) && !b->t.iss_known) {
			b->t.iss = seq;
			b->t.iss_known = true;
		}
		seq += len + (flags & SEG_SYN ? 1 : 0) + (flags & SEG_FIN ? 1 : 0) - b->t.iss;
		if ((int32_t)(seq - b->end.snd_nxt) > 0)
			b->end.snd_nxt = seq;
		if (flags & SEG_ACK)
			b->end.rcv_nxt = ack - b->t.peer_iss;
		b->edge = b->end.rcv_nxt + get_be16(p->l4 + 14);
		b->end.fin_sent |= flags & SEG_FIN;
		free(p);
	}
}

static void say(struct table *b, const char *flags, uint32_t len)
{
	char s[80];
	bool syn = strchr(flags, 'S');
	uint32_t seq = syn ? 0 : b->end.rcv_nxt;

	if (strchr(flags, '.'))
		b->end.snd_una = b->end.snd_nxt;
	snprintf(s, sizeof(s), "%s %u:%u(%u) ack %u win %u %s", flags, seq, seq + len, len,
		 b->end.snd_una, PEER_WINDOW, syn ? "<mss 1460>" : "");
	talk_inject(&b->t, s);
	b->heard += len;
}

/* Text of the peer that acknowledges nothing new. */
static void say_text(struct table *b, uint32_t len)
{
	char s[80];

	snprintf(s, sizeof(s), ". %u:%u(%u) ack %u win %u", b->end.rcv_nxt, b->end.rcv_nxt + len,
		 len, b->end.snd_una, PEER_WINDOW);
	talk_inject(&b->t, s);
	b->heard += len;
	listen_to(b);
}

static void step(struct table *b, char what)
{
	struct talk *t = &b->t;

	switch (what) {
	case 'L':
		talk_listen(t, 4);
		b->end.listening = b->end.passive = true;
		break;
	case 'C':
		talk_connect(t);
		break;
	case 'S':
		say(b, "S", 0);
		break;
	case 'A':
		say(b, ".", 0);
		tcp_accepted(t->conn);
		break;
	case 'Y':
		say(b, "S.", 0);
		break;
	case 'd':
		say_text(b, 100);
		talk_read(t, 100);
		break;
	case 'w':
		talk_send(t, 500);
		listen_to(b);
		say(b, ".", 0);
		break;
	case 'o':
		talk_send(t, 1000);
		break;
	case 'z':
		while (b->edge != b->end.rcv_nxt)
			say_text(b,
				 b->edge - b->end.rcv_nxt < 1000 ? b->edge - b->end.rcv_nxt : 1000);
		break;
	case 'f':
		tcp_shutdown_write(t->conn);
		talk_run(t);
		break;
	case 'c':
		tcp_close(t->conn, false, NS_NEVER);
		talk_run(t);
		b->end.orphan = true;
		break;
	case 'a':
		say(b, ".", 0);
		break;
	default: {
		char s[80];

		snprintf(s, sizeof(s), "F. %u:%u(0) ack %u win %u", b->end.rcv_nxt, b->end.rcv_nxt,
			 b->end.snd_una, PEER_WINDOW);
		talk_inject(t, s);
	}
	}
	listen_to(b);
}

/* The state of the only connection there can be. */
static enum tcp_state state_of(struct table *b)
{
	struct tcp_info info;
	struct tcp_conn *c;
	uint64_t cursor = 0;

	if (tcp_next_conn(b->t.tcp, &cursor, &c, &info, b->t.now))
		return info.state;
	return b->t.listener ? TCP_LISTEN : TCP_CLOSED;
}

static void reach(struct table *b, const struct place *p, uint32_t peer_iss)
{
	struct talk *t = &b->t;

	b->end = (struct judge_end){.snd_wnd_max = PEER_WINDOW};
	b->edge = b->heard = 0;
	talk_init(t, NS_PER_S);
	t->peer_iss = peer_iss;
	t->rx_bytes = sizeof(b->shadow);
	t->connections_max = 4;
	t->chunks_max = 64;
	t->profile.knobs.receive_buffer = WINDOW;
	t->profile.knobs.challenge_ack_limit = 0;
	talk_begin(t);
	for (const char *s = p->steps; *s; s++)
		step(b, *s);
	if (state_of(b) != p->state)
		fail_msg("%s: reached %s", p->name, tcp_state_name(state_of(b)));
	b->end.state = p->state;
	b->end.rcv_wnd = b->edge - b->end.rcv_nxt;
	if (p->state == TCP_SYN_SENT)
		b->end.rcv_wnd = b->edge; /* a SYN acknowledges nothing yet */
	b->end.read = (uint32_t)t->consumed + 1;
	if (b->end.snd_una == 0 && p->state > TCP_SYN_RECEIVED)
		fail_msg("%s: our SYN is not acknowledged", p->name);
	if (t->closed) /* what is left needs no user */
		t->conn = NULL;
	t->events = 0;
	memset(b->shadow, 0, sizeof(b->shadow));
	for (uint32_t i = 0; i < b->heard; i++)
		b->shadow[i] = talk_byte(i);
}

/* --- one case -------------------------------------------------------------------------------- */

struct answer {
	enum judge_reply reply;
	uint32_t seq, ack, count;
};

static struct answer answer_of(struct table *b)
{
	static const uint8_t flags[] = {
	    [REPLY_ACK] = SEG_ACK,
	    [REPLY_RST] = SEG_RST,
	    [REPLY_RST_ACK] = SEG_RST | SEG_ACK,
	    [REPLY_SYN_ACK] = SEG_SYN | SEG_ACK,
	};
	struct answer a = {0};
	struct fake_packet *p;

	while ((p = fake_net_take(&b->t.net))) {
		a.count++;
		a.seq = get_be32(p->l4 + 4);
		a.ack = get_be32(p->l4 + 8);
		a.reply = REPLY_NONE;
		for (unsigned i = REPLY_ACK; i <= REPLY_SYN_ACK; i++)
			if (p->l4[13] == flags[i])
				a.reply = (enum judge_reply)i;
		free(p);
	}
	return a;
}

static bool right_answer(const struct table *b, const struct answer *a,
			 const struct judge_verdict *v)
{
	uint32_t seq = v->seq, ack = v->ack;

	if (a->count != (v->reply != REPLY_NONE) || a->reply != v->reply)
		return false;
	if (v->reply == REPLY_NONE)
		return true;
	if (v->reply != REPLY_RST_ACK || v->seq != 0)
		seq += b->t.iss; /* else a true zero */
	if (!v->any_seq && a->seq != seq)
		return false;
	return v->reply == REPLY_RST || a->ack == ack + b->t.peer_iss;
}

/* Which refusals were counted: none but the one, and that once. */
static bool right_count(const struct counters *before, const struct counters *now,
			const struct judge_verdict *v)
{
	static const enum count_id also[] = {COUNT_conn_reset_rx, COUNT_conn_refused};

	for (enum count_id i = COUNT_seg_short; i <= COUNT_challenge_limited; i++)
		if (now->n[i] - before->n[i] != (i == v->why))
			return false;
	for (unsigned k = 0; k < 2; k++)
		if (now->n[also[k]] - before->n[also[k]] != (also[k] == v->why))
			return false;
	return true;
}

/* talk_inject writes the bytes by SEG.SEQ, also behind a SYN. */
static bool right_text(struct table *b, const struct judge_segment *s,
		       const struct judge_verdict *v)
{
	uint32_t at = v->kept - v->after.irs - 1, syn = s->flags & SEG_SYN ? 1 : 0;

	for (uint32_t i = 0; i < v->kept_len; i++)
		b->shadow[(at + i) % sizeof(b->shadow)] = talk_byte(v->kept - syn - 1 + i);
	return memcmp(b->t.rx, b->shadow, sizeof(b->shadow)) == 0;
}

static bool has_ended(enum tcp_state s)
{
	return s == TCP_CLOSED || s == TCP_LISTEN || s == TCP_TIME_WAIT;
}

static const char *difference(struct table *b, const struct judge_segment *s,
			      const struct counters *before, const struct judge_verdict *v,
			      const struct answer *a)
{
	struct talk *t = &b->t;
	bool known = t->conn != NULL, ended = has_ended(v->after.state);

	if (!right_answer(b, a, v))
		return "reply";
	if (state_of(b) != v->after.state)
		return "state";
	if (!right_count(before, &t->counters, v))
		return "counter";
	if (!right_text(b, s, v))
		return "text";
	if (((t->events & TCP_EV_URGENT) != 0) != v->urgent)
		return "urgent";
	if (known && (t->closed != ended || (ended && t->error != v->error)))
		return "error";
	if (known && !ended && talk_info(t).snd_una + 1 != v->after.snd_una &&
	    v->after.state > TCP_SYN_RECEIVED)
		return "snd_una";
	if (known && !ended && v->after.state > TCP_SYN_RECEIVED &&
	    v->after.irs + 1 + (uint32_t)talk_info(t).rcv_nxt != v->after.rcv_nxt)
		return "rcv_nxt";
	return NULL;
}

static void flags_text(uint8_t flags, char out[16])
{
	static const char letters[] = "FSRP.UEW";

	for (unsigned i = 0; i < 8; i++)
		if (flags >> i & 1)
			*out++ = letters[i];
	*out = 0;
}

static void show(const struct table *b, const struct place *p, const struct judge_segment *s,
		 const char *what, const struct judge_verdict *v, const struct answer *a)
{
	char flags[16];

	flags_text(s->flags, flags);
	print_message(
	    "%s: [%s] seq rcv_nxt%+d ack snd_una%+d len %u: %s: should reply %u seq %u ack %u, "
	    "state %s, count %s; did %u of %u seq %u ack %u (window %u)\n",
	    p->name, flags, (int32_t)(s->seq - b->end.rcv_nxt), (int32_t)(s->ack - b->end.snd_una),
	    s->len, what, v->reply, v->seq, v->ack, tcp_state_name(v->after.state),
	    v->why == COUNT_MAX ? "nothing" : count_info[v->why].name, a->count, a->reply,
	    a->seq - b->t.iss, a->ack - b->t.peer_iss, b->end.rcv_wnd);
}

/* Both ends' numbers wrap in every second case. */
static void one(struct table *b, const struct place *p, struct judge_segment s)
{
	struct judge_verdict v;
	struct counters before;
	struct answer a;
	const char *what;
	char flags[16], text[96];

	v = judge(&b->end, &s);
	before = b->t.counters;
	flags_text(s.flags, flags);
	snprintf(text, sizeof(text), "%s %u:%u(%u) ack %u win %u urg %u", *flags ? flags : "-",
		 s.seq, s.seq + s.len, s.len, s.ack, PEER_WINDOW, s.urgent);
	talk_inject(&b->t, text);
	a = answer_of(b);
	what = difference(b, &s, &before, &v, &a);
	b->played++;
	if (what && b->wrong++ < SHOWN_MAX)
		show(b, p, &s, what, &v, &a);
}

/* --- the axes -------------------------------------------------------------------------------- */

#define SEQS_MAX 16u

static unsigned sequences(const struct judge_end *e, uint32_t len, uint32_t out[SEQS_MAX])
{
	uint32_t nxt = e->rcv_nxt, wnd = e->rcv_wnd;
	const uint32_t at[] = {
	    nxt - 1,         nxt,
	    nxt + 1,         nxt - len,
	    nxt - len - 1,   nxt + wnd - 1,
	    nxt + wnd,       nxt + wnd + 1,
	    nxt + wnd - len, nxt + wnd - len + 1,
	    nxt - wnd,       nxt + 0x80000000u,
	    e->irs,
	};
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		bool seen = false;

		for (unsigned k = 0; k < n; k++)
			seen |= out[k] == at[i];
		if (!seen)
			out[n++] = at[i];
	}
	return n;
}

#define ACKS_MAX 9u

static unsigned acknowledgements(const struct judge_end *e, uint8_t flags, uint32_t out[ACKS_MAX])
{
	uint32_t una = e->snd_una, nxt = e->snd_nxt;
	const uint32_t at[ACKS_MAX] = {
	    una,
	    nxt,
	    nxt + 1,
	    una - 1,
	    una + (nxt - una) / 2,
	    nxt - 1,
	    una - e->snd_wnd_max,
	    una - e->snd_wnd_max - 1,
	    nxt + 0x80000000u,
	};

	if (!(flags & SEG_ACK)) {
		out[0] = nxt; /* nobody looks */
		return 1;
	}
	memcpy(out, at, sizeof(at));
	return ACKS_MAX;
}

static void all_of(struct table *b, const struct place *p, uint8_t flags, uint32_t len)
{
	struct judge_segment s = {.flags = flags, .len = len, .urgent = URGENT};
	uint32_t seqs[SEQS_MAX], acks[ACKS_MAX];
	unsigned seq_count, ack_count;

	reach(b, p, 0);
	seq_count = sequences(&b->end, len, seqs);
	ack_count = acknowledgements(&b->end, flags, acks);
	talk_end(&b->t);
	for (unsigned i = 0; i < seq_count; i++)
		for (unsigned k = 0; k < ack_count; k++) {
			if (b->cases++ % every_nth != 0)
				continue;
			reach(b, p, b->played % 2 ? 1000000 : 0u - 150);
			s.seq = seqs[i];
			s.ack = acks[k];
			one(b, p, s);
			talk_end(&b->t);
		}
}

static void every(void **state)
{
	static struct table b;

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (unsigned k = 0; k < sizeof(kinds); k++) {
			all_of(&b, &places[i], kinds[k], 0);
			all_of(&b, &places[i], kinds[k], 10);
			if ((kinds[k] & (SEG_ACK | SEG_SYN | SEG_RST)) == SEG_ACK)
				all_of(&b, &places[i], kinds[k], WINDOW + 20); /* over both ends */
		}
	print_message("%llu of %llu cases, %llu wrong\n", (unsigned long long)b.played,
		      (unsigned long long)b.cases, (unsigned long long)b.wrong);
	assert_int_equal(b.wrong, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every),
	};

	if (argc > 1 && atoi(argv[1]) > 0)
		every_nth = (unsigned)atoi(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
