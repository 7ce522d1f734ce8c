/* SPDX-License-Identifier: BSD-2-Clause */
/* table.h - the inside of sock/: what its files share. */
#ifndef STACKD_SOCK_TABLE_H
#define STACKD_SOCK_TABLE_H

#include "sock/sock.h"

#define SOCK_BURST	 256u /* submissions of one client before the next one's turn */

struct sock_table {
	struct sock_table_config config;
	struct tcp *tcp;
	struct counters *counters;
	uint32_t shard;
	uint32_t used; /* sockets of this shard that are not free */
	uint32_t rover; /* ephemeral ports */
	ns_t now;
	struct list clients;
	bool poll_more; /* a burst was cut short */
	struct pool subs, options;
	struct list touched; /* event queues with news, by sock_evq.touched */
	struct sock_letter *letters; /* ring of letters_size, a power of two */
	uint32_t letters_size;
	uint32_t letters_head, letters_tail;
};

static inline struct stackd_sock *sock_shm(const struct sock *s)
{
	return stackd_shm_sock(s->region->mem, &s->region->head, s->slot);
}

/* event.c */
/* Tells all who are interested in `what` (enum stackd_interest; 0: everybody). */
void sock_tell(struct sock_table *, struct list *subs, uint32_t what);
void sock_post(struct sock_table *, struct sock_sub *);
/* What is acknowledged and sent into the slot; tells a writer who waits for that. */
void sock_tell_room(struct sock_table *, struct sock *);
void sock_sub_set(struct sock_table *, struct sock_client *, struct sock *, const struct stackd_sqe *);
void sock_sub_end(struct sock_table *, struct sock_client *, const struct sock *, const struct stackd_sqe *);
void sock_sub_free(struct sock_table *, struct sock_sub *);
void sock_letter(struct sock_table *, const struct sock_letter *);
void sock_expel(struct sock_table *, struct sock_client *, enum count_id, const char *why);

/* slot.c */
void sock_init_slot(struct sock_table *, struct sock_region *, struct sock *, uint32_t slot);
/* Takes a daemon-given slot; NULL: none left. */
struct sock *sock_take_slot(struct sock_table *, struct sock_region *);
/* The slot is free for its next use. */
void sock_free(struct sock_table *, struct sock *);
void sock_give_back(struct sock_table *, struct sock *);
void sock_publish_endpoints(struct sock *);
void sock_attach_rings(struct sock *);

/* submit.c */
void sock_copy_options(struct sock_options *to, const struct sock_options *from); /* NULL: none */
/* A copy for `s`, if there is memory. */
void sock_inherit_options(struct sock_table *, struct sock *, const struct sock_options *);
void sock_apply_options(struct sock *, const struct sock_options *);
bool sock_take_sent(struct sock_table *, struct sock_client *, struct sock *);
bool sock_take_read(struct sock_table *, struct sock_client *, struct sock *);

/* listen.c */
void sock_offer(struct sock_table *, struct sock *);
struct list *sock_subs(struct sock_table *, struct sock *);

/* port.c */
int sock_connect_from(struct sock_table *, struct sock *, const struct endpoint *remote,
		      const struct tcp_rules *, ns_t now);

#endif
