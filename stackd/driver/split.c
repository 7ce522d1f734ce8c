/* SPDX-License-Identifier: BSD-2-Clause */
/* split.c - software segmentation of TCP over IPv4 and IPv6, and the layer-4 sum of a frame.
 *
 * Only what an impairment needs: frames that aren't plain TCP (extension headers, fragments) are
 * left whole.  Lengths come from outside and are checked; nothing else about the frame is. */
#include "driver/split.h"

#include <assert.h>
#include <string.h>

#include "base/addr.h"
#include "base/checksum.h"

#define ETH_LEN         14u
#define ETHERTYPE_IPV4  0x0800u
#define ETHERTYPE_IPV6  0x86ddu
#define PROTOCOL_TCP    6u
#define PROTOCOL_UDP    17u
#define PROTOCOL_ICMPV6 58u

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

/* The IP packet in a frame, as far as its lengths are true. */
struct packet {
	uint32_t ip_len, l4, l4_len; /* IP header bytes; offset in the frame; bytes */
	uint8_t protocol;
	bool ipv6;
};

static bool packet_parse4(struct packet *p, const uint8_t *ip, uint32_t room)
{
	uint32_t total;

	if (room < 20 || ip[0] >> 4 != 4)
		return false;
	total = get_be16(ip + 2);
	p->ip_len = (ip[0] & 15u) * 4u;
	if (p->ip_len < 20 || total < p->ip_len || total > room)
		return false;
	if (get_be16(ip + 6) & 0x3fffu) /* a fragment */
		return false;
	p->l4_len = total - p->ip_len;
	p->protocol = ip[9];
	p->ipv6 = false;
	return true;
}

static bool packet_parse6(struct packet *p, const uint8_t *ip, uint32_t room)
{
	if (room < 40 || ip[0] >> 4 != 6)
		return false;
	p->ip_len = 40;
	p->l4_len = get_be16(ip + 4);
	if (p->l4_len > room - 40)
		return false;
	p->protocol = ip[6];
	p->ipv6 = true;
	return true;
}

/* head: the first bytes of a frame of `len` bytes, at least 54 of them unless it is shorter. */
static bool packet_parse(struct packet *p, const uint8_t *head, uint32_t len)
{
	bool ok = false;

	if (len < ETH_LEN)
		return false;
	switch (get_be16(head + 12)) {
	case ETHERTYPE_IPV4:
		ok = packet_parse4(p, head + ETH_LEN, len - ETH_LEN);
		break;
	case ETHERTYPE_IPV6:
		ok = packet_parse6(p, head + ETH_LEN, len - ETH_LEN);
		break;
	}
	p->l4 = ETH_LEN + (ok ? p->ip_len : 0);
	return ok;
}

static uint64_t pseudo_sum(const uint8_t *head, bool ipv6, uint8_t protocol, uint32_t l4_len)
{
	struct addr src, dst;

	if (ipv6) {
		memcpy(src.b, head + ETH_LEN + 8, 16);
		memcpy(dst.b, head + ETH_LEN + 24, 16);
	} else {
		src = addr_from4(head + ETH_LEN + 12);
		dst = addr_from4(head + ETH_LEN + 16);
	}
	return checksum_pseudo(&src, &dst, protocol, l4_len);
}

static uint16_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint32_t sum_offset(const struct packet *p)
{
	switch (p->protocol) {
	case PROTOCOL_TCP:
		return p->l4_len >= 20 ? p->l4 + 16 : 0;
	case PROTOCOL_UDP:
		return p->l4_len >= 8 ? p->l4 + 6 : 0;
	case PROTOCOL_ICMPV6:
		return p->l4_len >= 4 ? p->l4 + 2 : 0;
	}
	return 0;
}

uint32_t frame_sum_offset(const uint8_t *frame, uint32_t len)
{
	struct packet p;

	return packet_parse(&p, frame, len) ? sum_offset(&p) : 0;
}

void frame_sum_fill(uint8_t *frame, uint32_t len)
{
	struct packet p;
	uint32_t at = packet_parse(&p, frame, len) ? sum_offset(&p) : 0;
	uint64_t sum;

	if (at == 0)
		return;
	store16(frame + at, 0);
	sum = pseudo_sum(frame, p.ipv6, p.protocol, p.l4_len);
	store16(frame + at, checksum_finish(checksum_add(sum, frame + p.l4, p.l4_len)));
}

bool frame_sum_is_partial(const uint8_t *frame, uint32_t len)
{
	struct packet p;
	uint32_t at = packet_parse(&p, frame, len) ? sum_offset(&p) : 0;

	if (at == 0)
		return false;
	return load16(frame + at) == checksum_fold(pseudo_sum(frame, p.ipv6, p.protocol, p.l4_len));
}

void frame_copy(const struct frame *f, uint32_t off, void *dst, uint32_t len)
{
	uint8_t *to = dst;

	assert(off <= f->len && len <= f->len - off);
	for (unsigned i = 0; i < f->span_count && len > 0; i++) {
		const struct span *s = &f->span[i];
		uint32_t n;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		n = s->len - off < len ? s->len - off : len;
		memcpy(to, s->base + off, n);
		to += n;
		len -= n;
		off = 0;
	}
	assert(len == 0);
}

/* The sum of [off, off + len) of the frame. */
static uint64_t frame_sum(const struct frame *f, uint32_t off, uint32_t len)
{
	uint64_t sum = 0;
	uint32_t at = 0;

	for (unsigned i = 0; i < f->span_count && len > 0; i++) {
		const struct span *s = &f->span[i];
		uint32_t n;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		n = s->len - off < len ? s->len - off : len;
		if (at & 1)
			sum = checksum_add_odd(sum, checksum_add(0, s->base + off, n));
		else
			sum = checksum_add(sum, s->base + off, n);
		at += n;
		len -= n;
		off = 0;
	}
	return sum;
}

static enum split_sum classify(const struct frame *f, const struct packet *p, const uint8_t *head)
{
	uint64_t pseudo = pseudo_sum(head, p->ipv6, PROTOCOL_TCP, p->l4_len);

	if (f->csum == FRAME_CSUM_GOOD || f->csum == FRAME_CSUM_PARTIAL)
		return SPLIT_SUM_FULL;
	if (f->csum == FRAME_CSUM_UNKNOWN && load16(head + p->l4 + 16) == checksum_fold(pseudo))
		return SPLIT_SUM_PARTIAL;
	if (checksum_finish(pseudo + frame_sum(f, p->l4, p->l4_len)) == 0)
		return SPLIT_SUM_FULL;
	return SPLIT_SUM_WRONG;
}

bool split_begin(struct split *s, const struct frame *f, uint32_t mtu)
{
	const uint8_t *head = f->span[0].base;
	struct packet p;
	uint32_t tcp_len, fits;

	if (f->gso_size == 0 && f->len <= mtu + ETH_LEN)
		return false;
	if (!packet_parse(&p, head, f->len) || p.protocol != PROTOCOL_TCP || p.l4_len < 20)
		return false;
	tcp_len = (uint32_t)(head[p.l4 + 12] >> 4) * 4;
	if (tcp_len < 20 || tcp_len > p.l4_len || p.ip_len + tcp_len >= mtu)
		return false;
	fits = mtu - p.ip_len - tcp_len;
	s->frame = f;
	s->ipv6 = p.ipv6;
	s->ip_len = (uint16_t)p.ip_len;
	s->head_len = (uint16_t)(p.l4 + tcp_len);
	s->payload = p.l4_len - tcp_len;
	s->mss = f->gso_size && f->gso_size < fits ? f->gso_size : fits;
	if (s->payload <= s->mss)
		return false;
	memcpy(s->head, head, s->head_len);
	s->done = 0;
	s->index = 0;
	s->sum = classify(f, &p, s->head);
	s->csum = f->csum == FRAME_CSUM_PARTIAL ? FRAME_CSUM_GOOD : f->csum;
	return true;
}

static void write_ip(const struct split *s, uint8_t *ip, uint32_t l4_len)
{
	if (s->ipv6) {
		put_be16(ip + 4, (uint16_t)l4_len);
		return;
	}
	put_be16(ip + 2, (uint16_t)(s->ip_len + l4_len));
	put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + s->index));
	store16(ip + 10, 0);
	store16(ip + 10, checksum_finish(checksum_add(0, ip, s->ip_len)));
}

static void write_sum(const struct split *s, uint8_t *out, uint32_t l4_len)
{
	uint8_t *tcp = out + ETH_LEN + s->ip_len;
	uint64_t pseudo = pseudo_sum(out, s->ipv6, PROTOCOL_TCP, l4_len);
	uint16_t sum;

	store16(tcp + 16, 0);
	switch (s->sum) {
	case SPLIT_SUM_PARTIAL:
		store16(tcp + 16, checksum_fold(pseudo));
		break;
	case SPLIT_SUM_FULL:
	case SPLIT_SUM_WRONG:
		sum = checksum_finish(checksum_add(pseudo, tcp, l4_len));
		store16(tcp + 16, s->sum == SPLIT_SUM_FULL ? sum : (uint16_t)(sum ^ 0x5555));
		break;
	}
}

uint32_t split_next(struct split *s, uint8_t *out, uint32_t room)
{
	uint32_t left = s->payload - s->done;
	uint32_t n = left < s->mss ? left : s->mss;
	uint32_t tcp_at = ETH_LEN + s->ip_len;
	uint32_t l4_len = s->head_len - tcp_at + n;
	uint8_t *tcp = out + tcp_at;

	if (n == 0 || s->head_len + n > room)
		return 0;
	memcpy(out, s->head, s->head_len);
	frame_copy(s->frame, s->head_len + s->done, out + s->head_len, n);
	put_be32(tcp + 4, get_be32(tcp + 4) + s->done);
	if (n < left)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->done > 0)
		tcp[13] &= (uint8_t)~TCP_CWR; /* RFC 3168 6.1.2: once per window */
	write_ip(s, out + ETH_LEN, l4_len);
	write_sum(s, out, l4_len);
	s->done += n;
	s->index++;
	return s->head_len + n;
}
