/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the tree builder share: the rules in a form that is quick to split
 * (tree_rules.c), the choice of the bits to split by (tree_window.c), growing trees (tree.c),
 * their lists (tree_lists.c). How the rules are divided among trees is in forest.c.
 */
#ifndef BPFILTER_TREE_BUILD_H
#define BPFILTER_TREE_BUILD_H

#include <stddef.h>

#include "tree.h"

/* Of an array that malloc(3) is to give: never nothing, which it might call NULL. */
#define ROOM(nr, type) (((size_t)(nr) + 1) * sizeof(type))

/* A list shorter than that is not split, */
#define SPLIT_MIN    12
/* nor is one if that makes it shorter by less. */
#define WORTH_A_STEP 7

/* That is what a step costs, in items. */
#define STEP 5

/* The widest window that a node looks at, in bits. */
#define WINDOW_MAX 14

/*
 * An item of a list that is being split: the rule number, and above it how much of the rule is
 * here: 2^-share of it, supposing that its keys are evenly distributed.
 */
#define ITEM_RULE(item)	 ((item) & (BF_TREE_RULES - 1))
#define ITEM_SHARE(item) ((item) >> 24)

/* What a rule asks of one field: bits, as in a ternary match */
struct cell {
	uint32_t mask, value;
};

/* and bounds, which do not exclude more than the bits do if that could be avoided. */
struct span {
	uint32_t lo, hi;
};

/* Of what rules may change, see struct bf_tree_rule */
struct question {
	uint8_t asks;
	bool ends, changes;
};

/**
 * struct rule_set - the rules, field by field
 * @nr_fields: how many fields any rule looks at; these are numbered 0 to @nr_fields - 1
 * @field: which they are to the caller
 * @nr_spans: how many of them have bounds in any rule
 * @span_of: which of these a field is, or -1
 * @span_field: the field of each of these
 * @start: the bits that are known of every key, before any was looked at
 * @cells: @nr times @nr_fields
 * @spans: @nr times @nr_spans
 * @prunes, @questions: for each rule
 * @asked: some rule ends the walk by what it asks
 * @never: for each rule: no key matches it
 * @nr_keys: not more than KEYS
 * @keys: @nr_keys times @nr_fields: what the traffic is supposed to be
 */
struct rule_set {
	uint32_t nr;
	unsigned int nr_fields;
	uint8_t field[BF_TREE_FIELDS];
	unsigned int nr_spans;
	int8_t span_of[BF_TREE_FIELDS];
	uint8_t span_field[BF_TREE_FIELDS];
	struct cell start[BF_TREE_FIELDS];
	struct cell *cells;
	struct span *spans;
	bool *prunes;
	struct question *questions;
	bool asked;
	bool *never;
	uint32_t nr_keys;
	uint32_t *keys;
};

/*
 * How many keys stand for the traffic at most, how many for a rule in short chains, and one in how many
 * has nothing to do with the rules
 */
#define KEYS	     512
#define KEYS_A_RULE  8
#define UNIFORM_KEYS 8

int rule_set_init(struct rule_set *set, const struct bf_tree_input *in);
/* Every @step-th rule, and the last */
int rule_set_sample(struct rule_set *sample, const struct rule_set *set, uint32_t step);
/*
 * Rules that are not in @set, in the same form. False in @fits if they look at a field that no rule
 * there does, or in a way that none does: then there is nothing to be freed.
 */
int rule_set_others(struct rule_set *others, const struct rule_set *set,
		    const struct bf_tree_input *in, uint32_t first, uint32_t nr, bool *fits);
void rule_set_free(struct rule_set *set);

static inline const struct cell *cells_of(const struct rule_set *set, uint32_t rule)
{
	return set->cells + (size_t)rule * set->nr_fields;
}

static inline const struct span *spans_of(const struct rule_set *set, uint32_t rule)
{
	return set->spans + (size_t)rule * set->nr_spans;
}

/*
 * A region: for each field, the bits looked at so far (mask) and what they were (value). These
 * hold for rules that are possible in it.
 */
static inline bool span_holds(const struct span *span, const struct cell *region)
{
	return region->value >= span->lo && (region->value | ~region->mask) <= span->hi;
}

bool rule_matches(const struct rule_set *set, uint32_t rule, const uint32_t *key);
/* The rule matches every key of the region. */
bool rule_certain(const struct rule_set *set, const struct cell *region, uint32_t rule);
/*
 * Remove from an ascending list what is behind a rule that prunes and matches wherever this one
 * does, in this region. Returns the new length.
 * @all: of what may be between two of them, the list has all: there is no other tree
 */
uint32_t list_prune(const struct rule_set *set, const struct cell *region, uint32_t *items,
		    uint32_t nr, bool all);

/**
 * struct window - bits of a field, none of which was looked at before
 * @field: of the rule set
 * @pos: the lowest bit
 * @width: how many
 * @list: the expected length of the lists behind it
 * @more: how many items that is more than the list had, nodes included
 * @score: less is better; @list and what it costs in memory
 */
struct window {
	uint8_t field, pos, width;
	float list, more, score;
};

/**
 * struct slots - which values of a window a rule allows
 * @value: with the bits of @free set in any way
 * @free: bits that the rule does not care about
 * @lo: and not less than this,
 * @hi: and not more
 * @open: whether the rule holds depends on bits outside of the window in a way that differs from
 *	value to value
 */
struct slots {
	uint32_t value, free, lo, hi;
	bool open;
};

static inline uint32_t window_mask(const struct window *w)
{
	return (1U << w->width) - 1;
}

/* Bounds of a rule that the region does not answer */
static inline void slots_bound(struct slots *s, const struct span *span, const struct cell *region,
			       const struct cell *cell, const struct window *w)
{
	uint32_t above = w->pos + w->width < 32 ? UINT32_MAX << (w->pos + w->width) : 0;
	uint32_t base, last;

	s->open = true;
	if (above & ~(region->mask | cell->mask))
		return;
	/* All above the window is known: it counts from @base to @last. */
	base = (region->value | cell->value) & above;
	last = base | ~above;
	if (span->lo > last || span->hi < base) {
		s->lo = 1;
		s->hi = 0;
		return;
	}
	if (span->lo > base)
		s->lo = (span->lo - base) >> w->pos;
	if (span->hi < last)
		s->hi = (span->hi - base) >> w->pos;
}

static inline struct slots slots_of(const struct rule_set *set, const struct cell *region,
				    const struct window *w, uint32_t rule)
{
	const struct cell *cell = &cells_of(set, rule)[w->field];
	uint32_t all = window_mask(w), mask = cell->mask >> w->pos & all;
	struct slots s = {cell->value >> w->pos & all, all & ~mask, 0, all, false};
	int at = set->span_of[w->field];

	if (at >= 0 && !span_holds(&spans_of(set, rule)[at], &region[w->field]))
		slots_bound(&s, &spans_of(set, rule)[at], &region[w->field], cell, w);
	return s;
}

/* The number of values, exact unless both bits and bounds exclude some; then more. */
static inline uint32_t slots_count(const struct slots *s)
{
	uint32_t by_bits, by_bounds = s->lo <= s->hi ? s->hi - s->lo + 1 : 0;

	if (!s->free)
		return by_bounds ? 1 : 0;
	by_bits = 1U << __builtin_popcount(s->free);
	return by_bits < by_bounds ? by_bits : by_bounds;
}

/**
 * struct list - rules that are possible in a region
 * @items: ascending; ends with a rule that is certain
 * @keys: those of rule_set.keys that are in the region
 */
struct list {
	uint32_t *items;
	uint32_t nr;
	uint16_t *keys;
	uint32_t nr_keys;
};

struct scratch {
	uint32_t count[1 << WINDOW_MAX];
	float share[1 << WINDOW_MAX];
	float power[256]; /* 2^-n */
};

/**
 * struct split_job - a list for which a window is to be found
 * @room: how many items more than it has there may be
 * @fair: how many might well be
 */
struct split_job {
	const struct rule_set *set;
	const struct cell *region;
	const struct list *list;
	float room, fair;
	struct scratch *scratch;
};

/**
 * window_find - the best window to split a list by
 * @work: is increased by what this cost
 *
 * Returns false if there is none that is worth a step.
 */
bool window_find(const struct split_job *job, struct window *found, uint64_t *work);

/**
 * struct limits - what is left of a budget
 * @price: how much shorter the average list must become for each item that is stored more: the
 *	larger everything is, the less of it is in caches
 * @deadline: CLOCK_MONOTONIC, ns; 0: none
 */
struct limits {
	uint64_t bytes;
	uint32_t item_bytes;
	uint64_t work;
	float price;
	uint64_t deadline;
};

/* The tree that a rule is in which is not the last one */
uint8_t division_tree(const struct rule_set *set, const struct bf_division *division,
		      uint32_t rule);

/* Nanoseconds for a search. @scale: how many rules each of these stands for */
float forest_cost(const struct rule_set *set, const struct bf_forest *forest,
		  const struct bf_tree_budget *budget, uint32_t scale);

/* Which tree each rule is in; the last one is in all. */
struct division {
	const uint8_t *tree;
	uint32_t nr_trees;
};

/**
 * trees_grow - build the trees of one division of the rules
 * @limits: work is decreased by what was used
 * @out: receives all but the cost
 *
 * Returns 0 or -ENOMEM.
 */
int trees_grow(const struct rule_set *set, const struct division *division, struct limits *limits,
	       struct scratch *scratch, struct bf_forest *out);

/*
 * Store the lists of all leaves. @nodes has the number of the list for where it begins; that is
 * replaced. @out has the nodes.
 */
int lists_store(const struct list *lists, uint32_t nr_lists, struct bf_forest *out);

/* Give up what no node leads to. 0 or -ENOMEM. */
int lists_compact(struct bf_forest *forest);

#endif /* BPFILTER_TREE_BUILD_H */
