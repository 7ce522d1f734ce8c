/* SPDX-License-Identifier: BSD-2-Clause */
/* load.h - what the load programs share: a monotonic clock, addresses, giving up. */
#ifndef STACKD_TESTS_BENCH_LOAD_H
#define STACKD_TESTS_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdint.h>

uint64_t load_now_ns(void);

/* Ends the program with a message when `result` is negative; gives it back else. */
int load_need(int result, const char *what);

/* An IPv4 address and port from text; ends the program when it is none. */
struct sockaddr_in load_address(const char *address, const char *port);

/* A number from text between least and most; ends the program else. */
unsigned long load_number(const char *text, unsigned long least, unsigned long most);

void load_set_nodelay(int fd);

#endif
