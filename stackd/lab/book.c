/* SPDX-License-Identifier: BSD-2-Clause */
/* book.c - the figures and exercises of Kurose & Ross 3.4 and 3.5 with the book's counts.
 *
 * The stack's own sender and receiver run under the plugins gbn, sr and textbook, an ACK for each
 * segment, a fixed window, a fixed time-out.  Go-Back-N is the book's state machine: the prose resends
 * when only ACK n is lost, the machine, being cumulative, does not.  Where a row is about an ACK that
 * no later one covers, the link makes the receiver's ACKs individual (individual.h).  Only fig. 3.27,
 * about numbers of two bits, runs on model.c and says so. */
#include "lab/play.h"

#include <stdlib.h>
#include <string.h>

enum machine { GBN, SR, TCP, MACHINES };

static const char *const machine_name[MACHINES] = {"gbn", "sr", "textbook"};

#define NTH(n)	  (1u << ((n) - 1))
#define MSS	  100u
#define ROUND_MS  200u
#define SETTLE_NS (20 * NS_PER_S)

struct want {
	uint32_t sent, again, acks;
	const char *numbers;
};

struct row {
	const char *name, *title;
	const uint32_t *segments; /* bytes; ends with 0 */
	uint32_t window, timeout_ms;
	uint32_t drop_data, drop_acks;
	int64_t base; /* packets: number of the first; else the sequence number of the first byte */
	bool packets, individual; /* individual: of sr, else its ACKs are as cumulative as all of TCP's */
	struct want want[MACHINES]; /* sent 0: not about this machine */
	int timeouts;		    /* of TCP; -1: not told */
};

static const uint32_t five[] = {MSS, MSS, MSS, MSS, MSS, 0};
static const uint32_t six[] = {MSS, MSS, MSS, MSS, MSS, MSS, 0};
static const uint32_t fig334[] = {8, 0};
static const uint32_t fig335[] = {8, 20, 0};
static const uint32_t fig337[] = {8, 20, 15, 6, 16, 0};

#define NOT {0, 0, 0, NULL}

static const struct row rows[] = {
	{"fig3.26", "fig. 3.22 and 3.26: six packets, N = 4, packet 2 lost", six, 4, 1000, NTH(3), 0, 0, true,
	 false,
	 {{10, 4, 9, "0,1,1,1,1,2,3,4,5"}, {7, 1, 6, "0,1,3,4,5,2"}, {7, 1, 6, "1,2,2,2,2,6"}}, 0},
	{"p37", "problem P37: five segments, the second lost", five, 5, 1000, NTH(2), 0, 1, true, false,
	 {{9, 4, 8, "1,1,1,1,2,3,4,5"}, {6, 1, 5, "1,3,4,5,2"}, {6, 1, 5, "2,2,2,2,6"}}, 0},
	{"two-lost", "five segments, the second and the fourth lost", five, 5, 1000, NTH(2) | NTH(4), 0, 1,
	 true, false,
	 {{9, 4, 7, "1,1,1,2,3,4,5"}, {7, 2, 5, "1,3,5,2,4"}, {7, 2, 5, "2,2,2,4,6"}}, 2},
	{"ack-lost", "five segments, the second ACK lost", five, 5, 1000, 0, NTH(2), 1, true, true,
	 {{5, 0, 5, "1,2,3,4,5"}, {6, 1, 6, "1,2,3,4,5,2"}, {5, 0, 5, "2,3,4,5,6"}}, 0},
	{"last-ack-lost", "five segments, the last ACK lost", five, 5, 1000, 0, NTH(5), 1, true, false,
	 {{6, 1, 6, "1,2,3,4,5,5"}, {6, 1, 6, "1,2,3,4,5,5"}, {6, 1, 6, "2,3,4,5,6,6"}}, 1},
	{"all-acks-lost", "five segments, all five ACKs lost", five, 5, 1000, 0, 0x1f, 1, true, false,
	 {{10, 5, 10, "1,2,3,4,5,5,5,5,5,5"}, {10, 5, 10, "1,2,3,4,5,1,2,3,4,5"},
	  {6, 1, 6, "2,3,4,5,6,6"}}, 1},
	{"premature", "five segments, the timer shorter than the round trip", five, 5, 150, 0, 0, 1, true,
	 false,
	 {{10, 5, 10, "1,2,3,4,5,5,5,5,5,5"}, {10, 5, 10, "1,2,3,4,5,1,2,3,4,5"},
	  {6, 1, 6, "2,3,4,5,6,6"}}, 1},
	{"fig3.34", "fig. 3.34: resent because the ACK was lost", fig334, 5, 1000, 0, NTH(1), 92, false,
	 false, {NOT, NOT, {2, 1, 2, "100,100"}}, 1},
	{"fig3.35", "fig. 3.35: segment 100 is not resent", fig335, 5, 150, 0, 0, 92, false, false,
	 {NOT, NOT, {3, 1, 3, "100,120,120"}}, 1},
	{"fig3.36", "fig. 3.36: a cumulative ACK spares the first segment", fig335, 5, 1000, 0, NTH(1), 92,
	 false, false, {NOT, NOT, {2, 0, 2, "100,120"}}, 0},
	{"fig3.37", "fig. 3.37: fast retransmit before the timer", fig337, 5, 1000, NTH(2), 0, 92, false,
	 false, {NOT, NOT, {6, 1, 5, "100,100,100,100,157"}}, 0},
};

static uint32_t packet_of(const struct row *row, int64_t bytes)
{
	uint32_t n = 0;

	while (bytes > 0 && row->segments[n])
		bytes -= row->segments[n++];
	return n;
}

/* How the machine's book would call this ACK. */
static int64_t ack_number(const struct row *row, enum machine m, const struct stage *g, uint32_t i)
{
	const struct stage_record *r = &g->record[i];

	if (!row->packets)
		return row->base + r->ack;
	if (m == SR && r->asked_by != UINT32_MAX)
		return row->base + packet_of(row, g->record[r->asked_by].off);
	return row->base + packet_of(row, r->ack) - (m == TCP ? 0 : 1);
}

struct book_label {
	const struct row *row;
	enum machine m;
};

static void label(void *arg, const struct stage *g, uint32_t i, char out[static LADDER_LABEL_MAX])
{
	const struct book_label *l = arg;
	const struct stage_record *r = &g->record[i];
	const char *again = r->again ? " (again)" : "";

	if (r->from == 1)
		snprintf(out, LADDER_LABEL_MAX, "ACK %lld", (long long)ack_number(l->row, l->m, g, i));
	else if (l->row->packets)
		snprintf(out, LADDER_LABEL_MAX, "%s %lld%s", l->m == TCP ? "segment" : "packet",
			 (long long)l->row->base + packet_of(l->row, r->off), again);
	else
		snprintf(out, LADDER_LABEL_MAX, "seq %lld, %u bytes%s", (long long)(l->row->base + r->off),
			 r->seen.len, again);
}

static void read_want(struct play *p, const struct want *w)
{
	const char *at = w->numbers;

	p->has_want = true;
	p->want_sent = w->sent;
	p->want_again = w->again;
	p->want_acks = w->acks;
	while (at && *at && p->want_ack_count < PLAY_ACKS_MAX) {
		p->want_ack[p->want_ack_count++] = strtoll(at, NULL, 10);
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
}

static void perform(const struct row *row, enum machine m, bool individual, struct play *p,
		    struct plugins *plugins)
{
	char settings[512], error[CONFIG_ERROR_MAX];
	struct stage_config c = {.settings = {settings},
				 .delay_ns = ROUND_MS / 2 * NS_PER_MS,
				 .individual = individual,
				 .tamper = {{.from = 0, .data = true, .which = row->drop_data, .drop = true},
					    {.from = 1, .which = row->drop_acks, .drop = true}}};
	struct stage *g = &p->stage;

	snprintf(settings, sizeof(settings),
		 "tcp.recovery=%s\ntcp.rto=fixed\nplugin rto/fixed.time=%ums\ntcp.ack=each\ntcp.cc=fixed\n"
		 "plugin cc/fixed.window=%u\ntcp.mss=%u\ntcp.timestamps=no\ntcp.dsack=no\ntcp.nagle=no\n"
		 "tcp.pacing=no\n",
		 machine_name[m], row->timeout_ms, row->window, MSS);
	if (stage_open(g, &c, plugins, false, error))
		lab_fail(error);
	for (const uint32_t *s = row->segments; *s; s++)
		stage_write(g, 0, *s);
	stage_pass(g, SETTLE_NS);
	play_count(p);
	for (uint32_t i = g->first; i < g->count; i++)
		if (g->record[i].from == 1 && p->ack_count < PLAY_ACKS_MAX)
			p->ack_number[p->ack_count++] = ack_number(row, m, g, i);
	lab_stream_info(g->stream[0], g->w.now);
	if (m == TCP && row->timeouts >= 0)
		play_fact(p, "time-outs", (uint64_t)row->timeouts, g->stream[0]->last.timeouts);
	if (m == GBN && row->packets && row->segments == six)
		play_fact(p, "segments discarded by the receiver", 3,
			  g->w.host[1]->counters.n[COUNT_seg_ooo_declined]);
	play_fact(p, "bytes delivered", (uint64_t)g->sent_end[0], g->stream[1]->received);
	stage_close(g);
}

static void take_model(struct play *p, int64_t base)
{
	const struct model_result *r = &p->model;

	p->sent = r->sent;
	p->again = r->again;
	p->acks = r->acks;
	for (uint32_t i = 0; i < r->count; i++)
		if (r->event[i].ack && p->ack_count < PLAY_ACKS_MAX)
			p->ack_number[p->ack_count++] = base + r->event[i].number;
}

/* The same without the link's help: what TCP's ACK number makes of it. */
static void facts_over_tcp(const struct row *row, struct play *p, struct plugins *plugins)
{
	struct play *q = lab_alloc(sizeof(*q));

	perform(row, SR, false, q, plugins);
	play_fact(p, "with TCP's cumulative ACKs: sent", row->want[GBN].sent, q->sent);
	play_fact(p, "with TCP's cumulative ACKs: sent again", row->want[GBN].again, q->again);
	play_fact(p, "with TCP's cumulative ACKs: ACKs", row->want[GBN].acks, q->acks);
	free(q);
}

static void row_play(const struct row *row, enum machine m, struct plugins *plugins, play_each each,
		     void *arg)
{
	struct play *p = lab_alloc(sizeof(*p));
	struct book_label l = {row, m};
	bool individual = m == SR && row->individual;

	p->scenario = row->name;
	p->title = row->title;
	p->recovery = machine_name[m];
	p->label = label;
	p->label_arg = &l;
	read_want(p, &row->want[m]);
	perform(row, m, individual, p, plugins);
	p->ladder_from = p->stage.first;
	p->bases.base[0] = row->packets ? 0 : row->base;
	if (individual) {
		p->note = "the link makes B's ACKs individual: TCP's own would cover the lost one";
		facts_over_tcp(row, p, plugins);
	}
	each(arg, p);
	free(p);
}

/* --- fig. 3.27 ---------------------------------------------------------------------------------------- */

static const char dilemma_title[] = "fig. 3.27: numbers 0-3, the first three ACKs lost";

static void dilemma_play(uint32_t window, play_each each, void *arg)
{
	struct play *p = lab_alloc(sizeof(*p));
	struct model_config c = {.numbers = 4, .window = window, .packets = 5, .drop_acks = 7,
				 .delay_ms = ROUND_MS / 2, .timeout_ms = 1000};
	bool too_large = window > c.numbers / 2;

	p->scenario = "fig3.27";
	p->title = dilemma_title;
	p->recovery = too_large ? "sr N=3" : "sr N=2";
	p->on_model = true;
	p->note = too_large ? "N must be at most half of the numbers: it is not. TCP, with 2^32 of them and "
			      "windows of 2^30 at most, can't be brought to it"
			    : "N is half of the numbers";
	model_run(&c, &p->model);
	take_model(p, 0);
	play_fact_if(p, "an old packet was taken for a new one", p->model.wrong == too_large,
		     too_large ? "yes" : "no", "%s", p->model.wrong ? "yes" : "no");
	each(arg, p);
	free(p);
}

static void dilemma(struct plugins *plugins, play_each each, void *arg)
{
	(void)plugins;
	dilemma_play(3, each, arg);
	dilemma_play(2, each, arg);
}

/* --- stop-and-wait ------------------------------------------------------------------------------------ */

#define FRAME_BYTES   1000u /* 8,000 bits with 54 bytes of headers */
#define PAYLOAD	      946u
#define FRAMES	      90u
#define LINE_BPS      1000000000ull
#define SHOWN_RECORDS 6u

static double pipeline(struct play *p, uint32_t window, struct plugins *plugins)
{
	char settings[512], error[CONFIG_ERROR_MAX];
	struct stage_config c = {.settings = {settings}, .delay_ns = 15 * NS_PER_MS, .rate_bps = LINE_BPS,
				 .ring_bytes = {1u << 20, 1u << 20}};

	snprintf(settings, sizeof(settings),
		 "tcp.recovery=gbn\ntcp.rto=fixed\ntcp.ack=each\ntcp.cc=fixed\nplugin cc/fixed.window=%u\n"
		 "tcp.mss=%u\ntcp.timestamps=no\ntcp.pacing=no\n",
		 window, PAYLOAD);
	if (stage_open(&p->stage, &c, plugins, false, error))
		lab_fail(error);
	stage_write(&p->stage, 0, (uint64_t)PAYLOAD * FRAMES);
	stage_pass(&p->stage, SETTLE_NS);
	play_count(p);
	stage_close(&p->stage);
	return FRAME_BYTES * 8.0 * FRAMES / (p->done_ms / 1e3);
}

static const char stop_title[] = "8,000 bits a packet, 1 Gbit/s, 30 ms round trip";

static void stop_play(uint32_t window, double alone_bps, double *bps, struct plugins *plugins,
		      play_each each, void *arg)
{
	struct play *p = lab_alloc(sizeof(*p));
	char used[32];

	p->scenario = "stop-and-wait";
	p->title = stop_title;
	p->recovery = window == 1 ? "gbn N=1" : "gbn N=3";
	p->label = ladder_plain;
	p->label_arg = &p->bases;
	*bps = pipeline(p, window, plugins);
	p->ladder_from = p->stage.first;
	p->stage.count = p->stage.first + SHOWN_RECORDS;
	p->note = "the first segments of 90:";
	if (window == 1) {
		snprintf(used, sizeof(used), "%.5f", *bps / (double)LINE_BPS);
		play_fact_if(p, "utilisation", strcmp(used, "0.00027") == 0, "0.00027", "%s", used);
		play_fact(p, "kbit/s", 267, (uint64_t)(*bps / 1000 + 0.5));
	} else {
		play_fact_if(p, "times that of window 1",
			     *bps / alone_bps > 2.99 && *bps / alone_bps < 3.01, "3", "%.3f",
			     *bps / alone_bps);
	}
	each(arg, p);
	free(p);
}

static void stop_and_wait(struct plugins *plugins, play_each each, void *arg)
{
	double one, three;

	stop_play(1, 0, &one, plugins, each, arg);
	stop_play(3, one, &three, plugins, each, arg);
}

/* --- all of them -------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *title;
	void (*play)(struct plugins *, play_each, void *);
} others[] = {
	{"fig3.27", dilemma_title, dilemma},
	{"stop-and-wait", stop_title, stop_and_wait},
};

static bool meant(const char *asked, const char *name)
{
	return !asked || strcmp(asked, name) == 0;
}

bool book_run(const char *name, struct plugins *plugins, play_each each, void *arg)
{
	bool any = false;

	for (uint32_t i = 0; i < array_count(rows); i++) {
		if (!meant(name, rows[i].name))
			continue;
		any = true;
		for (enum machine m = GBN; m < MACHINES; m++)
			if (rows[i].want[m].sent)
				row_play(&rows[i], m, plugins, each, arg);
	}
	for (uint32_t i = 0; i < array_count(others); i++) {
		if (!meant(name, others[i].name))
			continue;
		any = true;
		others[i].play(plugins, each, arg);
	}
	return any;
}

void book_names(void (*tell)(const char *name, const char *title))
{
	for (uint32_t i = 0; i < array_count(rows); i++)
		tell(rows[i].name, rows[i].title);
	for (uint32_t i = 0; i < array_count(others); i++)
		tell(others[i].name, others[i].title);
}
