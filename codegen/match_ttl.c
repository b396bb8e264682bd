// SPDX-License-Identifier: GPL-2.0
/* -m ttl, as xt_hl.c has it. */
#include <linux/netfilter_ipv4/ipt_ttl.h>

#include "match.h"

/* The time to live is the upper byte of its field, so that its ranges are ranges of that. */
static void ttl_range(struct bf_rule *r, int lo, int hi, bool invert)
{
	if (lo > hi)
		bf_never(r, BF_TO_NEXT);
	else
		bf_range(r, BF_HEADER, (uint32_t)lo << 24, (uint32_t)hi << 24 | 0xffffff, invert,
			 BF_TO_NEXT);
}

static void ttl_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct ipt_ttl_info *info = data;

	switch (info->mode) {
	case IPT_TTL_EQ:
	case IPT_TTL_NE:
		ttl_range(r, info->ttl, info->ttl, info->mode == IPT_TTL_NE);
		break;
	case IPT_TTL_LT:
		ttl_range(r, 0, info->ttl - 1, false);
		break;
	case IPT_TTL_GT:
		ttl_range(r, info->ttl + 1, 0xff, false);
		break;
	default: /* the kernel takes any mode, and matches nothing */
		bf_never(r, BF_TO_NEXT);
	}
}

BF_ONLY_AT_HOOKS(ttl, "a packet that is forwarded has another one at the hook")

const struct bf_match bf_match_ttl = {
	.name = "ttl",
	.size = sizeof(struct ipt_ttl_info),
	.options = "--ttl-eq, with !, --ttl-lt, --ttl-gt",
	.place = ttl_place,
	.compile = ttl_compile,
};
