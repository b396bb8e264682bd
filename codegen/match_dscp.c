// SPDX-License-Identifier: GPL-2.0
/* -m dscp and -m tos, as xt_dscp.c has them; revision 0 of the latter left the kernel in 2.6.36. */
#include <errno.h>
#include <linux/netfilter/xt_dscp.h>

#include "match.h"

static int dscp_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		      struct bf_why *why)
{
	const struct xt_dscp_info *info = data;

	if (info->dscp > XT_DSCP_MAX)
		return bf_why(why, -EDOM, "dscp: 0x%x is out of range", info->dscp);
	return 0;
}

static void dscp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_dscp_info *info = data;

	bf_eq(r, BF_HEADER, XT_DSCP_MASK << 16, info->dscp << (16 + XT_DSCP_SHIFT), info->invert,
	      BF_TO_NEXT);
}

static void tos_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_tos_match_info *info = data;

	bf_eq(r, BF_HEADER, info->tos_mask << 16, info->tos_value << 16, info->invert, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(dscp, "the header is not read as far there")
BF_ONLY_AT_HOOKS(tos, "the header is not read as far there")

const struct bf_match bf_match_dscp = {
	.name = "dscp",
	.size = sizeof(struct xt_dscp_info),
	.options = "--dscp, --dscp-class, all with !",
	.check = dscp_check,
	.place = dscp_place,
	.compile = dscp_compile,
};

const struct bf_match bf_match_tos = {
	.name = "tos",
	.revision = 1,
	.size = sizeof(struct xt_tos_match_info),
	.options = "--tos, with !",
	.place = tos_place,
	.compile = tos_compile,
};
