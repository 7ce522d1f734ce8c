/* SPDX-License-Identifier: BSD-2-Clause */
/* recovery.c - single decisions of reno, sack and racktlp, hook by hook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define MSS    1000u
#define SEG(n) ((sp_off)(n)*MSS) /* segments count from 0 */

static struct fake_queue q;
static struct fake_plugin plugin;
static const struct sp_recovery_ops *ops;
static _Alignas(16) unsigned char st[SP_STATE_MAX];

static void start(const char *name, const char *params, uint32_t features)
{
	fake_queue_free(&q);
	plugin = fake_plugin(SP_RECOVERY, name, params);
	ops = plugin.plugin->ops;
	memset(st, 0, sizeof(st));
	fake_queue_init(&q, MSS);
	q.view.params = plugin.params;
	q.view.features = features | SP_PER_SEGMENT;
	q.view.now = 1000 * MS;
	q.view.srtt = q.view.rtt_min = 100 * MS;
	q.view.rto = 300 * MS;
	q.view.cwnd = 100 * MSS;
	if (ops->open)
		ops->open(&q.view, st);
}

static void send_new(uint32_t n)
{
	while (n--) {
		struct fake_chunk *k = fake_append(&q, MSS);

		if (ops->on_sent)
			ops->on_sent(&q.view, st, &k->c);
	}
}

static struct sp_pick next(void)
{
	struct sp_pick p = {.what = SP_PICK_NOTHING};

	if (ops->next) {
		ops->next(&q.view, st, &p);
	} else {
		p.chunk = q.view.host->lost(&q.view);
		p.what = p.chunk ? SP_PICK_CHUNK : SP_PICK_NEW;
	}
	return p;
}

static void resend(const struct sp_chunk *k)
{
	fake_again(&q, (struct fake_chunk *)(uintptr_t)k);
	if (ops->on_sent)
		ops->on_sent(&q.view, st, k);
}

/* Sends again all that is marked; how many. */
static uint32_t resend_lost(void)
{
	uint32_t n = 0;

	for (const struct sp_chunk *k; (k = q.view.host->lost(&q.view)); n++)
		resend(k);
	return n;
}

struct facts {
	sp_off una; /* 0: as it was */
	sp_off sack_begin, sack_end;
	struct sp_range dsack;
	bool ts_original;
};

static struct sp_verdict ack(struct facts f)
{
	struct sp_verdict v = {SP_SAME, 0};
	struct sp_ack a = {.size = sizeof(a),
			   .una_before = q.view.snd_una,
			   .flight_before = q.view.flight,
			   .dsack = f.dsack,
			   .ts_original = f.ts_original};
	uint64_t delivered = q.view.delivered;

	if (f.una)
		fake_ack(&q, f.una);
	fake_sack(&q, f.sack_begin, f.sack_end);
	a.una = q.view.snd_una;
	a.newly = q.newly;
	a.newly_count = q.newly_count;
	a.delivered = q.view.delivered - delivered;
	a.sack_news = a.una == a.una_before && a.delivered;
	a.duplicate = a.una == a.una_before && q.count;
	ops->on_ack(&q.view, st, &a, &v);
	fake_forget(&q);
	if (v.episode == SP_UNDO)
		fake_unmark(&q);
	return v;
}

static struct sp_verdict timer(void)
{
	struct sp_verdict v = {SP_SAME, 0};

	ops->on_timer(&q.view, st, &v);
	if (v.episode == SP_TIMEOUT) {
		q.view.backoffs++;
		q.view.rto_since = q.view.now;
	}
	return v;
}

static uint32_t lost_count(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q.count; i++)
		n += q.chunk[i]->c.lost;
	return n;
}

static sp_ns due(void)
{
	return ops->deadline(&q.view, st);
}

/* --- reno ---------------------------------------------------------------------------- */

static void reno_third_duplicate(void **state)
{
	struct sp_verdict v;

	(void)state;
	start("reno", NULL, 0);
	send_new(8);
	assert_int_equal(ack((struct facts){0}).allowance, MSS); /* RFC 3042 */
	assert_int_equal(ack((struct facts){0}).allowance, 2 * MSS);
	assert_int_equal(lost_count(), 0);
	v = ack((struct facts){0});
	assert_int_equal(v.episode, SP_ENTER);
	assert_int_equal(v.allowance, MSS);
	assert_int_equal(q.view.host->lost(&q.view)->off, 0);
	assert_int_equal(ops->left(&q.view, st), 3 * MSS);
	resend_lost();
	ack((struct facts){0});
	assert_int_equal(ops->left(&q.view, st), 4 * MSS);
	/* partial ACK up to segment 4: the next hole; three of the four were counted */
	v = ack((struct facts){.una = SEG(4)});
	assert_int_equal(v.episode, SP_SAME);
	assert_int_equal(q.view.host->lost(&q.view)->off, SEG(4));
	assert_int_equal(ops->left(&q.view, st), MSS);
	resend_lost();
	assert_int_equal(ack((struct facts){.una = SEG(8)}).episode, SP_EXIT);
	assert_int_equal(ops->left(&q.view, st), 0);
}

static void reno_not_twice_after_timeout(void **state)
{
	(void)state;
	start("reno", NULL, 0);
	send_new(8);
	assert_int_equal(timer().episode, SP_TIMEOUT);
	assert_int_equal(lost_count(), 8);
	resend_lost();
	for (int i = 0; i < 5; i++) /* RFC 6582 section 4: duplicates of our own resends */
		assert_int_equal(ack((struct facts){0}).episode, SP_SAME);
	assert_int_equal(lost_count(), 0);
}

static void reno_eifel(void **state)
{
	(void)state;
	start("reno", NULL, SP_TIMESTAMPS);
	send_new(8);
	timer();
	resend(q.view.host->lost(&q.view));
	assert_int_equal(ack((struct facts){.una = SEG(1), .ts_original = true}).episode, SP_UNDO);
}

/* With an RTO near the round trip a fast retransmit would not be waited for. */
static void resend_gets_a_whole_rto(void **state)
{
	static const char *const names[] = {"reno", "sack", "racktlp"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(names[i], NULL, SP_SACK);
		send_new(8);
		q.view.rto_since = q.view.now;
		assert_true(due() <= 1300 * MS);
		q.view.now += 100 * MS;
		for (uint32_t k = 1; k < 4; k++)
			ack((struct facts){0, SEG(k), SEG(k + 1), {0}, 0});
		assert_int_equal(resend_lost(), 1);
		assert_int_equal(due(), 1400 * MS);
	}
}

/* --- sack ---------------------------------------------------------------------------- */

static void sack_is_lost(void **state)
{
	(void)state;
	start("sack", NULL, SP_SACK);
	send_new(10);
	assert_int_equal(ack((struct facts){0, SEG(1), SEG(2), {0}, 0}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){0, SEG(2), SEG(3), {0}, 0}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){0, SEG(5), SEG(6), {0}, 0}).episode, SP_ENTER);
	assert_int_equal(lost_count(), 1); /* 3 and 4 have one held above them only */
	ack((struct facts){0, SEG(6), SEG(8), {0}, 0});
	assert_int_equal(lost_count(), 3);
	assert_int_equal(resend_lost(), 3);
	ack((struct facts){0, SEG(8), SEG(9), {0}, 0});
	assert_int_equal(lost_count(),
			 0); /* what was resent isn't judged by what was held before */
}

/* RFC 6675 2: an ACK that says nothing of a block is no duplicate, however often it comes. */
static void sack_duplicates_have_news(void **state)
{
	(void)state;
	start("sack", NULL, SP_SACK);
	send_new(10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(ack((struct facts){0}).episode, SP_SAME);
	assert_int_equal(lost_count(), 0);
	assert_int_equal(ack((struct facts){0, SEG(1), SEG(2), {0}, 0}).episode, SP_SAME);
	for (unsigned i = 0; i < 10; i++) /* the same block again */
		assert_int_equal(ack((struct facts){0, SEG(1), SEG(2), {0}, 0}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){0, SEG(2), SEG(3), {0}, 0}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){0, SEG(3), SEG(4), {0}, 0}).episode, SP_ENTER);
}

static void sack_next_seg(void **state)
{
	struct sp_pick p;

	(void)state;
	start("sack", NULL, SP_SACK);
	send_new(10);
	q.view.snd_end = SEG(11);
	ack((struct facts){0, SEG(1), SEG(4), {0}, 0});
	ack((struct facts){0, SEG(5), SEG(6), {0}, 0});
	p = next(); /* (1) the lost one */
	assert_int_equal(p.chunk->off, 0);
	resend(p.chunk);
	p = next(); /* (2) new data */
	assert_int_equal(p.what, SP_PICK_NEW);
	send_new(1);
	p = next(); /* (3) 4 is a hole, not yet known to be lost */
	assert_int_equal(p.chunk->off, SEG(4));
	resend(p.chunk);
	p = next(); /* (4) the rescue, once */
	assert_int_equal(p.chunk->off, SEG(10));
	resend(p.chunk);
	assert_int_equal(next().what, SP_PICK_NOTHING);
}

/* --- racktlp ------------------------------------------------------------------------- */

static void rack_waits_a_quarter_of_rtt(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	send_new(4);
	q.view.now += 100 * MS;
	/* one held above: below the threshold, so the reordering window (100 / 4 ms) runs */
	assert_int_equal(ack((struct facts){0, SEG(1), SEG(2), {0}, 0}).episode, SP_SAME);
	assert_int_equal(lost_count(), 0);
	assert_int_equal(due(), 1125 * MS);
	q.view.now = 1125 * MS;
	assert_int_equal(timer().episode, SP_ENTER);
	assert_int_equal(lost_count(), 1);
	assert_true(q.chunk[0]->c.lost);
}

static void rack_at_once_with_three(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK);
	send_new(6);
	q.view.now += 100 * MS;
	assert_int_equal(ack((struct facts){0, SEG(2), SEG(5), {0}, 0}).episode, SP_ENTER);
	assert_int_equal(lost_count(), 2); /* 0 and 1; 5 was sent later than what came */
}

static void rack_learns_reordering(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	send_new(8);
	q.view.now += 100 * MS;
	ack((struct facts){0, SEG(1), SEG(2), {0}, 0});
	ack((struct facts){.una = SEG(2)}); /* 0 was only late */
	/* three are held above 2 now, but patience is kept */
	assert_int_equal(ack((struct facts){0, SEG(3), SEG(6), {0}, 0}).episode, SP_SAME);
	assert_int_equal(lost_count(), 0);
	assert_int_equal(due(), 1125 * MS);
}

static void rack_widens_with_dsack(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	send_new(8);
	q.view.now += 100 * MS;
	ack((struct facts){.una = SEG(1), .dsack = {0, SEG(1)}});
	ack((struct facts){0, SEG(2), SEG(3), {0}, 0});
	assert_int_equal(due(), 1150 * MS); /* two quarters */
	/* once per round trip only */
	ack((struct facts){0, SEG(3), SEG(4), {0, SEG(1)}, 0});
	assert_int_equal(due(), 1150 * MS);
	/* never beyond SRTT */
	for (int i = 0; i < 10; i++) {
		ack((struct facts){.una = q.view.snd_nxt});
		send_new(4);
		q.view.now += 100 * MS;
		ack((struct facts){.una = q.view.snd_una + MSS, .dsack = {0, SEG(1)}});
	}
	sp_ns sent_at = q.chunk[0]->c.last_sent;

	ack((struct facts){0, q.view.snd_una + MSS, q.view.snd_una + 2 * MSS, {0}, 0});
	assert_int_equal(due(), sent_at + 200 * MS); /* RTT + SRTT */
}

static void rack_finds_lost_resends(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK);
	send_new(6);
	q.view.now += 100 * MS;
	ack((struct facts){0, SEG(1), SEG(4), {0}, 0});
	assert_int_equal(resend_lost(), 1);
	q.view.now += 10 * MS;
	send_new(3);
	q.view.now += 100 * MS;
	ack((struct facts){0, SEG(6), SEG(8), {0}, 0}); /* sent after the resend of 0 */
	assert_true(q.chunk[0]->c.lost);
	assert_int_equal(lost_count(), 3); /* and 4, 5 */
}

static void tlp_timing(void **state)
{
	(void)state;
	start("racktlp", "max_ack_delay=50ms", SP_SACK | SP_DSACK);
	q.view.snd_end = SEG(5);
	send_new(2);
	assert_int_equal(due(), 1200 * MS); /* 2 SRTT */
	start("racktlp", "max_ack_delay=50ms", SP_SACK | SP_DSACK);
	q.view.snd_end = SEG(1);
	send_new(1);
	assert_int_equal(due(), 1250 * MS); /* one segment: and the peer's delayed ACK */
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	q.view.rto = 150 * MS;
	send_new(2);
	assert_int_equal(due(), 1150 * MS); /* never after the RTO */
	start("racktlp", "tlp=no", SP_SACK | SP_DSACK);
	send_new(2);
	assert_int_equal(due(), 1300 * MS);
}

static void tlp_start(void)
{
	struct sp_verdict v;

	start("racktlp", NULL, SP_SACK | SP_DSACK);
	q.view.snd_end = SEG(5);
	send_new(5);
	q.view.now = due();
	v = timer();
	assert_int_equal(v.episode, SP_SAME);
	assert_int_equal(v.allowance, MSS + 1);
}

static void tlp_probe_is_the_tail(void **state)
{
	struct sp_pick p;

	(void)state;
	tlp_start();
	p = next();
	assert_int_equal(p.what, SP_PICK_CHUNK);
	assert_int_equal(p.chunk->off, SEG(4));
	resend(p.chunk);
	assert_int_equal(due(), 1200 * MS + 300 * MS); /* one probe; the RTO from it */
	/* the probe was the repair: congestion control hears of it when later data is acknowledged
	 */
	assert_int_equal(ack((struct facts){.una = SEG(5)}).episode, SP_SAME);
	q.view.snd_end = SEG(6);
	send_new(1);
	assert_int_equal(ack((struct facts){.una = SEG(6)}).episode, SP_ENTER);
	send_new(1);
	assert_int_equal(ack((struct facts){.una = SEG(7)}).episode, SP_EXIT);
}

/* A chunk of several segments: its last one only. */
static void tlp_probe_leaves_the_front(void **state)
{
	struct sp_pick p;

	(void)state;
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	struct fake_chunk *k = fake_append(&q, 4 * MSS + 1); /* with a FIN */

	q.view.snd_end = q.view.snd_nxt;
	ops->on_sent(&q.view, st, &k->c);
	q.view.now = due();
	timer();
	p = next();
	assert_ptr_equal(p.chunk, &k->c);
	assert_int_equal(p.skip, 3 * MSS);
	assert_int_equal(resend_lost(), 0);
}

static void tlp_needless_probe(void **state)
{
	(void)state;
	tlp_start();
	resend(next().chunk);
	assert_int_equal(ack((struct facts){.una = SEG(5)}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){.dsack = {SEG(4), SEG(5)}}).episode, SP_SAME);
	q.view.snd_end = SEG(6);
	send_new(1);
	assert_int_equal(ack((struct facts){.una = SEG(6)}).episode, SP_SAME);
}

static void tlp_prefers_new_data(void **state)
{
	(void)state;
	tlp_start();
	q.view.snd_end = SEG(6);
	assert_int_equal(next().what, SP_PICK_NEW);
}

static void rto_marks_only_the_old(void **state)
{
	(void)state;
	start("racktlp", "tlp=no", SP_SACK);
	send_new(2);
	q.view.now += 50 * MS;
	ack((struct facts){.una = SEG(1)}); /* RACK.rtt 50 ms; the RTO starts again */
	q.view.now += 290 * MS;
	send_new(1);
	q.view.now = due();
	assert_int_equal(timer().episode, SP_TIMEOUT);
	assert_int_equal(lost_count(), 1); /* the young one isn't */
}

static void frto_finds_a_spurious_timeout(void **state)
{
	struct sp_pick p;
	struct sp_verdict v;

	(void)state;
	start("racktlp", "tlp=no", SP_SACK);
	q.view.snd_end = SEG(20);
	send_new(6);
	q.view.now = due();
	assert_int_equal(timer().episode, SP_TIMEOUT);
	resend(next().chunk);
	q.view.now += 10 * MS;
	v = ack((struct facts){.una = SEG(1)}); /* the late original */
	assert_int_equal(v.allowance, 2 * MSS);
	for (int i = 0; i < 2; i++) {
		p = next();
		assert_int_equal(p.what, SP_PICK_NEW);
		send_new(1);
	}
	assert_int_equal(next().what, SP_PICK_NOTHING);
	assert_int_equal(ack((struct facts){.una = SEG(2)}).episode, SP_UNDO);
	assert_int_equal(lost_count(), 0);
}

static void frto_believes_a_real_timeout(void **state)
{
	(void)state;
	start("racktlp", "tlp=no", SP_SACK);
	q.view.snd_end = SEG(20);
	send_new(6);
	q.view.now = due();
	timer();
	resend(next().chunk);
	q.view.now += 100 * MS;
	ack((struct facts){.una = SEG(1)});
	send_new(2);
	q.view.now += 100 * MS;
	assert_int_equal(ack((struct facts){0, SEG(6), SEG(7), {0}, 0}).episode, SP_SAME);
	assert_int_equal(next().chunk->off, SEG(1));
}

static void dsack_of_all_resent_undoes(void **state)
{
	(void)state;
	start("racktlp", NULL, SP_SACK | SP_DSACK);
	send_new(6);
	q.view.now += 100 * MS;
	assert_int_equal(ack((struct facts){0, SEG(2), SEG(5), {0}, 0}).episode, SP_ENTER);
	assert_int_equal(resend_lost(), 2);
	assert_int_equal(ack((struct facts){.una = SEG(5)}).episode, SP_SAME); /* were only late */
	assert_int_equal(ack((struct facts){.dsack = {0, SEG(1)}}).episode, SP_SAME);
	assert_int_equal(ack((struct facts){.dsack = {SEG(1), SEG(2)}}).episode, SP_UNDO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reno_third_duplicate),
	    cmocka_unit_test(reno_not_twice_after_timeout),
	    cmocka_unit_test(reno_eifel),
	    cmocka_unit_test(resend_gets_a_whole_rto),
	    cmocka_unit_test(sack_is_lost),
	    cmocka_unit_test(sack_duplicates_have_news),
	    cmocka_unit_test(sack_next_seg),
	    cmocka_unit_test(rack_waits_a_quarter_of_rtt),
	    cmocka_unit_test(rack_at_once_with_three),
	    cmocka_unit_test(rack_learns_reordering),
	    cmocka_unit_test(rack_widens_with_dsack),
	    cmocka_unit_test(rack_finds_lost_resends),
	    cmocka_unit_test(tlp_timing),
	    cmocka_unit_test(tlp_probe_is_the_tail),
	    cmocka_unit_test(tlp_probe_leaves_the_front),
	    cmocka_unit_test(tlp_needless_probe),
	    cmocka_unit_test(tlp_prefers_new_data),
	    cmocka_unit_test(rto_marks_only_the_old),
	    cmocka_unit_test(frto_finds_a_spurious_timeout),
	    cmocka_unit_test(frto_believes_a_real_timeout),
	    cmocka_unit_test(dsack_of_all_resent_undoes),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_queue_free(&q);
	return failed;
}
