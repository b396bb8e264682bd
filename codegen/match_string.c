// SPDX-License-Identifier: GPL-2.0
/* -m string, as xt_string.c has it: the kernel searches, by the algorithms that it has. */
#include <linux/netfilter/xt_string.h>

#include "match.h"

BF_ONLY_AT_HOOKS(string, "the kernel searches the packet, behind its hooks")

const struct bf_match bf_match_string = {
	.name = "string",
	.revision = 1,
	.size = sizeof(struct xt_string_info),
	.usersize = offsetof(struct xt_string_info, config),
	.options = "all",
	.asks = true,
	.place = string_place,
	.compile = bf_ask_compile,
};
