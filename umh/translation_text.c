// SPDX-License-Identifier: GPL-2.0
/* A translation for a person to read. */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "translation.h"

static bool wants(const struct bf_show *show, const struct bf_ruleset *rules, uint32_t entry)
{
	return show->chain == UINT32_MAX || rules->chain_of[entry] == show->chain;
}

static void put_head(FILE *f, const struct bf_ruleset *rules)
{
	const char *name;
	unsigned int i;
	size_t len;

	fprintf(f, "# %s: %u rules in %u chains\n", rules->name, bf_ruleset_rules(rules),
		rules->nr_chains);
	for (i = 0; (name = bf_memory_name(i)); i++)
		if (strcmp(name, "filter") && bf_memory_table(&rules->memory, name, &len))
			fprintf(f, "# table %s is in it as well: that stays with the kernel\n",
				name);
}

/* What becomes of a rule set that has no translation, rule by rule. */
static void put_fallback(FILE *f, const struct bf_ruleset *rules)
{
	uint32_t i;

	fprintf(f, "\n# not translated: the kernel's ip_tables gets all of it\n# because: %s\n",
		rules->why.text);
	for (i = 0; i < rules->nr_entries; i++) {
		struct bf_why why;

		if (!rules->texts[i])
			continue;
		why = bf_translation_missing(rules, i);
		if (why.text[0])
			fprintf(f, "#   %s: %s\n#     %s\n", bf_ruleset_entry(rules, i).text,
				rules->texts[i], why.text);
	}
}

/* --- figures ------------------------------------------------------------------------------- */

static void put_maps(FILE *f, const struct bf_program *p)
{
	int i;

	for (i = 0; i < BF_NR_MAPS; i++) {
		const struct bf_map_def *m = &p->maps[i];

		if (!m->max_entries)
			continue;
		fprintf(f, "#   map %-12s %u x %u bytes: %zu KiB", m->name, m->max_entries,
			m->value_size, bf_array_bytes(m->value_size, m->max_entries) / 1024);
		if (m->data_size)
			fprintf(f, ", %zu bytes in use", m->data_size);
		fputc('\n', f);
	}
}

static void put_verified(FILE *f, const struct bf_translation *t)
{
	const struct bf_verified *v = &t->verified;
	uint32_t blamed = bf_translation_blamed(t);

	if (!v->tried) {
		fprintf(f, "#   verifier: not asked, which root may\n");
		return;
	}
	if (!v->err) {
		fprintf(f,
			"#   verifier: accepted, %u instructions examined; loaded in %.1f ms, %u bytes "
			"of machine code\n",
			v->verified_insns, v->load_ns / 1e6, v->jited_bytes);
		return;
	}
	fprintf(f, "#   verifier: refused (%s): %s\n", strerror(-v->err), v->message ?: "");
	if (v->insn != UINT32_MAX)
		fprintf(f, "#     at instruction %u", v->insn);
	if (blamed != UINT32_MAX)
		fprintf(f, ", of %s: %s", bf_ruleset_entry(t->rules, blamed).text,
			bf_ruleset_text(t->rules, blamed));
	if (v->insn != UINT32_MAX)
		fputc('\n', f);
}

static void put_figures(FILE *f, const struct bf_translation *t)
{
	const struct bf_program *p = t->program;
	uint32_t asked;

	fprintf(f, "\n# %s, %s: %u instructions, compiled in %.1f ms\n", bf_attach_name(t->attach),
		bf_form_name(p->form), p->nr_insns, t->compile_ns / 1e6);
	put_maps(f, p);
	if (t->listing.cost == UINT32_MAX)
		fprintf(f, "#   worst case: more steps than can be counted");
	else
		fprintf(f, "#   worst case: %u branches and actions for a packet", t->listing.cost);
	fprintf(f, ", %u jumps open at once\n", t->listing.depth);
	if (t->listing.nr_conds)
		fprintf(f, "#   %u conditions at packet time, of %u kinds\n", t->listing.nr_conds,
			t->listing.nr_types);
	/* At the module's hooks the effects follow them in the list. */
	asked = p->questions.nr - (p->attach == BF_ATTACH_MODULE ? p->effects.nr : 0);
	if (asked)
		fprintf(f,
			"#   %u matches that the kernel is asked about a packet, by %s and a second program\n",
			asked,
			p->attach == BF_ATTACH_MODULE ? "the module" : "a chain of nf_tables");
	if (p->effects.nr)
		fprintf(f,
			"#   %u effects (REJECT, LOG, NFLOG, MARK, CONNMARK, nfacct), which %s\n",
			p->effects.nr,
			p->attach == BF_ATTACH_MODULE ? "the module runs"
			: p->attach == BF_ATTACH_LINK ? "a chain of nf_tables runs"
						      : "it has by itself");
	if (p->wants_conntrack)
		fprintf(f, "#   looks at conntrack\n");
	put_verified(f, t);
}

/* --- the classifier ------------------------------------------------------------------------ */

static const char *chain_name(const struct bf_ruleset *rules, uint32_t entry)
{
	uint32_t chain = rules->chain_of[entry];

	return chain == UINT32_MAX ? "?" : rules->chains[chain].name;
}

static void put_classifier(FILE *f, const struct bf_translation *t)
{
	const struct bf_listing *l = &t->listing;
	uint32_t i;

	fprintf(f, "\n# classifier\n");
	for (i = 0; i < ARRAY_SIZE(l->bits); i++)
		if (l->bits[i])
			fprintf(f, "#   predicate %u: %s\n", i, l->bits[i]);
	if (l->names)
		fprintf(f, "#   %u names of interfaces, as codes of %u bits\n", l->names,
			l->name_bits);
	for (i = 0; i < l->nr_trees; i++) {
		const struct bf_listed_tree *tree = &l->trees[i];

		fprintf(f, "#   chain %s, %u rules: ", chain_name(t->rules, tree->entry),
			tree->rules - 1);
		if (!tree->used) {
			fprintf(f, "looked through one by one, trees would not do\n");
			continue;
		}
		fprintf(f,
			"%u tree%s, %u nodes, depth %u, leaves of %u records in all and %u at "
			"most; %.0f ns estimated\n",
			tree->nr_roots, tree->nr_roots == 1 ? "" : "s", tree->nodes, tree->depth,
			tree->items, tree->longest, tree->cost_ns);
	}
}

static void put_records(FILE *f, const struct bf_translation *t, const struct bf_show *show)
{
	const struct bf_ruleset *rules = t->rules;
	uint32_t i, j;

	fprintf(f, "\n# records\n");
	for (i = 0; i < rules->nr_entries; i++) {
		char *text;

		if (rules->chain_of[i] == UINT32_MAX || !wants(show, rules, i))
			continue;
		fprintf(f, "; %s: %s\n", bf_ruleset_entry(rules, i).text,
			bf_ruleset_text(rules, i));
		text = bf_record_text(t, i);
		fprintf(f, "\trecord %u: %s\n", i, text ?: "no memory");
		free(text);
		for (j = 0; (text = bf_record_op_text(t, i, j)); j++) {
			fprintf(f, "\t\t%u: %s\n", j, text);
			free(text);
		}
	}
}

/* --- the code ------------------------------------------------------------------------------ */

static void put_note(FILE *f, const struct bf_translation *t, const struct bf_note *note,
		     const struct bf_note *before)
{
	bool rule = note->part == BF_PART_TEST || note->part == BF_PART_ACTION;

	if (rule && before && before->arg == note->arg &&
	    (before->part == BF_PART_TEST || before->part == BF_PART_ACTION))
		return;
	if (rule)
		fprintf(f, "; %s: %s\n", bf_translation_note(t, note).text,
			bf_ruleset_text(t->rules, note->arg));
	else if (note->part == BF_PART_HOOK)
		fprintf(f, "; chain %s\n", bf_translation_note(t, note).text);
	else
		fprintf(f, "; %s\n", bf_part_name(note->part));
}

static bool wants_note(const struct bf_translation *t, const struct bf_show *show,
		       const struct bf_note *note)
{
	if (show->chain == UINT32_MAX)
		return true;
	return (note->part == BF_PART_TEST || note->part == BF_PART_ACTION) &&
	       wants(show, t->rules, note->arg);
}

/* With what it begins to test, beside it. */
static void put_insn(FILE *f, uint32_t i, const char *text, const char *test)
{
	if (*test)
		fprintf(f, "%6u:\t%-40s\t; %s\n", i, text, test);
	else
		fprintf(f, "%6u:\t%s\n", i, text);
}

static void put_code(FILE *f, struct bf_translation *t, const struct bf_show *show)
{
	const struct bf_listing *l = &t->listing;
	const struct bf_note *before = NULL;
	uint32_t i = 0, n = 0, function = 0;
	char text[128];

	fprintf(f, "\n# instructions\n");
	while (i < t->program->nr_insns) {
		const struct bf_note *note = bf_listing_at(l, i);

		while (function < t->program->nr_functions && t->program->functions[function] == i)
			fprintf(f, "f%u:\n", ++function);
		n = bf_disasm_insn(&t->disasm, i, text, sizeof(text));
		if (note && wants_note(t, show, note)) {
			if (note != before)
				put_note(f, t, note, before);
			if (t->disasm.labels[i])
				fprintf(f, "L%u:\n", t->disasm.labels[i]);
			put_insn(f, i, text, note != before ? bf_translation_op(t, note).text : "");
		}
		before = note;
		i += n;
	}
}

void bf_translation_text(FILE *f, const struct bf_ruleset *rules, struct bf_translation *t,
			 unsigned int n, const struct bf_show *show)
{
	unsigned int i;

	put_head(f, rules);
	if (!rules->table)
		put_fallback(f, rules);
	for (i = 0; i < n; i++) {
		if (!t[i].program) {
			fprintf(f, "\n# %s: not translated: %s\n", bf_attach_name(t[i].attach),
				t[i].why.text);
			continue;
		}
		put_figures(f, &t[i]);
		if (t[i].listing.entries) {
			put_classifier(f, &t[i]);
			put_records(f, &t[i], show);
		}
		if (show->chain == UINT32_MAX || !t[i].listing.entries)
			put_code(f, &t[i], show);
	}
}
