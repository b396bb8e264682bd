// SPDX-License-Identifier: GPL-2.0
/* Which tests become predicates, and the code that answers them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "predicates.h"

/* So many ops in all answer the predicates of a packet: more cost more than they save. */
#define MAX_PREDICATE_OPS 96

/* The codes' place in the word of predicates. */
unsigned int bf_name_shift(const struct bf_lift *lift, enum bf_field field)
{
	unsigned int codes = field == BF_OIF ? lift->named[0] + 1 : 1;

	return BF_MAX_PREDICATES - codes * lift->names.bits;
}

static unsigned int name_bits(const struct bf_lift *lift)
{
	return (lift->named[0] + lift->named[1]) * lift->names.bits;
}

uint32_t bf_differ_bit(const struct bf_lift *lift)
{
	return lift->max_need ? 2 : 1;
}

static uint32_t hash_op(uint32_t h, const struct bf_op *op, uint32_t origin)
{
	uint32_t to = op->to >= 0 ? op->to - origin : (uint32_t)op->to;
	uint64_t x = (uint64_t)op->a << 32 | op->b;

	x ^= ((uint64_t)op->code << 8 | op->field << 1 | op->invert) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ h ^ (uint64_t)to << 20) * 0xbf58476d1ce4e5b9ULL;
	return x >> 32;
}

static bool same_op(const struct bf_op *x, uint32_t x_origin, const struct bf_op *y,
		    uint32_t y_origin)
{
	uint32_t to = x->to >= 0 ? x->to - x_origin + y_origin : (uint32_t)x->to;

	return x->code == y->code && x->field == y->field && x->invert == y->invert &&
	       x->a == y->a && x->b == y->b && to == (uint32_t)y->to;
}

/* The labels of both count from the first op of their groups. */
static bool same_group(const struct bf_rules *rules, const struct bf_predicate *x,
		       const struct bf_predicate *y)
{
	uint32_t i;

	if (x->nr != y->nr || x->late != y->late)
		return false;
	for (i = 0; i < x->nr; i++)
		if (!same_op(&rules->ops[x->first + i], x->first - x->origin,
			     &rules->ops[y->first + i], y->first - y->origin))
			return false;
	return true;
}

static uint32_t *group_slot(struct bf_groups *g, const struct bf_predicate *p)
{
	uint32_t h = p->late, i;

	for (i = 0; i < p->nr; i++)
		h = hash_op(h, &g->rules->ops[p->first + i], p->first - p->origin);
	for (i = h & (g->nr_slots - 1); g->slots[i]; i = (i + 1) & (g->nr_slots - 1))
		if (same_group(g->rules, &g->all[g->slots[i] - 1], p))
			break;
	return &g->slots[i];
}

/* Room for one more group: the hash table is never more than half full. */
static int grow_groups(struct bf_groups *g)
{
	uint32_t more = g->max ? g->max * 2 : 64, i;
	struct bf_predicate *all;

	if (g->nr < g->max)
		return 0;
	all = reallocarray(g->all, more, sizeof(*all));
	if (!all)
		return -ENOMEM;
	g->all = all;
	free(g->slots);
	g->slots = calloc(2 * (size_t)more, sizeof(*g->slots));
	if (!g->slots)
		return -ENOMEM;
	g->max = more;
	g->nr_slots = 2 * more;
	for (i = 0; i < g->nr; i++)
		*group_slot(g, &g->all[i]) = i + 1;
	return 0;
}

/* The number of a group, UINT32_MAX if it is none. */
uint32_t bf_groups_find(struct bf_groups *g, const struct bf_predicate *p)
{
	uint32_t *slot;

	if (!g->nr)
		return UINT32_MAX;
	if (same_group(g->rules, &g->all[g->last], p))
		return g->last;
	slot = group_slot(g, p);
	if (*slot)
		g->last = *slot - 1;
	return *slot ? *slot - 1 : UINT32_MAX;
}

int bf_groups_count(struct bf_groups *g, const struct bf_predicate *p)
{
	uint32_t n = bf_groups_find(g, p);
	int err;

	if (n == UINT32_MAX) {
		err = grow_groups(g);
		if (err)
			return err;
		n = g->nr++;
		g->all[n] = *p;
		*group_slot(g, p) = n + 1;
	}
	g->all[n].uses++;
	return 0;
}

static int by_uses(const void *x, const void *y)
{
	const struct bf_predicate *p = x, *q = y;

	if (p->uses != q->uses)
		return p->uses > q->uses ? -1 : 1;
	return p->first < q->first ? -1 : 1;
}

/* Sort by what they are, so that a table with a rule more has the same ones in the same places. */
static int by_content(const void *x, const void *y, void *arg)
{
	const struct bf_rules *rules = arg;
	const struct bf_predicate *p = x, *q = y;
	uint32_t i;

	if (p->late != q->late)
		return p->late ? 1 : -1;
	if (p->nr != q->nr)
		return p->nr < q->nr ? -1 : 1;
	for (i = 0; i < p->nr; i++) {
		const struct bf_op *a = &rules->ops[p->first + i], *b = &rules->ops[q->first + i];
		const uint32_t va[] = {a->field, a->code, a->invert, a->a, a->b};
		const uint32_t vb[] = {b->field, b->code, b->invert, b->a, b->b};
		int d = memcmp(va, vb, sizeof(va));

		if (d)
			return d;
	}
	return 0;
}

/* Choose the groups that become predicates: those of the most rules. */
static void choose(struct bf_lift *lift, struct bf_groups *g)
{
	uint32_t most = BF_MAX_PREDICATES - name_bits(lift);
	uint32_t first = (lift->max_need ? 1 : 0) + lift->differ, ops = 0, i;

	lift->first = first;
	lift->nr_predicates = first;
	qsort(g->all, g->nr, sizeof(*g->all), by_uses);
	for (i = 0; i < g->nr && lift->nr_predicates < most; i++) {
		if (ops + g->all[i].nr > MAX_PREDICATE_OPS)
			continue;
		ops += g->all[i].nr;
		lift->predicates[lift->nr_predicates++] = g->all[i];
	}
	qsort_r(lift->predicates + first, lift->nr_predicates - first, sizeof(*lift->predicates),
		by_content, (void *)lift->rules);
	lift->late = lift->max_need ? 1 : 0;
	for (i = first; i < lift->nr_predicates; i++)
		if (lift->predicates[i].late)
			lift->late |= 1U << i;
}

/* From now on only the chosen ones are found, each under its bit. */
static void keep_chosen(struct bf_lift *lift, struct bf_groups *g)
{
	uint32_t i;

	memset(g->slots, 0, g->nr_slots * sizeof(*g->slots));
	g->nr = lift->nr_predicates;
	for (i = 0; i < g->nr; i++)
		g->all[i] = lift->predicates[i];
	for (i = lift->first; i < g->nr; i++)
		*group_slot(g, &g->all[i]) = i + 1;
	g->last = g->nr ? g->nr - 1 : 0;
}

void bf_groups_choose(struct bf_lift *lift, struct bf_groups *g)
{
	choose(lift, g);
	keep_chosen(lift, g);
}

int bf_groups_init(struct bf_groups *g, const struct bf_rules *rules)
{
	memset(g, 0, sizeof(*g));
	g->rules = rules;
	return grow_groups(g);
}

void bf_groups_free(struct bf_groups *g)
{
	free(g->all);
	free(g->slots);
}

/* r2 = 1 if the test holds, else 0 */
static void emit_holds(struct bf_asm *a, const struct bf_op *op)
{
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * op->field);
	if (op->code == BF_OP_EQ) {
		if (op->a != UINT32_MAX)
			bf_alu32i(a, BPF_AND, BPF_REG_2, op->a);
		if (op->b)
			bf_alu32i(a, BPF_XOR, BPF_REG_2, op->b);
	} else {
		/*
		 * key - first, which wraps around, is to be at most the span: negative with one off
		 */
		if (op->a)
			bf_alu32i(a, BPF_SUB, BPF_REG_2, op->a);
		bf_mov32i(a, BPF_REG_3, op->b - op->a);
		bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_3);
	}
	bf_alui(a, BPF_SUB, BPF_REG_2, 1);
	bf_alui(a, BPF_RSH, BPF_REG_2, 63);
	if (op->invert)
		bf_alui(a, BPF_XOR, BPF_REG_2, 1);
}

/* r2 = 1 if a group holds: r4 = no test before missed, r5 = it held before its end. */
static void emit_group(struct bf_asm *a, const struct bf_rules *rules, const struct bf_predicate *p)
{
	const struct bf_op *ops = rules->ops + p->first;
	uint32_t i;

	bf_movi(a, BPF_REG_4, 1);
	bf_movi(a, BPF_REG_5, 0);
	for (i = 0; i < p->nr; i++) {
		emit_holds(a, &ops[i]);
		if (ops[i].to >= 0) {
			/* A miss leads to the end: the group holds if this was reached. */
			bf_mov(a, BPF_REG_3, BPF_REG_2);
			bf_alui(a, BPF_XOR, BPF_REG_3, 1);
			bf_alu(a, BPF_AND, BPF_REG_3, BPF_REG_4);
			bf_alu(a, BPF_OR, BPF_REG_5, BPF_REG_3);
		}
		bf_alu(a, BPF_AND, BPF_REG_4, BPF_REG_2);
	}
	bf_mov(a, BPF_REG_2, BPF_REG_4);
	bf_alu(a, BPF_OR, BPF_REG_2, BPF_REG_5);
}

uint32_t bf_lift_bits(const struct bf_lift *lift)
{
	/* The shifts are in 64 bits: there may be 32 or none. */
	return (uint32_t)((1ULL << lift->nr_predicates) - 1) |
	       (uint32_t)(UINT64_MAX << (BF_MAX_PREDICATES - name_bits(lift)));
}

/* The codes of both names, and whether they differ. */
static void emit_names(struct bf_asm *a, const struct bf_lift *lift, uint32_t word)
{
	static const enum bf_field fields[] = {BF_IIF, BF_OIF};
	int i;

	for (i = 0; i < 2; i++) {
		if (!lift->named[i])
			continue;
		bf_emit_name(a, &lift->names, fields[i], word);
		bf_alui(a, BPF_LSH, BPF_REG_2, bf_name_shift(lift, fields[i]));
		bf_alu(a, BPF_OR, BPF_REG_9, BPF_REG_2);
	}
	if (!lift->differ)
		return;
	/* r3 = (0 - (one ^ other)) >> 63: 1 unless they are the same */
	bf_mov(a, BPF_REG_2, BPF_REG_9);
	bf_alui(a, BPF_RSH, BPF_REG_2, bf_name_shift(lift, BF_IIF));
	bf_mov(a, BPF_REG_3, BPF_REG_9);
	bf_alui(a, BPF_RSH, BPF_REG_3, bf_name_shift(lift, BF_OIF));
	bf_alu(a, BPF_XOR, BPF_REG_2, BPF_REG_3);
	bf_alui(a, BPF_AND, BPF_REG_2, (1 << lift->names.bits) - 1);
	bf_movi(a, BPF_REG_3, 0);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_2);
	bf_alui(a, BPF_RSH, BPF_REG_3, 63);
	bf_alui(a, BPF_MUL, BPF_REG_3, bf_differ_bit(lift));
	bf_alu(a, BPF_OR, BPF_REG_9, BPF_REG_3);
}

void bf_emit_predicates(struct bf_asm *a, const struct bf_lift *lift, uint32_t word)
{
	static const struct bf_op first_fragment = {
		.code = BF_OP_EQ, .field = BF_FRAGOFF, .a = UINT32_MAX, .to = BF_TO_NEXT};
	uint32_t i;

	bf_movi(a, BPF_REG_9, 0);
	if (lift->names.bits)
		emit_names(a, lift, word);
	if (lift->max_need) {
		emit_holds(a, &first_fragment);
		bf_alu(a, BPF_OR, BPF_REG_9, BPF_REG_2);
	}
	for (i = lift->first; i < lift->nr_predicates; i++) {
		const struct bf_predicate *p = &lift->predicates[i];

		if (p->nr == 1)
			emit_holds(a, &lift->rules->ops[p->first]);
		else
			emit_group(a, lift->rules, p);
		bf_alui(a, BPF_LSH, BPF_REG_2, i);
		bf_alu(a, BPF_OR, BPF_REG_9, BPF_REG_2);
	}
}
