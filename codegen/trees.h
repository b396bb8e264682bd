/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trees of a table's chains, kept so that those of the next table, which mostly differs by a rule,
 * can be made of them.
 */
#ifndef BPFILTER_TREES_H
#define BPFILTER_TREES_H

#include <stddef.h>

#include "pages.h"
#include "tree.h"

/**
 * struct bf_chain_trees - one chain that has trees
 * @tests, @rules, @bits: as in struct bf_tree_input; owned
 */
struct bf_chain_trees {
	struct bf_tree_test *tests;
	struct bf_tree_rule *rules;
	uint32_t nr_rules;
	uint32_t bits[BF_TREE_FIELDS];
	struct bf_forest forest;
};

/**
 * struct bf_trees - all of them, in the order in which they were made
 * @choices: windows of their pages, see bf_page_fill(); owned, or NULL
 */
struct bf_trees {
	struct bf_chain_trees *chains;
	uint32_t nr, max;
	struct bf_page_windows *choices;
};

/* The windows that were chosen for @former, which may be NULL, are remembered, if there is memory. */
void bf_trees_inherit(struct bf_trees *trees, const struct bf_trees *former);

/**
 * bf_trees_make - a chain's trees: made of former ones if there are some that will do, or built
 * @former: of a table before; or NULL
 * @at: where in @former to look first; moves on
 * @chain: the rules, whose arrays are taken over, also after an error
 * @budget: for building
 * @forest: receives the trees; valid as long as @trees has not changed
 *
 * What was made is kept in @trees. 0 or -ENOMEM.
 */
int bf_trees_make(struct bf_trees *trees, const struct bf_trees *former, uint32_t *at,
		  const struct bf_chain_trees *chain, const struct bf_tree_budget *budget,
		  const struct bf_forest **forest);

/* @trees may be NULL. */
void bf_trees_free(struct bf_trees *trees);

#endif /* BPFILTER_TREES_H */
