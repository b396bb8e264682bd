// SPDX-License-Identifier: GPL-2.0
#include "ruleset.h"

#include <stdlib.h>
#include <string.h>

#define PICK(d, array) ((array)[roll(d, ARRAY_SIZE(array))])

/* JUMP or GOTO: mostly to the head of a chain of a higher level, sometimes into its middle. */
static bool aim_jump(struct dice *d, const struct ruleset *s, uint32_t from, struct rule *r)
{
	uint32_t chain = from + 1 + roll(d, s->nr_chains - from);

	if (chain < 3)
		chain = 3;
	if (chain >= s->nr_chains || s->chains[chain].level <= s->chains[from].level)
		return false;
	r->chain = chain;
	r->at = chance(d, 15) ? roll(d, s->chains[chain].nr + 1) : 0;
	return true;
}

/* Past some rules of its own chain, or to another hook: what iptables never makes. */
static void aim_within(struct dice *d, const struct ruleset *s, uint32_t from, uint32_t n,
		       struct rule *r)
{
	const struct chain *c = &s->chains[from];

	if (from < 2 && chance(d, 20)) {
		r->chain = from + 1;
		r->at = roll(d, s->chains[from + 1].nr + 1);
		return;
	}
	r->chain = from;
	r->at = n + 2 <= c->nr ? n + 2 + roll(d, c->nr - n - 1) : c->nr;
}

/* Out of a long chain: to another one, or from FORWARD into another hook's. */
static bool aim_goto(struct dice *d, const struct ruleset *s, uint32_t from, struct rule *r)
{
	if (from != 1)
		return aim_jump(d, s, from, r);
	r->chain = 2;
	r->at = roll(d, s->chains[2].nr + 1);
	return true;
}

static void set_action(struct dice *d, const struct ruleset *s, uint32_t chain, uint32_t n,
		       struct kind *k, struct rule *r)
{
	static const enum rule_action finals[] = {RULE_ACCEPT, RULE_ACCEPT, RULE_ACCEPT,
						  RULE_DROP,   RULE_DROP,   RULE_RETURN};
	static const uint32_t bits[] = {1, 7, 0xff, 0xffff0000, UINT32_MAX};

	r->action = PICK(d, finals);
	if (chance(d, rule_narrowness(r) < 8 ? k->final / 20 : k->final))
		return;
	if (k->level && chance(d, 25) && aim_goto(d, s, chain, r)) {
		r->action = RULE_GOTO;
		return;
	}
	if (k->jumps && aim_jump(d, s, chain, r)) {
		k->jumps--;
		r->action = chance(d, 80) ? RULE_JUMP : RULE_GOTO;
		return;
	}
	if (!k->level && chance(d, 3)) {
		aim_within(d, s, chain, n, r);
		r->action = chance(d, 20) ? RULE_JUMP : RULE_GOTO;
		return;
	}
	r->action = chance(d, k->style == STYLE_MARKS ? 70 : 20) ? RULE_MARK : RULE_NEXT;
	r->set.mask = PICK(d, bits);
	r->set.mark = roll(d, UINT32_MAX) & 0x30007;
}

static void random_kind(struct dice *d, struct kind *k)
{
	memset(k, 0, sizeof(*k));
	k->style = roll(d, STYLE_MANY);
	k->final = PICK(d, ((unsigned int[]){0, 20, 50, 80, 100}));
	k->invert = PICK(d, ((unsigned int[]){0, 2, 10, 30}));
	k->repeat = PICK(d, ((unsigned int[]){0, 0, 3, 20}));
	k->other = PICK(d, ((unsigned int[]){0, 2, 10, 30}));
	k->jumps = PICK(d, ((unsigned int[]){1, 3, 5, 5, 200}));
}

static void level_kind(struct dice *d, struct kind *k)
{
	random_kind(d, k);
	k->style = PICK(
		d, ((enum style[]){STYLE_SPREAD, STYLE_SPREAD, STYLE_NEAR, STYLE_ACL, STYLE_NEAR}));
	k->final = PICK(d, ((unsigned int[]){60, 80, 95, 99}));
	k->invert = PICK(d, ((unsigned int[]){0, 2, 10}));
	k->repeat = chance(d, 3);
	k->jumps = 0;
	k->level = true;
}

static bool is_long(const struct ruleset *s, uint32_t chain)
{
	return s->lists && (s->nr_chains > 3 ? chain >= 3 : chain == 1);
}

static void make_chain(struct dice *d, struct ruleset *s, uint32_t chain)
{
	struct chain *c = &s->chains[chain];
	struct kind k;
	uint32_t i;

	if (is_long(s, chain))
		level_kind(d, &k);
	else
		random_kind(d, &k);
	if (s->deep)
		k.jumps = chance(d, 3);
	for (i = 0; i < c->nr; i++) {
		struct rule *r = &s->rules[c->first + i];

		if (i && chance(d, k.repeat)) {
			*r = r[-1 - (int)roll(d, i)];
			if (r->matches & RULE_LIMIT && s->values.limits++ >= RULE_LIMITS)
				r->matches &= ~RULE_LIMIT;
		} else {
			rule_make(d, &s->values, &k, r, i, c->nr);
		}
		set_action(d, s, chain, i, &k, r);
	}
}

/* What leads to a chain often looks at little: an interface, a protocol, in deep sets at nothing. */
static void make_caller(struct dice *d, const struct ruleset *s, uint32_t chain, struct rule *r)
{
	if (chance(d, s->deep ? 97 : 70)) {
		memset(r, 0, sizeof(*r));
		if (!s->deep && chance(d, 25))
			rule_add_interface(d, r->ip.iniface, r->ip.iniface_mask);
		else if (!s->deep && chance(d, 30))
			r->ip.proto = chance(d, 70) ? IPPROTO_TCP : IPPROTO_UDP;
	}
	r->action = chance(d, s->deep ? 98 : 90) ? RULE_JUMP : RULE_GOTO;
	r->chain = chain;
	r->at = 0;
}

/* A rule to lead to this chain: in a deep set mostly the first of the chain before it. Or NULL. */
static struct rule *find_caller(struct dice *d, const struct ruleset *s, uint32_t chain)
{
	uint32_t first = s->chains[chain - 1].first, before = chain;

	if (s->deep && s->chains[chain - 1].nr && chance(d, 98))
		return &s->rules[first];
	while (s->chains[before - 1].level == s->chains[chain].level)
		before--;
	if (s->lists)
		before = 3;
	if (!s->chains[before].first)
		return NULL;
	return &s->rules[roll(d, s->chains[before].first)];
}

/* Most chains that nothing leads to get a rule that does: one of a lower level. */
static void call_all(struct dice *d, struct ruleset *s)
{
	bool called[RULESET_CHAINS] = {};
	uint32_t i;

	for (i = 0; i < s->nr_rules; i++)
		if (s->rules[i].action >= RULE_JUMP)
			called[s->rules[i].chain] = true;
	for (i = 3; i < s->nr_chains; i++) {
		struct rule *r = (called[i] && !s->deep && !s->lists) || chance(d, s->deep ? 1 : 5)
					 ? NULL
					 : find_caller(d, s, i);

		if (r && r->action < RULE_JUMP)
			make_caller(d, s, i, r);
	}
}

static void note_callers(struct dice *d, struct ruleset *s)
{
	uint32_t i;

	for (i = 0; i < s->nr_rules; i++) {
		const struct rule *r = &s->rules[i];
		struct chain *to = &s->chains[r->chain];
		uint32_t n;

		if (r->action < RULE_JUMP)
			continue;
		n = to->nr_callers < RULESET_CALLERS ? to->nr_callers++ : roll(d, RULESET_CALLERS);
		to->callers[n] = i;
	}
}

/* How the rules are spread over the chains; a few of these have most of them. */
static void make_chains(struct dice *d, struct ruleset *s, uint32_t size)
{
	uint32_t max = size / 8 < RULESET_CHAINS - 3 ? size / 8 : RULESET_CHAINS - 3, i;
	uint32_t users = chance(d, 15) ? 0 : roll(d, max + 1), total = 0, shares[RULESET_CHAINS];

	s->deep = chance(d, 12);
	if (s->deep)
		users = max;
	s->nr_chains = 3 + users;
	for (i = 0; i < s->nr_chains; i++)
		total += shares[i] = 1 + roll(d, chance(d, 20) ? 100 : 10);
	for (i = 0; i < s->nr_chains; i++) {
		struct chain *c = &s->chains[i];

		c->first = s->nr_rules;
		c->nr = (uint64_t)size * shares[i] / total + s->deep;
		s->nr_rules += c->nr;
		c->end = chance(d, 65) ? BLOB_ACCEPT : BLOB_DROP;
		if (i >= 3)
			c->end = chance(d, 95) ? BLOB_RETURN : BLOB_DROP;
		c->level = i < 3 ? 0 : s->deep ? i : 1 + 4 * (i - 3) / users;
	}
}

/* FORWARD alone is long, or there are some long chains that the hooks' lead to. */
static void make_long_chains(struct dice *d, struct ruleset *s, uint32_t size)
{
	uint32_t users = PICK(d, ((uint32_t[]){0, 1, 2, 2})), i;

	s->lists = true;
	s->nr_chains = 3 + users;
	for (i = 0; i < s->nr_chains; i++) {
		struct chain *c = &s->chains[i];

		c->first = s->nr_rules;
		c->nr = is_long(s, i) ? size : 4 + roll(d, 8);
		s->nr_rules += c->nr;
		c->end = i >= 3 ? BLOB_RETURN : chance(d, 65) ? BLOB_ACCEPT : BLOB_DROP;
		c->level = i < 3 ? 0 : i - 2;
	}
}

static void make_rules(struct dice *d, struct ruleset *s)
{
	uint32_t i;

	s->rules = calloc(s->nr_rules + 1, sizeof(*s->rules));
	if (!s->rules)
		abort();
	for (i = 0; i < s->nr_chains; i++)
		make_chain(d, s, i);
	call_all(d, s);
	note_callers(d, s);
}

void ruleset_make(struct dice *d, struct ruleset *s, uint32_t size)
{
	memset(s, 0, sizeof(*s));
	values_make(d, &s->values);
	make_chains(d, s, size);
	make_rules(d, s);
}

void ruleset_make_lists(struct dice *d, struct ruleset *s, uint32_t size)
{
	memset(s, 0, sizeof(*s));
	values_make(d, &s->values);
	make_long_chains(d, s, size);
	make_rules(d, s);
}

void ruleset_free(struct ruleset *s)
{
	free(s->rules);
	s->rules = NULL;
}
