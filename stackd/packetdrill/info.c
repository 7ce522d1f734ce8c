/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c - owns the translation of what TCP knows of a connection into Linux's TCP_INFO. */
#include "packetdrill/adapter.h"
#include "packetdrill/linux_tcp.h"

/* Linux numbers the states from ESTABLISHED on. */
static uint8_t linux_state(const struct so *s, enum tcp_state state)
{
	static const uint8_t number[] = {
	    [TCP_CLOSED] = 7,       [TCP_LISTEN] = 10,     [TCP_SYN_SENT] = 2,
	    [TCP_SYN_RECEIVED] = 3, [TCP_ESTABLISHED] = 1, [TCP_FIN_WAIT_1] = 4,
	    [TCP_FIN_WAIT_2] = 5,   [TCP_CLOSE_WAIT] = 8,  [TCP_CLOSING] = 11,
	    [TCP_LAST_ACK] = 9,     [TCP_TIME_WAIT] = 6,
	};

	return s->state == STATE_LISTENING ? number[TCP_LISTEN] : number[state];
}

static uint32_t us(ns_t t)
{
	return (uint32_t)(t / NS_PER_US);
}

static uint32_t segments(uint64_t bytes, uint32_t mss)
{
	return mss ? (uint32_t)((bytes + mss - 1) / mss) : 0;
}

static uint8_t options_of(const struct tcp_info *i)
{
	uint8_t o = 0;

	if (i->features & SP_TIMESTAMPS)
		o |= 1;
	if (i->features & SP_SACK)
		o |= 2;
	if (i->snd_wscale || i->rcv_wscale)
		o |= 4;
	if (i->features & SP_ECN)
		o |= 8;
	return o;
}

void so_info(const struct so *s, struct linux_tcp_info *k)
{
	struct tcp_info i = {0};

	if (s->conn)
		tcp_info(s->conn, &i, s->adapter->now);
	*k = (struct linux_tcp_info){
	    .tcpi_state = linux_state(s, s->conn ? i.state : TCP_CLOSED),
	    .tcpi_ca_state = i.recovering ? 3 : 0,
	    .tcpi_backoff = (uint8_t)i.backoffs,
	    .tcpi_retransmits = (uint8_t)i.backoffs,
	    .tcpi_options = options_of(&i),
	    .tcpi_snd_wscale = (unsigned)i.snd_wscale & 0xfu,
	    .tcpi_rcv_wscale = (unsigned)i.rcv_wscale & 0xfu,
	    .tcpi_rto = us(i.rto),
	    .tcpi_ato = us(i.ack_timeout),
	    .tcpi_snd_mss = i.mss,
	    .tcpi_rcv_mss = i.rcv_mss,
	    .tcpi_unacked = segments(i.snd_nxt - i.snd_una, i.mss),
	    .tcpi_sacked = segments(i.sacked, i.mss),
	    .tcpi_lost = segments(i.lost, i.mss),
	    .tcpi_pmtu = i.pmtu,
	    .tcpi_rtt = us(i.srtt),
	    .tcpi_rttvar = us(i.rttvar),
	    .tcpi_snd_ssthresh = i.ssthresh > INT32_MAX ? INT32_MAX : segments(i.ssthresh, i.mss),
	    .tcpi_snd_cwnd = segments(i.cwnd, i.mss),
	    .tcpi_advmss = i.advmss,
	    .tcpi_total_retrans = (uint32_t)i.retransmits,
	    .tcpi_pacing_rate = i.pacing ? i.pacing : UINT64_MAX,
	    .tcpi_max_pacing_rate = UINT64_MAX,
	    .tcpi_bytes_acked = i.bytes_acked,
	    .tcpi_bytes_received = i.bytes_received,
	    .tcpi_segs_out = (uint32_t)i.segs_out,
	    .tcpi_segs_in = (uint32_t)i.segs_in,
	    .tcpi_notsent_bytes = (uint32_t)(i.snd_end - i.snd_nxt),
	    .tcpi_min_rtt = us(i.rtt_min),
	    .tcpi_data_segs_in = (uint32_t)i.data_segs_in,
	    .tcpi_data_segs_out = (uint32_t)i.data_segs_out,
	    .tcpi_delivery_rate = i.delivery_rate,
	};
}
