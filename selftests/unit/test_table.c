// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a table, case by case, without the kernel. That the kernel agrees is what mutate
 * finds out; here each rule has one test that names it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel_table.h"
#include "kselftest_harness.h"
#include "table.h"

#define HEAD	      sizeof(struct ipt_replace)
#define ENTRY	      sizeof(struct ipt_entry)
#define STANDARD_SIZE (ENTRY + sizeof(struct xt_standard_target))
#define ERROR_SIZE    (ENTRY + sizeof(struct xt_error_target))
#define ACCEPT	      (-NF_ACCEPT - 1)
#define DROP	      (-NF_DROP - 1)

/* An option value under construction. */
struct blob {
	uint8_t *data;
	size_t len, max;
};

static struct ipt_replace *head_of(struct blob *b)
{
	return (struct ipt_replace *)b->data;
}

/* Where the next entry goes, in bytes from the first. */
static uint32_t here(const struct blob *b)
{
	return b->len - HEAD;
}

static struct ipt_entry *entry_at(struct blob *b, uint32_t offset)
{
	return (struct ipt_entry *)(b->data + HEAD + offset);
}

static struct ipt_entry *add_entry(struct blob *b, size_t size)
{
	struct ipt_entry *e = (void *)(b->data + b->len);

	if (b->len + size > b->max)
		abort();
	memset(e, 0, size);
	e->target_offset = ENTRY;
	e->next_offset = size;
	b->len += size;
	head_of(b)->size += size;
	head_of(b)->num_entries++;
	return e;
}

static void *target_of(struct ipt_entry *e)
{
	return (char *)e + e->target_offset;
}

/* A rule without conditions. Returns its offset. */
static uint32_t add_rule(struct blob *b, int verdict)
{
	uint32_t offset = here(b);
	struct ipt_entry *e = add_entry(b, STANDARD_SIZE);
	struct xt_standard_target *t = target_of(e);

	t->target.u.user.target_size = sizeof(*t);
	t->verdict = verdict;
	return offset;
}

/* One that does not always match. */
static uint32_t add_condition(struct blob *b, int verdict)
{
	uint32_t offset = add_rule(b, verdict);

	entry_at(b, offset)->ip.src.s_addr = 1;
	entry_at(b, offset)->ip.smsk.s_addr = UINT32_MAX;
	return offset;
}

static uint32_t add_match_rule(struct blob *b, int verdict, const char *name, unsigned int revision,
			       const void *info, size_t size, unsigned int proto)
{
	size_t room = sizeof(struct xt_entry_match) + XT_ALIGN(size);
	uint32_t offset = here(b);
	struct ipt_entry *e = add_entry(b, STANDARD_SIZE + room);
	struct xt_entry_match *m = (void *)e->elems;
	struct xt_standard_target *t;

	m->u.match_size = room;
	strcpy(m->u.user.name, name);
	m->u.user.revision = revision;
	memcpy(m->data, info, size);
	e->target_offset += room;
	e->ip.proto = proto;
	t = target_of(e);
	t->target.u.user.target_size = sizeof(*t);
	t->verdict = verdict;
	return offset;
}

/* The head of a user chain, or the end of the table. Returns where the chain's rules begin. */
static uint32_t add_chain(struct blob *b, const char *name)
{
	struct ipt_entry *e = add_entry(b, ERROR_SIZE);
	struct xt_error_target *t = target_of(e);

	t->target.u.user.target_size = sizeof(*t);
	strcpy(t->target.u.user.name, XT_ERROR_TARGET);
	strcpy(t->errorname, name);
	return here(b);
}

static void hook_here(struct blob *b, unsigned int hook)
{
	head_of(b)->hook_entry[hook] = here(b);
}

static void policy_here(struct blob *b, unsigned int hook, int verdict)
{
	head_of(b)->underflow[hook] = here(b);
	add_rule(b, verdict);
}

static void blob_init(struct blob *b, size_t max)
{
	b->max = max;
	b->data = calloc(1, max);
	b->len = HEAD;
	strcpy(head_of(b)->name, "filter");
	head_of(b)->valid_hooks = BF_FILTER_HOOKS;
	head_of(b)->num_counters = 4;
}

/*
 * The table most tests change:
 *	INPUT: conditional jump to "one", conditional DROP; FORWARD: nothing; OUTPUT: conditional
 *	goto "two"; one: jump to "two", RETURN; two: conditional ACCEPT; idle: nothing calls it
 */
FIXTURE(table)
{
	struct blob b;
	uint32_t in_jump, in_drop, out_goto, one, one_jump, two, idle, end;
	struct bf_table *t;
	struct bf_why why;
};

static void fill(FIXTURE_DATA(table) * self)
{
	struct blob *b = &self->b;
	struct xt_standard_target *t;

	hook_here(b, NF_INET_LOCAL_IN);
	self->in_jump = add_condition(b, 0);
	self->in_drop = add_condition(b, DROP);
	policy_here(b, NF_INET_LOCAL_IN, DROP);
	hook_here(b, NF_INET_FORWARD);
	policy_here(b, NF_INET_FORWARD, ACCEPT);
	hook_here(b, NF_INET_LOCAL_OUT);
	self->out_goto = add_condition(b, 0);
	entry_at(b, self->out_goto)->ip.flags = IPT_F_GOTO;
	policy_here(b, NF_INET_LOCAL_OUT, ACCEPT);
	self->one = add_chain(b, "one");
	self->one_jump = add_rule(b, 0);
	add_rule(b, XT_RETURN);
	self->two = add_chain(b, "two");
	add_condition(b, ACCEPT);
	add_rule(b, XT_RETURN);
	self->idle = add_chain(b, "idle");
	add_rule(b, XT_RETURN);
	self->end = here(b);
	add_chain(b, XT_ERROR_TARGET);

	t = target_of(entry_at(b, self->in_jump));
	t->verdict = self->one;
	t = target_of(entry_at(b, self->out_goto));
	t->verdict = self->two;
	t = target_of(entry_at(b, self->one_jump));
	t->verdict = self->two;
}

FIXTURE_SETUP(table)
{
	blob_init(&self->b, 65536);
	fill(self);
}

FIXTURE_TEARDOWN(table)
{
	bf_table_free(self->t);
	free(self->b.data);
}

/* Check it in memory of exactly its length, so that a sanitizer sees a read beyond. */
static int check(FIXTURE_DATA(table) * self)
{
	size_t len = self->b.len;
	void *exact = malloc(len ? len : 1);
	int err;

	bf_table_free(self->t);
	memcpy(exact, self->b.data, len);
	memset(&self->why, 0, sizeof(self->why));
	err = bf_table_check(exact, len, &self->t, &self->why);
	free(exact);
	return err;
}

static void set_verdict(FIXTURE_DATA(table) * self, uint32_t offset, int verdict)
{
	struct xt_standard_target *t = target_of(entry_at(&self->b, offset));

	t->verdict = verdict;
}

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

/* Add a rule with a match to the chain "two", by making the table anew around it. */
static uint32_t with_match(FIXTURE_DATA(table) * self, const char *name, unsigned int revision,
			   const void *info, size_t size, unsigned int proto)
{
	struct blob *b = &self->b;
	uint32_t offset;

	memset(b->data, 0, b->max);
	free(b->data);
	blob_init(b, b->max);
	hook_here(b, NF_INET_LOCAL_IN);
	add_condition(b, DROP);
	offset = add_match_rule(b, ACCEPT, name, revision, info, size, proto);
	policy_here(b, NF_INET_LOCAL_IN, DROP);
	hook_here(b, NF_INET_FORWARD);
	policy_here(b, NF_INET_FORWARD, ACCEPT);
	hook_here(b, NF_INET_LOCAL_OUT);
	policy_here(b, NF_INET_LOCAL_OUT, ACCEPT);
	add_chain(b, XT_ERROR_TARGET);
	return offset;
}

TEST_F(table, matches)
{
	static const struct xt_mark_mtinfo1 mark = {.mark = 1, .mask = 1};
	static const struct xt_tcp tcp = {.spts = {0, 0xffff}, .dpts = {22, 22}};
	struct xt_entry_match *m;
	struct ipt_entry *e;
	uint32_t at;

	with_match(self, "mark", 1, &mark, sizeof(mark), 0);
	EXPECT_EQ(0, check(self));
	with_match(self, "mark", 9, &mark, sizeof(mark), 0);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	with_match(self, "mark", 1, &mark, sizeof(mark) - 4, 0);
	EXPECT_EQ(-EINVAL, check(self));
	with_match(self, "unheard-of", 0, &mark, sizeof(mark), 0);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	EXPECT_STREQ("match unheard-of (revision 0) has no translation (rule 2 of chain INPUT)",
		     self->why.text);

	at = with_match(self, "tcp", 0, &tcp, sizeof(tcp), IPPROTO_TCP);
	e = entry_at(&self->b, at);
	EXPECT_EQ(0, check(self));
	e->ip.invflags = IPT_INV_PROTO;
	EXPECT_EQ(-EINVAL, check(self));
	e->ip.invflags = 0;
	e->ip.proto = IPPROTO_UDP;
	EXPECT_EQ(-EINVAL, check(self));
	e->ip.proto = IPPROTO_TCP;

	m = (void *)e->elems;
	memset(m->u.user.name, 'x', sizeof(m->u.user.name));
	EXPECT_EQ(-EINVAL, check(self));
	strcpy(m->u.user.name, "tcp");
	EXPECT_EQ(0, check(self));
	m->u.match_size -= 8;
	EXPECT_EQ(-EINVAL, check(self));
	m->u.match_size = 31;
	EXPECT_EQ(-EINVAL, check(self));
	m->u.match_size = 0;
	EXPECT_EQ(-EINVAL, check(self));
	m->u.match_size = UINT16_MAX;
	EXPECT_EQ(-EINVAL, check(self));
}

/* Matches must lie where a pointer to them may point, and may be empty. */
TEST_F(table, match_layout)
{
	uint8_t info[40] = {0};
	struct xt_entry_match *m;
	uint16_t size = 36;
	uint32_t at;

	with_match(self, "unheard-of", 0, info, 0, 0);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));

	at = with_match(self, "unheard-of", 0, info, sizeof(info), 0);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	m = (void *)entry_at(&self->b, at)->elems;
	m->u.match_size = size;
	memcpy((char *)m + size, &size, sizeof(size));
	EXPECT_EQ(-EINVAL, check(self));
	m->u.match_size = 40;
	memcpy((char *)m + 40, "\x20", 2);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
}

/* What is no structural error but no extension either must not hide one that comes before. */
TEST_F(table, unknown_match_after_structure)
{
	static const char info[8];
	uint32_t at = with_match(self, "unheard-of", 0, info, sizeof(info), 0);

	head_of(&self->b)->num_entries++;
	EXPECT_EQ(-EINVAL, check(self));
	head_of(&self->b)->num_entries--;
	set_verdict(self, at, at);
	EXPECT_EQ(-ELOOP, check(self));
	set_verdict(self, at, ACCEPT);
	head_of(&self->b)->valid_hooks |= 1 << 7; /* which the kernel looks at last */
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
}

/* A message is for people: no control characters, whatever a name holds. */
TEST_F(table, names_in_messages)
{
	static const char info[8];

	with_match(self, "a\n\033[31m", 0, info, sizeof(info), 0);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	EXPECT_EQ(NULL, strpbrk(self->why.text, "\n\033"));
}

TEST_F(table, shown)
{
	static const struct xt_tcp tcp = {.spts = {0, 0xffff}, .dpts = {22, 22}};
	uint32_t at = with_match(self, "tcp", 0, &tcp, sizeof(tcp), IPPROTO_TCP), i;
	struct xt_entry_match *m = (void *)entry_at(&self->b, at)->elems;
	struct xt_counters counters[16];
	const struct ipt_entry *e;
	uint8_t *shown;

	m->u.user.name[5] = 'x'; /* behind its end */
	m->data[sizeof(tcp) + 1] = 'x';
	ASSERT_EQ(0, check(self));
	for (i = 0; i < self->t->num_entries; i++)
		counters[i] = (struct xt_counters){i, UINT64_MAX - i};
	shown = malloc(self->t->size);
	bf_table_show(self->t, counters, shown);
	for (i = 0; i < self->t->num_entries; i++) {
		e = (const void *)(shown + self->t->offsets[i]);
		EXPECT_EQ(i, e->counters.pcnt);
		EXPECT_EQ(UINT64_MAX - i, e->counters.bcnt);
	}
	m = (void *)(shown + at + ENTRY);
	EXPECT_STREQ("tcp", m->u.user.name);
	EXPECT_EQ(0, m->u.user.name[5]);
	EXPECT_EQ(0, m->data[sizeof(tcp) + 1]);
	EXPECT_EQ(0, memcmp(&tcp, m->data, sizeof(tcp)));
	free(shown);
}

TEST_F(table, saved)
{
	struct bf_table *copy;
	uint8_t *saved, *exact;
	size_t len, i;
	int err;

	ASSERT_EQ(0, check(self));
	len = bf_table_saved_size(self->t);
	saved = malloc(len + 1);
	bf_table_save(self->t, saved);
	ASSERT_EQ(0, bf_table_load(saved, len, &copy));
	EXPECT_EQ(self->t->size, copy->size);
	EXPECT_EQ(self->t->num_entries, copy->num_entries);
	EXPECT_EQ(self->t->stacksize, copy->stacksize);
	EXPECT_EQ(0, memcmp(self->t->hook_entry, copy->hook_entry, sizeof(copy->hook_entry)));
	EXPECT_EQ(0, memcmp(self->t->underflow, copy->underflow, sizeof(copy->underflow)));
	EXPECT_EQ(0, memcmp(self->t->entries, copy->entries, copy->size));
	EXPECT_EQ(0, memcmp(self->t->offsets, copy->offsets, 4 * copy->num_entries));
	bf_table_free(copy);

	EXPECT_EQ(-EINVAL, bf_table_load(saved, len + 1, &copy));
	for (i = 0; i < len; i++) {
		exact = malloc(i ? i : 1);
		memcpy(exact, saved, i);
		EXPECT_EQ(-EINVAL, bf_table_load(exact, i, &copy));
		EXPECT_EQ(NULL, copy);
		free(exact);
	}
	/* Damage is refused or harmless, never more. */
	for (i = 0; i < len; i++) {
		saved[i] ^= 0xff;
		err = bf_table_load(saved, len, &copy);
		EXPECT_TRUE(!err || err == -EINVAL || err == -ENOMEM);
		EXPECT_EQ(!err, !!copy);
		bf_table_free(copy);
		saved[i] ^= 0xff;
	}
	free(saved);
}

TEST_F(table, option_value)
{
	size_t len;
	struct bf_table *copy;
	void *value;

	ASSERT_EQ(0, check(self));
	len = bf_table_replace_size(self->t);
	EXPECT_EQ(self->b.len, len);
	value = malloc(len);
	bf_table_to_replace(self->t, value);
	ASSERT_EQ(0, bf_table_check(value, len, &copy, NULL));
	EXPECT_EQ(0, memcmp(self->t->entries, copy->entries, copy->size));
	bf_table_free(copy);
	free(value);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* As many chains as fit, each jumping to the next: no recursion, and linear. */
TEST_F(table, deep)
{
	const uint32_t n = 40000;
	struct blob *b = &self->b;
	uint32_t i, size = ERROR_SIZE + 2 * STANDARD_SIZE, base;
	double start;

	free(b->data);
	blob_init(b, HEAD + (n + 8) * (size_t)size);
	hook_here(b, NF_INET_LOCAL_IN);
	base = 4 * STANDARD_SIZE + ERROR_SIZE;
	add_condition(b, base);
	policy_here(b, NF_INET_LOCAL_IN, DROP);
	hook_here(b, NF_INET_FORWARD);
	policy_here(b, NF_INET_FORWARD, ACCEPT);
	hook_here(b, NF_INET_LOCAL_OUT);
	policy_here(b, NF_INET_LOCAL_OUT, ACCEPT);
	for (i = 0; i < n; i++) {
		add_chain(b, "deep");
		add_condition(b, i + 1 < n ? base + (i + 1) * size : (uint32_t)DROP);
		add_rule(b, XT_RETURN);
	}
	add_chain(b, XT_ERROR_TARGET);

	start = seconds();
	ASSERT_EQ(0, check(self))
	{
		TH_LOG("%s", self->why.text);
	}
	EXPECT_GT(2, seconds() - start);
	EXPECT_EQ(n + 1, self->t->stacksize);
	EXPECT_EQ(1U << NF_INET_LOCAL_IN,
		  entry_at(b, 0)->comefrom | bf_table_entry(self->t, 3 * n)->comefrom);
}

/* A hundred thousand rules that all jump to one chain. */
TEST_F(table, wide)
{
	const uint32_t n = 100000;
	struct blob *b = &self->b;
	uint32_t chain, i;
	double start;

	free(b->data);
	blob_init(b, HEAD + (n + 16) * STANDARD_SIZE);
	chain = (n + 3) * STANDARD_SIZE + ERROR_SIZE;
	hook_here(b, NF_INET_LOCAL_IN);
	for (i = 0; i < n; i++)
		add_condition(b, chain);
	policy_here(b, NF_INET_LOCAL_IN, DROP);
	hook_here(b, NF_INET_FORWARD);
	policy_here(b, NF_INET_FORWARD, ACCEPT);
	hook_here(b, NF_INET_LOCAL_OUT);
	policy_here(b, NF_INET_LOCAL_OUT, ACCEPT);
	add_chain(b, "one");
	add_rule(b, XT_RETURN);
	add_chain(b, XT_ERROR_TARGET);

	start = seconds();
	ASSERT_EQ(0, check(self))
	{
		TH_LOG("%s", self->why.text);
	}
	EXPECT_GT(2, seconds() - start);
}

TEST(empty_table)
{
	struct bf_table *t = bf_table_empty(NF_ACCEPT);

	ASSERT_NE(NULL, t);
	EXPECT_EQ(4U, t->num_entries);
	EXPECT_EQ(3 * STANDARD_SIZE + ERROR_SIZE, t->size);
	EXPECT_EQ(1U << NF_INET_FORWARD, bf_table_entry(t, 1)->comefrom);
	bf_table_free(t);

	t = bf_table_empty(NF_DROP);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(DROP, ((const struct xt_standard_target *)bf_table_entry(t, 1)->elems)->verdict);
	EXPECT_EQ(ACCEPT,
		  ((const struct xt_standard_target *)bf_table_entry(t, 0)->elems)->verdict);
	bf_table_free(t);
	bf_table_free(NULL);
}

/* The kernel's own empty table is ours to the byte. */
TEST(empty_table_of_the_kernel)
{
	struct xt_counters counters[4] = {0};
	struct bf_kernel_table *k;
	struct bf_table *t;
	uint8_t shown[1024];
	int sk;

	if (unshare(CLONE_NEWNET))
		SKIP(return, "cannot make a network namespace");
	sk = bf_kernel_socket();
	ASSERT_LE(0, sk);
	if (bf_kernel_read(sk, &k))
		SKIP(return, "the kernel has no ip_tables");
	EXPECT_TRUE(bf_kernel_table_is_empty(k));
	t = bf_table_empty(NF_ACCEPT);
	ASSERT_EQ(k->info.size, t->size);
	EXPECT_EQ(0, memcmp(k->info.hook_entry, t->hook_entry, sizeof(t->hook_entry)));
	EXPECT_EQ(0, memcmp(k->info.underflow, t->underflow, sizeof(t->underflow)));
	bf_table_show(t, counters, shown);
	EXPECT_EQ(0, memcmp(k->entries, shown, t->size));
	bf_table_free(t);
	bf_kernel_table_free(k);
	close(sk);
}

TEST_HARNESS_MAIN
