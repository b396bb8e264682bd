// SPDX-License-Identifier: GPL-2.0
#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "tree.h"

/* What one call of the program's walk goes down: NODES of records.c. */
#define NODES 6

#define ALL_KINDS (BF_PC_FOREST | BF_PC_NODE | BF_PC_OP)

/* A table as it is laid out, and which of the things it has. */
struct table {
	const struct xt_counters *counters;
	struct bf_rules rules;
	struct bf_lift lift;
	struct bf_layout layout;
	uint8_t *depths; /* of each word's node, plus one, where it is known */
	bool has[COVERED_MANY];
};

static const char *const names[] = {
	[COVERED_TREE] = "tree",
	[COVERED_DEEP_TREE] = "deep tree",
	[COVERED_FOREST] = "forest",
	[COVERED_FOUR_TREES] = "forest of four",
	[COVERED_JUMP_TO_FOREST] = "jump to a forest",
	[COVERED_GOTO_FOREST] = "goto to a forest",
	[COVERED_FOREST_NEXT] = "no target in a forest",
	[COVERED_FOREST_OPS] = "ops in a forest",
	[COVERED_FOREST_OPS_NEXT] = "ops without a target in a forest",
	[COVERED_FOREST_MARK] = "mark in a forest",
	[COVERED_FOREST_COND] = "condition in a forest",
	[COVERED_FOREST_GOTO] = "goto in a forest",
	[COVERED_FOREST_RETURN] = "return in a forest",
	[COVERED_PAGES] = "pages",
	[COVERED_FOREST_NAMES] = "coded names and a forest",
	[COVERED_FOREST_ODD] = "odd packets in a forest",
	[COVERED_NAMES] = "coded names",
	[COVERED_DIFFER] = "names that differ",
	[COVERED_ALL_PREDICATES] = "all predicates",
};
_Static_assert(sizeof(names) / sizeof(*names) == COVERED_MANY, "each thing has a name");

static unsigned int depth(struct table *t, uint32_t node)
{
	uint64_t w = t->layout.words[node];
	unsigned int deepest = 0;
	uint32_t i;

	if (w & BF_NODE_LEAF)
		return 0;
	if (t->depths[node])
		return t->depths[node] - 1;
	for (i = 0; i < 1U << (32 - BF_NODE_SHR(w)); i++) {
		unsigned int d = depth(t, BF_NODE_BASE(w) + i) + 1;

		deepest = d > deepest ? d : deepest;
	}
	t->depths[node] = deepest + 1;
	return deepest;
}

static void add_root(struct table *t, uint32_t node)
{
	t->has[COVERED_TREE] = true;
	t->has[COVERED_DEEP_TREE] |= depth(t, node) >= NODES;
}

/* What a rule of a forest has, if it has counted. */
static void add_forest_rule(struct table *t, uint32_t i)
{
	const struct bf_code *code = &t->rules.codes[i];
	uint32_t j;

	if (!t->counters[i].pcnt)
		return;
	t->has[COVERED_FOREST_NEXT] |= code->action == BF_ACT_NEXT;
	t->has[COVERED_FOREST_GOTO] |= code->action == BF_ACT_GOTO;
	t->has[COVERED_FOREST_RETURN] |= code->action == BF_ACT_RETURN && code->nr_ops;
	t->has[COVERED_FOREST_ODD] |= !!t->lift.entries[i].need;
	if (!t->lift.entries[i].nr_rest)
		return;
	t->has[COVERED_FOREST_OPS] = true;
	t->has[COVERED_FOREST_OPS_NEXT] |= code->action == BF_ACT_NEXT;
	for (j = 0; j < code->nr_ops; j++) {
		const struct bf_op *op = &t->rules.ops[code->first_op + j];

		t->has[COVERED_FOREST_MARK] |= op->code == BF_OP_MARK;
		t->has[COVERED_FOREST_COND] |= op->code == BF_OP_COND;
	}
}

static bool ends_chain(const struct bf_code *code)
{
	return !code->nr_ops && code->action != BF_ACT_NEXT && code->action != BF_ACT_JUMP;
}

/* The chain that begins with an entry is several trees. */
static void add_forest(struct table *t, uint32_t entry, uint32_t word)
{
	uint32_t n = t->layout.words[word], i;

	t->has[COVERED_FOREST] = true;
	t->has[COVERED_FOUR_TREES] |= n == 4;
	t->has[COVERED_FOREST_NAMES] |= t->lift.names.bits != 0;
	for (i = 0; i < n; i++)
		add_root(t, t->layout.words[word + 1 + i] & ~BF_PC_NODE);
	for (i = entry;; i++) {
		add_forest_rule(t, i);
		if (ends_chain(&t->rules.codes[i]))
			break;
	}
}

/* Where something leads to. Returns whether that is a forest. */
static bool add_place(struct table *t, uint64_t place)
{
	uint32_t pc = place, kind = pc & ALL_KINDS;

	if (kind == BF_PC_NODE)
		add_root(t, pc & ~BF_PC_NODE);
	if (kind != BF_PC_FOREST)
		return false;
	add_forest(t, place >> 32 & BF_ACT_INDEX, pc & ~BF_PC_FOREST);
	return true;
}

static void add_places(struct table *t)
{
	uint32_t i;

	for (i = 0; i < NF_INET_NUMHOOKS; i++)
		if (BF_FILTER_HOOKS & 1U << i)
			add_place(t, t->layout.words[BF_WORD_HOOK + i]);
	for (i = 0; i < t->rules.table->num_entries; i++) {
		enum bf_action action = t->rules.codes[i].action;

		if (t->lift.entries[i].nr_rest ||
		    (action != BF_ACT_JUMP && action != BF_ACT_GOTO) ||
		    !add_place(t, t->layout.words[t->layout.entry_words + i]) ||
		    !t->counters[i].pcnt)
			continue;
		t->has[action == BF_ACT_JUMP ? COVERED_JUMP_TO_FOREST : COVERED_GOTO_FOREST] = true;
	}
}

void coverage_add(struct coverage *c, const struct bf_table *table, const struct bf_limits *limits,
		  const struct xt_counters *counters)
{
	struct table t = {.counters = counters};
	unsigned int i;

	if (bf_rules_make(&t.rules, table, BF_ATTACH_LINK, NULL, NULL) ||
	    bf_lift_make(&t.lift, &t.rules) || bf_layout_make(&t.layout, &t.lift, limits, 0))
		abort();
	t.depths = calloc(t.layout.nr_words, 1);
	if (!t.depths)
		abort();
	add_places(&t);
	t.has[COVERED_PAGES] = t.layout.pages;
	t.has[COVERED_NAMES] = t.lift.names.bits != 0;
	t.has[COVERED_DIFFER] = t.lift.differ;
	t.has[COVERED_ALL_PREDICATES] = __builtin_popcount(bf_lift_bits(&t.lift)) >= 31;
	for (i = 0; i < COVERED_MANY; i++)
		c->tables[i] += t.has[i];
	free(t.depths);
	bf_layout_free(&t.layout);
	bf_lift_free(&t.lift);
	bf_rules_free(&t.rules);
}

bool coverage_misses(const struct coverage *c)
{
	unsigned int i;

	for (i = 0; i < COVERED_MANY && c->tables[i]; i++)
		;
	return i < COVERED_MANY;
}

void coverage_print(const struct coverage *c)
{
	unsigned int i;

	for (i = 0; i < COVERED_MANY; i++)
		printf("# %s: %u tables\n", names[i], c->tables[i]);
}
