/* SPDX-License-Identifier: BSD-2-Clause */
/* knobs.c - owns the [tcp] table and which profile a new connection gets.  A knob of the struct
 * that is not in the table is not honoured, and so can't be set. */
#include <stddef.h>

#include "tcp/conn.h"

#define AT(field) offsetof(struct tcp_knobs, field)

/* clang-format off */
const struct key tcp_keys[] = {
	{"mss", KEY_BYTES, AT(mss), "0", "0", "65495", NULL,
	 "MSS announced; 0: from the interface's MTU"},
	{"window_scaling", KEY_BOOL, AT(use_window_scale), "yes", NULL, NULL, NULL,
	 "offer window scaling (RFC 7323)"},
	{"window_scale", KEY_U64, AT(window_scale), "7", "0", "14", NULL,
	 "the shift offered; a larger receive buffer raises it"},
	{"timestamps", KEY_BOOL, AT(timestamps), "yes", NULL, NULL, NULL,
	 "offer timestamps (RFC 7323)"},
	{"sack", KEY_BOOL, AT(sack), "yes", NULL, NULL, NULL,
	 "offer selective acknowledgement when the recovery plugin wants it (RFC 2018)"},
	{"dsack", KEY_BOOL, AT(dsack), "yes", NULL, NULL, NULL,
	 "report and use duplicates (RFC 2883)"},
	{"ecn", KEY_BOOL, AT(ecn), "yes", NULL, NULL, NULL,
	 "offer explicit congestion notification when a plugin wants it (RFC 3168)"},
	{"initial_window", KEY_U64, AT(initial_window), "0", "0", "1000", NULL,
	 "segments of the first flight; 0: RFC 6928 (10 segments)"},
	{"send_buffer", KEY_BYTES, AT(send_buffer), "4MB", "1KB", "1GB", NULL,
	 "bytes that an application may queue on a socket, at the most"},
	{"send_buffer_start", KEY_BYTES, AT(send_buffer_start), "256KB", "4KB", "1GB", NULL,
	 "what it may queue at first; more when twice the congestion window is more"},
	{"receive_buffer", KEY_BYTES, AT(receive_buffer), "4MB", "1KB", "1GB", NULL,
	 "largest window announced"},
	{"receive_buffer_start", KEY_BYTES, AT(receive_buffer_start), "256KB", "1KB", "1GB", NULL,
	 "window at first; it doubles when a quarter of it was read within a round trip or so"},
	{"autotune", KEY_BOOL, AT(autotune), "yes", NULL, NULL, NULL,
	 "let both buffers grow; no: they have their full size at once. SO_SNDBUF or SO_RCVBUF ends "
	 "it for that buffer of a socket"},
	{"syn_backlog", KEY_U64, AT(syn_backlog), "1024", "1", "65535", NULL,
	 "handshakes in progress per listener, within its backlog"},
	{"syncookies", KEY_CHOICE, AT(syncookies), "full", NULL, NULL, "never|full|always",
	 "answer SYNs with a cookie: when the backlog is full of handshakes, or always (RFC 4987)"},
	{"syn_retries", KEY_U64, AT(syn_retries), "7", "0", "127", NULL,
	 "SYNs sent again before an open fails (R2 of RFC 9293 3.8.3: 3 minutes)"},
	{"synack_retries", KEY_U64, AT(synack_retries), "5", "0", "127", NULL,
	 "SYN-ACKs sent again"},
	{"retries", KEY_U64, AT(retries), "15", "1", "127", NULL,
	 "time-outs in a row, or unanswered probes, before a connection is given up (R2)"},
	{"time_wait", KEY_TIME, AT(time_wait_ns), "60s", "0s", "10m", NULL,
	 "length of TIME-WAIT (2 MSL)"},
	{"fin_wait2", KEY_TIME, AT(fin_wait2_ns), "60s", "1ms", "24h", NULL,
	 "how long a closed socket waits for the peer's FIN"},
	{"keepalive", KEY_BOOL, AT(keepalive), "no", NULL, NULL, NULL,
	 "keep-alive probes on every connection"},
	{"keepalive_time", KEY_TIME, AT(keepalive_time_ns), "2h", "1s", "24h", NULL,
	 "idle time before the first keep-alive probe"},
	{"keepalive_interval", KEY_TIME, AT(keepalive_interval_ns), "75s", "1s", "24h", NULL,
	 "time between keep-alive probes"},
	{"keepalive_probes", KEY_U64, AT(keepalive_probes), "9", "1", "127", NULL,
	 "unanswered keep-alive probes before a connection is given up"},
	{"user_timeout", KEY_TIME, AT(user_timeout_ns), "0s", NULL, "24h", NULL,
	 "how long sent data may stay unacknowledged (RFC 5482); 0: by retries"},
	{"challenge_ack_limit", KEY_U64, AT(challenge_ack_limit), "1000", "0", NULL, NULL,
	 "challenge ACKs per second and shard (RFC 5961); 0: no limit"},
	{"pmtud", KEY_CHOICE, AT(pmtud), "probe", NULL, NULL, "off|icmp|probe",
	 "path MTU: the interface's; what routers tell (RFC 1191, 8201); and find what swallows large "
	 "packets, by smaller ones, then search upwards (RFC 4821)"},
	{"pmtud_base", KEY_BYTES, AT(pmtud_base), "1024", "128", "9000", NULL,
	 "MSS after three time-outs in a row of a larger segment, half of it after five (IPv6: 1220)"},
	{"pmtud_interval", KEY_TIME, AT(pmtud_interval_ns), "10m", "1s", "24h", NULL,
	 "time until a larger path MTU is looked for again"},
	{"pacing", KEY_BOOL, AT(pacing), "yes", NULL, NULL, NULL,
	 "space segments out when congestion control asks for it"},
	{"nagle", KEY_BOOL, AT(nagle), "yes", NULL, NULL, NULL,
	 "hold small segments back while data is out; TCP_NODELAY turns it off for a socket"},
	{"nagle_minshall", KEY_BOOL, AT(nagle_minshall), "no", NULL, NULL, NULL,
	 "hold them back only while another small one is out, as Linux does"},
	{"idle_restart", KEY_BOOL, AT(idle_restart), "yes", NULL, NULL, NULL,
	 "tell congestion control when sending starts again after an idle RTO (RFC 5681 4.1)"},
	{"cwnd_validation", KEY_BOOL, AT(cwnd_validation), "yes", NULL, NULL, NULL,
	 "cwnd counts as limiting only when it stopped us (RFC 7661)"},
	{"ttl", KEY_U64, AT(ttl), "64", "1", "255", NULL, "TTL or hop limit"},
	{"tos", KEY_U64, AT(tos), "0", "0", "255", NULL, "DSCP byte; its two ECN bits are cleared"},
	{0},
};
/* clang-format on */

static bool port_in(uint16_t port, uint16_t min, uint16_t max)
{
	return (min == 0 && max == 0) || (port >= min && port <= max);
}

static bool matches(const struct tcp_rule *r, const struct endpoint *local,
		    const struct endpoint *remote, enum tcp_direction direction)
{
	return (r->direction == TCP_ANY || r->direction == direction) &&
	       (r->local.bits == 0 || prefix_contains(&r->local, &local->addr)) &&
	       (r->remote.bits == 0 || prefix_contains(&r->remote, &remote->addr)) &&
	       port_in(local->port, r->local_port_min, r->local_port_max) &&
	       port_in(remote->port, r->remote_port_min, r->remote_port_max);
}

const struct tcp_profile *tcp_match(const struct tcp_rules *rules, const struct endpoint *local,
				    const struct endpoint *remote, enum tcp_direction direction)
{
	for (uint32_t i = 0; i < rules->count; i++)
		if (matches(&rules->rule[i], local, remote, direction))
			return rules->rule[i].profile;
	return rules->fallback;
}
