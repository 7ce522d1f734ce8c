/* SPDX-License-Identifier: BSD-2-Clause */
/* bulk.h - one bulk transfer over a link with loss, delay and a rate, and what came of it. */
#ifndef STACKD_LAB_BULK_H
#define STACKD_LAB_BULK_H

#include "lab/world.h"

struct bulk_link {
	double loss, ack_loss; /* of what the sender sends, of what the receiver sends */
	ns_t rtt_ns;
	uint64_t rate_bps; /* both ways; 0: no limit */
	uint32_t queue;	   /* frames that wait for the rate */
	double reorder, duplicate, corrupt;
	ns_t jitter_ns;
};

struct bulk_result {
	bool complete, wrong; /* wrong: bytes that are not what was sent */
	double seconds;	      /* from the SYN to the last byte delivered */
	double goodput_bps;
	struct tcp_info sender;
	struct counters sent; /* of the sender's host */
	struct counters got;  /* of the receiver's */
};

#define BULK_SAMPLES_MAX 1024u

/* How a transfer went, seen often enough for a plot: the samples lie `step_ns` apart at the least. */
struct bulk_course {
	ns_t step_ns;
	uint32_t count;
	struct {
		ns_t at;	       /* since the SYN */
		uint64_t acked, sent;  /* bytes: snd_una, snd_nxt */
		uint64_t cwnd, flight; /* bytes */
		ns_t srtt;
	} sample[BULK_SAMPLES_MAX];
};

/* `seed` decides everything that `link` leaves to chance.  Gives up after an hour of the simulated
 * time.  May run on several threads at once, with the same rules. */
void bulk_run(const struct tcp_rules *, const struct bulk_link *, uint64_t bytes, uint64_t seed, bool lenient,
	      struct bulk_result *);
/* The same transfer, and its course too. */
void bulk_watch(const struct tcp_rules *, const struct bulk_link *, uint64_t bytes, uint64_t seed,
		struct bulk_result *, struct bulk_course *);

#endif
