/* SPDX-License-Identifier: BSD-2-Clause */
/* matrix_loss.c - when and how a loss is answered, what recovery sends, what a time-out leaves. */
#include "matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 5681 4: what is out when a loss is answered, as the sample before has it. */
static uint64_t flight_size(const struct sample *x)
{
	return x->nxt - x->una < x->cwnd ? x->nxt - x->una : x->cwnd;
}

/* The first sample with this RTO or more, from a time on. */
static const struct sample *backed_off(const struct path *p, ns_t from, ns_t rto)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (p->sample[i].at >= from && p->sample[i].rto >= rto)
			return &p->sample[i];
	fail_msg("the RTO does not reach %llu ns", (unsigned long long)rto);
	return NULL;
}

/* --- the answer ---------------------------------------------------------------------------------
 */

/* --- the answer to a loss -----------------------------------------------------------------------
 */

/* When the loss is answered: with the ACKs of what left together with it, by the timer of the lost
 * segment (sr), or by the timer that the ACK before it has started again (RFC 6298 5.3). */
static ns_t answered_at(const struct cell *c, const struct path *p)
{
	return p->lost_at + (is(c->recovery, "gbn")  ? RTT + RTO
			     : is(c->recovery, "sr") ? RTO
						     : RTT);
}

void check_answer(const struct cell *c)
{
	struct path p = {0};
	const struct sample *x;

	open_with_loss(&p, c);
	path_run(&p, NS_PER_S);
	x = decrease(&p);
	assert_non_null(x);
	within(c, "the time of the answer", (double)x->at, (double)answered_at(c, &p), 1e6);
	equal(c, "the time of the resend", p.again_at, x->at);
	within(c, "ssthresh", (double)x->ssthresh, beta(c) * (double)flight_size(x - 1), MSS);
	equal(c, "RTO", x->rto, waits_for_timer(c) ? 2 * RTO : RTO);
	if (waits_for_timer(c))
		equal(c, "cwnd", x->cwnd, MSS);
	else if (!has_sack(c)) /* RFC 5681 3.2 (3) without what the duplicates add */
		equal(c, "cwnd", x->cwnd, x->ssthresh);
	else if (x->cwnd > x[-1].cwnd)
		fail_msg("%s with %s: the loss makes cwnd larger", c->cc, c->recovery);
	path_close(&p);
}

/* A window that no loss moves: the time and the RTO are left. */
void check_answer_of_fixed(const struct cell *c)
{
	struct path p = {0};

	open_with_loss(&p, c);
	path_run(&p, 3 * NS_PER_S);
	within(c, "the time of the resend", (double)p.again_at, (double)answered_at(c, &p), 1e6);
	for (uint32_t i = 0; i < p.count; i++) {
		equal(c, "cwnd", p.sample[i].cwnd, IW * MSS);
		equal(c, "ssthresh", p.sample[i].ssthresh, UINT64_MAX);
	}
	equal(c, "RTO", at(&p, p.again_at)->rto, waits_for_timer(c) ? 2 * RTO : RTO);
	path_close(&p);
}

/* No ssthresh: one segment beyond what is still out, or one alone after a time-out. */
void check_answer_of_bbr(const struct cell *c)
{
	struct path p = {0};
	const struct sample *x;

	open_with_loss(&p, c);
	path_run(&p, 1500 * NS_PER_MS);
	assert_true(p.again_at > p.lost_at + RTT / 2);
	x = at(&p, p.again_at);
	equal(c, "ssthresh", x->ssthresh, UINT64_MAX);
	if (waits_for_timer(c)) {
		within(c, "the time of the resend", (double)p.again_at, (double)answered_at(c, &p),
		       30e6);
		equal(c, "cwnd", x->cwnd, MSS);
		equal(c, "RTO", x->rto, 2 * RTO);
	} else {
		equal(c, "cwnd", x->cwnd, x->flight + MSS);
	}
	path_close(&p);
}

/* --- recovery ------------------------------------------------------------------------------------
 */

/* One hole is repaired in a round trip; what else was out is acknowledged with it. */
static void repaired_in_time(const struct cell *c, const struct path *p)
{
	uint64_t hole = (uint64_t)(LOSS - 1) * MSS;

	within(c, "what is acknowledged before the repair",
	       (double)at(p, p->again_at + RTT - NS_PER_MS)->una, (double)hole, 0);
	assert_true(at(p, p->again_at + RTT + NS_PER_MS)->una > hole + MSS);
}

/* New data in recovery.  SACK: all that is sent is to what arrives as ssthresh to the flight
 * (RFC 6937).  reno: duplicates inflate the window by one segment each, all but the lost one's
 * (RFC 5681 3.2).  textbook: no inflation, and a flight above ssthresh lets nothing out. */
static double new_data(const struct cell *c, uint64_t flight, uint64_t ssthresh)
{
	if (has_sack(c))
		return (double)ssthresh - MSS;
	if (is(c->recovery, "reno"))
		return (double)ssthresh + (double)flight - MSS - (double)flight;
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void check_recovery(const struct cell *c)
{
	struct path p = {0};
	const struct sample *begin, *end;
	uint64_t flight, out;

	open_with_loss(&p, c);
	path_run(&p, NS_PER_S);
	begin = decrease(&p);
	assert_non_null(begin);
	end = recovered(&p, begin);
	out = end[-1].nxt - end->una;
	repaired_in_time(c, &p);
	flight = begin[-1].nxt - begin[-1].una;
	within(c, "new data in recovery", (double)(end[-1].nxt - begin[-1].nxt),
	       new_data(c, flight, begin->ssthresh), 3 * MSS);
	for (const struct sample *x = begin; x < end; x++) {
		equal(c, "ssthresh", x->ssthresh, begin->ssthresh);
		equal(c, "RTO", x->rto, RTO);
		if (!has_sack(c))
			equal(c, "cwnd", x->cwnd, x->ssthresh);
		if (has_sack(c) && x->flight > x->cwnd + MSS)
			fail_msg("%s with %s: pipe above cwnd", c->cc, c->recovery);
	}
	if (has_sack(c)) /* RFC 6937: it ends on ssthresh, and growth begins */
		within(c, "cwnd after it", (double)end->cwnd, (double)end->ssthresh, MSS);
	else { /* RFC 6582 3.2 (3) option 1: no burst; then the ACK counts as any (RFC 3465) */
		uint64_t option = least(end->ssthresh, (out > MSS ? out : MSS) + MSS);

		within(c, "cwnd after it", (double)end->cwnd,
		       (double)least(end->ssthresh, option + 2 * MSS),
		       is(c->recovery, "reno") ? 2 * MSS : 0);
	}
	path_close(&p);
}

void check_recovery_of_fixed(const struct cell *c)
{
	struct path p = {0};

	open_with_loss(&p, c);
	path_run(&p, 3 * NS_PER_S);
	repaired_in_time(c, &p);
	for (uint32_t i = 0; i < p.count; i++) {
		equal(c, "cwnd", p.sample[i].cwnd, IW * MSS);
		equal(c, "RTO", p.sample[i].at < p.sample[0].at + 2 * RTT ? RTO : p.sample[i].rto,
		      RTO);
		/* the resend is forced out of a full window; reno's pipe is less by the duplicates,
		 * of the window and of limited transmit */
		if (p.sample[i].flight > (is(c->recovery, "reno") ? 2 * IW + 2 : IW + 1) * MSS)
			fail_msg("fixed with %s: %llu out", c->recovery,
				 (unsigned long long)p.sample[i].flight);
	}
	path_close(&p);
}

/* Conservation for a round: what is sent is no more than what arrives; then the window from
 * before. */
void check_recovery_of_bbr(const struct cell *c)
{
	struct path p = {0};
	const struct sample *begin, *end;
	uint64_t delivered;

	p.drop_from = 5000;
	p.drop_to = 5001;
	open_cell(&p, c, "", LINK_BPS, 100u << 20);
	path_run(&p, 6 * NS_PER_S);
	assert_true(p.again_at != 0);
	for (begin = first_after(&p, p.again_at - RTT / 2); !begin->recovering;)
		begin++;
	end = recovered(&p, begin);
	assert_string_equal(begin->mode, "probe_bw");
	within(c, "the time of recovery", (double)(end->at - begin->at), RTT, 30e6);
	for (const struct sample *x = begin; x < end; x++) {
		if (!is(c->recovery, "reno") && x->flight > begin[-1].flight + 2 * MSS)
			fail_msg("bbr with %s: %llu out in recovery, %llu before", c->recovery,
				 (unsigned long long)x->flight,
				 (unsigned long long)begin[-1].flight);
		near("the pace in recovery", (double)x->pacing / x->rate, 1, 0.27);
	}
	delivered = end->una - begin->una;
	assert_true(end->nxt - begin->nxt <= delivered + MSS);
	within(c, "cwnd after it", (double)end->cwnd, 2 * BDP + 3 * MSS, 0.05 * BDP);
	path_close(&p);
}

/* --- time-out ------------------------------------------------------------------------------------
 */

/* All that is out is lost, and the first resend; textbook, which resends one segment for each
 * time-out, loses one and all ACKs. */
static void black_out(const struct cell *c, struct path *p, bool on)
{
	if (is(c->recovery, "textbook"))
		p->deaf = on;
	else
		p->dead = on;
}

/* The last progress, and what is lost from then on. */
static ns_t open_black_out(struct path *p, const struct cell *c)
{
	ns_t progress = 0;

	open_cell(p, c, "", 0, 100u << 20);
	path_run(p, ONE_WAY + RTT);
	path_run(p, p->sample[0].at + 4 * RTT + RTT / 4 - p->w.now);
	black_out(c, p, true);
	path_run(p, RTT + RTT / 2);
	for (uint32_t i = 1; i < p->count; i++)
		if (p->sample[i].una > p->sample[i - 1].una)
			progress = p->sample[i].at;
	return progress;
}

/* Four segments at least once there is an ACK, then what is delivered is added.  textbook's first
 * ACK covers everything, which brings the window of before back.  With sr others than the first
 * expire meanwhile, as they had left at bbr's pace; they arrive, and count. */
static void bbr_after(const struct cell *c, unsigned round, uint64_t cwnd, uint64_t before)
{
	if (is(c->recovery, "sr"))
		return;
	if (is(c->recovery, "textbook") && round > 0)
		assert_true(cwnd >= before);
	else
		equal(c, "cwnd after it", cwnd, (uint64_t)MSS << (round ? round + 1 : 0));
}

/* RFC 6298 5.3 to 5.6: from the last progress, doubled each time.  racktlp probes the tail after
 * 2 SRTT, and the RTO counts from there (RFC 8985 7.3).  The window: one segment, ssthresh once
 * (RFC 5681 3.1), then slow start by one segment for each ACK (RFC 3465 2.3). */
static void time_out_of(const struct cell *c, bool loss_based)
{
	struct path p = {0};
	const struct sample *one, *two;
	ns_t expiry = open_black_out(&p, c) + RTO + (is(c->recovery, "racktlp") ? 2 * RTT : 0);
	uint64_t size = at(&p, p.w.now)->cwnd;

	if (is(c->recovery, "sr"))
		expiry = p.lost_at + RTO; /* a timer for each segment */
	path_run(&p, expiry + RTO - p.w.now);
	black_out(c, &p, false);
	path_run(&p, 10 * RTT);
	one = backed_off(&p, expiry - RTT, 2 * RTO);
	two = backed_off(&p, expiry, 4 * RTO);
	within(c, "the time-out", (double)one->at, (double)expiry, 1e6);
	within(c, "the second", (double)two->at, (double)(one->at + 2 * RTO), 1e6);
	equal(c, "RTO after progress", at(&p, two->at + RTT + RTT / 2)->rto, RTO);
	if (loss_based) {
		within(c, "ssthresh", (double)one->ssthresh, beta(c) * (double)size, MSS);
		equal(c, "ssthresh of the second", two->ssthresh, one->ssthresh);
		equal(c, "cwnd", one->cwnd, MSS);
	}
	if (is(c->cc, "bbr"))
		equal(c, "cwnd", one->cwnd, MSS);
	for (unsigned round = 0; round < 5; round++) {
		uint64_t cwnd = at(&p, two->at + round * RTT + RTT / 2)->cwnd;

		if (is(c->cc, "fixed"))
			equal(c, "cwnd after it", cwnd, IW * MSS);
		else if (!is(c->cc, "bbr"))
			equal(c, "cwnd after it", cwnd, (uint64_t)MSS << round);
		else
			bbr_after(c, round, cwnd, size);
	}
	path_close(&p);
}

void check_time_out(const struct cell *c)
{
	time_out_of(c, !is(c->cc, "fixed") && !is(c->cc, "bbr"));
}
