// SPDX-License-Identifier: GPL-2.0
/*
 * The helper is killed in the middle of something, at every call that changes anything. Until a
 * successor comes up one of the two tables is in force, and then it is one of them alone. All of
 * the tables drop the test's packets: one that arrives had no filter to pass.
 */
#include "faults.h"
#include "life.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel_table.h"
#include "kselftest_harness.h"
#include "pins.h"

/* What the child that was to be killed says if it came to its end. */
#define FINISHED 7

/* Seconds; each attempt waits several times for the kernel, which may have much else to do. */
#define TIMEOUT 300

FIXTURE(crash)
{
	struct life l;
	struct blob one, two, alike, foreign;
};

FIXTURE_VARIANT(crash)
{
	enum life_hooks hooks;
};

FIXTURE_VARIANT_ADD(crash, links){
	.hooks = LINKS,
};

FIXTURE_VARIANT_ADD(crash, links_and_module){
	.hooks = LINKS_AND_MODULE,
};

FIXTURE_VARIANT_ADD(crash, module){
	.hooks = MODULE,
};

FIXTURE_VARIANT_ADD(crash, interfaces){
	.hooks = INTERFACES,
};

FIXTURE_SETUP(crash)
{
	int err = life_begin(&self->l, variant->hooks);

	memset(&self->one, 0, 4 * sizeof(self->one));
	if (err == 1)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s %s", self->l.s.why, self->l.why.text);
	freopen("/dev/null", "w", stderr);
	table_make(&self->one, PLAIN, BLOB_DROP);
	table_make(&self->two, STATEFUL, BLOB_DROP);
	table_make(&self->alike, ALIKE, BLOB_DROP);
	table_make(&self->foreign, FOREIGN, BLOB_DROP);
}

FIXTURE_TEARDOWN(crash)
{
	life_end(&self->l);
	blob_free(&self->one);
	blob_free(&self->two);
	blob_free(&self->alike);
	blob_free(&self->foreign);
}

static bool reused(struct life *l)
{
	struct bf_filter_status status;

	life_status(l, &status);
	return status.reused;
}

/* Tables come to the interfaces, and go, by way of links. */
static bool is_somewhere(struct life *l, const struct state *s)
{
	return life_is(l, s) || (l->hooks == INTERFACES && life_is_at_links(l, s));
}

/*
 * A helper that replaces the table, or detaches, and is killed before change number @n. True if
 * it was. @spare: it has replaced tables before, and has a program whose maps can take this one.
 */
static bool killed_at(struct life *l, struct blob *table, bool at_module, struct blob *spare,
		      unsigned int n)
{
	int status = -1;
	pid_t pid;

	life_close(l);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (life_open(l))
			_exit(1);
		life_prefer(l, at_module);
		if (spare && (life_replace(l, spare, NULL) || life_replace(l, spare, NULL)))
			_exit(1);
		faults_arm_death(FAULT_CHANGE, n);
		if (table)
			life_replace(l, table, NULL);
		else
			bf_filter_detach(l->f, &l->why);
		_exit(reused(l) == !!spare ? FINISHED : 1);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != FINISHED))
		abort();
	return !WEXITSTATUS(status);
}

/* @table: the one that replaces that of @before and leads to @after, or NULL for a detach. */
static bool survives_with(struct life *l, const struct state *before, struct blob *table,
			  const struct state *after, bool spare)
{
	unsigned int n, early = 0;
	bool killed;

	for (n = 1, killed = true; killed; n++) {
		bool is_before;

		if (!life_set(l, before))
			return false;
		killed = killed_at(l, table, after->at_module, spare ? before->table : NULL, n);
		if (!life_is_guarded(l)) {
			printf("# killed at change %u: no table is in force\n", n);
			return false;
		}
		if (life_open(l)) {
			printf("# killed at change %u: no successor: %s\n", n, l->why.text);
			return false;
		}
		is_before = is_somewhere(l, before);
		early += is_before;
		if (killed ? !is_before && !is_somewhere(l, after) : !life_is(l, after)) {
			printf("# killed at change %u: none of the tables is in force, or both\n",
			       n);
			return false;
		}
	}
	printf("# killed at each of %u changes; after %u of them, it had not happened\n", n - 2,
	       early);
	return early && early < n - 1;
}

static bool survives(struct life *l, const struct state *before, struct blob *table,
		     const struct state *after)
{
	return survives_with(l, before, table, after, false);
}

TEST_F_TIMEOUT(crash, moving_here, TIMEOUT)
{
	const struct state before = {&self->one, false, false, false},
			   after = {&self->two, true, false, false};

	EXPECT_TRUE(survives(&self->l, &before, &self->two, &after));
}

TEST_F_TIMEOUT(crash, swapping, TIMEOUT)
{
	const struct state before = {&self->one, true, false, false},
			   after = {&self->two, true, false, false};

	EXPECT_TRUE(survives(&self->l, &before, &self->two, &after));
}

TEST_F_TIMEOUT(crash, swapping_by_data_alone, TIMEOUT)
{
	const struct state before = {&self->one, true, false, false},
			   after = {&self->alike, true, false, false};

	EXPECT_TRUE(survives_with(&self->l, &before, &self->alike, &after, true));
}

TEST_F_TIMEOUT(crash, going_to_the_modules_hooks, TIMEOUT)
{
	const struct state before = {&self->one, true, false, false},
			   after = {&self->two, true, false, true};

	if (variant->hooks != LINKS_AND_MODULE)
		SKIP(return, "needs both");
	EXPECT_TRUE(survives(&self->l, &before, &self->two, &after));
}

TEST_F_TIMEOUT(crash, falling_back, TIMEOUT)
{
	const struct state before = {&self->two, true, false, false},
			   after = {&self->foreign, false, false, false};

	EXPECT_TRUE(survives(&self->l, &before, &self->foreign, &after));
}

TEST_F_TIMEOUT(crash, detaching, TIMEOUT)
{
	const struct state before = {&self->two, true, false, false},
			   after = {&self->two, false, false, false};

	EXPECT_TRUE(survives(&self->l, &before, NULL, &after));
}

TEST_HARNESS_MAIN
