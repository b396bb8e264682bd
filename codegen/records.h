/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the parts of the record form's program.
 */
#ifndef BPFILTER_RECORDS_H
#define BPFILTER_RECORDS_H

#include "layout.h"

/**
 * struct bf_records - the program being written
 * @deep: return stacks are in a map, each of @stack_returns program counters
 * @wide: a packet may need more steps than one bpf_loop() takes
 * @cap_records, @cap_words, @cap_ops: elements that the maps have room for
 * @step: label of the step function
 * @steps: label of the one that takes as many as bpf_loop() does, if wide
 * @out, @drop, @accept, @act: labels of what is being written, the main program or the step
 *	function
 * @out: where a step ends: r7 is the program counter to go on with
 * @drop, @accept: a verdict is found
 * @asked: of a program that asks: a question has no answer, and r0 is what its function has returned
 * @act: r8 is what to do, r7 the record to go on with, r9 the word with the place that is led to
 * @note: label of the function that notes an effect
 * @functions: labels of the conditions' functions, by type
 */
struct bf_records {
	struct bf_asm *a;
	const struct bf_rules *rules;
	const struct bf_lift *lift;
	const struct bf_layout *layout;
	bool deep, wide;
	uint32_t stack_returns;
	uint32_t cap_records, cap_words, cap_ops;
	int step, steps, out, drop, accept, act, asked;
	int note;
	int functions[BF_TYPES];
};

#define BF_STEP_NODES	   6		     /* of a tree in one step */
#define BF_STEP_RECORDS	   8		     /* compared in one step */
#define BF_FIRST_RECORDS   16		     /* compared in one of the main program's */
#define BF_STEP_CANDIDATES 3		     /* of a page in one step that is no loop */
#define BF_HEAD_RECORDS	   BF_RECORD_PADDING /* and of each tree of a forest, without may_goto */

/* search.c: one list, one tree. */

/* r3 = word number r1; no such word: drop. Clobbers r1 and r2. */
void bf_emit_word(struct bf_records *r);

/* If r7 is a place in a page: to @pages. Clobbers r1. */
void bf_emit_if_page(struct bf_records *r, int pages);

/* r8 = address of record number r7 and the ones behind it. Clobbers r1. */
void bf_emit_record(struct bf_records *r);

/*
 * @n records from number r7 on, until one holds: then to @holds with its number in r7, its act in
 * r8. To r->out if none does. For an odd packet it is one record.
 */
void bf_emit_scan(struct bf_records *r, int n, int holds);
void bf_emit_scan_odd(struct bf_records *r, int holds);

/*
 * The records of a page that the packet may match, from the place r7 in it on, until one holds: then to @holds with its
 * place in r7, its act in r8. To r->out after some of them, or, if this may @loop, not before the list's end. Clobbers r0
 * to r5.
 */
void bf_emit_pages(struct bf_records *r, bool loop, int holds);

/* From node r7 down to a leaf: r7 is its first record, or place in a page. Or to r->out before that. */
void bf_emit_walk(struct bf_records *r);

/* heads.c: chains of more than one tree. */

/* In the main program, before all: there is no forest yet. */
void bf_emit_no_forest(struct bf_records *r);

/* A forest begins, whose program counter is r7. Ends the step. */
void bf_emit_forest(struct bf_records *r);

/*
 * Record r7 of a forest's tree holds, r8 is its act. Falls through with those of the record that
 * acts, or ends the step.
 */
void bf_emit_head(struct bf_records *r);

/*
 * The same as bf_emit_forest() for the main program, which does all in one if it is short: then it
 * goes to @take.
 */
void bf_emit_forest_first(struct bf_records *r, int take);

/* Some ops of the op program at r7. Ends the step. */
void bf_emit_ops(struct bf_records *r);

/* returns.c: where rules lead to. */

/*
 * Make the verifier forget what it knows of @reg, 32 bits, by way of @unknown, of which it knows
 * nothing.
 */
void bf_emit_forget(struct bf_records *r, int reg, int unknown);

/*
 * A jump, r7 being the record to come back to; a goto; a return. Of the first two, r9 is the number
 * of the word with the place. Each ends the step.
 */
void bf_emit_jump(struct bf_records *r);
void bf_emit_goto(struct bf_records *r);
void bf_emit_return(struct bf_records *r);

/* From r3, a place, the program counter for this packet, to r7. Clobbers r1. */
void bf_emit_enter(struct bf_records *r);

/*
 * In the main program: the packet's first program counter to r7, the policy to the bottom of the
 * stack. In a deep table the packet claims its stack, to be given back by bf_emit_unclaim().
 * @drop: where to go if there is none.
 */
void bf_emit_start(struct bf_records *r, int drop);
void bf_emit_unclaim(struct bf_records *r, int drop);

#define BF_STACK_SLOTS 64 /* claimed at once by packets in deep tables, on all CPUs */

#endif /* BPFILTER_RECORDS_H */
