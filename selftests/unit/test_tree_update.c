// SPDX-License-Identifier: GPL-2.0
/*
 * A chain that changes rule by rule, hundreds of times, with trees that are made of those it had: they
 * give what going through the rules gives, and stay about as good as trees that are built anew.
 */
#include "chain.h"
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

#define ITEM_BYTES 32
#define MATCHES	   256
/* The pool that rules are taken from, and how many of them a chain begins with */
#define POOL	   3000
#define BEGIN	   1500
#define EDITS	   300

/* Of the address sanitizer; absent in other builds. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/**
 * struct life - a chain and its trees, through its changes
 * @pool: what rules there are
 * @now: those of the chain, which is @c; @was: those it had before
 * @touched: rules that the last change concerned
 * @updates: of how many changes the trees were made of the former ones
 */
struct life {
	struct dice d;
	struct chain pool;
	struct bf_tree_rule now[POOL + 1], was[POOL + 1];
	struct chain c, before, touched;
	struct bf_tree_rule touched_rules[64];
	struct bf_tree_budget budget;
	struct bf_forest f;
	unsigned int updates;
};

FIXTURE(update)
{
	struct life *l;
};

FIXTURE_VARIANT(update)
{
	enum chain_shape shape;
	unsigned int least; /* updates of 100 changes */
};

#define SHAPE(name, s, n)                                                                          \
	FIXTURE_VARIANT_ADD(update, name)                                                          \
	{                                                                                          \
		.shape = s, .least = n,                                                            \
	}

/* clang-format off */
SHAPE(acl, CHAIN_ACL, 90);
SHAPE(fw, CHAIN_FW, 50);
SHAPE(ipc, CHAIN_IPC, 60);
SHAPE(k8s, CHAIN_K8S, 90);
SHAPE(block, CHAIN_BLOCK, 90);
SHAPE(grid, CHAIN_GRID, 80);
SHAPE(dispatch, CHAIN_DISPATCH, 80);
SHAPE(nested, CHAIN_NESTED, 0);
SHAPE(crossed, CHAIN_CROSSED, 0);
SHAPE(same, CHAIN_SAME, 0);
SHAPE(stateful, CHAIN_STATEFUL, 50);
SHAPE(striped, CHAIN_STRIPED, 0);
SHAPE(wild, CHAIN_WILD, 0);
/* clang-format on */

static void begin(struct life *l, enum chain_shape shape, uint32_t n)
{
	chain_make(&l->pool, shape, POOL, &l->d);
	memcpy(l->now, l->pool.rules, (n - 1) * sizeof(*l->now));
	l->now[n - 1] = l->pool.rules[POOL - 1];
	l->c = l->before = l->touched = l->pool;
	l->c.rules = l->now;
	l->c.in.rules = l->now;
	l->c.in.nr_rules = n;
	l->before.rules = l->was;
	l->before.in.rules = l->was;
	l->touched.rules = l->touched_rules;
	l->touched.in.rules = l->touched_rules;
	l->budget = bf_tree_budget_of(n, ITEM_BYTES);
}

FIXTURE_SETUP(update)
{
	self->l = calloc(1, sizeof(*self->l));
	ASSERT_NE(NULL, self->l);
	self->l->d.state = 1;
	begin(self->l, variant->shape, BEGIN);
	ASSERT_EQ(0, bf_forest_build(&self->l->c.in, &self->l->budget, &self->l->f));
}

FIXTURE_TEARDOWN(update)
{
	bf_forest_free(&self->l->f);
	chain_free(&self->l->pool);
	free(self->l);
}

/* --- changes ------------------------------------------------------------------------------- */

/* At the front, at the end, or in between */
static uint32_t throw_place(struct life *l, uint32_t n)
{
	return chance(&l->d, 20) ? 0 : chance(&l->d, 25) ? n - 1 : roll(&l->d, n);
}

static void remember(struct life *l)
{
	memcpy(l->was, l->now, sizeof(l->was));
	l->before.in.nr_rules = l->c.in.nr_rules;
	l->touched.in.nr_rules = 0;
}

static void insert(struct life *l, uint32_t at, struct bf_tree_rule rule)
{
	memmove(&l->now[at + 1], &l->now[at], (l->c.in.nr_rules - at) * sizeof(*l->now));
	l->now[at] = rule;
	l->c.in.nr_rules++;
	l->touched_rules[l->touched.in.nr_rules++] = rule;
}

static void delete (struct life *l, uint32_t at)
{
	l->touched_rules[l->touched.in.nr_rules++] = l->now[at];
	l->c.in.nr_rules--;
	memmove(&l->now[at], &l->now[at + 1], (l->c.in.nr_rules - at) * sizeof(*l->now));
}

/* One rule mostly, or some that are near each other; the last one stays. */
static void change(struct life *l)
{
	uint32_t some = chance(&l->d, 80) ? 1 : 1 + roll(&l->d, 6);
	uint32_t at = throw_place(l, l->c.in.nr_rules), n;

	remember(l);
	while (some--) {
		n = l->c.in.nr_rules;
		at = at < n ? at : n - 1;
		if (chance(&l->d, 50) && n < POOL)
			insert(l, at, l->pool.rules[roll(&l->d, POOL - 1)]);
		else if (n > 20 && at + 1 < n)
			delete (l, at);
		at += roll(&l->d, 2);
	}
}

/* Trees of the former ones, or new ones. */
static int follow(struct life *l)
{
	struct bf_forest next;
	int err = bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &next);

	l->updates += !err;
	if (err == -EAGAIN)
		err = bf_forest_build(&l->c.in, &l->budget, &next);
	if (!err) {
		bf_forest_free(&l->f);
		l->f = next;
	}
	return err;
}

/* --- what comes of it ---------------------------------------------------------------------- */

/* Does a key get the same from the trees as from the rules? */
static bool agree(struct life *l, const struct bf_forest *f, const uint32_t *key)
{
	uint32_t want[MATCHES], got[MATCHES], nr, stored;
	uint64_t nodes = 0, items = 0;

	nr = chain_walk(&l->c, key, want, MATCHES);
	stored = nr < MATCHES ? nr : MATCHES;
	return chain_walk_forest(&l->c, f, key, got, MATCHES, &nodes, &items) == nr &&
	       !memcmp(want, got, stored * sizeof(*want));
}

/* Keys that are about what has changed, and any. */
static unsigned int differences(struct life *l, const struct bf_forest *f, unsigned int keys)
{
	uint32_t key[CHAIN_FIELDS];
	unsigned int differ = 0;

	while (keys--) {
		bool near = keys % 2 && l->touched.in.nr_rules;

		chain_key(near ? &l->touched : &l->c, &l->d, key);
		differ += !agree(l, f, key);
	}
	return differ;
}

TEST_F_TIMEOUT(update, rule_by_rule, 120)
{
	struct life *l = self->l;
	unsigned int i;

	for (i = 0; i < EDITS; i++) {
		change(l);
		ASSERT_EQ(0, follow(l));
		ASSERT_EQ(0, differences(l, &l->f, 150))
		TH_LOG("change %u of %u rules", i, l->c.in.nr_rules);
		EXPECT_LE(l->f.cost, 1.25F * l->f.built.cost);
		EXPECT_LE(l->f.nr_items, 1.25 * l->f.built.items);
		EXPECT_LE(l->f.nr_nodes, 1.25 * l->f.built.nodes);
	}
	printf("# %u of %u changes by an update\n", l->updates, EDITS);
	EXPECT_LE(variant->least * EDITS, 100 * l->updates);
}

/* Rules go until hardly any are left, and come back. */
TEST_F_TIMEOUT(update, ebb_and_flow, 120)
{
	struct life *l = self->l;
	struct bf_forest fresh;
	uint32_t n;

	while ((n = l->c.in.nr_rules) > 40) {
		remember(l);
		for (n = 0; n < 3; n++)
			delete (l, roll(&l->d, l->c.in.nr_rules - 1));
		ASSERT_EQ(0, follow(l));
		ASSERT_EQ(0, differences(l, &l->f, 40)) TH_LOG("%u left", l->c.in.nr_rules);
	}
	while ((n = l->c.in.nr_rules) < BEGIN) {
		remember(l);
		for (n = 0; n < 3; n++)
			insert(l, roll(&l->d, l->c.in.nr_rules),
			       l->pool.rules[roll(&l->d, POOL - 1)]);
		ASSERT_EQ(0, follow(l));
		ASSERT_EQ(0, differences(l, &l->f, 40)) TH_LOG("%u again", l->c.in.nr_rules);
	}
	/* About as good as if all had been there from the beginning, and it says the same. */
	ASSERT_EQ(0, bf_forest_build(&l->c.in, &l->budget, &fresh));
	EXPECT_GT(2 * fresh.cost, l->f.cost);
	EXPECT_EQ(0, differences(l, &fresh, 500));
	EXPECT_EQ(0, differences(l, &l->f, 500));
	bf_forest_free(&fresh);
}

/* Some rules come and go again and again: what that leaves behind is no reason to build anew. */
TEST_F(update, to_and_fro)
{
	struct life *l = self->l;
	uint32_t items = l->f.nr_items, i;

	for (i = 0; i < 400; i++) {
		remember(l);
		if (i % 2)
			delete (l, l->c.in.nr_rules - 2);
		else
			insert(l, l->c.in.nr_rules - 1, l->pool.rules[BEGIN + i / 2 % 8]);
		ASSERT_EQ(0, follow(l));
		ASSERT_EQ(0, differences(l, &l->f, 50)) TH_LOG("change %u", i);
	}
	printf("# %u items, %u to begin with; %u of 400 changes by an update\n", l->f.nr_items,
	       items, l->updates);
	EXPECT_LE(399U, l->updates);
}

/* What must not be made of former trees: too much has changed, or what they were built for. */
TEST_F(update, anew)
{
	struct life *l = self->l;
	struct bf_tree_budget b = l->budget;
	uint32_t bits[BF_TREE_FIELDS];
	struct bf_forest out;
	uint32_t i;

	remember(l);
	ASSERT_EQ(0, bf_forest_update(&l->before.in, &l->f, &l->c.in, &b, &out));
	EXPECT_EQ(0U, out.changes);
	EXPECT_EQ(0, differences(l, &out, 200));
	bf_forest_free(&out);

	b.tree_ns *= 2;
	EXPECT_EQ(-EAGAIN, bf_forest_update(&l->before.in, &l->f, &l->c.in, &b, &out));
	b = l->budget;
	b.work = 0;
	insert(l, 0, l->pool.rules[BEGIN]);
	if (l->f.nr_nodes > 1) {
		EXPECT_EQ(-EAGAIN, bf_forest_update(&l->before.in, &l->f, &l->c.in, &b, &out));
		EXPECT_EQ(NULL, out.nodes);
	}
	memcpy(bits, l->c.in.bits, sizeof(bits));
	bits[CHAIN_SPORT] = 0xff;
	l->c.in.bits = bits;
	EXPECT_EQ(-EAGAIN, bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &out));
	l->c.in.bits = l->before.in.bits;
	for (i = 0; i < 16; i++)
		insert(l, BEGIN / 2, l->pool.rules[BEGIN + i]);
	EXPECT_EQ(-EAGAIN, bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &out));
}

/* Each allocation fails once. */
TEST_F(update, no_memory)
{
	struct life *l = self->l;
	struct bf_forest out;
	unsigned int n;
	int err;

	remember(l);
	delete (l, BEGIN / 2);
	insert(l, BEGIN / 2, l->pool.rules[BEGIN + 1]);
	for (n = 1;; n++) {
		faults_arm(FAULT_MEMORY, n);
		err = bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &out);
		if (!faults_disarm())
			break;
		if (err)
			EXPECT_EQ(NULL, out.nodes);
		bf_forest_free(&out);
	}
	EXPECT_LT(2, n);
	if (!err)
		EXPECT_EQ(0, differences(l, &out, 200));
	bf_forest_free(&out);
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

/* --- nodes that several values lead to ------------------------------------------------------ */

#define WIDE 40

/* What a rule of the shared chain may ask; @wide: nothing that its tree looks at */
static struct bf_tree_rule throw_rule(struct dice *d, struct bf_tree_test *tests, uint32_t *nr,
				      bool wide)
{
	struct bf_tree_rule rule = {.first = *nr, .prunes = chance(d, 70)};
	uint32_t lo = roll(d, 256), kind = roll(d, 4);

	if (wide || chance(d, 30))
		tests[(*nr)++] = (struct bf_tree_test){CHAIN_SPORT, false, 0xff, roll(d, 4)};
	if (!wide && kind == 0)
		tests[(*nr)++] = (struct bf_tree_test){CHAIN_PROTO, false, 0xff, lo};
	else if (!wide && kind == 1)
		tests[(*nr)++] = (struct bf_tree_test){CHAIN_PROTO, false, 0xf0, lo & 0xf0};
	else if (!wide && kind == 2)
		tests[(*nr)++] = (struct bf_tree_test){CHAIN_PROTO, true, lo, lo + roll(d, 60)};
	rule.nr = *nr - rule.first;
	return rule;
}

/* By the low half of the protocol, which makes no difference, then by its high half: all to one list. */
static void shared_forest(const struct chain *c, struct bf_forest *f)
{
	uint32_t n = c->in.nr_rules, i;

	*f = (struct bf_forest){.nr_nodes = 1 + 16 + 16, .nr_items = n, .nr_roots = 1, .depth = 2};
	f->nodes = calloc(f->nr_nodes, sizeof(*f->nodes));
	f->lists = calloc(n, sizeof(*f->lists));
	for (i = 0; i < n; i++)
		f->lists[i] = i;
	f->nodes[0] = 28ULL << 48 | 28ULL << 40 | (uint64_t)CHAIN_PROTO << 32 | 1;
	for (i = 0; i < 16; i++) {
		f->nodes[1 + i] = 28ULL << 48 | 24ULL << 40 | (uint64_t)CHAIN_PROTO << 32 | 17;
		f->nodes[17 + i] = BF_NODE_LEAF;
	}
	f->longest = n;
	f->built.cost = 1e6F;
	f->built.longest = n;
	f->built.items = 100 * n;
	f->built.nodes = 100 * f->nr_nodes;
}

static unsigned int differ_anywhere(struct life *l)
{
	uint32_t key[CHAIN_FIELDS] = {0};
	unsigned int differ = 0;

	for (key[CHAIN_PROTO] = 0; key[CHAIN_PROTO] < 256; key[CHAIN_PROTO]++)
		for (key[CHAIN_SPORT] = 0; key[CHAIN_SPORT] < 5; key[CHAIN_SPORT]++)
			differ += !agree(l, &l->f, key);
	return differ;
}

static void change_shared(struct life *l, struct bf_tree_test *tests, uint32_t *nr)
{
	uint32_t at = roll(&l->d, l->c.in.nr_rules - 3), some = 1 + roll(&l->d, 2);

	remember(l);
	while (some--) {
		if (chance(&l->d, 60))
			insert(l, at, throw_rule(&l->d, tests, nr, false));
		else
			delete (l, at);
	}
}

TEST(shared)
{
	static struct life life;
	struct bf_tree_test tests[8 * WIDE];
	struct life *l = &life;
	struct bf_forest next;
	uint32_t round, nr, i, updates = 0;

	l->d.state = 5;
	begin(l, CHAIN_ACL, WIDE);
	l->budget.tree_ns = 0;
	l->budget.work = 1 << 30;
	l->c.tests = tests;
	l->c.in.tests = l->before.in.tests = tests;
	for (round = 0; round < 1500; round++) {
		nr = 0;
		/* The first two look at all, so that the chain has these fields, with bounds. */
		tests[nr++] = (struct bf_tree_test){CHAIN_PROTO, true, 250, 251};
		tests[nr++] = (struct bf_tree_test){CHAIN_SPORT, true, 1, 0xffff};
		for (i = 0; i + 1 < WIDE; i++)
			l->now[i] = throw_rule(&l->d, tests, &nr, true);
		l->now[0] = (struct bf_tree_rule){.nr = 2};
		l->now[WIDE - 1] = (struct bf_tree_rule){.first = nr, .prunes = true};
		l->c.in.nr_rules = WIDE;
		shared_forest(&l->c, &l->f);
		ASSERT_EQ(0, differ_anywhere(l));
		for (i = 0; i < 4; i++) {
			change_shared(l, tests, &nr);
			if (bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &next))
				break;
			updates++;
			bf_forest_free(&l->f);
			l->f = next;
			ASSERT_EQ(0, differ_anywhere(l)) TH_LOG("round %u, change %u", round, i);
		}
		bf_forest_free(&l->f);
	}
	printf("# %u updates\n", updates);
	EXPECT_LT(3000U, updates);
	chain_free(&l->pool);
}

/* --- a range whose upper bits all keys of the rules share ---------------------------------------- */

#define PORTS 64

static bool agrees_at_ports(struct life *l)
{
	uint32_t key[CHAIN_FIELDS] = {[CHAIN_PROTO] = 6};
	bool agrees = true;

	for (key[CHAIN_SADDR] = 1; key[CHAIN_SADDR] < 5; key[CHAIN_SADDR]++)
		for (key[CHAIN_DPORT] = 7990; key[CHAIN_DPORT] < 8080; key[CHAIN_DPORT]++)
			agrees &= agree(l, &l->f, key);
	return agrees;
}

/*
 * Rules that prune whatever the port is hide the range in leaves that it does not get to. When they have gone, and then
 * the range, it must not be left behind in one of them.
 */
TEST(a_range_that_goes)
{
	static const uint32_t gone[] = {0, 1, 0};
	struct bf_tree_test tests[PORTS + 4];
	static struct life life;
	struct life *l = &life;
	struct bf_forest next;
	uint32_t nr = 0, i, updates = 0;
	int err;

	l->d.state = 1;
	begin(l, CHAIN_ACL, WIDE);
	l->c.tests = tests;
	l->c.in.tests = l->before.in.tests = tests;
	for (i = 0; i < 2; i++, nr++) {
		tests[nr] = (struct bf_tree_test){CHAIN_SADDR, false, UINT32_MAX, 1 + i};
		l->now[nr] = (struct bf_tree_rule){.first = nr, .nr = 1, .prunes = true};
	}
	tests[nr] = (struct bf_tree_test){CHAIN_DPORT, true, 8010, 8024};
	l->now[nr] = (struct bf_tree_rule){.first = nr, .nr = 1, .prunes = true};
	nr++;
	for (i = 0; i < PORTS; i++, nr++) {
		tests[nr] = (struct bf_tree_test){CHAIN_DPORT, false, 0xffff, 8000 + i};
		l->now[nr] = (struct bf_tree_rule){.first = nr, .nr = 1, .prunes = true};
	}
	/* So that bounds on ports stay. */
	tests[nr] = (struct bf_tree_test){CHAIN_DPORT, true, 8061, 8062};
	l->now[nr] = (struct bf_tree_rule){.first = nr, .nr = 1, .prunes = true};
	nr++;
	l->now[nr] = (struct bf_tree_rule){.first = nr, .prunes = true};
	l->c.in.nr_rules = nr + 1;
	l->budget = bf_tree_budget_of(nr + 1, ITEM_BYTES);
	l->budget.work = 1 << 30;
	ASSERT_EQ(0, bf_forest_build(&l->c.in, &l->budget, &l->f));
	/* However large that makes the lists. */
	l->f.built.items *= 100;
	l->f.built.longest *= 100;
	l->f.built.cost *= 100;
	ASSERT_TRUE(agrees_at_ports(l));
	for (i = 0; i < ARRAY_SIZE(gone); i++) {
		remember(l);
		delete (l, gone[i]);
		err = bf_forest_update(&l->before.in, &l->f, &l->c.in, &l->budget, &next);
		updates += !err;
		if (err)
			ASSERT_EQ(0, bf_forest_build(&l->c.in, &l->budget, &next));
		bf_forest_free(&l->f);
		l->f = next;
		EXPECT_TRUE(agrees_at_ports(l)) TH_LOG("change %u", i);
	}
	printf("# %u of %zu are updates\n", updates, ARRAY_SIZE(gone));
	EXPECT_LT(0U, updates);
	bf_forest_free(&l->f);
	chain_free(&l->pool);
}

TEST_HARNESS_MAIN
