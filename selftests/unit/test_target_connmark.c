// SPDX-License-Identifier: GPL-2.0
/* -j CONNMARK: what is accepted, what later rules see of it, and what is left to who is behind the program. */
#include "run.h"

#include <errno.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "ext.h"
#include "kselftest_harness.h"

FIXTURE(connmark)
{
	struct run r;
};

FIXTURE_SETUP(connmark)
{
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	/* Packets of test runs at links have no connection. */
	self->r.module_only = true;
}

FIXTURE_TEARDOWN(connmark)
{
	run_end(&self->r);
}

static void change(struct blob *b, const struct xt_connmark_tginfo2 *info)
{
	blob_begin(b);
	blob_end_target(b, "CONNMARK", 2, info, sizeof(*info));
}

static void set_mark(struct blob *b, uint32_t mark, uint32_t mask)
{
	const struct xt_mark_tginfo2 info = {mark, mask};

	blob_begin(b);
	blob_end_target(b, "MARK", 2, &info, sizeof(info));
}

static void if_marks(struct blob *b, uint32_t ct, uint32_t mark, int verdict)
{
	const struct xt_connmark_mtinfo1 of_ct = {.mark = ct, .mask = UINT32_MAX};
	const struct xt_mark_mtinfo1 of_packet = {.mark = mark, .mask = UINT32_MAX};

	blob_begin(b);
	blob_match(b, "connmark", 1, &of_ct, sizeof(of_ct));
	blob_match(b, "mark", 1, &of_packet, sizeof(of_packet));
	blob_end(b, verdict);
}

static void finish(struct blob *b)
{
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

static int check(uint8_t revision, const void *info, size_t size, struct bf_why *why)
{
	struct bf_table *table;
	struct blob b = {};
	int err;

	blob_hook(&b, NF_INET_LOCAL_IN);
	blob_begin(&b);
	blob_end_target(&b, "CONNMARK", revision, info, size);
	finish(&b);
	err = bf_table_check(b.data, b.len, &table, why);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

TEST(checked_as_the_kernel_does)
{
	struct xt_connmark_tginfo2 info = {.shift_bits = 31, .shift_dir = D_SHIFT_RIGHT};
	struct bf_why why = {};

	EXPECT_EQ(0, check(1, &info, sizeof(struct xt_connmark_tginfo1), NULL));
	EXPECT_EQ(0, check(2, &info, sizeof(info), NULL));
	EXPECT_EQ(-EINVAL, check(2, &info, sizeof(info) - 8, &why));
	EXPECT_STREQ("target CONNMARK has a wrong size (rule 1 of chain INPUT)", why.text);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(0, &info, sizeof(info), NULL));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(3, &info, sizeof(info), NULL));
	/* Some kernels take these, some do not. */
	info.shift_bits = 32;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(2, &info, sizeof(info), &why));
	EXPECT_STREQ("target CONNMARK: a shift by 32 bits in direction 1 (rule 1 of chain INPUT)",
		     why.text);
	info.shift_bits = 0;
	info.shift_dir = 2;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, check(2, &info, sizeof(info), NULL));
	/* Not looked at where there is none. */
	EXPECT_EQ(0, check(1, &info, sizeof(struct xt_connmark_tginfo1), NULL));
}

static void make_packet(struct packet *p, uint32_t ct, uint32_t mark, uint32_t state)
{
	memset(p, 0, sizeof(*p));
	p->hook = NF_INET_LOCAL_IN;
	p->len = 40;
	p->data[0] = 0x45;
	p->data[9] = IPPROTO_UDP;
	p->mark = mark;
	p->ct[0] = state;
	p->ct[BF_CT_MARK - BF_CT_STATE] = ct;
}

#define SET	XT_CONNMARK_SET
#define SAVE	XT_CONNMARK_SAVE
#define RESTORE XT_CONNMARK_RESTORE
#define ALL	UINT32_MAX

/* What is in front of the arrow becomes what is behind it: the connection's mark, the packet's mark. */
static const struct {
	struct xt_connmark_tginfo2 info; /* ctmark, ctmask, nfmask, direction, bits, mode */
	uint32_t ct, mark, to_ct, to_mark;
} vectors[] = {
	{{0, ALL, 0, 0, 0, SET}, 0xffffffff, 7, 0, 7},
	{{0x12, 0xff, 0, 0, 0, SET}, 0xabcdefff, 7, 0xabcdef12, 7},
	{{0x80000001, ALL, 0, 0, 0, SET}, 0, 0, 0x80000001, 0},
	{{0xff, 0, 0, 0, 0, SET}, 0xf, 0, 0xf0, 0},
	{{0x5, ALL, 0, 0, 8, SET}, 0x77, 0, 0x500, 0},
	{{0x3, 0xf, 0, 0, 31, SET}, 0xfffffff0, 0, 0x80000000, 0},
	{{0x1, 0x1, 0, 1, 4, SET}, 0x12345678, 0, 0x1234567, 0},
	{{0, ALL, ALL, 0, 0, SAVE}, 5, 0xdeadbeef, 0xdeadbeef, 0xdeadbeef},
	{{0, 0xff00, 0xff, 0, 8, SAVE}, 0x11223344, 0xaabbccdd, 0x1122dd44, 0xaabbccdd},
	{{0, 0xff, 0xff0000, 1, 16, SAVE}, 0x11223344, 0xaabbccdd, 0x112233bb, 0xaabbccdd},
	{{0, 0, 0xff, 0, 0, SAVE}, 0x0f, 0xff, 0xf0, 0xff},
	{{0, ALL, ALL, 0, 0, RESTORE}, 0xdeadbeef, 5, 0xdeadbeef, 0xdeadbeef},
	{{0, 0xff00, 0xff, 1, 8, RESTORE}, 0x11223344, 0xaabbccdd, 0x11223344, 0xaabbcc33},
	{{0, 0xff, 0xff000000, 0, 24, RESTORE}, 0x11223344, 0xaabbccdd, 0x11223344, 0x44bbccdd},
	{{0, ALL, 0, 0, 0, RESTORE}, 0xff, 0x0f, 0xff, 0xf0},
	{{0, ALL, ALL, 0, 1, RESTORE}, 0x80000001, 0x5, 0x80000001, 0x2},
	{{1, ALL, ALL, 0, 0, 3}, 8, 9, 8, 9},
};

TEST_F(connmark, changed)
{
	const uint32_t established = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED);
	struct packet p;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		blob_hook(&self->r.b, NF_INET_LOCAL_IN);
		change(&self->r.b, &vectors[i].info);
		if_marks(&self->r.b, vectors[i].to_ct, vectors[i].to_mark, BLOB_DROP);
		finish(&self->r.b);
		ASSERT_TRUE(run_load_forms(&self->r));
		make_packet(&p, vectors[i].ct, vectors[i].mark, established);
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("vector %u", i);
		run_for_each(&self->r, n)
			EXPECT_EQ(NF_DROP, run_packet(&self->r, self->r.loaded[n], &p))
				TH_LOG("vector %u, program %u", i, n);
		run_unload(&self->r);
	}
}

TEST_F(connmark, without_a_connection)
{
	static const uint32_t states[] = {XT_CONNTRACK_STATE_INVALID, XT_CONNTRACK_STATE_UNTRACKED};
	const struct xt_connmark_tginfo2 restore = {0, ALL, ALL, 0, 0, RESTORE};
	const struct xt_mark_mtinfo1 kept = {.mark = 6, .mask = ALL};
	struct packet p;
	unsigned int i, n;

	blob_hook(&self->r.b, NF_INET_LOCAL_IN);
	change(&self->r.b, &restore);
	blob_begin(&self->r.b);
	blob_match(&self->r.b, "mark", 1, &kept, sizeof(kept));
	blob_end(&self->r.b, BLOB_DROP);
	finish(&self->r.b);
	ASSERT_TRUE(run_load_forms(&self->r));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		make_packet(&p, 0, 6, states[i]);
		EXPECT_TRUE(run_agrees(&self->r, &p));
		run_for_each(&self->r, n)
			EXPECT_EQ(NF_DROP, run_packet(&self->r, self->r.loaded[n], &p));
	}
}

static void random_change(struct dice *d, struct blob *b)
{
	const struct xt_connmark_tginfo2 info = {
		.ctmark = roll(d, 8),
		.ctmask = chance(d, 30) ? ALL : roll(d, 8),
		.nfmask = chance(d, 30) ? ALL : roll(d, 8),
		.shift_dir = roll(d, 2),
		.shift_bits = chance(d, 60) ? 0 : roll(d, 3),
		.mode = roll(d, 3),
	};

	if (chance(d, 30))
		set_mark(b, info.ctmark, info.nfmask);
	else
		change(b, &info);
}

/* Most rules ask for one of the two marks, or for an address beside it: enough of them for trees. */
static void random_rule(struct dice *d, struct blob *b)
{
	const struct xt_connmark_mtinfo1 of_ct = {roll(d, 8), roll(d, 8), chance(d, 20)};
	const struct xt_mark_mtinfo1 of_packet = {roll(d, 8), roll(d, 8), chance(d, 20)};
	struct ipt_ip *ip = blob_begin(b);

	if (chance(d, 70)) {
		ip->src.s_addr = htonl(0x0a000000 | roll(d, 8));
		ip->smsk.s_addr = ALL;
	}
	if (chance(d, 60))
		blob_match(b, "connmark", 1, &of_ct, sizeof(of_ct));
	if (chance(d, 60))
		blob_match(b, "mark", 1, &of_packet, sizeof(of_packet));
	blob_end(b, chance(d, 10) ? BLOB_DROP : chance(d, 20) ? BLOB_ACCEPT : BLOB_NEXT);
}

static void random_table_of(struct dice *d, struct blob *b, unsigned int rules)
{
	unsigned int i, left = 7;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < rules; i++) {
		if (left && roll(d, rules) < 10) {
			random_change(d, b);
			left--;
		} else {
			random_rule(d, b);
		}
	}
	finish(b);
}

TEST_F(connmark, random_tables)
{
	struct dice d = {.state = 6};
	unsigned int i, k;
	struct packet p;

	for (i = 0; i < 60; i++) {
		random_table_of(&d, &self->r.b, i % 3 ? 10 : 200);
		ASSERT_TRUE(run_load_forms(&self->r)) TH_LOG("table %u", i);
		for (k = 0; k < 200; k++) {
			make_packet(&p, roll(&d, 8), roll(&d, 8), 1U << roll(&d, 3));
			p.data[12] = 10;
			p.data[15] = roll(&d, 8);
			ASSERT_TRUE(run_agrees(&self->r, &p)) TH_LOG("table %u, packet %u", i, k);
		}
		run_unload(&self->r);
	}
}

static const struct bf_kernel some_kernel = {
	.has_links = true, .has_conntrack = true, .has_ct_mark = true, .hz = 250, .cpus = 2};

/* Each in its turn, MARK among them: at both kinds of hooks. */
TEST(effects)
{
	static const enum bf_attach attach[] = {BF_ATTACH_LINK, BF_ATTACH_MODULE};
	/* Static, so that the bytes between its members and its end are zero. */
	static const struct xt_connmark_tginfo2 save = {0, 0xff, 0xf0, D_SHIFT_RIGHT, 4, SAVE};
	struct bf_effect_info info;
	struct bf_program *program;
	struct bf_question q;
	struct bf_table *table;
	struct bf_why why = {};
	struct blob b = {};
	unsigned int i;

	blob_hook(&b, NF_INET_LOCAL_IN);
	set_mark(&b, 1, 1);
	change(&b, &save);
	finish(&b);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	for (i = 0; i < ARRAY_SIZE(attach); i++) {
		ASSERT_EQ(0, bf_compile(table, &some_kernel, attach[i], BF_FORM_AUTO, 0, &program,
					&why))
		TH_LOG("%s", why.text);
		EXPECT_TRUE(program->wants_conntrack);
		ASSERT_EQ(2U, program->effects.nr);
		EXPECT_EQ(BF_EFFECT_MARK, program->effects.list[0].kind);
		EXPECT_EQ(BF_EFFECT_CONNMARK, program->effects.list[1].kind);
		bf_effect_question(&program->effects.list[1], &info, &q);
		EXPECT_STREQ("CONNMARK", q.name);
		EXPECT_TRUE(q.target);
		EXPECT_EQ(2, q.revision);
		EXPECT_EQ(XT_ALIGN(sizeof(save)), q.size);
		EXPECT_EQ(0, memcmp(q.info, &save, sizeof(save)));
		bf_effect_question(&program->effects.list[0], &info, &q);
		EXPECT_STREQ("MARK", q.name);
		EXPECT_EQ(0, memcmp(q.info, &(struct xt_mark_tginfo2){1, 1}, 8));
		bf_program_free(program);
	}
	bf_table_free(table);
	blob_free(&b);
}

/* A packet may have so many effects, and no more. */
TEST(too_many)
{
	const struct xt_connmark_tginfo2 set = {1, ALL, 0, 0, 0, SET};
	struct bf_program *program;
	struct bf_table *table;
	struct bf_why why = {};
	unsigned int i;

	for (i = BF_MODULE_EFFECTS - 1; i <= BF_MODULE_EFFECTS; i++) {
		struct blob b = {};
		unsigned int n;

		blob_hook(&b, NF_INET_LOCAL_IN);
		for (n = 0; n < i; n++)
			change(&b, &set);
		finish(&b);
		table = blob_table(&b);
		ASSERT_NE(NULL, table);
		EXPECT_EQ(i < BF_MODULE_EFFECTS ? 0 : -EOPNOTSUPP,
			  bf_compile(table, &some_kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, 0,
				     &program, &why));
		bf_program_free(program);
		bf_table_free(table);
		blob_free(&b);
	}
	EXPECT_STREQ(
		"CONNMARK: a packet may meet more than 7 of such rules and of those with REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct",
		why.text);
}

TEST(not_at_interfaces)
{
	static const enum bf_attach attach[] = {BF_ATTACH_TC, BF_ATTACH_XDP};
	const struct xt_connmark_tginfo2 restore = {0, ALL, ALL, 0, 0, RESTORE};
	struct bf_program *program;
	struct bf_table *table;
	struct bf_why why = {};
	struct blob b = {};
	unsigned int i;

	blob_hook(&b, NF_INET_LOCAL_IN);
	change(&b, &restore);
	finish(&b);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	for (i = 0; i < ARRAY_SIZE(attach); i++) {
		EXPECT_EQ(-EOPNOTSUPP, bf_compile(table, &some_kernel, attach[i], BF_FORM_AUTO, 0,
						  &program, &why));
		EXPECT_NE(NULL, strstr(why.text, "the mark of a connection is not known there"))
		TH_LOG("%s", why.text);
	}
	bf_table_free(table);
	blob_free(&b);
}

TEST_HARNESS_MAIN
