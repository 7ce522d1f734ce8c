/* SPDX-License-Identifier: BSD-2-Clause */
/* plain.h - the smallest plugins that make a TCP, for tests of the core. */
#ifndef TESTS_TCP_PLAIN_H
#define TESTS_TCP_PLAIN_H

#include "stackd_plugin.h"

/* params: uint64_t initial RTO, ns; doubled on expiry, SRTT + 4 RTTVAR (1 s at least) by samples */
extern const struct sp_plugin plain_rto;
extern const struct sp_plugin plain_ack_each;
/* every second segment, else after 100 ms; at once for anything unusual */
extern const struct sp_plugin plain_ack_delayed;
/* no hook at all: the core's defaults */
extern const struct sp_plugin plain_recovery;
/* wants SACK and DSACK; the first hole with three segments sacked above it is lost */
extern const struct sp_plugin plain_sack;
/* requires SACK */
extern const struct sp_plugin plain_sack_only;
/* keeps nothing out of order */
extern const struct sp_plugin plain_declines;
/* params: uint64_t window in segments */
extern const struct sp_plugin plain_cc;
/* wants ECN; half the window at each SP_ECE */
extern const struct sp_plugin plain_ecn;
/* wants each mark echoed too */
extern const struct sp_plugin plain_exact;
/* everything that a plugin may do wrong */
extern const struct sp_plugin plain_bad_cc, plain_bad_rto, plain_bad_ack, plain_bad_recovery;

#endif
