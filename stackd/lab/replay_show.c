/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_show.c - a replay as text, three columns, and as JSON. */
#include <string.h>

#include "lab/replay.h"

#define COLUMN 44

struct sums {
	uint32_t segments, data, again, acks;
	uint64_t bytes; /* sent for the first time */
	ns_t last_data;
};

static void sum(const struct replay *r, enum replay_who who, struct sums *out)
{
	int64_t end = 0;

	*out = (struct sums){0};
	for (uint32_t i = 0; i < r->count; i++) {
		const struct replay_event *e = &r->event[i];

		if (e->who != who)
			continue;
		out->segments++;
		out->data += e->seen.len > 0;
		out->again += e->again;
		out->acks += e->seen.len == 0 && e->seen.flags == SEEN_ACK;
		if (e->seen.len > 0 && e->off + e->seen.len > end) {
			end = e->off + e->seen.len;
			out->last_data = e->at;
		}
	}
	out->bytes = (uint64_t)end;
}

static const char *flags(uint8_t f, char out[static 8])
{
	static const char letter[] = "FSRP.U";
	unsigned n = 0;

	for (unsigned i = 0; i < 6; i++)
		if (f & (1u << i))
			out[n++] = letter[i];
	out[n] = 0;
	return out;
}

static void label(const struct replay_event *e, char out[static COLUMN + 1])
{
	char f[8];
	int n = snprintf(out, COLUMN + 1, "%s", flags(e->seen.flags, f));

	if (e->seen.len > 0)
		n += snprintf(out + n, COLUMN + 1 - (size_t)n, " %lld:%lld(%u)", (long long)e->off,
			      (long long)(e->off + e->seen.len), e->seen.len);
	if (e->seen.flags & SEEN_ACK && !(e->seen.flags & SEEN_SYN))
		n += snprintf(out + n, COLUMN + 1 - (size_t)n, " ack %lld", (long long)e->ack);
	if (e->seen.sack_count)
		n += snprintf(out + n, COLUMN + 1 - (size_t)n, " sack*%u", e->seen.sack_count);
	if (e->again)
		snprintf(out + n, COLUMN + 1 - (size_t)n, " again");
	else if (e->beyond)
		snprintf(out + n, COLUMN + 1 - (size_t)n, " not sent yet");
}

static void figures(const char *what, uint64_t captured, uint64_t ours, FILE *out)
{
	fprintf(out, "%-28s %12llu %12llu\n", what, (unsigned long long)captured, (unsigned long long)ours);
}

static uint32_t beyond(const struct replay *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++)
		n += r->event[i].beyond;
	return n;
}

void replay_show(const struct replay *r, FILE *out)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX], text[COLUMN + 1];
	struct sums a, b;

	fprintf(out, "%s, in whose place stackd's TCP is put, and its peer %s%s\n\n",
		endpoint_format(&r->end[0], local), endpoint_format(&r->end[1], remote),
		r->conversations > 1 ? " (there are more conversations: -n)" : "");
	fprintf(out, "%12s  %-*s  %-*s  %s\n", "ms", COLUMN, "captured", COLUMN, "peer", "ours");
	for (uint32_t i = 0; i < r->count; i++) {
		const struct replay_event *e = &r->event[i];

		label(e, text);
		fprintf(out, "%12.3f  ", (double)e->at / 1e6);
		for (int who = 0; who < (int)e->who; who++)
			fprintf(out, "%-*s  ", COLUMN, "");
		fprintf(out, "%s\n", text);
	}
	sum(r, REPLAY_CAPTURED, &a);
	sum(r, REPLAY_OURS, &b);
	fprintf(out, "\n%-28s %12s %12s\n", "", "captured", "ours");
	figures("segments", a.segments, b.segments, out);
	figures("  with data", a.data, b.data, out);
	figures("  sent again", a.again, b.again, out);
	figures("  ACKs alone", a.acks, b.acks, out);
	figures("bytes of the stream", a.bytes, b.bytes, out);
	fprintf(out, "%-28s %12.3f %12.3f\n", "last new data, ms", (double)a.last_data / 1e6,
		(double)b.last_data / 1e6);
	if (beyond(r))
		fprintf(out, "%u times the peer acknowledges what ours has not sent yet: from there on the two are not "
			"the same conversation\n", beyond(r));
	if (r->error)
		fprintf(out, "our connection ended: %s\n", strerror(r->error));
}

static void json_sums(const char *name, const struct sums *s, FILE *out)
{
	fprintf(out, "\"%s\": {\"segments\": %u, \"data\": %u, \"again\": %u, \"acks\": %u, \"bytes\": %llu, "
		"\"last_data_ms\": %.6f}", name, s->segments, s->data, s->again, s->acks,
		(unsigned long long)s->bytes, (double)s->last_data / 1e6);
}

void replay_json(const struct replay *r, FILE *out)
{
	static const char *const who[] = {"captured", "peer", "ours"};
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX], f[8];
	struct sums a, b;

	sum(r, REPLAY_CAPTURED, &a);
	sum(r, REPLAY_OURS, &b);
	fprintf(out, "{\"local\": \"%s\", \"peer\": \"%s\", \"conversations\": %u, \"beyond\": %u, ",
		endpoint_format(&r->end[0], local), endpoint_format(&r->end[1], remote), r->conversations, beyond(r));
	json_sums("captured", &a, out);
	fputs(", ", out);
	json_sums("ours", &b, out);
	fputs(",\n \"segments\": [", out);
	for (uint32_t i = 0; i < r->count; i++) {
		const struct replay_event *e = &r->event[i];

		fprintf(out, "%s\n  {\"ms\": %.6f, \"from\": \"%s\", \"flags\": \"%s\", \"offset\": %lld, \"len\": %u, "
			"\"ack\": %lld, \"sack_blocks\": %u, \"again\": %s, \"beyond\": %s}", i ? "," : "",
			(double)e->at / 1e6, who[e->who], flags(e->seen.flags, f), (long long)e->off, e->seen.len,
			(long long)e->ack, e->seen.sack_count, e->again ? "true" : "false",
			e->beyond ? "true" : "false");
	}
	fputs("]}\n", out);
}
