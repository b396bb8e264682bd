// SPDX-License-Identifier: GPL-2.0
/*
 * Questions: which a packet is asked, in which order, and what becomes of it with the answers: random tables for the
 * module's hooks, whose part the test plays, against a model that walks rule after rule. And that the two programs for
 * netfilter links load.
 */
#include "run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/in.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_owner.h>
#include <linux/netfilter/xt_string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "env.h"
#include "kselftest_harness.h"

#define RULES	30
#define TABLES	40
#define PACKETS 60

/* What a rule of the random tables may have. */
enum act { NEXT, ACCEPT, DROP, RETURN, JUMP, MARK, NR_ACTS };

struct rule {
	uint8_t proto;	/* 0: any */
	bool tests;	/* the mark, for @mark */
	bool questions; /* has one, number @number */
	bool limit;	/* which is a limit */
	enum act act;
	uint32_t mark, number;
};

/* INPUT, whose rules may jump to a chain of their own. */
struct table {
	struct rule input[RULES], chain[RULES];
	unsigned int nr_input, nr_chain;
	uint32_t nr_questions;
};

static void random_rule(struct dice *d, struct rule *r, bool input, unsigned int questions)
{
	*r = (struct rule){.proto = chance(d, 40) ? (chance(d, 50) ? IPPROTO_TCP : IPPROTO_UDP) : 0,
			   .tests = chance(d, 20),
			   .questions = chance(d, questions),
			   .limit = chance(d, 20),
			   .act = roll(d, NR_ACTS),
			   .mark = roll(d, 3)};
	if (r->act == JUMP && !input)
		r->act = RETURN;
	if (r->act == ACCEPT || r->act == DROP || r->act == RETURN)
		r->tests |= !r->questions && chance(d, 80);
}

static void random_questions(struct dice *d, struct table *t)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->nr_input = 1 + roll(d, RULES);
	t->nr_chain = roll(d, RULES);
	for (i = 0; i < t->nr_input; i++)
		random_rule(d, &t->input[i], true, 40);
	for (i = 0; i < t->nr_chain; i++)
		random_rule(d, &t->chain[i], false, 40);
	/* There must be one, or there is no asking. */
	t->input[0].questions = true;
	t->input[0].limit = false;
	for (i = 0; i < t->nr_input; i++)
		if (t->input[i].questions)
			t->input[i].number = t->nr_questions++;
	for (i = 0; i < t->nr_chain; i++)
		if (t->chain[i].questions)
			t->chain[i].number = t->nr_questions++;
}

static void add_question(struct blob *b, const struct rule *r)
{
	struct xt_string_info string = {.to_offset = 100, .algo = "bm", .patlen = 1};
	struct xt_rateinfo rate = {.avg = 1 + r->number, .burst = 5};

	string.pattern[0] = r->number;
	if (r->limit)
		blob_match(b, "limit", 0, &rate, sizeof(rate));
	else
		blob_match(b, "string", 1, &string, sizeof(string));
}

/* @jump: where JUMP leads to, set later: receives the rules that do. */
static void add_rule(struct blob *b, const struct rule *r, uint32_t *jumps, unsigned int *nr_jumps)
{
	static const int verdicts[] = {[NEXT] = BLOB_NEXT,
				       [ACCEPT] = BLOB_ACCEPT,
				       [DROP] = BLOB_DROP,
				       [RETURN] = BLOB_RETURN,
				       [JUMP] = BLOB_NEXT};
	const struct xt_mark_tginfo2 set = {r->mark, UINT32_MAX};
	const struct xt_mark_mtinfo1 mark = {.mark = r->mark, .mask = UINT32_MAX};

	blob_begin(b)->proto = r->proto;
	if (r->tests)
		blob_match(b, "mark", 1, &mark, sizeof(mark));
	if (r->questions)
		add_question(b, r);
	if (r->act == JUMP)
		jumps[(*nr_jumps)++] = b->rule;
	if (r->act == MARK)
		blob_end_target(b, "MARK", 2, &set, sizeof(set));
	else
		blob_end(b, verdicts[r->act]);
}

static void make_blob(struct blob *b, const struct table *t)
{
	uint32_t jumps[RULES], chain;
	unsigned int i, n = 0;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < t->nr_input; i++)
		add_rule(b, &t->input[i], jumps, &n);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	chain = blob_chain(b, "chain");
	for (i = 0; i < t->nr_chain; i++)
		add_rule(b, &t->chain[i], NULL, NULL);
	blob_rule(b, BLOB_RETURN);
	for (i = 0; i < n; i++)
		blob_set_verdict(b, jumps[i], chain);
	blob_finish(b);
}

/* --- the model ------------------------------------------------------------------------------ */

/* As many as a packet can meet, which comes to the chain from each rule. */
#define MEETS (RULES * (RULES + 1))
_Static_assert(MEETS >= BF_QUESTIONS_MAX, "more than there may be");

/* The answers, in their order: 0, 1 or BF_HOTDROP; and what a packet meets with them, and its mark there. */
struct way {
	uint8_t answers[MEETS];
	uint32_t asked[MEETS], marks[MEETS];
	unsigned int nr_asked;
	uint32_t mark;
	struct xt_counters counters[2 * RULES + 8];
};

static int holds(struct way *w, const struct rule *r, uint8_t proto)
{
	if ((r->proto && r->proto != proto) || (r->tests && r->mark != w->mark))
		return 0;
	if (!r->questions)
		return 1;
	w->marks[w->nr_asked] = w->mark;
	w->asked[w->nr_asked] = r->number;
	return w->answers[w->nr_asked++];
}

static void count(struct way *w, unsigned int entry, uint32_t len)
{
	w->counters[entry].pcnt++;
	w->counters[entry].bcnt += len;
}

/* NF_ACCEPT, NF_DROP, or -1: the chain's end. @first: number of its first entry */
static int walk_chain(struct way *w, const struct table *t, bool input, const struct packet *p)
{
	unsigned int i, n = input ? t->nr_input : t->nr_chain, first = input ? 0 : t->nr_input + 4;
	int verdict;

	for (i = 0; i < n; i++) {
		const struct rule *r = input ? &t->input[i] : &t->chain[i];
		int is = holds(w, r, p->data[9]);

		if (is == BF_HOTDROP)
			return NF_DROP;
		if (!is)
			continue;
		count(w, first + i, p->len);
		if (r->act == MARK)
			w->mark = r->mark;
		if (r->act == ACCEPT)
			return NF_ACCEPT;
		if (r->act == DROP)
			return NF_DROP;
		if (r->act == RETURN)
			return -1;
		verdict = r->act == JUMP ? walk_chain(w, t, false, p) : -1;
		if (verdict >= 0)
			return verdict;
	}
	if (!input)
		count(w, first + n, p->len);
	return -1;
}

static int walk_table(struct way *w, const struct table *t, const struct packet *p)
{
	int verdict = walk_chain(w, t, true, p);

	if (verdict >= 0)
		return verdict;
	count(w, t->nr_input, p->len);
	return NF_ACCEPT;
}

/* --- the module's part ----------------------------------------------------------------------- */

FIXTURE(question)
{
	struct run r;
	struct bf_loaded *loaded;
};

FIXTURE_VARIANT(question)
{
	enum bf_form form;
};

FIXTURE_VARIANT_ADD(question, straight){BF_FORM_STRAIGHT};
FIXTURE_VARIANT_ADD(question, records){BF_FORM_RECORDS};

FIXTURE_SETUP(question)
{
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
}

FIXTURE_TEARDOWN(question)
{
	bf_loaded_free(self->loaded);
	run_end(&self->r);
}

/* Asks until there is nothing to ask, then decides: the verdict, or -1 if it asks what it should not. */
static int decide(struct run *r, const struct bf_loaded *l, const struct packet *p,
		  const struct way *w, uint32_t *mark)
{
	struct teller *t = &r->teller;
	unsigned int n = 0;

	memset(t->known, 0, sizeof(t->known));
	memset(t->yes, 0, sizeof(t->yes));
	for (;;) {
		int k = teller_run(t, l->asking, l->want, p, mark, 1, NULL);

		if (!(k & BPFILTER_ASK))
			break;
		k &= ~BPFILTER_ASK;
		/* A match that is asked sees the mark as it is by then; the next run has the packet's. */
		if (n >= w->nr_asked || (uint32_t)k != w->asked[n] || *mark != w->marks[n])
			return -1;
		if (w->answers[n] != BF_HOTDROP)
			t->known[n / 32] |= 1U << n % 32;
		if (w->answers[n])
			t->yes[n / 32] |= 1U << n % 32;
		n++;
	}
	return n == w->nr_asked ? teller_run(t, l->prog, l->want, p, mark, 1, NULL) : -1;
}

static void random_answers(struct dice *d, struct way *w)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < MEETS; i++)
		w->answers[i] = chance(d, 3) ? BF_HOTDROP : chance(d, 30);
}

TEST_F(question, of_random_tables_are_asked_in_turn)
{
	struct packet p = {.hook = NF_INET_LOCAL_IN, .len = 40};
	struct dice d = {.state = 20261127};
	unsigned int i, j, asked = 0;
	struct table t;

	memcpy(p.data, "\x45\0\0\x28\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2", 20);
	for (i = 0; i < TABLES; i++) {
		struct blob b = {};
		struct bf_why why = {};
		struct xt_counters sum[2 * RULES + 8] = {}, got[2 * RULES + 8] = {};

		random_questions(&d, &t);
		make_blob(&b, &t);
		ASSERT_EQ(0, run_load(&self->r.s, &b, BF_ATTACH_MODULE, variant->form,
				      &self->loaded, &why))
		TH_LOG("table %u: %s", i, why.text);
		blob_free(&b);
		for (j = 0; j < PACKETS; j++) {
			struct way w;
			uint32_t mark, k;
			int verdict;

			p.data[9] = chance(&d, 50) ? IPPROTO_TCP : IPPROTO_UDP;
			p.mark = roll(&d, 3);
			random_answers(&d, &w);
			w.mark = p.mark;
			verdict = walk_table(&w, &t, &p);
			ASSERT_EQ(verdict, decide(&self->r, self->loaded, &p, &w, &mark))
			TH_LOG("table %u, packet %u", i, j);
			ASSERT_EQ(w.mark, mark);
			asked += w.nr_asked;
			for (k = 0; k < ARRAY_SIZE(sum); k++) {
				sum[k].pcnt += w.counters[k].pcnt;
				sum[k].bcnt += w.counters[k].bcnt;
			}
		}
		bf_loaded_counters(self->loaded, got);
		ASSERT_EQ(0, memcmp(sum, got, self->loaded->table->num_entries * sizeof(*got)))
		TH_LOG("table %u", i);
		bf_loaded_free(self->loaded);
		self->loaded = NULL;
	}
	EXPECT_LT(TABLES * PACKETS, asked);
}

/* A limit in a chain that two rules lead to. */
TEST(asked_twice)
{
	struct rule jump = {.proto = IPPROTO_TCP, .act = JUMP},
		    limit = {.questions = true, .limit = true};
	const struct bf_kernel kernel = {.has_links = true, .hz = 250, .cpus = 1};
	struct table t = {.nr_input = 3, .nr_chain = 1};
	struct bf_program *p = NULL;
	struct bf_table *table;
	struct bf_why why = {};
	struct blob b = {};

	t.input[0] = t.input[1] = jump;
	t.input[2] = (struct rule){.questions = true, .number = 1};
	t.chain[0] = limit;
	make_blob(&b, &t);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	EXPECT_EQ(0, bf_compile(table, &kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, 0, &p, &why));
	bf_program_free(p);
	EXPECT_EQ(0, bf_compile(table, &kernel, BF_ATTACH_LINK, BF_FORM_AUTO, 0, &p, &why));
	ASSERT_NE(NULL, p);
	EXPECT_EQ(2, p->questions.nr);
	EXPECT_STREQ("string", p->questions.list[0].name);
	EXPECT_STREQ("limit", p->questions.list[1].name);
	EXPECT_EQ(1U << NF_INET_LOCAL_IN, p->questions.list[1].hooks);
	EXPECT_EQ(sizeof(struct xt_string_info), p->questions.list[0].size);
	bf_program_free(p);
	/* No program at an interface can ask. */
	EXPECT_EQ(-EOPNOTSUPP, bf_compile(table, &kernel, BF_ATTACH_TC, BF_FORM_AUTO, 0, &p, &why));
	EXPECT_EQ(NULL, p);
	bf_table_free(table);
	blob_free(&b);
}

static int compile_many(unsigned int input, struct bf_why *why)
{
	const struct bf_kernel kernel = {.has_links = true, .hz = 250, .cpus = 1};
	struct bf_program *p = NULL;
	struct bf_table *table;
	struct blob b = {};
	unsigned int i;
	int err;

	blob_hook(&b, NF_INET_LOCAL_IN);
	for (i = 0; i < input; i++) {
		blob_begin(&b);
		add_question(&b, &(struct rule){.number = i});
		blob_end(&b, BLOB_DROP);
	}
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	err = table ? bf_compile(table, &kernel, BF_ATTACH_LINK, BF_FORM_AUTO, 0, &p, why)
		    : -EINVAL;
	bf_program_free(p);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

/* A chain with @questions, which @jumps rules lead to, at the module's hooks. */
static int compile_again(unsigned int jumps, unsigned int questions, struct bf_why *why)
{
	const struct bf_kernel kernel = {.has_links = true, .hz = 250, .cpus = 1};
	struct table t = {.nr_input = jumps, .nr_chain = questions};
	struct bf_program *p = NULL;
	struct bf_table *table;
	struct blob b = {};
	unsigned int i;
	int err;

	for (i = 0; i < jumps; i++)
		t.input[i].act = JUMP;
	for (i = 0; i < questions; i++)
		t.chain[i] = (struct rule){.questions = true, .number = i};
	make_blob(&b, &t);
	table = blob_table(&b);
	err = table ? bf_compile(table, &kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, 0, &p, why)
		    : -EINVAL;
	bf_program_free(p);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

TEST(as_many_as_the_module_has_answers_for)
{
	struct bf_why why = {};

	EXPECT_EQ(0, compile_again(16, BPFILTER_QUESTIONS_MAX / 16, &why));
	EXPECT_EQ(-EOPNOTSUPP, compile_again(17, BPFILTER_QUESTIONS_MAX / 16, &why));
	EXPECT_STREQ("a packet may meet more than 256 matches that ask the kernel", why.text);
}

/* OUTPUT with one rule that names a group, and all groups of a sender if @all. */
static int compile_owner(bool all, bool other_users, struct bf_why *why)
{
	const struct bf_kernel kernel = {.has_links = true,
					 .has_owner = true,
					 .hz = 250,
					 .cpus = 1,
					 .other_users = other_users};
	const struct xt_owner_match_info info = {.gid_min = 7,
						 .gid_max = 7,
						 .match = XT_OWNER_GID |
							  (all ? XT_OWNER_SUPPL_GROUPS : 0)};
	struct bf_program *p = NULL;
	struct bf_table *table;
	struct blob b = {};
	int err;

	blob_empty_hook(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_hook(&b, NF_INET_LOCAL_OUT);
	blob_begin(&b);
	blob_match(&b, "owner", 1, &info, sizeof(info));
	blob_end(&b, BLOB_DROP);
	blob_policy(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	err = table ? bf_compile(table, &kernel, BF_ATTACH_LINK, BF_FORM_AUTO, 0, &p, why)
		    : -EINVAL;
	bf_program_free(p);
	bf_table_free(table);
	blob_free(&b);
	return err;
}

/* Numbers mean others there, whoever compares them. */
TEST(groups_of_another_user_namespace)
{
	struct bf_why why = {};
	int all;

	for (all = 0; all < 2; all++) {
		EXPECT_EQ(0, compile_owner(all, false, &why)) TH_LOG("%s", why.text);
		EXPECT_EQ(-EOPNOTSUPP, compile_owner(all, true, &why));
		EXPECT_STREQ("owner: the users are those of another user namespace", why.text);
	}
}

TEST(as_many_as_there_are_answers_for)
{
	struct bf_why why = {};

	EXPECT_EQ(0, compile_many(BF_ROUNDS - 1, &why));
	EXPECT_EQ(-EOPNOTSUPP, compile_many(BF_ROUNDS, &why));
	EXPECT_STREQ("a packet may meet more than 63 matches that ask the kernel", why.text);
	EXPECT_EQ(-EOPNOTSUPP, compile_many(BF_QUESTIONS_MAX + 1, &why));
	EXPECT_STREQ("more than 256 matches that ask the kernel", why.text);
}

TEST_HARNESS_MAIN
