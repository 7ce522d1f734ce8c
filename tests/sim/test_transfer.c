/* SPDX-License-Identifier: BSD-2-Clause */
/* test_transfer RECOVERY [COUNT]: simulated transfers with everything drawn from a seed: link, sizes,
 * rings, MSS, plugins.  Each must deliver the right bytes both ways, close in order, keep to what
 * the checker knows, and leave nothing behind.  SEED=n runs one and SEED=n VERBOSE=1 shows its
 * segments; FIRST=n is where a long run begins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "all.h"
#include "base/rng.h"
#include "checker.h"
#include "lab/rules.h"
#include "lab/seen.h"
#include "lab/world.h"
#include "tamper.h"

#define START_NS (1000 * NS_PER_S) /* of a lab_world */
#define LIMIT_NS (24 * 3600 * NS_PER_S)
#define LIVE_NS	 (1800 * NS_PER_S) /* a few of the longest RTOs, and the transfer itself */

static const char *const recoveries[] = {"gbn", "sr", "textbook", "reno", "sack", "racktlp"};
static const char *const rtos[] = {"rfc6298", "rfc6298", "linux", "fixed", "textbook"};
static const char *const acks[] = {"each", "delayed", "quick", "quick", "every-n"};
static const char *const ccs[] = {"newreno", "cubic", "cubic", "bbr", "dctcp", "fixed"};

#define PICK(r, list) ((list)[rng_below(r, array_count(list))])

struct transfer {
	uint64_t seed;
	struct rng rng;
	char settings[2][1024];
	struct lab_rules rules[2];
	struct fault_config fault[2];
	struct lab_world_config world;
	struct lab_stream template[2];
	struct lab_world w;
	ns_t quiet_ns; /* no faults from then on; 0: always some */
	struct tamper tamper[2];
	struct checker checker;
	struct lab_stream *client;
	bool verbose;
};

static struct plugins *plugins;

static void show(const struct transfer *t, unsigned host, ns_t now, bool out, const struct seen *s)
{
	const struct checker_side *side = t->checker.side;

	printf("%12.6f %c%c %s%s%s%s seq %d len %u ack %d win %u", (double)now / 1e9, "AB"[host],
	       out ? '>' : '<', s->flags & SEEN_SYN ? "S" : "", s->flags & SEEN_FIN ? "F" : "",
	       s->flags & SEEN_RST ? "R" : "", s->flags & SEEN_ACK ? "." : "",
	       (int)(s->seq - side[out ? host : !host].iss - 1), s->len,
	       (int)(s->ack - side[out ? !host : host].iss - 1), s->window);
	for (uint32_t i = 0; i < s->sack_count; i++)
		printf(" {%d-%d}", (int)(s->sack[i].begin - side[out ? !host : host].iss - 1),
		       (int)(s->sack[i].end - side[out ? !host : host].iss - 1));
	printf("\n");
}

static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		struct tap_verdict *v)
{
	struct transfer *t = arg;
	struct seen s;

	(void)v;
	if (t->verbose && seen_parse(frame, len, &s))
		show(t, host, now, out, &s);
	checker_see(&t->checker, host, now, out, frame, len);
}

static struct driver *wrap(void *arg, unsigned host, struct driver *inner)
{
	struct transfer *t = arg;

	return t->tamper[host].count ? tamper_wrap(inner, host, &t->tamper[host]) : inner;
}

static void draw_fault(struct rng *r, struct fault_config *f)
{
	memset(f, 0, sizeof(*f));
	if (rng_chance(r, 0.7))
		f->loss = (double)rng_below(r, 31) / 100;
	if (rng_chance(r, 0.3))
		f->reorder = (double)rng_below(r, 21) / 100;
	if (rng_chance(r, 0.3))
		f->duplicate = (double)rng_below(r, 11) / 100;
	if (rng_chance(r, 0.3))
		f->corrupt = (double)rng_below(r, 6) / 100;
	f->delay_ns = rng_below(r, 4) ? rng_below(r, 100 * NS_PER_MS) : rng_below(r, NS_PER_MS);
	if (rng_chance(r, 0.5))
		f->jitter_ns = rng_below(r, 20 * NS_PER_MS);
	if (rng_chance(r, 0.3)) {
		f->rate_bps = 100000 + rng_below(r, 20000000);
		f->queue = 5 + (uint32_t)rng_below(r, 100);
	}
}

static void draw_settings(struct transfer *t, unsigned i, const char *recovery, uint32_t mtu)
{
	struct rng *r = &t->rng;
	const char *rto = PICK(r, rtos), *ack = PICK(r, acks), *cc = PICK(r, ccs);
	const char *nagle = rng_chance(r, 0.5) ? "yes" : "no";
	const char *ts = rng_chance(r, 0.7) ? "yes" : "no", *dsack = rng_chance(r, 0.7) ? "yes" : "no";
	const char *sack = rng_chance(r, 0.9) ? "yes" : "no";
	const char *scaling = rng_chance(r, 0.9) ? "yes" : "no";
	uint64_t scale = rng_below(r, 15);
	uint64_t mss = rng_chance(r, 0.3) ? 48 + rng_below(r, mtu - 48) : 0;

	snprintf(t->settings[i], sizeof(t->settings[i]),
		 "tcp.recovery=%s\ntcp.rto=%s\ntcp.ack=%s\ntcp.cc=%s\ntcp.nagle=%s\ntcp.timestamps=%s\n"
		 "tcp.sack=%s\ntcp.dsack=%s\ntcp.window-scaling=%s\ntcp.window-scale=%llu\ntcp.mss=%llu\n"
		 "tcp.syn-retries=60\ntcp.synack-retries=60\ntcp.retries=60\ntcp.time-wait=10m\ntcp.receive-buffer=%u\n",
		 recovery, rto, ack, cc, nagle, ts, sack, dsack, scaling, (unsigned long long)scale,
		 (unsigned long long)mss, t->world.ring_bytes[i]);
}

static uint64_t draw_size(struct rng *r)
{
	switch (rng_below(r, 4)) {
	case 0:
		return 0;
	case 1:
		return 1 + rng_below(r, 20);
	case 2:
		return 1 + rng_below(r, 5000);
	default:
		return 1 + rng_below(r, 150000);
	}
}

static void draw_stream(struct transfer *t, unsigned i)
{
	struct rng *r = &t->rng;
	struct lab_stream *s = &t->template[i];

	*s = (struct lab_stream){
		.seed = t->seed * 2 + i,
		.expect_seed = t->seed * 2 + !i,
		.to_send = draw_size(r),
		.read_max = UINT64_MAX,
		.close_when_done = true,
	};
	if (rng_chance(r, 0.2)) {
		s->read_every_ns = 1 + rng_below(r, 500 * NS_PER_MS);
		s->read_bytes = 1000 + rng_below(r, 20000);
	}
}

/* The tampering ends, and the link itself has no faults: what is queued has to be delivered then. */
static void draw_quiet(struct transfer *t)
{
	t->quiet_ns = (1 + rng_below(&t->rng, 60)) * NS_PER_S;
	for (unsigned i = 0; i < 2; i++) {
		t->tamper[i].until = START_NS + t->quiet_ns;
		t->fault[i] = (struct fault_config){.delay_ns = t->fault[i].delay_ns};
	}
}

static void draw(struct transfer *t, const char *recovery)
{
	struct rng *r = &t->rng;
	uint32_t mtu;
	bool swap;

	rng_seed(r, t->seed);
	mtu = rng_chance(r, 0.5) ? 1500 : 576 + (uint32_t)rng_below(r, 8500);
	t->world = (struct lab_world_config){.seed = t->seed, .see = see, .see_arg = t};
	t->world.v6 = rng_chance(r, 0.3);
	t->world.introduced = t->checker.prompt = rng_chance(r, 0.7);
	t->world.mtu = t->world.v6 && mtu < 1280 ? 1280 : mtu;
	swap = rng_chance(r, 0.5);
	for (unsigned i = 0; i < 2; i++) {
		t->world.ring_bytes[i] = 1024u << rng_below(r, 9);
		draw_settings(t, i,
			      i == swap || rng_chance(r, 0.5) ? recovery : PICK(r, recoveries), mtu);
		draw_fault(r, &t->fault[i]);
		t->world.fault[i] = &t->fault[i];
		draw_stream(t, i);
	}
	t->world.wrap = wrap;
	t->world.wrap_arg = t;
	for (unsigned i = 0; i < 2; i++)
		if (rng_chance(r, 0.6))
			tamper_draw(&t->tamper[i], r);
	if (rng_chance(r, 0.3))
		draw_quiet(t);
}

static bool both_ended(void *arg)
{
	struct transfer *t = arg;
	struct lab_stream *server = lab_world_accepted(&t->w);

	if (t->quiet_ns && server)
		for (unsigned i = 0; i < 2; i++)
			checker_live(&t->checker, i, t->w.now, START_NS + t->quiet_ns, LIVE_NS,
				     i ? server->queued : t->client->queued);
	if (*t->checker.violation)
		return true;
	return server && t->client->ended && t->client->received == t->client->arrived &&
	       server->ended && server->received == server->arrived;
}

static const char *wrong(const struct lab_stream *s, const struct lab_stream *peer)
{
	if (!s->ended)
		return "has not ended";
	if (s->error)
		return "ended with an error";
	if (s->wrong_at != UINT64_MAX)
		return "received a wrong byte";
	if (s->received != peer->to_send)
		return "did not receive everything";
	if (!s->eof)
		return "saw no end of the stream";
	return NULL;
}

/* NULL: all is well. */
static const char *judge(struct transfer *t)
{
	struct lab_stream *server = lab_world_accepted(&t->w);
	const char *why;

	if (*t->checker.violation)
		return t->checker.violation;
	if (!server)
		return "nothing was accepted";
	why = wrong(t->client, server);
	if (!why)
		why = wrong(server, t->client);
	/* unwatched: a late SYN has met the listener */
	if (!why && t->checker.watched && lab_host_connections(t->w.host[0], t->w.now) +
			    lab_host_connections(t->w.host[1], t->w.now))
		why = "a connection is left";
	return why;
}

static void tell_stream(const struct lab_stream *s, const char *name)
{
	if (!s)
		return;
	printf("  %s: sends %llu, queued %llu, acked %llu; received %llu;%s%s%s error %d, wrong at %lld\n",
	       name, (unsigned long long)s->to_send, (unsigned long long)s->queued,
	       (unsigned long long)s->acked, (unsigned long long)s->received, s->eof ? " eof" : "",
	       s->ended ? " ended" : "", s->conn ? "" : " no conn", s->error, (long long)s->wrong_at);
	if (s->conn) {
		struct lab_stream copy = *s;

		lab_stream_info(&copy, 0);
		printf("    %s una %llu nxt %llu end %llu limit %llu cwnd %llu flight %llu\n",
		       tcp_state_name(copy.last.state), (unsigned long long)copy.last.snd_una,
		       (unsigned long long)copy.last.snd_nxt, (unsigned long long)copy.last.snd_end,
		       (unsigned long long)copy.last.snd_limit, (unsigned long long)copy.last.cwnd,
		       (unsigned long long)copy.last.flight);
	}
}

static void tell_counters(struct lab_host *h, const char *name)
{
	printf("  %s:", name);
	for (unsigned i = 0; i < COUNT_MAX; i++)
		if (h->counters.n[i])
			printf(" %s %llu", count_info[i].name, (unsigned long long)h->counters.n[i]);
	printf("\n");
}

static void tell_rule(unsigned host, const struct tamper_rule *r, uint32_t done)
{
	static const char *const kinds[] = {"any", "SYN", "data", "resent", "pure ACK", "FIN"};

	printf("  host %u: %s %s from %u every %u at most %u value %llu bytes %lld to %lld: %u times\n", host,
	       tamper_names[r->what], kinds[r->kind], r->first, r->every, r->count,
	       (unsigned long long)r->value, (long long)r->begin, (long long)r->end, done);
}

static void tell(struct transfer *t, const char *recovery, const char *why)
{
	printf("SEED=%llu test_transfer %s: %s (at %.3f s of the simulated time)\n",
	       (unsigned long long)t->seed, recovery, why, (double)t->w.now / 1e9 - 1000);
	for (unsigned i = 0; i < 2; i++) {
		const struct fault_config *f = &t->fault[i];

		for (char *c = t->settings[i]; *c; c++)
			if (*c == '\n')
				*c = ' ';
		printf("host %u: %s\n  ring %u loss %.2f reorder %.2f duplicate %.2f corrupt %.2f delay %.1f "
		       "ms jitter %.1f ms rate %llu queue %u\n",
		       i, t->settings[i], t->world.ring_bytes[i], f->loss, f->reorder, f->duplicate,
		       f->corrupt, (double)f->delay_ns / 1e6, (double)f->jitter_ns / 1e6,
		       (unsigned long long)f->rate_bps, f->queue);
	}
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < t->tamper[i].count; j++)
			tell_rule(i, &t->tamper[i].rule[j], t->tamper[i].done[j]);
	printf("mtu %u, IPv%c\n", t->world.mtu, t->world.v6 ? '6' : '4');
	tell_stream(t->client, "client");
	tell_stream(lab_world_accepted(&t->w), "server");
	tell_counters(t->w.host[0], "client's host");
	tell_counters(t->w.host[1], "server's host");
}

static bool run(const char *recovery, uint64_t seed)
{
	struct transfer *t = lab_alloc(sizeof(*t));
	char error[CONFIG_ERROR_MAX];
	const char *why;

	t->seed = seed;
	t->verbose = getenv("VERBOSE") != NULL;
	checker_init(&t->checker);
	draw(t, recovery);
	for (unsigned i = 0; i < 2; i++) {
		if (lab_rules_make(&t->rules[i], plugins, t->settings[i], error))
			lab_fail(error);
		t->world.rules[i] = t->rules[i].rules;
	}
	t->checker.rst_is_wrong = true;
	lab_world_open(&t->w, &t->world);
	for (unsigned i = 0; i < 2; i++)
		memcpy(t->checker.mac[i], t->w.host[i]->config.driver->caps.mac, 6);
	t->w.host[1]->accept_template = t->template[1];
	t->client = lab_world_connect(&t->w, &t->template[0]);
	lab_run(&t->w, t->w.now + LIMIT_NS, both_ended, t);
	why = judge(t);
	if (why)
		tell(t, recovery, why);
	lab_world_close(&t->w);
	checker_free(&t->checker);
	for (unsigned i = 0; i < 2; i++) {
		tamper_free(&t->tamper[i]);
		lab_rules_free(&t->rules[i]);
	}
	free(t);
	return why == NULL;
}

int main(int argc, char **argv)
{
	const char *one = getenv("SEED"), *from = getenv("FIRST");
	uint64_t first = one ? strtoull(one, NULL, 0) : from ? strtoull(from, NULL, 0) : 1;
	uint64_t count = one ? 1 : argc > 2 ? strtoull(argv[2], NULL, 0) : 1000, failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: test_transfer RECOVERY [COUNT]\n");
		return 2;
	}
	plugins = plugins_create(stackd_all_plugins);
	for (uint64_t i = 0; i < count && failed < 5; i++)
		failed += !run(argv[1], first + i);
	plugins_destroy(plugins);
	printf("%s: seeds %llu to %llu, %llu failed\n", argv[1], (unsigned long long)first,
	       (unsigned long long)(first + count - 1), (unsigned long long)failed);
	return failed != 0;
}
