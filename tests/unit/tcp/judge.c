/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge.h"

#include <errno.h>

#include "tcp/segment.h"

/* a - b; exactly 2^31 apart counts as behind: the RFC leaves it open */
static int32_t ahead(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t control(const struct judge_segment *s)
{
	return (s->flags & SEG_SYN ? 1u : 0u) + (s->flags & SEG_FIN ? 1u : 0u);
}

static void acknowledge(struct judge_verdict *v)
{
	v->reply = REPLY_ACK;
	v->seq = v->after.snd_nxt;
	v->ack = v->after.rcv_nxt;
}

static void refuse(struct judge_verdict *v, enum count_id why)
{
	v->why = why;
}

/* <SEQ=SEG.ACK><CTL=RST>, never for a RST */
static void reset(struct judge_verdict *v, const struct judge_segment *s)
{
	if (s->flags & SEG_RST)
		return;
	v->reply = REPLY_RST;
	v->seq = s->ack;
}

/* "Delete the TCB": with a passive open that is the state LISTEN */
static void end(struct judge_verdict *v, int error)
{
	v->after.state = v->after.listening ? TCP_LISTEN : TCP_CLOSED;
	v->error = error;
}

/* --- 3.10.7.1 CLOSED, 3.10.7.2 LISTEN -------------------------------------------------------- */

static void closed(struct judge_verdict *v, const struct judge_segment *s)
{
	refuse(v, s->flags & SEG_RST ? COUNT_seg_rst_no_connection : COUNT_seg_no_connection);
	if (s->flags & (SEG_RST | SEG_ACK)) {
		reset(v, s);
		return;
	}
	v->reply = REPLY_RST_ACK;
	v->seq = 0;
	v->ack = s->seq + s->len + control(s);
}

/* Text of a SYN is left to be sent again.  SYN with FIN is no way to begin (choice). */
static void listening(struct judge_verdict *v, const struct judge_segment *s)
{
	if (s->flags & (SEG_RST | SEG_ACK)) {
		closed(v, s);
		return;
	}
	if ((s->flags & (SEG_SYN | SEG_FIN)) != SEG_SYN) {
		refuse(v, COUNT_seg_no_flags);
		return;
	}
	v->after.state = TCP_SYN_RECEIVED;
	v->after.irs = s->seq;
	v->after.rcv_nxt = s->seq + 1;
	v->reply = REPLY_SYN_ACK;
	v->any_seq = true;
	v->ack = v->after.rcv_nxt;
}

/* --- 3.10.7.4, sixth to eighth --------------------------------------------------------------- */

static bool takes_text(const struct judge_end *e)
{
	return e->state == TCP_ESTABLISHED || e->state == TCP_FIN_WAIT_1 ||
	       e->state == TCP_FIN_WAIT_2;
}

static void take_fin(struct judge_end *e)
{
	e->rcv_nxt++;
	if (e->state == TCP_ESTABLISHED)
		e->state = TCP_CLOSE_WAIT;
	else if (e->state == TCP_FIN_WAIT_1)
		e->state = TCP_CLOSING;
	else
		e->state = TCP_TIME_WAIT;
}

/* Text up to the edge of the window; a FIN needs no room of its own (choice). */
static void take_text(struct judge_verdict *v, const struct judge_segment *s)
{
	struct judge_end *e = &v->after;
	uint32_t begin = ahead(s->seq, e->rcv_nxt) > 0 ? s->seq : e->rcv_nxt;
	uint32_t edge = e->rcv_nxt + e->rcv_wnd, to = s->seq + s->len;
	bool fin = s->flags & SEG_FIN;

	if (s->len == 0 && !fin)
		return;
	if (!takes_text(
		e)) { /* "Ignore the segment text"; that it was heard, it is told (choice) */
		refuse(v, COUNT_seg_after_fin);
		acknowledge(v);
		return;
	}
	if (ahead(to, edge) > 0) {
		refuse(v, COUNT_seg_no_room);
		to = edge;
		fin = false;
	}
	v->kept = begin;
	v->kept_len = to - begin;
	if (begin == e->rcv_nxt) {
		e->rcv_nxt = to;
		if (fin)
			take_fin(e);
	}
	acknowledge(v);
}

static void take_urgent(struct judge_verdict *v, const struct judge_segment *s)
{
	v->urgent = (s->flags & SEG_URG) && takes_text(&v->after) &&
		    ahead(s->seq + s->urgent, v->after.read) > 0;
}

/* --- 3.10.7.3 SYN-SENT ----------------------------------------------------------------------- */

static void syn_sent(struct judge_verdict *v, const struct judge_segment *s)
{
	struct judge_segment rest = *s;
	struct judge_end *e = &v->after;
	bool acks = s->flags & SEG_ACK;

	if (acks && s->ack != e->snd_nxt) { /* "First, check the ACK bit" */
		refuse(v, COUNT_seg_bad_ack);
		reset(v, s);
	} else if (s->flags & SEG_RST) { /* "Second, check the RST bit" */
		refuse(v, acks ? COUNT_conn_refused : COUNT_seg_rst_out_of_window);
		if (acks)
			end(v, ECONNREFUSED);
	} else if (!(s->flags & SEG_SYN)) { /* "Fifth, if neither of the SYN or RST bits is set" */
		refuse(v, COUNT_seg_no_flags);
	} else {
		e->irs = s->seq;
		e->rcv_nxt = e->read = s->seq + 1;
		e->state = acks ? TCP_ESTABLISHED : TCP_SYN_RECEIVED;
		if (!acks) { /* its text is left to be sent again */
			v->reply = REPLY_SYN_ACK;
			v->seq = e->iss;
			v->ack = e->rcv_nxt;
			return;
		}
		e->snd_una = s->ack;
		rest.seq++;
		take_urgent(v, &rest);
		take_text(v, &rest);
		acknowledge(v);
	}
}

/* --- TIME-WAIT: it keeps a few numbers, no window (choice) --------------------------------------
 */

static void time_wait(struct judge_verdict *v, const struct judge_segment *s)
{
	const struct judge_end *e = &v->after;

	if (s->flags & SEG_RST) { /* RFC 1337 (choice) */
		refuse(v, COUNT_seg_rst_no_connection);
	} else if ((s->flags & (SEG_SYN | SEG_ACK | SEG_FIN)) == SEG_SYN &&
		   ahead(e->rcv_nxt, s->seq) < 0) { /* MAY-2 */
		v->after.state = e->listening ? TCP_LISTEN : TCP_CLOSED;
		if (e->listening)
			listening(v, s);
		else
			closed(v, s);
	} else if (s->len > 0 || control(s) > 0 || s->seq != e->rcv_nxt) {
		acknowledge(v);
	}
}

/* --- 3.10.7.4 OTHER STATES ------------------------------------------------------------------- */

/* Table 6.  Of a RST only the number counts (RFC 5961 3.2).  What has no length may stand at the
 * right edge, where a peer that has used up the window sends from (choice); at a shut window the
 * ACK, URG or RST of a segment at RCV.NXT is taken all the same (MUST-66). */
static bool acceptable(const struct judge_end *e, const struct judge_segment *s)
{
	int64_t at = ahead(s->seq, e->rcv_nxt), window = e->rcv_wnd, len = s->len + control(s);

	if (len == 0 || (s->flags & SEG_RST))
		return at >= 0 && at <= window;
	if (window == 0)
		return at == 0;
	return at < window && at + len > 0;
}

static void unacceptable(struct judge_verdict *v, const struct judge_segment *s)
{
	uint32_t to = s->seq + s->len + (s->flags & SEG_SYN ? 1 : 0);
	bool known = ahead(to, v->after.rcv_nxt) <= 0;

	if (s->flags & SEG_RST) {
		refuse(v, COUNT_seg_rst_out_of_window);
		return;
	}
	refuse(v, known && (s->len > 0 || (s->flags & SEG_FIN)) ? COUNT_seg_duplicate
								: COUNT_seg_out_of_window);
	acknowledge(v);
}

/* "Second, check the RST bit", by RFC 5961 3.2 */
static void take_reset(struct judge_verdict *v, const struct judge_segment *s)
{
	const struct judge_end *e = &v->after;
	enum tcp_state was = e->state;

	if (s->seq != e->rcv_nxt) {
		refuse(v, COUNT_seg_rst_challenged);
		acknowledge(v);
		return;
	}
	refuse(v, COUNT_conn_reset_rx);
	if (was == TCP_SYN_RECEIVED)
		end(v, e->passive ? 0 : ECONNREFUSED);
	else if (was == TCP_CLOSE_WAIT)
		end(v, EPIPE);
	else /* CLOSING, LAST-ACK: "enter the CLOSED state", unless data was lost */
		end(v, (was == TCP_CLOSING || was == TCP_LAST_ACK) && e->snd_nxt - e->snd_una <= 1
			   ? 0
			   : ECONNRESET);
}

/* "Fourth, check the SYN bit": RFC 5961 4.2, also where a passive open would be "returned to the
 * LISTEN state" (choice) */
static void take_syn(struct judge_verdict *v)
{
	refuse(v, COUNT_seg_syn_challenged);
	acknowledge(v);
}

/* "Fifth, check the ACK field".  False: that was all. */
static bool take_ack(struct judge_verdict *v, const struct judge_segment *s)
{
	struct judge_end *e = &v->after;
	uint32_t lowest;

	if (e->state == TCP_SYN_RECEIVED) {
		if (s->ack != e->snd_nxt) {
			refuse(v, COUNT_seg_bad_ack);
			reset(v, s);
			return false;
		}
		e->state = TCP_ESTABLISHED;
	}
	lowest = e->snd_una - e->snd_wnd_max; /* RFC 5961 5.2 */
	if (s->ack - lowest > e->snd_nxt - lowest) {
		refuse(v, COUNT_seg_bad_ack);
		acknowledge(v);
		return false;
	}
	if (ahead(s->ack, e->snd_una) > 0)
		e->snd_una = s->ack;
	if (!e->fin_sent || e->snd_una != e->snd_nxt)
		return true;
	if (e->state == TCP_FIN_WAIT_1)
		e->state = TCP_FIN_WAIT_2;
	else if (e->state == TCP_CLOSING)
		e->state = TCP_TIME_WAIT;
	else if (e->state == TCP_LAST_ACK)
		end(v, 0);
	return e->state == TCP_FIN_WAIT_2;
}

/* Our SYN-ACK was lost, and the peer's SYN comes again: SYN-ACK again, though an ACK would do by
 * the letter (choice).  Its SYN-ACK in a simultaneous open acknowledges our SYN: figure 7. */
static bool resent_syn(struct judge_verdict *v, struct judge_segment *s)
{
	const struct judge_end *e = &v->after;

	if (e->state != TCP_SYN_RECEIVED || (s->flags & (SEG_SYN | SEG_RST)) != SEG_SYN ||
	    s->seq != e->irs)
		return false;
	if (s->flags & SEG_ACK) {
		s->flags &= (uint8_t)~SEG_SYN;
		s->seq++;
		return false;
	}
	v->reply = REPLY_SYN_ACK;
	v->seq = e->iss;
	v->ack = e->rcv_nxt;
	return true;
}

static void synchronized(struct judge_verdict *v, struct judge_segment s)
{
	struct judge_end *e = &v->after;

	if (resent_syn(v, &s))
		return;
	if (!acceptable(e, &s)) {
		unacceptable(v, &s);
	} else if (s.flags & SEG_RST) {
		take_reset(v, &s);
	} else if (s.flags & SEG_SYN) {
		take_syn(v);
	} else if (!(s.flags & SEG_ACK)) {
		refuse(v, COUNT_seg_no_ack);
	} else if (take_ack(v, &s)) {
		if (e->orphan && s.len > 0 && ahead(s.seq + s.len, e->rcv_nxt) > 0) { /* SHLD-3 */
			refuse(v, COUNT_seg_after_close);
			acknowledge(v);
			v->reply = REPLY_RST_ACK;
			end(v, ECONNRESET);
			return;
		}
		take_urgent(v, &s);
		take_text(v, &s);
	}
}

struct judge_verdict judge(const struct judge_end *e, const struct judge_segment *s)
{
	struct judge_verdict v = {.after = *e, .why = COUNT_MAX};

	switch (e->state) {
	case TCP_CLOSED:
		closed(&v, s);
		break;
	case TCP_LISTEN:
		listening(&v, s);
		break;
	case TCP_SYN_SENT:
		syn_sent(&v, s);
		break;
	case TCP_TIME_WAIT:
		time_wait(&v, s);
		break;
	default:
		synchronized(&v, *s);
	}
	return v;
}
