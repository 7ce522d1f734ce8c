/* SPDX-License-Identifier: BSD-2-Clause */
/* control_capture.c - `capture`: the frames of the shards as pcapng, what the plugins made of each as
 * its comment.  A frame waits for the events that belong to it: those of an arriving one and of a sent
 * segment stand behind it on the tape, those of a timer before what they let leave. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_part.h"
#include "control_tap.h"

#define COMMENT_MAX 1024u
#define TIMERS_MAX  8u /* connections whose timer has run and whose frame hasn't left */

/* pcapng: block types and options (draft-ietf-opsawg-pcapng) */
enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, OPT_IF_NAME = 2, OPT_USERAPPL = 4, OPT_IF_TSRESOL = 9,
       OPT_EPB_FLAGS = 2, OPT_ISB_IFRECV = 4, OPT_ISB_IFDROP = 5 };
#define LINKTYPE_ETHERNET 1u
#define TSRESOL_NS	  9u

struct pending {
	bool used, out, known; /* known: the ends are */
	bool waited;	       /* for the shard, that may be about to write what belongs to it */
	ns_t at;
	uint32_t interface, len;
	struct endpoint local, remote;
	char comment[COMMENT_MAX];
	uint8_t bytes[FRAME_GSO_MAX];
};

struct timer_comment {
	struct endpoint local, remote;
	char text[TRACE_TEXT_MAX];
};

struct capture {
	struct control_stream stream;
	struct tap_user user;
	struct taps *taps;
	struct conn_filter filter;
	bool by_conn;
	int64_t interface; /* -1: all */
	uint32_t interface_count, shard_count;
	uint64_t to_wall_ns; /* from the monotonic clock */
	uint64_t packets[INTERFACES_MAX], lost;
	struct writer blocks;
	struct timer_comment timer[TIMERS_MAX];
	uint32_t timer_next;
	struct pending pending[]; /* of each shard */
};

/* --- blocks ------------------------------------------------------------------------------------------ */

struct block {
	uint8_t *bytes;
	size_t len, max;
};

static void put(struct block *b, const void *data, size_t len)
{
	if (b->len + len > b->max)
		return; /* the sizes are chosen so that it does not happen */
	memcpy(b->bytes + b->len, data, len);
	b->len += len;
}

static void put32(struct block *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void pad(struct block *b)
{
	while (b->len & 3)
		put(b, "", 1);
}

static void put_option(struct block *b, uint16_t code, const void *value, size_t len)
{
	uint16_t head[2] = {code, (uint16_t)len};

	put(b, head, sizeof(head));
	put(b, value, len);
	pad(b);
}

static struct block begin(uint8_t *bytes, size_t max, uint32_t type)
{
	struct block b = {bytes, 0, max};

	put32(&b, type);
	put32(&b, 0);
	return b;
}

static bool end(struct block *b, struct writer *to)
{
	uint32_t len;

	put_option(b, OPT_END, "", 0);
	len = (uint32_t)b->len + 4;
	put32(b, len);
	memcpy(b->bytes + 4, &len, sizeof(len));
	return writer_bytes(to, b->bytes, b->len);
}

static void put_head(const struct control_context *context, struct capture *c, struct writer *to)
{
	const uint64_t unknown = UINT64_MAX;
	const uint8_t resolution = TSRESOL_NS;
	uint8_t bytes[256];
	struct block b = begin(bytes, sizeof(bytes), BLOCK_SECTION);

	put32(&b, 0x1a2b3c4d);
	put32(&b, 1); /* version 1.0 */
	put(&b, &unknown, sizeof(unknown));
	put_option(&b, OPT_USERAPPL, "stackd", 6);
	end(&b, to);
	for (uint32_t i = 0; i < c->interface_count; i++) {
		struct config_interface interface;

		config_interface(context->config, i, &interface);
		b = begin(bytes, sizeof(bytes), BLOCK_INTERFACE);
		put32(&b, LINKTYPE_ETHERNET);
		put32(&b, 0); /* whole frames */
		put_option(&b, OPT_IF_NAME, interface.name, strlen(interface.name));
		put_option(&b, OPT_IF_TSRESOL, &resolution, 1);
		end(&b, to);
	}
}

static void put_packet(struct capture *c, const struct pending *p)
{
	static uint8_t bytes[FRAME_GSO_MAX + COMMENT_MAX + 128]; /* of the control thread */
	struct block b = begin(bytes, sizeof(bytes), BLOCK_PACKET);
	uint64_t wall = p->at + c->to_wall_ns;
	uint32_t direction = p->out ? 2 : 1;

	put32(&b, p->interface);
	put32(&b, (uint32_t)(wall >> 32));
	put32(&b, (uint32_t)wall);
	put32(&b, p->len);
	put32(&b, p->len);
	put(&b, p->bytes, p->len);
	pad(&b);
	if (*p->comment)
		put_option(&b, OPT_COMMENT, p->comment, strlen(p->comment));
	put_option(&b, OPT_EPB_FLAGS, &direction, sizeof(direction));
	if (end(&b, &c->blocks))
		c->packets[p->interface]++;
	else
		c->lost++;
}

static void put_statistics(struct capture *c, struct writer *to)
{
	struct timespec t;
	uint64_t now, lost = c->lost + taps_lost(c->taps, &c->user);

	clock_gettime(CLOCK_REALTIME, &t);
	now = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
	for (uint32_t i = 0; i < c->interface_count; i++) {
		uint64_t dropped = i == 0 ? lost : 0; /* whose they were is not known */
		uint8_t bytes[128];
		struct block b = begin(bytes, sizeof(bytes), BLOCK_STATISTICS);

		put32(&b, i);
		put32(&b, (uint32_t)(now >> 32));
		put32(&b, (uint32_t)now);
		put_option(&b, OPT_ISB_IFRECV, &c->packets[i], sizeof(c->packets[i]));
		put_option(&b, OPT_ISB_IFDROP, &dropped, sizeof(dropped));
		end(&b, to);
	}
}

/* --- whose a frame is -------------------------------------------------------------------------------- */

static struct addr addr_of(const uint8_t *p, bool v6)
{
	struct addr a;

	if (v6)
		memcpy(a.b, p, sizeof(a.b));
	else
		a = addr_from4(p);
	return a;
}

/* The ends of a TCP segment; false: it is none, or not readily told. */
static bool frame_ends(const uint8_t *f, uint32_t len, bool out, struct endpoint *local, struct endpoint *remote)
{
	bool v6 = len > 54 && f[12] == 0x86 && f[13] == 0xdd && f[20] == 6;
	bool v4 = len > 34 && f[12] == 0x08 && f[13] == 0 && f[23] == 6;
	uint32_t l4 = v6 ? 54 : 14 + 4 * (uint32_t)(v4 ? f[14] & 15 : 0);
	struct endpoint src, dst;

	if ((!v4 && !v6) || len < l4 + 20)
		return false;
	src.addr = addr_of(f + (v6 ? 22 : 26), v6);
	dst.addr = addr_of(f + (v6 ? 38 : 30), v6);
	src.port = (uint16_t)(f[l4] << 8 | f[l4 + 1]);
	dst.port = (uint16_t)(f[l4 + 2] << 8 | f[l4 + 3]);
	*local = out ? src : dst;
	*remote = out ? dst : src;
	return true;
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

/* --- frames and their comments ----------------------------------------------------------------------- */

static void add_comment(struct pending *p, const char *words)
{
	size_t len = strlen(p->comment);

	snprintf(p->comment + len, sizeof(p->comment) - len, "%s%s", len ? "\n" : "", words);
}

static void release(struct capture *c, struct pending *p)
{
	if (p->used)
		put_packet(c, p);
	p->used = false;
}

static bool is_wanted(const struct capture *c, const struct pending *p)
{
	if (p->interface >= c->interface_count || p->len > sizeof(p->bytes))
		return false;
	if (c->interface >= 0 && c->interface != (int64_t)p->interface)
		return false;
	return !c->by_conn || (p->known && conn_filter_ends(&c->filter, &p->local, &p->remote));
}

/* What a timer said of the connection that this frame is of. */
static void take_timers(struct capture *c, struct pending *p)
{
	for (uint32_t i = 0; p->known && i < TIMERS_MAX; i++) {
		struct timer_comment *t = &c->timer[i];

		if (*t->text && same(&t->local, &p->local) && same(&t->remote, &p->remote)) {
			add_comment(p, t->text);
			*t->text = 0;
		}
	}
}

static void take_frame(struct capture *c, uint32_t shard, const struct tape_record *r)
{
	const struct tape_frame *f = tape_body(r);
	const uint8_t *bytes = (const uint8_t *)(f + 1);
	struct pending *p = &c->pending[shard];

	release(c, p);
	p->out = r->kind == TAPE_FRAME_OUT;
	p->at = r->at;
	p->interface = f->interface;
	p->len = f->len;
	*p->comment = 0;
	p->known = frame_ends(bytes, f->len, p->out, &p->local, &p->remote);
	if (!is_wanted(c, p))
		return;
	memcpy(p->bytes, bytes, f->len);
	p->used = true;
	p->waited = false;
	if (p->out)
		take_timers(c, p);
}

static void take_event(struct capture *c, uint32_t shard, const struct tape_record *r)
{
	const struct tcp_trace *t = tape_body(r);
	struct pending *p = &c->pending[shard];
	bool out = t->kind == TCP_TRACE_SEND || t->kind == TCP_TRACE_EMPTY;
	char words[TRACE_TEXT_MAX];

	trace_words(t, r->at, words);
	if (t->kind == TCP_TRACE_TIMER || t->kind == TCP_TRACE_WAIT) {
		struct timer_comment *to = &c->timer[c->timer_next++ % TIMERS_MAX];

		to->local = t->local;
		to->remote = t->remote;
		memcpy(to->text, words, sizeof(words));
		return;
	}
	if (p->used && p->known && p->out == out && same(&p->local, &t->local) && same(&p->remote, &t->remote)) {
		char line[TRACE_TEXT_MAX + 96];

		snprintf(line, sizeof(line), "%s | cwnd %llu, pipe %llu, rto %.0f ms", words,
			 (unsigned long long)t->cwnd, (unsigned long long)t->pipe, (double)t->rto / 1e6);
		add_comment(p, line);
	}
}

static void take(struct tap_user *user, uint32_t shard, const struct tape_record *r)
{
	struct capture *c = container_of(user, struct capture, user);

	if (r->kind == TAPE_TCP)
		take_event(c, shard, r);
	else
		take_frame(c, shard, r);
}

/* --- the stream -------------------------------------------------------------------------------------- */

static bool fill(struct control_stream *s, struct writer *out, bool ending)
{
	struct capture *c = container_of(s, struct capture, stream);

	taps_drain(c->taps);
	for (uint32_t i = 0; i < c->shard_count; i++) {
		if (c->pending[i].waited || ending)
			release(c, &c->pending[i]);
		c->pending[i].waited = true;
	}
	if (writer_bytes(out, c->blocks.text ? c->blocks.text : "", c->blocks.len))
		c->blocks.len = 0;
	else if (ending)
		c->lost++;
	if (ending)
		put_statistics(c, out);
	return !ending;
}

static void close_capture(struct control_stream *s)
{
	struct capture *c = container_of(s, struct capture, stream);

	taps_leave(c->taps, &c->user);
	writer_free(&c->blocks);
	free(c);
}

static void add_name(char names[static 160], const char *name)
{
	size_t len = strlen(names);

	snprintf(names + len, 160 - len, "%s%s", len ? ", " : "", name);
}

/* "", IF, or CONN */
static int wanted(struct control_request *r, struct capture *c)
{
	struct endpoint local, remote;
	char names[160] = "";

	c->interface = -1;
	if (r->word_count == 0)
		return 0;
	if (conn_name_parse(r->word, r->word_count, &local, &remote) == 0) {
		if (!control_conn_exists(r->context, &local, &remote))
			return control_refuse(r, -ENOENT, "there is no such connection; show conns lists them");
		c->by_conn = true;
		c->filter = (struct conn_filter){.local = {.addr = local.addr, .bits = 128},
						 .remote = {.addr = remote.addr, .bits = 128},
						 .local_port = local.port,
						 .remote_port = remote.port};
		return 0;
	}
	for (uint32_t i = 0; i < c->interface_count; i++) {
		struct config_interface interface;

		config_interface(r->context->config, i, &interface);
		if (r->word_count == 1 && strcmp(interface.name, r->word[0]) == 0) {
			c->interface = i;
			return 0;
		}
		add_name(names, interface.name);
	}
	return control_refuse(r, -EINVAL,
			      "'%.60s' is neither an interface of stackd (%s) nor a connection as show conns "
			      "prints it, LOCAL REMOTE",
			      r->word[0], names);
}

static uint64_t wall_minus_monotonic(void)
{
	struct timespec wall, mono;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (uint64_t)(wall.tv_sec - mono.tv_sec) * NS_PER_S + (uint64_t)wall.tv_nsec - (uint64_t)mono.tv_nsec;
}

int control_capture(struct control_request *r)
{
	const struct control_context *context = r->context;
	struct capture *c = calloc(1, sizeof(*c) + context->shard_count * sizeof(c->pending[0]));
	int code;

	if (!c)
		return control_refuse(r, -ENOMEM, "out of memory");
	c->stream = (struct control_stream){fill, close_capture};
	c->user = (struct tap_user){.take = take, .frames = true};
	c->taps = context->taps;
	c->shard_count = context->shard_count;
	c->interface_count = config_interface_count(context->config);
	c->to_wall_ns = wall_minus_monotonic();
	writer_init(&c->blocks, false, CONTROL_STREAM_MAX);
	code = r->answer.json ? control_refuse(r, -EINVAL, "a capture is pcapng: --json has no meaning") : 0;
	if (!code)
		code = wanted(r, c);
	if (!code && taps_join(c->taps, &c->user))
		code = control_refuse(r, -ENOMEM, "out of memory");
	if (code) {
		free(c);
		return code;
	}
	writer_free(&r->answer);
	writer_init(&r->answer, false, CONTROL_STREAM_MAX);
	put_head(context, c, &r->answer);
	r->stream = &c->stream;
	return 0;
}
