// SPDX-License-Identifier: GPL-2.0
#include "rng.h"

/* The splitmix64 sequence: any state is a good one, and neighbours are unrelated. */
uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

struct rng rng_make(uint64_t seed, uint64_t n)
{
	struct rng r = {.state = seed};

	r.state = rng_next(&r) + n * 0xd1342543de82ef95ULL;
	rng_next(&r);
	return r;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return ((rng_next(r) >> 32) * n) >> 32;
}

uint32_t rng_between(struct rng *r, uint32_t lo, uint32_t hi)
{
	return lo + (uint32_t)(((rng_next(r) >> 32) * ((uint64_t)hi - lo + 1)) >> 32);
}

bool rng_chance(struct rng *r, unsigned int percent)
{
	return rng_below(r, 100) < percent;
}
