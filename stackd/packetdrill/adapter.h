/* SPDX-License-Identifier: BSD-2-Clause */
/* adapter.h - the inside of packetdrill.so: sockets over one virtual host, and its clock.
 *
 * One lock around everything.  The thread that made the adapter drives the clock; a call that has
 * to wait on another thread sleeps on `moved` until that one has brought about what it waits for. A
 * call that has to wait on the driving thread itself lets time pass. */
#ifndef STACKD_PACKETDRILL_ADAPTER_H
#define STACKD_PACKETDRILL_ADAPTER_H

#include <pthread.h>

#include "base/list.h"
#include "lab/host.h"
#include "lab/rules.h"
#include "packetdrill/packetdrill.h"
#include "packetdrill/wire.h"

enum so_state { STATE_FRESH, STATE_LISTENING, STATE_CONNECTING, STATE_CONNECTED, STATE_ENDED };

#define SO_OPTIONS_MAX 16u /* enum tcp_opt */

/* What setsockopt remembers; a listener's go to those it accepts. */
struct so_options {
	uint32_t set; /* a bit for each enum tcp_opt */
	int64_t value[SO_OPTIONS_MAX];
	bool reuse_address, reuse_port, lingers, v6_only;
	ns_t linger_ns, receive_ns, send_ns; /* the last two: NS_NEVER is no limit */
	uint32_t send_buffer;                /* grows with tcp_send_limit */
	bool send_buffer_named;              /* by SO_SNDBUF: it doesn't */
	char cc[32];                         /* "": as configured */
};

struct so {
	struct list node;
	struct adapter *adapter;
	int fd; /* -1: accepted by nobody yet, or closed */
	int family;
	enum so_state state;
	unsigned busy; /* calls that are in it */
	bool nonblock, bound, fin, eof, read_shut, write_shut, more, was_connected;
	int error; /* not told yet */
	struct endpoint local, remote;
	struct tcp_conn *conn;
	struct tcp_listener *listener;
	struct byte_ring rx, tx;
	uint64_t arrived, received, queued, acked;
	uint64_t news; /* counts what epoll's edges are */
	struct so_options options;
	struct list ready; /* listener: accepted connections; else membership in that list */
};

struct waiter {
	struct list node;
	bool (*ready)(void *arg);
	void *arg;
	ns_t until;
};

struct adapter {
	pthread_mutex_t lock;
	pthread_cond_t moved, settled;
	pthread_t driver_thread;
	ns_t now;
	struct driver *wire;
	struct lab_host *host;
	struct lab_rules rules;
	struct plugins *plugins;
	struct addr address, gateway;
	struct list sockets, epolls, waiters;
	uint16_t next_port;
};

#define NEVER_LIMIT_NS (86400 * NS_PER_S) /* as long does a wait for a packet last */

/* --- time (clock.c) -----------------------------------------------------------------------------
 */

/* Processes what is due or has arrived, and lets waiting calls go on. */
void adapter_turn(struct adapter *);
void adapter_advance(struct adapter *, ns_t to);
/* To the next thing that happens by itself, `limit` at the most.  False: nothing does. */
bool adapter_step(struct adapter *, ns_t limit);
/* Until ready(arg), or `until`.  True: ready. */
bool adapter_wait(struct adapter *, bool (*ready)(void *), void *arg, ns_t until);
ns_t adapter_deadline(const struct adapter *, ns_t timeout_ns); /* from now on; NS_NEVER stays */

/* --- sockets (socket.c)
 * ---------------------------------------------------------------------------- */

struct so *so_find(struct adapter *, int fd); /* NULL: not ours */
struct so *so_accepted(struct adapter *, struct tcp_conn *);
void so_event(struct so *, uint32_t events);
/* Frees what nobody needs any more. */
void so_sweep(struct adapter *);
void so_free(struct so *);
void so_apply_options(struct so *);
int so_take_error(struct so *);
bool so_address_in(const struct sockaddr *, socklen_t, struct endpoint *);
void so_address_out(const struct so *, const struct endpoint *, struct sockaddr *, socklen_t *);

/* Each 0 or an errno. */
int so_create(struct adapter *, int domain, int type, int protocol, int *fd);
int so_bind(struct so *, const struct sockaddr *, socklen_t);
int so_listen(struct so *, int backlog);
int so_accept(struct so *, struct sockaddr *, socklen_t *, int *fd);
int so_connect(struct so *, const struct sockaddr *, socklen_t);
int so_shutdown(struct so *, int how);
int so_close(struct so *);

/* --- data (stream.c)
 * -------------------------------------------------------------------------------- */

/* Bytes, or -errno. */
ssize_t so_receive(struct so *, const struct iovec *, size_t count, int flags);
ssize_t so_send(struct so *, const struct iovec *, size_t count, int flags);
uint32_t so_room(const struct so *);
uint32_t so_send_limit(const struct so *);

/* --- options (option.c)
 * ---------------------------------------------------------------------------------- */

int so_set_option(struct so *, int level, int name, const void *, socklen_t);
int so_get_option(struct so *, int level, int name, void *, socklen_t *);
int so_ioctl(struct so *, unsigned long request, int *value);

/* --- readiness (ready.c)
 * ----------------------------------------------------------------------------------- */

short so_poll(const struct so *);
int ready_poll(struct adapter *, struct pollfd *, nfds_t, int timeout_ms);
int ready_epoll_create(struct adapter *, int *fd);
int ready_epoll_ctl(struct adapter *, int epfd, int op, int fd, const struct epoll_event *);
/* How many, or -errno. */
int ready_epoll_wait(struct adapter *, int epfd, struct epoll_event *, int max, int timeout_ms);
bool ready_epoll_close(struct adapter *, int epfd); /* false: none of ours; the fd stays open */
void ready_free(struct adapter *);
void ready_forget(struct so *); /* the descriptor is closed */

#endif
