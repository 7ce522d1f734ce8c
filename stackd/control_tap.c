/* SPDX-License-Identifier: BSD-2-Clause */
/* control_tap.c - owns the tapes: made when the first looks, gone when the last has left. */
#include "control_tap.h"

#include <errno.h>
#include <stdlib.h>

#define TAPE_BYTES (16u << 20) /* of each shard; taken by the kernel as it is used */

struct taps {
	struct shard **shards;
	uint32_t shard_count;
	struct tap_user *users;
	struct tape *tape; /* [shard_count]; NULL: nobody looks */
};

struct taps *taps_create(struct shard **shards, uint32_t count)
{
	struct taps *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->shards = shards;
	t->shard_count = count;
	return t;
}

void taps_destroy(struct taps *t)
{
	free(t);
}

static void hand_out(struct shard *s, void *arg)
{
	struct tape *tapes = arg;

	shard_set_tape(s, tapes ? &tapes[shard_index(s)] : NULL);
}

/* The shards learn of the tapes, and whether frames are wanted. */
static void tell_shards(struct taps *t)
{
	bool frames = false;

	for (struct tap_user *u = t->users; u; u = u->next)
		frames |= u->frames;
	for (uint32_t i = 0; i < t->shard_count; i++) {
		if (t->users)
			t->tape[i].frames = frames;
		shard_call(t->shards[i], hand_out, t->users ? t->tape : NULL);
	}
}

static void free_tapes(struct taps *t)
{
	for (uint32_t i = 0; t->tape && i < t->shard_count; i++)
		free(t->tape[i].memory);
	free(t->tape);
	t->tape = NULL;
}

static int make_tapes(struct taps *t)
{
	t->tape = calloc(t->shard_count, sizeof(t->tape[0]));
	for (uint32_t i = 0; t->tape && i < t->shard_count; i++) {
		void *memory = calloc(1, TAPE_BYTES);

		if (!memory) {
			free_tapes(t);
			break;
		}
		tape_init(&t->tape[i], memory, TAPE_BYTES);
	}
	return t->tape ? 0 : -ENOMEM;
}

static uint64_t lost(const struct taps *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->shard_count; i++)
		sum += atomic_load_explicit(&t->tape[i].lost, memory_order_relaxed);
	return sum;
}

int taps_join(struct taps *t, struct tap_user *u)
{
	if (!t->tape && make_tapes(t))
		return -ENOMEM;
	taps_drain(t); /* what was before is for the others */
	u->lost_before = lost(t);
	u->next = t->users;
	t->users = u;
	tell_shards(t);
	return 0;
}

void taps_leave(struct taps *t, struct tap_user *u)
{
	struct tap_user **at = &t->users;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	tell_shards(t);
	if (!t->users)
		free_tapes(t);
}

static const struct tape_record *oldest(struct taps *t, uint32_t *shard)
{
	const struct tape_record *best = NULL;

	for (uint32_t i = 0; i < t->shard_count; i++) {
		const struct tape_record *r = tape_read(&t->tape[i]);

		if (r && (!best || r->at < best->at)) {
			best = r;
			*shard = i;
		}
	}
	return best;
}

/* Bounded: a shard that writes as fast as this reads must not hold the control thread for ever. */
void taps_drain(struct taps *t)
{
	const struct tape_record *r;
	uint64_t bytes = 0;
	uint32_t shard;

	while (bytes < TAPE_BYTES && (r = oldest(t, &shard))) {
		bytes += r->bytes;
		for (struct tap_user *u = t->users; u; u = u->next)
			u->take(u, shard, r);
		tape_took(&t->tape[shard]);
	}
}

uint64_t taps_lost(const struct taps *t, const struct tap_user *u)
{
	return lost(t) - u->lost_before;
}
