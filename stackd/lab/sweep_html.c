/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep_html.c - a sweep as one HTML page: goodput over loss for each link, then for the first link how
 * one transfer went.  A line of a plot is a choice of policies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab/report_assets.h"
#include "lab/sweep.h"

#define LINKS_MAX  12u /* plots of goodput */
#define COURSES_MAX 4u /* losses whose transfers are shown */

/* --- texts ------------------------------------------------------------------------------------------- */

/* For HTML, and for JSON inside of it: neither may end by what a user typed. */
static void put_text(FILE *out, const char *text, bool json)
{
	for (; *text; text++) {
		if (json && (*text == '"' || *text == '\\' || *text == '<' || (unsigned char)*text < 0x20))
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else if (!json && (*text == '<' || *text == '&' || *text == '>'))
			fprintf(out, "&#%d;", *text);
		else
			putc(*text, out);
	}
}

/* The values of the axes [from, to] that have more than one, or all if none has. */
static void name(const struct sweep *s, const struct sweep_point *p, enum sweep_axis from, enum sweep_axis to,
		 char *out, size_t len)
{
	*out = 0;
	for (enum sweep_axis a = from; a <= to; a++) {
		if (a == AXIS_LOSS || s->count[a] == 1)
			continue;
		snprintf(out + strlen(out), len - strlen(out), "%s%s%s%s", *out ? ", " : "",
			 a > AXIS_RTO ? sweep_axis_name[a] : "", a > AXIS_RTO ? " " : "",
			 s->value[a][p->at[a]].text);
	}
	if (!*out && from == AXIS_RECOVERY)
		snprintf(out, len, "%s", s->value[AXIS_RECOVERY][p->at[AXIS_RECOVERY]].text);
}

/* --- which points ------------------------------------------------------------------------------------ */

/* A policy is represented by its point on the first link without loss's first value, a link by that of the
 * first policy. */
static bool stands_for_policy(const struct sweep_point *p)
{
	for (enum sweep_axis a = AXIS_LOSS; a < AXIS_MAX; a++)
		if (p->at[a] != 0)
			return false;
	return true;
}

static bool stands_for_link(const struct sweep_point *p)
{
	for (enum sweep_axis a = 0; a <= AXIS_LOSS; a++)
		if (p->at[a] != 0)
			return false;
	return true;
}

/* Points lie in the order of their axes, the last one changes first. */
static const struct sweep_point *find(const struct sweep *s, const struct sweep_point *policy,
				      const struct sweep_point *link, uint32_t loss)
{
	uint64_t at = 0;

	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		at = at * s->count[a] + (a <= AXIS_RTO ? policy->at[a] : a == AXIS_LOSS ? loss : link->at[a]);
	return &s->point[at];
}

/* --- plots ------------------------------------------------------------------------------------------- */

static void begin_plot(FILE *out, const char *title, const char *where, const char *x, const char *y)
{
	fputs("<div class=\"plot\"><script type=\"application/json\">{\"kind\":\"lines\",\"title\":\"", out);
	put_text(out, title, true);
	fputs(*where ? ": " : "", out);
	put_text(out, where, true);
	fprintf(out, "\",\"x\":\"%s\",\"y\":\"%s\",\"series\":[", x, y);
}

static void end_plot(FILE *out)
{
	fputs("]}</script></div>\n", out);
}

static void begin_series(FILE *out, bool first, const char *series)
{
	fprintf(out, "%s{\"name\":\"", first ? "" : ",");
	put_text(out, series, true);
	fputs("\",\"x\":[", out);
}

static void goodput(const struct sweep *s, const struct sweep_point *link, FILE *out)
{
	char where[256], series[256];
	bool first = true;

	name(s, link, AXIS_ACK_LOSS, AXIS_MAX - 1, where, sizeof(where));
	begin_plot(out, "Goodput by loss", where, "loss, %", "Mbit/s, median");
	for (uint32_t i = 0; i < s->points; i++) {
		const struct sweep_point *policy = &s->point[i];

		if (!stands_for_policy(policy))
			continue;
		name(s, policy, AXIS_RECOVERY, AXIS_RTO, series, sizeof(series));
		begin_series(out, first, series);
		for (uint32_t l = 0; l < s->count[AXIS_LOSS]; l++)
			fprintf(out, "%s%g", l ? "," : "", s->value[AXIS_LOSS][l].real * 100);
		fputs("],\"y\":[", out);
		for (uint32_t l = 0; l < s->count[AXIS_LOSS]; l++)
			fprintf(out, "%s%.4f", l ? "," : "",
				sweep_spread(s, find(s, policy, link, l), FIGURE_GOODPUT).median / 1e6);
		fputs("]}", out);
		first = false;
	}
	end_plot(out);
}

enum course { COURSE_SEQUENCE, COURSE_CWND, COURSE_RTT, COURSE_MAX };
static const struct {
	const char *title, *y;
} courses[COURSE_MAX] = {
	{"Bytes acknowledged over time", "MB"},
	{"Congestion window", "KB"},
	{"Smoothed round-trip time", "ms"},
};

static double course_value(const struct bulk_course *c, uint32_t i, enum course what)
{
	switch (what) {
	case COURSE_SEQUENCE:
		return (double)c->sample[i].acked / 1e6;
	case COURSE_CWND:
		return (double)c->sample[i].cwnd / 1e3;
	default:
		return (double)c->sample[i].srtt / 1e6;
	}
}

static void course_series(FILE *out, const struct bulk_course *c, enum course what)
{
	for (uint32_t i = 0; i < c->count; i++)
		fprintf(out, "%s%.4f", i ? "," : "", (double)c->sample[i].at / 1e9);
	fputs("],\"y\":[", out);
	for (uint32_t i = 0; i < c->count; i++)
		fprintf(out, "%s%.5g", i ? "," : "", course_value(c, i, what));
	fputs("]}", out);
}

/* The first seed's transfer of each policy, over the first link with this loss. */
static void course_plots(const struct sweep *s, uint32_t loss, FILE *out)
{
	uint32_t n = 0;
	struct bulk_course *c = lab_alloc(s->policies * sizeof(*c));
	const struct sweep_point **policy = lab_alloc(s->policies * sizeof(policy[0]));
	char where[96], series[256];

	for (uint32_t i = 0; i < s->points; i++) {
		const struct sweep_point *p = &s->point[i];
		struct bulk_result r;

		if (!stands_for_policy(p))
			continue;
		policy[n] = p;
		p = find(s, p, &s->point[0], loss);
		bulk_watch(p->rules->rules, &p->link, p->bytes, s->seed_first, &r, &c[n++]);
	}
	snprintf(where, sizeof(where), "loss %s, seed %llu", s->value[AXIS_LOSS][loss].text,
		 (unsigned long long)s->seed_first);
	for (enum course what = 0; what < COURSE_MAX; what++) {
		begin_plot(out, courses[what].title, where, "seconds", courses[what].y);
		for (uint32_t i = 0; i < n; i++) {
			name(s, policy[i], AXIS_RECOVERY, AXIS_RTO, series, sizeof(series));
			begin_series(out, i == 0, series);
			course_series(out, &c[i], what);
		}
		end_plot(out);
	}
	free(c);
	free(policy);
}

/* --- the table --------------------------------------------------------------------------------------- */

static void table_cell(FILE *out, struct sweep_spread d, double unit)
{
	fprintf(out, "<td>%.3g <small>[%.3g %.3g]</small></td>", d.median / unit, d.q1 / unit, d.q3 / unit);
}

static void table(const struct sweep *s, FILE *out)
{
	fputs("<table><thead><tr>", out);
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		if (s->count[a] > 1)
			fprintf(out, "<th>%s</th>", sweep_axis_name[a]);
	fputs("<th>goodput Mbit/s</th><th>completion s</th><th>resent segments</th><th>time-outs</th><th></th></tr>"
	      "</thead><tbody>\n", out);
	for (uint32_t i = 0; i < s->points; i++) {
		const struct sweep_point *p = &s->point[i];
		uint32_t bad = sweep_incomplete(s, p);

		fputs("<tr>", out);
		for (enum sweep_axis a = 0; a < AXIS_MAX; a++) {
			if (s->count[a] == 1)
				continue;
			fputs("<td>", out);
			put_text(out, s->value[a][p->at[a]].text, false);
			fputs("</td>", out);
		}
		table_cell(out, sweep_spread(s, p, FIGURE_GOODPUT), 1e6);
		table_cell(out, sweep_spread(s, p, FIGURE_SECONDS), 1);
		table_cell(out, sweep_spread(s, p, FIGURE_RESENT), 1);
		table_cell(out, sweep_spread(s, p, FIGURE_TIMEOUTS), 1);
		fprintf(out, bad ? "<td>%u not complete</td></tr>\n" : "<td></td></tr>\n", bad);
	}
	fputs("</tbody></table>\n", out);
}

static void facts(const struct sweep *s, FILE *out)
{
	fputs("<h2>Made with</h2><dl>", out);
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++) {
		fprintf(out, "<dt>%s</dt><dd>", sweep_axis_name[a]);
		for (uint32_t i = 0; i < s->count[a]; i++) {
			fputs(i ? ", " : "", out);
			put_text(out, s->value[a][i].text, false);
		}
		fputs("</dd>", out);
	}
	fprintf(out, "<dt>seeds</dt><dd>%llu to %llu</dd><dt>settings</dt><dd>", (unsigned long long)s->seed_first,
		(unsigned long long)s->seed_last);
	put_text(out, *s->settings ? s->settings : "none", false);
	fputs("</dd><dt>program</dt><dd>stackd-lab " STACKD_VERSION " sweep: the same seeds give the same figures on "
	      "any machine</dd></dl>\n", out);
}

void sweep_html(const struct sweep *s, FILE *out)
{
	uint32_t plots = 0, left = 0;

	fprintf(out,
		"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>stackd-lab sweep</title>"
		"<meta name=\"viewport\" content=\"width=device-width\"><style>%s%s</style></head><body>\n"
		"<h1>stackd-lab sweep</h1><p class=\"lead\">Bulk transfers of stackd's TCP to itself in virtual time, over a "
		"simulated link. In the table the median over the seeds, and in brackets where the middle half of them "
		"lies.</p>\n",
		report_uPlot_min_css, report_report_css);
	for (uint32_t i = 0; i < s->points; i++) {
		if (!stands_for_link(&s->point[i]))
			continue;
		if (plots++ < LINKS_MAX)
			goodput(s, &s->point[i], out);
		else
			left++;
	}
	if (left)
		fprintf(out, "<p class=\"note\">%u further links have no plot; the table holds them.</p>\n", left);
	fputs("<h2>One transfer</h2><p class=\"note\">The first seed over the first link: what its sender saw.</p>\n", out);
	for (uint32_t l = 0; l < s->count[AXIS_LOSS] && l < COURSES_MAX; l++)
		course_plots(s, l, out);
	fputs("<h2>All of it</h2>\n", out);
	table(s, out);
	facts(s, out);
	fputs("<!-- uPlot ", out);
	put_text(out, report_uPlot_LICENSE, false);
	fprintf(out, " --><script>%s</script><script>%s</script></body></html>\n", report_uPlot_iife_min_js,
		report_report_js);
}
