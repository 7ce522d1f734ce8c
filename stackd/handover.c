/* SPDX-License-Identifier: BSD-2-Clause */
/* handover.c - what one shard sends to another: frames that came to the wrong one, connections that
 * move to where their SYN-ACK arrived, neighbours, submissions.
 *
 * There is no directory of who owns what: a segment that nobody knows here is offered to the other
 * shards in turn.  That costs nothing as long as frames arrive where they belong, and leaves
 * nothing shared to keep up to date.  A plain SYN is not offered: listeners are on every shard. */
#include <stdlib.h>
#include <string.h>

#include "shard_inside.h"

/* Frames that may wait in one shard's mailbox; a flood of segments that nobody knows ends here. */
#define FRAMES_WAITING_MAX 4096u

struct frame_mail {
	struct mail mail;
	uint32_t interface, hops, origin;
	struct frame frame;
	uint8_t data[];
};

/* Something to know for every shard: each gets a copy. */
struct news_mail {
	struct mail mail;
	struct net_result news;
};

struct sqe_mail {
	struct mail mail;
	struct sock_client *client;
	struct stackd_sqe sqe;
	bool for_all;
};

/* A connection on its way, with the frame that made it move. */
struct move_mail {
	struct mail mail;
	struct sock *sock;
	struct frame_mail *frame;
	struct sock_options options;
	_Alignas(16) uint8_t record[];
};

static struct shard *next_shard(struct shard *sh)
{
	return sh->config.peers[(sh->config.index + 1) % sh->config.count];
}

static bool plain_syn(const struct net_segment *seg)
{
	return seg->l4_len >= 20 && (seg->l4[13] & 0x12) == 0x02;
}

/* --- frames ------------------------------------------------------------------------------------- */

static void deliver_move(void *to, struct mail *m)
{
	struct move_mail *move = container_of(m, struct move_mail, mail);
	struct shard *sh = to;
	struct tcp_conn *conn = tcp_import(sh->tcp, move->record, sh->now);

	sock_adopt(sh->socks, move->sock, conn, &move->options);
	if (conn)
		shard_frame(sh, move->frame->interface, &move->frame->frame);
	free(move->frame);
	free(move);
}

/* Gives the connection in SYN-SENT to the shard where its answer arrived.  False: it isn't one. */
static bool move_to_origin(struct shard *sh, struct frame_mail *f, struct tcp_conn *conn)
{
	struct move_mail *move = malloc(sizeof(*move) + tcp_export_size());
	struct sock *s = tcp_user(conn);

	if (!move || !s || !tcp_export(sh->tcp, conn, move->record)) {
		free(move);
		return false;
	}
	move->mail.deliver = deliver_move;
	move->sock = s;
	move->frame = f;
	sock_depart(sh->socks, s, f->origin, &move->options);
	mailbox_post(&sh->config.peers[f->origin]->mailbox, &move->mail);
	return true;
}

/* To the next shard, unless it is flooded already. */
static void post_frame(struct shard *sh, struct frame_mail *f)
{
	struct shard *next = next_shard(sh);

	if (atomic_fetch_add_explicit(&next->frames_waiting, 1, memory_order_relaxed) < FRAMES_WAITING_MAX) {
		mailbox_post(&next->mailbox, &f->mail);
		return;
	}
	atomic_fetch_sub_explicit(&next->frames_waiting, 1, memory_order_relaxed);
	count(&sh->counters, COUNT_shard_handover_full);
	free(f);
}

static void offer_on(struct shard *sh, struct frame_mail *f, const struct net_segment *seg)
{
	if (++f->hops < sh->config.count) {
		post_frame(sh, f);
		return;
	}
	tcp_reject(sh->tcp, seg, sh->now);
	free(f);
}

static void deliver_frame(void *to, struct mail *m)
{
	struct frame_mail *f = container_of(m, struct frame_mail, mail);
	struct shard *sh = to;
	struct net_result r;
	struct tcp_conn *conn;

	atomic_fetch_sub_explicit(&sh->frames_waiting, 1, memory_order_relaxed);
	if (net_input(sh->net, f->interface, &f->frame, sh->now, &r) != NET_SEGMENT) {
		free(f);
		return;
	}
	conn = tcp_lookup(sh->tcp, &r.segment);
	if (conn && move_to_origin(sh, f, conn))
		return;
	if (shard_segment(sh, &r.segment) == TCP_NOT_FOUND) {
		offer_on(sh, f, &r.segment);
		return;
	}
	free(f);
}

void handover_frame(struct shard *sh, uint32_t interface, const struct frame *frame,
		    const struct net_segment *seg)
{
	struct frame_mail *f;
	uint32_t at = 0;

	if (sh->config.count == 1 || plain_syn(seg)) {
		tcp_reject(sh->tcp, seg, sh->now);
		return;
	}
	f = malloc(sizeof(*f) + frame->len);
	if (!f) { /* no RST: it may well be another shard's connection */
		count(&sh->counters, COUNT_shard_handover_full);
		return;
	}
	*f = (struct frame_mail){.mail.deliver = deliver_frame, .interface = interface, .hops = 1,
				 .origin = sh->config.index, .frame = *frame};
	for (uint32_t i = 0; i < frame->span_count; at += frame->span[i++].len)
		memcpy(f->data + at, frame->span[i].base, frame->span[i].len);
	f->frame.span_count = 1;
	f->frame.span[0] = (struct span){f->data, frame->len};
	count(&sh->counters, COUNT_shard_handover);
	post_frame(sh, f);
}

/* --- neighbours, errors and submissions ------------------------------------------------------------------- */

static void to_others(struct shard *sh, void (*deliver)(void *, struct mail *), const struct net_result *news)
{
	for (uint32_t i = 0; i < sh->config.count; i++) {
		struct news_mail *n = i == sh->config.index ? NULL : malloc(sizeof(*n));

		if (!n)
			continue;
		*n = (struct news_mail){.mail.deliver = deliver, .news = *news};
		mailbox_post(&sh->config.peers[i]->mailbox, &n->mail);
	}
}

static void deliver_neighbour(void *to, struct mail *m)
{
	struct news_mail *n = container_of(m, struct news_mail, mail);
	struct shard *sh = to;

	net_learn(sh->net, &n->news.neighbour, sh->now);
	free(n);
}

void handover_neighbour(struct shard *sh, const struct net_neighbour *neighbour)
{
	to_others(sh, deliver_neighbour, &(struct net_result){.neighbour = *neighbour});
}

static void deliver_error(void *to, struct mail *m)
{
	struct news_mail *n = container_of(m, struct news_mail, mail);
	struct shard *sh = to;

	tcp_error(sh->tcp, &n->news.error, sh->now);
	free(n);
}

void handover_error(struct shard *sh, const struct net_error *error)
{
	to_others(sh, deliver_error, &(struct net_result){.error = *error});
}

static void deliver_sqe(void *to, struct mail *m)
{
	struct sqe_mail *q = container_of(m, struct sqe_mail, mail);
	struct shard *sh = to;

	sock_events(sh->socks); /* a frame delivered just before may have ended the connection */
	if (!atomic_load(&q->client->expelled))
		sock_submit(sh->socks, q->client, &q->sqe, q->for_all, sh->now);
	free(q);
}

static void post_sqe(struct shard *sh, uint32_t to, const struct sock_letter *l, bool for_all)
{
	struct sqe_mail *q = l->client ? malloc(sizeof(*q)) : NULL;

	if (!q && l->client)
		sock_count_refusal(sh->socks, COUNT_client_letters_lost);
	if (!q)
		return;
	*q = (struct sqe_mail){.mail.deliver = deliver_sqe, .client = l->client, .sqe = l->sqe, .for_all = for_all};
	mailbox_post(&sh->config.peers[to]->mailbox, &q->mail);
}

static void post_control(struct shard *sh, const struct sock_letter *l)
{
	struct shard_letter *c = malloc(sizeof(*c));

	if (!c)
		return;
	c->mail.deliver = sh->on_letter;
	c->letter = *l;
	mailbox_post(sh->config.control, &c->mail);
}

void handover_letters(struct shard *sh)
{
	struct sock_letter l;

	while (sock_next_letter(sh->socks, &l)) {
		switch (l.kind) {
		case SOCK_TO_SHARD:
			post_sqe(sh, l.shard, &l, false);
			break;
		case SOCK_TO_ALL:
			for (uint32_t i = 0; i < sh->config.count; i++)
				if (i != sh->config.index)
					post_sqe(sh, i, &l, true);
			break;
		default:
			post_control(sh, &l);
		}
	}
}
