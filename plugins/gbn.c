/* SPDX-License-Identifier: BSD-2-Clause */
/* gbn - Go-Back-N (Kurose & Ross 3.4.3).  The receiver keeps nothing out of order; a time-out
 * resends everything from snd_una in order; a duplicate ACK means nothing.  ACKs are cumulative
 * (the book's state machine): a lost ACK covered by a later one resends nothing.  The core's
 * timer for the oldest, restarted by progress, is the book's. */
#include "recovery_common.h"

struct state {
	struct episode episode;
};

static bool gbn_keep(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	(void)c;
	(void)st;
	(void)s;
	return false;
}

static void gbn_on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a,
		       struct sp_verdict *v)
{
	struct state *s = st;

	(void)c;
	if (!episode_over(&s->episode, a))
		return;
	s->episode.kind = EPISODE_NONE;
	v->episode = SP_EXIT;
}

static void gbn_on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v)
{
	struct state *s = st;

	mark_all_lost(c);
	episode_begin(c, &s->episode, true);
	v->episode = SP_TIMEOUT;
	v->allowance = lost_allowance(c);
}

static int gbn_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	const struct state *s = st;

	return snprintf(line, len, "state=%s base=%llu nextseqnum=%llu", episode_name(&s->episode),
			(ull)c->snd_una, (ull)c->snd_nxt);
}

static const struct sp_recovery_ops ops = {
    .size = sizeof(struct sp_recovery_ops),
    .keep = gbn_keep,
    .on_ack = gbn_on_ack,
    .on_timer = gbn_on_timer,
    .describe = gbn_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_RECOVERY,
    .name = "gbn",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "Go-Back-N: one timer, all resent, nothing kept out of order (Kurose & Ross 3.4.3)",
    .wants = SP_PER_SEGMENT,
    .state_size = sizeof(struct state),
    .ops = &ops,
};
