/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.c - a received frame's bytes, which may lie in several spans.
 *
 * Owns: cutting layer 4 to the length its IP header says (what follows is Ethernet's padding),
 * summing and copying over spans of odd lengths.  The frames' memory is the driver's. */
#include "net/state.h"

#include <string.h>

#include "base/checksum.h"

/* The spans after the first, without the frame's trailer. */
static void cut_more(struct net *net, struct packet *p, uint32_t rest)
{
	const struct frame *f = p->frame;
	struct span *cut = net->trim[net->trim_next++ % TRIMS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 1; i < f->span_count && rest; i++) {
		cut[count] = f->span[i];
		if (cut[count].len > rest)
			cut[count].len = rest;
		rest -= cut[count++].len;
	}
	p->more = cut;
	p->more_count = count;
}

void frame_cut(struct net *net, struct packet *p, uint32_t header)
{
	const struct frame *f = p->frame;
	uint32_t at = ETH_BYTES + header;
	uint32_t linear = f->span[0].len - at;

	p->l4 = p->ip + header;
	p->l4_len = p->ip_len - header;
	p->more = &f->span[1];
	p->more_count = 0;
	if (linear >= p->l4_len) {
		p->l4_linear = p->l4_len;
		return;
	}
	p->l4_linear = linear;
	if (f->len == ETH_BYTES + p->ip_len)
		p->more_count = f->span_count - 1u;
	else
		cut_more(net, p, p->l4_len - linear);
}

uint64_t frame_sum(const struct packet *p, uint64_t sum)
{
	uint32_t at = p->l4_linear;

	sum = checksum_add(sum, p->l4, p->l4_linear);
	for (uint32_t i = 0; i < p->more_count; i++) {
		const struct span *s = &p->more[i];

		if (at & 1)
			sum = checksum_add_odd(sum, checksum_add(0, s->base, s->len));
		else
			sum = checksum_add(sum, s->base, s->len);
		at += s->len;
	}
	return sum;
}

uint32_t frame_gather(const struct packet *p, uint8_t *out, uint32_t max)
{
	uint32_t len = p->l4_linear < max ? p->l4_linear : max;

	memcpy(out, p->l4, len);
	for (uint32_t i = 0; i < p->more_count && len < max; i++) {
		uint32_t piece = p->more[i].len < max - len ? p->more[i].len : max - len;

		memcpy(out + len, p->more[i].base, piece);
		len += piece;
	}
	return len;
}
