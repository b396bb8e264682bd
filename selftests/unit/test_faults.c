// SPDX-License-Identifier: GPL-2.0
/*
 * Every operation on a filter, again and again with the n-th allocation failing, then with the
 * n-th call of the kernel failing, until it succeeds because nothing failed. After each: the
 * table in force is the one before, or the new one, in one place; no descriptor and no memory is
 * left behind; the next attempt works.
 */
#include "faults.h"
#include "life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "pins.h"

/* Of the address sanitizer; absent in other builds. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Seconds; each attempt waits several times for the kernel, which may have much else to do. */
#define TIMEOUT 900

FIXTURE(faults)
{
	struct life l;
	struct blob pass, drop, foreign, stateful, large, large_drop, asking;
};

FIXTURE_VARIANT(faults)
{
	enum life_hooks hooks;
};

#ifdef AT_INTERFACES
FIXTURE_VARIANT_ADD(faults, interfaces){
	.hooks = INTERFACES,
};
#else
FIXTURE_VARIANT_ADD(faults, links){
	.hooks = LINKS,
};

FIXTURE_VARIANT_ADD(faults, links_and_module){
	.hooks = LINKS_AND_MODULE,
};

FIXTURE_VARIANT_ADD(faults, module){
	.hooks = MODULE,
};
#endif

FIXTURE_SETUP(faults)
{
	int err = life_begin(&self->l, variant->hooks);

	memset(&self->pass, 0, 7 * sizeof(self->pass));
	if (err == 1)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s %s", self->l.s.why, self->l.why.text);
	/* What goes wrong here is meant to: only the test has something to say. */
	freopen("/dev/null", "w", stderr);
	table_make(&self->pass, PLAIN, BLOB_NEXT);
	table_make(&self->drop, PLAIN, BLOB_DROP);
	table_make(&self->foreign, FOREIGN, BLOB_NEXT);
	table_make(&self->stateful, STATEFUL, BLOB_NEXT);
	table_make(&self->large, LARGE, BLOB_NEXT);
	table_make(&self->large_drop, LARGE, BLOB_DROP);
	table_make(&self->asking, ASKING, BLOB_ACCEPT);
}

FIXTURE_TEARDOWN(faults)
{
	life_end(&self->l);
	blob_free(&self->pass);
	blob_free(&self->drop);
	blob_free(&self->foreign);
	blob_free(&self->stateful);
	blob_free(&self->large);
	blob_free(&self->large_drop);
	blob_free(&self->asking);
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

static uint32_t program(struct life *l)
{
	struct bf_filter_status status;

	life_status(l, &status);
	return status.prog_ids[1];
}

/**
 * struct operation - something to be done while something fails
 * @run: 0 or -errno
 * @before: the state that it starts from
 * @after: the states that success may mean; where there are two, the second only if something
 * failed
 * @spare: there is a program that nothing runs any more, whose maps can take the table; and if nothing
 * fails, they do
 */
struct operation {
	const char *name;
	int (*run)(struct life *l, struct blob *table);
	struct state before, after[2];
	bool spare;
};

static void show(const struct operation *op, unsigned int n, const char *failed, int err,
		 const char *text)
{
	printf("# %s: call %u of its kind, %s, failed (%d): %s\n", op->name, n, failed ?: "none",
	       err, text);
}

static bool reused(struct life *l)
{
	struct bf_filter_status status;

	life_status(l, &status);
	return status.reused;
}

/*
 * The state before, which has as many descriptors whenever it is reached: this many, besides those of a
 * program that is kept. Or 0.
 */
static unsigned int prepare(struct life *l, const struct operation *op)
{
	unsigned int descriptors;

	if (!life_is(l, &op->before) && !life_set(l, &op->before))
		return 0;
	bf_filter_tidy(l->f, 0);
	descriptors = open_descriptors();
	/* One that is loaded in place of this one is like it. */
	if (op->spare && (!life_set(l, &op->before) || !life_set(l, &op->before)))
		return 0;
	return descriptors;
}

/* What success means: if something failed, its place may be another one, and what is done besides may be missing. */
static bool is_after(struct life *l, const struct operation *op, bool failed)
{
	unsigned int i;

	for (i = 0; i < (failed ? ARRAY_SIZE(op->after) : 1) && op->after[i].table; i++)
		if (life_is(l, &op->after[i]) ||
		    (failed && l->hooks == INTERFACES && life_is_at_links(l, &op->after[i])))
			return true;
	return false;
}

/*
 * One attempt, in which call @n fails. 1: nothing failed; 0: something did; -1: something is
 * wrong.
 */
static int attempt(struct life *l, const struct operation *op, unsigned int kind, unsigned int n,
		   unsigned int descriptors)
{
	uint32_t id = program(l);
	const char *failed;
	int err;

	life_prefer(l, op->after[0].at_module);
	faults_arm(kind, n);
	err = op->run(l, op->after[0].table);
	failed = faults_disarm();
	if (err > 0 || err < -4095 || (err && !failed)) {
		show(op, n, failed, err, "not an error code, or out of nothing");
		return -1;
	}
	if (!err && !failed && reused(l) != op->spare) {
		show(op, n, failed, err, "another program than expected");
		return -1;
	}
	if (!err) {
		if (is_after(l, op, failed))
			return !failed;
		show(op, n, failed, err, "not what success means");
		return -1;
	}
	/* By way of links. */
	if (l->hooks == INTERFACES && life_is_at_links(l, &op->before))
		return 0;
	if (!life_is(l, &op->before) || program(l) != id) {
		show(op, n, failed, err, "the table in force is not what it was");
		return -1;
	}
	bf_filter_tidy(l->f, 0);
	if (open_descriptors() != descriptors) {
		show(op, n, failed, err, "descriptors are left");
		return -1;
	}
	return 0;
}

/* All attempts; false if something is wrong. */
static bool hold_against(struct life *l, const struct operation *op, unsigned int kind)
{
	unsigned int n, descriptors, first = 0, errors = 0, tolerated = 0;
	int result;

	for (n = 1;; n++) {
		descriptors = prepare(l, op);
		if (!descriptors) {
			show(op, n, NULL, 0, "cannot go back to the state before");
			return false;
		}
		if (first && descriptors != first) {
			show(op, n, NULL, 0,
			     "descriptors were left behind by an attempt that succeeded");
			return false;
		}
		first = descriptors;
		result = attempt(l, op, kind, n, descriptors);
		if (result < 0)
			return false;
		if (life_is(l, &op->before))
			errors++;
		else
			tolerated++;
		if (result)
			break;
	}
	printf("# %s: %u %s; %u errors, %u successes\n", op->name, n - 1,
	       kind == FAULT_MEMORY ? "allocations" : "calls", errors, tolerated);
	return life_set(l, &op->before);
}

static bool survives(struct life *l, const struct operation *op)
{
	/* Once in each state: whatever is opened when it is first needed is open from then on. */
	if (!life_set(l, &op->before))
		return false;
	life_prefer(l, op->after[0].at_module);
	if (op->run(l, op->after[0].table))
		return false;
	if (!life_set(l, &op->before))
		return false;
	return hold_against(l, op, FAULT_MEMORY) && hold_against(l, op, FAULT_CALL);
}

/* With conntrack, since what is done for it is done besides the rest. */

static int run_replace(struct life *l, struct blob *table)
{
	return life_replace(l, table, NULL);
}

static int run_detach(struct life *l, struct blob *table)
{
	(void)table;
	return bf_filter_detach(l->f, &l->why);
}

TEST_F_TIMEOUT(faults, moving_here, TIMEOUT)
{
	const struct operation op = {
		.name = "to programs",
		.run = run_replace,
		.before = {&self->drop, false, false, false},
		.after = {{&self->stateful, true, true, false},
			  {&self->stateful, false, true, false}},
	};

	EXPECT_TRUE(survives(&self->l, &op));
}

TEST_F_TIMEOUT(faults, swapping, TIMEOUT)
{
	const struct operation op = {
		.name = "swap",
		.run = run_replace,
		.before = {&self->drop, true, false, false},
		.after = {{&self->stateful, true, true, false},
			  {&self->stateful, false, true, false}},
	};

	EXPECT_TRUE(survives(&self->l, &op));
}

TEST_F_TIMEOUT(faults, going_to_the_modules_hooks, TIMEOUT)
{
	const struct operation op = {
		.name = "to the module's hooks",
		.run = run_replace,
		.before = {&self->drop, true, false, false},
		.after = {{&self->stateful, true, true, true},
			  {&self->stateful, false, true, false}},
	};

	if (variant->hooks != LINKS_AND_MODULE)
		SKIP(return, "needs both");
	EXPECT_TRUE(survives(&self->l, &op));
}

/* With functions, and everything that is made of rules too many for one allocation. */
TEST_F_TIMEOUT(faults, swapping_to_many_rules, TIMEOUT)
{
	const struct operation op = {
		.name = "swap, to many rules",
		.run = run_replace,
		.before = {&self->drop, true, false, false},
		.after = {{&self->large, true, true, false}, {&self->large, false, true, false}},
	};

	if (variant->hooks != LINKS)
		SKIP(return, "the module makes no difference");
	EXPECT_TRUE(survives(&self->l, &op));
}

/* Where it cannot be done by data alone, a program is loaded. */
TEST_F_TIMEOUT(faults, swapping_by_data_alone, TIMEOUT)
{
	const struct operation op = {
		.name = "swap, by data alone",
		.run = run_replace,
		.before = {&self->large, true, true, false},
		.after = {{&self->large_drop, true, false, false},
			  {&self->large_drop, false, false, false}},
		.spare = true,
	};

	EXPECT_TRUE(survives(&self->l, &op));
}

/* Is this table in force, in programs or, if something @failed, in ip_tables, and what packets meet? */
static bool has_table(struct life *l, struct blob *table, bool passes, bool failed)
{
	if (!life_in_force(l, table, true) && !(failed && life_in_force(l, table, false)))
		return false;
	return traffic_send(&l->t, 1) == passes;
}

/*
 * From one table to another, of which one has questions: what else these need may be left when something fails, and
 * go with the next table.
 */
static bool asks_on(struct life *l, struct blob *before, struct blob *after, bool passes,
		    unsigned int kind)
{
	const struct state start = {before, true, !passes, false};
	unsigned int n, descriptors = 0;
	const char *failed = NULL;
	int err;

	/* Whatever is opened when it is first needed is open from then on. */
	if (!life_set(l, &start) || life_replace(l, after, NULL))
		return false;
	for (n = 1;; n++) {
		if (!life_set(l, &start) || !has_table(l, before, !passes, false))
			return false;
		bf_filter_tidy(l->f, 0);
		if (n == 1)
			descriptors = open_descriptors();
		if (open_descriptors() > descriptors) {
			printf("# call %u, %s: descriptors are left\n", n - 1, failed);
			return false;
		}
		faults_arm(kind, n);
		err = life_replace(l, after, NULL);
		failed = faults_disarm();
		if (err ? !failed || !has_table(l, before, !passes, false)
			: !has_table(l, after, passes, failed)) {
			printf("# call %u, %s, failed: %d\n", n, failed ?: "none", err);
			return false;
		}
		if (!failed)
			break;
	}
	printf("# %u %s\n", n - 1, kind == FAULT_MEMORY ? "allocations" : "calls");
	return n > 20;
}

TEST_F_TIMEOUT(faults, with_questions, TIMEOUT)
{
	if (variant->hooks != LINKS)
		SKIP(return, "questions are asked behind links");
	EXPECT_TRUE(asks_on(&self->l, &self->drop, &self->asking, true, FAULT_MEMORY));
	EXPECT_TRUE(asks_on(&self->l, &self->drop, &self->asking, true, FAULT_CALL));
	EXPECT_TRUE(asks_on(&self->l, &self->asking, &self->drop, false, FAULT_MEMORY));
	EXPECT_TRUE(asks_on(&self->l, &self->asking, &self->drop, false, FAULT_CALL));
}

TEST_F_TIMEOUT(faults, with_questions_for_the_module, TIMEOUT)
{
	const struct operation to =
				       {
					       .name = "to questions",
					       .run = run_replace,
					       .before = {&self->drop, true, false, false},
					       .after = {{&self->asking, true, true, false},
							 {&self->asking, false, true, false}},
				       },
			       from = {
				       .name = "from questions",
				       .run = run_replace,
				       .before = {&self->asking, true, true, false},
				       .after = {{&self->drop, true, false, false},
						 {&self->drop, false, false, false}},
			       };

	if (variant->hooks != MODULE)
		SKIP(return, "needs it, and no links");
	EXPECT_TRUE(survives(&self->l, &to));
	EXPECT_TRUE(survives(&self->l, &from));
}

TEST_F_TIMEOUT(faults, falling_back, TIMEOUT)
{
	const struct operation op = {
		.name = "to ip_tables",
		.run = run_replace,
		.before = {&self->stateful, true, true, false},
		.after = {{&self->foreign, false, true, false}},
	};

	EXPECT_TRUE(survives(&self->l, &op));
}

TEST_F_TIMEOUT(faults, within_ip_tables, TIMEOUT)
{
	const struct operation op = {
		.name = "within ip_tables",
		.run = run_replace,
		.before = {&self->drop, false, false, false},
		.after = {{&self->foreign, false, true, false}},
	};

	if (variant->hooks != LINKS)
		SKIP(return, "the module makes no difference");
	EXPECT_TRUE(survives(&self->l, &op));
}

TEST_F_TIMEOUT(faults, detaching, TIMEOUT)
{
	const struct operation op = {
		.name = "detach",
		.run = run_detach,
		.before = {&self->drop, true, false, false},
		.after = {{&self->drop, false, false, false}},
	};

	EXPECT_TRUE(survives(&self->l, &op));
}

/* A successor comes up, or does not: the table stays in force all the same. */
static bool opening(struct life *l, const struct state *state, unsigned int kind)
{
	unsigned int n, descriptors, opened = 0;
	const char *failed;
	int err;

	for (n = 1;; n++) {
		life_close(l);
		descriptors = open_descriptors();
		faults_arm(kind, n);
		err = life_open(l);
		failed = faults_disarm();
		if (err && (!failed || err > 0 || l->f || open_descriptors() != descriptors))
			break;
		if (!life_is(l, state))
			break;
		if (err && life_open(l))
			break;
		if (!life_is(l, state))
			break;
		if (opened && open_descriptors() != opened)
			break;
		opened = open_descriptors();
		if (!failed) {
			printf("# open: %u %s\n", n - 1,
			       kind == FAULT_MEMORY ? "allocations" : "calls");
			return true;
		}
	}
	printf("# open: call %u of its kind, %s, failed (%d): %s\n", n, failed ?: "none", err,
	       l->why.text);
	return false;
}

TEST_F_TIMEOUT(faults, opening, TIMEOUT)
{
	const struct state states[] = {
		{&self->drop, true, false, false},
		{&self->stateful, true, true, false},
		{&self->drop, false, false, false},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_TRUE(life_set(&self->l, &states[i]));
		EXPECT_TRUE(opening(&self->l, &states[i], FAULT_MEMORY)) TH_LOG("state %u", i);
		EXPECT_TRUE(opening(&self->l, &states[i], FAULT_CALL)) TH_LOG("state %u", i);
	}
}

/* What a killed helper left half-way: not finished for lack of something, it is finished later. */
static bool finishing(struct life *l, const struct state *state, struct blob *kernels,
		      unsigned int kind)
{
	unsigned int n;
	const char *failed;

	for (n = 1;; n++) {
		if (bf_kernel_replace(l->sk, kernels->data, kernels->len, NULL, NULL) ||
		    life_interrupt(l))
			return false;
		faults_arm(kind, n);
		life_open(l);
		failed = faults_disarm();
		if (l->f && !life_is(l, state)) {
			printf("# interrupted move: not finished when %s, call %u, failed\n",
			       failed ?: "none", n);
			return false;
		}
		if (!l->f && life_open(l))
			return false;
		if (!life_is(l, state)) {
			printf("# interrupted move: cannot be finished after %s, call %u, failed\n",
			       failed ?: "none", n);
			return false;
		}
		if (!failed)
			return true;
	}
}

TEST_F_TIMEOUT(faults, finishing_a_move, TIMEOUT)
{
	const struct state state = {&self->drop, true, false, false};

	ASSERT_TRUE(life_set(&self->l, &state));
	EXPECT_TRUE(finishing(&self->l, &state, &self->pass, FAULT_MEMORY));
	EXPECT_TRUE(finishing(&self->l, &state, &self->pass, FAULT_CALL));
}

/* Questions and added counters. */
static int ask(struct life *l)
{
	struct {
		struct xt_counters_info info;
		struct xt_counters counters[16];
	} add = {.info.name = "filter"};
	struct bf_filter_status status;
	struct ipt_getinfo info = {};
	int err = bf_filter_info(l->f, &info);
	void *p;

	if (err)
		return err;
	p = malloc(info.size);
	err = p ? bf_filter_entries(l->f, info.size, p) : -ENOMEM;
	free(p);
	add.info.num_counters = info.num_entries;
	err = err
		      ?: bf_filter_add_counters(l->f, &add,
						sizeof(add.info) +
							info.num_entries * sizeof(*add.counters));
	if (!err) {
		err = bf_filter_status(l->f, &status);
		free(status.interfaces);
	}
	return err;
}

TEST_F_TIMEOUT(faults, asking, TIMEOUT)
{
	const struct state states[] = {{&self->drop, true, false, false},
				       {&self->drop, false, false, false}};
	unsigned int i, n, descriptors;
	const char *failed;
	int err;

	for (i = 0; i < 2 * ARRAY_SIZE(states); i++) {
		ASSERT_TRUE(life_set(&self->l, &states[i / 2]));
		ASSERT_EQ(0, ask(&self->l));
		descriptors = open_descriptors();
		for (n = 1, failed = ""; failed; n++) {
			faults_arm(i % 2 ? FAULT_CALL : FAULT_MEMORY, n);
			err = ask(&self->l);
			failed = faults_disarm();
			EXPECT_TRUE(err <= 0 && (failed || !err)) TH_LOG("%s: %d", failed, err);
			EXPECT_EQ(descriptors, open_descriptors()) TH_LOG("%s", failed);
		}
		EXPECT_TRUE(life_is(&self->l, &states[i / 2]));
	}
}

TEST_F_TIMEOUT(faults, looking_at_the_kernel, TIMEOUT)
{
	unsigned int kinds[] = {FAULT_MEMORY, FAULT_CALL}, i, n, descriptors;
	const char *failed;
	struct bf_env *env;
	int err, exit_code;

	if (variant->hooks != LINKS)
		SKIP(return, "the module makes no difference");
	ASSERT_EQ(0, bf_env_open(&env, &exit_code, &self->l.why));
	bf_env_close(env);
	descriptors = open_descriptors();
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (n = 1, failed = ""; failed; n++) {
			self->l.why.text[0] = '\0';
			faults_arm(kinds[i], n);
			err = bf_env_open(&env, &exit_code, &self->l.why);
			failed = faults_disarm();
			EXPECT_TRUE(err <= 0 && (failed || !err)) TH_LOG("%s: %d", failed, err);
			if (err) {
				EXPECT_EQ(NULL, env);
				EXPECT_NE(0, exit_code);
				EXPECT_NE('\0', self->l.why.text[0]) TH_LOG("%s", failed);
			}
			bf_env_close(env);
			EXPECT_EQ(descriptors, open_descriptors()) TH_LOG("%s", failed);
		}
}

TEST_HARNESS_MAIN
