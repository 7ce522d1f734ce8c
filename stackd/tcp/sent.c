/* SPDX-License-Identifier: BSD-2-Clause */
/* sent.c - owns the queue of what has been sent and is not acknowledged: its order by offset and
 * by age, its marks, and the running counts flight, sacked and lost.  Who marks, and what is sent
 * again, others decide.
 *
 * The age order holds what may still be out: a sacked chunk leaves it. */
#include "tcp/conn.h"

static struct chunk *of_off(struct list *n)
{
	return container_of(n, struct chunk, by_off);
}

static struct chunk *of_age(struct list *n)
{
	return container_of(n, struct chunk, by_age);
}

static struct tcp_conn *of_view(const struct sp_conn *v)
{
	return container_of((struct sp_conn *)(uintptr_t)v, struct tcp_conn, view);
}

static struct chunk *of_sp(const struct sp_chunk *k)
{
	return (struct chunk *)(uintptr_t)k;
}

static struct chunk *next_of(const struct tcp_conn *c, const struct chunk *k)
{
	return k->by_off.next == &c->by_off ? NULL : of_off(k->by_off.next);
}

void sent_init(struct tcp_conn *c)
{
	list_init(&c->by_off);
	list_init(&c->by_age);
}

static void release(struct tcp *t, struct chunk *k)
{
	list_unlink(&k->by_off);
	pool_give(&t->chunk_pool, k);
}

void sent_clear(struct tcp_conn *c)
{
	while (!list_empty(&c->by_off)) {
		struct chunk *k = of_off(c->by_off.next);

		list_unlink(&k->by_age);
		k->owner = NULL;
		release(c->tcp, k);
	}
	c->view.flight = c->view.sacked = 0;
	c->lost_bytes = c->chunk_count = 0;
	c->lost_hint = c->sack_hint = NULL;
}

void sent_release(struct tcp *t)
{
	while (!list_empty(&t->acked))
		release(t, of_off(t->acked.next));
}

struct chunk *sent_first(const struct tcp_conn *c)
{
	return sent_empty(c) ? NULL : of_off(c->by_off.next);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void stamp(struct tcp_conn *c, struct chunk *k)
{
	k->c.last_sent = c->view.now;
	k->c.delivered = c->view.delivered;
	k->c.delivered_at = c->view.delivered_at;
	k->c.app_limited = c->app_limited != 0;
	k->rate_from = c->rate_from;
	k->round_end = c->view.snd_nxt;
}

/* A burst of segments sent at one moment shares its facts: one chunk is enough. */
static bool may_extend(const struct tcp_conn *c, const struct chunk *k, uint32_t len)
{
	return !(c->view.features & SP_PER_SEGMENT) && k->c.last_sent == c->view.now &&
	       k->c.sends == 1 && !k->probe && !k->c.sacked && !k->c.lost &&
	       k->c.len % c->view.mss == 0 && k->c.delivered == c->view.delivered &&
	       k->c.len + len <= CHUNK_BYTES_MAX;
}

bool sent_ready(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;

	if (!t->spare)
		t->spare = pool_take(&t->chunk_pool);
	return t->spare && c->chunk_count < CHUNKS_PER_CONNECTION_MAX;
}

struct chunk *sent_append(struct tcp_conn *c, uint32_t len, bool alone)
{
	struct chunk *k = sent_empty(c) ? NULL : of_off(c->by_off.prev);
	bool extend = k && !alone && may_extend(c, k, len);

	if (!extend) {
		k = c->tcp->spare;
		assert(k);
		c->tcp->spare = NULL;
		c->chunk_count++;
		k->owner = c;
		k->c.off = c->view.snd_nxt;
		k->c.first_sent = c->view.now;
		list_push_back(&c->by_off, &k->by_off);
		list_push_back(&c->by_age, &k->by_age);
	}
	k->c.len += len;
	k->c.sends = 1;
	c->view.snd_nxt += len;
	c->view.flight += len;
	stamp(c, k);
	if (c->tells_sent)
		conn_event(c, TCP_EV_SENT);
	return k;
}

/* What becomes of a probe of the path's MTU. */
static void probe_ends(struct tcp_conn *c, struct chunk *k, enum mtu_verdict verdict)
{
	if (!k->probe)
		return;
	k->probe = false;
	c->mtu_verdict = (uint8_t)verdict;
}

bool sent_split(struct tcp_conn *c, struct chunk *k, uint32_t at)
{
	struct chunk *rest;

	assert(at > 0 && at < k->c.len && k->owner == c);
	if (c->chunk_count >= CHUNKS_PER_CONNECTION_MAX)
		return false;
	rest = pool_take(&c->tcp->chunk_pool);
	if (!rest)
		return false;
	probe_ends(c, k, MTU_LOST);
	c->chunk_count++;
	rest->c = k->c;
	rest->owner = c;
	rest->round_end = k->round_end;
	rest->rate_from = k->rate_from;
	rest->first_again = k->first_again;
	rest->c.off += at;
	rest->c.len -= at;
	k->c.len = at;
	list_insert_after(&k->by_off, &rest->by_off);
	if (k->c.sacked)
		list_init(&rest->by_age);
	else
		list_insert_after(&k->by_age, &rest->by_age);
	return true;
}

void sent_again(struct tcp_conn *c, struct chunk *k)
{
	probe_ends(c, k, MTU_LOST);
	if (k->c.lost) {
		k->c.lost = false;
		c->lost_bytes -= k->c.len;
		c->view.flight += k->c.len;
	}
	if (k->c.sends == 1)
		k->first_again = c->view.now;
	if (k->c.sends < UINT16_MAX)
		k->c.sends++;
	list_unlink(&k->by_age);
	list_push_back(&c->by_age, &k->by_age);
	stamp(c, k);
}

/* --- marks ------------------------------------------------------------------------------------ */

void sent_mark_lost(struct tcp_conn *c, struct chunk *k)
{
	if (k->c.lost)
		return;
	if (!k->probe)
		c->lost_more = true;
	probe_ends(c, k, MTU_LOST);
	k->c.lost = true;
	c->view.flight -= k->c.len;
	c->lost_bytes += k->c.len;
	if (c->lost_hint && k->c.off < c->lost_hint->c.off)
		c->lost_hint = k;
}

void sent_unmark_lost(struct tcp_conn *c)
{
	struct chunk *k;

	while ((k = sent_lost(c))) {
		k->c.lost = false;
		c->lost_bytes -= k->c.len;
		c->view.flight += k->c.len;
	}
}

struct chunk *sent_lost(const struct tcp_conn *c)
{
	struct chunk *k = c->lost_hint ? c->lost_hint : sent_first(c);

	if (c->lost_bytes == 0)
		return NULL;
	while (!k->c.lost)
		k = next_of(c, k);
	((struct tcp_conn *)(uintptr_t)c)->lost_hint = k;
	return k;
}

/* Its bytes have been delivered: out of flight or lost, and among the news. */
static void deliver(struct tcp_conn *c, struct chunk *k, uint32_t bytes)
{
	if (k->c.lost)
		c->lost_bytes -= bytes;
	else
		c->view.flight -= bytes;
	c->view.delivered += bytes;
}

static void ack_front(struct tcp_conn *c, struct chunk *k, uint32_t bytes, uint32_t *n)
{
	struct chunk *part = &c->tcp->partial;

	*part = *k;
	part->owner = NULL;
	part->c.len = bytes;
	if (k->c.sacked)
		c->view.sacked -= bytes;
	else {
		deliver(c, k, bytes);
		c->tcp->newly[(*n)++] = &part->c;
	}
	k->c.off += bytes;
	k->c.len -= bytes;
}

static void ack_whole(struct tcp_conn *c, struct chunk *k, uint32_t *n)
{
	probe_ends(c, k, MTU_PASSED);
	if (k->c.sacked)
		c->view.sacked -= k->c.len;
	else {
		deliver(c, k, k->c.len);
		c->tcp->newly[(*n)++] = &k->c;
	}
	if (c->lost_hint == k)
		c->lost_hint = next_of(c, k);
	if (c->sack_hint == k)
		c->sack_hint = NULL;
	list_unlink(&k->by_off);
	list_unlink(&k->by_age);
	list_push_back(&c->tcp->acked, &k->by_off);
	k->owner = NULL;
	c->chunk_count--;
}

void sent_ack(struct tcp_conn *c, uint64_t off, uint32_t *n)
{
	while (!sent_empty(c)) {
		struct chunk *k = sent_first(c);

		if (k->c.off >= off)
			break;
		if (k->c.off + k->c.len > off) {
			ack_front(c, k, (uint32_t)(off - k->c.off), n);
			break;
		}
		ack_whole(c, k, n);
	}
}

/* What [begin, end) covers of a chunk, rounded inward to the borders of segments: a receiver holds
 * whole segments, and a liar makes us no crumbs.  False: nothing. */
static bool covered(const struct tcp_conn *c, const struct chunk *k, uint64_t begin, uint64_t end,
		    uint32_t *from, uint32_t *to)
{
	uint32_t mss = c->view.mss;

	*from = begin <= k->c.off ? 0 : (uint32_t)(begin - k->c.off);
	*to = end >= k->c.off + k->c.len ? k->c.len : (uint32_t)(end - k->c.off);
	*from = (*from + mss - 1) / mss * mss;
	if (*to != k->c.len)
		*to -= *to % mss;
	return *from < *to;
}

static void sack_whole(struct tcp_conn *c, struct chunk *k, uint32_t *n)
{
	probe_ends(c, k, MTU_PASSED);
	deliver(c, k, k->c.len);
	c->view.sacked += k->c.len;
	k->c.lost = false;
	k->c.sacked = true;
	list_unlink(&k->by_age);
	c->tcp->newly[(*n)++] = &k->c;
}

void sent_sack(struct tcp_conn *c, uint64_t begin, uint64_t end, uint32_t *n)
{
	struct chunk *k =
	    c->sack_hint && c->sack_hint->c.off <= begin ? c->sack_hint : sent_first(c);
	uint32_t from, to;

	for (; k && k->c.off < end && *n < NEWLY_MAX; k = next_of(c, k)) {
		if (k->c.off + k->c.len <= begin || k->c.sacked)
			continue;
		c->sack_hint = k;
		if (!covered(c, k, begin, end, &from, &to))
			continue;
		if (from > 0) {
			if (!sent_split(c, k, from))
				continue;
			continue; /* the next one is the covered part */
		}
		if (to < k->c.len && !sent_split(c, k, to))
			continue;
		sack_whole(c, k, n);
	}
}

/* Back to its place by age, looking on from where the one before went. */
static struct list *insert_by_age(struct tcp_conn *c, struct chunk *k, struct list *at)
{
	if (at != &c->by_age && of_age(at)->c.last_sent > k->c.last_sent)
		at = &c->by_age;
	while (at->next != &c->by_age && of_age(at->next)->c.last_sent <= k->c.last_sent)
		at = at->next;
	list_insert_after(at, &k->by_age);
	return &k->by_age;
}

void sent_unsack(struct tcp_conn *c)
{
	struct list *at = &c->by_age;

	list_for_each (n, &c->by_off) {
		struct chunk *k = of_off(n);

		if (!k->c.sacked)
			continue;
		k->c.sacked = false;
		c->view.sacked -= k->c.len;
		c->view.flight += k->c.len;
		at = insert_by_age(c, k, at);
	}
	c->sack_hint = NULL;
}

/* --- what plugins may ask (struct sp_host) ------------------------------------------------------
 */

static const struct sp_chunk *host_first(const struct sp_conn *v)
{
	const struct chunk *k = sent_first(of_view(v));
	return k ? &k->c : NULL;
}

static const struct sp_chunk *host_last(const struct sp_conn *v)
{
	const struct tcp_conn *c = of_view(v);
	return sent_empty(c) ? NULL : &of_off(c->by_off.prev)->c;
}

static const struct sp_chunk *host_next(const struct sp_conn *v, const struct sp_chunk *k)
{
	const struct tcp_conn *c = of_view(v);
	struct list *n;

	if (!sent_owns(c, k))
		return NULL;
	n = of_sp(k)->by_off.next;
	return n == &c->by_off ? NULL : &of_off(n)->c;
}

static const struct sp_chunk *host_prev(const struct sp_conn *v, const struct sp_chunk *k)
{
	const struct tcp_conn *c = of_view(v);
	struct list *n;

	if (!sent_owns(c, k))
		return NULL;
	n = of_sp(k)->by_off.prev;
	return n == &c->by_off ? NULL : &of_off(n)->c;
}

static const struct sp_chunk *host_oldest(const struct sp_conn *v)
{
	const struct tcp_conn *c = of_view(v);
	return list_empty(&c->by_age) ? NULL : &of_age(c->by_age.next)->c;
}

static const struct sp_chunk *host_younger(const struct sp_conn *v, const struct sp_chunk *k)
{
	const struct tcp_conn *c = of_view(v);
	struct list *n;

	if (!sent_owns(c, k) || k->sacked)
		return NULL;
	n = of_sp(k)->by_age.next;
	return n == &c->by_age ? NULL : &of_age(n)->c;
}

static const struct sp_chunk *host_lost(const struct sp_conn *v)
{
	const struct chunk *k = sent_lost(of_view(v));
	return k ? &k->c : NULL;
}

static const struct sp_chunk *host_at(const struct sp_conn *v, sp_off off)
{
	const struct tcp_conn *c = of_view(v);
	struct chunk *k = sent_first(c);

	if (off < v->snd_una || off >= v->snd_nxt)
		return NULL;
	while (k && k->c.off + k->c.len <= off)
		k = next_of(c, k);
	return k ? &k->c : NULL;
}

static void host_mark_lost(const struct sp_conn *v, const struct sp_chunk *k)
{
	struct tcp_conn *c = of_view(v);

	if (!sent_owns(c, k)) {
		count(c->tcp->counters, COUNT_plugin_bad_chunk);
		assert(!c->tcp->debug);
		return;
	}
	if (k->sacked) {
		count(c->tcp->counters, COUNT_plugin_mark_sacked);
		assert(!c->tcp->debug);
		return;
	}
	sent_mark_lost(c, of_sp(k));
}

const struct sp_host sent_host = {
    .first = host_first,
    .last = host_last,
    .next = host_next,
    .prev = host_prev,
    .oldest = host_oldest,
    .younger = host_younger,
    .lost = host_lost,
    .at = host_at,
    .mark_lost = host_mark_lost,
};
