/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP segments in: checksum policies and frames in several spans. */
#include "world.h"

static uint8_t f[70000], l4[66000];

static struct world *world_of(enum rx_csum policy)
{
	struct world *w = world_make(&(struct world_options){.rx_csum = policy});

	world_quiet(w);
	return w;
}

enum sum { GOOD, WRONG, PARTIAL };

/* A packet of either family whose TCP sum is good, wrong or the pseudo-header's alone. */
static uint32_t packet(bool six, enum sum sum, uint32_t payload)
{
	uint32_t len = put_tcp(l4, 4000, 80, 77, payload);
	struct addr src = A(six ? "fd00::2" : "10.0.0.2"), dst = A(six ? "fd00::1" : "10.0.0.1");
	uint8_t *field = f + (six ? 54 : 34) + 16;
	uint16_t partial;

	if (six)
		len = put_ip6(f, "fd00::2", "fd00::1", 6, l4, len);
	else
		len = put_ip4(f, "10.0.0.2", "10.0.0.1", 6, l4, len);
	if (sum == WRONG) {
		field[0] ^= 0x10;
	} else if (sum == PARTIAL) {
		partial = checksum_fold(checksum_pseudo(&src, &dst, 6, 20 + payload));
		memcpy(field, &partial, 2);
	}
	return len;
}

/* What each policy makes of each sum, as the driver vouches: '+' taken, 'c' l4_checksum, 'p'
 * l4_checksum_partial. */
static void policies(void **state)
{
	static const char *const table[3][4] = {
	    /* driver says: unknown, good, partial, full; each for the sums good, wrong, partial */
	    [RX_CSUM_PARTIAL_OK] = {"+c+", "+++", "+++", "+cc"},
	    [RX_CSUM_STRICT] = {"+cp", "+++", "ppp", "+cc"},
	    [RX_CSUM_TRUST] = {"+++", "+++", "+++", "+++"},
	};

	(void)state;
	for (uint32_t i = 0; i < 3 * 4 * 3 * 2; i++) {
		uint32_t policy = i % 3, driver = i / 3 % 4, sum = i / 12 % 3;
		struct world *w = world_of((enum rx_csum)policy);
		uint32_t len = packet(i >= 36, (enum sum)sum, 333);
		enum net_verdict v = feed_spans(w, f, len, NULL, 0, (uint8_t)driver);
		char expected = table[policy][driver][sum];

		assert_int_equal(v, expected == '+' ? NET_SEGMENT : NET_DONE);
		assert_int_equal(counted(w, COUNT_l4_checksum), expected == 'c');
		assert_int_equal(counted(w, COUNT_l4_checksum_partial), expected == 'p');
		world_free(w);
	}
	feed_release();
}

static void assert_segment(const struct world *w, uint32_t payload)
{
	const struct net_segment *s = &w->out.segment;
	static uint8_t whole[70000];
	uint32_t at = s->l4_linear;

	assert_int_equal(s->l4_len, 20 + payload);
	memcpy(whole, s->l4, s->l4_linear);
	for (uint32_t i = 0; i < s->more_count; i++) {
		memcpy(whole + at, s->more[i].base, s->more[i].len);
		at += s->more[i].len;
	}
	assert_int_equal(at, s->l4_len);
	assert_memory_equal(whole + 20, l4 + 20, payload);
}

/* Spans of odd lengths, the sum verified in full; one flipped bit anywhere is found. */
static void odd_spans(void **state)
{
	static const uint32_t cut[][3] = {{256, 1, 1}, {257, 3, 511}, {300, 999, 2}, {259, 0, 7}};
	struct world *w = world_of(RX_CSUM_STRICT);
	uint32_t bad = 0;

	(void)state;
	for (uint32_t i = 0; i < 2 * array_count(cut); i++) {
		const uint32_t *c = cut[i / 2];
		uint32_t len = packet(i & 1, GOOD, 3001);

		assert_int_equal(feed_spans(w, f, len, c, 3, FRAME_CSUM_UNKNOWN), NET_SEGMENT);
		assert_int_equal(w->out.segment.more_count, 3);
		assert_segment(w, 3001);
		for (uint32_t at = 80; at < len; at += 97) {
			f[at] ^= 1;
			assert_int_equal(feed_spans(w, f, len, c, 3, FRAME_CSUM_UNKNOWN), NET_DONE);
			assert_int_equal(counted(w, COUNT_l4_checksum), ++bad);
			f[at] ^= 1;
		}
	}
	feed_release();
	world_free(w);
}

/* A trailer behind the packet, beginning in any span. */
static void trailer_is_cut(void **state)
{
	struct world *w = *state;
	uint32_t cut[] = {300, 300, 300};

	for (uint32_t trailer = 1; trailer < 900; trailer += 37) {
		uint32_t len = packet(false, GOOD, 1000);

		memset(f + len, 0xcc, trailer);
		assert_int_equal(feed_spans(w, f, len + trailer, cut, 3, FRAME_CSUM_UNKNOWN),
				 NET_SEGMENT);
		assert_segment(w, 1000);
	}
	packet(false, GOOD, 100);
	memset(f + 154, 0xcc, 1000);
	assert_int_equal(feed_spans(w, f, 1154, cut, 3, FRAME_CSUM_UNKNOWN), NET_SEGMENT);
	assert_int_equal(w->out.segment.more_count, 0);
	assert_segment(w, 100);
}

static void big_ones(void **state)
{
	struct world *w = *state;
	uint32_t cut[FRAME_SPANS_MAX - 1];

	for (uint32_t i = 0; i < FRAME_SPANS_MAX - 1; i++)
		cut[i] = 3839;
	assert_int_equal(feed_spans(w, f, packet(false, GOOD, 65495), cut, FRAME_SPANS_MAX - 1,
				    FRAME_CSUM_UNKNOWN),
			 NET_SEGMENT);
	assert_segment(w, 65495);
	assert_int_equal(feed_spans(w, f, packet(true, PARTIAL, 65000), cut, FRAME_SPANS_MAX - 2,
				    FRAME_CSUM_UNKNOWN),
			 NET_SEGMENT);
	assert_segment(w, 65000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(policies),
	    cmocka_unit_test(odd_spans),
	    cmocka_unit_test_setup_teardown(trailer_is_cut, world_setup, world_teardown),
	    cmocka_unit_test_setup_teardown(big_ones, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
