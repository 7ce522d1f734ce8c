/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd_shm.h - the memory that a client process and the daemon share.  docs/PROTOCOL.md is its
 * theory; this is its layout.
 *
 * A region is one memfd, made and size-sealed by the daemon, mapped by both.  It holds a table of
 * socket slots, two byte rings a slot, one submission queue a shard, event queues, subscriptions.
 * All positions are offsets from the region's start; nothing in it is an address.  The daemon
 * keeps its own copy of everything it has written and never reads it back; what the client has
 * written it copies once, checks, and then uses.  A lie costs the client its attachment.
 *
 * The board is a second memfd, one per daemon, that clients can only read.
 *
 * Who writes what stands above each member: D the daemon, C the clients that hold the socket.
 * Cursors of byte rings are 64-bit stream offsets, index = offset & (size - 1).
 * Every store that publishes is a release, every load that receives an acquire.
 *
 * Sleeping and waking, one rule in both directions: the side that will sleep sets its flag, fences
 * (seq_cst), looks once more, and sleeps; the side that has produced fences, looks at the flag,
 * and if it is set clears it (daemon's side: exchange) and writes the sleeper's eventfd. */
#ifndef STACKD_SHM_H
#define STACKD_SHM_H

#include <stdatomic.h>
#include <stdint.h>

#define STACKD_SHM_MAGIC   0x737461636b640001ull
#define STACKD_SHM_VERSION 1u

#define STACKD_SHARDS_MAX  16u
#define STACKD_ROUTES_MAX  64u
#define STACKD_CACHE_LINE  64

/* ---- the board: written by the daemon, read-only for clients ---- */

struct stackd_route {
	uint8_t addr[16]; /* IPv4 v4-mapped */
	uint8_t bits;	  /* of the v4-mapped form, 0..128 */
	uint8_t own;	  /* 1: an address of stackd itself (bits 128); 0: reached through stackd */
	uint8_t interface; /* by the daemon's number */
	uint8_t pad;
	uint32_t ifindex; /* the kernel's number of the same */
};

struct stackd_board_shard {
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t sleeping; /* 1: write your kick eventfd after posting */
};

struct stackd_board {
	uint64_t magic;
	uint32_t version, shards;
	uint64_t spin_ns; /* how long a client may look before it sleeps */
	uint32_t route_count;
	uint32_t listen_both; /* 1: who listens on a wildcard does so in the kernel as well */
	struct stackd_route route[STACKD_ROUTES_MAX];
	struct stackd_board_shard shard[STACKD_SHARDS_MAX];
};

/* ---- the head of a region: written by the daemon before it is handed over ---- */

struct stackd_shm_head {
	uint64_t magic;
	uint32_t version;
	uint32_t region; /* the daemon's number for it, named in submissions */
	uint64_t total_bytes;
	uint32_t shards;
	uint32_t sock_count;	 /* slots */
	uint32_t sock_own;	 /* [0, sock_own): taken by the client; [sock_own, sock_count): given by
				    the daemon to accepted connections */
	uint32_t sq_entries;	 /* of each submission queue, power of two */
	uint32_t evq_count;	 /* event queues */
	uint32_t evq_entries;	 /* of each queue and shard, power of two, >= sub_count */
	uint32_t sub_count;	 /* subscriptions */
	uint32_t accept_entries; /* of a listener's accept ring per shard, power of two */
	uint64_t rx_bytes, tx_bytes; /* byte rings of a slot, powers of two */
	uint64_t sock_off;	 /* struct stackd_sock [sock_count] */
	uint64_t sq_off, sq_stride;   /* one struct stackd_sq per shard */
	uint64_t evq_off, evq_stride; /* struct stackd_evq [evq_count] */
	uint64_t evq_ring_stride;     /* inside one: ring of shard s at evq + 64 + s * evq_ring_stride */
	uint64_t sub_off;	      /* struct stackd_sub [sub_count] */
	uint64_t ring_off;	      /* slot i: rx at ring_off + i * (rx_bytes + tx_bytes), tx behind it */
};

/* ---- a socket slot ---- */

enum stackd_sock_state {
	STACKD_SOCK_FREE = 0,	/* the client may take it (own slots) */
	STACKD_SOCK_OPEN,	/* known to the daemon, neither connected nor listening */
	STACKD_SOCK_CONNECTING,
	STACKD_SOCK_CONNECTED,
	STACKD_SOCK_LISTENING,
	STACKD_SOCK_CLOSED,	/* TCP has ended (error says how); data may still be read */
};

enum stackd_sock_flag {
	STACKD_RX_EOF = 1u << 0,   /* the peer's FIN: nothing comes after rx_tail */
	STACKD_TX_SHUT = 1u << 1,  /* our FIN is queued: writing gives EPIPE */
	STACKD_RESET = 1u << 2,	   /* ended by error, not by FIN */
	STACKD_URGENT = 1u << 3,   /* urgent data: urgent_off is valid */
};

struct stackd_sock {
	/* D */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint64_t rx_tail; /* received in order up to here */
	_Atomic uint64_t tx_head;  /* acknowledged up to here: the room before it is free */
	_Atomic uint64_t rx_ack_at; /* post STACKD_OP_RECV once rx_head reaches this */
	_Atomic uint32_t state;	   /* enum stackd_sock_state */
	_Atomic uint32_t flags;	   /* enum stackd_sock_flag */
	_Atomic int32_t error;	   /* pending errno (SO_ERROR); the client takes it with exchange 0 */
	_Atomic uint32_t gen;	   /* of this use of the slot; named in submissions */
	_Atomic uint32_t shard;	   /* where to post */
	_Atomic uint32_t tx_limit; /* bytes that may be queued (SO_SNDBUF), <= tx_bytes */
	_Atomic uint64_t urgent_off;
	_Atomic int32_t soft_error; /* what ICMP told of the path (RFC 1122 4.2.3.9): SO_ERROR when error is 0; the
				       client takes it with exchange 0 */

	/* D, before state becomes CONNECTED or LISTENING */
	_Alignas(STACKD_CACHE_LINE) uint8_t local_addr[16];
	uint8_t remote_addr[16];
	uint16_t local_port, remote_port; /* host order */
	uint32_t listener;		  /* accepted: the listener's slot */
	/* D */
	_Atomic uint64_t tx_sent; /* sent once up to here; kept only with STACKD_OPT_NOTSENT_LOWAT */

	/* C */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint64_t rx_head; /* consumed up to here */
	_Atomic uint64_t tx_tail;      /* queued up to here */
	_Atomic uint32_t tx_posted;    /* exchange(1) gave 0: post STACKD_OP_SEND; D clears before it reads tx_tail */
	_Atomic uint32_t rx_posted;    /* the same for STACKD_OP_RECV */
	_Atomic uint32_t tx_nospace;   /* set when a writer found no room; D clears it and posts OUT at a third free */
	_Atomic uint32_t rx_lock, tx_lock; /* among the clients' threads; the daemon never looks */
	uint32_t client_word;	       /* free for the client library */

	/* C, before STACKD_OP_CONNECT; D copies it once */
	_Alignas(STACKD_CACHE_LINE) uint8_t req_addr[16];
	uint16_t req_port;
	uint16_t req_pad[3];
};

/* ---- a listener's accept rings: in the memory of its rx ring, one per shard, at
 * rx + shard * (rx_bytes / STACKD_SHARDS_MAX).  D produces; C consumers compete by CAS on head. ---- */

struct stackd_accept_ring {
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t tail; /* D */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t head; /* C */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t slot[]; /* accept_entries slots of the listener's region */
};

/* ---- submission queue, one a shard: C produces (one thread at a time), D consumes ---- */

enum stackd_op {
	STACKD_OP_CONNECT = 1, /* to req_addr, req_port of the slot; from what BIND gave, if anything */
	STACKD_OP_SEND,	       /* tx_tail has moved */
	STACKD_OP_RECV,	       /* rx_head has moved past rx_ack_at */
	STACKD_OP_SHUTDOWN,    /* arg: SHUT_RD, SHUT_WR, SHUT_RDWR */
	STACKD_OP_CLOSE,       /* this client lets go; the last one closes.  arg: 1 = reset at once (linger 0) */
	STACKD_OP_CLAIM,       /* an accepted slot was popped: this client holds it now */
	STACKD_OP_SETOPT,      /* opt: enum stackd_opt, arg: value */
	STACKD_OP_SUB,	       /* subscription arg2 on event queue arg of the posting client's own region,
				  opt: interest mask (STACKD_IN, STACKD_OUT); an existing arg2 is changed.
				  D posts one event at once.  The high half of arg2: struct stackd_sub's turn */
	STACKD_OP_UNSUB,       /* subscription arg2 ends; the high half as with SUB */
	STACKD_OP_URGENT,      /* arg: the stream offset behind an urgent byte; posted before tx_tail passes it, so
				  that no segment with the byte leaves without the mark */
};

/* Errors and hang-up are always told, urgent data to those who want STACKD_IN too.  STACKD_SIGNAL: the
 * queue is one of STACKD_REQ_SIGNAL; nothing goes into its ring. */
enum stackd_interest { STACKD_IN = 1, STACKD_OUT = 2, STACKD_URGENT_IN = 4, STACKD_SIGNAL = 8 };

/* How an address is bound (STACKD_REQ_BIND). */
enum stackd_bind_flag { STACKD_BIND_REUSEADDR = 1, STACKD_BIND_REUSEPORT = 2, STACKD_BIND_V6ONLY = 4,
			STACKD_BIND_IPV4 = 8 /* an AF_INET socket: a wildcard means 0.0.0.0 only */ };

enum stackd_opt { /* integer options, in Linux's units unless said */
	STACKD_OPT_NODELAY = 1, STACKD_OPT_CORK, STACKD_OPT_KEEPALIVE, STACKD_OPT_KEEPIDLE,
	STACKD_OPT_KEEPINTVL, STACKD_OPT_KEEPCNT, STACKD_OPT_USER_TIMEOUT, STACKD_OPT_SYNCNT,
	STACKD_OPT_LINGER2, STACKD_OPT_LINGER, /* seconds; -1 off */
	STACKD_OPT_SNDBUF, STACKD_OPT_RCVBUF, STACKD_OPT_MAXSEG, STACKD_OPT_QUICKACK,
	STACKD_OPT_DEFER_ACCEPT, STACKD_OPT_TOS, STACKD_OPT_TTL, STACKD_OPT_PUSH, /* PUSH: flush a CORK once */
	STACKD_OPT_RECVERR, /* a soft error becomes `error` at once */
	STACKD_OPT_NOTSENT_LOWAT, /* OUT also needs less than half of this unsent, 0 off */
	STACKD_OPT_DEVICE, /* the only interface, by the daemon's number plus 1, 0: all; not of a listener */
	STACKD_OPT_COUNT
};

struct stackd_sqe {
	uint8_t op;   /* enum stackd_op */
	uint8_t pad;
	uint16_t opt;
	uint32_t region, slot, gen;
	int64_t arg;
	uint64_t arg2;
};

struct stackd_sq {
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t tail; /* C */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t head; /* D */
	_Alignas(STACKD_CACHE_LINE) struct stackd_sqe entry[];
};

/* ---- event queues: one per epoll instance and per thread that waits; eventfd given by message ---- */

struct stackd_evq {
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t sleeping; /* C sets; D exchanges 0 and writes the eventfd */
	/* rings follow: see evq_ring_stride */
};

struct stackd_evq_ring {
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t tail; /* D */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t head; /* C */
	_Alignas(STACKD_CACHE_LINE) _Atomic uint32_t sub[]; /* subscription numbers */
};

/* D: exchange(1) gave 0 -> push its number.  C: store 0 when it has popped it, then looks at the
 * socket.  So a subscription stands in its queue at most once, and the queue can't overflow. */
struct stackd_sub {
	_Atomic uint32_t posted;
	_Atomic uint32_t turn; /* C: of the last SUB or UNSUB it posted.  A socket that moves has two ways to
				  its shard, so an older one may come behind: D ignores it */
};

/* ---- places ---- */

static inline struct stackd_sock *stackd_shm_sock(void *region, const struct stackd_shm_head *h, uint32_t slot)
{
	return (struct stackd_sock *)(void *)((uint8_t *)region + h->sock_off) + slot;
}

static inline uint8_t *stackd_shm_rx(void *region, const struct stackd_shm_head *h, uint32_t slot)
{
	return (uint8_t *)region + h->ring_off + slot * (h->rx_bytes + h->tx_bytes);
}

static inline uint8_t *stackd_shm_tx(void *region, const struct stackd_shm_head *h, uint32_t slot)
{
	return stackd_shm_rx(region, h, slot) + h->rx_bytes;
}

static inline struct stackd_accept_ring *stackd_shm_accept(void *region, const struct stackd_shm_head *h,
							   uint32_t slot, uint32_t shard)
{
	return (struct stackd_accept_ring *)(void *)(stackd_shm_rx(region, h, slot) +
						     shard * (h->rx_bytes / STACKD_SHARDS_MAX));
}

static inline struct stackd_sq *stackd_shm_sq(void *region, const struct stackd_shm_head *h, uint32_t shard)
{
	return (struct stackd_sq *)(void *)((uint8_t *)region + h->sq_off + shard * h->sq_stride);
}

static inline struct stackd_evq *stackd_shm_evq(void *region, const struct stackd_shm_head *h, uint32_t evq)
{
	return (struct stackd_evq *)(void *)((uint8_t *)region + h->evq_off + evq * h->evq_stride);
}

static inline struct stackd_evq_ring *stackd_shm_evq_ring(void *region, const struct stackd_shm_head *h,
							  uint32_t evq, uint32_t shard)
{
	return (struct stackd_evq_ring *)(void *)((uint8_t *)stackd_shm_evq(region, h, evq) +
						  STACKD_CACHE_LINE + shard * h->evq_ring_stride);
}

static inline struct stackd_sub *stackd_shm_sub(void *region, const struct stackd_shm_head *h, uint32_t sub)
{
	return (struct stackd_sub *)(void *)((uint8_t *)region + h->sub_off) + sub;
}

#endif
