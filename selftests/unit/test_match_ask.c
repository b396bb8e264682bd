// SPDX-License-Identifier: GPL-2.0
/*
 * Matches that the kernel is asked about: that their structures are the kernel's, what is refused before it is asked, and
 * which of their options make a question of them. What it answers is compared by the differential test.
 */
#include "entry.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_cgroup.h>
#include <linux/netfilter/xt_dccp.h>
#include <linux/netfilter/xt_helper.h>
#include <linux/netfilter/xt_osf.h>
#include <linux/netfilter/xt_owner.h>
#include <linux/netfilter/xt_policy.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter/xt_socket.h>
#include <stdlib.h>

#define IN  (1 << NF_INET_LOCAL_IN)
#define FWD (1 << NF_INET_FORWARD)
#define OUT (1 << NF_INET_LOCAL_OUT)
#define ANY (IN | FWD | OUT)

/* @hooks: those that the kernel has it in */
static const struct {
	const char *name;
	uint8_t revision, proto, hooks;
	bool conntrack;
	uint16_t size, usersize;
} asked[] = {
	{"bpf", 0, 0, ANY, false, 528, 520},	     {"bpf", 1, 0, ANY, false, 528, 520},
	{"cgroup", 0, 0, IN | OUT, false, 8, 0},     {"cgroup", 1, 0, IN | OUT, false, 4112, 4104},
	{"cgroup", 2, 0, IN | OUT, false, 528, 520}, {"connbytes", 0, 0, ANY, true, 24, 0},
	{"connlabel", 0, 0, ANY, true, 4, 0},	     {"connlimit", 1, 0, ANY, true, 32, 24},
	{"helper", 0, 0, ANY, true, 36, 0},	     {"osf", 0, 6, IN | FWD, false, 48, 0},
	{"realm", 0, 0, ANY, false, 12, 0},	     {"socket", 1, 0, IN, false, 1, 0},
	{"socket", 2, 0, IN, false, 1, 0},	     {"socket", 3, 0, IN, false, 1, 0},
};

FIXTURE(ask)
{
	struct entry t;
	struct bf_rule r;
};

FIXTURE_SETUP(ask)
{
	memset(self, 0, sizeof(*self));
	entry_init(&self->t);
}

FIXTURE_TEARDOWN(ask)
{
	bf_rule_free(&self->r);
}

#define CHECK(name, rev, info) entry_check(&self->t, name, rev, &(info), IN)

/* The only question of a rule with this match, or NULL. */
static const struct bf_question *question_of(struct _test_data_ask *self, const char *name,
					     uint8_t revision, const void *info, size_t size)
{
	bf_rule_free(&self->r);
	memset(&self->r, 0, sizeof(self->r));
	entry_init(&self->t);
	entry_add(&self->t, name, revision, info, size);
	bf_compile_rule(&self->r, &self->t.e);
	return self->r.questions.nr == 1 && !self->r.error ? &self->r.questions.list[0] : NULL;
}

#define QUESTION(name, rev, info) question_of(self, name, rev, &(info), sizeof(info))

TEST_F(ask, structures)
{
	static const uint8_t info[8192];
	unsigned int i, hook;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		const struct bf_match *m = bf_match_find(asked[i].name, asked[i].revision);
		const struct bf_question *q;
		struct bf_why why = {};

		ASSERT_NE(NULL, m) TH_LOG("%s", asked[i].name);
		EXPECT_EQ(asked[i].size, m->size) TH_LOG("%s", m->name);
		EXPECT_EQ(asked[i].usersize, m->usersize) TH_LOG("%s", m->name);
		EXPECT_EQ(asked[i].proto, m->proto) TH_LOG("%s", m->name);
		EXPECT_EQ(asked[i].conntrack, m->conntrack) TH_LOG("%s", m->name);
		EXPECT_TRUE(m->asks);
		EXPECT_EQ(-EOPNOTSUPP, m->place(info, BF_ATTACH_TC, &why));
		EXPECT_NE(NULL, strstr(why.text, m->name)) TH_LOG("%s", why.text);
		for (hook = NF_INET_LOCAL_IN; hook <= NF_INET_LOCAL_OUT; hook++)
			EXPECT_EQ(asked[i].hooks & 1 << hook ? 0 : -EINVAL,
				  entry_check(&self->t, m->name, m->revision, info, 1 << hook))
		TH_LOG("%s in hook %u", m->name, hook);
		q = question_of(self, m->name, m->revision, info, m->size);
		ASSERT_NE(NULL, q) TH_LOG("%s", m->name);
		EXPECT_STREQ(m->name, q->name);
		EXPECT_EQ(m->revision, q->revision);
		EXPECT_EQ(XT_ALIGN(m->size), q->size);
	}
}

/* A program that is named is not the helper's to look for. */
TEST_F(ask, programs)
{
	struct xt_bpf_info_v1 info = {.mode = XT_BPF_MODE_BYTECODE, .bpf_program_num_elem = 2};

	EXPECT_EQ(0, CHECK("bpf", 1, info));
	info.mode = XT_BPF_MODE_PATH_PINNED;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("bpf", 1, info));
	info.mode = XT_BPF_MODE_FD_ELF;
	EXPECT_EQ(-EPERM, CHECK("bpf", 1, info));
	info.mode = 3;
	EXPECT_EQ(-EINVAL, CHECK("bpf", 1, info));
}

TEST_F(ask, control_groups)
{
	struct xt_cgroup_info_v1 one = {.has_classid = 1, .classid = 7};
	struct xt_cgroup_info_v2 two = {.has_classid = 1, .classid = 7};

	EXPECT_EQ(0, CHECK("cgroup", 1, one));
	EXPECT_EQ(0, CHECK("cgroup", 2, two));
	one.has_path = two.has_path = 1;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("cgroup", 1, one));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("cgroup", 2, two));
}

TEST_F(ask, sockets)
{
	struct xt_socket_mtinfo3 info = {.flags = XT_SOCKET_TRANSPARENT | XT_SOCKET_NOWILDCARD};

	EXPECT_EQ(0, CHECK("socket", 3, info));
	info.flags |= XT_SOCKET_RESTORESKMARK;
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("socket", 3, info));
	/* Unknown to the others, which the kernel refuses then. */
	EXPECT_EQ(0, CHECK("socket", 2, info));
}

TEST_F(ask, names)
{
	struct xt_helper_info helper = {};
	struct xt_osf_info osf = {};

	memset(helper.name, 'x', sizeof(helper.name) - 1);
	memset(osf.genre, 'x', sizeof(osf.genre) - 1);
	EXPECT_EQ(0, CHECK("helper", 0, helper));
	EXPECT_EQ(0, CHECK("osf", 0, osf));
	helper.name[sizeof(helper.name) - 1] = osf.genre[sizeof(osf.genre) - 1] = 'x';
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("helper", 0, helper));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, CHECK("osf", 0, osf));
}

/* Some of their options alone make questions of these, and a table that asks. */
TEST_F(ask, with_some_options)
{
	const struct bf_match *sctp = bf_match_find("sctp", 0), *dccp = bf_match_find("dccp", 0),
			      *owner = bf_match_find("owner", 1);
	struct xt_sctp_info s = {.flags = XT_SCTP_SRC_PORTS | XT_SCTP_DEST_PORTS};
	struct xt_dccp_info d = {.flags = XT_DCCP_SRC_PORTS | XT_DCCP_DEST_PORTS};
	struct xt_owner_match_info o = {.match = XT_OWNER_UID | XT_OWNER_SUPPL_GROUPS};

	EXPECT_FALSE(sctp->asks_if(&s));
	EXPECT_EQ(NULL, QUESTION("sctp", 0, s));
	s.flags |= XT_SCTP_CHUNK_TYPES;
	EXPECT_TRUE(sctp->asks_if(&s));
	EXPECT_NE(NULL, QUESTION("sctp", 0, s));

	EXPECT_FALSE(dccp->asks_if(&d));
	EXPECT_EQ(NULL, QUESTION("dccp", 0, d));
	d.flags = XT_DCCP_TYPE;
	EXPECT_TRUE(dccp->asks_if(&d));
	d.flags = XT_DCCP_OPTION;
	EXPECT_TRUE(dccp->asks_if(&d));
	EXPECT_NE(NULL, QUESTION("dccp", 0, d));

	EXPECT_FALSE(owner->asks_if(&o));
	EXPECT_EQ(NULL, QUESTION("owner", 1, o));
	o.match |= XT_OWNER_GID;
	EXPECT_TRUE(owner->asks_if(&o));
	EXPECT_NE(NULL, QUESTION("owner", 1, o));
	o.match = XT_OWNER_GID;
	EXPECT_FALSE(owner->asks_if(&o));
}

/* Where no program can read what these are about, all of such a rule is a question, and limits are beside it. */
TEST_F(ask, what_cannot_be_read)
{
	static const char *const names[] = {"physdev", "policy", "devgroup"};
	const struct bf_kernel reads = {}, asks = {.asks_instead = true};
	unsigned char info[sizeof(struct xt_policy_info)] = {XT_POLICY_MATCH_IN};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const struct bf_match *m = bf_match_find(names[i], 0);

		ASSERT_NE(NULL, m);
		EXPECT_FALSE(m->asks);
		EXPECT_TRUE(m->asks_instead);
		for (j = 0; j < 3; j++) {
			bf_rule_free(&self->r);
			memset(&self->r, 0, sizeof(self->r));
			self->r.kernel = j ? j > 1 ? &asks : &reads : NULL;
			entry_init(&self->t);
			entry_add(&self->t, names[i], 0, info, m->size);
			bf_compile_rule(&self->r, &self->t.e);
			EXPECT_EQ(0, self->r.error);
			EXPECT_EQ(j > 1, self->r.questions.nr) TH_LOG("%s %u", names[i], j);
		}
		ASSERT_EQ(1U, self->r.questions.nr);
		EXPECT_STREQ(names[i], self->r.questions.list[0].name);
		EXPECT_EQ(XT_ALIGN(m->size), self->r.questions.list[0].size);
	}
	EXPECT_FALSE(bf_match_find("limit", 0)->asks_instead);
}

TEST_HARNESS_MAIN
