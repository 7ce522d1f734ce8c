/* SPDX-License-Identifier: BSD-2-Clause */
#include "tamper.h"

#include <stdlib.h>
#include <string.h>

#include "edit.h"
#include "lab/host.h"
#include "lab/seen.h"
#include "lab/tap.h"

const char *const tamper_names[TAMPER_WHATS] = {"drop",  "delay", "duplicate", "reorder", "corrupt",
						"strip", "mss",   "window",    "split",   "merge"};

/* --- which -------------------------------------------------------------------------------------
 */

static bool is_kind(const struct tamper *t, enum tamper_kind kind, const struct seen *s,
		    int64_t off)
{
	bool plain = !(s->flags & (SEEN_SYN | SEEN_FIN | SEEN_RST));

	switch (kind) {
	case TAMPER_SYN:
		return s->flags & SEEN_SYN;
	case TAMPER_DATA:
		return s->len > 0;
	case TAMPER_AGAIN:
		return s->len > 0 && off < t->sent_end;
	case TAMPER_PURE_ACK:
		return plain && s->len == 0;
	case TAMPER_FIN:
		return s->flags & SEEN_FIN;
	default:
		return true;
	}
}

static bool chosen(struct tamper *t, unsigned i, const struct seen *s)
{
	const struct tamper_rule *r = &t->rule[i];
	int64_t off = (int32_t)(s->seq - t->iss - 1);
	uint32_t every = r->every ? r->every : 1;

	if (!is_kind(t, r->kind, s, off))
		return false;
	if ((r->begin || r->end) && (off >= r->end || off + s->len <= r->begin))
		return false;
	if (t->looked[i]++ < r->first || (t->looked[i] - r->first - 1) % every != 0)
		return false;
	return r->count == 0 || t->done[i] < r->count;
}

/* --- what ----------------------------------------------------------------------------------------
 */

static void hold(struct tamper *t, const uint8_t *frame, uint32_t len, enum tamper_what what)
{
	t->held = lab_alloc(len);
	memcpy(t->held, frame, len);
	t->held_len = len;
	t->held_for = what;
}

static void release(struct tamper *t, ns_t due)
{
	tap_put(t->driver, due, t->held, t->held_len);
	free(t->held);
	t->held = NULL;
}

/* True: one frame stands for both.  The header is the later one's: no sender makes a FIN with an
 * ACK from before. */
static bool merge(struct tamper *t, ns_t now, uint8_t *frame, uint32_t len)
{
	uint8_t data[65536], out[65536];
	struct edit a, b;

	if (!edit_begin(&a, t->held, t->held_len) || !edit_begin(&b, frame, len))
		return false;
	if (b.data_len == 0 || get_be32(a.tcp + 4) + a.data_len != get_be32(b.tcp + 4) ||
	    b.tcp[13] & (SEEN_SYN | SEEN_RST) || len + a.data_len > t->driver->caps.gso_max)
		return false;
	memcpy(data, a.data, a.data_len);
	memcpy(data + a.data_len, b.data, b.data_len);
	memcpy(b.tcp + 4, a.tcp + 4, 4);
	len = edit_with_data(&b, data, a.data_len + b.data_len, out);
	tap_put(t->driver, now, out, len);
	free(t->held);
	t->held = NULL;
	return true;
}

static bool split(struct tamper *t, ns_t now, const struct edit *e, uint64_t most)
{
	uint8_t out[65536], *tcp;
	uint32_t at = most < e->data_len ? (uint32_t)most : e->data_len / 2, len;
	struct edit second;

	if (at == 0 || at >= e->data_len)
		return false;
	len = edit_with_data(e, e->data, at, out);
	tcp = out + (e->tcp - e->frame);
	tcp[13] &= (uint8_t)~SEEN_FIN;
	edit_sums(out, len);
	tap_put(t->driver, now, out, len);
	len = edit_with_data(e, e->data + at, e->data_len - at, out);
	edit_begin(&second, out, len);
	put_be32(second.tcp + 4, get_be32(second.tcp + 4) + at);
	edit_sums(out, len);
	tap_put(t->driver, now, out, len);
	return true;
}

static void clamp(const struct edit *e, uint8_t *field, uint64_t most)
{
	if (field && get_be16(field) > most)
		put_be16(field, (uint16_t)most);
	edit_sums(e->frame, e->frame_len);
}

static void apply(struct tamper *t, const struct tamper_rule *r, ns_t now, const struct edit *e,
		  struct tap_verdict *v)
{
	uint8_t *mss = edit_option(e, EDIT_MSS);

	switch (r->what) {
	case TAMPER_DROP:
		v->drop = true;
		break;
	case TAMPER_DELAY:
		v->delay_ns += r->value;
		break;
	case TAMPER_DUPLICATE:
		tap_put(t->driver, now + r->value, e->frame, e->frame_len);
		break;
	case TAMPER_CORRUPT:
		e->tcp[r->value % e->tcp_len] ^= (uint8_t)(1 + r->value % 255);
		break;
	case TAMPER_STRIP:
		edit_strip(e, (uint8_t)r->value);
		edit_sums(e->frame, e->frame_len);
		break;
	case TAMPER_MSS:
		clamp(e, mss ? mss + 2 : NULL, r->value);
		break;
	case TAMPER_WINDOW:
		clamp(e, e->tcp + 14, r->value);
		break;
	case TAMPER_SPLIT:
		v->drop |= split(t, now, e, r->value);
		break;
	default: /* reorder, merge */
		if (!t->held && (r->what == TAMPER_REORDER || e->data_len > 0)) {
			hold(t, e->frame, e->frame_len, r->what);
			v->drop = true;
		}
		break;
	}
}

/* What waited to be overtaken follows this one at once; nothing else comes between. */
static void overtake(struct tamper *t, ns_t now, const uint8_t *frame, uint32_t len,
		     struct tap_verdict *v)
{
	ns_t due = now + v->delay_ns;

	if (!v->drop)
		tap_put(t->driver, due, frame, len);
	v->drop = true;
	release(t, due);
}

static void note(struct tamper *t, const struct seen *s)
{
	int64_t end = (int32_t)(s->seq - t->iss - 1) + (int64_t)s->len;

	if (s->flags & SEEN_SYN) {
		t->syn = true;
		t->iss = s->seq;
	} else if (end > t->sent_end) {
		t->sent_end = end;
	}
}

static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		struct tap_verdict *v)
{
	struct tamper *t = arg;
	bool merged = false, late;
	struct edit e;
	struct seen s;

	(void)host;
	if (!out || !seen_parse(frame, len, &s) || !edit_begin(&e, frame, len))
		return;
	if (t->held && t->held_for == TAMPER_MERGE)
		merged = v->drop = merge(t, now, frame, len);
	if (t->held && t->held_for == TAMPER_MERGE)
		release(t, now);
	late = t->held != NULL;
	for (unsigned i = 0; i < t->count && !merged; i++)
		if (!v->drop && (t->until == 0 || now < t->until) && chosen(t, i, &s)) {
			t->done[i]++;
			t->faults++;
			apply(t, &t->rule[i], now, &e, v);
			if (t->rule[i].what == TAMPER_CORRUPT)
				break; /* nobody makes its checksum right again */
		}
	note(t, &s);
	if (late)
		overtake(t, now, frame, len, v);
}

struct driver *tamper_wrap(struct driver *inner, unsigned host, struct tamper *t)
{
	t->driver = tap_wrap(inner, host, see, t);
	return t->driver;
}

void tamper_free(struct tamper *t)
{
	free(t->held);
	t->held = NULL;
}

/* --- drawing -----------------------------------------------------------------------------------
 */

static uint64_t draw_value(enum tamper_what what, struct rng *r)
{
	static const uint8_t options[] = {EDIT_MSS, EDIT_WSCALE, EDIT_SACK_PERMITTED, EDIT_SACK};

	switch (what) {
	case TAMPER_DELAY:
	case TAMPER_DUPLICATE:
		return rng_below(r, 3 * NS_PER_S);
	case TAMPER_STRIP:
		return options[rng_below(r, array_count(options))];
	case TAMPER_MSS:
		return 48 + rng_below(r, 1400);
	case TAMPER_WINDOW:
		return rng_below(r, 4) ? rng_below(r, 3000) : 0;
	case TAMPER_SPLIT:
		return 1 + rng_below(r, 1000);
	default:
		return rng_next(r);
	}
}

static bool is_loss(enum tamper_what what)
{
	return what == TAMPER_DROP || what == TAMPER_CORRUPT || what == TAMPER_REORDER ||
	       what == TAMPER_MERGE;
}

void tamper_draw(struct tamper *t, struct rng *r)
{
	t->count = (uint32_t)rng_below(r, 4);
	for (unsigned i = 0; i < t->count; i++) {
		struct tamper_rule *x = &t->rule[i];

		x->what = (enum tamper_what)rng_below(r, TAMPER_WHATS);
		x->kind = (enum tamper_kind)rng_below(r, TAMPER_FIN + 1);
		x->first = (uint32_t)rng_below(r, 20);
		if (x->kind == TAMPER_SYN || x->kind == TAMPER_FIN || x->what == TAMPER_MSS)
			x->first = 0;
		x->every = 1 + (uint32_t)rng_below(r, 5);
		/* a few in a row only: else the peer's TIME-WAIT may end before what it waits for
		 * comes */
		x->count = 1 + (uint32_t)rng_below(r, is_loss(x->what) ? 4 : 30);
		x->value = draw_value(x->what, r);
		if (x->kind == TAMPER_DATA && rng_chance(r, 0.3)) {
			x->begin = (int64_t)rng_below(r, 100000);
			x->end = x->begin + 1 + (int64_t)rng_below(r, 20000);
		}
	}
	/* some go on for ever */
	if (rng_chance(r, 0.2) && t->rule[0].what >= TAMPER_STRIP &&
	    (t->rule[0].what != TAMPER_WINDOW || t->rule[0].value >= 500))
		t->rule[0].count = 0;
}
