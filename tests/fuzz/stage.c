/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/edit.h"
#include "all.h"
#include "lab/rules.h"

#define LINK_DEPTH   256u
#define START_NS     (1000 * NS_PER_S)
#define SETTINGS_MAX 16u
#define TURNS_MAX    1000000u
#define PROTO_TCP    6u

static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const char *const address[2] = {"10.0.0.1/24", "fd00::1/64"};
static const uint8_t own4[4] = {10, 0, 0, 1}, peer4[4] = {10, 0, 0, 2};
static const uint8_t own6[16] = {0xfd, [15] = 1}, peer6[16] = {0xfd, [15] = 2};

void stage_fail(const char *why)
{
	fflush(stdout); /* VERBOSE's segments, in a pipe too */
	fprintf(stderr, "violation: %s\n", why);
	abort();
}

const struct tcp_rules *stage_rules(const char *settings)
{
	static struct {
		const char *text;
		struct lab_rules rules;
	} made[SETTINGS_MAX];
	static struct plugins *plugins;
	char error[CONFIG_ERROR_MAX];
	unsigned i = 0;

	while (i < SETTINGS_MAX && made[i].text) {
		if (strcmp(made[i].text, settings) == 0)
			return made[i].rules.rules;
		i++;
	}
	if (!plugins)
		plugins = plugins_create(stackd_all_plugins);
	if (i == SETTINGS_MAX || lab_rules_make(&made[i].rules, plugins, settings, error))
		stage_fail(i == SETTINGS_MAX ? "too many settings" : error);
	made[i].text = settings;
	return made[i].rules.rules;
}

static struct addr peer_addr(const struct stage *s)
{
	struct addr a;

	if (!s->v6)
		return addr_from4(peer4);
	memcpy(a.b, peer6, sizeof(a.b));
	return a;
}

void stage_open(struct stage *s, const char *settings, bool v6, uint32_t ring_bytes)
{
	struct pair_config pair = {
	    .mtu = STAGE_MTU, .gso_max = STAGE_FRAME_MAX, .depth = LINK_DEPTH};
	struct driver *ends[2];
	struct net_neighbour n = {.confirmed = true};

	memset(s, 0, sizeof(*s));
	s->now = START_NS;
	s->v6 = v6;
	s->peer_iss = 0xfffffe00u; /* the numbers wrap soon */
	memcpy(pair.mac, mac, sizeof(mac));
	if (pair_open(&pair, ends))
		stage_fail("the link could not be made");
	s->end = ends[0];
	s->end->caps.gso_max = STAGE_MTU + EDIT_ETH_BYTES;
	s->peer = ends[1];
	s->host = lab_host_create(&(struct lab_host_config){.address = address[v6],
							    .driver = s->end,
							    .rules = stage_rules(settings),
							    .seed = 1,
							    .ring_bytes = ring_bytes},
				  s->now);
	s->host->accept_template =
	    (struct lab_stream){.read_max = UINT64_MAX, .expect_seed = STAGE_SEED_PEER, .seed = 1};
	n.addr = peer_addr(s);
	memcpy(n.mac, mac[1], sizeof(n.mac));
	net_learn(s->host->net, &n, s->now);
	if (lab_listen(s->host, STAGE_OWN_PORT, 4))
		stage_fail("listening failed");
}

void stage_close(struct stage *s)
{
	lab_host_destroy(s->host);
	s->peer->ops->close(s->peer);
}

static void note(struct stage *s, const struct seen *seen)
{
	uint32_t end =
	    seen->seq + seen->len + !!(seen->flags & SEEN_SYN) + !!(seen->flags & SEEN_FIN);

	if (seen->dst_port != STAGE_PEER_PORT || seen->flags & SEEN_RST)
		return;
	if (seen->flags & SEEN_SYN) {
		s->iss = seen->seq;
		s->sent_end = end;
		if (seen->flags & SEEN_ACK) /* a SYN of the fuzzer's own choice */
			s->peer_iss = seen->ack - 1;
	}
	if ((int32_t)(end - s->sent_end) > 0)
		s->sent_end = end;
	s->ts = seen->has_ts;
	if (seen->has_ts)
		s->ts_last = seen->tsval;
}

static void drain(struct stage *s)
{
	struct frame f[FRAME_BURST_MAX];
	struct seen seen;
	uint32_t n;

	while ((n = s->peer->ops->rx(s->peer, s->now, f, FRAME_BURST_MAX)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			if (s->see)
				s->see(s->see_arg, s, true, f[i].span[0].base, f[i].len);
			if (seen_parse(f[i].span[0].base, f[i].len, &seen))
				note(s, &seen);
		}
		s->peer->ops->rx_release(s->peer);
	}
}

static void turn(struct stage *s)
{
	do {
		lab_host_turn(s->host, s->now);
		drain(s);
		if (++s->turns > TURNS_MAX)
			stage_fail("it runs for ever");
	} while (lab_host_deadline(s->host, s->now) <= s->now && s->turns % 64 != 0);
	if (!s->stream && s->host->stream_count > 0)
		s->stream = s->host->stream[0];
}

void stage_after(struct stage *s, ns_t ns)
{
	ns_t until = s->now + ns;

	turn(s);
	for (;;) {
		ns_t next = lab_host_deadline(s->host, s->now);

		if (next >= until)
			break;
		s->now = next > s->now ? next : s->now + 1;
		turn(s);
	}
	s->now = until;
	turn(s);
}

void stage_inject(struct stage *s, const uint8_t *frame, uint32_t len, bool sums)
{
	uint8_t copy[STAGE_FRAME_MAX];
	struct tx_frame f = {.head = copy, .head_len = (uint16_t)len};

	if (len > STAGE_FRAME_MAX)
		return;
	memcpy(copy, frame, len);
	if (sums)
		edit_sums(copy, len);
	if (s->see)
		s->see(s->see_arg, s, false, copy, len);
	if (s->peer->ops->tx(s->peer, s->now, &f))
		stage_fail("the link is full");
	s->peer->ops->flush(s->peer, s->now);
	turn(s);
}

uint32_t stage_header(const struct stage *s, uint8_t proto, uint32_t l4_len, uint8_t *out)
{
	uint8_t *ip = out + EDIT_ETH_BYTES;

	memcpy(out, mac[0], 6);
	memcpy(out + 6, mac[1], 6);
	put_be16(out + 12, s->v6 ? 0x86dd : 0x0800);
	if (s->v6) {
		memset(ip, 0, 8);
		ip[0] = 0x60;
		put_be16(ip + 4, (uint16_t)l4_len);
		ip[6] = proto;
		ip[7] = 255;
		memcpy(ip + 8, peer6, 16);
		memcpy(ip + 24, own6, 16);
		return EDIT_ETH_BYTES + 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(20 + l4_len));
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, peer4, 4);
	memcpy(ip + 16, own4, 4);
	return EDIT_ETH_BYTES + 20;
}

void stage_send(struct stage *s, const struct stage_segment *g)
{
	uint8_t frame[STAGE_FRAME_MAX];
	uint32_t head = 20u + g->options_len;
	uint32_t at = stage_header(s, PROTO_TCP, head + g->len, frame);
	uint8_t *tcp = frame + at;

	if (at + head + g->len > STAGE_FRAME_MAX)
		return;
	memset(tcp, 0, 20);
	put_be16(tcp, STAGE_PEER_PORT);
	put_be16(tcp + 2, STAGE_OWN_PORT);
	put_be32(tcp + 4, g->seq);
	put_be32(tcp + 8, g->ack);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = g->flags;
	put_be16(tcp + 14, g->window);
	put_be16(tcp + 18, g->urgent);
	memcpy(tcp + 20, g->options, g->options_len);
	for (uint32_t i = 0; i < g->len; i++)
		tcp[head + i] = lab_byte(STAGE_SEED_PEER, g->off + i);
	stage_inject(s, frame, at + head + g->len, true);
}

void stage_handshake(struct stage *s, bool active, const struct lab_stream *what)
{
	static const uint8_t options[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					  0, 1, 0, 0,    0, 0, 1, 3,  3, 7};
	struct stage_segment syn = {.seq = s->peer_iss, .window = 65535, .flags = SEEN_SYN};
	struct addr peer = peer_addr(s);

	memcpy(syn.options, options, sizeof(options));
	syn.options_len = sizeof(options);
	if (active) {
		s->stream =
		    lab_connect(s->host, &peer, STAGE_PEER_PORT, STAGE_OWN_PORT, what, s->now);
		turn(s);
		syn.flags |= SEEN_ACK;
		syn.ack = s->iss + 1;
		put_be32(syn.options + 12, s->ts_last);
		stage_send(s, &syn);
		return;
	}
	s->host->accept_template = *what;
	stage_send(s, &syn);
	syn.seq++;
	syn.ack = s->iss + 1;
	syn.flags = SEEN_ACK;
	syn.options_len = 12;
	memset(syn.options, 1, 2);
	memcpy(syn.options + 2, options + 6, 10);
	put_be32(syn.options + 8, s->ts_last);
	stage_send(s, &syn);
}

uint32_t stage_rcv_nxt(const struct stage *s)
{
	uint64_t got = s->stream ? s->stream->arrived + s->stream->eof : 0;

	return s->peer_iss + 1 + (uint32_t)got;
}
