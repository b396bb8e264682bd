/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets of a capture, run through the program of a rule set, or of two to compare them.
 */
#ifndef BPFILTER_REPLAY_H
#define BPFILTER_REPLAY_H

#include <linux/netfilter/x_tables.h>
#include <stdio.h>

#include "capture.h"
#include "flows.h"
#include "testrun.h"

/**
 * struct bf_replay_side - a rule set
 * @counters: of each entry
 * @fate: of the packet at hand
 */
struct bf_replay_side {
	struct bf_ruleset rules;
	struct bf_testrun *run;
	struct bf_flows flows;
	struct xt_counters *counters;
	struct bf_fate fate;
	uint64_t accepted, dropped;
};

/**
 * struct bf_replay - all of it
 * @sides, @nr_sides: one, or the two that are compared
 * @context: of every packet
 * @packets: that were run; of the others in the file @other are not IPv4, @malformed are none that IPv4 would let pass,
 *	@cut are cut off within their headers by the capture
 * @differ: that the two sides decide otherwise
 */
struct bf_replay {
	struct bf_replay_side sides[2];
	unsigned int nr_sides;
	struct bf_context context;
	uint64_t packets, other, malformed, cut, differ;
};

/* How it is told. @summary: without a line for each packet. */
struct bf_replay_show {
	bool json, summary;
};

/* Say what became of each packet that is run, and of all in the end. */
void bf_replay_packet(FILE *f, const struct bf_replay *r, const struct bf_replay_show *show,
		      const struct bf_captured *captured, const struct bf_packet *p);
void bf_replay_end(FILE *f, const struct bf_replay *r, const struct bf_replay_show *show);

/* Do the two sides decide the packet at hand in different ways? */
bool bf_replay_differs(const struct bf_replay *r);

/* Run all packets of a capture. 0 or -errno with a reason. */
int bf_replay_run(struct bf_replay *r, struct bf_capture *capture, FILE *f,
		  const struct bf_replay_show *show, struct bf_why *why);

#endif /* BPFILTER_REPLAY_H */
