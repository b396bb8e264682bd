/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much memory requests may take while they arrive and are worked on. Whoever finds no room says that he
 * starves, and the event loop is woken when there is some.
 */
#ifndef BPFILTER_BUDGET_H
#define BPFILTER_BUDGET_H

#include "bpfilter.h"

/**
 * struct bf_budget - bytes of payload in memory
 * @used: any thread
 * @starving: how many wait for room; any thread
 * @wake: an eventfd, readable when somebody starves and room has become free
 */
struct bf_budget {
	size_t limit;
	size_t used;
	unsigned int starving;
	int wake;
};

/* Room for @len bytes? */
bool bf_budget_reserve(struct bf_budget *b, size_t len);

/**
 * bf_budget_reserve_or_starve - the same, and be woken if there is none
 * @starved: of the caller, who starves when there was none until there is, or it calls bf_budget_fed()
 */
bool bf_budget_reserve_or_starve(struct bf_budget *b, size_t len, bool *starved);
void bf_budget_fed(struct bf_budget *b, bool *starved);

/* Safe in any thread. */
void bf_budget_release(struct bf_budget *b, size_t len);

#endif /* BPFILTER_BUDGET_H */
