/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fake_net_init(struct net *n, const struct addr *own, uint32_t mtu, uint32_t gso_max)
{
	memset(n, 0, sizeof(*n));
	n->own = *own;
	n->mtu = mtu;
	n->gso_max = gso_max ? gso_max : mtu;
	n->room = UINT32_MAX;
}

struct fake_packet *fake_net_take(struct net *n)
{
	return n->begin == n->end ? NULL : n->queue[n->begin++ % FAKE_PACKETS_MAX];
}

void fake_net_done(struct net *n)
{
	struct fake_packet *p;

	while ((p = fake_net_take(n)))
		free(p);
}

struct net_segment fake_segment(const struct fake_packet *p)
{
	return (struct net_segment){.src = p->src,
				    .dst = p->dst,
				    .tos = p->tos,
				    .ttl = p->ttl,
				    .gso_size = p->gso_size,
				    .l4 = p->l4,
				    .l4_linear = p->len,
				    .l4_len = p->len};
}

int net_route_by(struct net *n, uint32_t device, const struct addr *dst, const struct addr *src,
		 struct net_route *out)
{
	if (device > 1) /* it has one interface */
		return -ENETUNREACH;
	if (addr_is_multicast(dst) || addr_is_broadcast4(dst) || addr_is_unspecified(dst))
		return -EINVAL;
	if (src && !addr_is_unspecified(src) && !addr_equal(src, &n->own))
		return -EADDRNOTAVAIL;
	*out = (struct net_route){
	    .src = n->own, .next_hop = *dst, .mtu = n->mtu, .gso_max = n->gso_max};
	return 0;
}

bool net_is_local(const struct net *n, const struct addr *a)
{
	return addr_equal(a, &n->own);
}

void net_set_pmtu(struct net *n, const struct addr *dst, uint32_t mtu, ns_t now)
{
	(void)dst;
	(void)now;
	if (mtu < n->mtu)
		n->mtu = n->gso_max = mtu;
}

int net_send(struct net *n, struct net_route *route, const struct net_send *s, ns_t now)
{
	struct fake_packet *p;
	uint32_t head = addr_is4(s->dst) ? 20 : 40, len = s->l4_len;

	(void)now;
	if (n->refuse)
		return n->refuse;
	if (n->room == 0)
		return -ENOBUFS;
	n->room--;
	assert(n->end - n->begin < FAKE_PACKETS_MAX);
	for (unsigned i = 0; i < s->data_count; i++)
		len += s->data[i].len;
	p = malloc(offsetof(struct fake_packet, l4) + len); /* exact: overreads are seen */
	p->src = *s->src;
	p->dst = *s->dst;
	p->tos = s->tos;
	p->ttl = s->ttl;
	p->gso_size = s->gso_size;
	memcpy(p->l4, s->l4, s->l4_len);
	p->len = s->l4_len;
	for (unsigned i = 0; i < s->data_count; i++) {
		memcpy(p->l4 + p->len, s->data[i].base, s->data[i].len);
		p->len += s->data[i].len;
	}
	assert(n->tolerant || head + p->len <= route->gso_max);
	assert(n->tolerant || (s->gso_size ? route->gso_max > route->mtu &&
						 head + s->l4_len + s->gso_size <= route->mtu
					   : head + p->len <= route->mtu));
	n->queue[n->end++ % FAKE_PACKETS_MAX] = p;
	return 0;
}
