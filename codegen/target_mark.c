// SPDX-License-Identifier: GPL-2.0
/* -j MARK, as xt_mark.c has it; what the kernel still had of revision 0 and 1 left it in 2.6.36. */
#include <linux/netfilter/xt_mark.h>

#include "match.h"

static void mark_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_mark_tginfo2 *info = data;
	struct bf_effect effect;

	bf_set_mark(r, BF_MARK, ~info->mask, info->mark);
	if (!r->late_marks)
		return;
	/* Rules that follow see it in the key. */
	memset(&effect, 0, sizeof(effect));
	effect.kind = BF_EFFECT_MARK;
	effect.keep = ~info->mask;
	effect.flip = info->mark;
	bf_effect(r, &effect);
}

const struct bf_target bf_target_mark = {
	.name = "MARK",
	.revision = 2,
	.size = sizeof(struct xt_mark_tginfo2),
	.options = "--set-mark, --set-xmark, --and-mark, --or-mark, --xor-mark",
	.compile = mark_compile,
};
