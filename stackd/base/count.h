/* SPDX-License-Identifier: BSD-2-Clause */
/* count.h - every counter of the data path, declared once: identifier, kind, sentence.  The enum,
 * `stackdctl show drops`, the metrics and the docs come from this table.  A refusal of anything
 * from outside is a DROP with its own name here.
 *
 * Kinds: DROP something was refused; FACT something happened; FAULT our own or a plugin's mistake
 * that was caught. */
#ifndef STACKD_BASE_COUNT_H
#define STACKD_BASE_COUNT_H

#include <stdint.h>

/* clang-format off */
#define COUNT_TABLE(X) \
	X(rx_frames,              FACT,  "frames received") \
	X(rx_bytes,               FACT,  "bytes received, headers included") \
	X(tx_frames,              FACT,  "frames handed to the driver") \
	X(tx_bytes,               FACT,  "bytes handed to the driver, headers included") \
	X(tx_full,                FACT,  "a frame waited because the driver had no room") \
	/* net: eth, arp, nd, ip, icmp */ \
	X(eth_short,              DROP,  "frame shorter than an Ethernet header") \
	X(eth_not_ours,           DROP,  "destination MAC is neither ours nor a group we listen to") \
	X(eth_unknown_type,       DROP,  "EtherType is not IPv4, IPv6 or ARP") \
	X(arp_malformed,          DROP,  "ARP packet with wrong sizes or types") \
	X(arp_rx,                 FACT,  "ARP packets received") \
	X(arp_tx,                 FACT,  "ARP packets sent") \
	X(arp_unresolved,         DROP,  "packet given up because its next hop did not answer") \
	X(neigh_full,             DROP,  "the neighbour table is full of entries in use") \
	X(ip_short,               DROP,  "IPv4 header or total length past the frame") \
	X(ip_version,             DROP,  "version is not what the EtherType says") \
	X(ip_header_length,       DROP,  "IPv4 header length below 20 or past the packet") \
	X(ip_checksum,            DROP,  "IPv4 header checksum wrong") \
	X(ip_fragment,            DROP,  "IPv4 fragment; stackd does not reassemble") \
	X(ip_not_ours,            DROP,  "IP destination is not an address of this interface") \
	X(ip_bad_source,          DROP,  "IP source is multicast, broadcast, unspecified or our own") \
	X(ip_protocol,            DROP,  "IP protocol that stackd does not serve") \
	X(ip_no_route,            DROP,  "no route to the destination") \
	X(ip6_short,              DROP,  "IPv6 header or payload length past the frame") \
	X(ip6_extension,          DROP,  "IPv6 extension header refused (chain too long, malformed, routing header)") \
	X(ip6_fragment,           DROP,  "IPv6 fragment; stackd does not reassemble") \
	X(icmp_short,             DROP,  "ICMP message too short for its type") \
	X(icmp_checksum,          DROP,  "ICMP checksum wrong") \
	X(icmp_echo,              FACT,  "echo requests answered") \
	X(icmp_limited,           FACT,  "ICMP messages not sent because of the rate limit") \
	X(icmp_unknown,           DROP,  "ICMP type that stackd does not serve") \
	X(icmp_error_rx,          FACT,  "ICMP errors about TCP segments passed up") \
	X(nd_malformed,           DROP,  "neighbour discovery message with wrong hop limit, length or options") \
	X(address_conflict,       FACT,  "ARP or ND packets of another station that claims an address of ours") \
	X(tx_own_dropped,         DROP,  "an ARP, ND or ICMP packet of ours found no room in the driver") \
	X(icmp_too_long,          DROP,  "echo request larger than an answer of one frame") \
	X(nd_ra_ignored,          FACT,  "router advertisements ignored: addresses are configured") \
	X(l4_checksum,            DROP,  "TCP or ICMPv6 checksum wrong") \
	X(l4_checksum_partial,    DROP,  "checksum only partly filled and rx_csum = strict does not allow it") \
	/* tcp: the segment */ \
	X(seg_short,              DROP,  "TCP header shorter than 20 bytes or past the packet") \
	X(seg_option_length,      DROP,  "TCP option with length 0, 1 or past the header") \
	X(seg_port_zero,          DROP,  "TCP port 0") \
	X(seg_group_address,      DROP,  "TCP segment to or from a multicast or broadcast address") \
	X(seg_no_connection,      FACT,  "segments for no connection, answered with RST") \
	X(seg_rst_no_connection,  DROP,  "RST for no connection") \
	X(seg_out_of_window,      DROP,  "segment outside the receive window, answered with an ACK") \
	X(seg_paws,               DROP,  "timestamp older than the last one (RFC 7323 PAWS)") \
	X(seg_no_timestamp,       DROP,  "no timestamp although timestamps were agreed (RFC 7323 3.2)") \
	X(seg_rst_out_of_window,  DROP,  "RST outside the window (RFC 5961)") \
	X(seg_rst_challenged,     FACT,  "RST in the window but not at rcv_nxt, answered with a challenge ACK") \
	X(seg_syn_challenged,     FACT,  "SYN on a synchronised connection, answered with a challenge ACK") \
	X(seg_bad_ack,            DROP,  "acknowledges what was never sent, or is too old (RFC 5961)") \
	X(seg_no_ack,             DROP,  "segment without ACK on a synchronised connection") \
	X(seg_no_flags,           DROP,  "segment with a combination of flags that has no meaning here") \
	X(seg_after_fin,          DROP,  "data after the peer's FIN") \
	X(seg_after_close,        DROP,  "data after the application closed, answered with RST") \
	X(seg_no_room,            DROP,  "data beyond the receive buffer") \
	X(seg_ooo_ranges,         DROP,  "out-of-order data dropped: too many separate ranges") \
	X(seg_ooo_declined,       FACT,  "out-of-order data dropped because recovery.keep declined it") \
	X(seg_duplicate,          FACT,  "segments that held nothing new") \
	X(sack_invalid,           DROP,  "SACK block outside what is out") \
	X(challenge_limited,      FACT,  "challenge ACKs not sent because of the limit") \
	/* tcp: connections */ \
	X(conn_active,            FACT,  "connections opened by us") \
	X(conn_passive,           FACT,  "connections accepted") \
	X(conn_reset_rx,          FACT,  "connections reset by the peer") \
	X(conn_reset_tx,          FACT,  "connections reset by us") \
	X(conn_refused,           FACT,  "active opens refused by the peer") \
	X(conn_timeout,           FACT,  "connections given up after too many retransmissions") \
	X(conn_limit,             DROP,  "no memory for a further connection") \
	X(conn_time_wait,         FACT,  "connections that entered TIME-WAIT") \
	X(conn_time_wait_limit,   DROP,  "no memory to remember a connection in TIME-WAIT") \
	X(conn_time_wait_reused,  FACT,  "TIME-WAIT connections replaced by a new SYN") \
	X(listen_backlog,         DROP,  "SYN refused: the listener's backlog is full") \
	X(tcp_draining,           DROP,  "connection refused: stackd drains (stackdctl drain)") \
	X(listen_no_buffers,      DROP,  "handshake not completed: no socket for the connection") \
	X(syn_cookie_sent,        FACT,  "SYNs answered with a cookie") \
	X(syn_cookie_ok,          FACT,  "connections made from a cookie") \
	X(syn_cookie_bad,         DROP,  "ACK whose cookie does not verify") \
	X(tx_segments,            FACT,  "segments sent") \
	X(tx_data_segments,       FACT,  "segments with data sent") \
	X(tx_retransmits,         FACT,  "segments sent again") \
	X(tx_rst,                 FACT,  "RSTs sent") \
	X(tx_probes,              FACT,  "zero window and keep-alive probes sent") \
	X(timeouts,               FACT,  "retransmission time-outs") \
	X(recoveries,             FACT,  "loss recoveries without time-out") \
	X(undos,                  FACT,  "recoveries and time-outs found to be mistaken") \
	X(chunk_limit,            DROP,  "sending waited: no memory for a further chunk") \
	X(pmtu_reduced,           FACT,  "path MTU made smaller by ICMP") \
	X(pmtu_black_hole,        FACT,  "MSS made smaller after time-outs of large segments") \
	X(pmtu_probes,            FACT,  "segments sent to try a larger path MTU") \
	X(icmp_stale,             DROP,  "ICMP error that quotes no sequence number in flight (RFC 5927)") \
	/* plugins */ \
	X(plugin_deadline_past,   FAULT, "a plugin gave a deadline in the past again and again") \
	X(plugin_cwnd_low,        FAULT, "a plugin gave a cwnd below one MSS") \
	X(plugin_mark_sacked,     FAULT, "a plugin marked a sacked chunk lost") \
	X(plugin_bad_chunk,       FAULT, "a plugin picked a chunk that is not this connection's") \
	X(plugin_bad_report,      FAULT, "a plugin reported a range that is not held") \
	X(plugin_bad_rto,         FAULT, "a plugin gave an RTO of 0 or above the limit") \
	X(plugin_ack_late,        FAULT, "a plugin delayed an ACK by 500 ms or more") \
	/* clients */ \
	X(client_attached,        FACT,  "client processes attached") \
	X(client_gone,            FACT,  "client processes gone") \
	X(client_bad_handle,      DROP,  "a client named a socket that is not its own") \
	X(client_bad_index,       DROP,  "a client moved a ring index outside its ring") \
	X(client_bad_message,     DROP,  "a client sent a malformed or unknown request") \
	X(client_refused,         DROP,  "a process was not allowed to attach, or there was no room for it") \
	X(client_expelled,        FACT,  "clients disconnected for breaking the protocol") \
	X(client_letters_lost,    FAULT, "no memory to pass on what a client asked") \
	X(client_wakeups,         FACT,  "wake-ups sent to sleeping clients") \
	X(shard_wakeups,          FACT,  "times that a sleeping shard was woken") \
	X(shard_handover,         FACT,  "frames handed to the shard that owns the connection") \
	X(shard_handover_full,    DROP,  "frames not handed over: too many waited for that shard, or no memory") \
	X(shard_adopted,          FACT,  "connections adopted from another shard")
/* clang-format on */

enum count_id {
#define X(id, kind, sentence) COUNT_##id,
	COUNT_TABLE(X)
#undef X
		COUNT_MAX
};

enum count_kind { COUNT_FACT, COUNT_DROP, COUNT_FAULT };

struct count_info {
	const char *name;
	enum count_kind kind;
	const char *sentence;
};

extern const struct count_info count_info[COUNT_MAX];

/* One per shard; written by its thread only, read by others without order. */
struct counters {
	uint64_t n[COUNT_MAX];
};

static inline void count(struct counters *c, enum count_id id)
{
	c->n[id]++;
}

static inline void count_add(struct counters *c, enum count_id id, uint64_t by)
{
	c->n[id] += by;
}

#endif
