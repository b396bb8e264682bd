// SPDX-License-Identifier: GPL-2.0
/*
 * The forms of a table's program against the model (walk.h), on millions of pairs of a table and a
 * packet: each rule's counters after thousands of packets, every packet's mark, some packets'
 * verdicts. Lengths of packets are random, so that a packet that is counted at a wrong rule shows in
 * the bytes, and all that is left out or done twice in the sum.
 *
 * TEST_PAIRS says how many pairs, TEST_SEED repeats a run; its number is printed. What is different
 * is printed as the one packet and the few rules that it takes.
 */
#include "batch.h"
#include "coverage.h"
#include "ruleset.h"
#include "sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compile.h"
#include "env.h"
#include "kselftest_harness.h"
#include "load.h"
#include "trees.h"

#define PAIRS 300000UL

/* Packets for each table, and how many of them are run alone, for their verdicts. */
#define PACKETS BATCH_MAX
#define SINGLES 128

/* So many of 100 tables are long lists, which become forests. */
#define LISTS 25

/* Beyond that a table takes too long to be walked that often: it is thrown again. */
#define MAX_COST 60000

/**
 * struct build - what a table is made into; all see the same packets
 * @max_cost: tables that cost more are not for it
 * @limits: of the decision trees
 * @changed: these are made of those of the table without some of its rules
 */
struct build {
	const char *name;
	enum bf_form form;
	uint32_t max_cost;
	struct bf_limits limits;
	bool changed;
};

static const struct build builds[] = {
	{"straight-line", BF_FORM_STRAIGHT, 600, BF_LIMITS_NONE, false},
	{"records", BF_FORM_RECORDS, BF_COST_MAX, BF_LIMITS_NONE, false},
};

static const struct build changed = {"records, trees of a change", BF_FORM_RECORDS, BF_COST_MAX,
				     BF_LIMITS_NONE, true};

/* Each table with many rules is one of these as well. */
#define MANY 200

static const struct build cut_short[] = {
	{"records without trees",
	 BF_FORM_RECORDS,
	 BF_COST_MAX,
	 {.tree_bytes = 0, .tree_work = UINT64_MAX},
	 false},
	{"records, small trees",
	 BF_FORM_RECORDS,
	 BF_COST_MAX,
	 {.tree_bytes = 4096, .tree_work = UINT64_MAX},
	 false},
	{"records, less small trees",
	 BF_FORM_RECORDS,
	 BF_COST_MAX,
	 {.tree_bytes = 16384, .tree_work = UINT64_MAX},
	 false},
	{"records, trees built in haste",
	 BF_FORM_RECORDS,
	 BF_COST_MAX,
	 {.tree_bytes = UINT64_MAX, .tree_work = 30000},
	 false},
};

/* TCP headers for bpfilter_packet.thoff to lead to, behind a link and an IP header. */
#define NR_HEADERS  16
#define HEADER_ROOM 60
#define FIRST	    34
#define DATA_LEN    (FIRST + NR_HEADERS * HEADER_ROOM - 30)

/* A limit, and how many more packets it lets through. */
struct bucket {
	const struct bf_cond *cond;
	uint32_t left;
};

/**
 * struct trial - a table and packets, and what becomes of them
 * @table: the checked table
 * @packets: what the model is told
 * @verdicts, @marks: what the model says of each
 * @counters: and of all
 */
struct trial {
	struct sandbox s;
	struct batch batch;
	struct dice dice;
	uint8_t data[DATA_LEN];
	struct ruleset set;
	struct bf_table *table;
	struct model model;
	struct bucket buckets[64];
	unsigned int nr_buckets;
	struct bpfilter_packet packets[PACKETS], *packet;
	int verdicts[PACKETS];
	uint32_t marks[PACKETS];
	struct xt_counters *counters, *got;
	struct bf_loaded *loaded;
	struct {
		uint64_t pairs, tables, entries, counted, accepted, marked, updates;
	} sum;
	struct coverage coverage;
};

/* Options that one would meet, and those that one would not. The last header is cut off. */
static void fill_headers(struct trial *t)
{
	struct dice d = {.state = 1};
	unsigned int i, j;

	t->data[12] = 8;
	for (i = 0; i < NR_HEADERS; i++) {
		uint8_t *tcp = t->data + FIRST + i * HEADER_ROOM;

		for (j = 0; j < HEADER_ROOM && tcp + j < t->data + DATA_LEN; j++)
			tcp[j] = chance(&d, 70) ? roll(&d, 6) : roll(&d, 256);
		tcp[12] = (i == NR_HEADERS - 1 ? 15 : i < 2 ? i * 4 : 5 + roll(&d, 11)) << 4;
	}
}

/* The kernel's tcp_find_option() and what leads to it. */
static int has_tcp_option(const struct trial *t, uint8_t option)
{
	uint32_t at = t->packet->thoff, doff = (t->data[at + 12] >> 4) * 4, i;
	const uint8_t *op = t->data + at + 20;

	if (doff < 20 || at + doff > DATA_LEN)
		return BF_HOTDROP;
	for (i = 0; i < doff - 20;) {
		if (op[i] == option)
			return 1;
		i += op[i] < 2 || i + 1 == doff - 20 ? 1 : op[i + 1] ?: 1;
	}
	return 0;
}

static bool is_addr_type(const struct trial *t, const struct bf_cond *cond)
{
	uint16_t types;

	memcpy(&types, cond->state, sizeof(types));
	return types >> t->packet->addr_type[cond->state[2]][cond->state[3]] & 1;
}

static bool is_below_limit(struct trial *t, const struct bf_cond *cond)
{
	struct bucket *b = t->buckets;

	while (b < t->buckets + t->nr_buckets && b->cond != cond)
		b++;
	if (b == t->buckets + ARRAY_SIZE(t->buckets))
		abort();
	if (b == t->buckets + t->nr_buckets) {
		b->cond = cond;
		/* Where limit keeps the burst: struct limit_state. */
		memcpy(&b->left, cond->state + 28, sizeof(b->left));
		t->nr_buckets++;
	}
	return b->left && b->left--;
}

static int decide(void *arg, const struct bf_cond *cond)
{
	struct trial *t = arg;

	if (!strcmp(cond->type->name, "tcp option"))
		return has_tcp_option(t, cond->state[0]);
	if (!strcmp(cond->type->name, "addrtype"))
		return is_addr_type(t, cond);
	return is_below_limit(t, cond);
}

/* What the model says of packet @i. */
static int model_packet(struct trial *t, unsigned int i, struct xt_counters *counters,
			uint32_t *mark)
{
	uint32_t key[BF_NR_FIELDS];
	int verdict;

	t->packet = &t->packets[i];
	memcpy(key, t->packet, sizeof(key));
	verdict = model_walk(&t->model, t->packet->hook, key, decide, t, counters);
	*mark = key[BF_MARK];
	return verdict;
}

static uint32_t max_cost(const struct bf_table *table)
{
	struct bf_rules rules = {};
	uint32_t cost = BF_COST_MAX;

	if (!bf_rules_make(&rules, table, BF_ATTACH_LINK, NULL, NULL) &&
	    !bf_rules_measure(&rules, NULL))
		cost = rules.max_cost;
	bf_rules_free(&rules);
	return cost;
}

static void close_table(struct trial *t)
{
	if (t->table)
		model_close(&t->model);
	bf_table_free(t->table);
	free(t->counters);
	free(t->got);
	t->table = NULL;
	t->counters = t->got = NULL;
	t->nr_buckets = 0;
}

/* The table that the set makes now, and its model, as new. False if the kernel would not have it. */
static bool open_table(struct trial *t)
{
	struct blob b = {};

	close_table(t);
	ruleset_blob(&t->set, &b);
	t->table = blob_table(&b);
	blob_free(&b);
	if (!t->table)
		return false;
	model_open(&t->model, t->table);
	t->counters = calloc(t->table->num_entries, sizeof(*t->counters));
	t->got = calloc(t->table->num_entries, sizeof(*t->got));
	if (!t->counters || !t->got)
		abort();
	return true;
}

static void unload(struct trial *t)
{
	bf_loaded_free(t->loaded);
	t->loaded = NULL;
}

static struct bf_table *as_table(struct trial *t)
{
	struct bf_table *table;
	struct blob b = {};

	ruleset_blob(&t->set, &b);
	table = blob_table(&b);
	blob_free(&b);
	return table;
}

/* The table without a rule, or some: a program of which the trees are wanted. NULL if it is none. */
static struct bf_program *before_change(struct trial *t, const struct bf_kernel *kernel)
{
	const struct bf_limits limits = BF_LIMITS_NONE;
	uint32_t n = t->set.nr_rules, at = n / 2, i;
	struct bf_program *program = NULL;
	struct bf_table *table;
	bool gone[3];

	for (i = 0; i < ARRAY_SIZE(gone) && at + i < n; i++) {
		gone[i] = t->set.rules[at + i].gone;
		t->set.rules[at + i].gone = true;
	}
	table = as_table(t);
	if (table)
		bf_compile_limited(table, kernel, BF_ATTACH_MODULE, BF_FORM_RECORDS, 0, &limits,
				   &program, NULL);
	bf_table_free(table);
	while (i--)
		t->set.rules[at + i].gone = gone[i];
	return program;
}

/* In how many of its chains the trees are those of a change. */
static uint32_t count_changed(const struct bf_program *program)
{
	uint32_t n = 0, i;

	for (i = 0; program->trees && i < program->trees->nr; i++)
		n += program->trees->chains[i].forest.changes > 0;
	return n;
}

/* One build of it, in the kernel, as new. */
static bool load(struct trial *t, const struct build *build)
{
	struct bf_program *program, *before = NULL;
	struct bf_limits limits = build->limits;
	struct bf_table *table;
	struct bf_kernel kernel;
	struct bf_why why = {};
	int err;

	unload(t);
	bf_env_kernel(t->s.env, &kernel);
	if (build->changed)
		before = before_change(t, &kernel);
	limits.trees = before ? before->trees : NULL;
	table = as_table(t);
	err = bf_compile_limited(table, &kernel, BF_ATTACH_MODULE, build->form,
				 bf_env_jiffies(t->s.env), &limits, &program, &why);
	bf_program_free(before);
	if (!err) {
		t->sum.updates += count_changed(program);
		err = bf_load(table, program, NULL, kernel.cpus, 0, &t->loaded, &why);
		bf_program_free(program);
	}
	if (err)
		bf_table_free(table);
	err = err ?: batch_aim(&t->batch, t->loaded->prog);
	if (err)
		printf("# %s: %d %s\n", build->name, err, why.text);
	return !err;
}

/* What the module would tell this program; what it need not is nonsense. */
static void tell(struct trial *t, unsigned int first, unsigned int nr)
{
	const size_t ct = offsetof(struct bpfilter_packet, ct_state);
	const size_t end = offsetof(struct bpfilter_packet, thoff);
	unsigned int i, j;

	for (i = first; i < first + nr; i++) {
		struct bpfilter_packet *p = &t->batch.packets[i];

		*p = t->packets[i];
		if (!(t->loaded->want & BPFILTER_WANT_CT))
			memset((uint8_t *)p + ct, 0xa5, end - ct);
		for (j = 0; j < 6; j++)
			if (!(t->loaded->want & BPFILTER_WANT_TYPE(j / 3, j % 3)))
				p->addr_type[j / 3][j % 3] = 0xa5;
	}
}

/* --- when something is different ---------------------------------------------------------- */

static void show_op(const struct bf_rule *r, const struct bf_op *op)
{
	static const char *const codes[] = {
		[BF_OP_EQ] = "eq", [BF_OP_RANGE] = "range", [BF_OP_COND] = "cond"};

	printf(" %s%s %s %x %x", op->invert ? "!" : "", codes[op->code],
	       op->code == BF_OP_COND ? r->conds[op->a].type->name : bf_field_name(op->field),
	       op->a, op->b);
	if (op->to == BF_TO_DROP)
		printf(" or drop");
	else if (op->to >= 0)
		printf(" or op %u", r->labels[op->to]);
	printf(";");
}

static void show_target(const struct bf_table *table, const struct ipt_entry *e)
{
	const struct xt_standard_target *t = (const void *)e + e->target_offset;
	const char *name = t->target.u.user.name;

	if (!strcmp(name, "MARK")) {
		const struct xt_mark_tginfo2 *info = (const void *)t->target.data;

		printf(" mark = (mark & %x) ^ %x\n", ~info->mask, info->mark);
	} else if (*name) {
		printf(" %s\n", name);
	} else if (t->verdict >= 0) {
		printf(" %s entry %u\n", e->ip.flags & IPT_F_GOTO ? "goto" : "jump",
		       bf_table_index(table, t->verdict));
	} else {
		printf(" %s\n", t->verdict == BLOB_ACCEPT ? "ACCEPT"
				: t->verdict == BLOB_DROP ? "DROP"
							  : "RETURN");
	}
}

static void show_entry(struct trial *t, uint32_t index)
{
	const struct bf_rule *r = model_rule(&t->model, index);
	uint32_t i;

	printf("# entry %u:", index);
	for (i = 0; i < r->nr_ops; i++)
		show_op(r, &r->ops[i]);
	show_target(t->table, bf_table_entry(t->table, index));
}

static void show_packet(const struct bpfilter_packet *p)
{
	uint32_t key[BF_NR_FIELDS], i;

	memcpy(key, p, sizeof(key));
	printf("# hook %u in \"%.16s\" out \"%.16s\" thoff %u types %d %d:", p->hook, p->in, p->out,
	       p->thoff, p->addr_type[0][0], p->addr_type[1][0]);
	for (i = 0; i < BF_NR_FIELDS; i++)
		if (key[i] && (i < BF_IIF || i >= BF_CT_STATE))
			printf(" %s %x", bf_field_name(i), key[i]);
	printf("\n");
}

/* Packet and table, and where they differ; of the table what has to do with that. */
static void show(struct trial *t, const struct build *build, unsigned int i, int verdict)
{
	uint32_t e, n = t->table->num_entries;

	printf("# %s: verdict %d, should be %d; mark %x, should be %x\n", build->name, verdict,
	       t->verdicts[i], t->batch.state->marks[i + 1], t->marks[i]);
	show_packet(&t->packets[i]);
	for (e = 0; e < n; e++) {
		bool differs = memcmp(&t->counters[e], &t->got[e], sizeof(*t->got));

		/* Heads and ends of chains that are empty are left out. */
		if (differs || t->counters[e].pcnt || model_rule(&t->model, e)->nr_ops)
			show_entry(t, e);
		if (differs)
			printf("# ^ counted [%llu:%llu], should be [%llu:%llu]\n", t->got[e].pcnt,
			       t->got[e].bcnt, t->counters[e].pcnt, t->counters[e].bcnt);
	}
}

/* Is packet @i, alone, the same in both? @verdict receives what it met with. */
static bool same_alone(struct trial *t, unsigned int i, int *verdict)
{
	size_t size = t->table->num_entries * sizeof(*t->got);

	tell(t, i, 1);
	t->verdicts[i] = model_packet(t, i, t->counters, &t->marks[i]);
	*verdict = batch_run(&t->batch, i, 1);
	bf_loaded_counters(t->loaded, t->got);
	return *verdict == t->verdicts[i] && t->batch.state->marks[i + 1] == t->marks[i] &&
	       !memcmp(t->got, t->counters, size);
}

/* With all as new: the first packet that differs after all that were before it, or PACKETS. */
static unsigned int first_difference(struct trial *t, const struct build *build, int *verdict)
{
	unsigned int i;

	if (!open_table(t) || !load(t, build))
		return PACKETS;
	for (i = 0; i < PACKETS && same_alone(t, i, verdict); i++)
		;
	return i;
}

/* Does packet @i, without any other, still differ? */
static bool still_differs(struct trial *t, const struct build *build, unsigned int i, int *verdict)
{
	return open_table(t) && load(t, build) && !same_alone(t, i, verdict);
}

/* Try to do without @nr rules from @from on. */
static void leave_out(struct trial *t, const struct build *build, unsigned int packet,
		      uint32_t from, uint32_t nr)
{
	struct rule *rules = &t->set.rules[from], before[nr];
	bool any = false;
	uint32_t i;
	int verdict;

	memcpy(before, rules, sizeof(before));
	for (i = 0; i < nr; i++) {
		any |= !rules[i].gone;
		rules[i].gone = true;
	}
	if (any && !still_differs(t, build, packet, &verdict))
		memcpy(rules, before, sizeof(before));
}

/* Leave out all rules that it does not take, large groups first. */
static void shrink(struct trial *t, const struct build *build, unsigned int packet)
{
	uint32_t n = t->set.nr_rules, step, from;

	for (step = n < 4000 ? n / 2 : 2000; step; step /= 2)
		for (from = 0; from < n; from += step)
			leave_out(t, build, packet, from, from + step < n ? step : n - from);
}

/* Something is different in this table: say what. */
static void explain(struct trial *t, const struct build *build)
{
	int verdict = -1;
	unsigned int i = first_difference(t, build, &verdict);

	if (i == PACKETS) {
		printf("# %s: different for all packets in one call, but not one by one\n",
		       build->name);
		return;
	}
	if (!still_differs(t, build, i, &verdict)) {
		printf("# packet %u, after the ones before it:\n", i);
		i = first_difference(t, build, &verdict);
	} else {
		shrink(t, build, i);
		still_differs(t, build, i, &verdict);
	}
	show(t, build, i, verdict);
}

/* --- the comparison ------------------------------------------------------------------------ */

/* Thousands at once, then some one by one. */
static bool same(struct trial *t, const struct build *build)
{
	size_t size = t->table->num_entries * sizeof(*t->got);
	unsigned int i;
	int verdict;

	tell(t, 0, PACKETS);
	verdict = batch_run(&t->batch, 0, PACKETS - SINGLES);
	if (verdict != t->verdicts[PACKETS - SINGLES - 1])
		return false;
	for (i = PACKETS - SINGLES; i < PACKETS; i++)
		if (batch_run(&t->batch, i, 1) != t->verdicts[i])
			return false;
	bf_loaded_counters(t->loaded, t->got);
	return !memcmp(t->got, t->counters, size) &&
	       !memcmp(&t->batch.state->marks[1], t->marks, sizeof(t->marks));
}

static void random_size(struct dice *d, uint32_t *size)
{
	unsigned int n = roll(d, 100);

	if (n < 40)
		*size = 5 + roll(d, 60);
	else if (n < 85)
		*size = 30 + roll(d, 270);
	else if (n < 98)
		*size = 300 + roll(d, 700);
	else
		*size = 1000 + roll(d, n < 99 ? 4000 : 19000);
}

/* Would the table, with trees as in this build, have what none had yet? */
static bool adds_coverage(const struct trial *t, const struct build *build)
{
	struct coverage c = {};
	unsigned int i;

	coverage_add(&c, t->table, &build->limits, t->counters);
	for (i = 0; i < COVERED_MANY; i++)
		if (c.tables[i] && !t->coverage.tables[i])
			return true;
	return false;
}

/* As long as something has not been had: one that has it, if there is one soon. */
static void throw_table(struct trial *t, const struct build *cut)
{
	bool missing = coverage_misses(&t->coverage);
	unsigned int tries = missing ? 60 : 1;
	uint32_t size;

	do {
		ruleset_free(&t->set);
		if (chance(&t->dice, missing ? 50 : LISTS)) {
			ruleset_make_lists(&t->dice, &t->set, 200 + roll(&t->dice, 1800));
			continue;
		}
		random_size(&t->dice, &size);
		ruleset_make(&t->dice, &t->set, size);
	} while (!open_table(t) || max_cost(t->table) > MAX_COST ||
		 (--tries && !adds_coverage(t, cut)));
}

static void throw_packets(struct trial *t)
{
	unsigned int i;

	for (i = 0; i < PACKETS; i++) {
		struct bpfilter_packet *p = &t->packets[i];

		ruleset_packet(&t->dice, &t->set, p);
		p->thoff = FIRST + roll(&t->dice, NR_HEADERS) * HEADER_ROOM;
		t->verdicts[i] = model_packet(t, i, t->counters, &t->marks[i]);
		t->sum.accepted += t->verdicts[i];
		t->sum.marked += t->marks[i] != p->mark;
	}
}

static void count(struct trial *t)
{
	uint32_t i;

	t->sum.tables++;
	t->sum.pairs += PACKETS;
	for (i = 0; i < t->table->num_entries; i++)
		t->sum.counted += !!t->counters[i].pcnt;
	/* Of a very large one not so many can be met. */
	t->sum.entries += i < PACKETS / 4 ? i : PACKETS / 4;
}

/* The table in one form, if it is for it. */
static bool one_build(struct trial *t, const struct build *build, uint32_t cost)
{
	if (cost > build->max_cost)
		return true;
	if (!load(t, build))
		return false;
	if (!same(t, build)) {
		explain(t, build);
		return false;
	}
	unload(t);
	return true;
}

static bool one_table(struct trial *t)
{
	const struct build *cut = &cut_short[t->sum.tables % ARRAY_SIZE(cut_short)];
	uint32_t cost, i;

	throw_table(t, cut);
	throw_packets(t);
	count(t);
	cost = max_cost(t->table);
	for (i = 0; i < ARRAY_SIZE(builds); i++)
		if (!one_build(t, &builds[i], cost))
			return false;
	coverage_add(&t->coverage, t->table, NULL, t->counters);
	if (t->table->num_entries < MANY)
		return true;
	coverage_add(&t->coverage, t->table, &cut->limits, t->counters);
	return one_build(t, cut, cost) && one_build(t, &changed, cost);
}

FIXTURE(classify)
{
	struct trial *t;
};

FIXTURE_SETUP(classify)
{
	const char *seed = getenv("TEST_SEED");
	struct trial *t = self->t = calloc(1, sizeof(*t));
	int err;

	ASSERT_NE(NULL, t);
	err = sandbox_enter(&t->s);
	if (err == 1)
		SANDBOX_SKIP(&t->s);
	ASSERT_EQ(0, err) TH_LOG("%s", t->s.why);
	t->dice.state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	fill_headers(t);
	ASSERT_EQ(0, batch_open(&t->batch, t->data, sizeof(t->data)));
}

FIXTURE_TEARDOWN(classify)
{
	close_table(self->t);
	unload(self->t);
	ruleset_free(&self->t->set);
	batch_close(&self->t->batch);
	sandbox_leave(&self->t->s);
	free(self->t);
}

TEST_F_TIMEOUT(classify, pairs, 1800)
{
	const char *wanted = getenv("TEST_PAIRS");
	uint64_t pairs = wanted ? strtoull(wanted, NULL, 0) : PAIRS;
	struct trial *t = self->t;

	printf("# TEST_SEED=%llu\n", (unsigned long long)t->dice.state);
	while (t->sum.pairs < pairs ||
	       (pairs >= PAIRS && t->sum.pairs < 4 * pairs && coverage_misses(&t->coverage))) {
		uint64_t state = t->dice.state;

		ASSERT_TRUE(one_table(t))
		TH_LOG("table of TEST_SEED=%llu", (unsigned long long)state);
	}
	printf("# %llu pairs, %llu tables with %llu entries, of which %llu counted; "
	       "%llu packets accepted, %llu marked; %llu chains changed\n",
	       (unsigned long long)t->sum.pairs, (unsigned long long)t->sum.tables,
	       (unsigned long long)t->sum.entries, (unsigned long long)t->sum.counted,
	       (unsigned long long)t->sum.accepted, (unsigned long long)t->sum.marked,
	       (unsigned long long)t->sum.updates);
	coverage_print(&t->coverage);
	/* A comparison of rules that are never met would say nothing. */
	EXPECT_LT(t->sum.entries / 8, t->sum.counted);
	EXPECT_LT(t->sum.pairs / 10, t->sum.accepted);
	EXPECT_LT(t->sum.accepted, t->sum.pairs - t->sum.pairs / 10);
	EXPECT_LT(t->sum.pairs / 100, t->sum.marked);
	if (pairs >= PAIRS) {
		EXPECT_LT(0U, t->sum.updates);
		EXPECT_FALSE(coverage_misses(&t->coverage));
	}
}

TEST_HARNESS_MAIN
