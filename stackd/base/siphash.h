/* SPDX-License-Identifier: BSD-2-Clause */
/* siphash.h - SipHash-2-4 (Aumasson, Bernstein 2012): keyed hash for tables, ISNs and cookies. */
#ifndef STACKD_BASE_SIPHASH_H
#define STACKD_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
