/* SPDX-License-Identifier: BSD-2-Clause */
/* client_request.c - what a client asks over client.sock (stackd_msg.h), one function a request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_inside.h"
#include "log.h"

#define DUP_THRESHOLD 3 /* RFC 5681 section 3.2 */

/* An error that a program may meet by itself. */
void client_refuse(struct client_answer *a, int error, const char *why)
{
	a->reply.error = error;
	snprintf(a->reply.text, sizeof(a->reply.text), "%s", why);
}

/* One that no program built on the client library makes. */
static void refuse_lie(struct client *c, struct client_answer *a, int error, const char *why)
{
	if (clients_refused(c->all, COUNT_client_bad_message))
		log_warning("client %u: request %u refused: %s", c->sock.pid, a->reply.type, why);
	client_refuse(a, error, why);
}

void client_give_fd(struct client_answer *a, int fd, bool close_after)
{
	a->close_fd[a->reply.fd_count] = close_after;
	a->fd[a->reply.fd_count++] = fd;
}

/* --- attaching ------------------------------------------------------------------------------------ */

static void welcome(struct client *c, struct client_answer *a)
{
	client_give_fd(a, c->sock.own->fd, false);
	client_give_fd(a, c->all->config.board_fd, false);
	for (uint32_t i = 0; i < c->all->config.shard_count; i++)
		client_give_fd(a, c->kick[i], false);
}

static void hello(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	char error[CONFIG_ERROR_MAX];
	int err;

	if (q->version != STACKD_MSG_VERSION || c->attached) {
		refuse_lie(c, a, EPROTO, c->attached ? "attached already" : "client and daemon are of different versions");
		return;
	}
	if (q->text[0]) {
		c->sock.rules = client_user_rules(c, q->text, error);
		if (!c->sock.rules) {
			client_refuse(a, EINVAL, error);
			return;
		}
		memcpy(c->overrides, q->text, sizeof(c->overrides));
	}
	err = client_attach(c);
	if (err) {
		if (clients_refused(c->all, COUNT_client_refused))
			log_warning("client %u: no memory for its rings: %s", c->sock.pid, strerror(-err));
		client_refuse(a, -err, "no memory for the client's rings");
		c->leaving = true;
		return;
	}
	welcome(c, a);
}

/* A program that took the place of another one has the connection, and nothing else. */
static void resume(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	if (q->version != STACKD_MSG_VERSION || !c->cloned) {
		refuse_lie(c, a, EPROTO, "only a clone that nobody uses yet can be resumed");
		return;
	}
	c->cloned = false;
	welcome(c, a);
}

static void give_region(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_region *r = sock_region_of(&c->sock, q->region);

	if (r)
		client_give_fd(a, r->fd, false);
	else
		refuse_lie(c, a, EBADF, "no such region");
}

static void clone_client(struct client *c, struct client_answer *a)
{
	struct client *child;
	int fd, err = client_clone(c, &fd, &child);

	if (err) {
		client_refuse(a, -err, "no room for a child process");
		return;
	}
	child->cloned = true;
	client_give_fd(a, fd, true);
	client_give_fd(a, child->sock.own->fd, false);
	for (uint32_t i = 0; i < c->all->config.shard_count; i++)
		client_give_fd(a, child->kick[i], false);
}

/* Writing to anything else might block, or do something. */
static bool is_eventfd(int fd)
{
	char link[32], name[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = fd < 0 ? -1 : readlink(link, name, sizeof(name) - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, "anon_inode:[eventfd]") == 0;
}

/* An eventfd is closed only when no shard can be about to write to it. */
static void set_evq(struct client *c, const struct stackd_request *q, int fd, struct client_answer *a)
{
	int old;

	if (q->arg >= c->sock.own->head.evq_count || (q->arg2 != 1 && !is_eventfd(fd))) {
		refuse_lie(c, a, EINVAL, "no such event queue, or no eventfd");
		return;
	}
	if (q->arg2 == 1)
		fd = -1;
	old = atomic_exchange(&c->sock.evq_fd[q->arg], fd);
	if (old < 0)
		return;
	clients_settle(c->all);
	close(old & ~SOCK_FD_SIGNAL);
}

/* A pair can't be connected elsewhere, and shutting down never blocks. */
static void signal_queue(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	int pair[2], none = -1;

	if (q->arg >= c->sock.own->head.evq_count || c->sock.evq_fd[q->arg] >= 0) {
		refuse_lie(c, a, EINVAL, "no such event queue, or it is in use");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		client_refuse(a, errno, "no pair of sockets");
		return;
	}
	atomic_compare_exchange_strong(&c->sock.evq_fd[q->arg], &none, pair[0] | SOCK_FD_SIGNAL);
	client_give_fd(a, pair[1], true);
}

/* --- calls that touch a socket ------------------------------------------------------------------------ */

static void on_owner(struct shard *sh, void *arg)
{
	struct sock_call *call = arg;
	const struct stackd_request *q = call->q;
	struct sock_client *c = &call->client->sock;
	struct sock_region *r = sock_region_of(c, q->region);
	struct sock *s;

	call->moved = sock_owner(r, q->slot) != shard_index(sh) || r->socks[q->slot].kind == SOCK_MOVING;
	if (call->moved)
		return;
	s = sock_find(c, q->region, q->slot, q->gen);
	if (!s && call->open)
		s = sock_open(shard_socks(sh), c, q->region, q->slot, q->gen);
	if (!s) {
		call->error = EBADF;
		return;
	}
	call->sock = s;
	call->fn(sh, s, call);
}

bool client_call_socket(struct sock_call *call, struct client_answer *a)
{
	struct client *c = call->client;
	struct sock_region *r = sock_region_of(&c->sock, call->q->region);

	if (!r || call->q->slot >= r->head.sock_count) {
		refuse_lie(c, a, EBADF, "no such socket");
		return false;
	}
	call->error = 0;
	do
		shard_call(c->all->config.shards[sock_owner(r, call->q->slot)], on_owner, call);
	while (call->moved);
	if (call->error)
		client_refuse(a, call->error, call->error == EBADF ? "no such socket" : strerror(call->error));
	return call->error == 0;
}

static void bind_on_shard(struct shard *sh, struct sock *s, struct sock_call *call)
{
	(void)sh;
	if (s->kind != SOCK_OPEN || s->port) {
		call->error = EINVAL;
		return;
	}
	s->local = call->local;
	s->port = call->port;
	s->bind_flags = (uint8_t)call->q->arg;
	s->device = (uint8_t)call->q->arg2;
}

static bool is_own(const struct stackd_board *b, const struct addr *a)
{
	for (uint32_t i = 0; i < b->route_count; i++)
		if (b->route[i].own && memcmp(b->route[i].addr, a->b, 16) == 0)
			return true;
	return addr_is_unspecified(a);
}

/* A claim that fails may do so because of a socket whose close has not been seen yet. */
static int claim(struct clients *all, struct sock_call *call)
{
	uint32_t flags = (call->q->arg & 0xff) | SOCK_PORT_DEVICE(call->q->arg2);
	int err = sock_port_claim(all->ports, &call->local, flags, &call->port);

	if (err != -EADDRINUSE)
		return err;
	clients_settle(all);
	return sock_port_claim(all->ports, &call->local, flags, &call->port);
}

static void bind_socket(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_call call = {.client = c, .q = q, .fn = bind_on_shard, .open = true};
	int err;

	memcpy(call.local.addr.b, q->addr, 16);
	call.local.port = q->port;
	if (q->arg2 > INTERFACES_MAX) {
		refuse_lie(c, a, ENODEV, "no such interface");
		return;
	}
	if (!is_own(c->all->config.board, &call.local.addr)) {
		client_refuse(a, EADDRNOTAVAIL, "not an address of stackd");
		return;
	}
	err = claim(c->all, &call);
	if (err) {
		client_refuse(a, -err, "the port is in use");
		return;
	}
	if (client_call_socket(&call, a))
		a->reply.value = call.local.port;
	else
		sock_port_release(call.port);
}

/* --- listening ---------------------------------------------------------------------------------------------- */

static void clear_accept_rings(const struct sock *s)
{
	for (uint32_t i = 0; i < s->region->head.shards; i++) {
		struct stackd_accept_ring *ring = stackd_shm_accept(s->region->mem, &s->region->head, s->slot, i);

		atomic_store(&ring->head, 0);
		atomic_store(&ring->tail, 0);
	}
}

static void publish_bound(const struct sock *s)
{
	struct stackd_sock *shm = stackd_shm_sock(s->region->mem, &s->region->head, s->slot);

	memcpy(shm->local_addr, s->local.addr.b, 16);
	shm->local_port = s->local.port;
	atomic_store_explicit(&shm->state, STACKD_SOCK_LISTENING, memory_order_release);
}

static void become_listener(struct shard *sh, struct sock *s, struct sock_call *call)
{
	(void)sh;
	call->rules = s->rules ? s->rules : call->client->sock.rules;
	if (s->kind == SOCK_LISTENER)
		return;
	if (s->kind != SOCK_OPEN || !s->port) {
		call->error = s->port ? EINVAL : EDESTADDRREQ;
		return;
	}
	if (!call->listener) {
		call->error = ENOMEM;
		return;
	}
	clear_accept_rings(s);
	s->device = (uint8_t)call->q->arg2;
	s->listener = call->listener;
	call->listener = NULL;
	s->kind = SOCK_LISTENER;
}

static void listen_on_shard(struct shard *sh, void *arg)
{
	struct sock_call *call = arg;
	int err = sock_listen(shard_socks(sh), call->sock, call->q->arg, call->rules);

	if (err)
		call->error = -err;
}

static void unlisten_on_shard(struct shard *sh, void *arg)
{
	sock_unlisten(shard_socks(sh), ((struct sock_call *)arg)->sock);
}

static void listen_socket(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_region *r = sock_region_of(&c->sock, q->region);
	struct sock_call call = {.client = c, .q = q, .fn = become_listener, .open = true};

	bool done;

	if (q->arg2 > INTERFACES_MAX) {
		refuse_lie(c, a, ENODEV, "no such interface");
		return;
	}
	call.listener = r ? region_listener(r) : NULL;
	done = client_call_socket(&call, a);
	if (call.listener)
		region_free_listener(r, call.listener);
	if (!done)
		return;
	clients_on_shards(c->all, listen_on_shard, &call);
	if (call.error) {
		clients_on_shards(c->all, unlisten_on_shard, &call);
		client_refuse(a, call.error, "no memory for the listener");
		return;
	}
	sock_port_listening(call.sock->port, true);
	publish_bound(call.sock);
}

/* --- looking and choosing -------------------------------------------------------------------------------------- */

static void info_on_shard(struct shard *sh, struct sock *s, struct sock_call *call)
{
	call->has_conn = s->conn != NULL;
	call->rules = s->rules;
	if (s->conn)
		tcp_info(s->conn, &call->info, shard_now(sh));
}

static uint8_t linux_state(enum tcp_state s)
{
	static const uint8_t number[] = {
		[TCP_CLOSED] = 7,     [TCP_LISTEN] = 10,    [TCP_SYN_SENT] = 2,  [TCP_SYN_RECEIVED] = 3,
		[TCP_ESTABLISHED] = 1, [TCP_FIN_WAIT_1] = 4, [TCP_FIN_WAIT_2] = 5, [TCP_CLOSE_WAIT] = 8,
		[TCP_CLOSING] = 11,   [TCP_LAST_ACK] = 9,   [TCP_TIME_WAIT] = 6,
	};

	return number[s];
}

static uint32_t us(ns_t t)
{
	return (uint32_t)(t / NS_PER_US);
}

static uint32_t ms_since(ns_t then, ns_t now)
{
	return (uint32_t)((now - then) / NS_PER_MS);
}

static void fill_info(struct stackd_info *o, const struct tcp_info *i, ns_t now)
{
	uint32_t mss = i->mss ? i->mss : 1;

	*o = (struct stackd_info){
		.state = linux_state(i->state),
		.ca_state = i->recovering ? 3 : 0,
		.backoff = (uint8_t)i->backoffs,
		.options = (uint8_t)((i->features & SP_TIMESTAMPS ? 1 : 0) | (i->features & SP_SACK ? 2 : 0) |
				     (i->rcv_wscale || i->snd_wscale ? 4 : 0) | (i->features & SP_ECN ? 8 : 0)),
		.snd_wscale = i->snd_wscale, .rcv_wscale = i->rcv_wscale,
		.rto_us = us(i->rto), .ato_us = us(i->ack_timeout),
		.snd_mss = i->mss, .rcv_mss = i->rcv_mss, .advmss = i->advmss, .pmtu = i->pmtu,
		.unacked_segs = (uint32_t)((i->snd_nxt - i->snd_una + mss - 1) / mss),
		.sacked_segs = (uint32_t)((i->sacked + mss - 1) / mss),
		.lost_segs = (uint32_t)((i->lost + mss - 1) / mss),
		.reordering = DUP_THRESHOLD,
		.rtt_us = us(i->srtt), .rttvar_us = us(i->rttvar), .min_rtt_us = us(i->rtt_min),
		.rcv_rtt_us = us(i->rcv_rtt),
		.snd_cwnd_segs = (uint32_t)(i->cwnd / mss),
		.snd_ssthresh_segs = i->ssthresh == UINT64_MAX ? INT32_MAX : (uint32_t)(i->ssthresh / mss),
		.last_data_sent_ms = ms_since(i->last_data_sent, now),
		.last_data_recv_ms = ms_since(i->last_data_received, now),
		.last_ack_recv_ms = ms_since(i->last_ack_received, now),
		.rcv_space = (uint32_t)(i->rcv_limit - i->rcv_read),
		.snd_wnd = (uint32_t)(i->snd_limit - i->snd_una),
		.rcv_wnd = (uint32_t)(i->rcv_limit - i->rcv_nxt),
		.total_retrans = (uint32_t)i->retransmits,
		.bytes_acked = i->bytes_acked, .bytes_received = i->bytes_received,
		.bytes_sent = i->bytes_sent, .bytes_retrans = i->bytes_retransmitted,
		.delivery_rate = i->delivery_rate, .pacing_rate = i->pacing,
		.segs_out = (uint32_t)i->segs_out, .segs_in = (uint32_t)i->segs_in,
		.data_segs_out = (uint32_t)i->data_segs_out, .data_segs_in = (uint32_t)i->data_segs_in,
		.notsent_bytes = (uint32_t)(i->snd_end - i->snd_nxt), .dsack_dups = (uint32_t)i->dsacks,
		.timeouts = (uint32_t)i->timeouts, .recoveries = (uint32_t)i->recoveries, .undos = (uint32_t)i->undos,
	};
	snprintf(o->recovery, sizeof(o->recovery), "%s", i->recovery);
	snprintf(o->cc, sizeof(o->cc), "%s", i->cc);
	snprintf(o->rto, sizeof(o->rto), "%s", i->rto_plugin);
	snprintf(o->ack, sizeof(o->ack), "%s", i->ack);
}

static void socket_info(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_call call = {.client = c, .q = q, .fn = info_on_shard};

	if (client_call_socket(&call, a) && call.has_conn)
		fill_info(&a->reply.info, &call.info, shard_now(c->all->config.shards[0]));
	else if (!a->reply.error)
		a->reply.info.state = 7; /* TCP_CLOSE */
}

static void choose_on_shard(struct shard *sh, struct sock *s, struct sock_call *call)
{
	(void)sh;
	if (s->conn && strncmp(call->q->text, "tcp.cc=", 7) == 0)
		call->error = -tcp_set_cc(s->conn, call->rules->fallback->cc.use[0]);
	else if (s->kind != SOCK_OPEN)
		call->error = EISCONN;
	if (!call->error)
		s->rules = call->rules;
}

/* Without a slot: only, is there such a plugin? */
static void choose(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_call call = {.client = c, .q = q, .fn = choose_on_shard, .open = true};
	char lines[2 * STACKD_TEXT_MAX], error[CONFIG_ERROR_MAX];

	snprintf(lines, sizeof(lines), "%s%s%s", c->overrides, c->overrides[0] ? "\n" : "", q->text);
	call.rules = client_user_rules(c, lines, error);
	if (!call.rules)
		client_refuse(a, ENOENT, error);
	else if (q->slot != STACKD_NO_SLOT)
		client_call_socket(&call, a);
}

static const char *first_name(const struct tcp_plugin_list *l)
{
	return l->use[0].plugin->name;
}

static void chosen(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_call call = {.client = c, .q = q, .fn = info_on_shard, .open = true};
	char error[CONFIG_ERROR_MAX];
	const char *name = NULL;
	const struct tcp_profile *p;

	if (!client_call_socket(&call, a))
		return;
	if (!call.rules)
		call.rules = c->sock.rules ? c->sock.rules
					   : config_rules(c->all->config.config, c->all->config.plugins, NULL, error);
	p = call.rules->fallback;
	if (strcmp(q->text, "tcp.cc") == 0)
		name = call.has_conn ? call.info.cc : first_name(&p->cc);
	else if (strcmp(q->text, "tcp.recovery") == 0)
		name = call.has_conn ? call.info.recovery : first_name(&p->recovery);
	else if (strcmp(q->text, "tcp.rto") == 0)
		name = call.has_conn ? call.info.rto_plugin : first_name(&p->rto);
	else if (strcmp(q->text, "tcp.ack") == 0)
		name = call.has_conn ? call.info.ack : first_name(&p->ack);
	if (name)
		snprintf(a->reply.text, sizeof(a->reply.text), "%s", name);
	else
		client_refuse(a, ENOENT, "allowed: tcp.recovery, tcp.cc, tcp.rto, tcp.ack");
}

void client_request(struct client *c, const struct stackd_request *q, int fd, struct client_answer *a)
{
	bool keeps_fd = q->type == STACKD_REQ_EVQ && c->attached && q->arg2 != 1;

	a->reply.type = q->type;
	if (q->type == STACKD_REQ_HELLO) {
		hello(c, q, a);
	} else if (!c->attached) {
		refuse_lie(c, a, EPROTO, "the first request must be HELLO");
	} else {
		switch (q->type) {
		case STACKD_REQ_CLONE: clone_client(c, a); break;
		case STACKD_REQ_EVQ: set_evq(c, q, fd, a); break;
		case STACKD_REQ_BIND: bind_socket(c, q, a); break;
		case STACKD_REQ_LISTEN: listen_socket(c, q, a); break;
		case STACKD_REQ_INFO: socket_info(c, q, a); break;
		case STACKD_REQ_CHOOSE: choose(c, q, a); break;
		case STACKD_REQ_CHOSEN: chosen(c, q, a); break;
		case STACKD_REQ_RESUME: resume(c, q, a); break;
		case STACKD_REQ_REGION: give_region(c, q, a); break;
		case STACKD_REQ_PASS: client_pass(c, q, a); break;
		case STACKD_REQ_SIGNAL: signal_queue(c, q, a); break;
		case STACKD_REQ_TAKE: client_take(c, fd, a); break;
		default: refuse_lie(c, a, EINVAL, "unknown request");
		}
	}
	if (fd >= 0 && (!keeps_fd || a->reply.error))
		close(fd);
}
