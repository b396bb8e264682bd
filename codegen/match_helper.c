// SPDX-License-Identifier: GPL-2.0
/* -m helper, as xt_helper.c has it: the kernel knows by which helper a connection was expected. */
#include <linux/netfilter/xt_helper.h>

#include "match.h"

/* The kernel ends the name, and gives it back like that. */
static int helper_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct xt_helper_info *info = data;

	if (info->name[sizeof(info->name) - 1])
		return bf_why(why, BF_NOT_TRANSLATABLE, "helper: a name without end");
	return 0;
}

BF_ONLY_AT_HOOKS(helper, "there is no entry yet")

const struct bf_match bf_match_helper = {
	.name = "helper",
	.size = sizeof(struct xt_helper_info),
	.options = "all",
	.conntrack = true,
	.asks = true,
	.check = helper_check,
	.place = helper_place,
	.compile = bf_ask_compile,
};
