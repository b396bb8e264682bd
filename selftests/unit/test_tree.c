// SPDX-License-Identifier: GPL-2.0
/*
 * Forests give what going through the rules one by one gives: for chains of every shape and size,
 * whatever the budget, and never more than the budget allows.
 */
#include "chain.h"
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kselftest_harness.h"

#define ITEM_BYTES 32
#define MATCHES	   256

/* Of the address sanitizer; absent in other builds. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void show(struct __test_metadata *_metadata, const struct chain *c, const char *what,
		 const uint32_t *rules, uint32_t nr)
{
	uint32_t i;

	TH_LOG("%s: %u matches", what, nr);
	for (i = 0; i < nr && i < 10; i++)
		TH_LOG("\t%u%s", rules[i], c->rules[rules[i]].prunes ? ", the end" : "");
}

/* How many of so many keys do not get the same from the forest as from the rules */
static unsigned int differences(struct __test_metadata *_metadata, const struct chain *c,
				const struct bf_forest *f, unsigned int keys, struct dice *d)
{
	uint32_t key[CHAIN_FIELDS], want[MATCHES], got[MATCHES], nr_want, nr_got, stored;
	uint64_t nodes = 0, items = 0;
	unsigned int differ = 0;

	while (keys--) {
		chain_key(c, d, key);
		nr_want = chain_walk(c, key, want, MATCHES);
		nr_got = chain_walk_forest(c, f, key, got, MATCHES, &nodes, &items);
		stored = nr_want < MATCHES ? nr_want : MATCHES;
		if (nr_got == nr_want && !memcmp(want, got, stored * sizeof(*want)))
			continue;
		if (!differ++) {
			show(_metadata, c, "one by one", want, nr_want);
			show(_metadata, c, "in the forest", got, nr_got == UINT32_MAX ? 0 : nr_got);
		}
	}
	return differ;
}

static bool within(const struct chain *c, const struct bf_tree_budget *b, const struct bf_forest *f)
{
	/* The last rule is in each tree, and each has a root. */
	uint64_t least = (c->in.nr_rules + f->nr_roots - 1ULL) * b->item_bytes + 8 * f->nr_roots;
	uint64_t bytes = (uint64_t)f->nr_items * b->item_bytes + 8ULL * f->nr_nodes;

	return bytes <= least + b->bytes;
}

static bool equal(const struct bf_forest *a, const struct bf_forest *b)
{
	return a->nr_nodes == b->nr_nodes && a->nr_items == b->nr_items &&
	       a->nr_roots == b->nr_roots && a->cost == b->cost &&
	       !memcmp(a->nodes, b->nodes, a->nr_nodes * sizeof(*a->nodes)) &&
	       !memcmp(a->lists, b->lists, a->nr_items * sizeof(*a->lists));
}

FIXTURE(tree)
{
	struct chain c;
	struct bf_forest f;
	struct dice d;
};

FIXTURE_VARIANT(tree)
{
	enum chain_shape shape;
};

#define SHAPE(name, s)                                                                             \
	FIXTURE_VARIANT_ADD(tree, name)                                                            \
	{                                                                                          \
		.shape = s,                                                                        \
	}

/* clang-format off */
SHAPE(acl, CHAIN_ACL);
SHAPE(fw, CHAIN_FW);
SHAPE(ipc, CHAIN_IPC);
SHAPE(k8s, CHAIN_K8S);
SHAPE(block, CHAIN_BLOCK);
SHAPE(grid, CHAIN_GRID);
SHAPE(dispatch, CHAIN_DISPATCH);
SHAPE(nested, CHAIN_NESTED);
SHAPE(crossed, CHAIN_CROSSED);
SHAPE(same, CHAIN_SAME);
SHAPE(stateful, CHAIN_STATEFUL);
SHAPE(striped, CHAIN_STRIPED);
SHAPE(wild, CHAIN_WILD);
/* clang-format on */

FIXTURE_SETUP(tree)
{
	self->d.state = 1;
}

FIXTURE_TEARDOWN(tree)
{
	bf_forest_free(&self->f);
	chain_free(&self->c);
}

static void again(FIXTURE_DATA(tree) * self, enum chain_shape shape, uint32_t nr)
{
	bf_forest_free(&self->f);
	chain_free(&self->c);
	chain_make(&self->c, shape, nr, &self->d);
}

/* Many small chains */
TEST_F(tree, small)
{
	struct bf_tree_budget b;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		again(self, variant->shape, 1 + roll(&self->d, i + 1));
		b = bf_tree_budget_of(self->c.in.nr_rules, ITEM_BYTES);
		/* so that also these are divided */
		b.bytes <<= roll(&self->d, 4);
		if (chance(&self->d, 20))
			self->c.in.bits = NULL;
		ASSERT_EQ(0, bf_forest_build(&self->c.in, &b, &self->f));
		ASSERT_EQ(0, differences(_metadata, &self->c, &self->f, 200, &self->d))
		{
			TH_LOG("chain %u of %u rules", i, self->c.in.nr_rules);
		}
		EXPECT_TRUE(within(&self->c, &b, &self->f));
	}
}

/* Budgets that end anywhere */
TEST_F(tree, cut_short)
{
	struct bf_tree_budget b;
	unsigned int i;

	for (i = 0; i < 60; i++) {
		again(self, variant->shape, 2000);
		b = bf_tree_budget_of(2000, ITEM_BYTES);
		if (i % 3)
			b.work = roll(&self->d, 3) ? roll(&self->d, 200000) : roll(&self->d, 10);
		if ((i + 1) % 3)
			b.bytes = roll(&self->d, 3) ? roll(&self->d, 100000) : roll(&self->d, 40);
		if (i % 7 == 6)
			b.ns = 1 + roll(&self->d, 1000000);
		ASSERT_EQ(0, bf_forest_build(&self->c.in, &b, &self->f));
		ASSERT_EQ(0, differences(_metadata, &self->c, &self->f, 100, &self->d))
		{
			TH_LOG("%lu bytes, %lu units of work, %lu ns", b.bytes, b.work, b.ns);
		}
		EXPECT_TRUE(within(&self->c, &b, &self->f));
	}
}

/* With nothing to spend it is a list, or very few. */
TEST_F(tree, nothing_to_spend)
{
	struct bf_tree_budget b = bf_tree_budget_of(0, ITEM_BYTES);

	b.bytes = b.work = 0;
	again(self, variant->shape, 3000);
	ASSERT_EQ(0, bf_forest_build(&self->c.in, &b, &self->f));
	EXPECT_EQ(self->f.nr_roots, self->f.nr_nodes);
	EXPECT_EQ(0U, self->f.depth);
	EXPECT_EQ(0, differences(_metadata, &self->c, &self->f, 100, &self->d));
}

/* Large ones: in time, and twice the same. */
TEST_F(tree, large)
{
	const uint32_t nr = 100000;
	struct bf_tree_budget b = bf_tree_budget_of(nr, ITEM_BYTES);
	struct bf_forest other;
	double start;

	again(self, variant->shape, nr);
	start = seconds();
	ASSERT_EQ(0, bf_forest_build(&self->c.in, &b, &self->f));
	/* a fifth of that, but for sanitizers and machines that have much else to do */
	EXPECT_GT(4, seconds() - start);
	EXPECT_EQ(0, differences(_metadata, &self->c, &self->f, 200, &self->d));
	EXPECT_TRUE(within(&self->c, &b, &self->f));
	EXPECT_GE(BF_TREE_DEPTH, self->f.depth);

	ASSERT_EQ(0, bf_forest_build(&self->c.in, &b, &other));
	EXPECT_TRUE(equal(&self->f, &other));
	bf_forest_free(&other);
}

/* Each allocation fails once. */
TEST_F(tree, no_memory)
{
	struct bf_tree_budget b = bf_tree_budget_of(1500, ITEM_BYTES);
	unsigned int n;
	int err;

	again(self, variant->shape, 1500);
	for (n = 1;; n++) {
		faults_arm(FAULT_MEMORY, n);
		err = bf_forest_build(&self->c.in, &b, &self->f);
		if (!faults_disarm())
			break;
		if (err) {
			ASSERT_EQ(-ENOMEM, err);
			EXPECT_EQ(NULL, self->f.nodes);
			EXPECT_EQ(NULL, self->f.lists);
		}
		bf_forest_free(&self->f);
	}
	EXPECT_EQ(0, err);
	EXPECT_LT(10, n);
	EXPECT_EQ(0, differences(_metadata, &self->c, &self->f, 100, &self->d));
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

/*
 * Ranges, behind nodes that looked at low bits first: what was looked at does not say whether one
 * holds, and children that have the same rules yet need not be the same.
 */
TEST(every_port)
{
	enum { RULES = 300 };
	struct bf_tree_test tests[RULES];
	struct bf_tree_rule rules[RULES];
	struct chain c = {.tests = tests, .rules = rules, .in = {tests, rules, RULES, NULL}};
	struct bf_tree_budget b = bf_tree_budget_of(10 * RULES, ITEM_BYTES);
	uint32_t key[CHAIN_FIELDS] = {0}, want[MATCHES], got[MATCHES], nr, i, lo, chain;
	struct dice d = {.state = 3};
	uint64_t nodes = 0, items = 0;
	struct bf_forest f;

	for (chain = 0; chain < 20; chain++) {
		for (i = 0; i < RULES; i++) {
			lo = roll(&d, 64000);
			rules[i] = (struct bf_tree_rule){
				.first = i, .nr = i + 1 < RULES, .prunes = i % 5 == 4};
			tests[i] = (struct bf_tree_test){CHAIN_SPORT, false, 0xff, roll(&d, 64)};
			if (rules[i].prunes)
				tests[i] = (struct bf_tree_test){CHAIN_SPORT, true, lo,
								 lo + roll(&d, 1500)};
		}
		ASSERT_EQ(0, bf_forest_build(&c.in, &b, &f));
		for (i = 0; i <= UINT16_MAX; i++) {
			key[CHAIN_SPORT] = i;
			nr = chain_walk(&c, key, want, MATCHES);
			ASSERT_EQ(nr, chain_walk_forest(&c, &f, key, got, MATCHES, &nodes, &items))
			{
				TH_LOG("chain %u, port %u", chain, i);
			}
			ASSERT_EQ(0, memcmp(want, got, nr * sizeof(*want)));
		}
		bf_forest_free(&f);
	}
}

/* What trees are for: few steps and short lists, on average over keys drawn from the rules. */
TEST(short_ways)
{
	static const struct {
		enum chain_shape shape;
		double items, nodes;
	} bars[] = {
		{CHAIN_ACL, 6, 4},	{CHAIN_FW, 45, 10},	 {CHAIN_IPC, 36, 8},
		{CHAIN_K8S, 4, 3},	{CHAIN_BLOCK, 4, 3},	 {CHAIN_GRID, 4, 4},
		{CHAIN_DISPATCH, 4, 4}, {CHAIN_STATEFUL, 32, 8},
	};
	uint32_t key[CHAIN_FIELDS], match;
	struct dice d = {.state = 7};
	struct bf_tree_budget b = bf_tree_budget_of(10000, ITEM_BYTES);
	struct bf_forest f;
	struct chain c;
	unsigned int i, k;

	for (i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
		uint64_t nodes = 0, items = 0;

		chain_make(&c, bars[i].shape, 10000, &d);
		ASSERT_EQ(0, bf_forest_build(&c.in, &b, &f));
		for (k = 0; k < 1000; k++) {
			chain_key(&c, &d, key);
			chain_walk_forest(&c, &f, key, &match, 1, &nodes, &items);
		}
		EXPECT_GT(bars[i].items, items / 1000.0)
		{
			TH_LOG("%s: %g items", chain_names[bars[i].shape], items / 1000.0);
		}
		EXPECT_GT(bars[i].nodes, nodes / 1000.0)
		{
			TH_LOG("%s: %g nodes", chain_names[bars[i].shape], nodes / 1000.0);
		}
		bf_forest_free(&f);
		chain_free(&c);
	}
}

/* Rules that nothing matches, and those behind what matches before */
TEST(unreachable)
{
	static const struct bf_tree_test tests[] = {
		{3, true, 5, 4},     {3, false, 0xf0, 0x1}, {3, true, 0x1000, 0x2000},
		{3, false, 7, 7},    {3, false, 7, 6},	    {3, true, 8, 9},
		{3, false, 0xfe, 8}, {3, false, 0xff, 9},
	};
	/* None of the first four can match, and the second and third of the others do not get so far. */
	static const struct bf_tree_rule some[] = {
		{0, 1, true, 0, false, false}, {1, 1, true, 0, false, false},
		{2, 1, true, 0, false, false}, {3, 2, true, 0, false, false},
		{5, 1, true, 0, false, false}, {6, 1, true, 0, false, false},
		{7, 1, false, 0, false, false}};
	uint32_t bits[BF_TREE_FIELDS] = {[3] = 0xff};
	struct bf_tree_rule rules[15] = {{0}};
	struct bf_tree_budget b = bf_tree_budget_of(15, ITEM_BYTES);
	struct bf_tree_input in = {tests, rules, 15, bits};
	struct bf_forest f;
	unsigned int i;

	for (i = 0; i < 14; i++)
		rules[i] = some[i / 2];
	rules[14].prunes = true;
	ASSERT_EQ(0, bf_forest_build(&in, &b, &f));
	ASSERT_EQ(1U, f.nr_nodes);
	EXPECT_EQ(BF_NODE_LEAF, f.nodes[0]);
	ASSERT_EQ(2U, f.nr_items);
	EXPECT_EQ(8U, f.lists[0]);
	EXPECT_EQ(14U, f.lists[1]);
	bf_forest_free(&f);
}

/* The shortest chain, and one whose end is reached before */
TEST(short_chains)
{
	struct bf_tree_rule rules[3] = {{.prunes = false}, {.prunes = true}, {.prunes = true}};
	struct bf_tree_budget b = bf_tree_budget_of(1, ITEM_BYTES);
	struct bf_tree_input in = {NULL, &rules[2], 1, NULL};
	struct bf_forest f;

	ASSERT_EQ(0, bf_forest_build(&in, &b, &f));
	EXPECT_EQ(1U, f.nr_nodes);
	EXPECT_EQ(1U, f.nr_roots);
	ASSERT_EQ(1U, f.nr_items);
	EXPECT_EQ(0U, f.lists[0]);
	bf_forest_free(&f);

	in.rules = rules;
	in.nr_rules = 3;
	ASSERT_EQ(0, bf_forest_build(&in, &b, &f));
	ASSERT_EQ(2U, f.nr_items);
	EXPECT_EQ(1U, f.lists[1]);
	bf_forest_free(&f);
	bf_forest_free(&f);
}

TEST_HARNESS_MAIN
