/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way of one packet through the chains, rule by rule, and why each matches or does not, in words.
 */
#ifndef BPFILTER_EXPLAIN_H
#define BPFILTER_EXPLAIN_H

#include <stdio.h>

#include "packet.h"
#include "ruleset.h"
#include "testrun.h"

/**
 * struct bf_explain - how it is told
 * @fate: what the program made of the packet, which says what cannot be told from the packet alone (limit, for one);
 *	NULL: not known, and such conditions are taken to hold
 * @kernel: see struct bf_rule; may be NULL
 * @brief: only the rules that match
 * @verdict: set to what the verdict is called (bf_ruleset_verdict())
 * @untried: set to that of struct bf_rule
 * @guessed: set if a condition was taken to hold
 * @disagrees: set if the program did something else than what was told: a bug
 */
struct bf_explain {
	const struct bf_fate *fate;
	const struct bf_kernel *kernel;
	bool brief;
	const char *verdict;
	uint32_t untried;
	bool guessed;
	bool disagrees;
};

/**
 * bf_explain_packet - tell it
 * @rules: a rule set that has a table
 *
 * NF_ACCEPT or NF_DROP, or -errno.
 */
int bf_explain_packet(FILE *f, struct bf_explain *e, const struct bf_ruleset *rules,
		      const struct bf_packet *p);

#endif /* BPFILTER_EXPLAIN_H */
