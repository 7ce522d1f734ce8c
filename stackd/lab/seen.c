/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/seen.h"

#include <string.h>

#include "base/bytes.h"

#define ETH_LEN 14u
#define PROTO_TCP 6u

struct at {
	const uint8_t *ip, *tcp;
	uint32_t ip_head, tcp_len;
	bool v6;
};

static bool find(const uint8_t *frame, uint32_t len, struct at *a)
{
	uint32_t total;

	if (len < ETH_LEN + 20)
		return false;
	a->ip = frame + ETH_LEN;
	a->v6 = get_be16(frame + 12) == 0x86dd;
	if (!a->v6 && get_be16(frame + 12) != 0x0800)
		return false;
	if (a->ip[0] >> 4 != (a->v6 ? 6 : 4))
		return false;
	if (a->v6) {
		if (len < ETH_LEN + 40 || a->ip[6] != PROTO_TCP)
			return false;
		a->ip_head = 40;
		total = 40u + get_be16(a->ip + 4);
	} else {
		a->ip_head = (a->ip[0] & 15u) * 4;
		total = get_be16(a->ip + 2);
		if (a->ip[9] != PROTO_TCP || (get_be16(a->ip + 6) & 0x3fff) != 0)
			return false;
	}
	if (total > len - ETH_LEN || total < a->ip_head + 20)
		return false;
	a->tcp = a->ip + a->ip_head;
	a->tcp_len = total - a->ip_head;
	return true;
}

static void option(struct seen *s, const uint8_t *o, uint32_t len)
{
	switch (o[0]) {
	case 2:
		if (len == 4)
			s->mss = get_be16(o + 2);
		break;
	case 3:
		if (len != 3)
			break;
		s->has_wscale = true;
		s->wscale = o[2];
		break;
	case 4:
		s->sack_permitted |= len == 2;
		break;
	case 5:
		for (uint32_t i = 2; i + 8 <= len && s->sack_count < 4; i += 8) {
			s->sack[s->sack_count].begin = get_be32(o + i);
			s->sack[s->sack_count++].end = get_be32(o + i + 4);
		}
		break;
	case 8:
		if (len != 10)
			break;
		s->has_ts = true;
		s->tsval = get_be32(o + 2);
		s->tsecr = get_be32(o + 6);
		break;
	default:
		break;
	}
}

static bool options(struct seen *s, const uint8_t *o, uint32_t len)
{
	while (len > 0 && o[0] != 0) {
		uint32_t n = 1;

		if (o[0] != 1) {
			if (len < 2 || o[1] < 2 || o[1] > len)
				return false;
			n = o[1];
			option(s, o, n);
		}
		o += n;
		len -= n;
	}
	return true;
}

bool seen_parse(const uint8_t *frame, uint32_t len, struct seen *s)
{
	struct at a;
	uint32_t head;

	memset(s, 0, sizeof(*s));
	if (!find(frame, len, &a))
		return false;
	head = (a.tcp[12] >> 4) * 4u;
	if (head < 20 || head > a.tcp_len)
		return false;
	s->src_port = get_be16(a.tcp);
	s->dst_port = get_be16(a.tcp + 2);
	s->seq = get_be32(a.tcp + 4);
	s->ack = get_be32(a.tcp + 8);
	s->flags = a.tcp[13] & 63;
	s->window = get_be16(a.tcp + 14);
	s->data = a.tcp + head;
	s->len = a.tcp_len - head;
	return options(s, a.tcp + 20, head - 20);
}

static uint32_t sum(const uint8_t *p, uint32_t len, uint32_t from)
{
	for (; len > 1; p += 2, len -= 2)
		from += get_be16(p);
	if (len)
		from += (uint32_t)*p << 8;
	while (from >> 16)
		from = (from & 0xffff) + (from >> 16);
	return from;
}

bool seen_sums_are_right(const uint8_t *frame, uint32_t len)
{
	struct at a;
	uint32_t pseudo;

	if (!find(frame, len, &a))
		return false;
	if (!a.v6 && sum(a.ip, a.ip_head, 0) != 0xffff)
		return false;
	pseudo = sum(a.v6 ? a.ip + 8 : a.ip + 12, a.v6 ? 32 : 8, PROTO_TCP + a.tcp_len);
	return sum(a.tcp, a.tcp_len, pseudo) == 0xffff;
}
