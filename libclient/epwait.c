/* SPDX-License-Identifier: BSD-2-Clause */
/* epwait.c - epoll_wait: harvests the ready list of stack sockets, and sleeps in the kernel's own
 * epoll, which our event queue's eventfd wakes.  Work is in proportion to what is ready. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include "stackd.h"

#define NS_PER_S        INT64_C(1000000000)
#define NS_PER_MS       INT64_C(1000000)
#define KERNEL_SKIP_MAX 8
#define LOOKS_MAX       4 /* before a sleep: events that turn out to be no news */
#define FLAG_BITS       (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

struct wait_call {
	struct epoll *ep;
	int epfd;
	struct epoll_event *out;
	int max;
	int64_t deadline; /* 0 don't wait, -1 for ever */
	const sigset_t *mask;
};

static void found(struct watch *w)
{
	if (w->item)
		epoll_ready_add(w->item);
}

static bool is_old(const struct news *a, const struct news *b)
{
	return a->bits == b->bits && a->in == b->in && a->out == b->out && a->gen == b->gen;
}

/* One item off the list; true: it has something to say.  The daemon may post twice for the same
 * (a new subscription is told at once), so an edge is what differs from the last time. */
static bool harvest_one(struct epitem *it, struct epoll_event *out)
{
	struct news n;

	epoll_ready_remove(it);
	if (!(it->events & ~(uint32_t)FLAG_BITS))
		return false; /* ONESHOT has fired */
	n = ready_news(it->ofd, it->events);
	n.in += it->edges;
	if (!n.bits || ((it->events & EPOLLET) && is_old(&n, &it->told)))
		return false;
	it->told = n;
	out->events = n.bits;
	out->data = it->data;
	if (it->events & EPOLLONESHOT)
		it->events &= FLAG_BITS;
	else if (!(it->events & EPOLLET))
		epoll_ready_add(it); /* level: the next call looks again */
	return true;
}

static int harvest(struct epoll *ep, struct epoll_event *out, int max)
{
	struct evq *e = atomic_load(&ep->evq);
	uint32_t count;
	int n = 0;

	crowd_pop(e);
	if (!e && !ep->ready_count)
		return 0;
	lock_take(&ep->lock);
	if (e)
		evq_pop(e, found);
	for (count = ep->ready_count; count && n < max; count--)
		n += harvest_one(ep->ready_head, &out[n]);
	lock_drop(&ep->lock);
	return n;
}

/* ---- the daemon's death ---- */

static void daemon_gone(struct epoll *ep, int epfd)
{
	struct evq *e = atomic_load(&ep->evq);
	int fd = ep->around >= 0 ? ep->around : epfd;

	if (!e || !attach_check(e->attach))
		return;
	lock_take(&ep->lock);
	LIBC->epoll_ctl(fd, EPOLL_CTL_DEL, e->attach->conn, NULL);
	for (int i = 0; i < ep->item_count; i++)
		if (ep->item[i] && !ep->item[i]->kernel)
			epoll_ready_add(ep->item[i]);
	lock_drop(&ep->lock);
}

/* ---- the kernel's part ---- */

/* Which mark of those that begin there, -1: the program's own event. */
static int mark_of(const struct epoll_event *ev, uintptr_t first)
{
	uintptr_t at = (uintptr_t)ev->data.ptr;

	return at >= first && at - first < EPOLL_MARKS + FD_NUMBERS ? (int)(at - first) : -1;
}

static void awake(struct evq *e)
{
	evq_drain(e);
	crowd_pop(e); /* what was drained may have been another instance's */
}

/* Takes our own marks out of what the kernel said.  *inside: the shared instance has something. */
static int filter(struct wait_call *c, struct epoll_event *ev, int n, bool own, bool *inside)
{
	uintptr_t first = own ? (uintptr_t)epoll_marker : c->ep->marks_inside;
	int kept = 0;

	for (int i = 0; i < n; i++) {
		int mark = mark_of(&ev[i], first);

		if (mark < 0)
			ev[kept++] = ev[i];
		else if (mark >= EPOLL_MARKS)
			both_heard(c->ep, mark - EPOLL_MARKS);
		else if (mark == 2)
			*inside = true;
		else if (mark == 0 && own && atomic_load(&c->ep->evq))
			awake(atomic_load(&c->ep->evq));
		else if (mark == 1 && own)
			daemon_gone(c->ep, c->epfd);
	}
	return kept;
}

/* What the shared instance has of the program's.  A mark of the parent's that is always ready may
 * come first, but the next call begins behind it. */
static int look_inside(struct wait_call *c, struct epoll_event *out, int max)
{
	bool unused;
	int n = 0;

	for (int turn = 0; turn < 3 && n == 0 && max > 0; turn++) {
		int got = LIBC->epoll_wait(c->epfd, out, max, 0);

		n = got > 0 ? filter(c, out, got, false, &unused) : 0;
		if (got < max)
			break;
	}
	if (n || max <= 0)
		atomic_store(&c->ep->inside_left, true);
	return n;
}

static int ask_kernel(struct wait_call *c, struct epoll_event *out, int max, int64_t deadline)
{
	int fd = c->ep->around >= 0 ? c->ep->around : c->epfd;
	int64_t left = deadline <= 0 ? 0 : deadline - clock_now();
	struct timespec t;
	int n;

	left = left > 0 ? left : 0;
	t = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
	n = LIBC->epoll_pwait2(fd, out, max, deadline < 0 ? NULL : &t, c->mask);
	if (n < 0 && errno == ENOSYS) {
		int64_t ms = (left + NS_PER_MS - 1) / NS_PER_MS;

		n = LIBC->epoll_pwait(fd, out, max, deadline < 0 ? -1 : (int)ms, c->mask);
	}
	return n;
}

/* *raw: what the kernel said, our own marks among it; 0: time is up. */
static int kernel_wait(struct wait_call *c, struct epoll_event *out, int max, int64_t deadline,
		       int *raw)
{
	bool inside = c->ep->around >= 0 && atomic_exchange(&c->ep->inside_left, false);
	int n = ask_kernel(c, out, max, inside ? 0 : deadline);

	*raw = inside && n == 0 ? 1 : n;
	if (n < 0) {
		atomic_store(&c->ep->inside_left, inside);
		return n;
	}
	n = filter(c, out, n, true, &inside);
	return inside ? n + look_inside(c, out + n, max - n) : n;
}

/* ---- arming ---- */

/* True: nothing is there, and whatever comes from now on wakes us. */
static bool fall_asleep(struct epoll *ep, struct evq *e)
{
	bool empty;

	if (!e)
		return true;
	crowd_pop(e);
	lock_take(&ep->lock);
	evq_arm(e);
	evq_pop(e, found);
	empty = !ep->ready_head;
	if (empty)
		ep->waiters++;
	else if (!ep->waiters && !atomic_load(&ep->nested))
		evq_disarm(e);
	lock_drop(&ep->lock);
	return empty;
}

static void wake_up(struct epoll *ep, struct evq *e)
{
	if (!e)
		return;
	lock_take(&ep->lock);
	ep->waiters--;
	if (!ep->waiters && !atomic_load(&ep->nested)) {
		evq_disarm(e);
	} else { /* others sleep on: the flag was used up by our wake-up */
		evq_arm(e);
		if (evq_pending(e))
			epoll_kick(ep);
	}
	lock_drop(&ep->lock);
}

/* Level-triggered ones stay on the list; who waits elsewhere must see that. */
static void leave(struct epoll *ep)
{
	struct evq *e = atomic_load(&ep->evq);

	if (!ep->waiters && !atomic_load(&ep->nested))
		return;
	lock_take(&ep->lock);
	if (e)
		evq_arm(e); /* what we took may have used up the flag */
	if (ep->ready_head || (e && evq_pending(e)))
		epoll_kick(ep);
	lock_drop(&ep->lock);
}

static bool something(void *arg)
{
	struct wait_call *c = arg;
	struct evq *e = atomic_load(&c->ep->evq);

	return evq_pending(e) || c->ep->ready_count;
}

/* True: something came while we looked. */
static bool look_first(struct wait_call *c)
{
	struct evq *e = atomic_load(&c->ep->evq);

	return e && !atomic_load(&c->ep->kernel_items) && c->ep->around < 0 &&
	       wait_spin(e, something, c);
}

static int wait_sleep(struct wait_call *c, int *raw)
{
	struct evq *e = atomic_load(&c->ep->evq);
	int64_t start;
	int n;

	if (!fall_asleep(c->ep, e)) {
		*raw = 1;
		return 0;
	}
	start = e ? clock_now() : 0;
	n = kernel_wait(c, c->out, c->max, c->deadline, raw);
	atomic_store_explicit(&c->ep->kernel_skipped, n > 0 ? KERNEL_SKIP_MAX : 0,
			      memory_order_relaxed);
	wake_up(c->ep, e);
	if (e)
		wait_slept(e, clock_now() - start);
	return n;
}

/* While stack events come on end, a kernel's descriptor may wait for some calls: asking each time
 * would cost one system call for each.  One that had something is asked again at once. */
static bool kernel_is_due(struct wait_call *c)
{
	if (!atomic_load(&c->ep->kernel_items))
		return false;
	return c->deadline == 0 ||
	       atomic_fetch_add_explicit(&c->ep->kernel_skipped, 1, memory_order_relaxed) >=
		   KERNEL_SKIP_MAX;
}

static int kernel_look(struct wait_call *c, struct epoll_event *out, int max, int *raw)
{
	int n = kernel_wait(c, out, max, 0, raw);

	atomic_store_explicit(&c->ep->kernel_skipped, n > 0 ? KERNEL_SKIP_MAX : 0,
			      memory_order_relaxed);
	return n;
}

/* Stack events first; then the kernel's, without waiting if there are some. */
static int wait_all(struct wait_call *c)
{
	int looks = LOOKS_MAX;

	for (;;) {
		struct epoll *ep = c->ep;
		int raw = 0, n = harvest(ep, c->out, c->max), more = 0;

		if (n || c->deadline == 0) {
			if (n < c->max && (!n || kernel_is_due(c)))
				more = kernel_look(c, c->out + n, c->max - n, &raw);
			if (more < 0 && !n)
				return -1;
			n += more > 0 ? more : 0;
			if (!n && raw > 0) /* only our own mark: what it stands for */
				n = harvest(ep, c->out, c->max);
			return n;
		}
		/* after the harvest: what stayed on the list by level was no news */
		if (looks-- > 0 && look_first(c))
			continue;
		n = wait_sleep(c, &raw);
		if (n < 0)
			return -1;
		if (n < c->max)
			n += harvest(ep, c->out + n, c->max - n);
		if (n)
			return n;
		if (raw == 0)
			return 0;
	}
}

static int wait_events(int epfd, struct epoll_event *out, int max, int64_t timeout_ns,
		       const sigset_t *mask, struct ofd *o)
{
	struct wait_call c = {.ep = o->epoll, .epfd = epfd, .out = out, .max = max, .mask = mask};
	int n;

	c.deadline = timeout_ns > 0 ? clock_now() + timeout_ns : timeout_ns;
	if (c.ep->inherited && !atomic_load(&c.ep->evq))
		epoll_revive(c.ep, epfd);
	n = wait_all(&c);
	leave(c.ep);
	return n;
}

/* Instances without stack sockets go straight on; they are looked at again when one comes. */
static struct ofd *instance(int epfd, struct epoll_event *out, int max)
{
	struct ofd *o = max > 0 && out ? fd_get(epfd) : NULL;

	if (o && (o->kind != KIND_EPOLL || !o->epoll)) {
		fd_put(o);
		return NULL;
	}
	return o;
}

int stackd_epoll_pwait2(int epfd, struct epoll_event *out, int max, const struct timespec *timeout,
			const sigset_t *mask)
{
	struct ofd *o = instance(epfd, out, max);
	int n;

	if (!o || (timeout &&
		   (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= NS_PER_S))) {
		fd_put(o);
		return LIBC->epoll_pwait2(epfd, out, max, timeout, mask);
	}
	n = wait_events(epfd, out, max, timespec_ns(timeout), mask, o);
	fd_put(o);
	return n;
}

int stackd_epoll_pwait(int epfd, struct epoll_event *out, int max, int timeout_ms,
		       const sigset_t *mask)
{
	struct ofd *o = instance(epfd, out, max);
	int n;

	if (!o)
		return LIBC->epoll_pwait(epfd, out, max, timeout_ms, mask);
	n = wait_events(epfd, out, max, timeout_ms < 0 ? -1 : timeout_ms * NS_PER_MS, mask, o);
	fd_put(o);
	return n;
}

int stackd_epoll_wait(int epfd, struct epoll_event *out, int max, int timeout_ms)
{
	return stackd_epoll_pwait(epfd, out, max, timeout_ms, NULL);
}

int stackd_notify_fd(int epfd)
{
	struct ofd *o = fd_get(epfd);
	bool ok = o && o->kind == KIND_EPOLL && o->epoll;

	if (ok)
		epoll_nested(o, epfd);
	fd_put(o);
	if (ok)
		return epfd;
	return sock_fail(LIBC->fcntl(epfd, F_GETFD, NULL) < 0 ? EBADF : EINVAL);
}
