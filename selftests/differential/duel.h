/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two worlds, the same table and the same packets: is there a difference?
 */
#ifndef DIFFERENTIAL_DUEL_H
#define DIFFERENTIAL_DUEL_H

#include "packet.h"
#include "replay.h"
#include "ruleset.h"
#include "world.h"

/**
 * struct duel - the two worlds, and what came of the runs so far
 * @prefix: how iptables is run in each
 * @early: the second world filters at its interfaces: it may drop more, but nothing may come through that
 *	the first one drops
 * @native: and in their drivers, by XDP
 * @clear: nothing keeps the second world's drivers from dropping early; @dropped_early: how many packets they have
 * @exact: of those runs, how many were without a difference all the same, counters included
 * @seen: how often packets were seen in each world in those runs, behind OUTPUT aside
 * @replay: if not NULL, "bpfilter replay" is the third side, beside the first world
 * @verbose: say what iptables says of tables that both refuse
 * @runs: since the worlds were built
 * @unpoked: what the table was before it was changed in binary form, if it was
 * @by_kernel, @by_other: tables with rules that the kernel's ip_tables enforced in the second
 *	world, or that it did not know of
 * @rules, @rules_matched: entries of all tables, and those that counted a packet
 */
struct duel {
	struct world side[2];
	const char *prefix[2];
	bool nat, verbose, early, native, clear;
	unsigned long dropped_early;
	struct replay *replay;
	unsigned int runs;
	struct table_image unpoked;
	unsigned long by_kernel, by_other, exact;
	unsigned long seen[2];
	unsigned long rules, rules_matched;
};

/* Build the worlds, or build them anew. 0 or -errno having said why. */
int duel_open(struct duel *d);
void duel_close(struct duel *d);

/* @dropped_early, as of now. */
unsigned long duel_early_drops(const struct duel *d);

enum duel_result {
	DUEL_SAME,    /* both accept the table and treat all packets alike */
	DUEL_REFUSED, /* both refuse the table */
	DUEL_DIFFERENT,
	DUEL_BROKEN, /* the test itself failed; it was said why */
};

/**
 * struct trial - a table and packets
 * @other: if not NULL, the table that the second world gets instead, for testing the test
 * @replayed: likewise for replay
 */
struct trial {
	const struct ruleset *rules;
	const struct ruleset *other;
	const struct ruleset *replayed;
	struct packets *packets;
};

/**
 * duel_run - try it
 * @why: if not NULL, receives what differs, in words, each line behind "# "
 *
 * What differs with SYNPROXY has to do so twice: its cookies change every minute.
 * Fragments get other ids with every run, so that they do not meet those of earlier runs.
 */
enum duel_result duel_run(struct duel *d, const struct trial *t, struct text *why);

#endif /* DIFFERENTIAL_DUEL_H */
