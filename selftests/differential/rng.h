/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that are the same everywhere for the same seed, so that a failure can be
 * repeated from the number that it printed.
 */
#ifndef DIFFERENTIAL_RNG_H
#define DIFFERENTIAL_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* A generator for the @n-th thing made from @seed; independent of all others. */
struct rng rng_make(uint64_t seed, uint64_t n);

uint64_t rng_next(struct rng *r);

/* 0 <= result < @n; 0 if @n is 0. */
uint32_t rng_below(struct rng *r, uint32_t n);

/* @lo <= result <= @hi. */
uint32_t rng_between(struct rng *r, uint32_t lo, uint32_t hi);

/* True in @percent of 100 cases. */
bool rng_chance(struct rng *r, unsigned int percent);

/* One element of an array. */
#define RNG_PICK(r, array) ((array)[rng_below(r, sizeof(array) / sizeof((array)[0]))])

#endif /* DIFFERENTIAL_RNG_H */
