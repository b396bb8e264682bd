// SPDX-License-Identifier: GPL-2.0
/*
 * The program for the processor of a network card: what INPUT drops it drops and counts there; all else goes
 * up, uncounted, to the table's program for XDP, which judges it as if there were no such card.
 *
 * The card knows nothing of routes, conntrack or what else the kernel has. So a packet goes up as soon as it meets
 * a test of such a thing, and it goes up if it is accepted, since whoever is above shall see and count it. Its
 * counters are not touched before it is certain that it is dropped: until then the rules that have matched are
 * marked, one byte for each place where such a rule stands in the code.
 *
 * Only constant offsets, no calls but of map_lookup_elem(), no loops, plain atomic additions, and nothing of the
 * context but the frame: cards have little more than that.
 *
 *	r6	the frame's address (the stack, see below)
 *	r7	the packet
 *	r8	the entry that is to be counted
 *	r9	0, of which the verifier does not know that it is: so it does not follow each combination of marks, and
 *		each rule, through the code that counts
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

/* On the stack: the key up to BF_TCP_FLAGS, the number of an element, marks. */
#define FRAME_NUMBER 48
#define FRAME_MARKS  56
#define MAX_MARKS    (512 - FRAME_MARKS)

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

_Static_assert(KEY(BF_TCP_FLAGS) + 4 <= FRAME_NUMBER, "the key overlaps what follows");

/* Rules, in all places where they stand. Each is some ten instructions. */
#define MAX_PLACES 3000

/**
 * struct offload - being written
 * @dev: the interface
 * @up, @drop: labels: the packet goes up; it is dropped, and counted by r8 and the rules that are marked
 * @marked: the entry of each mark
 * @places: how many rules have been written
 * @stop: what the first test was about that no card can tell; NULL: there was none
 */
struct offload {
	struct bf_asm *a;
	const struct bf_rules *rules;
	const struct bf_program *p;
	const struct bf_dev *dev;
	int up, drop;
	uint32_t marked[MAX_MARKS], nr_marks;
	uint32_t places;
	const char *stop;
};

/* --- the packet -------------------------------------------------------------------------------- */

/* IPv4 without tag, for this interface's address or for many. */
static void emit_arrival(struct offload *o, const struct bf_plain *p)
{
	struct bf_asm *a = o->a;
	int ours = bf_asm_label(a);
	uint32_t head;
	uint16_t tail;

	memcpy(&head, o->dev->mac, sizeof(head));
	memcpy(&tail, o->dev->mac + sizeof(head), sizeof(tail));
	bf_plain_begin(p);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_7, 0);
	bf_alui(a, BPF_AND, BPF_REG_1, 1);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, ours);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, 0);
	bf_mov32i(a, BPF_REG_2, head);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, o->up);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_7, sizeof(head));
	bf_jifi(a, BPF_JNE, BPF_REG_1, tail, o->up);
	bf_asm_here(a, ours);
}

static void emit_key(struct offload *o, uint32_t nr_marks)
{
	const struct bf_plain p = {.a = o->a, .up = o->up};
	uint32_t i;

	bf_mov(o->a, BPF_REG_6, BPF_REG_10);
	/* No more than is needed: cards may have less than the kernel. */
	bf_alui(o->a, BPF_ADD, BPF_REG_6, -(int)((FRAME_MARKS + nr_marks + 7) & ~7U));
	emit_arrival(o, &p);
	bf_plain_header(&p);
	bf_plain_addresses(&p);
	if (o->rules->fields & BF_L4_FIELDS)
		bf_plain_l4(&p);
	for (i = 0; i < nr_marks; i++)
		bf_stx(o->a, BPF_B, BPF_REG_6, FRAME_MARKS + i, BPF_REG_9);
}

/* --- the rules --------------------------------------------------------------------------------- */

/* Is the field the same for all packets that are judged here? */
static bool is_constant(const struct offload *o, enum bf_field field, uint32_t *value)
{
	*value = 0;
	if (field >= BF_IIF && field < BF_IIF + 4)
		memcpy(value, o->dev->name + 4 * (field - BF_IIF), sizeof(*value));
	else if (field == BF_HOOK)
		*value = NF_INET_LOCAL_IN;
	else if (field != BF_FRAGOFF && (field < BF_OIF || field >= BF_OIF + 4))
		return false;
	return true;
}

static bool holds(const struct bf_op *op, uint32_t value)
{
	bool is = op->code == BF_OP_EQ ? (value & op->a) == op->b
				       : op->a <= value && value <= op->b;

	return is != op->invert;
}

/* The packet goes up, since nobody here can tell what comes now. */
static void emit_unknown(struct offload *o, const char *what)
{
	o->stop = o->stop ?: what;
	bf_jmp(o->a, o->up);
}

static void emit_op(struct offload *o, const struct bf_op *op, int fail)
{
	uint32_t value;

	if (op->code == BF_OP_COND)
		return emit_unknown(o, bf_rules_cond(o->rules, op->a)->type->name);
	if (!bf_op_is_test(op))
		return emit_unknown(o, "a target");
	if (is_constant(o, op->field, &value) || (op->code == BF_OP_EQ && !op->a)) {
		if (!holds(op, value))
			bf_jmp(o->a, fail);
		return;
	}
	if (!(BF_FIELD_BIT(op->field) & BF_PLAIN_FIELDS))
		return emit_unknown(o, bf_field_name(op->field));
	bf_emit_test(o->a, op, fail);
}

/* As in straight.c. */
static void emit_tests(struct offload *o, const struct bf_code *code, int next)
{
	const struct bf_op *ops = o->rules->ops + code->first_op;
	int labels[64];
	uint32_t i;

	if (code->nr_ops >= ARRAY_SIZE(labels)) {
		emit_unknown(o, "a rule with too many tests");
		return;
	}
	for (i = 0; i <= code->nr_ops; i++)
		labels[i] = bf_asm_label(o->a);
	for (i = 0; i < code->nr_ops; i++) {
		int to = ops[i].to;

		bf_asm_here(o->a, labels[i]);
		emit_op(o, &ops[i], to >= 0 ? labels[to] : to == BF_TO_DROP ? o->up : next);
	}
	bf_asm_here(o->a, labels[code->nr_ops]);
}

/* Entry @i has matched, and goes on. */
static void emit_mark(struct offload *o, uint32_t i)
{
	if (o->nr_marks == MAX_MARKS) {
		emit_unknown(o, "the number of rules that a packet may match before it is dropped");
		return;
	}
	bf_mov(o->a, BPF_REG_1, BPF_REG_9);
	bf_alui(o->a, BPF_XOR, BPF_REG_1, 1);
	bf_stx(o->a, BPF_B, BPF_REG_6, FRAME_MARKS + o->nr_marks, BPF_REG_1);
	o->marked[o->nr_marks++] = i;
}

/* r8 = entry, of which the verifier does not know which it is */
static void emit_entry(struct bf_asm *a, uint32_t i)
{
	bf_mov(a, BPF_REG_8, BPF_REG_9);
	bf_alui(a, BPF_XOR, BPF_REG_8, i);
}

static void emit_run(struct offload *o, uint32_t i, int back, uint32_t depth);

static void emit_match(struct offload *o, uint32_t i, int back, int next, uint32_t depth)
{
	const struct bf_code *code = &o->rules->codes[i];

	switch (code->action) {
	case BF_ACT_ACCEPT:
		bf_jmp(o->a, o->up);
		return;
	case BF_ACT_DROP:
		emit_entry(o->a, i);
		bf_jmp(o->a, o->drop);
		return;
	default:
		emit_mark(o, i);
	}
	if (code->action == BF_ACT_RETURN)
		bf_jmp(o->a, back);
	else if (code->action == BF_ACT_GOTO)
		emit_run(o, code->target, back, depth);
	else if (code->action == BF_ACT_JUMP && depth >= o->rules->table->stacksize)
		bf_jmp(o->a, o->up);
	else if (code->action == BF_ACT_JUMP)
		emit_run(o, code->target, next, depth + 1);
}

/* From entry @i to the end of its chain; RETURN leads to @back. Recursion is bounded by MAX_PLACES. */
static void emit_run(struct offload *o, uint32_t i, int back, uint32_t depth)
{
	const struct bf_code *code;

	do {
		int next = bf_asm_label(o->a);

		if (++o->places > MAX_PLACES) {
			o->a->error = o->a->error ?: -E2BIG;
			return;
		}
		code = &o->rules->codes[i];
		emit_tests(o, code, next);
		emit_match(o, i, back, next, depth);
		bf_asm_here(o->a, next);
		i++;
	} while (code->nr_ops || code->action == BF_ACT_NEXT || code->action == BF_ACT_JUMP);
}

/* --- counters ---------------------------------------------------------------------------------- */

/*
 * Entry r8 counts the packet:
 *
 *	c = lookup(counters, r8);			c = lookup(counters, 0)[r8];
 */
static void emit_count(struct offload *o)
{
	bool together = o->p->maps[BF_MAP_COUNTERS].max_entries == 1;
	struct bf_asm *a = o->a;

	bf_stx(a, BPF_W, BPF_REG_6, FRAME_NUMBER, together ? BPF_REG_9 : BPF_REG_8);
	bf_map(a, BPF_REG_1, BF_MAP_COUNTERS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, FRAME_NUMBER);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	/* There is always one. */
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, o->up);
	if (together) {
		bf_jifi(a, BPF_JGE, BPF_REG_8, o->rules->table->num_entries, o->up);
		bf_alui(a, BPF_LSH, BPF_REG_8, 4);
		bf_alu(a, BPF_ADD, BPF_REG_0, BPF_REG_8);
	}
	bf_movi(a, BPF_REG_1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, offsetof(struct xt_counters, pcnt), BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_LEN));
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, offsetof(struct xt_counters, bcnt), BPF_REG_1);
}

static void emit_exits(struct offload *o)
{
	struct bf_asm *a = o->a;
	uint32_t i;

	bf_asm_here(a, o->drop);
	emit_count(o);
	for (i = 0; i < o->nr_marks; i++) {
		int other = bf_asm_label(a);

		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, FRAME_MARKS + i);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, other);
		emit_entry(a, o->marked[i]);
		emit_count(o);
		bf_asm_here(a, other);
	}
	bf_emit_plain_verdict(a, NF_DROP);
	bf_asm_here(a, o->up);
	bf_emit_plain_verdict(a, NF_ACCEPT);
}

/* --- all of it --------------------------------------------------------------------------------- */

/* @nr_marks: how many there will be. */
static int emit_all(struct offload *o, struct bf_asm *a, uint32_t nr_marks)
{
	uint32_t policy = o->rules->underflow[NF_INET_LOCAL_IN];
	int end;

	bf_asm_init(a, NULL);
	a->attach = BF_ATTACH_XDP;
	o->a = a;
	o->up = bf_asm_label(a);
	o->drop = bf_asm_label(a);
	end = bf_asm_label(a);
	o->nr_marks = o->places = 0;
	emit_key(o, nr_marks);
	emit_run(o, o->rules->hook_entry[NF_INET_LOCAL_IN], end, 0);
	bf_asm_here(a, end);
	emit_run(o, policy, end, 0);
	emit_exits(o);
	return bf_asm_finish(a);
}

/* Has it come out that no packet can be dropped? */
static bool drops(const struct bf_asm *a)
{
	uint32_t i;

	for (i = 0; i < a->nr_insns; i++)
		if (a->insns[i].code == (BPF_ALU64 | BPF_MOV | BPF_K) && !a->insns[i].dst_reg &&
		    a->insns[i].imm == XDP_DROP)
			return true;
	return false;
}

static int explain(const struct offload *o, int err, struct bf_why *why)
{
	if (err == -E2BIG || err == -ERANGE)
		return bf_why(why, -E2BIG,
			      "INPUT has too many rules for the processor of a network card");
	if (!err && o->stop)
		return bf_why(
			why, -EOPNOTSUPP,
			"no rule of INPUT drops before one looks at what a network card cannot tell (%s)",
			o->stop);
	if (!err)
		return bf_why(why, -EOPNOTSUPP, "INPUT drops nothing");
	return err;
}

static int emit_program(struct offload *o, struct bf_program *p, struct bf_why *why)
{
	struct bf_asm a;
	int err = emit_all(o, &a, 0);

	if (!err) {
		bf_asm_free(&a);
		err = emit_all(o, &a, o->nr_marks);
	}
	if (err || !drops(&a)) {
		err = explain(o, err, why);
	} else {
		p->insns = a.insns;
		p->nr_insns = a.nr_insns;
		a.insns = NULL;
	}
	bf_asm_free(&a);
	return err;
}

int bf_compile_offload(const struct bf_table *table, const struct bf_kernel *kernel,
		       const struct bf_dev *dev, bool together, struct bf_program **program,
		       struct bf_why *why)
{
	struct offload o = {.dev = dev};
	struct bf_program *p;
	struct bf_rules rules;
	int err;

	*program = NULL;
	err = bf_rules_make(&rules, table, BF_ATTACH_XDP, kernel, why);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (p) {
		uint32_t n = table->num_entries;

		p->attach = BF_ATTACH_XDP;
		p->form = BF_FORM_STRAIGHT;
		p->stride = n;
		p->maps[BF_MAP_COUNTERS] = (struct bf_map_def){
			.name = "bf_offloaded",
			.value_size = (together ? n : 1) * sizeof(struct xt_counters),
			.max_entries = together ? 1 : n};
		o.rules = &rules;
		o.p = p;
		err = emit_program(&o, p, why);
	} else {
		err = -ENOMEM;
	}
	bf_rules_free(&rules);
	if (err) {
		bf_program_free(p);
		return err;
	}
	*program = p;
	return 0;
}
