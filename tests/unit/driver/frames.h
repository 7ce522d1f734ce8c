/* SPDX-License-Identifier: BSD-2-Clause */
/* frames.h - frames for the driver tests: built and verified by code that shares nothing with the
 * code under test. */
#ifndef TESTS_UNIT_DRIVER_FRAMES_H
#define TESTS_UNIT_DRIVER_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 1071, the plain way: big-endian words. */
static inline uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += (i & 1) ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

struct test_frame {
	bool ipv6;
	uint32_t seq;
	uint8_t flags;
	uint8_t options; /* bytes of TCP options, a multiple of 4 */
	uint32_t payload;
};

static inline uint32_t test_ip_len(bool ipv6)
{
	return ipv6 ? 40 : 20;
}

static inline uint8_t test_byte(uint32_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8) * 13 + 1);
}

/* The pseudo-header sum of the frame, not complemented. */
static inline uint32_t test_pseudo(const uint8_t *f, bool ipv6, uint32_t l4_len)
{
	const uint8_t *ip = f + 14;
	uint32_t sum = 6 + l4_len / 65536 + l4_len % 65536;

	sum = (sum & 0xffff) + (sum >> 16);
	return ipv6 ? plain_sum(sum, ip + 8, 32) : plain_sum(sum, ip + 12, 8);
}

/* Writes the frame with a full sum; returns its length. */
static inline uint32_t test_build(uint8_t *f, const struct test_frame *t)
{
	uint32_t ip_len = test_ip_len(t->ipv6), tcp_len = 20u + t->options;
	uint32_t l4_len = tcp_len + t->payload, sum;
	uint8_t *ip = f + 14, *tcp = ip + ip_len;

	memset(f, 0, 14 + ip_len + tcp_len);
	f[0] = f[6] = 2;
	f[12] = t->ipv6 ? 0x86 : 0x08;
	f[13] = t->ipv6 ? 0xdd : 0x00;
	if (t->ipv6) {
		ip[0] = 0x60;
		ip[4] = (uint8_t)(l4_len >> 8);
		ip[5] = (uint8_t)l4_len;
		ip[6] = 6;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
	} else {
		ip[0] = 0x45;
		ip[2] = (uint8_t)((ip_len + l4_len) >> 8);
		ip[3] = (uint8_t)(ip_len + l4_len);
		ip[4] = 0x12;
		ip[5] = 0x34;
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, (const uint8_t[]){10, 9, 0, 1, 10, 9, 0, 2}, 8);
		sum = ~plain_sum(0, ip, 20);
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
	tcp[0] = 0x80;
	tcp[3] = 80;
	tcp[4] = (uint8_t)(t->seq >> 24);
	tcp[5] = (uint8_t)(t->seq >> 16);
	tcp[6] = (uint8_t)(t->seq >> 8);
	tcp[7] = (uint8_t)t->seq;
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = t->flags;
	tcp[14] = 1;
	memset(tcp + 20, 1, t->options);
	for (uint32_t i = 0; i < t->payload; i++)
		tcp[tcp_len + i] = test_byte(t->seq + i);
	sum = ~plain_sum(test_pseudo(f, t->ipv6, l4_len), tcp, l4_len);
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
	return 14 + ip_len + l4_len;
}

/* Replaces the TCP sum by the folded pseudo-header sum. */
static inline void test_make_partial(uint8_t *f, const struct test_frame *t)
{
	uint8_t *tcp = f + 14 + test_ip_len(t->ipv6);
	uint32_t sum = test_pseudo(f, t->ipv6, 20u + t->options + t->payload);

	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
}

/* True when the IP and TCP sums of a whole frame are right. */
static inline bool test_sums_right(const uint8_t *f, uint32_t len, bool ipv6)
{
	uint32_t ip_len = test_ip_len(ipv6), l4_len = len - 14 - ip_len;

	if (!ipv6 && plain_sum(0, f + 14, 20) != 0xffff)
		return false;
	return plain_sum(test_pseudo(f, ipv6, l4_len), f + 14 + ip_len, l4_len) == 0xffff;
}

#endif
