/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c - a thread that waits for one socket.  Owns each thread's event queue; its subscriptions
 * stay from one wait to the next, so that a blocking program posts none in the steady state. */
#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define NS_PER_S         INT64_C(1000000000)
#define DEGRADED_NS      2000000 /* no event queue left: look this often, asleep in between */
#define CREDIT_MAX       16
#define OFFER_TAKEN_NS   3000 /* a yield that lasts longer ran somebody else */
#define OFFERS_TAKEN_MAX 8u

static _Thread_local struct evq *own_evq __attribute__((tls_model("initial-exec")));
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t wait_deadline(int64_t timeout_ns)
{
	return timeout_ns > 0 ? clock_now() + timeout_ns : -1;
}

/* ---- the thread's queue ---- */

static void thread_exits(void *e)
{
	own_evq = NULL;
	evq_free(e);
}

static void make_key(void)
{
	pthread_key_create(&exit_key, thread_exits);
}

struct evq *wait_evq(struct attach *a)
{
	if (own_evq && own_evq->attach == a)
		return own_evq;
	own_evq = evq_for_thread(a);
	pthread_once(&exit_once, make_key);
	pthread_setspecific(exit_key, own_evq);
	return own_evq;
}

void wait_forked(void)
{
	if (own_evq)
		pthread_setspecific(exit_key, NULL);
	own_evq = NULL;
}

static bool subscribe(struct ofd *o, struct evq *e, uint32_t interest)
{
	struct watch *w;

	lock_take(&table_lock);
	e->wants = o;
	w = watch_find(o, evq_known(e));
	if (w) {
		watch_mask(w, w->mask | interest);
	} else {
		w = watch_add(o, evq_known(e), NULL, interest);
		if (!w && !e->host) {
			watch_evict(e, ++e->round);
			w = watch_add(o, e, NULL, interest);
		}
	}
	lock_drop(&table_lock);
	return w != NULL;
}

/* ---- looking before sleeping ---- */

static _Atomic bool confined; /* a sandbox may forbid what isn't needed: sshd's does */

void wait_confine(void)
{
	atomic_store_explicit(&confined, true, memory_order_relaxed);
}

bool wait_is_confined(void)
{
	return atomic_load_explicit(&confined, memory_order_relaxed);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Offers the CPU, and tells how long somebody else made use of it. */
static int64_t offer_cpu(void)
{
	int64_t began, took;

	if (atomic_load_explicit(&confined, memory_order_relaxed))
		return 0;
	began = clock_now();
	sched_yield();
	took = clock_now() - began;
	return took > OFFER_TAKEN_NS ? took : 0;
}

/* The CPU may be wanted by the very shard or peer that is waited for, so it is offered between
 * the looks: without that, both on one CPU, the answer took 90 us instead of 38.  What the other
 * one takes was not spent looking: it puts the end off, up to OFFERS_TAKEN_MAX times.  One who
 * keeps the CPU has work of his own: beside him it is better to sleep, for a wake-up preempts. */
bool wait_spin(struct evq *e, bool (*ready)(void *), void *arg)
{
	int64_t spin_ns = (int64_t)e->attach->board->spin_ns, end, away;
	unsigned taken = 0;

	if (e->credit <= 0 || !spin_ns)
		return false;
	end = clock_now() + spin_ns;
	do {
		for (int i = 0; i < 32; i++) {
			if (ready(arg)) {
				e->credit += e->credit < CREDIT_MAX;
				return true;
			}
			relax();
		}
		away = offer_cpu();
		if (away && taken++ < OFFERS_TAKEN_MAX)
			end += away;
	} while (away <= spin_ns && clock_now() < end);
	e->credit--;
	return false;
}

/* A sleep so short that looking would have found it earns the right to look again. */
void wait_slept(struct evq *e, int64_t slept_ns)
{
	if (e->credit <= 0 && slept_ns < (int64_t)e->attach->board->spin_ns)
		e->credit = 2;
}

/* ---- sleeping ---- */

/* The last of `p` is the daemon's connection.  Where the program has given up the right to so many
 * descriptors (sshd's sandbox: one), it is looked at each second instead. */
int wait_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	static const struct timespec second = {.tv_sec = 1};
	bool cut = !t || t->tv_sec >= 1;
	int r = LIBC->ppoll(p, n, t, mask);

	if (r >= 0 || errno != EINVAL)
		return r;
	p[n - 1].revents = 0;
	r = LIBC->ppoll(p, n - 1, cut ? &second : t, mask);
	if (r == 0 && cut) {
		p[n - 1].revents = POLLERR;
		r = 1;
	}
	return r;
}

/* 0 awake, EAGAIN the deadline has passed, EINTR. */
static int sleep_on(struct evq *e, int beside, int64_t deadline)
{
	struct pollfd p[3] = {{.fd = evq_sleeps_on(e), .events = POLLIN}, {.fd = beside, .events = POLLIN}};
	nfds_t last = beside >= 0 ? 2 : 1;
	int64_t start = clock_now(), left = deadline < 0 ? 0 : deadline - start;
	struct timespec t = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
	int n;

	if (left < 0)
		return EAGAIN;
	p[last] = (struct pollfd){.fd = e->attach->conn};
	n = wait_ppoll(p, last + 1, deadline < 0 ? NULL : &t, NULL);
	if (n < 0)
		return errno == EINTR ? EINTR : 0;
	if (n == 0)
		return EAGAIN;
	if (p[0].revents)
		evq_drain(e);
	if (p[last].revents)
		attach_check(e->attach);
	wait_slept(e, clock_now() - start);
	return 0;
}

/* No queue or no subscription is left: slow, but right. */
static int degraded(struct ofd *o, bool (*ready)(struct ofd *), int64_t deadline)
{
	static const struct timespec step = {.tv_nsec = DEGRADED_NS};

	while (!ready(o)) {
		if (deadline >= 0 && clock_now() >= deadline)
			return EAGAIN;
		if (nanosleep(&step, NULL) < 0 && errno == EINTR)
			return EINTR;
		attach_check(o->attach);
	}
	return 0;
}

struct question {
	struct ofd *ofd;
	bool (*ready)(struct ofd *);
};

static bool answer(void *arg)
{
	struct question *q = arg;

	return q->ready(q->ofd);
}

static int sleep_until_ready(struct evq *e, struct question *q, int64_t deadline,
			     const struct signal_mark *m)
{
	int r = 0;

	for (;;) {
		evq_arm(e);
		evq_pop(e, NULL);
		if (!answer(q))
			r = signal_came(m) ? EINTR : sleep_on(e, atomic_load(&q->ofd->beside), deadline);
		evq_disarm(e);
		if (answer(q))
			return 0;
		if (r)
			return r;
	}
}

int wait_for(struct ofd *o, uint32_t interest, bool (*ready)(struct ofd *), bool may_restart,
	     int64_t deadline)
{
	struct question q = {o, ready};
	int saved = errno, r = 0;
	struct signal_mark m;
	struct evq *e;

	if (attach_is_dead(o->attach))
		return 0;
	e = wait_evq(o->attach);
	m = signal_enter(e);
	if (!e || !wait_spin(e, answer, &q))
		do { /* poll is never restarted, but recv, send, accept and connect may be */
			if (e && subscribe(o, e, interest))
				r = sleep_until_ready(e, &q, deadline, &m);
			else
				r = degraded(o, ready, deadline);
		} while (r == EINTR && !signal_ends(&m, may_restart));
	signal_leave(&m);
	errno = saved;
	return r;
}
