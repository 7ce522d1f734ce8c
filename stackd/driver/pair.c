/* SPDX-License-Identifier: BSD-2-Clause */
/* pair.c - two drivers in memory, back to back.
 *
 * Owns one ring of slots per direction.  A slot holds a whole frame, so that a receiver is lent one
 * span.  One thread writes a ring and one reads it: the indices are all that they share.
 *
 * Sleeping: rx_ready that finds nothing sets `asleep` and looks again; flush publishes and then
 * looks at `asleep`.  Both are sequentially consistent, so one of the two always sees the other.
 * In the same way a sender that found the ring full is woken by the receiver's rx_release.
 *
 * `vouch`: a frame taken with csum_partial arrives as PARTIAL.  One taken with a full sum arrives
 * as FULL, not as GOOD: nobody here has verified it, and a wrapper may have damaged it. */
#include "driver/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAIR_DEPTH_MAX (1u << 20)

struct pair_slot {
	uint32_t len;
	uint16_t gso_size;
	uint8_t csum;
};

/* One direction.  Indices count frames since the start and are never wrapped. */
struct pair_ring {
	struct pair_slot *slot;
	uint8_t *mem;
	size_t mem_bytes;
	uint32_t depth, slot_bytes;

	_Alignas(64) _Atomic uint64_t published; /* written by the sender */
	_Atomic bool sender_waits;               /* it found the ring full */
	_Alignas(64) _Atomic uint64_t released;  /* written by the receiver */
	_Atomic bool asleep;                     /* the receiver waits on its fd */
};

struct pair;

struct pair_end {
	struct driver driver;
	struct pair *pair;
	struct pair_end *other;
	struct pair_ring *out, *in;
	bool vouch;
	uint64_t written;  /* frames put into `out`, published or not */
	uint64_t released; /* the peer's index as last read: full only if this says so twice */
	uint64_t taken;    /* frames lent or given back from `in` */
	bool refused;      /* the last tx found no room, and its caller may sleep until there is */
	struct driver_stats stats;
};

struct pair {
	struct pair_end end[2];
	struct pair_ring ring[2];
	_Atomic int open;
};

static struct pair_end *pair_end(struct driver *d)
{
	return container_of(d, struct pair_end, driver);
}

static uint8_t *slot_mem(const struct pair_ring *r, uint64_t index)
{
	return r->mem + (size_t)(index & (r->depth - 1)) * r->slot_bytes;
}

static void wake(const struct pair_end *e)
{
	uint64_t one = 1;
	ssize_t n = write(e->driver.fd, &one, sizeof(one));

	(void)n; /* fails only when the counter is full, and then the fd is readable */
}

static uint32_t pair_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct pair_end *e = pair_end(d);
	struct pair_ring *r = e->in;
	uint64_t published = atomic_load_explicit(&r->published, memory_order_acquire);
	uint32_t n = 0;

	(void)now;
	assert(max <= FRAME_BURST_MAX);
	for (; n < max && e->taken != published; n++, e->taken++) {
		const struct pair_slot *s = &r->slot[e->taken & (r->depth - 1)];

		out[n].len = s->len;
		out[n].span_count = 1;
		out[n].csum = s->csum;
		out[n].gso_size = s->gso_size;
		out[n].queue = 0;
		out[n].span[0] = (struct span){slot_mem(r, e->taken), s->len};
		e->stats.rx_bytes += s->len;
	}
	e->stats.rx_frames += n;
	return n;
}

static void pair_rx_release(struct driver *d)
{
	struct pair_end *e = pair_end(d);
	struct pair_ring *r = e->in;

	if (atomic_load_explicit(&r->released, memory_order_relaxed) == e->taken)
		return;
	atomic_store(&r->released, e->taken);
	if (atomic_load(&r->sender_waits) && atomic_exchange(&r->sender_waits, false))
		wake(e->other);
}

/* Room for one more, and otherwise a promise that the receiver will wake us. */
static bool has_room(struct pair_end *e)
{
	struct pair_ring *r = e->out;

	if (e->written - e->released < r->depth)
		return true;
	e->released = atomic_load_explicit(&r->released, memory_order_acquire);
	if (e->written - e->released < r->depth)
		return true;
	atomic_store(&r->sender_waits, true);
	e->released = atomic_load(&r->released);
	return e->written - e->released < r->depth;
}

static int pair_tx(struct driver *d, ns_t now, const struct tx_frame *f)
{
	struct pair_end *e = pair_end(d);
	struct pair_slot *s = &e->out->slot[e->written & (e->out->depth - 1)];
	uint32_t len = f->head_len;
	uint8_t *mem;

	(void)now;
	assert(f->data_count <= 2);
	assert(!f->csum_partial || e->vouch);
	for (unsigned i = 0; i < f->data_count; i++)
		len += f->data[i].len;
	if (len > d->caps.gso_max)
		return -EMSGSIZE;
	e->refused = !has_room(e);
	if (e->refused)
		return -ENOBUFS;
	mem = slot_mem(e->out, e->written);
	memcpy(mem, f->head, f->head_len);
	mem += f->head_len;
	for (unsigned i = 0; i < f->data_count; i++) {
		memcpy(mem, f->data[i].base, f->data[i].len);
		mem += f->data[i].len;
	}
	s->len = len;
	s->gso_size = e->vouch ? f->gso_size : 0;
	s->csum = f->csum_partial ? FRAME_CSUM_PARTIAL
		  : e->vouch      ? FRAME_CSUM_FULL
				  : FRAME_CSUM_UNKNOWN;
	e->written++;
	e->stats.tx_frames++;
	e->stats.tx_bytes += len;
	return 0;
}

static void pair_flush(struct driver *d, ns_t now)
{
	struct pair_end *e = pair_end(d);
	struct pair_ring *r = e->out;

	(void)now;
	if (atomic_load_explicit(&r->published, memory_order_relaxed) == e->written)
		return;
	atomic_store(&r->published, e->written);
	if (atomic_load(&r->asleep) && atomic_exchange(&r->asleep, false))
		wake(e->other);
}

static bool pair_rx_ready(struct driver *d, ns_t now)
{
	struct pair_end *e = pair_end(d);
	struct pair_ring *r = e->in;
	uint64_t kicks;
	ssize_t n;

	(void)now;
	if (atomic_load_explicit(&r->published, memory_order_acquire) != e->taken)
		return true;
	n = read(d->fd, &kicks, sizeof(kicks));
	(void)n; /* nothing to read: no kick was pending */
	atomic_store(&r->asleep, true);
	if (atomic_load(&r->published) == e->taken && !(e->refused && has_room(e)))
		return false;
	e->refused = false;
	atomic_store(&r->asleep, false);
	return true;
}

static void pair_stats(struct driver *d, struct driver_stats *out)
{
	*out = pair_end(d)->stats;
}

static void ring_destroy(struct pair_ring *r)
{
	if (r->mem)
		munmap(r->mem, r->mem_bytes);
	free(r->slot);
}

static void pair_destroy(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		if (p->end[i].driver.fd >= 0)
			close(p->end[i].driver.fd);
		ring_destroy(&p->ring[i]);
	}
	free(p);
}

static void pair_close(struct driver *d)
{
	struct pair *p = pair_end(d)->pair;

	if (atomic_fetch_sub(&p->open, 1) == 1)
		pair_destroy(p);
}

static const struct driver_ops pair_ops = {
    .rx = pair_rx,
    .rx_release = pair_rx_release,
    .tx = pair_tx,
    .flush = pair_flush,
    .rx_ready = pair_rx_ready,
    .stats = pair_stats,
    .close = pair_close,
};

/* Pages of a slot are taken when a frame first needs them: large slots cost nothing unused. */
static int ring_create(struct pair_ring *r, uint32_t depth, uint32_t gso_max)
{
	void *mem;

	r->depth = depth;
	r->slot_bytes = (gso_max + 63u) & ~63u;
	r->mem_bytes = (size_t)depth * r->slot_bytes;
	r->slot = calloc(depth, sizeof(*r->slot));
	if (!r->slot)
		return -ENOMEM;
	mem = mmap(NULL, r->mem_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	r->mem = mem;
	return 0;
}

static int end_create(struct pair *p, unsigned i, const struct pair_config *c, uint32_t gso_max)
{
	struct pair_end *e = &p->end[i];
	struct driver_caps *caps = &e->driver.caps;

	e->driver.ops = &pair_ops;
	e->pair = p;
	e->other = &p->end[!i];
	e->out = &p->ring[i];
	e->in = &p->ring[!i];
	e->vouch = c->vouch;
	caps->mtu = c->mtu;
	caps->gso_max = gso_max;
	caps->tx_csum = c->vouch;
	caps->rx_csum = c->vouch;
	caps->queues = 1;
	memcpy(caps->mac, c->mac[i], sizeof(caps->mac));
	strcpy(caps->name, "pair");
	strcpy(caps->mode, "memory");
	e->driver.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return e->driver.fd < 0 ? -errno : 0;
}

int pair_open(const struct pair_config *c, struct driver *ends[2])
{
	uint32_t gso_max = c->gso_max ? c->gso_max : c->mtu + 14;
	struct pair *p;
	int err = 0;

	if (c->depth == 0 || c->depth > PAIR_DEPTH_MAX || (c->depth & (c->depth - 1)) != 0)
		return -EINVAL;
	if (gso_max < 14 || gso_max > FRAME_GSO_MAX + 14)
		return -EINVAL;
	p = aligned_alloc(64, sizeof(*p));
	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->end[0].driver.fd = p->end[1].driver.fd = -1;
	atomic_init(&p->open, 2);
	for (unsigned i = 0; i < 2 && err == 0; i++)
		err = ring_create(&p->ring[i], c->depth, gso_max);
	for (unsigned i = 0; i < 2 && err == 0; i++)
		err = end_create(p, i, c, gso_max);
	if (err) {
		pair_destroy(p);
		return err;
	}
	ends[0] = &p->end[0].driver;
	ends[1] = &p->end[1].driver;
	return 0;
}
