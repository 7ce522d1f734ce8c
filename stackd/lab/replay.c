/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.c - `stackd-lab replay`: its options, and which conversation of the capture is meant. */
#include "lab/replay.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/command.h"
#include "lab/host.h"

static const char usage[] =
	"usage: stackd-lab replay [OPTIONS] FILE\n"
	"\n"
	"Feeds the peer's segments of a captured conversation, at their times, to stackd's TCP in virtual time,\n"
	"and shows what the captured end sent beside what ours sends.  FILE is pcapng (stackdctl capture,\n"
	"dumpcap) or pcap (tcpdump), taken on an Ethernet interface, with the SYN and whole frames.\n"
	"\n"
	"  -n N               the Nth conversation of the file (1)\n"
	"  --end opener|acceptor   whose place is taken (the capturing host's; if the file doesn't say: opener)\n"
	"  --paced            our end gets each byte to send when the captured one first sent it, not as soon as\n"
	"                     the text of the peer that came before it has arrived\n"
	"  -o TCP.KEY=VALUE   a setting as of stackd -o; may be given again\n"
	"  --json\n"
	"\n"
	"The peer's segments don't answer to ours: what it acknowledges before ours has sent it is marked and\n"
	"counted.  Our end reads at once.\n";

static int __attribute__((format(printf, 2, 3))) fail(char error[static CAPTURE_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CAPTURE_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* --- the conversation -------------------------------------------------------------------------------- */

struct segment_ends {
	struct endpoint src, dst;
};

/* Of a frame that seen_parse has taken. */
static void ends_of(const uint8_t *frame, const struct seen *s, struct segment_ends *out)
{
	bool v6 = frame[12] == 0x86;

	if (v6) {
		memcpy(out->src.addr.b, frame + 22, 16);
		memcpy(out->dst.addr.b, frame + 38, 16);
	} else {
		out->src.addr = addr_from4(frame + 26);
		out->dst.addr = addr_from4(frame + 30);
	}
	out->src.port = s->src_port;
	out->dst.port = s->dst_port;
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

/* The nth first SYN; NULL: there are not so many.  A SYN sent again begins nothing. */
static const struct capture_packet *find_syn(struct replay *r, const struct capture_file *f, uint32_t nth)
{
	const struct capture_packet *found = NULL;
	struct segment_ends ends, last = {0};
	uint32_t last_seq = 0;
	struct seen s;

	for (uint32_t i = 0; i < f->count; i++) {
		const struct capture_packet *p = &f->packet[i];

		if (!seen_parse(p->frame, p->len, &s) || (s.flags & (SEEN_SYN | SEEN_ACK)) != SEEN_SYN)
			continue;
		ends_of(p->frame, &s, &ends);
		if (r->conversations && s.seq == last_seq && same(&ends.src, &last.src) && same(&ends.dst, &last.dst))
			continue;
		last = ends;
		last_seq = s.seq;
		if (++r->conversations == nth)
			found = p;
	}
	return found;
}

struct replay_event *replay_add(struct replay *r)
{
	if (r->count == r->room) {
		r->room = r->room ? 2 * r->room : 256;
		r->event = realloc(r->event, r->room * sizeof(r->event[0]));
		if (!r->event)
			lab_fail("out of memory");
	}
	r->event[r->count] = (struct replay_event){.order = r->count};
	return &r->event[r->count++];
}

void replay_free(struct replay *r)
{
	free(r->event);
	*r = (struct replay){0};
}

static int by_time(const void *a, const void *b)
{
	const struct replay_event *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void replay_sort(struct replay *r)
{
	qsort(r->event, r->count, sizeof(r->event[0]), by_time);
}

/* Nearest to what was there before: sequence numbers go round. */
static int64_t unwrap(uint32_t number, uint32_t iss, int64_t near)
{
	return near + (int32_t)(number - (iss + 1) - (uint32_t)near);
}

static int take(struct replay *r, const struct capture_packet *p, uint32_t number, ns_t start,
		char error[static CAPTURE_ERROR_MAX])
{
	struct replay_event *e;
	struct segment_ends ends;
	struct seen s;
	unsigned from;

	if (!seen_parse(p->frame, p->len, &s)) {
		if (p->whole || p->len < 54)
			return 0;
		return fail(error, "packet %u is cut short: capture whole frames (tcpdump -s 0)", number);
	}
	ends_of(p->frame, &s, &ends);
	from = same(&ends.src, &r->end[0]) ? 0 : 1;
	if (!same(&ends.src, &r->end[from]) || !same(&ends.dst, &r->end[!from]) || p->at < start)
		return 0;
	e = replay_add(r);
	e->at = p->at - start;
	e->who = from ? REPLAY_PEER : REPLAY_CAPTURED;
	e->seen = s;
	e->seen.data = NULL;
	if (s.flags & SEEN_SYN)
		r->iss[from] = s.seq;
	if (from == 0 && s.flags & SEEN_SYN) {
		r->tsval = s.tsval;
		r->mss = s.mss;
	}
	return 0;
}

/* Offsets, now that both first numbers are known. */
static void number(struct replay *r)
{
	int64_t end[2] = {0, 0};

	for (uint32_t i = 0; i < r->count; i++) {
		struct replay_event *e = &r->event[i];
		unsigned from = e->who == REPLAY_PEER;
		int64_t last;

		e->off = unwrap(e->seen.seq, r->iss[from], end[from]);
		e->ack = e->seen.flags & SEEN_ACK ? unwrap(e->seen.ack, r->iss[!from], end[!from]) : 0;
		last = e->off + e->seen.len;
		e->again = e->seen.len > 0 && last <= end[from];
		if (last > end[from] && !(e->seen.flags & SEEN_SYN))
			end[from] = last;
	}
}

/* An application answers what it has read: the events upon which each piece may leave. */
static void release(struct replay *r, bool paced)
{
	struct replay_event *upon = &r->event[0];

	for (uint32_t i = 0; i < r->count; i++) {
		struct replay_event *e = &r->event[i];

		if (e->who == REPLAY_PEER && (e->seen.len > 0 || e->seen.flags & (SEEN_SYN | SEEN_FIN)))
			upon = e;
		if (e->who == REPLAY_PEER || e->seen.flags & SEEN_SYN)
			continue;
		if (paced)
			upon = e;
		if (e->off + e->seen.len > upon->release)
			upon->release = e->off + e->seen.len;
		upon->release_fin |= (e->seen.flags & SEEN_FIN) != 0;
	}
}

int replay_find(struct replay *r, const struct capture_file *f, uint32_t nth, enum replay_end which, bool paced,
		char error[static CAPTURE_ERROR_MAX])
{
	const struct capture_packet *syn;
	struct segment_ends ends;
	bool answered = false;
	struct seen s;

	*r = (struct replay){0};
	syn = find_syn(r, f, nth);
	if (!syn && r->conversations)
		return fail(error, "it holds %u conversation%s that begin%s with a SYN", r->conversations,
			    r->conversations == 1 ? "" : "s", r->conversations == 1 ? "s" : "");
	if (!syn)
		return fail(error, "no TCP conversation whose SYN was captured (%u packets): what the ends agreed on is "
			    "not known without it", f->count);
	seen_parse(syn->frame, syn->len, &s);
	ends_of(syn->frame, &s, &ends);
	r->we_open = which == REPLAY_AS_CAPTURED ? !syn->received : which == REPLAY_OPENER;
	r->end[0] = r->we_open ? ends.src : ends.dst;
	r->end[1] = r->we_open ? ends.dst : ends.src;
	for (uint32_t i = 0; i < f->count; i++)
		if (take(r, &f->packet[i], i + 1, syn->at, error))
			return -EINVAL;
	for (uint32_t i = 0; i < r->count; i++)
		answered |= (r->event[i].seen.flags & (SEEN_SYN | SEEN_ACK)) == (SEEN_SYN | SEEN_ACK);
	if (!answered)
		return fail(error, "the SYN was not answered, or its answer not captured");
	replay_sort(r);
	number(r);
	release(r, paced);
	return 0;
}

/* --- the command ------------------------------------------------------------------------------------- */

struct options {
	uint32_t nth;
	enum replay_end end;
	bool json, paced;
	char settings[4096];
};

static bool take_option(struct options *o, int opt)
{
	size_t len = strlen(o->settings);

	switch (opt) {
	case 'n':
		o->nth = (uint32_t)strtoul(optarg, NULL, 10);
		return o->nth > 0;
	case 'e':
		o->end = strcmp(optarg, "opener") == 0 ? REPLAY_OPENER : REPLAY_ACCEPTOR;
		return o->end == REPLAY_OPENER || strcmp(optarg, "acceptor") == 0;
	case 'j':
		o->json = true;
		return true;
	case 'p':
		o->paced = true;
		return true;
	case 'o':
		snprintf(o->settings + len, sizeof(o->settings) - len, "%s\n", optarg);
		return len + strlen(optarg) + 2 < sizeof(o->settings);
	default:
		return false;
	}
}

static int replay_file(const char *path, const struct options *o)
{
	char error[CAPTURE_ERROR_MAX], why[CONFIG_ERROR_MAX];
	struct plugins *plugins = lab_plugins();
	struct capture_file f;
	struct lab_rules rules;
	struct replay r = {0};
	int code = LAB_USAGE;

	if (lab_rules_make(&rules, plugins, o->settings, why)) {
		fprintf(stderr, "stackd-lab replay: %s\n", why);
		plugins_destroy(plugins);
		return LAB_USAGE;
	}
	if (capture_open(&f, path, error)) {
		fprintf(stderr, "stackd-lab replay: %s: %s\n", path, error);
	} else {
		if (replay_find(&r, &f, o->nth, o->end, o->paced, error)) {
			fprintf(stderr, "stackd-lab replay: %s: %s\n", path, error);
		} else {
			replay_run(&r, rules.rules);
			(o->json ? replay_json : replay_show)(&r, stdout);
			code = 0;
		}
		capture_close(&f);
	}
	replay_free(&r);
	lab_rules_free(&rules);
	plugins_destroy(plugins);
	return code;
}

int lab_replay(int argc, char **argv)
{
	static const struct option longs[] = {
		{"end", 1, NULL, 'e'}, {"json", 0, NULL, 'j'}, {"paced", 0, NULL, 'p'}, {"help", 0, NULL, 'h'}, {0}};
	struct options o = {.nth = 1};
	int opt;

	argv[0] = (char[]){"stackd-lab replay"};
	optind = 1;
	while ((opt = getopt_long(argc, argv, "hn:o:", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (!take_option(&o, opt)) {
			fprintf(stderr, "\n%s", usage);
			return LAB_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "stackd-lab replay: one file is wanted\n\n%s", usage);
		return LAB_USAGE;
	}
	return replay_file(argv[optind], &o);
}
