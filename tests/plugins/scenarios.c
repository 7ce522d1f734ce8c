/* SPDX-License-Identifier: BSD-2-Clause */
/* scenarios.c - the figures and exercises of Kurose & Ross 3.4 and 3.5 with exactly the book's
 * counts of segments sent, sent again and acknowledged.  Where TCP's cumulative field makes
 * Selective Repeat differ from the book's the row says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

enum model { GBN, SR, TCP, MODELS };

static const char *const model_name[MODELS] = {"gbn", "sr", "textbook"};

/* Which transmissions the link drops, by their number in their direction: bit n - 1. */
static uint32_t drop_data, drop_acks;

static enum fake_fate scripted(bool ack, uint32_t nth)
{
	return nth <= 32 && (ack ? drop_acks : drop_data) >> (nth - 1) & 1 ? FAKE_DROP : FAKE_PASS;
}

#define NTH(n) (1u << ((n)-1))
#define NOT                                                                                        \
	{                                                                                          \
		0, 0, 0                                                                            \
	}

struct counts {
	uint32_t sent, again, acks;
};

struct row {
	const char *name;
	const uint32_t *segments;
	const char *window, *rto;
	sp_ns delay;
	uint32_t drop_data, drop_acks;
	struct counts expect[MODELS]; /* sent 0: the figure isn't about this one */
	uint64_t tcp_acks[8];         /* ends with 0; none: not compared */
};

static const uint32_t five[] = {100, 100, 100, 100, 100, 0};
static const uint32_t six[] = {100, 100, 100, 100, 100, 100, 0};
static const uint32_t eight[] = {8, 0};
static const uint32_t eight_twenty[] = {8, 20, 0};
static const uint32_t fig337[] = {8, 20, 15, 6, 16, 0};

/* Round trip 200 ms, timer 1 s, unless it is to be premature. */
static const struct row rows[] = {
    {"fig. 3.22 and 3.26: packet 2 of 0-5 lost, N = 4",
     six,
     "window=4",
     "time=1s",
     100 * MS,
     NTH(3),
     0,
     {{10, 4, 9}, {7, 1, 6}, {7, 1, 6}},
     {100, 200, 200, 200, 200, 600}},
    {"P37: the second of five lost",
     five,
     "window=5",
     "time=1s",
     100 * MS,
     NTH(2),
     0,
     {{9, 4, 8}, {6, 1, 5}, {6, 1, 5}},
     {100, 100, 100, 100, 500}},
    {"second and fourth of five lost",
     five,
     "window=5",
     "time=1s",
     100 * MS,
     NTH(2) | NTH(4),
     0,
     {{9, 4, 7}, {7, 2, 5}, {7, 2, 5}},
     {100, 100, 100, 300, 500}},
    /* the book's SR sends 6 with 1 again: here the third ACK's cumulative field covers it */
    {"second ACK of five lost",
     five,
     "window=5",
     "time=1s",
     100 * MS,
     0,
     NTH(2),
     {{5, 0, 5}, {5, 0, 5}, {5, 0, 5}},
     {100, 200, 300, 400, 500}},
    {"last ACK of five lost",
     five,
     "window=5",
     "time=1s",
     100 * MS,
     0,
     NTH(5),
     {{6, 1, 6}, {6, 1, 6}, {6, 1, 6}},
     {100, 200, 300, 400, 500, 500}},
    {"all five ACKs lost",
     five,
     "window=5",
     "time=1s",
     100 * MS,
     0,
     0x1f,
     {{10, 5, 10}, {10, 5, 10}, {6, 1, 6}},
     {100, 200, 300, 400, 500, 500}},
    {"premature time-out of five",
     five,
     "window=5",
     "time=150ms",
     100 * MS,
     0,
     0,
     {{10, 5, 10}, {10, 5, 10}, {6, 1, 6}},
     {100, 200, 300, 400, 500, 500}},
    {"fig. 3.34: the ACK lost",
     eight,
     "window=5",
     "time=1s",
     100 * MS,
     0,
     NTH(1),
     {NOT, NOT, {2, 1, 2}},
     {8, 8}},
    {"fig. 3.35: both ACKs late",
     eight_twenty,
     "window=5",
     "time=150ms",
     100 * MS,
     0,
     0,
     {NOT, NOT, {3, 1, 3}},
     {8, 28, 28}},
    {"fig. 3.36: first ACK lost, second in time",
     eight_twenty,
     "window=5",
     "time=1s",
     100 * MS,
     0,
     NTH(1),
     {NOT, NOT, {2, 0, 2}},
     {8, 28}},
    {"fig. 3.37: fast retransmit",
     fig337,
     "window=5",
     "time=1s",
     100 * MS,
     NTH(2),
     0,
     {NOT, NOT, {6, 1, 5}},
     {8, 8, 8, 8, 65}},
};

static struct fake_result play(const struct row *row, enum model m)
{
	struct fake_config f = {
	    .rto = "fixed",
	    .rto_params = row->rto,
	    .ack = "each",
	    .recovery = model_name[m],
	    .cc = "fixed",
	    .cc_params = row->window,
	    .mss = 100,
	    .segments = row->segments,
	    .features = SP_SACK,
	    .delay = row->delay,
	    .fate = scripted,
	    .limit = 100000 * MS,
	    .seed = 1,
	};

	drop_data = row->drop_data;
	drop_acks = row->drop_acks;
	return fake_run(&f);
}

static void check(const struct row *row, enum model m)
{
	const struct counts *e = &row->expect[m];
	struct fake_result r = play(row, m);

	if (!r.complete || r.sent != e->sent || r.again != e->again || r.acks != e->acks ||
	    r.violations)
		fail_msg("%s, %s: sent/again/ACKs %u/%u/%u, not %u/%u/%u%s", row->name,
			 model_name[m], r.sent, r.again, r.acks, e->sent, e->again, e->acks,
			 r.complete ? "" : ", incomplete");
	for (uint32_t i = 0; m == TCP && i < 8 && row->tcp_acks[i]; i++)
		if (r.ack_log[i] != row->tcp_acks[i])
			fail_msg("%s: ACK %u is %llu", row->name, i + 1,
				 (unsigned long long)r.ack_log[i]);
}

static void the_table(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (enum model m = GBN; m < MODELS; m++)
			if (rows[i].expect[m].sent)
				check(&rows[i], m);
}

static void gbn_discards_what_follows_a_gap(void **state)
{
	static const uint64_t acks[] = {100, 200, 200, 200, 200, 300, 400, 500, 600};
	struct fake_result r = play(&rows[0], GBN);

	(void)state;
	assert_int_equal(r.discarded, 3);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(r.ack_log[i], acks[i]);
}

/* With one loss TCP needs no time-out and is first; with two close losses it needs two and is last.
 */
static void who_is_fastest(void **state)
{
	struct fake_result one[MODELS], two[MODELS];

	(void)state;
	for (enum model m = GBN; m < MODELS; m++) {
		one[m] = play(&rows[1], m);
		two[m] = play(&rows[2], m);
	}
	assert_int_equal(one[TCP].timeouts, 0);
	assert_true(one[TCP].time < one[GBN].time && one[TCP].time < one[SR].time);
	assert_int_equal(two[TCP].timeouts, 2);
	assert_true(two[TCP].time > two[GBN].time && two[TCP].time > two[SR].time);
}

static void sr_never_leaves_its_window(void **state)
{
	/* packet 1 of 12 lost and N = 4: after packets 2-4 are acknowledged nothing new may leave
	 * before the resend: the time-out happens with four sent */
	static const uint32_t twelve[] = {100, 100, 100, 100, 100, 100, 100,
					  100, 100, 100, 100, 100, 0};
	struct row row = {"", twelve, "window=4", "time=1s", 100 * MS, NTH(1), 0, {NOT}, {0}};
	struct fake_result r = play(&row, SR);

	(void)state;
	assert_true(r.complete);
	assert_int_equal(r.sent, 13);
	/* 1 s timer, then three windows of a round trip each */
	assert_in_range(r.time, (1000 + 3 * 200) * MS, (1000 + 3 * 200 + 10) * MS);
}

/* Stop-and-wait: 8,000 bits at 1 Gbit/s and 30 ms: 267 kbit/s; three times that with N = 3. */
static void stop_and_wait(void **state)
{
	uint64_t time[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fake_config f = {
		    .rto = "fixed",
		    .ack = "each",
		    .recovery = "gbn",
		    .cc = "fixed",
		    .cc_params = i ? "window=3" : "window=1",
		    .mss = 1000,
		    .total = 300000,
		    .rate = 125000000,
		    .delay = 15 * MS,
		    .limit = 1000000 * MS,
		    .seed = 1,
		};
		struct fake_result r = fake_run(&f);

		assert_true(r.complete);
		time[i] = r.time - MS;
	}
	/* 300 packets of 8,000 bits, each 30.008 ms */
	assert_in_range(time[0], UINT64_C(300) * 30007000, UINT64_C(300) * 30009000);
	assert_in_range(8000 * 300 * UINT64_C(1000) / (time[0] / MS), 266000, 267000);
	assert_in_range(time[0] * 100 / time[1], 299, 301);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table),      cmocka_unit_test(gbn_discards_what_follows_a_gap),
	    cmocka_unit_test(who_is_fastest), cmocka_unit_test(sr_never_leaves_its_window),
	    cmocka_unit_test(stop_and_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
