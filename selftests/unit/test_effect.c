// SPDX-License-Identifier: GPL-2.0
/*
 * Effects: what becomes of the targets REJECT, LOG and NFLOG and of match nfacct, and what programs note about packets.
 * That the notes lead to the right replies and lines is for the differential test.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <linux/netfilter/xt_nfacct.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "env.h"
#include "ext.h"
#include "run.h"

#include "kselftest_harness.h"

/* --- lists --------------------------------------------------------------------------------- */

static struct bf_effect log_effect(const char *prefix, uint8_t level)
{
	struct bf_effect e;

	memset(&e, 0, sizeof(e));
	e.kind = BF_EFFECT_LOG;
	e.level = level;
	strcpy(e.text, prefix);
	return e;
}

TEST(a_list_has_each_effect_once)
{
	struct bf_effects list = {}, copy;
	struct bf_effect a = log_effect("a", 4), b = log_effect("b", 4), c = log_effect("a", 5);
	char prefix[16];
	int i;

	EXPECT_EQ(0, bf_effects_add(&list, &a));
	EXPECT_EQ(0, bf_effects_add(&list, &b));
	EXPECT_EQ(0, bf_effects_add(&list, &c));
	EXPECT_EQ(0, bf_effects_add(&list, &a));
	ASSERT_EQ(3, list.nr);
	EXPECT_EQ(a.id, list.list[0].id);
	EXPECT_NE(a.id, b.id);
	EXPECT_NE(a.id, c.id);
	EXPECT_EQ(0, bf_effects_copy(&copy, &list));
	EXPECT_TRUE(bf_effects_equal(&copy, &list));
	for (i = 0; i < 100; i++) {
		struct bf_effect e;

		snprintf(prefix, sizeof(prefix), "%d", i);
		e = log_effect(prefix, 4);
		EXPECT_EQ(0, bf_effects_add(&list, &e));
	}
	EXPECT_EQ(103, list.nr);
	EXPECT_FALSE(bf_effects_equal(&copy, &list));
	bf_effects_free(&list);
	bf_effects_free(&copy);
}

TEST(two_with_the_same_id_are_told_apart)
{
	struct bf_effects list = {};
	struct bf_effect a = log_effect("a", 4), b = log_effect("b", 4);

	ASSERT_EQ(0, bf_effects_add(&list, &a));
	ASSERT_EQ(0, bf_effects_add(&list, &b));
	/* As if the hash of the second were that of another. */
	list.list[0].id = list.list[1].id;
	EXPECT_EQ(-EEXIST, bf_effects_add(&list, &b));
	bf_effects_free(&list);
}

/* --- targets ------------------------------------------------------------------------------- */

/* What a rule with this target means. Returns what the check says. */
static int compile(const char *name, const void *info, struct bf_rule *r, uint8_t proto)
{
	const struct bf_target *target = bf_target_find(name, 0);
	struct ipt_entry e = {.ip.proto = proto};
	struct bf_why why;
	int err = target->check(&e, info, 0, &why);

	memset(r, 0, sizeof(*r));
	if (!err)
		target->compile(r, &e, info);
	return err;
}

TEST(reject)
{
	static const struct {
		enum ipt_reject_with with;
		uint8_t code;
	} icmp[] = {
		{IPT_ICMP_NET_UNREACHABLE, ICMP_NET_UNREACH},
		{IPT_ICMP_HOST_UNREACHABLE, ICMP_HOST_UNREACH},
		{IPT_ICMP_PROT_UNREACHABLE, ICMP_PROT_UNREACH},
		{IPT_ICMP_PORT_UNREACHABLE, ICMP_PORT_UNREACH},
		{IPT_ICMP_NET_PROHIBITED, ICMP_NET_ANO},
		{IPT_ICMP_HOST_PROHIBITED, ICMP_HOST_ANO},
		{IPT_ICMP_ADMIN_PROHIBITED, ICMP_PKT_FILTERED},
	};
	struct ipt_reject_info info = {};
	struct bf_rule r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(icmp); i++) {
		info.with = icmp[i].with;
		ASSERT_EQ(0, compile("REJECT", &info, &r, 0));
		ASSERT_EQ(1, r.effects.nr);
		EXPECT_EQ(BF_EFFECT_UNREACHABLE, r.effects.list[0].kind);
		EXPECT_EQ(icmp[i].code, r.effects.list[0].code);
		EXPECT_EQ(r.effects.list[0].id, r.ops[0].a);
		bf_rule_free(&r);
	}
	info.with = IPT_TCP_RESET;
	EXPECT_EQ(-EINVAL, compile("REJECT", &info, &r, 0));
	ASSERT_EQ(0, compile("REJECT", &info, &r, 6));
	EXPECT_EQ(BF_EFFECT_RESET, r.effects.list[0].kind);
	bf_rule_free(&r);
	info.with = IPT_ICMP_ECHOREPLY;
	EXPECT_EQ(-EINVAL, compile("REJECT", &info, &r, 0));
	/* What the kernel does not know it drops without a word. */
	info.with = 9;
	EXPECT_EQ(0, compile("REJECT", &info, &r, 0));
	EXPECT_EQ(0, r.nr_ops);
	bf_rule_free(&r);
}

TEST(nfacct)
{
	struct xt_nfacct_match_info_v1 info = {.name = "thirty-one characters, no more!"};
	const struct bf_match *match = bf_match_find("nfacct", 1),
			      *old = bf_match_find("nfacct", 0);
	struct ipt_entry e = {};
	struct bf_rule r = {};
	struct bf_why why = {};

	ASSERT_NE(NULL, match);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(40, match->size);
	EXPECT_EQ(32, match->usersize);
	EXPECT_EQ(match->size, old->size);
	EXPECT_EQ(match->usersize, old->usersize);
	ASSERT_EQ(0, match->check(&e, &info, 0, &why));
	match->compile(&r, &e, &info);
	/* What is behind the end does not tell objects apart. */
	strcpy(info.name, "other");
	match->compile(&r, &e, &info);
	memset(info.name, 0, sizeof(info.name));
	strcpy(info.name, "other");
	old->compile(&r, &e, &info);
	ASSERT_EQ(0, r.error);
	ASSERT_EQ(2, r.effects.nr);
	EXPECT_EQ(BF_EFFECT_ACCOUNT, r.effects.list[0].kind);
	EXPECT_STREQ("thirty-one characters, no more!", r.effects.list[0].text);
	EXPECT_STREQ("other", r.effects.list[1].text);
	ASSERT_EQ(3, r.nr_ops);
	EXPECT_EQ(r.ops[1].a, r.ops[2].a);
	EXPECT_NE(r.ops[0].a, r.ops[1].a);
	bf_rule_free(&r);
	memset(info.name, 'x', sizeof(info.name));
	EXPECT_EQ(BF_NOT_TRANSLATABLE, match->check(&e, &info, 0, &why));
}

TEST(log_line)
{
	struct xt_log_info info = {
		.level = 7, .logflags = 0xff, .prefix = "twenty-nine characters, all!!"};
	struct bf_rule r;

	ASSERT_EQ(0, compile("LOG", &info, &r, 0));
	EXPECT_EQ(7, r.effects.list[0].level);
	/* No others are known to nf_tables, nor looked at by who writes the line. */
	EXPECT_EQ(0x2f, r.effects.list[0].flags);
	EXPECT_STREQ(info.prefix, r.effects.list[0].text);
	bf_rule_free(&r);
	info.level = 8;
	EXPECT_EQ(-EINVAL, compile("LOG", &info, &r, 0));
	info.level = 0;
	info.prefix[29] = 'x';
	EXPECT_EQ(-EINVAL, compile("LOG", &info, &r, 0));
}

TEST(what_is_behind_a_prefix_is_of_no_account)
{
	struct xt_log_info a = {.level = 4, .prefix = "x"}, b = a;
	struct bf_rule r, s;

	b.prefix[5] = 'y';
	ASSERT_EQ(0, compile("LOG", &a, &r, 0));
	ASSERT_EQ(0, compile("LOG", &b, &s, 0));
	EXPECT_TRUE(bf_effects_equal(&r.effects, &s.effects));
	bf_rule_free(&r);
	bf_rule_free(&s);
}

TEST(nflog)
{
	struct xt_nflog_info info = {.len = 80, .group = 65535, .threshold = 3, .prefix = "p"};
	struct bf_rule r;

	ASSERT_EQ(0, compile("NFLOG", &info, &r, 0));
	EXPECT_EQ(65535, r.effects.list[0].group);
	EXPECT_EQ(3, r.effects.list[0].threshold);
	/* The length counts only where a flag says so. */
	EXPECT_FALSE(r.effects.list[0].snaps);
	EXPECT_EQ(0, r.effects.list[0].snaplen);
	bf_rule_free(&r);
	info.flags = XT_NFLOG_F_COPY_LEN;
	ASSERT_EQ(0, compile("NFLOG", &info, &r, 0));
	EXPECT_TRUE(r.effects.list[0].snaps);
	EXPECT_EQ(80, r.effects.list[0].snaplen);
	bf_rule_free(&r);
	info.flags = 2;
	EXPECT_EQ(-EINVAL, compile("NFLOG", &info, &r, 0));
	info.flags = 0;
	info.prefix[63] = 'x';
	EXPECT_EQ(-EINVAL, compile("NFLOG", &info, &r, 0));
}

/* --- notes --------------------------------------------------------------------------------- */

FIXTURE(notes)
{
	struct run r;
	struct blob b;
	int maps[BF_NR_ALL_MAPS - BF_NR_MAPS];
	struct bf_effect_state *state;
	struct bf_loaded *loaded;
	struct packet p;
};

FIXTURE_VARIANT(notes)
{
	enum bf_attach attach;
	enum bf_form form;
};

FIXTURE_VARIANT_ADD(notes, link_straight){BF_ATTACH_LINK, BF_FORM_STRAIGHT};
FIXTURE_VARIANT_ADD(notes, link_records){BF_ATTACH_LINK, BF_FORM_RECORDS};

static int create_maps(int maps[2], struct bf_effect_state **state, uint32_t room)
{
	maps[0] = bpf_map_create(BPF_MAP_TYPE_HASH, "notes", 8, sizeof(struct bf_effect_note), room,
				 NULL);
	maps[1] = bf_array_create("state", sizeof(**state), 1);
	*state = maps[1] < 0 ? NULL : bf_array_map(maps[1], sizeof(**state));
	return maps[0] < 0 || !*state ? -1 : 0;
}

FIXTURE_SETUP(notes)
{
	int err = run_begin(&self->r);
	struct bf_kernel kernel;

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	bf_env_kernel(self->r.s.env, &kernel);
	if (!kernel.has_links)
		SKIP(_exit(255), "the kernel has no BPF netfilter links");
	ASSERT_EQ(0, create_maps(self->maps, &self->state, 2));
	self->p.hook = NF_INET_LOCAL_IN;
	self->p.len = 28;
	memcpy(self->p.data,
	       "\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2\0\1\0\2\0\x08\0\0", 28);
}

FIXTURE_TEARDOWN(notes)
{
	bf_loaded_free(self->loaded);
	if (self->state)
		bf_array_unmap(self->state, sizeof(*self->state));
	close(self->maps[0]);
	close(self->maps[1]);
	blob_free(&self->b);
	run_end(&self->r);
}

static void add_log_rule(struct blob *b, const char *prefix)
{
	struct xt_log_info info = {.level = 4};

	strcpy(info.prefix, prefix);
	blob_begin(b);
	blob_end_target(b, "LOG", 0, &info, sizeof(info));
}

static void add_reject_rule(struct blob *b, enum ipt_reject_with with)
{
	const struct ipt_reject_info info = {.with = with};

	blob_begin(b);
	blob_end_target(b, "REJECT", 0, &info, sizeof(info));
}

/* The rules in @b are those of INPUT. @maps: as for bf_load() */
static int load_rules(struct run *r, struct blob *b, enum bf_attach attach, enum bf_form form,
		      const int *maps, struct bf_loaded **loaded)
{
	struct bf_program *program;
	struct bf_table *table;
	struct bf_kernel kernel;
	struct bf_why why = {};
	int err;

	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
	table = blob_table(b);
	if (!table)
		return -EINVAL;
	bf_env_kernel(r->s.env, &kernel);
	err = bf_compile(table, &kernel, attach, form, 0, &program, &why);
	if (!err) {
		err = bf_load(table, program, maps, kernel.cpus, 0, loaded, &why);
		bf_program_free(program);
	}
	if (err) {
		printf("# %s\n", why.text);
		bf_table_free(table);
	}
	return err;
}

static int load_table(FIXTURE_DATA(notes) * self, const FIXTURE_VARIANT(notes) * variant)
{
	return load_rules(&self->r, &self->b, variant->attach, variant->form, self->maps,
			  &self->loaded);
}

/* The only note there is. */
static bool read_note(const FIXTURE_DATA(notes) * self, struct bf_effect_note *note, uint64_t *key)
{
	return !bpf_map_get_next_key(self->maps[0], NULL, key) &&
	       !bpf_map_lookup_elem(self->maps[0], key, note);
}

TEST_F(notes, a_packet_with_effects_passes_with_a_note)
{
	struct bf_effect first = log_effect("first", 4), second = log_effect("second", 4);
	struct bf_effect_note note;
	struct bf_effects ids = {};
	uint64_t key;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	add_log_rule(&self->b, "first");
	add_log_rule(&self->b, "second");
	add_log_rule(&self->b, "first");
	blob_rule(&self->b, BLOB_DROP);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(1, self->state->pending);
	ASSERT_TRUE(read_note(self, &note, &key));
	bf_effects_add(&ids, &first);
	bf_effects_add(&ids, &second);
	EXPECT_EQ(NF_DROP, note.verdict);
	EXPECT_EQ(0, note.done);
	ASSERT_EQ(3, note.nr);
	EXPECT_EQ(first.id, note.ids[0]);
	EXPECT_EQ(second.id, note.ids[1]);
	EXPECT_EQ(first.id, note.ids[2]);
	EXPECT_EQ(0, self->state->lost);
	bf_effects_free(&ids);
}

TEST_F(notes, reject_ends_the_packet)
{
	struct bf_effect_note note;
	struct xt_counters counters[8];
	uint64_t key;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	blob_rule(&self->b, BLOB_ACCEPT);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	ASSERT_TRUE(read_note(self, &note, &key));
	EXPECT_EQ(1, note.nr);
	EXPECT_EQ(NF_DROP, note.verdict);
	bf_loaded_counters(self->loaded, counters);
	EXPECT_EQ(1, counters[0].pcnt);
	EXPECT_EQ(28, counters[0].bcnt);
	EXPECT_EQ(0, counters[1].pcnt);
}

static void add_account(struct blob *b, const char *name)
{
	struct xt_nfacct_match_info_v1 info = {};

	strcpy(info.name, name);
	blob_match(b, "nfacct", 1, &info, sizeof(info));
}

/* A match: the packet, whose mark is 0, has this one. */
static void add_mark(struct blob *b, uint32_t mark)
{
	const struct xt_mark_mtinfo1 info = {.mark = mark, .mask = UINT32_MAX};

	blob_match(b, "mark", 1, &info, sizeof(info));
}

/* Noted where it stands in the rule: behind what does not match it is not, before what does not match it is. */
TEST_F(notes, nfacct_is_noted_where_it_stands)
{
	static const char *const names[] = {"first", "third", "fourth", "fourth"};
	struct bf_effect_note note;
	struct xt_counters counters[8];
	struct bf_effect want;
	uint64_t key;
	unsigned int i;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b);
	add_account(&self->b, "first");
	add_mark(&self->b, 1);
	blob_end(&self->b, BLOB_DROP);
	blob_begin(&self->b);
	add_mark(&self->b, 1);
	add_account(&self->b, "second");
	blob_end(&self->b, BLOB_DROP);
	blob_begin(&self->b)->proto = 6;
	add_account(&self->b, "second");
	blob_end(&self->b, BLOB_DROP);
	blob_begin(&self->b);
	add_mark(&self->b, 0);
	add_account(&self->b, "third");
	add_mark(&self->b, 0);
	add_account(&self->b, "fourth");
	add_account(&self->b, "fourth");
	blob_end(&self->b, BLOB_DROP);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	ASSERT_TRUE(read_note(self, &note, &key));
	EXPECT_EQ(NF_DROP, note.verdict);
	ASSERT_EQ(ARRAY_SIZE(names), note.nr);
	for (i = 0; i < note.nr; i++) {
		struct bf_effects one = {};

		memset(&want, 0, sizeof(want));
		want.kind = BF_EFFECT_ACCOUNT;
		strcpy(want.text, names[i]);
		ASSERT_EQ(0, bf_effects_add(&one, &want));
		EXPECT_EQ(want.id, note.ids[i]) TH_LOG("%s", names[i]);
		bf_effects_free(&one);
	}
	bf_loaded_counters(self->loaded, counters);
	EXPECT_EQ(0, counters[0].pcnt);
	EXPECT_EQ(1, counters[3].pcnt);
}

/* Of what counts none is lost: a table in which that could be is refused. */
TEST_F(notes, nfacct_is_not_for_more_than_fit_into_a_note)
{
	struct bf_effect_note note;
	uint64_t key;
	int i;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	for (i = 0; i < BF_MAX_EFFECTS - 1; i++) {
		blob_begin(&self->b);
		add_account(&self->b, i % 2 ? "odd" : "even");
		blob_end(&self->b, BLOB_NEXT);
	}
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	add_reject_rule(&self->b, IPT_ICMP_NET_UNREACHABLE);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	ASSERT_TRUE(read_note(self, &note, &key));
	EXPECT_EQ(BF_MAX_EFFECTS, note.nr);
	EXPECT_EQ(0, self->state->lost);
}

TEST_F(notes, nfacct_with_one_more_is_refused)
{
	int i;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	for (i = 0; i < BF_MAX_EFFECTS - 1; i++)
		add_log_rule(&self->b, "x");
	blob_begin(&self->b);
	add_account(&self->b, "one");
	blob_end(&self->b, BLOB_NEXT);
	EXPECT_EQ(-EOPNOTSUPP, load_table(self, variant));
}

TEST_F(notes, a_packet_without_effects_has_its_verdict_at_once)
{
	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b)->src.s_addr = htonl(0x0a000001);
	blob_entry(&self->b, self->b.rule)->ip.smsk.s_addr = UINT32_MAX;
	blob_end(&self->b, BLOB_DROP);
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(0, self->state->pending);
	EXPECT_EQ(0, self->state->lost);
}

/* The map becomes full: of so many notes. */
static uint64_t fill_notes(FIXTURE_DATA(notes) * self)
{
	struct bf_effect_note other = {.nr = 1};
	uint64_t key;

	for (key = 1; key < 100; key++)
		if (bpf_map_update_elem(self->maps[0], &key, &other, BPF_ANY))
			break;
	self->state->pending = key - 1;
	return key - 1;
}

TEST_F(notes, without_room_the_verdict_stands_and_what_is_lost_is_counted)
{
	uint64_t nr;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	add_log_rule(&self->b, "x");
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	ASSERT_EQ(0, load_table(self, variant));
	nr = fill_notes(self);
	ASSERT_LT(nr, 99);
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(2, self->state->lost);
	EXPECT_EQ(nr, self->state->pending);
}

static void add_marking_rule(struct blob *b, uint32_t mark)
{
	const struct xt_mark_tginfo2 info = {.mark = mark, .mask = UINT32_MAX};

	blob_begin(b);
	blob_end_target(b, "MARK", 2, &info, sizeof(info));
}

/* A mark that a packet does not get is another packet for all that follows. */
TEST_F(notes, without_room_nobody_goes_on_without_his_mark)
{
	struct bf_effect_note note;
	uint64_t key, nr;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	add_marking_rule(&self->b, 7);
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	ASSERT_TRUE(read_note(self, &note, &key));
	EXPECT_EQ(1, note.nr);
	EXPECT_EQ(NF_ACCEPT, note.verdict);
	ASSERT_EQ(0, bpf_map_delete_elem(self->maps[0], &key));
	nr = fill_notes(self);
	ASSERT_LT(nr, 99);
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(1, self->state->lost);
	EXPECT_EQ(nr, self->state->pending);
}

TEST_F(notes, without_room_nobody_goes_on_uncounted)
{
	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b);
	add_account(&self->b, "one");
	blob_end(&self->b, BLOB_NEXT);
	ASSERT_EQ(0, load_table(self, variant));
	ASSERT_LT(fill_notes(self), 99);
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(1, self->state->lost);
}

TEST_F(notes, more_than_fit_into_a_note_are_lost)
{
	struct bf_effect_note note;
	uint64_t key;
	int i;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	for (i = 0; i < BF_MAX_EFFECTS + 3; i++)
		add_log_rule(&self->b, i % 2 ? "odd" : "even");
	ASSERT_EQ(0, load_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	ASSERT_TRUE(read_note(self, &note, &key));
	EXPECT_EQ(BF_MAX_EFFECTS, note.nr);
	EXPECT_EQ(NF_ACCEPT, note.verdict);
	EXPECT_EQ(3, self->state->lost);
}

/*
 * A packet that somebody took between the two leaves its note. The next one at the same address has nothing to
 * do with it.
 */
TEST_F(notes, a_note_is_not_found_by_another_packet)
{
	struct bf_effect_note note;
	uint64_t key, again;
	int i, met = 0;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b)->src.s_addr = htonl(0x0a000002);
	blob_entry(&self->b, self->b.rule)->ip.smsk.s_addr = UINT32_MAX;
	blob_end(&self->b, BLOB_DROP);
	add_log_rule(&self->b, "x");
	ASSERT_EQ(0, load_table(self, variant));
	/* Test runs mostly have the same packet again; often enough for this to see it. */
	for (i = 0; i < 50 && !met; i++) {
		self->p.data[15] = 1;
		EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
		ASSERT_TRUE(read_note(self, &note, &key));
		self->p.data[15] = 2;
		EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
		met = !read_note(self, &note, &again) && !self->state->pending;
		for (; read_note(self, &note, &again);)
			bpf_map_delete_elem(self->maps[0], &again);
		self->state->pending = 0;
	}
	if (!met)
		SKIP(return, "no two packets had the same address");
}

/* --- at the module's hooks ----------------------------------------------------------------- */

FIXTURE(module)
{
	struct run r;
	struct blob b;
	struct bf_loaded *loaded;
	struct packet p;
	uint32_t notes[3];
};

FIXTURE_VARIANT(module)
{
	enum bf_form form;
};

FIXTURE_VARIANT_ADD(module, straight){BF_FORM_STRAIGHT};
FIXTURE_VARIANT_ADD(module, records){BF_FORM_RECORDS};

FIXTURE_SETUP(module)
{
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	self->r.teller.notes = self->notes;
	self->p.hook = NF_INET_LOCAL_IN;
	self->p.len = 28;
	memcpy(self->p.data,
	       "\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2\0\1\0\2\0\x08\0\0", 28);
	blob_hook(&self->b, NF_INET_LOCAL_IN);
}

FIXTURE_TEARDOWN(module)
{
	bf_loaded_free(self->loaded);
	blob_free(&self->b);
	run_end(&self->r);
}

static int load_module_table(FIXTURE_DATA(module) * self, const FIXTURE_VARIANT(module) * variant)
{
	return load_rules(&self->r, &self->b, BF_ATTACH_MODULE, variant->form, NULL, &self->loaded);
}

TEST_F(module, effects_are_noted_by_their_numbers)
{
	add_log_rule(&self->b, "first");
	add_log_rule(&self->b, "second");
	add_log_rule(&self->b, "first");
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	ASSERT_EQ(0, load_module_table(self, variant));
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(0x01020103, self->notes[0]);
	EXPECT_EQ(0, self->notes[1]);
	EXPECT_EQ(4, self->notes[2]);
}

TEST_F(module, no_effects_no_notes)
{
	blob_rule(&self->b, BLOB_DROP);
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
	ASSERT_EQ(0, load_module_table(self, variant));
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(0, self->notes[0] | self->notes[1] | self->notes[2]);
}

TEST_F(module, the_last_of_too_many_are_kept)
{
	char prefix[4] = "";
	int i;

	for (i = 1; i <= BF_MODULE_EFFECTS + 3; i++) {
		prefix[0] = 'a' + i;
		add_log_rule(&self->b, prefix);
	}
	ASSERT_EQ(0, load_module_table(self, variant));
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(0x08090a0b, self->notes[0]);
	EXPECT_EQ(0x04050607, self->notes[1]);
	EXPECT_EQ(BF_MODULE_EFFECTS + 3, self->notes[2]);
}

/* @n rules with LOG, one with nfacct, one with REJECT. */
static void add_account_behind(FIXTURE_DATA(module) * self, int n)
{
	while (n--)
		add_log_rule(&self->b, "x");
	blob_begin(&self->b);
	add_account(&self->b, "one");
	blob_end(&self->b, BLOB_NEXT);
	add_reject_rule(&self->b, IPT_ICMP_PORT_UNREACHABLE);
}

TEST_F(module, what_is_counted_is_kept)
{
	add_account_behind(self, BF_MODULE_EFFECTS - 2);
	ASSERT_EQ(0, load_module_table(self, variant));
	EXPECT_EQ(NF_DROP, run_packet(&self->r, self->loaded, &self->p));
	EXPECT_EQ(BF_MODULE_EFFECTS, self->notes[2]);
}

TEST_F(module, what_is_counted_and_might_be_lost_is_refused)
{
	add_account_behind(self, BF_MODULE_EFFECTS - 1);
	EXPECT_EQ(-EOPNOTSUPP, load_module_table(self, variant));
}

/* What the module is handed: as the rule has it. */
TEST(effects_as_the_kernel_has_them)
{
	const struct xt_nflog_info nflog = {
		.len = 80, .group = 9, .flags = XT_NFLOG_F_COPY_LEN, .prefix = "p"};
	const struct xt_log_info log = {.level = 7, .logflags = XT_LOG_UID, .prefix = "log"};
	struct ipt_reject_info reject = {};
	struct bf_effect_info info;
	struct bf_question q;
	struct bf_rule r;

	ASSERT_EQ(0, compile("NFLOG", &nflog, &r, 0));
	bf_effect_question(&r.effects.list[0], &info, &q);
	EXPECT_STREQ("NFLOG", q.name);
	EXPECT_TRUE(q.target);
	EXPECT_EQ(XT_ALIGN(sizeof(nflog)), q.size);
	EXPECT_EQ(0, memcmp(&nflog, info.bytes, sizeof(nflog)));
	bf_rule_free(&r);
	ASSERT_EQ(0, compile("LOG", &log, &r, 0));
	bf_effect_question(&r.effects.list[0], &info, &q);
	EXPECT_STREQ("LOG", q.name);
	EXPECT_EQ(0, memcmp(&log, info.bytes, sizeof(log)));
	bf_rule_free(&r);
	for (reject.with = IPT_ICMP_NET_UNREACHABLE; reject.with <= IPT_ICMP_ADMIN_PROHIBITED;
	     reject.with++) {
		if (reject.with == IPT_ICMP_ECHOREPLY)
			continue;
		ASSERT_EQ(0, compile("REJECT", &reject, &r, 6));
		bf_effect_question(&r.effects.list[0], &info, &q);
		EXPECT_STREQ("REJECT", q.name);
		EXPECT_EQ(reject.with == IPT_TCP_RESET ? 6 : 0, q.proto);
		EXPECT_EQ(0, memcmp(&reject, info.bytes, sizeof(reject)));
		bf_rule_free(&r);
	}
}

TEST_HARNESS_MAIN
