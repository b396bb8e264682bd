// SPDX-License-Identifier: GPL-2.0
/* The compiler's front: choose a form, write the program, describe its maps. */
#include <errno.h>
#include <linux/netfilter/xt_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "early.h"
#include "key_packet.h"
#include "trees.h"

/*
 * Up to this many branches and actions, inlined, and this many entries, a table becomes straight-line
 * code. That is faster until then, since a packet needs no predicates and no tree, and the code is
 * loaded in 3 ms.
 */
#define STRAIGHT_MAX_COST    400
#define STRAIGHT_MAX_ENTRIES 56

const char *bf_form_name(enum bf_form form)
{
	static const char *const names[] = {
		[BF_FORM_AUTO] = "auto",
		[BF_FORM_STRAIGHT] = "straight-line",
		[BF_FORM_RECORDS] = "records",
	};

	return names[form];
}

const char *bf_attach_name(enum bf_attach attach)
{
	static const char *const names[] = {
		[BF_ATTACH_LINK] = "netfilter link",
		[BF_ATTACH_MODULE] = "module",
		[BF_ATTACH_TC] = "tc",
		[BF_ATTACH_XDP] = "xdp",
	};

	return names[attach];
}

/* In steps of a 32nd to a 64th of what there is. */
uint32_t bf_with_room(uint32_t n)
{
	uint32_t step = 16;

	while (n / 64 >= step)
		step *= 2;
	return n > UINT32_MAX - 2 * step ? n : (n / step + 1) * step;
}

/* Twice the room that is needed is not too much: a table that shrinks by a few rules does not change its program. */
static uint32_t room_had(uint32_t had, uint32_t n)
{
	uint32_t room = bf_with_room(n);

	return had >= n && had / 2 <= room ? had : room;
}

uint32_t bf_room_like(const struct bf_limits *limits, enum bf_program_map map, uint32_t size,
		      uint32_t n)
{
	const struct bf_map_def *had = limits && limits->like ? &limits->like->maps[map] : NULL;

	if (!had || !had->max_entries)
		return bf_with_room(n);
	return room_had((uint64_t)had->max_entries * had->value_size / size, n);
}

/* Initial state of the conditions, as the map's content. */
static int fill_conds(const struct bf_rules *rules, const struct bf_kernel *kernel,
		      uint64_t jiffies, const struct bf_limits *limits, struct bf_map_def *map)
{
	uint32_t i, n = rules->scratch.nr_conds;
	uint8_t *data;

	if (!n)
		return 0;
	data = calloc(n, BF_COND_STATE);
	if (!data)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct bf_cond *cond = bf_rules_cond(rules, i);
		void *state = data + (size_t)i * BF_COND_STATE;

		memcpy(state, cond->state, BF_COND_STATE);
		if (cond->type->init)
			cond->type->init(state, kernel->hz, jiffies);
	}
	*map = (struct bf_map_def){.name = "bf_conds",
				   .value_size = BF_COND_STATE,
				   .max_entries =
					   bf_room_like(limits, BF_MAP_CONDS, BF_COND_STATE, n),
				   .data = data,
				   .data_size = (size_t)n * BF_COND_STATE};
	return 0;
}

static int emit_form(struct bf_rules *rules, const struct bf_kernel *kernel, enum bf_form form,
		     const struct bf_limits *limits, struct bf_program *p)
{
	struct bf_asm a;
	int err;

	bf_asm_init(&a, kernel);
	a.attach = p->attach;
	a.listing = limits ? limits->listing : NULL;
	a.trace = limits && limits->trace;
	a.behind = p->behind;
	a.early = p->early;
	a.source = a.early ? bf_asm_label(&a) : 0;
	a.forward = a.early ? bf_asm_label(&a) : 0;
	a.asks = p->asks;
	a.decides = p->decides;
	a.late_marks = rules->scratch.late_marks;
	a.grows = bf_rules_change(rules, BF_LEN);
	if (form == BF_FORM_STRAIGHT)
		err = bf_emit_straight(&a, rules, p);
	else
		err = bf_emit_records(&a, rules, limits, p);
	if (!err && a.early)
		bf_emit_path_functions(&a, p);
	err = err ?: bf_asm_finish(&a);
	if (!err) {
		p->insns = a.insns;
		p->nr_insns = a.nr_insns;
		memcpy(p->functions, a.functions, sizeof(a.functions));
		p->nr_functions = a.nr_functions;
		p->globals = a.globals;
		p->form = form;
		a.insns = NULL;
	}
	if (err && a.listing)
		bf_listing_reset(a.listing);
	bf_asm_free(&a);
	return err == -ERANGE ? -E2BIG : err;
}

int bf_emit_auto_form(struct bf_rules *rules, const struct bf_kernel *kernel,
		      const struct bf_limits *limits, struct bf_program *p)
{
	int err = -E2BIG;

	if (rules->max_cost <= STRAIGHT_MAX_COST &&
	    rules->table->num_entries <= STRAIGHT_MAX_ENTRIES)
		err = emit_form(rules, kernel, BF_FORM_STRAIGHT, limits, p);
	return err == -E2BIG ? emit_form(rules, kernel, BF_FORM_RECORDS, limits, p) : err;
}

#define HEADER_FIELDS (BF_FIELD_BIT(BF_HEADER) | BF_FIELD_BIT(BF_TOTLEN) | BF_MAC_FIELDS)

/* Can a program at interfaces do what the rules want? */
static int check_interface_needs(const struct bf_rules *rules, const struct bf_kernel *kernel,
				 struct bf_why *why)
{
	if (rules->table->connection_marks)
		return bf_why(why, -EOPNOTSUPP,
			      "target CONNMARK is not available in the %s placement: the mark of a "
			      "connection is not known there",
			      bf_attach_name(rules->attach));
	if (rules->changed)
		return bf_why(why, -EOPNOTSUPP,
			      "target MARK is not available in the %s placement: the mark would be "
			      "set before the packet is routed",
			      bf_attach_name(rules->attach));
	if ((rules->want & BPFILTER_WANT_CT) && !kernel->has_ct_lookup)
		return bf_why(why, -EOPNOTSUPP,
			      "the kernel has no conntrack functions for BPF programs (Linux 6.1 "
			      "and its module nf_conntrack have)");
	return 0;
}

/* Can a program for netfilter links read all that the rules look at? */
static int check_link_needs(const struct bf_rules *rules, const struct bf_kernel *kernel,
			    struct bf_why *why)
{
	uint32_t i;

	if (!kernel->has_links)
		return bf_why(why, -EOPNOTSUPP, "the kernel has no BPF netfilter links");
	if ((rules->want & BPFILTER_WANT_CT) && !kernel->has_conntrack)
		return bf_why(
			why, -EOPNOTSUPP,
			"the kernel's BTF does not describe conntrack (nf_conntrack is not loaded)");
	if ((rules->fields & BF_FIELD_BIT(BF_CT_MARK)) && !kernel->has_ct_mark)
		return bf_why(why, -EOPNOTSUPP, "the kernel's BTF does not describe connmark");
	if ((rules->fields & HEADER_FIELDS) && !kernel->has_header)
		return bf_why(why, -EOPNOTSUPP, "the kernel's BTF does not describe packets");
	if ((rules->fields & BF_OWNER_FIELDS) && !kernel->has_owner)
		return bf_why(why, -EOPNOTSUPP, "the kernel's BTF does not describe sockets");
	for (i = 0; i < rules->nr_types; i++)
		if (rules->types[i]->fib && !kernel->has_fib)
			return bf_why(why, -EOPNOTSUPP,
				      "the kernel's BTF does not describe routing tables");
	return 0;
}

static int check_needs(const struct bf_rules *rules, const struct bf_kernel *kernel,
		       struct bf_why *why)
{
	uint32_t i;

	for (i = 0; i < rules->nr_types; i++) {
		const struct bf_cond_type *type = rules->types[i];
		const char *lacks = type->lacks ? type->lacks(kernel, rules->attach) : NULL;

		if (lacks)
			return bf_why(why, -EOPNOTSUPP, "%s: %s", type->name, lacks);
	}
	switch (rules->attach) {
	case BF_ATTACH_LINK:
		return check_link_needs(rules, kernel, why);
	case BF_ATTACH_TC:
	case BF_ATTACH_XDP:
		return check_interface_needs(rules, kernel, why);
	default:
		return 0;
	}
}

/* What a program at interfaces has beside the table's own maps. */
static void add_interface_needs(const struct bf_rules *rules, const struct bf_kernel *kernel,
				struct bf_program *p)
{
	if (rules->fields & BF_FIELD_BIT(BF_CT_STATE)) {
		p->fields |= BF_CT_NEEDS;
		p->btf_id = kernel->ct_btf_id;
	}
	p->maps[BF_MAP_DEVS] = (struct bf_map_def){
		.name = "bf_devs", .value_size = sizeof(struct bf_dev), .max_entries = BF_MAX_DEVS};
	if (kernel->has_dev)
		p->maps[BF_MAP_ROUTES] = (struct bf_map_def){.name = "bf_routes",
							     .value_size = sizeof(struct bf_routes),
							     .max_entries = 1};
}

/* One that must not be lost. */
static const char *name_of(const struct bf_effect *e)
{
	return e->kind == BF_EFFECT_MARK       ? "MARK"
	       : e->kind == BF_EFFECT_CONNMARK ? "CONNMARK"
					       : "nfacct";
}

/* What is counted must not be lost. */
static int check_account(struct bf_rules *rules, struct bf_why *why)
{
	const struct bf_effect *e = bf_effects_must_be(&rules->scratch.effects);
	uint32_t max;
	int over;

	if (!e)
		return 0;
	max = rules->attach == BF_ATTACH_MODULE ? BF_MODULE_EFFECTS : BF_MAX_EFFECTS;
	over = bf_effects_overflow(rules, max);
	if (over <= 0)
		return over;
	return bf_why(
		why, -EOPNOTSUPP,
		"%s: a packet may meet more than %u of such rules and of those with REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct",
		name_of(e), max - 1);
}

/* What the program notes of them is a byte, for the module. */
static int number_effects(struct bf_rules *rules, struct bf_why *why)
{
	const struct bf_effects *effects = &rules->scratch.effects;
	uint32_t first = rules->scratch.questions.nr + 1, i;

	if (first + effects->nr > 256)
		return bf_why(
			why, -EOPNOTSUPP,
			"more than 255 different uses of targets REJECT, LOG, NFLOG, MARK and CONNMARK, and of matches "
			"that ask the kernel");
	for (i = 0; i < rules->nr_ops; i++)
		if (rules->ops[i].code == BF_OP_EFFECT)
			rules->ops[i].a =
				first + (bf_effects_find(effects, rules->ops[i].a) - effects->list);
	return 0;
}

/* What the module is asked, and what it runs. */
static int add_effects(const struct bf_effects *effects, struct bf_questions *questions)
{
	struct bf_effect_info info;
	struct bf_question q;
	uint32_t i;
	int err = 0;

	for (i = 0; !err && i < effects->nr; i++) {
		bf_effect_question(&effects->list[i], &info, &q);
		err = bf_questions_add(questions, &q);
	}
	return err;
}

/* The other program of a table with questions: of the same form, so that all maps are the same. */
static int compile_asking(struct bf_rules *rules, const struct bf_kernel *kernel,
			  const struct bf_limits *limits, struct bf_program *p)
{
	struct bf_limits silent = limits ? *limits : (struct bf_limits)BF_LIMITS_NONE;
	struct bf_program *asking = calloc(1, sizeof(*asking));

	if (!asking)
		return -ENOMEM;
	p->asking = asking;
	silent.listing = NULL;
	asking->attach = p->attach;
	asking->behind = p->attach == BF_ATTACH_LINK;
	asking->asks = true;
	asking->decides = asking->behind;
	asking->fields = p->fields;
	asking->want = p->want;
	asking->stride = p->stride;
	return emit_form(rules, kernel, p->form, &silent, asking);
}

static int compile_rules(struct bf_rules *rules, const struct bf_kernel *kernel, enum bf_form form,
			 uint64_t jiffies, const struct bf_limits *limits, struct bf_program *p,
			 struct bf_why *why)
{
	int err;

	p->fields = rules->fields;
	p->want = p->attach == BF_ATTACH_MODULE ? rules->want : 0;
	p->wants_conntrack = rules->scratch.conntrack;
	p->decides = true;
	p->asks = rules->scratch.questions.nr && p->attach == BF_ATTACH_LINK;
	err = bf_effects_copy(&p->effects, &rules->scratch.effects);
	if (err)
		return err;
	if (bf_at_interfaces(p->attach))
		add_interface_needs(rules, kernel, p);
	p->stride = limits && limits->like
			    ? room_had(limits->like->stride, rules->table->num_entries)
			    : bf_with_room(rules->table->num_entries);
	p->maps[BF_MAP_COUNTERS] = (struct bf_map_def){.name = "bf_counters",
						       .value_size = sizeof(struct xt_counters),
						       .max_entries = kernel->cpus * p->stride};
	if (limits && limits->trace)
		p->maps[BF_MAP_TRACE] = (struct bf_map_def){.name = "bf_trace",
							    .value_size = sizeof(struct bf_trace),
							    .max_entries = 1};
	err = fill_conds(rules, kernel, jiffies, limits, &p->maps[BF_MAP_CONDS]);
	if (err)
		return err;
	err = form == BF_FORM_AUTO ? bf_emit_auto_form(rules, kernel, limits, p)
				   : emit_form(rules, kernel, form, limits, p);
	if (err == -EFBIG)
		return bf_why(why, -E2BIG,
			      "the table needs more than the %u bytes that an element of an array "
			      "may have in this kernel",
			      kernel->max_value);
	if (err == -E2BIG && rules->max_cost == BF_COST_MAX)
		bf_why(why, err, "a packet may have to take more than %u steps through the rules",
		       BF_COST_MAX - 1);
	else if (err == -E2BIG)
		bf_why(why, err,
		       "a rule, or all of them together, have too many tests for a program");
	return err;
}

/* A test run shall send nothing and log nothing: instead of each effect there is a test that holds. */
static void leave_out_effects(struct bf_rules *rules)
{
	uint32_t i;

	for (i = 0; i < rules->nr_ops; i++)
		if (rules->ops[i].code == BF_OP_EFFECT)
			rules->ops[i] = (struct bf_op){
				.code = BF_OP_EQ, .field = BF_HOOK, .to = BF_TO_NEXT};
	bf_effects_free(&rules->scratch.effects);
	rules->has_effects = rules->scratch.late_marks = false;
}

/* Programs at interfaces send replies themselves; all else is behind netfilter's hooks. */
static int check_effects_placed(const struct bf_rules *rules, struct bf_why *why)
{
	const struct bf_effects *effects = &rules->scratch.effects;
	uint32_t i;

	for (i = 0; i < effects->nr; i++)
		if (!bf_effect_drops(&effects->list[i]))
			return bf_why(
				why, -EOPNOTSUPP,
				"target %s is not available in the %s placement: it is carried out "
				"behind the netfilter hooks",
				effects->list[i].kind == BF_EFFECT_LOG ? "LOG" : "NFLOG",
				bf_attach_name(rules->attach));
	return 0;
}

/* Targets that are put to the kernel, which may take the packet. */
static int check_asked_targets(const struct bf_rules *rules, struct bf_why *why)
{
	const char *first = "";
	uint32_t i;

	if (!rules->table->asks_targets)
		return 0;
	for (i = rules->scratch.questions.nr; i-- > 0;)
		if (rules->scratch.questions.list[i].target)
			first = rules->scratch.questions.list[i].name;
	if (bf_at_interfaces(rules->attach))
		return bf_why(why, -EOPNOTSUPP,
			      "target %s is not available in the %s placement: the kernel's own is "
			      "run, behind its hooks",
			      first, bf_attach_name(rules->attach));
	if (rules->attach != BF_ATTACH_LINK)
		return bf_why(why, -EOPNOTSUPP,
			      "target %s needs BPF netfilter links, which came with Linux 6.4",
			      first);
	if (bf_rules_change(rules, BF_LEN) && rules->fields & BF_TCP_OPTIONS)
		return bf_why(why, -EOPNOTSUPP,
			      "target TCPMSS changes TCP options, which other rules look at");
	return 0;
}

static int refuse_untried(uint32_t untried, struct bf_why *why)
{
	return bf_why(
		why, -EOPNOTSUPP,
		"match %s: kernels differ in what it makes of later fragments, and this one's "
		"ip_tables could not be tried, which root can",
		untried & 1U << BF_TRY_TCPMSS ? "tcpmss" : "ecn");
}

int bf_compile_limited(const struct bf_table *table, const struct bf_kernel *kernel,
		       enum bf_attach attach, enum bf_form form, uint64_t jiffies,
		       const struct bf_limits *limits, struct bf_program **program,
		       struct bf_why *why)
{
	struct bf_rules rules;
	struct bf_program *p;
	int err;

	*program = NULL;
	err = bf_rules_make(&rules, table, attach, kernel, why);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	err = p ? 0 : -ENOMEM;
	if (!err && rules.scratch.untried)
		err = refuse_untried(rules.scratch.untried, why);
	if (!err)
		p->attach = attach;
	if (!err && kernel->other_users && rules.scratch.users)
		err = bf_why(why, -EOPNOTSUPP,
			     "owner: the users are those of another user namespace");
	if (!err && limits && limits->trace && rules.scratch.questions.nr)
		err = bf_why(why, -EOPNOTSUPP,
			     "%s %s: what the kernel would answer cannot be told here",
			     rules.scratch.questions.list[0].target ? "target" : "match",
			     rules.scratch.questions.list[0].name);
	err = err ?: check_asked_targets(&rules, why);
	if (limits && limits->trace)
		leave_out_effects(&rules);
	if (!err && bf_rules_tell_marks(&rules))
		err = bf_why(
			why, -EOPNOTSUPP,
			"LOG and NFLOG would tell of the mark that target MARK sets behind them");
	if (!err && bf_at_interfaces(attach))
		err = check_effects_placed(&rules, why);
	else if (!err && rules.has_effects && !kernel->has_links && attach != BF_ATTACH_MODULE)
		err = bf_why(
			why, -EOPNOTSUPP,
			"targets REJECT, LOG, NFLOG, MARK and CONNMARK and match nfacct need the module, or BPF netfilter links, "
			"which came with Linux 6.4");
	err = err ?: check_account(&rules, why);
	err = err ?: bf_questions_check(&rules, why);
	err = err ?: check_needs(&rules, kernel, why);
	if (!err && rules.has_effects && attach == BF_ATTACH_MODULE)
		err = number_effects(&rules, why);
	err = err ?: bf_rules_measure(&rules, NULL);
	err = err ?: compile_rules(&rules, kernel, form, jiffies, limits, p, why);
	if (!err && rules.scratch.questions.nr) {
		err = compile_asking(&rules, kernel, limits, p);
		p->questions = rules.scratch.questions;
		rules.scratch.questions = (struct bf_questions){};
	}
	if (!err && attach == BF_ATTACH_MODULE)
		err = add_effects(&p->effects, &p->questions);
	if (!err && limits && limits->listing)
		bf_listing_rules(limits->listing, &rules);
	bf_rules_free(&rules);
	if (err) {
		bf_program_free(p);
		return err;
	}
	*program = p;
	return 0;
}

int bf_compile(const struct bf_table *table, const struct bf_kernel *kernel, enum bf_attach attach,
	       enum bf_form form, uint64_t jiffies, struct bf_program **program, struct bf_why *why)
{
	return bf_compile_limited(table, kernel, attach, form, jiffies, NULL, program, why);
}

void bf_program_free(struct bf_program *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < BF_NR_MAPS; i++)
		free(p->maps[i].data);
	bf_trees_free(p->trees);
	bf_effects_free(&p->effects);
	bf_questions_free(&p->questions);
	bf_program_free(p->asking);
	free(p->insns);
	free(p);
}
