// SPDX-License-Identifier: GPL-2.0
/* -m multiport, mark and comment: the vectors follow xt_multiport.c and xt_mark.c of the kernel. */
#include "entry.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>

FIXTURE(multiport)
{
	struct xt_multiport_v1 mp;
	struct entry t;
	uint32_t key[BF_NR_FIELDS];
};

FIXTURE_SETUP(multiport)
{
	memset(self, 0, sizeof(*self));
	entry_init(&self->t);
	self->t.e.ip.proto = IPPROTO_TCP;
	self->key[BF_L4LEN] = 4;
}

FIXTURE_TEARDOWN(multiport)
{
}

#define EVAL()	match_eval("multiport", 1, &self->mp, sizeof(self->mp), self->key)
#define CHECK() entry_check(&self->t, "multiport", 1, &self->mp, 0)

TEST_F(multiport, only_revision_1)
{
	const struct bf_match *m = bf_match_find("multiport", 1);

	ASSERT_NE(NULL, m);
	EXPECT_EQ(48, m->size);
	EXPECT_EQ(0, m->proto);
	EXPECT_EQ(NULL, bf_match_find("multiport", 0));
	EXPECT_EQ(NULL, bf_match_find("multiport", 2));
}

TEST_F(multiport, protocols)
{
	int proto;

	for (proto = 0; proto < 600; proto++) {
		bool ports = proto == 6 || proto == 17 || proto == 33 || proto == 132 ||
			     proto == 136;

		self->t.e.ip.proto = proto;
		self->t.e.ip.invflags = 0;
		EXPECT_EQ(ports ? 0 : -EINVAL, CHECK()) TH_LOG("protocol %d", proto);
		self->t.e.ip.invflags = IPT_INV_PROTO;
		EXPECT_EQ(-EINVAL, CHECK()) TH_LOG("protocol %d", proto);
		self->t.e.ip.invflags = IPT_INV_FRAG | IPT_INV_SRCIP;
		EXPECT_EQ(ports ? 0 : -EINVAL, CHECK()) TH_LOG("protocol %d", proto);
	}
}

TEST_F(multiport, flags_and_count)
{
	int i;

	for (i = 0; i < 256; i++) {
		self->mp = (struct xt_multiport_v1){.flags = i};
		EXPECT_EQ(i < 3 ? 0 : -EINVAL, CHECK()) TH_LOG("flags %d", i);
		self->mp = (struct xt_multiport_v1){.count = i};
		EXPECT_EQ(i < 16 ? 0 : -EINVAL, CHECK()) TH_LOG("count %d", i);
	}
}

/* Old kernels take these and read on behind the list. */
TEST_F(multiport, broken_ranges_are_left_to_the_kernel)
{
	self->mp = (struct xt_multiport_v1){.count = 2, .ports = {5, 9}, .pflags = {1}};
	EXPECT_EQ(0, CHECK());
	self->mp.ports[1] = 5;
	EXPECT_EQ(0, CHECK());
	self->mp.ports[1] = 4;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK());
	self->mp.ports[1] = 9;
	self->mp.pflags[1] = 1;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK());
	self->mp.pflags[0] = 0;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK());
	self->mp.count = 1;
	EXPECT_EQ(0, CHECK());
	self->mp = (struct xt_multiport_v1){.count = 15, .pflags = {[14] = 1}};
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK());
	self->mp = (struct xt_multiport_v1){.count = 15, .pflags = {[13] = 1}};
	EXPECT_EQ(0, CHECK());
	/* behind the count nothing is looked at */
	self->mp = (struct xt_multiport_v1){.count = 13, .pflags = {[13] = 1, [14] = 1}};
	EXPECT_EQ(0, CHECK());
}

TEST_F(multiport, fragments_and_truncation)
{
	uint32_t len;

	self->mp = (struct xt_multiport_v1){.count = 1, .ports = {0}};
	for (self->mp.invert = 0; self->mp.invert < 3; self->mp.invert++) {
		self->key[BF_FRAGOFF] = 0;
		for (len = 0; len < 6; len++) {
			self->key[BF_L4LEN] = len;
			EXPECT_EQ(len < 4		 ? BF_HOTDROP
				  : self->mp.invert == 1 ? BF_NO_MATCH
							 : BF_MATCH,
				  EVAL());
		}
		self->key[BF_FRAGOFF] = 1;
		EXPECT_EQ(BF_NO_MATCH, EVAL());
		self->key[BF_L4LEN] = 0;
		EXPECT_EQ(BF_NO_MATCH, EVAL());
	}
}

TEST_F(multiport, lists)
{
	/* ports 22, 80:90 and 443 */
	static const struct {
		uint16_t port;
		bool listed;
	} v[] = {
		{0, false},  {21, false},  {22, true},	   {23, false},	    {79, false},
		{80, true},  {85, true},   {90, true},	   {91, false},	    {442, false},
		{443, true}, {444, false}, {65535, false}, {0x1600, false}, {5555, false},
	};
	unsigned int i, j, flags, invert;

	self->mp = (struct xt_multiport_v1){
		.count = 4,
		.ports = {22, 80, 90, 443, 5555},
		.pflags = {0, 7, 0, 0, 1},
	};
	for (flags = 0; flags < 3; flags++)
		for (invert = 0; invert < 4; invert++)
			for (i = 0; i < ARRAY_SIZE(v); i++)
				for (j = 0; j < ARRAY_SIZE(v); j++) {
					bool hit = flags == XT_MULTIPORT_SOURCE ? v[i].listed
						   : flags == XT_MULTIPORT_DESTINATION
							   ? v[j].listed
							   : v[i].listed || v[j].listed;
					bool expected = (hit ^ invert) != 0;

					self->mp.flags = flags;
					self->mp.invert = invert;
					self->key[BF_SPORT] = v[i].port;
					self->key[BF_DPORT] = v[j].port;
					EXPECT_EQ(expected, EVAL())
					TH_LOG("flags %u, inverted %u, ports %u %u", flags, invert,
					       v[i].port, v[j].port);
				}
}

TEST_F(multiport, empty_list)
{
	EXPECT_EQ(BF_NO_MATCH, EVAL());
	self->mp.flags = XT_MULTIPORT_EITHER;
	EXPECT_EQ(BF_NO_MATCH, EVAL());
	self->mp.invert = 1;
	EXPECT_EQ(BF_MATCH, EVAL());
}

TEST_F(multiport, full_list)
{
	unsigned int i;

	self->mp.count = XT_MULTI_PORTS;
	self->mp.flags = XT_MULTIPORT_EITHER;
	for (i = 0; i < XT_MULTI_PORTS; i++)
		self->mp.ports[i] = 100 + 2 * i;
	for (i = 99; i < 131; i++) {
		self->key[BF_SPORT] = 1;
		self->key[BF_DPORT] = i;
		EXPECT_EQ(i > 99 && i < 129 && !(i & 1) ? BF_MATCH : BF_NO_MATCH, EVAL())
		TH_LOG("port %u", i);
		self->key[BF_SPORT] = i;
		self->key[BF_DPORT] = 1;
		EXPECT_EQ(i > 99 && i < 129 && !(i & 1) ? BF_MATCH : BF_NO_MATCH, EVAL())
		TH_LOG("port %u", i);
	}
}

/* A hit leads behind the match, not behind the rule. */
TEST_F(multiport, a_match_may_follow)
{
	const struct xt_mark_mtinfo1 mark = {.mark = 1, .mask = ~0U};
	struct answer answer = {};

	self->mp = (struct xt_multiport_v1){.count = 2, .ports = {5, 6}};
	entry_add(&self->t, "multiport", 1, &self->mp, sizeof(self->mp));
	entry_add(&self->t, "mark", 1, &mark, sizeof(mark));
	self->key[BF_PROTO] = IPPROTO_TCP;
	for (self->key[BF_SPORT] = 5; self->key[BF_SPORT] < 7; self->key[BF_SPORT]++) {
		self->key[BF_MARK] = 0;
		EXPECT_EQ(BF_NO_MATCH, entry_eval(&self->t, self->key, &answer));
		self->key[BF_MARK] = 1;
		EXPECT_EQ(BF_MATCH, entry_eval(&self->t, self->key, &answer));
	}
}

TEST(mark)
{
	static const struct {
		uint32_t mark, mask, packet;
		bool equal;
	} v[] = {
		{5, ~0U, 5, true},
		{5, ~0U, 6, false},
		{5, 0xf, 0xf5, true},
		{5, 0xf, 0xf4, false},
		{0x80000000, 0x80000000, ~0U, true},
		{0, 0, 7, true},
		{0x15, 0xf, 0x15, false},
		{1, 0, 1, false},
	};
	struct xt_mark_mtinfo1 mark;
	uint32_t key[BF_NR_FIELDS] = {};
	unsigned int i, invert;

	EXPECT_EQ(12, bf_match_find("mark", 1)->size);
	EXPECT_EQ(NULL, bf_match_find("mark", 0));
	EXPECT_EQ(NULL, bf_match_find("mark", 2));
	/* The kernel's result is (equal ^ invert) != 0, and invert is a byte. */
	for (i = 0; i < ARRAY_SIZE(v); i++)
		for (invert = 0; invert < 256; invert += invert < 3 ? 1 : 63) {
			memset(&mark, 0, sizeof(mark));
			mark.mark = v[i].mark;
			mark.mask = v[i].mask;
			mark.invert = invert;
			key[BF_MARK] = v[i].packet;
			EXPECT_EQ((v[i].equal ^ invert) != 0,
				  match_eval("mark", 1, &mark, sizeof(mark), key))
			TH_LOG("vector %u, inverted %u", i, invert);
		}
}

TEST(comment)
{
	static const struct xt_comment_info comment = {"it always matches"};
	uint32_t key[BF_NR_FIELDS] = {};

	EXPECT_EQ(256, bf_match_find("comment", 0)->size);
	EXPECT_EQ(NULL, bf_match_find("comment", 1));
	EXPECT_EQ(BF_MATCH, match_eval("comment", 0, &comment, sizeof(comment), key));
}

/* The registry lists each record once, and finds all that it lists. */
TEST(registry)
{
	const struct bf_match *m;
	unsigned int i;

	for (i = 0; (m = bf_match_at(i)); i++) {
		EXPECT_EQ(m, bf_match_find(m->name, m->revision));
		EXPECT_LT(strlen(m->name), XT_EXTENSION_MAXNAMELEN);
		EXPECT_GE(m->size, m->usersize);
	}
	EXPECT_LT(13U, i);
	EXPECT_EQ(NULL, bf_match_at(i + 1));
	EXPECT_EQ(NULL, bf_match_find("", 0));
	/* A name need not end within its field. */
	EXPECT_EQ(NULL, bf_match_find("commentcommentcommentcommentc\0", 0));
}

TEST_HARNESS_MAIN
