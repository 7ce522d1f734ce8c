/* SPDX-License-Identifier: BSD-2-Clause */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "all.h"

#define ONE_WAY (10 * NS_PER_MS)
#define RATE    20000000u /* what leaves at once arrives one after the other */
#define RING    (256u << 10)

static struct plugins *plugins;

void scenes_begin(void)
{
	plugins = plugins_create(stackd_all_plugins);
}

void scenes_end(void)
{
	plugins_destroy(plugins);
}

static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		struct tap_verdict *v)
{
	struct scene *x = arg;
	unsigned from = out ? host : !host;
	struct line *l = &x->line[x->count];

	(void)v;
	checker_see(&x->checker, host, now, out, frame, len);
	if (x->count == SCENE_LINES_MAX || !seen_parse(frame, len, &l->seen))
		return;
	if (l->seen.flags & SEEN_SYN)
		x->iss[from] = l->seen.seq;
	l->at = now - SCENE_START_NS;
	l->host = host;
	l->out = out;
	l->off = (int32_t)(l->seen.seq - x->iss[from] - 1);
	x->count++;
}

static struct driver *wrap(void *arg, unsigned host, struct driver *inner)
{
	struct scene *x = arg;

	return tamper_wrap(inner, host, &x->tamper[host]);
}

void scene_set(struct scene *x, const char *recovery)
{
	memset(x, 0, sizeof(*x));
	x->bytes = SCENE_BYTES;
	snprintf(x->settings, sizeof(x->settings),
		 "tcp.recovery=%s\ntcp.rto=rfc6298\ntcp.ack=each\ntcp.cc=newreno\ntcp.mss=%u\n"
		 "tcp.timestamps=no\ntcp.nagle=no\ntcp.pacing=no\ntcp.receive-buffer=%u\n",
		 recovery, SCENE_MSS, RING);
}

struct tamper_rule *scene_rule(struct scene *x, unsigned host, enum tamper_kind kind,
			       enum tamper_what what, uint64_t value)
{
	struct tamper_rule *r = &x->tamper[host].rule[x->tamper[host].count++];

	*r = (struct tamper_rule){.kind = kind, .what = what, .value = value};
	return r;
}

void scene_once(struct scene *x, unsigned host, enum tamper_kind kind, enum tamper_what what,
		uint64_t value, int64_t off)
{
	struct tamper_rule *r = scene_rule(x, host, kind, what, value);

	r->count = 1;
	r->begin = off;
	r->end = off + 1;
}

static bool both_ended(void *arg)
{
	struct scene *x = arg;

	x->server = lab_world_accepted(&x->w);
	return x->server && x->client->ended && x->server->ended &&
	       x->server->received == x->server->arrived;
}

static void open_world(struct scene *x)
{
	struct fault_config fault = {.delay_ns = ONE_WAY, .rate_bps = RATE, .queue = 1000};
	struct lab_world_config c = {.seed = 1,
				     .mtu = 1500,
				     .burst = 1,
				     .introduced = true,
				     .ring_bytes = {RING, RING},
				     .fault = {&fault, &fault},
				     .wrap = wrap,
				     .wrap_arg = x,
				     .see = see,
				     .see_arg = x};
	char error[CONFIG_ERROR_MAX];

	if (lab_rules_make(&x->rules, plugins, x->settings, error))
		lab_fail(error);
	c.rules[0] = c.rules[1] = x->rules.rules;
	checker_init(&x->checker);
	x->checker.prompt = x->checker.rst_is_wrong = true;
	lab_world_open(&x->w, &c);
	for (unsigned i = 0; i < 2; i++)
		memcpy(x->checker.mac[i], x->w.host[i]->config.driver->caps.mac, 6);
}

static void show(const struct scene *x)
{
	for (uint32_t i = 0; i < x->count; i++) {
		const struct line *l = &x->line[i];
		uint32_t iss = x->iss[l->out ? !l->host : l->host] + 1;

		printf("%10.3f %c%c %02x %lld:%lld ack %d win %u", (double)l->at / 1e6,
		       "AB"[l->host], l -> out ? '>' : '<', l->seen.flags, (long long)l->off,
		       (long long)l->off + l->seen.len, (int)(l->seen.ack - iss), l->seen.window);
		for (uint32_t k = 0; k < l->seen.sack_count; k++)
			printf(" {%d-%d}", (int)(l->seen.sack[k].begin - iss),
			       (int)(l->seen.sack[k].end - iss));
		printf("\n");
	}
}

void scene_play(struct scene *x)
{
	struct lab_stream what = {.to_send = x->bytes,
				  .read_max = UINT64_MAX,
				  .seed = 1,
				  .expect_seed = 2,
				  .close_when_done = true};

	open_world(x);
	x->w.host[1]->accept_template = (struct lab_stream){
	    .read_max = UINT64_MAX, .seed = 2, .expect_seed = 1, .close_when_done = true};
	x->client = lab_world_connect(&x->w, &what);
	lab_run(&x->w, x->w.now + 3600 * NS_PER_S, both_ended, x);
	if (getenv("VERBOSE"))
		show(x);
	assert_string_equal(x->checker.violation, "");
	assert_true(both_ended(x));
	assert_int_equal(x->client->error, 0);
	assert_int_equal(x->server->error, 0);
	assert_true(x->server->wrong_at == UINT64_MAX);
	assert_int_equal(x->server->received, x->bytes);
	assert_true(x->server->eof && x->client->eof);
	assert_true(x->count < SCENE_LINES_MAX);
}

void scene_end(struct scene *x)
{
	lab_world_close(&x->w);
	checker_free(&x->checker);
	for (unsigned i = 0; i < 2; i++)
		tamper_free(&x->tamper[i]);
	lab_rules_free(&x->rules);
}

/* --- what was seen ------------------------------------------------------------------------------
 */

/* Of the sender's text: how often [begin, end) or a part of it left host 0, or came to host 1. */
static uint32_t times(const struct scene *x, bool out, int64_t begin, int64_t end)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->count; i++) {
		const struct line *l = &x->line[i];

		n += l->out == out && l->host == !out && l->seen.len > 0 && l->off < end &&
		     l->off + l->seen.len > begin;
	}
	return n;
}

uint32_t scene_sent(const struct scene *x, int64_t begin, int64_t end)
{
	return times(x, true, begin, end);
}

uint32_t scene_came(const struct scene *x, int64_t begin, int64_t end)
{
	return times(x, false, begin, end);
}

uint32_t scene_bare(const struct scene *x, bool out, uint8_t flags)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->count; i++) {
		const struct line *l = &x->line[i];

		n += l->out == out && l->host == out && l->seen.len == 0 && l->seen.flags == flags;
	}
	return n;
}

uint32_t scene_duplicates_told(const struct scene *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->count; i++) {
		const struct line *l = &x->line[i];

		n += l->out && l->host == 1 && l->seen.sack_count > 0 &&
		     (int32_t)(l->seen.sack[0].end - l->seen.ack) <= 0;
	}
	return n;
}

uint64_t scene_counted(const struct scene *x, unsigned host, enum count_id id)
{
	return x->w.host[host]->counters.n[id];
}
