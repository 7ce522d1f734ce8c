/* SPDX-License-Identifier: BSD-2-Clause */
/* matrix_marks.c - congestion marks: dctcp against one who sees the segments alone. */
#include "matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "edit.h"

#define ECE  0x40
#define CE   3
#define GAIN (1.0 / 16)

/* RFC 8257 3.3 for one who sees the segments alone. */
struct marks {
	uint32_t sent, una, nxt, window_end, iss, cut_end;
	uint64_t acked, marked;
	double alpha, cut_by;                    /* cut_by: of the newest cut */
	unsigned windows, cuts, from, to, every; /* which segments are marked */
};

static void mark(struct marks *m, struct edit *e)
{
	uint32_t end = get_be32(e->tcp + 4) + e->data_len;

	if (e->data_len == 0 || (int32_t)(end - m->nxt) <= 0)
		return;
	m->nxt = end;
	m->sent++;
	if (m->sent < m->from || m->sent >= m->to || m->sent % m->every)
		return;
	e->ip[1] |= CE;
	edit_sums(e->frame, e->frame_len);
}

static void acked(struct marks *m, const struct edit *e)
{
	uint32_t ack = get_be32(e->tcp + 8), bytes = ack - m->una;
	bool ece = e->tcp[13] & ECE;

	m->una = ack;
	if (ece && (int32_t)(ack - m->cut_end) > 0) { /* once in a window, step 9 */
		m->cut_by = m->alpha / 2;
		m->cut_end = m->nxt;
		m->cuts++;
	}
	m->acked += bytes;
	m->marked += ece ? bytes : 0;
	if ((int32_t)(ack - m->window_end) <= 0)
		return;
	m->alpha = m->alpha * (1 - GAIN) + GAIN * (double)m->marked / (double)m->acked;
	m->window_end = m->nxt;
	m->acked = m->marked = 0;
	m->windows++;
}

static void watch(struct path *p, bool sent, uint8_t *frame, uint32_t len)
{
	struct marks *m = p->also_arg;
	struct edit e;

	if (!edit_begin(&e, frame, len))
		return;
	if (sent && e.tcp[13] & SEEN_SYN)
		m->una = m->nxt = m->window_end = m->cut_end = get_be32(e.tcp + 4) + 1;
	else if (sent)
		mark(m, &e);
	else if (!(e.tcp[13] & SEEN_SYN))
		acked(m, &e);
}

/* Marks on all, on every fourth, and on none: alpha follows, and the window falls by half of it. */
void check_marks(const struct cell *c)
{
	struct marks m = {.alpha = 1, .from = 300, .to = 3000, .every = 4};
	struct path p = {.also = watch, .also_arg = &m};
	unsigned cuts = 0, falls = 0;

	open_cell(&p, c, "", 0, 100u << 20);
	for (unsigned i = 0; i < 120; i++) {
		const struct sample *before, *after;

		path_run(&p, i ? RTT / 2 : ONE_WAY + RTT);
		after = at(&p, p.w.now);
		before = at(&p, p.w.now - RTT / 2);
		within(c, "alpha", 1e4 * after->alpha, 1e4 * m.alpha, 1);
		equal(c, "pipe", after->flight, after->nxt - after->una);
		for (const struct sample *x = before + 1; x <= after; x++) {
			if (x->cwnd >= x[-1].cwnd)
				continue;
			falls++;
			within(c, "cwnd", (double)x->cwnd, (double)x[-1].cwnd * (1 - m.cut_by),
			       2 * MSS);
			equal(c, "ssthresh", x->ssthresh, x->cwnd);
		}
		if (i == 40)
			m.every = 1;
		cuts = m.cuts;
	}
	assert_true(m.windows > 30 && cuts > 5);
	equal(c, "the number of cuts", falls, cuts);
	path_close(&p);
}
