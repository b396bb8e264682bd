// SPDX-License-Identifier: GPL-2.0
/*
 * Rules that ask something which rules before them may have changed, such as a mark: a search by trees
 * does what going through all rules does, although most of those that ask the same again are left out.
 */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

#define RULES	  1800
#define POLICY	  400
#define QUESTIONS 4
#define MATCHES	  64

/**
 * struct marked - a chain of such rules
 * @sets: what the answers are, a bit each, behind a rule that changes them
 */
struct marked {
	struct chain c;
	uint8_t sets[RULES];
};

/* Some rules ask, or change what is asked, or both. */
static void mark(struct marked *m, struct dice *d, unsigned int marking, unsigned int changing)
{
	uint32_t i;

	for (i = 0; i + 1 < m->c.in.nr_rules; i++) {
		struct bf_tree_rule *r = &m->c.rules[i];

		if (!chance(d, marking))
			continue;
		r->prunes = false;
		if (chance(d, changing)) {
			r->changes = true;
			m->sets[i] = roll(d, 1 << QUESTIONS);
			if (chance(d, 80))
				continue;
		}
		/* Mostly of all packets, as behind rules that mark them */
		if (chance(d, marking < 10 ? 70 : 30))
			r->nr = 0;
		r->asks = 1 + roll(d, QUESTIONS);
		r->ends = !r->changes && chance(d, 80);
	}
}

/* Does the packet, for which these are the answers, match rule @r? Then they may become others. */
static bool step(const struct marked *m, uint32_t r, const uint32_t *key, uint8_t *answers)
{
	const struct bf_tree_rule *rule = &m->c.rules[r];

	if (!chain_matches(&m->c, r, key))
		return false;
	if (rule->asks && !(*answers >> (rule->asks - 1) & 1))
		return false;
	if (rule->changes)
		*answers = m->sets[r];
	return true;
}

static bool is_end(const struct bf_tree_rule *rule)
{
	return rule->prunes || rule->ends;
}

static uint32_t walk_rules(const struct marked *m, const uint32_t *key, uint32_t *rules)
{
	uint8_t answers = 0;
	uint32_t r, nr = 0;

	for (r = 0; nr < MATCHES; r++) {
		if (!step(m, r, key, &answers))
			continue;
		rules[nr++] = r;
		if (is_end(&m->c.rules[r]))
			break;
	}
	return nr;
}

static uint32_t walk_forest(const struct marked *m, const struct bf_forest *f, const uint32_t *key,
			    uint32_t *rules, uint64_t *items)
{
	uint32_t at[BF_FOREST_TREES], nr = 0, t, best;
	uint8_t answers = 0;

	for (t = 0; t < f->nr_roots; t++) {
		uint64_t node = f->nodes[f->roots[t]];

		while (!(node & BF_NODE_LEAF))
			node = f->nodes[BF_NODE_BASE(node) + ((uint32_t)(key[BF_NODE_FIELD(node)]
									 << BF_NODE_SHL(node)) >>
							      BF_NODE_SHR(node))];
		at[t] = BF_NODE_BASE(node);
	}
	while (nr < MATCHES) {
		for (best = t = 0; t < f->nr_roots; t++)
			if (f->lists[at[t]] < f->lists[at[best]])
				best = t;
		++*items;
		t = f->lists[at[best]++];
		if (!step(m, t, key, &answers))
			continue;
		rules[nr++] = t;
		if (is_end(&m->c.rules[t]))
			break;
	}
	return nr;
}

/* As calico marks packets, and with other parts of rules that change the answers */
TEST(marks)
{
	static const enum chain_shape shapes[] = {CHAIN_ACL, CHAIN_FW, CHAIN_IPC, CHAIN_BLOCK};
	static const unsigned int changing[] = {1, 5, 20, 60};
	uint32_t key[CHAIN_FIELDS], want[MATCHES], got[MATCHES], nr, round, i, many = 0;
	struct dice d = {.state = 1};
	static struct marked m;
	struct bf_forest f;

	for (round = 0; round < 96; round++) {
		struct bf_tree_budget b = bf_tree_budget_of(RULES, 32);
		uint64_t items = 0;

		chain_make(&m.c, shapes[round % 4], RULES, &d);
		mark(&m, &d, round % 3 == 2 ? 2 : 30, changing[round / 4 % 4]);
		/* One tree, or what is best, or many */
		b.tree_ns = round % 3 == 0 ? 1e9F : round % 3 == 1 ? b.tree_ns : 0.1F;
		ASSERT_EQ(0, bf_forest_build(&m.c.in, &b, &f));
		many += f.nr_roots > 1;
		for (i = 0; i < 300; i++) {
			chain_key(&m.c, &d, key);
			nr = walk_rules(&m, key, want);
			ASSERT_EQ(nr, walk_forest(&m, &f, key, got, &items))
			TH_LOG("round %u, %u trees", round, f.nr_roots);
			ASSERT_EQ(0, memcmp(want, got, nr * sizeof(*want)));
		}
		bf_forest_free(&f);
		chain_free(&m.c);
	}
	printf("# %u of %u with several trees\n", many, round);
	EXPECT_LT(10U, many);
}

/* Rules that mark, each followed by one that asks for the mark: hardly any of the latter is looked at. */
TEST(calico)
{
	uint32_t key[CHAIN_FIELDS], got[MATCHES], i;
	struct bf_tree_budget b = bf_tree_budget_of(POLICY, 32);
	struct dice d = {.state = 1};
	static struct marked m;
	uint64_t items = 0;
	struct bf_forest f;

	chain_make(&m.c, CHAIN_BLOCK, POLICY, &d);
	for (i = 0; i + 1 < POLICY; i++) {
		struct bf_tree_rule *r = &m.c.rules[i];

		r->prunes = false;
		r->changes = i % 2 == 0;
		m.sets[i] = 1;
		r->asks = r->ends = i % 2;
		if (i % 2)
			r->nr = 0;
	}
	b.tree_ns = 1e9F;
	ASSERT_EQ(0, bf_forest_build(&m.c.in, &b, &f));
	for (i = 0; i < 1000; i++) {
		chain_key(&m.c, &d, key);
		walk_forest(&m, &f, key, got, &items);
	}
	/* of 200 that ask */
	EXPECT_GT(12 * 1000U, items) TH_LOG("%g items", items / 1000.0);
	bf_forest_free(&f);
	chain_free(&m.c);
}

TEST_HARNESS_MAIN
