/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_icmp: any ICMP and ICMPv6 messages at a host with data in flight.  No message may end the
 * connection (RFC 5927), and after all of them its data still arrives when acknowledged.
 *
 * Input: one byte (1: IPv6; 2: numbers in quoted headers as they are), then messages: two bytes of
 * length, and the ICMP message without its checksum. */
#include <string.h>

#include "../sim/edit.h"
#include "stage.h"

#define PROTO_ICMP  1u
#define PROTO_ICMP6 58u
#define TO_SEND     3000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The quoted TCP header's number counts from the first byte that is not acknowledged. */
static void quote_ours(const struct stage *s, uint8_t *icmp, uint32_t len)
{
	uint32_t ip = s->v6 ? 40 : 20;

	if (len >= 8 + ip + 8)
		put_be32(icmp + 8 + ip + 4, get_be32(icmp + 8 + ip + 4) + s->iss + 1);
}

static void send_icmp(struct stage *s, const uint8_t *message, uint32_t len, bool relative)
{
	uint8_t frame[STAGE_FRAME_MAX];
	uint32_t at = stage_header(s, s->v6 ? PROTO_ICMP6 : PROTO_ICMP, len, frame);

	memcpy(frame + at, message, len);
	if (relative)
		quote_ours(s, frame + at, len);
	stage_inject(s, frame, at + len, true);
}

static void require_alive(struct stage *s)
{
	if (!s->stream || !s->stream->conn)
		stage_fail("ICMP has ended an established connection");
	lab_stream_info(s->stream, s->now);
	if (s->stream->last.mss < 32)
		stage_fail("ICMP has made the MSS tiny");
}

/* The peer acknowledges whatever has come, until all has. */
static void finish(struct stage *s)
{
	struct stage_segment ack = {.flags = SEEN_ACK,
				    .window = 60000,
				    .options_len = 12,
				    .options = {1, 1, 8, 10, 0, 0, 0, 2}};

	for (unsigned i = 0; i < 100 && s->stream->acked < TO_SEND; i++) {
		stage_after(s, 2 * NS_PER_S);
		ack.seq = stage_rcv_nxt(s);
		ack.ack = s->sent_end;
		put_be32(ack.options + 8, s->ts_last);
		stage_send(s, &ack);
		require_alive(s);
	}
	if (s->stream->acked != TO_SEND)
		stage_fail("the connection makes no progress any more");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_stream what = {
	    .read_max = UINT64_MAX, .to_send = TO_SEND, .seed = 1, .expect_seed = STAGE_SEED_PEER};
	const uint8_t *at = data + 1, *end = data + size;
	struct stage s;

	if (size < 1)
		return 0;
	stage_open(&s, "tcp.receive-buffer=4KB\ntcp.recovery=racktlp\ntcp.cc=cubic\n", data[0] & 1,
		   4096);
	stage_handshake(&s, true, &what);
	require_alive(&s);
	for (unsigned i = 0; i < 20 && end - at > 2; i++) {
		uint32_t len = get_be16(at) % 1400;

		at += 2;
		if (len > (uint32_t)(end - at))
			len = (uint32_t)(end - at);
		send_icmp(&s, at, len, !(data[0] & 2));
		require_alive(&s);
		at += len;
	}
	finish(&s);
	stage_close(&s);
	return 0;
}
