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
 * @rp_filter: what that is in both hosts
 * @pokes: not 0: after loading, the binary table is changed in ways that iptables cannot express,
 *	chosen by this number (poke.h)
 */
struct ruleset {
	char *name;
	char **lines;
	unsigned int nr, max;
	bool nat;
	unsigned int rp_filter;
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

/* Take out what bpfilter cannot do on this kernel. */
void ruleset_for_kernel(struct ruleset *rs);

/* Take out all for which the kernel tracks connections. */
void ruleset_untrack(struct ruleset *rs);

/*
 * Take out what filters at interfaces refuse, or where docs/placements.md says that they may accept more:
 * marks, which the mangle table sets in between; limits, and what else counts packets; and, where the table looks at conntrack's states,
 * OUTPUT's rules. Replies of REJECT pass OUTPUT first of all.
 */
void ruleset_place(struct ruleset *rs);

/* Does a rule look at what conntrack says of a packet? */
bool ruleset_asks_for_states(const struct ruleset *rs);

/* Has it what only links can do, in a kernel without them? */
bool ruleset_wants_links(const struct ruleset *rs);

/*
 * May it be left to ip_tables because of a rule that changes the mark? Netfilter links cannot do that; the hooks
 * of the module (@module: it is there) can, unless another rule tells of the mark.
 */
bool ruleset_marks_too_much(const struct ruleset *rs, bool module);
/* Has it rules that look at TCP options, which others change? */
bool ruleset_changes_options(const struct ruleset *rs);

bool ruleset_accounts(const struct ruleset *rs);

/*
 * May it be left to ip_tables because of match nfacct? That is for objects without a quota, and for tables of
 * which no packet has more effects than are noted (README.md); how often one comes to a user chain is not looked at here.
 */
bool ruleset_accounts_too_much(const struct ruleset *rs);

/* Number of rules. */
unsigned int ruleset_rules(const struct ruleset *rs);

#endif /* DIFFERENTIAL_RULESET_H */
