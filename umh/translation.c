// SPDX-License-Identifier: GPL-2.0
#include "translation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ext.h"

int bf_translation_make(struct bf_translation *t, const struct bf_ruleset *rules,
			const struct bf_kernel *kernel, enum bf_attach attach, enum bf_form form)
{
	struct bf_limits limits = BF_LIMITS_NONE;
	int err;

	memset(t, 0, sizeof(*t));
	t->rules = rules;
	t->kernel = kernel;
	t->attach = attach;
	t->rule_entry = UINT32_MAX;
	limits.listing = &t->listing;
	t->compile_ns = bf_now_ns();
	t->err = bf_compile_limited(rules->table, kernel, attach, form, 0, &limits, &t->program,
				    &t->why);
	t->compile_ns = bf_now_ns() - t->compile_ns;
	if (t->err)
		return t->err == -ENOMEM ? -ENOMEM : 0;
	err = t->listing.error ?: bf_disasm_init(&t->disasm, t->program, kernel);
	return err ?: bf_verify(t->program, &t->verified);
}

void bf_translation_free(struct bf_translation *t)
{
	bf_disasm_exit(&t->disasm);
	bf_listing_free(&t->listing);
	bf_verified_free(&t->verified);
	bf_program_free(t->program);
	bf_rule_free(&t->rule);
	memset(t, 0, sizeof(*t));
}

/* The hooks from which a rule could be reached, as far as its chain says. */
static unsigned int hooks_of(const struct bf_ruleset *rules, uint32_t entry)
{
	uint32_t chain = rules->chain_of[entry];
	int hook = chain == UINT32_MAX ? -1 : rules->chains[chain].hook;

	return hook < 0 ? BF_FILTER_HOOKS : 1U << hook;
}

/* An extension that is there, asked whether it can do with these options. */
static bool
is_missing(int (*check)(const struct ipt_entry *, const void *, unsigned int, struct bf_why *),
	   const struct bf_ruleset *rules, uint32_t entry, const void *info, struct bf_why *why)
{
	bool missing = check && check(rules->entries[entry], info, hooks_of(rules, entry), why) ==
					BF_NOT_TRANSLATABLE;

	if (!missing)
		why->text[0] = '\0';
	return missing;
}

struct bf_why bf_translation_missing(const struct bf_ruleset *rules, uint32_t entry)
{
	const struct ipt_entry *e = rules->entries[entry];
	const struct xt_entry_target *target = (const void *)e + e->target_offset;
	const struct xt_entry_match *m = (const void *)e->elems;
	struct bf_why why = {""};

	for (; (const void *)m < (const void *)target; m = (const void *)m + m->u.match_size) {
		const struct bf_match *known = bf_match_find(m->u.user.name, m->u.user.revision);

		if (!known)
			bf_why(&why, 0, "match %.29s (revision %u)", m->u.user.name,
			       m->u.user.revision);
		if (!known || is_missing(known->check, rules, entry, m->data, &why))
			return why;
		if (m->u.match_size < sizeof(*m))
			break;
	}
	if (*target->u.user.name && strcmp(target->u.user.name, XT_ERROR_TARGET)) {
		const struct bf_target *known =
			bf_target_find(target->u.user.name, target->u.user.revision);

		if (!known)
			bf_why(&why, 0, "target %.29s (revision %u)", target->u.user.name,
			       target->u.user.revision);
		else
			is_missing(known->check, rules, entry, target->data, &why);
	} else if (!*target->u.user.name &&
		   ((const struct xt_standard_target *)target)->verdict == -NF_QUEUE - 1) {
		bf_why(&why, 0, "target QUEUE");
	}
	return why;
}

struct bf_entry_name bf_translation_note(const struct bf_translation *t, const struct bf_note *note)
{
	static const char *const hooks[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT"};
	struct bf_entry_name name = {""};

	if (note->part == BF_PART_TEST || note->part == BF_PART_ACTION)
		name = bf_ruleset_entry(t->rules, note->arg);
	else if (note->part == BF_PART_HOOK && note->arg < ARRAY_SIZE(hooks))
		snprintf(name.text, sizeof(name.text), "%s", hooks[note->arg]);
	return name;
}

struct bf_words bf_translation_op(struct bf_translation *t, const struct bf_note *note)
{
	struct bf_words nothing = {""};

	if (note->part != BF_PART_TEST)
		return nothing;
	if (t->rule_entry != note->arg) {
		t->rule.nr_conds = 0;
		bf_rule_reset(&t->rule);
		t->rule.kernel = t->kernel;
		bf_compile_rule(&t->rule, t->rules->entries[note->arg]);
		bf_compile_target(&t->rule, t->rules->entries[note->arg]);
		t->rule_entry = note->arg;
	}
	if (t->rule.error || note->op >= t->rule.nr_ops)
		return nothing;
	return bf_words_test(&t->rule.ops[note->op], false, t->rule.conds);
}

uint32_t bf_translation_blamed(const struct bf_translation *t)
{
	const struct bf_note *note = t->verified.insn == UINT32_MAX
					     ? NULL
					     : bf_listing_at(&t->listing, t->verified.insn);

	if (!note || (note->part != BF_PART_TEST && note->part != BF_PART_ACTION))
		return UINT32_MAX;
	return note->arg;
}
