/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/stage.h"

#include <stdlib.h>
#include <string.h>

#define RING_BYTES (64u << 10)
#define HELLO_NS   (10 * NS_PER_MS) /* for the handshake, beside the way there and back twice */

static uint32_t print_of(const uint8_t *p, uint32_t len)
{
	uint32_t x = 2166136261u;

	while (len--)
		x = (x ^ *p++) * 16777619u;
	return x;
}

static bool is_data(const struct seen *s)
{
	return s->len > 0;
}

static bool is_bare_ack(const struct seen *s)
{
	return s->len == 0 && s->flags == SEEN_ACK;
}

static void tamper(struct stage *g, unsigned host, const struct seen *s, struct tap_verdict *v)
{
	bool data = is_data(s);
	uint32_t n;

	v->delay_ns = g->config.delay_ns;
	if (!data && !is_bare_ack(s))
		return;
	n = g->seen_of[host][data]++;
	for (unsigned i = 0; i < STAGE_TAMPERS_MAX; i++) {
		const struct stage_tamper *t = &g->config.tamper[i];

		if (t->from != host || t->data != data || n >= 32 || !(t->which >> n & 1))
			continue;
		v->drop = t->drop;
		v->delay_ns += t->delay_ns;
	}
}

/* An ACK of B's for a segment of A's as the book's receiver would send it. */
static void make_individual(struct stage *g, const uint8_t *frame, uint32_t len, struct tap_verdict *v)
{
	struct ranges told = g->told;
	const struct stage_record *r;
	struct range asked;

	if (g->last_data[1] == UINT32_MAX)
		return;
	r = &g->record[g->last_data[1]];
	asked = (struct range){(uint64_t)r->off, (uint64_t)r->off + r->seen.len};
	ranges_add(&told, asked.begin, asked.end);
	v->instead_len = individual_ack(frame, len, &told, asked, g->iss[0], g->instead);
	v->instead = v->instead_len ? g->instead : NULL;
	if (v->instead && !v->drop)
		g->told = told;
}

static void note(struct stage *g, unsigned host, ns_t now, const struct seen *s, uint32_t print,
		 bool dropped)
{
	struct stage_record *r = &g->record[g->count];
	int64_t end;

	if (s->flags & SEEN_SYN)
		g->iss[host] = s->seq;
	if (g->count == STAGE_RECORDS_MAX) {
		g->missed++;
		return;
	}
	*r = (struct stage_record){.at = now - g->opened, .from = host, .seen = *s, .dropped = dropped,
				   .print = print};
	r->seen.data = NULL;
	r->off = (int32_t)(s->seq - g->iss[host] - 1);
	r->ack = s->flags & SEEN_ACK ? (int32_t)(s->ack - g->iss[!host] - 1) : 0;
	r->asked_by = g->last_data[host];
	end = r->off + s->len;
	r->again = s->len > 0 && r->off < g->sent_end[host];
	if (end > g->sent_end[host])
		g->sent_end[host] = end;
	g->count++;
}

static void note_arrival(struct stage *g, unsigned host, ns_t now, uint32_t print)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct stage_record *r = &g->record[i];

		if (r->from == host || r->arrived || r->dropped || r->print != print)
			continue;
		r->arrived = now - g->opened;
		if (is_data(&r->seen))
			g->last_data[host] = i;
		return;
	}
}

static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		struct tap_verdict *v)
{
	struct stage *g = arg;
	uint32_t print;
	struct seen s;

	if (!seen_parse(frame, len, &s)) {
		v->delay_ns = g->config.delay_ns;
		return;
	}
	print = print_of(frame, len);
	if (!out) {
		note_arrival(g, host, now, print);
		return;
	}
	tamper(g, host, &s, v);
	if (g->config.individual && host == 1 && is_bare_ack(&s))
		make_individual(g, frame, len, v);
	if (v->instead) {
		seen_parse(v->instead, v->instead_len, &s);
		print = print_of(v->instead, v->instead_len);
	}
	note(g, host, now, &s, print, v->drop);
}

static int make_rules(struct stage *g, struct plugins *plugins, char error[static CONFIG_ERROR_MAX])
{
	const char *b = g->config.settings[1] ? g->config.settings[1] : g->config.settings[0];
	int code = lab_rules_make(&g->rules[0], plugins, g->config.settings[0], error);

	if (code)
		return code;
	code = lab_rules_make(&g->rules[1], plugins, b, error);
	if (code)
		lab_rules_free(&g->rules[0]);
	return code;
}

int stage_open(struct stage *g, const struct stage_config *c, struct plugins *plugins, bool later,
	       char error[static CONFIG_ERROR_MAX])
{
	struct lab_world_config w = {.seed = 1, .mtu = 1500, .burst = 1, .introduced = true,
				     .see = see, .see_arg = g};
	struct fault_config fault = {.rate_bps = c->rate_bps, .queue = 1000};
	int code;

	memset(g, 0, sizeof(*g));
	g->config = *c;
	g->last_data[0] = g->last_data[1] = UINT32_MAX;
	code = make_rules(g, plugins, error);
	if (code)
		return code;
	for (unsigned i = 0; i < 2; i++) {
		w.rules[i] = g->rules[i].rules;
		w.ring_bytes[i] = c->ring_bytes[i] ? c->ring_bytes[i] : RING_BYTES;
		w.fault[i] = c->rate_bps ? &fault : NULL;
	}
	lab_world_open(&g->w, &w);
	g->opened = g->w.now;
	g->w.host[1]->accept_template.close_when_done = false;
	if (!later) {
		stage_connect(g);
		stage_begin(g);
	}
	return 0;
}

void stage_close(struct stage *g)
{
	lab_world_close(&g->w);
	lab_rules_free(&g->rules[0]);
	lab_rules_free(&g->rules[1]);
}

void stage_connect(struct stage *g)
{
	struct lab_stream what = {.read_max = UINT64_MAX};

	g->stream[0] = lab_world_connect(&g->w, &what);
	stage_pass(g, HELLO_NS + 4 * g->config.delay_ns);
	g->stream[1] = lab_world_accepted(&g->w);
	if (!g->stream[0]->connected || !g->stream[1])
		lab_fail("the stage could not be set: no connection");
}

void stage_pass(struct stage *g, ns_t ns)
{
	ns_t until = g->w.now + ns;

	lab_run(&g->w, until, NULL, NULL);
	g->w.now = until;
}

void stage_begin(struct stage *g)
{
	g->first = g->count;
	g->opened = g->w.now;
	memset(g->seen_of, 0, sizeof(g->seen_of));
}

void stage_write(struct stage *g, unsigned i, uint64_t bytes)
{
	g->stream[i]->to_send += bytes;
	lab_stream_write(g->stream[i]);
	lab_host_turn(g->w.host[i], g->w.now);
}
