/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A filter table to look at: from text or from the running system, with its chains, and each rule as
 * iptables prints it.
 */
#ifndef BPFILTER_RULESET_H
#define BPFILTER_RULESET_H

#include "memory.h"
#include "table.h"

/**
 * struct bf_chain - one chain
 * @name: as iptables has it
 * @hook: NF_INET_* of a built-in chain, -1 of a user chain
 * @first, @nr: its rules' entries
 *
 * Behind the rules stands one more entry: the policy, or the RETURN at the end of a user chain.
 */
struct bf_chain {
	char name[XT_FUNCTION_MAXNAMELEN];
	int hook;
	uint32_t first, nr;
};

/**
 * struct bf_ruleset - the table
 * @memory: where it is
 * @name: of the file, "-" or "live", for messages
 * @replace, @len: as IPT_SO_SET_REPLACE has it; @memory's
 * @table: as the compiler takes it; NULL if something in it has no translation, which @why says
 * @nr_entries: rules, policies and ERROR entries
 * @entries: each of them; in @replace
 * @chain_of: the number of the chain of each, UINT32_MAX of ERROR entries
 * @chains: @nr_chains of them, in the table's order
 * @texts: of each entry that is a rule, as in "iptables -S", on one line (rule_line.h); else NULL. In
 *	@text
 */
struct bf_ruleset {
	struct bf_memory memory;
	const char *name;
	const struct ipt_replace *replace;
	size_t len;
	struct bf_table *table;
	struct bf_why why;
	uint32_t nr_entries;
	const struct ipt_entry **entries;
	uint32_t *chain_of;
	struct bf_chain *chains;
	uint32_t nr_chains;
	const char **texts;
	char *text;
};

/**
 * bf_ruleset_read - of iptables-save text
 * @file: its name, NULL or "-" for stdin
 * @exit_code: receives one of enum bf_exit on failure
 *
 * 0 or -errno with a reason that names the line. Free with bf_ruleset_free() in any case.
 */
int bf_ruleset_read(struct bf_ruleset *r, const char *file, int *exit_code, struct bf_why *why);

/* The same of the table of this network namespace, whoever has it: as root. */
int bf_ruleset_live(struct bf_ruleset *r, int *exit_code, struct bf_why *why);

/*
 * The same of an IPT_SO_SET_REPLACE option value, without the help of iptables: there are no texts.
 */
int bf_ruleset_bare(struct bf_ruleset *r, const void *replace, size_t len, struct bf_why *why);

/* The same of what IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES gave. */
int bf_ruleset_copy(struct bf_ruleset *r, const struct ipt_getinfo *info, const void *entries,
		    struct bf_why *why);

/* Have iptables itself print the rules: now there are texts. 0 or -errno; it is as it was then. */
int bf_ruleset_print(struct bf_ruleset *r, int *exit_code, struct bf_why *why);

void bf_ruleset_free(struct bf_ruleset *r);

/* The number of the chain with this name, UINT32_MAX if there is none. */
uint32_t bf_ruleset_chain(const struct bf_ruleset *r, const char *name);

/* What to call an entry in a line of text: "rule 3 of INPUT", "the policy of INPUT". */
struct bf_entry_name {
	char text[64];
};
struct bf_entry_name bf_ruleset_entry(const struct bf_ruleset *r, uint32_t entry);

/*
 * What a verdict is called, NF_ACCEPT or NF_DROP, that @entry has given (UINT32_MAX: none has): "ACCEPT", "DROP", or
 * the name of a target that answers as well: "REJECT".
 */
const char *bf_ruleset_verdict(const struct bf_ruleset *r, uint32_t entry, int verdict);

/* The rule's text, or for what is no rule a few words. Never NULL. */
const char *bf_ruleset_text(const struct bf_ruleset *r, uint32_t entry);

/* The rules of all chains. */
uint32_t bf_ruleset_rules(const struct bf_ruleset *r);

#endif /* BPFILTER_RULESET_H */
