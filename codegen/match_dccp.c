// SPDX-License-Identifier: GPL-2.0
/* -m dccp, as xt_dccp.c has it. For packet types and options the kernel is asked. */
#include <errno.h>
#include <linux/netfilter/xt_dccp.h>
#include <netinet/in.h>

#include "match.h"

/* struct dccp_hdr */
#define DCCP_HEADER 12

static int dccp_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		      struct bf_why *why)
{
	const struct xt_dccp_info *info = data;

	if ((info->flags | info->invflags) & ~XT_DCCP_VALID_FLAGS)
		return bf_why(why, -EINVAL, "dccp: unknown flags 0x%x",
			      info->flags | info->invflags);
	if (info->invflags & ~info->flags)
		return bf_why(why, -EINVAL, "dccp: inverts what it does not look at");
	/* The kernel counts a malformed packet in this rule, and drops it then; who is asked can do but one of it. */
	if (info->invflags & XT_DCCP_OPTION)
		return bf_why(why, BF_NOT_TRANSLATABLE, "dccp: ! --dccp-option");
	return 0;
}

static bool asks_for_more(const void *data)
{
	const struct xt_dccp_info *info = data;

	return info->flags & (XT_DCCP_TYPE | XT_DCCP_OPTION);
}

static void dccp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_dccp_info *info = data;

	bf_need_header(r, DCCP_HEADER);
	if (info->flags & XT_DCCP_SRC_PORTS)
		bf_range(r, BF_SPORT, info->spts[0], info->spts[1],
			 info->invflags & XT_DCCP_SRC_PORTS, BF_TO_NEXT);
	if (info->flags & XT_DCCP_DEST_PORTS)
		bf_range(r, BF_DPORT, info->dpts[0], info->dpts[1],
			 info->invflags & XT_DCCP_DEST_PORTS, BF_TO_NEXT);
	if (asks_for_more(info))
		bf_ask_compile(r, e, info);
}

static int dccp_place(const void *info, enum bf_attach attach, struct bf_why *why)
{
	if (!asks_for_more(info))
		return 0;
	return bf_not_placed(why, "dccp --dccp-types and --dccp-option", attach,
			     "the kernel looks at the packet, behind its hooks");
}

const struct bf_match bf_match_dccp = {
	.name = "dccp",
	.size = sizeof(struct xt_dccp_info),
	.proto = IPPROTO_DCCP,
	.options = "--sport, --dport, --dccp-types, all with !; --dccp-option without !",
	.asks_if = asks_for_more,
	.check = dccp_check,
	.place = dccp_place,
	.compile = dccp_compile,
};
