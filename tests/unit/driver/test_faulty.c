/* SPDX-License-Identifier: BSD-2-Clause */
/* test_faulty.c - the impairment around a pair in memory: each fault by its numbers, and the
 * cutting of large frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/driver.h"
#include "frames.h"

static uint64_t seed = 7;

/* end[0] is wrapped. */
struct rig {
	struct driver *end[2];
	uint8_t buf[65549];
};

static struct rig rig;

static void rig_open(const char *faults, bool vouch, uint32_t gso_max)
{
	struct pair_config c = {.mtu = 1500, .depth = 4096, .vouch = vouch, .gso_max = gso_max};
	struct fault_config f;
	char error[DRIVER_ERROR_MAX], text[160];

	snprintf(text, sizeof(text), "seed %llu%s%s", (unsigned long long)seed, *faults ? ", " : "",
		 faults);
	assert_int_equal(fault_parse(text, &f, error), 0);
	assert_int_equal(pair_open(&c, rig.end), 0);
	assert_int_equal(faulty_wrap(rig.end[0], &f, &rig.end[0]), 0);
	assert_string_equal(rig.end[0]->caps.name, "faulty+pair");
	assert_int_equal(rig.end[0]->caps.gso_max, 1514);
}

static void rig_close(void)
{
	rig.end[0]->ops->close(rig.end[0]);
	rig.end[1]->ops->close(rig.end[1]);
}

static void give(unsigned from, ns_t now, const uint8_t *bytes, uint32_t len, bool partial,
		 uint16_t gso)
{
	struct driver *d = rig.end[from];
	struct tx_frame t = {
	    .head = bytes, .head_len = 54, .csum_partial = partial, .gso_size = gso};

	t.data[0] = (struct span){bytes + 54, len - 54};
	t.data_count = 1;
	assert_int_equal(d->ops->tx(d, now, &t), 0);
	d->ops->flush(d, now);
}

/* A frame of `len` bytes that carries its number where TCP has its sequence. */
static void give_number(unsigned from, ns_t now, uint32_t number, uint32_t len)
{
	struct test_frame t = {.seq = number, .payload = len - 54};

	test_build(rig.buf, &t);
	give(from, now, rig.buf, len, false, 0);
}

static uint32_t number_of(const struct frame *f)
{
	return get_be32(f->span[0].base + 38);
}

static uint32_t take(unsigned at, ns_t now, uint32_t *numbers, uint32_t max)
{
	struct driver *d = rig.end[at];
	struct frame in[FRAME_BURST_MAX];
	uint32_t total = 0, n;

	do {
		n = d->ops->rx(d, now, in, FRAME_BURST_MAX);
		for (uint32_t i = 0; i < n; i++, total++) {
			assert_true(total < max);
			numbers[total] = number_of(&in[i]);
		}
		d->ops->rx_release(d);
	} while (n > 0);
	return total;
}

static struct driver_stats stats(void)
{
	struct driver_stats s;

	rig.end[0]->ops->stats(rig.end[0], &s);
	return s;
}

static uint32_t numbers[40000];

static void test_no_fault_keeps_order(void **state)
{
	(void)state;
	rig_open("", false, 0);
	for (uint32_t i = 0; i < 3000; i++)
		give_number(1, 5, i, 60 + i % 1455);
	assert_true(rig.end[0]->ops->rx_ready(rig.end[0], 5));
	assert_int_equal(take(0, 5, numbers, 40000), 3000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(numbers[i], i);
	assert_false(rig.end[0]->ops->rx_ready(rig.end[0], 5));
	for (uint32_t i = 0; i < 3000; i++)
		give_number(0, 6, i, 60);
	assert_int_equal(take(1, 6, numbers, 40000), 3000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(numbers[i], i);
	assert_true(rig.end[0]->ops->deadline(rig.end[0]) == NS_NEVER);
	rig_close();
}

static uint32_t lossy_run(uint32_t *got)
{
	uint32_t n = 0;

	rig_open("loss 2%, direction in", false, 0);
	for (uint32_t i = 0; i < 20000; i++) {
		give_number(1, i, i, 60);
		n += take(0, i, got + n, 1);
	}
	assert_int_equal(stats().fault_lost, 20000 - n);
	for (uint32_t i = 0; i < 100; i++) /* the other direction is whole */
		give_number(0, 20000, i, 60);
	assert_int_equal(take(1, 20000, numbers + 30000, 100), 100);
	rig_close();
	return n;
}

static void test_loss_by_seed(void **state)
{
	static uint32_t again[20000];
	uint32_t n = lossy_run(numbers), m, other;

	(void)state;
	/* 400 expected, standard deviation 20 */
	assert_in_range(20000 - n, 300, 500);
	m = lossy_run(again);
	assert_int_equal(n, m);
	assert_memory_equal(numbers, again, n * sizeof(*again));
	seed++;
	other = lossy_run(again);
	seed--;
	assert_true(other != n || memcmp(numbers, again, n * sizeof(*again)) != 0);
}

static void test_delay_is_exact(void **state)
{
	ns_t at = 1000000;

	(void)state;
	rig_open("delay 20ms", false, 0);
	give_number(1, at, 1, 60);
	assert_int_equal(take(0, at, numbers, 10), 0);
	assert_true(rig.end[0]->ops->deadline(rig.end[0]) == at + 20 * NS_PER_MS);
	assert_false(rig.end[0]->ops->rx_ready(rig.end[0], at + 20 * NS_PER_MS - 1));
	assert_int_equal(take(0, at + 20 * NS_PER_MS - 1, numbers, 10), 0);
	assert_true(rig.end[0]->ops->rx_ready(rig.end[0], at + 20 * NS_PER_MS));
	assert_int_equal(take(0, at + 20 * NS_PER_MS, numbers, 10), 1);
	give_number(0, at, 2, 60);
	assert_true(rig.end[0]->ops->deadline(rig.end[0]) == at + 20 * NS_PER_MS);
	rig.end[0]->ops->flush(rig.end[0], at + 20 * NS_PER_MS - 1);
	assert_int_equal(take(1, at, numbers, 10), 0);
	rig.end[0]->ops->flush(rig.end[0], at + 20 * NS_PER_MS);
	assert_int_equal(take(1, at, numbers, 10), 1);
	assert_int_equal(stats().fault_delayed, 2);
	rig_close();
}

static void test_jitter_keeps_order(void **state)
{
	uint32_t n = 0, moved = 0;
	ns_t now = 0, last = 0;

	(void)state;
	rig_open("delay 5ms, jitter 2ms, direction in", false, 0);
	for (uint32_t i = 0; i < 1000; i++)
		give_number(1, now, i, 60);
	assert_int_equal(take(0, now, numbers, 1), 0);
	while (n < 1000) {
		now = rig.end[0]->ops->deadline(rig.end[0]);
		assert_in_range(now, 5 * NS_PER_MS, 7 * NS_PER_MS);
		moved += now != last;
		last = now;
		n += take(0, now, numbers + n, 1000 - n);
	}
	assert_true(moved > 3);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(numbers[i], i);
	rig_close();
}

static void test_reorder(void **state)
{
	uint32_t n = 0, late = 0, highest = 0;

	(void)state;
	rig_open("reorder 1%, direction in", false, 0);
	for (uint32_t i = 0; i < 20000; i++) {
		give_number(1, i * 10 * NS_PER_US, i, 60);
		n += take(0, i * 10 * NS_PER_US, numbers + n, 40000 - n);
	}
	n += take(0, 2 * NS_PER_S, numbers + n, 40000 - n);
	assert_int_equal(n, 20000);
	for (uint32_t i = 0; i < n; i++) {
		late += numbers[i] < highest;
		highest = numbers[i] > highest ? numbers[i] : highest;
	}
	assert_in_range(stats().fault_reordered, 130, 270);
	assert_in_range(late, stats().fault_reordered - 3, stats().fault_reordered);
	rig_close();
}

static void test_duplicate(void **state)
{
	uint32_t n;

	(void)state;
	rig_open("duplicate 10%, direction out", false, 0);
	for (uint32_t i = 0; i < 2000; i++)
		give_number(0, i, i, 60);
	n = take(1, 0, numbers, 40000);
	assert_int_equal(n, 2000 + stats().fault_duplicated);
	assert_in_range(stats().fault_duplicated, 140, 260);
	for (uint32_t i = 1; i < n; i++)
		assert_in_range(numbers[i] - numbers[i - 1], 0, 1);
	rig_close();
}

static void test_rate_and_queue(void **state)
{
	ns_t now = 0;
	uint32_t n = 0;

	(void)state;
	/* 1,250 bytes at 100 Mbit/s take 100 us */
	rig_open("rate 100mbit, queue 10, direction out", false, 0);
	for (uint32_t i = 0; i < 15; i++)
		give_number(0, 0, i, 1250);
	assert_int_equal(stats().fault_queue_full, 5);
	for (uint32_t i = 1; i <= 10; i++) {
		assert_true(rig.end[0]->ops->deadline(rig.end[0]) == i * 100 * NS_PER_US);
		now = i * 100 * NS_PER_US;
		rig.end[0]->ops->flush(rig.end[0], now);
		assert_int_equal(take(1, now, numbers, 10), 1);
		assert_int_equal(numbers[0], i - 1);
	}
	give_number(0, now + 1, 15, 1250); /* an idle link starts again at once */
	assert_true(rig.end[0]->ops->deadline(rig.end[0]) == now + 1 + 100 * NS_PER_US);
	rig_close();
	/* a rate that doesn't divide: 7 * 8e9 / 3e6 = 18,666.67 ns per 7 bytes; no drift */
	rig_open("rate 3mbit, queue 65536, direction in", false, 0);
	for (uint32_t i = 0; i < 3000; i++)
		give_number(1, 0, i, 61);
	assert_int_equal(take(0, 0, numbers, 1), 0);
	while (n < 3000) {
		now = rig.end[0]->ops->deadline(rig.end[0]);
		n += take(0, now, numbers + n, 40000 - n);
	}
	assert_true(now == 3000ull * 61 * 8 * NS_PER_S / 3000000);
	rig_close();
}

/* However the sum came, a flipped bit shows. */
static void corrupt_once(bool ipv6, int how, uint32_t i)
{
	struct test_frame t = {.ipv6 = ipv6, .seq = i, .payload = 1 + i % 1400, .options = 12};
	uint32_t len = test_build(rig.buf, &t), changed = 0;
	uint8_t original[1514];
	struct frame in[FRAME_BURST_MAX];
	const uint8_t *got;

	if (how > 0)
		test_make_partial(rig.buf, &t);
	give(1, i, rig.buf, len, how == 1, 0);
	test_build(original, &t);
	assert_int_equal(rig.end[0]->ops->rx(rig.end[0], i, in, FRAME_BURST_MAX), 1);
	assert_int_equal(in[0].csum, FRAME_CSUM_FULL); /* or a chance match would pass as partial */
	assert_int_equal(in[0].len, len);
	got = in[0].span[0].base;
	assert_memory_equal(got, original, 14);
	for (uint32_t b = 14; b < len; b++)
		changed += (uint32_t)__builtin_popcount((unsigned)(got[b] ^ original[b]));
	assert_int_equal(changed, 1);
	/* an IPv6 header has no sum: there only addresses, length and protocol are covered */
	if (!ipv6 || memcmp(got + 14, original + 14, 40) == 0)
		assert_false(test_sums_right(got, len, ipv6));
	rig.end[0]->ops->rx_release(rig.end[0]);
}

static void test_corrupt_shows(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) { /* full sum; said to be partial; partial, unsaid */
		rig_open("corrupt 100%", how == 1, 0);
		for (uint32_t i = 0; i < 2000; i++)
			corrupt_once(i & 1, how, i);
		assert_int_equal(stats().fault_corrupted, 2000);
		rig_close();
	}
}

static void test_corrupt_out(void **state)
{
	struct frame in[FRAME_BURST_MAX];

	(void)state;
	rig_open("corrupt 100%", true, 0);
	assert_false(rig.end[0]->caps.tx_csum);
	for (uint32_t i = 0; i < 500; i++) {
		give_number(0, i, i, 600);
		assert_int_equal(rig.end[1]->ops->rx(rig.end[1], i, in, FRAME_BURST_MAX), 1);
		assert_int_equal(in[0].csum, FRAME_CSUM_FULL);
		assert_false(test_sums_right(in[0].span[0].base, 600, false));
		rig.end[1]->ops->rx_release(rig.end[1]);
	}
	rig_close();
}

struct split_case {
	bool ipv6, partial;
	uint32_t payload;
	uint16_t gso_size;
	uint8_t flags;
};

static void check_segment(const struct split_case *c, const struct frame *f, uint32_t done,
			  uint32_t segment, bool last)
{
	const uint8_t *p = f->span[0].base, *tcp = p + 14 + test_ip_len(c->ipv6);
	uint32_t head = 14 + test_ip_len(c->ipv6) + 32, n = f->len - head;

	assert_int_equal(f->csum, c->partial ? FRAME_CSUM_GOOD : FRAME_CSUM_UNKNOWN);
	assert_int_equal(f->gso_size, 0);
	assert_true(test_sums_right(p, f->len, c->ipv6));
	assert_int_equal(get_be32(tcp + 4), 0xfffff000u + done);
	if (!c->ipv6)
		assert_int_equal(get_be16(p + 18), 0x1234 + segment);
	assert_int_equal(tcp[13] & 0x09, last ? c->flags & 0x09 : 0);
	assert_int_equal(tcp[13] & 0x80, segment == 0 ? c->flags & 0x80 : 0);
	assert_int_equal(tcp[13] & 0x10, 0x10);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(p[head + i], test_byte(0xfffff000u + done + i));
}

static void split_once(const struct split_case *c)
{
	struct test_frame t = {.ipv6 = c->ipv6,
			       .seq = 0xfffff000u,
			       .payload = c->payload,
			       .options = 12,
			       .flags = c->flags};
	uint32_t len = test_build(rig.buf, &t), done = 0, segment = 0, n;
	uint32_t mss = c->partial ? c->gso_size : 1500 - test_ip_len(c->ipv6) - 32;
	struct frame in[FRAME_BURST_MAX];
	uint32_t head = len - c->payload;

	rig_open("direction in", c->partial, 65549);
	if (c->partial)
		test_make_partial(rig.buf, &t);
	give(1, 0, rig.buf, len, c->partial, c->gso_size);
	n = rig.end[0]->ops->rx(rig.end[0], 0, in, FRAME_BURST_MAX);
	assert_int_equal(n, (c->payload + mss - 1) / mss);
	for (; segment < n; segment++) {
		bool last = segment == n - 1;

		assert_int_equal(in[segment].len - head, last ? c->payload - done : mss);
		check_segment(c, &in[segment], done, segment, last);
		done += in[segment].len - head;
	}
	assert_int_equal(done, c->payload);
	rig.end[0]->ops->rx_release(rig.end[0]);
	rig_close();
}

static void test_split(void **state)
{
	static const struct split_case cases[] = {
	    {false, true, 65483, 1448, 0x99}, {true, true, 65463, 1428, 0x99},
	    {false, false, 65483, 0, 0x11},   {true, false, 65000, 0, 0x18},
	    {false, true, 4344, 1448, 0x18},  {false, true, 4345, 1448, 0x18},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		split_once(&cases[i]);
}

/* A large frame that nobody vouches for: a partial sum stays partial, a wrong one stays wrong. */
static void test_split_unvouched(void **state)
{
	struct test_frame t = {.payload = 20000};
	struct frame in[FRAME_BURST_MAX];

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		uint32_t len = test_build(rig.buf, &t), n;

		rig_open("direction in", false, 65549);
		if (wrong)
			rig.buf[3000] ^= 4;
		else
			test_make_partial(rig.buf, &t);
		give(1, 0, rig.buf, len, false, 0);
		n = rig.end[0]->ops->rx(rig.end[0], 0, in, FRAME_BURST_MAX);
		assert_int_equal(n, 14);
		for (uint32_t i = 0; i < n; i++) {
			uint8_t copy[1514];
			const struct test_frame piece = {.payload = in[i].len - 54};

			memcpy(copy, in[i].span[0].base, in[i].len);
			assert_int_equal(in[i].csum, FRAME_CSUM_UNKNOWN);
			assert_false(test_sums_right(copy, in[i].len, false));
			test_make_partial(copy, &piece);
			if (!wrong)
				assert_memory_equal(copy, in[i].span[0].base, in[i].len);
			else
				assert_memory_not_equal(copy, in[i].span[0].base, in[i].len);
		}
		rig.end[0]->ops->rx_release(rig.end[0]);
		rig_close();
	}
}

/* Random bytes of random lengths must only ever be cut or passed, never read past. */
static void test_split_rubbish(void **state)
{
	struct frame in[FRAME_BURST_MAX];

	(void)state;
	srand((unsigned)seed);
	rig_open("direction in, corrupt 50%", true, 65549);
	for (int i = 0; i < 3000; i++) {
		struct test_frame t = {.ipv6 = i & 1, .payload = (uint32_t)rand() % 30000};
		uint32_t len = test_build(rig.buf, &t), n;

		for (int k = 0; k < 3; k++)
			rig.buf[12 + rand() % 60] = (uint8_t)rand();
		len -= (uint32_t)rand() % (len - 60 + 1);
		give(1, 0, rig.buf, len, i & 2, (uint16_t)(rand() % 2000));
		do {
			n = rig.end[0]->ops->rx(rig.end[0], 0, in, FRAME_BURST_MAX);
			for (uint32_t k = 0; k < n; k++)
				assert_in_range(in[k].len, 14, 1518);
			rig.end[0]->ops->rx_release(rig.end[0]);
		} while (n > 0);
	}
	rig_close();
}

/* When the inner driver is full, tx says so and nothing is lost. */
static void test_no_room_below(void **state)
{
	struct tx_frame t = {.head = rig.buf, .head_len = 60};
	struct driver *d;
	uint32_t n = 0, sent = 0;

	(void)state;
	rig_open("direction out", false, 0);
	d = rig.end[0];
	for (int round = 0; round < 20; round++) {
		for (;;) {
			struct test_frame numbered = {.seq = sent, .payload = 6};

			test_build(rig.buf, &numbered);
			if (d->ops->tx(d, 0, &t) == -ENOBUFS)
				break;
			sent++;
		}
		assert_true(d->ops->deadline(d) < NS_NEVER);
		d->ops->flush(d, 0);
		n += take(1, 0, numbers, 40000);
	}
	d->ops->flush(d, 0);
	n += take(1, 0, numbers, 40000);
	assert_int_equal(n, sent);
	assert_int_equal(numbers[0], sent - 1);
	rig_close();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_fault_keeps_order),
	    cmocka_unit_test(test_loss_by_seed),
	    cmocka_unit_test(test_delay_is_exact),
	    cmocka_unit_test(test_jitter_keeps_order),
	    cmocka_unit_test(test_reorder),
	    cmocka_unit_test(test_duplicate),
	    cmocka_unit_test(test_rate_and_queue),
	    cmocka_unit_test(test_corrupt_shows),
	    cmocka_unit_test(test_corrupt_out),
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_split_unvouched),
	    cmocka_unit_test(test_split_rubbish),
	    cmocka_unit_test(test_no_room_below),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	print_message("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
