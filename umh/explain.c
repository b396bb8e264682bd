// SPDX-License-Identifier: GPL-2.0
#include "explain.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "words.h"

/**
 * struct way - the packet on its way
 * @key: what the rules look at; the mark changes
 * @part: the part of a rule that is looked at
 * @stack, @depth: entries to return to
 * @suspect: a rule with a condition that was met behind the last one that counted, if any: it may have dropped the packet
 * @met: of the program's counted entries, those that were met
 */
struct way {
	FILE *f;
	struct bf_explain *e;
	const struct bf_ruleset *rules;
	struct bf_rules compiled;
	uint32_t key[BF_NR_FIELDS];
	struct bf_rule part;
	uint32_t *stack, depth;
	uint64_t met;
	uint32_t suspect;
	unsigned int hook;
};

enum outcome { MATCHES, MISSES, DROPS };

/* --- one part of a rule -------------------------------------------------------------------- */

static bool holds(const struct way *w, const struct bf_op *op)
{
	uint32_t value = w->key[op->field];
	bool yes = op->code == BF_OP_EQ ? (value & op->a) == op->b
					: op->a <= value && value <= op->b;

	return yes != op->invert;
}

/* Is this entry the next one by which the program counted the packet? */
static bool counted_next(const struct way *w, uint32_t entry)
{
	const struct bf_fate *fate = w->e->fate;

	return w->met < fate->nr && fate->counted[w->met] == entry;
}

/* A condition at packet time: what did it say, as far as can be told? */
static bool condition(struct way *w, uint32_t entry)
{
	if (w->e->fate) {
		if (w->met == w->e->fate->nr)
			w->suspect = entry;
		return counted_next(w, entry);
	}
	w->e->guessed = true;
	return true;
}

/*
 * Go through the ops of the part. @last receives the one that left it; -1 if none did. Conditions that are among
 * others are not told apart: whether the rule matches is known, not which of them made it so.
 */
static enum outcome eval(struct way *w, uint32_t entry, int *last)
{
	const struct bf_rule *r = &w->part;
	uint32_t i = 0;

	*last = -1;
	while (i < r->nr_ops) {
		const struct bf_op *op = &r->ops[i];
		bool yes = op->code == BF_OP_COND ? condition(w, entry) : holds(w, op);

		if (!bf_op_is_test(op) || yes) {
			i++;
		} else if (op->to < 0) {
			*last = i;
			return op->to == BF_TO_NEXT ? MISSES : DROPS;
		} else {
			i = op->to;
		}
	}
	return MATCHES;
}

/* The fields that the part looks at, and what the packet has there. */
static void put_values(struct way *w, const struct bf_op *ops, uint32_t n)
{
	uint64_t told = 0;
	uint32_t i;
	bool first = true;

	for (i = 0; i < n; i++) {
		enum bf_field field = ops[i].field;

		if (ops[i].code != BF_OP_EQ && ops[i].code != BF_OP_RANGE)
			continue;
		if (field >= BF_IIF && field < BF_OIF)
			field = BF_IIF;
		else if (field >= BF_OIF && field < BF_OIF + 4)
			field = BF_OIF;
		if (told & BF_FIELD_BIT(field) || (!ops[i].a && ops[i].code == BF_OP_EQ))
			continue;
		told |= BF_FIELD_BIT(field);
		fprintf(w->f, "%s%s is %s", first ? ", but " : ", ", bf_words_field(field),
			bf_words_value(w->key, field).text);
		first = false;
	}
}

/*
 * The ops around @op of which some lead past it, so that it alone says little: how many, from *@first on. 1 if
 * there are none.
 */
static uint32_t group_of(const struct bf_rule *r, uint32_t op, uint32_t *first)
{
	uint32_t end = op + 1, i;

	for (i = 0; i <= op; i++)
		if (r->ops[i].to > (int32_t)op)
			break;
	*first = i < op ? i : op;
	for (i = *first; i < end; i++)
		if (r->ops[i].to > (int32_t)end)
			end = r->ops[i].to;
	return end - *first;
}

/* Words of a name stand one behind the other: those of this op's. */
static uint32_t name_words(const struct bf_rule *r, uint32_t at, uint32_t *first)
{
	uint32_t i = at, n = 0;
	int side = r->ops[at].field < BF_OIF;

	while (i && r->ops[i - 1].field >= BF_IIF && r->ops[i - 1].field < BF_OIF + 4 &&
	       (r->ops[i - 1].field < BF_OIF) == side)
		i--;
	*first = i;
	while (i + n < r->nr_ops && r->ops[i + n].field >= BF_IIF &&
	       r->ops[i + n].field < BF_OIF + 4 && (r->ops[i + n].field < BF_OIF) == side)
		n++;
	return n;
}

/* "in "eth0"" out of the tests of its words. */
static void put_name(FILE *f, const struct bf_op *ops, uint32_t n)
{
	bool whole = false;
	uint32_t i, j;

	fprintf(f, "%s \"", bf_words_field(ops->field));
	for (i = 0; i < n && !whole; i++)
		for (j = 0; j < 4 && !whole; j++) {
			char c = (ops[i].b >> 8 * j) & 0xff;

			if (!((ops[i].a >> 8 * j) & 0xff))
				break;
			whole = !c;
			if (c)
				fputc(c, f);
		}
	fputs(whole ? "\"" : "+\"", f);
}

static void put_miss(struct way *w, uint32_t op)
{
	const struct bf_rule *r = &w->part;
	bool name = r->ops[op].code != BF_OP_COND && r->ops[op].field >= BF_IIF &&
		    r->ops[op].field < BF_OIF + 4;
	uint32_t first, n = group_of(r, op, &first);
	char *text;

	fputs("it wants ", w->f);
	if (name) {
		if (n > 1 || r->ops[op].invert)
			fputs("not ", w->f);
		n = name_words(r, op, &first);
		put_name(w->f, r->ops + first, n);
	} else if (n > 1) {
		text = bf_words_ops(r->ops + first, n, first, r->conds);
		fputs(text ?: "another packet", w->f);
		free(text);
	} else {
		fputs(bf_words_test(&r->ops[op], false, r->conds).text, w->f);
	}
	put_values(w, r->ops + first, n);
	if (r->ops[op].code == BF_OP_COND)
		fputs(", which did not hold at that time", w->f);
}

/* --- a rule -------------------------------------------------------------------------------- */

static void indent(const struct way *w, int more)
{
	fprintf(w->f, "%*s", (int)(w->depth * 2 + 2) + more, "");
}

static void put_rule(const struct way *w, uint32_t entry)
{
	const struct bf_chain *c = &w->rules->chains[w->rules->chain_of[entry]];

	indent(w, 0);
	if (entry - c->first < c->nr)
		fprintf(w->f, "%s %u: %s\n", c->name, entry - c->first + 1,
			bf_ruleset_text(w->rules, entry));
	else
		fprintf(w->f, "%s: %s\n", c->name, bf_ruleset_text(w->rules, entry));
	indent(w, 4);
}

/* Look at one part, which is in @w->part; @what it is called. */
static enum outcome look(struct way *w, uint32_t entry, const char *what)
{
	enum outcome o;
	int last;

	if (w->part.error)
		return MISSES;
	o = eval(w, entry, &last);
	if (o == MATCHES || (o == MISSES && w->e->brief))
		return o;
	put_rule(w, entry);
	if (o == MISSES) {
		fprintf(w->f, "no: %s%s", what, *what ? ": " : "");
		put_miss(w, last);
	} else {
		fprintf(w->f, "DROP, uncounted: %s%s", what, *what ? ": " : "");
		if (w->part.ops[last].code == BF_OP_COND)
			fputs("the match drops it", w->f);
		else
			fprintf(w->f, "the match needs %s, the packet has less: %s is %s",
				bf_words_test(&w->part.ops[last], false, NULL).text,
				bf_words_field(w->part.ops[last].field),
				bf_words_value(w->key, w->part.ops[last].field).text);
	}
	fputc('\n', w->f);
	return o;
}

static void begin_part(struct way *w)
{
	w->part.nr_conds = 0;
	bf_rule_reset(&w->part);
}

/* Labels become numbers of ops. */
static void end_part(struct way *w)
{
	uint32_t i;

	for (i = 0; i < w->part.nr_ops; i++)
		if (w->part.ops[i].to >= 0)
			w->part.ops[i].to = w->part.labels[w->part.ops[i].to];
}

/* struct ipt_ip, then every match in its order. */
static enum outcome look_at_rule(struct way *w, uint32_t entry)
{
	const struct ipt_entry *e = w->rules->entries[entry];
	const struct xt_entry_match *m = (const void *)e->elems, *end;
	enum outcome o;

	end = (const void *)e + e->target_offset;
	begin_part(w);
	bf_compile_ip(&w->part, e);
	end_part(w);
	o = look(w, entry, "");
	for (; m < end && o == MATCHES; m = (const void *)m + m->u.match_size) {
		const struct bf_match *match = bf_match_find(m->u.user.name, m->u.user.revision);

		if (!match || !match->compile)
			continue;
		begin_part(w);
		match->compile(&w->part, e, m->data);
		end_part(w);
		o = look(w, entry, match->name);
	}
	return o;
}

static void tell_marks(struct way *w, uint64_t changed)
{
	if (changed & BF_FIELD_BIT(BF_MARK))
		fprintf(w->f, "; the mark is 0x%x now", w->key[BF_MARK]);
	if (changed & BF_FIELD_BIT(BF_CT_MARK))
		fprintf(w->f, "; that of the connection is 0x%x now", w->key[BF_CT_MARK]);
}

/* What the target does to the packet. */
static void apply_target(struct way *w, uint32_t entry)
{
	const struct bf_target *target;
	uint64_t changed = 0;
	uint32_t i = 0;

	begin_part(w);
	target = bf_compile_target(&w->part, w->rules->entries[entry]);
	if (!target)
		return;
	end_part(w);
	while (i < w->part.nr_ops) {
		const struct bf_op *op = &w->part.ops[i++];

		if (op->code == BF_OP_EFFECT) {
			fprintf(w->f, ", with what %s does besides", target->name);
		} else if (bf_op_marks(op)) {
			bf_op_apply(op, w->key);
			changed |= BF_FIELD_BIT(op->field);
		} else if (!holds(w, op)) {
			i = op->to;
		}
	}
	tell_marks(w, changed);
}

static const char *chain_of(const struct way *w, uint32_t entry)
{
	return w->rules->chains[w->rules->chain_of[entry]].name;
}

/* Where the packet goes after a rule that matched; UINT32_MAX: the verdict is in *@verdict. */
static uint32_t act(struct way *w, uint32_t entry, int *verdict)
{
	const struct bf_code *code = &w->compiled.codes[entry];
	uint32_t back;

	switch (code->action) {
	case BF_ACT_ACCEPT:
	case BF_ACT_DROP:
		*verdict = code->action == BF_ACT_ACCEPT ? NF_ACCEPT : NF_DROP;
		w->e->verdict = bf_ruleset_verdict(w->rules, entry, *verdict);
		fprintf(w->f, ": %s\n", w->e->verdict);
		return UINT32_MAX;
	case BF_ACT_RETURN:
		back = w->depth ? w->stack[--w->depth] : w->compiled.underflow[w->hook];
		fprintf(w->f, ": back to %s\n", chain_of(w, back));
		return back;
	case BF_ACT_JUMP:
		if (w->depth >= w->rules->table->stacksize) {
			fputs(": DROP, too many jumps are open\n", w->f);
			*verdict = NF_DROP;
			return UINT32_MAX;
		}
		fprintf(w->f, ": on to chain %s\n", chain_of(w, code->target));
		w->stack[w->depth++] = entry + 1;
		return code->target;
	case BF_ACT_GOTO:
		fprintf(w->f, ": on to chain %s, which returns to where this one would\n",
			chain_of(w, code->target));
		return code->target;
	default:
		fputs(": counted, on with the next rule\n", w->f);
		return entry + 1;
	}
}

static void take(struct way *w, uint32_t entry)
{
	const struct bf_chain *c = &w->rules->chains[w->rules->chain_of[entry]];
	bool rule = entry - c->first < c->nr;

	put_rule(w, entry);
	fputs(rule ? "yes" : "the chain ends here", w->f);
	apply_target(w, entry);
	if (!w->e->fate)
		return;
	w->e->disagrees |= !counted_next(w, entry);
	w->met++;
}

/* The program counted nothing more: then it was a condition, earlier, that dropped the packet. */
static bool was_dropped(struct way *w)
{
	if (!w->e->fate || w->met < w->e->fate->nr || w->suspect == UINT32_MAX)
		return false;
	indent(w, 0);
	fprintf(w->f, "not reached: the condition in %s has dropped the packet, uncounted\n",
		bf_ruleset_entry(w->rules, w->suspect).text);
	return true;
}

static int walk(struct way *w)
{
	uint32_t at = w->compiled.hook_entry[w->hook];
	int verdict = NF_DROP;

	w->e->verdict = "DROP";
	fprintf(w->f, "chain %s\n", chain_of(w, at));
	while (at != UINT32_MAX) {
		switch (look_at_rule(w, at)) {
		case MATCHES:
			if (was_dropped(w)) {
				at = UINT32_MAX;
				break;
			}
			take(w, at);
			at = act(w, at, &verdict);
			break;
		case MISSES:
			at++;
			break;
		case DROPS:
			at = UINT32_MAX;
		}
	}
	if (w->e->fate)
		w->e->disagrees |= w->met != w->e->fate->nr || verdict != w->e->fate->verdict;
	return verdict;
}

static void put_packet(const struct way *w, const struct bf_packet *p)
{
	const uint32_t *key = w->key;

	fprintf(w->f, "packet: %s\n", bf_packet_text(p).text);
	fprintf(w->f, "        hook %s, in %s, out %s, mark %s, ctstate %s\n",
		bf_words_value(key, BF_HOOK).text, bf_words_value(key, BF_IIF).text,
		bf_words_value(key, BF_OIF).text, bf_words_value(key, BF_MARK).text,
		bf_words_value(key, BF_CT_STATE).text);
}

int bf_explain_packet(FILE *f, struct bf_explain *e, const struct bf_ruleset *rules,
		      const struct bf_packet *p)
{
	struct way w = {
		.f = f, .e = e, .rules = rules, .suspect = UINT32_MAX, .hook = p->what.hook};
	int ret;

	memcpy(w.key, &p->what, sizeof(w.key));
	w.part.kernel = e->kernel;
	ret = bf_rules_make(&w.compiled, rules->table, BF_ATTACH_MODULE, e->kernel, NULL);
	if (ret)
		return ret;
	w.stack = calloc((size_t)rules->table->stacksize + 1, sizeof(*w.stack));
	ret = w.stack ? 0 : -ENOMEM;
	if (!ret) {
		put_packet(&w, p);
		ret = walk(&w);
		if (w.part.error)
			ret = w.part.error;
	}
	e->untried = w.part.untried;
	free(w.stack);
	bf_rule_free(&w.part);
	bf_rules_free(&w.compiled);
	return ret;
}
