// SPDX-License-Identifier: GPL-2.0
/* The compiler's front: choose a form, write the program, describe its maps. */
#include <errno.h>
#include <linux/netfilter/xt_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

/*
 * Up to this many branches and actions, inlined, a table becomes straight-line code. About 15
 * instructions each; loading it takes some milliseconds.
 */
#define STRAIGHT_MAX_COST 600

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
	};

	return names[attach];
}

/* Initial state of the conditions, as the map's content. */
static int fill_conds(const struct bf_rules *rules, const struct bf_kernel *kernel,
		      uint64_t jiffies, struct bf_map_def *map)
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
	*map = (struct bf_map_def){
		.name = "bf_conds", .value_size = BF_COND_STATE, .max_entries = n, .data = data};
	return 0;
}

static int emit_form(const struct bf_rules *rules, const struct bf_kernel *kernel,
		     enum bf_form form, struct bf_program *p)
{
	struct bf_asm a;
	int err;

	bf_asm_init(&a, kernel);
	a.attach = p->attach;
	if (form == BF_FORM_STRAIGHT)
		err = bf_emit_straight(&a, rules, p);
	else
		err = bf_emit_records(&a, rules, p);
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
	bf_asm_free(&a);
	return err == -ERANGE ? -E2BIG : err;
}

/* Can a program for netfilter links read all that the rules look at? */
static int check_needs(const struct bf_rules *rules, const struct bf_kernel *kernel,
		       struct bf_why *why)
{
	uint32_t i;

	if (!kernel->has_links)
		return bf_why(why, -EOPNOTSUPP, "the kernel has no BPF netfilter links");
	if (rules->sets_mark)
		return bf_why(why, -EOPNOTSUPP, "target MARK needs the hook of the kernel module");
	if ((rules->want & BPFILTER_WANT_CT) && !kernel->has_conntrack)
		return bf_why(
			why, -EOPNOTSUPP,
			"the kernel's BTF does not describe conntrack (nf_conntrack is not loaded)");
	for (i = 0; i < rules->nr_types; i++)
		if (rules->types[i]->fib && !kernel->has_fib)
			return bf_why(why, -EOPNOTSUPP,
				      "the kernel's BTF does not describe routing tables");
	return 0;
}

static int compile_rules(const struct bf_rules *rules, const struct bf_kernel *kernel,
			 enum bf_form form, uint64_t jiffies, struct bf_program *p,
			 struct bf_why *why)
{
	int err;

	p->fields = rules->fields;
	p->want = p->attach == BF_ATTACH_MODULE ? rules->want : 0;
	p->wants_conntrack = rules->scratch.conntrack;
	p->stride = rules->table->num_entries;
	p->maps[BF_MAP_COUNTERS] = (struct bf_map_def){.name = "bf_counters",
						       .value_size = sizeof(struct xt_counters),
						       .max_entries = kernel->cpus * p->stride};
	err = fill_conds(rules, kernel, jiffies, &p->maps[BF_MAP_CONDS]);
	if (err)
		return err;
	if (form == BF_FORM_AUTO) {
		if (rules->max_cost <= STRAIGHT_MAX_COST) {
			err = emit_form(rules, kernel, BF_FORM_STRAIGHT, p);
			if (err != -E2BIG)
				return err;
		}
		form = BF_FORM_RECORDS;
	}
	err = emit_form(rules, kernel, form, p);
	if (err == -E2BIG)
		bf_why(why, err, "a packet may have to pass %u rules and jumps; %u is the limit",
		       rules->max_cost, 1U << 23);
	return err;
}

int bf_compile(const struct bf_table *table, const struct bf_kernel *kernel, enum bf_attach attach,
	       enum bf_form form, uint64_t jiffies, struct bf_program **program, struct bf_why *why)
{
	struct bf_rules rules;
	struct bf_program *p;
	int err;

	*program = NULL;
	err = bf_rules_make(&rules, table, why);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	err = p ? 0 : -ENOMEM;
	if (!err)
		p->attach = attach;
	if (!err && attach == BF_ATTACH_LINK)
		err = check_needs(&rules, kernel, why);
	err = err ?: bf_rules_measure(&rules);
	err = err ?: compile_rules(&rules, kernel, form, jiffies, p, why);
	bf_rules_free(&rules);
	if (err) {
		bf_program_free(p);
		return err;
	}
	*program = p;
	return 0;
}

int bf_compile_root(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_program *p = calloc(1, sizeof(*p));
	struct bf_asm a;
	int err;

	*program = NULL;
	if (!p)
		return -ENOMEM;
	/* tail_call(ctx, switch, 0); return NF_ACCEPT; */
	bf_asm_init(&a, kernel);
	bf_map(&a, BPF_REG_2, 0);
	bf_movi(&a, BPF_REG_3, 0);
	bf_helper(&a, BPF_FUNC_tail_call);
	bf_movi(&a, BPF_REG_0, NF_ACCEPT);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	if (err) {
		bf_asm_free(&a);
		free(p);
		return err;
	}
	p->insns = a.insns;
	p->nr_insns = a.nr_insns;
	a.insns = NULL;
	bf_asm_free(&a);
	*program = p;
	return 0;
}

void bf_program_free(struct bf_program *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < BF_NR_MAPS; i++)
		free(p->maps[i].data);
	free(p->insns);
	free(p);
}
