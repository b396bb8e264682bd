// SPDX-License-Identifier: GPL-2.0
/*
 * The intermediate form: what each operation means, what is folded away, and running out of
 * memory at every allocation.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "ir.h"
#include "kselftest_harness.h"

/* The n-th call from now fails, if that is not 0. */
static unsigned int fail_at;

void *realloc(void *old, size_t size)
{
	static void *(*next)(void *old, size_t size);

	if (!next)
		next = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	if (fail_at && !--fail_at)
		return NULL;
	return next(old, size);
}

static int answer(void *arg, const struct bf_cond *cond)
{
	(void)cond;
	return *(int *)arg;
}

FIXTURE(ir)
{
	struct bf_rule r;
	uint32_t key[BF_NR_FIELDS];
	int cond;
};

FIXTURE_SETUP(ir)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(ir)
{
	bf_rule_free(&self->r);
	fail_at = 0;
}

#define EVAL() ((int)bf_rule_eval(&self->r, self->key, answer, &self->cond))

/* The rule's answer when the mark has this value. */
#define MARK(value) (self->key[BF_MARK] = (value), EVAL())

TEST_F(ir, a_rule_without_branches_matches)
{
	EXPECT_EQ(BF_MATCH, EVAL());
}

TEST_F(ir, eq_compares_under_the_mask)
{
	bf_eq(&self->r, BF_MARK, 0xff00, 0x1200, false, BF_TO_NEXT);
	EXPECT_EQ(BF_MATCH, MARK(0x1200));
	EXPECT_EQ(BF_MATCH, MARK(0xabcd12ff));
	EXPECT_EQ(BF_NO_MATCH, MARK(0x1300));
	EXPECT_EQ(BF_NO_MATCH, MARK(0));
}

TEST_F(ir, eq_inverted)
{
	bf_eq(&self->r, BF_MARK, 0xff00, 0x1200, true, BF_TO_DROP);
	EXPECT_EQ(BF_HOTDROP, MARK(0x12ff));
	EXPECT_EQ(BF_MATCH, MARK(0x1300));
}

TEST_F(ir, eq_that_always_holds_is_nothing)
{
	bf_eq(&self->r, BF_MARK, 0, 0, false, BF_TO_NEXT);
	bf_eq(&self->r, BF_MARK, 0xff, 0x100, true, BF_TO_NEXT);
	bf_eq(&self->r, BF_MARK, 0, 1, true, BF_TO_NEXT);
	EXPECT_EQ(0U, self->r.nr_ops);
}

TEST_F(ir, eq_that_never_holds_is_never)
{
	static const struct {
		uint32_t mask, value;
		bool invert;
	} never[] = {{0, 0, true}, {0xff, 0x100, false}, {0, 1, false}};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(never); i++) {
		bf_rule_reset(&self->r);
		bf_eq(&self->r, BF_MARK, never[i].mask, never[i].value, never[i].invert,
		      BF_TO_NEXT);
		ASSERT_EQ(1U, self->r.nr_ops);
		EXPECT_EQ(0U, self->r.ops[0].a);
		EXPECT_EQ(1U, self->r.ops[0].b);
		EXPECT_EQ(BF_NO_MATCH, MARK(0));
		EXPECT_EQ(BF_NO_MATCH, MARK(UINT32_MAX));
	}
}

TEST_F(ir, range_has_both_its_ends)
{
	bf_range(&self->r, BF_MARK, 5, 9, false, BF_TO_NEXT);
	EXPECT_EQ(BF_NO_MATCH, MARK(4));
	EXPECT_EQ(BF_MATCH, MARK(5));
	EXPECT_EQ(BF_MATCH, MARK(9));
	EXPECT_EQ(BF_NO_MATCH, MARK(10));
	EXPECT_EQ(BF_NO_MATCH, MARK(UINT32_MAX));
}

TEST_F(ir, range_inverted)
{
	bf_range(&self->r, BF_MARK, 5, 9, true, BF_TO_NEXT);
	EXPECT_EQ(BF_MATCH, MARK(4));
	EXPECT_EQ(BF_NO_MATCH, MARK(5));
	EXPECT_EQ(BF_NO_MATCH, MARK(9));
	EXPECT_EQ(BF_MATCH, MARK(10));
}

TEST_F(ir, range_that_is_a_prefix_is_eq)
{
	bf_range(&self->r, BF_MARK, 0x300, 0x3ff, false, BF_TO_NEXT);
	bf_range(&self->r, BF_MARK, 0x380, 0x380, true, BF_TO_NEXT);
	ASSERT_EQ(2U, self->r.nr_ops);
	EXPECT_EQ(BF_OP_EQ, self->r.ops[0].code);
	EXPECT_EQ(0xffffff00, self->r.ops[0].a);
	EXPECT_EQ(BF_OP_EQ, self->r.ops[1].code);
	EXPECT_EQ(UINT32_MAX, self->r.ops[1].a);
	EXPECT_EQ(BF_NO_MATCH, MARK(0x2ff));
	EXPECT_EQ(BF_MATCH, MARK(0x300));
	EXPECT_EQ(BF_NO_MATCH, MARK(0x380));
	EXPECT_EQ(BF_MATCH, MARK(0x3ff));
	EXPECT_EQ(BF_NO_MATCH, MARK(0x400));
}

TEST_F(ir, range_of_a_power_of_two_that_is_no_prefix)
{
	bf_range(&self->r, BF_MARK, 0x280, 0x37f, false, BF_TO_NEXT);
	EXPECT_EQ(BF_OP_RANGE, self->r.ops[0].code);
	EXPECT_EQ(BF_NO_MATCH, MARK(0x27f));
	EXPECT_EQ(BF_MATCH, MARK(0x280));
	EXPECT_EQ(BF_MATCH, MARK(0x37f));
	EXPECT_EQ(BF_NO_MATCH, MARK(0x380));
}

TEST_F(ir, range_of_everything_and_of_nothing)
{
	bf_range(&self->r, BF_MARK, 0, UINT32_MAX, false, BF_TO_NEXT);
	bf_range(&self->r, BF_MARK, 2, 1, true, BF_TO_NEXT);
	EXPECT_EQ(0U, self->r.nr_ops);
	bf_range(&self->r, BF_MARK, 2, 1, false, BF_TO_NEXT);
	EXPECT_EQ(BF_NO_MATCH, MARK(1));
	EXPECT_EQ(BF_NO_MATCH, MARK(2));
	bf_rule_reset(&self->r);
	bf_range(&self->r, BF_MARK, 0, UINT32_MAX, true, BF_TO_DROP);
	EXPECT_EQ(BF_HOTDROP, MARK(1));
}

/* mark == 1 || mark == 2, then mark's other half is 7. */
TEST_F(ir, labels_lead_forward)
{
	int either = bf_label(&self->r), end = bf_label(&self->r);

	bf_eq(&self->r, BF_MARK, 0xffff, 1, true, either);
	bf_eq(&self->r, BF_MARK, 0xffff, 2, false, BF_TO_NEXT);
	bf_label_here(&self->r, either);
	bf_eq(&self->r, BF_MARK, 0xffff0000, 0x70000, true, end);
	bf_never(&self->r, BF_TO_DROP);
	bf_label_here(&self->r, end);
	EXPECT_EQ(BF_MATCH, MARK(0x70001));
	EXPECT_EQ(BF_MATCH, MARK(0x70002));
	EXPECT_EQ(BF_NO_MATCH, MARK(0x70003));
	EXPECT_EQ(BF_HOTDROP, MARK(1));
}

static const struct bf_cond_type some_type = {.name = "some"};

TEST_F(ir, a_condition_answers_and_drops)
{
	static const int results[2][3] = {{BF_NO_MATCH, BF_MATCH, BF_HOTDROP},
					  {BF_MATCH, BF_NO_MATCH, BF_HOTDROP}};
	int invert;

	for (invert = 0; invert < 2; invert++) {
		bf_rule_reset(&self->r);
		bf_cond(&self->r, &some_type, "", 0, invert, BF_TO_NEXT);
		for (self->cond = 0; self->cond <= BF_HOTDROP; self->cond++)
			EXPECT_EQ(results[invert][self->cond], EVAL());
	}
}

TEST_F(ir, conditions_keep_their_numbers_and_state)
{
	unsigned int i;

	bf_cond(&self->r, &some_type, "abc", 3, false, BF_TO_NEXT);
	bf_rule_reset(&self->r);
	EXPECT_EQ(0U, self->r.nr_ops);
	bf_cond(&self->r, &some_type, "de", 2, false, BF_TO_NEXT);
	ASSERT_EQ(2U, self->r.nr_conds);
	EXPECT_EQ(1U, self->r.ops[0].a);
	EXPECT_EQ(0, memcmp(self->r.conds[0].state, "abc", 4));
	EXPECT_EQ(0, memcmp(self->r.conds[1].state, "de", 3));
	EXPECT_EQ(&some_type, self->r.conds[1].type);
	for (i = 3; i < BF_COND_STATE; i++)
		EXPECT_EQ(0, self->r.conds[0].state[i]);
}

/* Enough of everything that each array grows twice. */
static void build_much(struct bf_rule *r)
{
	int i;

	for (i = 0; i < 40; i++) {
		int label = bf_label(r);

		bf_cond(r, &some_type, &i, sizeof(i), false, label);
		bf_eq(r, BF_MARK, 1, i & 1, false, BF_TO_NEXT);
		bf_label_here(r, label);
	}
}

TEST_F(ir, grows)
{
	build_much(&self->r);
	ASSERT_EQ(0, self->r.error);
	ASSERT_EQ(80U, self->r.nr_ops);
	ASSERT_EQ(40U, self->r.nr_conds);
	EXPECT_EQ(39, *(int *)self->r.conds[39].state);
	EXPECT_EQ(80U, self->r.labels[39]);
	EXPECT_EQ(78U, self->r.ops[78].a * 2);
}

TEST_F(ir, every_allocation_may_fail)
{
	unsigned int n, failures = 0;

	for (n = 1;; n++) {
		struct bf_rule r = {};

		fail_at = n;
		build_much(&r);
		if (!r.error)
			break;
		fail_at = 0;
		EXPECT_EQ(-ENOMEM, r.error);
		failures++;
		/* The first error stays, and what comes later does nothing. */
		bf_rule_reset(&r);
		build_much(&r);
		EXPECT_EQ(-ENOMEM, r.error);
		EXPECT_EQ(0U, r.nr_ops);
		bf_rule_free(&r);
		EXPECT_EQ(0, r.error);
	}
	fail_at = 0;
	/* Three arrays: 16, 32, 64 and for the operations 128. */
	EXPECT_EQ(10U, failures);
}

TEST_F(ir, every_field_has_a_name_of_its_own)
{
	int i, j;

	for (i = 0; i < BF_NR_FIELDS; i++) {
		EXPECT_STRNE("?", bf_field_name(i));
		for (j = 0; j < i; j++)
			EXPECT_STRNE(bf_field_name(j), bf_field_name(i));
	}
	EXPECT_STREQ("?", bf_field_name(BF_NR_FIELDS));
	EXPECT_STREQ("out[3]", bf_field_name(BF_OIF + 3));
}

TEST_HARNESS_MAIN
