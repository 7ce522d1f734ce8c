/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep.h - a grid of settings, the transfers over each point of it, and their statistics. */
#ifndef STACKD_LAB_SWEEP_H
#define STACKD_LAB_SWEEP_H

#include <stdio.h>

#include "lab/bulk.h"
#include "lab/rules.h"

enum sweep_axis {
	AXIS_RECOVERY, AXIS_CC, AXIS_ACK, AXIS_RTO, AXIS_LOSS, AXIS_ACK_LOSS, AXIS_RTT, AXIS_RATE,
	AXIS_QUEUE, AXIS_SIZE, AXIS_MAX
};
extern const char *const sweep_axis_name[AXIS_MAX]; /* as in the options, and in CSV and JSON */

#define SWEEP_VALUES_MAX 32u

struct sweep_value {
	char text[64];
	uint64_t number;
	double real;
};

struct sweep_point {
	uint32_t at[AXIS_MAX]; /* index of the value on each axis */
	struct lab_rules *rules;
	struct bulk_link link;
	uint64_t bytes;
	struct sweep_run *run; /* one for each seed */
};

struct sweep_run {
	uint64_t seed;
	struct bulk_result result;
};

struct sweep {
	uint32_t count[AXIS_MAX];
	struct sweep_value value[AXIS_MAX][SWEEP_VALUES_MAX];
	uint64_t seed_first, seed_last;
	char settings[4096];
	uint32_t jobs;
	const char *csv, *json, *html;
	/* after sweep_prepare */
	uint32_t points, seeds, policies;
	struct sweep_point *point;
	struct lab_rules *rules; /* one for each choice of policies */
};

enum sweep_figure { FIGURE_GOODPUT, FIGURE_SECONDS, FIGURE_RESENT, FIGURE_TIMEOUTS, FIGURE_MAX };

struct sweep_spread {
	double min, q1, median, q3, max;
};

/* --- sweep_grid.c --------------------------------------------------------------------------- */

void sweep_defaults(struct sweep *);
/* 0; -1: said why. */
int sweep_set_axis(struct sweep *, enum sweep_axis, const char *list);
int sweep_set_seeds(struct sweep *, const char *range);
int sweep_prepare(struct sweep *, struct plugins *);
void sweep_free(struct sweep *);
/* On `jobs` threads; `progress` shows on stderr. */
void sweep_run_all(struct sweep *, bool progress);

/* --- sweep_report.c ------------------------------------------------------------------------- */

struct sweep_spread sweep_spread(const struct sweep *, const struct sweep_point *, enum sweep_figure);
void sweep_table(const struct sweep *, FILE *);
void sweep_csv(const struct sweep *, FILE *);
void sweep_json(const struct sweep *, FILE *);
/* Transfers of the point that were not completed, or wrongly. */
uint32_t sweep_incomplete(const struct sweep *, const struct sweep_point *);

/* --- sweep_html.c --------------------------------------------------------------------------- */

/* One page that needs nothing else; runs some transfers again to see their course. */
void sweep_html(const struct sweep *, FILE *);

#endif
