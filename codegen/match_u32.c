// SPDX-License-Identifier: GPL-2.0
/* -m u32, as xt_u32.c has it: the kernel finds its way through the packet. */
#include <linux/netfilter/xt_u32.h>

#include "match.h"

BF_ONLY_AT_HOOKS(u32, "the kernel looks into the packet, behind its hooks")

const struct bf_match bf_match_u32 = {
	.name = "u32",
	.size = sizeof(struct xt_u32),
	.options = "all",
	.asks = true,
	.place = u32_place,
	.compile = bf_ask_compile,
};
