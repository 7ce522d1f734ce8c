/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/ladder.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#define ARROW_WIDTH 16u

struct strokes {
	const char *line, *right, *left, *cross;
};

static const struct strokes plain = {"-", ">", "<", "X"};
static const struct strokes drawn = {"─", "▶", "◀", "✗"};

static const struct strokes *strokes(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &drawn : &plain;
}

static void repeat(const char *what, unsigned times)
{
	while (times--)
		fputs(what, stdout);
}

static void from_left(const struct strokes *k, int width, const struct stage_record *r, const char *label)
{
	printf("%10.3f  %-*s ", (double)r->at / 1e6, width, label);
	if (r->dropped) {
		repeat(k->line, ARROW_WIDTH / 2);
		printf("%s", k->cross);
		repeat(" ", ARROW_WIDTH / 2);
		printf(" lost\n");
		return;
	}
	repeat(k->line, ARROW_WIDTH);
	if (r->arrived)
		printf("%s %*s  %10.3f\n", k->right, width, "", (double)r->arrived / 1e6);
	else
		printf("%s\n", k->right);
}

static void from_right(const struct strokes *k, int width, const struct stage_record *r, const char *label)
{
	if (r->arrived)
		printf("%10.3f  %-*s %s", (double)r->arrived / 1e6, width, "", k->left);
	else
		printf("%10s  %*s %s", "", width, r->dropped ? "lost" : "", r->dropped ? " " : k->left);
	if (r->dropped) {
		repeat(" ", ARROW_WIDTH / 2 - 1);
		printf("%s", k->cross);
		repeat(k->line, ARROW_WIDTH / 2);
	} else {
		repeat(k->line, ARROW_WIDTH);
	}
	printf(" %*s  %10.3f\n", width, label, (double)r->at / 1e6);
}

static int widest(const struct stage *g, uint32_t from, ladder_label label, void *arg)
{
	char text[LADDER_LABEL_MAX];
	size_t most = 8;

	for (uint32_t i = from; i < g->count; i++) {
		label(arg, g, i, text);
		if (strlen(text) > most)
			most = strlen(text);
	}
	return (int)most;
}

void ladder_draw(const struct stage *g, uint32_t from, ladder_label label, void *arg)
{
	const struct strokes *k = strokes();
	char text[LADDER_LABEL_MAX];
	int width = widest(g, from, label, arg);

	printf("%10s  %-*s %*s  %*s  %10s\n", "ms", width, "A", (int)ARROW_WIDTH, "", width, "B", "ms");
	for (uint32_t i = from; i < g->count; i++) {
		label(arg, g, i, text);
		if (g->record[i].from == 0)
			from_left(k, width, &g->record[i], text);
		else
			from_right(k, width, &g->record[i], text);
	}
	if (g->missed)
		printf("%12s... and %u more\n", "", g->missed);
}

void ladder_plain(void *arg, const struct stage *g, uint32_t i, char out[static LADDER_LABEL_MAX])
{
	const struct ladder_bases *b = arg;
	const struct stage_record *r = &g->record[i];
	const struct seen *s = &r->seen;
	int n = snprintf(out, LADDER_LABEL_MAX, "%s%s%s", s->flags & SEEN_SYN ? "SYN " : "",
			 s->flags & SEEN_FIN ? "FIN " : "", s->flags & SEEN_RST ? "RST " : "");

	if (s->len || s->flags & (SEEN_SYN | SEEN_FIN | SEEN_RST))
		n += snprintf(out + n, LADDER_LABEL_MAX - (size_t)n, "seq %lld ",
			      (long long)(b->base[r->from] + r->off));
	if (s->len)
		n += snprintf(out + n, LADDER_LABEL_MAX - (size_t)n, "len %u ", s->len);
	if (s->flags & SEEN_ACK)
		n += snprintf(out + n, LADDER_LABEL_MAX - (size_t)n, "ack %lld",
			      (long long)(b->base[!r->from] + r->ack));
	if (r->again)
		snprintf(out + n, LADDER_LABEL_MAX - (size_t)n, " (again)");
}
