/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_stack.c - the fake daemon's sockets: slots, connections from one to another, submissions,
 * events. */
#include "fake_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct client clients[CLIENTS];
struct region *regions[CLIENTS * 2];
uint32_t region_count;
int board_fd;
uint16_t next_port = FIRST_PORT;

struct stackd_sock *shm(struct sock *s)
{
	return stackd_shm_sock(s->region->mem, &s->region->head, s->slot);
}

/* ---- memory ---- */

static int memfd(const char *name, size_t bytes, void **mem)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		exit(1);
	*mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*mem == MAP_FAILED)
		exit(1);
	return fd;
}

void make_board(void)
{
	static const uint8_t own4[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 1};
	static const uint8_t net4[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 0};
	static const uint8_t own6[16] = {0xfd, 0x77, [15] = 1};
	struct stackd_board *b;
	void *mem;

	board_fd = memfd("board", sizeof(*b), &mem);
	b = mem;
	b->magic = STACKD_SHM_MAGIC;
	b->version = STACKD_SHM_VERSION;
	b->shards = 1;
	b->spin_ns = 2000;
	b->listen_both = getenv("FAKE_LISTEN_BOTH") != NULL;
	memcpy(b->route[0].addr, own4, 16);
	memcpy(b->route[1].addr, net4, 16);
	memcpy(b->route[2].addr, own6, 16);
	b->route[0].bits = b->route[2].bits = 128;
	b->route[0].own = b->route[2].own = 1;
	b->route[1].bits = 96 + 16;
	b->route_count = 3;
	b->shard[0].sleeping = 1; /* always: it has nothing else to do than sleep in poll */
}

struct region *make_region(void)
{
	struct region *r = calloc(1, sizeof(*r));
	struct stackd_shm_head *h = &r->head;
	void *mem;

	*h = (struct stackd_shm_head){.magic = STACKD_SHM_MAGIC,
				      .version = STACKD_SHM_VERSION,
				      .region = region_count,
				      .shards = 1,
				      .sock_count = SOCKS,
				      .sock_own = SOCKS_OWN,
				      .sq_entries = SQ_ENTRIES,
				      .evq_count = EVQS,
				      .evq_entries = SUBS,
				      .sub_count = SUBS,
				      .accept_entries = ACCEPTS,
				      .rx_bytes = RING,
				      .tx_bytes = RING};
	h->sock_off = 4096;
	h->sq_off = h->sock_off + SOCKS * sizeof(struct stackd_sock);
	h->sq_stride = sizeof(struct stackd_sq) + SQ_ENTRIES * sizeof(struct stackd_sqe);
	h->evq_off = h->sq_off + h->sq_stride;
	h->evq_ring_stride = sizeof(struct stackd_evq_ring) + SUBS * 4;
	h->evq_stride = STACKD_CACHE_LINE + h->evq_ring_stride;
	h->sub_off = h->evq_off + EVQS * h->evq_stride;
	h->ring_off = (h->sub_off + SUBS * sizeof(struct stackd_sub) + 4095) & ~4095ull;
	h->total_bytes = h->ring_off + SOCKS * 2 * RING;
	r->fd = memfd("region", h->total_bytes, &mem);
	r->mem = mem;
	memcpy(mem, h, sizeof(*h));
	for (uint32_t i = 0; i < SOCKS; i++) {
		r->sock[i].region = r;
		r->sock[i].slot = i;
		r->sock[i].gen = 1;
		shm(&r->sock[i])->gen = 1;
	}
	regions[region_count++] = r;
	return r;
}

/* ---- events ---- */

static void post(struct client *c, uint32_t id)
{
	struct sub *sub = &c->sub[id];
	const struct stackd_shm_head *h = &c->region->head;
	struct stackd_evq *q = stackd_shm_evq(c->region->mem, h, sub->evq);
	struct stackd_evq_ring *r = stackd_shm_evq_ring(c->region->mem, h, sub->evq, 0);
	uint64_t one = 1;

	if (atomic_exchange(&stackd_shm_sub(c->region->mem, h, id)->posted, 1) == 0) {
		r->sub[c->evq_tail[sub->evq]++ & (SUBS - 1)] = id;
		atomic_store(&r->tail, c->evq_tail[sub->evq]);
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&q->sleeping) && atomic_exchange(&q->sleeping, 0))
		(void)!write(c->evq_fd[sub->evq], &one, sizeof(one));
}

static void tell(struct sock *s, uint32_t what)
{
	for (int i = 0; i < CLIENTS; i++)
		for (uint32_t n = 0; clients[i].used && n < SUBS; n++)
			if (clients[i].sub[n].sock == s && (!what || clients[i].sub[n].mask & what))
				post(&clients[i], n);
}

/* ---- sockets ---- */

static void sock_free(struct sock *s)
{
	struct stackd_sock *m = shm(s);

	for (int i = 0; i < CLIENTS; i++)
		for (uint32_t n = 0; n < SUBS; n++)
			if (clients[i].sub[n].sock == s)
				clients[i].sub[n].sock = NULL;
	*s = (struct sock){.region = s->region, .slot = s->slot, .gen = s->gen + 1};
	m->rx_tail = m->tx_head = m->rx_head = m->tx_tail = 0;
	m->tx_posted = m->rx_posted = m->tx_nospace = m->rx_lock = m->tx_lock = 0;
	m->flags = 0;
	m->error = 0;
	m->gen = s->gen;
	atomic_store(&m->state, STACKD_SOCK_FREE);
}

static void sock_open(struct sock *s)
{
	struct stackd_sock *m = shm(s);

	s->used = true;
	m->rx_tail = m->tx_head = 0;
	m->rx_ack_at = RING / 4;
	m->tx_limit = (uint32_t)RING / 2;
	m->flags = 0;
	m->error = 0;
	atomic_store(&m->state, STACKD_SOCK_OPEN);
}

static void end(struct sock *s, int error)
{
	struct stackd_sock *m = shm(s);

	s->peer = NULL;
	if (error)
		m->error = error;
	atomic_fetch_or(&m->flags, STACKD_RX_EOF | STACKD_TX_SHUT | (error ? STACKD_RESET : 0u));
	atomic_store(&m->state, STACKD_SOCK_CLOSED);
	tell(s, 0);
}

static uint64_t copy_bytes(struct sock *s, struct sock *p)
{
	struct stackd_sock *m = shm(s), *n = shm(p);
	uint8_t *from = stackd_shm_tx(s->region->mem, &s->region->head, s->slot);
	uint8_t *to = stackd_shm_rx(p->region->mem, &p->region->head, p->slot);
	uint64_t head = m->tx_head, tail = atomic_load(&m->tx_tail), at = n->rx_tail;
	uint64_t room = RING - (at - atomic_load(&n->rx_head)), moved = 0;

	for (; head != tail && moved < room; head++, at++, moved++)
		to[at & (RING - 1)] = from[head & (RING - 1)];
	atomic_store(&n->rx_tail, at);
	atomic_store(&m->tx_head, head);
	return moved;
}

/* Moves what can be moved from s to its peer, and the end of the stream after it. */
static void transfer(struct sock *s)
{
	struct sock *p = s->peer;
	struct stackd_sock *m = shm(s);

	if (!p) {
		if (s->used && !s->listening && atomic_load(&m->tx_tail) != m->tx_head)
			end(s, ECONNRESET);
		return;
	}
	if (copy_bytes(s, p))
		tell(p, STACKD_IN);
	atomic_thread_fence(memory_order_seq_cst);
	if (m->tx_nospace && atomic_load(&m->tx_tail) - m->tx_head <= m->tx_limit - m->tx_limit / 3) {
		m->tx_nospace = 0;
		tell(s, STACKD_OUT);
	}
	if (!s->fin || atomic_load(&m->tx_tail) != m->tx_head)
		return;
	if (!(atomic_load(&shm(p)->flags) & STACKD_RX_EOF)) {
		atomic_fetch_or(&shm(p)->flags, STACKD_RX_EOF);
		tell(p, STACKD_IN | STACKD_OUT);
	}
	if (s->closing) {
		p->peer = NULL;
		if (p->fin && !p->closing)
			end(p, 0);
		else if (p->closing)
			sock_free(p);
		sock_free(s);
	}
}

static void sock_close(struct sock *s, bool reset)
{
	struct stackd_sock *m = shm(s);

	if (s->listening || !s->peer) {
		sock_free(s);
		return;
	}
	if (reset || atomic_load(&m->rx_head) != m->rx_tail) {
		if (s->peer->closing)
			sock_free(s->peer);
		else
			end(s->peer, ECONNRESET);
		sock_free(s);
		return;
	}
	s->fin = s->closing = true;
	transfer(s);
}

struct sock *find_listener(uint16_t port)
{
	for (uint32_t i = 0; i < region_count; i++)
		for (uint32_t n = 0; n < SOCKS_OWN; n++)
			if (regions[i]->sock[n].listening && regions[i]->sock[n].port == port)
				return &regions[i]->sock[n];
	return NULL;
}

static struct sock *take_accepted(struct region *r)
{
	for (uint32_t n = SOCKS_OWN; n < SOCKS; n++)
		if (!r->sock[n].used)
			return &r->sock[n];
	return NULL;
}

static void name(struct sock *s, const uint8_t *remote, uint16_t local_port, uint16_t remote_port)
{
	static const uint8_t own[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 1};

	memcpy(shm(s)->local_addr, own, 16);
	memcpy(shm(s)->remote_addr, remote, 16);
	shm(s)->local_port = local_port;
	shm(s)->remote_port = remote_port;
}

static void do_connect(struct sock *s)
{
	struct stackd_sock *m = shm(s);
	struct sock *l = find_listener(m->req_port), *a = l ? take_accepted(l->region) : NULL;
	struct stackd_accept_ring *ring;

	m->state = STACKD_SOCK_CONNECTING;
	if (m->req_port == BLACK_HOLE)
		return;
	if (!a) {
		end(s, ECONNREFUSED);
		return;
	}
	if (!s->port)
		s->port = next_port++;
	sock_open(a);
	a->peer = s;
	s->peer = a;
	a->offered = true;
	a->parent = l;
	name(s, m->req_addr, s->port, m->req_port);
	name(a, m->req_addr, m->req_port, s->port);
	shm(a)->listener = l->slot;
	atomic_store(&shm(a)->state, STACKD_SOCK_CONNECTED);
	atomic_store(&m->state, STACKD_SOCK_CONNECTED);
	ring = stackd_shm_accept(l->region->mem, &l->region->head, l->slot, 0);
	ring->slot[l->accept_tail++ & (ACCEPTS - 1)] = a->slot;
	atomic_store(&ring->tail, l->accept_tail);
	tell(l, STACKD_IN);
	tell(s, STACKD_IN | STACKD_OUT);
}

void let_go(struct client *c, struct sock *s, bool reset)
{
	c->holds[s->region->head.region][s->slot] = false;
	if (--s->holders == 0)
		sock_close(s, reset);
}

/* ---- submissions ---- */

struct sock *sock_of(struct client *c, uint32_t region, uint32_t slot, uint32_t gen, bool open)
{
	struct sock *s;

	if (region >= region_count || slot >= SOCKS)
		return NULL;
	s = &regions[region]->sock[slot];
	if (s->gen != gen)
		return NULL;
	if (!s->used && open && regions[region] == c->region) {
		sock_open(s);
		s->holders = 1;
		c->holds[region][slot] = true;
	}
	return c->holds[region][slot] ? s : NULL;
}

static void do_op(struct client *c, struct sock *s, const struct stackd_sqe *e)
{
	switch (e->op) {
	case STACKD_OP_CONNECT:
		do_connect(s);
		break;
	case STACKD_OP_SEND:
		atomic_exchange(&shm(s)->tx_posted, 0);
		transfer(s);
		break;
	case STACKD_OP_RECV:
		atomic_exchange(&shm(s)->rx_posted, 0);
		shm(s)->rx_ack_at = atomic_load(&shm(s)->rx_head) + RING / 4;
		if (s->peer)
			transfer(s->peer);
		break;
	case STACKD_OP_SHUTDOWN:
		if (e->arg != SHUT_WR)
			tell(s, STACKD_IN);
		if (e->arg != SHUT_RD) {
			s->fin = true;
			atomic_fetch_or(&shm(s)->flags, STACKD_TX_SHUT);
			transfer(s);
		}
		break;
	case STACKD_OP_URGENT: /* offsets are the same on both sides */
		if (s->peer) {
			atomic_store(&shm(s->peer)->urgent_off, (uint64_t)e->arg);
			atomic_fetch_or(&shm(s->peer)->flags, STACKD_URGENT);
			tell(s->peer, STACKD_IN);
		}
		break;
	case STACKD_OP_CLOSE:
		let_go(c, s, e->arg);
		break;
	case STACKD_OP_SUB:
		c->sub[(uint32_t)e->arg2] = (struct sub){.sock = s, .evq = (uint32_t)e->arg, .mask = e->opt};
		post(c, (uint32_t)e->arg2);
		break;
	case STACKD_OP_UNSUB:
		c->sub[(uint32_t)e->arg2].sock = NULL;
		break;
	default:
		break;
	}
}

static void submit(struct client *c, const struct stackd_sqe *e)
{
	struct sock *s;

	if (e->op == STACKD_OP_CLAIM && e->region < region_count && e->slot < SOCKS) {
		s = &regions[e->region]->sock[e->slot];
		if (s->gen == e->gen && s->offered) {
			s->offered = false;
			s->holders = 1;
			c->holds[e->region][e->slot] = true;
		}
		return;
	}
	s = sock_of(c, e->region, e->slot, e->gen, true);
	if (s)
		do_op(c, s, e);
}

void drain(struct client *c)
{
	struct stackd_sq *q = stackd_shm_sq(c->region->mem, &c->region->head, 0);

	while (c->sq_head != atomic_load(&q->tail)) {
		struct stackd_sqe e = q->entry[c->sq_head++ & (SQ_ENTRIES - 1)];

		submit(c, &e);
		atomic_store(&q->head, c->sq_head);
	}
}
