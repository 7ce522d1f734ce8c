/* SPDX-License-Identifier: BSD-2-Clause */
/* rto_common.h - what the retransmission-time plugins share: limits and doubling. */
#ifndef STACKD_PLUGINS_RTO_COMMON_H
#define STACKD_PLUGINS_RTO_COMMON_H

#include <stdio.h>

#include "stackd_plugin.h"

static inline sp_ns rto_limit(sp_ns rto, sp_ns min, sp_ns max)
{
	return rto < min ? min : rto > max ? max : rto;
}

static inline sp_ns rto_doubled(sp_ns rto, sp_ns max)
{
	return rto > max / 2 ? max : 2 * rto;
}

static inline sp_ns rto_apart(sp_ns a, sp_ns b)
{
	return a > b ? a - b : b - a;
}

/* With timestamps every ACK gives a sample, so strict RFC 6298 (the back-off lasts until an
 * unambiguous sample) ends soon.  Without them Karn's rule alone keeps a lossy connection at
 * the maximum for hours, so progress ends the back-off unless `strict_karn` forbids it. */
static inline bool rto_progress_ends_backoff(const struct sp_conn *c, bool reset_on_progress,
					     bool strict_karn)
{
	return reset_on_progress || (!(c->features & SP_TIMESTAMPS) && !strict_karn);
}

#define RTO_PARAM_RESET(params)                                                                    \
	{"reset_on_progress",                                                                      \
	 SP_TYPE_BOOL,                                                                             \
	 offsetof(params, reset_on_progress),                                                      \
	 "no",                                                                                     \
	 NULL,                                                                                     \
	 NULL,                                                                                     \
	 "new data acknowledged ends the back-off even with timestamps"},                          \
	{                                                                                          \
		"strict_karn", SP_TYPE_BOOL, offsetof(params, strict_karn), "no", NULL, NULL,      \
		    "without timestamps too, keep the back-off until an unambiguous sample"        \
	}

#endif
