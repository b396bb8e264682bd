/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random tables and packets that have much to do with each other. The same seed gives the same
 * ones.
 */
#ifndef DICE_H
#define DICE_H

#include "blob.h"
#include "walk.h"

/**
 * struct dice - where the random numbers come from
 * @module: tables and packets are for the module's hooks alone: targets change marks, packets have
 *	marks and connections
 */
struct dice {
	uint64_t state;
	bool module;
};

/* A number from 0 to n - 1. */
uint32_t roll(struct dice *d, uint32_t n);
/* True that many times in 100. */
bool chance(struct dice *d, unsigned int percent);

/*
 * A table that the kernel would accept. It has everything that the paths through a table can be
 * made of: chains in chains, goto, RETURN wherever it may stand, rules without a target, jumps
 * into the middle of a chain and of another hook's, more jumps than the kernel's stack has room
 * for.
 */
void random_table(struct dice *d, struct blob *b);

/*
 * A packet in one of the three hooks. Unless it is for the module, all but its length is zero in
 * LOCAL_OUT. See walk.h.
 */
void random_packet(struct dice *d, struct packet *p);

#endif /* DICE_H */
