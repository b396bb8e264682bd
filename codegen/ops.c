// SPDX-License-Identifier: GPL-2.0
/*
 * The record form's op programs: what a rule tests and does that a record cannot hold. Registers as
 * in records.c, but for:
 *
 *	r7	number of the op to run
 *	r8	address of that op
 */
#include "records.h"

/* Tests in one step. */
#define STEPS 8

/* r2 = (key[op->field] & op->a) - op->b; r3 = op->limit */
static void emit_test(const struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, field));
	bf_alui(a, BPF_AND, BPF_REG_2, r->layout->last_field);
	bf_alui(a, BPF_LSH, BPF_REG_2, 2);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_6);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_2, BF_FRAME_KEY);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_op_record, a));
	bf_alu32(a, BPF_AND, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_op_record, b));
	bf_alu32(a, BPF_SUB, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_op_record, limit));
}

/* One test; any other op leads to @other with its code in r1. */
static void emit_branch(struct bf_records *r, int other)
{
	struct bf_asm *a = r->a;
	int holds = bf_asm_label(a), done = bf_asm_label(a);

	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_7);
	bf_map(a, BPF_REG_1, BF_MAP_OPS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, r->drop);
	bf_mov(a, BPF_REG_8, BPF_REG_0);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, code));
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_OPS_TEST, other);

	bf_ldx(a, BPF_H, BPF_REG_4, BPF_REG_8, offsetof(struct bf_op_record, skip));
	emit_test(r);
	bf_jif(a, BPF_JLE, BPF_REG_2, BPF_REG_3, holds);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_4);
	bf_jmp(a, done);
	bf_asm_here(a, holds);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_asm_here(a, done);
	/* For the verifier: whatever the way here, r7 is any number of 32 bits. */
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_7);
}

/* The step ends; the next one goes on with the op program. */
static void go_on(struct bf_records *r)
{
	bf_alu32i(r->a, BPF_OR, BPF_REG_7, BF_PC_OP);
	bf_jmp(r->a, r->out);
}

/* r7 is the op to go on with when the one at r8 does not hold; or drop. */
static void emit_skip(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, skip));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->drop);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
	go_on(r);
}

/* A condition's op is at r8. */
static void emit_conds(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a), holds = bf_asm_label(a), is = bf_asm_label(a);
	uint32_t i;

	for (i = 0; i < r->rules->nr_types; i++) {
		int other = bf_asm_label(a);

		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, field));
		bf_jifi(a, BPF_JNE, BPF_REG_1, i, other);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, a));
		bf_emit_cond(a, r->functions, i);
		bf_jmp(a, done);
		bf_asm_here(a, other);
	}
	bf_jmp(a, r->drop);

	bf_asm_here(a, done);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BF_HOTDROP, r->drop);
	if (a->asks)
		bf_jifi(a, BPF_JGE, BPF_REG_0, BF_ASK, r->asked);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, code));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_COND, is);
	bf_alui(a, BPF_XOR, BPF_REG_0, 1);
	bf_asm_here(a, is);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, holds);
	emit_skip(r);
	bf_asm_here(a, holds);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
}

/* key[field] = r1, and skb->mark if it is that. */
static void emit_set(struct bf_records *r, enum bf_field field)
{
	struct bf_asm *a = r->a;

	if (field == BF_MARK)
		bf_emit_set_mark(a);
	else
		bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_KEY + 4 * field, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
}

/* r1 = key[field] & op->a */
static void emit_masked(struct bf_records *r, enum bf_field field)
{
	bf_ldx(r->a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * field);
	bf_ldx(r->a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, a));
	bf_alu(r->a, BPF_AND, BPF_REG_1, BPF_REG_2);
}

/* key[field] = (key[field] & op->a) ^ op->b */
static void emit_mark(struct bf_records *r, enum bf_field field)
{
	struct bf_asm *a = r->a;

	emit_masked(r, field);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, b));
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	emit_set(r, field);
}

/* key[field] = (mix ? key[field] : 0) ^ (key[source] & op->a) << op->b >> op->limit, in 32 bits */
static void emit_mix(struct bf_records *r, enum bf_field field, enum bf_field source, bool mix)
{
	struct bf_asm *a = r->a;

	emit_masked(r, source);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, b));
	bf_alu32(a, BPF_LSH, BPF_REG_1, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, limit));
	bf_alu32(a, BPF_RSH, BPF_REG_1, BPF_REG_2);
	if (mix) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * field);
		bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	}
	emit_set(r, field);
}

/* What changes the mark of a connection, or takes it: its code is in r1. Nothing for a table that does neither. */
static void emit_connection_marks(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int set = bf_asm_label(a), shift = bf_asm_label(a), save = bf_asm_label(a),
	    restore = bf_asm_label(a), none = bf_asm_label(a);

	/* A rule that the kernel refuses may have nothing of it. */
	if (!r->rules->table->connection_marks || !(r->rules->fields & BF_FIELD_BIT(BF_CT_MARK)))
		return;
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_CT_MARK, set);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_CT_SHIFT, shift);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_SAVE, save);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_RESTORE, restore);
	bf_jmp(a, none);
	bf_asm_here(a, set);
	emit_mark(r, BF_CT_MARK);
	bf_asm_here(a, shift);
	emit_mix(r, BF_CT_MARK, BF_CT_MARK, false);
	bf_asm_here(a, save);
	emit_mix(r, BF_CT_MARK, BF_MARK, true);
	bf_asm_here(a, restore);
	emit_mix(r, BF_MARK, BF_CT_MARK, true);
	bf_asm_here(a, none);
}

/* entries[op->a] counts the packet */
static void emit_count(struct bf_records *r)
{
	bf_ldx(r->a, BPF_W, BPF_REG_1, BPF_REG_8, offsetof(struct bf_op_record, a));
	bf_emit_count(r->a);
	bf_alui(r->a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
}

static void emit_grow(struct bf_records *r)
{
	bf_emit_grow(r->a, r->rules);
	bf_alui(r->a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
}

/* What targets do that are put to the kernel: the code is in r1. Nothing for a table without any. */
static void emit_asked_targets(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int count = bf_asm_label(a), grow = bf_asm_label(a), none = bf_asm_label(a);

	if (!r->rules->table->asks_targets)
		return;
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_COUNT, count);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_GROW, grow);
	bf_jmp(a, none);
	bf_asm_here(a, count);
	emit_count(r);
	bf_asm_here(a, grow);
	emit_grow(r);
	bf_asm_here(a, none);
}

/* if (note(frame, op->a)) goto drop; where none may be lost */
static void emit_effect(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	if (a->decides) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_op_record, a));
		bf_emit_note(a, r->rules, r->note, r->drop);
	}
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
}

/* The ops that are not tests: their code is in r1. */
static void emit_others(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int hit = bf_asm_label(a), miss = bf_asm_label(a), mark = bf_asm_label(a);
	int drop_test = bf_asm_label(a), effect = bf_asm_label(a);

	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_MISS, miss);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_ACT, hit);
	if (bf_rules_change(r->rules, BF_MARK))
		bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_MARK, mark);
	emit_connection_marks(r);
	emit_asked_targets(r);
	if (r->rules->has_effects)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_EFFECT, effect);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_OPS_TEST_DROP, drop_test);
	emit_conds(r);
	bf_asm_here(a, drop_test);
	emit_test(r);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_3, r->drop);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	go_on(r);
	bf_asm_here(a, mark);
	if (bf_rules_change(r->rules, BF_MARK))
		emit_mark(r, BF_MARK);
	bf_asm_here(a, effect);
	if (r->rules->has_effects)
		emit_effect(r);
	bf_asm_here(a, miss);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_6, BF_FRAME_RESUME);
	bf_jmp(a, r->out);
	bf_asm_here(a, hit);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_6, BF_FRAME_RESUME);
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_8, offsetof(struct bf_op_record, b));
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_8, offsetof(struct bf_op_record, a));
	bf_jmp(a, r->act);
}

void bf_emit_ops(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int other = bf_asm_label(a), i;

	bf_alu32i(a, BPF_AND, BPF_REG_7, ~BF_PC_OP);
	for (i = 0; i < STEPS; i++)
		emit_branch(r, other);
	go_on(r);
	bf_asm_here(a, other);
	emit_others(r);
}
