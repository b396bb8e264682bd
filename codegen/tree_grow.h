/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trees while they grow: which leaf is split next (tree.c), and splitting one (tree_split.c).
 */
#ifndef BPFILTER_TREE_GROW_H
#define BPFILTER_TREE_GROW_H

#include "tree_build.h"

/* Memory that is given back all at once */
struct chunk {
	struct chunk *next;
	uint64_t words[];
};

/**
 * struct leaf - of a tree that is growing
 * @list: the rules that are possible here
 * @region: which keys come here; NULL if this is not to be split
 * @window: by which it is to be split
 * @inner: once it was split, its node
 * @weight: the part of all keys that come here
 * @tries: for how many windows there was no room
 */
struct leaf {
	struct list list;
	struct cell *region;
	struct window window;
	uint64_t inner;
	float weight;
	uint8_t depth;
	uint8_t tries;
};

/* A leaf that is to be split, and how much shorter the average list becomes for each item more */
struct gain {
	float gain;
	uint32_t leaf;
};

struct grower {
	const struct rule_set *set;
	struct limits *limits;
	struct scratch *scratch;
	bool one;	/* tree */
	uint64_t bytes; /* what the trees would occupy now */

	uint64_t *nodes; /* of leaves: their number in @leaves */
	uint32_t nr_nodes, max_nodes;
	struct leaf *leaves;
	uint32_t nr_leaves, max_leaves;
	struct gain *heap; /* the greatest first */
	uint32_t nr_heap, max_heap;

	struct chunk *chunks;
	size_t left; /* words of the first of them */

	/* The split at hand, see tree_split.c */
	uint32_t *narrow, max_narrow; /* items of each child, one child after the other */
	uint32_t start[(1 << WINDOW_MAX) + 1];
	uint32_t *wide, max_wide;	 /* items of all children */
	bool alone[1 << WINDOW_MAX];	 /* the child is like no other, even with the same rules */
	uint32_t same[1 << WINDOW_MAX];	 /* the first child that is the same */
	uint32_t table[2 << WINDOW_MAX]; /* of these */
	uint16_t nr_keys[1 << WINDOW_MAX], key_start[1 << WINDOW_MAX];
};

/* Memory that lives as long as the grower. NULL if there is none */
void *chunk_alloc(struct grower *g, size_t bytes);
/* Make room for @more behind the @nr in *@array, which has room for *@max. False if there is no memory */
bool make_room(void *array, uint32_t *max, uint64_t nr, uint64_t more, size_t size);
void work_done(struct grower *g, uint64_t work);

/*
 * Add a leaf. What cannot be reached is removed from its list, in place; @region is copied if it
 * is needed further on. Returns 0 or -ENOMEM.
 */
int leaf_add(struct grower *g, struct list list, const struct cell *region, float weight,
	     uint32_t depth);

/*
 * Split a leaf by its window. Returns 0, -ENOMEM, or -E2BIG if that is beyond the budget; then
 * nothing was changed.
 */
int leaf_split(struct grower *g, uint32_t id);

#endif /* BPFILTER_TREE_GROW_H */
