// SPDX-License-Identifier: GPL-2.0
/*
 * Rules in the form in which trees are grown from them: for each field a mask, a value, and
 * bounds where a mask does not say it all; and what follows from that in a region of the key space.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpfilter.h"
#include "tree_build.h"

/* Longer lists are not looked through for rules behind others: that is quadratic. */
#define PRUNE_MAX 512
/* nor for rules behind more than so many. */
#define PRUNERS	  48
/* Questions whose answers are remembered */
#define ASKERS	  8

/* All bits above the highest of @x and not that one. */
static uint32_t bits_above(uint32_t x)
{
	return x ? ~(UINT32_MAX >> __builtin_clz(x)) : UINT32_MAX;
}

/* Both conditions. False if they exclude each other. */
static bool cell_add(struct cell *cell, uint32_t mask, uint32_t value)
{
	if (value & ~mask || (cell->value ^ value) & cell->mask & mask)
		return false;
	cell->mask |= mask;
	cell->value |= value;
	return true;
}

/* The bits that the bounds fix go to the mask; bounds that say no more than that are dropped. */
static bool span_settle(struct span *span, struct cell *cell, uint32_t bits)
{
	uint32_t above, highest;

	if (span->hi > bits)
		span->hi = bits;
	if (span->lo > span->hi)
		return false;
	above = bits_above(span->lo ^ span->hi);
	if (!cell_add(cell, above, span->lo & above))
		return false;
	highest = cell->value | (bits & ~cell->mask);
	if (cell->value > span->hi || highest < span->lo)
		return false;
	if (cell->value >= span->lo && highest <= span->hi)
		*span = (struct span){0, UINT32_MAX};
	return true;
}

static bool rule_convert(struct rule_set *set, uint32_t rule, const struct bf_tree_test *tests,
			 uint32_t nr, const uint8_t *number)
{
	struct cell *cells = (struct cell *)cells_of(set, rule);
	struct span *spans = (struct span *)spans_of(set, rule);
	unsigned int f;
	uint32_t i;

	for (f = 0; f < set->nr_spans; f++)
		spans[f] = (struct span){0, UINT32_MAX};
	for (i = 0; i < nr; i++) {
		const struct bf_tree_test *t = &tests[i];

		f = number[t->field];
		if (t->range) {
			struct span *span = &spans[set->span_of[f]];

			span->lo = t->a > span->lo ? t->a : span->lo;
			span->hi = t->b < span->hi ? t->b : span->hi;
		} else if (!cell_add(&cells[f], t->a, t->b)) {
			return false;
		}
	}
	for (f = 0; f < set->nr_fields; f++) {
		uint32_t bits = ~set->start[f].mask;

		if (set->span_of[f] >= 0 && !span_settle(&spans[set->span_of[f]], &cells[f], bits))
			return false;
		if (cells[f].value & ~bits)
			return false;
		cells[f].mask &= bits;
	}
	return true;
}

/* What no key matches asks for nothing here, so that nobody is misled by what it asks. */
static void rule_clear(struct rule_set *set, uint32_t rule)
{
	unsigned int f;

	memset(set->cells + (size_t)rule * set->nr_fields, 0, set->nr_fields * sizeof(*set->cells));
	for (f = 0; f < set->nr_spans; f++)
		set->spans[(size_t)rule * set->nr_spans + f] = (struct span){0, UINT32_MAX};
}

/* Number the fields that are used. Those that may be compared with bounds are marked in @number. */
static void fields_number(struct rule_set *set, const struct bf_tree_input *in, uint8_t *number)
{
	bool used[BF_TREE_FIELDS] = {0}, bounds[BF_TREE_FIELDS] = {0};
	uint32_t i, r;
	unsigned int f;

	for (r = 0; r < in->nr_rules; r++) {
		for (i = 0; i < in->rules[r].nr; i++) {
			const struct bf_tree_test *t = &in->tests[in->rules[r].first + i];

			used[t->field] = true;
			bounds[t->field] |= t->range;
		}
	}
	for (f = 0; f < BF_TREE_FIELDS; f++) {
		if (!used[f])
			continue;
		number[f] = set->nr_fields;
		set->field[set->nr_fields] = f;
		set->start[set->nr_fields].mask = in->bits ? ~in->bits[f] : 0;
		set->span_of[set->nr_fields] = -1;
		if (bounds[f]) {
			set->span_of[set->nr_fields] = set->nr_spans;
			set->span_field[set->nr_spans++] = set->nr_fields;
		}
		set->nr_fields++;
	}
}

struct random {
	uint64_t state;
};

static uint32_t random_next(struct random *r)
{
	/* splitmix64 */
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* A key that the rule matches, if any does: by field number of the rule set */
static void key_draw(const struct rule_set *set, uint32_t rule, struct random *rnd, uint32_t *key)
{
	const struct cell *cells = cells_of(set, rule);
	const struct span *spans = spans_of(set, rule);
	unsigned int f;

	for (f = 0; f < set->nr_fields; f++) {
		uint32_t bits = ~set->start[f].mask;

		key[f] = ((random_next(rnd) & ~cells[f].mask) | cells[f].value) & bits;
		if (set->span_of[f] >= 0) {
			struct span span = spans[set->span_of[f]];

			if (key[f] < span.lo || key[f] > span.hi)
				key[f] = span.lo + random_next(rnd) % (span.hi - span.lo + 1ULL);
		}
	}
}

/* The same rules have the same keys. */
static void keys_draw(struct rule_set *set)
{
	struct random rnd = {1};
	uint32_t i;

	for (i = 0; i < set->nr_keys; i++) {
		uint32_t rule = random_next(&rnd) % set->nr;

		key_draw(set, i % UNIFORM_KEYS ? rule : set->nr - 1, &rnd,
			 set->keys + (size_t)i * set->nr_fields);
	}
}

static int rule_set_alloc(struct rule_set *set)
{
	set->cells = calloc((size_t)set->nr * set->nr_fields + 1, sizeof(*set->cells));
	set->spans = malloc(ROOM((size_t)set->nr * set->nr_spans, *set->spans));
	set->prunes = malloc(ROOM(set->nr, *set->prunes));
	set->questions = malloc(ROOM(set->nr, *set->questions));
	set->never = malloc(ROOM(set->nr, *set->never));
	set->nr_keys = set->nr < KEYS / KEYS_A_RULE ? set->nr * KEYS_A_RULE : KEYS;
	set->keys = malloc(ROOM((size_t)set->nr_keys * set->nr_fields, *set->keys));
	if (set->cells && set->spans && set->prunes && set->questions && set->never && set->keys)
		return 0;
	rule_set_free(set);
	return -ENOMEM;
}

static void rule_add(struct rule_set *set, uint32_t r, const struct bf_tree_input *in,
		     const struct bf_tree_rule *rule, const uint8_t *number)
{
	set->prunes[r] = rule->prunes;
	set->questions[r] = (struct question){rule->asks, rule->ends, rule->changes};
	set->asked |= rule->ends;
	set->never[r] = !rule_convert(set, r, in->tests + rule->first, rule->nr, number);
	if (set->never[r])
		rule_clear(set, r);
}

int rule_set_init(struct rule_set *set, const struct bf_tree_input *in)
{
	uint8_t number[BF_TREE_FIELDS] = {0};
	uint32_t r;

	memset(set, 0, sizeof(*set));
	set->nr = in->nr_rules;
	fields_number(set, in, number);
	if (rule_set_alloc(set))
		return -ENOMEM;
	for (r = 0; r < set->nr; r++)
		rule_add(set, r, in, &in->rules[r], number);
	keys_draw(set);
	return 0;
}

int rule_set_sample(struct rule_set *sample, const struct rule_set *set, uint32_t step)
{
	uint32_t r, at = 0;

	*sample = *set;
	sample->nr = (set->nr - 1) / step + 1;
	if (rule_set_alloc(sample))
		return -ENOMEM;
	for (r = (set->nr - 1) % step; r < set->nr; r += step, at++) {
		memcpy(sample->cells + (size_t)at * set->nr_fields, cells_of(set, r),
		       set->nr_fields * sizeof(*set->cells));
		memcpy(sample->spans + (size_t)at * set->nr_spans, spans_of(set, r),
		       set->nr_spans * sizeof(*set->spans));
		sample->prunes[at] = set->prunes[r];
		sample->questions[at] = set->questions[r];
		sample->never[at] = set->never[r];
	}
	keys_draw(sample);
	return 0;
}

/* Does the set look at all that the rule does? */
static bool rule_fits(const struct rule_set *set, const struct bf_tree_test *tests, uint32_t nr,
		      const uint8_t *number)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		unsigned int f = number[tests[i].field];

		if (f == BF_TREE_FIELDS || (tests[i].range && set->span_of[f] < 0))
			return false;
	}
	return true;
}

int rule_set_others(struct rule_set *others, const struct rule_set *set,
		    const struct bf_tree_input *in, uint32_t first, uint32_t nr, bool *fits)
{
	uint8_t number[BF_TREE_FIELDS];
	uint32_t i;

	memset(number, BF_TREE_FIELDS, sizeof(number));
	for (i = 0; i < set->nr_fields; i++)
		number[set->field[i]] = i;
	*fits = true;
	for (i = first; i < first + nr && *fits; i++)
		*fits = rule_fits(set, in->tests + in->rules[i].first, in->rules[i].nr, number);
	if (!*fits)
		return 0;
	*others = *set;
	others->nr = nr;
	others->asked = false;
	if (rule_set_alloc(others))
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		rule_add(others, i, in, &in->rules[first + i], number);
	return 0;
}

void rule_set_free(struct rule_set *set)
{
	free(set->cells);
	free(set->spans);
	free(set->prunes);
	free(set->questions);
	free(set->never);
	free(set->keys);
}

bool rule_matches(const struct rule_set *set, uint32_t rule, const uint32_t *key)
{
	const struct cell *cells = cells_of(set, rule);
	const struct span *spans = spans_of(set, rule);
	unsigned int f;

	for (f = 0; f < set->nr_fields; f++) {
		if ((key[f] ^ cells[f].value) & cells[f].mask)
			return false;
		if (set->span_of[f] >= 0 &&
		    (key[f] < spans[set->span_of[f]].lo || key[f] > spans[set->span_of[f]].hi))
			return false;
	}
	return true;
}

bool rule_certain(const struct rule_set *set, const struct cell *region, uint32_t rule)
{
	const struct cell *cells = cells_of(set, rule);
	const struct span *spans = spans_of(set, rule);
	unsigned int f, i;

	for (f = 0; f < set->nr_fields; f++)
		if (cells[f].mask & ~region[f].mask)
			return false;
	for (i = 0; i < set->nr_spans; i++)
		if (!span_holds(&spans[i], &region[set->span_field[i]]))
			return false;
	return true;
}

/* The fields of which a rule asks something that the region does not answer. */
static uint64_t open_fields(const struct rule_set *set, const struct cell *region, uint32_t rule)
{
	const struct cell *cells = cells_of(set, rule);
	const struct span *spans = spans_of(set, rule);
	uint64_t open = 0;
	unsigned int f, i;

	for (f = 0; f < set->nr_fields; f++)
		open |= (uint64_t) !!(cells[f].mask & ~region[f].mask) << f;
	for (i = 0; i < set->nr_spans; i++)
		open |= (uint64_t)!span_holds(&spans[i], &region[set->span_field[i]])
			<< set->span_field[i];
	return open;
}

/* What @p asks of the fields in @open follows from what @r asks and the region. */
static bool covers(const struct rule_set *set, const struct cell *region, uint64_t open, uint32_t p,
		   uint32_t r)
{
	for (; open; open &= open - 1) {
		unsigned int f = __builtin_ctzll(open);
		const struct cell *pc = &cells_of(set, p)[f], *rc = &cells_of(set, r)[f];
		struct cell both = {region[f].mask | rc->mask, region[f].value | rc->value};
		const struct span *ps, *rs;

		if (pc->mask & ~both.mask || (pc->value ^ both.value) & pc->mask)
			return false;
		if (set->span_of[f] < 0)
			continue;
		ps = &spans_of(set, p)[set->span_of[f]];
		rs = &spans_of(set, r)[set->span_of[f]];
		if ((both.value < ps->lo && rs->lo < ps->lo) ||
		    ((both.value | ~both.mask) > ps->hi && rs->hi > ps->hi))
			return false;
	}
	return true;
}

/* Two fields at most */
static bool is_few(uint64_t fields)
{
	fields &= fields - 1;
	return !(fields & (fields - 1));
}

/**
 * struct answers - what is known to be false, or the walk would have ended
 * @rules: that ask it, and @open fields, since a rule could change that
 */
struct answers {
	uint32_t rules[ASKERS], nr;
	uint64_t open[ASKERS];
};

/* Is it known that what the rule asks is not so? If not, it may be known behind it. */
static bool is_answered(const struct rule_set *set, const struct cell *region, struct answers *a,
			uint32_t rule, uint64_t open)
{
	const struct question *q = &set->questions[rule];
	uint32_t k;

	for (k = 0; k < a->nr && q->asks; k++)
		if (set->questions[a->rules[k]].asks == q->asks && !(a->open[k] & ~open) &&
		    covers(set, region, a->open[k], a->rules[k], rule))
			return true;
	if (q->changes)
		a->nr = 0;
	if (q->ends && a->nr < ASKERS) {
		a->open[a->nr] = open;
		a->rules[a->nr++] = rule;
	}
	return false;
}

/*
 * Up to the first that prunes and is certain: there is nothing behind it. Without what is answered, if
 * @all.
 */
static uint32_t list_cut(const struct rule_set *set, const struct cell *region, uint32_t *items,
			 uint32_t nr, bool all)
{
	struct answers answers = {.nr = 0};
	uint32_t kept = 0, i;

	for (i = 0; i < nr; i++) {
		uint32_t r = ITEM_RULE(items[i]);

		if (all && (set->questions[r].asks || set->questions[r].changes) &&
		    is_answered(set, region, &answers, r, open_fields(set, region, r)))
			continue;
		items[kept++] = items[i];
		if (set->prunes[r] && rule_certain(set, region, r))
			break;
	}
	return kept;
}

uint32_t list_prune(const struct rule_set *set, const struct cell *region, uint32_t *items,
		    uint32_t nr, bool all)
{
	/* Those that prune, and which fields they leave open: in long lists only the widest */
	uint32_t rules[PRUNERS], pruners = 0, kept = 0, i, k;
	struct answers answers = {.nr = 0};
	uint64_t open[PRUNERS];

	all &= set->asked;
	if (nr > PRUNE_MAX)
		return list_cut(set, region, items, nr, all);
	for (i = 0; i < nr; i++) {
		uint32_t r = ITEM_RULE(items[i]);
		uint64_t mine = open_fields(set, region, r);

		for (k = 0; k < pruners; k++)
			if (!(open[k] & ~mine) && covers(set, region, open[k], rules[k], r))
				break;
		if (k < pruners || (all && is_answered(set, region, &answers, r, mine)))
			continue;
		items[kept++] = items[i];
		if (!set->prunes[r])
			continue;
		if (!mine)
			break;
		if (pruners < (nr <= PRUNERS ? PRUNERS : PRUNERS / 3) &&
		    (nr <= PRUNERS || is_few(mine))) {
			open[pruners] = mine;
			rules[pruners++] = r;
		}
	}
	return kept;
}
