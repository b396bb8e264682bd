// SPDX-License-Identifier: GPL-2.0
/*
 * What a table does not use costs it nothing: the instructions of programs for tables of every common kind,
 * counted. A change that adds an extension leaves these numbers as they are; one that changes the
 * programs of all tables, knowingly, changes them here.
 */
#include "blob.h"

#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "program.h"

static const struct bf_kernel kernel = {
	.has_links = true,
	.has_conntrack = true,
	.has_may_goto = true,
	.hz = 250,
	.cpus = 2,
};

enum kind { EMPTY, PORTS, STATES, LIMITS, OPTIONS };

static void add_matches(struct blob *b, enum kind kind, unsigned int i)
{
	struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {i, 65535}, .option = kind == OPTIONS};
	struct xt_conntrack_mtinfo3 ct = {.match_flags = XT_CONNTRACK_STATE | XT_CONNTRACK_EXPIRES,
					  .state_mask = 1U << (i & 3),
					  .expires_max = i};
	struct xt_rateinfo rate = {.avg = XT_LIMIT_SCALE, .burst = 5};
	struct xt_mark_mtinfo1 mark = {.mark = i, .mask = 0xff};

	blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
	blob_match(b, "mark", 1, &mark, sizeof(mark));
	if (kind == STATES)
		blob_match(b, "conntrack", 3, &ct, sizeof(ct));
	if (kind == LIMITS)
		blob_match(b, "limit", 0, &rate, sizeof(rate));
}

static struct bf_table *make_table(enum kind kind, unsigned int rules)
{
	struct blob b = {};
	struct bf_table *table;
	unsigned int i;

	blob_hook(&b, NF_INET_LOCAL_IN);
	for (i = 0; kind != EMPTY && i < rules; i++) {
		struct ipt_ip *ip = blob_begin(&b);

		ip->proto = 6;
		ip->src.s_addr = i << 24 | 10;
		ip->smsk.s_addr = UINT32_MAX;
		ip->iniface[0] = 'a';
		ip->iniface_mask[0] = 0xff;
		add_matches(&b, kind, i);
		blob_end(&b, BLOB_DROP);
	}
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	blob_free(&b);
	return table;
}

static uint32_t count(enum kind kind, unsigned int rules, enum bf_attach attach, enum bf_form form)
{
	struct bf_table *table = make_table(kind, rules);
	struct bf_program *p = NULL;
	uint32_t n = 0;

	if (table && !bf_compile(table, &kernel, attach, form, 1000, &p, NULL))
		n = p->nr_insns;
	bf_program_free(p);
	bf_table_free(table);
	return n;
}

TEST(instructions_of_common_tables)
{
	static const struct {
		enum kind kind;
		unsigned int rules;
		/* at links and at the module's hooks, each straight-line and as records */
		uint32_t insns[4];
	} v[] = {
		{EMPTY, 0, {58, 759, 58, 759}},	      {PORTS, 5, {342, 1423, 183, 1264}},
		{STATES, 5, {439, 1621, 225, 1407}},  {LIMITS, 5, {487, 2025, 327, 1865}},
		{OPTIONS, 5, {512, 2016, 333, 1837}},
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		for (j = 0; j < 4; j++)
			EXPECT_EQ(v[i].insns[j], count(v[i].kind, v[i].rules,
						       j & 2 ? BF_ATTACH_MODULE : BF_ATTACH_LINK,
						       j & 1 ? BF_FORM_RECORDS : BF_FORM_STRAIGHT))
	TH_LOG("table %u, program %u", i, j);
}

TEST_HARNESS_MAIN
