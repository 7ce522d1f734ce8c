/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/host.h"

#define ETH_LEN 14u

struct held {
	struct held *next;
	ns_t due;
	struct tx_frame frame; /* spans and head point into bytes */
	uint32_t len;
	uint8_t bytes[];
};

struct tap {
	struct driver driver;
	struct driver *inner;
	unsigned host;
	tap_fn see;
	void *arg;
	struct held *waiting; /* by due time */
	struct held *sent;    /* read by the inner driver until its flush */
};

static struct tap *tap(struct driver *d)
{
	return container_of(d, struct tap, driver);
}

static struct held *copy(const struct tx_frame *f)
{
	uint32_t len = f->head_len;
	struct held *h;

	for (unsigned i = 0; i < f->data_count; i++)
		len += f->data[i].len;
	h = lab_alloc(sizeof(*h) + len);
	h->len = len;
	memcpy(h->bytes, f->head, f->head_len);
	len = f->head_len;
	for (unsigned i = 0; i < f->data_count; i++) {
		memcpy(h->bytes + len, f->data[i].base, f->data[i].len);
		len += f->data[i].len;
	}
	h->frame = *f;
	h->frame.head = h->bytes;
	h->frame.data_count = len > f->head_len;
	h->frame.data[0] = (struct span){h->bytes + f->head_len, len - f->head_len};
	return h;
}

static void wait_until(struct tap *t, struct held *h, ns_t due)
{
	struct held **at = &t->waiting;

	while (*at && (*at)->due <= due)
		at = &(*at)->next;
	h->due = due;
	h->next = *at;
	*at = h;
}

void tap_put(struct driver *d, ns_t due, const uint8_t *frame, uint32_t len)
{
	struct tx_frame f = {.head = frame, .head_len = (uint16_t)len};

	wait_until(tap(d), copy(&f), due);
}

/* Passes on what is due.  A frame that the inner driver has no room for waits at the front. */
static void pump(struct tap *t, ns_t now)
{
	while (t->waiting && t->waiting->due <= now) {
		struct held *h = t->waiting;

		if (t->inner->ops->tx(t->inner, now, &h->frame) == -ENOBUFS)
			return;
		t->waiting = h->next;
		h->next = t->sent;
		t->sent = h;
	}
}

static int tap_tx(struct driver *d, ns_t now, const struct tx_frame *f)
{
	struct tap *t = tap(d);
	struct tap_verdict v = {0};
	struct held *h = copy(f);

	t->see(t->arg, t->host, now, true, h->bytes, h->len, &v);
	if (v.drop) {
		free(h);
		return 0;
	}
	if (v.instead) {
		struct tx_frame other = {.head = v.instead, .head_len = (uint16_t)v.instead_len};

		free(h);
		h = copy(&other);
	}
	if (v.twice)
		wait_until(t, copy(&h->frame), now + v.delay_ns);
	wait_until(t, h, now + v.delay_ns);
	pump(t, now);
	return 0;
}

static void give_back(struct held **list)
{
	while (*list) {
		struct held *h = *list;

		*list = h->next;
		free(h);
	}
}

static void tap_flush(struct driver *d, ns_t now)
{
	struct tap *t = tap(d);

	pump(t, now);
	t->inner->ops->flush(t->inner, now);
	give_back(&t->sent);
}

static uint32_t tap_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct tap *t = tap(d);
	uint32_t n = t->inner->ops->rx(t->inner, now, out, max);
	struct tap_verdict v;

	for (uint32_t i = 0; i < n; i++)
		t->see(t->arg, t->host, now, false, (uint8_t *)(uintptr_t)out[i].span[0].base,
		       out[i].span[0].len, &v);
	return n;
}

static void tap_rx_release(struct driver *d)
{
	tap(d)->inner->ops->rx_release(tap(d)->inner);
}

static bool tap_rx_ready(struct driver *d, ns_t now)
{
	return tap(d)->inner->ops->rx_ready(tap(d)->inner, now);
}

static ns_t tap_deadline(struct driver *d)
{
	struct tap *t = tap(d);
	ns_t at = t->inner->ops->deadline ? t->inner->ops->deadline(t->inner) : NS_NEVER;

	return t->waiting && t->waiting->due < at ? t->waiting->due : at;
}

static void tap_stats(struct driver *d, struct driver_stats *out)
{
	tap(d)->inner->ops->stats(tap(d)->inner, out);
}

static void tap_close(struct driver *d)
{
	struct tap *t = tap(d);

	give_back(&t->waiting);
	give_back(&t->sent);
	t->inner->ops->close(t->inner);
	free(t);
}

static const struct driver_ops tap_ops = {
	.rx = tap_rx,
	.rx_release = tap_rx_release,
	.tx = tap_tx,
	.flush = tap_flush,
	.rx_ready = tap_rx_ready,
	.deadline = tap_deadline,
	.stats = tap_stats,
	.close = tap_close,
};

struct driver *tap_wrap(struct driver *inner, unsigned host, tap_fn see, void *arg)
{
	struct tap *t = lab_alloc(sizeof(*t));

	t->driver.ops = &tap_ops;
	t->driver.caps = inner->caps;
	t->driver.caps.gso_max = inner->caps.mtu + ETH_LEN; /* a frame is a segment */
	t->driver.fd = inner->fd;
	t->inner = inner;
	t->host = host;
	t->see = see;
	t->arg = arg;
	return &t->driver;
}
