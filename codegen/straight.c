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

#include "early.h"

/* More than that cannot fit: each is ten instructions and more, and no jump reaches beyond 32767. */
#define MAX_COST 4096

struct straight {
	struct bf_asm *a;
	const struct bf_rules *rules;
	const struct bf_program *p;
	int pass, drop;
	int count_accept, count_drop;
	int asked; /* r0 is the question */
	int note;  /* label of the function that notes an effect */
	int functions[BF_TYPES];
};

static void emit_run(struct straight *s, uint32_t i, int back, uint32_t depth);

/*
 * key[op->field] = r1 ^ len ^ len, and skb->mark if it is that
 *
 * The length is for the verifier, so that it knows no bit of the result. Before Linux 6.8 it does not see
 * that a branch depends on what is on the stack when that is not read through r10, takes paths with
 * different marks for the same, and removes what it then thinks is never reached.
 */
static void emit_set(struct bf_asm *a, enum bf_field field)
{
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * BF_LEN);
	bf_mov(a, BPF_REG_3, BPF_REG_2);
	bf_alu(a, BPF_XOR, BPF_REG_2, BPF_REG_3);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	if (field == BF_MARK)
		bf_emit_set_mark(a);
	else
		bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_KEY + 4 * field, BPF_REG_1);
}

/* As bf_op_apply(). */
static void emit_mark(struct bf_asm *a, const struct bf_op *op)
{
	enum bf_field from = op->code == BF_OP_MIX ? bf_op_source(op) : op->field;
	int bits = op->code == BF_OP_MARK ? 0 : (int)op->b;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * from);
	bf_alu32i(a, BPF_AND, BPF_REG_1, op->a);
	if (op->code == BF_OP_MARK)
		bf_alu32i(a, BPF_XOR, BPF_REG_1, op->b);
	if (bits)
		bf_alu32i(a, bits < 0 ? BPF_RSH : BPF_LSH, BPF_REG_1, bits < 0 ? -bits : bits);
	if (op->code == BF_OP_MIX) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * op->field);
		bf_alu32(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	}
	emit_set(a, op->field);
}

/* if (!test) goto fail; or what is done to the packet */
static void emit_op(struct straight *s, const struct bf_op *op, int fail)
{
	struct bf_asm *a = s->a;

	if (bf_op_marks(op)) {
		emit_mark(a, op);
		return;
	}
	if (op->code == BF_OP_COUNT) {
		bf_mov32i(a, BPF_REG_1, op->a);
		bf_emit_count(a);
		return;
	}
	if (op->code == BF_OP_GROW) {
		bf_emit_grow(a, s->rules);
		return;
	}
	if (op->code == BF_OP_EFFECT && !a->decides)
		return;
	if (op->code == BF_OP_EFFECT) {
		bf_mov32i(a, BPF_REG_2, op->a);
		bf_emit_note(a, s->rules, s->note, s->drop);
		return;
	}
	if (op->code == BF_OP_COND) {
		const struct bf_cond *cond = bf_rules_cond(s->rules, op->a);

		bf_mov32i(a, BPF_REG_1, op->a);
		bf_emit_cond(a, s->functions, bf_rules_type(s->rules, cond->type));
		bf_jifi(a, BPF_JEQ, BPF_REG_0, BF_HOTDROP, s->drop);
		if (a->asks)
			bf_jifi(a, BPF_JGE, BPF_REG_0, BF_ASK, s->asked);
		bf_jifi(a, op->invert ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0, fail);
		return;
	}
	bf_emit_test(a, op, fail);
}

/* The branches of one entry; falls through when it matched. */
static void emit_tests(struct straight *s, uint32_t entry, int next)
{
	const struct bf_code *code = &s->rules->codes[entry];
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
		bf_asm_note(s->a, BF_PART_TEST, entry, i);
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

	bf_asm_note(s->a, BF_PART_ACTION, i, 0);
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
		emit_tests(s, i, next);
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

/* Every hook's chains, to s->drop and so on. */
static void emit_hooks(struct straight *s)
{
	struct bf_asm *a = s->a;
	uint32_t hook;

	for (hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
		int other = bf_asm_label(a);

		if (!(BF_FILTER_HOOKS & (1U << hook)))
			continue;
		bf_asm_note(a, BF_PART_HOOK, hook, 0);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_HOOK);
		bf_jifi(a, BPF_JNE, BPF_REG_1, hook, other);
		emit_hook(s, hook);
		bf_asm_here(a, other);
	}
	bf_asm_note(a, BF_PART_EXIT, 0, 0);
	bf_jmp(a, s->drop); /* no other hook runs this program */
}

/* Of the early-drop stage: what is accepted, and what drops without a rule, goes up. */
static void emit_early_exits(struct straight *s, int unsearched)
{
	bf_asm_here(s->a, s->count_drop);
	bf_emit_count(s->a);
	bf_sti(s->a, BPF_B, BPF_REG_6, BF_FRAME_SURE, 1);
	bf_emit_early_drop(s->a, s->p, s->pass, unsearched);
	bf_asm_here(s->a, s->count_accept);
	bf_asm_here(s->a, s->pass);
	bf_asm_here(s->a, s->drop);
	bf_emit_early_in_vain(s->a);
	bf_asm_here(s->a, unsearched);
	bf_emit_plain_verdict(s->a, NF_ACCEPT);
}

/* @unsearched: label where packets come to that no rule is asked about. */
static void emit_exits(struct straight *s, int unsearched)
{
	bf_asm_note(s->a, BF_PART_EXIT, 0, 0);
	if (s->a->early) {
		emit_early_exits(s, unsearched);
		return;
	}
	bf_asm_here(s->a, s->count_accept);
	bf_emit_count(s->a);
	bf_asm_here(s->a, s->pass);
	bf_emit_verdict(s->a, s->rules, NF_ACCEPT);
	bf_asm_here(s->a, s->count_drop);
	bf_emit_count(s->a);
	bf_asm_here(s->a, s->drop);
	bf_emit_verdict(s->a, s->rules, NF_DROP);
	bf_asm_here(s->a, s->asked);
	if (s->a->asks)
		bf_emit_asked(s->a, s->rules);
}

int bf_emit_straight(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p)
{
	struct straight s = {.a = a, .rules = rules, .p = p};
	int unread = bf_asm_label(a), unsearched = bf_asm_label(a);
	uint32_t i;

	if (rules->max_cost > MAX_COST)
		return -E2BIG;
	s.pass = bf_asm_label(a);
	s.drop = bf_asm_label(a);
	s.count_accept = bf_asm_label(a);
	s.count_drop = bf_asm_label(a);
	s.asked = bf_asm_label(a);
	s.note = bf_asm_label(a);
	for (i = 0; i < BF_TYPES; i++)
		s.functions[i] = bf_asm_label(a);

	bf_emit_key(a, p, rules->nr_types ? bf_frame_shared(p->fields) : 0,
		    a->early ? unsearched : s.pass, rules->has_effects ? unread : s.drop);
	bf_emit_no_note(a, rules, p);
	bf_emit_no_question(a, rules);
	emit_hooks(&s);
	emit_exits(&s, unsearched);
	bf_emit_unread(a, rules, unread);
	bf_emit_cond_functions(a, rules, s.functions);
	bf_emit_note_function(a, rules, p, s.note);
	return a->error;
}
