/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd_plugin.h - the contract between stackd's TCP and a policy plugin.
 *
 * The core keeps facts and does things; a plugin only decides.  A hook gets a
 * read-only view of one connection, the plugin's own zeroed state for that
 * connection, and the facts of one event; it answers through its return value
 * or one out-structure.  Hooks never block, allocate, lock, keep pointers past
 * their return, or read a clock.  All hooks of a connection run on one thread,
 * but different connections may run on different threads: no mutable globals.
 *
 * Bytes are named by 64-bit offset in the stream (0 is the first data byte, a
 * FIN takes one offset after the last): nothing here wraps.  Times are
 * nanoseconds of one monotonic clock; SP_NEVER means "no time".
 *
 * Order of the hooks, always the same (stackd/tcp/policy.c is the only caller):
 *
 *   ACK arrives:  sent queue updated -> rto.on_rtt (if a sample) -> rto.on_progress
 *                 (if snd_una moved) -> recovery.on_ack -> cc.on_episode (unless
 *                 SP_SAME) -> cc.on_ack -> sending: recovery.next while there is
 *                 room -> recovery.deadline
 *   timer fires:  recovery.on_timer -> if SP_TIMEOUT: rto.on_expire -> cc.on_episode
 *                 (unless SP_SAME) -> sending -> recovery.deadline
 *   data arrives: in order: taken; else recovery.keep -> ack.on_data
 *   segment sent: recovery.on_sent (data or FIN), ack.on_sent (it carried an ACK)
 *
 * Every verdict is checked by the core; a wrong one is clamped and counted
 * against the plugin.  No plugin can corrupt a stream: at worst it is slow.
 *
 * ABI log
 *   1.0  first version
 *   1.1  SP_CE_EXACT
 */
#ifndef STACKD_PLUGIN_H
#define STACKD_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_ABI_MAJOR 1u /* raised when something is taken away or changed */
#define SP_ABI_MINOR 1u /* raised when something is added at an end */
#define SP_NEVER UINT64_MAX

typedef uint64_t sp_ns;	 /* nanoseconds */
typedef uint64_t sp_off; /* offset in a stream, bytes */

enum sp_kind { SP_RTO = 1, SP_ACK, SP_RECOVERY, SP_CC };

/* What the two ends may have agreed on, and what a plugin may ask of the core. */
enum sp_feature {
	SP_SACK = 1u << 0,	  /* RFC 2018 */
	SP_TIMESTAMPS = 1u << 1,  /* RFC 7323 */
	SP_ECN = 1u << 2,	  /* RFC 3168 */
	SP_DSACK = 1u << 3,	  /* RFC 2883: report and use duplicate SACK */
	SP_PER_SEGMENT = 1u << 4, /* a chunk is never larger than one MSS */
	SP_CE_EXACT = 1u << 5,	  /* with SP_ECN: tell the peer of each CE mark exactly (RFC 8257 3.2) */
};

struct sp_range {
	sp_off begin, end; /* [begin, end); empty when equal */
};

/* One piece of the stream that has been sent and is not yet cumulatively acknowledged.
 * A chunk may be several MSS long; the core splits and joins on MSS borders. */
struct sp_chunk {
	sp_off off;
	uint32_t len;	     /* bytes, a FIN counts as one */
	uint16_t sends;	     /* transmissions so far, 1 and more */
	bool sacked;	     /* the peer said that it holds it */
	bool lost;	     /* a plugin said so; cleared by the next transmission */
	sp_ns first_sent;    /* of the first transmission */
	sp_ns last_sent;     /* of the latest */
	uint64_t delivered;  /* the connection's delivered when it was last sent */
	sp_ns delivered_at;  /* and the time of the delivery before that */
	bool app_limited;    /* the sender had nothing more to send then */
};

struct sp_conn;

/* What a plugin may ask of the core while a hook runs.  Each returns NULL at the end. */
struct sp_host {
	const struct sp_chunk *(*first)(const struct sp_conn *);			      /* lowest offset */
	const struct sp_chunk *(*last)(const struct sp_conn *);				      /* highest offset */
	const struct sp_chunk *(*next)(const struct sp_conn *, const struct sp_chunk *);      /* by offset */
	const struct sp_chunk *(*prev)(const struct sp_conn *, const struct sp_chunk *);      /* by offset */
	const struct sp_chunk *(*oldest)(const struct sp_conn *);			      /* earliest last_sent */
	const struct sp_chunk *(*younger)(const struct sp_conn *, const struct sp_chunk *);   /* by last_sent */
	const struct sp_chunk *(*lost)(const struct sp_conn *);				      /* lowest marked lost */
	const struct sp_chunk *(*at)(const struct sp_conn *, sp_off);			      /* the one holding it */
	/* Marks a chunk lost: the one change a plugin makes.  Refused and counted for a
	 * sacked chunk.  Marking one that is lost already does nothing. */
	void (*mark_lost)(const struct sp_conn *, const struct sp_chunk *);
};

/* The connection as a plugin sees it. */
struct sp_conn {
	uint32_t size; /* of this struct, as the core knows it */
	uint32_t features; /* enum sp_feature: agreed, and wanted by this connection's plugins */
	const struct sp_host *host;
	const void *params; /* the called plugin's parameters, filled from configuration */
	sp_ns now;
	uint32_t mss;		  /* bytes of data in a full-sized segment we send */
	uint32_t rcv_mss;	  /* the same of the segments the peer sends, as estimated */
	sp_off snd_una, snd_nxt;  /* RFC 9293 3.3.1 as offsets */
	sp_off snd_end;		  /* one past what the application queued (with the FIN) */
	sp_off snd_limit;	  /* snd_una + the peer's window: nothing may leave beyond */
	sp_off rcv_nxt, rcv_limit; /* rcv_limit: right edge of the window we announced */
	uint64_t cwnd, ssthresh;  /* bytes; the last verdict of cc */
	uint64_t flight;	  /* bytes sent, neither acknowledged, sacked nor marked lost */
	uint64_t sacked;	  /* bytes of sacked chunks */
	uint64_t delivered;	  /* bytes acknowledged or sacked since the start */
	sp_ns delivered_at;	  /* when that last grew */
	sp_ns srtt, rttvar, rtt_min, rto; /* 0 before the first sample; rto is always set */
	sp_ns rtt_last;	/* rtt_min is of the last ten seconds */
	sp_ns rto_since; /* when the retransmission clock was last (re)started; SP_NEVER when nothing is out */
	uint32_t backoffs; /* expiries in a row without progress */
	bool cwnd_limited; /* cwnd stopped us from sending in the last round trip */
};

/* An arriving segment with data or FIN. */
struct sp_seg {
	uint32_t size;
	uint32_t len; /* bytes of data */
	sp_off off;
	bool in_order;	/* begins at or before rcv_nxt and holds something new */
	bool duplicate; /* holds nothing new */
	bool kept;	/* was placed; false for what recovery.keep declined */
	bool fills_gap; /* in order, and later data was already held */
	bool push, fin, ce;
};

/* An arriving acknowledgement, after the core has applied it. */
struct sp_ack {
	uint32_t size;
	uint32_t newly_count;
	const struct sp_chunk *const *newly; /* chunks acknowledged or sacked for the first time by it, any order */
	sp_off una_before, una;
	uint64_t delivered;	/* their bytes */
	uint64_t flight_before; /* flight before it was applied */
	bool duplicate;	    /* RFC 5681 section 2, or SACK news without advance */
	bool sack_news;	    /* a block named something new */
	bool window_moved;
	bool ece;	    /* the peer echoes congestion experienced */
	bool rtt_ambiguous; /* the sample's chunk was sent more than once and no timestamp tells which */
	bool ts_original;   /* the echoed timestamp proves that the original, not the resend, arrived (RFC 3522) */
	bool rate_app_limited;
	struct sp_range dsack; /* empty when none */
	sp_ns rtt;	       /* 0 when it gives no sample */
	uint64_t rate;	       /* delivery rate, bytes per second; 0 when unknown */
	sp_off round_end;      /* snd_nxt when the newest of the acknowledged chunks was sent */
};

/* --- kind SP_RTO: how long to wait ------------------------------------------------------- */

struct sp_rto_est {
	sp_ns srtt, rttvar, rto;
};

struct sp_rto_ops {
	uint32_t size; /* of this struct; the same first member in all ops */
	void (*open)(const struct sp_conn *, void *st, struct sp_rto_est *);
	/* A round-trip sample; ambiguous ones are offered so that the plugin applies Karn's rule. */
	void (*on_rtt)(const struct sp_conn *, void *st, sp_ns rtt, bool ambiguous, struct sp_rto_est *);
	void (*on_expire)(const struct sp_conn *, void *st, struct sp_rto_est *);   /* back off */
	void (*on_progress)(const struct sp_conn *, void *st, struct sp_rto_est *); /* new data acknowledged */
	int (*describe)(const struct sp_conn *, const void *st, char *line, size_t len); /* key=value ... */
};

/* --- kind SP_ACK: when to acknowledge ---------------------------------------------------- */

struct sp_ack_ops {
	uint32_t size;
	void (*open)(const struct sp_conn *, void *st);
	/* Latest time an acknowledgement must leave; c->now for at once, SP_NEVER for none owed.
	 * The core keeps the earliest of all answers until an ACK leaves, and clamps to 500 ms. */
	sp_ns (*on_data)(const struct sp_conn *, void *st, const struct sp_seg *);
	/* The application took bytes and the window could be opened by `freed`; NULL: the core's
	 * own silly-window rule alone decides. */
	sp_ns (*on_read)(const struct sp_conn *, void *st, uint64_t freed);
	void (*on_sent)(const struct sp_conn *, void *st); /* an ACK left, alone or with data */
	int (*describe)(const struct sp_conn *, const void *st, char *line, size_t len);
};

/* --- kind SP_RECOVERY: what is kept, what is lost, what goes next ------------------------ */

enum sp_episode {
	SP_SAME,    /* nothing changed */
	SP_ENTER,   /* loss found, recovery begins */
	SP_EXIT,    /* recovery has ended */
	SP_TIMEOUT, /* the retransmission timer expired */
	SP_UNDO,    /* the last ENTER or TIMEOUT was a mistake: the core takes back the lost marks too */
	SP_ECE,	    /* only from the core to cc: the peer echoes CE, once per window */
	SP_IDLE,    /* only from the core to cc: sending starts again after an idle RTO (RFC 5681 4.1) */
};

struct sp_verdict {
	enum sp_episode episode;
	uint32_t allowance; /* bytes that may leave now even if cwnd is full (limited transmit, a probe) */
};

struct sp_pick {
	enum { SP_PICK_NOTHING, SP_PICK_NEW, SP_PICK_CHUNK } what;
	const struct sp_chunk *chunk; /* for SP_PICK_CHUNK: any chunk of this connection that is not sacked */
	uint32_t skip; /* bytes at its front, whole MSS, that stay: the core splits it there */
};

struct sp_recovery_ops {
	uint32_t size;
	void (*open)(const struct sp_conn *, void *st);
	/* receiving half.  keep: may this out-of-order segment be held?  NULL: whatever fits.
	 * report: which of the held ranges go into SACK blocks, most urgent first; `held` is in
	 * ascending order, `newest` indexes the one that grew last.  Returns how many it wrote.
	 * NULL: newest first, then the ones reported before (RFC 2018). */
	bool (*keep)(const struct sp_conn *, void *st, const struct sp_seg *);
	uint32_t (*report)(const struct sp_conn *, void *st, const struct sp_range *held, uint32_t n,
			   uint32_t newest, struct sp_range *out, uint32_t max);
	/* sending half */
	void (*on_sent)(const struct sp_conn *, void *st, const struct sp_chunk *);
	void (*on_ack)(const struct sp_conn *, void *st, const struct sp_ack *, struct sp_verdict *);
	/* The one sending timer; NULL: rto_since + rto while something is out. */
	sp_ns (*deadline)(const struct sp_conn *, void *st);
	void (*on_timer)(const struct sp_conn *, void *st, struct sp_verdict *);
	/* What goes next; asked again after each transmission.  NULL: lowest lost chunk, else new data. */
	void (*next)(const struct sp_conn *, void *st, struct sp_pick *);
	uint64_t (*left)(const struct sp_conn *, void *st); /* bytes reckoned gone beyond the facts; NULL: 0 */
	int (*describe)(const struct sp_conn *, const void *st, char *line, size_t len);
};

/* --- kind SP_CC: how much may be out ----------------------------------------------------- */

struct sp_cc_out {
	uint64_t cwnd, ssthresh; /* bytes; start as they stand */
	uint64_t pacing;	 /* bytes per second, 0 for none */
};

struct sp_cc_ops {
	uint32_t size;
	/* out->cwnd comes in as the configured initial window, ssthresh as UINT64_MAX. */
	void (*open)(const struct sp_conn *, void *st, struct sp_cc_out *);
	void (*on_ack)(const struct sp_conn *, void *st, const struct sp_ack *, bool recovering, struct sp_cc_out *);
	void (*on_episode)(const struct sp_conn *, void *st, enum sp_episode, struct sp_cc_out *);
	int (*describe)(const struct sp_conn *, const void *st, char *line, size_t len);
};

/* --- parameters -------------------------------------------------------------------------- */

enum sp_type {
	SP_TYPE_U64 = 1, /* uint64_t: a whole number */
	SP_TYPE_BOOL,	 /* bool: yes, no, true, false, on, off, 1, 0 */
	SP_TYPE_TIME,	 /* uint64_t ns: 200ms, 1s, 50us */
	SP_TYPE_BYTES,	 /* uint64_t: 64KB, 1MB, 1500 (K = 1024) */
	SP_TYPE_REAL,	 /* double: 0.7, 2% (= 0.02) */
};

struct sp_param {
	const char *name;
	enum sp_type type;
	uint32_t offset;	     /* in the plugin's parameter struct */
	const char *def, *min, *max; /* in the grammar of the type; min and max may be NULL */
	const char *sentence;
};

/* --- the one exported symbol: const data, readable without running the plugin ------------- */

struct sp_plugin {
	uint16_t abi_major, abi_minor;
	uint32_t size; /* of this struct */
	enum sp_kind kind;
	const char *name, *version, *license, *summary;
	uint32_t wants;	   /* enum sp_feature: offered in the SYN on its behalf */
	uint32_t requires; /* enum sp_feature: without which it declines a connection */
	uint32_t state_size; /* bytes per connection; at most 512; the core allocates and zeroes */
	uint32_t params_size; /* bytes of the parameter struct; at most 512 */
	const struct sp_param *params; /* ends with a NULL name; NULL for none */
	const void *ops; /* struct sp_{rto,ack,recovery,cc}_ops by kind */
};

#define SP_STATE_MAX 512u
#define SP_PARAMS_MAX 512u

#ifndef SP_SYMBOL
#define SP_SYMBOL stackd_plugin /* a built-in plugin is compiled with another name */
#endif
#ifdef __GNUC__
#define SP_EXPORT __attribute__((visibility("default"))) /* seen though all else is hidden */
#else
#define SP_EXPORT
#endif
#ifdef __cplusplus
extern "C" {
#endif
extern SP_EXPORT const struct sp_plugin SP_SYMBOL;
#ifdef __cplusplus
}
#endif

#endif
