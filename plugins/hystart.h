/* SPDX-License-Identifier: BSD-2-Clause */
/* hystart.h - HyStart++ (RFC 9406): leaves the initial slow start when the round trip grows,
 * through a phase of slow growth in which a false alarm shows. */
#ifndef STACKD_PLUGINS_HYSTART_H
#define STACKD_PLUGINS_HYSTART_H

#include "stackd_plugin.h"

#define HYSTART_RTT_MIN_NS  UINT64_C(4000000)  /* MIN_RTT_THRESH */
#define HYSTART_RTT_MAX_NS  UINT64_C(16000000) /* MAX_RTT_THRESH */
#define HYSTART_RTT_DIVISOR 8u
#define HYSTART_SAMPLES     8u /* N_RTT_SAMPLE */
#define HYSTART_CSS_DIVISOR 4u
#define HYSTART_CSS_ROUNDS  5u

struct hystart {
	bool running, css;
	uint32_t samples, css_rounds;
	sp_off window_end;
	sp_ns last_min, current_min, css_baseline; /* SP_NEVER: none */
};

static inline void hystart_begin(struct hystart *h, const struct sp_conn *c)
{
	h->running = true;
	h->css = false;
	h->samples = h->css_rounds = 0;
	h->window_end = c->snd_nxt;
	h->last_min = h->current_min = h->css_baseline = SP_NEVER;
}

static inline sp_ns hystart_threshold(sp_ns last_min)
{
	sp_ns t = last_min / HYSTART_RTT_DIVISOR;

	return t < HYSTART_RTT_MIN_NS   ? HYSTART_RTT_MIN_NS
	       : t > HYSTART_RTT_MAX_NS ? HYSTART_RTT_MAX_NS
					: t;
}

static inline void hystart_judge(struct hystart *h)
{
	if (h->samples < HYSTART_SAMPLES || h->current_min == SP_NEVER)
		return;
	if (h->css) {
		if (h->current_min < h->css_baseline) { /* the alarm was false */
			h->css = false;
			h->css_baseline = SP_NEVER;
		}
	} else if (h->last_min != SP_NEVER &&
		   h->current_min >= h->last_min + hystart_threshold(h->last_min)) {
		h->css = true;
		h->css_baseline = h->current_min;
		h->css_rounds = 0;
	}
}

/* An ACK in slow start.  True when slow start is to end here. */
static inline bool hystart_on_ack(struct hystart *h, const struct sp_conn *c,
				  const struct sp_ack *a)
{
	if (a->rtt != 0 && !a->rtt_ambiguous) {
		if (a->rtt < h->current_min)
			h->current_min = a->rtt;
		h->samples++;
	}
	hystart_judge(h);
	if (c->snd_una <= h->window_end)
		return false;
	h->window_end = c->snd_nxt; /* a round has ended */
	h->last_min = h->current_min;
	h->current_min = SP_NEVER;
	h->samples = 0;
	return h->css && ++h->css_rounds >= HYSTART_CSS_ROUNDS;
}

#endif
