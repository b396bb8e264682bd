/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two worlds, the same table and the same packets: is there a difference?
 */
#ifndef DIFFERENTIAL_DUEL_H
#define DIFFERENTIAL_DUEL_H

#include "packet.h"
#include "ruleset.h"
#include "world.h"

/**
 * struct duel - the two worlds, and what came of the runs so far
 * @prefix: how iptables is run in each
 * @verbose: say what iptables says of tables that both refuse
 * @runs: since the worlds were built
 * @by_kernel, @by_other: tables with rules that the kernel's ip_tables enforced in the second
 *	world, or that it did not know of
 * @rules, @rules_matched: entries of all tables, and those that counted a packet
 */
struct duel {
	struct world side[2];
	const char *prefix[2];
	bool nat, verbose;
	unsigned int runs;
	unsigned long by_kernel, by_other;
	unsigned long rules, rules_matched;
};

/* Build the worlds, or build them anew. 0 or -errno having said why. */
int duel_open(struct duel *d);
void duel_close(struct duel *d);

enum duel_result {
	DUEL_SAME,    /* both accept the table and treat all packets alike */
	DUEL_REFUSED, /* both refuse the table */
	DUEL_DIFFERENT,
	DUEL_BROKEN, /* the test itself failed; it was said why */
};

/**
 * struct trial - a table and packets
 * @other: if not NULL, the table that the second world gets instead, for testing the test
 */
struct trial {
	const struct ruleset *rules;
	const struct ruleset *other;
	struct packets *packets;
};

/**
 * duel_run - try it
 * @why: if not NULL, receives what differs, in words, each line behind "# "
 *
 * Fragments get other ids with every run, so that they do not meet those of earlier runs.
 */
enum duel_result duel_run(struct duel *d, const struct trial *t, struct text *why);

#endif /* DIFFERENTIAL_DUEL_H */
