// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpfilter.h"
#include "layout.h"
#include "tree.h"

/* Chains of fewer rules than that are looked through. */
#define TREE_MIN_RULES 12

/* What trees may take beyond a record for each rule. */
#define TREE_BYTES_A_RULE 70
#define TREE_BYTES	  (128 << 10)

/*
 * What it costs to look at one more record, and into one more tree, as measured with the program;
 * and what makes sure that there is one tree.
 */
#define RECORD_NS 1.5F
#define TREE_NS	  15.0F
#define NEVER_NS  1e9F

/*
 * struct laying - the work in progress
 * @place: of each entry that something leads to; 0 if not known yet
 * @rest: first op of each entry that has some
 * @tests, @rules: of the chain that a forest is built for
 * @former_at: the next of the former trees
 * @questions: about the mark, that rules ask
 */
struct laying {
	struct bf_layout *out;
	const struct bf_lift *lift;
	const struct bf_rules *rules;
	const struct bf_limits *limits;
	uint64_t *places;
	uint32_t *ops_at;
	struct bf_tree_test *tests;
	uint32_t nr_tests, max_tests;
	struct bf_tree_rule *tree_rules;
	uint32_t max_rules;
	uint32_t former_at;
	const struct bf_op *questions[64];
	uint32_t nr_questions;
};

static bool leads_on(const struct bf_code *code)
{
	return code->action == BF_ACT_JUMP || code->action == BF_ACT_GOTO;
}

/* --- records ------------------------------------------------------------------------------- */

static uint32_t act_of(const struct laying *l, uint32_t i)
{
	static const uint8_t codes[] = {
		[BF_ACT_NEXT] = BF_DO_NEXT, [BF_ACT_ACCEPT] = BF_DO_ACCEPT,
		[BF_ACT_DROP] = BF_DO_DROP, [BF_ACT_RETURN] = BF_DO_RETURN,
		[BF_ACT_JUMP] = BF_DO_JUMP, [BF_ACT_GOTO] = BF_DO_GOTO,
	};

	return (uint32_t)codes[l->rules->codes[i].action] << BF_ACT_SHIFT | i;
}

static void fill_records(struct laying *l)
{
	uint32_t n = l->rules->table->num_entries, i;

	for (i = 0; i < n; i++) {
		const struct bf_lifted *entry = &l->lift->entries[i];
		struct bf_record *rec = &l->out->records[i];

		*rec = entry->record;
		rec->act = entry->nr_rest ? (uint32_t)BF_DO_OPS << BF_ACT_SHIFT | i : act_of(l, i);
	}
	l->out->nr_records = n;
}

static void add_padding(struct laying *l)
{
	struct bf_record stop = {.sport.span = UINT16_MAX,
				 .dport.span = UINT16_MAX,
				 .act = (uint32_t)BF_DO_STOP << BF_ACT_SHIFT};
	uint32_t i;

	for (i = 0; i < BF_RECORD_PADDING; i++)
		l->out->records[l->out->nr_records++] = stop;
}

/* --- trees --------------------------------------------------------------------------------- */

static void add_test(struct laying *l, uint8_t field, bool range, uint32_t a, uint32_t b)
{
	l->tests[l->nr_tests++] = (struct bf_tree_test){field, range, a, b};
}

/* False if the range wraps, which no tree understands. */
static bool add_port(struct laying *l, uint8_t field, const struct bf_ports *ports)
{
	if (ports->span == UINT16_MAX)
		return true;
	if (ports->first + ports->span > UINT16_MAX)
		return false;
	add_test(l, field, true, ports->first, ports->first + ports->span);
	return true;
}

/* Of the ops that are left those that a packet must satisfy, whatever the others do. */
static void add_rest(struct laying *l, uint32_t i)
{
	const struct bf_lifted *entry = &l->lift->entries[i];
	const struct bf_op *ops = l->rules->ops + l->rules->codes[i].first_op;
	uint32_t group_end = 0, j;

	for (j = 0; j < entry->nr_rest; j++) {
		uint32_t n = l->lift->rest[entry->first_rest + j];
		const struct bf_op *op = &ops[n];

		if (op->code == BF_OP_COND || !bf_op_is_test(op) || op->to == BF_TO_DROP)
			break;
		if (op->to >= 0 && (uint32_t)op->to > group_end)
			group_end = op->to;
		if (n < group_end || op->invert)
			continue;
		if (!bf_rules_change(l->rules, op->field))
			add_test(l, op->field, op->code == BF_OP_RANGE, op->a, op->b);
	}
}

/* The number of a question about the mark, from 1 on; 0 if there are too many. */
static uint8_t question_number(struct laying *l, const struct bf_op *op)
{
	uint32_t i;

	for (i = 0; i < l->nr_questions; i++) {
		const struct bf_op *q = l->questions[i];

		if (q->code == op->code && q->field == op->field && q->invert == op->invert &&
		    q->a == op->a && q->b == op->b)
			return i + 1;
	}
	if (i == ARRAY_SIZE(l->questions))
		return 0;
	l->questions[l->nr_questions++] = op;
	return l->nr_questions;
}

/* What the rule has to do with the mark, in a table that sets it. All else that it asks is in its tests. */
static void add_question(struct laying *l, uint32_t i, bool exact, struct bf_tree_rule *rule)
{
	const struct bf_lifted *entry = &l->lift->entries[i];
	const struct bf_code *code = &l->rules->codes[i];
	const struct bf_op *ops = l->rules->ops + code->first_op;
	const struct bf_op *op = &ops[l->lift->rest[entry->first_rest]];
	uint32_t j;

	rule->changes = code->action == BF_ACT_JUMP;
	for (j = 0; j < code->nr_ops; j++)
		rule->changes |= bf_op_changes(&ops[j]);
	if (entry->nr_rest != 1 || !bf_rules_change(l->rules, op->field) || op->to != BF_TO_NEXT ||
	    (op->code != BF_OP_EQ && op->code != BF_OP_RANGE))
		return;
	rule->asks = question_number(l, op);
	rule->ends = rule->asks && exact && code->action != BF_ACT_NEXT &&
		     code->action != BF_ACT_JUMP;
}

static void add_rule(struct laying *l, uint32_t i, struct bf_tree_rule *rule)
{
	const struct bf_lifted *entry = &l->lift->entries[i];
	const struct bf_record *rec = &entry->record;
	enum bf_action action = l->rules->codes[i].action;
	bool exact = true;

	*rule = (struct bf_tree_rule){};
	rule->first = l->nr_tests;
	if ((uint32_t)rec->mask)
		add_test(l, BF_SADDR, false, rec->mask, rec->addresses);
	if (rec->mask >> 32)
		add_test(l, BF_DADDR, false, rec->mask >> 32, rec->addresses >> 32);
	exact &= add_port(l, BF_SPORT, &rec->sport);
	exact &= add_port(l, BF_DPORT, &rec->dport);
	if (rec->predicates)
		add_test(l, l->out->predicates, false, rec->predicates, rec->predicates);
	add_rest(l, i);
	rule->nr = l->nr_tests - rule->first;
	rule->prunes = exact && !entry->nr_rest && action != BF_ACT_NEXT && action != BF_ACT_JUMP;
	if (l->rules->changed)
		add_question(l, i, exact, rule);
}

/* Rules from @first to the one that always ends the chain. */
static uint32_t chain_length(const struct laying *l, uint32_t first)
{
	uint32_t i = first;

	while (!bf_ends_chain(&l->rules->codes[i]))
		i++;
	return i - first + 1;
}

static int add_rules(struct laying *l, uint32_t first, uint32_t n)
{
	uint32_t i, tests = 0;
	int err;

	for (i = 0; i < n; i++)
		tests += 5 + l->lift->entries[first + i].nr_rest;
	l->nr_tests = 0;
	err = bf_layout_grow((void **)&l->tests, &l->max_tests, tests, sizeof(*l->tests))
		      ?: bf_layout_grow((void **)&l->tree_rules, &l->max_rules, n,
					sizeof(*l->tree_rules));
	for (i = 0; i < n && !err; i++)
		add_rule(l, first + i, &l->tree_rules[i]);
	return err;
}

/* Does a rule lead somewhere from where packets come back? */
static bool has_jump(const struct laying *l, uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = first; i < first + n; i++)
		if (l->rules->codes[i].action == BF_ACT_JUMP)
			return true;
	return false;
}

/* What the maps have room for, of which a record for each rule is no part of the budget. */
static void limit_budget(const struct laying *l, uint32_t n, struct bf_tree_budget *budget)
{
	uint64_t records = l->out->room_records - l->out->nr_records - n;
	uint64_t words = l->out->room_words - l->out->nr_words;

	if (budget->bytes > records * sizeof(struct bf_record))
		budget->bytes = records * sizeof(struct bf_record);
	if (budget->bytes > words * sizeof(uint64_t))
		budget->bytes = words * sizeof(uint64_t);
	if (l->limits && budget->bytes > l->limits->tree_bytes)
		budget->bytes = l->limits->tree_bytes;
	if (l->limits && budget->work > l->limits->tree_work)
		budget->work = l->limits->tree_work;
}

/* Unless room is so scarce that it matters how large exactly the new ones are. */
static const struct bf_trees *former_trees(const struct laying *l, uint32_t n)
{
	uint64_t bytes = 2 * (TREE_BYTES_A_RULE * (uint64_t)n + TREE_BYTES);

	if (!l->limits || l->limits->tree_bytes < bytes ||
	    l->out->room_records - l->out->nr_records < 2 * n + bytes / sizeof(struct bf_record) ||
	    l->out->room_words - l->out->nr_words < bytes / sizeof(uint64_t))
		return NULL;
	return l->limits->trees;
}

static int make_forest(struct laying *l, uint32_t first, uint32_t n,
		       const struct bf_forest **forest)
{
	struct bf_tree_budget budget = bf_tree_budget_of(n, sizeof(struct bf_record));
	struct bf_chain_trees chain = {.nr_rules = n};
	int err = add_rules(l, first, n);

	if (err)
		return err;
	budget.bytes = TREE_BYTES_A_RULE * (uint64_t)n + TREE_BYTES;
	budget.item_ns = RECORD_NS;
	budget.tree_ns = has_jump(l, first, n) ? NEVER_NS : TREE_NS;
	memset(chain.bits, 0xff, sizeof(chain.bits));
	chain.bits[BF_PROTO] = 0xff;
	chain.bits[BF_SPORT] = 0xffff;
	chain.bits[BF_DPORT] = 0xffff;
	chain.bits[l->out->predicates] = bf_lift_bits(l->lift);
	chain.tests = l->tests;
	chain.rules = l->tree_rules;
	l->tests = NULL;
	l->tree_rules = NULL;
	l->max_tests = l->max_rules = 0;
	limit_budget(l, n, &budget);
	return bf_trees_make(l->out->trees, former_trees(l, n), &l->former_at, &chain, &budget,
			     forest);
}

/* Would a tree help, and does a chain begin here, so that no other has these rules as well? */
static bool wants_tree(const struct laying *l, uint32_t first)
{
	uint32_t n;

	if (l->limits && !l->limits->tree_bytes)
		return false;
	if (first && !bf_ends_chain(&l->rules->codes[first - 1]))
		return false;
	n = chain_length(l, first);
	return n >= TREE_MIN_RULES && bf_layout_has_room(l->out, n, 0);
}

/* Make the place of an entry that packets are led to. */
static int make_place(struct laying *l, uint32_t entry)
{
	struct bf_listing *listing = l->limits ? l->limits->listing : NULL;
	uint32_t pc = entry, first_word = l->out->nr_words;
	const struct bf_forest *forest;
	int err = 0;

	if (l->places[entry])
		return 0;
	if (wants_tree(l, entry)) {
		uint32_t n = chain_length(l, entry);

		err = make_forest(l, entry, n, &forest);
		/* Its price keeps a chain with jumps from being more than one tree; see returns.c. */
		if (!err && (forest->nr_roots == 1 || !has_jump(l, entry, n)))
			err = bf_layout_forest(l->out, entry, forest, &pc);
		if (!err)
			bf_listing_tree(listing, entry, n, pc != entry, forest, first_word);
	}
	/* Entry 0 alone, without a tree, has a place that reads as "not known": it is cheap. */
	l->places[entry] = (uint64_t)entry << 32 | pc;
	return err;
}

static int make_places(struct laying *l)
{
	uint32_t n = l->rules->table->num_entries, i;
	int err = 0;

	for (i = 0; i < NF_INET_NUMHOOKS && !err; i++)
		if (BF_FILTER_HOOKS & 1U << i)
			err = make_place(l, l->rules->hook_entry[i]);
	for (i = 0; i < n && !err; i++)
		if (leads_on(&l->rules->codes[i]))
			err = make_place(l, l->rules->codes[i].target);
	return err;
}

/* --- ops ----------------------------------------------------------------------------------- */

/* The test lo <= key <= hi, with mask, as the record has it; see record.h. */
static void fill_test(const struct bf_op *op, struct bf_op_record *rec)
{
	bool range = op->code == BF_OP_RANGE, never = range && op->a > op->b;

	rec->a = range ? UINT32_MAX : op->a;
	rec->b = range ? op->a : op->b;
	rec->limit = range ? op->b - op->a : 0;
	if (op->invert && !never && rec->limit != UINT32_MAX) {
		rec->b += rec->limit + 1;
		rec->limit = UINT32_MAX - rec->limit - 1;
	} else if (never || op->invert) {
		/* An empty range, or the inversion of everything: 0 - b <= 0, always or never. */
		rec->a = 0;
		rec->b = never && op->invert ? 0 : 1;
		rec->limit = 0;
	}
}

/* How many of an entry's ops that are left come before op number @op. */
static uint32_t rest_before(const struct laying *l, const struct bf_lifted *entry, uint32_t op)
{
	const uint32_t *rest = l->lift->rest + entry->first_rest;
	uint32_t n = 0;

	while (n < entry->nr_rest && rest[n] < op)
		n++;
	return n;
}

static void fill_mark(const struct bf_op *op, struct bf_op_record *rec)
{
	bool packets = op->field == BF_MARK;

	rec->a = op->a;
	rec->b = op->b;
	if (op->code == BF_OP_MARK) {
		rec->code = packets ? BF_OPS_MARK : BF_OPS_CT_MARK;
		return;
	}
	if (op->code == BF_OP_SHIFT)
		rec->code = BF_OPS_CT_SHIFT;
	else
		rec->code = packets ? BF_OPS_RESTORE : BF_OPS_SAVE;
	rec->b = (int)op->b > 0 ? op->b : 0;
	rec->limit = (int)op->b < 0 ? -op->b : 0;
}

static int fill_op(const struct laying *l, uint32_t i, uint32_t j, struct bf_op_record *rec)
{
	const struct bf_lifted *entry = &l->lift->entries[i];
	uint32_t n = l->lift->rest[entry->first_rest + j], skip = 0;
	const struct bf_op *op = &l->rules->ops[l->rules->codes[i].first_op + n];

	if (op->to == BF_TO_NEXT)
		skip = entry->nr_rest + 1 - j;
	else if (op->to >= 0)
		skip = rest_before(l, entry, op->to) - j;
	if (skip > UINT16_MAX)
		return -E2BIG;
	rec->skip = skip;
	if (bf_op_marks(op)) {
		fill_mark(op, rec);
	} else if (op->code == BF_OP_COUNT) {
		rec->code = BF_OPS_COUNT;
		rec->a = op->a;
	} else if (op->code == BF_OP_GROW) {
		rec->code = BF_OPS_GROW;
	} else if (op->code == BF_OP_EFFECT) {
		rec->code = BF_OPS_EFFECT;
		rec->a = op->a;
	} else if (op->code == BF_OP_COND) {
		rec->code = op->invert ? BF_OPS_NOT_COND : BF_OPS_COND;
		rec->field = bf_rules_type(l->rules, bf_rules_cond(l->rules, op->a)->type);
		rec->a = op->a;
	} else {
		rec->code = skip ? BF_OPS_TEST : BF_OPS_TEST_DROP;
		rec->field = op->field;
		fill_test(op, rec);
	}
	return 0;
}

static int fill_entry_ops(struct laying *l, uint32_t i)
{
	const struct bf_lifted *entry = &l->lift->entries[i];
	const struct bf_code *code = &l->rules->codes[i];
	struct bf_op_record *rec = &l->out->ops[l->out->nr_ops];
	uint32_t j;
	int err = 0;

	for (j = 0; j < entry->nr_rest && !err; j++)
		err = fill_op(l, i, j, &rec[j]);
	rec[j].code = BF_OPS_ACT;
	rec[j].a = act_of(l, i);
	if (leads_on(code)) {
		rec[j].b = l->out->nr_words;
		l->out->words[l->out->nr_words++] = l->places[code->target];
	}
	rec[j + 1].code = BF_OPS_MISS;
	l->ops_at[i] = l->out->nr_ops;
	l->out->nr_ops += entry->nr_rest + 2;
	return err;
}

/* Words with places that ops lead to, which come behind the trees. */
static uint32_t ops_places(const struct laying *l)
{
	uint32_t n = l->rules->table->num_entries, places = 0, i;

	for (i = 0; i < n; i++)
		places += l->lift->entries[i].nr_rest && leads_on(&l->rules->codes[i]);
	return places;
}

static int fill_ops(struct laying *l)
{
	uint32_t n = l->rules->table->num_entries, nr = 0, i;
	int err;

	for (i = 0; i < n; i++)
		if (l->lift->entries[i].nr_rest)
			nr += l->lift->entries[i].nr_rest + 2;
	if (!nr)
		return 0;
	l->out->ops = calloc(nr, sizeof(*l->out->ops));
	if (!l->out->ops)
		return -ENOMEM;
	err = bf_layout_grow((void **)&l->out->words, &l->out->max_words,
			     l->out->nr_words + ops_places(l), sizeof(*l->out->words));
	for (i = 0; i < n && !err; i++)
		if (l->lift->entries[i].nr_rest)
			err = fill_entry_ops(l, i);
	return err;
}

/* --- words --------------------------------------------------------------------------------- */

static void fill_words(struct laying *l)
{
	uint64_t *words = l->out->words, stop = l->out->nr_records - 1;
	uint32_t n = l->rules->table->num_entries, i;

	words[BF_WORD_1] = 1;
	for (i = 0; i < 64; i++)
		((uint8_t *)&words[BF_WORD_RANKS])[(BF_RANK_FACTOR << i) >> 58] = i;
	if (l->lift->names.bits)
		bf_names_fill(&l->lift->names, words + BF_WORD_NAMES);
	for (i = 0; i < NF_INET_NUMHOOKS; i++) {
		words[BF_WORD_HOOK + i] = stop << 32 | stop;
		if (!(BF_FILTER_HOOKS & 1U << i))
			continue;
		words[BF_WORD_HOOK + i] = l->places[l->rules->hook_entry[i]];
		words[BF_WORD_POLICY + i] = 1ULL << 32 | l->rules->underflow[i];
	}
	for (i = 0; i < n; i++) {
		const struct bf_lifted *entry = &l->lift->entries[i];
		const struct bf_code *code = &l->rules->codes[i];
		uint64_t place = 0;

		if (entry->nr_rest)
			place = BF_PC_OP | l->ops_at[i];
		else if (leads_on(code))
			place = l->places[code->target];
		words[l->out->entry_words + i] = place |
						 (uint64_t)entry->need / 4 << BF_PLACE_NEED_SHIFT |
						 (uint64_t)entry->evil << BF_PLACE_EVIL_SHIFT;
	}
}

/* Right behind the fields if that leaves few words that must be readable. */
static void place_predicates(struct bf_layout *out, uint64_t fields)
{
	int last = bf_key_bytes(fields) / 4;

	out->predicates = last < 32 ? last : BF_FRAME_PREDICATES / 4;
	out->last_field = last < 16 ? 15 : last < 32 ? 31 : 63;
}

/* How many records and words there may be. */
static int find_room(struct laying *l, uint32_t max_value)
{
	uint32_t max = max_value ?: UINT32_MAX, records = max / sizeof(*l->out->records);
	uint32_t words = max / sizeof(*l->out->words), places = ops_places(l);

	if (l->rules->table->num_entries + BF_RECORD_PADDING > records ||
	    l->out->nr_words + places > words)
		return -EFBIG;
	l->out->room_records = records - BF_RECORD_PADDING;
	l->out->room_words = words - places;
	return 0;
}

int bf_layout_make(struct bf_layout *out, const struct bf_lift *lift,
		   const struct bf_limits *limits, uint32_t max_value)
{
	uint32_t n = lift->rules->table->num_entries;
	struct laying l = {.out = out, .lift = lift, .rules = lift->rules, .limits = limits};
	int err;

	memset(out, 0, sizeof(*out));
	place_predicates(out, lift->rules->fields);
	l.places = calloc(n, sizeof(*l.places));
	l.ops_at = calloc(n, sizeof(*l.ops_at));
	out->entry_words = BF_WORD_NAMES + bf_names_words(&lift->names);
	out->nr_words = out->entry_words + n;
	err = bf_layout_grow((void **)&out->records, &out->max_records, n + BF_RECORD_PADDING,
			     sizeof(*out->records))
		      ?: bf_layout_grow((void **)&out->words, &out->max_words, out->nr_words,
					sizeof(*out->words));
	out->trees = calloc(1, sizeof(*out->trees));
	if (!l.places || !l.ops_at || !out->trees)
		err = -ENOMEM;
	else
		bf_trees_inherit(out->trees, limits ? limits->trees : NULL);
	err = err ?: find_room(&l, max_value);
	if (!err) {
		memset(out->words, 0, BF_WORD_NAMES * sizeof(*out->words));
		fill_records(&l);
		err = make_places(&l) ?: fill_ops(&l);
	}
	if (!err) {
		add_padding(&l);
		fill_words(&l);
	}
	free(l.places);
	free(l.ops_at);
	free(l.tests);
	free(l.tree_rules);
	return err;
}

void bf_layout_free(struct bf_layout *layout)
{
	free(layout->records);
	free(layout->words);
	free(layout->ops);
	bf_trees_free(layout->trees);
	memset(layout, 0, sizeof(*layout));
}
