// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "clauses.h"
#include "grammar.h"

#define BUILTIN	    3
#define MAX_CHAINS  80
/* Rules that one packet may visit: chains that call others twice would take for ever. */
#define MAX_VISITS  20000
/* REJECT, LOG and NFLOG that one packet may meet: of more the last ones are lost, as the README says. */
#define MAX_EFFECTS 15

static const char *const builtin[BUILTIN] = {"INPUT", "FORWARD", "OUTPUT"};

/**
 * struct plan - a table being drawn
 * @chains: built-in ones first; chain i calls only chains after it, so that there are no loops
 * @visits: how many rules a packet can visit from the start of each chain on
 * @effects: how many of them have such a target
 * @rules: of each chain, drawn from the last chain to the first
 */
struct plan {
	struct rng *r;
	struct clauses clauses;
	enum grammar_size size;
	unsigned int chains;
	unsigned int visits[BUILTIN + MAX_CHAINS];
	unsigned int effects[BUILTIN + MAX_CHAINS];
	struct text rules[BUILTIN + MAX_CHAINS];
};

static void chain_name(const struct plan *p, unsigned int chain, char name[32])
{
	if (chain < BUILTIN)
		strcpy(name, builtin[chain]);
	else if (chain % 11 == 5) /* as long as names may be */
		snprintf(name, 32, "chain-with-a-long-name-%05u", chain % 100000);
	else
		snprintf(name, 32, "c%u", chain - BUILTIN);
}

static unsigned int hooks_of(unsigned int chain)
{
	return chain < BUILTIN ? 1U << chain : FROM_ANY;
}

static bool may_call(const struct plan *p, unsigned int chain, unsigned int which)
{
	return p->visits[chain] + p->visits[which] <= MAX_VISITS &&
	       p->effects[chain] + p->effects[which] <= MAX_EFFECTS;
}

static void call(struct plan *p, unsigned int chain, unsigned int which)
{
	p->visits[chain] += p->visits[which];
	p->effects[chain] += p->effects[which];
}

/* One of the chains behind @chain; close ones in deep tables. 0 if there is none to be called. */
static unsigned int callee(struct plan *p, unsigned int chain)
{
	unsigned int first = chain < BUILTIN ? BUILTIN : chain + 1, which;

	if (first >= p->chains)
		return 0;
	if (p->size == GRAMMAR_DEEP && rng_chance(p->r, 80))
		which = first;
	else
		which = rng_between(p->r, first, p->chains - 1);
	return may_call(p, chain, which) ? which : 0;
}

/* @rule: where the rule's conditions begin, if it has any. One without that ends the chain hides all that follows it. */
static void add_target(struct plan *p, struct text *t, unsigned int chain, size_t rule)
{
	unsigned int draw = rng_below(p->r, 100), which = 0;
	bool always = t->len == rule;
	char name[32];

	if (p->clauses.takers && rng_chance(p->r, 20) &&
	    clauses_add_taker(&p->clauses, t, rule, hooks_of(chain)))
		return;
	if (p->clauses.marks && rng_chance(p->r, 30)) {
		clauses_add_mark(&p->clauses, t);
		return;
	}
	if (p->clauses.effects && p->effects[chain] < MAX_EFFECTS &&
	    rng_chance(p->r, always ? 3 : 15)) {
		p->effects[chain]++;
		clauses_add_effect(&p->clauses, t, rule);
		return;
	}
	if (always && (draw < 62 || draw >= 90) && rng_chance(p->r, 80))
		draw = 75;

	if (draw >= 62)
		which = callee(p, chain);
	if (which) {
		chain_name(p, which, name);
		call(p, chain, which);
		text_add(t, " -%c %s", draw >= 90 ? 'g' : 'j', name);
	} else if (draw >= 45) {
		text_add(t, " -j RETURN");
	} else if (draw >= 32) {
		text_add(t, " -j DROP");
	} else if (draw >= 19) {
		text_add(t, " -j ACCEPT");
	}
}

static void draw_rule(struct plan *p, unsigned int chain)
{
	struct text *t = &p->rules[chain];
	char name[32];
	size_t before;

	chain_name(p, chain, name);
	text_add(t, "-A %s", name);
	before = t->len;
	clauses_add(&p->clauses, t, hooks_of(chain));
	p->visits[chain]++;
	add_target(p, t, chain, before);
	text_add(t, "\n");
}

/* The only way that leads from chain to chain without end is a first rule that always calls. */
static void draw_link(struct plan *p, unsigned int chain)
{
	char from[32], to[32];
	unsigned int next = chain < BUILTIN ? BUILTIN : chain + 1;

	if (next >= p->chains)
		return;
	chain_name(p, chain, from);
	chain_name(p, next, to);
	text_add(&p->rules[chain], "-A %s -%c %s\n", from, rng_chance(p->r, 15) ? 'g' : 'j', to);
	call(p, chain, next);
}

static void draw_chain(struct plan *p, unsigned int chain)
{
	unsigned int n = rng_below(p->r, chain < BUILTIN ? 14 : 8);

	p->visits[chain] = 1;
	p->effects[chain] = 0;
	if (p->size == GRAMMAR_DEEP)
		n = rng_below(p->r, 3);
	if (p->size == GRAMMAR_DEEP && rng_chance(p->r, 96))
		draw_link(p, chain);
	while (n--)
		draw_rule(p, chain);
}

static void copy_lines(struct ruleset *rs, struct text *t)
{
	char *line, *save;

	if (!t->s)
		return;
	for (line = strtok_r(t->s, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ruleset_add(rs, "%s", line);
}

/* Rules as lists of addresses have them, between the others: what makes tables long. */
static void draw_bulk(struct plan *p, unsigned int rules)
{
	static const char *const targets[] = {"DROP", "ACCEPT", "RETURN"};
	unsigned int chain = rng_below(p->r, BUILTIN), i;
	uint32_t base = rng_next(p->r);
	char name[32];

	for (i = 0; i < rules; i++) {
		struct text *t = &p->rules[chain];
		uint32_t a = base + i * 256;

		chain_name(p, chain, name);
		if (rng_chance(p->r, 80))
			text_add(t, "-A %s -s %u.%u.%u.%u/%u -j %s\n", name, a >> 24, a >> 16 & 255,
				 a >> 8 & 255, rng_below(p->r, 256), rng_between(p->r, 20, 32),
				 RNG_PICK(p->r, targets));
		else
			draw_rule(p, chain);
		/* Not for long in a chain that is called from many places. */
		if (rng_chance(p->r, chain < BUILTIN ? 1 : 5))
			chain = rng_below(p->r, rng_chance(p->r, 50) ? BUILTIN : p->chains);
	}
}

void grammar_ruleset(struct ruleset *rs, struct rng *r, enum grammar_size size, unsigned int rules)
{
	struct plan p = {.r = r, .size = size};
	unsigned int i;
	char name[32];

	clauses_init(&p.clauses, r);
	/* There a packet may meet each rule too often. */
	p.clauses.takers &= size != GRAMMAR_DEEP;
	p.chains = BUILTIN + rng_below(r, 9);
	if (size == GRAMMAR_DEEP)
		p.chains = BUILTIN + rng_between(r, 40, MAX_CHAINS);
	for (i = p.chains; i-- > 0;)
		draw_chain(&p, i);
	if (size == GRAMMAR_LARGE)
		draw_bulk(&p, rules);
	for (i = 0; i < p.chains; i++) {
		chain_name(&p, i, name);
		ruleset_add(rs, ":%s %s [0:0]", name,
			    i >= BUILTIN	? "-"
			    : rng_chance(r, 40) ? "DROP"
						: "ACCEPT");
	}
	for (i = 0; i < p.chains; i++) {
		copy_lines(rs, &p.rules[i]);
		text_free(&p.rules[i]);
	}
}
