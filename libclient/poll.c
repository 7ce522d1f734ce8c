/* SPDX-License-Identifier: BSD-2-Clause */
/* poll.c - poll and select over any mix of kernel and stack descriptors.  The stack's are read from
 * shared memory; the kernel's, our event queue and the daemon's connection are waited for in one
 * ppoll.  A call without a stack socket goes to libc as it is. */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stackd.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define ON_STACK  64
#define DEGRADED_NS 2000000

/* One call: entry i of ofd and kernel belongs to fds[i]; kernel has two more for ourselves. */
struct call {
	struct pollfd *fds;
	nfds_t n;
	struct ofd **ofd;
	struct pollfd *kernel;
	nfds_t kernel_count;
	struct attach *attach; /* a living one, if any */
	const sigset_t *mask;
};

static bool has_stack(const struct pollfd *fds, nfds_t n)
{
	bool found = false;

	for (nfds_t i = 0; i < n; i++)
		found |= fd_is_ours(fds[i].fd);
	return found;
}

static void open_call(struct call *c)
{
	for (nfds_t i = 0; i < c->n; i++) {
		struct ofd *o = fd_get(c->fds[i].fd);

		if (o && o->kind == KIND_EPOLL)
			epoll_nested(o, c->fds[i].fd);
		if (o && (o->kind != KIND_SOCKET || o->mode != MODE_STACK)) {
			fd_put(o);
			o = NULL;
		}
		c->ofd[i] = o;
		c->kernel[i] = c->fds[i];
		c->kernel[i].revents = 0;
		if (o) { /* of a listener there may be a kernel's half */
			c->kernel[i].fd = atomic_load(&o->beside);
			c->kernel[i].events &= POLLIN | POLLRDNORM;
		}
		c->kernel_count += c->kernel[i].fd >= 0;
		if (o && !attach_is_dead(o->attach))
			c->attach = o->attach;
	}
}

static void close_call(struct call *c)
{
	for (nfds_t i = 0; i < c->n; i++)
		fd_put(c->ofd[i]);
}

/* Fills revents of the stack's sockets; how many have some. */
static int scan(struct call *c)
{
	int ready = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		uint32_t want;

		if (!c->ofd[i])
			continue;
		want = (uint16_t)c->fds[i].events;
		want = ready_bits(c->ofd[i], want) & (want | POLLERR | POLLHUP);
		c->fds[i].revents = (short)want;
		ready += want != 0;
	}
	return ready;
}

static int kernel_results(struct call *c)
{
	int ready = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		if (c->ofd[i])
			continue;
		c->fds[i].revents = c->kernel[i].revents;
		ready += c->kernel[i].revents != 0;
	}
	return ready;
}

/* Asks the kernel without waiting, when the stack has something already. */
static int kernel_now(struct call *c)
{
	static const struct timespec zero;
	struct timespec t = zero;

	if (!c->kernel_count)
		return kernel_results(c);
	if (LIBC->ppoll(c->kernel, c->n, &t, c->mask) < 0)
		return -1;
	return kernel_results(c);
}

static bool subscribe_one(struct ofd *o, struct evq *e, uint32_t interest)
{
	struct watch *w = watch_find(o, evq_known(e));

	if (w)
		watch_mask(w, w->mask | interest);
	else
		w = watch_add(o, evq_known(e), NULL, interest);
	if (w && !e->host)
		w->round = e->round;
	return w != NULL;
}

static bool subscribe_all(struct call *c, struct evq *e)
{
	bool all = true;

	lock_take(&table_lock);
	e->round++;
	e->wants = NULL;
	for (int attempt = 0; attempt < 2; attempt++) {
		all = true;
		for (nfds_t i = 0; i < c->n; i++)
			if (c->ofd[i] && c->ofd[i]->attach == e->attach)
				all &= subscribe_one(c->ofd[i], e,
						     ready_interest((uint16_t)c->fds[i].events));
		if (all || e->host)
			break;
		watch_evict(e, e->round);
	}
	lock_drop(&table_lock);
	return all;
}

/* One sleep in the kernel for everything.  1: something may be ready, 0: time is up, -1 errno. */
static int kernel_sleep(struct call *c, struct evq *e, int64_t deadline, bool degraded)
{
	struct pollfd *own = c->kernel + c->n;
	int64_t now = clock_now(), left = deadline < 0 ? -1 : deadline > now ? deadline - now : 0;
	int64_t step = degraded && (left < 0 || left > DEGRADED_NS) ? DEGRADED_NS : left;
	struct timespec t = {.tv_sec = step / NS_PER_S, .tv_nsec = step % NS_PER_S};
	bool only_own = c->kernel_count == 0;
	int n;

	own[0] = (struct pollfd){.fd = e ? evq_sleeps_on(e) : -1, .events = POLLIN};
	own[1] = (struct pollfd){.fd = c->attach ? c->attach->conn : -1};
	n = wait_ppoll(only_own ? own : c->kernel, only_own ? 2 : c->n + 2, step < 0 ? NULL : &t,
		       c->mask);
	if (n < 0)
		return -1;
	if (own[0].revents)
		evq_drain(e);
	if (own[1].revents)
		attach_check(c->attach);
	return n > 0 || step != left;
}

static bool any_ready(void *arg)
{
	struct call *c = arg;

	return scan(c) > 0;
}

static int sleep_once(struct call *c, struct evq *e, bool degraded, int64_t deadline)
{
	int r = 1;

	if (e) {
		evq_arm(e);
		evq_pop(e, NULL);
	}
	if (scan(c) == 0)
		r = kernel_sleep(c, e, deadline, degraded);
	if (e)
		evq_disarm(e);
	return r;
}

static int poll_call(struct call *c, int64_t deadline)
{
	struct evq *e = NULL;
	bool degraded = false;

	for (int round = 0;; round++) {
		int r, ready = scan(c);

		/* after a sleep the kernel's answers are in place already */
		r = round && !ready ? kernel_results(c) : 0;
		if (ready || deadline == 0)
			r = kernel_now(c);
		if (r < 0 || ready + r > 0 || deadline == 0)
			return r < 0 ? -1 : ready + r;
		if (round == 0 && c->attach) {
			e = wait_evq(c->attach);
			if (e && !c->kernel_count && wait_spin(e, any_ready, c))
				continue;
			degraded = !e || !subscribe_all(c, e);
		}
		r = sleep_once(c, e, degraded, deadline);
		if (r < 0)
			return -1;
		if (r == 0)
			deadline = 0;
	}
}

/* deadline: ns of the monotonic clock; 0 don't wait, -1 for ever. */
static int poll_mixed(struct pollfd *fds, nfds_t n, int64_t deadline, const sigset_t *mask)
{
	struct ofd *ofd_small[ON_STACK];
	struct pollfd kernel_small[ON_STACK + 2];
	struct call c = {.fds = fds, .n = n, .ofd = ofd_small, .kernel = kernel_small, .mask = mask};
	bool large = n > ON_STACK;
	int r = -1, saved;

	if (large) {
		c.ofd = calloc(n, sizeof(*c.ofd));
		c.kernel = calloc(n + 2, sizeof(*c.kernel));
	}
	if (c.ofd && c.kernel) {
		open_call(&c);
		r = poll_call(&c, deadline);
		saved = errno;
		close_call(&c);
	} else {
		saved = ENOMEM;
	}
	if (large) {
		free(c.ofd);
		free(c.kernel);
	}
	if (r < 0)
		errno = saved;
	return r;
}

static int64_t deadline_of(int64_t timeout_ns)
{
	return timeout_ns <= 0 ? timeout_ns : clock_now() + timeout_ns;
}

int stackd_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (!has_stack(fds, n))
		return LIBC->poll(fds, n, timeout_ms);
	return poll_mixed(fds, n, deadline_of(timeout_ms < 0 ? -1 : timeout_ms * NS_PER_MS), NULL);
}

static bool timespec_ok(const struct timespec *t)
{
	return !t || (t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < NS_PER_S);
}

int64_t timespec_ns(const struct timespec *t)
{
	if (!t)
		return -1;
	if (t->tv_sec > INT64_MAX / NS_PER_S / 2)
		return INT64_MAX / 2;
	return t->tv_sec * NS_PER_S + t->tv_nsec;
}

int stackd_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (!has_stack(fds, n) || !timespec_ok(timeout))
		return LIBC->ppoll(fds, n, timeout, mask);
	return poll_mixed(fds, n, deadline_of(timespec_ns(timeout)), mask);
}

/* ---- select ---- */

#define IN_BITS	 (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define OUT_BITS (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)

/* The sets may be longer than fd_set: programs allocate them so. */
static bool bit(const fd_set *set, int fd)
{
	const unsigned long *word = (const void *)set;
	const int bits = 8 * (int)sizeof(long);

	return set && (word[fd / bits] >> (fd % bits) & 1);
}

static int put_bit(fd_set *set, int fd, bool on)
{
	unsigned long *word = (void *)set;
	const int bits = 8 * (int)sizeof(long);
	unsigned long mask = 1ul << (fd % bits);

	if (!set)
		return 0;
	if (on)
		word[fd / bits] |= mask;
	else
		word[fd / bits] &= ~mask;
	return on;
}

static bool sets_have_stack(int n, const fd_set *r, const fd_set *w, const fd_set *x)
{
	for (int fd = 0; fd < n; fd++)
		if (fd_is_ours(fd) && (bit(r, fd) || bit(w, fd) || bit(x, fd)))
			return true;
	return false;
}

static nfds_t sets_to_poll(int n, const fd_set *r, const fd_set *w, const fd_set *x,
			   struct pollfd *p)
{
	nfds_t count = 0;

	for (int fd = 0; fd < n; fd++) {
		int events = (bit(r, fd) ? POLLIN | POLLRDNORM : 0) |
			     (bit(w, fd) ? POLLOUT | POLLWRNORM : 0) | (bit(x, fd) ? POLLPRI : 0);

		if (events)
			p[count++] = (struct pollfd){.fd = fd, .events = (short)events};
	}
	return count;
}

static int poll_to_sets(const struct pollfd *p, nfds_t count, fd_set *r, fd_set *w, fd_set *x)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++)
		if (p[i].revents & POLLNVAL)
			return sock_fail(EBADF);
	for (nfds_t i = 0; i < count; i++) {
		int fd = p[i].fd, e = p[i].revents;

		ready += bit(r, fd) ? put_bit(r, fd, e & IN_BITS) : 0;
		ready += bit(w, fd) ? put_bit(w, fd, e & OUT_BITS) : 0;
		ready += bit(x, fd) ? put_bit(x, fd, e & POLLPRI) : 0;
	}
	return ready;
}

static int select_mixed(int n, fd_set *r, fd_set *w, fd_set *x, int64_t deadline,
			const sigset_t *mask)
{
	struct pollfd small[ON_STACK], *p = small;
	nfds_t count;
	int ready;

	if (n > ON_STACK)
		p = calloc((size_t)n, sizeof(*p));
	if (!p)
		return sock_fail(ENOMEM);
	count = sets_to_poll(n, r, w, x, p);
	ready = poll_mixed(p, count, deadline, mask);
	if (ready >= 0)
		ready = poll_to_sets(p, count, r, w, x);
	if (p != small)
		free(p);
	return ready;
}

int stackd_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	int64_t ns, deadline;
	int ready;

	if (n < 0 || !sets_have_stack(n, r, w, x) ||
	    (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return LIBC->select(n, r, w, x, timeout);
	ns = timeout ? timeout->tv_sec * NS_PER_S + timeout->tv_usec * 1000 : -1;
	deadline = deadline_of(ns);
	ready = select_mixed(n, r, w, x, deadline, NULL);
	if (timeout) { /* Linux leaves what was left of it */
		ns = deadline > 0 ? deadline - clock_now() : 0;
		ns = ns > 0 ? ns : 0;
		timeout->tv_sec = ns / NS_PER_S;
		timeout->tv_usec = ns % NS_PER_S / 1000;
	}
	return ready;
}

int stackd_pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
		   const sigset_t *mask)
{
	if (n < 0 || !sets_have_stack(n, r, w, x) || !timespec_ok(timeout))
		return LIBC->pselect(n, r, w, x, timeout, mask);
	return select_mixed(n, r, w, x, deadline_of(timespec_ns(timeout)), mask);
}
