/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pair.c - the two ends in memory: order, sizes, room, sleep and wake, two threads. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "driver/driver.h"
#include "frames.h"

static struct pair_config config(uint32_t depth)
{
	struct pair_config c = {
	    .mtu = 1500, .depth = depth, .mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}};

	return c;
}

static int send_bytes(struct driver *d, const uint8_t *bytes, uint32_t len, uint16_t head_len)
{
	struct tx_frame t = {.head = bytes, .head_len = head_len};
	uint32_t rest = len - head_len;

	t.data[0] = (struct span){bytes + head_len, rest / 2};
	t.data[1] = (struct span){bytes + head_len + rest / 2, rest - rest / 2};
	t.data_count = 2;
	return d->ops->tx(d, 0, &t);
}

static void close_both(struct driver *end[2])
{
	end[0]->ops->close(end[0]);
	end[1]->ops->close(end[1]);
}

static void test_order_and_sizes(void **state)
{
	struct pair_config c = config(16);
	struct driver *end[2];
	struct driver_stats stats;
	uint8_t bytes[1514];
	uint32_t sent = 0, got = 0;

	(void)state;
	assert_int_equal(pair_open(&c, end), 0);
	assert_string_equal(end[0]->caps.name, "pair");
	assert_int_equal(end[0]->caps.gso_max, 1514);
	assert_false(end[0]->caps.tx_csum);
	assert_memory_equal(end[1]->caps.mac, c.mac[1], 6);
	/* many times round the ring, every length, in bursts of 1 to 16 */
	while (got < 5000) {
		struct frame in[FRAME_BURST_MAX];
		uint32_t burst = sent % 16 + 1, n;

		for (uint32_t i = 0; i < burst; i++, sent++) {
			uint32_t len = 60 + sent % 1455;

			memset(bytes, (int)(sent & 255), len);
			assert_int_equal(send_bytes(end[0], bytes, len, 54), 0);
		}
		assert_int_equal(end[1]->ops->rx(end[1], 0, in, FRAME_BURST_MAX), 0);
		end[0]->ops->flush(end[0], 0);
		memset(bytes, 0xee, sizeof(bytes));
		n = end[1]->ops->rx(end[1], 0, in, FRAME_BURST_MAX);
		assert_int_equal(n, burst);
		for (uint32_t i = 0; i < n; i++, got++) {
			assert_int_equal(in[i].len, 60 + got % 1455);
			assert_int_equal(in[i].span_count, 1);
			assert_int_equal(in[i].csum, FRAME_CSUM_UNKNOWN);
			assert_int_equal(in[i].span[0].base[0], got & 255);
			assert_int_equal(in[i].span[0].base[in[i].len - 1], got & 255);
		}
		end[1]->ops->rx_release(end[1]);
	}
	end[1]->ops->stats(end[1], &stats);
	assert_int_equal(stats.rx_frames, got);
	assert_int_equal(send_bytes(end[0], bytes, 1514, 54), 0);
	{
		uint8_t big[1515] = {0};

		assert_int_equal(send_bytes(end[0], big, 1515, 54), -EMSGSIZE);
	}
	close_both(end);
}

static void test_room(void **state)
{
	struct pair_config c = config(4);
	struct driver *end[2];
	struct frame in[FRAME_BURST_MAX];
	struct pollfd p;
	uint8_t bytes[60] = {0};

	(void)state;
	assert_int_equal(pair_open(&c, end), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send_bytes(end[0], bytes, 60, 54), 0);
	assert_int_equal(send_bytes(end[0], bytes, 60, 54), -ENOBUFS);
	end[0]->ops->flush(end[0], 0);
	assert_int_equal(end[1]->ops->rx(end[1], 0, in, 3), 3);
	assert_int_equal(send_bytes(end[0], bytes, 60, 54), -ENOBUFS); /* lent is not released */
	p = (struct pollfd){.fd = end[0]->fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	end[1]->ops->rx_release(end[1]);
	assert_int_equal(poll(&p, 1, 0), 1); /* told that there is room */
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_bytes(end[0], bytes, 60, 54), 0);
	assert_int_equal(send_bytes(end[0], bytes, 60, 54), -ENOBUFS);
	close_both(end);
}

static void test_sleep(void **state)
{
	struct pair_config c = config(8);
	struct driver *end[2];
	struct frame in[FRAME_BURST_MAX];
	struct pollfd p;
	uint8_t bytes[60] = {0};

	(void)state;
	assert_int_equal(pair_open(&c, end), 0);
	p = (struct pollfd){.fd = end[1]->fd, .events = POLLIN};
	send_bytes(end[0], bytes, 60, 54);
	end[0]->ops->flush(end[0], 0);
	assert_int_equal(poll(&p, 1, 0), 0); /* awake: no system call was spent */
	assert_true(end[1]->ops->rx_ready(end[1], 0));
	assert_int_equal(end[1]->ops->rx(end[1], 0, in, 8), 1);
	end[1]->ops->rx_release(end[1]);
	for (int i = 0; i < 3; i++) {
		assert_false(end[1]->ops->rx_ready(end[1], 0));
		assert_int_equal(poll(&p, 1, 0), 0);
		send_bytes(end[0], bytes, 60, 54);
		assert_int_equal(poll(&p, 1, 0), 0);
		end[0]->ops->flush(end[0], 0);
		assert_int_equal(poll(&p, 1, 0), 1);
		assert_int_equal(end[1]->ops->rx(end[1], 0, in, 8), 1);
		end[1]->ops->rx_release(end[1]);
	}
	close_both(end);
}

static void test_vouch(void **state)
{
	struct pair_config c = config(8);
	struct driver *end[2];
	struct frame in[FRAME_BURST_MAX];
	static uint8_t bytes[65000];
	struct tx_frame t = {.head = bytes, .head_len = 54, .csum_partial = true, .gso_size = 1460};

	(void)state;
	c.vouch = true;
	c.gso_max = 65549;
	assert_int_equal(pair_open(&c, end), 0);
	assert_true(end[0]->caps.tx_csum && end[0]->caps.rx_csum);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = test_byte(i);
	t.data[0] = (struct span){bytes + 54, sizeof(bytes) - 54};
	t.data_count = 1;
	assert_int_equal(end[0]->ops->tx(end[0], 0, &t), 0);
	t.csum_partial = false;
	t.gso_size = 0;
	t.data_count = 0;
	assert_int_equal(end[0]->ops->tx(end[0], 0, &t), 0);
	end[0]->ops->flush(end[0], 0);
	assert_int_equal(end[1]->ops->rx(end[1], 0, in, 8), 2);
	assert_int_equal(in[0].len, sizeof(bytes));
	assert_int_equal(in[0].csum, FRAME_CSUM_PARTIAL);
	assert_int_equal(in[0].gso_size, 1460);
	assert_memory_equal(in[0].span[0].base, bytes, sizeof(bytes));
	assert_int_equal(in[1].csum, FRAME_CSUM_FULL);
	assert_int_equal(in[1].len, 54);
	close_both(end);
}

#define THREAD_FRAMES 200000u

static void *sender(void *arg)
{
	struct driver *d = arg;
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	uint8_t bytes[64] = {0};

	for (uint32_t i = 0; i < THREAD_FRAMES;) {
		memcpy(bytes, &i, sizeof(i));
		if (send_bytes(d, bytes, 60, 54) == 0) {
			i++;
			if (i % 7)
				continue;
		} else {
			d->ops->flush(d, 0);
			if (!d->ops->rx_ready(d, 0))
				poll(&p, 1, -1);
			continue;
		}
		d->ops->flush(d, 0);
	}
	d->ops->flush(d, 0);
	return NULL;
}

/* Both ends sleep whenever they may: a lost wake-up hangs here. */
static void test_threads(void **state)
{
	struct pair_config c = config(64);
	struct driver *end[2];
	struct pollfd p;
	pthread_t thread;
	uint32_t got = 0;

	(void)state;
	assert_int_equal(pair_open(&c, end), 0);
	p = (struct pollfd){.fd = end[1]->fd, .events = POLLIN};
	assert_int_equal(pthread_create(&thread, NULL, sender, end[0]), 0);
	while (got < THREAD_FRAMES) {
		struct frame in[FRAME_BURST_MAX];
		uint32_t n = end[1]->ops->rx(end[1], 0, in, 16);

		for (uint32_t i = 0; i < n; i++, got++) {
			uint32_t mark;

			memcpy(&mark, in[i].span[0].base, sizeof(mark));
			assert_int_equal(mark, got);
		}
		end[1]->ops->rx_release(end[1]);
		if (n == 0 && !end[1]->ops->rx_ready(end[1], 0))
			assert_int_equal(poll(&p, 1, 10000), 1);
	}
	pthread_join(thread, NULL);
	close_both(end);
}

static void test_refusals(void **state)
{
	struct pair_config c = config(3);
	struct driver *end[2];

	(void)state;
	assert_int_equal(pair_open(&c, end), -EINVAL);
	c.depth = 0;
	assert_int_equal(pair_open(&c, end), -EINVAL);
	c.depth = 4;
	c.gso_max = 70000;
	assert_int_equal(pair_open(&c, end), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order_and_sizes), cmocka_unit_test(test_room),
	    cmocka_unit_test(test_sleep),           cmocka_unit_test(test_vouch),
	    cmocka_unit_test(test_threads),         cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
