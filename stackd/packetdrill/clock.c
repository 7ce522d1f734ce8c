/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c - owns virtual time: what is due happens, and calls that wait go on. */
#include "packetdrill/adapter.h"

#include <string.h>

static void segment_arrived(struct adapter *a, const struct net_segment *seg)
{
	struct tcp *tcp = a->host->tcp;
	struct tcp_conn *conn;
	enum tcp_outcome o = tcp_input(tcp, seg, a->now, &conn);

	if (o == TCP_NEEDS_BUFFERS && so_accepted(a, conn))
		o = tcp_input(tcp, seg, a->now, &conn);
	if (o == TCP_NOT_FOUND)
		tcp_reject(tcp, seg, a->now);
}

static void take_frames(struct adapter *a)
{
	struct frame frame;
	struct net_result r;

	while (a->wire->ops->rx(a->wire, a->now, &frame, 1)) {
		switch (net_input(a->host->net, 0, &frame, a->now, &r)) {
		case NET_SEGMENT:
			segment_arrived(a, &r.segment);
			break;
		case NET_ERROR:
			tcp_error(a->host->tcp, &r.error, a->now);
			break;
		default:
			break;
		}
		a->wire->ops->rx_release(a->wire);
	}
}

static void take_events(struct adapter *a)
{
	struct tcp_conn *conn;
	uint32_t events;

	while ((conn = tcp_next_event(a->host->tcp, &events)))
		if (tcp_user(conn))
			so_event(tcp_user(conn), events);
}

/* Every remote address is behind a gateway that is always there. */
static void confirm_gateway(struct adapter *a)
{
	struct net_neighbour n = {.addr = a->gateway, .confirmed = true};

	memcpy(n.mac, a->wire->caps.mac, sizeof(n.mac));
	n.mac[5] ^= 3;
	net_learn(a->host->net, &n, a->now);
}

static bool due(const struct adapter *a, const struct waiter *w)
{
	return w->ready(w->arg) || a->now >= w->until;
}

static bool someone_due(struct adapter *a)
{
	list_for_each (n, &a->waiters) {
		if (due(a, container_of(n, struct waiter, node)))
			return true;
	}
	return false;
}

/* A call that can go on does so now, before anything else happens. */
static void settle(struct adapter *a)
{
	while (someone_due(a)) {
		pthread_cond_broadcast(&a->moved);
		pthread_cond_wait(&a->settled, &a->lock);
	}
}

void adapter_turn(struct adapter *a)
{
	confirm_gateway(a);
	take_frames(a);
	take_events(a);
	tcp_run(a->host->tcp, a->now);
	take_events(a);
	net_flush(a->host->net, a->now);
	so_sweep(a);
	if (pthread_equal(pthread_self(), a->driver_thread))
		settle(a);
}

static ns_t next_event(struct adapter *a)
{
	ns_t at = lab_host_deadline(a->host, a->now);

	list_for_each (n, &a->waiters) {
		const struct waiter *w = container_of(n, struct waiter, node);

		if (w->until < at)
			at = w->until;
	}
	return at;
}

bool adapter_step(struct adapter *a, ns_t limit)
{
	ns_t at = next_event(a);

	if (at > limit)
		return false;
	a->now = at > a->now ? at : a->now + 1;
	adapter_turn(a);
	return true;
}

void adapter_advance(struct adapter *a, ns_t to)
{
	while (adapter_step(a, to))
		;
	if (a->now < to) {
		a->now = to;
		adapter_turn(a);
	}
}

ns_t adapter_deadline(const struct adapter *a, ns_t timeout_ns)
{
	return timeout_ns >= NS_NEVER - a->now ? NS_NEVER : a->now + timeout_ns;
}

/* The driving thread can wait for nobody but the clock. */
static bool let_pass(struct adapter *a, bool (*ready)(void *), void *arg, ns_t until)
{
	ns_t limit = a->now + NEVER_LIMIT_NS;

	if (until > limit)
		until = limit;
	while (!ready(arg) && adapter_step(a, until))
		;
	if (!ready(arg) && a->now < until && until < limit)
		adapter_advance(a, until);
	return ready(arg);
}

bool adapter_wait(struct adapter *a, bool (*ready)(void *), void *arg, ns_t until)
{
	struct waiter w = {.ready = ready, .arg = arg, .until = until};

	if (ready(arg))
		return true;
	if (until <= a->now)
		return false;
	if (pthread_equal(pthread_self(), a->driver_thread))
		return let_pass(a, ready, arg, until);
	list_push_back(&a->waiters, &w.node);
	while (!due(a, &w))
		pthread_cond_wait(&a->moved, &a->lock);
	list_unlink(&w.node);
	pthread_cond_broadcast(&a->settled);
	return ready(arg);
}
