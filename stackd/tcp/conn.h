/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.h - the inside of tcp/: the connection, the instance, and what the files ask of each other.
 * Nobody outside tcp/ includes it.
 *
 * `view` is not a copy: its fields ARE the core's variables, so that plugins see the truth.  A
 * SYN has no offset; wire number = iss + 1 + offset.  The FIN takes one offset at the end. */
#ifndef STACKD_TCP_CONN_H
#define STACKD_TCP_CONN_H

#include <assert.h>

#include "base/list.h"
#include "base/range.h"
#include "base/seq.h"
#include "base/table.h"
#include "base/wheel.h"
#include "tcp/segment.h"
#include "tcp/tcp.h"

#define MSS_DEFAULT4     536u /* MUST-15 */
#define MSS_DEFAULT6     1220u
#define IP6_MTU_MIN      1280u
#define MSS_LOWEST       48u /* a peer's smaller offer is raised: no segment storms */
#define CHUNK_BYTES_MAX  65536u
#define ACK_DELAY_MAX_NS (500 * NS_PER_MS - 1) /* MUST-40 */
#define RTO_MAX_NS       (120 * NS_PER_S)
#define PERSIST_MAX_NS   (60 * NS_PER_S)
#define CORK_MAX_NS      (200 * NS_PER_MS)
#define PAWS_IDLE_NS     (24ull * 86400 * NS_PER_S) /* RFC 7323 5.5 */
#define NO_OFFSET        UINT64_MAX
#define ACKS_OWED_MAX    16u
#define RTT_MIN_WINDOW   (10 * NS_PER_S)
#define R1_TIMEOUTS      3u /* SHLD-10 */

/* Everything that can happen to a connection by time alone; timer.c owns them all. */
enum conn_timer {
	TIMER_HANDSHAKE, /* SYN or SYN-ACK again */
	TIMER_RECOVERY,  /* recovery.deadline */
	TIMER_PERSIST,   /* zero window probe, silly window override, cork */
	TIMER_ACK,       /* the latest time for an ACK */
	TIMER_KEEPALIVE,
	TIMER_FIN_WAIT2, /* closed by the application and the peer is silent */
	TIMER_LINGER,
	TIMER_USER, /* RFC 5482 */
	TIMER_PACING,
	TIMER_MAX
};

/* sp_kind counts from 1 */
enum { KIND_RTO, KIND_ACK, KIND_RECOVERY, KIND_CC, KIND_MAX };
#define STATE_CLASSES 4 /* plugin states of 64, 128, 256, 512 bytes */

struct chunk {
	struct sp_chunk c; /* first: plugins see this part */
	struct list by_off, by_age;
	struct tcp_conn *owner; /* NULL while it is free */
	uint64_t round_end;     /* snd_nxt when it was last sent */
	ns_t rate_from;         /* delivery rate: when the first of this flight was sent */
	ns_t first_again;       /* when it was first sent again */
	bool probe;             /* of the path's MTU */
};

/* Out-of-order data that is in the rx ring: taken on demand. */
struct held {
	struct ranges set;
	uint32_t reported_count;
	struct sp_range reported[SEGMENT_SACK_MAX]; /* RFC 2018: as last sent */
};

/* What shows whether the receive buffer is large enough: a round of about a round trip. */
struct tune {
	uint32_t goal;       /* bytes that the window widens to */
	ns_t since;          /* it began, when */
	uint64_t mark, edge; /* rcv_nxt and rcv_limit were these */
	uint32_t least_ms;   /* shortest age of an echoed timestamp in it; UINT32_MAX: none came */
	ns_t rtt;            /* as the round before showed it; 0: not known */
};

enum mtu_verdict { MTU_UNKNOWN, MTU_PASSED, MTU_LOST };
enum backlog_place { BACKLOG_NONE, BACKLOG_HANDSHAKE, BACKLOG_WAITING };

struct tcp_conn {
	struct sp_conn view;

	struct tcp *tcp;
	uint8_t state; /* enum tcp_state */
	uint8_t snd_wscale, rcv_wscale;
	uint8_t backlog; /* enum backlog_place */
	uint8_t tos, ttl;
	bool passive : 1, ts_on : 1, sack_on : 1, dsack_on : 1, sack_agreed : 1, wscale_on : 1;
	bool fin_queued : 1, fin_sent : 1, orphan : 1, recovering : 1, syn_due : 1;
	bool nodelay : 1, cork : 1, push_now : 1, keepalive : 1, override : 1;
	bool blocked_by_cwnd : 1, buffers_asked : 1, plugins_open : 1, timer_ran : 1;
	bool tells_sent : 1;
	bool cc_spared : 1, lost_more : 1;         /* only a probe is lost; something else too */
	bool ecn_on : 1, ce_seen : 1, cwr_due : 1; /* RFC 3168: agreed; to be echoed; to be said */
	uint32_t iss, irs;
	uint32_t events, allowance;

	/* sending */
	struct byte_ring tx;
	uint64_t tx_tail; /* end of the data that the application queued */
	uint64_t snd_wl1, snd_wl2;
	uint32_t snd_wnd, snd_wnd_max;
	uint32_t lost_bytes, chunk_count;
	struct list by_off, by_age; /* of struct chunk */
	struct chunk *lost_hint;    /* no chunk before it is lost; NULL: the first */
	struct chunk *sack_hint;    /* where the last SACK block ended; NULL: none */
	uint64_t limited_mark;      /* snd_nxt when cwnd last stopped us */
	uint64_t app_limited;       /* delivered up to which the samples are app-limited; 0: not */
	uint64_t ece_mark;          /* one reaction to ECE until this is acknowledged */
	uint64_t small_end;         /* end of the last segment that was not full */
	uint64_t probe_end;         /* one past a window probe's byte */
	uint64_t probe_segs;        /* segs_out when it had left */
	uint64_t urgent_out;        /* one past urgent data not acknowledged; NO_OFFSET: none */
	ns_t rate_from;

	/* receiving */
	struct byte_ring rx;
	uint64_t rcv_read;       /* the application has taken all below */
	uint64_t rcv_fin;        /* offset of the peer's FIN; NO_OFFSET: not seen */
	uint64_t rcv_acked;      /* rcv_nxt as last sent (Last.ACK.sent of RFC 7323) */
	uint64_t urgent_in;      /* one past urgent data; NO_OFFSET: none seen */
	uint32_t rcv_buffer;     /* bytes that the window may span */
	uint32_t rcv_buffer_max; /* what it may grow to: at most rx.size once attached */
	uint32_t ts_recent, ts_offset;
	ns_t ts_recent_at;
	struct sp_range dsack; /* to be reported with the next ACK */
	struct held *held;
	struct tune tune;

	/* timers */
	struct timer timer;
	ns_t due[TIMER_MAX];
	ns_t stalled_since;    /* no progress since; NS_NEVER when nothing is out */
	uint8_t tries, probes; /* of handshake; of persist or keep-alive */
	uint8_t past_deadlines, persist_shift;
	uint8_t acks_owed; /* one for each out-of-order segment (RFC 5681 4.2), without SACK */

	/* policy */
	struct tcp_plugin plugin[KIND_MAX];
	void *plugin_state[KIND_MAX];
	uint64_t pacing;
	ns_t pace_until; /* by the pace nothing new leaves before */
	const struct tcp_profile *profile;

	/* where it is */
	struct table_node node;
	struct list dirty, eventful;
	struct list of_listener;
	struct tcp_listener *listener;
	struct endpoint local, remote;
	uint8_t device; /* net_route_by's */
	struct net_route route;
	void *user;
	int error, soft_error;

	/* the path's MTU: IP packet bytes */
	uint32_t mtu_cap;   /* at most this, whatever the route says; 0: nothing of the kind */
	uint32_t mtu_bad;   /* the least that was lost again and again; 0: none */
	uint32_t mtu_probe; /* being tried; 0: none */
	uint8_t mtu_losses, mtu_verdict;
	ns_t mtu_next; /* when a larger one is tried */
	ns_t mtu_cut;  /* when silence made it smaller; 0: never */

	/* options of the application */
	uint16_t peer_mss, maxseg;
	uint32_t keep_idle_s, keep_interval_s, keep_count, user_timeout_ms, linger2_s;
	uint32_t syn_retries, retries;

	/* for tcp_info */
	ns_t rtt_min_half[2], rtt_min_since; /* of this and the last half of the window; 0: none */
	ns_t opened, last_sent, last_received, last_ack, ack_timeout, syn_sent_at;
	uint64_t bytes_sent, bytes_retransmitted, bytes_received;
	uint64_t segs_in, segs_out, data_segs_in, data_segs_out, retransmits, dsacks;
	uint64_t timeouts, recoveries, undos, probes_sent, rate;
};

struct tcp_listener {
	struct tcp *tcp;
	struct table_node node;
	struct list conns; /* tcp_conn.of_listener */
	struct endpoint local;
	bool v4_only, v6_only, any;
	uint8_t device; /* net_route_by's */
	uint32_t backlog, waiting, handshakes;
	uint64_t accepted, refused;
	const struct tcp_rules *rules;
	void *user;
};

struct tcp {
	struct net *net;
	const struct memory *memory;
	struct counters *counters;
	struct siphash_key secret;
	const struct tcp_rules *rules;
	struct tape *tape; /* NULL: nobody looks */
	bool debug, blocked, cookie_sent, draining;
	ns_t cookie_sent_at;
	ns_t now;
	struct wheel wheel, time_wait_wheel;
	struct table conns, listeners, time_waits;
	struct list dirty, eventful;
	struct list acked;       /* chunks that leave after the hooks */
	struct chunk *spare;     /* taken before a segment leaves, so that it can be recorded */
	struct tcp_conn *recent; /* of the latest segment: bursts need no hash; NULL: gone */
	struct tcp_conn *dying;  /* its TCP_EV_CLOSED was handed out */
	ns_t challenge_second;
	uint64_t challenges;
	struct pool conn_pool, chunk_pool, held_pool, listener_pool, time_wait_pool;
	struct pool state_pool[STATE_CLASSES];
	const struct sp_chunk **newly; /* of the ACK being processed */
	struct chunk partial;          /* stands for the acknowledged front of a chunk */
	uint8_t head[NET_HEADROOM + NET_TCP_HEADER_MAX];
};

#define NEWLY_MAX (CHUNKS_PER_CONNECTION_MAX + 1u)

/* --- conn.c ------------------------------------------------------------------------------ */

/* SYN-RECEIVED is synchronised for the RFC, but its plugins are not chosen yet. */
static inline bool conn_synchronized(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED;
}
static inline uint32_t conn_ip_header(const struct tcp_conn *c)
{
	return addr_is4(&c->remote.addr) ? 20 : 40;
}
static inline uint32_t conn_wire(const struct tcp_conn *c, uint64_t off)
{
	return c->iss + 1 + (uint32_t)off;
}
static inline uint32_t conn_wire_rcv(const struct tcp_conn *c, uint64_t off)
{
	return c->irs + 1 + (uint32_t)off;
}
struct tcp_conn *conn_create(struct tcp *t, const struct endpoint *local,
			     const struct endpoint *remote, const struct tcp_profile *profile,
			     bool passive);
/* The connection has ended: out of all tables; TCP_EV_CLOSED if somebody knows it, else freed. */
void conn_finish(struct tcp_conn *c, int error);
void conn_free(struct tcp_conn *c);
/* Sends a RST if the state asks for one, then conn_finish. */
void conn_reset(struct tcp_conn *c, int error);
void conn_event(struct tcp_conn *c, uint32_t events);
void conn_dirty(struct tcp_conn *c);
void conn_soft_error(struct tcp_conn *c, int error);
ns_t conn_fin_wait2_ns(const struct tcp_conn *c);
void conn_negotiate(struct tcp_conn *c, const struct segment_options *syn);
/* The flags of the SYN or SYN-ACK that came (RFC 3168 6.1.1). */
void conn_negotiate_ecn(struct tcp_conn *c, uint8_t flags);
uint32_t conn_ts_now(const struct tcp_conn *c, ns_t now);
/* The handshake is complete.  False: no memory for the plugins' states. */
bool conn_establish(struct tcp_conn *c);
/* Both FINs are acknowledged: TIME-WAIT record and end. */
void conn_time_wait(struct tcp_conn *c);

/* --- mss.c ------------------------------------------------------------------------------- */

/* From the path MTU, the peer's MSS and our options (MUST-16). */
void conn_update_mss(struct tcp_conn *c);
uint16_t conn_advertised_mss(const struct tcp_conn *c);
uint32_t mss_packet(const struct tcp_conn *c); /* bytes of a full-sized IP packet of ours */
void mss_begin(struct tcp_conn *c);            /* the connection is established */
/* The route anew, and what follows for the MSS. */
void mss_ask_route(struct tcp_conn *c);
/* A router says so; mtu 0: it does not say how much it takes. */
void mss_too_big(struct tcp_conn *c, uint32_t mtu);
/* After a time-out: is it the size? */
void mss_timed_out(struct tcp_conn *c);
/* Payload of a larger segment to be tried now (mtu_next has passed); 0: none. */
uint32_t mss_probe_due(struct tcp_conn *c);
void mss_probe_sent(struct tcp_conn *c, struct chunk *k);
/* All that stands as lost is the probe: no congestion (RFC 4821 7.5). */
bool mss_only_probe_lost(const struct tcp_conn *c);
/* The sent queue knows its fate (mtu_verdict). */
void mss_probe_judged(struct tcp_conn *c);

/* --- demux.c ----------------------------------------------------------------------------- */
uint64_t demux_hash(const struct tcp *t, const struct endpoint *local,
		    const struct endpoint *remote);
/* Does what is confined to `device` hear what comes by this interface? */
#define DEMUX_NOWHERE UINT32_MAX /* it came by none: everybody may be meant */
static inline bool demux_hears(uint8_t device, uint32_t interface)
{
	return device == NET_ANY || interface == DEMUX_NOWHERE || device == interface + 1;
}
/* The connection of the segment before, if this one is its too; NULL: look it up. */
struct tcp_conn *demux_recent(const struct tcp *t, const struct segment *s);
struct tcp_conn *demux_find(struct tcp *t, uint64_t hash, uint32_t interface,
			    const struct endpoint *local, const struct endpoint *remote);
uint64_t demux_listener_hash(const struct tcp *t, uint16_t port);
struct tcp_listener *demux_listener(struct tcp *t, uint64_t hash, const struct segment *s);

/* --- listen.c ---------------------------------------------------------------------------- */
/* A segment for a listener (RFC 9293 3.10.7.2). */
enum tcp_outcome listen_input(struct tcp_listener *l, struct segment *s, struct tcp_conn **conn);
void listen_uncount(struct tcp_conn *c);

/* --- cookie.c ---------------------------------------------------------------------------- */
/* Answers the SYN that `c` was negotiated with; nothing of `c` is needed afterwards. */
void cookie_send(struct tcp_conn *c, uint16_t peer_mss);
/* An ACK for no connection: true when it returns a cookie, *syn then is what the SYN had offered.
 */
bool cookie_check(struct tcp *t, uint64_t hash, const struct segment *s,
		  struct segment_options *syn);

/* --- timewait.c -------------------------------------------------------------------------- */
struct time_wait;
void time_wait_init(struct tcp *t);
void time_wait_add(struct tcp_conn *c);
struct time_wait *time_wait_find(struct tcp *t, uint64_t hash, const struct segment *s);
/* True: answered; false: the record is gone and a listener may take the SYN. */
bool time_wait_input(struct tcp *t, struct time_wait *w, const struct segment *s);
/* True when the four-tuple may be used for an active open; takes the record away then. */
bool time_wait_reuse(struct tcp *t, uint64_t hash, const struct endpoint *local,
		     const struct endpoint *remote);
void time_wait_expire(struct tcp *t);
bool time_wait_next(struct tcp *t, uint64_t *cursor, struct tcp_info *out);

/* --- input.c, ack.c ---------------------------------------------------------------------- */
enum tcp_outcome input_segment(struct tcp_conn *c, struct segment *s);
/* An acceptable ACK on a synchronised connection. */
void ack_process(struct tcp_conn *c, const struct segment *s);

/* --- sent.c ------------------------------------------------------------------------------ */
extern const struct sp_host sent_host;
void sent_init(struct tcp_conn *c);
void sent_clear(struct tcp_conn *c);
static inline bool sent_empty(const struct tcp_conn *c)
{
	return list_empty(&c->by_off);
}
struct chunk *sent_first(const struct tcp_conn *c);
struct chunk *sent_lost(const struct tcp_conn *c);
/* True when the next sent_append has a chunk to use. */
bool sent_ready(struct tcp_conn *c);
/* [snd_nxt, snd_nxt + len) has left for the first time; after sent_ready.  alone: as a chunk of its
 * own. */
struct chunk *sent_append(struct tcp_conn *c, uint32_t len, bool alone);
/* Cuts so that `k` is `at` bytes long.  False: no memory, nothing changed. */
bool sent_split(struct tcp_conn *c, struct chunk *k, uint32_t at);
void sent_again(struct tcp_conn *c, struct chunk *k);
/* Takes all below `off` out; what is new to us goes to newly[*n ...].  The chunks live until
 * sent_release. */
void sent_ack(struct tcp_conn *c, uint64_t off, uint32_t *n);
void sent_sack(struct tcp_conn *c, uint64_t begin, uint64_t end, uint32_t *n);
void sent_release(struct tcp *t);
/* All sacked marks are taken back. */
void sent_unsack(struct tcp_conn *c);
void sent_mark_lost(struct tcp_conn *c, struct chunk *k);
void sent_unmark_lost(struct tcp_conn *c); /* all of them: they were found not to be */
/* True when it is a chunk that is in this connection's queue. */
static inline bool sent_owns(const struct tcp_conn *c, const struct sp_chunk *k)
{
	return k && ((const struct chunk *)k)->owner == c;
}

/* --- recv.c ------------------------------------------------------------------------------ */
/* Payload and FIN of an acceptable segment (steps seven and eight). */
void recv_take(struct tcp_conn *c, const struct segment *s);
void recv_note_duplicate(struct tcp_conn *c, uint64_t begin, uint64_t end);
/* Moves the right edge by the silly-window rule and returns the window field. */
uint16_t recv_window(struct tcp_conn *c);
uint32_t recv_room(const struct tcp_conn *c);
uint32_t recv_threshold(const struct tcp_conn *c);
void recv_sack_blocks(struct tcp_conn *c, struct segment_options *o);
void recv_ack_by(struct tcp_conn *c, ns_t when);
void recv_urgent(struct tcp_conn *c, const struct segment *s);

/* --- tune.c ------------------------------------------------------------------------------ */

/* The sizes a connection begins with, and the scale of its windows. */
void tune_init(struct tcp_conn *c);
/* Never more than this: so large is the ring. */
void tune_limit(struct tcp_conn *c, uint32_t bytes);
/* The application has named a size: SO_RCVBUF. */
void tune_fix(struct tcp_conn *c, uint32_t bytes);
void tune_begin_round(struct tcp_conn *c);
/* After text in order. */
void tune_arrived(struct tcp_conn *c, const struct segment *s);
/* As the receiver knows it; 0: it doesn't. */
ns_t tune_rtt(const struct tcp_conn *c);

/* --- output.c ---------------------------------------------------------------------------- */
void output_run(struct tcp_conn *c);
void output_probe(struct tcp_conn *c);
void output_keepalive(struct tcp_conn *c);
/* True when data waits and the peer's window is shut. */
bool output_window_shut(const struct tcp_conn *c);
void output_rst(struct tcp_conn *c);
void output_challenge(struct tcp_conn *c);
/* The same from the number after a window probe's byte: the peer has taken it. */
void output_ack_from_probe(struct tcp_conn *c);
/* The RST that a segment asks for by what it acknowledges, else by what it says. */
void output_reset(struct tcp *t, const struct segment *s);
/* Answers a segment that nobody owns (RFC 9293 3.10.7.1). */
void output_reject(struct tcp *t, const struct segment *s);
/* A bare segment outside of any connection; of the one that it is for: the interface that it is
 * confined to, TOS and TTL, else 0. */
struct output_way {
	uint8_t device, tos, ttl;
};
void output_bare(struct tcp *t, struct output_way way, const struct endpoint *local,
		 const struct endpoint *remote, const struct segment_head *h);
bool challenge_allowed(struct tcp *t, const struct tcp_knobs *knobs);

/* --- transmit.c -------------------------------------------------------------------------- */
int transmit_syn(struct tcp_conn *c);
int transmit_range(struct tcp_conn *c, uint64_t off, uint32_t len);
int transmit_empty(struct tcp_conn *c, uint64_t off, uint8_t flags);
/* Payload bytes of the largest segment that one net_send takes: a multiple of the MSS. */
uint32_t transmit_max(const struct tcp_conn *c);

/* --- timer.c ----------------------------------------------------------------------------- */
void timer_set(struct tcp_conn *c, enum conn_timer which, ns_t when);
void timer_clear_all(struct tcp_conn *c);
void timer_run(struct tcp *t);
void timer_keepalive(struct tcp_conn *c);
/* Progress or its absence: for the user timeout. */
void timer_progress(struct tcp_conn *c);
/* Data waits before a shut window: that counts towards the user timeout too. */
void timer_stalled(struct tcp_conn *c);

/* --- trace.c ----------------------------------------------------------------------------- */
/* Each only when conn_traced. */
static inline bool conn_traced(const struct tcp_conn *c)
{
	return c->tcp->tape != NULL;
}
void trace_ack(const struct tcp_conn *c, const struct sp_ack *a, const struct sp_verdict *v,
	       struct sp_cc_out before);
void trace_data(const struct tcp_conn *c, const struct sp_seg *seg, ns_t ack_by);
void trace_timer(const struct tcp_conn *c, const struct sp_verdict *v, struct sp_cc_out before);
void trace_wait(const struct tcp_conn *c);
/* off: NO_OFFSET for a SYN. */
void trace_send(const struct tcp_conn *c, uint8_t flags, uint64_t off, uint32_t len);
void trace_end(const struct tcp_conn *c);

/* --- policy.c ---------------------------------------------------------------------------- */
uint32_t policy_offers(const struct tcp_profile *p);
bool policy_open_rto(struct tcp_conn *c);
bool policy_open(struct tcp_conn *c, uint32_t agreed);
void policy_close(struct tcp_conn *c);
bool policy_set_cc(struct tcp_conn *c, struct tcp_plugin cc);
void policy_rtt(struct tcp_conn *c, ns_t rtt, bool ambiguous);
void policy_expire(struct tcp_conn *c); /* rto.on_expire, for SYN and persist too */
void policy_ack(struct tcp_conn *c, struct sp_ack *a, bool progress);
void policy_timer(struct tcp_conn *c);
void policy_idle(struct tcp_conn *c);
ns_t policy_deadline(struct tcp_conn *c);
void policy_next(struct tcp_conn *c, struct sp_pick *pick);
uint64_t policy_left(struct tcp_conn *c);
void policy_sent(struct tcp_conn *c, const struct chunk *k);
bool policy_keep(struct tcp_conn *c, const struct sp_seg *seg);
void policy_data(struct tcp_conn *c, const struct sp_seg *seg);
void policy_read(struct tcp_conn *c, uint64_t freed);
void policy_ack_sent(struct tcp_conn *c);
uint32_t policy_report(struct tcp_conn *c, struct sp_range *out, uint32_t max);
void policy_describe(const struct tcp_conn *c, char out[KIND_MAX][96]);

#endif
