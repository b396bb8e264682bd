// SPDX-License-Identifier: GPL-2.0
/* -j MARK: what is accepted, what is given back, and what it does to packets in the running kernel. */
#include "run.h"

#include <errno.h>
#include <linux/netfilter/xt_mark.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "kselftest_harness.h"

FIXTURE(mark)
{
	struct run r;
};

FIXTURE_SETUP(mark)
{
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	self->r.module_only = true;
}

FIXTURE_TEARDOWN(mark)
{
	run_end(&self->r);
}

static void set_mark(struct blob *b, uint32_t mark, uint32_t mask)
{
	const struct xt_mark_tginfo2 info = {mark, mask};

	blob_begin(b);
	blob_end_target(b, "MARK", 2, &info, sizeof(info));
}

static void if_mark(struct blob *b, uint32_t mark, uint32_t mask, int verdict)
{
	const struct xt_mark_mtinfo1 info = {.mark = mark, .mask = mask};

	blob_begin(b);
	blob_match(b, "mark", 1, &info, sizeof(info));
	blob_end(b, verdict);
}

static void finish(struct blob *b)
{
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

/* A table whose first rule is MARK, its target changed by @name, @revision and @grow. */
static int check(const char *name, uint8_t revision, int grow, struct bf_why *why)
{
	uint8_t info[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct bf_table *table;
	struct blob b = {};
	int err;

	blob_hook(&b, NF_INET_LOCAL_IN);
	blob_begin(&b);
	blob_end_target(&b, name, revision, info, sizeof(struct xt_mark_tginfo2) + grow);
	finish(&b);
	err = bf_table_check(b.data, b.len, &table, why);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

TEST(checked_as_the_kernel_does)
{
	struct bf_why why = {};

	EXPECT_EQ(0, check("MARK", 2, 0, NULL));
	EXPECT_EQ(-EINVAL, check("MARK", 2, 8, &why));
	EXPECT_STREQ("target MARK has a wrong size (rule 1 of chain INPUT)", why.text);
	EXPECT_EQ(-EINVAL, check("MARK", 2, -8, NULL));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check("MARK", 0, 0, NULL));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check("MARK", 1, 8, &why));
	EXPECT_STREQ("target MARK (revision 1) has no translation (rule 1 of chain INPUT)",
		     why.text);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check("MARKE", 2, 0, NULL));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check("mark", 2, 0, NULL));
}

/* All of it comes back, and nothing of what stood behind its name. */
TEST(given_back)
{
	struct xt_counters zero[5] = {};
	struct bf_table *table;
	struct blob b = {};
	struct xt_entry_target *t;
	uint8_t *shown;

	blob_hook(&b, NF_INET_LOCAL_IN);
	set_mark(&b, 0x12345678, 0x9abcdef0);
	t = (void *)((char *)blob_entry(&b, b.rule) + sizeof(struct ipt_entry));
	memset(t->u.user.name + 5, 'x', XT_EXTENSION_MAXNAMELEN - 6);
	finish(&b);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	shown = malloc(table->size);
	bf_table_show(table, zero, shown);
	t = (void *)((char *)blob_entry(&b, 0) + sizeof(struct ipt_entry));
	memset(t->u.user.name + 5, 0, XT_EXTENSION_MAXNAMELEN - 6);
	EXPECT_EQ(0, memcmp(shown + sizeof(struct ipt_entry), t, t->u.target_size));
	free(shown);
	bf_table_free(table);
	blob_free(&b);
}

/* A program for netfilter links cannot write the packet: what is behind it does. */
TEST(behind_links)
{
	const struct bf_kernel kernel = {.has_links = true, .hz = 250, .cpus = 2};
	static const enum bf_form forms[] = {BF_FORM_STRAIGHT, BF_FORM_RECORDS, BF_FORM_AUTO};
	struct bf_program *program;
	struct bf_table *table;
	struct bf_why why = {};
	struct blob b = {};
	unsigned int i;

	blob_hook(&b, NF_INET_LOCAL_IN);
	set_mark(&b, 1, 1);
	finish(&b);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		/* Behind links nf_tables sets it. */
		EXPECT_EQ(0,
			  bf_compile(table, &kernel, BF_ATTACH_LINK, forms[i], 0, &program, &why));
		ASSERT_EQ(1U, program->effects.nr);
		EXPECT_EQ(BF_EFFECT_MARK, program->effects.list[0].kind);
		EXPECT_EQ(~1U, program->effects.list[0].keep);
		EXPECT_EQ(1U, program->effects.list[0].flip);
		bf_program_free(program);
		EXPECT_EQ(0, bf_compile(table, &kernel, BF_ATTACH_MODULE, forms[i], 0, &program,
					&why));
		EXPECT_EQ(0U, program->want);
		EXPECT_EQ(0U, program->effects.nr);
		bf_program_free(program);
	}
	bf_table_free(table);
	blob_free(&b);
}

static void make_packet(struct packet *p, uint32_t mark)
{
	memset(p, 0, sizeof(*p));
	p->hook = NF_INET_LOCAL_IN;
	p->len = 40;
	p->data[0] = 0x45;
	p->data[9] = IPPROTO_UDP;
	p->mark = mark;
}

/* --set-mark, --set-xmark, --and-mark, --or-mark, --xor-mark, as iptables writes them. */
TEST_F(mark, changed)
{
	static const struct {
		uint32_t mark, mask, before, after;
	} v[] = {
		{0, UINT32_MAX, 0xffffffff, 0},
		{0x1234, UINT32_MAX, 0xffffffff, 0x1234},
		{0x80000001, UINT32_MAX, 0, 0x80000001},
		{0x12, 0xff, 0xabcdefff, 0xabcdef12},
		{0, ~0xf0U, 0x12345678, 0x70},
		{0x0f, 0x0f, 0x80000000, 0x8000000f},
		{0xff, 0, 0x0f, 0xf0},
		{0xf0, 0x0f, 0x3c, 0xc0},
		{0, 0, 0xdeadbeef, 0xdeadbeef},
	};
	unsigned int i, n;
	struct packet p;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		blob_hook(&self->r.b, NF_INET_LOCAL_IN);
		set_mark(&self->r.b, v[i].mark, v[i].mask);
		if_mark(&self->r.b, v[i].after, UINT32_MAX, BLOB_DROP);
		finish(&self->r.b);
		ASSERT_TRUE(run_load_forms(&self->r));
		make_packet(&p, v[i].before);
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("vector %u", i);
		run_for_each(&self->r, n)
			EXPECT_EQ(NF_DROP, run_packet(&self->r, self->r.loaded[n], &p))
				TH_LOG("vector %u, program %u", i, n);
		run_unload(&self->r);
	}
}

/* Across chains, where it is the last thing in one, and behind a condition that may not hold. */
TEST_F(mark, across_chains)
{
	uint32_t jump;
	struct packet p;

	blob_hook(&self->r.b, NF_INET_LOCAL_IN);
	set_mark(&self->r.b, 1, UINT32_MAX);
	jump = blob_rule(&self->r.b, BLOB_NEXT);
	if_mark(&self->r.b, 7, UINT32_MAX, BLOB_DROP);
	blob_policy(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&self->r.b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&self->r.b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_set_verdict(&self->r.b, jump, blob_chain(&self->r.b, "c"));
	set_mark(&self->r.b, 2, 2);
	if_mark(&self->r.b, 1, UINT32_MAX, BLOB_DROP);
	blob_begin(&self->r.b)->proto = IPPROTO_UDP;
	blob_end_target(&self->r.b, "MARK", 2, &(struct xt_mark_tginfo2){4, 0}, 8);
	blob_rule(&self->r.b, BLOB_RETURN);
	blob_finish(&self->r.b);
	ASSERT_TRUE(run_load_forms(&self->r));
	make_packet(&p, 0xffff);
	EXPECT_TRUE(run_agrees(&self->r, &p));
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->r.loaded[RUN_MODULE_STRAIGHT], &p));
	p.data[9] = IPPROTO_TCP;
	EXPECT_TRUE(run_agrees(&self->r, &p));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->r.loaded[RUN_MODULE_STRAIGHT], &p));
}

TEST_HARNESS_MAIN
