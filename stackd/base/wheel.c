/* SPDX-License-Identifier: BSD-2-Clause */
/* wheel.c - a timer stands in the level of the highest 6-bit digit in which its tick differs from
 * the wheel's.  So a slot in use lies ahead of the wheel's digit of that level, all of a level
 * comes before all of the next, and the next slot in time is the lowest bit of the lowest level in
 * use: a jump over any idle time costs the same. */
#include "base/wheel.h"

#include <assert.h>

#define DIGIT_BITS    6u
#define LEVEL_EXPIRED WHEEL_LEVELS /* stands in `expired` */
#define LEVEL_NONE    0xffu
/* The last time that is the start of a tick; later ones are never reached. */
#define DUE_MAX (NS_NEVER << WHEEL_TICK_SHIFT)

static_assert(WHEEL_SLOTS == 1u << DIGIT_BITS, "a slot for each value of a digit");
static_assert(WHEEL_TICK_SHIFT + DIGIT_BITS * WHEEL_LEVELS == 64, "the levels span all times");

void timer_init(struct timer *t)
{
	list_init(&t->node);
	t->due = t->linked = NS_NEVER;
	t->level = LEVEL_NONE;
	t->slot = 0;
}

void wheel_init(struct wheel *w, ns_t now)
{
	w->now = now;
	w->tick = now >> WHEEL_TICK_SHIFT;
	list_init(&w->expired);
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		w->occupied[level] = 0;
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&w->slot[level][slot]);
	}
}

static void unlink_timer(struct wheel *w, struct timer *t)
{
	list_unlink(&t->node);
	if (t->level < WHEEL_LEVELS && list_empty(&w->slot[t->level][t->slot]))
		w->occupied[t->level] &= ~(1ull << t->slot);
	t->level = LEVEL_NONE;
	t->linked = NS_NEVER;
}

/* Links by t->due. */
static void link_timer(struct wheel *w, struct timer *t)
{
	uint64_t tick =
	    (t->due >> WHEEL_TICK_SHIFT) + ((t->due & ((1u << WHEEL_TICK_SHIFT) - 1)) != 0);
	unsigned level;

	t->linked = t->due;
	if (t->due <= w->now || tick <= w->tick) {
		t->level = LEVEL_EXPIRED;
		list_push_back(&w->expired, &t->node);
		return;
	}
	level = (63 - (unsigned)__builtin_clzll(tick ^ w->tick)) / DIGIT_BITS;
	t->level = (uint8_t)level;
	t->slot = (tick >> (level * DIGIT_BITS)) & (WHEEL_SLOTS - 1);
	w->occupied[level] |= 1ull << t->slot;
	list_push_back(&w->slot[level][t->slot], &t->node);
}

void wheel_arm(struct wheel *w, struct timer *t, ns_t due)
{
	if (due > DUE_MAX) {
		wheel_cancel(w, t);
		return;
	}
	t->due = due;
	if (t->level < WHEEL_LEVELS && due >= t->linked)
		return;
	unlink_timer(w, t);
	link_timer(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
	unlink_timer(w, t);
	t->due = NS_NEVER;
}

/* The first slot in use, and the tick at which it begins.  False when there is none. */
static bool first_slot(const struct wheel *w, unsigned *level, unsigned *slot, uint64_t *tick)
{
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		if (w->occupied[l] == 0)
			continue;
		*level = l;
		*slot = (unsigned)__builtin_ctzll(w->occupied[l]);
		*tick = (w->tick >> ((l + 1) * DIGIT_BITS) << DIGIT_BITS | *slot)
			<< (l * DIGIT_BITS);
		return true;
	}
	return false;
}

/* Moves the timers of a slot that has begun to where they belong by now: into `expired`, a lower
 * level, or wherever a lazy move has taken them. */
static void cascade(struct wheel *w, unsigned level, unsigned slot)
{
	struct list *node;

	w->occupied[level] &= ~(1ull << slot);
	/* a timer never returns to this slot: the wheel's digit has reached it */
	while ((node = list_pop(&w->slot[level][slot])) != NULL)
		link_timer(w, container_of(node, struct timer, node));
}

struct timer *wheel_expired(struct wheel *w, ns_t now)
{
	uint64_t tick = now >> WHEEL_TICK_SHIFT, slot_tick;
	unsigned level, slot;
	struct list *node;
	struct timer *t;

	if (now > w->now)
		w->now = now;
	while (list_empty(&w->expired) && first_slot(w, &level, &slot, &slot_tick) &&
	       slot_tick <= tick) {
		w->tick = slot_tick;
		cascade(w, level, slot);
	}
	node = list_pop(&w->expired);
	if (!node) {
		if (tick > w->tick)
			w->tick = tick;
		return NULL;
	}
	t = container_of(node, struct timer, node);
	assert(t->due <= w->now);
	timer_init(t);
	return t;
}

ns_t wheel_next(const struct wheel *w)
{
	unsigned level, slot;
	uint64_t tick;

	if (!list_empty(&w->expired))
		return w->now;
	return first_slot(w, &level, &slot, &tick) ? tick << WHEEL_TICK_SHIFT : NS_NEVER;
}
