/* SPDX-License-Identifier: BSD-2-Clause */
/* make_seeds FOLDER: writes the fuzzers' first inputs, out of simulated transfers over bad links:
 * what the client's host takes in becomes frames, headers and steps of a conversation; what it
 * sends is quoted in ICMP errors.  `scripts/fuzz --seeds` calls it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/edit.h"
#include "lab/seen.h"
#include "lab/world.h"
#include "stage.h"

#define WORLDS      12u
#define INPUT_MAX   4000u
#define HEADERS_MAX 40u

struct input {
	uint8_t bytes[INPUT_MAX];
	uint32_t len;
};

struct maker {
	const char *folder;
	struct lab_world w;
	struct lab_stream *client;
	unsigned world;
	bool v6;
	struct input frames, talk;
	uint32_t iss, peer_iss, sent_end, came_end;
	ns_t last;
	unsigned icmp;
	uint32_t header_kinds[HEADERS_MAX];
	unsigned header_count;
};

static void save(const struct maker *m, const char *fuzzer, unsigned number, const uint8_t *bytes,
		 uint32_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/seed-%02u", m->folder, fuzzer, number);
	f = fopen(path, "wb");
	if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void put(struct input *in, uint32_t value, unsigned bytes)
{
	while (bytes-- > 0 && in->len < INPUT_MAX)
		in->bytes[in->len++] = (uint8_t)(value >> 8 * bytes);
}

/* --- one frame as each fuzzer wants it ---------------------------------------------------------
 */

static void as_stage_ports(const struct edit *e)
{
	uint16_t from = get_be16(e->tcp);

	put_be16(e->tcp, get_be16(e->tcp + 2));
	put_be16(e->tcp + 2, from);
}

static void add_frame(struct maker *m, const uint8_t *frame, uint32_t len)
{
	uint8_t copy[STAGE_FRAME_MAX];
	uint8_t *ts;
	struct edit e;

	if (len > sizeof(copy) || m->frames.len + len + 3 > INPUT_MAX)
		return;
	memcpy(copy, frame, len);
	if (edit_begin(&e, copy, len)) {
		as_stage_ports(&e);
		put_be32(e.tcp + 4, get_be32(e.tcp + 4) - m->came_end);
		put_be32(e.tcp + 8, get_be32(e.tcp + 8) - m->sent_end);
		ts = edit_option(&e, EDIT_TIMESTAMPS);
		if (ts)
			put_be32(ts + 6, 0);
	}
	put(&m->frames, 4, 1);
	put(&m->frames, len, 2);
	memcpy(m->frames.bytes + m->frames.len, copy, len);
	m->frames.len += len;
}

static void add_wait(struct maker *m, ns_t ns)
{
	if (ns >= NS_PER_S)
		put(&m->talk, 7 << 3, 1);
	else if (ns >= 50 * NS_PER_MS)
		put(&m->talk, 4 << 3, 1);
	else if (ns >= 5 * NS_PER_MS)
		put(&m->talk, 1 << 3, 1);
}

static void add_step(struct maker *m, const struct seen *s)
{
	uint8_t big = s->len > 255 ? 0x80 : 0;

	add_wait(m, m->w.now - m->last);
	m->last = m->w.now;
	put(&m->talk, 1, 1);
	put(&m->talk, s->flags | big, 1);
	put(&m->talk, s->seq - m->came_end, 2);
	put(&m->talk, s->ack - m->sent_end, 2);
	put(&m->talk, s->window, 2);
	put(&m->talk, big ? s->len / 5 : s->len, 1);
	put(&m->talk, (s->sack_count & 3) << 2, 1);
	for (uint32_t i = 0; i < (s->sack_count & 3); i++) {
		put(&m->talk, m->sent_end - s->sack[i].begin, 2);
		put(&m->talk, s->sack[i].end - s->sack[i].begin, 2);
	}
}

static void add_header(struct maker *m, const uint8_t *frame, uint32_t len, const struct seen *s)
{
	uint32_t kind = (uint32_t)s->flags << 8 | s->sack_count << 4 | (uint32_t)s->has_ts << 3 |
			(uint32_t)s->has_wscale << 2 | (uint32_t)s->sack_permitted << 1 |
			(s->len > 0);
	uint8_t in[200] = {0}, copy[STAGE_FRAME_MAX];
	struct edit e;

	for (unsigned i = 0; i < m->header_count; i++)
		if (m->header_kinds[i] == kind)
			return;
	if (m->header_count == HEADERS_MAX || len > sizeof(copy))
		return;
	memcpy(copy, frame, len);
	if (!edit_begin(&e, copy, len))
		return;
	m->header_kinds[m->header_count++] = kind;
	len = e.tcp_len < sizeof(in) - 1 ? e.tcp_len : sizeof(in) - 1;
	memcpy(in + 1, e.tcp, len);
	save(m, "options", m->header_count, in, len + 1);
}

/* Every kind of error that RFC 792, 1191 and 4443 know, each about another segment of ours. */
static void quote(struct maker *m, uint8_t *frame, uint32_t len)
{
	static const uint8_t kinds4[][2] = {{3, 0},  {3, 1}, {3, 2},  {3, 3}, {3, 4},
					    {3, 13}, {4, 0}, {11, 0}, {12, 0}};
	static const uint8_t kinds6[][2] = {{1, 0}, {1, 1}, {1, 3}, {1, 4}, {2, 0}, {3, 0}, {4, 1}};
	unsigned count = m->v6 ? array_count(kinds6) : array_count(kinds4);
	const uint8_t *kind = m->v6 ? kinds6[m->icmp % count] : kinds4[m->icmp % count];
	uint32_t mtu = 600 + 100 * (m->icmp % 8), quoted = len - EDIT_ETH_BYTES;
	struct input in = {.len = 0};
	struct edit e;

	if (m->icmp >= 40 || !edit_begin(&e, frame, len) || e.data_len == 0)
		return;
	as_stage_ports(&e);
	put_be32(e.tcp + 4, get_be32(e.tcp + 4) - m->iss - 1);
	if (quoted > 120)
		quoted = 120;
	put(&in, m->v6, 1);
	put(&in, 8 + quoted, 2);
	put(&in, kind[0], 1);
	put(&in, kind[1], 1);
	put(&in, 0, 2);
	put(&in, mtu, 4);
	memcpy(in.bytes + in.len, e.ip, quoted);
	save(m, "icmp", m->icmp++, in.bytes, in.len + quoted);
}

/* --- worlds --------------------------------------------------------------------------------------
 */

static void keep_up(uint32_t *end, const struct seen *s)
{
	uint32_t to = s->seq + s->len + !!(s->flags & SEEN_SYN) + !!(s->flags & SEEN_FIN);

	if (s->flags & SEEN_SYN || (int32_t)(to - *end) > 0)
		*end = to;
}

static void see(void *arg, unsigned host, ns_t now, bool out, uint8_t *frame, uint32_t len,
		struct tap_verdict *v)
{
	struct maker *m = arg;
	uint8_t copy[STAGE_FRAME_MAX];
	struct seen s;
	bool is_tcp = seen_parse(frame, len, &s);

	(void)v;
	(void)now;
	if (host != 0 || len > sizeof(copy))
		return;
	if (is_tcp)
		add_header(m, frame, len, &s);
	if (out) {
		if (!is_tcp)
			return;
		if (s.flags & SEEN_SYN)
			m->iss = s.seq;
		keep_up(&m->sent_end, &s);
		memcpy(copy, frame, len);
		if (m->icmp % 20 / 2 == m->world % 10)
			quote(m, copy, len);
		return;
	}
	add_frame(m, frame, len);
	if (is_tcp && !(s.flags & SEEN_SYN))
		add_step(m, &s);
	if (is_tcp)
		keep_up(&m->came_end, &s);
}

static bool both_ended(void *arg)
{
	struct maker *m = arg;
	struct lab_stream *server = lab_world_accepted(&m->w);

	return server && server->ended && m->client->ended;
}

static void make(struct maker *m)
{
	static const char *const settings[] = {"tcp.recovery=racktlp\n",
					       "tcp.recovery=sack\ntcp.timestamps=no\n",
					       "tcp.recovery=reno\n",
					       "tcp.recovery=gbn\n",
					       "tcp.recovery=racktlp\ntcp.cc=dctcp\n",
					       "tcp.recovery=sr\n"};
	struct fault_config fault = {.loss = m->world % 3 ? 0.1 : 0,
				     .reorder = m->world % 2 ? 0.2 : 0,
				     .duplicate = m->world % 4 ? 0 : 0.1,
				     .delay_ns = 20 * NS_PER_MS};
	struct lab_stream what = {.seed = 1,
				  .expect_seed = 2,
				  .to_send = 500 + 400 * m->world,
				  .read_max = UINT64_MAX,
				  .close_when_done = true};
	const struct tcp_rules *rules = stage_rules(settings[m->world % array_count(settings)]);
	struct lab_world_config config = {.seed = 1 + m->world,
					  .mtu = m->v6 ? 1280 : 400,
					  .v6 = m->v6,
					  .rules = {rules, rules},
					  .ring_bytes = {65536, 65536},
					  .fault = {&fault, &fault},
					  .see = see,
					  .see_arg = m};

	m->frames.len = m->talk.len = 0;
	put(&m->frames, m->v6 | 2u | m->world << 2, 1);
	put(&m->talk, m->v6 | 2u | (m->world & 1) << 2, 1);
	put(&m->talk, m->world, 1);
	put(&m->talk, 6, 1);
	put(&m->talk, (uint32_t)what.to_send, 2);
	lab_world_open(&m->w, &config);
	m->last = m->w.now;
	m->w.host[1]->accept_template = what;
	m->w.host[1]->accept_template.to_send = 3000;
	m->w.host[1]->accept_template.seed = 2;
	m->w.host[1]->accept_template.expect_seed = 1;
	m->client = lab_world_connect(&m->w, &what);
	lab_run(&m->w, m->w.now + 3600 * NS_PER_S, both_ended, m);
	lab_world_close(&m->w);
	save(m, "frame", m->world, m->frames.bytes, m->frames.len);
	save(m, "conversation", m->world, m->talk.bytes, m->talk.len);
}

int main(int argc, char **argv)
{
	static struct maker m;

	if (argc != 2) {
		fprintf(stderr, "usage: make_seeds FOLDER\n");
		return 2;
	}
	m.folder = argv[1];
	for (m.world = 0; m.world < WORLDS; m.world++) {
		m.v6 = m.world % 3 == 2;
		make(&m);
	}
	return 0;
}
