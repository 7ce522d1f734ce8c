/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_run.c - our TCP in the place of the captured end.  Addresses are the lab's own; numbers of the
 * peer stay, those of ours that it repeats (ACK, SACK, echoed timestamps) are moved to ours. */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "lab/host.h"
#include "lab/replay.h"
#include "lab/tap.h"

#define START_NS   (1000 * NS_PER_S)
#define RING_BYTES (1u << 22)
#define ETH	   14u
#define IP	   20u
#define LISTENER   80u
#define PEER_PORT  40000u

static const uint8_t peer_ip[4] = {10, 0, 0, 2};
static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

struct run {
	struct replay *r;
	struct lab_host *h;
	struct driver *peer;
	struct lab_stream *stream; /* NULL: not accepted yet */
	ns_t now, introduce_at;
	bool has_iss;
	uint32_t iss, tsval; /* ours */
	int64_t sent_end;
	uint8_t frame[FRAME_GSO_MAX];
};

/* What our host sends. */
static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len, struct tap_verdict *v)
{
	struct run *run = arg;
	struct replay_event *e;
	struct seen s;
	int64_t last;

	(void)host;
	(void)v;
	if (!out || !seen_parse(frame, len, &s))
		return;
	if (s.flags & SEEN_SYN && !run->has_iss) {
		run->has_iss = true;
		run->iss = s.seq;
		run->tsval = s.tsval;
	}
	e = replay_add(run->r);
	e->at = now - START_NS;
	e->who = REPLAY_OURS;
	e->seen = s;
	e->seen.data = NULL;
	e->off = run->sent_end + (int32_t)(s.seq - (run->iss + 1) - (uint32_t)run->sent_end);
	e->ack = s.flags & SEEN_ACK ? (int32_t)(s.ack - (run->r->iss[1] + 1)) : 0;
	last = e->off + s.len;
	e->again = s.len > 0 && last <= run->sent_end;
	if (last > run->sent_end && !(s.flags & SEEN_SYN))
		run->sent_end = last;
}

/* --- a segment of the peer --------------------------------------------------------------------------- */

static uint32_t ours(const struct run *run, uint32_t captured)
{
	return captured - run->r->iss[0] + run->iss;
}

static uint32_t write_options(const struct run *run, const struct seen *s, uint8_t *o)
{
	uint32_t n = 0;

	if (s->mss) {
		o[n] = 2, o[n + 1] = 4;
		put_be16(o + n + 2, s->mss);
		n += 4;
	}
	if (s->has_wscale) {
		o[n] = 3, o[n + 1] = 3, o[n + 2] = s->wscale, o[n + 3] = 1;
		n += 4;
	}
	if (s->sack_permitted) {
		o[n] = 4, o[n + 1] = 2, o[n + 2] = o[n + 3] = 1;
		n += 4;
	}
	if (s->has_ts) {
		o[n] = o[n + 1] = 1, o[n + 2] = 8, o[n + 3] = 10;
		put_be32(o + n + 4, s->tsval);
		put_be32(o + n + 8, s->tsecr ? s->tsecr - run->r->tsval + run->tsval : 0);
		n += 12;
	}
	if (s->sack_count) {
		o[n] = o[n + 1] = 1, o[n + 2] = 5, o[n + 3] = (uint8_t)(2 + 8 * s->sack_count);
		n += 4;
		for (uint32_t i = 0; i < s->sack_count; i++, n += 8) {
			put_be32(o + n, ours(run, s->sack[i].begin));
			put_be32(o + n + 4, ours(run, s->sack[i].end));
		}
	}
	return n;
}

static void write_ip(uint8_t *ip, uint32_t total, const struct addr *dst)
{
	uint16_t sum;

	memset(ip, 0, IP);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)total);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, peer_ip, 4);
	memcpy(ip + 16, dst->b + 12, 4);
	sum = checksum_finish(checksum_add(0, ip, IP));
	memcpy(ip + 10, &sum, 2);
}

/* The frame in run->frame; its length, 0: it is too long for one. */
static uint32_t build(struct run *run, const struct replay_event *e)
{
	const struct addr src = addr_from4(peer_ip);
	uint8_t *tcp = run->frame + ETH + IP;
	uint32_t head = 20 + write_options(run, &e->seen, tcp + 20), len = head + e->seen.len;
	uint16_t sum;

	if (ETH + IP + len > sizeof(run->frame))
		return 0;
	memcpy(run->frame, macs[0], 6);
	memcpy(run->frame + 6, macs[1], 6);
	put_be16(run->frame + 12, 0x0800);
	write_ip(run->frame + ETH, IP + len, &run->h->address);
	put_be16(tcp, run->r->we_open ? LISTENER : PEER_PORT);
	put_be16(tcp + 2, run->r->we_open ? PEER_PORT : LISTENER);
	put_be32(tcp + 4, e->seen.seq);
	put_be32(tcp + 8, e->seen.flags & SEEN_ACK ? ours(run, e->seen.ack) : 0);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = (uint8_t)(e->seen.flags & (SEEN_URG - 1));
	put_be16(tcp + 14, e->seen.window);
	memset(tcp + 16, 0, 4);
	memset(tcp + head, 0, e->seen.len);
	sum = checksum_finish(checksum_add(checksum_pseudo(&src, &run->h->address, 6, len), tcp, len));
	memcpy(tcp + 16, &sum, 2);
	return ETH + IP + len;
}

static void feed(struct run *run, struct replay_event *e)
{
	uint32_t len = build(run, e), head = len < 128 ? len : 128;
	struct tx_frame f = {.head = run->frame, .head_len = (uint16_t)head, .data_count = len > head,
			     .data = {{run->frame + head, len - head}}};

	e->beyond = e->seen.flags & SEEN_ACK && e->ack > run->sent_end + 1; /* 1: a FIN */
	if (len == 0 || run->peer->ops->tx(run->peer, run->now, &f))
		lab_fail("a segment of the capture does not fit the link");
	run->peer->ops->flush(run->peer, run->now);
}

/* --- our end ----------------------------------------------------------------------------------------- */

/* What may be sent from this event on. */
static void follow(struct run *run, const struct replay_event *e)
{
	struct lab_stream *s = run->stream;

	if (!s)
		return;
	if (e->release > 0 && (uint64_t)e->release > s->to_send)
		s->to_send = (uint64_t)e->release;
	s->close_when_done |= e->release_fin;
	if (e->who == REPLAY_CAPTURED && e->seen.flags & SEEN_RST && s->conn)
		tcp_abort(s->conn);
	else
		lab_stream_write(s);
}

static void introduce(struct run *run)
{
	struct net_neighbour n = {.addr = addr_from4(peer_ip), .confirmed = true};

	if (run->now < run->introduce_at)
		return;
	run->introduce_at = run->now + NS_PER_S;
	memcpy(n.mac, macs[1], sizeof(n.mac));
	net_learn(run->h->net, &n, run->now);
}

static void settle(struct run *run)
{
	struct frame frames[FRAME_BURST_MAX];

	introduce(run);
	while (lab_host_turn(run->h, run->now))
		;
	while (run->peer->ops->rx(run->peer, run->now, frames, FRAME_BURST_MAX))
		run->peer->ops->rx_release(run->peer);
	if (!run->stream && run->h->stream_count)
		run->stream = run->h->stream[0];
}

static void pass_until(struct run *run, ns_t at)
{
	for (;;) {
		ns_t next = lab_host_deadline(run->h, run->now);

		if (next > run->introduce_at)
			next = run->introduce_at;
		if (next >= at)
			break;
		run->now = next > run->now ? next : run->now + 1;
		settle(run);
	}
	run->now = at;
}

static void open_run(struct run *run, const struct tcp_rules *rules)
{
	const struct lab_stream what = {.read_max = UINT64_MAX};
	uint32_t mss = run->r->mss ? run->r->mss : 1460;
	struct pair_config pair = {.mtu = mss + 40, .gso_max = FRAME_GSO_MAX, .depth = 1024};
	struct lab_host_config host = {.address = "10.0.0.1/24", .rules = rules, .seed = 1, .ring_bytes = RING_BYTES};
	const struct addr peer = addr_from4(peer_ip);
	struct driver *end[2];

	memcpy(pair.mac, macs, sizeof(macs));
	if (pair_open(&pair, end))
		lab_fail("the link could not be made");
	run->peer = end[1];
	host.driver = tap_wrap(end[0], 0, see, run);
	run->h = lab_host_create(&host, run->now);
	run->h->accept_template = what;
	introduce(run);
	if (run->r->we_open)
		run->stream = lab_connect(run->h, &peer, LISTENER, PEER_PORT, &what, run->now);
	else
		lab_listen(run->h, LISTENER, 1);
}

void replay_run(struct replay *r, const struct tcp_rules *rules)
{
	struct run *run = lab_alloc(sizeof(*run));
	uint32_t captured = r->count;

	run->r = r;
	run->now = START_NS;
	open_run(run, rules);
	settle(run);
	for (uint32_t i = 0; i < captured; i++) {
		pass_until(run, START_NS + r->event[i].at);
		if (r->event[i].who == REPLAY_PEER)
			feed(run, &r->event[i]);
		settle(run);
		follow(run, &r->event[i]);
		settle(run);
	}
	r->error = run->stream ? run->stream->error : 0;
	lab_host_destroy(run->h);
	run->peer->ops->close(run->peer);
	free(run);
	replay_sort(r);
}
