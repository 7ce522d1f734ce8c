/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_world.h - the inside of the fake core: fake_sender.c sends, fake_receiver.c receives and
 * carries, fake.c runs the loop. */
#ifndef STACKD_TESTS_PLUGINS_FAKE_WORLD_H
#define STACKD_TESTS_PLUGINS_FAKE_WORLD_H

#include "fake.h"

#define PACKETS 8192u
#define HELD    256u

struct packet {
	sp_ns at;
	uint64_t order;
	bool ack, ce;
	sp_off off; /* or the acknowledgement number */
	uint32_t len;
	sp_ns ts;
	struct sp_range block[3], dsack;
	uint32_t blocks;
};

struct world {
	const struct fake_config *f;
	struct fake_result r;
	struct rng rng;
	/* sender */
	struct fake_queue q; /* its view is the sender's */
	struct fake_plugin rto, ack, recovery, cc;
	_Alignas(16) unsigned char rto_st[SP_STATE_MAX], ack_st[SP_STATE_MAX], rec_st[SP_STATE_MAX],
	    cc_st[SP_STATE_MAX], rcv_rec_st[SP_STATE_MAX];
	uint32_t allowance, next_segment;
	bool recovering;
	sp_off limited_mark, ece_end;
	uint64_t pacing;
	sp_ns pace_at;
	/* receiver */
	struct sp_conn peer;
	struct sp_range held[HELD], dsack;
	uint32_t held_count, newest;
	sp_ns ack_due, ts_recent;
	sp_off last_ack;
	bool ce_seen;
	/* link */
	struct packet packet[PACKETS];
	uint32_t packets, nth_data, nth_ack;
	uint64_t order;
	sp_ns busy;
};

void fake_transmit(struct world *w, struct packet p); /* into the link */
void fake_send_ack(struct world *w);
void fake_data_arrives(struct world *w, const struct packet *p);
void fake_ack_arrives(struct world *w, const struct packet *p);
void fake_send_all(struct world *w);
sp_ns fake_deadline(struct world *w);
void fake_timer_fires(struct world *w);
void fake_take_estimate(struct world *w, const struct sp_rto_est *e);
struct sp_rto_est fake_estimate(const struct world *w);
void fake_take_cc(struct world *w, const struct sp_cc_out *out);
struct sp_cc_out fake_cc_now(const struct world *w);

#endif
