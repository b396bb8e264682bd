// SPDX-License-Identifier: GPL-2.0
/* -m connlabel, as xt_connlabel.c has it: labels are the kernel's, and may be set by the match itself. */
#include <linux/netfilter/xt_connlabel.h>

#include "match.h"

BF_ONLY_AT_HOOKS(connlabel, "the labels of a connection are not known there")

const struct bf_match bf_match_connlabel = {
	.name = "connlabel",
	.size = sizeof(struct xt_connlabel_mtinfo),
	.options = "all",
	.conntrack = true,
	.asks = true,
	.place = connlabel_place,
	.compile = bf_ask_compile,
};
