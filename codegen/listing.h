/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What became of a table, for people: which instruction belongs to which rule, and what the classifier
 * made of the chains. Kept by the compiler when it is asked for (bf_limits.listing), else nothing of it is.
 */
#ifndef BPFILTER_LISTING_H
#define BPFILTER_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BF_LISTING_TREES 4

/* What instructions are for. */
enum bf_part {
	BF_PART_KEY,	/* reading the packet */
	BF_PART_HOOK,	/* is the packet at hook number @arg? */
	BF_PART_TEST,	/* what entry @arg asks: its op @op */
	BF_PART_ACTION, /* entry @arg has matched: count, and what then */
	BF_PART_EXIT,	/* the verdict */
	BF_PART_EFFECT, /* function that notes an effect (effect.h) */
	BF_PART_COND,	/* function of the condition type @arg */

	/* Of the record form, which has the rules as data. */
	BF_PART_PREDICATES, /* tests that many rules share */
	BF_PART_ODD,	    /* is the packet too short for a header that a rule needs? */
	BF_PART_START,	    /* where the hook's chain begins */
	BF_PART_WALK,	    /* down a decision tree */
	BF_PART_SCAN,	    /* compare with records */
	BF_PART_SCAN_ODD,   /* the same for an odd packet */
	BF_PART_HEAD,	    /* which of the trees of a forest has the first match */
	BF_PART_FOREST,	    /* search the trees of a forest */
	BF_PART_TAKE,	    /* a record matches */
	BF_PART_ACT,	    /* count, and what then */
	BF_PART_OPS,	    /* op programs: what records cannot hold */
	BF_PART_STEP,	    /* the step function, of bpf_loop() */
	BF_PART_LOOP,	    /* the loop of steps */
	BF_NR_PARTS,
};

/* "reads the packet", for a heading. */
const char *bf_part_name(enum bf_part part);

/**
 * struct bf_note - from instruction @insn on, up to the next note
 */
struct bf_note {
	uint32_t insn;
	enum bf_part part;
	uint32_t arg, op;
};

/**
 * struct bf_listed_tree - a chain that has decision trees, or was tried with them
 * @entry: its first
 * @rules: how many it has
 * @used: false: looked through, since there was no room or one tree would not do
 * @roots: words of the program's map, with the trees' nodes
 */
struct bf_listed_tree {
	uint32_t entry, rules;
	bool used;
	uint32_t nr_roots, roots[BF_LISTING_TREES];
	uint32_t nodes, items, depth, longest;
	float cost_ns;
};

/**
 * struct bf_listed_entry - what of an entry is where, in the record form
 * @rest: tests and actions that are in an op program
 * @need: bytes that must be behind the packet's IP header, or it is dropped
 */
struct bf_listed_entry {
	uint32_t rest;
	uint8_t need;
	bool evil;
};

/**
 * struct bf_listing - a table
 * @notes: ascending
 * @entries: of each entry; NULL in the straight-line form
 * @bits: what each bit of the word of predicates stands for; NULL: unused. Owned, malloc'd
 * @entry_words: word of the program's map with the place of entry 0
 * @names, @name_bits: how many names of interfaces have codes, of so many bits
 * @cost: branches and actions for one packet in the worst case; UINT32_MAX: more than that
 * @depth: most jumps that are open at once
 * @conds, @nr_conds: conditions at packet time; @types: of how many types
 *
 * Zeroed to start with; free with bf_listing_free(). @error: -ENOMEM when something is missing.
 */
struct bf_listing {
	struct bf_note *notes;
	uint32_t nr_notes, max_notes;
	struct bf_listed_tree *trees;
	uint32_t nr_trees, max_trees;
	struct bf_listed_entry *entries;
	char *bits[32];
	uint32_t entry_words;
	uint32_t names, name_bits;
	uint32_t cost, depth;
	uint32_t nr_conds, nr_types;
	int error;
};

void bf_listing_free(struct bf_listing *l);

/* The note about an instruction, NULL if there is none. */
const struct bf_note *bf_listing_at(const struct bf_listing *l, uint32_t insn);

/* For the compiler; all but bf_listing_free() do nothing if @l is NULL. */
void bf_listing_note(struct bf_listing *l, uint32_t insn, enum bf_part part, uint32_t arg,
		     uint32_t op);
/* The instructions have moved: @moved[i] is where number i is now. Notes about nothing are left out. */
void bf_listing_move(struct bf_listing *l, const uint32_t *moved);

/* Begin again: another form is tried. */
void bf_listing_reset(struct bf_listing *l);

struct bf_forest;
struct bf_records;
struct bf_rules;

void bf_listing_tree(struct bf_listing *l, uint32_t entry, uint32_t rules, bool used,
		     const struct bf_forest *forest, uint32_t first_word);
void bf_listing_rules(struct bf_listing *l, const struct bf_rules *rules);
void bf_listing_records(struct bf_listing *l, const struct bf_records *r);

#endif /* BPFILTER_LISTING_H */
