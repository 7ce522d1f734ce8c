/* SPDX-License-Identifier: BSD-2-Clause */
/* demo.c - single conversations of Kurose & Ross 3.5: handshake, closing, telnet, flow control,
 * when an ACK leaves, how the time-out is estimated.  Each states facts that can fail. */
#include "lab/play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ONE_WAY_NS (50 * NS_PER_MS)
#define MSS	   1000u
#define TIMER_MS   0.2 /* the core's timers fire this much late at the most */

#define BASICS                                                                                     \
	"tcp.recovery=textbook\ntcp.cc=fixed\nplugin cc/fixed.window=10\ntcp.timestamps=no\n"      \
	"tcp.mss=1000\ntcp.pacing=no\n"
#define EACH	BASICS "tcp.rto=textbook\ntcp.ack=each\n"
#define DELAYED BASICS "tcp.rto=fixed\nplugin rto/fixed.time=2s\ntcp.ack=delayed\nplugin delayed.delay=400ms\n"

static void open_stage(struct play *p, const struct stage_config *c, struct plugins *plugins, bool later)
{
	char error[CONFIG_ERROR_MAX];

	if (stage_open(&p->stage, c, plugins, later, error))
		lab_fail(error);
}

static const struct stage_record *nth(const struct play *p, uint32_t n)
{
	static const struct stage_record none;
	uint32_t i = p->stage.first + n;

	return i < p->stage.count ? &p->stage.record[i] : &none;
}

static uint32_t segments(const struct play *p)
{
	return p->stage.count - p->stage.first;
}

static void finish(struct stage *g, unsigned i)
{
	g->stream[i]->close_when_done = true;
	lab_stream_write(g->stream[i]);
	lab_host_turn(g->w.host[i], g->w.now);
}

static void fact_ended(struct play *p, int error_a, int error_b)
{
	play_fact(p, "A: connection over", 1, p->stage.stream[0]->ended);
	play_fact(p, "A: error", (uint64_t)error_a, (uint64_t)p->stage.stream[0]->error);
	play_fact(p, "B: connection over", 1, p->stage.stream[1]->ended);
	play_fact(p, "B: error", (uint64_t)error_b, (uint64_t)p->stage.stream[1]->error);
}

static uint32_t time_waits(struct lab_host *h, ns_t now)
{
	struct tcp_conn *conn;
	struct tcp_info info;
	uint64_t cursor = 0;
	uint32_t n = 0;

	while (tcp_next_conn(h->tcp, &cursor, &conn, &info, now))
		n += conn == NULL && info.state == TCP_TIME_WAIT;
	return n;
}

/* --- opening and closing ------------------------------------------------------------------------- */

static void handshake(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS};

	p->bases = (struct ladder_bases){{1, 1}}; /* so that a SYN has number 0 */
	open_stage(p, &c, plugins, true);
	stage_connect(&p->stage);
	play_fact(p, "segments", 3, segments(p));
	play_fact(p, "first: a SYN", SEEN_SYN, nth(p, 0)->seen.flags);
	play_fact(p, "second: SYN and ACK", SEEN_SYN | SEEN_ACK, nth(p, 1)->seen.flags);
	play_fact(p, "its ACK: client_isn + 1", 1, (uint64_t)(nth(p, 1)->ack + 1));
	play_fact(p, "third: an ACK", SEEN_ACK, nth(p, 2)->seen.flags);
	play_fact(p, "its number: client_isn + 1", 1, (uint64_t)(nth(p, 2)->off + 1));
	play_fact(p, "its ACK: server_isn + 1", 1, (uint64_t)(nth(p, 2)->ack + 1));
}

static void close_normal(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS};
	struct stage *g = &p->stage;

	open_stage(p, &c, plugins, false);
	finish(g, 0);
	stage_pass(g, 3 * ONE_WAY_NS);
	play_fact(p, "B was told of the end", 1, g->stream[1]->eof);
	finish(g, 1);
	stage_pass(g, NS_PER_S);
	play_fact(p, "segments: FIN, ACK, FIN, ACK", 4, segments(p));
	play_fact(p, "A waits (TIME-WAIT)", 1, time_waits(g->w.host[0], g->w.now));
	play_fact(p, "B does not", 0, time_waits(g->w.host[1], g->w.now));
	fact_ended(p, 0, 0);
}

static void close_simultaneous(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS};
	struct stage *g = &p->stage;

	open_stage(p, &c, plugins, false);
	finish(g, 0);
	finish(g, 1);
	stage_pass(g, NS_PER_S);
	play_fact(p, "segments: two FINs, two ACKs", 4, segments(p));
	play_fact(p, "A waits (TIME-WAIT)", 1, time_waits(g->w.host[0], g->w.now));
	play_fact(p, "B waits too", 1, time_waits(g->w.host[1], g->w.now));
	fact_ended(p, 0, 0);
}

static void close_half(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS};
	struct stage *g = &p->stage;

	open_stage(p, &c, plugins, false);
	finish(g, 0);
	stage_pass(g, 3 * ONE_WAY_NS);
	stage_write(g, 1, 300);
	stage_pass(g, 3 * ONE_WAY_NS);
	play_fact(p, "bytes that A got after its FIN", 300, g->stream[0]->received);
	play_fact(p, "A: connection over", 0, g->stream[0]->ended);
	finish(g, 1);
	stage_pass(g, NS_PER_S);
	fact_ended(p, 0, 0);
}

static void close_reset(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS};
	struct stage *g = &p->stage;

	open_stage(p, &c, plugins, false);
	tcp_abort(g->stream[0]->conn);
	stage_pass(g, NS_PER_S);
	play_fact(p, "segments", 1, segments(p));
	play_fact(p, "it is a RST", 1, (nth(p, 0)->seen.flags & SEEN_RST) != 0);
	play_fact(p, "nobody waits", 0,
		  time_waits(g->w.host[0], g->w.now) + time_waits(g->w.host[1], g->w.now));
	fact_ended(p, ECONNABORTED, ECONNRESET);
}

/* --- telnet, flow control ---------------------------------------------------------------------------- */

static bool echo_is_due(void *arg)
{
	return ((struct stage *)arg)->stream[1]->received == 1;
}

static void telnet(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {DELAYED}, .delay_ns = ONE_WAY_NS};
	struct stage *g = &p->stage;

	p->bases = (struct ladder_bases){{42, 79}};
	open_stage(p, &c, plugins, false);
	stage_write(g, 0, 1);
	lab_run(&g->w, g->w.now + NS_PER_S, echo_is_due, g);
	stage_write(g, 1, 1);
	stage_pass(g, NS_PER_S);
	play_fact(p, "segments", 3, segments(p));
	play_fact(p, "B's echo acknowledges the letter", 43, (uint64_t)(42 + nth(p, 1)->ack));
	play_fact(p, "the echo's number", 79, (uint64_t)(79 + nth(p, 1)->off));
	play_fact(p, "A's last segment: number", 43, (uint64_t)(42 + nth(p, 2)->off));
	play_fact(p, "its ACK", 80, (uint64_t)(79 + nth(p, 2)->ack));
	play_fact(p, "its length", 0, nth(p, 2)->seen.len);
}

static uint32_t count_probes(const struct play *p, ns_t *first, ns_t *second)
{
	uint32_t n = 0;

	*first = *second = 0;
	for (uint32_t i = p->stage.first; i < p->stage.count; i++) {
		const struct stage_record *r = &p->stage.record[i];

		if (r->from != 0 || r->seen.len != 1)
			continue;
		n++;
		*first = *second;
		*second = r->at;
	}
	return n;
}

static bool window_was_zero(const struct play *p)
{
	for (uint32_t i = p->stage.first; i < p->stage.count; i++)
		if (p->stage.record[i].from == 1 && p->stage.record[i].seen.window == 0)
			return true;
	return false;
}

static void zero_window(struct play *p, struct plugins *plugins)
{
	struct stage_config c = {.settings = {EACH, EACH "tcp.receive_buffer=4096\n"},
				 .delay_ns = ONE_WAY_NS, .ring_bytes = {0, 4096}};
	struct stage *g = &p->stage;
	ns_t before, last;

	open_stage(p, &c, plugins, false);
	g->stream[1]->read_max = 0;
	stage_write(g, 0, 7000);
	stage_pass(g, 6 * NS_PER_S);
	play_fact_if(p, "the window was shut", window_was_zero(p), "yes", "%s",
		     window_was_zero(p) ? "yes" : "no");
	play_fact_if(p, "probes of one byte", count_probes(p, &before, &last) >= 2, "2 or more", "%u",
		     count_probes(p, &before, &last));
	play_fact(p, "bytes that B was given", 0, g->stream[1]->received);
	g->stream[1]->read_max = UINT64_MAX;
	lab_stream_read(g->stream[1], g->w.now);
	stage_pass(g, 10 * NS_PER_S);
	play_fact(p, "bytes delivered once B reads", 7000, g->stream[1]->received);
}

/* --- when an ACK leaves: table 3.2 ------------------------------------------------------------------- */

/* ms between the arrival of the data that asked for it and the nth ACK of B */
static double ack_delay_ms(const struct play *p, uint32_t n, int64_t *number)
{
	for (uint32_t i = p->stage.first; i < p->stage.count; i++) {
		const struct stage_record *r = &p->stage.record[i];

		if (r->from != 1 || n-- > 0 || r->asked_by == UINT32_MAX)
			continue;
		*number = r->ack;
		return (double)(r->at - p->stage.record[r->asked_by].arrived) / 1e6;
	}
	*number = -1;
	return -1;
}

static void fact_ack(struct play *p, uint32_t n, const char *what, double min_ms, double max_ms,
		     int64_t number)
{
	char want[48];
	int64_t got;
	double ms = ack_delay_ms(p, n, &got);

	snprintf(want, sizeof(want), "ACK %lld within %.0f ms", (long long)number, max_ms);
	play_fact_if(p, what, ms >= min_ms && ms <= max_ms && got == number, want, "ACK %lld after %.1f ms",
		     (long long)got, ms);
}

static void delayed_ack(struct play *p, struct plugins *plugins)
{
	/* of the data, the fourth transmission is lost: 3000-3999 */
	struct stage_config c = {.settings = {DELAYED}, .delay_ns = ONE_WAY_NS,
				 .tamper = {{.from = 0, .data = true, .which = 1u << 3, .drop = true}}};
	struct stage *g = &p->stage;

	open_stage(p, &c, plugins, false);
	stage_write(g, 0, MSS);
	stage_pass(g, NS_PER_S);
	stage_write(g, 0, 2 * MSS);
	stage_pass(g, NS_PER_S);
	stage_write(g, 0, 3 * MSS);
	stage_pass(g, 5 * NS_PER_S);
	fact_ack(p, 0, "in order, nothing pending: wait for a second", 1, 500, 1000);
	fact_ack(p, 1, "in order, one pending: one cumulative ACK", 0, 0, 3000);
	fact_ack(p, 2, "out of order, a gap: duplicate ACK", 0, 0, 3000);
	fact_ack(p, 3, "out of order again: duplicate ACK", 0, 0, 3000);
	fact_ack(p, 4, "the gap is filled: ACK", 0, 0, 6000);
}

/* --- the time-out ----------------------------------------------------------------------------------- */

struct estimate {
	double estimated, deviation; /* ms */
};

/* EstimatedRTT = 0.875 E + 0.125 S; DevRTT = 0.75 D + 0.25 |S - E| */
static void sample(struct estimate *e, double rtt)
{
	double apart;

	if (e->estimated <= 0) {
		e->estimated = rtt;
		e->deviation = rtt / 2;
		return;
	}
	e->estimated = 0.875 * e->estimated + 0.125 * rtt;
	apart = rtt > e->estimated ? rtt - e->estimated : e->estimated - rtt;
	e->deviation = 0.75 * e->deviation + 0.25 * apart;
}

static void fact_near(struct play *p, const char *what, double want, double got)
{
	char text[48];
	double apart = want > got ? want - got : got - want;

	snprintf(text, sizeof(text), "%.2f ms", want);
	play_fact_if(p, what, apart < TIMER_MS, text, "%.2f ms", got);
}

static void time_out(struct play *p, struct plugins *plugins)
{
	/* four samples, the second and the fourth later; then a segment that is lost three times */
	struct stage_config c = {.settings = {EACH}, .delay_ns = ONE_WAY_NS,
				 .tamper = {{.from = 1, .which = 2, .delay_ns = 40 * NS_PER_MS},
					    {.from = 1, .which = 8, .delay_ns = 80 * NS_PER_MS},
					    {.from = 0, .data = true, .which = 7u << 4, .drop = true}}};
	static const double rtt_ms[] = {100, 140, 100, 180};
	struct estimate e = {0};
	struct stage *g = &p->stage;
	double interval;

	open_stage(p, &c, plugins, false);
	sample(&e, 100); /* the handshake's */
	for (unsigned i = 0; i < 4; i++) {
		stage_write(g, 0, MSS);
		stage_pass(g, NS_PER_S);
		sample(&e, rtt_ms[i]);
	}
	lab_stream_info(g->stream[0], g->w.now);
	fact_near(p, "EstimatedRTT", e.estimated, (double)g->stream[0]->last.srtt / 1e6);
	fact_near(p, "DevRTT", e.deviation, (double)g->stream[0]->last.rttvar / 1e6);
	interval = e.estimated + 4 * e.deviation;
	fact_near(p, "TimeoutInterval", interval, (double)g->stream[0]->last.rto / 1e6);
	stage_write(g, 0, MSS);
	stage_pass(g, 10 * NS_PER_S);
	fact_near(p, "first time-out after", interval, (double)(nth(p, 9)->at - nth(p, 8)->at) / 1e6);
	fact_near(p, "second, doubled", 2 * interval, (double)(nth(p, 10)->at - nth(p, 9)->at) / 1e6);
	fact_near(p, "third, doubled again", 4 * interval, (double)(nth(p, 11)->at - nth(p, 10)->at) / 1e6);
	lab_stream_info(g->stream[0], g->w.now);
	fact_near(p, "after the ACK: from E and D anew, no sample of a resend", interval,
		  (double)g->stream[0]->last.rto / 1e6);
}

/* --- all of them ------------------------------------------------------------------------------------ */

static const struct demo {
	const char *name, *title;
	void (*play)(struct play *, struct plugins *);
} demos[] = {
	{"handshake", "three segments open a connection (fig. 3.39)", handshake},
	{"close", "one side closes, then the other (fig. 3.40)", close_normal},
	{"close-simultaneous", "both close at the same moment", close_simultaneous},
	{"close-half", "A has no more to send, B has", close_half},
	{"close-reset", "A gives up: RST", close_reset},
	{"telnet", "fig. 3.31: a letter and its echo", telnet},
	{"zero-window", "flow control: the window shuts, probes go on", zero_window},
	{"delayed-ack", "table 3.2: when the receiver acknowledges", delayed_ack},
	{"rto", "the time-out: estimation, doubling, Karn's rule", time_out},
};

bool demo_run(const char *name, struct plugins *plugins, play_each each, void *arg)
{
	bool any = false;

	for (const struct demo *d = demos; d < demos + array_count(demos); d++) {
		struct play *p;

		if (name && strcmp(name, d->name) != 0)
			continue;
		any = true;
		p = lab_alloc(sizeof(*p));
		p->scenario = d->name;
		p->title = d->title;
		p->recovery = "textbook";
		p->label = ladder_plain;
		p->label_arg = &p->bases;
		d->play(p, plugins);
		play_count(p);
		p->ladder_from = p->stage.first;
		stage_close(&p->stage);
		each(arg, p);
		free(p);
	}
	return any;
}

void demo_names(void (*tell)(const char *name, const char *title))
{
	for (uint32_t i = 0; i < array_count(demos); i++)
		tell(demos[i].name, demos[i].title);
}
