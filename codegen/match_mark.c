// SPDX-License-Identifier: GPL-2.0
/* -m mark, as xt_mark.c has it; revision 0 left the kernel in 2.6.36. */
#include <linux/netfilter/xt_mark.h>

#include "match.h"

static void mark_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_mark_mtinfo1 *mark = info;

	/* The kernel's result is a bool of "equal ^ invert": 2 makes it true either way. */
	if (mark->invert <= 1)
		bf_eq(r, BF_MARK, mark->mask, mark->mark, mark->invert, BF_TO_NEXT);
}

static int mark_place(const void *info, enum bf_attach attach, struct bf_why *why)
{
	return attach == BF_ATTACH_TC
		       ? 0
		       : bf_not_placed(why, "mark", attach, "a frame has no mark yet");
}

const struct bf_match bf_match_mark = {
	.name = "mark",
	.revision = 1,
	.size = sizeof(struct xt_mark_mtinfo1),
	.options = "--mark, with !",
	.place = mark_place,
	.compile = mark_compile,
};
