// SPDX-License-Identifier: GPL-2.0
/* What of a rule goes into its record, what becomes a predicate, and what is left. */
#include "blob.h"

#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdio.h>
#include <string.h>

#include "kselftest_harness.h"
#include "lift.h"

FIXTURE(lift)
{
	struct blob b;
	struct bf_table *table;
	struct bf_rules rules;
	struct bf_lift lift;
};

static void begin(struct blob *b)
{
	blob_empty_hook(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_hook(b, NF_INET_FORWARD);
}

/* Number of the first rule in FORWARD: there is INPUT's policy before it. */
#define FIRST 1

FIXTURE_SETUP(lift)
{
	memset(self, 0, sizeof(*self));
	begin(&self->b);
}

static void clear(FIXTURE_DATA(lift) * self)
{
	bf_lift_free(&self->lift);
	bf_rules_free(&self->rules);
	bf_table_free(self->table);
	blob_free(&self->b);
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(lift)
{
	clear(self);
}

static bool lift(FIXTURE_DATA(lift) * self)
{
	blob_policy(&self->b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(&self->b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&self->b);
	self->table = blob_table(&self->b);
	return self->table &&
	       !bf_rules_make(&self->rules, self->table, BF_ATTACH_LINK, NULL, NULL) &&
	       !bf_lift_make(&self->lift, &self->rules);
}

/* Rule number @i of FORWARD. */
static const struct bf_lifted *rule(const FIXTURE_DATA(lift) * self, uint32_t i)
{
	return &self->lift.entries[FIRST + i];
}

/* Is a test of this field among what is left of a rule? */
static bool is_left(const FIXTURE_DATA(lift) * self, uint32_t i, enum bf_field field)
{
	const struct bf_lifted *l = rule(self, i);
	const struct bf_op *ops = &self->rules.ops[self->rules.codes[FIRST + i].first_op];
	uint32_t j;

	for (j = 0; j < l->nr_rest; j++) {
		const struct bf_op *op = &ops[self->lift.rest[l->first_rest + j]];

		if (op->code <= BF_OP_RANGE && op->field == field)
			return true;
	}
	return false;
}

static void add_tcp(struct blob *b, uint16_t low, uint16_t high)
{
	struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {low, high}};

	blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
}

static void add_udp(struct blob *b, uint16_t low, uint16_t high)
{
	struct xt_udp udp = {.spts = {low, high}, .dpts = {0, 65535}};

	blob_match(b, "udp", 0, &udp, sizeof(udp));
}

static void add_multiport(struct blob *b)
{
	struct xt_multiport_v1 mp = {
		.flags = XT_MULTIPORT_DESTINATION, .count = 2, .ports = {80, 443}};

	blob_match(b, "multiport", 1, &mp, sizeof(mp));
}

static void add_limit(struct blob *b)
{
	struct xt_rateinfo limit = {.avg = XT_LIMIT_SCALE, .burst = 5};

	blob_match(b, "limit", 0, &limit, sizeof(limit));
}

static void from(struct ipt_ip *ip, uint32_t address, uint32_t mask)
{
	ip->src.s_addr = htonl(address);
	ip->smsk.s_addr = htonl(mask);
}

TEST_F(lift, a_rule_that_a_record_holds)
{
	struct ipt_ip *ip = blob_begin(&self->b);
	const struct bf_lifted *l;

	from(ip, 0x0a010200, 0xffffff00);
	ip->dst.s_addr = htonl(0xc0000201);
	ip->dmsk.s_addr = UINT32_MAX;
	ip->proto = IPPROTO_TCP;
	add_tcp(&self->b, 80, 90);
	blob_end(&self->b, BLOB_ACCEPT);
	ASSERT_TRUE(lift(self));
	l = rule(self, 0);
	EXPECT_EQ(0U, l->nr_rest);
	EXPECT_EQ(0xc00002010a010200ULL, l->record.addresses);
	EXPECT_EQ(0xffffffffffffff00ULL, l->record.mask);
	EXPECT_EQ(80, l->record.dport.first);
	EXPECT_EQ(10, l->record.dport.span);
	EXPECT_EQ(UINT16_MAX, l->record.sport.span);
	/* "no later fragment" and "it is TCP" */
	EXPECT_EQ(3U, l->record.predicates);
	EXPECT_EQ(1U, self->lift.late);
	EXPECT_TRUE(self->lift.ports);
}

TEST_F(lift, what_headers_are_needed)
{
	blob_begin(&self->b)->proto = IPPROTO_TCP;
	add_tcp(&self->b, 1, 2);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_begin(&self->b)->proto = IPPROTO_UDP;
	add_udp(&self->b, 1, 2);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_begin(&self->b)->proto = IPPROTO_SCTP;
	add_multiport(&self->b);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_rule(&self->b, BLOB_DROP);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(20, rule(self, 0)->need);
	EXPECT_TRUE(rule(self, 0)->evil);
	EXPECT_EQ(8, rule(self, 1)->need);
	EXPECT_FALSE(rule(self, 1)->evil);
	EXPECT_EQ(4, rule(self, 2)->need);
	EXPECT_EQ(0, rule(self, 3)->need);
	EXPECT_EQ(20, self->lift.need[IPPROTO_TCP]);
	EXPECT_EQ(8, self->lift.need[IPPROTO_UDP]);
	EXPECT_EQ(4, self->lift.need[IPPROTO_SCTP]);
	EXPECT_EQ(0, self->lift.need[0]);
	EXPECT_EQ(20, self->lift.max_need);
	EXPECT_TRUE(self->lift.evil);
}

TEST_F(lift, no_header_is_needed)
{
	blob_begin(&self->b)->proto = IPPROTO_TCP;
	blob_end(&self->b, BLOB_ACCEPT);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(0, self->lift.max_need);
	EXPECT_FALSE(self->lift.evil);
	EXPECT_EQ(0U, self->lift.first);
	EXPECT_EQ(0U, self->lift.late);
	EXPECT_EQ(1U, rule(self, 0)->record.predicates);
}

/* What the first match has seen to the second one need not; a longer header is another matter. */
TEST_F(lift, a_second_header)
{
	blob_begin(&self->b)->proto = IPPROTO_TCP;
	add_tcp(&self->b, 1, 1000);
	add_multiport(&self->b);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_begin(&self->b)->proto = IPPROTO_TCP;
	add_multiport(&self->b);
	add_tcp(&self->b, 1, 1000);
	blob_end(&self->b, BLOB_ACCEPT);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(20, rule(self, 0)->need);
	EXPECT_EQ(0U, rule(self, 0)->nr_rest);
	EXPECT_EQ(999, rule(self, 0)->record.dport.span);
	EXPECT_EQ(4, rule(self, 1)->need);
	EXPECT_TRUE(is_left(self, 1, BF_L4LEN));
	EXPECT_TRUE(is_left(self, 1, BF_DPORT));
	EXPECT_EQ(UINT16_MAX, rule(self, 1)->record.dport.span);
}

static void add_one_source(struct blob *b)
{
	struct xt_iprange_mtinfo range = {.flags = IPRANGE_SRC};

	range.src_min.ip = range.src_max.ip = htonl(0x0a010203);
	blob_match(b, "iprange", 1, &range, sizeof(range));
}

/* An address of iprange is one for the record only in front of the header: a packet without that is dropped before. */
TEST_F(lift, an_address_behind_a_header)
{
	blob_begin(&self->b)->proto = IPPROTO_UDP;
	add_multiport(&self->b);
	add_one_source(&self->b);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_begin(&self->b)->proto = IPPROTO_UDP;
	add_one_source(&self->b);
	add_multiport(&self->b);
	blob_end(&self->b, BLOB_ACCEPT);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(4, rule(self, 0)->need);
	EXPECT_EQ(0U, rule(self, 0)->record.mask);
	EXPECT_EQ(4, rule(self, 1)->need);
	EXPECT_EQ(0xffffffffULL, rule(self, 1)->record.mask);
	EXPECT_EQ(0x0a010203ULL, rule(self, 1)->record.addresses);
}

/* A limit must not be asked for packets that the kernel would not ask it for, nor the other way. */
TEST_F(lift, nothing_behind_a_condition)
{
	struct ipt_ip *ip = blob_begin(&self->b);

	from(ip, 0x0a000000, 0xff000000);
	ip->proto = IPPROTO_TCP;
	add_limit(&self->b);
	add_tcp(&self->b, 80, 80);
	blob_end(&self->b, BLOB_ACCEPT);
	blob_begin(&self->b)->proto = IPPROTO_TCP;
	add_tcp(&self->b, 80, 80);
	add_limit(&self->b);
	blob_end(&self->b, BLOB_ACCEPT);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(0xff000000ULL, rule(self, 0)->record.mask);
	EXPECT_EQ(0, rule(self, 0)->need);
	EXPECT_EQ(UINT16_MAX, rule(self, 0)->record.dport.span);
	EXPECT_TRUE(is_left(self, 0, BF_DPORT));
	EXPECT_TRUE(is_left(self, 0, BF_L4LEN));
	EXPECT_EQ(20, rule(self, 1)->need);
	EXPECT_EQ(0, rule(self, 1)->record.dport.span);
	EXPECT_EQ(1U, rule(self, 1)->nr_rest);
}

/* More inverted addresses than there are predicates: what is left of them keeps the header behind it. */
#define INVERTED 60

TEST_F(lift, no_header_behind_a_test_that_is_left)
{
	unsigned int i, left = 0;

	for (i = 0; i < INVERTED; i++) {
		struct ipt_ip *ip = blob_begin(&self->b);

		from(ip, 0x0a000000 + i, UINT32_MAX);
		ip->invflags = IPT_INV_SRCIP;
		ip->proto = IPPROTO_TCP;
		add_tcp(&self->b, 80, 80);
		blob_end(&self->b, BLOB_ACCEPT);
	}
	ASSERT_TRUE(lift(self));
	EXPECT_EQ((uint32_t)BF_MAX_PREDICATES, self->lift.nr_predicates);
	for (i = 0; i < INVERTED; i++) {
		bool is = is_left(self, i, BF_SADDR);

		left += is;
		EXPECT_EQ(is, is_left(self, i, BF_L4LEN));
		EXPECT_EQ(is, is_left(self, i, BF_DPORT));
		EXPECT_EQ(is ? 0 : 20, rule(self, i)->need);
		EXPECT_EQ(is ? UINT16_MAX : 0, rule(self, i)->record.dport.span);
	}
	/* Two bits are the fragment's and the protocol's. */
	EXPECT_EQ(INVERTED - (BF_MAX_PREDICATES - 2U), left);
}

static void add_mark_rule(struct blob *b)
{
	struct xt_mark_mtinfo1 mark = {.mark = 7, .mask = UINT32_MAX};

	blob_begin(b);
	blob_match(b, "mark", 1, &mark, sizeof(mark));
	blob_end(b, BLOB_ACCEPT);
}

TEST_F(lift, a_mark_that_nothing_changes)
{
	add_mark_rule(&self->b);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(0U, rule(self, 0)->nr_rest);
	EXPECT_EQ(1U, rule(self, 0)->record.predicates);
}

TEST_F(lift, a_mark_that_a_rule_changes)
{
	struct xt_mark_tginfo2 set = {.mark = 7, .mask = UINT32_MAX};

	add_mark_rule(&self->b);
	blob_begin(&self->b);
	blob_end_target(&self->b, "MARK", 2, &set, sizeof(set));
	ASSERT_TRUE(lift(self));
	EXPECT_TRUE(is_left(self, 0, BF_MARK));
	EXPECT_EQ(0U, rule(self, 0)->record.predicates);
	/* In the key, and by nf_tables in the packet. */
	EXPECT_EQ(2U, rule(self, 1)->nr_rest);
}

TEST_F(lift, names_that_differ)
{
	static const char *const names[] = {"br0", "br1", "br2"};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct ipt_ip *ip = blob_begin(&self->b);

		strcpy(ip->iniface, names[i]);
		strcpy(ip->outiface, names[i]);
		memset(ip->iniface_mask, 0xff, 4);
		memset(ip->outiface_mask, 0xff, 4);
		ip->invflags = i < 2 ? IPT_INV_VIA_OUT : 0;
		blob_end(&self->b, BLOB_ACCEPT);
	}
	ASSERT_TRUE(lift(self));
	EXPECT_TRUE(self->lift.differ);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0U, rule(self, i)->nr_rest);
		EXPECT_EQ(i < 2, rule(self, i)->record.predicates & 1);
	}
}

/* --- a rule more or less ------------------------------------------------------------------- */

#define RULES 200

/* Rules whose tests many others have as well; all but number @without, and @more of them at the end. */
static void add_rules(struct blob *b, unsigned int without, unsigned int more)
{
	unsigned int i;

	for (i = 0; i < RULES + more; i++) {
		struct ipt_ip *ip;

		if (i == without)
			continue;
		ip = blob_begin(b);
		from(ip, 0x0a000000 + i % 20, UINT32_MAX);
		ip->invflags = IPT_INV_SRCIP;
		ip->proto = i % 3 ? IPPROTO_TCP : IPPROTO_UDP;
		if (i % 3)
			add_tcp(b, i, i);
		else
			add_udp(b, i, i);
		blob_end(b, BLOB_ACCEPT);
	}
}

static bool same_op(const struct bf_op *x, const struct bf_op *y)
{
	return x->code == y->code && x->field == y->field && x->invert == y->invert &&
	       x->to == y->to && x->a == y->a && x->b == y->b;
}

static bool same_predicates(const struct bf_lift *x, const struct bf_lift *y)
{
	uint32_t i;

	for (i = x->first; i < x->nr_predicates; i++) {
		const struct bf_predicate *p = &x->predicates[i], *q = &y->predicates[i];

		if (p->nr != 1 || q->nr != 1 || p->late != q->late ||
		    !same_op(&x->rules->ops[p->first], &y->rules->ops[q->first]))
			return false;
	}
	return x->first == y->first && x->nr_predicates == y->nr_predicates && x->late == y->late;
}

TEST_F(lift, the_same_predicates_with_a_rule_more_or_less)
{
	FIXTURE_DATA(lift) other = {};
	unsigned int i;

	add_rules(&self->b, RULES, 0);
	ASSERT_TRUE(lift(self));
	EXPECT_EQ(22U, self->lift.nr_predicates - self->lift.first);
	for (i = 0; i <= RULES; i++) {
		begin(&other.b);
		add_rules(&other.b, i, i == RULES ? 2 : 0);
		ASSERT_TRUE(lift(&other));
		ASSERT_TRUE(same_predicates(&self->lift, &other.lift)) TH_LOG("without %u", i);
		clear(&other);
	}
}

TEST_HARNESS_MAIN
