// SPDX-License-Identifier: GPL-2.0
/* -j TCPMSS and -j SYNPROXY: what is accepted, where they can be, and what is put to the kernel. */
#include <errno.h>
#include <linux/netfilter/xt_TCPMSS.h>
#include <linux/netfilter/xt_SYNPROXY.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <string.h>

#include "blob.h"
#include "compile.h"
#include "ext.h"
#include "kselftest_harness.h"
#include "program.h"

static const unsigned int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};

static const struct xt_tcp for_syns = {
	.spts = {0, 65535}, .dpts = {0, 65535}, .flg_mask = 0x06, .flg_cmp = 0x02};

/**
 * struct sample - a rule with such a target
 * @hook: whose only rule it is
 * @tcp: its match, or NULL
 * @mss: of TCPMSS; 0: it is SYNPROXY
 */
struct sample {
	unsigned int hook;
	uint16_t proto;
	uint8_t invflags;
	const struct xt_tcp *tcp;
	uint16_t mss;
};

static void add_target(struct blob *b, const struct sample *s)
{
	const struct xt_synproxy_info proxy = {.options = XT_SYNPROXY_OPT_MSS, .mss = 1000};
	const struct xt_tcpmss_info mss = {s->mss};

	if (s->mss)
		blob_end_target(b, "TCPMSS", 0, &mss, sizeof(mss));
	else
		blob_end_target(b, "SYNPROXY", 0, &proxy, sizeof(proxy));
}

static void add_look(struct blob *b)
{
	const struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {0, 65535}, .option = 2};
	struct ipt_ip *ip = blob_begin(b);

	ip->proto = IPPROTO_TCP;
	blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
	blob_end(b, BLOB_DROP);
}

/* @looks: a rule behind it looks at TCP options. */
static void make_blob(struct blob *b, const struct sample *s, bool looks)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (hooks[i] != s->hook) {
			blob_empty_hook(b, hooks[i], BLOB_ACCEPT);
			continue;
		}
		blob_hook(b, hooks[i]);
		blob_begin(b)->proto = s->proto;
		blob_entry(b, b->rule)->ip.invflags = s->invflags;
		if (s->tcp)
			blob_match(b, "tcp", 0, s->tcp, sizeof(*s->tcp));
		add_target(b, s);
		if (looks)
			add_look(b);
		blob_policy(b, hooks[i], BLOB_ACCEPT);
	}
	blob_finish(b);
}

static int check(const struct sample *s, struct bf_why *why)
{
	struct bf_table *table;
	struct blob b = {};
	int err;

	make_blob(&b, s, false);
	err = bf_table_check(b.data, b.len, &table, why);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

TEST(checked_as_the_kernel_does)
{
	static const struct xt_tcp not_for_syns = {.flg_mask = 0x06, .flg_cmp = 0x04},
				   inverted = {.flg_mask = 0x06,
					       .flg_cmp = 0x02,
					       .invflags = XT_TCP_INV_FLAGS};
	static const struct {
		struct sample s;
		int err;
		const char *why;
	} v[] = {
		{{NF_INET_LOCAL_IN, 6, 0, &for_syns, 500}, 0, ""},
		{{NF_INET_FORWARD, 6, 0, &for_syns, XT_TCPMSS_CLAMP_PMTU}, 0, ""},
		{{NF_INET_LOCAL_OUT, 6, 0, &for_syns, XT_TCPMSS_CLAMP_PMTU}, 0, ""},
		{{NF_INET_LOCAL_IN, 6, 0, &for_syns, XT_TCPMSS_CLAMP_PMTU},
		 -EINVAL,
		 "target TCPMSS: the path is not known in INPUT (rule 1 of chain INPUT)"},
		{{NF_INET_FORWARD, 6, 0, NULL, 500},
		 -EINVAL,
		 "target TCPMSS: the rule is not for SYNs (rule 1 of chain FORWARD)"},
		{{NF_INET_FORWARD, 6, 0, &not_for_syns, 500}, -EINVAL, NULL},
		{{NF_INET_FORWARD, 6, 0, &inverted, 500}, -EINVAL, NULL},
		{{NF_INET_FORWARD, 0, 0, NULL, 500},
		 -EINVAL,
		 "target TCPMSS without its protocol (rule 1 of chain FORWARD)"},
		{{NF_INET_LOCAL_IN, 6, 0, NULL, 0}, 0, ""},
		{{NF_INET_FORWARD, 6, 0, &for_syns, 0}, 0, ""},
		{{NF_INET_LOCAL_OUT, 6, 0, NULL, 0},
		 -EINVAL,
		 "target SYNPROXY in a hook that it is not for (rule 1 of chain OUTPUT)"},
		{{NF_INET_LOCAL_IN, 17, 0, NULL, 0}, -EINVAL, NULL},
		{{NF_INET_LOCAL_IN, 6, IPT_INV_PROTO, NULL, 0},
		 -EINVAL,
		 "target SYNPROXY without its protocol (rule 1 of chain INPUT)"},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		struct bf_why why = {""};

		EXPECT_EQ(v[i].err, check(&v[i].s, &why)) TH_LOG("%u: %s", i, why.text);
		if (v[i].why)
			EXPECT_STREQ(v[i].why, why.text);
	}
}

static const struct bf_kernel kernel = {
	.has_links = true, .has_conntrack = true, .has_header = true, .hz = 250, .cpus = 2};

static int compile(const struct sample *s, bool looks, enum bf_attach attach,
		   struct bf_program **program, struct bf_why *why)
{
	struct bf_table *table;
	struct blob b = {};
	int err;

	*program = NULL;
	make_blob(&b, s, looks);
	table = blob_table(&b);
	if (!table)
		return -EINVAL;
	err = bf_compile(table, &kernel, attach, BF_FORM_AUTO, 0, program, why);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

/* Where it is, with its protocol, which the kernel wants to see. */
TEST(put_to_the_kernel)
{
	static const struct sample samples[] = {{NF_INET_FORWARD, 6, 0, &for_syns, 700},
						{NF_INET_LOCAL_IN, 6, 0, NULL, 0}};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct bf_question *q;
		struct bf_program *p;
		struct bf_why why = {""};

		ASSERT_EQ(0, compile(&samples[i], false, BF_ATTACH_LINK, &p, &why))
		TH_LOG("%s", why.text);
		ASSERT_EQ(1U, p->questions.nr);
		ASSERT_NE(NULL, p->asking);
		q = p->questions.list;
		EXPECT_STREQ(samples[i].mss ? "TCPMSS" : "SYNPROXY", q->name);
		EXPECT_TRUE(q->target);
		EXPECT_EQ(IPPROTO_TCP, q->proto);
		EXPECT_EQ(1U << samples[i].hook, q->hooks);
		EXPECT_EQ(8U, q->size);
		if (samples[i].mss)
			EXPECT_EQ(samples[i].mss, *(uint16_t *)q->info);
		EXPECT_EQ(!samples[i].mss, p->wants_conntrack);
		bf_program_free(p);
	}
}

TEST(at_links_alone)
{
	static const struct {
		enum bf_attach attach;
		const char *why;
	} v[] = {
		{BF_ATTACH_MODULE,
		 "target SYNPROXY needs BPF netfilter links, which came with Linux 6.4"},
		{BF_ATTACH_TC,
		 "target SYNPROXY is not available in the tc placement: the kernel's own is run, behind its hooks"},
		{BF_ATTACH_XDP,
		 "target SYNPROXY is not available in the xdp placement: the kernel's own is run, behind its hooks"},
	};
	const struct sample proxy = {NF_INET_LOCAL_IN, 6, 0, NULL, 0};
	struct bf_program *p;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		struct bf_why why = {""};

		EXPECT_EQ(-EOPNOTSUPP, compile(&proxy, false, v[i].attach, &p, &why));
		EXPECT_STREQ(v[i].why, why.text);
	}
}

/* The key has them as they were. */
TEST(not_beside_options)
{
	struct sample s = {NF_INET_FORWARD, 6, 0, &for_syns, 700};
	struct bf_program *p;
	struct bf_why why = {""};

	EXPECT_EQ(-EOPNOTSUPP, compile(&s, true, BF_ATTACH_LINK, &p, &why));
	EXPECT_STREQ("target TCPMSS changes TCP options, which other rules look at", why.text);
	s.mss = 0;
	EXPECT_EQ(0, compile(&s, true, BF_ATTACH_LINK, &p, &why)) TH_LOG("%s", why.text);
	bf_program_free(p);
}

TEST_HARNESS_MAIN
