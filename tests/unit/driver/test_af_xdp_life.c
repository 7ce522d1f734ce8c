/* SPDX-License-Identifier: BSD-2-Clause */
/* test_af_xdp_life.c - opening and closing the AF_XDP driver: what is refused and in which words,
 * several queues and shards, and what a kill leaves behind.  Needs root; exits with 77 without. */
#include <sys/resource.h>

#include "xdp_rig.h"

static void test_killed_leaves_nothing(void **state)
{
	(void)state;
	make_veth(1, 1500);
	for (enum af_xdp_mode mode = AF_XDP_NATIVE; mode <= AF_XDP_GENERIC; mode++) {
		int ready[2];
		char byte;
		pid_t child;
		struct driver *d;

		assert_int_equal(pipe(ready), 0);
		child = fork();
		if (child == 0) {
			struct driver_config c = config(mode);
			char error[DRIVER_ERROR_MAX];

			byte = af_xdp_open(&c, &d, error) == 0 ? 'y' : 'n';
			if (write(ready[1], &byte, 1) == 1)
				pause();
			_exit(1);
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(byte, 'y');
		assert_true(attached());
		if (mode == AF_XDP_NATIVE) {
			struct driver_config c = config(mode);
			char error[DRIVER_ERROR_MAX];

			assert_int_equal(af_xdp_open(&c, &d, error), -EBUSY);
			print_message("%s\n", error);
		}
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		for (int i = 0; i < 100 && attached(); i++)
			usleep(10000);
		assert_false(attached());
		d = open_driver(mode); /* at once: the queue may still be busy for a while */
		d->ops->close(d);
		close(ready[0]);
		close(ready[1]);
	}
}

static void test_queues(void **state)
{
	struct driver_config c = config(AF_XDP_GENERIC);
	char error[DRIVER_ERROR_MAX];
	struct driver *d[2];
	uint32_t got[2] = {0}, queues = 0;
	int far;

	(void)state;
	make_veth(4, 1500);
	c.shards = 5;
	assert_int_equal(af_xdp_open(&c, &d[0], error), -EINVAL);
	print_message("%s\n", error);
	assert_non_null(strstr(error, "4 queues"));
	assert_non_null(strstr(error, "af_packet"));
	c.shards = 2;
	c.shard = 1;
	assert_int_equal(af_xdp_open(&c, &d[1], error), -EINVAL); /* shard 0 comes first */
	c.shard = 0;
	assert_int_equal(af_xdp_open(&c, &d[0], error), 0);
	c.shard = 1;
	assert_int_equal(af_xdp_open(&c, &d[1], error), 0);
	far = open_packet(FAR, 0);
	for (uint32_t i = 0; i < 256; i++) {
		struct test_frame t = {.seq = i, .payload = 6};

		test_build(buf, &t);
		buf[35] = (uint8_t)i; /* the source port chooses the queue */
		far_send(far, buf, 60);
	}
	for (unsigned s = 0; s < 2; s++) {
		struct pollfd p = {.fd = d[s]->fd, .events = POLLIN};
		struct frame in[FRAME_BURST_MAX];
		uint32_t n;

		assert_int_equal(poll(&p, 1, 1000), 1);
		while ((n = d[s]->ops->rx(d[s], 0, in, FRAME_BURST_MAX)) > 0) {
			for (uint32_t i = 0; i < n; i++) {
				assert_int_equal(in[i].queue % 2, s);
				queues |= 1u << in[i].queue;
			}
			got[s] += n;
			d[s]->ops->rx_release(d[s]);
		}
		assert_int_equal(poll(&p, 1, 0), 0);
	}
	assert_int_equal(got[0] + got[1], 256);
	assert_true((queues & 5) && (queues & 10));
	close(far);
	d[0]->ops->close(d[0]);
	assert_true(attached());
	d[1]->ops->close(d[1]);
	assert_false(attached());
}

static void test_refusals(void **state)
{
	struct driver_config c = config(AF_XDP_AUTO);
	char error[DRIVER_ERROR_MAX];
	struct driver *d, *second;
	int status;
	pid_t child;

	(void)state;
	make_veth(1, 1500);
	c.interface = "nosuch0";
	assert_int_equal(af_xdp_open(&c, &d, error), -ENODEV);
	print_message("%s\n", error);
	assert_non_null(strstr(error, FAR));
	c.interface = "lo";
	assert_int_equal(af_xdp_open(&c, &d, error), -EOPNOTSUPP);
	c.interface = NEAR;
	c.require_zerocopy = true;
	assert_int_equal(af_xdp_open(&c, &d, error), -EOPNOTSUPP);
	print_message("%s\n", error);
	assert_non_null(strstr(error, "zero-copy"));
	c.mode = AF_XDP_GENERIC;
	assert_int_equal(af_xdp_open(&c, &d, error), -EINVAL);
	c = config(AF_XDP_AUTO);
	c.require_native = true;
	assert_int_equal(af_xdp_open(&c, &d, error), 0);
	assert_non_null(strstr(d->caps.mode, "native"));
	assert_int_equal(af_xdp_open(&c, &second, error), -EBUSY);
	d->ops->close(d);
	child = fork();
	if (child == 0)
		_exit(setuid(65534) == 0 && af_xdp_open(&c, &d, error) == -EPERM &&
			      strstr(error, "root")
			  ? 0
			  : 1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	run("ip link set " NEAR " down");
	assert_int_equal(af_xdp_open(&c, &d, error), -ENETDOWN);
	print_message("%s\n", error);
	assert_false(attached());
}

/* Descriptors are given one by one until the driver opens.  The sender opens last: the first time
 * it goes without one, and says so; with two descriptors more it has one. */
static void test_no_sender(void **state)
{
	const struct driver_config c = config(AF_XDP_GENERIC);
	char error[DRIVER_ERROR_MAX];
	struct rlimit before, few;
	struct driver *d = NULL;

	(void)state;
	make_veth(1, 1500);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	for (few.rlim_cur = 4; !d && few.rlim_cur < 100; few.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		af_xdp_open(&c, &d, error);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(d);
	print_message("%s; %s\n", d->caps.mode, d->caps.why_not_better);
	assert_null(strstr(d->caps.mode, "af_packet"));
	assert_non_null(strstr(d->caps.why_not_better, "AF_PACKET"));
	assert_false(d->caps.tx_csum);
	assert_int_equal(d->caps.gso_max, 1514);
	d->ops->close(d);
	few.rlim_cur += 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(af_xdp_open(&c, &d, error), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(d->caps.mode, "sends by af_packet"));
	d->ops->close(d);
	assert_false(attached());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_killed_leaves_nothing),
	    cmocka_unit_test(test_queues),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_no_sender),
	};

	enter_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
