// SPDX-License-Identifier: GPL-2.0
/*
 * Jumps, gotos and returns of the record form. Registers as in records.c.
 *
 * A RETURN takes the program counter to go on with from the return stack, at whose bottom lies the
 * policy of the hook's chain: the kernel's underflow. The stack is in the frame. A table that nests
 * deeper than that takes one of the STACKS map's, for as long as the packet is in the program: this
 * cannot simply be the CPU's, since a process that sends can be preempted by another one. An
 * element of that map is 32 bits that say whether it is claimed, and the stack. What is on it are
 * records: a chain with jumps is never a forest (layout.c), of which one number could not say where
 * it was left.
 */
#include "records.h"

/*
 * r0 = address of the element that the frame's packet has claimed, or to @drop. Clobbers r1 to r5.
 */
static void lookup_stack(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;

	bf_map(a, BPF_REG_1, BF_MAP_STACKS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_SLOT);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, drop);
}

/*
 * r1 = address of the return stack's element number r1, which is below its size. Clobbers r0, r2 to
 * r5 and r8 if deep.
 */
static void stack_element(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;

	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	if (!r->deep) {
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
		bf_alui(a, BPF_ADD, BPF_REG_1, BF_FRAME_RETURNS);
		return;
	}
	bf_mov(a, BPF_REG_8, BPF_REG_1);
	lookup_stack(r, drop);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_1, 4);
}

/* How many elements fit, the policy's at the bottom included. */
static uint32_t stack_size(const struct bf_records *r)
{
	uint64_t kernels = (uint64_t)r->rules->table->stacksize + 1;
	uint64_t ours = r->deep ? r->stack_returns : BF_MAX_RETURNS;

	return kernels < ours ? kernels : ours;
}

/*
 * Twice the same exclusive or: the register is what it was, and the verifier knows nothing of it. A
 * program counter whose bounds it knew would be a new one with each step that adds to it.
 */
void bf_emit_forget(struct bf_records *r, int reg, int unknown)
{
	bf_alu32(r->a, BPF_XOR, reg, unknown);
	bf_alu32(r->a, BPF_XOR, reg, unknown);
}

/* r7 = odd ? r3 >> 32 & BF_ACT_INDEX : (uint32_t)r3 */
void bf_emit_enter(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int normal = bf_asm_label(a), done = bf_asm_label(a);

	if (r->lift->max_need) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_ODD);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, normal);
		bf_mov(a, BPF_REG_7, BPF_REG_3);
		bf_alui(a, BPF_RSH, BPF_REG_7, 32);
		bf_alu32i(a, BPF_AND, BPF_REG_7, BF_ACT_INDEX);
		bf_emit_forget(r, BPF_REG_7, BPF_REG_3);
		bf_jmp(a, done);
	}
	bf_asm_here(a, normal);
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
	bf_asm_here(a, done);
}

/* No forest: 0, of which the verifier knows nothing. Clobbers r3 and r4. */
static void leave_forest(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	if (!r->layout->forests)
		return;
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_3, 8 * BF_WORD_0);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FOREST, BPF_REG_4);
}

/* The place in word r9 is where the packet goes on, as at the beginning of a chain. */
void bf_emit_goto(struct bf_records *r)
{
	bf_mov(r->a, BPF_REG_1, BPF_REG_9);
	bf_emit_word(r);
	bf_emit_enter(r);
	leave_forest(r);
	bf_jmp(r->a, r->out);
}

/* if (sp >= size) drop; stack[sp++] = r7; goto */
void bf_emit_jump(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_SP);
	bf_jifi(a, BPF_JGE, BPF_REG_1, stack_size(r), r->drop);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_2);
	stack_element(r, r->drop);
	bf_stx(a, BPF_W, BPF_REG_1, 0, BPF_REG_7);
	bf_emit_goto(r);
}

/* r7 = stack[--sp] */
void bf_emit_return(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_SP);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_jifi(a, BPF_JGE, BPF_REG_1, stack_size(r), r->drop);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_1);
	stack_element(r, r->drop);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_1, 0);
	leave_forest(r);
	bf_jmp(a, r->out);
}

/*
 * Claim a stack: of the slots, beginning at the CPU's number, the first whose claim goes from 0 to
 * 1. If all are taken the packet is dropped.
 */
static void emit_claim(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;
	int again = bf_asm_label(a), claimed = bf_asm_label(a), taken = bf_asm_label(a);

	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_mov(a, BPF_REG_9, BPF_REG_0);
	bf_movi(a, BPF_REG_7, BF_STACK_SLOTS);
	bf_asm_here(a, again);
	bf_alui(a, BPF_AND, BPF_REG_9, BF_STACK_SLOTS - 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SLOT, BPF_REG_9);
	lookup_stack(r, drop);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_movi(a, BPF_REG_0, 0);
	bf_movi(a, BPF_REG_2, 1);
	bf_atomic(a, BPF_W, BPF_CMPXCHG, BPF_REG_1, 0, BPF_REG_2);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, taken);
	bf_jmp(a, claimed);
	bf_asm_here(a, taken);
	bf_alui(a, BPF_ADD, BPF_REG_9, 1);
	bf_alui(a, BPF_SUB, BPF_REG_7, 1);
	bf_jifi(a, BPF_JNE, BPF_REG_7, 0, again);
	bf_jmp(a, drop);
	bf_asm_here(a, claimed);
}

/* Give the stack back. Clobbers r0 to r5. */
void bf_emit_unclaim(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;

	lookup_stack(r, drop);
	bf_movi(a, BPF_REG_1, 0);
	bf_atomic(a, BPF_W, BPF_XCHG, BPF_REG_0, 0, BPF_REG_1);
}

/*
 * What the words say of the packet's hook. That all of it comes from there keeps the verifier from
 * following each hook and each depth of the stack by itself: it knows nothing of what is in a map.
 */
void bf_emit_start(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;

	if (r->deep)
		emit_claim(r, drop);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_HOOK);
	bf_alui(a, BPF_AND, BPF_REG_1, 7);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_map_value(a, BPF_REG_9, BF_MAP_WORDS);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_9, 8 * BF_WORD_HOOK);
	bf_emit_enter(r);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_9, 8 * BF_WORD_POLICY + 4);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_1);
	/* Which element this is the verifier shall not know: then it takes all for written. */
	bf_map_value(a, BPF_REG_2, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_2, 8 * BF_WORD_0);
	bf_jifi(a, BPF_JGE, BPF_REG_1, stack_size(r), drop);
	stack_element(r, drop);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_9, 8 * BF_WORD_POLICY);
	bf_stx(a, BPF_W, BPF_REG_1, 0, BPF_REG_2);
}
