/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the parts of the compiler: the table as rules, and what the back ends share.
 */
#ifndef BPFILTER_COMPILE_H
#define BPFILTER_COMPILE_H

#include "asm.h"
#include "ext.h"
#include "program.h"

enum bf_action {
	BF_ACT_NEXT, /* count, go on with the next rule */
	BF_ACT_ACCEPT,
	BF_ACT_DROP,
	BF_ACT_RETURN, /* to the rule after the jump, or to the policy */
	BF_ACT_JUMP,
	BF_ACT_GOTO,
};

/**
 * struct bf_code - one entry of the table, compiled
 * @first_op, @nr_ops: its branches and effects in bf_rules.ops; bf_op.to is the number of an op of the same
 *	entry (nr_ops: matched), BF_TO_NEXT or BF_TO_DROP
 * @target: entry that JUMP and GOTO lead to
 * @cost: branches and actions run from here to the end of the chain in the worst case, those
 *	of the chains it jumps to included; it is also the size of the inlined code. Saturates.
 * @depth: return addresses that it needs at most
 */
struct bf_code {
	uint32_t first_op;
	uint32_t nr_ops;
	enum bf_action action;
	uint32_t target;
	uint32_t cost;
	uint32_t depth;
};

#define BF_COST_MAX UINT32_MAX

/* All of BPFILTER_WANT_TYPE(). */
#define BF_WANT_TYPES (0x3fU << 4)

/**
 * struct bf_rules - a table as rules over the key; the index of an entry is that of its counters
 * @types: the condition types in use; bf_conds[].type is one of them
 * @want: BPFILTER_WANT_* of all conditions and fields
 * @sets_mark: a target does
 */
struct bf_rules {
	const struct bf_table *table;
	struct bf_code *codes;
	struct bf_op *ops;
	uint32_t nr_ops, max_ops;
	struct bf_rule scratch;
	const struct bf_cond_type *types[16];
	uint32_t nr_types;
	uint64_t fields;
	uint32_t want;
	bool sets_mark;
	uint32_t hook_entry[NF_INET_NUMHOOKS], underflow[NF_INET_NUMHOOKS]; /* indexes */
	uint32_t max_cost, max_depth;
};

int bf_rules_make(struct bf_rules *rules, const struct bf_table *table, struct bf_why *why);
void bf_rules_free(struct bf_rules *rules);
static inline const struct bf_cond *bf_rules_cond(const struct bf_rules *r, uint32_t i)
{
	return &r->scratch.conds[i];
}
uint32_t bf_rules_type(const struct bf_rules *rules, const struct bf_cond_type *type);

/* The costs and depths of all entries that a packet can reach, and the totals. -ENOMEM. */
int bf_rules_measure(struct bf_rules *rules);

/*
 * Fill the frame with what the program looks at (its fields and want). On entry r1 is the context;
 * afterwards r6 is the frame's address. @whole: make all of the frame that is shared readable, not
 * only the key. @drop: where to go if the packet cannot be read.
 */
void bf_emit_key_link(struct bf_asm *a, const struct bf_program *p, bool whole);
void bf_emit_key_module(struct bf_asm *a, const struct bf_program *p, bool whole, int drop);

/* emit.c: shared pieces. r6 is the frame's address. */

/* Whichever of the two it is. */
void bf_emit_key(struct bf_asm *a, const struct bf_program *p, bool whole, int drop);

/* The packet's mark is r1 from now on. Clobbers r2. Module's hooks only. */
void bf_emit_set_mark(struct bf_asm *a);

/* The TCP options and their length, for a condition that looks for one. Clobbers r0 to r5 and r9. */
void bf_emit_tcp_options(struct bf_asm *a);

/* Add the packet to the counter whose number within the CPU's is in r1. Clobbers r0 to r5. */
void bf_emit_count(struct bf_asm *a);

/*
 * Run condition number r1 (32 bits) of type @type; then r0 is 0, 1 or BF_HOTDROP. Clobbers r1 to r5.
 * @functions: labels of the conditions' functions, by type.
 */
void bf_emit_cond(struct bf_asm *a, const int *functions, uint32_t type);
void bf_emit_cond_functions(struct bf_asm *a, const struct bf_rules *rules, const int *functions);

/* Back ends: write the program, and fill in the maps that only this form has. 0 or -errno. */
int bf_emit_straight(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p);
int bf_emit_records(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p);

#endif /* BPFILTER_COMPILE_H */
