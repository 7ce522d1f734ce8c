/* SPDX-License-Identifier: BSD-2-Clause */
/* wheel.h - a hierarchical timer wheel.  A timer never fires early; it fires late by at most one
 * tick.  Arming is O(1) and lazy: moving a timer to a later time does not relink it until the
 * old time comes. */
#ifndef STACKD_BASE_WHEEL_H
#define STACKD_BASE_WHEEL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/list.h"

#define WHEEL_TICK_SHIFT 16u /* a tick is 65.536 us */
#define WHEEL_LEVELS 8u
#define WHEEL_SLOTS 64u

struct timer {
	struct list node;
	ns_t due;    /* when it should fire; NS_NEVER when not armed */
	ns_t linked; /* the time by which it stands in the wheel, <= due */
	uint8_t level, slot;
};

struct wheel {
	ns_t now;      /* the last one heard of */
	uint64_t tick; /* all up to it has been moved to `expired` */
	uint64_t occupied[WHEEL_LEVELS];
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list expired;
};

void timer_init(struct timer *t);
void wheel_init(struct wheel *w, ns_t now);
/* Arms or moves; NS_NEVER cancels.  A time that wheel_expired has seen already fires at its next
 * call, so that a handler which always arms for `now` never comes to an end. */
void wheel_arm(struct wheel *w, struct timer *t, ns_t due);
void wheel_cancel(struct wheel *w, struct timer *t);
/* The next timer whose time has come, disarmed; NULL when there is none.  Call until NULL; between
 * the calls any timer may be armed or cancelled.  `now` must not go back. */
struct timer *wheel_expired(struct wheel *w, ns_t now);
/* No timer fires before this time (a lower bound, exact within the slot); NS_NEVER when empty.
 * After wheel_expired returned NULL it lies in the future, and a call of wheel_expired at that
 * time brings a timer nearer: a sleeper wakes at most WHEEL_LEVELS times for one. */
ns_t wheel_next(const struct wheel *w);

#endif
