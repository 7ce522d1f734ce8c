/* SPDX-License-Identifier: BSD-2-Clause */
/* fake.h - a small core around four plugins: a sender, a receiver and a link between them, with the
 * hooks called in the documented order.  It is written apart from stackd/tcp, so that what the two
 * understand of the contract can be compared.  Not a TCP: offsets, no handshake, no FIN. */
#ifndef STACKD_TESTS_PLUGINS_FAKE_H
#define STACKD_TESTS_PLUGINS_FAKE_H

#include "base/rng.h"
#include "stackd_plugin.h"

#define MS          UINT64_C(1000000)
#define FAKE_LOG    64u
#define FAKE_CHUNKS 4096u

/* A plugin with its parameters. */
struct fake_plugin {
	const struct sp_plugin *plugin;
	_Alignas(16) unsigned char params[SP_PARAMS_MAX];
};
/* The plugin of that kind and name, parameters by default and then from "name=value name=value".
 * Fails the test when there is none or a value is refused. */
struct fake_plugin fake_plugin(enum sp_kind kind, const char *name, const char *params);

/* --- the sent queue (fake_queue.c) --------------------------------------------------- */

struct fake_chunk {
	struct sp_chunk c;
	uint64_t serial;   /* order of sending */
	sp_ns first_again; /* when it was first sent again; 0 never */
	sp_off round_end;
};

struct fake_queue {
	struct sp_conn view;                   /* first: what plugins get */
	struct fake_chunk *chunk[FAKE_CHUNKS]; /* by offset */
	uint32_t count;
	uint64_t serial;
	uint32_t violations; /* sacked chunks marked lost, and the like */
	const struct sp_chunk *newly[FAKE_CHUNKS];
	uint32_t newly_count;
	struct fake_chunk *gone[FAKE_CHUNKS]; /* acknowledged; freed after the hooks */
	uint32_t gone_count;
};

void fake_queue_init(struct fake_queue *q, uint32_t mss);
struct fake_chunk *fake_append(struct fake_queue *q, uint32_t len); /* sent at view.now */
void fake_again(struct fake_queue *q, struct fake_chunk *k);
void fake_ack(struct fake_queue *q, sp_off una);
void fake_sack(struct fake_queue *q, sp_off begin, sp_off end);
void fake_unmark(struct fake_queue *q); /* an undo takes the lost marks back */
void fake_forget(struct fake_queue *q); /* frees what was acknowledged */
void fake_queue_free(struct fake_queue *q);

/* --- a transfer (fake.c) ------------------------------------------------------------- */

enum fake_fate { FAKE_PASS, FAKE_DROP };

struct fake_config {
	const char *rto, *ack, *recovery, *cc; /* names */
	const char *rto_params, *ack_params, *recovery_params, *cc_params;
	uint32_t mss;
	uint64_t total;           /* bytes to send */
	const uint32_t *segments; /* or their sizes, ending with 0 */
	uint32_t initial_window;  /* segments; 0: 10 */
	uint32_t features;        /* what the peers can */
	sp_ns delay;              /* one way */
	uint64_t rate, queue;     /* bytes per second and bytes; 0: no limit */
	uint64_t mark_above;      /* queue bytes that are marked CE above; 0: none */
	double loss, ack_loss, overtake, duplicate;
	enum fake_fate (*fate)(bool ack, uint32_t nth); /* scripted; nth from 1, of its direction */
	sp_ns ack_extra; /* all ACKs are this much slower until `ack_extra_until` */
	sp_ns ack_extra_until;
	sp_ns limit; /* of simulated time */
	uint64_t seed;
};

struct fake_result {
	bool complete;
	uint32_t sent, again, acks, discarded;
	uint32_t timeouts, enters, exits, undos, eces;
	uint32_t violations;
	uint64_t ack_log[FAKE_LOG]; /* the first acknowledgement numbers */
	sp_ns time;
	uint64_t cwnd, ssthresh, cwnd_max;
	uint64_t queue_max;
	char described[4][96];
};

struct fake_result fake_run(const struct fake_config *f);

#endif
