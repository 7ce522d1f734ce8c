/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - owns sockets: made, named, connected, accepted, closed.  A closed one lives on without
 * a descriptor as long as its connection does. */
#include "packetdrill/adapter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EPHEMERAL_PORT 40000u
#define RING_MIN       4096u

/* --- names ------------------------------------------------------------------------------------ */

bool so_address_in(const struct sockaddr *sa, socklen_t len, struct endpoint *out)
{
	const struct sockaddr_in *in4 = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (!sa || len < sizeof(sa_family_t))
		return false;
	if (sa->sa_family == AF_INET && len >= sizeof(*in4)) {
		out->addr = addr_from4((const uint8_t *)&in4->sin_addr);
		out->port = ntohs(in4->sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6 && len >= sizeof(*in6)) {
		memcpy(out->addr.b, &in6->sin6_addr, 16);
		out->port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}

void so_address_out(const struct so *s, const struct endpoint *e, struct sockaddr *sa,
		    socklen_t *len)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(e->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
	const void *from = s->family == AF_INET ? (const void *)&in4 : &in6;
	socklen_t full = s->family == AF_INET ? sizeof(in4) : sizeof(in6);

	if (!sa || !len)
		return;
	memcpy(&in4.sin_addr, e->addr.b + 12, 4);
	memcpy(&in6.sin6_addr, e->addr.b, 16);
	memcpy(sa, from, *len < full ? *len : full);
	*len = full;
}

/* --- life ---------------------------------------------------------------------------------------
 */

static struct so *so_new(struct adapter *a, int family)
{
	struct so *s = calloc(1, sizeof(*s));
	const struct tcp_knobs *k = &a->rules.rules->fallback->knobs;

	if (!s)
		return NULL;
	s->adapter = a;
	s->fd = -1;
	s->family = family;
	s->options.receive_ns = s->options.send_ns = NS_NEVER;
	s->options.send_buffer = (uint32_t)k->send_buffer;
	if (k->autotune && k->send_buffer_start < k->send_buffer)
		s->options.send_buffer = (uint32_t)k->send_buffer_start;
	list_init(&s->ready);
	list_push_back(&a->sockets, &s->node);
	return s;
}

void so_free(struct so *s)
{
	list_unlink(&s->node);
	list_unlink(&s->ready);
	free(s->rx.mem);
	free(s->tx.mem);
	free(s);
}

static bool give_fd(struct so *s)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
	return s->fd >= 0;
}

static bool ring_make(struct byte_ring *r, uint64_t bytes)
{
	uint32_t size = RING_MIN;

	while (size < bytes && size < 1u << 30)
		size *= 2;
	*r = (struct byte_ring){calloc(1, size), size};
	return r->mem;
}

static bool attach(struct so *s)
{
	const struct tcp_knobs *k = &s->adapter->rules.rules->fallback->knobs;

	if (!ring_make(&s->rx, k->receive_buffer) || !ring_make(&s->tx, k->send_buffer))
		return false;
	tcp_attach(s->conn, s->rx, s->tx);
	so_apply_options(s);
	return true;
}

struct so *so_find(struct adapter *a, int fd)
{
	list_for_each (n, &a->sockets) {
		struct so *s = container_of(n, struct so, node);

		if (fd >= 0 && s->fd == fd)
			return s;
	}
	return NULL;
}

int so_create(struct adapter *a, int domain, int type, int protocol, int *fd)
{
	struct so *s;

	if (domain != AF_INET && domain != AF_INET6)
		return EAFNOSUPPORT;
	if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM)
		return ESOCKTNOSUPPORT;
	if (protocol != 0 && protocol != IPPROTO_TCP)
		return EPROTONOSUPPORT;
	s = so_new(a, domain);
	if (!s)
		return ENOMEM;
	if (!give_fd(s)) {
		so_free(s);
		return errno;
	}
	s->nonblock = type & SOCK_NONBLOCK;
	*fd = s->fd;
	return 0;
}

void so_sweep(struct adapter *a)
{
	list_for_each_safe (n, next, &a->sockets) {
		struct so *s = container_of(n, struct so, node);

		if (s->fd < 0 && !s->conn && s->busy == 0 && list_empty(&s->ready))
			so_free(s);
	}
}

/* --- naming -------------------------------------------------------------------------------------
 */

static bool port_taken(const struct so *me, uint16_t port)
{
	list_for_each (n, &me->adapter->sockets) {
		const struct so *s = container_of(n, struct so, node);
		bool shared = (s->options.reuse_address && me->options.reuse_address &&
			       s->state != STATE_LISTENING) ||
			      (s->options.reuse_port && me->options.reuse_port);

		if (s != me && s->bound && s->local.port == port && !shared)
			return true;
	}
	return false;
}

static uint16_t free_port(struct so *s)
{
	uint16_t *next = &s->adapter->next_port;

	do
		*next = *next < EPHEMERAL_PORT || *next == UINT16_MAX ? EPHEMERAL_PORT
								      : (uint16_t)(*next + 1);
	while (port_taken(s, *next));
	return *next;
}

int so_bind(struct so *s, const struct sockaddr *sa, socklen_t len)
{
	struct endpoint e;

	if (s->bound || s->state != STATE_FRESH || !so_address_in(sa, len, &e))
		return EINVAL;
	if (!addr_is_unspecified(&e.addr) && !addr_equal(&e.addr, &s->adapter->address))
		return EADDRNOTAVAIL;
	if (e.port == 0)
		e.port = free_port(s);
	else if (port_taken(s, e.port))
		return EADDRINUSE;
	s->local = e;
	s->bound = true;
	return 0;
}

int so_listen(struct so *s, int backlog)
{
	struct tcp_listen_config c = {.backlog = backlog < 0 ? BACKLOG_MAX : (uint32_t)backlog + 1,
				      .v4_only = s->family == AF_INET,
				      .v6_only = s->options.v6_only,
				      .user = s};

	if (s->state == STATE_LISTENING) {
		tcp_listener_set_backlog(s->listener, c.backlog);
		return 0;
	}
	if (s->state != STATE_FRESH)
		return EINVAL;
	if (!s->bound) {
		s->local = (struct endpoint){.port = free_port(s)};
		s->bound = true;
	}
	c.local = s->local;
	if (tcp_listen(s->adapter->host->tcp, &c, &s->listener) < 0)
		return ENOBUFS;
	s->state = STATE_LISTENING;
	return 0;
}

/* --- passive -------------------------------------------------------------------------------------
 */

struct so *so_accepted(struct adapter *a, struct tcp_conn *conn)
{
	struct tcp_listener *l = tcp_listener_of(conn);
	struct so *parent = l ? tcp_listener_user(l) : NULL;
	struct so *s = parent ? so_new(a, parent->family) : NULL;

	if (!s)
		return NULL;
	s->conn = conn;
	s->options = parent->options;
	s->options.reuse_address |= parent->options.reuse_address;
	tcp_set_user(conn, s);
	tcp_endpoints(conn, &s->local, &s->remote);
	if (attach(s))
		return s;
	tcp_set_user(conn, NULL);
	so_free(s);
	return NULL;
}

static bool someone_waits(void *arg)
{
	const struct so *s = arg;

	return !list_empty(&s->ready) || s->state != STATE_LISTENING;
}

int so_accept(struct so *s, struct sockaddr *sa, socklen_t *len, int *fd)
{
	struct list *n;
	struct so *new;

	if (s->state != STATE_LISTENING)
		return EINVAL;
	if (list_empty(&s->ready) && s->nonblock)
		return EAGAIN;
	if (!adapter_wait(s->adapter, someone_waits, s,
			  adapter_deadline(s->adapter, s->options.receive_ns)))
		return EAGAIN;
	n = list_pop(&s->ready);
	if (!n)
		return EINVAL;
	new = container_of(n, struct so, ready);
	if (!give_fd(new))
		return errno;
	if (new->conn)
		tcp_accepted(new->conn);
	so_address_out(new, &new->remote, sa, len);
	*fd = new->fd;
	return 0;
}

/* --- active --------------------------------------------------------------------------------------
 */

static bool connect_over(void *arg)
{
	return ((const struct so *)arg)->state != STATE_CONNECTING;
}

static int wait_connected(struct so *s)
{
	if (!adapter_wait(s->adapter, connect_over, s,
			  adapter_deadline(s->adapter, s->options.send_ns)))
		return EINPROGRESS;
	return s->state == STATE_CONNECTED ? 0 : so_take_error(s);
}

static int connect_again(struct so *s)
{
	switch (s->state) {
	case STATE_CONNECTING:
		return s->nonblock ? EALREADY : wait_connected(s);
	case STATE_LISTENING:
		return EINVAL;
	case STATE_CONNECTED:
		return EISCONN;
	default:
		return s->error ? so_take_error(s) : ECONNABORTED;
	}
}

int so_connect(struct so *s, const struct sockaddr *sa, socklen_t len)
{
	struct adapter *a = s->adapter;
	struct endpoint local = s->local, remote;
	int code;

	if (!so_address_in(sa, len, &remote))
		return EINVAL;
	if (s->state != STATE_FRESH)
		return connect_again(s);
	if (!s->bound)
		local.port = free_port(s);
	local.addr = a->address;
	code = tcp_connect(a->host->tcp, &local, &remote, NULL, s, a->now, &s->conn);
	if (code < 0)
		return -code;
	s->local = local;
	s->remote = remote;
	s->bound = true;
	s->state = STATE_CONNECTING;
	if (!attach(s)) {
		tcp_abort(s->conn);
		return ENOMEM;
	}
	adapter_turn(a);
	return s->nonblock ? EINPROGRESS : wait_connected(s);
}

/* --- news
 * ----------------------------------------------------------------------------------------- */

static void ended(struct so *s)
{
	s->error = tcp_conn_error(s->conn);
	s->state = STATE_ENDED;
	s->eof = true;
	s->conn = NULL;
}

static void grow_send_buffer(struct so *s)
{
	struct so_options *o = &s->options;
	uint32_t limit = s->conn && !o->send_buffer_named ? tcp_send_limit(s->conn, s->tx.size) : 0;

	if (limit > o->send_buffer)
		o->send_buffer = limit;
}

void so_event(struct so *s, uint32_t events)
{
	if (events & TCP_EV_CONNECTED)
		s->state = STATE_CONNECTED;
	if (events & TCP_EV_ACCEPTED) {
		struct tcp_listener *l = tcp_listener_of(s->conn);
		struct so *parent = l ? tcp_listener_user(l) : NULL;

		s->state = STATE_CONNECTED;
		if (parent) {
			list_push_back(&parent->ready, &s->ready);
			parent->news++;
		}
	}
	if (s->state == STATE_CONNECTED)
		s->was_connected = true;
	if (events & TCP_EV_READABLE)
		s->arrived = tcp_received(s->conn);
	if (events & TCP_EV_WRITABLE)
		s->acked = tcp_acked(s->conn);
	if (events & (TCP_EV_CONNECTED | TCP_EV_ACCEPTED | TCP_EV_WRITABLE))
		grow_send_buffer(s);
	if (events & TCP_EV_EOF)
		s->fin = s->eof = true;
	if (events & TCP_EV_CLOSED)
		ended(s);
	s->news++;
}

int so_take_error(struct so *s)
{
	int error = s->error;

	s->error = 0;
	return error;
}

/* --- the end
 * -------------------------------------------------------------------------------------- */

int so_shutdown(struct so *s, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return EINVAL;
	if (s->state != STATE_CONNECTED || !s->conn)
		return ENOTCONN;
	if (how != SHUT_WR)
		s->read_shut = true;
	if (how != SHUT_RD) {
		s->write_shut = true;
		tcp_shutdown_write(s->conn);
	}
	s->news++;
	return 0;
}

static void stop_listening(struct so *s)
{
	struct list *n;

	while ((n = list_pop(&s->ready))) {
		struct so *waits = container_of(n, struct so, ready);

		if (waits->conn)
			tcp_abort(waits->conn);
	}
	tcp_unlisten(s->adapter->host->tcp, s->listener);
	s->listener = NULL;
	s->state = STATE_ENDED;
}

static bool gone(void *arg)
{
	const struct so *s = arg;

	return !s->conn || s->acked == s->queued;
}

/* As close(2). */
int so_close(struct so *s)
{
	struct adapter *a = s->adapter;
	int fd = s->fd;

	ready_forget(s);
	s->fd = -1;
	s->bound = false;
	if (s->state == STATE_LISTENING)
		stop_listening(s);
	if (s->conn) {
		ns_t linger = s->options.lingers ? s->options.linger_ns : NS_NEVER;

		tcp_close(s->conn, s->arrived > s->received, linger);
		adapter_turn(a);
		if (s->options.lingers && linger > 0 && !s->nonblock)
			adapter_wait(a, gone, s, adapter_deadline(a, linger));
	}
	return close(fd);
}
