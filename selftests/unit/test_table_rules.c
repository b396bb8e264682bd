// SPDX-License-Identifier: GPL-2.0
/*
 * What a table that has passed the check gives back: its matches, its forms to show, to save and to count in. Deep and wide
 * ones. The empty one.
 */
#include "table_blob.h"

#include <errno.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel_table.h"

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

/*
 * What is not translated goes to ip_tables from the helper, where a descriptor is another program, or none: wherever it
 * stands, such a table does not.
 */
TEST_F(table, a_descriptor_never_comes_to_ip_tables)
{
	struct xt_bpf_info_v1 info = {.mode = XT_BPF_MODE_FD_ELF};
	struct xt_bpf_info_v1 *at;

	at = (void *)entry_at(&self->b, with_match(self, "bpf", 1, &info, sizeof(info), 0));
	at = (void *)((char *)at + ENTRY + sizeof(struct xt_entry_match));
	EXPECT_EQ(-EPERM, check(self));
	EXPECT_STREQ("match bpf: a descriptor means nothing to the helper (rule 2 of chain INPUT)",
		     self->why.text);
	set_verdict(self, 0, -NF_QUEUE - 1);
	EXPECT_EQ(-EPERM, check(self));
	EXPECT_STREQ("match bpf names what is the caller's alone (rule 2 of chain INPUT)",
		     self->why.text);
	EXPECT_EQ(NULL, self->t);
	at->mode = XT_BPF_MODE_PATH_PINNED;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(self));
	EXPECT_STREQ("target QUEUE has no translation (rule 1 of chain INPUT)", self->why.text);
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
	const void *result;
	size_t len, i;
	int err;

	ASSERT_EQ(0, check(self));
	ASSERT_EQ(0, bf_table_save(self->t, &result, &len));
	saved = calloc(1, len + 1);
	memcpy(saved, result, len);
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

/* Of a table that was saved nothing else is needed to show it. */
TEST_F(table, folded)
{
	struct xt_counters counters[16];
	uint8_t *shown, *value;
	struct bf_table *copy;
	const void *saved;
	size_t len;
	uint32_t i;

	ASSERT_EQ(0, check(self));
	bf_table_fold(self->t);
	ASSERT_NE(NULL, self->t->entries);
	for (i = 0; i < self->t->num_entries; i++)
		counters[i] = (struct xt_counters){i, UINT64_MAX - i};
	shown = malloc(2 * self->t->size);
	value = malloc(2 * bf_table_replace_size(self->t));
	bf_table_show(self->t, counters, shown);
	bf_table_to_replace(self->t, value);
	ASSERT_EQ(0, bf_table_save(self->t, &saved, &len));
	bf_table_fold(self->t);
	ASSERT_EQ(NULL, self->t->entries);
	bf_table_show(self->t, counters, shown + self->t->size);
	EXPECT_EQ(0, memcmp(shown, shown + self->t->size, self->t->size));
	EXPECT_EQ(0, bf_table_to_replace(self->t, value + bf_table_replace_size(self->t)));
	EXPECT_EQ(0, memcmp(value, value + bf_table_replace_size(self->t),
			    bf_table_replace_size(self->t)));
	/* It can be saved again, and is what it was. */
	ASSERT_EQ(0, bf_table_save(self->t, &saved, &len));
	ASSERT_EQ(0, bf_table_load(saved, len, &copy));
	bf_table_show(copy, counters, shown + self->t->size);
	EXPECT_EQ(0, memcmp(shown, shown + self->t->size, self->t->size));
	bf_table_free(copy);
	/* Not if it is not whole. */
	self->t->saved_len--;
	EXPECT_EQ(-EINVAL, bf_table_show(self->t, counters, shown));
	EXPECT_EQ(-EINVAL, bf_table_to_replace(self->t, value));
	free(shown);
	free(value);
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
