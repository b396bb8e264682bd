// SPDX-License-Identifier: GPL-2.0
/*
 * Effects that do not drop are carried out behind the table, where the packet has the mark that it has
 * then: LOG and NFLOG tell of it. So none may be followed by a change of the mark.
 *
 * What follows a rule is looked for in its own chain alone. A rule that leads elsewhere ends the search
 * without an answer, and so does a return. Typical is the pair "log, then drop", with the same
 * conditions: the second rule ends it, as whatever the first holds for, the second does.
 */
#include "compile.h"

/* Rules looked at for each rule of the table, all together: beyond that there is no answer. */
#define MAX_STEPS 64

static const struct bf_op *ops_of(const struct bf_rules *rules, uint32_t i)
{
	return rules->ops + rules->codes[i].first_op;
}

static bool has_mark(const struct bf_rules *rules, uint32_t i)
{
	uint32_t n;

	for (n = 0; n < rules->codes[i].nr_ops; n++)
		if (bf_op_marks(&ops_of(rules, i)[n]))
			return true;
	return false;
}

/* Does the rule tell of the mark? */
static bool tells(const struct bf_rules *rules, uint32_t i)
{
	uint32_t n;

	for (n = 0; n < rules->codes[i].nr_ops; n++) {
		const struct bf_op *op = &ops_of(rules, i)[n];
		const struct bf_effect *e =
			op->code == BF_OP_EFFECT ? bf_effects_find(&rules->scratch.effects, op->a)
						 : NULL;

		if (e && (e->kind == BF_EFFECT_LOG || e->kind == BF_EFFECT_NFLOG))
			return true;
	}
	return false;
}

/* A test, without which the rule does not hold. */
static bool is_plain(const struct bf_op *op)
{
	return (op->code == BF_OP_EQ || op->code == BF_OP_RANGE) && op->to == BF_TO_NEXT;
}

/* Must a packet have passed this test for rule @i to hold for it? */
static bool has_passed(const struct bf_rules *rules, uint32_t i, const struct bf_op *test)
{
	const struct bf_op *ops = ops_of(rules, i);
	uint32_t skipped = 0, n;

	for (n = 0; n < rules->codes[i].nr_ops; n++) {
		const struct bf_op *op = &ops[n];

		if (n >= skipped && is_plain(op) && op->code == test->code &&
		    op->field == test->field && op->invert == test->invert && op->a == test->a &&
		    op->b == test->b)
			return true;
		if (op->to >= 0 && (uint32_t)op->to > skipped)
			skipped = op->to;
	}
	return false;
}

/* Does rule @next hold for every packet that rule @i holds for, whose key is the same? */
static bool is_implied(const struct bf_rules *rules, uint32_t i, uint32_t next)
{
	const struct bf_op *ops = ops_of(rules, next);
	uint32_t n;

	for (n = 0; n < rules->codes[next].nr_ops; n++)
		if (ops[n].code != BF_OP_EFFECT &&
		    (!is_plain(&ops[n]) || !has_passed(rules, i, &ops[n])))
			return false;
	return true;
}

/* Can the mark of a packet that rule @i tells of still change? Also if that is not known. */
static bool may_change(const struct bf_rules *rules, uint32_t i, uint64_t *steps)
{
	uint32_t next;

	for (next = i + 1; next < rules->table->num_entries && *steps; next++, --*steps) {
		enum bf_action action = rules->codes[next].action;
		bool decides = action == BF_ACT_ACCEPT || action == BF_ACT_DROP;

		if (decides && is_implied(rules, i, next))
			return false;
		if ((!decides && action != BF_ACT_NEXT) || has_mark(rules, next))
			return true;
	}
	return true;
}

bool bf_rules_tell_marks(const struct bf_rules *rules)
{
	uint64_t steps = (uint64_t)MAX_STEPS * rules->table->num_entries;
	uint32_t i;

	/* Or it is set in its turn. */
	if (!bf_rules_change(rules, BF_MARK) || rules->scratch.late_marks)
		return false;
	for (i = 0; i < rules->table->num_entries; i++)
		if (rules->codes[i].action == BF_ACT_NEXT && tells(rules, i) &&
		    may_change(rules, i, &steps))
			return true;
	return false;
}
