/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.c - what goes to the daemon and what comes back: submissions, event queues,
 * subscriptions.  The rules of sleeping and waking are those of stackd_shm.h. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>

#define FULL_PAUSE_NS 50000
#define RESTING       1024

static _Atomic uint32_t evq_lock;  /* the lists of free queues; a leaf */
static _Atomic uint32_t host_lock; /* whoever makes the guests' host; before request_lock */

static void kick(struct attach *a, uint32_t shard)
{
	static const uint64_t one = 1;
	int saved = errno;

	if (LIBC->write(a->kick[shard], &one, sizeof(one)) < 0)
		errno = saved; /* full: the shard is awake as it is */
}

/* A shard needs its time to wake up, and one kick is enough: while the head stands where it stood
 * at the last one, what lies there hasn't been seen, and nobody sleeps before it has.  The note is
 * dropped as soon as the shard is seen awake, so that a head 2^32 later can't be taken for it. */
static void kick_if_asleep(struct attach *a, uint32_t shard)
{
	struct stackd_sq *q = stackd_shm_sq(a->own->base, &a->own->head, shard);
	uint64_t head, noted;

	atomic_thread_fence(memory_order_seq_cst);
	noted = atomic_load_explicit(&a->kicked[shard], memory_order_relaxed);
	if (!atomic_load_explicit(&a->board->shard[shard].sleeping, memory_order_relaxed)) {
		if (noted)
			atomic_store_explicit(&a->kicked[shard], 0, memory_order_relaxed);
		return;
	}
	head = atomic_load_explicit(&q->head, memory_order_acquire);
	if (head == atomic_load_explicit(&q->tail, memory_order_relaxed) || noted == head + 1)
		return;
	kick(a, shard);
	atomic_store_explicit(&a->kicked[shard], head + 1, memory_order_relaxed);
}

static bool push(struct attach *a, uint32_t shard, const struct stackd_sqe *e)
{
	const struct stackd_shm_head *h = &a->own->head;
	struct stackd_sq *q = stackd_shm_sq(a->own->base, h, shard);
	bool room;
	uint32_t tail;

	lock_take(&a->sq_lock[shard]);
	tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	room = tail - atomic_load_explicit(&q->head, memory_order_acquire) < h->sq_entries;
	if (room) {
		q->entry[tail & (h->sq_entries - 1)] = *e;
		atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	}
	lock_drop(&a->sq_lock[shard]);
	return room;
}

void queue_post(struct ofd *o, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2)
{
	struct attach *a = o->attach;
	struct stackd_sqe e = {.op = op,
			       .opt = opt,
			       .region = o->region->head.region,
			       .slot = o->slot,
			       .gen = o->gen,
			       .arg = arg,
			       .arg2 = arg2};
	uint32_t shard = atomic_load_explicit(&o->sock->shard, memory_order_acquire);

	if (o->gen == 0 && o->slot < o->region->head.sock_own &&
	    atomic_load_explicit(&o->sock->state, memory_order_acquire) == STACKD_SOCK_FREE)
		shard = o->slot % a->shards; /* never used: the daemon has named none yet */
	if (shard >= a->shards)
		shard = 0;
	while (!attach_is_dead(a) && !push(a, shard, &e)) {
		static const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};
		int saved = errno;

		kick(a, shard);
		nanosleep(&pause, NULL);
		attach_check(a);
		errno = saved;
	}
	kick_if_asleep(a, shard);
}

/* Until the daemon has seen all that was posted, at most this long. */
void queue_flush(struct attach *a, int64_t patience_ns)
{
	static const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};
	int64_t end = clock_now() + patience_ns;
	int saved = errno;

	for (uint32_t s = 0; s < a->shards; s++) {
		struct stackd_sq *q = stackd_shm_sq(a->own->base, &a->own->head, s);

		while (atomic_load(&q->head) != atomic_load(&q->tail) && clock_now() < end &&
		       !attach_check(a)) {
			kick(a, s);
			nanosleep(&pause, NULL);
		}
	}
	errno = saved;
}

/* Wakes whoever waits for this socket in this process. */
void queue_wake(struct ofd *o)
{
	lock_take(&table_lock);
	for (struct watch *w = o->watches; w; w = w->next_of_sock) {
		struct evq *e = atomic_load(&w->evq);

		if (w->mask & STACKD_SIGNAL)
			continue;
		if (w->item)
			epoll_wake(w->item);
		else if (e == atomic_load(&o->attach->evq_host))
			guest_wake(e, o);
		else
			evq_kick(e);
	}
	lock_drop(&table_lock);
}

/* ---- event queues ---- */

static int evq_tell(struct evq *e, uint32_t forget)
{
	struct stackd_request q = {.type = STACKD_REQ_EVQ, .arg = e->index, .arg2 = forget};
	struct stackd_reply r;

	return attach_request(e->attach, &q, &r, forget ? -1 : e->fd);
}

static struct evq *evq_reuse(struct attach *a)
{
	struct evq *e;

	lock_take(&evq_lock);
	e = a->evq_free;
	if (e)
		a->evq_free = e->next_free;
	lock_drop(&evq_lock);
	return e;
}

/* Its index is evq_count if there was none left. */
static struct evq *evq_alloc(struct attach *a, uint32_t count)
{
	struct evq *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	lock_take(&evq_lock);
	e->index = a->evq_next < count ? a->evq_next++ : a->own->head.evq_count;
	lock_drop(&evq_lock);
	e->attach = a;
	e->credit = 1;
	return e;
}

static struct evq *evq_create(struct attach *a, uint32_t count)
{
	struct evq *e = evq_alloc(a, count);
	int fd;

	if (!e)
		return NULL;
	/* past the interceptors of sanitizers, which don't see it move */
	fd = e->index < a->own->head.evq_count
		 ? (int)syscall(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC)
		 : -1;
	e->fd = fd < 0 ? -1 : fd_internal(fd);
	if (e->fd >= 0 && evq_tell(e, 0) == 0)
		return e;
	if (e->fd >= 0)
		fd_internal_close(e->fd);
	free(e);
	return NULL;
}

struct evq *evq_for_signals(struct attach *a)
{
	struct evq *e = evq_alloc(a, a->own->head.evq_count - 2);
	struct stackd_request q = {.type = STACKD_REQ_SIGNAL};
	int fd = -1;

	if (e && e->index < a->own->head.evq_count) {
		q.arg = e->index;
		fd = attach_pass(a, &q);
	}
	if (fd < 0) {
		free(e);
		return NULL;
	}
	e->fd = fd_internal(fd);
	return e;
}

static struct evq *evq_new(struct attach *a)
{
	struct evq *e = evq_reuse(a);

	/* the last two are those that many share */
	return e ? e : evq_create(a, a->own->head.evq_count - 2);
}

static struct evq *host_of(struct attach *a, _Atomic(struct evq *) *place)
{
	struct evq *host;

	lock_take(&host_lock);
	host = atomic_load(place);
	if (!host) {
		host = evq_create(a, a->own->head.evq_count);
		atomic_store(place, host);
	}
	lock_drop(&host_lock);
	return host;
}

struct evq *evq_for_thread(struct attach *a)
{
	struct evq *e = evq_new(a), *host = e ? NULL : host_of(a, &a->evq_host);

	return host ? guest_new(host) : e;
}

struct evq *evq_for_epoll(struct attach *a)
{
	struct evq *e = evq_new(a), *host = e ? NULL : host_of(a, &a->evq_crowdhost);

	if (host)
		evq_arm(host);
	return host ? crowd_new(host) : e;
}

/* Its number, descriptor and registration stay for the next one: an idle queue costs nothing. */
void evq_free(struct evq *e)
{
	if (e->host) {
		if (e->crowded)
			crowd_free(e);
		else
			guest_free(e);
		return;
	}
	lock_take(&evq_lock);
	e->next_free = e->attach->evq_free;
	e->attach->evq_free = e;
	lock_drop(&evq_lock);
}

static struct stackd_evq *shared(const struct evq *e)
{
	return stackd_shm_evq(e->attach->own->base, &e->attach->own->head, e->index);
}

int evq_sleeps_on(struct evq *e)
{
	return e->crowded ? e->host->fd : e->host ? guest_sleeps_on(e) : e->fd;
}

void evq_arm(struct evq *e)
{
	if (e->host) {
		if (!e->crowded)
			guest_enter(e);
		return;
	}
	atomic_store_explicit(&shared(e)->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

bool evq_is_armed(const struct evq *e)
{
	return atomic_load(&shared(e)->sleeping);
}

void evq_disarm(struct evq *e)
{
	if (e->host) {
		if (!e->crowded)
			guest_leave(e);
		return;
	}
	atomic_store_explicit(&shared(e)->sleeping, 0, memory_order_relaxed);
}

void evq_kick(struct evq *e)
{
	static const uint64_t one = 1;
	int saved = errno;

	if (LIBC->write(e->fd, &one, sizeof(one)) < 0)
		errno = saved; /* it is readable already */
}

static void drain(int fd)
{
	uint64_t count;
	int saved = errno;

	if (LIBC->read(fd, &count, sizeof(count)) < 0)
		errno = saved;
}

void evq_drain(struct evq *e)
{
	int fd = evq_sleeps_on(e);

	drain(e->fd); /* a guest may have been told before it became the leader */
	if (fd != e->fd)
		drain(fd);
}

bool evq_pending(const struct evq *e)
{
	const struct stackd_shm_head *h = &e->attach->own->head;

	for (uint32_t s = 0; s < e->attach->shards; s++) {
		struct stackd_evq_ring *r =
		    stackd_shm_evq_ring(e->attach->own->base, h, e->index, s);

		if (atomic_load_explicit(&r->head, memory_order_relaxed) !=
		    atomic_load_explicit(&r->tail, memory_order_acquire))
			return true;
	}
	return false;
}

static void pop_ring(struct evq *e, uint32_t shard, void (*found)(struct watch *))
{
	struct attach *a = e->attach;
	const struct stackd_shm_head *h = &a->own->head;
	struct stackd_evq_ring *r = stackd_shm_evq_ring(a->own->base, h, e->index, shard);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	while (head != tail) {
		uint32_t n = atomic_load_explicit(&r->sub[head & (h->evq_entries - 1)],
						  memory_order_relaxed);

		/* first the place, then the mark: else the ring could run over */
		atomic_store_explicit(&r->head, ++head, memory_order_release);
		if (n >= h->sub_count)
			continue;
		atomic_store_explicit(&stackd_shm_sub(a->own->base, h, n)->posted, 0,
				      memory_order_seq_cst);
		if (found && atomic_load(&a->watch[n].evq) == e)
			found(&a->watch[n]);
	}
}

void evq_pop(struct evq *e, void (*found)(struct watch *))
{
	for (uint32_t s = 0; s < e->attach->shards && !e->host; s++)
		pop_ring(e, s, found);
	atomic_thread_fence(memory_order_seq_cst);
}

/* ---- subscriptions ---- */

/* The number, and its next turn. */
static uint64_t next_turn(struct watch *w)
{
	struct attach *a = w->ofd->attach;
	uint32_t number = (uint32_t)(w - a->watch);
	struct stackd_sub *shared = stackd_shm_sub(a->own->base, &a->own->head, number);

	return (uint64_t)(atomic_fetch_add(&shared->turn, 1) + 1) << 32 | number;
}

static void subscribe(struct watch *w)
{
	queue_post(w->ofd, STACKD_OP_SUB, (uint16_t)w->mask, atomic_load(&w->evq)->index,
		   next_turn(w));
}

static void watch_give(struct attach *a, struct watch *w)
{
	w->next_free = NULL;
	*a->watch_free_end = w;
	a->watch_free_end = &w->next_free;
	a->watch_resting++;
}

/* Numbers rest before they return, as long as there are fresh ones. */
static struct watch *watch_first(struct attach *a)
{
	struct watch *w = a->watch_free;

	if ((a->watch_resting < RESTING || !w) && a->watch_fresh < a->own->head.sub_count)
		return &a->watch[a->watch_fresh++];
	if (!w)
		return NULL;
	a->watch_resting--;
	a->watch_free = w->next_free;
	if (!a->watch_free)
		a->watch_free_end = &a->watch_free;
	return w;
}

/* A number that still stands in its last owner's queue can't be told of anything: leave it until
 * that one has popped it. */
static struct watch *watch_take(struct attach *a)
{
	const struct stackd_shm_head *h = &a->own->head;
	struct watch *w;

	for (uint32_t n = 0; n <= RESTING && (w = watch_first(a)); n++) {
		if (!atomic_load(
			&stackd_shm_sub(a->own->base, h, (uint32_t)(w - a->watch))->posted))
			return w;
		watch_give(a, w);
	}
	return NULL;
}

struct watch *watch_add(struct ofd *o, struct evq *e, struct epitem *item, uint32_t mask)
{
	struct watch *w = watch_take(o->attach);

	if (!w)
		return NULL;
	w->ofd = o;
	w->item = item;
	w->mask = mask;
	atomic_store(&w->evq, e);
	w->next_of_sock = o->watches;
	o->watches = w;
	subscribe(w);
	return w;
}

struct watch *watch_find(struct ofd *o, struct evq *e)
{
	struct watch *w = o->watches;

	while (w && atomic_load(&w->evq) != e)
		w = w->next_of_sock;
	return w;
}

void watch_mask(struct watch *w, uint32_t mask)
{
	if (w->mask == mask)
		return;
	w->mask = mask;
	subscribe(w);
}

void watch_remove(struct watch *w)
{
	struct ofd *o = w->ofd;
	struct attach *a = o->attach;
	struct watch **p = &o->watches;

	queue_post(o, STACKD_OP_UNSUB, 0, atomic_load(&w->evq)->index, next_turn(w));
	while (*p != w)
		p = &(*p)->next_of_sock;
	*p = w->next_of_sock;
	atomic_store(&w->evq, NULL);
	w->ofd = NULL;
	w->item = NULL;
	watch_give(a, w);
}

void watch_repost(struct ofd *o)
{
	for (struct watch *w = o->watches; w; w = w->next_of_sock)
		subscribe(w);
}

/* Gives back what this thread's queue hasn't wanted in this round. */
void watch_evict(struct evq *e, uint32_t round)
{
	struct attach *a = e->attach;

	for (uint32_t i = 0; i < a->watch_fresh; i++)
		if (atomic_load(&a->watch[i].evq) == e && a->watch[i].round != round)
			watch_remove(&a->watch[i]);
}

void queue_forked(void)
{
	atomic_store(&evq_lock, 0);
	atomic_store(&host_lock, 0);
	guest_forked();
}
