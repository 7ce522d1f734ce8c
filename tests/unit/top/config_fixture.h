/* SPDX-License-Identifier: BSD-2-Clause */
/* config_fixture.h - what the tests of the configuration share: a file to load, and the plugins. */
#ifndef TEST_CONFIG_FIXTURE_H
#define TEST_CONFIG_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "builtin.h"
#include "config.h"

static char error[CONFIG_ERROR_MAX];
static char path[32]; /* in memory: some tests write it thousands of times */

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int load(struct config *c, const char *text)
{
	*error = 0;
	write_file(text);
	return config_load_file(c, path, error);
}

static struct plugins *load_plugins(void)
{
	struct plugins *p = plugins_create(stackd_builtin_plugins);
	char why[PLUGIN_ERROR_MAX];

	assert_non_null(p);
	assert_true(plugins_load_dir(p, PLUGIN_DIR, why) > 10);
	return p;
}

static const char good[] =
    "; a comment\n"
    "[stackd]\n"
    "shards = 2                     ; one thread each\n"
    "cpus = 2,3\n"
    "spin = 100us\n"
    "  rundir = /run/test\n"
    "allow = uid:0 gid:0\n"
    "\n"
    "[interface veth1]\n"
    "driver = af_packet ; why\n"
    "address = 10.9.0.2/24, fd00:9::2/64\n"
    "address = 10.9.1.2/24\n"
    "gateway = 10.9.0.1\n"
    "queues = auto\n"
    "rx_csum = strict\n"
    "fault = loss 2%, delay 20ms, seed 7\n"
    "require =\n"
    "[tcp]\n"
    "recovery = racktlp, sack, reno\n"
    "receive_buffer = 2MB\n"
    "[plugin rfc6298]\n"
    "min = 300ms\n"
    "[rule lab]\n"
    "remote = 10.9.0.0/24\n"
    "port = 5201\n"
    "recovery = gbn\n"
    "[rule rest]\n"
    "direction = passive\n"
    "local_port = 80, 8000-8099\n"
    "cc = newreno\n";

static const char *first(const struct tcp_plugin_list *l)
{
	return l->use[0].plugin->name;
}

static int run_with_file(const struct CMUnitTest *tests, size_t count, const char *name)
{
	int fd = memfd_create("stackd.conf", MFD_CLOEXEC), failed;

	if (fd < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	close(fd);
	return failed;
}

#endif
