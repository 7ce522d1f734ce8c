/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep_report.c - the figures of a sweep as table, CSV and JSON. */
#include <stdlib.h>
#include <string.h>

#include "lab/sweep.h"

static double figure(const struct bulk_result *r, enum sweep_figure f)
{
	switch (f) {
	case FIGURE_GOODPUT:
		return r->goodput_bps;
	case FIGURE_SECONDS:
		return r->seconds;
	case FIGURE_RESENT:
		return (double)r->sender.retransmits;
	default:
		return (double)r->sender.timeouts;
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Linear between the two nearest. */
static double quantile(const double *sorted, uint32_t n, double q)
{
	double at = q * (n - 1);
	uint32_t below = (uint32_t)at;

	if (below + 1 >= n)
		return sorted[n - 1];
	return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

struct sweep_spread sweep_spread(const struct sweep *s, const struct sweep_point *p, enum sweep_figure f)
{
	double *v = lab_alloc(s->seeds * sizeof(v[0]));
	struct sweep_spread out;

	for (uint32_t i = 0; i < s->seeds; i++)
		v[i] = figure(&p->run[i].result, f);
	qsort(v, s->seeds, sizeof(v[0]), by_size);
	out = (struct sweep_spread){v[0], quantile(v, s->seeds, 0.25), quantile(v, s->seeds, 0.5),
				    quantile(v, s->seeds, 0.75), v[s->seeds - 1]};
	free(v);
	return out;
}

static const char *value(const struct sweep *s, const struct sweep_point *p, enum sweep_axis a)
{
	return s->value[a][p->at[a]].text;
}

uint32_t sweep_incomplete(const struct sweep *s, const struct sweep_point *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->seeds; i++)
		n += !p->run[i].result.complete || p->run[i].result.wrong;
	return n;
}

/* --- table ----------------------------------------------------------------------------------------- */

static int column_width(const struct sweep *s, enum sweep_axis a)
{
	size_t most = strlen(sweep_axis_name[a]);

	for (uint32_t i = 0; i < s->count[a]; i++)
		if (strlen(s->value[a][i].text) > most)
			most = strlen(s->value[a][i].text);
	return (int)most;
}

static void table_head(const struct sweep *s, FILE *out)
{
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		if (s->count[a] == 1)
			fprintf(out, "%s %s, ", sweep_axis_name[a], s->value[a][0].text);
	fprintf(out, "seeds %llu to %llu\n", (unsigned long long)s->seed_first,
		(unsigned long long)s->seed_last);
	fprintf(out, "median, and in brackets where the middle half of the seeds lies\n\n");
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		if (s->count[a] > 1)
			fprintf(out, "%-*s  ", column_width(s, a), sweep_axis_name[a]);
	fprintf(out, "%-25s  %-25s  %-20s  %-16s\n", "goodput Mbit/s", "completion s", "resent segments",
		"time-outs");
}

static void cell(FILE *out, struct sweep_spread d, double unit, int decimals, int width)
{
	char text[96];

	snprintf(text, sizeof(text), "%.*f [%.*f %.*f]", decimals, d.median / unit, decimals, d.q1 / unit,
		 decimals, d.q3 / unit);
	fprintf(out, "%-*s", width, text);
}

static void table_line(const struct sweep *s, const struct sweep_point *p, FILE *out)
{
	uint32_t bad = sweep_incomplete(s, p);

	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		if (s->count[a] > 1)
			fprintf(out, "%-*s  ", column_width(s, a), value(s, p, a));
	cell(out, sweep_spread(s, p, FIGURE_GOODPUT), 1e6, 3, 27);
	cell(out, sweep_spread(s, p, FIGURE_SECONDS), 1, 3, 27);
	cell(out, sweep_spread(s, p, FIGURE_RESENT), 1, 1, 22);
	cell(out, sweep_spread(s, p, FIGURE_TIMEOUTS), 1, 1, 0);
	if (bad)
		fprintf(out, "  %u NOT COMPLETE", bad);
	fprintf(out, "\n");
}

void sweep_table(const struct sweep *s, FILE *out)
{
	table_head(s, out);
	for (uint32_t i = 0; i < s->points; i++)
		table_line(s, &s->point[i], out);
}

/* --- CSV ------------------------------------------------------------------------------------------- */

void sweep_csv(const struct sweep *s, FILE *out)
{
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		fprintf(out, "%s,", sweep_axis_name[a]);
	fprintf(out, "seed,complete,seconds,goodput_bps,retransmissions,timeouts,recoveries,undos,segments\n");
	for (uint32_t i = 0; i < s->points; i++)
		for (uint32_t k = 0; k < s->seeds; k++) {
			const struct sweep_run *r = &s->point[i].run[k];
			const struct tcp_info *t = &r->result.sender;

			for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
				fprintf(out, "%s,", value(s, &s->point[i], a));
			fprintf(out, "%llu,%d,%.6f,%.0f,%llu,%llu,%llu,%llu,%llu\n",
				(unsigned long long)r->seed, r->result.complete && !r->result.wrong,
				r->result.seconds, r->result.goodput_bps, (unsigned long long)t->retransmits,
				(unsigned long long)t->timeouts, (unsigned long long)t->recoveries,
				(unsigned long long)t->undos, (unsigned long long)t->data_segs_out);
		}
}

/* --- JSON ------------------------------------------------------------------------------------------ */

static void json_spread(const struct sweep *s, const struct sweep_point *p, enum sweep_figure f,
			const char *name, FILE *out)
{
	struct sweep_spread d = sweep_spread(s, p, f);

	fprintf(out, ",\n   \"%s\": {\"median\": %.6f, \"q1\": %.6f, \"q3\": %.6f, \"min\": %.6f, \"max\": %.6f}",
		name, d.median, d.q1, d.q3, d.min, d.max);
}

static void json_run(const struct sweep_run *r, FILE *out)
{
	const struct tcp_info *t = &r->result.sender;

	fprintf(out,
		"{\"seed\": %llu, \"complete\": %s, \"seconds\": %.6f, \"goodput_bps\": %.0f, "
		"\"retransmissions\": %llu, \"timeouts\": %llu, \"recoveries\": %llu, \"undos\": %llu, "
		"\"segments\": %llu}",
		(unsigned long long)r->seed, r->result.complete && !r->result.wrong ? "true" : "false",
		r->result.seconds, r->result.goodput_bps, (unsigned long long)t->retransmits,
		(unsigned long long)t->timeouts, (unsigned long long)t->recoveries,
		(unsigned long long)t->undos, (unsigned long long)t->data_segs_out);
}

static void json_point(const struct sweep *s, const struct sweep_point *p, FILE *out)
{
	fprintf(out, "  {");
	for (enum sweep_axis a = AXIS_RECOVERY; a <= AXIS_RTO; a++)
		fprintf(out, "\"%s\": \"%s\", ", sweep_axis_name[a], value(s, p, a));
	fprintf(out,
		"\"loss\": %g, \"ack_loss\": %g, \"rtt_ms\": %g, \"rate_bps\": %llu, \"queue\": %u, "
		"\"size_bytes\": %llu",
		p->link.loss, p->link.ack_loss, (double)p->link.rtt_ns / 1e6,
		(unsigned long long)p->link.rate_bps, p->link.queue, (unsigned long long)p->bytes);
	json_spread(s, p, FIGURE_GOODPUT, "goodput_bps", out);
	json_spread(s, p, FIGURE_SECONDS, "seconds", out);
	json_spread(s, p, FIGURE_RESENT, "retransmissions", out);
	json_spread(s, p, FIGURE_TIMEOUTS, "timeouts", out);
	fprintf(out, ",\n   \"runs\": [");
	for (uint32_t k = 0; k < s->seeds; k++) {
		fprintf(out, "%s\n    ", k ? "," : "");
		json_run(&p->run[k], out);
	}
	fprintf(out, "]}");
}

void sweep_json(const struct sweep *s, FILE *out)
{
	fprintf(out, "[\n");
	for (uint32_t i = 0; i < s->points; i++) {
		json_point(s, &s->point[i], out);
		fprintf(out, "%s\n", i + 1 < s->points ? "," : "");
	}
	fprintf(out, "]\n");
}
