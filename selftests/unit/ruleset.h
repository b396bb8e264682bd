/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random tables in the shapes that people have, small to large: access lists, blocklists,
 * exact services, dispatch by interface, nested prefixes, marks and connections, in chains that jump to
 * chains. And packets that get to their rules. For the module's hooks. The same seed gives the
 * same ones.
 */
#ifndef RULESET_H
#define RULESET_H

#include "rule.h"

#define RULESET_CHAINS	100
#define RULESET_CALLERS 4

/**
 * struct chain - a chain: the first three are the hooks' own
 * @first, @nr: its rules
 * @end: its last verdict: the policy, or RETURN or DROP
 * @level: jumps lead to chains of a higher one
 * @callers: some of the rules that jump here
 */
struct chain {
	uint32_t first, nr;
	int end;
	uint32_t level;
	uint32_t callers[RULESET_CALLERS], nr_callers;
};

/**
 * struct ruleset - a table
 * @deep: each chain is called from the one before it
 * @lists: of rules, long ones, without jumps
 */
struct ruleset {
	struct rule *rules;
	uint32_t nr_rules;
	struct chain chains[RULESET_CHAINS];
	uint32_t nr_chains;
	bool deep, lists;
	struct values values;
};

/* @size: how many rules, about. The set must be zeroed or freed. */
void ruleset_make(struct dice *d, struct ruleset *s, uint32_t size);
/* The same, of few chains, some with @size rules each, which jump nowhere. */
void ruleset_make_lists(struct dice *d, struct ruleset *s, uint32_t size);
void ruleset_free(struct ruleset *s);

/* As a table. @b must be zeroed or freed. */
void ruleset_blob(const struct ruleset *s, struct blob *b);

/*
 * A packet, of which all but thoff is filled in: mostly one that gets to some rule of the table, or
 * passes it closely.
 */
void ruleset_packet(struct dice *d, const struct ruleset *s, struct bpfilter_packet *p);

#endif /* RULESET_H */
