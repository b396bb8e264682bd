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
 * @marks, @connection_marks: some rules change the mark, and that of the connection
 * @effects: some rules REJECT, LOG or NFLOG
 * @accounts: some rules count in accounting objects, which is an effect as well
 * @questions: some rules have matches that ask the kernel
 * @takers: some rules have targets that change or take the packet: TCPMSS and SYNPROXY
 * @sound: no rule for which the kernel would refuse the whole table
 */
struct clauses {
	struct rng *r;
	uint32_t addrs[PALETTE];
	uint16_t ports[PALETTE];
	bool marks, connection_marks;
	bool effects;
	bool accounts;
	bool questions;
	bool takers;
	bool sound;
};

void clauses_init(struct clauses *c, struct rng *r);

/* A chain can be reached from these hooks, or belongs to one of them alone. */
#define FROM_INPUT   1
#define FROM_FORWARD 2
#define FROM_OUTPUT  4
#define FROM_ANY     7

/* Add the conditions of one rule to @t. @hooks: where it will be. */
void clauses_add(struct clauses *c, struct text *t, unsigned int hooks);

/*
 * Add target REJECT, LOG or NFLOG. @rule: where the rule's conditions begin in @t. A LOG rule logs a few packets and
 * no more.
 */
void clauses_add_effect(struct clauses *c, struct text *t, size_t rule);
/* A target that changes or takes the packet, and what it needs; false: not with the rest of such a rule. */
bool clauses_add_taker(struct clauses *c, struct text *t, size_t rule, unsigned int hooks);

/* Add target MARK. */
void clauses_add_mark(struct clauses *c, struct text *t);

#endif /* DIFFERENTIAL_CLAUSES_H */
