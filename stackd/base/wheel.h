/* SPDX-License-Identifier: BSD-2-Clause */
/* wheel.h - a hierarchical timer wheel.  A timer never fires early; it fires late by at most one
 * tick.  Arming is O(1) and lazy: moving a timer to a later time does not relink it until the
 * old time comes. */
#ifndef STACKD_BASE_WHEEL_H
#define STACKD_BASE_WHEEL_H

#include <stdbool.h>

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
	uint64_t tick; /* all before it has been handed out */
	uint64_t occupied[WHEEL_LEVELS];
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list expired;
};

void timer_init(struct timer *t);
void wheel_init(struct wheel *w, ns_t now);
/* Arms or moves; NS_NEVER cancels.  A time in the past fires at the next wheel_expired. */
void wheel_arm(struct wheel *w, struct timer *t, ns_t due);
void wheel_cancel(struct wheel *w, struct timer *t);
/* The next timer whose time has come, disarmed; NULL when there is none.  Call until NULL. */
struct timer *wheel_expired(struct wheel *w, ns_t now);
/* No timer fires before this time (a lower bound, exact within the slot); NS_NEVER when empty. */
ns_t wheel_next(const struct wheel *w);

#endif
