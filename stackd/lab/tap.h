/* SPDX-License-Identifier: BSD-2-Clause */
/* tap.h - a driver around a driver that shows every frame to a function and does with it what the
 * function says: drop it, hold it back, send it twice.  What is chosen, the function decides. */
#ifndef STACKD_LAB_TAP_H
#define STACKD_LAB_TAP_H

#include "driver/driver.h"

struct tap_verdict {
	bool drop;
	ns_t delay_ns; /* of this frame alone; later ones may overtake it */
	bool twice;
	const uint8_t *instead; /* goes in its place; NULL: the frame itself.  Copied. */
	uint32_t instead_len;
};

/* A frame that host `host` sends (out) or takes in; the verdict counts for those sent.  The bytes may
 * be changed when out; a changed frame must carry its own right checksum. */
typedef void (*tap_fn)(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		       struct tap_verdict *);

/* Owns `inner` from now on.  Ends the program without memory. */
struct driver *tap_wrap(struct driver *inner, unsigned host, tap_fn see, void *arg);
/* A frame more, of the same host; it is not shown.  From inside the function or between. */
void tap_put(struct driver *tap, ns_t due, const uint8_t *frame, uint32_t len);

#endif
