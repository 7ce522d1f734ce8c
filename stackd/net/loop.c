/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.c - what we send to our own addresses: a ring of frames that come back through net_loop.
 *
 * Frames of up to LOOP_MTU are copied whole, so that local traffic needs few of them.  The memory
 * is taken at once and touched as it is used. */
#include "net/state.h"

#include <errno.h>
#include <string.h>

static uint8_t *loop_slot(const struct net *net, uint32_t at)
{
	return net->loop + (size_t)(at % LOOP_SLOTS) * LOOP_SLOT_BYTES;
}

int loop_send(struct net *net, const uint8_t *ip, const struct net_send *s)
{
	uint8_t *slot = loop_slot(net, net->loop_head);
	uint8_t *at = slot + ETH_BYTES;
	uint32_t head = (uint32_t)(s->l4 + s->l4_len - ip);

	if (net->loop_head - net->loop_tail >= LOOP_SLOTS) {
		count(net->counters, COUNT_tx_full);
		return -ENOBUFS;
	}
	memset(slot, 0, ETH_BYTES);
	put_be16(((struct eth_wire *)(void *)slot)->type,
		 addr_is4(s->dst) ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	memcpy(at, ip, head);
	at += head;
	for (uint32_t i = 0; i < s->data_count; i++) {
		assert((uint32_t)(at - slot) + s->data[i].len <= LOOP_SLOT_BYTES);
		memcpy(at, s->data[i].base, s->data[i].len);
		at += s->data[i].len;
	}
	net->loop_len[net->loop_head % LOOP_SLOTS] = (uint32_t)(at - slot);
	net->loop_gso_size[net->loop_head % LOOP_SLOTS] = s->gso_size;
	net->loop_head++;
	return 0;
}

uint32_t net_loop(struct net *net, struct frame *out, uint32_t max)
{
	uint32_t given = 0;

	net->loop_tail = net->loop_lent;
	while (given < max && net->loop_lent != net->loop_head) {
		struct frame *f = &out[given++];
		uint32_t len = net->loop_len[net->loop_lent % LOOP_SLOTS];

		f->len = len;
		f->span_count = 1;
		f->csum = FRAME_CSUM_GOOD;
		f->gso_size = net->loop_gso_size[net->loop_lent % LOOP_SLOTS];
		f->queue = 0;
		f->span[0] = (struct span){loop_slot(net, net->loop_lent), len};
		net->loop_lent++;
	}
	return given;
}
