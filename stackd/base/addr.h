/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - one address type for IPv4 and IPv6; IPv4 is held v4-mapped (::ffff:a.b.c.d). */
#ifndef STACKD_BASE_ADDR_H
#define STACKD_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
	union {
		uint8_t b[16]; /* network order */
		uint64_t q[2];
	};
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order */
};

struct prefix {
	struct addr addr;
	uint8_t bits; /* 0..128, counted in the v4-mapped form: a /24 of IPv4 is 120 */
};

static inline bool addr_is4(const struct addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(a->b, mapped, 12) == 0;
}

static inline struct addr addr_from4(const uint8_t v4[4])
{
	struct addr a = {.b = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]}};
	return a;
}

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* The four bytes of IPv4, in network order. */
static inline uint32_t addr_word4(const struct addr *a)
{
	uint32_t word;

	memcpy(&word, a->b + 12, sizeof(word));
	return word;
}

/* ff00::/8 and 224.0.0.0/4 */
static inline bool addr_is_multicast(const struct addr *a)
{
	return addr_is4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

/* 255.255.255.255 */
static inline bool addr_is_broadcast4(const struct addr *a)
{
	return addr_is4(a) && addr_word4(a) == UINT32_MAX;
}

/* :: and 0.0.0.0 */
static inline bool addr_is_unspecified(const struct addr *a)
{
	return addr_is4(a) ? addr_word4(a) == 0 : (a->q[0] | a->q[1]) == 0;
}

bool addr_is_link_local(const struct addr *a);
/* Families do not mix: ::/0 holds no IPv4 address. */
bool prefix_contains(const struct prefix *p, const struct addr *a);

#define ADDR_TEXT_MAX 48     /* an address or prefix with its NUL */
#define ENDPOINT_TEXT_MAX 56 /* "[v6]:port" or "v4:port" with its NUL */

/* Each writes a NUL-terminated text and returns `out`. */
char *addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX]);
char *prefix_format(const struct prefix *p, char out[static ADDR_TEXT_MAX]);
char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT_MAX]);

/* Each reads the whole text, without a resolver.  Returns 0, or -EINVAL. */
int addr_parse(const char *text, struct addr *out);
/* "10.9.0.2/24", "fd00::/8"; without "/" the whole address */
int prefix_parse(const char *text, struct prefix *out);
/* "10.9.0.2:80", "[fd00::1]:80" */
int endpoint_parse(const char *text, struct endpoint *out);

#endif
