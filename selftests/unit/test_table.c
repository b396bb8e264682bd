// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a table, case by case, without the kernel. That the kernel agrees is what mutate
 * finds out; here each rule has one test that names it.
 */
#include "table_blob.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

TEST_F(table, sound)
{
	const struct ipt_replace *head = head_of(&self->b);

	ASSERT_EQ(0, check(self));
	EXPECT_EQ(head->size, self->t->size);
	EXPECT_EQ(head->num_entries, self->t->num_entries);
	EXPECT_EQ(4U, self->t->stacksize);
	EXPECT_EQ(UINT32_MAX, self->t->hook_entry[NF_INET_PRE_ROUTING]);
	EXPECT_EQ(UINT32_MAX, self->t->underflow[NF_INET_POST_ROUTING]);
	EXPECT_EQ(0U, self->t->hook_entry[NF_INET_LOCAL_IN]);
	EXPECT_EQ(2 * STANDARD_SIZE, self->t->underflow[NF_INET_LOCAL_IN]);
}

TEST_F(table, which_hooks_reach_a_rule)
{
	const uint32_t in = 1 << NF_INET_LOCAL_IN, out = 1 << NF_INET_LOCAL_OUT;

	entry_at(&self->b, self->idle)->comefrom = 0xffff;
	ASSERT_EQ(0, check(self));
	EXPECT_EQ(in, bf_table_entry(self->t, 0)->comefrom);
	EXPECT_EQ(in, bf_table_entry(self->t, bf_table_index(self->t, self->one))->comefrom);
	EXPECT_EQ(in | out, bf_table_entry(self->t, bf_table_index(self->t, self->two))->comefrom);
	EXPECT_EQ(0U, bf_table_entry(self->t, bf_table_index(self->t, self->idle))->comefrom);
	EXPECT_EQ(0U, bf_table_entry(self->t, bf_table_index(self->t, self->end))->comefrom);
	EXPECT_EQ(0U, bf_table_entry(self->t, 0)->counters.pcnt);
}

TEST_F(table, index_of_an_offset)
{
	uint32_t offset, found = 0;

	ASSERT_EQ(0, check(self));
	for (offset = 0; offset < self->t->size + 16; offset++) {
		uint32_t i = bf_table_index(self->t, offset);

		if (i == self->t->num_entries)
			continue;
		EXPECT_EQ(offset, self->t->offsets[i]);
		EXPECT_EQ(found++, i);
	}
	EXPECT_EQ(self->t->num_entries, found);
	EXPECT_EQ(self->t->num_entries, bf_table_index(self->t, UINT32_MAX));
}

TEST_F(table, every_length_but_the_right_one)
{
	size_t full = self->b.len;

	for (self->b.len = 0; self->b.len < full; self->b.len++)
		EXPECT_EQ(-EINVAL, check(self));
	self->b.len = full + 1; /* what is behind does not matter */
	EXPECT_EQ(0, check(self));
}

/* A field of the head, what it is set to, and what comes of it. */
TEST_F(table, heads)
{
	static const struct {
		uint32_t at;
		uint32_t value;
		int err;
	} cases[] = {
#define FIELD(f) offsetof(struct ipt_replace, f)
		{FIELD(num_counters), 0, -EINVAL},
		{FIELD(num_counters), 1, 0},
		{FIELD(num_counters), INT_MAX / 16 - 1, -ENOMEM},
		{FIELD(num_counters), INT_MAX / 16, -ENOMEM},
		{FIELD(num_counters), UINT32_MAX, -ENOMEM},
		{FIELD(num_counters), 512 * 1024 * 1024 / 16, 0},
		{FIELD(num_counters), 512 * 1024 * 1024 / 16 + 1, -ENOMEM},
		{FIELD(size), 0, -EINVAL},
		{FIELD(size), UINT32_MAX, -EINVAL},
		{FIELD(size), UINT32_MAX - 95, -EINVAL},
		{FIELD(num_entries), 0, -EINVAL},
		{FIELD(num_entries), 1, -EINVAL},
		{FIELD(num_entries), 512 * 1024 * 1024 / 4, -EINVAL},
		{FIELD(num_entries), 512 * 1024 * 1024 / 4 + 1, -ENOMEM},
		{FIELD(num_entries), UINT32_MAX, -ENOMEM},
		{FIELD(valid_hooks), 0, -EINVAL},
		{FIELD(valid_hooks), 0x0f, -EINVAL},
		{FIELD(valid_hooks), 0x2e, -EINVAL},
		{FIELD(valid_hooks), 0x0c, -EINVAL},
		{FIELD(hook_entry[NF_INET_PRE_ROUTING]), 12345, 0},
		{FIELD(hook_entry[NF_INET_LOCAL_IN]), 8, -EINVAL},
		{FIELD(hook_entry[NF_INET_FORWARD]), 0, -EINVAL},
		{FIELD(hook_entry[NF_INET_LOCAL_OUT]), 0, -EINVAL},
		{FIELD(hook_entry[NF_INET_LOCAL_OUT]), UINT32_MAX, -EINVAL},
		{FIELD(underflow[NF_INET_LOCAL_IN]), 0, -EINVAL},
		{FIELD(underflow[NF_INET_LOCAL_IN]), 3 * STANDARD_SIZE, -EINVAL},
		{FIELD(underflow[NF_INET_LOCAL_OUT]), 2 * STANDARD_SIZE, -EINVAL},
		{FIELD(name), 0x6c6966, -ENOENT},
#undef FIELD
	};
	struct ipt_replace keep = *head_of(&self->b);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		*head_of(&self->b) = keep;
		memcpy(self->b.data + cases[i].at, &cases[i].value, 4);
		EXPECT_EQ(cases[i].err, check(self))
		{
			TH_LOG("case %u: %s", i, self->why.text);
		}
		EXPECT_EQ(!!cases[i].err, !!self->why.text[0]);
		EXPECT_EQ(!cases[i].err, !!self->t);
	}
}

/* The order of the errors: what the kernel finds first is what the caller gets. */
TEST_F(table, order_of_errors)
{
	struct ipt_replace *head = head_of(&self->b);

	strcpy(head->name, "other");
	head->valid_hooks = 0x0c;
	EXPECT_EQ(-ENOENT, check(self));
	head->num_counters = 512 * 1024 * 1024 / 16 + 1;
	EXPECT_EQ(-ENOMEM, check(self));
	set_verdict(self, self->one_jump, self->one_jump);
	EXPECT_EQ(-ENOMEM, check(self)); /* FORWARD and OUTPUT do not reach it */
	set_verdict(self, self->out_goto, self->one_jump);
	EXPECT_EQ(-ELOOP, check(self));
	head->hook_entry[NF_INET_LOCAL_OUT] = 8;
	EXPECT_EQ(-EINVAL, check(self));
	head->num_entries = UINT32_MAX;
	EXPECT_EQ(-ENOMEM, check(self));
	head->size++;
	EXPECT_EQ(-EINVAL, check(self));
	head->num_counters = INT_MAX / sizeof(struct xt_counters);
	EXPECT_EQ(-ENOMEM, check(self));
}

/* A head with nothing behind it is looked at all the same. */
TEST_F(table, head_alone)
{
	struct ipt_replace *head = head_of(&self->b);

	self->b.len = HEAD;
	head->size = 0;
	EXPECT_EQ(-EINVAL, check(self));
	head->num_entries = UINT32_MAX;
	EXPECT_EQ(-ENOMEM, check(self));
}

TEST_F(table, largest_table)
{
	const uint32_t largest = 512 * 1024 * 1024 - 64 - 1;
	struct ipt_replace head = *head_of(&self->b);

	head.size = largest;
	EXPECT_EQ(0, bf_table_check_head(&head, HEAD + largest, NULL));
	EXPECT_EQ(-EINVAL, bf_table_check_head(&head, HEAD + largest - 1, NULL));
	head.size++;
	EXPECT_EQ(-ENOMEM, bf_table_check_head(&head, HEAD + largest + 1, NULL));
	EXPECT_EQ(-EINVAL, bf_table_check_head(&head, HEAD - 1, NULL));
}

TEST_F(table, entries)
{
	static const struct {
		uint32_t at; /* of the entry at in_drop, or behind it */
		uint16_t value;
		int err;
	} cases[] = {
		{offsetof(struct ipt_entry, next_offset), 0, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), 143, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), 144, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), STANDARD_SIZE + 1, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), STANDARD_SIZE + 4, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), STANDARD_SIZE + 8, -EINVAL},
		{offsetof(struct ipt_entry, next_offset), 0xfff8, -EINVAL},
		{offsetof(struct ipt_entry, target_offset), 0, -EINVAL},
		{offsetof(struct ipt_entry, target_offset), ENTRY - 1, -EINVAL},
		{offsetof(struct ipt_entry, target_offset), ENTRY + 1, -EINVAL},
		{offsetof(struct ipt_entry, target_offset), ENTRY + 8, -EINVAL},
		{offsetof(struct ipt_entry, target_offset), 0xffff, -EINVAL},
		{offsetof(struct ipt_entry, ip.flags), 0x0003, 0},
		{offsetof(struct ipt_entry, ip.flags), 0x0004, -EINVAL},
		{offsetof(struct ipt_entry, ip.flags), 0x7f00, 0},
		{offsetof(struct ipt_entry, ip.flags), 0x8000, -EINVAL},
		{ENTRY, 31, -EINVAL}, /* target_size */
		{ENTRY, 32, -EINVAL},
		{ENTRY, 39, -EINVAL},
		{ENTRY, 41, -EINVAL},
		{ENTRY + 2, 'A', BF_NOT_TRANSLATABLE},
		{ENTRY + 30, 0x0100, BF_NOT_TRANSLATABLE}, /* revision */
	};
	uint8_t keep[STANDARD_SIZE];
	unsigned int i;

	memcpy(keep, entry_at(&self->b, self->in_drop), sizeof(keep));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(entry_at(&self->b, self->in_drop), keep, sizeof(keep));
		memcpy((char *)entry_at(&self->b, self->in_drop) + cases[i].at, &cases[i].value, 2);
		EXPECT_EQ(cases[i].err, check(self))
		{
			TH_LOG("case %u: %s", i, self->why.text);
		}
	}
}

/* The shortest rule there can be: a target of which we know nothing, with nothing in it. */
TEST_F(table, shortest_entry)
{
	struct ipt_entry *e = entry_at(&self->b, self->end);
	struct xt_entry_target *t = target_of(e);
	uint32_t size = ENTRY + sizeof(*t);

	strcpy(t->u.user.name, "unheard-of");
	t->u.target_size = sizeof(*t);
	e->next_offset = size;
	head_of(&self->b)->size -= ERROR_SIZE - size;
	self->b.len -= ERROR_SIZE - size;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	EXPECT_STREQ("target unheard-of (revision 0) has no translation (rule 2 of chain idle)",
		     self->why.text);
}

TEST_F(table, verdicts)
{
	static const struct {
		int verdict, err;
	} cases[] = {
		{ACCEPT, 0},
		{DROP, 0},
		{XT_RETURN, 0},
		{-NF_QUEUE - 1, BF_NOT_TRANSLATABLE},
		{-NF_STOLEN - 1, -EINVAL},
		{-6, -EINVAL},
		{INT_MIN, -EINVAL},
		{0, -EINVAL},
		{1, -ELOOP},
		{INT_MAX, -ELOOP},
		{2 * STANDARD_SIZE, 0}, /* to its own policy */
		{2 * STANDARD_SIZE + 8, -ELOOP},
		{STANDARD_SIZE, -ELOOP}, /* to itself */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		set_verdict(self, self->in_drop, cases[i].verdict);
		EXPECT_EQ(cases[i].err, check(self))
		{
			TH_LOG("verdict %d: %s", cases[i].verdict, self->why.text);
		}
	}
}

TEST_F(table, loops_and_open_ends)
{
	set_verdict(self, self->one_jump, self->one);
	EXPECT_EQ(-ELOOP, check(self));
	EXPECT_STREQ("rule 1 of chain one is part of a loop", self->why.text);

	/* one -> two -> one */
	set_verdict(self, self->one_jump, self->two);
	set_verdict(self, self->two, self->one);
	EXPECT_EQ(-ELOOP, check(self));

	/* a loop that nothing reaches is no loop to the kernel */
	set_verdict(self, self->two, ACCEPT);
	set_verdict(self, self->idle, self->idle);
	EXPECT_EQ(0, check(self));

	/* an end that is not one: the rules run on into the next chain's head */
	set_verdict(self, self->idle, XT_RETURN);
	entry_at(&self->b, self->two + STANDARD_SIZE)->ip.proto = 6;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	EXPECT_NE(NULL, strstr(self->why.text, "ERROR"));

	/* and out of the table */
	set_verdict(self, self->out_goto, self->end);
	EXPECT_EQ(-ELOOP, check(self));
}

TEST_F(table, chain_names)
{
	struct xt_error_target *t = target_of(entry_at(&self->b, self->end));

	memset(t->errorname, 'x', sizeof(t->errorname));
	EXPECT_EQ(-EINVAL, check(self));
	t->errorname[sizeof(t->errorname) - 1] = '\0';
	EXPECT_EQ(0, check(self));
	t->target.u.user.target_size -= 8;
	EXPECT_EQ(-EINVAL, check(self));
}

/* The last entry may end anywhere; what its target does not fill is not shown. */
TEST_F(table, gap_at_the_end)
{
	uint8_t *gap = self->b.data + self->b.len;

	memset(gap, 0x55, 5);
	self->b.len += 5;
	head_of(&self->b)->size += 5;
	EXPECT_EQ(-EINVAL, check(self));
	entry_at(&self->b, self->end)->next_offset += 5;
	ASSERT_EQ(0, check(self));
	EXPECT_EQ(0, self->t->entries[self->t->size - 1]);
}

TEST_HARNESS_MAIN
