/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tamper.c - what each rule of the tampering link does to a conversation of two whole stacks:
 * a scene for each, with its numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edit.h"
#include "scene.h"

#define MSS   SCENE_MSS
#define BYTES SCENE_BYTES

/* --- nothing -------------------------------------------------------------------------------------
 */

static void no_rule(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 0, BYTES), 100);
	assert_int_equal(scene_came(&x, 0, BYTES), 100);
	assert_int_equal(x.client->last.retransmits, 0);
	assert_int_equal(x.tamper[0].faults + x.tamper[1].faults, 0);
	scene_end(&x);
}

/* --- drop ----------------------------------------------------------------------------------------
 */

static void first_transmission_of_a_range(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_once(&x, 0, TAMPER_DATA, TAMPER_DROP, 0, 20000);
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 20000, 21000), 2);
	assert_int_equal(scene_came(&x, 20000, 21000), 1);
	assert_int_equal(x.client->last.retransmits, 1);
	assert_int_equal(x.client->last.recoveries, 1);
	assert_int_equal(x.client->last.timeouts, 0);
	scene_end(&x);
}

static void first_resend(struct scene *x, const char *recovery)
{
	scene_set(x, recovery);
	scene_once(x, 0, TAMPER_DATA, TAMPER_DROP, 0, 20000);
	scene_once(x, 0, TAMPER_AGAIN, TAMPER_DROP, 0, 20000);
	scene_play(x);
	assert_int_equal(scene_sent(x, 20000, 21000), 3);
	assert_int_equal(scene_came(x, 20000, 21000), 1);
	assert_int_equal(x->tamper[0].done[0], 1);
	assert_int_equal(x->tamper[0].done[1], 1);
}

/* RACK sees that what left after the resend has come, and marks it lost again (RFC 8985 3.1) ... */
static void first_resend_found_by_rack(void **state)
{
	static struct scene x;

	(void)state;
	first_resend(&x, "racktlp");
	assert_int_equal(x.client->last.timeouts, 0);
	assert_int_equal(x.client->last.retransmits, 2);
	scene_end(&x);
}

/* ... what counts duplicates can only wait. */
static void first_resend_times_out(void **state)
{
	static const char *const recoveries[] = {"textbook", "reno", "sack"};
	static struct scene x;

	(void)state;
	for (unsigned i = 0; i < array_count(recoveries); i++) {
		first_resend(&x, recoveries[i]);
		assert_int_equal(x.client->last.timeouts, 1);
		scene_end(&x);
	}
}

/* Cumulative: half of them will do. */
static void every_second_ack(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "racktlp");
	r = scene_rule(&x, 1, TAMPER_PURE_ACK, TAMPER_DROP, 0);
	r->first = 1;
	r->every = 2;
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 0, BYTES), 100);
	assert_int_equal(x.client->last.retransmits, 0);
	assert_true(scene_bare(&x, true, SEEN_ACK) >= 99);
	assert_int_equal(scene_bare(&x, false, SEEN_ACK),
			 scene_bare(&x, true, SEEN_ACK) - x.tamper[1].done[0]);
	assert_int_equal(x.tamper[1].done[0], scene_bare(&x, true, SEEN_ACK) / 2);
	scene_end(&x);
}

/* SYN, then SYN-ACK, then the SYN-ACK of the SYN that came again: a second, then two. */
static void syn_and_syn_ack(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 0, TAMPER_SYN, TAMPER_DROP, 0)->count = 1;
	scene_rule(&x, 1, TAMPER_SYN, TAMPER_DROP, 0)->count = 1;
	scene_play(&x);
	assert_int_equal(x.tamper[0].done[0] + x.tamper[1].done[0], 2);
	assert_int_equal(scene_counted(&x, 0, COUNT_conn_active), 1);
	assert_int_equal(scene_counted(&x, 1, COUNT_conn_passive), 1);
	assert_true(x.line[0].seen.flags == SEEN_SYN && x.line[1].seen.flags == SEEN_SYN);
	assert_true(x.line[1].at - x.line[0].at >= NS_PER_S);
	scene_end(&x);
}

static void fin(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	x.bytes = 0;
	scene_rule(&x, 0, TAMPER_FIN, TAMPER_DROP, 0)->count = 2;
	scene_play(&x);
	assert_int_equal(x.tamper[0].done[0], 2);
	assert_int_equal(scene_bare(&x, true, SEEN_FIN | SEEN_ACK), 1); /* host 1's own passes */
	scene_end(&x);
}

/* Nothing passes for five seconds, then everything does. */
static void all_until_a_time(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 0, TAMPER_DATA, TAMPER_DROP, 0);
	x.tamper[0].until = SCENE_START_NS + 5 * NS_PER_S;
	scene_play(&x);
	for (uint32_t i = 0; i < x.count; i++)
		if (!x.line[i].out && x.line[i].host == 1 && x.line[i].seen.len > 0)
			assert_true(x.line[i].at >= 5 * NS_PER_S);
	assert_true(x.client->last.timeouts >= 3 && x.client->last.timeouts <= 6);
	assert_int_equal(scene_counted(&x, 0, COUNT_conn_reset_tx), 0);
	scene_end(&x);
}

/* --- time and order ------------------------------------------------------------------------------
 */

/* Taken for lost and sent again; when it comes after all, the receiver says that it had it, and the
 * sender takes its reaction back. */
static void delayed_data(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_once(&x, 0, TAMPER_DATA, TAMPER_DELAY, 60 * NS_PER_MS, 20000);
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 20000, 21000), 2);
	assert_int_equal(scene_came(&x, 20000, 21000), 2);
	assert_true(scene_duplicates_told(&x) >= 1);
	assert_int_equal(x.client->last.timeouts, 0);
	assert_int_equal(x.client->last.dsacks, 1);
	scene_end(&x);
}

/* The next ones tell the same, and more. */
static void delayed_acks(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 1, TAMPER_PURE_ACK, TAMPER_DELAY, 15 * NS_PER_MS)->every = 3;
	scene_play(&x);
	assert_true(x.tamper[1].done[0] >= 30);
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

static void duplicated_data(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "racktlp");
	r = scene_rule(&x, 0, TAMPER_DATA, TAMPER_DUPLICATE, NS_PER_MS);
	r->count = 10;
	r->every = 7;
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 0, BYTES), 100);
	assert_int_equal(scene_came(&x, 0, BYTES), 110);
	assert_int_equal(scene_counted(&x, 1, COUNT_seg_duplicate), 10);
	assert_int_equal(scene_duplicates_told(&x), 10);
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

/* Four of the same, and no segment is lost: SACK would say so. */
static void duplicated_acks(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "sack");
	for (unsigned i = 0; i < 3; i++)
		scene_rule(&x, 1, TAMPER_PURE_ACK, TAMPER_DUPLICATE, 0);
	scene_play(&x);
	assert_true(scene_bare(&x, false, SEEN_ACK) > 3 * scene_bare(&x, true, SEEN_ACK));
	assert_int_equal(x.client->last.retransmits, 0);
	assert_int_equal(x.client->last.recoveries, 0);
	scene_end(&x);
}

static void duplicated_syn(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 0, TAMPER_SYN, TAMPER_DUPLICATE, 500 * NS_PER_MS);
	scene_play(&x);
	assert_int_equal(scene_counted(&x, 1, COUNT_conn_passive), 1);
	scene_end(&x);
}

/* One overtakes the other: a hole for a moment, and no reason to send anything again. */
static void swapped_data(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "racktlp");
	r = scene_rule(&x, 0, TAMPER_DATA, TAMPER_REORDER, 0);
	r->first = 10;
	r->every = 9;
	r->count = 5;
	scene_play(&x);
	assert_int_equal(x.tamper[0].done[0], 5);
	assert_int_equal(scene_sent(&x, 0, BYTES), 100);
	assert_int_equal(scene_came(&x, 0, BYTES), 100);
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

/* --- bytes ---------------------------------------------------------------------------------------
 */

static void damaged_data(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "racktlp");
	r = scene_rule(&x, 0, TAMPER_DATA, TAMPER_CORRUPT, 500);
	r->first = 20;
	r->every = 10;
	r->count = 4;
	scene_play(&x);
	assert_int_equal(scene_counted(&x, 1, COUNT_l4_checksum), 4);
	assert_int_equal(x.client->last.retransmits, 4);
	assert_int_equal(scene_came(&x, 0, BYTES), 104); /* the driver's view: damaged ones too */
	scene_end(&x);
}

/* Of the peer's SYN: neither believes that the other has it. */
static void stripped_sack(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "reno");
	scene_rule(&x, 0, TAMPER_SYN, TAMPER_STRIP, EDIT_SACK_PERMITTED);
	scene_once(&x, 0, TAMPER_DATA, TAMPER_DROP, 0, 20000);
	scene_play(&x);
	assert_false(x.client->last.features & SP_SACK);
	assert_false(x.server->last.features & SP_SACK);
	for (uint32_t i = 0; i < x.count; i++)
		assert_int_equal(x.line[i].seen.sack_count, 0);
	assert_int_equal(x.client->last.retransmits, 1);
	scene_end(&x);
}

/* Blocks vanish on the way: an ACK without news is no duplicate (RFC 6675 2), the timer repairs it.
 */
static void stripped_blocks(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "sack");
	scene_rule(&x, 1, TAMPER_PURE_ACK, TAMPER_STRIP, EDIT_SACK);
	scene_once(&x, 0, TAMPER_DATA, TAMPER_DROP, 0, 20000);
	scene_play(&x);
	assert_true(x.server->last.features & SP_SACK);
	assert_int_equal(scene_sent(&x, 20000, 21000), 2);
	assert_int_equal(x.client->last.recoveries, 0);
	assert_int_equal(x.client->last.timeouts, 1);
	scene_end(&x);
}

/* The window is what its 16 bits say, both ways. */
static void stripped_scale(void **state)
{
	static struct scene x;
	uint64_t most = 0;

	(void)state;
	scene_set(&x, "racktlp");
	x.bytes = 200000;
	scene_rule(&x, 1, TAMPER_SYN, TAMPER_STRIP, EDIT_WSCALE);
	scene_play(&x);
	assert_int_equal(x.client->last.snd_wscale, 0);
	assert_int_equal(x.client->last.rcv_wscale, 0);
	for (uint32_t i = 0; i < x.count; i++) {
		const struct line *l = &x.line[i];
		uint64_t end = (uint64_t)(l->off + l->seen.len);

		if (l->out && l->host == 0 && l->seen.len > 0 && end > most)
			most = end;
		if (!l->out && l->host == 0 && l->seen.ack - x.iss[0] - 1 < most)
			assert_true(most - (l->seen.ack - x.iss[0] - 1) <= 65535);
	}
	scene_end(&x);
}

static void stripped_mss(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 1, TAMPER_SYN, TAMPER_STRIP, EDIT_MSS);
	scene_play(&x);
	assert_int_equal(x.client->last.mss, 536); /* MUST-15 */
	assert_int_equal(scene_sent(&x, 0, BYTES), (BYTES + 535) / 536);
	scene_end(&x);
}

static void clamped_mss(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 1, TAMPER_SYN, TAMPER_MSS, 400);
	scene_play(&x);
	assert_int_equal(x.client->last.mss, 400);
	assert_int_equal(scene_sent(&x, 0, BYTES), 250);
	scene_end(&x);
}

/* Never more on the way than was allowed. */
static void clamped_window(void **state)
{
	static struct scene x;
	int64_t allowed = 0;

	(void)state;
	scene_set(&x, "racktlp");
	strcat(x.settings, "tcp.window-scaling=no\n");
	scene_rule(&x, 1, TAMPER_ANY, TAMPER_WINDOW, 2500);
	scene_play(&x);
	for (uint32_t i = 0; i < x.count; i++) {
		const struct line *l = &x.line[i];

		if (l->host != 0)
			continue;
		if (!l->out)
			allowed = (int32_t)(l->seen.ack - x.iss[0] - 1) + (int64_t)l->seen.window;
		else if (l->seen.len > 0)
			assert_true(l->off + l->seen.len <= allowed);
	}
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

/* It shrinks to nothing, and nothing is heard of it again but in answers: probes find out. */
static void shut_window(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "racktlp");
	r = scene_rule(&x, 1, TAMPER_PURE_ACK, TAMPER_WINDOW, 0);
	r->first = 10;
	r->count = 40;
	scene_play(&x);
	assert_true(x.tamper[1].done[0] >= 10);
	assert_true(x.client->last.probes >= 1);
	assert_int_equal(scene_counted(&x, 0, COUNT_conn_timeout), 0);
	scene_end(&x);
}

/* --- pieces --------------------------------------------------------------------------------------
 */

static void split_data(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	scene_rule(&x, 0, TAMPER_DATA, TAMPER_SPLIT, 300);
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 0, BYTES), 100);
	assert_int_equal(scene_came(&x, 0, BYTES), 200);
	assert_true(scene_bare(&x, true, SEEN_ACK) >= 200); /* `each` counts pieces */
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

/* Two in one frame, as an offloading card makes them. */
static void merged_data(void **state)
{
	static struct scene x;

	(void)state;
	scene_set(&x, "racktlp");
	snprintf(x.settings + strlen(x.settings), 64, "tcp.initial-window=40\n");
	scene_rule(&x, 1, TAMPER_SYN, TAMPER_MSS, 500);
	scene_rule(&x, 0, TAMPER_DATA, TAMPER_MERGE, 0);
	scene_play(&x);
	assert_int_equal(scene_sent(&x, 0, BYTES), 200);
	assert_int_equal(scene_came(&x, 0, BYTES), 100);
	assert_int_equal(x.client->last.retransmits, 0);
	scene_end(&x);
}

/* --- rules together ------------------------------------------------------------------------------
 */

/* first, every, count: just these */
static void which_ones(void **state)
{
	static struct scene x;
	struct tamper_rule *r;

	(void)state;
	scene_set(&x, "sr");
	r = scene_rule(&x, 0, TAMPER_DATA, TAMPER_DROP, 0);
	r->first = 3;
	r->every = 4;
	r->count = 2;
	scene_play(&x);
	for (int64_t i = 0; i < 10; i++)
		assert_int_equal(scene_sent(&x, i * MSS, (i + 1) * MSS), i == 3 || i == 7 ? 2 : 1);
	scene_end(&x);
}

/* All that a bad middlebox does, at once and for ever. */
static void middlebox(void **state)
{
	static const char *const recoveries[] = {"gbn",  "sr",   "textbook",
						 "reno", "sack", "racktlp"};
	static struct scene x;

	(void)state;
	for (unsigned i = 0; i < array_count(recoveries); i++) {
		scene_set(&x, recoveries[i]);
		for (unsigned h = 0; h < 2; h++) {
			scene_rule(&x, h, TAMPER_SYN, TAMPER_MSS, 700);
			scene_rule(&x, h, TAMPER_SYN, TAMPER_STRIP, EDIT_WSCALE);
			scene_rule(&x, h, TAMPER_ANY, TAMPER_WINDOW, 4000);
			scene_rule(&x, h, TAMPER_DATA, TAMPER_SPLIT, 1)->every = 3;
		}
		scene_play(&x);
		assert_true(x.tamper[0].faults > 50);
		assert_int_equal(x.client->last.retransmits, 0);
		scene_end(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_rule),
	    cmocka_unit_test(first_transmission_of_a_range),
	    cmocka_unit_test(first_resend_found_by_rack),
	    cmocka_unit_test(first_resend_times_out),
	    cmocka_unit_test(every_second_ack),
	    cmocka_unit_test(syn_and_syn_ack),
	    cmocka_unit_test(fin),
	    cmocka_unit_test(all_until_a_time),
	    cmocka_unit_test(delayed_data),
	    cmocka_unit_test(delayed_acks),
	    cmocka_unit_test(duplicated_data),
	    cmocka_unit_test(duplicated_acks),
	    cmocka_unit_test(duplicated_syn),
	    cmocka_unit_test(swapped_data),
	    cmocka_unit_test(damaged_data),
	    cmocka_unit_test(stripped_sack),
	    cmocka_unit_test(stripped_blocks),
	    cmocka_unit_test(stripped_scale),
	    cmocka_unit_test(stripped_mss),
	    cmocka_unit_test(clamped_mss),
	    cmocka_unit_test(clamped_window),
	    cmocka_unit_test(shut_window),
	    cmocka_unit_test(split_data),
	    cmocka_unit_test(merged_data),
	    cmocka_unit_test(which_ones),
	    cmocka_unit_test(middlebox),
	};
	int failed;

	scenes_begin();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scenes_end();
	return failed;
}
