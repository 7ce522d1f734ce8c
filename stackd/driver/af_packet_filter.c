/* SPDX-License-Identifier: BSD-2-Clause */
/* Which frames a shard's packet socket takes: a classic BPF program made from our addresses.
 * IPv4 and IPv6 packets to us, IPv6 link-local multicast (neighbour discovery), ARP that asks for,
 * answers or claims one of our addresses, and gratuitous ARP of others.  net checks everything
 * again; this only keeps the rest from waking the shard. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "driver/af_packet.h"

enum {
	ETHERTYPE_AT = 12,
	IP4_DST_AT = ETH_HLEN + 16,
	IP6_DST_AT = ETH_HLEN + 24,
	ARP_SENDER_AT = ETH_HLEN + 14,
	ARP_TARGET_AT = ETH_HLEN + 24,
	TAKE_ALL = 0x7fffffff,
};

struct program {
	struct sock_filter *code;
	uint32_t len;
};

static void emit(struct program *p, uint16_t op, uint32_t k, uint8_t yes, uint8_t no)
{
	p->code[p->len++] = (struct sock_filter){.code = op, .k = k, .jt = yes, .jf = no};
}

static void load(struct program *p, uint16_t size, uint32_t at)
{
	emit(p, (uint16_t)(BPF_LD | BPF_ABS | size), at, 0, 0);
}

static void verdict(struct program *p, uint32_t bytes)
{
	emit(p, BPF_RET | BPF_K, bytes, 0, 0);
}

static void take_if_equal(struct program *p, uint32_t value)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	verdict(p, TAKE_ALL);
}

/* Enters a section that later ends in section_end when the EtherType (in A) is `type`.  A section
 * can be longer than a conditional jump reaches. */
static uint32_t section_begin(struct program *p, uint32_t type)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, type, 1, 0);
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	return p->len;
}

static void section_end(struct program *p, uint32_t begin)
{
	verdict(p, 0);
	p->code[begin - 1].k = p->len - begin;
}

static void take_ip4(struct program *p, const struct addr *addresses, uint32_t count)
{
	uint32_t begin = section_begin(p, ETH_P_IP);
	load(p, BPF_W, IP4_DST_AT);
	for (uint32_t i = 0; i < count; i++)
		if (addr_is4(&addresses[i]))
			take_if_equal(p, get_be32(addresses[i].b + 12));
	section_end(p, begin);
}

static void take_ip6(struct program *p, const struct addr *addresses, uint32_t count)
{
	uint32_t begin = section_begin(p, ETH_P_IPV6);
	load(p, BPF_H, IP6_DST_AT);
	take_if_equal(p, 0xff02);
	for (uint32_t i = 0; i < count; i++) {
		if (addr_is4(&addresses[i]))
			continue;
		for (uint32_t word = 0; word < 4; word++) {
			uint8_t rest = (uint8_t)(2 * (3 - word) + 1); /* to behind the verdict */
			load(p, BPF_W, IP6_DST_AT + 4 * word);
			emit(p, BPF_JMP | BPF_JEQ | BPF_K, get_be32(addresses[i].b + 4 * word), 0,
			     rest);
		}
		verdict(p, TAKE_ALL);
	}
	section_end(p, begin);
}

static void take_arp(struct program *p, const struct addr *addresses, uint32_t count)
{
	uint32_t begin = section_begin(p, ETH_P_ARP);
	load(p, BPF_W, ARP_SENDER_AT);
	for (uint32_t i = 0; i < count; i++)
		if (addr_is4(&addresses[i]))
			take_if_equal(p, get_be32(addresses[i].b + 12));
	emit(p, BPF_MISC | BPF_TAX, 0, 0, 0);
	load(p, BPF_W, ARP_TARGET_AT);
	for (uint32_t i = 0; i < count; i++)
		if (addr_is4(&addresses[i]))
			take_if_equal(p, get_be32(addresses[i].b + 12));
	emit(p, BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1);
	verdict(p, TAKE_ALL);
	section_end(p, begin);
}

uint32_t afp_filter_build(const struct addr *addresses, uint32_t count, struct sock_filter *out)
{
	struct program p = {.code = out};

	/* what others send to others, and what this host sends */
	load(&p, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	emit(&p, BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 0, 1);
	verdict(&p, 0);
	/* a VLAN's frames show up here with their tag taken off */
	load(&p, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	verdict(&p, 0);
	load(&p, BPF_H, ETHERTYPE_AT);
	take_ip4(&p, addresses, count);
	take_ip6(&p, addresses, count);
	take_arp(&p, addresses, count);
	verdict(&p, 0);
	return p.len;
}
