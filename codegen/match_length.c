// SPDX-License-Identifier: GPL-2.0
/* -m length, as xt_length.c has it. */
#include <linux/netfilter/xt_length.h>

#include "match.h"

static void length_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_length_info *info = data;

	/* The kernel's result is a bool of "inside ^ invert": 2 makes it true either way. */
	if (info->invert <= 1)
		bf_range(r, BF_TOTLEN, info->min, info->max, info->invert, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(length, "the header is not read as far there")

const struct bf_match bf_match_length = {
	.name = "length",
	.size = sizeof(struct xt_length_info),
	.options = "--length, with !",
	.place = length_place,
	.compile = length_compile,
};
