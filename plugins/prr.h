/* SPDX-License-Identifier: BSD-2-Clause */
/* prr.h - Proportional Rate Reduction (RFC 6937, slow-start reduction bound): spreads the decrease
 * of the window over the round trip of recovery.
 *
 * What was sent since the last ACK is read from the running flight: the flight before this ACK was
 * applied, less the flight after the last one was.  It needs SACK's facts: without them flight
 * doesn't fall with duplicate ACKs, and the plain halved window (RFC 6582) takes its place. */
#ifndef STACKD_PLUGINS_PRR_H
#define STACKD_PLUGINS_PRR_H

#include "stackd_plugin.h"

struct prr {
	uint64_t delivered, out; /* prr_delivered, prr_out */
	uint64_t recover_fs;     /* RecoverFS */
	uint64_t flight_last;    /* after the ACK before; UINT64_MAX: this is the first */
};

static inline void prr_begin(struct prr *p, uint64_t flight_size)
{
	p->delivered = p->out = 0;
	p->recover_fs = flight_size ? flight_size : 1;
	p->flight_last = UINT64_MAX;
}

/* The window after an ACK in recovery: pipe + sndcnt. */
static inline uint64_t prr_window(struct prr *p, uint64_t ssthresh, uint64_t pipe,
				  uint64_t flight_before, uint64_t delivered, uint32_t mss)
{
	uint64_t wanted, sndcnt;

	if (p->flight_last != UINT64_MAX && flight_before > p->flight_last)
		p->out += flight_before - p->flight_last;
	p->delivered += delivered;
	if (pipe > ssthresh) {
		wanted = (p->delivered * ssthresh + p->recover_fs - 1) / p->recover_fs;
		sndcnt = wanted > p->out ? wanted - p->out : 0;
	} else {
		uint64_t limit = p->delivered > p->out ? p->delivered - p->out : 0;

		limit = (limit > delivered ? limit : delivered) + mss;
		sndcnt = ssthresh - pipe < limit ? ssthresh - pipe : limit;
	}
	if (p->out == 0 && sndcnt < mss) /* the fast retransmit itself */
		sndcnt = mss;
	p->flight_last = pipe;
	return pipe + sndcnt > mss ? pipe + sndcnt : mss;
}

#endif
