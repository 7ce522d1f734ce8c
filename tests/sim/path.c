/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "all.h"

#define SAMPLES_MAX 400000u

static void drop(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		 struct tap_verdict *v)
{
	struct path *p = arg;
	struct seen s;
	uint64_t end;

	if (!seen_parse(frame, len, &s))
		return;
	if (p->also && host == 0)
		p->also(p, out, frame, len);
	if (!out)
		return;
	if (host != 0) {
		v->drop = p->deaf;
		return;
	}
	if (s.flags & SEEN_SYN)
		p->iss = s.seq;
	if (s.len == 0)
		return;
	v->drop = p->dead;
	if (p->dead && !p->lost_at)
		p->lost_at = now;
	end = s.seq - p->iss + s.len;
	if (end <= p->sent_end) { /* sent again: passes */
		if (p->lost_at && !p->again_at && s.seq == p->lost_seq)
			p->again_at = now;
		return;
	}
	p->sent_end = end;
	p->seen++;
	if (p->seen < p->drop_from || p->seen >= p->drop_to)
		return;
	v->drop = true;
	if (!p->lost_at) {
		p->lost_at = now;
		p->lost_seq = s.seq;
	}
}

/* The number behind "key=" in a plugin's line. */
static double number(const char *line, const char *key)
{
	const char *found = strstr(line, key);

	return found ? strtod(found + strlen(key), NULL) : 0;
}

/* After each turn: a sample when anything has changed. */
static bool look(void *arg)
{
	struct path *p = arg;
	struct sample *last = p->count ? &p->sample[p->count - 1] : NULL, *x = &p->sample[p->count];
	const struct tcp_info *i = &p->s->last;

	if (!p->s->conn || !p->s->connected || p->count == SAMPLES_MAX)
		return false;
	lab_stream_info(p->s, p->w.now);
	*x = (struct sample){p->w.now,
			     i->cwnd,
			     i->ssthresh,
			     i->flight,
			     i->snd_una,
			     i->snd_nxt,
			     i->pacing,
			     i->rto,
			     i->recovering,
			     "",
			     number(i->describe[3], "rate="),
			     number(i->describe[3], "alpha=")};
	sscanf(i->describe[3], "mode=%15[a-z_]", x->mode);
	if (!last || x->una != last->una || x->nxt != last->nxt || x->cwnd != last->cwnd ||
	    x->ssthresh != last->ssthresh || x->rto != last->rto || x->pacing != last->pacing)
		p->count++;
	return false;
}

void path_open(struct path *p, const char *settings, uint64_t rate_bps, uint64_t bytes)
{
	struct fault_config fault = {.delay_ns = ONE_WAY, .rate_bps = rate_bps, .queue = 2000};
	struct lab_world_config c = {.seed = 1,
				     .mtu = 1500,
				     .burst = 1,
				     .introduced = true,
				     .ring_bytes = {RING, RING},
				     .fault = {&fault, &fault},
				     .see = drop,
				     .see_arg = p};
	struct lab_stream what = {.to_send = bytes, .read_max = UINT64_MAX, .seed = 1};
	static struct plugins *plugins;
	char text[1024], error[CONFIG_ERROR_MAX];

	if (!plugins)
		plugins = plugins_create(stackd_all_plugins);

	snprintf(text, sizeof(text),
		 "tcp.timestamps=no\ntcp.ack=each\ntcp.nagle=no\ntcp.window_scale=9\n"
		 "tcp.receive_buffer=16MB\ntcp.send_buffer=16MB\n%s",
		 settings);
	if (lab_rules_make(&p->rules, plugins, text, error))
		fail_msg("%s", error);
	c.rules[0] = c.rules[1] = p->rules.rules;
	p->sample = calloc(SAMPLES_MAX, sizeof(*p->sample));
	lab_world_open(&p->w, &c);
	p->w.host[1]->accept_template.close_when_done = false;
	p->w.host[1]->accept_template.expect_seed = 1;
	p->s = lab_world_connect(&p->w, &what);
}

void path_run(struct path *p, ns_t ns)
{
	ns_t until = p->w.now + ns;

	lab_run(&p->w, until, look, p);
	p->w.now = until;
}

void path_close(struct path *p)
{
	assert_true(p->count < SAMPLES_MAX);
	lab_world_close(&p->w);
	lab_rules_free(&p->rules);
	free(p->sample);
}

const struct sample *at(const struct path *p, ns_t when)
{
	const struct sample *x = p->sample;

	for (uint32_t i = 0; i < p->count && p->sample[i].at <= when; i++)
		x = &p->sample[i];
	return x;
}

void near(const char *what, double got, double want, double part)
{
	if (got < want * (1 - part) || got > want * (1 + part))
		fail_msg("%s: %.3f, not %.3f within %.1f %%", what, got, want, part * 100);
}

const struct sample *decrease(const struct path *p)
{
	for (uint32_t i = 1; i < p->count; i++)
		if (p->sample[i].ssthresh < p->sample[i - 1].ssthresh)
			return &p->sample[i];
	return NULL;
}

const struct sample *recovered(const struct path *p, const struct sample *x)
{
	for (; x < p->sample + p->count; x++)
		if (!x->recovering)
			return x;
	fail_msg("recovery does not end");
	return NULL;
}
