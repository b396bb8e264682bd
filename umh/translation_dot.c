// SPDX-License-Identifier: GPL-2.0
/* The graph of the chains, and the decision trees, for dot(1). */
#include <stdlib.h>

#include "record.h"
#include "translation.h"
#include "tree.h"
#include "words.h"

/* More nodes of one tree than that are no picture any more. */
#define MAX_NODES 300
/* Rules that are named in a leaf. */
#define MAX_LEAF  6

static void put_quoted(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
}

/* --- chains -------------------------------------------------------------------------------- */

static uint32_t target_chain(const struct bf_ruleset *rules, uint32_t entry)
{
	const struct ipt_entry *e = rules->entries[entry];
	const struct xt_standard_target *t = (const void *)e + e->target_offset;
	uint32_t lo = 0, hi = rules->nr_chains;

	if (*t->target.u.user.name || t->verdict < 0)
		return UINT32_MAX;
	/* The chains are in the order of their entries. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const uint8_t *first = (const void *)rules->entries[rules->chains[mid].first];

		if (first - (const uint8_t *)rules->replace->entries < t->verdict)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == rules->nr_chains || rules->chains[lo].hook >= 0 ||
	    (const uint8_t *)rules->entries[rules->chains[lo].first] -
			    (const uint8_t *)rules->replace->entries !=
		    t->verdict)
		return UINT32_MAX;
	return lo;
}

/**
 * struct edge - the rules of one chain that lead to another
 * @nr: how many
 * @first: number of the first of them
 * @go: it is a goto
 */
struct edge {
	uint32_t nr, first;
	bool go;
};

static void put_edge(FILE *f, uint32_t from, uint32_t to, const struct edge *edge)
{
	fprintf(f, "\tc%u -> c%u [label=\"%u", from, to, edge->first);
	if (edge->nr > 1)
		fprintf(f, " and %u more", edge->nr - 1);
	fprintf(f, "\"%s];\n", edge->go ? ", style=dashed" : "");
}

/* @edges: one for each chain, all zero. */
static void put_jumps(FILE *f, const struct bf_ruleset *rules, uint32_t chain, struct edge *edges)
{
	const struct bf_chain *c = &rules->chains[chain];
	uint32_t i;

	for (i = 0; i < c->nr; i++) {
		uint32_t to = target_chain(rules, c->first + i);
		struct edge *edge = &edges[to];

		if (to == UINT32_MAX)
			continue;
		if (!edge->nr++) {
			edge->first = i + 1;
			edge->go = rules->entries[c->first + i]->ip.flags & IPT_F_GOTO;
		}
	}
	for (i = 0; i < rules->nr_chains; i++) {
		if (!edges[i].nr)
			continue;
		put_edge(f, chain, i, &edges[i]);
		edges[i].nr = 0;
	}
}

static void put_chains(FILE *f, const struct bf_ruleset *rules, const struct bf_show *show)
{
	struct edge *edges = calloc(rules->nr_chains, sizeof(*edges));
	uint32_t i;

	for (i = 0; edges && i < rules->nr_chains; i++) {
		const struct bf_chain *c = &rules->chains[i];

		if (show->chain != UINT32_MAX && show->chain != i)
			continue;
		fprintf(f, "\tc%u [shape=%s, label=\"", i, c->hook < 0 ? "box" : "house");
		put_quoted(f, c->name);
		fprintf(f, "\\n%u rule%s", c->nr, c->nr == 1 ? "" : "s");
		if (c->hook >= 0)
			fprintf(f, "\\n%s", bf_ruleset_text(rules, c->first + c->nr));
		fputs("\"];\n", f);
		if (show->chain == UINT32_MAX)
			put_jumps(f, rules, i, edges);
	}
	free(edges);
}

/* --- trees --------------------------------------------------------------------------------- */

/* Of a list, which begins at program counter @pc, record number @i */
static const struct bf_record *leaf_record(const struct bf_translation *t, uint32_t pc, uint32_t i)
{
	const struct bf_record *r = t->program->maps[BF_MAP_RECORDS].data;
	const uint64_t *words = t->program->maps[BF_MAP_WORDS].data;
	const struct bf_page *page;

	if (!(pc & BF_PC_PAGE))
		return &r[pc + i];
	pc = (pc & ~BF_PC_PAGE) + i;
	page = (const struct bf_page *)(words + pc / BF_PAGE_RECORDS * BF_PAGE_WORDS);
	return &r[page->records[pc % BF_PAGE_RECORDS]];
}

/* The rules of a leaf: up to one that any packet matches, which nothing gets past. */
static void put_leaf(FILE *f, const struct bf_translation *t, uint32_t word, uint32_t pc)
{
	uint32_t i;

	fprintf(f, "\t\tn%u [shape=note, label=\"rules", word);
	for (i = 0; i < MAX_LEAF; i++) {
		const struct bf_record *rec = leaf_record(t, pc, i);
		uint32_t entry = rec->act & BF_ACT_INDEX;
		uint32_t chain = t->rules->chain_of[entry];
		const struct bf_chain *c;

		if (chain == UINT32_MAX)
			break;
		c = &t->rules->chains[chain];
		if (entry - c->first >= c->nr) {
			fputs(" end", f);
			break;
		}
		fprintf(f, " %u", entry - c->first + 1);
		if (!rec->mask && !rec->predicates)
			break;
	}
	fprintf(f, "%s\"];\n", i == MAX_LEAF ? " ..." : "");
}

static const char *field_name(const struct bf_translation *t, unsigned int field)
{
	return field < BF_NR_FIELDS ? bf_words_field(field) : "predicates";
}

/* A node and those below it; how many of @left are left. */
static uint32_t put_node(FILE *f, const struct bf_translation *t, uint32_t word, uint32_t left)
{
	const uint64_t *words = t->program->maps[BF_MAP_WORDS].data;
	uint64_t node = words[word];
	uint32_t shl = BF_NODE_SHL(node), shr = BF_NODE_SHR(node), i;

	if (!left)
		return 0;
	left--;
	if (node & BF_NODE_LEAF) {
		put_leaf(f, t, word, BF_NODE_BASE(node));
		return left;
	}
	fprintf(f, "\t\tn%u [shape=ellipse, label=\"%s\\nbits %u..%u\"];\n", word,
		field_name(t, BF_NODE_FIELD(node)), shr - shl, 31 - shl);
	for (i = 0; i < 1U << (32 - shr) && left; i++) {
		uint32_t child = BF_NODE_BASE(node) + i;

		fprintf(f, "\t\tn%u -> n%u [label=\"%x\"];\n", word, child, i);
		left = put_node(f, t, child, left);
	}
	return left;
}

static void put_trees(FILE *f, const struct bf_translation *t, const struct bf_show *show)
{
	const struct bf_listing *l = &t->listing;
	uint32_t i, j;

	for (i = 0; i < l->nr_trees; i++) {
		const struct bf_listed_tree *tree = &l->trees[i];
		uint32_t chain = t->rules->chain_of[tree->entry], left;

		if (!tree->used || (show->chain != UINT32_MAX && show->chain != chain))
			continue;
		fprintf(f, "\tsubgraph cluster_%u {\n\t\tlabel=\"", i);
		put_quoted(f, t->rules->chains[chain].name);
		fprintf(f, ": %u nodes, depth %u%s\";\n", tree->nodes, tree->depth,
			tree->nodes > MAX_NODES ? ", the first of them" : "");
		for (j = 0; j < tree->nr_roots; j++) {
			fprintf(f, "\t\tc%u -> n%u [style=bold];\n", chain, tree->roots[j]);
			left = put_node(f, t, tree->roots[j], MAX_NODES / tree->nr_roots);
			if (!left)
				fprintf(f, "\t\t/* more nodes than are drawn */\n");
		}
		fputs("\t}\n", f);
	}
}

void bf_translation_dot(FILE *f, const struct bf_ruleset *rules, const struct bf_translation *t,
			unsigned int n, const struct bf_show *show)
{
	fputs("digraph table {\n\trankdir=LR;\n", f);
	put_chains(f, rules, show);
	while (n && !t->program) {
		t++;
		n--;
	}
	if (n && t->listing.entries)
		put_trees(f, t, show);
	fputs("}\n", f);
}
