/* SPDX-License-Identifier: GPL-2.0 */
/*
 * "bpfilter replay" as a third side: what the kernel's filter table was given is written to captures, one for all packets
 * that have the same context, and what replay says of each packet and of the rules' counters is compared with what
 * became of them.
 */
#ifndef DIFFERENTIAL_REPLAY_H
#define DIFFERENTIAL_REPLAY_H

#include "agent.h"
#include "record.h"
#include "ruleset.h"

/* Why a rule is left out: replay cannot be told, or the kernel's clock or memory decides. */
enum replay_lack {
	LACK_BEFORE,	 /* what came before, or when */
	LACK_SOCKET,	 /* who sends it */
	LACK_FRAME,	 /* the header of the link */
	LACK_ROUTING,	 /* what an address is to this host */
	LACK_CONNECTION, /* more of the connection than its state */
	LACK_CPU,
	LACK_KERNEL, /* what only the kernel can tell */
	NR_LACKS
};

/**
 * struct replay - what was compared, and what was not
 * @sets, @packets: that were compared
 * @calls: of the command
 * @no_program: rule sets that have none
 * @malformed: packets that raw sockets send and replay does not run; @uncounted: sets whose counters were not
 *	compared for that reason
 * @lacks: rules that were left out
 */
struct replay {
	unsigned long sets, packets, calls, no_program, malformed, uncounted;
	unsigned long lacks[NR_LACKS];
};

/* Leave out the rules that replay is not told enough for. */
void replay_reduce(struct replay *r, struct ruleset *rules);

/* Does the table ask for the state of connections? */
bool replay_wants_states(const struct ruleset *rules);

/**
 * replay_differs - let replay decide
 * @rules: what replay gets
 * @evs: has the bytes of @rs
 * @image: the kernel's table with its counters
 * @why: if not NULL, receives what differs
 *
 * 0 or 1; -errno if the command fails, having said why.
 */
int replay_differs(struct replay *r, const struct ruleset *rules, const struct events *evs,
		   const struct records *rs, const struct table_image *image, struct text *why);

/* What was compared, in lines behind "# ". */
void replay_summary(const struct replay *r);

#endif /* DIFFERENTIAL_REPLAY_H */
