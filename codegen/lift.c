// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "predicates.h"

/* One predicate of so many ops at most. */
#define MAX_GROUP 16

/*
 * Ops of one entry that belong together: one, or some that lead to their own end, or a name, or a
 * needed header.
 */
struct unit {
	enum {
		UNIT_NAME,   /* an interface's name that has a code */
		UNIT_DIFFER, /* the other interface is not the one that the rule names */
		UNIT_GROUP,  /* tests, a miss of which leads to the next rule */
		UNIT_NEED,   /* a match needs a header */
		UNIT_STUCK,  /* none of these: it stays where it is */
	} kind;
	uint32_t first, nr; /* within the entry */
};

/* Where the walk through an entry's ops stands. */
struct walk {
	const struct bf_lift *lift;
	const struct bf_op *ops;
	uint32_t nr_ops, at;
	bool saddr, daddr, sport, dport; /* the record's field is in use */
	bool needed;			 /* behind a needed header */
	uint8_t need;
};

static bool is_need(const struct bf_op *op)
{
	return op->code == BF_OP_RANGE && op->field == BF_L4LEN && !op->invert &&
	       op->to == BF_TO_DROP && op->b == UINT32_MAX && op->a <= 60 && op->a % 4 == 0;
}

static bool is_first_fragment(const struct bf_op *op)
{
	return op->code == BF_OP_EQ && op->field == BF_FRAGOFF && op->a == UINT32_MAX &&
	       op->b == 0 && !op->invert && op->to == BF_TO_NEXT;
}

static bool is_evil(const struct bf_op *op)
{
	return op->code == BF_OP_EQ && op->field == BF_FRAGOFF && op->a == UINT32_MAX &&
	       op->b == 1 && op->invert && op->to == BF_TO_DROP;
}

/*
 * How many of @ops are the pattern of a needed header, or 0: [not evil or drop,] no later fragment
 * or next, long enough or drop.
 */
static uint32_t need_length(const struct bf_op *ops, uint32_t n)
{
	uint32_t evil = n > 0 && is_evil(&ops[0]);

	if (n < evil + 2 || !is_first_fragment(&ops[evil]) || !is_need(&ops[evil + 1]))
		return 0;
	return evil + 2;
}

/* How many ops from w->at on are a name that has a code. */
static uint32_t coded_length(const struct walk *w)
{
	struct bf_name name;

	return w->lift->names.bits ? bf_name_of(w->ops + w->at, w->nr_ops - w->at, &name) : 0;
}

/* The bits of the code of such ops. */
static uint32_t code_bits(const struct walk *w, const struct unit *u)
{
	const struct bf_op *op = &w->ops[u->first];
	struct bf_name name;

	bf_name_of(op, u->nr, &name);
	return bf_names_code(&w->lift->names, &name) << bf_name_shift(w->lift, op->field);
}

/*
 * How many ops from w->at on say that one interface is not the other one, whose name the rule has
 * as well ("-i br0 ! -o br0"), if names have codes: then it is enough that they differ.
 */
static uint32_t differ_length(const struct walk *w)
{
	const struct bf_op *op = w->ops + w->at;
	struct bf_name other, name;
	uint32_t n, i;

	if (!w->lift->names.bits || !w->lift->named[0] || !w->lift->named[1])
		return 0;
	n = bf_other_name_of(w->ops, w->at, w->nr_ops, &other);
	for (i = 0; n && i < w->nr_ops; i++) {
		if (w->ops[i].field != (op->field == BF_IIF ? BF_OIF : BF_IIF) ||
		    !bf_name_of(w->ops + i, w->nr_ops - i, &name))
			continue;
		if (!memcmp(&name, &other, sizeof(name)))
			return n;
	}
	return 0;
}

/* Is it a test by itself that begins nothing larger? Most are. */
static bool is_single(const struct walk *w, const struct bf_op *op)
{
	return op->to == BF_TO_NEXT && op->code <= BF_OP_RANGE && op->field != BF_FRAGOFF &&
	       !(w->lift->names.bits && BF_FIELD_BIT(op->field) & BF_INTERFACE_FIELDS);
}

/* A unit that is larger, or that only what it consists of tells the kind of. */
static void find_unit(const struct walk *w, struct unit *u)
{
	uint32_t end = w->at + 1;

	u->kind = UNIT_NEED;
	u->nr = need_length(w->ops + w->at, w->nr_ops - w->at);
	if (!u->nr) {
		u->kind = UNIT_NAME;
		u->nr = coded_length(w);
	}
	if (!u->nr) {
		u->kind = UNIT_DIFFER;
		u->nr = differ_length(w);
	}
	if (u->nr)
		return;
	u->kind = UNIT_GROUP;
	for (; w->at + u->nr < end; u->nr++) {
		const struct bf_op *op = &w->ops[w->at + u->nr];

		if (op->to == BF_TO_DROP || op->code == BF_OP_COND || !bf_op_is_test(op))
			u->kind = UNIT_STUCK;
		if (op->to >= 0 && (uint32_t)op->to > end)
			end = op->to;
	}
}

/* The unit that begins at w->at, which is below w->nr_ops. Moves behind it. */
static inline struct unit next_unit(struct walk *w)
{
	struct unit u = {.kind = UNIT_GROUP, .first = w->at, .nr = 1};

	if (!is_single(w, &w->ops[w->at]))
		find_unit(w, &u);
	w->at += u.nr;
	return u;
}

/* Can a group of tests be answered without a branch, once for each packet? */
static bool can_be_predicate(const struct bf_rules *rules, const struct bf_op *ops,
			     const struct unit *u)
{
	uint32_t i;

	if (u->kind != UNIT_GROUP || u->nr > MAX_GROUP)
		return false;
	if (u->nr == 1 && ops[u->first].to != BF_TO_NEXT)
		return false;
	for (i = u->first; i < u->first + u->nr; i++) {
		if (ops[i].to >= 0 && (uint32_t)ops[i].to != u->first + u->nr)
			return false;
		if (bf_rules_change(rules, ops[i].field))
			return false;
	}
	return true;
}

/* A test of a port as a range that may wrap around. */
static bool port_range(const struct bf_op *op, struct bf_ports *ports)
{
	uint32_t first = op->b, span = ~op->a;

	if (op->code == BF_OP_RANGE) {
		first = op->a;
		span = op->b - op->a;
	} else if (span & (span + 1)) {
		return false; /* not a prefix */
	}
	if (first > UINT16_MAX || first + span > UINT16_MAX)
		return false;
	if (op->invert) {
		if (span == UINT16_MAX)
			return false;
		first += span + 1;
		span = UINT16_MAX - span - 1;
	}
	*ports = (struct bf_ports){first, span};
	return true;
}

/* Put a single test into the record, if it has a place for it that is free. */
static bool into_record(struct walk *w, const struct unit *u, struct bf_record *rec)
{
	const struct bf_op *op = &w->ops[u->first];
	struct bf_ports *ports = op->field == BF_SPORT ? &rec->sport : &rec->dport;
	bool *used;

	if (u->kind != UNIT_GROUP || u->nr != 1 || op->to != BF_TO_NEXT)
		return false;
	switch (op->field) {
	case BF_SADDR:
	case BF_DADDR:
		used = op->field == BF_SADDR ? &w->saddr : &w->daddr;
		/* Behind the header it is iprange's, and a packet without one is dropped first. */
		if (*used || w->needed || op->code != BF_OP_EQ || op->invert || op->b & ~op->a)
			return false;
		rec->addresses |= (uint64_t)op->b << (op->field == BF_DADDR ? 32 : 0);
		rec->mask |= (uint64_t)op->a << (op->field == BF_DADDR ? 32 : 0);
		break;
	case BF_SPORT:
	case BF_DPORT:
		used = op->field == BF_SPORT ? &w->sport : &w->dport;
		if (*used || !w->needed || !port_range(op, ports))
			return false;
		break;
	default:
		return false;
	}
	*used = true;
	return true;
}

/* Is a needed header one that an earlier match has seen to? */
static bool is_implied(const struct walk *w, const struct unit *u)
{
	return w->needed && w->ops[u->first + u->nr - 1].a <= w->need;
}

static void set_need(struct walk *w, const struct unit *u)
{
	w->needed = true;
	w->need = w->ops[u->first + u->nr - 1].a;
}

static struct walk begin_walk(const struct bf_lift *lift, uint32_t i)
{
	const struct bf_code *code = &lift->rules->codes[i];

	return (struct walk){
		.lift = lift, .ops = lift->rules->ops + code->first_op, .nr_ops = code->nr_ops};
}

static struct bf_predicate group_of(const struct bf_rules *rules, uint32_t i, const struct walk *w,
				    const struct unit *u)
{
	uint32_t origin = rules->codes[i].first_op;

	return (struct bf_predicate){
		.first = origin + u->first, .nr = u->nr, .origin = origin, .late = w->needed};
}

/* The protocol that an entry is for, by its own test; 0 if there is none. */
static uint8_t protocol_of(const struct bf_rules *rules, uint32_t i)
{
	const struct bf_code *code = &rules->codes[i];
	const struct bf_op *op = rules->ops + code->first_op, *end = op + code->nr_ops;

	for (; op < end && op->to != BF_TO_DROP; op++)
		if (op->field == BF_PROTO && op->code == BF_OP_EQ && op->a == UINT32_MAX &&
		    !op->invert && op->to == BF_TO_NEXT)
			return op->b;
	return 0;
}

/* What header is needed: known before the predicates are chosen, for bit 0. */
static void note_need(struct bf_lift *lift, const struct walk *w, const struct unit *u, uint32_t i)
{
	uint8_t *most = &lift->need[protocol_of(lift->rules, i)];
	uint8_t need = w->ops[u->first + u->nr - 1].a;

	if (need > *most)
		*most = need;
	if (need > lift->max_need)
		lift->max_need = need;
	lift->evil |= u->nr > 2;
}

/* Does the walk get over a unit that is no test? What is behind it may be lifted then. */
static bool passes(struct walk *w, const struct unit *u)
{
	if (u->kind != UNIT_NEED)
		return u->kind != UNIT_STUCK;
	if (w->needed)
		return is_implied(w, u);
	set_need(w, u);
	return true;
}

/* All headers that an entry needs, and all groups that could be predicates. */
static int count_entry(struct bf_lift *lift, struct bf_groups *g, uint32_t i)
{
	struct walk w = begin_walk(lift, i);
	struct bf_record unused = {};
	bool stuck = false;
	int err = 0;

	while (w.at < w.nr_ops && !err) {
		struct unit u = next_unit(&w);

		if (u.kind == UNIT_NEED)
			note_need(lift, &w, &u, i);
		stuck = stuck || !passes(&w, &u);
		if (stuck)
			continue;
		lift->differ |= u.kind == UNIT_DIFFER;
		if (u.kind == UNIT_GROUP && !into_record(&w, &u, &unused) &&
		    can_be_predicate(g->rules, w.ops, &u)) {
			struct bf_predicate p = group_of(g->rules, i, &w, &u);

			err = bf_groups_count(g, &p);
		}
	}
	return err;
}

static void keep_rest(struct bf_lift *lift, struct bf_lifted *l, const struct unit *u)
{
	uint32_t i;

	for (i = 0; i < u->nr; i++)
		lift->rest[lift->nr_rest++] = u->first + i;
	l->nr_rest += u->nr;
}

/* The bit that answers the unit; BF_MAX_PREDICATES or more if there is none. */
static uint32_t predicate_of(const struct bf_lift *lift, struct bf_groups *g, uint32_t i,
			     const struct walk *w, const struct unit *u)
{
	struct bf_predicate p = group_of(lift->rules, i, w, u);

	return can_be_predicate(lift->rules, w->ops, u) ? bf_groups_find(g, &p) : UINT32_MAX;
}

static void lift_entry(struct bf_lift *lift, struct bf_groups *g, uint32_t i)
{
	struct walk w = begin_walk(lift, i);
	struct bf_lifted *l = &lift->entries[i];
	bool rest = false, stuck = false;

	l->record.sport.span = UINT16_MAX;
	l->record.dport.span = UINT16_MAX;
	l->first_rest = lift->nr_rest;
	while (w.at < w.nr_ops) {
		struct unit u = next_unit(&w);
		uint32_t bit;

		if (u.kind == UNIT_NEED && !stuck && is_implied(&w, &u))
			continue;
		if (u.kind == UNIT_NEED && !w.needed && !rest) {
			set_need(&w, &u);
			l->need = w.need;
			l->evil = u.nr > 2;
			l->record.predicates |= 1;
			continue;
		}
		if (u.kind == UNIT_NAME && !stuck) {
			l->record.predicates |= code_bits(&w, &u);
			continue;
		}
		if (u.kind == UNIT_DIFFER && !stuck) {
			l->record.predicates |= bf_differ_bit(lift);
			continue;
		}
		/* What can drop the packet stays, and so does all that follows. */
		stuck |= u.kind == UNIT_NEED || u.kind == UNIT_STUCK;
		if (!stuck && into_record(&w, &u, &l->record))
			continue;
		bit = stuck ? UINT32_MAX : predicate_of(lift, g, i, &w, &u);
		if (bit < BF_MAX_PREDICATES) {
			l->record.predicates |= 1U << bit;
			continue;
		}
		rest = true;
		keep_rest(lift, l, &u);
	}
	lift->ports |= w.sport || w.dport;
}

static int note_names(struct bf_lift *lift, uint32_t i)
{
	const struct bf_code *code = &lift->rules->codes[i];
	const struct bf_op *ops = lift->rules->ops + code->first_op;
	uint32_t at, n = 0;
	int err = 0;

	for (at = 0; at < code->nr_ops && !err; at += n ? n : 1) {
		struct bf_name name;

		n = bf_name_of(&ops[at], code->nr_ops - at, &name);
		if (!n)
			continue;
		err = bf_names_add(&lift->names, &name);
		lift->named[ops[at].field == BF_OIF] = true;
	}
	return err;
}

int bf_lift_make(struct bf_lift *lift, const struct bf_rules *rules)
{
	uint32_t n = rules->table->num_entries, i;
	struct bf_groups g;
	int err;

	memset(lift, 0, sizeof(*lift));
	lift->rules = rules;
	lift->entries = calloc(n, sizeof(*lift->entries));
	lift->rest = calloc(rules->nr_ops + 1, sizeof(*lift->rest));
	err = bf_groups_init(&g, rules);
	if (!lift->entries || !lift->rest)
		err = -ENOMEM;
	for (i = 0; i < n && !err && rules->fields & BF_INTERFACE_FIELDS; i++)
		err = note_names(lift, i);
	err = err ?: bf_names_finish(&lift->names);
	for (i = 0; i < n && !err; i++)
		err = count_entry(lift, &g, i);
	if (!err) {
		bf_groups_choose(lift, &g);
		for (i = 0; i < n; i++)
			lift_entry(lift, &g, i);
	}
	bf_groups_free(&g);
	return err;
}

void bf_lift_free(struct bf_lift *lift)
{
	bf_names_free(&lift->names);
	free(lift->entries);
	free(lift->rest);
	memset(lift, 0, sizeof(*lift));
}
