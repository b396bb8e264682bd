/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of a rule: what comes before "-j", and targets that are no verdicts.
 */
#ifndef DIFFERENTIAL_CLAUSES_H
#define DIFFERENTIAL_CLAUSES_H

#include "rng.h"
#include "text.h"

#define PALETTE 10

/**
 * struct clauses - what the rules of one table are made from
 * @addrs, @ports: few, so that rules overlap; host byte order
 * @marks: some rules change the mark
 */
struct clauses {
	struct rng *r;
	uint32_t addrs[PALETTE];
	uint16_t ports[PALETTE];
	bool marks;
};

void clauses_init(struct clauses *c, struct rng *r);

/* A chain can be reached from these hooks, or belongs to one of them alone. */
#define FROM_INPUT   1
#define FROM_FORWARD 2
#define FROM_OUTPUT  4
#define FROM_ANY     7

/* Add the conditions of one rule to @t. @hooks: where it will be. */
void clauses_add(struct clauses *c, struct text *t, unsigned int hooks);

/* Add target MARK. */
void clauses_add_mark(struct clauses *c, struct text *t);

#endif /* DIFFERENTIAL_CLAUSES_H */
