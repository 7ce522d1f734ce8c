/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.h - each test runs in a process of its own against a fake daemon of its own, with an
 * alarm: what hangs fails.  CHECK prints what was expected where. */
#ifndef TEST_CLIENT_HARNESS_H
#define TEST_CLIENT_HARNESS_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__,           \
				#condition, errno, strerror(errno));                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* run_NAME for cmocka out of test_NAME. */
#define TEST(name)                                                                                 \
	static void run_##name(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(harness_run(test_##name, 30), 0);                                 \
	}

extern pid_t harness_daemon; /* of the running test */

/* Runs fn in a child with a fresh daemon; 0 if it returned. */
int harness_run(void (*fn)(void), unsigned int seconds);

struct sockaddr_in own_addr(uint16_t port); /* 10.77.0.1 */
int64_t now_ms(void);

/* For tests that listen in the kernel too: `listen = both`, and ports that no test beside this one
 * has; for root a network of its own.  The first port of the daemon's choice. */
uint16_t harness_listens_on_both(void);
#endif
