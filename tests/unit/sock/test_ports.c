/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may bind what beside whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"

static void *take(void *ctx, size_t bytes)
{
	(void)ctx;
	return calloc(1, bytes);
}

static void give(void *ctx, void *slab, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(slab);
}

static const struct memory memory = {take, give, NULL};

enum { ADDR = STACKD_BIND_REUSEADDR, PORT = STACKD_BIND_REUSEPORT, V6 = STACKD_BIND_V6ONLY, V4 = STACKD_BIND_IPV4 };

#define ON(device) SOCK_PORT_DEVICE(device)

static struct addr named(const char *name)
{
	static const uint8_t one[4] = {10, 0, 0, 1}, two[4] = {10, 0, 0, 2};
	struct addr a;

	memset(&a, 0, sizeof(a));
	if (strcmp(name, "10.0.0.1") == 0)
		return addr_from4(one);
	if (strcmp(name, "10.0.0.2") == 0)
		return addr_from4(two);
	if (strcmp(name, "fd00::1") == 0) {
		a.b[0] = 0xfd;
		a.b[15] = 1;
	}
	return a; /* "*" */
}

static const struct row {
	const char *first;
	uint32_t flags;
	bool listens;
	const char *second;
	uint32_t second_flags;
	int result;
} matrix[] = {
	{"10.0.0.1", V4, false, "10.0.0.1", V4, -EADDRINUSE},
	{"10.0.0.1", V4, false, "10.0.0.2", V4, 0},
	{"*", V4, false, "10.0.0.1", V4, -EADDRINUSE},
	{"10.0.0.1", V4, false, "*", V4, -EADDRINUSE},
	{"*", V4, false, "*", V4, -EADDRINUSE},
	/* on another interface the same is free */
	{"*", V4 | ON(1), true, "*", V4 | ON(2), 0},
	{"*", V4 | ON(1), false, "*", V4 | ON(1), -EADDRINUSE},
	{"*", V4 | ON(1), false, "*", V4, -EADDRINUSE},
	{"10.0.0.1", V4, false, "*", V4 | ON(2), -EADDRINUSE},
	{"10.0.0.1", V4 | ON(1), false, "10.0.0.1", V4 | ON(2), 0},
	/* an IPv6 wildcard is one of IPv4 too, unless it says otherwise */
	{"*", V4, false, "*", 0, -EADDRINUSE},
	{"*", 0, false, "*", V4, -EADDRINUSE},
	{"*", V4, false, "*", V6, 0},
	{"*", V6, false, "*", V4, 0},
	{"*", V6, false, "*", V6, -EADDRINUSE},
	{"*", V6, false, "*", 0, -EADDRINUSE},
	{"*", 0, false, "10.0.0.1", V4, -EADDRINUSE},
	{"10.0.0.1", V4, false, "*", 0, -EADDRINUSE},
	{"*", V6, false, "10.0.0.1", V4, 0},
	{"10.0.0.1", V4, false, "*", V6, 0},
	{"*", 0, false, "fd00::1", 0, -EADDRINUSE},
	{"fd00::1", 0, false, "*", V6, -EADDRINUSE},
	{"*", V4, false, "fd00::1", 0, 0},
	{"fd00::1", 0, false, "*", V4, 0},
	{"fd00::1", 0, false, "10.0.0.1", V4, 0},
	/* SO_REUSEADDR: both say it and nobody listens */
	{"*", V4 | ADDR, false, "*", V4 | ADDR, 0},
	{"*", V4 | ADDR, false, "*", V4, -EADDRINUSE},
	{"*", V4, false, "*", V4 | ADDR, -EADDRINUSE},
	{"*", V4 | ADDR, true, "*", V4 | ADDR, -EADDRINUSE},
	{"10.0.0.1", V4 | ADDR, true, "10.0.0.2", V4 | ADDR, 0},
	/* SO_REUSEPORT: both say it, listening or not */
	{"*", V4 | PORT, true, "*", V4 | PORT, 0},
	{"*", V4 | PORT, true, "*", V4, -EADDRINUSE},
	{"*", V4 | PORT, false, "*", V4 | ADDR, -EADDRINUSE},
	{"*", V4 | PORT | ADDR, true, "*", V4 | ADDR, -EADDRINUSE},
};

static void who_may_bind_beside_whom(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
		const struct row *r = &matrix[i];
		struct sock_ports *p = sock_ports_create(&memory, 40000, 40999);
		struct endpoint first = {named(r->first), 80}, second = {named(r->second), 80}, other = second;
		struct sock_port *a, *b;
		int err;

		assert_int_equal(sock_port_claim(p, &first, r->flags, &a), 0);
		if (r->listens)
			sock_port_listening(a, true);
		err = sock_port_claim(p, &second, r->second_flags, &b);
		if (err != r->result)
			fail_msg("row %zu: %s %x then %s %x: %d, expected %d", i, r->first, r->flags, r->second,
				 r->second_flags, err, r->result);
		other.port = 81;
		assert_int_equal(sock_port_claim(p, &other, r->second_flags, &b), 0);
		sock_ports_destroy(p);
	}
}

static void a_released_port_is_free(void **state)
{
	struct sock_ports *p = sock_ports_create(&memory, 40000, 40999);
	struct endpoint e = {.port = 80};
	struct sock_port *a;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(sock_port_claim(p, &e, V4, &a), 0);
		sock_port_listening(a, true);
		sock_port_release(a);
	}
	assert_int_equal(sock_port_claim(p, &e, V4, &a), 0);
	assert_int_equal(sock_port_claim(p, &e, V4, &a), -EADDRINUSE);
	sock_ports_destroy(p);
}

/* As on Linux: what a listener accepted is bound to its port too. */
static void accepted_connections_hold_their_port(void **state)
{
	static const struct {
		uint32_t flags, second_flags;
		int result;
	} rows[] = {{V4, V4, -EADDRINUSE},
		    {V4, V4 | ADDR, -EADDRINUSE},
		    {V4 | ADDR, V4, -EADDRINUSE},
		    {V4 | ADDR, V4 | ADDR, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sock_ports *p = sock_ports_create(&memory, 40000, 40999);
		struct endpoint e = {.port = 80};
		struct sock_port *a, *b;

		assert_int_equal(sock_port_claim(p, &e, rows[i].flags, &a), 0);
		sock_port_listening(a, true);
		sock_port_hold(a);
		sock_port_listening(a, false);
		sock_port_release(a);
		assert_int_equal(sock_port_claim(p, &e, rows[i].second_flags, &b), rows[i].result);
		sock_port_release(a);
		if (rows[i].result)
			assert_int_equal(sock_port_claim(p, &e, rows[i].second_flags, &b), 0);
		sock_ports_destroy(p);
	}
}

static void chosen_ports_are_distinct_until_none_is_left(void **state)
{
	struct sock_ports *p = sock_ports_create(&memory, 40000, 40009);
	struct sock_port *a[10], *more;
	struct endpoint e;
	uint32_t seen = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		e = (struct endpoint){.port = 0};
		assert_int_equal(sock_port_claim(p, &e, V4 | ADDR | PORT, &a[i]), 0);
		assert_in_range(e.port, 40000, 40009);
		seen |= 1u << (e.port - 40000);
	}
	assert_int_equal(seen, 0x3ff);
	e = (struct endpoint){.port = 0};
	assert_int_equal(sock_port_claim(p, &e, V4, &more), -EADDRINUSE);
	sock_port_release(a[3]);
	assert_int_equal(sock_port_claim(p, &e, V4, &more), 0);
	sock_ports_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_bind_beside_whom),
		cmocka_unit_test(a_released_port_is_free),
		cmocka_unit_test(accepted_connections_hold_their_port),
		cmocka_unit_test(chosen_ports_are_distinct_until_none_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
