/* SPDX-License-Identifier: BSD-2-Clause */
#include "edit.h"

#include <string.h>

#include "base/bytes.h"

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_ICMP6 = 58 };

/* An IP packet in a frame: where its payload lies. */
struct packet {
	uint8_t *ip, *l4;
	uint32_t head, l4_len;
	uint8_t proto;
	bool v6, fragment;
};

static bool find(struct packet *p, uint8_t *frame, uint32_t len)
{
	uint32_t total;

	if (len < EDIT_ETH_BYTES + 20)
		return false;
	p->ip = frame + EDIT_ETH_BYTES;
	p->v6 = get_be16(frame + 12) == 0x86dd;
	if (p->ip[0] >> 4 != (p->v6 ? 6 : 4) || (!p->v6 && get_be16(frame + 12) != 0x0800))
		return false;
	if (p->v6 && len < EDIT_ETH_BYTES + 40)
		return false;
	p->head = p->v6 ? 40 : (p->ip[0] & 15u) * 4;
	total = p->v6 ? 40u + get_be16(p->ip + 4) : get_be16(p->ip + 2);
	p->proto = p->v6 ? p->ip[6] : p->ip[9];
	p->fragment = !p->v6 && (get_be16(p->ip + 6) & 0x3fff) != 0;
	if (p->head < 20 || total < p->head || total > len - EDIT_ETH_BYTES)
		return false;
	p->l4 = p->ip + p->head;
	p->l4_len = total - p->head;
	return true;
}

bool edit_begin(struct edit *e, uint8_t *frame, uint32_t len)
{
	struct packet p;
	uint32_t head;

	if (!find(&p, frame, len) || p.proto != PROTO_TCP || p.fragment || p.l4_len < 20)
		return false;
	head = (p.l4[12] >> 4) * 4u;
	if (head < 20 || head > p.l4_len)
		return false;
	*e = (struct edit){
	    .frame = frame,
	    .frame_len = len,
	    .ip = p.ip,
	    .tcp = p.l4,
	    .tcp_len = p.l4_len,
	    .data = p.l4 + head,
	    .data_len = p.l4_len - head,
	    .v6 = p.v6,
	};
	return true;
}

/* The next option of this kind at or behind `at`; NULL: none. */
static uint8_t *next_option(const struct edit *e, uint8_t *at, uint8_t kind)
{
	while (at < e->data && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (at + 1 >= e->data || at[1] < 2 || at + at[1] > e->data)
			return NULL;
		if (*at == kind)
			return at;
		at += at[1];
	}
	return NULL;
}

uint8_t *edit_option(const struct edit *e, uint8_t kind)
{
	return next_option(e, e->tcp + 20, kind);
}

void edit_strip(const struct edit *e, uint8_t kind)
{
	uint8_t *at;

	while ((at = edit_option(e, kind)))
		memset(at, 1, at[1]);
}

uint32_t edit_with_data(const struct edit *e, const uint8_t *data, uint32_t len, uint8_t *out)
{
	uint32_t head = (uint32_t)(e->data - e->frame);
	uint8_t *ip = out + EDIT_ETH_BYTES;

	memcpy(out, e->frame, head);
	memcpy(out + head, data, len);
	if (e->v6)
		put_be16(ip + 4, (uint16_t)(head + len - EDIT_ETH_BYTES - 40));
	else
		put_be16(ip + 2, (uint16_t)(head + len - EDIT_ETH_BYTES));
	edit_sums(out, head + len);
	return head + len;
}

static uint32_t add(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get_be16(p);
	return len ? sum + ((uint32_t)*p << 8) : sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void edit_sums(uint8_t *frame, uint32_t len)
{
	struct packet p;
	uint32_t at, from = 0;

	if (!find(&p, frame, len))
		return;
	if (!p.v6) {
		put_be16(p.ip + 10, 0);
		put_be16(p.ip + 10, folded(add(p.ip, p.head, 0)));
	}
	if (p.fragment)
		return;
	at = p.proto == PROTO_TCP ? 16 : 2;
	if ((p.proto != PROTO_TCP && p.proto != (p.v6 ? PROTO_ICMP6 : PROTO_ICMP)) ||
	    p.l4_len < at + 2)
		return;
	if (p.proto != PROTO_ICMP)
		from = add(p.v6 ? p.ip + 8 : p.ip + 12, p.v6 ? 32 : 8, p.proto + p.l4_len);
	put_be16(p.l4 + at, 0);
	put_be16(p.l4 + at, folded(add(p.l4, p.l4_len, from)));
}
