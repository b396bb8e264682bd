/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that are the same everywhere for the same seed, so that a failure can be
 * repeated from the number that it printed.
 */
#ifndef SELFTESTS_RNG_H
#define SELFTESTS_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* The splitmix64 sequence: any state is a good one, and neighbours are unrelated. */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* A generator for the @n-th thing made from @seed; independent of all others. */
static inline struct rng rng_make(uint64_t seed, uint64_t n)
{
	struct rng r = {.state = seed};

	r.state = rng_next(&r) + n * 0xd1342543de82ef95ULL;
	rng_next(&r);
	return r;
}

/* 0 <= result < @n; 0 if @n is 0. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return ((rng_next(r) >> 32) * n) >> 32;
}

/* @lo <= result <= @hi. */
static inline uint32_t rng_between(struct rng *r, uint32_t lo, uint32_t hi)
{
	return lo + (uint32_t)(((rng_next(r) >> 32) * ((uint64_t)hi - lo + 1)) >> 32);
}

/* True in @percent of 100 cases. */
static inline bool rng_chance(struct rng *r, unsigned int percent)
{
	return rng_below(r, 100) < percent;
}

/* One element of an array. */
#define RNG_PICK(r, array) ((array)[rng_below(r, sizeof(array) / sizeof((array)[0]))])

#endif /* SELFTESTS_RNG_H */
