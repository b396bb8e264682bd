// SPDX-License-Identifier: GPL-2.0
/*
 * The intermediate form: building rules and evaluating them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ir.h"

/* A label that bf_label() handed out and bf_label_here() has not placed yet. */
#define UNPLACED UINT32_MAX

/* Room for one more element of @size bytes in *@array; false sets @r->error. */
static bool make_room(struct bf_rule *r, void **array, uint32_t nr, uint32_t *max, size_t size)
{
	uint32_t more = *max ? *max * 2 : 16;
	void *grown;

	if (r->error)
		return false;
	if (nr < *max)
		return true;
	grown = realloc(*array, more * size);
	if (!grown) {
		r->error = -ENOMEM;
		return false;
	}
	*array = grown;
	*max = more;
	return true;
}

void bf_rule_reset(struct bf_rule *r)
{
	r->nr_ops = 0;
	r->nr_labels = 0;
}

void bf_rule_free(struct bf_rule *r)
{
	free(r->ops);
	free(r->labels);
	free(r->conds);
	memset(r, 0, sizeof(*r));
}

int bf_label(struct bf_rule *r)
{
	if (!make_room(r, (void **)&r->labels, r->nr_labels, &r->max_labels, sizeof(*r->labels)))
		return 0;
	r->labels[r->nr_labels] = UNPLACED;
	return r->nr_labels++;
}

void bf_label_here(struct bf_rule *r, int label)
{
	if (!r->error)
		r->labels[label] = r->nr_ops;
}

static void add_op(struct bf_rule *r, const struct bf_op *op)
{
	if (make_room(r, (void **)&r->ops, r->nr_ops, &r->max_ops, sizeof(*r->ops)))
		r->ops[r->nr_ops++] = *op;
}

void bf_eq(struct bf_rule *r, enum bf_field field, uint32_t mask, uint32_t value, bool invert,
	   int to)
{
	const struct bf_op op = {
		.code = BF_OP_EQ,
		.field = field,
		.invert = invert,
		.to = to,
		.a = mask,
		.b = value,
	};
	/* What no key can change: bits that are asked for and masked away, no bits at all. */
	bool constant = (value & ~mask) || !mask;
	bool holds = !(value & ~mask);

	if (constant && holds != invert)
		return;
	if (constant) {
		bf_never(r, to);
		return;
	}
	add_op(r, &op);
}

void bf_range(struct bf_rule *r, enum bf_field field, uint32_t lo, uint32_t hi, bool invert, int to)
{
	const struct bf_op op = {
		.code = BF_OP_RANGE,
		.field = field,
		.invert = invert,
		.to = to,
		.a = lo,
		.b = hi,
	};
	uint32_t span = hi - lo;

	if (lo > hi) {
		if (!invert)
			bf_never(r, to);
		return;
	}
	/* An aligned block of 2^n values is a prefix, which is one comparison. */
	if (!(span & (span + 1)) && !(lo & span)) {
		bf_eq(r, field, ~span, lo, invert, to);
		return;
	}
	add_op(r, &op);
}

void bf_never(struct bf_rule *r, int to)
{
	const struct bf_op op = {
		.code = BF_OP_EQ,
		.field = BF_HOOK,
		.to = to,
		.a = 0,
		.b = 1,
	};

	add_op(r, &op);
}

void bf_cond(struct bf_rule *r, const struct bf_cond_type *type, const void *state, size_t len,
	     bool invert, int to)
{
	const struct bf_op op = {
		.code = BF_OP_COND,
		.invert = invert,
		.to = to,
		.a = r->nr_conds,
	};
	struct bf_cond *cond;

	if (!make_room(r, (void **)&r->conds, r->nr_conds, &r->max_conds, sizeof(*r->conds)))
		return;
	cond = &r->conds[r->nr_conds];
	memset(cond, 0, sizeof(*cond));
	cond->type = type;
	memcpy(cond->state, state, len);
	add_op(r, &op);
	if (!r->error)
		r->nr_conds++;
}

void bf_set_mark(struct bf_rule *r, uint32_t keep, uint32_t flip)
{
	const struct bf_op op = {
		.code = BF_OP_MARK,
		.field = BF_MARK,
		.to = BF_TO_NEXT,
		.a = keep,
		.b = flip,
	};

	add_op(r, &op);
}

enum bf_match_result bf_rule_eval(const struct bf_rule *r, const uint32_t *key,
				  int (*cond)(void *arg, const struct bf_cond *cond), void *arg)
{
	uint32_t i = 0;

	while (i < r->nr_ops) {
		const struct bf_op *op = &r->ops[i];
		int holds;

		switch (op->code) {
		case BF_OP_EQ:
			holds = (key[op->field] & op->a) == op->b;
			break;
		case BF_OP_RANGE:
			holds = op->a <= key[op->field] && key[op->field] <= op->b;
			break;
		case BF_OP_MARK:
			i++;
			continue;
		default:
			holds = cond(arg, &r->conds[op->a]);
			if (holds == BF_HOTDROP)
				return BF_HOTDROP;
			break;
		}
		if (holds != op->invert)
			i++;
		else if (op->to == BF_TO_NEXT)
			return BF_NO_MATCH;
		else if (op->to == BF_TO_DROP)
			return BF_HOTDROP;
		else
			i = r->labels[op->to];
	}
	return BF_MATCH;
}

const char *bf_field_name(enum bf_field field)
{
	static const char *const names[BF_NR_FIELDS] = {
		[BF_SADDR] = "saddr",
		[BF_DADDR] = "daddr",
		[BF_PROTO] = "proto",
		[BF_FRAGOFF] = "fragoff",
		[BF_L4LEN] = "l4len",
		[BF_LEN] = "len",
		[BF_MARK] = "mark",
		[BF_HOOK] = "hook",
		[BF_SPORT] = "sport",
		[BF_DPORT] = "dport",
		[BF_ICMP] = "icmp",
		[BF_TCP_FLAGS] = "tcp flags",
		[BF_IIF] = "in[0]",
		"in[1]",
		"in[2]",
		"in[3]",
		[BF_OIF] = "out[0]",
		"out[1]",
		"out[2]",
		"out[3]",
		[BF_CT_STATE] = "ctstate",
		[BF_CT_STATUS] = "ctstatus",
		[BF_CT_DIR] = "ctdir",
		[BF_CT_PROTO] = "ctproto",
		[BF_CT_ORIGSRC] = "ctorigsrc",
		[BF_CT_ORIGDST] = "ctorigdst",
		[BF_CT_REPLSRC] = "ctreplsrc",
		[BF_CT_REPLDST] = "ctrepldst",
		[BF_CT_ORIGSRC_PORT] = "ctorigsrcport",
		[BF_CT_ORIGDST_PORT] = "ctorigdstport",
		[BF_CT_REPLSRC_PORT] = "ctreplsrcport",
		[BF_CT_REPLDST_PORT] = "ctrepldstport",
		[BF_CT_EXPIRES] = "ctexpires",
	};

	return field < BF_NR_FIELDS ? names[field] : "?";
}
