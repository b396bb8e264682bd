// SPDX-License-Identifier: GPL-2.0
/*
 * The filter of a namespace through its life: the kernel's, ours, swapped, back, taken up by a
 * successor, interrupted, detached. With packets on the loopback, which each table must count.
 */
#include "life.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "env.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "nft.h"
#include "pins.h"
#include "uapi/bpfilter.h"

/* How long counters may be given back after a replace. */
#define DUE_NS 1000000000ULL

FIXTURE(filter)
{
	struct life l;
	struct blob a, b, alike, foreign, stateful, large, large_drop, wordy;
	int pins;
};

FIXTURE_VARIANT(filter)
{
	enum life_hooks hooks;
};

FIXTURE_VARIANT_ADD(filter, links){
	.hooks = LINKS,
};

FIXTURE_VARIANT_ADD(filter, links_and_module){
	.hooks = LINKS_AND_MODULE,
};

FIXTURE_VARIANT_ADD(filter, module){
	.hooks = MODULE,
};

FIXTURE_SETUP(filter)
{
	int err;

	memset(self, 0, sizeof(*self));
	if (variant->hooks == MODULE && module_is_fake())
		LIFE_SKIP("needs hooks, and the module is not loaded");
	err = life_begin(&self->l, variant->hooks);
	/* Pins that there are when a table is ours. */
	self->pins = variant->hooks == MODULE ? -1 : PINS;
	if (err == 1)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s %s", self->l.s.why, self->l.why.text);
	table_make(&self->a, PLAIN, BLOB_NEXT);
	table_make(&self->b, PLAIN, BLOB_DROP);
	table_make(&self->alike, ALIKE, BLOB_NEXT);
	table_make(&self->large, LARGE, BLOB_NEXT);
	table_make(&self->large_drop, LARGE, BLOB_DROP);
	table_make(&self->wordy, WORDY, BLOB_NEXT);
	table_make(&self->foreign, FOREIGN, BLOB_NEXT);
	table_make(&self->stateful, STATEFUL, BLOB_NEXT);
}

FIXTURE_TEARDOWN(filter)
{
	life_end(&self->l);
	blob_free(&self->a);
	blob_free(&self->b);
	blob_free(&self->alike);
	blob_free(&self->large);
	blob_free(&self->large_drop);
	blob_free(&self->wordy);
	blob_free(&self->foreign);
	blob_free(&self->stateful);
}

/* The old counters, or NULL. */
static struct xt_counters *replace(FIXTURE_DATA(filter) * self, struct blob *b)
{
	struct xt_counters *old;
	int err = life_replace(&self->l, b, &old);

	if (err)
		printf("# replace: %d %s\n", err, self->l.why.text);
	return old;
}

static int reopen(FIXTURE_DATA(filter) * self)
{
	life_close(&self->l);
	return life_open(&self->l);
}

TEST_F(filter, an_untouched_namespace_is_the_kernels)
{
	struct ipt_getinfo ours = {}, kernels = {.name = "filter"};
	socklen_t len = sizeof(kernels);
	struct bf_filter_status status;
	struct bf_kernel_table *kt;
	uint32_t size;
	uint8_t *p;

	EXPECT_FALSE(bf_filter_is_ours(self->l.f));
	EXPECT_EQ(-1, bf_filter_fd(self->l.f));
	ASSERT_EQ(0, bf_filter_info(self->l.f, &ours));
	ASSERT_EQ(0, bf_kernel_get(self->l.sk, IPT_SO_GET_INFO, &kernels, &len));
	EXPECT_EQ(0, memcmp(&ours, &kernels, sizeof(ours)));
	p = life_entries(&self->l, &size);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, bf_kernel_read(self->l.sk, &kt));
	EXPECT_EQ(0, memcmp(p, kt->entries, size));
	EXPECT_EQ(-EAGAIN, bf_filter_entries(self->l.f, size - 1, p));
	bf_kernel_table_free(kt);
	free(p);
	EXPECT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_FALSE(status.ours);
	EXPECT_EQ('\0', status.why_kernel.text[0]);
	EXPECT_EQ(-1, life_pins(&self->l));
	EXPECT_EQ(0, bf_filter_detach(self->l.f, &self->l.why));
}

TEST_F(filter, rules_that_were_there_before_stay_until_the_next_change)
{
	struct bf_filter_status status;
	struct xt_counters *old;

	ASSERT_EQ(0, bf_kernel_replace(self->l.sk, self->b.data, self->b.len, NULL, NULL));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, false));
	EXPECT_EQ(0, traffic_send(&self->l.t, 3));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_NE('\0', status.why_kernel.text[0]);
	old = replace(self, &self->a);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(3U, old[RULE].pcnt);
	EXPECT_EQ(3U * TRAFFIC_BYTES, old[RULE].bcnt);
	free(old);
	EXPECT_TRUE(life_in_force(&self->l, &self->a, true));
	EXPECT_EQ(4, traffic_send(&self->l.t, 4));
	EXPECT_EQ(4U, life_packets(&self->l, RULE));
	EXPECT_EQ(self->pins, life_pins(&self->l));
}

TEST_F(filter, swapping_tables)
{
	struct bf_filter_status one, two;
	struct xt_counters *old;

	free(replace(self, &self->a));
	ASSERT_TRUE(life_in_force(&self->l, &self->a, true));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &one));
	EXPECT_EQ(5, traffic_send(&self->l.t, 5));
	old = replace(self, &self->b);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(5U, old[RULE].pcnt);
	EXPECT_EQ(5U * TRAFFIC_BYTES, old[POLICY].bcnt);
	free(old);
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	EXPECT_EQ(2U, life_packets(&self->l, RULE));
	EXPECT_EQ(0U, life_packets(&self->l, POLICY));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &two));
	EXPECT_TRUE(two.ours);
	EXPECT_EQ(1U, two.rules);
	EXPECT_EQ(1U, two.chains);
	EXPECT_NE(0U, two.insns);
	EXPECT_EQ(variant->hooks == MODULE ? BF_ATTACH_MODULE : BF_ATTACH_LINK, two.attach);
	EXPECT_EQ(variant->hooks == MODULE, !two.prog_ids[0]);
	EXPECT_EQ(one.prog_ids[0], two.prog_ids[0]);
	EXPECT_NE(one.prog_ids[1], two.prog_ids[1]);
	EXPECT_EQ(self->pins, life_pins(&self->l));
}

/* The id of the program in force; 0 if it is not that of this table, or @reused is not so. */
static uint32_t program_of(FIXTURE_DATA(filter) * self, struct blob *b, bool reused)
{
	struct bf_filter_status status = {};

	if (!life_in_force(&self->l, b, true) || bf_filter_status(self->l.f, &status) ||
	    status.reused != reused)
		return 0;
	return status.prog_ids[1];
}

/* The same after a replace. */
static uint32_t replaced(FIXTURE_DATA(filter) * self, struct blob *b, bool reused)
{
	free(replace(self, b));
	return program_of(self, b, reused);
}

static uint64_t spare_bytes(FIXTURE_DATA(filter) * self)
{
	struct bf_filter_status status = {};

	bf_filter_status(self->l.f, &status);
	return status.spare_bytes;
}

TEST_F(filter, the_program_before_the_last_takes_the_data_of_the_next)
{
	struct blob *tables[] = {&self->a, &self->alike};
	struct xt_counters *old;
	uint32_t ids[2], i;

	for (i = 0; i < 2; i++) {
		ids[i] = replaced(self, tables[i], false);
		ASSERT_NE(0U, ids[i]);
	}
	EXPECT_NE(ids[0], ids[1]);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ((int)i, traffic_send(&self->l.t, i));
		EXPECT_NE(0U, spare_bytes(self));
		old = replace(self, tables[i % 2]);
		ASSERT_NE(NULL, old);
		/* The counters of the one before, from zero. */
		EXPECT_EQ(i, old[RULE].pcnt);
		EXPECT_EQ(i * TRAFFIC_BYTES, old[POLICY].bcnt);
		free(old);
		EXPECT_EQ(0U, life_packets(&self->l, RULE));
		EXPECT_EQ(0U, life_packets(&self->l, POLICY));
		EXPECT_EQ(ids[i % 2], program_of(self, tables[i % 2], true));
		EXPECT_EQ(self->pins, life_pins(&self->l));
	}
	/* Who comes next knows how it came about, and has nothing to make the next one of. */
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(life_in_force(&self->l, tables[1], true));
	EXPECT_EQ(0U, spare_bytes(self));
	EXPECT_NE(0U, replaced(self, tables[0], false));
	EXPECT_EQ(0U, spare_bytes(self));
	EXPECT_NE(0U, replaced(self, tables[1], false));
	EXPECT_NE(0U, replaced(self, tables[0], true));
}

TEST_F(filter, a_program_that_does_not_fit_is_not_used_again)
{
	uint32_t id, ids[4];

	ids[0] = replaced(self, &self->a, false);
	ids[1] = replaced(self, &self->alike, false);
	/* Other instructions; and then those of the one before the last. */
	ids[2] = replaced(self, &self->b, false);
	id = replaced(self, &self->a, true);
	EXPECT_EQ(ids[1], id);
	ids[3] = replaced(self, &self->b, true);
	EXPECT_EQ(ids[2], ids[3]);
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	/* The same program, but its own map has no room for the table. */
	EXPECT_NE(0U, replaced(self, &self->large, false));
	EXPECT_NE(0U, replaced(self, &self->large, false));
	EXPECT_NE(0U, replaced(self, &self->wordy, false));
	EXPECT_NE(0U, replaced(self, &self->large, true));
	EXPECT_NE(0U, replaced(self, &self->wordy, true));
	EXPECT_NE(0U, replaced(self, &self->large, true));
}

TEST_F(filter, records_and_conditions_begin_anew)
{
	struct blob *tables[] = {&self->large, &self->large_drop};
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ASSERT_NE(0U, replaced(self, tables[i / 2 % 2], i >= 2)) TH_LOG("%u", i);
		EXPECT_EQ(i / 2 % 2 ? 0 : 3, traffic_send(&self->l.t, 3));
		EXPECT_EQ(3U, life_packets(&self->l, RULE));
	}
}

TEST_F(filter, what_is_kept_for_the_next_table_is_not_kept_for_long)
{
	struct blob *tables[] = {&self->a, &self->alike};
	unsigned int i, descriptors;

	EXPECT_NE(0U, replaced(self, tables[0], false));
	descriptors = open_descriptors();
	EXPECT_NE(0U, replaced(self, tables[1], false));
	for (i = 0; i < 2; i++) {
		EXPECT_NE(0U, spare_bytes(self));
		bf_filter_tidy(self->l.f, 60000);
		EXPECT_NE(0U, spare_bytes(self));
		usleep(2000);
		bf_filter_tidy(self->l.f, 1);
		EXPECT_EQ(0U, spare_bytes(self));
		EXPECT_EQ(descriptors, open_descriptors());
		EXPECT_NE(0U, replaced(self, tables[i], false));
	}
	EXPECT_NE(0U, replaced(self, tables[0], true));
	/* Nor when the table goes. */
	ASSERT_EQ(0, bf_filter_detach(self->l.f, &self->l.why));
	EXPECT_EQ(0U, spare_bytes(self));
	EXPECT_GT(descriptors, open_descriptors());
}

TEST_F(filter, what_is_refused_changes_nothing)
{
	struct xt_counters *old;
	struct ipt_getinfo info = {};
	uint8_t small[2000];

	free(replace(self, &self->b));
	ASSERT_EQ(0, bf_filter_info(self->l.f, &info));
	/* the number of counters is that of another table */
	blob_head(&self->a)->num_counters = info.num_entries + 1;
	EXPECT_EQ(-EAGAIN,
		  bf_filter_replace(self->l.f, self->a.data, self->a.len, &old, &self->l.why));
	EXPECT_EQ(NULL, old);
	blob_head(&self->foreign)->num_counters = info.num_entries + 1;
	EXPECT_EQ(-EAGAIN, bf_filter_replace(self->l.f, self->foreign.data, self->foreign.len, &old,
					     &self->l.why));
	EXPECT_EQ(NULL, old);
	EXPECT_EQ(-EAGAIN, bf_filter_entries(self->l.f, info.size + 8, small));
	/* a malformed table, and one that the kernel refuses but we cannot judge */
	blob_head(&self->a)->num_counters = info.num_entries;
	blob_head(&self->a)->num_entries++;
	EXPECT_EQ(-EINVAL,
		  bf_filter_replace(self->l.f, self->a.data, self->a.len, &old, &self->l.why));
	EXPECT_NE('\0', self->l.why.text[0]);
	blob_head(&self->foreign)->num_counters = info.num_entries;
	strcpy(((struct xt_entry_match *)blob_entry(&self->foreign, 0)->elems)->u.user.name,
	       "nonsense");
	EXPECT_EQ(-ENOENT, bf_filter_replace(self->l.f, self->foreign.data, self->foreign.len, &old,
					     &self->l.why));
	EXPECT_EQ(NULL, old);
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	EXPECT_EQ(self->pins, life_pins(&self->l));
}

TEST_F(filter, to_the_kernel_and_back)
{
	struct bf_filter_status status;
	struct xt_counters *old;

	free(replace(self, &self->b));
	EXPECT_EQ(0, traffic_send(&self->l.t, 3));
	old = replace(self, &self->foreign);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(3U, old[RULE].pcnt);
	free(old);
	EXPECT_TRUE(life_in_force(&self->l, &self->foreign, false));
	EXPECT_EQ(-1, life_pins(&self->l));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_NE(NULL, strstr(status.why_kernel.text, "helper"))
	TH_LOG("%s", status.why_kernel.text);
	EXPECT_EQ(4, traffic_send(&self->l.t, 4));
	EXPECT_EQ(4U, life_packets(&self->l, RULE));
	/* from kernel to kernel */
	old = replace(self, &self->foreign);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(4U, old[RULE].pcnt);
	free(old);
	EXPECT_EQ(2, traffic_send(&self->l.t, 2));
	old = replace(self, &self->a);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(2U, old[RULE].pcnt);
	free(old);
	EXPECT_TRUE(life_in_force(&self->l, &self->a, true));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_EQ('\0', status.why_kernel.text[0]);
	EXPECT_EQ(2, traffic_send(&self->l.t, 2));
	EXPECT_EQ(2U, life_packets(&self->l, RULE));
	EXPECT_EQ(self->pins, life_pins(&self->l));
}

/* Are there sums of counters, for people? */
static bool are_summed(FIXTURE_DATA(filter) * self)
{
	struct bf_filter_status status;

	life_status(&self->l, &status);
	return status.tally.known;
}

/* Whoever replaces a table and never gives the counters back is not waited for. */
TEST_F(filter, counters_that_never_come)
{
	uint64_t before;

	free(replace(self, &self->a));
	before = bf_now_ns();
	while (!are_summed(self) && bf_now_ns() - before < 10 * DUE_NS)
		usleep(10000);
	EXPECT_TRUE(are_summed(self));
}

TEST_F(filter, added_counters)
{
	struct {
		struct xt_counters_info info;
		struct xt_counters counters[16];
	} add = {.info.name = "filter", .counters[RULE] = {10, 10 * TRAFFIC_BYTES}};
	struct blob *tables[] = {&self->a, &self->foreign};
	struct ipt_getinfo info = {};
	uint64_t before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		before = bf_now_ns();
		free(replace(self, tables[i]));
		/* Until they are there; or it has taken too long. */
		EXPECT_TRUE(!are_summed(self) || bf_now_ns() - before >= DUE_NS);
		ASSERT_EQ(0, bf_filter_info(self->l.f, &info));
		EXPECT_EQ(1, traffic_send(&self->l.t, 1));
		add.info.num_counters = info.num_entries;
		EXPECT_EQ(0, bf_filter_add_counters(
				     self->l.f, &add,
				     sizeof(add.info) + info.num_entries * sizeof(*add.counters)));
		EXPECT_EQ(11U, life_packets(&self->l, RULE));
		EXPECT_EQ(1U, life_packets(&self->l, POLICY));
		EXPECT_EQ(-EINVAL, bf_filter_add_counters(self->l.f, &add, sizeof(add.info) - 1));
		EXPECT_EQ(-EINVAL,
			  bf_filter_add_counters(self->l.f, &add,
						 sizeof(add.info) + (info.num_entries - 1) *
									    sizeof(*add.counters)));
		add.info.num_counters--;
		EXPECT_EQ(-EINVAL,
			  bf_filter_add_counters(self->l.f, &add,
						 sizeof(add.info) + add.info.num_counters *
									    sizeof(*add.counters)));
		EXPECT_EQ(11U, life_packets(&self->l, RULE));
		EXPECT_TRUE(are_summed(self));
	}
}

TEST_F(filter, a_successor_takes_up_where_the_helper_ended)
{
	struct xt_counters *old;
	struct bf_filter_status before, after;

	free(replace(self, &self->a));
	EXPECT_EQ(3, traffic_send(&self->l.t, 3));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &before));
	life_close(&self->l);
	/* nobody is there, and the table works */
	EXPECT_EQ(4, traffic_send(&self->l.t, 4));
	ASSERT_EQ(0, life_open(&self->l));
	EXPECT_TRUE(life_in_force(&self->l, &self->a, true));
	EXPECT_EQ(7U, life_packets(&self->l, RULE));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &after));
	before.replaced_at = after.replaced_at;
	before.replace_us = after.replace_us;
	EXPECT_EQ(before.prog_ids[0], after.prog_ids[0]);
	EXPECT_EQ(before.prog_ids[1], after.prog_ids[1]);
	EXPECT_EQ(before.map_bytes, after.map_bytes);
	EXPECT_EQ(0, strcmp(before.form, after.form));
	old = replace(self, &self->b);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(7U, old[RULE].pcnt);
	free(old);
	EXPECT_EQ(0, traffic_send(&self->l.t, 1));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
}

TEST_F(filter, detaching_leaves_rules_and_counters_to_the_kernel)
{
	free(replace(self, &self->stateful));
	EXPECT_EQ(3, traffic_send(&self->l.t, 3));
	EXPECT_LE(0, bf_filter_fd(self->l.f));
	ASSERT_EQ(0, bf_filter_detach(self->l.f, &self->l.why)) TH_LOG("%s", self->l.why.text);
	EXPECT_TRUE(life_in_force(&self->l, &self->stateful, false));
	EXPECT_EQ(3U, life_packets(&self->l, RULE));
	EXPECT_EQ(2, traffic_send(&self->l.t, 2));
	EXPECT_EQ(5U, life_packets(&self->l, RULE));
	EXPECT_EQ(-1, life_pins(&self->l));
	EXPECT_EQ(-1, bf_filter_fd(self->l.f));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(life_in_force(&self->l, &self->stateful, false));
}

TEST_F(filter, conntrack_is_kept_for_as_long_as_a_table_looks_at_it)
{
	free(replace(self, &self->a));
	EXPECT_EQ(-1, bf_filter_fd(self->l.f));
	free(replace(self, &self->stateful));
	EXPECT_TRUE(life_in_force(&self->l, &self->stateful, true));
	EXPECT_LE(0, bf_filter_fd(self->l.f));
	/* a rule for every state that a packet with a connection can have */
	EXPECT_EQ(3, traffic_send(&self->l.t, 3));
	EXPECT_EQ(3U, life_packets(&self->l, RULE));
	ASSERT_EQ(0, reopen(self));
	EXPECT_LE(0, bf_filter_fd(self->l.f));
	bf_filter_event(self->l.f);
	free(replace(self, &self->a));
	EXPECT_EQ(-1, bf_filter_fd(self->l.f));
}

/* A table that links cannot do is at the module's hooks, and the next ones, until it leaves us. */
TEST_F(filter, from_links_to_the_modules_hooks)
{
	struct bf_filter_status status;
	struct xt_counters *old;

	if (variant->hooks != LINKS_AND_MODULE || module_is_fake())
		SKIP(return, "needs links and the module");
	free(replace(self, &self->a));
	EXPECT_EQ(3, traffic_send(&self->l.t, 3));
	life_prefer(&self->l, true);
	old = replace(self, &self->stateful);
	life_prefer(&self->l, false);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(3U, old[RULE].pcnt);
	free(old);
	EXPECT_TRUE(life_in_force(&self->l, &self->stateful, true));
	EXPECT_EQ(-1, life_pins(&self->l));
	EXPECT_EQ(4, traffic_send(&self->l.t, 4));
	EXPECT_EQ(4U, life_packets(&self->l, RULE));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_EQ(BF_ATTACH_MODULE, status.attach);
	old = replace(self, &self->b);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(4U, old[RULE].pcnt);
	free(old);
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_EQ(BF_ATTACH_MODULE, status.attach);
	EXPECT_TRUE(module_has(BPFILTER_NS_OWNED | BPFILTER_NS_HOOK, status.prog_ids[1]));
	ASSERT_EQ(0, bf_filter_detach(self->l.f, &self->l.why)) TH_LOG("%s", self->l.why.text);
	EXPECT_TRUE(module_has(0, 0));
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	free(replace(self, &self->a));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_EQ(BF_ATTACH_LINK, status.attach);
	EXPECT_TRUE(module_has(BPFILTER_NS_OWNED, 0));
}

/* A table with an effect: one rule for UDP, which gets a mark. */
static void make_marking(struct blob *b)
{
	const struct xt_mark_tginfo2 info = {.mark = 7, .mask = UINT32_MAX};

	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b)->proto = IPPROTO_UDP;
	blob_end_target(b, "MARK", 2, &info, sizeof(info));
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

/* A table of nf_tables that is another's for as long as the socket is open. Or -errno. */
static int own_nft_table(const char *table)
{
	struct bf_nft_batch b;
	int sk = bf_nfnl_open(), err;

	if (sk < 0)
		return sk;
	bf_nft_begin(&b, NFPROTO_IPV4);
	bf_nft_table(&b, table, NFT_TABLE_F_OWNER, NLM_F_CREATE, NULL);
	err = bf_nft_commit(sk, &b);
	if (!err)
		return sk;
	close(sk);
	return err;
}

/* Effects behind links take nf_tables, which may not be had: the module takes nothing of it. */
TEST_F(filter, without_nf_tables_effects_are_at_the_modules_hooks)
{
	struct bf_filter_status status;
	struct blob marking = {};
	int sk;

	if (variant->hooks != LINKS_AND_MODULE)
		SKIP(return, "needs links and the module");
	sk = own_nft_table("bpfilter-effects");
	if (sk < 0)
		SKIP(return, "no nf_tables, or without owners: %s", strerror(-sk));
	make_marking(&marking);
	free(replace(self, &marking));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_TRUE(status.ours);
	EXPECT_EQ(BF_ATTACH_MODULE, status.attach);
	close(sk);
	free(replace(self, &self->a));
	free(replace(self, &marking));
	ASSERT_EQ(0, bf_filter_status(self->l.f, &status));
	EXPECT_TRUE(status.ours);
	blob_free(&marking);
}

/* What a helper that was killed may have left behind: what a successor makes of it. */

/* Detached from everything but the pins. */
static void die(FIXTURE_DATA(filter) * self, struct bf_pins *pins)
{
	life_close(&self->l);
	bf_pins_init(pins, self->l.s.inode);
	bf_pins_open(pins);
}

TEST_F(filter, killed_in_a_move_before_the_switch)
{
	struct bf_kernel kernel;
	struct bf_pins pins;

	if (variant->hooks == MODULE)
		SKIP(return, "it has no links");
	ASSERT_EQ(0, bf_kernel_replace(self->l.sk, self->b.data, self->b.len, NULL, NULL));
	die(self, &pins);
	bf_env_kernel(self->l.s.env, &kernel);
	ASSERT_EQ(0, bf_pins_make(&pins, &kernel, &self->l.why));
	ASSERT_EQ(0, bf_pins_set_moving(&pins, -1, true));
	bf_pins_close(&pins);
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, false));
	EXPECT_EQ(2U, life_packets(&self->l, RULE));
	EXPECT_EQ(-1, life_pins(&self->l));
	free(replace(self, &self->a));
	EXPECT_TRUE(life_in_force(&self->l, &self->a, true));
}

TEST_F(filter, killed_in_a_move_after_the_switch)
{
	free(replace(self, &self->b));
	ASSERT_EQ(0, bf_kernel_replace(self->l.sk, self->a.data, self->a.len, NULL, NULL));
	ASSERT_EQ(0, life_interrupt(&self->l));
	EXPECT_EQ(0, traffic_send(&self->l.t, 1));
	ASSERT_EQ(0, life_open(&self->l));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
	EXPECT_EQ(self->pins, life_pins(&self->l));
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
}

TEST_F(filter, killed_before_a_link_was_there)
{
	struct bf_pins pins;
	char path[300];

	if (variant->hooks == MODULE)
		SKIP(return, "it has no links");
	free(replace(self, &self->b));
	die(self, &pins);
	snprintf(path, sizeof(path), "%s/link_input", pins.dir);
	ASSERT_EQ(0, unlink(path));
	bf_pins_close(&pins);
	EXPECT_EQ(1, traffic_send(&self->l.t, 1));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
	EXPECT_EQ(self->pins, life_pins(&self->l));
	EXPECT_EQ(0, traffic_send(&self->l.t, 2));
}

TEST_F(filter, killed_while_the_pins_were_removed)
{
	struct bf_pins pins;
	char path[300];
	int fd, i;

	if (variant->hooks == MODULE)
		SKIP(return, "it has no links");
	free(replace(self, &self->b));
	die(self, &pins);
	/* only "moving" is left, of a switch that is gone */
	ASSERT_EQ(0, bf_pins_set_moving(&pins, -1, true));
	fd = dup(pins.switch_fd);
	snprintf(path, sizeof(path), "%s/switch", pins.dir);
	unlink(path);
	bf_pins_close(&pins);
	close(fd);
	strcpy(strrchr(path, '/'), "/link_input");
	unlink(path);
	strcpy(strrchr(path, '/'), "/link_forward");
	unlink(path);
	strcpy(strrchr(path, '/'), "/link_output");
	unlink(path);
	ASSERT_EQ(0, reopen(self));
	EXPECT_FALSE(bf_filter_is_ours(self->l.f));
	/* The kernel detaches a link that nobody has any more a little later. */
	for (i = 0; i < 200 && !traffic_send(&self->l.t, 1); i++)
		usleep(5000);
	EXPECT_EQ(1, traffic_send(&self->l.t, 1));
	free(replace(self, &self->b));
	EXPECT_TRUE(life_in_force(&self->l, &self->b, true));
	EXPECT_EQ(self->pins, life_pins(&self->l));
	EXPECT_EQ(0, traffic_send(&self->l.t, 1));
}

TEST_HARNESS_MAIN
