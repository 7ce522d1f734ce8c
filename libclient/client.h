/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h - the inside of libclient: its objects and which file owns what.
 *
 *   attach.c    the connection to the daemon: regions, board, requests
 *   queue.c     submissions, event queues, subscriptions
 *   guest.c     threads beyond the number of event queues
 *   crowd.c     epoll instances beyond it
 *   fd.c        descriptor table, open descriptions, dup and close, our own descriptors
 *   socket.c    from a kernel socket to a stack socket, slots, names
 *   connect.c   bind, connect, listen, accept, shutdown
 *   both.c      the kernel's half of a listener
 *   stream.c    the byte rings: recv, send
 *   zerocopy.c  reserve and commit, peek and consume, sendfile
 *   splice.c    pipes
 *   urgent.c    the urgent byte
 *   option.c    options
 *   device.c    SO_BINDTODEVICE
 *   ioctl.c     ioctl, fcntl
 *   ready.c     what poll would say of a socket
 *   wait.c      a thread that waits for one socket
 *   poll.c      poll and select
 *   epoll.c     an epoll instance's sockets
 *   epwait.c    waiting in it
 *   signal.c    which signal handlers have run
 *   owner.c     whom a socket signals
 *   fork.c      fork, exit
 *   exec.h      exec.c, exec_epoll.c, inherit.c, rights.c: what goes to another program
 *
 * Locks, in the order in which they are taken: table_lock (fd.c: descriptor table and descriptions'
 * lists, slots, subscriptions) -> epoll.lock -> attach.sq_lock.  request_lock stands alone.  The
 * slot's rx_lock and tx_lock come before sq_lock.  None is held while waiting for the network. */
#ifndef STACKD_CLIENT_H
#define STACKD_CLIENT_H

#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "libc.h"
#include "lock.h"
#include "stackd_msg.h"
#include "stackd_shm.h"

struct region {
	struct region *next; /* of its attachment */
	uint8_t *base;
	struct stackd_shm_head head; /* our copy: a sibling process can't change it under us */
};

/* One subscription of ours, by its number in the own region. */
struct watch {
	struct watch *next_of_sock;
	struct watch *next_free;
	struct ofd *ofd; /* NULL: free */
	_Atomic(struct evq *) evq;
	struct epitem *item; /* of an epoll instance; NULL: of a waiting thread */
	uint32_t mask;
	uint32_t round; /* the poll call that wanted it last */
};

/* An event queue: of a thread that waits, or of an epoll instance. */
struct evq {
	struct attach *attach;
	uint32_t index;
	int fd; /* eventfd, not blocking */
	uint32_t round;
	_Atomic int credit; /* did looking before sleeping pay lately */
	struct evq *host;   /* guest.c: whose ring and number it shares; NULL: it has its own */
	const struct ofd *wants;     /* of a guest: the socket that it waits for, NULL: several */
	struct evq *guests, *leader; /* of the host: who is asleep */
	struct evq *next_guest;
	bool crowded; /* an epoll instance's that shares the host: crowd.c */
	struct evq *next_free;
};

/* One connection to the daemon.  Never freed: sockets of a dead one still ask it. */
struct attach {
	_Atomic bool dead;
	int conn;
	uint32_t shards;
	int kick[STACKD_SHARDS_MAX];
	const struct stackd_board *board;
	struct region *own;
	struct region *others; /* whose sockets came by exec */
	_Atomic uint32_t sq_lock[STACKD_SHARDS_MAX];
	_Atomic uint64_t
	    kicked[STACKD_SHARDS_MAX]; /* the queue's head at the last kick, + 1; 0: none */
	uint32_t *slot_used;           /* [sock_own]: gen + 1 of our last use */
	uint32_t slot_next;
	struct watch *watch;                        /* [sub_count] */
	struct watch *watch_free, **watch_free_end; /* a queue: numbers rest before they return */
	uint32_t watch_fresh, watch_resting;        /* never used yet; in the free queue */
	uint32_t evq_next;                          /* never given out yet */
	struct evq *evq_free;
	_Atomic(struct evq *) evq_host;      /* guest.c */
	_Atomic(struct evq *) evq_crowdhost; /* crowd.c */
};

enum kind { KIND_SOCKET = 1, KIND_EPOLL, KIND_INTERNAL };

enum mode {
	MODE_CANDIDATE, /* a TCP socket whose side isn't decided */
	MODE_KERNEL,
	MODE_STACK,
};

struct addr {
	uint8_t byte[16]; /* IPv4 v4-mapped */
	uint16_t port;    /* host order */
};

struct option_value {
	int level, name, value;
};

#define OPTIONS_MAX 24

/* An open description: what dup shares.  Its memory is never given back, so a stale pointer from
 * the table finds a counter of 0 or another's, never rubbish. */
struct ofd {
	_Atomic uint32_t refs; /* descriptors plus calls in progress */
	uint8_t kind;
	_Atomic uint8_t mode;
	_Atomic bool nonblock;
	bool listening, connect_posted, connect_pending, bound, accepted;
	_Atomic int error; /* of a connection that was broken off here */
	uint32_t bind_flags;
	bool unconnected; /* a connect has failed and said so: as new, but for what bind gave it */
	bool kernel_only; /* an option was set that the stack can't honour */
	bool both;        /* bound in the kernel too: both.c */
	int ifindex;	    /* SO_BINDTODEVICE; 0: any */
	_Atomic int beside; /* a copy of the kernel's half that listens; -1: none */
	int domain;
	uint64_t inode; /* of the kernel socket behind it: what it is called in a program to come */
	struct ofd *next_free;
	struct epoll *epoll;   /* KIND_EPOLL */
	struct epitem *items;  /* epoll instances that have this socket */
	struct watch *watches; /* its subscriptions */

	struct attach *attach;
	struct region *region;
	struct stackd_sock *sock;
	uint8_t *rx, *tx;
	uint64_t rx_bytes, tx_bytes;
	_Atomic uint64_t peeked_to, reserved_to; /* stream offsets; zerocopy.c */
	uint32_t slot, gen;
	struct addr local; /* what bind asked for, with the port that it got */
	bool port_chosen;  /* for the program, which asked for any */

	int64_t rcvtimeo_ns, sndtimeo_ns; /* 0: none */
	int linger;                       /* seconds, -1 off */
	int rcvlowat;
	struct f_owner_ex owner; /* as the kernel socket has it; pid 0: none */
	int owner_sig;		 /* F_SETSIG's */
	bool async, owned;	 /* O_ASYNC; the daemon knows of an owner */
	_Atomic uint32_t notsent_lowat; /* TCP_NOTSENT_LOWAT, 0: off */
	uint32_t option_count;
	struct option_value
	    option[OPTIONS_MAX]; /* set by the program, as the kernel reads them back */
	char choice[4][48];      /* plugins asked for before there was a slot; option.c's order */
};

/* What an edge-triggered item has been told of: the same again is no edge. */
struct news {
	uint64_t in, out; /* how far data, connections and room had come */
	uint32_t bits, gen;
};

struct epitem {
	struct epoll *epoll;
	struct ofd *ofd;
	int fd;
	uint32_t events; /* 0 after a ONESHOT has fired, but for the flags */
	epoll_data_t data;
	bool kernel; /* registered in the kernel's epoll too: the socket is still the kernel's */
	bool queued; /* on the ready list */
	bool beside; /* the kernel watches the listener's other half */
	bool first_edge_known;
	uint64_t edges; /* that it has told of */
	struct epitem *next_beside;
	struct news told;
	struct watch *watch;
	struct epitem *next_of_sock;
	struct epitem *ready_next, *ready_prev;
};

struct epoll {
	_Atomic uint32_t lock;
	int fd;     /* the number it was last changed by */
	int around; /* in a forked child: its own instance around the one it shares; else -1 */
	_Atomic bool inside_left; /* the shared one may still have something of the program's */
	bool inherited;           /* the kernel's instance also has the parent's marks */
	uintptr_t marks_inside;   /* where those begin: epoll_marker, or another program's */
	_Atomic bool nested;      /* somebody waits for this instance's descriptor: stay armed */
	_Atomic uint32_t kernel_items;   /* registered and not ours; a hint */
	_Atomic uint32_t kernel_skipped; /* calls that didn't ask the kernel: epwait.c */
	_Atomic uint32_t waiters;
	_Atomic(struct evq *) evq; /* NULL: the kernel's epoll does it all */
	struct epitem **item;      /* by descriptor */
	int item_count;
	struct epitem *besides; /* listeners with a kernel's half */
	struct epitem *ready_head, *ready_tail;
	_Atomic uint32_t ready_count;
};

/* ---- attach.c ---- */

/* The attachment, made at the first call; NULL with errno when there is none (said once). */
struct attach *attach_get(void);
struct attach *attach_current(void); /* the same without trying */
bool attach_required(void);
int attach_configure(const char *rundir, const char *options); /* 0 or an errno */
bool attach_is_dead(struct attach *);
/* Looks whether the daemon has gone; one system call. */
bool attach_check(struct attach *);
/* The same once in a while: for calls that find nothing and don't wait. */
bool attach_glance(struct attach *);
/* One question to the daemon.  fds/fd_count: in what goes along, out (up to *fd_count) what came.
 * 0 or an errno. */
int attach_request(struct attach *, struct stackd_request *, struct stackd_reply *, int send_fd);
/* The parent's half of fork: a new client for the child.  0 or an errno. */
int attach_clone(struct attach *);
void attach_clone_parent(void);
void attach_clone_child(void);
/* The connection of a new client that holds all that this one holds; for a program to come.  Of it
 * nothing is kept here.  0 or an errno.  Async-signal-safe. */
int attach_clone_connection(struct attach *, int *conn);
/* The attachment behind such a connection, which is the process's from now on; NULL with errno. */
struct attach *attach_resume(int conn);
/* A request that is answered by a descriptor: it, or -1 with errno. */
int attach_pass(struct attach *, struct stackd_request *);
/* A region that the client knows by number, mapped. */
struct region *attach_region(struct attach *, uint32_t number);
/* Whose is this address?  For bind: own addresses and wildcards; for connect: routed ones too.
 * ifindex: the only interface to be used, 0: any. */
bool attach_serves(const struct attach *, const struct addr *, bool for_bind, int ifindex);
bool attach_owns(const struct attach *, const struct addr *); /* a wildcard: any address */
bool attach_reaches(const struct attach *, const struct addr *, int ifindex);
/* The daemon's number of an interface, plus 1; 0: it doesn't drive it, or any. */
uint32_t attach_device(const struct attach *, int ifindex);

/* ---- queue.c ---- */

void queue_post(struct ofd *, uint8_t op, uint16_t opt, int64_t arg, uint64_t arg2);
struct evq *evq_for_epoll(struct attach *); /* both shared with others if need be */
struct evq *evq_for_thread(struct attach *);
struct evq *evq_for_signals(struct attach *); /* NULL: none left */
/* Whom the daemon knows it as. */
static inline struct evq *evq_known(struct evq *e)
{
	return e->host ? e->host : e;
}
int evq_sleeps_on(struct evq *); /* the eventfd to wait for, after evq_arm */
void evq_free(struct evq *);
/* Sets the flag; false: something is there already (see stackd_shm.h, sleeping and waking). */
void evq_arm(struct evq *);
bool evq_is_armed(const struct evq *); /* not for guests */
void evq_disarm(struct evq *);
void evq_drain(struct evq *);
void evq_kick(struct evq *);
void queue_flush(struct attach *, int64_t patience_ns);
void queue_wake(struct ofd *);
bool evq_pending(const struct evq *);
/* Takes all events; calls back with each watch that has one. */
void evq_pop(struct evq *, void (*found)(struct watch *));
/* table_lock is held.  NULL: no subscription left. */
struct watch *watch_add(struct ofd *, struct evq *, struct epitem *, uint32_t mask);
struct watch *watch_find(struct ofd *, struct evq *);
void watch_mask(struct watch *, uint32_t mask);
void watch_remove(struct watch *);
void watch_repost(struct ofd *); /* the socket has another slot */
void watch_evict(struct evq *, uint32_t round);
void queue_forked(void);

/* ---- guest.c ---- */

struct evq *guest_new(struct evq *host);
void guest_free(struct evq *);
void guest_enter(struct evq *);
void guest_leave(struct evq *);
int guest_sleeps_on(struct evq *);
void guest_wake(struct evq *host, const struct ofd *);
void guest_forked(void);

/* ---- crowd.c ---- */

struct evq *crowd_new(struct evq *host);
void crowd_free(struct evq *);
/* The kernel's epoll shall see the host too.  0 or an errno. */
int crowd_register(const struct evq *, int epfd, struct epoll_event *mark);
/* The host's events, each to its instance.  No lock is held; nothing for a queue of one's own. */
void crowd_pop(struct evq *);

/* ---- fd.c ---- */

#define FD_NUMBERS (1u << 20) /* Linux's own default limit (fs.nr_open) */

extern _Atomic uint32_t table_lock;

/* The description behind fd with a reference, or NULL: the kernel's alone. */
struct ofd *fd_get(int fd);
/* The same for stack sockets only. */
struct ofd *fd_get_stack(int fd);
void fd_put(struct ofd *);
bool fd_is_internal(int fd);
bool fd_is_ours(int fd); /* a stack socket or an epoll instance, for poll and select */
struct ofd *ofd_new(enum kind);
bool fd_install(int fd, struct ofd *); /* takes over the caller's reference */
void fd_forget(int fd);                /* the socket turned out to be the kernel's */
int fd_internal(int fd);               /* moves it high and protects it; the new number or -1 */
int fd_high(int fd);                   /* moves it out of the program's way, no more */
void fd_internal_close(int fd);
void fd_internal_close_all(void);
void fd_each(void (*visit)(struct ofd *));
void fd_each_with(void (*visit)(struct ofd *, void *), void *arg);
/* The descriptors that this process has, as the kernel knows them, until visit gives false.
 * Async-signal-safe. */
void fd_each_open(bool (*visit)(int fd, void *), void *arg);
uint64_t fd_inode(int fd);        /* of a socket; 0: it is none */
bool fd_in_foreign_process(void); /* in a vfork child: our memory is the parent's */
void fd_process_changed(void);

int fd_dup(int fd);
int fd_dup_to(int fd, int copy, int flags, bool dup3);
int fd_dup_above(int fd, int command, int least);
int fd_close_range(unsigned int first, unsigned int last, int flags);

/* ---- socket.c ---- */

bool addr_from(const struct sockaddr *, socklen_t, struct addr *);
void addr_to(const struct addr *, int domain, struct sockaddr *, socklen_t *);
/* Loopback, or (to connect to) a wildcard: always the kernel's. */
bool addr_is_local(const struct addr *, bool for_bind);
bool addr_is_any(const struct addr *);
/* The slot's state as the program may see it. */
uint32_t sock_state(const struct ofd *);
int sock_take_error(struct ofd *);
/* Which directions this side has shut, as every process that shares the socket knows: RCV 1, SND 2.
 */
uint32_t sock_shut(const struct ofd *);
/* The slot's word of the clients: two bits of sock_shut, and what MSG_MORE holds back. */
enum { SOCK_MORE = 4, SOCK_URGENT_GOT = 8 }; /* behind it: which byte, urgent.c */
static inline uint32_t sock_word(const struct ofd *o)
{
	return __atomic_load_n(&o->sock->client_word, __ATOMIC_ACQUIRE);
}
void sock_place(struct ofd *, struct attach *, struct region *, uint32_t slot);
void sock_release(struct ofd *); /* the last reference has gone */
void sock_request(const struct ofd *, struct stackd_request *, uint32_t type);
void sock_accepted(struct ofd *, const struct ofd *listener, uint32_t slot);
/* Gives a candidate a slot: from now on it is a stack socket.  0 or an errno. */
int sock_adopt(struct ofd *, struct attach *);
/* Another slot, as after socket and bind: for the connect after one that failed. */
int sock_renew(struct ofd *);
int sock_disconnect(struct ofd *); /* the same at once, and the connection is reset */
int sock_bind(struct ofd *,
	      struct addr *); /* with bind_flags; fills the port in.  0 or an errno. */
/* Binds the kernel socket behind it to its address, and this port: an errno or 0. */
int sock_bind_kernel(const struct ofd *, int fd, uint16_t port);
int sock_fail(int error);     /* -1 with errno set, or 0 */

/* ---- connect.c ---- */

bool accept_pending(const struct ofd *);
uint64_t accept_tail(const struct ofd *); /* connections that have come to a listener so far */

/* ---- both.c ---- */

/* After bind in the stack; any_port: another one will do.  0 or an errno, and nothing is bound. */
int both_bind(struct ofd *, int fd, bool any_port);
int both_listen(struct ofd *, int fd, int backlog); /* 0 or an errno */
void both_shutdown(const struct ofd *, int how);
void both_inherit(struct ofd *, int fd);
void both_release(struct ofd *);
bool both_pending(const struct ofd *);
/* The new descriptor or -errno; -EAGAIN also where there is no such half. */
int both_accept(const struct ofd *, struct sockaddr *, socklen_t *, int flags);
int both_watch(struct epitem *); /* 0 or an errno */
void both_unwatch(struct epitem *);
void both_forget(struct epoll *);
/* The kernel's half that this descriptor is has something: its listeners are on the ready list. */
void both_heard(struct epoll *, int fd);

/* ---- stream.c ---- */

static inline uint64_t rx_bytes_available(const struct ofd *o)
{
	return atomic_load_explicit(&o->sock->rx_tail, memory_order_acquire) -
	       atomic_load_explicit(&o->sock->rx_head, memory_order_relaxed);
}

#define TX_CHUNK 65536u /* what Linux puts into one buffer at least, however low the mark is */

static inline uint64_t tx_bytes_unsent(const struct ofd *o)
{
	uint64_t tail = atomic_load_explicit(&o->sock->tx_tail, memory_order_relaxed);
	uint64_t sent = atomic_load_explicit(&o->sock->tx_sent, memory_order_acquire);
	uint64_t head = atomic_load_explicit(&o->sock->tx_head, memory_order_acquire);

	return tail - (sent > head ? sent : head);
}

static inline uint64_t tx_bytes_free(const struct ofd *o)
{
	uint64_t queued = atomic_load_explicit(&o->sock->tx_tail, memory_order_relaxed) -
			  atomic_load_explicit(&o->sock->tx_head, memory_order_acquire);
	uint64_t limit = atomic_load_explicit(&o->sock->tx_limit, memory_order_relaxed);

	return queued < limit ? limit - queued : 0;
}

/* What a write takes now: at the mark of TCP_NOTSENT_LOWAT nothing, before it some at least. */
static inline uint64_t tx_bytes_room(const struct ofd *o)
{
	uint64_t room = tx_bytes_free(o), most = TX_CHUNK, unsent, lowat;

	lowat = atomic_load_explicit(&o->notsent_lowat, memory_order_relaxed);
	if (!lowat || !room)
		return room;
	unsent = tx_bytes_unsent(o);
	if (unsent >= lowat)
		return 0;
	most = lowat - unsent > most ? lowat - unsent : most;
	return room < most ? room : most;
}

/* ---- urgent.c ---- */

#define URGENT_NONE UINT64_MAX

static inline bool urgent_is_set(const struct ofd *o)
{
	return atomic_load_explicit(&o->sock->flags, memory_order_acquire) & STACKD_URGENT;
}

uint64_t urgent_mark(const struct ofd *); /* the urgent byte's offset, until it is behind us */
bool urgent_at_mark(const struct ofd *);
bool urgent_is_ready(const struct ofd *); /* it has come and nobody has got it */
uint64_t urgent_readable(const struct ofd *, uint64_t available);
uint64_t urgent_before_mark(const struct ofd *); /* bytes, as FIONREAD counts them */
/* Of *n bytes at head: those that one read takes.  True: behind the first one, which is passed
 * over. */
bool urgent_limit(const struct ofd *, uint64_t head, uint64_t *n);
ssize_t urgent_recv(struct ofd *, const struct iovec *, size_t count, int flags);

/* What a read would give at once. */
static inline uint64_t rx_bytes_readable(const struct ofd *o)
{
	uint64_t n = rx_bytes_available(o);

	return n && urgent_is_set(o) ? urgent_readable(o, n) : n;
}

/* ---- stream.c ---- */

/* Nothing to read: 0 end of file, -errno, or 1: it may still come. */
int stream_why_empty(struct ofd *);
/* 0: may send; 1: not connected yet; else -errno. */
int stream_may_send(struct ofd *);
/* part: of what the call was to do, some is done, so that a signal ends it. */
int stream_send_wait(struct ofd *, int flags, int64_t *deadline, bool part);
ssize_t stream_recv_wait(struct ofd *, int flags, int64_t deadline, bool part);
void stream_sent(struct ofd *, bool more); /* tx_tail has moved; more: MSG_MORE's meaning */
void stream_hold(struct ofd *);            /* MSG_MORE begins */
void stream_consume(struct ofd *, size_t len);
void stream_consumed(struct ofd *, uint64_t head); /* rx_head has moved there */

/* ---- zerocopy.c ---- */

/* The part of a ring from stream offset `at`, `n` bytes, as at most two spans; how many. */
int ring_spans(uint8_t *ring, uint64_t ring_bytes, uint64_t at, uint64_t n, struct iovec iov[2]);
/* Bytes that went from the file into the send ring; 0 at the end of file; -errno, EAGAIN: no room.
 * offset NULL: from where the file stands. */
ssize_t stream_fill(struct ofd *, int in, off_t *offset, size_t len, bool more);
int stream_fill_wait(struct ofd *, int flags, int64_t *deadline); /* for room; 0 or -errno */

/* ---- ready.c ---- */

/* poll's bits of all that is so; looks at what `want` names (asks the daemon to tell of room). */
uint32_t ready_bits(struct ofd *, uint32_t want);
struct news ready_news(struct ofd *, uint32_t want);
bool ready_readable(struct ofd *);
bool ready_writable(struct ofd *); /* at least one byte of room, or an end */
bool ready_accept(struct ofd *);
bool ready_connected(struct ofd *); /* or failed */
uint32_t ready_interest(uint32_t poll_events);

/* ---- wait.c ---- */

int64_t clock_now(void);
struct evq *wait_evq(struct attach *);
void wait_confine(void); /* a sandbox begins */
bool wait_is_confined(void);
int wait_ppoll(struct pollfd *, nfds_t n, const struct timespec *, const sigset_t *mask);
void wait_forked(void);
/* Until ready(ofd), the deadline (ns, -1 never) or a signal: 0, EAGAIN, EINTR. */
int wait_for(struct ofd *, uint32_t interest, bool (*ready)(struct ofd *), bool may_restart,
	     int64_t deadline);
void wait_slept(struct evq *, int64_t slept_ns);
bool wait_spin(struct evq *, bool (*ready)(void *), void *);
int64_t wait_deadline(int64_t timeout_ns);
int64_t timespec_ns(const struct timespec *); /* NULL: -1 */

/* ---- owner.c ---- */

/* Whom it signals has changed, or the socket has become the stack's.  0 or an errno. */
int owner_changed(struct ofd *, int fd);
int owner_apply(struct ofd *);
void owner_forked(void);

/* ---- signal.c ---- */

/* How many handlers have run in this thread, and the queue of the wait that it is in. */
struct signal_mark {
	uint32_t restarting, interrupting; /* with SA_RESTART, without */
	struct evq *waits;
};

struct signal_mark signal_enter(struct evq *); /* NULL: no queue to wake it by */
void signal_leave(const struct signal_mark *);
bool signal_came(const struct signal_mark *); /* since signal_enter or signal_ends */
/* The wait was interrupted: must the call end?  may_restart: it has no timeout. */
bool signal_ends(struct signal_mark *, bool may_restart);
bool signal_is_noted(int sig);
void signal_forked(void);
void signal_handler(int sig, siginfo_t *, void *context); /* runs what was kept */
void signal_keep(int sig, const struct sigaction *);
void signal_kept(int sig, struct sigaction *); /* puts the program's in place of signal_handler */

/* ---- option.c ---- */

int option_replay(struct ofd *); /* 0 or an errno: a plugin that isn't there */
int option_value(const struct ofd *, int level, int name); /* as set, else 0 */
/* MSG_MORE: until a send without it the socket is corked, unless the program has corked it. */
void option_more(struct ofd *, bool more);
void option_bound(struct ofd *); /* bind has given an IPv6 socket its address */
void option_inherit(struct ofd *, const struct ofd *listener);
/* What the accepted socket's kernel socket has to remember; fast if nothing was set. */
void option_hand_on(const struct ofd *listener, int from, int to);

/* ---- device.c ---- */

bool device_names(int level, int name);
int device_set(struct ofd *, int fd, int name, const void *value, socklen_t len); /* 0 or an errno */
void device_post(struct ofd *);
void device_hand_on(const struct ofd *, int fd); /* a kernel socket shall know it too */

/* ---- epoll.c ---- */

void epoll_sock_gone(struct ofd *);    /* table_lock is held */
void epoll_sock_migrate(struct ofd *); /* a candidate has become a stack socket */
void epoll_sock_kernel(struct ofd *);  /* or the kernel's */
void epoll_sock_both(struct ofd *);    /* it listens in the kernel too */
void epoll_release(struct ofd *);
void epoll_nested(struct ofd *, int fd);
void epoll_forked(struct ofd *);
/* The description of an instance that another program left at this number; NULL: no memory. */
struct ofd *epoll_inherit(int fd, uintptr_t marks_inside);
/* A socket that it had, as it was registered and told of. */
void epoll_put_back(struct epoll *, struct ofd *, int fd, const struct epoll_event *,
		    const struct news *told);
/* Gives the instance an event queue of this attachment.  0 or an errno.  No lock is held. */
int epoll_prepare(struct epoll *, struct attach *, int epfd);
/* A child's first use of an instance that it shares with its parent. */
void epoll_revive(struct epoll *, int epfd);
void epoll_wake(struct epitem *); /* table_lock is held */
/* epoll.lock is held for these. */
void epoll_ready_add(struct epitem *);
void epoll_ready_remove(struct epitem *);
void epoll_kick(struct epoll *);   /* wakes who sleeps in it */
/* What our own registrations in the kernel's epoll are known by: an address that no program has.
 * [0] our event queue, [1] the daemon, [2] the one inside; then a listener's kernel half, by its
 * descriptor. */
#define EPOLL_MARKS 3
extern char epoll_marker[EPOLL_MARKS + FD_NUMBERS];

/* ---- fork.c ---- */

void fork_prepare_once(void);
void fork_leave(void);
pid_t fork_cloned(void);

#endif
