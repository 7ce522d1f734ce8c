/* SPDX-License-Identifier: BSD-2-Clause */
/* faulty.c - a driver around a driver that impairs what passes.
 *
 * Owns the inner driver and one fault_line for each impaired direction; a direction that isn't
 * impaired passes straight through.  Frames are copied into the line.  Received ones that stand
 * for several segments are cut first, so that one loss is one segment.
 *
 * The same seed and the same sequence of calls give the same faults: both directions draw from one
 * generator. */
#include "driver/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "driver/fault_line.h"
#include "driver/split.h"

#define ETH_LEN            14u
#define TAG_LEN            4u /* a stray VLAN tag is let through */
#define SENT_MAX           1024u
#define RECEIVE_BURSTS_MAX 16u
#define RETRY_NS           (100 * NS_PER_US) /* when the inner driver has no room */

struct faulty {
	struct driver driver;
	struct driver *inner;
	struct fault_config config;
	struct rng rng;
	struct driver_stats stats; /* faults, and frames that the inner driver has not counted */
	struct fault_line in, out;
	bool in_on, out_on;
	uint32_t lent[FRAME_BURST_MAX]; /* slots of `in` that the last rx lent */
	uint32_t lent_count;
	uint32_t sent[SENT_MAX]; /* slots of `out` that the inner driver reads until its flush */
	uint32_t sent_count;
	ns_t blocked_until; /* 0: the inner driver takes frames */
};

static struct faulty *faulty(struct driver *d)
{
	return container_of(d, struct faulty, driver);
}

static void put_whole(struct faulty *f, ns_t now, const struct frame *frame)
{
	uint32_t slot;

	if (frame->len > f->driver.caps.mtu + ETH_LEN + TAG_LEN) {
		f->stats.rx_dropped++; /* neither fits the MTU nor can be cut */
		return;
	}
	slot = fault_line_reserve(&f->in);
	if (slot == FAULT_NONE) {
		f->stats.fault_queue_full++;
		return;
	}
	frame_copy(frame, 0, fault_line_mem(&f->in, slot), frame->len);
	fault_line_put(&f->in, now, slot, frame->len, frame->csum, frame->queue);
}

static void put_received(struct faulty *f, ns_t now, const struct frame *frame)
{
	struct split split;
	uint32_t len;

	if (!split_begin(&split, frame, f->driver.caps.mtu)) {
		put_whole(f, now, frame);
		return;
	}
	for (;;) {
		uint32_t slot = fault_line_reserve(&f->in);

		if (slot == FAULT_NONE) {
			f->stats.fault_queue_full++;
			return;
		}
		len = split_next(&split, fault_line_mem(&f->in, slot), f->in.slot_bytes);
		if (len == 0) {
			fault_line_free(&f->in, slot);
			return;
		}
		fault_line_put(&f->in, now, slot, len, split.csum, frame->queue);
	}
}

/* Takes in what has arrived at `now`, so that its delay counts from there. */
static void receive(struct faulty *f, ns_t now)
{
	struct frame frames[FRAME_BURST_MAX];
	uint32_t n = FRAME_BURST_MAX;

	for (unsigned i = 0; i < RECEIVE_BURSTS_MAX && n == FRAME_BURST_MAX; i++) {
		n = f->inner->ops->rx(f->inner, now, frames, FRAME_BURST_MAX);
		for (uint32_t k = 0; k < n; k++)
			put_received(f, now, &frames[k]);
		f->inner->ops->rx_release(f->inner);
	}
}

static uint32_t faulty_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct faulty *f = faulty(d);
	uint32_t n = 0, slot;

	if (!f->in_on)
		return f->inner->ops->rx(f->inner, now, out, max);
	assert(f->lent_count == 0 && max <= FRAME_BURST_MAX);
	receive(f, now);
	while (n < max && (slot = fault_line_peek(&f->in, now)) != FAULT_NONE) {
		const struct fault_held *h = &f->in.held[slot];

		fault_line_take(&f->in);
		out[n].len = h->len;
		out[n].span_count = 1;
		out[n].csum = h->csum;
		out[n].gso_size = 0;
		out[n].queue = h->queue;
		out[n].span[0] = (struct span){fault_line_mem(&f->in, slot), h->len};
		f->lent[n++] = slot;
	}
	f->lent_count = n;
	return n;
}

static void faulty_rx_release(struct driver *d)
{
	struct faulty *f = faulty(d);

	if (!f->in_on) {
		f->inner->ops->rx_release(f->inner);
		return;
	}
	while (f->lent_count)
		fault_line_free(&f->in, f->lent[--f->lent_count]);
}

static void flush_inner(struct faulty *f, ns_t now)
{
	f->inner->ops->flush(f->inner, now);
	while (f->sent_count)
		fault_line_free(&f->out, f->sent[--f->sent_count]);
}

/* Passes on what is due.  False when the inner driver has no room. */
static bool pump(struct faulty *f, ns_t now)
{
	uint32_t slot;

	while ((slot = fault_line_peek(&f->out, now)) != FAULT_NONE) {
		struct tx_frame t = {
		    .head = fault_line_mem(&f->out, slot), .head_len = ETH_LEN, .data_count = 1};
		int err;

		t.data[0] = (struct span){t.head + ETH_LEN, f->out.held[slot].len - ETH_LEN};
		if (f->sent_count == SENT_MAX)
			flush_inner(f, now);
		err = f->inner->ops->tx(f->inner, now, &t);
		if (err == -ENOBUFS) {
			f->blocked_until = now + RETRY_NS;
			return false;
		}
		fault_line_take(&f->out);
		f->sent[f->sent_count++] = slot;
	}
	f->blocked_until = 0;
	return true;
}

static int faulty_tx(struct driver *d, ns_t now, const struct tx_frame *t)
{
	struct faulty *f = faulty(d);
	uint32_t len = t->head_len, slot;
	uint8_t *mem;

	for (unsigned i = 0; i < t->data_count; i++)
		len += t->data[i].len;
	if (len > d->caps.gso_max)
		return -EMSGSIZE;
	if (!f->out_on)
		return f->inner->ops->tx(f->inner, now, t);
	assert(!t->csum_partial && len >= ETH_LEN);
	if (!pump(f, now))
		return -ENOBUFS;
	slot = fault_line_reserve(&f->out);
	if (slot == FAULT_NONE) {
		f->stats.fault_queue_full++;
		return 0;
	}
	mem = fault_line_mem(&f->out, slot);
	memcpy(mem, t->head, t->head_len);
	mem += t->head_len;
	for (unsigned i = 0; i < t->data_count; i++) {
		memcpy(mem, t->data[i].base, t->data[i].len);
		mem += t->data[i].len;
	}
	fault_line_put(&f->out, now, slot, len, FRAME_CSUM_UNKNOWN, 0);
	pump(f, now);
	return 0;
}

static void faulty_flush(struct driver *d, ns_t now)
{
	struct faulty *f = faulty(d);

	if (f->out_on)
		pump(f, now);
	flush_inner(f, now);
}

static bool faulty_rx_ready(struct driver *d, ns_t now)
{
	struct faulty *f = faulty(d);

	if (f->in_on && fault_line_peek(&f->in, now) != FAULT_NONE)
		return true;
	return f->inner->ops->rx_ready(f->inner, now);
}

static ns_t faulty_deadline(struct driver *d)
{
	struct faulty *f = faulty(d);
	ns_t when = f->inner->ops->deadline ? f->inner->ops->deadline(f->inner) : NS_NEVER;
	ns_t in = f->in_on ? fault_line_deadline(&f->in) : NS_NEVER;
	ns_t out = f->out_on ? fault_line_deadline(&f->out) : NS_NEVER;

	if (out < f->blocked_until)
		out = f->blocked_until;
	if (in < when)
		when = in;
	return out < when ? out : when;
}

static void faulty_stats(struct driver *d, struct driver_stats *out)
{
	struct faulty *f = faulty(d);
	const struct driver_stats *s = &f->stats;

	f->inner->ops->stats(f->inner, out);
	out->rx_dropped += s->rx_dropped;
	out->fault_lost += s->fault_lost;
	out->fault_delayed += s->fault_delayed;
	out->fault_reordered += s->fault_reordered;
	out->fault_duplicated += s->fault_duplicated;
	out->fault_corrupted += s->fault_corrupted;
	out->fault_queue_full += s->fault_queue_full;
}

static void faulty_close(struct driver *d)
{
	struct faulty *f = faulty(d);

	f->inner->ops->close(f->inner);
	if (f->in_on)
		fault_line_close(&f->in);
	if (f->out_on)
		fault_line_close(&f->out);
	free(f);
}

static const struct driver_ops faulty_ops = {
    .rx = faulty_rx,
    .rx_release = faulty_rx_release,
    .tx = faulty_tx,
    .flush = faulty_flush,
    .rx_ready = faulty_rx_ready,
    .deadline = faulty_deadline,
    .stats = faulty_stats,
    .close = faulty_close,
};

static void declare_caps(struct faulty *f)
{
	struct driver_caps *c = &f->driver.caps;
	const struct driver_caps *inner = &f->inner->caps;

	*c = *inner;
	c->gso_max = inner->mtu + ETH_LEN < inner->gso_max ? inner->mtu + ETH_LEN : inner->gso_max;
	c->tx_csum = inner->tx_csum && !f->out_on;
	c->zero_copy = false;
	snprintf(c->name, sizeof(c->name), "faulty+%.16s", inner->name);
}

int faulty_wrap(struct driver *inner, const struct fault_config *config, struct driver **out)
{
	struct faulty *f = calloc(1, sizeof(*f));
	uint32_t frame_max = inner->caps.mtu + ETH_LEN + TAG_LEN;
	int err = 0;

	if (!f)
		return -ENOMEM;
	f->inner = inner;
	f->config = *config;
	f->in_on = config->direction == 0 || (config->direction & FAULT_IN);
	f->out_on = config->direction == 0 || (config->direction & FAULT_OUT);
	rng_seed(&f->rng, config->seed);
	if (f->in_on)
		err = fault_line_open(&f->in, &f->config, &f->rng, &f->stats, frame_max);
	if (err)
		goto fail;
	if (f->out_on)
		err = fault_line_open(&f->out, &f->config, &f->rng, &f->stats, frame_max);
	if (err)
		goto close_in;
	f->driver.ops = &faulty_ops;
	f->driver.fd = inner->fd;
	declare_caps(f);
	*out = &f->driver;
	return 0;
close_in:
	if (f->in_on)
		fault_line_close(&f->in);
fail:
	free(f);
	return err;
}
