/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.c - ones' complement sums.  2^16 = 1 modulo 65535, so words of any width that is a
 * multiple of 16 bits may be added; here 32-bit halves are added in 64-bit lanes, where no carry is
 * lost.  Sums that leave this file are below 2^33, so that the user may add further ones. */
#include "base/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#define BLOCK 64u /* bytes of one step of the vector loop */

typedef uint64_t lanes __attribute__((vector_size(32)));

static inline uint64_t reduce(uint64_t sum)
{
	return (sum & 0xffffffff) + (sum >> 32);
}

/* The loops exist once and are compiled twice, for any CPU and for AVX2; with `copy` false and
 * known, the stores vanish. */
static inline __attribute__((always_inline)) uint64_t blocks(uint8_t *dst, const uint8_t *src,
							     size_t n, bool copy)
{
	lanes low = {0}, high = {0}, a, b;
	const lanes mask = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

	for (size_t at = 0; at < n; at += BLOCK) {
		memcpy(&a, src + at, sizeof(a));
		memcpy(&b, src + at + sizeof(a), sizeof(b));
		if (copy) {
			memcpy(dst + at, &a, sizeof(a));
			memcpy(dst + at + sizeof(a), &b, sizeof(b));
		}
		low += (a & mask) + (b & mask);
		high += (a >> 32) + (b >> 32);
	}
	low += high;
	return reduce(low[0]) + reduce(low[1]) + reduce(low[2]) + reduce(low[3]);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t blocks_add_avx2(const uint8_t *src, size_t n)
{
	return blocks(NULL, src, n, false);
}

__attribute__((target("avx2"))) static uint64_t blocks_copy_avx2(uint8_t *dst, const uint8_t *src,
								 size_t n)
{
	return blocks(dst, src, n, true);
}

static inline bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
#define blocks_add_avx2(src, n)       blocks(NULL, src, n, false)
#define blocks_copy_avx2(dst, src, n) blocks(dst, src, n, true)
#define have_avx2()                   false
#endif

static uint64_t blocks_add(const uint8_t *src, size_t n)
{
	return have_avx2() ? blocks_add_avx2(src, n) : blocks(NULL, src, n, false);
}

static uint64_t blocks_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
	return have_avx2() ? blocks_copy_avx2(dst, src, n) : blocks(dst, src, n, true);
}

/* Fewer than BLOCK bytes. */
static inline uint64_t tail_add(const uint8_t *p, size_t len)
{
	uint64_t sum = 0, word;
	uint32_t half;
	uint16_t pair;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word & 0xffffffff) + (word >> 32);
	}
	/* by fixed sizes: a memcpy of unknown length would be a call */
	if (len & 4) {
		memcpy(&half, p, 4);
		sum += half;
		p += 4;
	}
	if (len & 2) {
		memcpy(&pair, p, 2);
		sum += pair;
		p += 2;
	}
	if (len & 1) {
		const uint8_t padded[2] = {*p, 0};

		memcpy(&pair, padded, 2);
		sum += pair;
	}
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t whole = len & ~(size_t)(BLOCK - 1);

	sum = reduce(sum);
	if (whole > 0)
		sum += blocks_add(p, whole);
	return reduce(sum + tail_add(p + whole, len - whole));
}

uint64_t checksum_copy(uint64_t sum, void *dst, const void *src, size_t len)
{
	const uint8_t *from = src;
	uint8_t *to = dst;
	size_t whole = len & ~(size_t)(BLOCK - 1);

	sum = reduce(sum);
	if (whole > 0)
		sum += blocks_copy(to, from, whole);
	if (len > whole)
		memcpy(to + whole, from + whole, len - whole);
	return reduce(sum + tail_add(from + whole, len - whole));
}

uint64_t checksum_add_odd(uint64_t sum, uint64_t piece)
{
	/* RFC 1071 2(B): the sum of byte-swapped words is the byte-swapped sum */
	return sum + __builtin_bswap16(checksum_fold(piece));
}

/* The 32-bit words of an address: at most four, so the sum fits by far. */
static inline uint64_t address_words(const struct addr *a)
{
	uint32_t w[4];

	if (addr_is4(a))
		return addr_word4(a);
	memcpy(w, a->b, sizeof(w));
	return (uint64_t)w[0] + w[1] + w[2] + w[3];
}

uint64_t checksum_pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol,
			 uint32_t len)
{
	return reduce(address_words(src) + address_words(dst) + htons(protocol) + htonl(len));
}

uint16_t checksum_fold(uint64_t sum)
{
	sum = reduce(reduce(sum));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum_finish(uint64_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}
