// SPDX-License-Identifier: GPL-2.0
/*
 * The intermediate form: building rules and evaluating them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"

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
	bf_effects_free(&r->effects);
	bf_questions_free(&r->questions);
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

/* Written where it stays: a table has some of these for each rule. */
static void add_op(struct bf_rule *r, enum bf_op_code code, enum bf_field field, bool invert,
		   int to, uint32_t a, uint32_t b)
{
	struct bf_op *op;

	if (!make_room(r, (void **)&r->ops, r->nr_ops, &r->max_ops, sizeof(*r->ops)))
		return;
	op = &r->ops[r->nr_ops++];
	op->code = code;
	op->field = field;
	op->invert = invert;
	op->to = to;
	op->a = a;
	op->b = b;
}

void bf_eq(struct bf_rule *r, enum bf_field field, uint32_t mask, uint32_t value, bool invert,
	   int to)
{
	/* What no key can change: bits that are asked for and masked away, no bits at all. */
	bool constant = (value & ~mask) || !mask;
	bool holds = !(value & ~mask);

	if (constant && holds != invert)
		return;
	if (constant) {
		bf_never(r, to);
		return;
	}
	add_op(r, BF_OP_EQ, field, invert, to, mask, value);
}

void bf_range(struct bf_rule *r, enum bf_field field, uint32_t lo, uint32_t hi, bool invert, int to)
{
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
	add_op(r, BF_OP_RANGE, field, invert, to, lo, hi);
}

void bf_never(struct bf_rule *r, int to)
{
	add_op(r, BF_OP_EQ, BF_HOOK, false, to, 0, 1);
}

void bf_cond(struct bf_rule *r, const struct bf_cond_type *type, const void *state, size_t len,
	     bool invert, int to)
{
	struct bf_cond *cond;

	if (!make_room(r, (void **)&r->conds, r->nr_conds, &r->max_conds, sizeof(*r->conds)))
		return;
	cond = &r->conds[r->nr_conds];
	memset(cond, 0, sizeof(*cond));
	cond->type = type;
	memcpy(cond->state, state, len);
	add_op(r, BF_OP_COND, 0, invert, to, r->nr_conds, 0);
	if (!r->error)
		r->nr_conds++;
}

void bf_set_mark(struct bf_rule *r, enum bf_field field, uint32_t keep, uint32_t flip)
{
	add_op(r, BF_OP_MARK, field, false, BF_TO_NEXT, keep, flip);
}

void bf_mix_mark(struct bf_rule *r, enum bf_field field, uint32_t mask, int bits)
{
	add_op(r, BF_OP_MIX, field, false, BF_TO_NEXT, mask, bits);
}

void bf_shift_mark(struct bf_rule *r, enum bf_field field, int bits)
{
	add_op(r, BF_OP_SHIFT, field, false, BF_TO_NEXT, UINT32_MAX, bits);
}

void bf_op_apply(const struct bf_op *op, uint32_t *key)
{
	if (op->code == BF_OP_MARK)
		key[op->field] = (key[op->field] & op->a) ^ op->b;
	else if (op->code == BF_OP_MIX)
		key[op->field] ^= bf_shift(key[bf_op_source(op)] & op->a, op->b);
	else
		key[op->field] = bf_shift(key[op->field], op->b);
}

void bf_effect(struct bf_rule *r, struct bf_effect *effect)
{
	if (r->error)
		return;
	r->error = bf_effects_add(&r->effects, effect);
	add_op(r, BF_OP_EFFECT, BF_HOOK, false, BF_TO_NEXT, effect->id, 0);
}

void bf_ask(struct bf_rule *r, const struct bf_question *question, int to)
{
	uint32_t number = r->questions.nr;

	if (r->error)
		return;
	r->error = bf_questions_add(&r->questions, question);
	bf_cond(r, &bf_cond_ask, &number, sizeof(number), false, to);
}

void bf_ask_target(struct bf_rule *r, const struct bf_question *question, bool grows)
{
	add_op(r, BF_OP_COUNT, BF_HOOK, false, BF_TO_NEXT, 0, 0);
	bf_ask(r, question, BF_TO_NEXT);
	if (grows)
		add_op(r, BF_OP_GROW, BF_LEN, false, BF_TO_NEXT, 0, 0);
	bf_never(r, BF_TO_NEXT);
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
		case BF_OP_MIX:
		case BF_OP_SHIFT:
		case BF_OP_COUNT:
		case BF_OP_GROW:
		case BF_OP_EFFECT:
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
		[BF_CT_MARK] = "ctmark",
		[BF_HEADER] = "header",
		[BF_TOTLEN] = "totlen",
		[BF_MAC] = "mac[0]",
		"mac[1]",
		[BF_SPI] = "spi",
		[BF_OWNER] = "owner",
		[BF_UID] = "uid",
		[BF_GID] = "gid",
		[BF_CPU] = "cpu",
	};

	return field < BF_NR_FIELDS ? names[field] : "?";
}
