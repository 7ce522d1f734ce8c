/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_file.c - every length is checked against the file's end before it is used. */
#include "lab/capture_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/host.h"

#define FILE_MAX	  (1ull << 30)
#define INTERFACES	  64u
#define LINKTYPE_ETHERNET 1u
enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, SIMPLE = 3, PACKET = 6 };
enum { OPT_END = 0, OPT_TSRESOL = 9, OPT_FLAGS = 2 };

struct reader {
	struct capture_file *f;
	bool swapped;
	uint32_t room;	/* of f->packet */
	uint32_t interfaces;
	uint64_t unit_ns[INTERFACES], per_s[INTERFACES]; /* per_s 0: unit_ns counts */
	char *error;
};

static int __attribute__((format(printf, 2, 3))) fail(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->error, CAPTURE_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static uint32_t get32(const struct reader *r, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct reader *r, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? (uint16_t)(v >> 8 | v << 8) : v;
}

static struct capture_packet *add(struct reader *r)
{
	struct capture_file *f = r->f;

	if (f->count == r->room) {
		r->room = r->room ? 2 * r->room : 1024;
		f->packet = realloc(f->packet, r->room * sizeof(f->packet[0]));
		if (!f->packet)
			lab_fail("out of memory");
	}
	f->packet[f->count] = (struct capture_packet){0};
	return &f->packet[f->count++];
}

static int check_link(struct reader *r, uint32_t link)
{
	if (link == LINKTYPE_ETHERNET)
		return 0;
	return fail(r, "frames of link type %u; only Ethernet (1) is read: capture on one interface, not on 'any'", link);
}

/* --- pcap -------------------------------------------------------------------------------------------- */

static int read_pcap(struct reader *r, uint64_t fraction_ns)
{
	const uint8_t *bytes = r->f->bytes;
	size_t at = 24;

	if (r->f->len < 24)
		return fail(r, "shorter than a pcap header");
	if (check_link(r, get32(r, bytes + 20) & 0xffff))
		return -EINVAL;
	while (at + 16 <= r->f->len) {
		uint32_t kept = get32(r, bytes + at + 8), len = get32(r, bytes + at + 12);
		struct capture_packet *p;

		if (kept > r->f->len - at - 16)
			break; /* the capture was cut off within its last packet */
		p = add(r);
		p->at = get32(r, bytes + at) * NS_PER_S + get32(r, bytes + at + 4) * fraction_ns;
		p->frame = bytes + at + 16;
		p->len = kept;
		p->whole = kept >= len;
		at += 16 + kept;
	}
	return 0;
}

/* --- pcapng ------------------------------------------------------------------------------------------ */

/* The value of an option of at least `least` bytes; NULL: not there. */
static const uint8_t *option(const struct reader *r, const uint8_t *at, const uint8_t *end, uint16_t code,
			     uint16_t least)
{
	while (end - at >= 4) {
		uint16_t this = get16(r, at), len = get16(r, at + 2);

		if (this == OPT_END || end - at - 4 < len)
			return NULL;
		if (this == code)
			return len >= least ? at + 4 : NULL;
		at += 4 + (len + 3) / 4 * 4;
		if (at > end)
			return NULL;
	}
	return NULL;
}

static int take_interface(struct reader *r, const uint8_t *body, const uint8_t *end)
{
	const uint8_t *resolution;
	uint32_t i = r->interfaces;
	unsigned power;

	if (end - body < 8 || i == INTERFACES)
		return fail(r, "an interface block that is damaged, or more than %u interfaces", INTERFACES);
	if (check_link(r, get16(r, body)))
		return -EINVAL;
	resolution = option(r, body + 8, end, OPT_TSRESOL, 1);
	power = resolution ? *resolution : 6;
	r->unit_ns[i] = r->per_s[i] = 0;
	if (power & 0x80 ? (power & 0x7f) > 30 : power > 9)
		return fail(r, "a resolution of time that is finer than ns");
	if (power & 0x80) {
		r->per_s[i] = 1ull << (power & 0x7f);
	} else {
		for (r->unit_ns[i] = NS_PER_S; power > 0; power--)
			r->unit_ns[i] /= 10;
	}
	r->interfaces++;
	return 0;
}

static ns_t time_of(const struct reader *r, uint32_t i, uint64_t t)
{
	if (!r->per_s[i])
		return t * r->unit_ns[i];
	return t / r->per_s[i] * NS_PER_S + t % r->per_s[i] * NS_PER_S / r->per_s[i];
}

static int take_packet(struct reader *r, const uint8_t *body, const uint8_t *end)
{
	uint32_t i, kept, len;
	struct capture_packet *p;
	const uint8_t *flags;

	if (end - body < 20)
		return fail(r, "a packet block that is damaged");
	i = get32(r, body);
	kept = get32(r, body + 12);
	len = get32(r, body + 16);
	if (i >= r->interfaces || kept > (size_t)(end - body - 20))
		return fail(r, "a packet block that is damaged");
	p = add(r);
	p->at = time_of(r, i, (uint64_t)get32(r, body + 4) << 32 | get32(r, body + 8));
	p->frame = body + 20;
	p->len = kept;
	p->whole = kept >= len;
	body += 20 + (kept + 3ul) / 4 * 4;
	flags = body < end ? option(r, body, end, OPT_FLAGS, 4) : NULL;
	p->received = flags && (get32(r, flags) & 3) == 1;
	p->sent = flags && (get32(r, flags) & 3) == 2;
	return 0;
}

static int read_pcapng(struct reader *r)
{
	const uint8_t *bytes = r->f->bytes;
	size_t at = 0;
	int code = 0;

	while (!code && at + 12 <= r->f->len) {
		uint32_t type = get32(r, bytes + at), len;

		if (type == SECTION) {
			r->swapped = get32(&(struct reader){0}, bytes + at + 8) != 0x1a2b3c4d;
			r->interfaces = 0;
		}
		len = get32(r, bytes + at + 4);
		if (len < 12 || len % 4)
			return fail(r, "a block of %u bytes", len);
		if (len > r->f->len - at)
			break; /* cut off within its last block */
		if (type == INTERFACE)
			code = take_interface(r, bytes + at + 8, bytes + at + len - 4);
		else if (type == PACKET)
			code = take_packet(r, bytes + at + 8, bytes + at + len - 4);
		else if (type == SIMPLE)
			code = fail(r, "packets without time (simple packet blocks)");
		at += len;
	}
	return code;
}

/* --- the file ---------------------------------------------------------------------------------------- */

static int load(struct reader *r, const char *path)
{
	FILE *in = fopen(path, "rb");
	long len;

	if (!in || fseek(in, 0, SEEK_END) || (len = ftell(in)) < 0 || fseek(in, 0, SEEK_SET)) {
		fail(r, "%s", strerror(errno));
		if (in)
			fclose(in);
		return -EINVAL;
	}
	if ((uint64_t)len > FILE_MAX) {
		fclose(in);
		return fail(r, "larger than 1 GB");
	}
	r->f->bytes = lab_alloc((size_t)len);
	r->f->len = fread(r->f->bytes, 1, (size_t)len, in);
	fclose(in);
	return r->f->len == (size_t)len ? 0 : fail(r, "can't be read to its end");
}

static int read_any(struct reader *r)
{
	uint32_t magic = r->f->len < 12 ? 0 : get32(r, r->f->bytes);

	switch (magic) {
	case SECTION:
		return read_pcapng(r);
	case 0xd4c3b2a1:
	case 0x4d3cb2a1:
		r->swapped = true;
		return read_pcap(r, magic == 0xd4c3b2a1 ? 1000 : 1);
	case 0xa1b2c3d4:
	case 0xa1b23c4d:
		return read_pcap(r, magic == 0xa1b2c3d4 ? 1000 : 1);
	default:
		return fail(r, "neither pcapng nor pcap");
	}
}

int capture_open(struct capture_file *f, const char *path, char error[static CAPTURE_ERROR_MAX])
{
	struct reader r = {.f = f, .error = error};
	int code;

	*f = (struct capture_file){0};
	code = load(&r, path);
	if (!code)
		code = read_any(&r);
	if (code)
		capture_close(f);
	return code;
}

void capture_close(struct capture_file *f)
{
	free(f->packet);
	free(f->bytes);
	*f = (struct capture_file){0};
}
