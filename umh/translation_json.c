// SPDX-License-Identifier: GPL-2.0
/* A translation for programs: docs/translate-json.md. */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "json.h"
#include "translation.h"

static void put_rule(struct bf_json *j, const struct bf_ruleset *rules, uint32_t entry,
		     uint32_t number)
{
	struct bf_why why = bf_translation_missing(rules, entry);

	bf_json_line(j, NULL, '{');
	bf_json_number(j, "number", number);
	bf_json_number(j, "entry", entry);
	bf_json_text(j, "text", bf_ruleset_text(rules, entry));
	if (why.text[0])
		bf_json_text(j, "no_translation", why.text);
	bf_json_close(j, '}');
}

static void put_chains(struct bf_json *j, const struct bf_ruleset *rules)
{
	uint32_t c, i;

	bf_json_open(j, "chains", '[');
	for (c = 0; c < rules->nr_chains; c++) {
		const struct bf_chain *chain = &rules->chains[c];

		bf_json_open(j, NULL, '{');
		bf_json_text(j, "name", chain->name);
		bf_json_bool(j, "builtin", chain->hook >= 0);
		bf_json_number(j, "end_entry", chain->first + chain->nr);
		if (chain->hook >= 0)
			bf_json_text(j, "policy",
				     bf_ruleset_text(rules, chain->first + chain->nr) +
					     strlen("policy "));
		bf_json_open(j, "rules", '[');
		for (i = 0; i < chain->nr; i++)
			put_rule(j, rules, chain->first + i, i + 1);
		bf_json_close(j, ']');
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
}

static void put_head(struct bf_json *j, const struct bf_ruleset *rules)
{
	const char *name;
	unsigned int i;
	size_t len;

	bf_json_number(j, "version", 1);
	bf_json_text(j, "source", rules->name);
	bf_json_number(j, "rules", bf_ruleset_rules(rules));
	bf_json_line(j, "other_tables", '[');
	for (i = 0; (name = bf_memory_name(i)); i++)
		if (strcmp(name, "filter") && bf_memory_table(&rules->memory, name, &len))
			bf_json_text(j, NULL, name);
	bf_json_close(j, ']');
	bf_json_bool(j, "translatable", rules->table != NULL);
	bf_json_text(j, "why_not", rules->table ? NULL : rules->why.text);
	put_chains(j, rules);
}

static void put_maps(struct bf_json *j, const struct bf_program *p)
{
	int i;

	bf_json_open(j, "maps", '[');
	for (i = 0; i < BF_NR_MAPS; i++) {
		const struct bf_map_def *m = &p->maps[i];

		if (!m->max_entries)
			continue;
		bf_json_line(j, NULL, '{');
		bf_json_text(j, "name", m->name);
		bf_json_number(j, "max_entries", m->max_entries);
		bf_json_number(j, "value_size", m->value_size);
		bf_json_number(j, "bytes", bf_array_bytes(m->value_size, m->max_entries));
		bf_json_number(j, "used_bytes", m->data_size);
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
}

static void put_verified(struct bf_json *j, const struct bf_translation *t)
{
	const struct bf_verified *v = &t->verified;
	uint32_t blamed = bf_translation_blamed(t);

	if (!v->tried) {
		bf_json_text(j, "verifier", NULL);
		return;
	}
	bf_json_open(j, "verifier", '{');
	bf_json_bool(j, "accepted", !v->err);
	bf_json_number(j, "load_us", v->load_ns / 1000);
	bf_json_number(j, "jited_bytes", v->jited_bytes);
	bf_json_number(j, "examined_instructions", v->verified_insns);
	if (v->err) {
		bf_json_text(j, "message", v->message);
		bf_json_number(j, "instruction", v->insn == UINT32_MAX ? -1 : (int64_t)v->insn);
		bf_json_number(j, "entry", blamed == UINT32_MAX ? -1 : (int64_t)blamed);
	}
	bf_json_close(j, '}');
}

static void put_instructions(struct bf_json *j, const struct bf_translation *t, uint32_t from,
			     uint32_t to)
{
	char text[128];
	uint32_t i = from;

	bf_json_open(j, "instructions", '[');
	while (i < to) {
		uint32_t at = i;

		i += bf_disasm_insn(&t->disasm, i, text, sizeof(text));
		bf_json_line(j, NULL, '{');
		bf_json_number(j, "at", at);
		if (t->disasm.labels[at])
			bf_json_number(j, "label", t->disasm.labels[at]);
		bf_json_text(j, "text", text);
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
}

static void put_code(struct bf_json *j, struct bf_translation *t, const struct bf_show *show)
{
	const struct bf_listing *l = &t->listing;
	uint32_t i;

	bf_json_open(j, "code", '[');
	for (i = 0; i < l->nr_notes; i++) {
		const struct bf_note *note = &l->notes[i];
		uint32_t end = i + 1 < l->nr_notes ? note[1].insn : t->program->nr_insns;
		bool rule = note->part == BF_PART_TEST || note->part == BF_PART_ACTION;

		if (show->chain != UINT32_MAX &&
		    (!rule || t->rules->chain_of[note->arg] != show->chain))
			continue;
		if (end == note->insn)
			continue;
		bf_json_open(j, NULL, '{');
		bf_json_text(j, "part", bf_part_name(note->part));
		if (rule)
			bf_json_number(j, "entry", note->arg);
		if (note->part == BF_PART_TEST)
			bf_json_text(j, "test", bf_translation_op(t, note).text);
		put_instructions(j, t, note->insn, end);
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
}

static void put_trees(struct bf_json *j, const struct bf_translation *t)
{
	const struct bf_listing *l = &t->listing;
	uint32_t i;

	bf_json_open(j, "trees", '[');
	for (i = 0; i < l->nr_trees; i++) {
		const struct bf_listed_tree *tree = &l->trees[i];

		bf_json_line(j, NULL, '{');
		bf_json_text(j, "chain", t->rules->chains[t->rules->chain_of[tree->entry]].name);
		bf_json_number(j, "rules", tree->rules - 1);
		bf_json_bool(j, "used", tree->used);
		bf_json_number(j, "trees", tree->nr_roots);
		bf_json_number(j, "nodes", tree->nodes);
		bf_json_number(j, "depth", tree->depth);
		bf_json_number(j, "leaf_records", tree->items);
		bf_json_number(j, "longest_leaf", tree->longest);
		bf_json_real(j, "estimated_ns", tree->cost_ns);
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
}

static void put_record(struct bf_json *j, const struct bf_translation *t, uint32_t entry)
{
	char *text = bf_record_text(t, entry);
	uint32_t i;

	bf_json_line(j, NULL, '{');
	bf_json_number(j, "entry", entry);
	bf_json_text(j, "text", text);
	free(text);
	bf_json_line(j, "ops", '[');
	for (i = 0; (text = bf_record_op_text(t, entry, i)); i++) {
		bf_json_text(j, NULL, text);
		free(text);
	}
	bf_json_close(j, ']');
	bf_json_close(j, '}');
}

static void put_classifier(struct bf_json *j, const struct bf_translation *t,
			   const struct bf_show *show)
{
	const struct bf_listing *l = &t->listing;
	uint32_t i;

	bf_json_open(j, "predicates", '[');
	for (i = 0; i < ARRAY_SIZE(l->bits); i++) {
		if (!l->bits[i])
			continue;
		bf_json_line(j, NULL, '{');
		bf_json_number(j, "bit", i);
		bf_json_text(j, "test", l->bits[i]);
		bf_json_close(j, '}');
	}
	bf_json_close(j, ']');
	bf_json_number(j, "interface_names", l->names);
	put_trees(j, t);
	bf_json_open(j, "records", '[');
	for (i = 0; i < t->rules->nr_entries; i++)
		if (t->rules->chain_of[i] != UINT32_MAX &&
		    (show->chain == UINT32_MAX || t->rules->chain_of[i] == show->chain))
			put_record(j, t, i);
	bf_json_close(j, ']');
}

static void put_placement(struct bf_json *j, struct bf_translation *t, const struct bf_show *show)
{
	const struct bf_program *p = t->program;

	bf_json_open(j, NULL, '{');
	bf_json_text(j, "attach", bf_attach_name(t->attach));
	bf_json_text(j, "why_not", p ? NULL : t->why.text);
	if (p) {
		bf_json_text(j, "form", bf_form_name(p->form));
		bf_json_number(j, "instructions", p->nr_insns);
		bf_json_number(j, "compile_us", t->compile_ns / 1000);
		bf_json_number(j, "worst_case", t->listing.cost);
		bf_json_number(j, "open_jumps", t->listing.depth);
		bf_json_number(j, "conditions", t->listing.nr_conds);
		bf_json_number(j, "effects", p->effects.nr);
		bf_json_bool(j, "conntrack", p->wants_conntrack);
		put_maps(j, p);
		put_verified(j, t);
		if (t->listing.entries)
			put_classifier(j, t, show);
		put_code(j, t, show);
	}
	bf_json_close(j, '}');
}

void bf_translation_json(FILE *f, const struct bf_ruleset *rules, struct bf_translation *t,
			 unsigned int n, const struct bf_show *show)
{
	struct bf_json j = {.f = f};
	unsigned int i;

	bf_json_open(&j, NULL, '{');
	put_head(&j, rules);
	bf_json_open(&j, "placements", '[');
	for (i = 0; i < n; i++)
		put_placement(&j, &t[i], show);
	bf_json_close(&j, ']');
	bf_json_close(&j, '}');
}
