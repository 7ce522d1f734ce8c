/* SPDX-License-Identifier: BSD-2-Clause */
/* test_keys.c - each key of [tcp] changes what a connection does: a row for each value, and no key
 * without a row. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipped.h"
#include "talk.h"
#include "tcp/segment.h"

static void set(struct talk *t, const char *name, const char *value)
{
	char error[KEY_ERROR_MAX];

	if (key_set(key_find(tcp_keys, name), &t->profile.knobs, value, error) < 0)
		fail_msg("%s = %s: %s", name, value, error);
}

/* What has left, and the last of it. */
struct left {
	unsigned segments, texts; /* texts: with data */
	struct segment last;
	uint8_t tos, ttl;
};

static struct left drain(struct talk *t)
{
	struct left l = {0};
	struct fake_packet *p;
	enum count_id why;

	while ((p = fake_net_take(&t->net))) {
		struct net_segment in = fake_segment(p);

		assert_true(segment_parse(&in, &l.last, &why));
		l.segments++;
		l.texts += l.last.len > 0;
		l.tos = p->tos;
		l.ttl = p->ttl;
		free(p);
	}
	return l;
}

static void begin_open(struct talk *t)
{
	talk_begin(t);
	talk_open_passive(t, "");
}

static void send_lone(struct talk *t, uint32_t len)
{
	talk_send(t, len);
	drain(t);
}

/* Sends and acknowledges `n` full segments, one after the other's ACK. */
static void exchange(struct talk *t, unsigned n)
{
	char s[64];

	while (n-- > 0) {
		talk_send(t, 1460);
		drain(t);
		snprintf(s, sizeof(s), ". 1:1(0) ack %u", (unsigned)t->queued + 1);
		talk_inject(t, s);
	}
}

/* --- what one looks at: each gets a talk whose knobs are set, before talk_begin --------------- */

static struct left syn(struct talk *t)
{
	talk_begin(t);
	talk_connect(t);
	return drain(t);
}

static uint64_t syn_mss(struct talk *t)
{
	return syn(t).last.opt.mss;
}

static uint64_t syn_wscale(struct talk *t)
{
	return syn(t).last.opt.wscale;
}

static uint64_t syn_timestamp(struct talk *t)
{
	return syn(t).last.opt.has_ts;
}

static uint64_t syn_sack(struct talk *t)
{
	t->profile.recovery.use[0].plugin = &plain_sack;
	return syn(t).last.opt.sack_permitted;
}

static uint64_t syn_ecn(struct talk *t)
{
	t->profile.cc.use[0].plugin = &plain_ecn;
	return syn(t).last.flags;
}

static uint64_t syn_window(struct talk *t)
{
	return syn(t).last.window;
}

static uint64_t syn_ttl(struct talk *t)
{
	return syn(t).ttl;
}

static uint64_t syn_tos(struct talk *t)
{
	return syn(t).tos;
}

static uint64_t duplicate_reported(struct talk *t)
{
	t->profile.recovery.use[0].plugin = &plain_sack;
	talk_begin(t);
	talk_open_passive(t, "sackOK");
	talk_inject(t, "P. 1:101(100) ack 1");
	talk_inject(t, "P. 1:101(100) ack 1");
	return drain(t).last.opt.sack_count;
}

static uint64_t first_flight(struct talk *t)
{
	t->profile.cc.use[0] = shipped_named(SP_CC, "newreno");
	begin_open(t);
	talk_send(t, 40000);
	return drain(t).texts;
}

static uint64_t send_limit(struct talk *t)
{
	begin_open(t);
	return tcp_send_limit(t->conn, 32768);
}

/* Of a buffer that would be 64 KB in the end. */
static uint64_t send_limit_grown(struct talk *t)
{
	t->profile.knobs.send_buffer_start = 4096;
	begin_open(t);
	return tcp_send_limit(t->conn, 1u << 20);
}

static void three_syns(struct talk *t)
{
	talk_begin(t);
	talk_listen(t, 16);
	for (int i = 0; i < 3; i++) {
		t->peer_port++;
		talk_inject(t, "S 0:0(0) <mss 1460>");
	}
}

static uint64_t handshakes(struct talk *t)
{
	struct tcp_listener_info info;

	three_syns(t);
	tcp_listener_info(t->listener, &info);
	return info.handshakes;
}

static uint64_t cookies(struct talk *t)
{
	t->profile.knobs.syn_backlog = 1;
	three_syns(t);
	return t->counters.n[COUNT_syn_cookie_sent];
}

static uint64_t syns(struct talk *t)
{
	talk_begin(t);
	talk_connect(t);
	talk_after(t, 600 * NS_PER_S);
	assert_true(t->closed);
	return drain(t).segments;
}

static uint64_t synacks(struct talk *t)
{
	talk_begin(t);
	talk_listen(t, 1);
	talk_inject(t, "S 0:0(0) <mss 1460>");
	talk_after(t, 600 * NS_PER_S);
	return drain(t).segments;
}

static uint64_t sent_in_vain(struct talk *t)
{
	begin_open(t);
	talk_send(t, 100);
	talk_after(t, 600 * NS_PER_S);
	assert_true(t->closed);
	return drain(t).texts;
}

/* TIME-WAIT records 30 s after the end. */
static uint64_t remembered(struct talk *t)
{
	uint64_t cursor = 0, n = 0;
	struct tcp_conn *c;
	struct tcp_info info;

	begin_open(t);
	tcp_close(t->conn, false, NS_NEVER);
	talk_run(t);
	talk_inject(t, "F. 1:1(0) ack 2");
	assert_true(t->closed);
	talk_after(t, 30 * NS_PER_S);
	while (tcp_next_conn(t->tcp, &cursor, &c, &info, t->now))
		n++;
	return n;
}

static uint64_t orphan_gone(struct talk *t)
{
	begin_open(t);
	tcp_close(t->conn, false, NS_NEVER);
	talk_run(t);
	talk_inject(t, ". 1:1(0) ack 2");
	talk_after(t, 30 * NS_PER_S);
	return t->closed;
}

/* Probes within a minute, on a connection without data. */
static uint64_t idle_minute(struct talk *t)
{
	begin_open(t);
	talk_after(t, 60 * NS_PER_S);
	return t->counters.n[COUNT_tx_probes];
}

static uint64_t keepalive_on(struct talk *t)
{
	t->profile.knobs.keepalive_time_ns = 30 * NS_PER_S;
	return idle_minute(t);
}

static uint64_t keepalive_begins(struct talk *t)
{
	t->profile.knobs.keepalive = true;
	return idle_minute(t);
}

static uint64_t keepalive_goes_on(struct talk *t)
{
	t->profile.knobs.keepalive_time_ns = NS_PER_S;
	return keepalive_begins(t);
}

static uint64_t keepalive_ends(struct talk *t)
{
	t->profile.knobs.keepalive_interval_ns = NS_PER_S;
	return keepalive_goes_on(t);
}

static uint64_t given_up_after_5s(struct talk *t)
{
	begin_open(t);
	talk_send(t, 100);
	talk_after(t, 5 * NS_PER_S);
	return t->closed;
}

static uint64_t challenges(struct talk *t)
{
	begin_open(t);
	for (int i = 0; i < 10; i++)
		talk_inject(t, "R 100:100(0)");
	return drain(t).segments;
}

static void router_says_1000(struct talk *t)
{
	struct net_error e = {.kind = NET_ERROR_TOO_BIG,
			      .mtu = 1000,
			      .local = t->own,
			      .remote = t->peer,
			      .local_port = t->own_port,
			      .remote_port = t->peer_port,
			      .seq = t->iss + 1};

	send_lone(t, 1460);
	assert_true(tcp_error(t->tcp, &e, t->now));
	talk_run(t);
	drain(t);
}

static uint64_t after_a_router(struct talk *t)
{
	begin_open(t);
	router_says_1000(t);
	return talk_info(t).mss;
}

static uint64_t after_silence(struct talk *t)
{
	begin_open(t);
	send_lone(t, 1460);
	talk_after(t, 7500 * NS_PER_MS);
	return talk_info(t).mss;
}

/* 30 s after a router spoke; the path has become what it was. */
static uint64_t asked_again(struct talk *t)
{
	t->profile.knobs.pmtud = TCP_PMTUD_ICMP;
	begin_open(t);
	router_says_1000(t);
	talk_inject(t, ". 1:1(0) ack 1461");
	t->net.mtu = t->net.gso_max = 1500;
	talk_after(t, 30 * NS_PER_S);
	send_lone(t, 100);
	return talk_info(t).mss;
}

static uint64_t paced(struct talk *t)
{
	t->profile.cc.use[0] = shipped_named(SP_CC, "bbr");
	begin_open(t);
	talk_send(t, 1460);
	talk_after(t, 10 * NS_PER_MS);
	talk_inject(t, ". 1:1(0) ack 1461");
	return talk_info(t).pacing > 0;
}

static uint64_t small_ones(struct talk *t)
{
	begin_open(t);
	talk_send(t, 100);
	talk_send(t, 100);
	return drain(t).texts;
}

/* Does a small segment go along behind full ones? */
static uint64_t full_and_rest(struct talk *t)
{
	begin_open(t);
	talk_send(t, 3000);
	return drain(t).texts;
}

/* Segments of a flight after a minute of silence, of a window that had grown by eight. */
static uint64_t after_idleness(struct talk *t)
{
	t->profile.cc.use[0] = shipped_named(SP_CC, "newreno");
	t->profile.knobs.initial_window = 2;
	t->profile.knobs.cwnd_validation = false;
	begin_open(t);
	exchange(t, 8);
	talk_after(t, 60 * NS_PER_S);
	talk_send(t, 5 * 1460);
	return drain(t).texts;
}

/* Has the window grown, though one segment at a time left most of it unused? */
static uint64_t grown_unused(struct talk *t)
{
	t->profile.cc.use[0] = shipped_named(SP_CC, "newreno");
	begin_open(t);
	exchange(t, 8);
	return talk_info(t).cwnd > 10 * 1460;
}

#define NO_WSCALE SEGMENT_NO_WSCALE
#define ECN_SYN   (SEG_SYN | SEG_ECE | SEG_CWR)

static const struct row {
	const char *key, *value;
	uint64_t (*look)(struct talk *);
	uint64_t expected;
} rows[] = {
    {"mss", "0", syn_mss, 1460},
    {"mss", "1000", syn_mss, 1000},
    {"window_scaling", "yes", syn_wscale, 7},
    {"window_scaling", "no", syn_wscale, NO_WSCALE},
    {"window_scale", "7", syn_wscale, 7},
    {"window_scale", "3", syn_wscale, 3},
    {"timestamps", "yes", syn_timestamp, 1},
    {"timestamps", "no", syn_timestamp, 0},
    {"sack", "yes", syn_sack, 1},
    {"sack", "no", syn_sack, 0},
    {"dsack", "yes", duplicate_reported, 1},
    {"dsack", "no", duplicate_reported, 0},
    {"ecn", "yes", syn_ecn, ECN_SYN},
    {"ecn", "no", syn_ecn, SEG_SYN},
    {"initial_window", "0", first_flight, 10},
    {"initial_window", "3", first_flight, 3},
    {"send_buffer", "4MB", send_limit, 32768}, /* the ring */
    {"send_buffer", "8KB", send_limit, 8192},
    {"send_buffer_start", "4KB", send_limit, 20 * 1460}, /* twice the initial window */
    {"send_buffer_start", "31KB", send_limit, 31 * 1024},
    {"autotune", "yes", send_limit_grown, 20 * 1460},
    {"autotune", "no", send_limit_grown, 65536},
    {"receive_buffer", "64KB", syn_window, 65535},
    {"receive_buffer", "8KB", syn_window, 8192},
    {"receive_buffer_start", "16KB", syn_window, 16384},
    {"receive_buffer_start", "256KB", syn_window, 65535},
    {"syn_backlog", "1", handshakes, 1},
    {"syn_backlog", "2", handshakes, 2},
    {"syncookies", "never", cookies, 0},
    {"syncookies", "full", cookies, 2},
    {"syncookies", "always", cookies, 3},
    {"syn_retries", "0", syns, 1},
    {"syn_retries", "3", syns, 4},
    {"synack_retries", "0", synacks, 1},
    {"synack_retries", "3", synacks, 4},
    {"retries", "2", sent_in_vain, 3},
    {"retries", "5", sent_in_vain, 6},
    {"time_wait", "60s", remembered, 1},
    {"time_wait", "10s", remembered, 0},
    {"time_wait", "0s", remembered, 0},
    {"fin_wait2", "60s", orphan_gone, 0},
    {"fin_wait2", "10s", orphan_gone, 1},
    {"keepalive", "no", keepalive_on, 0},
    {"keepalive", "yes", keepalive_on, 1},
    {"keepalive_time", "2h", keepalive_begins, 0},
    {"keepalive_time", "50s", keepalive_begins, 1},
    {"keepalive_interval", "75s", keepalive_goes_on, 1},
    {"keepalive_interval", "25s", keepalive_goes_on, 3},
    {"keepalive_probes", "2", keepalive_ends, 2},
    {"keepalive_probes", "5", keepalive_ends, 5},
    {"user_timeout", "0s", given_up_after_5s, 0},
    {"user_timeout", "2s", given_up_after_5s, 1},
    {"challenge_ack_limit", "0", challenges, 10},
    {"challenge_ack_limit", "3", challenges, 3},
    {"pmtud", "off", after_a_router, 1460},
    {"pmtud", "icmp", after_a_router, 960},
    {"pmtud", "icmp", after_silence, 1460},
    {"pmtud", "probe", after_silence, 1024},
    {"pmtud_base", "1024", after_silence, 1024},
    {"pmtud_base", "600", after_silence, 600},
    {"pmtud_interval", "10m", asked_again, 960},
    {"pmtud_interval", "20s", asked_again, 1460},
    {"pacing", "yes", paced, 1},
    {"pacing", "no", paced, 0},
    {"nagle", "yes", small_ones, 1},
    {"nagle", "no", small_ones, 2},
    {"nagle_minshall", "no", full_and_rest, 2},
    {"nagle_minshall", "yes", full_and_rest, 3},
    {"idle_restart", "yes", after_idleness, 2},
    {"idle_restart", "no", after_idleness, 5},
    {"cwnd_validation", "yes", grown_unused, 0},
    {"cwnd_validation", "no", grown_unused, 1},
    {"ttl", "64", syn_ttl, 64},
    {"ttl", "7", syn_ttl, 7},
    {"tos", "0", syn_tos, 0},
    {"tos", "187", syn_tos, 184}, /* the two ECN bits are TCP's */
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void each_has_its_effect(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		struct talk t;
		uint64_t got;

		talk_init(&t, NS_PER_S);
		set(&t, r->key, r->value);
		got = r->look(&t);
		drain(&t);
		talk_end(&t);
		if (got == r->expected)
			continue;
		print_error("%s = %s: %lu, not %lu\n", r->key, r->value, (unsigned long)got,
			    (unsigned long)r->expected);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* Two rows with different values and different outcomes, or the key could be ignored. */
static bool told_apart(const char *key)
{
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(rows[i].key, key) == 0 && strcmp(rows[j].key, key) == 0 &&
			    rows[i].look == rows[j].look && rows[i].expected != rows[j].expected)
				return true;
	return false;
}

static void none_is_missing(void **state)
{
	(void)state;
	for (const struct key *k = tcp_keys; k->name; k++)
		if (!told_apart(k->name))
			fail_msg("no two rows tell what %s does", k->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_has_its_effect),
	    cmocka_unit_test(none_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
