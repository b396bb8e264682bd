/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the record form random tables have had, so that a test can tell when they no longer have it.
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#include "blob.h"
#include "program.h"

/* Things that a table has or has not. Those of a forest: a chain that is several trees. */
enum covered {
	COVERED_TREE,
	COVERED_DEEP_TREE, /* more nodes than the program looks at at a time */
	COVERED_FOREST,
	COVERED_FOUR_TREES,
	COVERED_JUMP_TO_FOREST,
	COVERED_GOTO_FOREST,
	COVERED_FOREST_NEXT,	 /* in a forest a rule has counted that goes on */
	COVERED_FOREST_OPS,	 /* that has an op program */
	COVERED_FOREST_OPS_NEXT, /* both */
	COVERED_FOREST_MARK,
	COVERED_FOREST_COND,
	COVERED_FOREST_GOTO,
	COVERED_FOREST_RETURN,
	COVERED_PAGES,	      /* lists that are long */
	COVERED_FOREST_NAMES, /* and names have codes */
	COVERED_FOREST_ODD,   /* a header is needed */
	COVERED_NAMES,
	COVERED_DIFFER,
	COVERED_ALL_PREDICATES, /* their word is full, or nearly so */
	COVERED_MANY,
};

/**
 * struct coverage - of many tables
 * @tables: how many had each
 */
struct coverage {
	uint32_t tables[COVERED_MANY];
};

/* One more table, with trees within these limits, and what its entries have counted. */
void coverage_add(struct coverage *c, const struct bf_table *table, const struct bf_limits *limits,
		  const struct xt_counters *counters);

/* Has no table had one of them? */
bool coverage_misses(const struct coverage *c);
void coverage_print(const struct coverage *c);

#endif /* COVERAGE_H */
