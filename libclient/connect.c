/* SPDX-License-Identifier: BSD-2-Clause */
/* connect.c - bind, connect, listen, accept, shutdown: the calls that decide whose a socket is and
 * move it from state to state.  An address that stackd serves makes it a stack socket. */
#include "client.h"

#include <errno.h>
#include <string.h>

#include "stackd.h"

#define BACKLOG_MAX 4096

static void to_kernel(struct ofd *o, int fd)
{
	if (o->mode == MODE_CANDIDATE) {
		epoll_sock_kernel(o);
		atomic_store(&o->mode, MODE_KERNEL);
	}
	fd_forget(fd);
}

/* The attachment if it serves this address, else NULL: *error then says whether to fail. */
static struct attach *side_of(const struct ofd *o, const struct addr *a, bool for_bind, int *error)
{
	struct attach *at;

	*error = 0;
	if (addr_is_local(a, for_bind))
		return NULL;
	at = attach_get();
	if (!at && attach_required())
		*error = ENETUNREACH;
	return at && attach_serves(at, a, for_bind, o->ifindex) ? at : NULL;
}

/* ---- bind ---- */

static bool kernel_flag(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return LIBC->getsockopt(fd, level, name, &value, &len) == 0 && value;
}

/* After a connect that failed and said so the socket is as new, if it wasn't bound. */
static int forget_failed(struct ofd *o)
{
	return o->unconnected && !o->bound ? sock_renew(o) : 0;
}

static bool is_mapped(const struct addr *a)
{
	struct in6_addr in6;

	memcpy(&in6, a->byte, sizeof(in6));
	return IN6_IS_ADDR_V4MAPPED(&in6);
}

static int bind_stack(struct ofd *o, int fd, const struct addr *a)
{
	struct addr asked = *a;
	int error = forget_failed(o);

	if (error)
		return error;
	if (o->bound || o->connect_posted || o->accepted)
		return EINVAL;
	o->bind_flags = (kernel_flag(fd, SOL_SOCKET, SO_REUSEADDR) ? STACKD_BIND_REUSEADDR : 0u) |
			(kernel_flag(fd, SOL_SOCKET, SO_REUSEPORT) ? STACKD_BIND_REUSEPORT : 0u) |
			(o->domain == AF_INET ? STACKD_BIND_IPV4 : 0u);
	if (o->domain == AF_INET6 && kernel_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		o->bind_flags |= STACKD_BIND_V6ONLY;
	if ((o->bind_flags & STACKD_BIND_V6ONLY) && is_mapped(a))
		return EINVAL;
	error = sock_bind(o, &asked);
	if (error)
		return error;
	o->bound = true;
	o->local = asked;
	o->port_chosen = a->port == 0;
	error = both_bind(o, fd, a->port == 0);
	if (!error && o->domain == AF_INET6)
		option_bound(o);
	return error;
}

int stackd_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct ofd *o = fd_get(fd);
	struct attach *at;
	struct addr a;
	int error = 0;

	if (!o || o->kind != KIND_SOCKET || o->mode == MODE_KERNEL || !addr_from(sa, len, &a) ||
	    o->domain != sa->sa_family) {
		fd_put(o);
		return LIBC->bind(fd, sa, len);
	}
	if (o->mode == MODE_CANDIDATE) {
		at = side_of(o, &a, true, &error);
		if (at) {
			error = sock_adopt(o, at);
		} else if (!error) {
			error = LIBC->bind(fd, sa, len) < 0 ? errno : 0;
			if (!error)
				to_kernel(o, fd);
			fd_put(o);
			return sock_fail(error);
		}
	}
	if (!error)
		error = bind_stack(o, fd, &a);
	fd_put(o);
	return sock_fail(error);
}

/* ---- connect ---- */

/* A wildcard bind made it a stack socket, but the destination is the kernel's.  A port that was
 * chosen among the stack's free ones may be taken there: then the kernel chooses. */
static int back_to_kernel(struct ofd *o, int fd)
{
	int error = 0;

	sock_release(o);
	atomic_store(&o->mode, MODE_KERNEL);
	if (o->bound && !o->both)
		error = sock_bind_kernel(o, fd, o->local.port);
	if (error == EADDRINUSE && o->port_chosen)
		error = sock_bind_kernel(o, fd, 0);
	if (!error)
		fd_forget(fd);
	return error;
}

static int connect_again(struct ofd *o)
{
	uint32_t state = sock_state(o);
	bool first = o->connect_pending;
	int error;

	if (state == STACKD_SOCK_CONNECTING)
		return EALREADY;
	o->connect_pending = false;
	if (state == STACKD_SOCK_CONNECTED)
		return first ? 0 : EISCONN;
	if (first) {
		error = sock_take_error(o);
		o->unconnected = true;
		return error ? error : ECONNABORTED;
	}
	return -1; /* failed before: a new attempt */
}

static int connect_finish(struct ofd *o)
{
	int error;

	if (sock_state(o) == STACKD_SOCK_CONNECTED) {
		o->connect_pending = false;
		return 0;
	}
	o->connect_pending = false;
	error = sock_take_error(o);
	o->unconnected = true;
	return error ? error : ECONNABORTED;
}

/* late: what to say when it takes too long */
static int connect_wait(struct ofd *o, int late)
{
	int error;

	if (o->nonblock)
		return late;
	error = wait_for(o, STACKD_OUT, ready_connected, !o->sndtimeo_ns,
			 wait_deadline(o->sndtimeo_ns));
	if (error == EAGAIN)
		return late;
	return error ? error : connect_finish(o);
}

/* What Linux says before it looks for a route: an IPv6 socket may be one for IPv6 alone, or bound
 * to an IPv4 address. */
static int wrong_family(const struct ofd *o, int fd, const struct addr *a)
{
	if (o->domain != AF_INET6)
		return 0;
	if (is_mapped(a))
		return option_value(o, IPPROTO_IPV6, IPV6_V6ONLY) ||
				       kernel_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY)
			   ? ENETUNREACH
			   : 0;
	return o->bound && is_mapped(&o->local) ? EAFNOSUPPORT : 0;
}

static int connect_stack(struct ofd *o, int fd, const struct addr *a)
{
	int error;

	if (o->listening || o->accepted)
		return EISCONN;
	if (o->connect_posted) {
		error = connect_again(o);
		if (error == EALREADY)
			return connect_wait(o, EALREADY);
		if (error >= 0)
			return error;
		error = sock_renew(o);
		if (error)
			return error;
	}
	error = wrong_family(o, fd, a);
	if (error)
		return error;
	memcpy(o->sock->req_addr, a->byte, 16);
	o->sock->req_port = a->port;
	o->connect_pending = true;
	o->connect_posted = true;
	queue_post(o, STACKD_OP_CONNECT, 0, 0, 0);
	return connect_wait(o, EINPROGRESS);
}

static bool is_unspecified(const struct sockaddr *sa, socklen_t len)
{
	return sa && len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNSPEC;
}

int stackd_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct ofd *o = fd_get(fd);
	struct attach *at;
	struct addr a;
	int error = 0;

	if (o && o->kind == KIND_SOCKET && o->mode == MODE_STACK && is_unspecified(sa, len)) {
		error = o->listening ? EOPNOTSUPP : sock_disconnect(o);
		fd_put(o);
		return sock_fail(error);
	}
	if (!o || o->kind != KIND_SOCKET || o->mode == MODE_KERNEL || !addr_from(sa, len, &a) ||
	    o->domain != sa->sa_family) {
		fd_put(o);
		return LIBC->connect(fd, sa, len);
	}
	at = side_of(o, &a, false, &error);
	if (!error && o->mode == MODE_CANDIDATE) {
		if (at)
			error = sock_adopt(o, at);
		else
			to_kernel(o, fd);
	} else if (!error && !at && !o->connect_posted && !o->listening && !o->accepted) {
		error = back_to_kernel(o, fd);
	}
	if (!error && o->mode == MODE_STACK)
		error = connect_stack(o, fd, &a);
	else if (!error)
		error = LIBC->connect(fd, sa, len) < 0 ? errno : 0;
	fd_put(o);
	return sock_fail(error);
}

/* ---- listen ---- */

static int listen_stack(struct ofd *o, int fd, int backlog)
{
	struct addr any = {{0}, 0};
	struct stackd_request q;
	struct stackd_reply r;
	int error;

	error = forget_failed(o);
	if (error)
		return error;
	if (o->connect_posted || o->accepted)
		return EINVAL;
	if (!o->bound) {
		if (o->domain == AF_INET)
			memset(any.byte + 10, 0xff, 2);
		error = bind_stack(o, fd, &any);
		if (error)
			return error;
	}
	error = both_listen(o, fd, backlog);
	if (error)
		return error;
	sock_request(o, &q, STACKD_REQ_LISTEN);
	q.arg2 = attach_device(o->attach, o->ifindex);
	q.arg = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (uint32_t)backlog;
	error = attach_request(o->attach, &q, &r, -1);
	if (error && !o->listening)
		both_shutdown(o, SHUT_RDWR);
	if (error)
		return error;
	o->listening = true;
	__atomic_and_fetch(&o->sock->client_word, ~(uint32_t)3, __ATOMIC_SEQ_CST);
	epoll_sock_both(o);
	return 0;
}

int stackd_listen(int fd, int backlog)
{
	struct ofd *o = fd_get(fd);
	struct addr any = {{0}, 0};
	struct attach *at;
	int error = 0;

	if (o && o->kind == KIND_SOCKET && o->mode == MODE_CANDIDATE) {
		/* unbound: everywhere, at a port of the stack's choice */
		at = side_of(o, &any, true, &error);
		if (at)
			error = sock_adopt(o, at);
	}
	if (!error && o && o->kind == KIND_SOCKET && o->mode == MODE_STACK)
		error = listen_stack(o, fd, backlog);
	else if (!error)
		error = LIBC->listen(fd, backlog) < 0 ? errno : 0;
	fd_put(o);
	return sock_fail(error);
}

/* ---- accept ---- */

static struct stackd_accept_ring *accept_ring(const struct ofd *o, uint32_t shard)
{
	return stackd_shm_accept(o->region->base, &o->region->head, o->slot, shard);
}

bool accept_pending(const struct ofd *o)
{
	for (uint32_t s = 0; s < o->region->head.shards; s++) {
		struct stackd_accept_ring *r = accept_ring(o, s);

		if (atomic_load_explicit(&r->head, memory_order_relaxed) !=
		    atomic_load_explicit(&r->tail, memory_order_acquire))
			return true;
	}
	return false;
}

uint64_t accept_tail(const struct ofd *o)
{
	uint64_t sum = 0;

	for (uint32_t s = 0; s < o->region->head.shards; s++)
		sum += atomic_load_explicit(&accept_ring(o, s)->tail, memory_order_acquire);
	return sum;
}

static bool accept_pop_ring(const struct ofd *o, uint32_t shard, uint32_t *slot)
{
	const struct stackd_shm_head *h = &o->region->head;
	struct stackd_accept_ring *r = accept_ring(o, shard);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	while (head != atomic_load_explicit(&r->tail, memory_order_acquire)) {
		*slot = atomic_load_explicit(&r->slot[head & (h->accept_entries - 1)],
					     memory_order_relaxed);
		if (atomic_compare_exchange_weak_explicit(&r->head, &head, head + 1,
							  memory_order_acq_rel,
							  memory_order_acquire))
			return *slot < h->sock_count;
	}
	return false;
}

static bool accept_pop(const struct ofd *o, uint32_t *slot)
{
	static _Thread_local uint32_t turn __attribute__((tls_model("initial-exec")));
	uint32_t shards = o->region->head.shards;

	turn++;
	for (uint32_t s = 0; s < shards; s++)
		if (accept_pop_ring(o, (turn + s) % shards, slot))
			return true;
	return false;
}

/* The descriptor comes first, so that running out of them loses no connection. */
static int accept_one(const struct ofd *listener, int from, int flags)
{
	struct ofd *o;
	uint32_t slot;
	int fd;

	fd = LIBC->socket(listener->domain, SOCK_STREAM | flags, 0);
	if (fd < 0)
		return -errno;
	o = ofd_new(KIND_SOCKET);
	if (!o || !accept_pop(listener, &slot)) {
		int error = o ? EAGAIN : ENOMEM;

		fd_put(o);
		LIBC->close(fd);
		return -error;
	}
	sock_accepted(o, listener, slot);
	option_hand_on(listener, from, fd);
	o->inode = fd_inode(fd);
	atomic_store(&o->nonblock, (flags & SOCK_NONBLOCK) != 0);
	return fd_install(fd, o) ? fd : -EMFILE;
}

/* Of a listener with two halves each is the first to be asked now and then. */
static int accept_any(const struct ofd *o, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	static _Thread_local uint32_t turn __attribute__((tls_model("initial-exec")));
	bool kernel_first = o->both && turn++ & 1;
	int r = -EAGAIN;

	if (kernel_first)
		r = both_accept(o, sa, len, flags);
	while (r == -EAGAIN && accept_pending(o)) /* another thread may be faster */
		r = accept_one(o, fd, flags);
	if (r == -EAGAIN && !kernel_first)
		r = both_accept(o, sa, len, flags);
	return r;
}

static int accept_wait(struct ofd *o, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int64_t deadline = wait_deadline(o->rcvtimeo_ns);

	for (;;) {
		int r;

		if (!o->listening || (sock_shut(o) & 1))
			return -EINVAL;
		if (attach_is_dead(o->attach))
			return -ECONNABORTED;
		r = accept_any(o, fd, sa, len, flags);
		if (r != -EAGAIN)
			return r;
		if (o->nonblock)
			return attach_glance(o->attach) ? -ECONNABORTED : -EAGAIN;
		r = wait_for(o, STACKD_IN, ready_accept, !o->rcvtimeo_ns, deadline);
		if (r)
			return -r;
	}
}

int stackd_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct ofd *o = fd_get_stack(fd);
	struct ofd *got;
	struct addr a;
	int r;

	if (!o)
		return LIBC->accept4(fd, sa, len, flags);
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		r = -EINVAL;
	else
		r = accept_wait(o, fd, sa, len, flags);
	fd_put(o);
	if (r < 0)
		return sock_fail(-r);
	if (sa && !len) { /* as on Linux the connection is lost */
		stackd_close(r);
		return sock_fail(EFAULT);
	}
	got = sa ? fd_get_stack(r) : NULL;
	if (got) {
		memcpy(a.byte, got->sock->remote_addr, 16);
		a.port = got->sock->remote_port;
		addr_to(&a, got->domain, sa, len);
		fd_put(got);
	}
	return r;
}

int stackd_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	return stackd_accept4(fd, sa, len, 0);
}

/* ---- shutdown ---- */

static int shutdown_stack(struct ofd *o, int how)
{
	uint32_t state = sock_state(o);
	uint32_t bits = how == SHUT_RD ? 1 : how == SHUT_WR ? 2 : 3;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return EINVAL;
	if (attach_is_dead(o->attach))
		return ENOTCONN;
	if (state == STACKD_SOCK_CONNECTING)
		return sock_disconnect(o);
	if (state == STACKD_SOCK_LISTENING && bits == 2)
		return 0; /* it has nothing to write */
	if (state != STACKD_SOCK_CLOSED)
		__atomic_or_fetch(&o->sock->client_word, bits, __ATOMIC_SEQ_CST);
	if (state == STACKD_SOCK_OPEN || state == STACKD_SOCK_CLOSED)
		return ENOTCONN;
	queue_post(o, STACKD_OP_SHUTDOWN, 0, how, 0);
	both_shutdown(o, how);
	queue_wake(o);
	return 0;
}

int stackd_shutdown(int fd, int how)
{
	struct ofd *o = fd_get_stack(fd);
	int error;

	if (!o)
		return LIBC->shutdown(fd, how);
	error = shutdown_stack(o, how);
	fd_put(o);
	return sock_fail(error);
}
