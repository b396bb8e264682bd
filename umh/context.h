/* SPDX-License-Identifier: GPL-2.0 */
/* The options that say what the bytes of a packet do not: for replay and explain. */
#ifndef BPFILTER_CONTEXT_H
#define BPFILTER_CONTEXT_H

#include <getopt.h>

#include "packet.h"

/* What getopt_long() returns for each, beyond any character. */
enum bf_context_option {
	BF_OPTION_HOOK = 0x100,
	BF_OPTION_IN,
	BF_OPTION_OUT,
	BF_OPTION_MARK,
	BF_OPTION_CTSTATE,
	BF_OPTION_CONTEXT_END,
};

#define BF_CONTEXT_OPTIONS                                                                         \
	{"hook", required_argument, NULL, BF_OPTION_HOOK},                                         \
		{"in", required_argument, NULL, BF_OPTION_IN},                                     \
		{"out", required_argument, NULL, BF_OPTION_OUT},                                   \
		{"mark", required_argument, NULL, BF_OPTION_MARK},                                 \
	{                                                                                          \
		"ctstate", required_argument, NULL, BF_OPTION_CTSTATE                              \
	}

#define BF_CONTEXT_USAGE                                                                           \
	"  --hook=HOOK     where the packet is: INPUT (default), FORWARD or OUTPUT\n"              \
	"  --in=NAME       the interface that it came in by\n"                                     \
	"  --out=NAME      the interface that it is to leave by\n"                                 \
	"  --mark=N        its mark\n"

/* Take one of them. 0, or -EINVAL with a reason. */
int bf_context_option(struct bf_context *c, int option, const char *value, struct bf_why *why);

/* All are taken: give up what the hook does not have. */
int bf_context_check(const struct bf_context *c, struct bf_why *why);

#endif /* BPFILTER_CONTEXT_H */
