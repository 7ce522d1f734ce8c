/* SPDX-License-Identifier: BSD-2-Clause */
/* bytes.h - unaligned big-endian access and spans of foreign memory. */
#ifndef STACKD_BASE_BYTES_H
#define STACKD_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* A piece of somebody else's memory, never owned. */
struct span {
	const uint8_t *base;
	uint32_t len;
};

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_count(a) (sizeof(a) / sizeof((a)[0]))

#endif
