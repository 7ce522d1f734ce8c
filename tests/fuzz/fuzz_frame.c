/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_frame: any frames into net and tcp, where a listener and an established connection are.
 *
 * Input: one byte (1: IPv6; 2: the stack opened the connection; the rest picks settings), then
 * frames: a byte of flags (1: leave the checksums; 2: leave the numbers; the rest: time that passes
 * first), two bytes of length, the bytes.  With right checksums and with numbers that count from
 * the connection's own, mutations reach what lies behind those checks. */
#include <string.h>

#include "../sim/edit.h"
#include "stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const settings[] = {
    "tcp.receive-buffer=4KB\ntcp.recovery=racktlp\ntcp.cc=cubic\n",
    "tcp.receive-buffer=4KB\ntcp.recovery=sack\ntcp.cc=newreno\ntcp.timestamps=no\n",
    "tcp.receive-buffer=4KB\ntcp.recovery=gbn\ntcp.cc=dctcp\ntcp.syncookies=always\n",
};

/* Numbers in the frame are offsets from what the connection expects next. */
static void make_relative(const struct stage *s, uint8_t *frame, uint32_t len)
{
	struct edit e;
	uint8_t *ts;

	if (!edit_begin(&e, frame, len))
		return;
	put_be32(e.tcp + 4, get_be32(e.tcp + 4) + stage_rcv_nxt(s));
	put_be32(e.tcp + 8, get_be32(e.tcp + 8) + s->sent_end);
	ts = edit_option(&e, EDIT_TIMESTAMPS);
	if (ts && ts[1] == 10)
		put_be32(ts + 6, get_be32(ts + 6) + s->ts_last);
}

static ns_t wait_of(uint8_t flags)
{
	static const ns_t waits[] = {0, 0, 0, 1, 50, 300, 2000, 70000};

	return waits[flags >> 2 & 7] * NS_PER_MS;
}

static void check(const struct stage *s)
{
	struct lab_stream *stream = s->stream;

	if (!stream || !stream->conn)
		return;
	lab_stream_info(stream, s->now);
	if (stream->last.snd_una > stream->last.snd_nxt ||
	    stream->last.rcv_nxt > stream->last.rcv_limit + 1)
		stage_fail("variables of the connection are out of order");
	if (stream->last.mss < 32)
		stage_fail("a tiny MSS");
}

static void frames(struct stage *s, const uint8_t *at, const uint8_t *end)
{
	uint8_t frame[STAGE_FRAME_MAX];

	while (end - at > 3) {
		uint8_t flags = at[0];
		uint32_t len = get_be16(at + 1);

		at += 3;
		if (len > (uint32_t)(end - at))
			len = (uint32_t)(end - at);
		if (len > sizeof(frame))
			len = sizeof(frame);
		stage_after(s, wait_of(flags));
		memcpy(frame, at, len);
		if (!(flags & 2))
			make_relative(s, frame, len);
		stage_inject(s, frame, len, !(flags & 1));
		check(s);
		at += len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_stream what = {
	    .read_max = UINT64_MAX, .to_send = 6000, .seed = 1, .expect_seed = STAGE_SEED_PEER};
	struct stage s;

	if (size < 1)
		return 0;
	stage_open(&s, settings[(data[0] >> 2) % array_count(settings)], data[0] & 1, 4096);
	stage_handshake(&s, data[0] & 2, &what);
	frames(&s, data + 1, data + size);
	stage_after(&s, 10 * NS_PER_S);
	check(&s);
	stage_close(&s);
	return 0;
}
