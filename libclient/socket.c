/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - what a stack socket is: a slot in a region behind a kernel descriptor.  Owns slots,
 * states, names and the end; the calls that move a socket on are in connect.c. */
#include "client.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "stackd.h"

#define LINGER_STEP_NS 5000000

int sock_fail(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

/* ---- addresses ---- */

static void addr_map(struct addr *a, const void *v4)
{
	memset(a->byte, 0, 10);
	memset(a->byte + 10, 0xff, 2);
	memcpy(a->byte + 12, v4, 4);
}

bool addr_from(const struct sockaddr *sa, socklen_t len, struct addr *a)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!sa || len < sizeof(sa->sa_family) || len > sizeof(struct sockaddr_storage))
		return false;
	if (sa->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		addr_map(a, &in.sin_addr);
		a->port = ntohs(in.sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		memcpy(a->byte, &in6.sin6_addr, 16);
		a->port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

void addr_to(const struct addr *a, int domain, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	const void *from = &in6;
	socklen_t size = sizeof(in6);

	if (domain == AF_INET) {
		memcpy(&in.sin_addr, a->byte + 12, 4);
		from = &in;
		size = sizeof(in);
	} else {
		memcpy(&in6.sin6_addr, a->byte, 16);
	}
	if (!sa || !len)
		return;
	memcpy(sa, from, *len < size ? *len : size);
	*len = size;
}

int sock_bind_kernel(const struct ofd *o, int fd, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a = o->local;

	a.port = port;
	addr_to(&a, o->domain, (struct sockaddr *)&ss, &len);
	return LIBC->bind(fd, (struct sockaddr *)&ss, len) < 0 ? errno : 0;
}

static bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (bits > 128 || memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool is_any(const uint8_t a[16])
{
	static const uint8_t zero[16], mapped[16] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(a, zero, 16) || !memcmp(a, mapped, 16);
}

static bool is_loopback(const uint8_t a[16])
{
	static const uint8_t v6[16] = {[15] = 1};
	static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};

	return !memcmp(a, v6, 16) || !memcmp(a, v4, 13);
}

bool addr_is_any(const struct addr *a)
{
	return is_any(a->byte);
}

bool addr_is_local(const struct addr *a, bool for_bind)
{
	return is_loopback(a->byte) || (!for_bind && is_any(a->byte));
}

static uint32_t route_count(const struct stackd_board *b)
{
	return b->route_count < STACKD_ROUTES_MAX ? b->route_count : STACKD_ROUTES_MAX;
}

uint32_t attach_device(const struct attach *at, int ifindex)
{
	const struct stackd_board *b = at->board;

	for (uint32_t i = 0; ifindex && i < route_count(b); i++)
		if (b->route[i].ifindex == (uint32_t)ifindex)
			return b->route[i].interface + 1u;
	return 0;
}

bool attach_reaches(const struct attach *at, const struct addr *a, int ifindex)
{
	const struct stackd_board *b = at->board;

	for (uint32_t i = 0; i < route_count(b); i++) {
		const struct stackd_route *r = &b->route[i];

		if ((!ifindex || r->ifindex == (uint32_t)ifindex) && prefix_matches(a->byte, r->addr, r->bits))
			return true;
	}
	return false;
}

bool attach_owns(const struct attach *at, const struct addr *a)
{
	const struct stackd_board *b = at->board;

	for (uint32_t i = 0; i < route_count(b); i++)
		if (b->route[i].own && (is_any(a->byte) || !memcmp(a->byte, b->route[i].addr, 16)))
			return true;
	return false;
}

bool attach_serves(const struct attach *at, const struct addr *a, bool for_bind, int ifindex)
{
	if (addr_is_local(a, for_bind) || (ifindex && !attach_device(at, ifindex)))
		return false;
	/* by an interface of stackd's the kernel reaches nothing */
	return for_bind ? attach_owns(at, a) : ifindex || attach_reaches(at, a, 0);
}

/* ---- slots ---- */

void sock_place(struct ofd *o, struct attach *a, struct region *g, uint32_t slot)
{
	o->attach = a;
	o->region = g;
	o->slot = slot;
	o->sock = stackd_shm_sock(g->base, &g->head, slot);
	o->gen = atomic_load_explicit(&o->sock->gen, memory_order_acquire);
	o->rx = stackd_shm_rx(g->base, &g->head, slot);
	o->tx = stackd_shm_tx(g->base, &g->head, slot);
	o->rx_bytes = g->head.rx_bytes;
	o->tx_bytes = g->head.tx_bytes;
	atomic_store(&o->peeked_to, 0);
	atomic_store(&o->reserved_to, 0);
}

static void slot_reset(struct stackd_sock *s)
{
	atomic_store_explicit(&s->rx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&s->tx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&s->tx_posted, 0, memory_order_relaxed);
	atomic_store_explicit(&s->rx_posted, 0, memory_order_relaxed);
	atomic_store_explicit(&s->tx_nospace, 0, memory_order_relaxed);
	atomic_store_explicit(&s->rx_lock, 0, memory_order_relaxed);
	atomic_store_explicit(&s->tx_lock, 0, memory_order_relaxed);
	__atomic_store_n(&s->client_word, 0, __ATOMIC_RELEASE);
}

/* A slot whose close the daemon hasn't seen yet may still read FREE: its generation tells. */
static bool slot_take(struct ofd *o, struct attach *a)
{
	const struct stackd_shm_head *h = &a->own->head;
	bool found = false;

	lock_take(&table_lock);
	for (uint32_t n = 0; n < h->sock_own && !found; n++) {
		uint32_t i = a->slot_next++ % h->sock_own;
		struct stackd_sock *s = stackd_shm_sock(a->own->base, h, i);

		if (atomic_load_explicit(&s->state, memory_order_acquire) != STACKD_SOCK_FREE ||
		    a->slot_used[i] == atomic_load(&s->gen) + 1)
			continue;
		sock_place(o, a, a->own, i);
		a->slot_used[i] = o->gen + 1;
		slot_reset(s);
		found = true;
	}
	lock_drop(&table_lock);
	return found;
}

int sock_adopt(struct ofd *o, struct attach *a)
{
	int error;

	if (o->kernel_only)
		return ENOPROTOOPT;
	if (!slot_take(o, a))
		return ENOBUFS;
	atomic_store_explicit(&o->mode, MODE_STACK, memory_order_release);
	epoll_sock_migrate(o);
	error = option_replay(o);
	return error ? error : owner_apply(o);
}

int sock_bind(struct ofd *o, struct addr *a)
{
	struct stackd_request q;
	struct stackd_reply r;
	int error;

	sock_request(o, &q, STACKD_REQ_BIND);
	memcpy(q.addr, a->byte, 16);
	q.port = a->port;
	q.arg = o->bind_flags;
	q.arg2 = attach_device(o->attach, o->ifindex);
	error = attach_request(o->attach, &q, &r, -1);
	if (!error)
		a->port = (uint16_t)r.value;
	return error;
}

static int renew(struct ofd *o, bool reset)
{
	struct ofd old = *o;
	int error = 0;

	if (!slot_take(o, o->attach))
		return ENOBUFS;
	queue_post(&old, STACKD_OP_CLOSE, 0, reset, 0);
	o->connect_posted = o->connect_pending = o->accepted = o->unconnected = false;
	if (o->bound) /* what bind gave stays */
		error = sock_bind(o, &o->local);
	lock_take(&table_lock);
	watch_repost(o);
	lock_drop(&table_lock);
	return error ? error : option_replay(o);
}

int sock_renew(struct ofd *o)
{
	return renew(o, false);
}

int sock_disconnect(struct ofd *o)
{
	bool was_closed = sock_state(o) == STACKD_SOCK_CLOSED;
	int error = renew(o, true);

	if (!error && !was_closed)
		atomic_store(&o->error, ECONNRESET);
	queue_wake(o);
	return error;
}

void sock_accepted(struct ofd *o, const struct ofd *listener, uint32_t slot)
{
	sock_place(o, listener->attach, listener->region, slot);
	o->domain = listener->domain;
	o->accepted = true;
	slot_reset(o->sock);
	option_inherit(o, listener);
	atomic_store_explicit(&o->mode, MODE_STACK, memory_order_release);
	queue_post(o, STACKD_OP_CLAIM, 0, 0, 0);
}

/* ---- state ---- */

uint32_t sock_state(const struct ofd *o)
{
	uint32_t state = atomic_load_explicit(&o->sock->state, memory_order_acquire);

	if (attach_is_dead(o->attach) ||
	    atomic_load_explicit(&o->sock->gen, memory_order_relaxed) != o->gen)
		return STACKD_SOCK_CLOSED;
	if (o->unconnected)
		return STACKD_SOCK_OPEN;
	if (o->connect_posted && (state == STACKD_SOCK_FREE || state == STACKD_SOCK_OPEN))
		return STACKD_SOCK_CONNECTING;
	return state == STACKD_SOCK_FREE ? STACKD_SOCK_OPEN : state;
}

int sock_take_error(struct ofd *o)
{
	if (attach_is_dead(o->attach))
		return ECONNRESET;
	if (atomic_load_explicit(&o->error, memory_order_relaxed))
		return atomic_exchange(&o->error, 0);
	if (!atomic_load_explicit(&o->sock->error, memory_order_relaxed))
		return 0;
	return atomic_exchange(&o->sock->error, 0);
}

uint32_t sock_shut(const struct ofd *o)
{
	return sock_word(o) & 3;
}

void sock_request(const struct ofd *o, struct stackd_request *q, uint32_t type)
{
	memset(q, 0, sizeof(*q));
	q->type = type;
	q->region = o->region->head.region;
	q->slot = o->slot;
	q->gen = o->gen;
}

/* ---- names ---- */

static void slot_name(const struct ofd *o, bool remote, struct addr *a)
{
	memcpy(a->byte, remote ? o->sock->remote_addr : o->sock->local_addr, 16);
	a->port = remote ? o->sock->remote_port : o->sock->local_port;
}

static bool has_name(const struct ofd *o)
{
	uint32_t state = sock_state(o);

	return o->accepted || state == STACKD_SOCK_CONNECTED || state == STACKD_SOCK_LISTENING ||
	       (o->connect_posted && state == STACKD_SOCK_CLOSED);
}

int stackd_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct ofd *o = fd_get_stack(fd);
	struct addr a;

	if (!o)
		return LIBC->getsockname(fd, sa, len);
	a = o->local;
	if (has_name(o))
		slot_name(o, false, &a);
	addr_to(&a, o->domain, sa, len);
	fd_put(o);
	return sock_fail(sa && len ? 0 : EFAULT);
}

int stackd_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct ofd *o = fd_get_stack(fd);
	struct addr a;
	bool connected;

	if (!o)
		return LIBC->getpeername(fd, sa, len);
	connected = sock_state(o) == STACKD_SOCK_CONNECTED;
	if (connected) {
		slot_name(o, true, &a);
		addr_to(&a, o->domain, sa, len);
	}
	fd_put(o);
	if (!connected)
		return sock_fail(ENOTCONN);
	return sock_fail(sa && len ? 0 : EFAULT);
}

/* ---- beginning and end ---- */

int stackd_socket(int domain, int type, int protocol)
{
	int fd = LIBC->socket(domain, type, protocol);
	struct ofd *o;

	if (fd < 0 || (domain != AF_INET && domain != AF_INET6) ||
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
	    (protocol != 0 && protocol != IPPROTO_TCP))
		return fd;
	o = ofd_new(KIND_SOCKET);
	if (!o)
		return fd; /* the kernel's then */
	o->domain = domain;
	o->inode = fd_inode(fd);
	atomic_store(&o->nonblock, (type & SOCK_NONBLOCK) != 0);
	fd_install(fd, o);
	return fd;
}

static uint64_t unacknowledged(const struct ofd *o)
{
	return atomic_load_explicit(&o->sock->tx_tail, memory_order_relaxed) -
	       atomic_load_explicit(&o->sock->tx_head, memory_order_acquire);
}

/* close() with SO_LINGER waits until all is acknowledged, at most that long. */
static void linger(struct ofd *o)
{
	static const struct timespec step = {.tv_nsec = LINGER_STEP_NS};
	int64_t end = clock_now() + o->linger * INT64_C(1000000000);

	if (unacknowledged(o) == 0)
		return;
	queue_post(o, STACKD_OP_SHUTDOWN, 0, SHUT_WR, 0);
	while (unacknowledged(o) && clock_now() < end && !attach_check(o->attach) &&
	       sock_state(o) == STACKD_SOCK_CONNECTED)
		nanosleep(&step, NULL);
}

void sock_release(struct ofd *o)
{
	lock_take(&table_lock);
	epoll_sock_gone(o);
	if (o->mode == MODE_STACK)
		while (o->watches)
			watch_remove(o->watches);
	lock_drop(&table_lock);
	both_release(o);
	if (o->mode != MODE_STACK || attach_is_dead(o->attach))
		return;
	if (o->linger > 0 && !o->nonblock && !o->listening)
		linger(o);
	queue_post(o, STACKD_OP_CLOSE, 0, o->linger == 0, 0);
}
