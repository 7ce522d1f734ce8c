/* SPDX-License-Identifier: BSD-2-Clause */
/* textbook (recovery) - the TCP of Kurose & Ross fig. 3.33 with fast retransmit: one timer; a
 * time-out resends the oldest segment only; so does the third duplicate ACK.  What the window does
 * then is for cc to decide. */
#include "recovery_common.h"

struct state {
	struct episode episode;
	uint64_t duplicates; /* of snd_una */
};

static void textbook_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
			    struct sp_verdict *v)
{
	struct state *s = st;

	if (a->una > a->una_before) {
		s->duplicates = 0;
		if (s->episode.kind != EPISODE_NONE) /* any ACK of new data ends fast recovery */
			v->episode = SP_EXIT;
		s->episode.kind = EPISODE_NONE;
	} else if (a->duplicate && ++s->duplicates == DUP_THRESH) {
		mark_first_lost(c);
		v->allowance = lost_allowance(c);
		if (s->episode.kind == EPISODE_NONE) {
			episode_begin(c, &s->episode, false);
			v->episode = SP_ENTER;
		}
	}
}

static void textbook_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;

	mark_first_lost(c);
	episode_begin(c, &s->episode, true);
	v->episode = SP_TIMEOUT;
	v->allowance = lost_allowance(c);
}

static int textbook_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "state=%s sendbase=%llu duplicates=%llu",
			episode_name(&s->episode), (ull)c->snd_una, (ull)s->duplicates);
}

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .on_ack = textbook_on_ack,
    .on_timer = textbook_on_timer,
    .describe = textbook_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "textbook",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "one timer, the oldest only, fast retransmit (Kurose & Ross fig. 3.33)",
    .wants = SP_PER_SEGMENT,
    .state_size = sizeof(struct state),
    .ops = &ops,
};
