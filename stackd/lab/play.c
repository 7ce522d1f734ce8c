/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/play.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct play_fact *add(struct play *p, const char *what)
{
	struct play_fact *f = &p->fact[p->fact_count++];

	if (p->fact_count > PLAY_FACTS_MAX)
		lab_fail("too many facts in a scenario");
	f->what = what;
	return f;
}

void play_fact(struct play *p, const char *what, uint64_t want, uint64_t got)
{
	struct play_fact *f = add(p, what);

	snprintf(f->want, sizeof(f->want), "%llu", (unsigned long long)want);
	snprintf(f->got, sizeof(f->got), "%llu", (unsigned long long)got);
	f->ok = want == got;
}

void play_fact_if(struct play *p, const char *what, bool ok, const char *want, const char *got, ...)
{
	struct play_fact *f = add(p, what);
	va_list args;

	snprintf(f->want, sizeof(f->want), "%s", want);
	va_start(args, got);
	vsnprintf(f->got, sizeof(f->got), got, args);
	va_end(args);
	f->ok = ok;
}

void play_count(struct play *p)
{
	const struct stage *g = &p->stage;
	int64_t end = g->sent_end[0];

	for (uint32_t i = g->first; i < g->count; i++) {
		const struct stage_record *r = &g->record[i];

		if (r->from == 0 && r->seen.len > 0) {
			p->sent++;
			p->again += r->again;
		} else if (r->from == 1 && r->seen.len == 0 && r->seen.flags == SEEN_ACK) {
			p->acks++;
		}
		if (r->from == 1 && r->ack >= end && r->arrived && p->done_ms == 0)
			p->done_ms = (double)r->arrived / 1e6;
	}
}

static bool acks_right(const struct play *p)
{
	if (p->want_ack_count == 0)
		return true;
	return p->ack_count == p->want_ack_count &&
	       memcmp(p->ack_number, p->want_ack, p->ack_count * sizeof(p->ack_number[0])) == 0;
}

static bool counts_right(const struct play *p)
{
	return !p->has_want || (p->sent == p->want_sent && p->again == p->want_again &&
				p->acks == p->want_acks);
}

bool play_right(const struct play *p)
{
	for (uint32_t i = 0; i < p->fact_count; i++)
		if (!p->fact[i].ok)
			return false;
	return counts_right(p) && acks_right(p);
}

/* --- text ------------------------------------------------------------------------------------------ */

static void show_model(const struct play *p)
{
	for (uint32_t i = 0; i < p->model.count; i++) {
		const struct model_event *e = &p->model.event[i];

		printf("%10u  %s %lld%s%s\n", e->at_ms, e->ack ? "                    <--- ACK" : "packet",
		       (long long)p->bases.base[0] + e->number, e->again ? " (again)" : e->ack ? "" : " --->",
		       e->dropped ? "   lost" : "");
	}
}

static void show_numbers(const char *what, const int64_t *n, uint32_t count)
{
	printf("    %s", what);
	for (uint32_t i = 0; i < count; i++)
		printf("%s %lld", i ? "," : "", (long long)n[i]);
	printf("\n");
}

void play_show(const struct play *p)
{
	printf("\n%s: %s\n%s%s\n", p->scenario, p->title, p->recovery,
	       p->on_model ? ", on a model of the book's machine" : "");
	if (p->note)
		printf("  %s\n", p->note);
	if (p->on_model)
		show_model(p);
	else
		ladder_draw(&p->stage, p->ladder_from, p->label, p->label_arg);
	if (p->ack_count)
		show_numbers("ACKs:", p->ack_number, p->ack_count);
	if (!acks_right(p))
		show_numbers("the book's:", p->want_ack, p->want_ack_count);
	for (uint32_t i = 0; i < p->fact_count; i++) {
		const struct play_fact *f = &p->fact[i];

		printf("    %-4s %s: %s", f->ok ? "ok" : "NOT", f->what, f->got);
		if (f->ok)
			printf("\n");
		else
			printf(" (the book: %s)\n", f->want);
	}
}

void play_table_head(void)
{
	printf("\n%-20s %-9s %5s %5s %5s  %-10s %10s\n", "scenario", "recovery", "sent", "again", "ACKs",
	       "the book's", "done ms");
}

void play_table_line(const struct play *p, FILE *out)
{
	char want[32] = "";

	if (p->has_want)
		snprintf(want, sizeof(want), "%u/%u/%u", p->want_sent, p->want_again, p->want_acks);
	fprintf(out, "%-20s %-9s %5u %5u %5u  %-10s", p->scenario, p->recovery, p->sent, p->again, p->acks, want);
	if (p->done_ms > 0)
		fprintf(out, " %10.1f", p->done_ms);
	else
		fprintf(out, " %10s", "");
	fprintf(out, "%s%s\n", play_right(p) ? "" : "  DIFFERS", p->on_model ? "  (model)" : "");
}

/* --- JSON ------------------------------------------------------------------------------------------ */

static void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void json_numbers(FILE *out, const char *name, const int64_t *n, uint32_t count)
{
	fprintf(out, ", \"%s\": [", name);
	for (uint32_t i = 0; i < count; i++)
		fprintf(out, "%s%lld", i ? ", " : "", (long long)n[i]);
	fprintf(out, "]");
}

static void json_segment(const struct play *p, FILE *out, uint32_t i)
{
	const struct stage_record *r = &p->stage.record[i];
	char flags[8], label[LADDER_LABEL_MAX];

	snprintf(flags, sizeof(flags), "%s%s%s%s%s", r->seen.flags & SEEN_SYN ? "S" : "",
		 r->seen.flags & SEEN_FIN ? "F" : "", r->seen.flags & SEEN_RST ? "R" : "",
		 r->seen.flags & SEEN_PSH ? "P" : "", r->seen.flags & SEEN_ACK ? "A" : "");
	p->label(p->label_arg, &p->stage, i, label);
	fprintf(out, "\n    {\"ms\": %.3f, \"from\": \"%c\", \"flags\": \"%s\", \"seq\": %lld, \"len\": %u, ",
		(double)r->at / 1e6, "AB"[r->from], flags, (long long)(p->bases.base[r->from] + r->off),
		r->seen.len);
	if (r->seen.flags & SEEN_ACK)
		fprintf(out, "\"ack\": %lld, ", (long long)(p->bases.base[!r->from] + r->ack));
	fprintf(out, "\"window\": %u, \"retransmission\": %s, \"lost\": %s, \"arrived_ms\": ", r->seen.window,
		r->again ? "true" : "false", r->dropped ? "true" : "false");
	if (r->arrived)
		fprintf(out, "%.3f", (double)r->arrived / 1e6);
	else
		fprintf(out, "null");
	fprintf(out, ", \"label\": ");
	json_text(out, label);
	fprintf(out, "}");
}

static void json_model_event(const struct play *p, const struct model_event *e, FILE *out)
{
	fprintf(out,
		"\n    {\"ms\": %u, \"from\": \"%c\", \"number\": %lld, \"ack\": %s, \"retransmission\": %s, "
		"\"lost\": %s}",
		e->at_ms, e->ack ? 'B' : 'A', (long long)p->bases.base[0] + e->number, e->ack ? "true" : "false",
		e->again ? "true" : "false", e->dropped ? "true" : "false");
}

static void json_segments(const struct play *p, FILE *out)
{
	uint32_t from = p->on_model ? 0 : p->ladder_from;
	uint32_t end = p->on_model ? p->model.count : p->stage.count;

	fprintf(out, ", \"segments\": [");
	for (uint32_t i = from; i < end; i++) {
		if (i > from)
			fprintf(out, ",");
		if (p->on_model)
			json_model_event(p, &p->model.event[i], out);
		else
			json_segment(p, out, i);
	}
	fprintf(out, "]");
}

static void json_facts(const struct play *p, FILE *out)
{
	fprintf(out, ", \"facts\": [");
	for (uint32_t i = 0; i < p->fact_count; i++) {
		const struct play_fact *f = &p->fact[i];

		fprintf(out, "%s\n    {\"what\": ", i ? "," : "");
		json_text(out, f->what);
		fprintf(out, ", \"expected\": ");
		json_text(out, f->want);
		fprintf(out, ", \"got\": ");
		json_text(out, f->got);
		fprintf(out, ", \"ok\": %s}", f->ok ? "true" : "false");
	}
	fprintf(out, "]");
}

void play_json(const struct play *p, FILE *out)
{
	fprintf(out, "  {\"scenario\": \"%s\", \"recovery\": \"%s\", \"title\": ", p->scenario, p->recovery);
	json_text(out, p->title);
	fprintf(out,
		", \"machine\": \"%s\", \"sent\": %u, \"retransmitted\": %u, \"acks\": %u, \"done_ms\": %.3f",
		p->on_model ? "model" : "core", p->sent, p->again, p->acks, p->done_ms);
	json_numbers(out, "ack_numbers", p->ack_number, p->ack_count);
	if (p->has_want)
		fprintf(out, ", \"expected\": {\"sent\": %u, \"retransmitted\": %u, \"acks\": %u}",
			p->want_sent, p->want_again, p->want_acks);
	if (p->want_ack_count)
		json_numbers(out, "expected_ack_numbers", p->want_ack, p->want_ack_count);
	fprintf(out, ", \"matches\": %s", play_right(p) ? "true" : "false");
	if (p->note) {
		fprintf(out, ", \"note\": ");
		json_text(out, p->note);
	}
	json_facts(p, out);
	json_segments(p, out);
	fprintf(out, "}");
}
