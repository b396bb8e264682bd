// SPDX-License-Identifier: GPL-2.0
/*
 * Record form: the rules are data, and one small program walks them, whatever their number. For tables
 * that are too large to be code.
 *
 * bpf_loop() calls the step function until a verdict is found. One call runs up to STEPS branches, or
 * one action. Registers of the step function:
 *
 *	r6	the frame's address
 *	r7	number of the record to run (kept in the frame between calls)
 *	r8	that record
 *	r10-4	r7, as the key of a map lookup
 *
 * A RETURN takes the record to go on with from the return stack, at whose bottom lies the policy of the
 * hook's chain: the kernel's underflow. The stack is in the frame. A table that nests deeper than that takes
 * one of the STACKS map's, for as long as the packet is in the program: this cannot simply be the CPU's,
 * since a process that sends can be preempted by another one.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>

#include "compile.h"
#include "record.h"

#define STEPS	  8
#define MAX_CALLS (1U << 23) /* BPF_MAX_LOOPS */
#define SLOTS	  64	     /* claimed at once by packets in deep tables, on all CPUs */

struct records {
	struct bf_asm *a;
	const struct bf_rules *rules;
	struct bf_record *records;
	uint32_t *first; /* first record of each entry */
	uint32_t nr;
	bool deep;
	uint32_t stack_words; /* of a map's stack, the claim word included */
	int step, out, drop;  /* labels of the step function */
	int functions[16];
};

/* The test lo <= key <= hi, with mask, as the record has it; see record.h. */
static void fill_test(const struct bf_op *op, struct bf_record *rec)
{
	bool range = op->code == BF_OP_RANGE, never = range && op->a > op->b;

	rec->a = range ? UINT32_MAX : op->a;
	rec->b = range ? op->a : op->b;
	rec->limit = range ? op->b - op->a : 0;
	if (op->invert && !never && rec->limit != UINT32_MAX) {
		rec->b += rec->limit + 1;
		rec->limit = UINT32_MAX - rec->limit - 1;
	} else if (never || op->invert) {
		/* An empty range, or the inversion of everything: 0 - b <= limit, always or never. */
		rec->a = 0;
		rec->b = never && op->invert ? 0 : 1;
		rec->limit = 0;
	}
}

static int fill_branch(const struct records *r, uint32_t entry, uint32_t i, struct bf_record *rec)
{
	const struct bf_code *code = &r->rules->codes[entry];
	const struct bf_op *op = &r->rules->ops[code->first_op + i];
	uint32_t skip = 0;

	if (op->to == BF_TO_NEXT)
		skip = code->nr_ops + 1 - i;
	else if (op->to >= 0)
		skip = op->to - i;
	if (skip > UINT16_MAX)
		return -E2BIG;
	rec->skip = skip;
	if (op->code == BF_OP_MARK) {
		rec->code = BF_REC_MARK;
		rec->a = op->a;
		rec->b = op->b;
		return 0;
	}
	if (op->code != BF_OP_COND) {
		rec->code = skip ? BF_REC_TEST : BF_REC_TEST_DROP;
		rec->field = op->field;
		fill_test(op, rec);
		return 0;
	}
	rec->code = op->invert ? BF_REC_NOT_COND : BF_REC_COND;
	rec->field = bf_rules_type(r->rules, bf_rules_cond(r->rules, op->a)->type);
	rec->a = op->a;
	return 0;
}

static void fill_action(const struct records *r, uint32_t entry, struct bf_record *rec)
{
	static const uint8_t codes[] = {
		[BF_ACT_NEXT] = BF_REC_NEXT, [BF_ACT_ACCEPT] = BF_REC_ACCEPT,
		[BF_ACT_DROP] = BF_REC_DROP, [BF_ACT_RETURN] = BF_REC_RETURN,
		[BF_ACT_JUMP] = BF_REC_JUMP, [BF_ACT_GOTO] = BF_REC_GOTO,
	};
	const struct bf_code *code = &r->rules->codes[entry];

	rec->code = codes[code->action];
	rec->a = r->first[code->target];
	rec->b = entry;
}

/* The first records are where each hook's packets start. */
static void fill_start(const struct records *r, uint32_t hook, struct bf_record *rec)
{
	rec->code = BF_REC_NONE;
	if (!(BF_FILTER_HOOKS & (1U << hook)))
		return;
	rec->code = BF_REC_START;
	rec->limit = 1;
	rec->a = r->first[r->rules->hook_entry[hook]];
	rec->b = r->first[r->rules->underflow[hook]];
}

static int fill_records(struct records *r)
{
	uint32_t n = r->rules->table->num_entries, i, j;
	int err = 0;

	r->first = calloc(n, sizeof(*r->first));
	r->nr = NF_INET_NUMHOOKS + r->rules->nr_ops + n;
	r->records = calloc(r->nr, sizeof(*r->records));
	if (!r->first || !r->records)
		return -ENOMEM;
	r->first[0] = NF_INET_NUMHOOKS;
	for (i = 1; i < n; i++)
		r->first[i] = r->first[i - 1] + r->rules->codes[i - 1].nr_ops + 1;
	for (i = 0; i < n && !err; i++) {
		struct bf_record *rec = &r->records[r->first[i]];

		for (j = 0; j < r->rules->codes[i].nr_ops && !err; j++)
			err = fill_branch(r, i, j, rec++);
		fill_action(r, i, rec);
	}
	for (i = 0; i < NF_INET_NUMHOOKS; i++)
		fill_start(r, i, &r->records[i]);
	return err;
}

/* r0 = address of the frame's claimed stack, or to @drop. Clobbers r1 to r5. */
static void lookup_stack(struct records *r, int drop)
{
	struct bf_asm *a = r->a;

	bf_map(a, BPF_REG_1, BF_MAP_STACKS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_SLOT);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, drop);
}

/* r1 = address of the return stack's word number r1, which is below its size */
static void stack_word(struct records *r, int drop)
{
	struct bf_asm *a = r->a;

	if (!r->deep) {
		bf_alui(a, BPF_LSH, BPF_REG_1, 2);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
		bf_alui(a, BPF_ADD, BPF_REG_1, BF_FRAME_RETURNS);
		return;
	}
	bf_mov(a, BPF_REG_9, BPF_REG_1);
	lookup_stack(r, drop);
	/* The first word of a claimed stack says that it is claimed. */
	bf_alui(a, BPF_LSH, BPF_REG_9, 2);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_ADD, BPF_REG_1, 4);
}

/* How many return addresses fit, the policy's at the bottom included. */
static uint32_t stack_size(const struct records *r)
{
	uint64_t kernels = (uint64_t)r->rules->table->stacksize + 1;
	uint64_t ours = r->deep ? r->stack_words - 1 : BF_MAX_RETURNS;

	return kernels < ours ? kernels : ours;
}

/* stack[0] = record->b, the policy; sp = record->limit, which is 1; r7 = record->a */
static void emit_first(struct records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, limit));
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_1);
	bf_movi(a, BPF_REG_1, 0);
	stack_word(r, r->drop);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_record, b));
	bf_stx(a, BPF_W, BPF_REG_1, 0, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_8, offsetof(struct bf_record, a));
	bf_jmp(a, r->out);
}

/* if (sp >= size) drop; stack[sp++] = r7 + 1; r7 = record->a */
static void emit_jump(struct records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_SP);
	bf_jifi(a, BPF_JGE, BPF_REG_1, stack_size(r), r->drop);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_2);
	stack_word(r, r->drop);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_stx(a, BPF_W, BPF_REG_1, 0, BPF_REG_7);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_8, offsetof(struct bf_record, a));
	bf_jmp(a, r->out);
}

/* r7 = stack[--sp] */
static void emit_return(struct records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_SP);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_jifi(a, BPF_JGE, BPF_REG_1, stack_size(r), r->drop);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_1);
	stack_word(r, r->drop);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_1, 0);
	bf_jmp(a, r->out);
}

/* Entered with the record at r8 and its code in r1. */
static void emit_actions(struct records *r)
{
	struct bf_asm *a = r->a;
	int jump = bf_asm_label(a), ret = bf_asm_label(a), go = bf_asm_label(a);
	int next = bf_asm_label(a), accept = bf_asm_label(a), start = bf_asm_label(a);

	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_NONE, r->drop);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_START, start);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, b));
	bf_emit_count(a);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, code));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_NEXT, next);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_JUMP, jump);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_RETURN, ret);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_GOTO, go);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_ACCEPT, accept);

	/* A verdict ends the loop. The frame's is NF_DROP until one is found. */
	bf_asm_here(a, r->drop);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, accept);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, NF_ACCEPT);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);

	bf_asm_here(a, start);
	emit_first(r);
	bf_asm_here(a, jump);
	emit_jump(r);
	bf_asm_here(a, ret);
	emit_return(r);
	bf_asm_here(a, go);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_8, offsetof(struct bf_record, a));
	bf_jmp(a, r->out);
	bf_asm_here(a, next);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
}

/* r7 is the record to go on with when the one at r8 does not hold; or drop. */
static void emit_skip(struct records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, skip));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->drop);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
	bf_jmp(a, r->out);
}

/* A condition's record is at r8. */
static void emit_conds(struct records *r)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a), holds = bf_asm_label(a), is = bf_asm_label(a);
	uint32_t i;

	for (i = 0; i < r->rules->nr_types; i++) {
		int other = bf_asm_label(a);

		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, field));
		bf_jifi(a, BPF_JNE, BPF_REG_1, i, other);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, a));
		bf_emit_cond(a, r->functions, i);
		bf_jmp(a, done);
		bf_asm_here(a, other);
	}
	bf_jmp(a, r->drop);

	bf_asm_here(a, done);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BF_HOTDROP, r->drop);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, code));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_COND, is);
	bf_alui(a, BPF_XOR, BPF_REG_0, 1);
	bf_asm_here(a, is);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, holds);
	emit_skip(r);
	bf_asm_here(a, holds);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
}

/* r2 = (key[record->field] & record->a) - record->b; r3 = record->limit */
static void emit_test(struct bf_asm *a)
{
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_8, offsetof(struct bf_record, field));
	bf_alui(a, BPF_AND, BPF_REG_2, 63);
	bf_alui(a, BPF_LSH, BPF_REG_2, 2);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_6);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_2, BF_FRAME_KEY);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_record, a));
	bf_alu32(a, BPF_AND, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_record, b));
	bf_alu32(a, BPF_SUB, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct bf_record, limit));
}

/* One test; any other record leads to @other with its code in r1. */
static void emit_branch(struct records *r, int other)
{
	struct bf_asm *a = r->a;
	int holds = bf_asm_label(a), done = bf_asm_label(a);

	bf_stx(a, BPF_W, BPF_REG_10, -4, BPF_REG_7);
	bf_map(a, BPF_REG_1, BF_MAP_RECORDS);
	bf_mov(a, BPF_REG_2, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_2, -4);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, r->drop);
	bf_mov(a, BPF_REG_8, BPF_REG_0);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, offsetof(struct bf_record, code));
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_REC_TEST, other);

	bf_ldx(a, BPF_H, BPF_REG_4, BPF_REG_8, offsetof(struct bf_record, skip));
	emit_test(a);
	bf_jif(a, BPF_JLE, BPF_REG_2, BPF_REG_3, holds);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_4);
	bf_jmp(a, done);
	bf_asm_here(a, holds);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_asm_here(a, done);
	/* For the verifier: whatever the way here, r7 is any number of 32 bits. */
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_7);
}

/* key[BF_MARK] = skb->mark = (key[BF_MARK] & record->a) ^ record->b */
static void emit_mark(struct records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_MARK);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_record, a));
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, offsetof(struct bf_record, b));
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_emit_set_mark(a);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
}

/* The records that are not tests: their code is in r1. */
static void emit_others(struct records *r)
{
	struct bf_asm *a = r->a;
	int action = bf_asm_label(a), cond = bf_asm_label(a), mark = bf_asm_label(a);

	bf_jifi(a, BPF_JGE, BPF_REG_1, BF_REC_FIRST_ACTION, action);
	if (r->rules->sets_mark)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REC_MARK, mark);
	bf_jifi(a, BPF_JGE, BPF_REG_1, BF_REC_COND, cond);
	emit_test(a); /* TEST_DROP */
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_3, r->drop);
	bf_alui(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
	bf_asm_here(a, cond);
	emit_conds(r);
	bf_asm_here(a, mark);
	if (r->rules->sets_mark)
		emit_mark(r);
	bf_asm_here(a, action);
	emit_actions(r);
}

/* static long step(u32 index, struct frame *frame) */
static void emit_step(struct records *r)
{
	struct bf_asm *a = r->a;
	int other = bf_asm_label(a), i;

	r->out = bf_asm_label(a);
	r->drop = bf_asm_label(a);
	bf_function(a, r->step);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_6, BF_FRAME_PC);
	for (i = 0; i < STEPS; i++)
		emit_branch(r, other);
	bf_asm_here(a, r->out);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_PC, BPF_REG_7);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_asm_here(a, other);
	emit_others(r);
}

/*
 * Claim a stack: of the slots, beginning at a random one, the first whose claim word goes from 0 to 1.
 * If all are taken the packet is dropped.
 */
static void emit_claim(struct records *r, int drop)
{
	struct bf_asm *a = r->a;
	int again = bf_asm_label(a), claimed = bf_asm_label(a), taken = bf_asm_label(a);

	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_mov(a, BPF_REG_9, BPF_REG_0);
	bf_movi(a, BPF_REG_7, SLOTS);
	bf_asm_here(a, again);
	bf_alui(a, BPF_AND, BPF_REG_9, SLOTS - 1);
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

static void emit_unclaim(struct records *r, int drop)
{
	struct bf_asm *a = r->a;

	lookup_stack(r, drop);
	bf_movi(a, BPF_REG_1, 0);
	bf_atomic(a, BPF_W, BPF_XCHG, BPF_REG_0, 0, BPF_REG_1);
}

/*
 * The packet starts at the record whose number is the hook's, and that record sets up the stack. Numbers
 * that the verifier does not know keep it from following each hook and each depth of the stack by itself:
 * so SP too holds something unknown until then.
 */
static void emit_start(struct records *r, int drop)
{
	struct bf_asm *a = r->a;

	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, NF_DROP);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_HOOK);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SP, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_PC, BPF_REG_1);
	if (r->deep)
		emit_claim(r, drop);
}

static void emit_main(struct records *r, const struct bf_program *p)
{
	struct bf_asm *a = r->a;
	int drop = bf_asm_label(a);

	bf_emit_key(a, p, true, drop);
	emit_start(r, drop);
	bf_mov32i(a, BPF_REG_1, MAX_CALLS);
	bf_function_addr(a, BPF_REG_2, r->step);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
	if (r->deep)
		emit_unclaim(r, drop);
	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_VERDICT);
	bf_alui(a, BPF_AND, BPF_REG_0, NF_ACCEPT);
	bf_exit(a);
	bf_asm_here(a, drop);
	bf_movi(a, BPF_REG_0, NF_DROP);
	bf_exit(a);
}

int bf_emit_records(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p)
{
	struct records r = {.a = a, .rules = rules};
	uint32_t i;
	int err;

	if (rules->max_cost > MAX_CALLS)
		return -E2BIG;
	r.deep = rules->max_depth + 1 > BF_MAX_RETURNS &&
		 rules->table->stacksize + 1 > BF_MAX_RETURNS;
	r.stack_words = rules->max_depth + 2;
	err = fill_records(&r);
	if (err)
		goto out;
	r.step = bf_asm_label(a);
	for (i = 0; i < rules->nr_types; i++)
		r.functions[i] = bf_asm_label(a);
	emit_main(&r, p);
	emit_step(&r);
	bf_emit_cond_functions(a, rules, r.functions);
	err = a->error;
	if (err)
		goto out;

	p->maps[BF_MAP_RECORDS] = (struct bf_map_def){.name = "bf_records",
						      .value_size = sizeof(*r.records),
						      .max_entries = r.nr,
						      .data = r.records};
	r.records = NULL;
	if (r.deep)
		p->maps[BF_MAP_STACKS] =
			(struct bf_map_def){.name = "bf_stacks",
					    .value_size = (4 * r.stack_words + 7) & ~7U,
					    .max_entries = SLOTS};
out:
	free(r.records);
	free(r.first);
	return err;
}
