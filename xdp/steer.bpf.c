/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* steer.bpf.c - decides which frames are stackd's and which the kernel's.
 *
 * Ours: IPv4 and IPv6 packets to our addresses, ARP that asks for or speaks to or claims one of
 * them, neighbour solicitations for them, and neighbour advertisements to all nodes (RFC 4861
 * 7.2.6: a changed address must reach us too).  Tagged frames pass.
 *
 * "frags": in generic mode a veth peer's 64 KB frames arrive with fragments, and a program that
 * doesn't declare that it bears them would have each of them dropped or copied. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "stackd_xdp.h"

#define ND_SOLICIT 135
#define ND_ADVERT  136

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STACKD_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STACKD_XDP_ADDRESSES_MAX);
	__type(key, struct stackd_xdp_address);
	__type(value, __u8);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STACKD_XDP_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* RFC 826 with Ethernet and IPv4 */
struct arp_ipv4 {
	__be16 hardware, protocol;
	__u8 hardware_len, protocol_len;
	__be16 operation;
	__u8 sender_mac[6], sender_ip[4];
	__u8 target_mac[6], target_ip[4];
} __attribute__((packed));

/* RFC 4861 4.3, 4.4: solicitation and advertisement up to the target */
struct nd {
	__u8 type, code;
	__be16 sum;
	__be32 flags;
	__u8 target[16];
} __attribute__((packed));

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		++*n;
}

static __always_inline int ours4(const void *ip)
{
	struct stackd_xdp_address key = {.b = {[10] = 0xff, [11] = 0xff}};

	__builtin_memcpy(key.b + 12, ip, 4);
	return bpf_map_lookup_elem(&addresses, &key) != 0;
}

static __always_inline int ours6(const void *ip)
{
	struct stackd_xdp_address key;

	__builtin_memcpy(key.b, ip, 16);
	return bpf_map_lookup_elem(&addresses, &key) != 0;
}

static __always_inline int arp_is_ours(const void *data, const void *end)
{
	const struct arp_ipv4 *arp = data;

	if ((const void *)(arp + 1) > end || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->protocol_len != 4 || arp->hardware_len != 6)
		return 0;
	return ours4(arp->target_ip) || ours4(arp->sender_ip);
}

static __always_inline int ipv4_is_ours(const void *data, const void *end)
{
	const struct iphdr *ip = data;

	return (const void *)(ip + 1) <= end && ours4(&ip->daddr);
}

/* To a group: only what neighbour discovery sends about us. */
static __always_inline int ipv6_group_is_ours(const struct ipv6hdr *ip, const void *end)
{
	const struct nd *nd = (const void *)(ip + 1);

	if (ip->nexthdr != IPPROTO_ICMPV6 || (const void *)(nd + 1) > end)
		return 0;
	if (nd->type == ND_SOLICIT)
		return ours6(nd->target);
	return nd->type == ND_ADVERT;
}

static __always_inline int ipv6_is_ours(const void *data, const void *end)
{
	const struct ipv6hdr *ip = data;

	if ((const void *)(ip + 1) > end)
		return 0;
	if (ip->daddr.s6_addr[0] == 0xff)
		return ipv6_group_is_ours(ip, end);
	return ours6(&ip->daddr);
}

SEC("xdp.frags")
int steer(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data;
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = data;
	int ours = 0, verdict;

	if ((const void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		ours = ipv4_is_ours(eth + 1, end);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		ours = ipv6_is_ours(eth + 1, end);
	else if (eth->h_proto == bpf_htons(ETH_P_ARP))
		ours = arp_is_ours(eth + 1, end);
	if (!ours) {
		count(STACKD_XDP_PASSED);
		return XDP_PASS;
	}
	verdict = (int)bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	count(verdict == XDP_REDIRECT ? STACKD_XDP_TAKEN : STACKD_XDP_NO_SOCKET);
	return verdict;
}

char steer_license[] SEC("license") = "Dual BSD/GPL";
