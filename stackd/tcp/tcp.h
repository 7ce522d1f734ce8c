/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp.h - the door of tcp/: a TCP without clock, I/O, allocation or callbacks.
 *
 * One `struct tcp` per shard, used by one thread.  Its user
 *   - gives it segments (tcp_input), ICMP errors (tcp_error) and the application's wishes,
 *   - calls tcp_run(now) after each burst and at tcp_deadline, which runs timers and sends,
 *   - takes events with tcp_next_event until it returns NULL,
 *   - then flushes the net.
 * `now` never goes back.  Stream positions are 64-bit offsets from the first data byte. */
#ifndef STACKD_TCP_TCP_H
#define STACKD_TCP_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/count.h"
#include "base/key.h"
#include "base/limits.h"
#include "base/pool.h"
#include "base/ring.h"
#include "base/siphash.h"
#include "base/tape.h"
#include "net/net.h"
#include "stackd_plugin.h"

/* --- what configures a connection ---------------------------------------------------------- */

/* Numbers a user may set under [tcp]; tcp_keys describes each (type, default, range, sentence). */
struct tcp_knobs {
	uint64_t mss;		    /* 0: from the MTU */
	uint64_t window_scale;	    /* 0..14, offered */
	bool use_window_scale, timestamps, sack, dsack, ecn;
	uint64_t initial_window;    /* segments; 0: RFC 6928 */
	uint64_t send_buffer, receive_buffer; /* bytes, limits within the attached rings */
	bool autotune;			      /* both begin with these and grow: */
	uint64_t send_buffer_start, receive_buffer_start;
	uint64_t syn_backlog;
	int syncookies;		    /* enum tcp_syncookies */
	uint64_t syn_retries, synack_retries, retries; /* R2 as a count; see user_timeout */
	uint64_t time_wait_ns, fin_wait2_ns;
	bool keepalive;
	uint64_t keepalive_time_ns, keepalive_interval_ns, keepalive_probes;
	uint64_t user_timeout_ns;   /* 0: by retries */
	uint64_t challenge_ack_limit; /* per second and shard; 0: no limit */
	int pmtud;		    /* enum tcp_pmtud */
	uint64_t pmtud_base, pmtud_interval_ns;
	bool pacing, nagle, nagle_minshall, idle_restart, cwnd_validation;
	uint64_t ttl, tos;
};
enum tcp_syncookies { TCP_SYNCOOKIES_NEVER, TCP_SYNCOOKIES_FULL /* backlog full */, TCP_SYNCOOKIES_ALWAYS };
enum tcp_pmtud { TCP_PMTUD_OFF, TCP_PMTUD_ICMP, TCP_PMTUD_PROBE };
extern const struct key tcp_keys[]; /* of struct tcp_knobs; ends with a NULL name */

/* A loaded plugin with its parameters filled in and checked. */
struct tcp_plugin {
	const struct sp_plugin *plugin;
	const void *params;
};

struct tcp_plugin_list {
	uint32_t count;
	struct tcp_plugin use[PLUGIN_CHOICES_MAX]; /* the first whose requirements are met */
};

/* Everything that decides how a connection behaves.  Immutable; outlives the connections. */
struct tcp_profile {
	struct tcp_knobs knobs;
	struct tcp_plugin_list recovery, rto, ack, cc; /* each with one member at least */
};

enum tcp_direction { TCP_ANY = 0, TCP_ACTIVE = 1, TCP_PASSIVE = 2 };

struct tcp_rule {
	struct prefix local, remote; /* bits 0: any */
	uint16_t local_port_min, local_port_max, remote_port_min, remote_port_max;
	enum tcp_direction direction;
	const struct tcp_profile *profile;
};

struct tcp_rules {
	uint32_t count;
	struct tcp_rule rule[RULES_MAX];      /* the first match wins */
	const struct tcp_profile *fallback; /* never NULL */
};

/* The profile of the first rule that matches, else the fallback. */
const struct tcp_profile *tcp_match(const struct tcp_rules *, const struct endpoint *local,
				    const struct endpoint *remote, enum tcp_direction);

/* --- an instance ----------------------------------------------------------------------------- */

struct tcp;
struct tcp_conn;
struct tcp_listener;

struct tcp_config {
	struct net *net; /* not owned */
	const struct memory *memory;
	struct counters *counters;
	struct siphash_key secret; /* ISNs, cookies, the tables' hash */
	const struct tcp_rules *rules; /* not owned */
	uint32_t connections_max, chunks_max;
	bool debug; /* assert on what plugins do wrong */
};

struct tcp *tcp_create(const struct tcp_config *, ns_t now); /* NULL: out of memory */
void tcp_destroy(struct tcp *); /* says nothing to the peers: see tcp_abort */
void tcp_set_rules(struct tcp *, const struct tcp_rules *); /* for connections opened from now on */

/* No connections from now on: opening one is -ENETDOWN, a SYN finds no listener. */
void tcp_set_draining(struct tcp *, bool draining);

/* --- frames ---------------------------------------------------------------------------------- */

enum tcp_outcome {
	TCP_DONE,	    /* processed or refused (counted) */
	TCP_NEEDS_BUFFERS,  /* *conn completes its handshake: tcp_attach and call again with the same
			       segment; not attaching refuses it (listen_no_buffers) for now */
	TCP_NOT_FOUND,	    /* nobody's here: hand it to the right shard, or tcp_reject */
};
enum tcp_outcome tcp_input(struct tcp *, const struct net_segment *, ns_t now, struct tcp_conn **conn);
/* The connection the segment belongs to, untouched; NULL: none here. */
struct tcp_conn *tcp_lookup(struct tcp *, const struct net_segment *);
void tcp_reject(struct tcp *, const struct net_segment *, ns_t now); /* RST, if one is due */
bool tcp_error(struct tcp *, const struct net_error *, ns_t now); /* false: no such connection here */

/* Timers that are due, then output of all connections with something to send. */
void tcp_run(struct tcp *, ns_t now);
ns_t tcp_deadline(const struct tcp *); /* when tcp_run wants to be called; NS_NEVER */
bool tcp_blocked(const struct tcp *);  /* something waits for room in the driver */

/* --- events ------------------------------------------------------------------------------------ */

enum tcp_event {
	TCP_EV_CONNECTED = 1,	/* an active open has succeeded */
	TCP_EV_ACCEPTED = 2,	/* a passive one has; tcp_listener_of says whose */
	TCP_EV_READABLE = 4,	/* rcv_nxt moved: tcp_received */
	TCP_EV_WRITABLE = 8,	/* snd_una moved: tcp_acked */
	TCP_EV_EOF = 16,	/* the peer's FIN is in order */
	TCP_EV_URGENT = 32,
	TCP_EV_SOFT_ERROR = 64, /* tcp_soft_error is another; the connection goes on */
	TCP_EV_SENT = 256,	/* snd_nxt moved: tcp_sent; only with TCP_OPT_TELL_SENT */
	TCP_EV_CLOSED = 128,	/* the last: tcp_conn_error tells 0 or why.  The buffers are no longer
				   used and the pointer is dead after the next call into tcp */
};
/* A connection with news; *events what happened since the last time. */
struct tcp_conn *tcp_next_event(struct tcp *, uint32_t *events);

void *tcp_user(const struct tcp_conn *);
void tcp_set_user(struct tcp_conn *, void *);
uint64_t tcp_received(const struct tcp_conn *); /* rcv_nxt without a FIN: bytes in order in the rx ring */
uint64_t tcp_acked(const struct tcp_conn *);    /* snd_una without a FIN */
uint64_t tcp_sent(const struct tcp_conn *);     /* snd_nxt without a FIN */
uint64_t tcp_urgent(const struct tcp_conn *);   /* offset after the urgent data */
int tcp_conn_error(const struct tcp_conn *);    /* 0, ECONNRESET, ECONNREFUSED, ETIMEDOUT, ECONNABORTED ... */
int tcp_soft_error(const struct tcp_conn *); /* of the path, since the last ACK; 0: none */
void tcp_endpoints(const struct tcp_conn *, struct endpoint *local, struct endpoint *remote);
struct tcp_listener *tcp_listener_of(const struct tcp_conn *); /* NULL when it has gone or was active */
void *tcp_listener_user(const struct tcp_listener *);

/* --- the application's wishes -------------------------------------------------------------------- */

/* Active open; the SYN leaves with the next tcp_run.  local.addr unspecified: by route; local.port
 * must be chosen.  rules NULL: the instance's.  0; -EADDRINUSE the four-tuple exists; -ENETUNREACH,
 * -EADDRNOTAVAIL, -EINVAL as net_route; -ENOBUFS; -ENETDOWN while it drains. */
int tcp_connect(struct tcp *, const struct endpoint *local, const struct endpoint *remote,
		const struct tcp_rules *rules, void *user, ns_t now, struct tcp_conn **out);
/* The same by one interface alone, as net_route_by has it: others' segments are not the connection's. */
int tcp_connect_by(struct tcp *, uint32_t device, const struct endpoint *local, const struct endpoint *remote,
		   const struct tcp_rules *rules, void *user, ns_t now, struct tcp_conn **out);
/* local.addr unspecified: all of ours (v4_only: only IPv4 ones, v6_only: only IPv6).  Several
 * listeners on one endpoint share by hash (SO_REUSEPORT); one that is confined to the interface goes
 * first.  0; -ENOBUFS. */
struct tcp_listen_config {
	struct endpoint local;
	bool v4_only, v6_only;
	uint8_t device; /* as with tcp_connect_by; what it accepts is confined too */
	uint32_t backlog; /* handshakes and connections that nobody has accepted yet */
	const struct tcp_rules *rules; /* asked at the SYN; NULL: the instance's */
	void *user;
};
int tcp_listen(struct tcp *, const struct tcp_listen_config *, struct tcp_listener **out);
void tcp_listener_set_backlog(struct tcp_listener *, uint32_t backlog);
/* The application took one off the accept queue: it no longer counts in the backlog. */
void tcp_accepted(struct tcp_conn *);
/* Handshakes in progress are dropped; established ones live on. */
void tcp_unlisten(struct tcp *, struct tcp_listener *);

/* Gives a connection its rings; before data can flow: after tcp_connect, or at TCP_NEEDS_BUFFERS. */
void tcp_attach(struct tcp_conn *, struct byte_ring rx, struct byte_ring tx);

/* Bytes that the application may have queued, of a tx ring of so many, unless it says otherwise
 * (SO_SNDBUF): send_buffer; with autotune what twice cwnd asks for, from send_buffer_start on.  It
 * can change with TCP_EV_CONNECTED, _ACCEPTED and _WRITABLE; what was allowed once should stay so. */
uint32_t tcp_send_limit(const struct tcp_conn *, uint32_t ring_bytes);

void tcp_queued(struct tcp_conn *, uint64_t tail);   /* bytes up to `tail` are in the tx ring */
/* The byte before the offset `end` is urgent (MSG_OOB), queued already or yet to be: until it is
 * acknowledged each segment with data below `end` says so. */
void tcp_queue_urgent(struct tcp_conn *, uint64_t end);
void tcp_consumed(struct tcp_conn *, uint64_t head); /* bytes up to `head` were read */
/* One past the last byte the peer may send by the window it knows; post-consumption threshold:
 * tcp_consumed is worth calling from this head on (the window can open by 2 MSS or half the buffer). */
uint64_t tcp_consume_at(const struct tcp_conn *);
void tcp_shutdown_write(struct tcp_conn *); /* FIN after what is queued */
/* The application is gone: FIN after what is queued, or RST if received data was left unread
 * (`unread`; RFC 9293 3.6.1).  linger_ns: 0 RST at once, NS_NEVER no limit (FIN-WAIT-2 has its own). */
void tcp_close(struct tcp_conn *, bool unread, ns_t linger_ns);
/* After tcp_close: true if all that was queued is acknowledged.  It then needs neither its rings nor its
 * user any more, both are forgotten, and it ends by itself. */
bool tcp_let_go(struct tcp_conn *);
void tcp_abort(struct tcp_conn *); /* RST, TCP_EV_CLOSED with ECONNABORTED */

enum tcp_opt {
	TCP_OPT_NODELAY, TCP_OPT_CORK, TCP_OPT_PUSH, TCP_OPT_KEEPALIVE, TCP_OPT_KEEPIDLE_S,
	TCP_OPT_KEEPINTVL_S, TCP_OPT_KEEPCNT, TCP_OPT_USER_TIMEOUT_MS, TCP_OPT_SYNCNT, TCP_OPT_LINGER2_S,
	TCP_OPT_SNDBUF, TCP_OPT_RCVBUF, TCP_OPT_MAXSEG, TCP_OPT_QUICKACK, TCP_OPT_TOS, TCP_OPT_TTL,
	TCP_OPT_TELL_SENT,
	TCP_OPT_DEVICE, /* as tcp_connect_by's */
};
/* 0 or -EINVAL (out of range, or the connection has ended); DEVICE: -ENETUNREACH, and all is as before. */
int tcp_set_option(struct tcp_conn *, enum tcp_opt, int64_t value);
/* Another congestion control for a live connection; it starts from the current cwnd. */
int tcp_set_cc(struct tcp_conn *, struct tcp_plugin cc);

/* --- moving a connection that is in SYN-SENT to another shard ------------------------------------- */

/* Takes the connection out of `from`; its record fits in tcp_export_size bytes. */
size_t tcp_export_size(void);
bool tcp_export(struct tcp *from, struct tcp_conn *, void *record); /* false: not in SYN-SENT */
struct tcp_conn *tcp_import(struct tcp *to, const void *record, ns_t now); /* NULL: out of memory */

/* --- looking ------------------------------------------------------------------------------------- */

enum tcp_state {
	TCP_CLOSED, TCP_LISTEN, TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_ESTABLISHED, TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK, TCP_TIME_WAIT,
};
const char *tcp_state_name(enum tcp_state); /* "ESTAB", "SYN-SENT" ... as ss prints them */

/* All that can be known of a connection: for show conns, TCP_INFO, traces, tests. */
struct tcp_info {
	enum tcp_state state;
	struct endpoint local, remote;
	uint32_t features; /* enum sp_feature agreed */
	uint8_t snd_wscale, rcv_wscale;
	bool recovering;
	uint32_t mss, rcv_mss, advmss, pmtu, backoffs;
	ns_t srtt, rttvar, rtt_min, rto, ack_timeout;
	uint64_t cwnd, ssthresh, flight, sacked, lost, pacing;
	uint64_t snd_una, snd_nxt, snd_end, snd_limit, rcv_nxt, rcv_limit, rcv_read;
	ns_t rcv_rtt;	     /* as seen by the receiver's tuning; 0: not */
	uint32_t rcv_buffer; /* bytes that the window may span now */
	uint64_t delivered, delivery_rate;
	uint64_t bytes_sent, bytes_retransmitted, bytes_acked, bytes_received;
	uint64_t segs_in, segs_out, data_segs_in, data_segs_out, retransmits, dsacks;
	uint64_t timeouts, recoveries, undos, probes;
	ns_t last_data_sent, last_data_received, last_ack_received, opened;
	const char *recovery, *rto_plugin, *ack, *cc; /* plugin names */
	char describe[4][96]; /* recovery, rto, ack, cc: key=value */
};
void tcp_info(const struct tcp_conn *, struct tcp_info *out, ns_t now);
/* Walks all connections (TIME-WAIT too: conn NULL, out filled as far as known); *cursor starts at 0. */
bool tcp_next_conn(struct tcp *, uint64_t *cursor, struct tcp_conn **conn, struct tcp_info *out, ns_t now);

/* What happened to a connection, and what its plugins made of it: the body of a TAPE_TCP record. */
enum tcp_trace_kind {
	TCP_TRACE_ACK,	 /* in: an acknowledgement, after recovery and cc have judged it */
	TCP_TRACE_DATA,	 /* in: text, and what the ack plugin said */
	TCP_TRACE_TIMER, /* recovery's timer has run */
	TCP_TRACE_WAIT,	 /* rto has backed off: a SYN was not answered */
	TCP_TRACE_SEND,	 /* out: text or FIN */
	TCP_TRACE_EMPTY, /* out: without text */
	TCP_TRACE_END,	 /* the connection is gone */
};
struct tcp_trace {
	uint8_t kind, state, episode; /* enum tcp_trace_kind, tcp_state, sp_episode */
	uint8_t flags;		      /* SEND, EMPTY: of the TCP header */
	bool recovering, again;	      /* again: SEND of what was sent before */
	bool duplicate, sack_news;    /* ACK */
	bool in_order, kept;	      /* DATA */
	uint32_t mss, backoffs, allowance;
	int error; /* END: errno */
	struct endpoint local, remote;
	uint64_t off, len; /* ACK: what snd_una was and by how much it moved; else of the text */
	uint64_t delivered, left; /* ACK: acknowledged or sacked; bytes that recovery reckons gone */
	ns_t rtt;		  /* ACK: the sample, 0 for none */
	ns_t ack_by;		  /* DATA: when an ACK must leave; NS_NEVER: none is owed */
	uint64_t cwnd_before, ssthresh_before;
	uint64_t cwnd, ssthresh, pipe, sacked, lost; /* bytes */
	uint64_t snd_una, snd_nxt, rcv_nxt;
	ns_t rto, srtt;
	const char *recovery, *rto_plugin, *ack, *cc; /* names of plugins */
};
/* From now on connections tell what happens to them; NULL: not any more. */
void tcp_set_tape(struct tcp *, struct tape *);
/* Neither gone nor in TIME-WAIT; and listeners. */
uint32_t tcp_conn_count(const struct tcp *);
uint32_t tcp_listener_count(const struct tcp *);

struct tcp_listener_info {
	struct endpoint local;
	uint32_t backlog, waiting, handshakes;
	uint64_t accepted, refused;
};
void tcp_listener_info(const struct tcp_listener *, struct tcp_listener_info *out);

#endif
