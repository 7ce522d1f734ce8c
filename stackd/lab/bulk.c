/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/bulk.h"

#define LIMIT_NS     (3600 * NS_PER_S)
#define RING_MIN     (1u << 20)
#define RING_MAX     (64u << 20)
#define QUEUE_FRAMES 100u

struct bulk {
	struct lab_world w;
	uint64_t bytes;
	struct lab_stream *client;
	ns_t opened;
	struct bulk_course *course; /* NULL: nobody watches */
};

/* Four times what the path holds, so that the link and not the window is the limit. */
static uint32_t ring_for(const struct bulk_link *l)
{
	uint64_t held = l->rate_bps / 8 * (l->rtt_ns / NS_PER_US) / 1000000;
	uint32_t ring = RING_MIN;

	while (ring < RING_MAX && ring < 4 * held)
		ring *= 2;
	return ring;
}

static struct fault_config fault_of(const struct bulk_link *l, double loss)
{
	return (struct fault_config){
		.loss = loss,
		.reorder = l->reorder,
		.duplicate = l->duplicate,
		.corrupt = l->corrupt,
		.delay_ns = l->rtt_ns / 2,
		.jitter_ns = l->jitter_ns,
		.rate_bps = l->rate_bps,
		.queue = l->queue ? l->queue : QUEUE_FRAMES,
	};
}

/* Full: every other one goes, and from now on they lie twice as far apart. */
static void thin_out(struct bulk_course *c)
{
	for (uint32_t i = 0; i < c->count / 2; i++)
		c->sample[i] = c->sample[2 * i];
	c->count /= 2;
	c->step_ns *= 2;
}

static void sample(struct bulk *b, bool last)
{
	struct bulk_course *c = b->course;
	ns_t at = b->w.now - b->opened;
	const struct tcp_info *i = &b->client->last;

	if (!last && c->count && at - c->sample[c->count - 1].at < c->step_ns)
		return;
	if (c->count == BULK_SAMPLES_MAX)
		thin_out(c);
	lab_stream_info(b->client, b->w.now);
	c->sample[c->count].at = at;
	c->sample[c->count].acked = i->snd_una;
	c->sample[c->count].sent = i->snd_nxt;
	c->sample[c->count].cwnd = i->cwnd;
	c->sample[c->count].flight = i->flight;
	c->sample[c->count].srtt = i->srtt;
	c->count++;
}

static bool delivered(void *arg)
{
	struct bulk *b = arg;
	struct lab_stream *s = lab_world_accepted(&b->w);

	if (b->course)
		sample(b, false);
	return s && (s->received == b->bytes || s->ended);
}

static void judge(struct bulk *b, struct bulk_result *r)
{
	struct lab_stream *server = lab_world_accepted(&b->w);
	uint64_t got = server ? server->received : 0;

	lab_stream_info(b->client, b->w.now);
	*r = (struct bulk_result){
		.complete = got == b->bytes,
		.wrong = server && server->wrong_at != UINT64_MAX,
		.seconds = (double)(b->w.now - b->opened) / 1e9,
		.sender = b->client->last,
		.sent = b->w.host[0]->counters,
		.got = b->w.host[1]->counters,
	};
	r->goodput_bps = r->seconds > 0 ? (double)got * 8 / r->seconds : 0;
}

static void run(const struct tcp_rules *rules, const struct bulk_link *link, uint64_t bytes, uint64_t seed,
		bool lenient, struct bulk_result *r, struct bulk_course *course)
{
	struct fault_config there = fault_of(link, link->loss), back = fault_of(link, link->ack_loss);
	uint32_t ring = ring_for(link);
	struct lab_world_config c = {.seed = seed, .mtu = 1500, .lenient = lenient, .introduced = true,
				     .rules = {rules, rules}, .ring_bytes = {ring, ring},
				     .fault = {&there, &back}};
	struct lab_stream what = {.seed = seed, .to_send = bytes, .read_max = UINT64_MAX,
				  .close_when_done = true};
	struct bulk b = {.bytes = bytes, .course = course};

	lab_world_open(&b.w, &c);
	b.w.host[1]->accept_template.expect_seed = seed;
	b.opened = b.w.now;
	b.client = lab_world_connect(&b.w, &what);
	lab_run(&b.w, b.opened + LIMIT_NS, delivered, &b);
	if (course)
		sample(&b, true);
	judge(&b, r);
	lab_world_close(&b.w);
}

void bulk_run(const struct tcp_rules *rules, const struct bulk_link *link, uint64_t bytes, uint64_t seed,
	      bool lenient, struct bulk_result *r)
{
	run(rules, link, bytes, seed, lenient, r, NULL);
}

void bulk_watch(const struct tcp_rules *rules, const struct bulk_link *link, uint64_t bytes, uint64_t seed,
		struct bulk_result *r, struct bulk_course *course)
{
	*course = (struct bulk_course){.step_ns = NS_PER_MS};
	run(rules, link, bytes, seed, false, r, course);
}
