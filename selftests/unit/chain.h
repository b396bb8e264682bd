/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chains of rules for the tree builder, in the shapes that real ones have and in some that nobody
 * should have. The same seed gives the same ones.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include "dice.h"
#include "tree.h"

enum chain_field {
	CHAIN_SADDR,
	CHAIN_DADDR,
	CHAIN_PROTO,
	CHAIN_SPORT,
	CHAIN_DPORT,
	CHAIN_IFACE, /* four words */
	CHAIN_STATE = CHAIN_IFACE + 4,
	CHAIN_MARK,
	CHAIN_FIELDS,
};

enum chain_shape {
	CHAIN_ACL,	/* ClassBench's access lists: prefixes, one port */
	CHAIN_FW,	/* its firewalls: much is left open, port ranges */
	CHAIN_IPC,	/* its IP chains: of everything */
	CHAIN_K8S,	/* addresses and ports, exact */
	CHAIN_BLOCK,	/* sources */
	CHAIN_GRID,	/* 10 sources x 5 destinations x 10 source ports x 10 destination ports */
	CHAIN_DISPATCH, /* gotos by interface name */
	CHAIN_NESTED,	/* prefixes in prefixes that do not prune */
	CHAIN_CROSSED, /* port ranges that overlap, a wide source with a narrow destination, and so on */
	CHAIN_SAME,	/* one rule, again and again, that does not prune */
	CHAIN_STATEFUL, /* an access list half of which does not prune */
	CHAIN_STRIPED,	/* port ranges, and low bits of the same ports */
	CHAIN_WILD,	/* few bits, anywhere, and contradictions: what nobody would write */
	CHAIN_SHAPES,
};

struct chain {
	struct bf_tree_test *tests;
	struct bf_tree_rule *rules;
	struct bf_tree_input in;
	uint32_t nr_tests, max_tests;
};

extern const char *const chain_names[CHAIN_SHAPES];

/* @nr rules, the last of them unconditional. To be freed with chain_free(). */
void chain_make(struct chain *c, enum chain_shape shape, uint32_t nr, struct dice *d);
void chain_free(struct chain *c);

/* A key: near a rule, mostly in it, or anywhere */
void chain_key(const struct chain *c, struct dice *d, uint32_t *key);
bool chain_matches(const struct chain *c, uint32_t rule, const uint32_t *key);

/*
 * The rules that match the key, in order, up to the first that prunes: one after the other, and
 * with a forest. At most @max are stored; returns how many there are.
 */
uint32_t chain_walk(const struct chain *c, const uint32_t *key, uint32_t *rules, uint32_t max);
/* UINT32_MAX if it leads out of the arrays. @items and @nodes are increased by what was looked at. */
uint32_t chain_walk_forest(const struct chain *c, const struct bf_forest *f, const uint32_t *key,
			   uint32_t *rules, uint32_t max, uint64_t *nodes, uint64_t *items);

#endif /* CHAIN_H */
