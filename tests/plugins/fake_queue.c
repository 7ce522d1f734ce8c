/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_queue.c - the sent queue of the fake core: plain arrays and linear searches. */
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static struct fake_queue *of(const struct sp_conn *c)
{
	return (struct fake_queue *)(uintptr_t)c;
}

static uint32_t index_of(const struct fake_queue *q, const struct sp_chunk *k)
{
	for (uint32_t i = 0; i < q->count; i++)
		if (&q->chunk[i]->c == k)
			return i;
	abort();
}

static const struct sp_chunk *first(const struct sp_conn *c)
{
	return of(c)->count ? &of(c)->chunk[0]->c : NULL;
}

static const struct sp_chunk *last(const struct sp_conn *c)
{
	return of(c)->count ? &of(c)->chunk[of(c)->count - 1]->c : NULL;
}

static const struct sp_chunk *next(const struct sp_conn *c, const struct sp_chunk *k)
{
	uint32_t i = index_of(of(c), k) + 1;

	return i < of(c)->count ? &of(c)->chunk[i]->c : NULL;
}

static const struct sp_chunk *prev(const struct sp_conn *c, const struct sp_chunk *k)
{
	uint32_t i = index_of(of(c), k);

	return i > 0 ? &of(c)->chunk[i - 1]->c : NULL;
}

/* The unsacked chunk sent next after `serial`. */
static const struct sp_chunk *sent_after(const struct fake_queue *q, uint64_t serial)
{
	const struct fake_chunk *best = NULL;

	for (uint32_t i = 0; i < q->count; i++) {
		const struct fake_chunk *k = q->chunk[i];

		if (!k->c.sacked && k->serial > serial && (!best || k->serial < best->serial))
			best = k;
	}
	return best ? &best->c : NULL;
}

static const struct sp_chunk *oldest(const struct sp_conn *c)
{
	return sent_after(of(c), 0);
}

static const struct sp_chunk *younger(const struct sp_conn *c, const struct sp_chunk *k)
{
	return sent_after(of(c), of(c)->chunk[index_of(of(c), k)]->serial);
}

static const struct sp_chunk *lost(const struct sp_conn *c)
{
	for (uint32_t i = 0; i < of(c)->count; i++)
		if (of(c)->chunk[i]->c.lost)
			return &of(c)->chunk[i]->c;
	return NULL;
}

static const struct sp_chunk *at(const struct sp_conn *c, sp_off off)
{
	for (uint32_t i = 0; i < of(c)->count; i++)
		if (off - of(c)->chunk[i]->c.off < of(c)->chunk[i]->c.len)
			return &of(c)->chunk[i]->c;
	return NULL;
}

static void mark_lost(const struct sp_conn *c, const struct sp_chunk *k)
{
	struct fake_queue *q = of(c);
	struct sp_chunk *mine = &q->chunk[index_of(q, k)]->c;

	if (mine->sacked)
		q->violations++;
	if (mine->sacked || mine->lost)
		return;
	mine->lost = true;
	q->view.flight -= mine->len;
}

static const struct sp_host host = {first, last, next, prev, oldest, younger, lost, at, mark_lost};

void fake_queue_init(struct fake_queue *q, uint32_t mss)
{
	memset(q, 0, sizeof(*q));
	q->view.size = sizeof(q->view);
	q->view.host = &host;
	q->view.mss = q->view.rcv_mss = mss;
	q->view.rto = 1000 * MS;
	q->view.rto_since = SP_NEVER;
	q->view.snd_limit = q->view.snd_end = UINT64_MAX / 2;
	q->view.ssthresh = UINT64_MAX;
	q->view.cwnd = 10 * (uint64_t)mss;
}

static void stamp(struct fake_queue *q, struct fake_chunk *k)
{
	k->serial = ++q->serial;
	k->c.last_sent = q->view.now;
	k->c.delivered = q->view.delivered;
	k->c.delivered_at = q->view.delivered_at;
	k->c.app_limited = q->view.snd_nxt >= q->view.snd_end;
	k->round_end = q->view.snd_nxt;
	if (q->view.rto_since == SP_NEVER)
		q->view.rto_since = q->view.now;
}

struct fake_chunk *fake_append(struct fake_queue *q, uint32_t len)
{
	struct fake_chunk *k = calloc(1, sizeof(*k));

	k->c.off = q->view.snd_nxt;
	k->c.len = len;
	k->c.sends = 1;
	k->c.first_sent = q->view.now;
	q->chunk[q->count++] = k;
	q->view.snd_nxt += len;
	q->view.flight += len;
	stamp(q, k);
	return k;
}

void fake_again(struct fake_queue *q, struct fake_chunk *k)
{
	if (k->c.lost)
		q->view.flight += k->c.len;
	k->c.lost = false;
	k->c.sends++;
	if (k->first_again == 0)
		k->first_again = q->view.now;
	stamp(q, k);
}

static void delivered(struct fake_queue *q, struct fake_chunk *k)
{
	if (!k->c.lost)
		q->view.flight -= k->c.len;
	q->view.delivered += k->c.len;
	q->view.delivered_at = q->view.now;
	q->newly[q->newly_count++] = &k->c;
}

void fake_ack(struct fake_queue *q, sp_off una)
{
	uint32_t n = 0;

	while (n < q->count && q->chunk[n]->c.off + q->chunk[n]->c.len <= una) {
		struct fake_chunk *k = q->chunk[n++];

		if (k->c.sacked)
			q->view.sacked -= k->c.len;
		else
			delivered(q, k);
		q->gone[q->gone_count++] = k;
	}
	memmove(q->chunk, q->chunk + n, (q->count - n) * sizeof(*q->chunk));
	q->count -= n;
	if (una > q->view.snd_una) {
		q->view.snd_una = una;
		q->view.rto_since = q->count ? q->view.now : SP_NEVER;
		q->view.backoffs = 0;
	}
}

void fake_sack(struct fake_queue *q, sp_off begin, sp_off end)
{
	for (uint32_t i = 0; i < q->count; i++) {
		struct fake_chunk *k = q->chunk[i];

		if (k->c.sacked || k->c.off < begin || k->c.off + k->c.len > end)
			continue;
		delivered(q, k);
		k->c.lost = false;
		k->c.sacked = true;
		q->view.sacked += k->c.len;
	}
}

void fake_unmark(struct fake_queue *q)
{
	for (uint32_t i = 0; i < q->count; i++)
		if (q->chunk[i]->c.lost) {
			q->chunk[i]->c.lost = false;
			q->view.flight += q->chunk[i]->c.len;
		}
}

void fake_forget(struct fake_queue *q)
{
	while (q->gone_count)
		free(q->gone[--q->gone_count]);
	q->newly_count = 0;
}

void fake_queue_free(struct fake_queue *q)
{
	fake_forget(q);
	while (q->count)
		free(q->chunk[--q->count]);
}
