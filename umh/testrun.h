/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running a table's program on packets that are described, without attaching it anywhere: as root.
 *
 * It is the program for the module's hooks, which is told what it cannot see, by BPF_PROG_TEST_RUN, which the
 * kernel does not have for one at netfilter links with more than the bytes.
 */
#ifndef BPFILTER_TESTRUN_H
#define BPFILTER_TESTRUN_H

#include "packet.h"
#include "program.h"
#include "ruleset.h"

struct bf_testrun;

/**
 * struct bf_fate - what became of a packet
 * @verdict: NF_ACCEPT or NF_DROP
 * @decided: the entry that decided; UINT32_MAX: none did, the packet was too short for what a rule looks at, or the
 *	jumps were too deep
 * @counted: the entries that counted it, in that order: @nr of them; the last BF_TRACE_MAX if there are more.
 *	Valid until the next packet
 * @mark: the packet's, in the end
 */
struct bf_fate {
	int verdict;
	uint32_t decided;
	const uint32_t *counted;
	uint64_t nr;
	uint32_t mark;
};

/**
 * bf_testrun_open - load the program of a rule set that has a table
 * @form: BF_FORM_AUTO, or which one
 *
 * 0 or -errno with a reason; -EPERM without the privileges.
 */
int bf_testrun_open(struct bf_testrun **t, const struct bf_ruleset *rules,
		    const struct bf_kernel *kernel, enum bf_form form, struct bf_why *why);
void bf_testrun_close(struct bf_testrun *t);

/* 0 or -errno. */
int bf_testrun_packet(struct bf_testrun *t, const struct bf_packet *p, struct bf_fate *fate);

#endif /* BPFILTER_TESTRUN_H */
