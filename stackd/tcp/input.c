/* SPDX-License-Identifier: BSD-2-Clause */
/* input.c - SEGMENT ARRIVES: RFC 9293 3.10.7, in its order.  Owns what a segment may do to a
 * connection's state; what its ACK means is ack.c's, what its text means recv.c's. */
#include "tcp/conn.h"

#include <errno.h>

enum step { GO_ON, STOP };

/* A window field as a number of bytes; never scaled in a SYN (RFC 7323 2.2). */
static uint32_t window_of(const struct tcp_conn *c, const struct segment *s)
{
	return (uint32_t)s->window << (s->flags & SEG_SYN ? 0 : c->snd_wscale);
}

static void unwrap(const struct tcp_conn *c, struct segment *s)
{
	uint32_t first = s->seq + (s->flags & SEG_SYN ? 1 : 0);

	s->off = seq_unwrap(first, c->irs + 1, c->view.rcv_nxt);
	s->ack_off = seq_unwrap(s->ack, c->iss + 1, c->view.snd_una);
}

static void open_window(struct tcp_conn *c, const struct segment *s)
{
	c->snd_wnd = c->snd_wnd_max = window_of(c, s);
	c->view.snd_limit = c->view.snd_una + c->snd_wnd;
	c->snd_wl1 = s->off;
	c->snd_wl2 = 0;
}

static void refuse(struct tcp_conn *c, enum count_id why)
{
	count(c->tcp->counters, why);
}

/* <SEQ=SEG.ACK><CTL=RST>, for an ACK of something that was never sent */
static void reset_reply(struct tcp_conn *c, const struct segment *s)
{
	if (!(s->flags & SEG_RST))
		output_reset(c->tcp, s);
}

/* --- 3.10.7.3 SYN-SENT STATE ------------------------------------------------------------------ */

static enum tcp_outcome syn_sent(struct tcp_conn *c, struct segment *s)
{
	bool acks = s->flags & SEG_ACK;

	/* "First, check the ACK bit": SND.UNA =< SEG.ACK =< SND.NXT, and no data was sent */
	if (acks && s->ack != c->iss + 1) {
		refuse(c, COUNT_seg_bad_ack);
		reset_reply(c, s);
		return TCP_DONE;
	}
	/* "Second, check the RST bit" */
	if (s->flags & SEG_RST) {
		if (acks) {
			refuse(c, COUNT_conn_refused);
			conn_finish(c, ECONNREFUSED);
		} else {
			refuse(c, COUNT_seg_rst_out_of_window);
		}
		return TCP_DONE;
	}
	/* "Fourth, check the SYN bit" */
	if (!(s->flags & SEG_SYN)) {
		refuse(c, COUNT_seg_no_flags);
		return TCP_DONE;
	}
	c->irs = s->seq;
	unwrap(c, s);
	conn_negotiate(c, &s->opt);
	conn_negotiate_ecn(c, s->flags);
	open_window(c, s);
	if (!acks) { /* simultaneous open: MUST-10 */
		c->state = TCP_SYN_RECEIVED;
		c->syn_due = true;
		conn_dirty(c);
		return TCP_DONE;
	}
	if (!conn_establish(c)) {
		conn_reset(c, ENOBUFS);
		return TCP_DONE;
	}
	recv_ack_by(c, c->tcp->now);
	recv_urgent(c, s);
	recv_take(c, s);
	return TCP_DONE;
}

/* --- 3.10.7.4 OTHER STATES ---------------------------------------------------------------------
 */

/* RFC 7323 5.3 R1: PAWS.  Also a segment that should carry a timestamp and does not (3.2). */
static enum step check_timestamp(struct tcp_conn *c, const struct segment *s)
{
	if (!c->ts_on || (s->flags & SEG_RST))
		return GO_ON;
	if (!s->opt.has_ts) {
		refuse(c, COUNT_seg_no_timestamp);
		return STOP;
	}
	if (!seq_before(s->opt.tsval, c->ts_recent) || c->tcp->now - c->ts_recent_at > PAWS_IDLE_NS)
		return GO_ON;
	refuse(c, COUNT_seg_paws);
	if (s->len > 0 && (int64_t)(s->off + s->len - c->view.rcv_nxt) <= 0)
		recv_note_duplicate(c, s->off, s->off + s->len); /* else it may never have come */
	output_challenge(c);
	return STOP;
}

static void take_timestamp(struct tcp_conn *c, const struct segment *s)
{
	/* RFC 7323 4.3 (2): SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent */
	if (!c->ts_on || !s->opt.has_ts || (int64_t)(s->off - c->rcv_acked) > 0)
		return;
	if (seq_before(s->opt.tsval, c->ts_recent) && c->tcp->now - c->ts_recent_at <= PAWS_IDLE_NS)
		return;
	c->ts_recent = s->opt.tsval;
	c->ts_recent_at = c->tcp->now;
}

/* Table 6: is any of it in the window?  Of a RST only the number counts (RFC 5961 3.2).  A segment
 * without length may stand at the right edge, where a peer that has used up the window sends its
 * ACKs from; at a closed window the ACK, RST and URG of a probe are still taken (MUST-66). */
static bool acceptable(const struct tcp_conn *c, const struct segment *s)
{
	int64_t at = (int64_t)(s->off - c->view.rcv_nxt);
	int64_t window = (int64_t)(c->view.rcv_limit - c->view.rcv_nxt);
	int64_t len = (int64_t)s->len + (s->flags & SEG_FIN ? 1 : 0);

	if (s->flags & SEG_SYN) {
		at--;
		len++;
	}
	if (len == 0 || (s->flags & SEG_RST))
		return at >= 0 && at <= window;
	if (window <= 0)
		return at == 0;
	return at < window && at + len > 0;
}

/* Both ends have taken the byte of the other's window probe: each refuses the other's ACKs, which come
 * from the number before their own. */
static bool probes_crossed(const struct tcp_conn *c, const struct segment *s)
{
	return s->flags & SEG_ACK && s->ack_off == c->probe_end && c->probe_end > c->view.snd_nxt;
}

/* "If an incoming segment is not acceptable, an acknowledgment should be sent in reply" */
static void answer_unacceptable(struct tcp_conn *c, const struct segment *s)
{
	bool old = (int64_t)(s->off + s->len - c->view.rcv_nxt) <= 0;

	if (s->len == 0 && !(s->flags & SEG_FIN)) {
		refuse(c, COUNT_seg_out_of_window);
		if (probes_crossed(c, s))
			output_ack_from_probe(c);
		else
			output_challenge(c); /* limited: two ends can't keep each other busy */
		return;
	}
	refuse(c, old ? COUNT_seg_duplicate : COUNT_seg_out_of_window);
	if (old && s->len > 0 && c->plugins_open) {
		struct sp_seg seg = {.size = sizeof(seg),
				     .off = s->off,
				     .len = s->len,
				     .duplicate = true,
				     .push = s->flags & SEG_PSH,
				     .fin = s->flags & SEG_FIN};

		/* our ACK was lost: what the next one echoes must not date from before the resend
		 */
		if (c->view.rcv_nxt - s->off <= c->rcv_buffer_max)
			take_timestamp(c, s);
		recv_note_duplicate(c, s->off, s->off + s->len);
		policy_data(c, &seg);
	}
	recv_ack_by(c, c->tcp->now);
}

/* "First, check sequence number" */
static enum step check_sequence(struct tcp_conn *c, const struct segment *s)
{
	if (check_timestamp(c, s) == STOP)
		return STOP;
	if (acceptable(c, s))
		return GO_ON;
	if (s->flags & SEG_RST)
		refuse(c, COUNT_seg_rst_out_of_window);
	else
		answer_unacceptable(c, s);
	return STOP;
}

/* MUST-12.  SYN-RECEIVED remembers where it came from: back to LISTEN, or refused (MUST-11).  With
 * both FINs sent and all data acknowledged a RST takes nothing away. */
static int reset_error(const struct tcp_conn *c)
{
	switch (c->state) {
	case TCP_SYN_RECEIVED:
		return ECONNREFUSED;
	case TCP_CLOSE_WAIT:
		return EPIPE;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return c->view.snd_una >= c->tx_tail ? 0 : ECONNRESET;
	default:
		return ECONNRESET;
	}
}

/* "Second, check the RST bit", with RFC 5961 3.2 */
static enum step check_reset(struct tcp_conn *c, const struct segment *s)
{
	if (!(s->flags & SEG_RST))
		return GO_ON;
	if (s->off - (s->flags & SEG_SYN ? 1 : 0) != c->view.rcv_nxt) {
		refuse(c, COUNT_seg_rst_challenged);
		output_challenge(c);
		return STOP;
	}
	refuse(c, COUNT_conn_reset_rx);
	conn_finish(c, reset_error(c));
	return STOP;
}

/* "Fourth, check the SYN bit", with RFC 5961 4.2, in SYN-RECEIVED too: a peer that has really begun
 * anew answers the challenge with a RST. */
static enum step check_syn(struct tcp_conn *c, const struct segment *s)
{
	if (!(s->flags & SEG_SYN))
		return GO_ON;
	refuse(c, COUNT_seg_syn_challenged);
	output_challenge(c);
	return STOP;
}

/* The peer's SYN again in SYN-RECEIVED: our SYN-ACK was lost, or this is the SYN-ACK of a
 * simultaneous open, which completes it as a plain ACK would. */
static enum step take_resent_syn(struct tcp_conn *c, struct segment *s)
{
	if (c->state != TCP_SYN_RECEIVED || !(s->flags & SEG_SYN) || s->seq != c->irs ||
	    (s->flags & SEG_RST))
		return GO_ON;
	if (s->flags & SEG_ACK) {
		s->seq++;
		s->flags &= (uint8_t)~SEG_SYN;
		return GO_ON;
	}
	c->syn_due = true;
	conn_dirty(c);
	return STOP;
}

/* "Fifth, check the ACK field": SYN-RECEIVED STATE */
static enum step check_handshake(struct tcp_conn *c, const struct segment *s,
				 enum tcp_outcome *outcome)
{
	if (c->state != TCP_SYN_RECEIVED)
		return GO_ON;
	if (s->ack_off != 0) {
		refuse(c, COUNT_seg_bad_ack);
		reset_reply(c, s);
		return STOP;
	}
	if (c->passive && !c->rx.mem) {
		if (c->buffers_asked)
			refuse(c, COUNT_listen_no_buffers);
		c->buffers_asked = true;
		*outcome = TCP_NEEDS_BUFFERS;
		return STOP;
	}
	if (!conn_establish(c)) {
		conn_reset(c, ENOBUFS);
		return STOP;
	}
	open_window(c, s);
	return GO_ON;
}

/* "Fifth, check the ACK field", with RFC 5961 5.2: not above what was sent, not too far below */
static enum step check_ack(struct tcp_conn *c, const struct segment *s)
{
	uint64_t sent = c->probe_end > c->view.snd_nxt ? c->probe_end : c->view.snd_nxt;
	int64_t above = (int64_t)(s->ack_off - sent);
	int64_t below = (int64_t)(c->view.snd_una - s->ack_off);

	if (above <= 0 && below <= (int64_t)c->snd_wnd_max) {
		ack_process(c, s);
		return GO_ON;
	}
	refuse(c, COUNT_seg_bad_ack);
	output_challenge(c);
	return STOP;
}

/* Is our FIN acknowledged, and what does that change?  STOP: the connection has ended. */
static enum step check_fin_acked(struct tcp_conn *c)
{
	if (!c->fin_sent || c->view.snd_una != c->view.snd_end)
		return GO_ON;
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		if (c->orphan)
			timer_set(c, TIMER_FIN_WAIT2, c->tcp->now + conn_fin_wait2_ns(c));
		return GO_ON;
	case TCP_CLOSING:
		conn_time_wait(c);
		return STOP;
	case TCP_LAST_ACK:
		conn_finish(c, 0);
		return STOP;
	default:
		return GO_ON;
	}
}

/* "If the RCV user has gone": data that nobody will read is answered with a RST (SHLD-3) */
static enum step check_reader(struct tcp_conn *c, const struct segment *s)
{
	if (!c->orphan || s->len == 0 || (int64_t)(s->off + s->len - c->view.rcv_nxt) <= 0)
		return GO_ON;
	refuse(c, COUNT_seg_after_close);
	conn_reset(c, ECONNRESET);
	return STOP;
}

static enum tcp_outcome arrives(struct tcp_conn *c, struct segment *s)
{
	enum tcp_outcome outcome = TCP_DONE;

	if (take_resent_syn(c, s) == STOP)
		return outcome;
	unwrap(c, s);
	if (check_sequence(c, s) == STOP) /* first */
		return outcome;
	if (check_reset(c, s) == STOP) /* second; third, security: none */
		return outcome;
	if (check_syn(c, s) == STOP) /* fourth */
		return outcome;
	if (!(s->flags & SEG_ACK)) { /* fifth */
		refuse(c, COUNT_seg_no_ack);
		return outcome;
	}
	if (check_handshake(c, s, &outcome) == STOP)
		return outcome;
	take_timestamp(c, s);
	if (check_ack(c, s) == STOP || check_fin_acked(c) == STOP)
		return outcome;
	if (check_reader(c, s) == STOP)
		return outcome;
	recv_urgent(c, s); /* sixth */
	recv_take(c, s);   /* seventh and eighth */
	return outcome;
}

enum tcp_outcome input_segment(struct tcp_conn *c, struct segment *s)
{
	uint32_t segments =
	    s->net->gso_size ? (s->len + s->net->gso_size - 1) / s->net->gso_size : 1;

	c->view.now = c->last_received = c->tcp->now;
	c->segs_in += segments;
	if (s->len > 0)
		c->data_segs_in += segments;
	c->probes = 0;
	return c->state == TCP_SYN_SENT ? syn_sent(c, s) : arrives(c, s);
}
