// SPDX-License-Identifier: GPL-2.0
/*
 * Which tables with LOG and MARK can be had: those in which no mark is set behind a rule that tells of it.
 */
#include "blob.h"

#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>

#include "kselftest_harness.h"
#include "program.h"

/* A rule in a few letters: its conditions, and behind them what it does. */
enum condition {
	ANY = 0,
	ONE = 1,     /* the mark is 1 */
	NOT_ONE = 2, /* it is not */
	TCP = 4,
	LIMITED = 8,
};
enum what { END, LOG, MARK, DROP, ACCEPT, REJECT, COUNT, RETURN, CALL };

struct rule {
	unsigned int conditions;
	enum what what;
};

static void add_conditions(struct blob *b, unsigned int conditions)
{
	const struct xt_mark_mtinfo1 mark = {
		.mark = 1, .mask = 1, .invert = !!(conditions & NOT_ONE)};
	const struct xt_rateinfo rate = {.avg = XT_LIMIT_SCALE, .burst = 5};
	struct ipt_ip *ip = blob_begin(b);

	if (conditions & TCP)
		ip->proto = 6;
	if (conditions & (ONE | NOT_ONE))
		blob_match(b, "mark", 1, &mark, sizeof(mark));
	if (conditions & LIMITED)
		blob_match(b, "limit", 0, &rate, sizeof(rate));
}

/* Returns where it is. */
static uint32_t add_rule(struct blob *b, const struct rule *r)
{
	static const int verdicts[] = {[DROP] = BLOB_DROP,
				       [ACCEPT] = BLOB_ACCEPT,
				       [COUNT] = BLOB_NEXT,
				       [RETURN] = BLOB_RETURN,
				       [CALL] = BLOB_DROP};
	const struct xt_log_info log = {.prefix = "x"};
	const struct xt_mark_tginfo2 mark = {.mark = 1, .mask = 1};
	const struct ipt_reject_info reject = {.with = IPT_ICMP_PORT_UNREACHABLE};

	add_conditions(b, r->conditions);
	switch (r->what) {
	case LOG:
		return blob_end_target(b, "LOG", 0, &log, sizeof(log));
	case MARK:
		return blob_end_target(b, "MARK", 2, &mark, sizeof(mark));
	case REJECT:
		return blob_end_target(b, "REJECT", 0, &reject, sizeof(reject));
	default:
		return blob_end(b, verdicts[r->what]);
	}
}

/* The rules in INPUT; in a chain of its own, to which a rule leads, if @user. 0 or what the compiler says. */
static int compile(const struct rule *rules, bool user)
{
	static const struct bf_kernel kernel = {
		.has_links = true, .has_may_goto = true, .hz = 250, .cpus = 2};
	struct bf_program *p = NULL;
	uint32_t jump = 0, call = 0;
	struct bf_table *table;
	struct blob b = {};
	int err;

	blob_hook(&b, NF_INET_LOCAL_IN);
	if (user)
		jump = blob_rule(&b, BLOB_DROP);
	for (; !user && rules->what != END; rules++) {
		uint32_t at = add_rule(&b, rules);

		if (rules->what == CALL)
			call = at;
	}
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	if (user || call) {
		blob_set_verdict(&b, user ? jump : call, blob_chain(&b, "user"));
		for (; user && rules->what != END; rules++)
			add_rule(&b, rules);
		blob_rule(&b, BLOB_RETURN);
	}
	blob_finish(&b);
	table = blob_table(&b);
	blob_free(&b);
	if (!table)
		return -1;
	err = bf_compile(table, &kernel, BF_ATTACH_MODULE, BF_FORM_STRAIGHT, 1000, &p, NULL);
	bf_program_free(p);
	bf_table_free(table);
	return err;
}

TEST(order)
{
	static const struct {
		struct rule rules[5];
		int input, user; /* in INPUT, in a chain of its own */
	} v[] = {
		/* behind it, or before */
		{{{ANY, LOG}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{ANY, MARK}, {ANY, LOG}}, 0, -EOPNOTSUPP},
		{{{ANY, MARK}, {ANY, LOG}, {TCP, DROP}}, 0, -EOPNOTSUPP},
		{{{ANY, MARK}, {ANY, LOG}, {ANY, DROP}}, 0, 0},
		/* log, then drop the same */
		{{{NOT_ONE, LOG}, {NOT_ONE, DROP}, {ANY, MARK}}, 0, 0},
		{{{NOT_ONE, LOG}, {NOT_ONE, REJECT}, {ANY, MARK}}, 0, 0},
		{{{NOT_ONE | LIMITED, LOG}, {NOT_ONE, REJECT}, {ANY, MARK}}, 0, 0},
		{{{ONE | TCP, LOG}, {TCP, COUNT}, {ONE, ACCEPT}, {ANY, MARK}}, 0, 0},
		{{{ONE | TCP, LOG}, {TCP, ACCEPT}, {ANY, MARK}}, 0, 0},
		/* or less than that */
		{{{ONE, LOG}, {ONE | TCP, DROP}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{ONE, LOG}, {NOT_ONE, DROP}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{NOT_ONE, LOG}, {ONE, DROP}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{ONE, LOG}, {ONE | LIMITED, DROP}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{LIMITED, LOG}, {LIMITED, DROP}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{ONE, LOG}, {TCP, MARK}, {ONE, DROP}}, -EOPNOTSUPP, -EOPNOTSUPP},
		/* every rule that tells of it is looked at */
		{{{ONE, LOG}, {ONE, DROP}, {ANY, LOG}, {ANY, MARK}}, -EOPNOTSUPP, -EOPNOTSUPP},
		/* where the packet goes then is not looked for */
		{{{ANY, MARK}, {ANY, LOG}, {TCP, RETURN}, {ANY, DROP}}, -EOPNOTSUPP, -EOPNOTSUPP},
		{{{ANY, MARK}, {ANY, LOG}, {TCP, CALL}, {ANY, DROP}}, -EOPNOTSUPP, 0},
		/* what ends the packet's way tells of the mark that it has */
		{{{ANY, MARK}, {TCP, REJECT}, {ANY, MARK}}, 0, 0},
		{{{ONE, LOG}, {TCP, LOG}}, 0, 0},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		EXPECT_EQ(v[i].input, compile(v[i].rules, false)) TH_LOG("table %u", i);
		EXPECT_EQ(v[i].user, compile(v[i].rules, true)) TH_LOG("chain %u", i);
	}
}

TEST_HARNESS_MAIN
