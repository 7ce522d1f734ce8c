/* SPDX-License-Identifier: BSD-2-Clause */
/* sock.h - the door of sock/: between TCP connections and the clients' shared memory.
 *
 * A `struct sock_table` per shard, used by its thread.  Regions and clients are made by the control
 * thread (stackd/client.c), which speaks to a table only through shard_call.  No system call is
 * made here: what must be written to an eventfd, sent to another shard or told to the control
 * thread is returned by sock_next_wakeup and sock_next_letter.
 *
 * Nothing that a client wrote is believed: an index is loaded once, checked against the private
 * copy, and then used.  A client that breaks the protocol is expelled, and nobody else is harmed. */
#ifndef STACKD_SOCK_SOCK_H
#define STACKD_SOCK_SOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/count.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/pool.h"
#include "stackd_shm.h"
#include "tcp/tcp.h"

#define SOCK_REGIONS_MAX 32u /* regions whose sockets one client can hold: its own and inherited */

struct sock;
struct sock_port;

/* A client's shared memory as the daemon sees it. */
struct sock_region {
	uint8_t *mem;
	struct stackd_shm_head head; /* our own copy, the one that is used */
	struct sock *socks;	     /* [head.sock_count], private */
	_Atomic uint32_t refs;	     /* clients that name it, sockets in use */
	/* daemon-given slots, one part per shard, touched by that shard only */
	struct {
		uint32_t fresh, end; /* [fresh, end) was never used */
		uint32_t free;	     /* first of the used ones, UINT32_MAX: none */
	} part[SHARDS_MAX];
	int fd; /* of the memfd: the control thread's */
};

/* The sockets of one region that a client holds, as a bit set. */
struct sock_holds {
	struct sock_region *region;
	_Atomic uint64_t *bits; /* [(sock_count + 63) / 64] */
};

/* The producing side of one event queue on one shard. */
struct sock_evq {
	struct list touched; /* it has news in this burst */
	struct sock_client *client; /* whose; NULL: never posted to */
	bool signals;	     /* its news is a signal, whatever the client sleeps on */
	uint32_t tail;	     /* our copy of what was pushed */
};

/* A client process. */
struct sock_client {
	struct sock_region *own;
	struct sock_holds holds[SOCK_REGIONS_MAX]; /* [0] is the own region's */
	_Atomic uint32_t hold_count; /* grows only */
	uint32_t sq_head[SHARDS_MAX]; /* our copy of where each submission queue was read to */
	_Atomic int *evq_fd;	      /* [own->head.evq_count], -1: not registered */
#define SOCK_FD_SIGNAL 0x40000000 /* in evq_fd: one end of a pair, see waker.h */
	struct sock_evq *evq;	      /* [shard * evq_count + evq] */
	struct sock_sub **sub_at;     /* [shard * sub_count + subscription] */
	struct list subs[SHARDS_MAX]; /* this client's subscriptions on each shard */
	struct list node[SHARDS_MAX]; /* in that shard's table */
	const struct tcp_rules *rules; /* with the process's overrides; NULL: the instance's */
	_Atomic bool expelled;
	bool trusted; /* could do us harm without being a client: see waker.h */
	const char *expelled_why;
	uint32_t pid, uid;
};

/* Options chosen before there is a connection; kept for what a listener hands down, which other
 * shards read while the owner may add one. */
struct sock_options {
	_Atomic uint32_t set; /* bit per enum stackd_opt, set after its value */
	_Atomic int64_t value[STACKD_OPT_COUNT];
};

enum sock_kind {
	SOCK_FREE = 0,
	SOCK_OPEN,
	SOCK_CONN,
	SOCK_LISTENER,
	SOCK_ENDED,
	SOCK_MOVING, /* its connection is on the way to the shard that owns it already */
};

/* One slot, the daemon's side. */
struct sock {
	/* read by other threads too */
	_Atomic(struct sock_listener *) listener; /* SOCK_LISTENER: [SHARDS_MAX] records, one a shard */
	_Atomic(struct sock_options *) options;	  /* NULL: none chosen */
	_Atomic uint32_t owner; /* the shard whose it is, plus 1; 0: by sock_owner's rule */
	_Atomic uint8_t kind;	/* enum sock_kind */
	/* from here on the owner's, and zeroed when a use begins */
	struct sock_region *region;
	struct tcp_conn *conn;
	struct sock_port *port;	       /* the bound port, NULL: none */
	const struct tcp_rules *rules; /* chosen for this socket; NULL: the client's */
	struct sock *parent;		/* accepted: the listener, while it lives */
	struct list subs;
	struct endpoint local; /* bound */
	uint64_t rx_tail, rx_head, tx_tail, tx_head; /* the last checked values */
	uint32_t slot, gen;
	uint32_t next_free;
	uint32_t tx_limit; /* what the slot says */
	bool tx_fixed;	   /* by SO_SNDBUF */
	uint32_t tx_lowat; /* TCP_NOTSENT_LOWAT; 0: none */
	uint64_t tx_sent;  /* what the slot says, if there is one */
	uint32_t holders;
	uint8_t bind_flags; /* enum stackd_bind_flag */
	uint8_t device;	    /* the only interface, plus 1; NET_ANY: all */
	bool offered;	   /* in an accept ring, nobody's yet */
	bool letting_go;   /* the application is gone; free it when TCP has ended */
};

/* A listener on one shard. */
struct sock_listener {
	struct tcp_listener *tcp;
	struct sock *sock;
	struct list subs;
	uint32_t accept_tail; /* our copy */
};

/* Somebody who wants to hear of a socket: an event queue of a client. */
struct sock_sub {
	struct list of_sock, of_client;
	struct sock_client *client;
	struct sock *sock;
	uint32_t evq, id;
	uint32_t interest;
	uint32_t turn; /* struct stackd_sub */
};

/* What the shard has to carry elsewhere. */
struct sock_letter {
	enum sock_letter_kind {
		SOCK_TO_SHARD,	   /* submission for a socket that `shard` owns: sock_submit there */
		SOCK_TO_ALL,	   /* subscription on a listener: sock_submit on every other shard */
		SOCK_EXPEL,	   /* control: client broke the protocol, client->expelled_why */
		SOCK_UNLISTEN,	   /* control: the last holder of a listener let go */
		SOCK_REGION_EMPTY, /* control: refs is 0 */
	} kind;
	uint32_t shard;
	struct sock_client *client;
	struct sock_region *region;
	struct sock *sock;
	struct stackd_sqe sqe;
};

struct sock_table_config {
	struct tcp *tcp;
	const struct memory *memory;
	struct counters *counters;
	uint32_t shard, shards;
	uint32_t letters_max; /* room for so many at first, a power of two */
	uint16_t port_min, port_max; /* ephemeral ports */
	uint32_t port_seed;	     /* where the search starts */
};

struct sock_table;
struct sock_table *sock_table_create(const struct sock_table_config *); /* NULL: out of memory */
void sock_table_destroy(struct sock_table *);

/* --- the shard's loop ------------------------------------------------------------------------- */

/* Takes what clients have submitted, at most a bounded number each.  True if there was anything. */
bool sock_poll(struct sock_table *, ns_t now);
/* True if sock_poll would find something: asked last before sleeping. */
bool sock_ready(struct sock_table *);
/* TCP's news into shared memory and event queues.  True if there was any. */
bool sock_events(struct sock_table *);
/* A passive connection completes: gives it a slot and rings of its listener's region.  False: there
 * is none free. */
bool sock_give_buffers(struct sock_table *, struct tcp_conn *);
/* An eventfd that must be written because its sleeper has news; -1 at the end.  *trusted: of its
 * client. */
int sock_next_wakeup(struct sock_table *, bool *trusted);
bool sock_next_letter(struct sock_table *, struct sock_letter *out);
/* A submission that another shard passed on (SOCK_TO_SHARD, SOCK_TO_ALL). */
void sock_submit(struct sock_table *, struct sock_client *, const struct stackd_sqe *, bool for_all, ns_t now);
/* A connection in SYN-SENT moves: the old shard lets go of its socket (after tcp_export), the new one
 * takes it (after tcp_import; conn NULL: there was no memory, it ends with ENOBUFS).  The options
 * travel in *carried. */
void sock_depart(struct sock_table *, struct sock *, uint32_t to_shard, struct sock_options *carried);
void sock_adopt(struct sock_table *, struct sock *, struct tcp_conn *, const struct sock_options *carried);
uint32_t sock_count(const struct sock_table *);
/* For what the control thread refused. */
void sock_count_refusal(struct sock_table *, enum count_id);

/* --- by the control thread, inside shard_call -------------------------------------------------- */

void sock_add_client(struct sock_table *, struct sock_client *);
/* Its sockets on this shard lose it as a holder (reset if it was the last), its subscriptions end.
 * To be called again for sockets that moved here from a shard that comes later: until it holds none. */
void sock_remove_client(struct sock_table *, struct sock_client *);
/* `child` holds on this shard all that `parent` holds in a region that both name.  Again: what it
 * holds already stays as it is. */
void sock_clone_holds(struct sock_table *, struct sock_client *parent, struct sock_client *child);
/* The shard whose thread alone may touch the socket. */
uint32_t sock_owner(const struct sock_region *, uint32_t slot);
/* NULL: this client names no such region. */
struct sock_region *sock_region_of(struct sock_client *, uint32_t region);
/* On the socket's shard: is it held by this client, it is from now on (and was not), and no more; the
 * last one who lets go closes it. */
bool sock_held(const struct sock_client *, const struct sock *);
void sock_hold(struct sock_client *, struct sock *);
void sock_let_go(struct sock_table *, struct sock_client *, struct sock *, bool reset);
/* NULL: not a socket this client holds (region, slot, gen). */
struct sock *sock_find(struct sock_client *, uint32_t region, uint32_t slot, uint32_t gen);
/* Makes an own slot known before anything else names it.  NULL: not free, or out of range. */
struct sock *sock_open(struct sock_table *, struct sock_client *, uint32_t region, uint32_t slot, uint32_t gen);
/* 0, -EINVAL (connected already), -ENOBUFS.  On every shard; `record` is sock->listener[shard]. */
int sock_listen(struct sock_table *, struct sock *, uint32_t backlog, const struct tcp_rules *);
void sock_unlisten(struct sock_table *, struct sock *);
/* After sock_unlisten on every shard: on the owner. */
void sock_free_listener(struct sock_table *, struct sock *);
/* What show listeners needs: the listener's shared record on this shard. */
struct tcp_listener *sock_tcp_listener(const struct sock_table *, const struct sock *);

/* --- ports, the control thread's --------------------------------------------------------------- */

struct sock_ports;
struct sock_ports *sock_ports_create(const struct memory *, uint16_t min, uint16_t max); /* NULL: no memory */
void sock_ports_destroy(struct sock_ports *);
/* Claims local (port 0: chooses one); flags: enum stackd_bind_flag, and above them the interface that
 * it is confined to: on another one the same is free.  0, -EADDRINUSE, -ENOBUFS. */
#define SOCK_PORT_DEVICE(device) ((uint32_t)(device) << 8)
int sock_port_claim(struct sock_ports *, struct endpoint *local, uint32_t flags, struct sock_port **out);
/* From any thread.  One more socket has it, as those that a listener accepts do; one less: after the
 * last the port is free at the next claim. */
void sock_port_hold(struct sock_port *);
void sock_port_release(struct sock_port *);
/* The socket on it listens: nobody else may claim it without REUSEPORT.  From any thread. */
void sock_port_listening(struct sock_port *, bool listening);

#endif
