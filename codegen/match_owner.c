// SPDX-License-Identifier: GPL-2.0
/*
 * -m owner, as xt_owner.c has it; revision 0 left the kernel in 2.6.36. User and group ids are compared
 * as they are in the first user namespace: bf_kernel.other_users says where they are not. For all groups of a process the
 * kernel is asked.
 */
#include <errno.h>
#include <linux/netfilter/xt_owner.h>

#include "match.h"

/* What make_kuid() and make_kgid() of the kernel have no user for. */
#define NO_ID UINT32_MAX

static bool is_range(uint32_t min, uint32_t max)
{
	return min != NO_ID && max != NO_ID && min <= max;
}

static int owner_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		       struct bf_why *why)
{
	const struct xt_owner_match_info *info = data;

	if (info->match & ~XT_OWNER_MASK)
		return bf_why(why, -EINVAL, "owner: unknown flags 0x%x", info->match);
	if (info->match & XT_OWNER_UID && !is_range(info->uid_min, info->uid_max))
		return bf_why(why, -EINVAL, "owner: users %u-%u are none", info->uid_min,
			      info->uid_max);
	if (info->match & XT_OWNER_GID && !is_range(info->gid_min, info->gid_max))
		return bf_why(why, -EINVAL, "owner: groups %u-%u are none", info->gid_min,
			      info->gid_max);
	return 0;
}

static bool asks_for_groups(const void *data)
{
	const struct xt_owner_match_info *info = data;

	return info->match & XT_OWNER_GID && info->match & XT_OWNER_SUPPL_GROUPS;
}

/* The bits that are asked for or inverted, but not both: all of these miss without what they need. */
static void owner_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_owner_match_info *info = data;
	uint8_t missed = info->match ^ info->invert;
	int matched;

	r->users |= info->match & (XT_OWNER_UID | XT_OWNER_GID);
	if (asks_for_groups(info)) {
		bf_ask_compile(r, e, info);
		return;
	}
	matched = bf_label(r);
	bf_eq(r, BF_OWNER, BF_OWNER_SOCKET, BF_OWNER_SOCKET, false, missed ? BF_TO_NEXT : matched);
	if (info->match & info->invert & XT_OWNER_SOCKET)
		bf_never(r, BF_TO_NEXT);
	bf_eq(r, BF_OWNER, BF_OWNER_FILE, BF_OWNER_FILE, false,
	      missed & (XT_OWNER_UID | XT_OWNER_GID) ? BF_TO_NEXT : matched);
	if (info->match & XT_OWNER_UID)
		bf_range(r, BF_UID, info->uid_min, info->uid_max, info->invert & XT_OWNER_UID,
			 BF_TO_NEXT);
	if (info->match & XT_OWNER_GID)
		bf_range(r, BF_GID, info->gid_min, info->gid_max, info->invert & XT_OWNER_GID,
			 BF_TO_NEXT);
	bf_label_here(r, matched);
}

BF_ONLY_AT_HOOKS(owner, "the socket is not known there")

const struct bf_match bf_match_owner = {
	.name = "owner",
	.revision = 1,
	.size = sizeof(struct xt_owner_match_info),
	.hooks = 1U << NF_INET_LOCAL_OUT | 1U << NF_INET_POST_ROUTING,
	.options = "--uid-owner, --gid-owner, --socket-exists, all with !, --suppl-groups",
	.asks_if = asks_for_groups,
	.check = owner_check,
	.place = owner_place,
	.compile = owner_compile,
};
