/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP and ICMPv6: echo, errors about TCP in, refusals out and their limit. */
#include "world.h"

static uint8_t f[4096], l4[2200];

static uint32_t echo(bool six, uint32_t data)
{
	memset(l4, 0, 8);
	l4[0] = six ? 128 : 8;
	put_be32(l4 + 4, 0x12340007);
	for (uint32_t i = 0; i < data; i++)
		l4[8 + i] = (uint8_t)(i * 3);
	return six ? put_ip6(f, "fd00::2", "fd00::1", 58, l4, 8 + data)
		   : put_ip4(f, "10.0.0.2", "10.0.0.1", 1, l4, 8 + data);
}

static void assert_echo_reply(const struct record *r, bool six, uint32_t data)
{
	const uint8_t *icmp = r->bytes + (six ? 54 : 34);

	assert_sums(r);
	assert_memory_equal(r->bytes, mac_peer, 6);
	assert_int_equal(r->len, (six ? 62u : 42u) + data);
	assert_int_equal(icmp[0], six ? 129 : 0);
	assert_memory_equal(icmp + 4, l4 + 4, 4 + data);
}

static void echoes(void **state)
{
	struct world *w = *state;
	uint32_t cut[] = {301, 400};

	know_peer4(w, "10.0.0.2");
	know_peer6(w, "fd00::2");
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t data = i / 2 * 290 + i; /* odd and even, up to an MTU */
		bool six = i & 1;

		world_quiet(w);
		assert_int_equal(feed(w, 0, f, echo(six, data)), NET_DONE);
		world_pass(w, 0);
		assert_int_equal(w->fake[0].count, 1);
		assert_echo_reply(&w->fake[0].record[0], six, data);
		assert_int_equal(counted(w, COUNT_icmp_echo), 1);
	}
	world_quiet(w);
	feed_spans(w, f, echo(false, 1400), cut, 2, FRAME_CSUM_UNKNOWN);
	feed_release(); /* the answer doesn't lean on the frame */
	world_pass(w, 0);
	assert_echo_reply(&w->fake[0].record[0], false, 1400);
	assert_int_equal(feed(w, 0, f, echo(false, 2100)), NET_DONE);
	assert_int_equal(counted(w, COUNT_icmp_too_long), 1);
}

static void echo_waits_for_the_neighbour(void **state)
{
	struct world *w = *state;
	uint8_t arp[60];

	feed(w, 0, f, echo(false, 56));
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, 1);
	feed(w, 0, arp, put_arp(arp, mac_if[0], 2, "10.0.0.2", mac_peer, "10.0.0.1"));
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, 2);
	assert_echo_reply(&w->fake[0].record[1], false, 56);
}

static void echo_to_all_nodes(void **state)
{
	struct world *w = *state;
	uint32_t len;

	know_peer6(w, "fd00::2");
	echo(true, 8);
	len = put_ip6(f, "fd00::2", "ff02::1", 58, l4, 16);
	feed(w, 0, f, len);
	world_pass(w, 0);
	assert_memory_equal(w->fake[0].record[0].bytes + 22, A("fd00::1").b, 16);
	assert_sums(&w->fake[0].record[0]);
}

/* So many answers fit between two flushes. */
static void answers_are_limited(void **state)
{
	struct world *w = *state;

	know_peer4(w, "10.0.0.2");
	for (uint32_t i = 0; i < 200; i++)
		feed(w, 0, f, echo(false, 8));
	assert_true(counted(w, COUNT_icmp_limited) > 0);
	assert_int_equal(counted(w, COUNT_icmp_limited) + w->fake[0].count, 200);
	world_pass(w, 0);
	world_quiet(w);
	feed(w, 0, f, echo(false, 8));
	assert_int_equal(w->fake[0].count, 1);
}

static void refusals(void **state)
{
	struct world *w = *state;
	uint32_t len = echo(false, 8);

	f[len - 1] ^= 1;
	feed(w, 0, f, len);
	assert_int_equal(counted(w, COUNT_icmp_checksum), 1);
	len = echo(true, 8);
	f[len - 1] ^= 1;
	feed(w, 0, f, len);
	assert_int_equal(counted(w, COUNT_l4_checksum), 1);
	feed(w, 0, f, put_ip4(f, "10.0.0.2", "10.0.0.1", 1, l4, 7));
	feed(w, 0, f, put_ip6(f, "fd00::2", "fd00::1", 58, l4, 7));
	assert_int_equal(counted(w, COUNT_icmp_short), 2);
	l4[0] = 13; /* timestamp */
	feed(w, 0, f, put_ip4(f, "10.0.0.2", "10.0.0.1", 1, l4, 20));
	l4[0] = 130; /* multicast listener query */
	feed(w, 0, f, put_ip6(f, "fd00::2", "ff02::1", 58, l4, 24));
	assert_int_equal(counted(w, COUNT_icmp_unknown), 2);
	echo(true, 8);
	feed(w, 0, f, put_ip6(f, "::", "fd00::1", 58, l4, 16));
	assert_int_equal(counted(w, COUNT_ip_bad_source), 1);
	len = echo(false, 8);
	memcpy(f, mac_all, 6);
	feed(w, 0, f, len);
	assert_int_equal(counted(w, COUNT_icmp_unknown), 3);
	assert_int_equal(w->fake[0].count, 0);
}

/* --- errors in --------------------------------------------------------------------- */

/* An error that quotes a TCP segment of ours from port 80 to port 4000, number 0xabcdef01. */
static uint32_t error(bool six, uint8_t type, uint8_t code, uint32_t rest)
{
	uint8_t quote[100], tcp[20];
	uint32_t header = six ? 40 : 20;

	put_tcp(tcp, 80, 4000, 0xabcdef01, 0);
	if (six)
		put_ip6(quote, "fd00::1", "fd00:9::9", 6, tcp, 20);
	else
		put_ip4(quote, "10.0.0.1", "192.0.2.9", 6, tcp, 20);
	memset(l4, 0, 8);
	l4[0] = type;
	l4[1] = code;
	put_be32(l4 + 4, rest);
	memcpy(l4 + 8, quote + 14, header + 8);
	return six ? put_ip6(f, "fd00::fe", "fd00::1", 58, l4, 8 + header + 8)
		   : put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, 8 + header + 8);
}

static void errors_are_translated(void **state)
{
	struct world *w = *state;
	static const struct {
		bool six;
		uint8_t type, code;
		int kind, error;
		uint32_t rest, mtu;
	} table[] = {
	    {0, 3, 0, NET_ERROR_SOFT, ENETUNREACH, 0, 0},
	    {0, 3, 1, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {0, 3, 2, NET_ERROR_HARD, ECONNREFUSED, 0, 0},
	    {0, 3, 3, NET_ERROR_HARD, ECONNREFUSED, 0, 0},
	    {0, 3, 4, NET_ERROR_TOO_BIG, EMSGSIZE, 1400, 1400},
	    {0, 3, 4, NET_ERROR_TOO_BIG, EMSGSIZE, 0, 0},
	    {0, 3, 5, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {0, 3, 13, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {0, 11, 0, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {0, 12, 0, NET_ERROR_SOFT, EPROTO, 0, 0},
	    {1, 1, 0, NET_ERROR_SOFT, ENETUNREACH, 0, 0},
	    {1, 1, 3, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {1, 1, 4, NET_ERROR_HARD, ECONNREFUSED, 0, 0},
	    {1, 2, 0, NET_ERROR_TOO_BIG, EMSGSIZE, 1280, 1280},
	    {1, 3, 0, NET_ERROR_SOFT, EHOSTUNREACH, 0, 0},
	    {1, 4, 1, NET_ERROR_SOFT, EPROTO, 0, 0},
	};

	for (uint32_t i = 0; i < array_count(table); i++) {
		bool six = table[i].six;
		struct addr local = A(six ? "fd00::1" : "10.0.0.1");
		struct addr remote = A(six ? "fd00:9::9" : "192.0.2.9");
		const struct net_error *e = &w->out.error;

		assert_int_equal(
		    feed(w, 0, f, error(six, table[i].type, table[i].code, table[i].rest)),
		    NET_ERROR);
		assert_int_equal(e->kind, table[i].kind);
		assert_int_equal(e->error, table[i].error);
		assert_int_equal(e->mtu, table[i].mtu);
		assert_int_equal(e->local_port, 80);
		assert_int_equal(e->remote_port, 4000);
		assert_int_equal(e->seq, 0xabcdef01);
		assert_true(addr_equal(&e->local, &local) && addr_equal(&e->remote, &remote));
	}
	assert_int_equal(counted(w, COUNT_icmp_error_rx), array_count(table));
}

static void errors_refused(void **state)
{
	struct world *w = *state;
	uint32_t n = 0;

	assert_int_equal(feed(w, 0, f, error(false, 4, 0, 0)), NET_DONE); /* MUST-55: silently */
	for (uint32_t i = 0; i < COUNT_MAX; i++) {
		if (count_info[i].kind == COUNT_DROP)
			assert_int_equal(w->counters.n[i], 0);
	}
#define UNKNOWN4(at, value)                                                                        \
	error(false, 3, 1, 0);                                                                     \
	l4[8 + (at)] = (value);                                                                    \
	assert_int_equal(feed(w, 0, f, put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, 36)),           \
			 NET_DONE);                                                                \
	assert_int_equal(counted(w, COUNT_icmp_unknown), ++n)
	UNKNOWN4(9, 17); /* about UDP */
	UNKNOWN4(7, 1);  /* about a later fragment */
	UNKNOWN4(15, 3); /* not sent by us */
#undef UNKNOWN4
	error(true, 1, 0, 0);
	l4[8 + 6] = 17;
	feed(w, 0, f, put_ip6(f, "fd00::fe", "fd00::1", 58, l4, 56));
	assert_int_equal(counted(w, COUNT_icmp_unknown), ++n);
	n = 0;
	for (uint32_t len = 8; len < 36; len++) { /* the quotation cut short */
		error(false, 3, 1, 0);
		feed(w, 0, f, put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, len));
		assert_int_equal(counted(w, COUNT_icmp_short), ++n);
	}
	for (uint32_t len = 8; len < 56; len++) {
		error(true, 1, 0, 0);
		feed(w, 0, f, put_ip6(f, "fd00::fe", "fd00::1", 58, l4, len));
		assert_int_equal(counted(w, COUNT_icmp_short), ++n);
	}
	error(false, 3, 1, 0);
	l4[8] = 0x4f; /* quoted options past the end */
	feed(w, 0, f, put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, 36));
	l4[8] = 0x41;
	feed(w, 0, f, put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, 36));
	l4[8] = 0x65;
	feed(w, 0, f, put_ip4(f, "10.0.0.254", "10.0.0.1", 1, l4, 36));
	assert_int_equal(counted(w, COUNT_icmp_short), n + 3);
	assert_int_equal(counted(w, COUNT_icmp_error_rx), 0);
}

/* --- errors out -------------------------------------------------------------------- */

static const struct record *answer(struct world *w, uint32_t len)
{
	world_quiet(w);
	feed(w, 0, f, len);
	world_pass(w, 0);
	assert_int_equal(w->fake[0].count, 1);
	assert_sums(&w->fake[0].record[0]);
	return &w->fake[0].record[0];
}

static void unreachables(void **state)
{
	struct world *w = *state;
	const struct record *r;
	uint32_t len;

	know_peer4(w, "10.0.0.2");
	know_peer6(w, "fd00::2");
	memset(l4, 0x5a, sizeof(l4));
	len = put_ip4(f, "10.0.0.2", "10.0.0.1", 17, l4, 30);
	r = answer(w, len);
	assert_int_equal(r->bytes[34], 3);
	assert_int_equal(r->bytes[35], 3);
	assert_int_equal(r->len, 42 + len - 14);
	assert_memory_equal(r->bytes + 42, f + 14, len - 14);
	r = answer(w, put_ip4(f, "10.0.0.2", "10.0.0.1", 132, l4, 1400));
	assert_int_equal(r->bytes[35], 2);
	assert_int_equal(r->len, 14 + 576);
	r = answer(w, put_ip6(f, "fd00::2", "fd00::1", 17, l4, 1400));
	assert_int_equal(r->bytes[54], 1);
	assert_int_equal(r->bytes[55], 4);
	assert_int_equal(r->len, 14 + 1280);
	memcpy(l4, "\x84\0\0\0\0\0\0\0", 8); /* destination options, then SCTP */
	len = put_ip6(f, "fd00::2", "fd00::1", 60, l4, 40);
	r = answer(w, len);
	assert_int_equal(r->bytes[54], 4);
	assert_int_equal(r->bytes[55], 1);
	assert_int_equal(get_be32(r->bytes + 58), 40); /* where the unknown number stands */
	assert_memory_equal(r->bytes + 62, f + 14, len - 14);
	r = answer(w, put_ip6(f, "fd00::2", "fd00::1", 132, l4, 40));
	assert_int_equal(get_be32(r->bytes + 58), 6);
	/* never about what came to a group */
	world_quiet(w);
	len = put_ip4(f, "10.0.0.2", "10.0.0.1", 17, l4, 30);
	memcpy(f, mac_all, 6);
	feed(w, 0, f, len);
	feed(w, 0, f, put_ip6(f, "fd00::2", "ff02::1", 17, l4, 30));
	assert_int_equal(w->fake[0].count, 0);
}

static void rate_limit(void **state)
{
	struct world *w = *state;

	know_peer4(w, "10.0.0.2");
	world_pass(w, 10 * SECOND);
	for (uint32_t i = 0; i < 60; i++)
		feed(w, 0, f, put_ip4(f, "10.0.0.2", "10.0.0.1", 17, l4, 30));
	assert_int_equal(w->fake[0].count, 50);
	assert_int_equal(counted(w, COUNT_icmp_limited), 10);
	world_pass(w, 25 * NS_PER_MS);
	for (uint32_t i = 0; i < 5; i++)
		feed(w, 0, f, put_ip4(f, "10.0.0.2", "10.0.0.1", 17, l4, 30));
	assert_int_equal(w->fake[0].count, 52);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	    T(echoes),
	    T(echo_waits_for_the_neighbour),
	    T(echo_to_all_nodes),
	    T(answers_are_limited),
	    T(refusals),
	    T(errors_are_translated),
	    T(errors_refused),
	    T(unreachables),
	    T(rate_limit),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
