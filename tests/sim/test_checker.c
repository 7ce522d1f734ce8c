/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace checker itself: for each of its rules a trace that breaks it must be caught, and the same
 * trace without the break must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/bytes.h"
#include "checker.h"
#include "edit.h"
#include "lab/seen.h"

/* what a line leaves out is 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define MS 1000000ull

static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

/* A segment of host `from`; numbers from its initial one, so that the first byte is 0. */
struct line {
	unsigned at_ms, from;
	uint8_t flags;
	int seq;
	unsigned len;
	int ack;
	unsigned window;
	uint8_t byte;
	int sack[4]; /* begin, end, begin, end */
	bool lost;   /* sent, does not come */
};

static const uint32_t iss[2] = {1000, 0xfffffff0u};

static uint32_t frame_of(const struct line *l, bool options, uint8_t *f)
{
	uint8_t *ip = f + EDIT_ETH_BYTES, *tcp = ip + 20, *o = tcp + 20;
	uint32_t head;

	memset(f, 0, 2000);
	memcpy(f, mac[!l->from], 6);
	f[12] = 8;
	ip[0] = 0x45;
	ip[9] = 6;
	put_be32(ip + 12, 0x0a000001 + l->from);
	put_be32(ip + 16, 0x0a000002 - l->from);
	put_be32(tcp + 4, iss[l->from] + 1 + (uint32_t)l->seq);
	put_be32(tcp + 8, iss[!l->from] + 1 + (uint32_t)l->ack);
	if (l->flags & SEEN_SYN && options) {
		static const uint8_t syn[] = {2, 4, 0, 100, 4, 2, 1, 1};

		memcpy(o, syn, sizeof(syn));
		o += sizeof(syn);
	}
	for (unsigned i = 0; i < 4 && l->sack[i + 1]; i += 2) {
		o[0] = o[1] = 1;
		o[2] = 5;
		o[3] = 10;
		put_be32(o + 4, iss[!l->from] + 1 + (uint32_t)l->sack[i]);
		put_be32(o + 8, iss[!l->from] + 1 + (uint32_t)l->sack[i + 1]);
		o += 12;
		if (i == 2)
			break;
	}
	head = (uint32_t)(o - tcp);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = l->flags;
	put_be16(tcp + 14, (uint16_t)l->window);
	memset(o, l->byte ? l->byte : 'x', l->len);
	put_be16(ip + 2, (uint16_t)(20 + head + l->len));
	edit_sums(f, 34 + head + l->len);
	return 34 + head + l->len;
}

static void play(struct checker *c, const struct line *l, size_t count, bool options)
{
	uint8_t frame[2000];

	for (size_t i = 0; i < count; i++) {
		uint32_t len = frame_of(&l[i], options, frame);
		uint64_t now = 1000 * MS + l[i].at_ms * MS;

		checker_see(c, l[i].from, now, true, frame, len);
		if (!l[i].lost)
			checker_see(c, !l[i].from, now, false, frame, len);
	}
}

#define A SEEN_ACK
#define HANDSHAKE {0, 0, SEEN_SYN, -1, 0, 0, 300}, {0, 1, SEEN_SYN | A, -1, 0, 0, 300}, {0, 0, A, 0, 0, 0, 300}
#define LINES_MAX 12

static const struct {
	const char *what; /* in the violation; NULL: a good trace */
	bool no_options;
	struct line line[LINES_MAX];
} traces[] = {
    {NULL, false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 100, 300}, {3, 0, A | SEEN_FIN, 100, 50, 0, 300}, {4, 1, A, 0, 0, 151, 249}}},
    {"initial sequence number", false, {HANDSHAKE, {1, 0, SEEN_SYN, 5, 0, 0, 300}}},
    {"beyond the window", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {1, 0, A, 100, 100, 0, 300}, {1, 0, A, 200, 100, 0, 300}, {1, 0, A, 300, 50, 0, 300}}},
    {"is acknowledged", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 100, 300}, {3, 0, A, 0, 100, 0, 300}}},
    {"only 0 came before", false, {HANDSHAKE, {1, 0, A, 50, 50, 0, 300}}},
    {"peer's MSS", false, {HANDSHAKE, {1, 0, A, 0, 101, 0, 300}}},
    {"differ from the first", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {400, 0, A, 0, 100, 0, 300, 'y'}}},
    {"right edge", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 100, 100}}},
    {"only 100 has come", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 101, 300}}},
    {"after ACK", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 100, 300}, {3, 1, A, 0, 0, 50, 350}}},
    {"did not come", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300, 0, {0}, true}, {1, 0, A, 100, 100, 0, 300, 0, {0}, true}, {2, 1, A, 0, 0, 0, 300, 0, {100, 200}}}},
    {NULL, false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300, 0, {0}, true}, {1, 0, A, 100, 100, 0, 300}, {2, 1, A, 0, 0, 0, 300, 0, {100, 200}}}},
    {"not agreed", true, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300, 0, {0}, true}, {1, 0, A, 100, 100, 0, 300}, {2, 1, A, 0, 0, 0, 300, 0, {100, 200}}}},
    {"came last", false, {HANDSHAKE, {1, 0, A, 0, 20, 0, 300, 0, {0}, true}, {1, 0, A, 20, 20, 0, 300}, {1, 1, A, 0, 0, 0, 300, 0, {20, 40}}, {1, 0, A, 40, 20, 0, 300, 0, {0}, true}, {2, 0, A, 60, 20, 0, 300}, {2, 1, A, 0, 0, 0, 300, 0, {20, 40, 60, 80}}}},
    {NULL, false, {HANDSHAKE, {1, 0, A, 0, 20, 0, 300, 0, {0}, true}, {1, 0, A, 20, 20, 0, 300}, {1, 1, A, 0, 0, 0, 300, 0, {20, 40}}, {1, 0, A, 40, 20, 0, 300, 0, {0}, true}, {2, 0, A, 60, 20, 0, 300}, {2, 1, A, 0, 0, 0, 300, 0, {60, 80, 20, 40}}}},
    {"and not first", false, {HANDSHAKE, {1, 0, A, 0, 20, 0, 300}, {1, 1, A, 0, 0, 20, 300}, {1, 0, A, 20, 20, 0, 300, 0, {0}, true}, {2, 0, A, 40, 20, 0, 300}, {2, 1, A, 0, 0, 20, 300, 0, {40, 60, 0, 20}}}},
    {"after the FIN", false, {HANDSHAKE, {1, 0, A | SEEN_FIN, 0, 10, 0, 300}, {2, 0, A, 10, 10, 0, 300}}},
    {"FIN at", false, {HANDSHAKE, {1, 0, A, 0, 50, 0, 300}, {2, 0, A | SEEN_FIN, 0, 10, 0, 300}}},
    {"500 ms", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {600, 1, A, 0, 0, 100, 300}}},
    {"the time before", false, {HANDSHAKE, {1, 0, A, 0, 100, 0, 300, 0, {0}, true}, {1000, 0, A, 0, 100, 0, 300, 0, {0}, true}, {3000, 0, A, 0, 100, 0, 300, 0, {0}, true}, {3900, 0, A, 0, 100, 0, 300, 0, {0}, true}}},
    {"RST", false, {HANDSHAKE, {1, 0, SEEN_RST, 0, 0, 0, 0}}},
};

static void rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(traces); i++) {
		struct checker c;
		size_t n = 0;

		while (n < LINES_MAX && traces[i].line[n].flags)
			n++;
		checker_init(&c);
		c.prompt = c.rst_is_wrong = true;
		memcpy(c.mac, mac, sizeof(mac));
		play(&c, traces[i].line, n, !traces[i].no_options);
		if (traces[i].what ? !strstr(c.violation, traces[i].what) : *c.violation)
			fail_msg("trace %zu: expected '%s', found '%s'", i,
				 traces[i].what ? traces[i].what : "nothing", c.violation);
		checker_free(&c);
	}
}

/* A peer that isn't watched sends across the right edge: what is in the window came last. */
static void across_the_edge(void **state)
{
	struct line l[] = {HANDSHAKE, {1, 0, A, 20, 20, 0, 300}, {1, 1, A, 0, 0, 0, 300, 0, {20, 40}}, {2, 0, A, 250, 100, 0, 300}, {2, 1, A, 0, 0, 0, 300, 0, {250, 300, 20, 40}}, {3, 1, A, 0, 0, 0, 300, 0, {20, 40, 250, 300}}};
	struct checker c;

	(void)state;
	checker_init(&c);
	memcpy(c.mac, mac, sizeof(mac));
	c.watched = 2;
	play(&c, l, array_count(l) - 1, true);
	assert_string_equal(c.violation, "");
	play(&c, l + array_count(l) - 1, 1, true);
	assert_non_null(strstr(c.violation, "came last"));
	checker_free(&c);
}

static void liveness(void **state)
{
	struct line l[] = {HANDSHAKE, {1, 0, A, 0, 100, 0, 300}, {2, 1, A, 0, 0, 60, 300}};
	struct checker c;

	(void)state;
	checker_init(&c);
	memcpy(c.mac, mac, sizeof(mac));
	play(&c, l, array_count(l), true);
	checker_live(&c, 0, 5000 * MS, 1000 * MS, 1000 * MS, 60);
	assert_string_equal(c.violation, "");
	checker_live(&c, 0, 1500 * MS, 1000 * MS, 1000 * MS, 100);
	assert_string_equal(c.violation, "");
	checker_live(&c, 0, 5000 * MS, 1000 * MS, 1000 * MS, 100);
	assert_non_null(strstr(c.violation, "queued"));
	checker_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(across_the_edge),
					   cmocka_unit_test(liveness)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
