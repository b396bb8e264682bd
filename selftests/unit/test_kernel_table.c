// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own filter table, read and written by us.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel_table.h"
#include "kselftest_harness.h"
#include "table.h"

FIXTURE(kernel)
{
	int sk;
};

FIXTURE_SETUP(kernel)
{
	struct bf_kernel_table *t;

	self->sk = -1;
	if (unshare(CLONE_NEWNET))
		SKIP(return, "cannot make a network namespace");
	self->sk = bf_kernel_socket();
	ASSERT_LE(0, self->sk);
	/* Not to touch it yet: the kernel is asked in a namespace that is thrown away. */
	if (bf_kernel_read(self->sk, &t))
		SKIP(return, "the kernel has no ip_tables");
	bf_kernel_table_free(t);
	close(self->sk);
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	self->sk = bf_kernel_socket();
	ASSERT_LE(0, self->sk);
}

FIXTURE_TEARDOWN(kernel)
{
	if (self->sk >= 0)
		close(self->sk);
}

/* An option value with policy DROP in FORWARD. */
static void *drop_value(size_t *len)
{
	struct bf_table *t = bf_table_empty(NF_DROP);
	void *value;

	*len = bf_table_replace_size(t);
	value = malloc(*len);
	bf_table_to_replace(t, value);
	bf_table_free(t);
	return value;
}

static void *look_elsewhere(void *arg)
{
	int *found = arg;

	*found = unshare(CLONE_NEWNET) ? -errno : bf_kernel_has_filter();
	return NULL;
}

TEST_F(kernel, touched_or_not)
{
	pthread_t thread;
	int found = -1;

	EXPECT_EQ(0, bf_kernel_has_filter());
	EXPECT_EQ(0, bf_kernel_has_filter()); /* asking is not touching */
	EXPECT_EQ(0, bf_kernel_touch_filter(self->sk));
	EXPECT_EQ(1, bf_kernel_has_filter());
	EXPECT_EQ(0, bf_kernel_touch_filter(self->sk));

	/* The namespace of the thread counts, not that of the process. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, look_elsewhere, &found));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, found);
}

TEST_F(kernel, replace_and_clear)
{
	struct xt_counters *old = NULL, counters[4] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
	struct bf_kernel_table *t;
	uint32_t n = 0;
	size_t len;
	struct ipt_replace *value = drop_value(&len);

	value->num_counters = 99; /* ignored, as is the pointer */
	value->counters = (void *)16;
	ASSERT_EQ(0, bf_kernel_replace(self->sk, value, len, NULL, NULL));
	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	EXPECT_FALSE(bf_kernel_table_is_empty(t));
	EXPECT_EQ(4U, t->info.num_entries);
	bf_kernel_table_free(t);

	ASSERT_EQ(0, bf_kernel_add_counters(self->sk, counters, 4));
	EXPECT_EQ(-EINVAL, bf_kernel_add_counters(self->sk, counters, 3));
	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	EXPECT_EQ(2U, ((struct ipt_entry *)t->entries)->counters.bcnt);
	bf_kernel_table_free(t);

	ASSERT_EQ(0, bf_kernel_clear(self->sk, &old, &n));
	EXPECT_EQ(4U, n);
	EXPECT_EQ(0, memcmp(counters, old, sizeof(counters)));
	free(old);
	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	EXPECT_TRUE(bf_kernel_table_is_empty(t));
	bf_kernel_table_free(t);
	free(value);
}

TEST_F(kernel, refused)
{
	struct xt_counters *old;
	struct bf_kernel_table *t;
	uint32_t n;
	size_t len;
	struct ipt_replace *value = drop_value(&len);

	EXPECT_EQ(-EINVAL, bf_kernel_replace(self->sk, value, 10, &old, &n));
	EXPECT_EQ(NULL, old);
	EXPECT_EQ(-EINVAL, bf_kernel_replace(self->sk, value, len - 1, &old, &n));
	EXPECT_EQ(NULL, old);
	EXPECT_EQ(0U, n);
	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	EXPECT_TRUE(bf_kernel_table_is_empty(t));
	bf_kernel_table_free(t);
	free(value);
}

TEST_F(kernel, judged)
{
	struct bf_kernel_table *t;
	size_t len;
	struct ipt_replace *value = drop_value(&len);

	EXPECT_EQ(0, bf_kernel_judge(self->sk, value, len));
	EXPECT_EQ(-EINVAL, bf_kernel_judge(self->sk, value, len - 1));
	EXPECT_EQ(-EINVAL, bf_kernel_judge(self->sk, value, 10));
	value->valid_hooks = 0;
	EXPECT_EQ(-EINVAL, bf_kernel_judge(self->sk, value, len));
	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	EXPECT_TRUE(bf_kernel_table_is_empty(t));
	bf_kernel_table_free(t);
	free(value);
}

/* A policy that is not ACCEPT, or a rule, is something. */
TEST_F(kernel, empty_or_not)
{
	struct bf_kernel_table *t;
	struct ipt_entry *e;

	ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
	e = (struct ipt_entry *)t->entries;
	EXPECT_TRUE(bf_kernel_table_is_empty(t));
	e->counters.pcnt = 17;
	EXPECT_TRUE(bf_kernel_table_is_empty(t));
	e->ip.proto = 6;
	EXPECT_FALSE(bf_kernel_table_is_empty(t));
	e->ip.proto = 0;
	((struct xt_standard_target *)e->elems)->verdict = -NF_DROP - 1;
	EXPECT_FALSE(bf_kernel_table_is_empty(t));
	((struct xt_standard_target *)e->elems)->verdict = -NF_ACCEPT - 1;
	t->info.num_entries++;
	EXPECT_FALSE(bf_kernel_table_is_empty(t));
	t->info.num_entries--;
	t->info.hook_entry[NF_INET_LOCAL_OUT] += 8;
	EXPECT_FALSE(bf_kernel_table_is_empty(t));
	bf_kernel_table_free(t);
}

struct churn {
	int sk;
	atomic_bool stop;
	unsigned int n;
};

/* A table with an unused chain, and one without, by turns. */
static void *churn_main(void *arg)
{
	struct churn *c = arg;
	size_t len, more = sizeof(struct ipt_entry) + sizeof(struct xt_standard_target);
	struct ipt_replace *small = drop_value(&len), *large = calloc(1, len + more);
	uint32_t policy = 2 * more;

	/* The large one has OUTPUT's policy twice: the first of them is a rule. */
	memcpy(large, small, len);
	memmove((char *)large->entries + policy + more, (char *)large->entries + policy,
		large->size - policy);
	large->size += more;
	large->num_entries++;
	large->underflow[NF_INET_LOCAL_OUT] += more;
	while (!c->stop) {
		if (bf_kernel_replace(c->sk, large, len + more, NULL, NULL) ||
		    bf_kernel_replace(c->sk, small, len, NULL, NULL))
			break;
		c->n++;
	}
	free(small);
	free(large);
	return NULL;
}

/* What is read is one table, and a replace goes through, whatever others do meanwhile. */
TEST_F(kernel, while_others_change_it)
{
	struct churn churn = {.sk = self->sk};
	struct bf_kernel_table *t;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, churn_main, &churn));
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, bf_kernel_read(self->sk, &t));
		EXPECT_EQ(t->info.num_entries == 5 ? 152U : 0U,
			  t->info.underflow[NF_INET_LOCAL_OUT] -
				  t->info.hook_entry[NF_INET_LOCAL_OUT]);
		bf_kernel_table_free(t);
		if (i % 10 == 0)
			ASSERT_EQ(0, bf_kernel_clear(self->sk, NULL, NULL));
	}
	churn.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(10U, churn.n);
}

TEST_HARNESS_MAIN
