// SPDX-License-Identifier: GPL-2.0
/* -m time, as xt_time.c has it: the kernel knows its clock and its time zone. */
#include <linux/netfilter/xt_time.h>

#include "match.h"

BF_ONLY_AT_HOOKS(time, "the kernel is asked for the time, behind its hooks")

const struct bf_match bf_match_time = {
	.name = "time",
	.size = sizeof(struct xt_time_info),
	.options = "all",
	.asks = true,
	.place = time_place,
	.compile = bf_ask_compile,
};
