/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h - every wire format that net/ reads or writes, as bytes: no member needs alignment.
 *
 * Formats and numbers only; what they mean is in the file named after each protocol. */
#ifndef STACKD_NET_WIRE_H
#define STACKD_NET_WIRE_H

#include <assert.h>
#include <stdint.h>

#define MAC_BYTES 6u

struct eth_wire {
	uint8_t dst[MAC_BYTES], src[MAC_BYTES], type[2];
};
#define ETH_TYPE_IP4 0x0800u
#define ETH_TYPE_ARP 0x0806u
#define ETH_TYPE_IP6 0x86ddu

/* RFC 826, Ethernet and IPv4 */
struct arp_wire {
	uint8_t hardware[2], protocol[2], hardware_len, protocol_len, operation[2];
	uint8_t sender_mac[MAC_BYTES], sender_ip[4];
	uint8_t target_mac[MAC_BYTES], target_ip[4];
};
#define ARP_HARDWARE_ETHERNET 1u
#define ARP_REQUEST           1u
#define ARP_REPLY             2u

/* RFC 791 3.1 */
struct ip4_wire {
	uint8_t version_length, tos, total_length[2], id[2], fragment[2];
	uint8_t ttl, protocol, checksum[2], src[4], dst[4];
};
#define IP4_DONT_FRAGMENT  0x4000u
#define IP4_MORE_OR_OFFSET 0x3fffu
#define IP4_OFFSET         0x1fffu

/* RFC 8200 3 */
struct ip6_wire {
	uint8_t version_class_flow[4], payload_length[2], next_header, hop_limit;
	uint8_t src[16], dst[16];
};
/* RFC 8200 4: what hop-by-hop, routing and destination options begin with */
struct ip6_extension_wire {
	uint8_t next_header, length_8; /* in units of 8 bytes, the first 8 not counted */
	uint8_t routing_type, segments_left;
	uint8_t rest[4];
};

#define IP_PROTOCOL_HOP_BY_HOP  0u
#define IP_PROTOCOL_ICMP        1u
#define IP_PROTOCOL_TCP         6u
#define IP_PROTOCOL_UDP         17u
#define IP_PROTOCOL_ROUTING     43u
#define IP_PROTOCOL_FRAGMENT    44u
#define IP_PROTOCOL_ICMP6       58u
#define IP_PROTOCOL_NONE        59u
#define IP_PROTOCOL_DESTINATION 60u

/* RFC 792, RFC 4443: the same for both */
struct icmp_wire {
	uint8_t type, code, checksum[2], rest[4];
};
#define ICMP_ECHO_REPLY    0u
#define ICMP_UNREACHABLE   3u
#define ICMP_SOURCE_QUENCH 4u
#define ICMP_ECHO_REQUEST  8u
#define ICMP_TIME_EXCEEDED 11u
#define ICMP_PARAMETER     12u

#define ICMP_UNREACHABLE_NET         0u
#define ICMP_UNREACHABLE_PROTOCOL    2u
#define ICMP_UNREACHABLE_PORT        3u
#define ICMP_UNREACHABLE_FRAGMENT    4u
#define ICMP_UNREACHABLE_NET_UNKNOWN 6u
#define ICMP_UNREACHABLE_NET_TOS     11u

#define ICMP6_UNREACHABLE             1u
#define ICMP6_TOO_BIG                 2u
#define ICMP6_TIME_EXCEEDED           3u
#define ICMP6_PARAMETER               4u
#define ICMP6_ECHO_REQUEST            128u
#define ICMP6_ECHO_REPLY              129u
#define ICMP6_ROUTER_ADVERTISEMENT    134u
#define ICMP6_NEIGHBOUR_SOLICITATION  135u
#define ICMP6_NEIGHBOUR_ADVERTISEMENT 136u

#define ICMP6_UNREACHABLE_NO_ROUTE  0u
#define ICMP6_UNREACHABLE_PORT      4u
#define ICMP6_PARAMETER_NEXT_HEADER 1u

/* RFC 4861 4.3, 4.4: solicitation and advertisement */
struct nd_wire {
	uint8_t type, code, checksum[2], flags, reserved[3];
	uint8_t target[16];
};
#define ND_FLAG_SOLICITED 0x40u
#define ND_FLAG_OVERRIDE  0x20u
#define ND_HOP_LIMIT      255u
/* RFC 4861 4.6.1 */
struct nd_mac_option_wire {
	uint8_t type, length_8, mac[MAC_BYTES];
};
#define ND_OPTION_SOURCE_MAC 1u
#define ND_OPTION_TARGET_MAC 2u

/* What an ICMP error quotes of a TCP segment at the least. */
struct tcp_quote_wire {
	uint8_t src_port[2], dst_port[2], seq[4];
};
#define TCP_HEADER_BYTES    20u
#define TCP_CHECKSUM_OFFSET 16u

#define ETH_BYTES  ((uint32_t)sizeof(struct eth_wire))
#define IP4_BYTES  ((uint32_t)sizeof(struct ip4_wire))
#define IP6_BYTES  ((uint32_t)sizeof(struct ip6_wire))
#define ICMP_BYTES ((uint32_t)sizeof(struct icmp_wire))

static_assert(sizeof(struct eth_wire) == 14, "Ethernet header");
static_assert(sizeof(struct arp_wire) == 28, "ARP packet");
static_assert(sizeof(struct ip4_wire) == 20, "IPv4 header");
static_assert(sizeof(struct ip6_wire) == 40, "IPv6 header");
static_assert(sizeof(struct ip6_extension_wire) == 8, "IPv6 extension header");
static_assert(sizeof(struct icmp_wire) == 8, "ICMP header");
static_assert(sizeof(struct nd_wire) == 24, "neighbour discovery message");
static_assert(sizeof(struct nd_mac_option_wire) == 8, "link-layer address option");
static_assert(sizeof(struct tcp_quote_wire) == 8, "quoted TCP header");

#endif
