// SPDX-License-Identifier: GPL-2.0
/* -m recent, as xt_recent.c has it: the lists are the kernel's, and those in /proc/net/xt_recent. */
#include <linux/netfilter/xt_recent.h>

#include "match.h"

BF_ONLY_AT_HOOKS(recent, "the lists are the kernel's, and only its own match can use them")

const struct bf_match bf_match_recent_0 = {
	.name = "recent",
	.size = sizeof(struct xt_recent_mtinfo),
	.asks = true,
	.place = recent_place,
	.compile = bf_ask_compile,
};

const struct bf_match bf_match_recent_1 = {
	.name = "recent",
	.revision = 1,
	.size = sizeof(struct xt_recent_mtinfo_v1),
	.options = "all",
	.asks = true,
	.place = recent_place,
	.compile = bf_ask_compile,
};
