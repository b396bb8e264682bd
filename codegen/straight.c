// SPDX-License-Identifier: GPL-2.0
/*
 * Straight-line form: every rule is code, and a user chain is written out at each place that jumps to
 * it, so that a packet needs no return stack and the verifier sees no loop. For small tables.
 *
 *	r6	the frame's address
 *
 * The branch that is taken away from the fall-through line is "not matched"; a rule ends with its count
 * and its action. Those that end the packet's way share one place for both, with the entry's number in r1:
 * the verifier, which is most of what a replace costs, looks at that once and not for every rule.
 */
#include <errno.h>

#include "compile.h"

/* More than that cannot fit: each is ten instructions and more, and no jump reaches beyond 32767. */
#define MAX_COST 4096

struct straight {
	struct bf_asm *a;
	const struct bf_rules *rules;
	int drop;
	int count_accept, count_drop;
	int functions[16];
};

static void emit_run(struct straight *s, uint32_t i, int back, uint32_t depth);

/*
 * key[BF_MARK] = skb->mark = (key[BF_MARK] & op->a) ^ op->b ^ len ^ len
 *
 * The length is for the verifier, so that it knows no bit of the result. Before Linux 6.8 it does not see
 * that a branch depends on what is on the stack when that is not read through r10, takes paths with
 * different marks for the same, and removes what it then thinks is never reached.
 */
static void emit_mark(struct bf_asm *a, const struct bf_op *op)
{
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_MARK);
	bf_alu32i(a, BPF_AND, BPF_REG_1, op->a);
	bf_alu32i(a, BPF_XOR, BPF_REG_1, op->b);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * BF_LEN);
	bf_mov(a, BPF_REG_3, BPF_REG_2);
	bf_alu(a, BPF_XOR, BPF_REG_2, BPF_REG_3);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_emit_set_mark(a);
}

/* if (!test) goto fail; or what is done to the packet */
static void emit_op(struct straight *s, const struct bf_op *op, int fail)
{
	struct bf_asm *a = s->a;

	if (op->code == BF_OP_MARK) {
		emit_mark(a, op);
		return;
	}
	if (op->code == BF_OP_COND) {
		const struct bf_cond *cond = bf_rules_cond(s->rules, op->a);

		bf_mov32i(a, BPF_REG_1, op->a);
		bf_emit_cond(a, s->functions, bf_rules_type(s->rules, cond->type));
		bf_jifi(a, BPF_JEQ, BPF_REG_0, BF_HOTDROP, s->drop);
		bf_jifi(a, op->invert ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0, fail);
		return;
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * op->field);
	if (op->code == BF_OP_EQ) {
		if (op->a != UINT32_MAX)
			bf_alu32i(a, BPF_AND, BPF_REG_1, op->a);
		bf_jif32i(a, op->invert ? BPF_JEQ : BPF_JNE, BPF_REG_1, op->b, fail);
		return;
	}
	if (op->a > op->b) { /* an empty range, which the kernel accepts */
		if (!op->invert)
			bf_jmp(a, fail);
		return;
	}
	if (op->a)
		bf_alu32i(a, BPF_SUB, BPF_REG_1, op->a);
	bf_jif32i(a, op->invert ? BPF_JLE : BPF_JGT, BPF_REG_1, op->b - op->a, fail);
}

/* The branches of one entry; falls through when it matched. */
static void emit_tests(struct straight *s, const struct bf_code *code, int next)
{
	const struct bf_op *ops = s->rules->ops + code->first_op;
	uint32_t i, j, nr_inner = 0;
	struct {
		uint32_t op;
		int label;
	} inner[64];

	for (i = 0; i < code->nr_ops; i++) {
		int fail = next;

		for (j = 0; j < nr_inner; j++)
			if (inner[j].op == i)
				bf_asm_here(s->a, inner[j].label);
		if (ops[i].to == BF_TO_DROP) {
			fail = s->drop;
		} else if (ops[i].to >= 0) {
			if (nr_inner == ARRAY_SIZE(inner)) {
				s->a->error = s->a->error ?: -E2BIG;
				return;
			}
			fail = bf_asm_label(s->a);
			inner[nr_inner].op = ops[i].to;
			inner[nr_inner++].label = fail;
		}
		emit_op(s, &ops[i], fail);
	}
	for (j = 0; j < nr_inner; j++)
		if (inner[j].op == code->nr_ops)
			bf_asm_here(s->a, inner[j].label);
}

static void emit_action(struct straight *s, const struct bf_code *code, int back, int next,
			uint32_t depth)
{
	switch (code->action) {
	case BF_ACT_NEXT:
	case BF_ACT_ACCEPT: /* see emit_match() */
	case BF_ACT_DROP:
		break;
	case BF_ACT_RETURN:
		bf_jmp(s->a, back);
		break;
	case BF_ACT_JUMP:
		/* The kernel's jump stack is that deep and no deeper. */
		if (depth >= s->rules->table->stacksize)
			bf_jmp(s->a, s->drop);
		else
			emit_run(s, code->target, next, depth + 1);
		break;
	case BF_ACT_GOTO:
		emit_run(s, code->target, back, depth);
		break;
	}
}

/* Entry @i has matched. */
static void emit_match(struct straight *s, uint32_t i, int back, int next, uint32_t depth)
{
	const struct bf_code *code = &s->rules->codes[i];

	bf_mov32i(s->a, BPF_REG_1, i);
	if (code->action == BF_ACT_ACCEPT) {
		bf_jmp(s->a, s->count_accept);
	} else if (code->action == BF_ACT_DROP) {
		bf_jmp(s->a, s->count_drop);
	} else {
		bf_emit_count(s->a);
		emit_action(s, code, back, next, depth);
	}
}

/* From entry @i to the end of its chain; RETURN leads to @back. Recursion is bounded by MAX_COST. */
static void emit_run(struct straight *s, uint32_t i, int back, uint32_t depth)
{
	const struct bf_code *code;

	do {
		int next = bf_asm_label(s->a);

		code = &s->rules->codes[i];
		emit_tests(s, code, next);
		emit_match(s, i, back, next, depth);
		bf_asm_here(s->a, next);
		i++;
	} while (code->nr_ops || code->action == BF_ACT_NEXT || code->action == BF_ACT_JUMP);
}

static void emit_hook(struct straight *s, uint32_t hook)
{
	int policy = bf_asm_label(s->a);

	emit_run(s, s->rules->hook_entry[hook], policy, 0);
	/* RETURN in a built-in chain leads to its policy, which counts and decides. */
	bf_asm_here(s->a, policy);
	emit_run(s, s->rules->underflow[hook], policy, 0);
}

static void emit_exits(struct straight *s)
{
	bf_asm_here(s->a, s->count_accept);
	bf_emit_count(s->a);
	bf_movi(s->a, BPF_REG_0, NF_ACCEPT);
	bf_exit(s->a);
	bf_asm_here(s->a, s->count_drop);
	bf_emit_count(s->a);
	bf_asm_here(s->a, s->drop);
	bf_movi(s->a, BPF_REG_0, NF_DROP);
	bf_exit(s->a);
}

int bf_emit_straight(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p)
{
	struct straight s = {.a = a, .rules = rules};
	uint32_t i, hook;

	if (rules->max_cost > MAX_COST)
		return -E2BIG;
	s.drop = bf_asm_label(a);
	s.count_accept = bf_asm_label(a);
	s.count_drop = bf_asm_label(a);
	for (i = 0; i < rules->nr_types; i++)
		s.functions[i] = bf_asm_label(a);

	bf_emit_key(a, p, rules->nr_types, s.drop);
	for (hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
		int other = bf_asm_label(a);

		if (!(BF_FILTER_HOOKS & (1U << hook)))
			continue;
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_HOOK);
		bf_jifi(a, BPF_JNE, BPF_REG_1, hook, other);
		emit_hook(&s, hook);
		bf_asm_here(a, other);
	}
	bf_jmp(a, s.drop); /* no other hook runs this program */
	emit_exits(&s);
	bf_emit_cond_functions(a, rules, s.functions);
	return a->error;
}
