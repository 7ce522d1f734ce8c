/* SPDX-License-Identifier: BSD-2-Clause */
/* matrix.h - the cells of test_matrix: one congestion control with one loss recovery.  Each check
 * is of one phase; it does the documents' arithmetic and fails the test where the stack's differs.
 */
#ifndef STACKD_TESTS_MATRIX_H
#define STACKD_TESTS_MATRIX_H

#include "path.h"

#define RTO        (200 * NS_PER_MS) /* SRTT + 4 RTTVAR falls below the least one soon */
#define LOSS       192u              /* this data segment is lost, the second of a round trip's */
#define LINK_BPS   20000000u         /* where a bottleneck is needed */
#define LINK_BYTES (20e6 / 8 * MSS / (MSS + 54))
#define BDP        (LINK_BYTES * (double)RTT / 1e9)

struct cell {
	const char *cc, *recovery;
};

bool is(const char *name, const char *other);
/* What a loss leaves of the window: RFC 5681 equation 4, RFC 8257 3.5, RFC 9438 4.6. */
double beta(const struct cell *);
bool has_sack(const struct cell *);
bool waits_for_timer(const struct cell *); /* no fast retransmit */
/* more: further settings. */
void open_cell(struct path *, const struct cell *, const char *more, uint64_t rate_bps,
	       uint64_t bytes);
void open_with_loss(struct path *, const struct cell *);
void equal(const struct cell *, const char *what, uint64_t got, uint64_t want);
void within(const struct cell *, const char *what, double got, double want, double more);
const struct sample *first_after(const struct path *, ns_t when);

/* matrix_growth.c */
void check_slow_start(const struct cell *);
void check_startup(const struct cell *);
void check_avoidance(const struct cell *);
void check_cubic_avoidance(const struct cell *);
void check_probe_bw(const struct cell *);
void check_idle(const struct cell *);
/* matrix_loss.c */
void check_answer(const struct cell *);
void check_answer_of_fixed(const struct cell *);
void check_answer_of_bbr(const struct cell *);
void check_recovery(const struct cell *);
void check_recovery_of_fixed(const struct cell *);
void check_recovery_of_bbr(const struct cell *);
void check_time_out(const struct cell *);
/* matrix_marks.c */
void check_marks(const struct cell *);

#endif
