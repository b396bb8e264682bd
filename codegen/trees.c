// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trees.h"

/* How many former chains are looked at, from the one whose turn it is: some may have gone. */
#define LOOK_AT 4

static struct bf_tree_input input_of(const struct bf_chain_trees *c)
{
	return (struct bf_tree_input){
		.tests = c->tests, .rules = c->rules, .nr_rules = c->nr_rules, .bits = c->bits};
}

/* -EAGAIN if there is nothing to begin with. */
static int update(const struct bf_trees *former, uint32_t *at, const struct bf_tree_input *in,
		  const struct bf_tree_budget *budget, struct bf_forest *forest)
{
	uint32_t i;
	int err = -EAGAIN;

	for (i = *at; former && i < former->nr && i < *at + LOOK_AT && err == -EAGAIN; i++) {
		struct bf_tree_input was = input_of(&former->chains[i]);

		err = bf_forest_update(&was, &former->chains[i].forest, in, budget, forest);
	}
	if (!err)
		*at = i;
	return err;
}

static struct bf_chain_trees *add(struct bf_trees *trees)
{
	if (trees->nr == trees->max) {
		uint32_t max = 2 * trees->max + 1;
		void *moved = reallocarray(trees->chains, max, sizeof(*trees->chains));

		if (!moved)
			return NULL;
		trees->chains = moved;
		trees->max = max;
	}
	memset(&trees->chains[trees->nr], 0, sizeof(*trees->chains));
	return &trees->chains[trees->nr++];
}

static void free_chain(struct bf_chain_trees *c)
{
	free(c->tests);
	free(c->rules);
	bf_forest_free(&c->forest);
}

int bf_trees_make(struct bf_trees *trees, const struct bf_trees *former, uint32_t *at,
		  const struct bf_chain_trees *chain, const struct bf_tree_budget *budget,
		  const struct bf_forest **forest)
{
	struct bf_chain_trees *c = add(trees);
	struct bf_tree_input in;
	int err;

	if (!c) {
		struct bf_chain_trees unused = *chain;

		free_chain(&unused);
		return -ENOMEM;
	}
	*c = *chain;
	in = input_of(c);
	err = update(former, at, &in, budget, &c->forest);
	if (err == -EAGAIN)
		err = bf_forest_build(&in, budget, &c->forest);
	*forest = &c->forest;
	return err;
}

void bf_trees_inherit(struct bf_trees *trees, const struct bf_trees *former)
{
	size_t bytes = BF_PAGE_CHOICES * sizeof(*trees->choices);

	if (!former || !former->choices)
		return;
	trees->choices = malloc(bytes);
	if (trees->choices)
		memcpy(trees->choices, former->choices, bytes);
}

void bf_trees_free(struct bf_trees *trees)
{
	uint32_t i;

	if (!trees)
		return;
	for (i = 0; i < trees->nr; i++)
		free_chain(&trees->chains[i]);
	free(trees->chains);
	free(trees->choices);
	free(trees);
}
