/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.c - owns every length check of a TCP header, and the bytes of those that we send. */
#include "tcp/segment.h"

#include "base/bytes.h"

enum option_kind {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

#define WSCALE_MAX 14u /* RFC 7323 2.3 */

/* its appendix A: two NOPs, kind and length: nearly every segment begins so */
#define TIMESTAMPS_ALONE 0x0101080au

static void read_timestamps(const uint8_t *p, struct segment_options *o)
{
	o->has_ts = true;
	o->tsval = get_be32(p + 2);
	o->tsecr = get_be32(p + 6);
}

static void read_sack(const uint8_t *p, uint8_t len, struct segment_options *o)
{
	if (len < 10 || (len - 2) % 8 != 0)
		return;
	o->sack_count = 0;
	for (uint8_t at = 2; at < len && o->sack_count < SEGMENT_SACK_MAX; at = (uint8_t)(at + 8)) {
		o->sack[o->sack_count].begin = get_be32(p + at);
		o->sack[o->sack_count].end = get_be32(p + at + 4);
		o->sack_count++;
	}
}

/* One option with a length byte that is known to lie inside the header.  A known kind with a
 * wrong length is ignored, an unknown one too (MUST-6). */
static void read_option(const uint8_t *p, uint8_t len, bool syn, struct segment_options *o)
{
	switch (p[0]) {
	case OPTION_MSS:
		if (len == 4 && syn)
			o->mss = get_be16(p + 2);
		break;
	case OPTION_WSCALE:
		if (len == 3 && syn)
			o->wscale = p[2] > WSCALE_MAX ? WSCALE_MAX : p[2];
		break;
	case OPTION_SACK_PERMITTED:
		if (len == 2 && syn)
			o->sack_permitted = true;
		break;
	case OPTION_SACK:
		read_sack(p, len, o);
		break;
	case OPTION_TIMESTAMPS:
		if (len == 10)
			read_timestamps(p, o);
		break;
	default:
		break;
	}
}

static bool read_options(const uint8_t *p, uint32_t len, bool syn, struct segment_options *o)
{
	*o = (struct segment_options){.wscale = SEGMENT_NO_WSCALE};
	if (len == 0)
		return true;
	if (len == 12 && get_be32(p) == TIMESTAMPS_ALONE) {
		read_timestamps(p + 2, o);
		return true;
	}
	for (uint32_t at = 0; at < len;) {
		if (p[at] == OPTION_END)
			break;
		if (p[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= len || p[at + 1] < 2 || at + p[at + 1] > len)
			return false; /* MUST-7 */
		read_option(p + at, p[at + 1], syn, o);
		at += p[at + 1];
	}
	return true;
}

static bool is_group(const struct addr *a)
{
	return addr_is_multicast(a) || addr_is_broadcast4(a) || addr_is_unspecified(a);
}

bool segment_parse(const struct net_segment *in, struct segment *out, enum count_id *why)
{
	const uint8_t *p = in->l4;
	uint32_t head;

	*why = COUNT_seg_short;
	if (in->l4_len < 20 || in->l4_linear < 20)
		return false;
	head = (uint32_t)(p[12] >> 4) * 4;
	if (head < 20 || head > in->l4_len || head > in->l4_linear)
		return false;

	out->net = in;
	out->remote = (struct endpoint){.addr = in->src, .port = get_be16(p)};
	out->local = (struct endpoint){.addr = in->dst, .port = get_be16(p + 2)};
	out->seq = get_be32(p + 4);
	out->ack = get_be32(p + 8);
	out->header_len = (uint8_t)head;
	out->flags = p[13];
	out->window = get_be16(p + 14);
	out->urgent = get_be16(p + 18);
	out->len = in->l4_len - head;
	out->off = 0;
	out->ack_off = 0;

	*why = COUNT_seg_port_zero;
	if (out->remote.port == 0 || out->local.port == 0)
		return false;
	*why = COUNT_seg_group_address; /* MUST-57, MUST-63 */
	if (is_group(&in->src) || is_group(&in->dst))
		return false;
	*why = COUNT_seg_option_length;
	return read_options(p + 20, head - 20, out->flags & SEG_SYN, &out->opt);
}

/* The part of [from, from + len) that lies in a piece which begins at `at`. */
static void copy_piece(const uint8_t *piece, uint32_t piece_len, uint32_t at, uint32_t from,
		       uint32_t len, const struct byte_ring *ring, uint64_t off)
{
	uint32_t begin = from > at ? from : at;
	uint32_t end = from + len < at + piece_len ? from + len : at + piece_len;

	if (begin < end)
		byte_ring_write(ring, off + (begin - from), piece + (begin - at), end - begin);
}

void segment_copy(const struct segment *s, uint32_t from, uint32_t len,
		  const struct byte_ring *ring, uint64_t off)
{
	const struct net_segment *in = s->net;
	uint32_t at = in->l4_linear - s->header_len;

	copy_piece(in->l4 + s->header_len, at, 0, from, len, ring, off);
	for (uint32_t i = 0; i < in->more_count && at < from + len; i++) {
		copy_piece(in->more[i].base, in->more[i].len, at, from, len, ring, off);
		at += in->more[i].len;
	}
}

static uint8_t *write_syn_options(const struct segment_options *o, uint8_t *p)
{
	if (o->mss) {
		*p++ = OPTION_MSS;
		*p++ = 4;
		put_be16(p, o->mss);
		p += 2;
	}
	if (o->sack_permitted) {
		if (!o->has_ts) {
			*p++ = OPTION_NOP;
			*p++ = OPTION_NOP;
		}
		*p++ = OPTION_SACK_PERMITTED;
		*p++ = 2;
	}
	return p;
}

static uint8_t *write_timestamps(const struct segment_options *o, uint8_t *p)
{
	if (!o->has_ts)
		return p;
	if (!o->sack_permitted) {
		*p++ = OPTION_NOP;
		*p++ = OPTION_NOP;
	}
	*p++ = OPTION_TIMESTAMPS;
	*p++ = 10;
	put_be32(p, o->tsval);
	put_be32(p + 4, o->tsecr);
	return p + 8;
}

static uint8_t *write_sack(const struct segment_options *o, uint8_t *p, const uint8_t *end)
{
	unsigned n = o->sack_count;

	while (n > 0 && p + 4 + 8 * n > end)
		n--;
	if (n == 0)
		return p;
	*p++ = OPTION_NOP;
	*p++ = OPTION_NOP;
	*p++ = OPTION_SACK;
	*p++ = (uint8_t)(2 + 8 * n);
	for (unsigned i = 0; i < n && i < SEGMENT_SACK_MAX; i++, p += 8) {
		put_be32(p, o->sack[i].begin);
		put_be32(p + 4, o->sack[i].end);
	}
	return p;
}

uint16_t segment_write(const struct segment_head *h, uint8_t out[static NET_TCP_HEADER_MAX])
{
	uint8_t *p = out + 20;
	uint16_t len;

	p = write_syn_options(&h->opt, p);
	p = write_timestamps(&h->opt, p);
	if (h->opt.wscale != SEGMENT_NO_WSCALE) {
		*p++ = OPTION_NOP;
		*p++ = OPTION_WSCALE;
		*p++ = 3;
		*p++ = h->opt.wscale;
	}
	p = write_sack(&h->opt, p, out + NET_TCP_HEADER_MAX);
	len = (uint16_t)(p - out);
	put_be16(out, h->src_port);
	put_be16(out + 2, h->dst_port);
	put_be32(out + 4, h->seq);
	put_be32(out + 8, h->ack);
	out[12] = (uint8_t)(len / 4 << 4);
	out[13] = h->flags;
	put_be16(out + 14, h->window);
	put_be16(out + 16, 0);
	put_be16(out + 18, h->urgent);
	return len;
}
