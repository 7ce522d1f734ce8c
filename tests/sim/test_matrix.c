/* SPDX-License-Identifier: BSD-2-Clause */
/* test_matrix: cwnd, ssthresh, RTO and pipe of each congestion control with each loss recovery in
 * each phase of a connection, against the documents' arithmetic done here once more.  The table
 * has exactly one row for each of the cells: how it is checked, or why there is nothing. */
#include "matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const ccs[] = {"fixed", "newreno", "cubic", "dctcp", "bbr"};
static const char *const recoveries[] = {"gbn", "sr", "textbook", "reno", "sack", "racktlp"};

bool is(const char *name, const char *other)
{
	return strcmp(name, other) == 0;
}

double beta(const struct cell *c)
{
	return is(c->cc, "cubic") ? 0.7 : 0.5;
}

bool has_sack(const struct cell *c)
{
	return is(c->recovery, "sack") || is(c->recovery, "racktlp");
}

bool waits_for_timer(const struct cell *c)
{
	return is(c->recovery, "gbn") || is(c->recovery, "sr");
}

void open_cell(struct path *p, const struct cell *c, const char *more, uint64_t rate_bps,
	       uint64_t bytes)
{
	char settings[512];

	snprintf(settings, sizeof(settings),
		 "tcp.cc=%s\ntcp.recovery=%s\ntcp.rto=rfc6298\nplugin rfc6298.min=200ms\n"
		 "plugin cubic.hystart=no\n%s",
		 c->cc, c->recovery, more);
	path_open(p, settings, rate_bps, bytes);
}

void equal(const struct cell *c, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		fail_msg("%s with %s: %s is %llu, not %llu", c->cc, c->recovery, what,
			 (unsigned long long)got, (unsigned long long)want);
}

void within(const struct cell *c, const char *what, double got, double want, double more)
{
	if (got < want - more || got > want + more)
		fail_msg("%s with %s: %s is %.0f, not %.0f within %.0f", c->cc, c->recovery, what,
			 got, want, more);
}

const struct sample *first_after(const struct path *p, ns_t when)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (p->sample[i].at >= when)
			return &p->sample[i];
	fail_msg("nothing happens after %llu ns", (unsigned long long)when);
	return NULL;
}

void open_with_loss(struct path *p, const struct cell *c)
{
	p->drop_from = LOSS;
	p->drop_to = LOSS + 1;
	open_cell(p, c, "", 0, 100u << 20);
}

#define PHASES 7

static const char *const phases[PHASES] = {"slow start", "answer", "recovery", "time-out",
					   "avoidance",  "idle",   "marks"};

/* Names with blanks between; check NULL: why. */
static const struct row {
	const char *phase, *cc, *recovery;
	void (*check)(const struct cell *);
	const char *why;
} rows[] = {
#define ALL   "gbn sr textbook reno sack racktlp"
#define TIMER "gbn sr"
#define FAST  "textbook reno sack racktlp"
    {"slow start", "fixed newreno cubic dctcp", ALL, check_slow_start, NULL},
    {"slow start", "bbr", ALL, check_startup, NULL},
    {"answer", "newreno cubic dctcp", ALL, check_answer, NULL},
    {"answer", "fixed", ALL, check_answer_of_fixed, NULL},
    {"answer", "bbr", ALL, check_answer_of_bbr, NULL},
    {"recovery", "newreno cubic dctcp", FAST, check_recovery, NULL},
    {"recovery", "fixed", FAST, check_recovery_of_fixed, NULL},
    {"recovery", "bbr", FAST, check_recovery_of_bbr, NULL},
    {"recovery", "fixed newreno cubic dctcp bbr", TIMER, NULL,
     "the book's: a loss waits for its timer, there is nothing between"},
    {"time-out", "fixed newreno cubic dctcp bbr", ALL, check_time_out, NULL},
    {"avoidance", "newreno dctcp", ALL, check_avoidance, NULL},
    {"avoidance", "cubic", ALL, check_cubic_avoidance, NULL},
    {"avoidance", "bbr", ALL, check_probe_bw, NULL},
    {"avoidance", "fixed", ALL, NULL, "its window never grows: slow start and answer say so"},
    {"idle", "fixed newreno cubic dctcp bbr", ALL, check_idle, NULL},
    {"marks", "dctcp", ALL, check_marks, NULL},
    {"marks", "fixed newreno cubic bbr", ALL, NULL, "offers no ECN in its SYN"},
};

static bool names(const char *list, const char *name)
{
	const char *found = strstr(list, name);
	size_t n = strlen(name);

	return found && (found == list || found[-1] == ' ') && (found[n] == ' ' || !found[n]);
}

static void phase_of_all(void **state)
{
	const char *phase = *state;
	unsigned checked = 0;

	for (unsigned i = 0; i < array_count(ccs); i++)
		for (unsigned j = 0; j < array_count(recoveries); j++) {
			struct cell cell = {ccs[i], recoveries[j]};
			const struct row *row = NULL;

			for (unsigned k = 0; k < array_count(rows); k++) {
				if (!is(rows[k].phase, phase) || !names(rows[k].cc, cell.cc) ||
				    !names(rows[k].recovery, cell.recovery))
					continue;
				assert_null(row); /* two rows for one cell */
				row = &rows[k];
			}
			assert_non_null(row); /* a hole */
			if (row->check) {
				row->check(&cell);
				checked++;
			} else {
				print_message("%s, %s with %s: %s\n", phase, cell.cc, cell.recovery,
					      row->why);
			}
		}
	print_message("%s: %u of %zu cells checked\n", phase, checked,
		      array_count(ccs) * array_count(recoveries));
}

int main(void)
{
	struct CMUnitTest tests[PHASES];

	for (unsigned i = 0; i < PHASES; i++)
		tests[i] = (struct CMUnitTest){phases[i], phase_of_all, NULL, NULL,
					       (void *)(uintptr_t)phases[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
