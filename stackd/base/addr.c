/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.c - address classes and their text form (RFC 4291 2.2, RFC 5952). */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define MAPPED_BITS 96u /* of ::ffff:0:0/96 */

bool addr_is_link_local(const struct addr *a)
{
	if (addr_is4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static bool prefix_is4(const struct prefix *p)
{
	return p->bits >= MAPPED_BITS && addr_is4(&p->addr);
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	unsigned bytes = p->bits / 8, rest = p->bits % 8;

	if (prefix_is4(p) != addr_is4(a))
		return false;
	if (memcmp(p->addr.b, a->b, bytes) != 0)
		return false;
	return rest == 0 || ((p->addr.b[bytes] ^ a->b[bytes]) >> (8 - rest)) == 0;
}

char *addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
	if (addr_is4(a))
		inet_ntop(AF_INET, a->b + 12, out, ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->b, out, ADDR_TEXT_MAX);
	return out;
}

char *prefix_format(const struct prefix *p, char out[static ADDR_TEXT_MAX])
{
	bool is4 = prefix_is4(p);
	size_t len;

	if (is4)
		addr_format(&p->addr, out);
	else
		inet_ntop(AF_INET6, p->addr.b, out, ADDR_TEXT_MAX);
	len = strlen(out);
	snprintf(out + len, ADDR_TEXT_MAX - len, "/%u", is4 ? p->bits - MAPPED_BITS : p->bits);
	return out;
}

char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];
	const char *form = addr_is4(&e->addr) ? "%s:%u" : "[%s]:%u";

	snprintf(out, ENDPOINT_TEXT_MAX, form, addr_format(&e->addr, text), e->port);
	return out;
}

/* Decimal digits alone, at most `max`. */
static int number_parse(const char *text, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (uint32_t)(*text - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

int addr_parse(const char *text, struct addr *out)
{
	uint8_t v4[4];
	struct addr a;

	if (inet_pton(AF_INET, text, v4) == 1)
		a = addr_from4(v4);
	else if (inet_pton(AF_INET6, text, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

int prefix_parse(const char *text, struct prefix *out)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint32_t bits = 128, base;
	struct addr a;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = 0;
	if (addr_parse(host, &a) != 0)
		return -EINVAL;
	base = strchr(host, ':') ? 0 : MAPPED_BITS;
	if (slash) {
		if (number_parse(slash + 1, 128 - base, &bits) != 0)
			return -EINVAL;
		bits += base;
	}
	*out = (struct prefix){a, (uint8_t)bits};
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *out)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	size_t len;
	uint32_t port;
	struct addr a;

	if (!colon || number_parse(colon + 1, 65535, &port) != 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (bracket) {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = 0;
	if (bracket != (strchr(host, ':') != NULL) || addr_parse(host, &a) != 0)
		return -EINVAL;
	*out = (struct endpoint){a, (uint16_t)port};
	return 0;
}
