/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A filter table as text, line by line, so that lines can be left out.
 */
#ifndef DIFFERENTIAL_RULESET_H
#define DIFFERENTIAL_RULESET_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/**
 * struct ruleset - one filter table
 * @name: where it comes from, for people
 * @lines: chains (":NAME POLICY [0:0]") before rules ("-A NAME ...")
 * @nat: for a host with address translation
 * @pokes: not 0: after loading, the binary table is changed in ways that iptables cannot express,
 *	chosen by this number (poke.h)
 */
struct ruleset {
	char *name;
	char **lines;
	unsigned int nr, max;
	bool nat;
	uint64_t pokes;
};

void ruleset_init(struct ruleset *rs, const char *name);
void ruleset_free(struct ruleset *rs);
void ruleset_add(struct ruleset *rs, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A copy with those lines for which @keep is true; all if @keep is NULL. */
void ruleset_copy(struct ruleset *to, const struct ruleset *from, const bool *keep);

/* As input for iptables-restore; added to @out. */
void ruleset_print(const struct ruleset *rs, struct text *out);

/**
 * ruleset_parse - take the filter table out of an iptables-save dump
 *
 * Counters and comments are left out. Interfaces get the names of those that the host
 * under test has, so that packets come by; limits refill so slowly that the clock does
 * not matter. False if the dump has no filter table, or one that chance decides.
 */
bool ruleset_parse(struct ruleset *rs, const char *dump);

/*
 * Take out what is left to ip_tables: rules with matches that are not translated, and targets that
 * are not. What refuses drops, what only notes something does nothing.
 */
void ruleset_reduce(struct ruleset *rs);

/* Has it a rule that changes the mark? Netfilter links cannot do that, the module's hooks can. */
bool ruleset_marks(const struct ruleset *rs);

/* Number of rules. */
unsigned int ruleset_rules(const struct ruleset *rs);

#endif /* DIFFERENTIAL_RULESET_H */
