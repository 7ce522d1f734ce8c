/* SPDX-License-Identifier: BSD-2-Clause */
/* test_af_xdp.c - frames through the AF_XDP driver: steering, both directions, large frames, more
 * than fits.  Needs root; exits with 77 without. */
#include "xdp_rig.h"

static void check_rx(enum af_xdp_mode mode)
{
	struct driver *d = open_driver(mode);
	int far = open_packet(FAR, 0);
	uint8_t got[2000];
	struct frame f;

	assert_true(attached());
	for (uint32_t i = 0; i < 3000; i++) {
		struct test_frame t = {.seq = i, .payload = 6 + i % 1455};
		uint32_t len = test_build(buf, &t);

		far_send(far, buf, len);
		assert_int_equal(receive(d, got, &f), len);
		assert_memory_equal(got, buf, len);
		assert_int_equal(f.csum, FRAME_CSUM_UNKNOWN);
	}
	close(far);
	d->ops->close(d);
	assert_false(attached());
}

static void test_rx(void **state)
{
	(void)state;
	make_veth(1, 1500);
	check_rx(AF_XDP_GENERIC);
	check_rx(AF_XDP_NATIVE);
	check_rx(AF_XDP_AUTO);
}

static uint32_t build_arp(uint8_t *f, const char *sender, const char *target)
{
	memset(f, 0, 60);
	memset(f, 0xff, 6);
	f[6] = 2;
	memcpy(f + 12, (const uint8_t[]){0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1}, 10);
	inet_pton(AF_INET, sender, f + 28);
	inet_pton(AF_INET, target, f + 38);
	return 60;
}

/* ICMPv6 of `type` about `target`, to a group. */
static uint32_t build_nd(uint8_t *f, uint8_t type, const char *target)
{
	memset(f, 0, 86);
	memcpy(f, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60},
	       15);
	f[19] = 32;
	f[20] = 58;
	f[21] = 255;
	inet_pton(AF_INET6, "fe80::9", f + 22);
	inet_pton(AF_INET6, "ff02::1", f + 38);
	f[54] = type;
	inet_pton(AF_INET6, target, f + 62);
	return 86;
}

/* What is sent from afar reaches stackd, or else the kernel. */
static void check_verdict(struct driver *d, int far, int kernel, uint32_t len, bool to_us)
{
	struct pollfd p = {.fd = kernel, .events = POLLIN};
	uint8_t got[2000];
	struct frame f;

	far_send(far, buf, len);
	if (to_us) {
		assert_int_equal(receive(d, got, &f), len);
		assert_memory_equal(got, buf, len);
		assert_int_equal(poll(&p, 1, 0), 0);
		return;
	}
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_true(recv(kernel, got, sizeof(got), 0) > 0);
	expect_nothing(d);
}

static void check_steering(enum af_xdp_mode mode)
{
	struct driver *d = open_driver(mode);
	int far = open_packet(FAR, 0), kernel = open_packet(NEAR, 0);
	struct test_frame t4 = {.payload = 100}, t6 = {.ipv6 = true, .payload = 100};
	uint8_t local[16] = {0xfe, 0x80};
	uint32_t len;

	check_verdict(d, far, kernel, test_build(buf, &t4), true);
	len = test_build(buf, &t4);
	buf[33] = 99; /* 10.9.0.99 */
	check_verdict(d, far, kernel, len, false);
	check_verdict(d, far, kernel, test_build(buf, &t6), true);
	len = test_build(buf, &t6);
	buf[53] = 3; /* fd00::3 */
	check_verdict(d, far, kernel, len, false);
	len = test_build(buf, &t6); /* our link-local address */
	memcpy(local + 8,
	       (const uint8_t[]){(uint8_t)(d->caps.mac[0] ^ 2), d->caps.mac[1], d->caps.mac[2],
				 0xff, 0xfe, d->caps.mac[3], d->caps.mac[4], d->caps.mac[5]},
	       8);
	memcpy(buf + 38, local, 16);
	check_verdict(d, far, kernel, len, true);
	check_verdict(d, far, kernel, build_arp(buf, "10.9.0.1", "10.9.0.2"), true);
	check_verdict(d, far, kernel, build_arp(buf, "10.9.0.2", "10.9.0.1"), true);
	check_verdict(d, far, kernel, build_arp(buf, "10.9.0.1", "10.9.0.3"), false);
	check_verdict(d, far, kernel, build_nd(buf, 135, "fd00::2"), true);
	check_verdict(d, far, kernel, build_nd(buf, 135, "fd00::3"), false);
	check_verdict(d, far, kernel, build_nd(buf, 136, "fd00::3"), true);
	check_verdict(d, far, kernel, build_nd(buf, 134, "fd00::2"), false);
	len = test_build(buf, &t4);
	buf[13] = 0x88; /* not an EtherType of ours */
	check_verdict(d, far, kernel, len, false);
	len = test_build(buf, &t4); /* a tagged frame */
	memmove(buf + 16, buf + 12, len - 12);
	memcpy(buf + 12, (const uint8_t[]){0x81, 0, 0, 5}, 4);
	check_verdict(d, far, kernel, len + 4, false);
	for (uint32_t cut = 14; cut < 54; cut++) { /* cut short anywhere: no harm */
		test_build(buf, &t6);
		far_send(far, buf, cut);
	}
	close(far);
	close(kernel);
	d->ops->close(d);
}

static void test_steering(void **state)
{
	(void)state;
	make_veth(1, 1500);
	check_steering(AF_XDP_GENERIC);
	check_steering(AF_XDP_NATIVE);
}

#define BATCH 200u

/* Frames of all sizes, 3,000 of them in batches: each arrives whole and in order. */
static void check_tx(struct driver *d, uint32_t payload_max)
{
	static uint8_t out[BATCH][9014], in[70000];
	int far = open_packet(FAR, 0);
	uint32_t sent = 0, got = 0;
	ns_t end = now_ns() + 10 * NS_PER_S;
	struct driver_stats stats;
	struct tx_frame large = {.head = buf, .head_len = 54, .data_count = 1};

	while (got < 3000 && now_ns() < end) {
		for (uint32_t i = 0; i < BATCH && sent < 3000; i++) {
			struct test_frame t = {.seq = sent,
					       .payload = 6 + sent % (payload_max - 5)};
			uint32_t len = test_build(out[i], &t), rest = len - 54;
			struct tx_frame f = {.head = out[i], .head_len = 54, .data_count = 2};

			f.data[0] = (struct span){out[i] + 54, rest / 3};
			f.data[1] = (struct span){out[i] + 54 + rest / 3, rest - rest / 3};
			if (d->ops->tx(d, now_ns(), &f) == -ENOBUFS)
				break;
			sent++;
		}
		d->ops->flush(d, now_ns());
		while (got < sent) {
			struct test_frame t = {.seq = got, .payload = 6 + got % (payload_max - 5)};
			ssize_t n = recv(far, in, sizeof(in), MSG_DONTWAIT);

			if (n < 0)
				break;
			assert_int_equal(n, test_build(buf, &t));
			assert_memory_equal(in, buf, (size_t)n);
			got++;
		}
	}
	assert_int_equal(got, 3000);
	large.data[0] = (struct span){in, d->caps.gso_max - 53};
	assert_int_equal(d->ops->tx(d, 0, &large), -EMSGSIZE);
	d->ops->stats(d, &stats);
	assert_int_equal(stats.tx_frames, 3000);
	assert_int_equal(stats.tx_dropped, 0);
	close(far);
}

/* By the AF_XDP socket, as where MTU-size frames are wanted, and by the packet socket beside it. */
static void check_senders(enum af_xdp_mode mode, uint32_t mtu)
{
	struct driver_config c = config(mode);
	char error[DRIVER_ERROR_MAX] = "";
	struct driver *d = NULL;

	c.prefer_native = true;
	assert_int_equal(af_xdp_open(&c, &d, error), 0);
	assert_null(strstr(d->caps.mode, "af_packet"));
	assert_false(d->caps.tx_csum);
	assert_int_equal(d->caps.gso_max, mtu + 14);
	check_tx(d, mtu - 40);
	d->ops->close(d);
	d = open_driver(mode);
	assert_non_null(strstr(d->caps.mode, "sends by af_packet"));
	assert_true(d->caps.tx_csum);
	assert_int_equal(d->caps.gso_max, FRAME_GSO_MAX);
	check_tx(d, mtu - 40);
	d->ops->close(d);
}

static void test_tx(void **state)
{
	(void)state;
	make_veth(1, 1500);
	check_senders(AF_XDP_GENERIC, 1500);
	check_senders(AF_XDP_NATIVE, 1500);
}

/* One frame of 64 KB out, as one, its checksum left to the far end; and nothing that the sender
 * sends or that passes by comes in on it. */
static void test_tx_large(void **state)
{
	static uint8_t in[70000];
	struct test_frame t = {.seq = 1, .payload = 60000};
	struct virtio_net_hdr vnet;
	struct driver *d;
	int far;

	(void)state;
	make_veth(1, 1500);
	d = open_driver(AF_XDP_AUTO);
	far = open_packet(FAR, 1);
	{
		uint32_t len = test_build(buf, &t);
		struct tx_frame f = {.head = buf,
				     .head_len = 54,
				     .csum_start = 34,
				     .csum_offset = 16,
				     .gso_size = 1460,
				     .csum_partial = true,
				     .data_count = 1};

		test_make_partial(buf, &t);
		f.data[0] = (struct span){buf + 54, len - 54};
		assert_int_equal(d->ops->tx(d, now_ns(), &f), 0);
		d->ops->flush(d, now_ns());
		assert_true(d->ops->deadline(d) == NS_NEVER);
		assert_int_equal(recv(far, in, sizeof(in), MSG_DONTWAIT), len + sizeof(vnet));
		memcpy(&vnet, in, sizeof(vnet));
		assert_int_equal(vnet.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
		assert_int_equal(vnet.gso_size, 1460);
		assert_true(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_memory_equal(in + sizeof(vnet), buf, len);
	}
	expect_nothing(d);
	close(far);
	d->ops->close(d);
}

static void test_large_mtu(void **state)
{
	static uint8_t got[10000];

	(void)state;
	make_veth(1, 9000);
	for (enum af_xdp_mode mode = AF_XDP_NATIVE; mode <= AF_XDP_GENERIC; mode++) {
		struct test_frame t = {.seq = 5, .payload = 8960};
		uint32_t len = test_build(buf, &t);
		struct driver *d;
		struct frame f;
		int far;

		check_senders(mode, 9000);
		d = open_driver(mode);
		far = open_packet(FAR, 0);
		test_build(buf, &t);
		far_send(far, buf, len);
		assert_int_equal(receive(d, got, &f), len);
		assert_true(f.span_count >= 2 && f.span[0].len >= 256);
		assert_memory_equal(got, buf, len);
		close(far);
		d->ops->close(d);
	}
}

/* A veth peer's large segment, whole in generic mode. */
static void test_super_frames(void **state)
{
	struct driver *d;
	int far;
	static uint8_t out[70000], got[70000];
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .hdr_len = 54,
				      .gso_size = 1460,
				      .csum_start = 34,
				      .csum_offset = 16};
	struct frame f;

	(void)state;
	make_veth(1, 1500);
	d = open_driver(AF_XDP_AUTO);
	assert_string_equal(d->caps.mode, "generic copy sg, sends by af_packet");
	assert_non_null(strstr(d->caps.why_not_better, "zero-copy"));
	far = open_packet(FAR, 1);
	for (uint32_t i = 0; i < 500; i++) {
		struct test_frame t = {.seq = i, .payload = i == 0 ? 65481 : 1461 + i * 127};
		uint32_t len = test_build(buf, &t);

		test_make_partial(buf, &t);
		memcpy(out, &vnet, sizeof(vnet));
		memcpy(out + sizeof(vnet), buf, len);
		far_send(far, out, len + (uint32_t)sizeof(vnet));
		assert_int_equal(receive(d, got, &f), len);
		assert_memory_equal(got, buf, len);
		assert_true(f.span[0].len >= 256);
		if (i == 0)
			print_message("%u bytes in %u spans\n", f.len, f.span_count);
	}
	close(far);
	d->ops->close(d);
}

/* More than fits: what comes is whole, in order, and what doesn't is counted. */
static void test_overflow(void **state)
{
	struct driver *d;
	struct driver_stats stats;
	uint32_t got = 0, last = 0;
	int far;

	(void)state;
	make_veth(1, 1500);
	d = open_driver(AF_XDP_GENERIC);
	far = open_packet(FAR, 0);
	for (uint32_t i = 1; i <= 5000; i++) {
		struct test_frame t = {.seq = i, .payload = 6};

		far_send(far, buf, test_build(buf, &t));
	}
	for (int idle = 0; idle < 3; idle++) {
		struct frame in[FRAME_BURST_MAX];
		uint32_t n = d->ops->rx(d, 0, in, FRAME_BURST_MAX);

		for (uint32_t i = 0; i < n; i++) {
			assert_true(get_be32(in[i].span[0].base + 38) > last);
			last = get_be32(in[i].span[0].base + 38);
		}
		got += n;
		d->ops->rx_release(d);
		if (n > 0)
			idle = 0;
	}
	d->ops->stats(d, &stats);
	assert_true(got >= 500);
	assert_int_equal(stats.rx_frames, got);
	assert_int_equal(stats.rx_dropped, 5000 - got);
	close(far);
	d->ops->close(d);
}

/* Best effort: with one processor both ends share it. */
static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Sends numbered frames as fast as it can until it is killed. */
static pid_t start_flood(uint32_t payload, bool gso)
{
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .hdr_len = 54,
				      .gso_size = 1460,
				      .csum_start = 34,
				      .csum_offset = 16};
	uint32_t head = gso ? (uint32_t)sizeof(vnet) : 0, len;
	struct test_frame t = {.payload = payload};
	pid_t child = fork();
	int fd;

	if (child != 0)
		return child;
	alarm(20);
	pin(1);
	fd = open_packet(FAR, gso);
	memcpy(buf, &vnet, sizeof(vnet));
	len = test_build(buf + head, &t);
	test_make_partial(buf + head, &t);
	for (uint32_t i = 1;; i++) {
		memcpy(buf + head + len - 4, &i, sizeof(i));
		if (send(fd, buf, head + len, 0) < 0)
			_exit(1);
	}
}

/* Receiving while the kernel fills: chunks go round many times, and none is lost or used twice. */
static void check_flood(enum af_xdp_mode mode, uint32_t payload, bool gso)
{
	struct driver *d = open_driver(mode);
	pid_t child = start_flood(payload, gso);
	ns_t end = now_ns() + NS_PER_S / 2;
	uint32_t last = 0, got = 0;
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	pin(0);
	while (now_ns() < end) {
		struct frame in[FRAME_BURST_MAX];
		uint32_t n = d->ops->rx(d, 0, in, FRAME_BURST_MAX);

		for (uint32_t i = 0; i < n; i++, got++) {
			const struct span *s = &in[i].span[in[i].span_count - 1];
			uint32_t mark;

			assert_int_equal(in[i].len, payload + 54);
			assert_true(s->len >= sizeof(mark));
			memcpy(&mark, s->base + s->len - sizeof(mark), sizeof(mark));
			assert_true(mark > last);
			last = mark;
		}
		d->ops->rx_release(d);
	}
	sched_setaffinity(0, sizeof(before), &before);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	print_message("%u of %u frames of %u bytes\n", got, last, payload + 54);
	assert_true(got > 200);
	d->ops->close(d);
}

static void test_flood(void **state)
{
	(void)state;
	make_veth(1, 1500);
	check_flood(AF_XDP_NATIVE, 1460, false);
	check_flood(AF_XDP_GENERIC, 1460, false);
	check_flood(AF_XDP_GENERIC, 60000, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rx),           cmocka_unit_test(test_steering),
	    cmocka_unit_test(test_tx),           cmocka_unit_test(test_large_mtu),
	    cmocka_unit_test(test_tx_large),
	    cmocka_unit_test(test_super_frames), cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_flood),
	};

	enter_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
