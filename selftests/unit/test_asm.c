// SPDX-License-Identifier: GPL-2.0
/* The assembler: labels, functions, the removal of dead code, and its errors. */
#include "asm.h"

#include <errno.h>
#include <stdlib.h>

#include "kselftest_harness.h"

/* The assembler's arrays grow by this one: it fails when the count-down reaches zero. */
static int fail_at;

void *reallocarray(void *array, size_t nr, size_t size)
{
	if (fail_at && !--fail_at) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(array, nr * size);
}

static const struct bf_kernel kernel = {.skb_cb = 40, .id_sk_buff = 7, .kfunc_rdonly_cast = 8};

FIXTURE(asm_)
{
	struct bf_asm a;
};

FIXTURE_SETUP(asm_)
{
	bf_asm_init(&self->a, &kernel);
}

FIXTURE_TEARDOWN(asm_)
{
	bf_asm_free(&self->a);
	EXPECT_EQ(NULL, self->a.insns);
}

#define A	(&self->a)
#define INSN(i) (self->a.insns[i])
#define SRC(i)	((int)self->a.insns[i].src_reg)

/* Any instruction, told from others by its number. */
static void filler(struct bf_asm *a, int n)
{
	bf_movi(a, BPF_REG_0, n);
}

TEST_F(asm_, an_empty_program)
{
	EXPECT_EQ(0, bf_asm_finish(A));
	EXPECT_EQ(0U, A->nr_insns);
}

TEST_F(asm_, labels_lead_forward_and_backward)
{
	int end = bf_asm_label(A), again = bf_asm_label(A);

	bf_jifi(A, BPF_JEQ, BPF_REG_1, 5, end); /* 0 */
	bf_asm_here(A, again);
	filler(A, 1);					     /* 1 */
	bf_jif(A, BPF_JGT, BPF_REG_1, BPF_REG_2, again);     /* 2 */
	bf_jif32i(A, BPF_JNE, BPF_REG_3, 0x80000000, again); /* 3 */
	bf_jif32(A, BPF_JLE, BPF_REG_3, BPF_REG_4, end);     /* 4 */
	filler(A, 2);					     /* 5 */
	bf_asm_here(A, end);
	bf_exit(A); /* 6 */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(7U, A->nr_insns);
	EXPECT_EQ(5, INSN(0).off);
	EXPECT_EQ(5, INSN(0).imm);
	EXPECT_EQ(BPF_JMP | BPF_JEQ | BPF_K, INSN(0).code);
	EXPECT_EQ(-2, INSN(2).off);
	EXPECT_EQ(BPF_JMP | BPF_JGT | BPF_X, INSN(2).code);
	EXPECT_EQ((int)BPF_REG_2, SRC(2));
	EXPECT_EQ(-3, INSN(3).off);
	EXPECT_EQ(INT32_MIN, INSN(3).imm);
	EXPECT_EQ(BPF_JMP32 | BPF_JNE | BPF_K, INSN(3).code);
	EXPECT_EQ(1, INSN(4).off);
	EXPECT_EQ(BPF_JMP32 | BPF_JLE | BPF_X, INSN(4).code);
}

TEST_F(asm_, a_jump_to_the_next_instruction_and_to_itself)
{
	int next = bf_asm_label(A), self_ = bf_asm_label(A);

	bf_jmp(A, next);
	bf_asm_here(A, next);
	bf_asm_here(A, self_);
	bf_jmp(A, self_);
	ASSERT_EQ(0, bf_asm_finish(A));
	EXPECT_EQ(0, INSN(0).off);
	EXPECT_EQ(-1, INSN(1).off);
}

TEST_F(asm_, two_labels_at_one_place)
{
	int x = bf_asm_label(A), y = bf_asm_label(A);

	bf_jifi(A, BPF_JEQ, BPF_REG_1, 0, x);
	bf_jifi(A, BPF_JEQ, BPF_REG_1, 1, y);
	filler(A, 1);
	bf_asm_here(A, x);
	bf_asm_here(A, y);
	bf_exit(A);
	ASSERT_EQ(0, bf_asm_finish(A));
	EXPECT_EQ(2, INSN(0).off);
	EXPECT_EQ(1, INSN(1).off);
}

TEST_F(asm_, calls_and_addresses_of_functions)
{
	int f = bf_asm_label(A), g = bf_asm_label(A);

	bf_call(A, f);			   /* 0 */
	bf_function_addr(A, BPF_REG_2, g); /* 1, 2 */
	bf_exit(A);			   /* 3 */
	bf_function(A, f);
	bf_call(A, g); /* 4 */
	bf_exit(A);    /* 5 */
	bf_function(A, g);
	filler(A, 1); /* 6 */
	bf_exit(A);   /* 7 */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(2U, A->nr_functions);
	EXPECT_EQ(4U, A->functions[0]);
	EXPECT_EQ(6U, A->functions[1]);
	EXPECT_EQ(BPF_PSEUDO_CALL, SRC(0));
	EXPECT_EQ(3, INSN(0).imm);
	EXPECT_EQ(0, INSN(0).off);
	EXPECT_EQ(BPF_PSEUDO_FUNC, SRC(1));
	EXPECT_EQ(4, INSN(1).imm);
	EXPECT_EQ(1, INSN(4).imm);
}

TEST_F(asm_, calls_of_the_kernel_are_no_labels)
{
	bf_helper(A, BPF_FUNC_jiffies64);
	bf_kfunc(A, 4711);
	bf_map(A, BPF_REG_1, 3);
	bf_ld_imm64(A, BPF_REG_2, 0x123456789abcdef0);
	bf_exit(A);
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(7U, A->nr_insns);
	EXPECT_EQ(0, SRC(0));
	EXPECT_EQ(BPF_FUNC_jiffies64, INSN(0).imm);
	EXPECT_EQ(BPF_PSEUDO_KFUNC_CALL, SRC(1));
	EXPECT_EQ(4711, INSN(1).imm);
	EXPECT_EQ(BPF_PSEUDO_MAP_FD, SRC(2));
	EXPECT_EQ(3, INSN(2).imm);
	EXPECT_EQ((int)0x9abcdef0, INSN(4).imm);
	EXPECT_EQ(0x12345678, INSN(5).imm);
}

TEST_F(asm_, dead_code_goes)
{
	int end = bf_asm_label(A), dead = bf_asm_label(A);

	filler(A, 1);	/* 0 */
	bf_jmp(A, end); /* 1 */
	filler(A, 2);	/* gone */
	bf_asm_here(A, dead);
	bf_ld_imm64(A, BPF_REG_1, 1);		/* gone, both halves */
	bf_jifi(A, BPF_JEQ, BPF_REG_1, 0, end); /* gone, with its reference */
	bf_jmp(A, dead);			/* gone */
	bf_asm_here(A, end);
	filler(A, 3); /* 2 */
	bf_exit(A);   /* 3 */
	filler(A, 4); /* gone */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(4U, A->nr_insns);
	EXPECT_EQ(1, INSN(0).imm);
	EXPECT_EQ(0, INSN(1).off);
	EXPECT_EQ(3, INSN(2).imm);
	EXPECT_EQ(BPF_JMP | BPF_EXIT, INSN(3).code);
}

TEST_F(asm_, jumps_over_dead_code_become_shorter)
{
	int start = bf_asm_label(A), over = bf_asm_label(A), end = bf_asm_label(A);

	bf_asm_here(A, start);
	bf_jifi(A, BPF_JEQ, BPF_REG_1, 0, over); /* 0 */
	bf_ld_imm64(A, BPF_REG_1, 1);		 /* 1, 2: stay together */
	bf_jmp(A, end);				 /* 3 */
	filler(A, 1);				 /* gone */
	bf_ld_imm64(A, BPF_REG_1, 2);		 /* gone */
	bf_asm_here(A, over);
	bf_jifi(A, BPF_JNE, BPF_REG_1, 0, start); /* 4 */
	bf_asm_here(A, end);
	bf_exit(A); /* 5 */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(6U, A->nr_insns);
	EXPECT_EQ(3, INSN(0).off);
	EXPECT_EQ(1, INSN(1).imm);
	EXPECT_EQ(0, INSN(2).code);
	EXPECT_EQ(1, INSN(3).off);
	EXPECT_EQ(-5, INSN(4).off);
}

TEST_F(asm_, functions_move_with_the_code_before_them)
{
	int f = bf_asm_label(A), g = bf_asm_label(A), dead = bf_asm_label(A);

	bf_call(A, g);			   /* 0 */
	bf_function_addr(A, BPF_REG_2, f); /* 1, 2 */
	bf_exit(A);			   /* 3 */
	filler(A, 1);			   /* gone */
	filler(A, 2);			   /* gone */
	bf_function(A, f);
	bf_exit(A); /* 4 */
	bf_asm_here(A, dead);
	bf_jmp(A, dead); /* gone */
	bf_function(A, g);
	filler(A, 3); /* 5 */
	bf_exit(A);   /* 6 */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(7U, A->nr_insns);
	EXPECT_EQ(4, INSN(0).imm);
	EXPECT_EQ(2, INSN(1).imm);
	ASSERT_EQ(2U, A->nr_functions);
	EXPECT_EQ(4U, A->functions[0]);
	EXPECT_EQ(5U, A->functions[1]);
}

/* The verifier refuses a function that nobody calls, as it does other dead code. */
TEST_F(asm_, functions_that_nobody_calls_go)
{
	int f = bf_asm_label(A), g = bf_asm_label(A), h = bf_asm_label(A);

	bf_call(A, h); /* 0 */
	bf_exit(A);    /* 1 */
	bf_function(A, f);
	bf_call(A, g); /* gone: only f, which is dead, calls g */
	bf_exit(A);    /* gone */
	bf_function(A, g);
	bf_exit(A); /* gone */
	bf_function(A, h);
	filler(A, 1); /* 2 */
	bf_exit(A);   /* 3 */
	ASSERT_EQ(0, bf_asm_finish(A));
	ASSERT_EQ(4U, A->nr_insns);
	ASSERT_EQ(1U, A->nr_functions);
	EXPECT_EQ(2U, A->functions[0]);
	EXPECT_EQ(1, INSN(0).imm);
	EXPECT_EQ(1, INSN(2).imm);
}

/* A jump over @n instructions that are all live. */
static int jump_over(struct bf_asm *a, int n, bool backward)
{
	int label = bf_asm_label(a), i;

	if (backward)
		bf_asm_here(a, label);
	else
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, label);
	for (i = 0; i < n; i++)
		filler(a, i);
	if (backward)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, label);
	else
		bf_asm_here(a, label);
	bf_exit(a);
	return bf_asm_finish(a);
}

TEST_F(asm_, the_longest_jump_forward)
{
	EXPECT_EQ(0, jump_over(A, 32767, false));
	EXPECT_EQ(32767, INSN(0).off);
}

TEST_F(asm_, a_jump_too_far_forward)
{
	EXPECT_EQ(-ERANGE, jump_over(A, 32768, false));
}

TEST_F(asm_, the_longest_jump_backward)
{
	EXPECT_EQ(0, jump_over(A, 32767, true));
	EXPECT_EQ(-32768, INSN(32767).off);
}

TEST_F(asm_, a_jump_too_far_backward)
{
	EXPECT_EQ(-ERANGE, jump_over(A, 32768, true));
}

TEST_F(asm_, calls_reach_any_distance)
{
	int f = bf_asm_label(A), i;

	bf_call(A, f);
	for (i = 0; i < 40000; i++)
		filler(A, i);
	bf_exit(A);
	bf_function(A, f);
	bf_exit(A);
	ASSERT_EQ(0, bf_asm_finish(A));
	EXPECT_EQ(40001, INSN(0).imm);
}

TEST_F(asm_, a_label_that_was_never_placed)
{
	int label = bf_asm_label(A), unused = bf_asm_label(A);

	(void)unused;
	bf_jmp(A, label);
	EXPECT_EQ(-EINVAL, bf_asm_finish(A));
}

TEST_F(asm_, too_many_functions)
{
	unsigned int i;

	for (i = 0; i <= ARRAY_SIZE(A->functions); i++) {
		int f = bf_asm_label(A);

		EXPECT_EQ(0, A->error);
		bf_function(A, f);
		bf_exit(A);
	}
	EXPECT_EQ(-E2BIG, A->error);
	EXPECT_EQ(-E2BIG, bf_asm_finish(A));
}

/* After the first error nothing happens any more, and the first one is what is told. */
TEST_F(asm_, errors_stick)
{
	int label = bf_asm_label(A);
	uint32_t n;

	filler(A, 0);
	n = A->nr_insns;
	A->error = -ENOMEM;
	filler(A, 1);
	bf_ld_imm64(A, BPF_REG_1, 1);
	bf_jmp(A, label);
	bf_asm_here(A, bf_asm_label(A));
	bf_function(A, label);
	bf_exit(A);
	EXPECT_EQ(n, A->nr_insns);
	EXPECT_EQ(0U, A->nr_refs);
	EXPECT_EQ(0U, A->nr_functions);
	EXPECT_EQ(-ENOMEM, bf_asm_finish(A));
}

/* A program that needs each array several times as large as the first allocation. */
static int large_program(struct bf_asm *a)
{
	int i;

	for (i = 0; i < 300; i++) {
		int label = bf_asm_label(a);

		bf_jifi(a, BPF_JEQ, BPF_REG_1, i, label);
		filler(a, i);
		bf_asm_here(a, label);
	}
	bf_exit(a);
	return bf_asm_finish(a);
}

TEST(each_allocation_may_fail)
{
	struct bf_asm a;
	int n = 0, err;

	do {
		bf_asm_init(&a, &kernel);
		fail_at = ++n;
		err = large_program(&a);
		if (err)
			EXPECT_EQ(-ENOMEM, err);
		if (fail_at)
			EXPECT_EQ(0, err);
		bf_asm_free(&a);
	} while (!fail_at);
	fail_at = 0;
	/* doubling from 64 to at least 601, 300 and 300 elements */
	EXPECT_EQ(5 + 4 + 4, n - 1);
}

TEST_HARNESS_MAIN
