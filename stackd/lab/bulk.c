/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/bulk.h"

#define LIMIT_NS     (3600 * NS_PER_S)
#define RING_MIN     (1u << 20)
#define RING_MAX     (64u << 20)
#define QUEUE_FRAMES 100u

struct bulk {
	struct lab_world w;
	uint64_t bytes;
	ns_t until;
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

static bool delivered(void *arg)
{
	struct bulk *b = arg;
	struct lab_stream *s = lab_world_accepted(&b->w);

	return s && (s->received == b->bytes || s->ended);
}

static void judge(struct bulk *b, struct lab_stream *client, ns_t opened, struct bulk_result *r)
{
	struct lab_stream *server = lab_world_accepted(&b->w);
	uint64_t got = server ? server->received : 0;

	lab_stream_info(client, b->w.now);
	*r = (struct bulk_result){
		.complete = got == b->bytes,
		.wrong = server && server->wrong_at != UINT64_MAX,
		.seconds = (double)(b->w.now - opened) / 1e9,
		.sender = client->last,
		.sent = b->w.host[0]->counters,
		.got = b->w.host[1]->counters,
	};
	r->goodput_bps = r->seconds > 0 ? (double)got * 8 / r->seconds : 0;
}

void bulk_run(const struct tcp_rules *rules, const struct bulk_link *link, uint64_t bytes, uint64_t seed,
	      bool lenient, struct bulk_result *r)
{
	struct fault_config there = fault_of(link, link->loss), back = fault_of(link, link->ack_loss);
	uint32_t ring = ring_for(link);
	struct lab_world_config c = {.seed = seed, .mtu = 1500, .lenient = lenient, .introduced = true,
				     .rules = {rules, rules}, .ring_bytes = {ring, ring},
				     .fault = {&there, &back}};
	struct lab_stream what = {.seed = seed, .to_send = bytes, .read_max = UINT64_MAX,
				  .close_when_done = true};
	struct lab_stream *client;
	struct bulk b = {.bytes = bytes};
	ns_t opened;

	lab_world_open(&b.w, &c);
	b.w.host[1]->accept_template.expect_seed = seed;
	opened = b.w.now;
	client = lab_world_connect(&b.w, &what);
	lab_run(&b.w, opened + LIMIT_NS, delivered, &b);
	judge(&b, client, opened, r);
	lab_world_close(&b.w);
}
