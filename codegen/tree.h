/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decision trees for packet classification: out of a chain's rules, arrays that lead from a key
 * to a short list of the rules that may match it.
 *
 * Knows nothing of packets, tables or eBPF: a key is up to 64 words of 32 bits. Everything here
 * works on memory alone and is deterministic: the same input gives the same arrays.
 */
#ifndef BPFILTER_TREE_H
#define BPFILTER_TREE_H

#include <stdbool.h>
#include <stdint.h>

#define BF_TREE_FIELDS	64
#define BF_FOREST_TREES 4
/* Steps from a root to its farthest leaf. */
#define BF_TREE_DEPTH	12
/* More rules than that in one chain are left as one list. */
#define BF_TREE_RULES	(1U << 24)

/**
 * struct bf_tree_test - what a rule asks of one word of the key
 * @field: which word, less than BF_TREE_FIELDS
 * @range: @a <= word <= @b; otherwise (word & @a) == @b
 * @a: mask, or least value
 * @b: masked value, or greatest value
 *
 * Numbers are in the order in which the walker compares them; a range or a prefix of a number
 * that is stored in another byte order would be useless, not wrong.
 */
struct bf_tree_test {
	uint8_t field;
	bool range;
	uint32_t a, b;
};

/**
 * struct bf_tree_rule - one rule of a chain
 * @first: the first of its tests
 * @nr: how many; all of them must hold. A field may have several
 * @prunes: the tests are all that the rule asks, and when they hold the walk through this chain
 *	ends here. Otherwise they are only necessary: the rule may match or not, and go on
 * @asks: it also asks something that rules may change on the way, such as a mark: which question
 *	that is, or 0 if it is none. Equal ones have the same answer until then
 * @ends: when the tests hold, and what it asks, the walk through this chain ends here
 * @changes: it may change the answers
 */
struct bf_tree_rule {
	uint32_t first, nr;
	bool prunes;
	uint8_t asks;
	bool ends, changes;
};

/**
 * struct bf_tree_input - a chain
 * @tests: those of all rules
 * @rules: in the order of the chain. The last has no tests and @prunes
 * @nr_rules: at least one
 * @bits: for each of BF_TREE_FIELDS, the bits that may be set in that word of any key, such as
 *	0xffff for a port; NULL if all of them may. Lets a range be known to hold sooner
 */
struct bf_tree_input {
	const struct bf_tree_test *tests;
	const struct bf_tree_rule *rules;
	uint32_t nr_rules;
	const uint32_t *bits;
};

/**
 * struct bf_tree_budget - what building may cost, and what searching does cost. Too little of the
 *	former never is an error: the lists become longer, in the end one list of all rules
 * @bytes: of nodes and list items together, beyond one item for each rule
 * @item_bytes: what an item of a list will occupy where it is used; not 0
 * @work: units of a few nanoseconds each, for all attempts together
 * @ns: wall time, looked at between steps; for the case that the machine is slower than anyone
 *	thought, as it makes the result depend on it. 0: no limit
 * @item_ns: what it costs, in nanoseconds, to look at one more item of a list; not 0
 * @tree_ns: and to search one more tree, beyond its nodes and items
 */
struct bf_tree_budget {
	uint64_t bytes;
	uint32_t item_bytes;
	uint64_t work;
	uint64_t ns;
	float item_ns, tree_ns;
};

/*
 * A node. Inner: where the children begin in bf_forest.nodes, and which bits of the key say which
 * child: base + ((uint32_t)(key[field] << shl) >> shr). Leaf: where its list begins in
 * bf_forest.lists.
 */
#define BF_NODE_LEAF	 (1ULL << 63)
#define BF_NODE_BASE(n)	 ((uint32_t)(n))
#define BF_NODE_FIELD(n) ((unsigned int)((n) >> 32) & 63)
#define BF_NODE_SHL(n)	 ((unsigned int)((n) >> 40) & 31)
#define BF_NODE_SHR(n)	 ((unsigned int)((n) >> 48) & 31)

/* By how many fields rules are divided among trees */
#define BF_TREE_AXES 2

/**
 * struct bf_division - how rules are divided among trees
 * @field: in which a rule may be narrow
 * @bits: that it must ask of that to be so; 0: none is
 * @tree: of a rule that is wide in both, narrow in the first, in the second, in both
 */
struct bf_division {
	uint8_t field[BF_TREE_AXES];
	uint8_t bits[BF_TREE_AXES];
	uint8_t tree[1 << BF_TREE_AXES];
};

/**
 * struct bf_forest - the chain as one to four trees, each over rules of its own
 * @nodes: all trees' nodes; siblings are contiguous
 * @nr_nodes: how many words @nodes has
 * @lists: rule numbers. A list is ascending and ends with the first rule that prunes and is
 *	certain to match whatever key led there, so that whoever goes through it needs no other end.
 *	Lists that are equal, or the end of another, are stored once
 * @nr_items: how many @lists has
 * @roots: where each tree's root is in @nodes
 * @nr_roots: how many trees
 * @depth: the greatest number of steps from a root to a leaf
 * @longest: the length of the longest list
 * @cost: nanoseconds for a search, estimated on keys drawn from the rules
 * @division: which tree a rule is in
 * @built: what it was when it was built as a whole, and what a tree more cost then
 * @changes: rules that have come or gone since then
 *
 * Each rule but the last is in one tree only, or in none if no key gets to it; the last is in all.
 * For any key, the list that a tree gives holds all rules of that tree whose tests hold, but for
 * those behind one that prunes and whose tests hold. So to walk a chain is to go through the lists
 * of all trees at once by ascending rule number.
 */
struct bf_forest {
	uint64_t *nodes;
	uint32_t nr_nodes;
	uint32_t *lists;
	uint32_t nr_items;
	uint32_t roots[BF_FOREST_TREES];
	uint32_t nr_roots;
	uint32_t depth;
	uint32_t longest;
	float cost;
	struct bf_division division;
	struct {
		float cost, tree_ns;
		uint32_t items, nodes, longest;
	} built;
	uint32_t changes;
};

/**
 * bf_tree_budget_of - what is right for a chain of so many rules, in eBPF
 * @item_bytes: see struct bf_tree_budget
 */
struct bf_tree_budget bf_tree_budget_of(uint32_t nr_rules, uint32_t item_bytes);

/**
 * bf_forest_build - build the trees that are estimated to be the fastest within the budget
 * @out: receives arrays that the caller gives to bf_forest_free(); empty on failure
 *
 * Returns 0 or -ENOMEM.
 */
int bf_forest_build(const struct bf_tree_input *in, const struct bf_tree_budget *budget,
		    struct bf_forest *out);

/**
 * bf_forest_update - the trees of a chain that has changed a little, made of those that it had
 * @was: the chain as it was, with its @forest; neither is changed
 * @in: the chain as it is
 * @budget: for building, of which this takes a part
 * @out: receives arrays that the caller gives to bf_forest_free(); empty on failure
 *
 * They give the same answers as trees that are built anew, and are not much slower or larger.
 * Returns 0, -ENOMEM, or -EAGAIN if it is better to build them anew.
 */
int bf_forest_update(const struct bf_tree_input *was, const struct bf_forest *forest,
		     const struct bf_tree_input *in, const struct bf_tree_budget *budget,
		     struct bf_forest *out);

void bf_forest_free(struct bf_forest *forest);

#endif /* BPFILTER_TREE_H */
