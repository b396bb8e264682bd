// SPDX-License-Identifier: GPL-2.0
/* -m connmark, as xt_connmark.c has it; revision 0 left the kernel in 2.6.36. */
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_connmark.h>

#include "match.h"

static void connmark_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_connmark_mtinfo1 *info = data;

	bf_eq(r, BF_CT_STATE, XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED, 0, false,
	      BF_TO_NEXT);
	/* The kernel's result is a bool of "equal ^ invert": 2 makes it true either way. */
	if (info->invert <= 1)
		bf_eq(r, BF_CT_MARK, info->mask, info->mark, info->invert, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(connmark, "the mark of a connection is not known there")

const struct bf_match bf_match_connmark = {
	.name = "connmark",
	.revision = 1,
	.size = sizeof(struct xt_connmark_mtinfo1),
	.conntrack = true,
	.options = "--mark, with !",
	.place = connmark_place,
	.compile = connmark_compile,
};
