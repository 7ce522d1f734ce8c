/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.c - owns all that happens to a connection by time alone.  One wheel timer per connection
 * stands at or before the earliest of its deadlines: moving one later costs nothing, and an early
 * shot only looks again. */
#include "tcp/conn.h"

#include <errno.h>

void timer_set(struct tcp_conn *c, enum conn_timer which, ns_t when)
{
	c->due[which] = when;
	if (when < c->timer.due)
		wheel_arm(&c->tcp->wheel, &c->timer, when);
}

void timer_clear_all(struct tcp_conn *c)
{
	for (unsigned i = 0; i < TIMER_MAX; i++)
		c->due[i] = NS_NEVER;
	wheel_cancel(&c->tcp->wheel, &c->timer);
}

static ns_t user_timeout(const struct tcp_conn *c)
{
	return c->user_timeout_ms * NS_PER_MS;
}

/* SND.UNA has moved, or the first of a flight has left. */
void timer_progress(struct tcp_conn *c)
{
	c->stalled_since =
	    sent_empty(c) && c->view.snd_una == c->view.snd_nxt ? NS_NEVER : c->view.now;
	if (c->user_timeout_ms)
		timer_set(c, TIMER_USER,
			  c->stalled_since == NS_NEVER ? NS_NEVER
						       : c->stalled_since + user_timeout(c));
}

void timer_stalled(struct tcp_conn *c)
{
	c->stalled_since = c->view.now;
	if (c->user_timeout_ms)
		timer_set(c, TIMER_USER, c->stalled_since + user_timeout(c));
}

static void give_up(struct tcp_conn *c)
{
	int error = c->soft_error ? c->soft_error : ETIMEDOUT;

	count(c->tcp->counters, COUNT_conn_timeout);
	conn_reset(c, error);
}

/* SYN or SYN-ACK again, until R2 (MUST-22, MUST-23). */
static void handshake(struct tcp_conn *c)
{
	if (c->tries >= c->syn_retries) {
		give_up(c);
		return;
	}
	c->tries++;
	c->retransmits++;
	count(c->tcp->counters, COUNT_tx_retransmits);
	policy_expire(c);
	if (conn_traced(c))
		trace_wait(c);
	c->syn_due = true;
}

/* MUST-20: R2.  SHLD-17: not for data that the window no longer covers. */
static void recovery(struct tcp_conn *c)
{
	policy_timer(c);
	if (c->view.backoffs > c->retries) {
		give_up(c);
		return;
	}
	if (c->mtu_verdict)
		mss_probe_judged(c);
	mss_timed_out(c);
	if (c->view.backoffs >= R1_TIMEOUTS) /* R1: perhaps there is another way by now */
		mss_ask_route(c);
}

static void persist(struct tcp_conn *c)
{
	if (!output_window_shut(c)) {
		c->override = true; /* RFC 9293 3.8.6.2.1 (4) */
		output_run(c);
		c->override = false;
		return;
	}
	/* MUST-37: as long as the probes are answered; but not for an application that has gone */
	if (c->probes >= c->retries || (c->orphan && c->persist_shift >= c->retries)) {
		give_up(c);
		return;
	}
	c->probes++;
	if (c->persist_shift < UINT8_MAX)
		c->persist_shift++;
	output_probe(c);
}

/* What is out, or waits for a shut window, has timers and limits of its own. */
static bool is_idle(const struct tcp_conn *c)
{
	return sent_empty(c) && c->view.snd_end <= c->view.snd_una;
}

/* MUST-26: only when nothing is out and nothing came for the interval. */
static void keepalive(struct tcp_conn *c)
{
	if (!c->keepalive || !conn_synchronized(c))
		return;
	if (is_idle(c) && c->probes >= c->keep_count) {
		give_up(c);
		return;
	}
	if (is_idle(c) && c->tcp->now - c->last_received >= c->keep_idle_s * NS_PER_S) {
		c->probes++;
		output_keepalive(c);
	}
	timer_keepalive(c);
}

void timer_keepalive(struct tcp_conn *c)
{
	ns_t idle = c->probes ? c->tcp->now + c->keep_interval_s * NS_PER_S
			      : c->last_received + c->keep_idle_s * NS_PER_S;

	if (!c->keepalive || !conn_synchronized(c)) {
		timer_set(c, TIMER_KEEPALIVE, NS_NEVER);
		return;
	}
	if (idle <= c->tcp->now) /* data is out: its own timers watch the peer */
		idle = c->tcp->now + c->keep_interval_s * NS_PER_S;
	timer_set(c, TIMER_KEEPALIVE, idle);
}

static void fin_wait2(struct tcp_conn *c)
{
	if (c->state == TCP_FIN_WAIT_2)
		conn_finish(c, 0);
}

static void user(struct tcp_conn *c)
{
	give_up(c);
}

static void linger(struct tcp_conn *c)
{
	conn_reset(c, ETIMEDOUT);
}

static void output_only(struct tcp_conn *c)
{
	(void)c; /* an ACK is due, or pacing lets the next segment go: tcp_run does it */
}

static void (*const expires[TIMER_MAX])(struct tcp_conn *) = {
    [TIMER_HANDSHAKE] = handshake, [TIMER_RECOVERY] = recovery,   [TIMER_PERSIST] = persist,
    [TIMER_ACK] = output_only,     [TIMER_KEEPALIVE] = keepalive, [TIMER_FIN_WAIT2] = fin_wait2,
    [TIMER_LINGER] = linger,       [TIMER_USER] = user,           [TIMER_PACING] = output_only,
};

/* An ACK that is due leaves with the dirty list and needs no timer. */
static ns_t earliest(const struct tcp_conn *c)
{
	ns_t when = NS_NEVER;

	for (unsigned i = 0; i < TIMER_MAX; i++)
		if (c->due[i] < when && (i != TIMER_ACK || c->due[i] > c->tcp->now))
			when = c->due[i];
	return when;
}

/* True when it is that timer's time; an ACK's deadline stays until the ACK has left. */
static bool take_due(struct tcp_conn *c, unsigned which)
{
	if (c->due[which] > c->tcp->now)
		return false;
	if (which != TIMER_ACK)
		c->due[which] = NS_NEVER;
	return true;
}

/* A handshake that the peer began and did not finish is dropped without a word. */
static bool embryo_dies(const struct tcp_conn *c)
{
	return c->passive && c->due[TIMER_HANDSHAKE] <= c->tcp->now && c->tries >= c->syn_retries;
}

static void expire(struct tcp_conn *c)
{
	c->view.now = c->tcp->now;
	if (embryo_dies(c)) {
		conn_finish(c, ETIMEDOUT);
		return;
	}
	for (unsigned i = 0; i < TIMER_MAX; i++) {
		if (!take_due(c, i))
			continue;
		conn_dirty(c);
		expires[i](c);
		if (c->state == TCP_CLOSED)
			return;
	}
	wheel_arm(&c->tcp->wheel, &c->timer, earliest(c));
}

void timer_run(struct tcp *t)
{
	struct timer *tm;

	while ((tm = wheel_expired(&t->wheel, t->now)))
		expire(container_of(tm, struct tcp_conn, timer));
	time_wait_expire(t);
}
