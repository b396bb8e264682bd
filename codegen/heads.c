// SPDX-License-Identifier: GPL-2.0
/*
 * Forests: how the record form's program searches a chain that has more than one tree. Registers as
 * in records.c.
 */
#include "records.h"
#include "tree.h"

/* Parts of a head; below them is the program counter. */
#define HEAD_TREE 29
#define HEAD_CODE 31
#define HEAD_RULE 34

/* reg, an act, becomes its parts of a head. Clobbers @other. */
static void emit_head_of(struct bf_asm *a, int reg, int other)
{
	bf_mov(a, other, reg);
	bf_alui(a, BPF_RSH, other, BF_ACT_SHIFT);
	bf_alui(a, BPF_LSH, other, HEAD_CODE);
	bf_alu32i(a, BPF_AND, reg, BF_ACT_INDEX);
	bf_alui(a, BPF_LSH, reg, HEAD_RULE);
	bf_alu(a, BPF_OR, reg, other);
}

/* A forest begins: its roots are behind word r7. */
void bf_emit_forest(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_alu32i(a, BPF_AND, BPF_REG_7, ~BF_PC_FOREST);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FOREST, BPF_REG_7);
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_3, 8 * BF_WORD_0);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_TREE, BPF_REG_4);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_3, 8 * BF_WORD_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FILL, BPF_REG_4);
	bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_7);
	bf_alu32i(a, BPF_ADD, BPF_REG_1, 1);
	bf_emit_word(r);
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
	bf_jmp(a, r->out);
}

/*
 * The head of the first rule acts: r7 is its record, r8 its act, TREE its tree. r3 is the number of
 * trees.
 *
 * A head is the number of the rule, what it does, the number of the tree, and the program counter, which has 29 bits.
 */
static void emit_choose(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a), i;

	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_HEADS);
	for (i = 1; i < BF_FOREST_TREES; i++) {
		int less = bf_asm_label(a);

		bf_jifi(a, BPF_JLE, BPF_REG_3, i, done);
		bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADS + 8 * i);
		bf_jif(a, BPF_JGE, BPF_REG_1, BPF_REG_7, less);
		bf_mov(a, BPF_REG_7, BPF_REG_1);
		bf_asm_here(a, less);
	}
	bf_asm_here(a, done);
	bf_mov(a, BPF_REG_8, BPF_REG_7);
	bf_alui(a, BPF_RSH, BPF_REG_8, HEAD_RULE);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_RSH, BPF_REG_1, HEAD_CODE - BF_ACT_SHIFT);
	bf_alui(a, BPF_AND, BPF_REG_1, 7U << BF_ACT_SHIFT);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_RSH, BPF_REG_1, HEAD_TREE);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_FOREST_TREES - 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_TREE, BPF_REG_1);
	bf_alu32i(a, BPF_AND, BPF_REG_7, (1U << HEAD_TREE) - 1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_RESUME);
	bf_emit_forget(r, BPF_REG_7, BPF_REG_1);
	bf_emit_forget(r, BPF_REG_8, BPF_REG_1);
}

/*
 * Record r7 holds and r8 is its act, in a forest: it is the head of its tree. If a tree has not
 * been searched yet, that is next; else the first head acts.
 *
 *	heads[tree] = number << HEAD_RULE | code << HEAD_CODE | tree << HEAD_TREE | r7;
 *	if (fill < words[forest]) { tree = fill++; r7 = words[forest + 1 + tree]; return; }
 */
void bf_emit_head(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int filled = bf_asm_label(a);

	bf_mov(a, BPF_REG_2, BPF_REG_8);
	emit_head_of(a, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_TREE);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_FOREST_TREES - 1);
	bf_alu(a, BPF_OR, BPF_REG_2, BPF_REG_7);
	bf_mov(a, BPF_REG_3, BPF_REG_1);
	bf_alui(a, BPF_LSH, BPF_REG_3, HEAD_TREE);
	bf_alu(a, BPF_OR, BPF_REG_2, BPF_REG_3);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
	bf_stx(a, BPF_DW, BPF_REG_1, BF_FRAME_HEADS, BPF_REG_2);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_FOREST);
	bf_emit_word(r);
	bf_ldx(a, BPF_W, BPF_REG_4, BPF_REG_6, BF_FRAME_FILL);
	bf_jif(a, BPF_JGE, BPF_REG_4, BPF_REG_3, filled);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_TREE, BPF_REG_4);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_FOREST);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_4);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_alu32i(a, BPF_ADD, BPF_REG_4, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FILL, BPF_REG_4);
	bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_1);
	bf_emit_word(r);
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
	bf_jmp(a, r->out);
	bf_asm_here(a, filled);
	emit_choose(r);
}

/*
 * From record r7 on until one holds, then to @holds; to @end, with r7 behind them, after so many that have not. Without
 * may_goto more of them are laid out one behind the other: what is left costs a call for every few records, and all
 * other trees as well.
 */
static void emit_scan_first(struct bf_records *r, int holds, int end)
{
	struct bf_asm *a = r->a;
	int again = bf_asm_label(a), out = r->out;

	bf_asm_here(a, again);
	if (!a->kernel->has_may_goto) {
		r->out = end;
		bf_emit_scan(r, BF_HEAD_RECORDS, holds);
	} else {
		r->out = bf_asm_label(a);
		bf_emit_scan(r, BF_FIRST_RECORDS, holds);
		bf_asm_here(a, r->out);
		bf_may_goto(a, end);
		bf_jmp(a, again);
	}
	r->out = out;
}

/*
 * One tree of bf_emit_forest_first(), whose head is then in the frame. r9 is the frame, too, but the
 * verifier does not know where in it. To @slow, with the tree in r4, if there is more to do: r7 is
 * what a step would go on with.
 */
static void emit_tree_first(struct bf_records *r, int tree, int slow)
{
	struct bf_asm *a = r->a;
	int holds = bf_asm_label(a), end = bf_asm_label(a), pages = bf_asm_label(a), out = r->out;

	r->out = end;
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_FOREST);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1 + tree);
	bf_emit_word(r);
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
	bf_emit_walk(r);
	bf_emit_if_page(r, pages);
	emit_scan_first(r, holds, end);
	bf_asm_here(a, pages);
	if (r->layout->pages)
		bf_emit_pages(r, a->kernel->has_may_goto, holds);
	bf_asm_here(a, end);
	bf_movi(a, BPF_REG_4, tree);
	bf_jmp(a, slow);
	r->out = out;

	bf_asm_here(a, holds);
	emit_head_of(a, BPF_REG_8, BPF_REG_1);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_7);
	if (tree) {
		bf_mov32i(a, BPF_REG_1, (uint32_t)tree << HEAD_TREE);
		bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_1);
	}
	bf_stx(a, BPF_DW, BPF_REG_9, BF_FRAME_HEADS + 8 * tree, BPF_REG_8);
}

/*
 * A forest in the main program: all of its trees in one step if nothing takes long. To @take with
 * what acts.
 */
void bf_emit_forest_first(struct bf_records *r, int take)
{
	struct bf_asm *a = r->a;
	int slow = bf_asm_label(a), filled = bf_asm_label(a), i;

	bf_alu32i(a, BPF_AND, BPF_REG_7, ~BF_PC_FOREST);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FOREST, BPF_REG_7);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_emit_word(r);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FILL, BPF_REG_3);
	/*
	 * The frame, plus a 0 that might be 8 for all that the verifier knows: it does not follow
	 * what is written there.
	 */
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_9, BPF_REG_3, 8 * BF_WORD_0);
	bf_alui(a, BPF_AND, BPF_REG_9, 8);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_6);
	for (i = 0; i < BF_FOREST_TREES; i++) {
		if (i) {
			bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, BF_FRAME_FILL);
			bf_jifi(a, BPF_JLE, BPF_REG_3, i, filled);
		}
		emit_tree_first(r, i, slow);
	}
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, BF_FRAME_FILL);
	bf_asm_here(a, filled);
	emit_choose(r);
	bf_jmp(a, take);

	/* tree = r4; fill = tree + 1: with a number that the verifier does not know */
	bf_asm_here(a, slow);
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_3, 8 * BF_WORD_0);
	bf_alu32(a, BPF_ADD, BPF_REG_4, BPF_REG_3);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_TREE, BPF_REG_4);
	bf_alu32i(a, BPF_ADD, BPF_REG_4, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FILL, BPF_REG_4);
	bf_jmp(a, r->out);
}

/*
 * No forest yet: FOREST is 0. For the verifier the heads and what goes with them are written as
 * well, at a place that it does not know.
 */
void bf_emit_no_forest(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_3, 8 * BF_WORD_0);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_RESUME, BPF_REG_1);
	if (!r->layout->forests)
		return;
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FOREST, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FILL, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_TREE, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_FOREST_TREES - 1);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
	bf_sti(a, BPF_DW, BPF_REG_1, BF_FRAME_HEADS, 0);
}
