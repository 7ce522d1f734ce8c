/* SPDX-License-Identifier: BSD-2-Clause */
/* speed.c - how fast the inner loops of base are here; prints, decides nothing. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/checksum.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "base/wheel.h"

static uint8_t from[65536 + 64], to[65536 + 64];
static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(const char *what, uint64_t begin, uint64_t rounds, uint64_t bytes)
{
	double ns = (double)(now_ns() - begin) / (double)rounds;

	printf("%-24s %9.1f ns", what, ns);
	if (bytes)
		printf("  %6.2f GB/s", (double)bytes / ns);
	printf("\n");
}

static void sums(size_t len)
{
	uint64_t rounds = 200000000 / (len + 100), begin;
	char what[64];

	begin = now_ns();
	for (uint64_t i = 0; i < rounds; i++)
		sink += checksum_add(i, from + 2, len);
	snprintf(what, sizeof(what), "checksum_add %zu", len);
	report(what, begin, rounds, len);
	begin = now_ns();
	for (uint64_t i = 0; i < rounds; i++)
		sink += checksum_copy(i, to, from + 2, len);
	snprintf(what, sizeof(what), "checksum_copy %zu", len);
	report(what, begin, rounds, len);
	begin = now_ns();
	for (uint64_t i = 0; i < rounds; i++) {
		memcpy(to, from + 2, len);
		sink += to[i % 64];
	}
	snprintf(what, sizeof(what), "memcpy %zu", len);
	report(what, begin, rounds, len);
}

static void timers(void)
{
	enum { N = 10000, ROUNDS = 100 };
	static struct wheel w;
	static struct timer t[N];
	uint64_t begin, now = 0;
	struct rng r;

	rng_seed(&r, 1);
	wheel_init(&w, 0);
	for (int i = 0; i < N; i++)
		timer_init(&t[i]);
	begin = now_ns();
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < N; i++)
			wheel_arm(&w, &t[i], (uint64_t)round * 1000 + 200000000);
	report("wheel_arm, later", begin, (uint64_t)N * ROUNDS, 0);
	begin = now_ns();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < N; i++)
			wheel_arm(&w, &t[i], now + rng_below(&r, 1000000000));
		for (now += 1000000000; wheel_expired(&w, now);)
			;
	}
	report("wheel_arm and expire", begin, (uint64_t)N * ROUNDS, 0);
	begin = now_ns();
	wheel_arm(&w, &t[0], now + 1000000000);
	for (int i = 0; i < 10000000; i++)
		sink += wheel_expired(&w, now + (uint64_t)i) == NULL;
	report("wheel_expired, none", begin, 10000000, 0);
}

int main(void)
{
	struct siphash_key key = {{1, 2}};
	uint64_t begin;

	sums(20);
	sums(1448);
	sums(65000);
	begin = now_ns();
	for (int i = 0; i < 10000000; i++)
		sink += siphash(&key, from, 36);
	report("siphash 36", begin, 10000000, 0);
	timers();
	return 0;
}
