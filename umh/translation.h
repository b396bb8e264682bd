/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A rule set as it is for one placement: the program, what the compiler tells of it, what the verifier says.
 */
#ifndef BPFILTER_TRANSLATION_H
#define BPFILTER_TRANSLATION_H

#include <stdio.h>

#include "disasm.h"
#include "listing.h"
#include "program.h"
#include "ruleset.h"
#include "verify.h"
#include "words.h"

/**
 * struct bf_translation - for one placement
 * @attach: which hooks it is for
 * @err, @why: why there is no program; then the kernel's ip_tables has the table
 * @program: NULL if there is none
* @rule, @rule_entry: the rule that bf_translation_op() was asked about last
 * @compile_ns: how long the compiler took
 * @verified: what the kernel says; @verified.tried is false if it could not be asked
 */
struct bf_translation {
	const struct bf_ruleset *rules;
	const struct bf_kernel *kernel;
	enum bf_attach attach;
	int err;
	struct bf_why why;
	struct bf_program *program;
	struct bf_listing listing;
	struct bf_disasm disasm;
	struct bf_verified verified;
	struct bf_rule rule;
	uint32_t rule_entry;
	uint64_t compile_ns;
};

/**
 * bf_translation_make - translate a rule set that has a table
 * @form: BF_FORM_AUTO, or one to look at
 *
 * That it cannot be done is no error: @t->err. 0 or -ENOMEM. Free with bf_translation_free().
 */
int bf_translation_make(struct bf_translation *t, const struct bf_ruleset *rules,
			const struct bf_kernel *kernel, enum bf_attach attach, enum bf_form form);
void bf_translation_free(struct bf_translation *t);

/* Why this rule has no translation, in a few words; empty if it has one. */
struct bf_why bf_translation_missing(const struct bf_ruleset *rules, uint32_t entry);

/* The name of a condition type or the like that a note is about; "" if that says nothing. */
struct bf_entry_name bf_translation_note(const struct bf_translation *t,
					 const struct bf_note *note);

/* The test that a note of a rule is about, in words; "" if it is about none. */
struct bf_words bf_translation_op(struct bf_translation *t, const struct bf_note *note);

/* The entry that the verifier's message is about; UINT32_MAX if it is about none. */
uint32_t bf_translation_blamed(const struct bf_translation *t);

/**
 * struct bf_show - how a translation is to be shown
 * @chain: number of the only chain that is wanted; UINT32_MAX: all
 */
struct bf_show {
	uint32_t chain;
};

void bf_translation_text(FILE *f, const struct bf_ruleset *rules, struct bf_translation *t,
			 unsigned int n, const struct bf_show *show);
void bf_translation_json(FILE *f, const struct bf_ruleset *rules, struct bf_translation *t,
			 unsigned int n, const struct bf_show *show);
void bf_translation_dot(FILE *f, const struct bf_ruleset *rules, const struct bf_translation *t,
			unsigned int n, const struct bf_show *show);

/* Of the record form: what an entry's record asks, malloc'd; and each of its ops, NULL behind the last. */
char *bf_record_text(const struct bf_translation *t, uint32_t entry);
char *bf_record_op_text(const struct bf_translation *t, uint32_t entry, uint32_t i);

#endif /* BPFILTER_TRANSLATION_H */
