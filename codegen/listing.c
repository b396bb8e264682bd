// SPDX-License-Identifier: GPL-2.0
#include "listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "predicates.h"
#include "records.h"
#include "tree.h"
#include "words.h"

const char *bf_part_name(enum bf_part part)
{
	static const char *const names[BF_NR_PARTS] = {
		[BF_PART_KEY] = "reads the packet",
		[BF_PART_HOOK] = "which hook",
		[BF_PART_TEST] = "tests",
		[BF_PART_ACTION] = "counts, and acts",
		[BF_PART_EXIT] = "the verdict",
		[BF_PART_EFFECT] = "notes an effect: REJECT, LOG, NFLOG, MARK, CONNMARK, nfacct",
		[BF_PART_COND] = "condition",
		[BF_PART_PREDICATES] = "predicates: tests that rules share",
		[BF_PART_ODD] = "is the packet too short for a header that a rule needs?",
		[BF_PART_START] = "where the hook's chain begins",
		[BF_PART_WALK] = "down a decision tree",
		[BF_PART_SCAN] = "compares with records",
		[BF_PART_SCAN_ODD] = "compares a short packet with one record",
		[BF_PART_HEAD] = "which tree has the first match",
		[BF_PART_FOREST] = "searches several trees",
		[BF_PART_TAKE] = "a record matches",
		[BF_PART_ACT] = "counts, and acts",
		[BF_PART_OPS] = "op programs: what records cannot hold",
		[BF_PART_STEP] = "the step function of bpf_loop()",
		[BF_PART_LOOP] = "takes steps until there is a verdict",
	};

	return part < BF_NR_PARTS ? names[part] : "?";
}

void bf_listing_free(struct bf_listing *l)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(l->bits); i++)
		free(l->bits[i]);
	free(l->notes);
	free(l->trees);
	free(l->entries);
	memset(l, 0, sizeof(*l));
}

void bf_listing_reset(struct bf_listing *l)
{
	int error = l->error;

	bf_listing_free(l);
	l->error = error;
}

void bf_listing_rules(struct bf_listing *l, const struct bf_rules *rules)
{
	l->cost = rules->max_cost;
	l->depth = rules->max_depth;
	l->nr_conds = rules->scratch.nr_conds;
	l->nr_types = rules->nr_types;
}

const struct bf_note *bf_listing_at(const struct bf_listing *l, uint32_t insn)
{
	uint32_t lo = 0, hi = l->nr_notes;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (l->notes[mid].insn <= insn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &l->notes[lo - 1] : NULL;
}

/* Room for one more element; NULL if there is none. */
static void *grow(struct bf_listing *l, void **array, uint32_t nr, uint32_t *max, size_t size)
{
	uint32_t more = *max ? *max * 2 : 64;
	void *bigger;

	if (l->error)
		return NULL;
	if (nr == *max) {
		bigger = reallocarray(*array, more, size);
		if (!bigger) {
			l->error = -ENOMEM;
			return NULL;
		}
		*array = bigger;
		*max = more;
	}
	return (char *)*array + nr * size;
}

void bf_listing_note(struct bf_listing *l, uint32_t insn, enum bf_part part, uint32_t arg,
		     uint32_t op)
{
	struct bf_note *note;

	if (!l)
		return;
	note = grow(l, (void **)&l->notes, l->nr_notes, &l->max_notes, sizeof(*note));
	if (!note)
		return;
	*note = (struct bf_note){insn, part, arg, op};
	l->nr_notes++;
}

void bf_listing_move(struct bf_listing *l, const uint32_t *moved)
{
	uint32_t i, n = 0;

	for (i = 0; l && i < l->nr_notes; i++) {
		struct bf_note note = l->notes[i];

		note.insn = moved[note.insn];
		if (n && l->notes[n - 1].insn == note.insn)
			n--;
		l->notes[n++] = note;
	}
	if (l)
		l->nr_notes = n;
}

void bf_listing_tree(struct bf_listing *l, uint32_t entry, uint32_t rules, bool used,
		     const struct bf_forest *forest, uint32_t first_word)
{
	struct bf_listed_tree *tree;
	uint32_t i;

	if (!l)
		return;
	tree = grow(l, (void **)&l->trees, l->nr_trees, &l->max_trees, sizeof(*tree));
	if (!tree)
		return;
	*tree = (struct bf_listed_tree){
		.entry = entry,
		.rules = rules,
		.used = used,
		.nr_roots = forest->nr_roots,
		.nodes = forest->nr_nodes,
		.items = forest->nr_items,
		.depth = forest->depth,
		.longest = forest->longest,
		.cost_ns = forest->cost,
	};
	for (i = 0; i < forest->nr_roots && i < BF_LISTING_TREES; i++)
		tree->roots[i] = first_word + forest->roots[i];
	l->nr_trees++;
}

/* What the bits of the word of predicates say. */
static void list_bits(struct bf_listing *l, const struct bf_lift *lift)
{
	uint32_t i;

	if (lift->max_need)
		l->bits[0] = strdup("no later fragment");
	if (lift->differ)
		l->bits[__builtin_ctz(bf_differ_bit(lift))] =
			strdup("in by this interface and out by another");
	for (i = lift->first; i < lift->nr_predicates; i++) {
		const struct bf_predicate *p = &lift->predicates[i];

		l->bits[i] = bf_words_ops(lift->rules->ops + p->first, p->nr, p->first - p->origin,
					  lift->rules->scratch.conds);
		if (!l->bits[i])
			l->error = -ENOMEM;
	}
	l->names = lift->names.bits ? lift->names.nr : 0;
	l->name_bits = lift->names.bits;
}

void bf_listing_records(struct bf_listing *l, const struct bf_records *r)
{
	uint32_t n = r->rules->table->num_entries, i;

	if (!l)
		return;
	l->entries = calloc(n, sizeof(*l->entries));
	if (!l->entries) {
		l->error = -ENOMEM;
		return;
	}
	for (i = 0; i < n; i++) {
		const struct bf_lifted *entry = &r->lift->entries[i];

		l->entries[i] = (struct bf_listed_entry){entry->nr_rest, entry->need, entry->evil};
	}
	l->entry_words = r->layout->entry_words;
	list_bits(l, r->lift);
}
