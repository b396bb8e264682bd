// SPDX-License-Identifier: GPL-2.0
/*
 * From a checked table to rules over the key: every entry compiled once, its verdict made an action, and
 * what it costs in the worst case.
 */
#include <errno.h>
#include <linux/netfilter/x_tables.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

/* What changes where a packet grows. */
#define LENGTHS (BF_FIELD_BIT(BF_LEN) | BF_FIELD_BIT(BF_L4LEN) | BF_FIELD_BIT(BF_TOTLEN))

/* Appends the branches in the scratch rule, with labels turned into op numbers. */
static int append_ops(struct bf_rules *rules, struct bf_code *code)
{
	struct bf_rule *r = &rules->scratch;
	uint32_t i;

	if (rules->max_ops - rules->nr_ops < r->nr_ops) {
		uint32_t more = rules->max_ops * 2 + r->nr_ops + 64;
		struct bf_op *ops = reallocarray(rules->ops, more, sizeof(*ops));

		if (!ops)
			return -ENOMEM;
		rules->ops = ops;
		rules->max_ops = more;
	}
	code->first_op = rules->nr_ops;
	code->nr_ops = r->nr_ops;
	for (i = 0; i < r->nr_ops; i++) {
		struct bf_op op = r->ops[i];

		if (op.to >= 0)
			op.to = r->labels[op.to];
		if (op.code != BF_OP_COND)
			rules->fields |= BF_FIELD_BIT(op.field);
		if (bf_op_marks(&op))
			rules->changed |= BF_FIELD_BIT(op.field);
		if (op.code == BF_OP_GROW)
			rules->changed |= LENGTHS;
		if (op.code == BF_OP_GROW)
			rules->fields |= BF_FIELD_BIT(BF_L4LEN);
		if (op.code == BF_OP_COUNT)
			op.a = code - rules->codes;
		if (op.code == BF_OP_MIX)
			rules->fields |= BF_FIELD_BIT(bf_op_source(&op));
		if (op.code == BF_OP_EFFECT)
			rules->has_effects = true;
		rules->ops[rules->nr_ops++] = op;
	}
	return 0;
}

/* The entry's verdict as an action. The table's check has refused what is none of these. */
static int set_action(const struct bf_table *table, uint32_t index, struct bf_code *code,
		      struct bf_why *why)
{
	const struct ipt_entry *e = bf_table_entry(table, index);
	const struct xt_standard_target *t = (const void *)e + e->target_offset;
	int verdict = t->verdict;

	if (*t->target.u.user.name && strcmp(t->target.u.user.name, XT_ERROR_TARGET) == 0) {
		code->action = BF_ACT_DROP; /* ipt_error() drops */
		return 0;
	}
	if (verdict >= 0) {
		code->target = bf_table_index(table, verdict);
		if ((uint32_t)verdict == table->offsets[index] + e->next_offset)
			code->action = BF_ACT_NEXT;
		else
			code->action = e->ip.flags & IPT_F_GOTO ? BF_ACT_GOTO : BF_ACT_JUMP;
		return 0;
	}
	switch (verdict) {
	case XT_RETURN:
		code->action = BF_ACT_RETURN;
		return 0;
	case -NF_ACCEPT - 1:
		code->action = BF_ACT_ACCEPT;
		return 0;
	case -NF_DROP - 1:
		code->action = BF_ACT_DROP;
		return 0;
	default:
		return bf_why(why, -EOPNOTSUPP, "target QUEUE is not translated");
	}
}

/* What a rule does where it cannot tell: nothing that lets a packet through. */
static enum bf_care care_of(const struct ipt_entry *e)
{
	const struct xt_standard_target *t = (const void *)e + e->target_offset;

	if (*t->target.u.user.name)
		return BF_CARE_DROP;
	return t->verdict == -NF_ACCEPT - 1 ? BF_CARE_MISS
	       : t->verdict == -NF_DROP - 1 ? BF_CARE_HOLD
					    : BF_CARE_DROP;
}

static int make_code(struct bf_rules *rules, uint32_t index, struct bf_why *why)
{
	const struct ipt_entry *e = bf_table_entry(rules->table, index);
	struct bf_code *code = &rules->codes[index];
	struct bf_rule *r = &rules->scratch;
	const struct bf_target *extension;
	int err;

	bf_rule_reset(r);
	if (bf_at_interfaces(rules->attach)) {
		err = bf_place_rule(e, rules->attach, why);
		if (err)
			return err;
		r->care = care_of(e);
	}
	bf_compile_rule(r, e);
	extension = bf_compile_target(r, e);
	if (r->error == -E2BIG)
		return bf_why(
			why, -EOPNOTSUPP,
			"more than %u different uses of REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct",
			BF_EFFECTS_MAX);
	if (r->error == -ENOSPC)
		return bf_why(why, -EOPNOTSUPP, "more than %u matches that ask the kernel",
			      BF_QUESTIONS_MAX);
	err = r->error ?: append_ops(rules, code);
	if (err == -EEXIST)
		return bf_why(why, -EOPNOTSUPP,
			      "two of its targets cannot be told apart: change a prefix");
	if (err)
		return err;
	if (!extension)
		return set_action(rules->table, index, code, why);
	code->action = extension->drops ? BF_ACT_DROP : BF_ACT_NEXT;
	return 0;
}

#define HEADER_FIELDS                                                                              \
	(BF_FIELD_BIT(BF_HEADER) | BF_FIELD_BIT(BF_TOTLEN) | BF_MAC_FIELDS |                       \
	 BF_FIELD_BIT(BF_SPI) | BF_FIELD_BIT(BF_CPU))

static void set_want(struct bf_rules *rules)
{
	uint32_t i;

	if (rules->fields & BF_CT_FIELDS)
		rules->want |= BPFILTER_WANT_CT;
	if (rules->fields & HEADER_FIELDS)
		rules->want |= BPFILTER_WANT_HEADER;
	if (rules->fields & BF_OWNER_FIELDS)
		rules->want |= BPFILTER_WANT_OWNER;
	if (rules->fields & BF_FRAGMENTS)
		rules->want |= BPFILTER_WANT_FRAGMENTS;
	for (i = 0; i < rules->scratch.nr_conds; i++) {
		const struct bf_cond *cond = &rules->scratch.conds[i];

		if (cond->type->want)
			rules->want |= cond->type->want(cond->state);
	}
}

int bf_rules_make(struct bf_rules *rules, const struct bf_table *table, enum bf_attach attach,
		  const struct bf_kernel *kernel, struct bf_why *why)
{
	struct bf_rule *r = &rules->scratch;
	uint32_t i;
	int err;

	memset(rules, 0, sizeof(*rules));
	rules->table = table;
	rules->attach = attach;
	r->kernel = kernel;
	r->asks = table->asks || (table->asks_instead && kernel && kernel->asks_instead);
	r->late_marks = attach == BF_ATTACH_LINK ||
			(attach == BF_ATTACH_MODULE && table->connection_marks);
	rules->codes = calloc(table->num_entries, sizeof(*rules->codes));
	if (!rules->codes)
		return -ENOMEM;
	for (i = 0; i < table->num_entries; i++) {
		err = make_code(rules, i, why);
		if (err)
			goto fail;
	}
	for (i = 0; i < r->nr_conds; i++) {
		const struct bf_cond_type *type = r->conds[i].type;
		uint32_t n = bf_rules_type(rules, type);

		if (n < rules->nr_types)
			continue;
		if (n == ARRAY_SIZE(rules->types)) {
			err = bf_why(why, -EOPNOTSUPP, "too many kinds of conditions");
			goto fail;
		}
		rules->types[rules->nr_types++] = type;
		rules->fields |= type->fields;
	}
	rules->fields |= r->fields;
	if (r->questions.nr)
		rules->fields |= BF_PACKET_ADDRESS;
	set_want(rules);
	for (i = 0; i < NF_INET_NUMHOOKS; i++) {
		if (!(BF_FILTER_HOOKS & (1U << i)))
			continue;
		rules->hook_entry[i] = bf_table_index(table, table->hook_entry[i]);
		rules->underflow[i] = bf_table_index(table, table->underflow[i]);
	}
	return 0;
fail:
	bf_rules_free(rules);
	return err;
}

void bf_rules_free(struct bf_rules *rules)
{
	bf_rule_free(&rules->scratch);
	free(rules->codes);
	free(rules->ops);
	memset(rules, 0, sizeof(*rules));
}

uint32_t bf_rules_type(const struct bf_rules *rules, const struct bf_cond_type *type)
{
	uint32_t n;

	for (n = 0; n < rules->nr_types; n++)
		if (rules->types[n] == type)
			break;
	return n;
}

static uint32_t add_cost(uint32_t x, uint32_t y)
{
	return x > BF_COST_MAX - y ? BF_COST_MAX : x + y;
}

/* The entry that must be measured before this one, or none. Fills in the entry when there is none. */
static uint32_t measure_one(struct bf_rules *rules, const uint32_t *weights, uint32_t i)
{
	struct bf_code *code = &rules->codes[i], *next = code + 1,
		       *to = &rules->codes[code->target];
	bool goes = code->action == BF_ACT_JUMP || code->action == BF_ACT_GOTO;
	uint32_t cost = weights ? weights[i] : code->nr_ops + 1, depth = 0;

	/* A goto may lead past the end of the chain; its cost stands in the same sum. */
	if (goes) {
		if (!to->cost)
			return code->target;
		cost = add_cost(cost, to->cost);
		depth = to->depth + (code->action == BF_ACT_JUMP);
	}
	if (!bf_ends_chain(code)) {
		if (!next->cost)
			return i + 1;
		cost = add_cost(cost, next->cost);
		if (next->depth > depth)
			depth = next->depth;
	}
	code->cost = cost;
	code->depth = depth;
	return UINT32_MAX;
}

/*
 * Depth first from the three hooks, with a stack of our own. The graph has no loops: the table's check
 * has refused those (-ELOOP guards against a mistake there). An entry after which the chain goes on is never the last one: the blob ends with an
 * unconditional ERROR entry.
 */
int bf_rules_measure(struct bf_rules *rules, const uint32_t *weights)
{
	uint32_t *stack, sp, hook, first, i;

	stack = calloc((size_t)rules->table->num_entries, sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	rules->max_cost = 0;
	for (i = 0; i < rules->table->num_entries; i++)
		rules->codes[i].cost = 0;
	for (hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
		if (!(BF_FILTER_HOOKS & (1U << hook)))
			continue;
		first = rules->hook_entry[hook];
		sp = 0;
		stack[sp++] = first;
		while (sp) {
			uint32_t before = UINT32_MAX;

			if (!rules->codes[stack[sp - 1]].cost)
				before = measure_one(rules, weights, stack[sp - 1]);
			if (before == UINT32_MAX) {
				sp--;
			} else if (sp == rules->table->num_entries) {
				free(stack);
				return -ELOOP;
			} else {
				stack[sp++] = before;
			}
		}
		if (rules->codes[first].cost > rules->max_cost)
			rules->max_cost = rules->codes[first].cost;
		if (rules->codes[first].depth > rules->max_depth)
			rules->max_depth = rules->codes[first].depth;
	}
	free(stack);
	return 0;
}
