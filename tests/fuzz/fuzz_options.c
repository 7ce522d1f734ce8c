/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_options: any bytes as a TCP header.  The stack's parser against another one, from a buffer
 * of exactly that size, in one piece and in two; what it read, it can write and read again. */
#include <stdlib.h>
#include <string.h>

#include "stage.h"
#include "tcp/segment.h"

#define L4_MAX 2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *why)
{
	if (!ok)
		stage_fail(why);
}

static void same_options(const struct segment *s, const struct seen *o)
{
	bool syn = s->flags & SEG_SYN;
	uint8_t shift = o->wscale > 14 ? 14 : o->wscale;

	require(s->opt.has_ts == o->has_ts, "timestamps");
	require(!o->has_ts || (s->opt.tsval == o->tsval && s->opt.tsecr == o->tsecr),
		"their values");
	require(s->opt.mss == (syn ? o->mss : 0), "mss");
	require(s->opt.sack_permitted == (syn && o->sack_permitted), "sack permitted");
	require(s->opt.wscale == (syn && o->has_wscale ? shift : SEGMENT_NO_WSCALE),
		"window scale");
}

/* The other parser reads a frame. */
static void compare(const struct segment *s, const uint8_t *l4, uint32_t len)
{
	uint8_t frame[34 + L4_MAX] = {[12] = 8,
				      [14] = 0x45,
				      [16] = (uint8_t)((len + 20) >> 8),
				      [17] = (uint8_t)(len + 20),
				      [23] = 6};
	struct seen o;

	memcpy(frame + 34, l4, len);
	require(seen_parse(frame, 34 + len, &o), "one parser refuses it");
	require(o.seq == s->seq && o.ack == s->ack && o.len == s->len, "numbers");
	require(o.window == s->window && o.flags == (s->flags & 63), "window and flags");
	same_options(s, &o);
}

static void write_again(const struct segment *s)
{
	struct segment_head h = {.src_port = s->remote.port,
				 .dst_port = s->local.port,
				 .seq = s->seq,
				 .ack = s->ack,
				 .window = s->window,
				 .urgent = s->urgent,
				 .flags = s->flags,
				 .opt = s->opt};
	uint8_t bytes[NET_TCP_HEADER_MAX];
	struct net_segment in = *s->net;
	struct segment back;
	enum count_id why;

	if (s->flags & SEG_SYN)
		h.opt.sack_count = 0; /* no room for everything at once, and never sent so */
	in.l4 = bytes;
	in.l4_len = in.l4_linear = segment_write(&h, bytes);
	in.more_count = 0;
	require(in.l4_len <= NET_TCP_HEADER_MAX, "a header too long");
	require(segment_parse(&in, &back, &why), "what was written cannot be read");
	require(back.opt.mss == h.opt.mss && back.opt.wscale == h.opt.wscale, "written options");
	require(back.opt.has_ts == h.opt.has_ts && back.opt.tsval == h.opt.tsval,
		"written timestamps");
	require(back.opt.sack_count <= h.opt.sack_count, "written SACK blocks");
	for (uint32_t i = 0; i < back.opt.sack_count; i++)
		require(back.opt.sack[i].begin == h.opt.sack[i].begin, "a written SACK block");
}

/* The payload from two pieces lands in a ring as it was. */
static void copy_out(const struct segment *s, const uint8_t *l4, uint32_t from)
{
	static uint8_t mem[4096];
	struct byte_ring ring = {mem, sizeof(mem)};

	if (from >= s->len)
		return;
	segment_copy(s, from, s->len - from, &ring, 4000 + from);
	for (uint32_t i = from; i < s->len; i++)
		require(mem[(4000 + i) % sizeof(mem)] == l4[s->header_len + i], "a copied byte");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t own[4] = {10, 0, 0, 1}, peer[4] = {10, 0, 0, 2};
	struct net_segment in = {.src = addr_from4(peer), .dst = addr_from4(own)};
	uint32_t len = (uint32_t)size - 1, cut;
	uint8_t *whole, *rest;
	struct segment s;
	struct span more;
	enum count_id why;

	if (size < 1 || size > L4_MAX)
		return 0;
	cut = data[0] < 128 ? len : len * (data[0] - 128u) / 128;
	whole = malloc(cut ? cut : 1); /* exact: one byte too far is seen */
	rest = malloc(len - cut ? len - cut : 1);
	memcpy(whole, data + 1, cut);
	memcpy(rest, data + 1 + cut, len - cut);
	more = (struct span){rest, len - cut};
	in.l4 = whole;
	in.l4_len = len;
	in.l4_linear = cut;
	in.more = &more;
	in.more_count = len > cut;
	if (segment_parse(&in, &s, &why)) {
		compare(&s, data + 1, len);
		write_again(&s);
		copy_out(&s, data + 1, s.len / 3);
	}
	free(whole);
	free(rest);
	return 0;
}
