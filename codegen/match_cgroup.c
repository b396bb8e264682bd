// SPDX-License-Identifier: GPL-2.0
/*
 * -m cgroup, as xt_cgroup.c has it. A path is left to ip_tables, which looks for it when it gets the table: below the helper's
 * root.
 */
#include <linux/netfilter/xt_cgroup.h>

#include "match.h"

#define CGROUP_HOOKS (1U << NF_INET_LOCAL_IN | 1U << NF_INET_LOCAL_OUT | 1U << NF_INET_POST_ROUTING)

BF_ONLY_AT_HOOKS(cgroup, "the socket is not known there")

static int check_path(bool has_path, struct bf_why *why)
{
	return has_path ? bf_why(why, BF_NOT_TRANSLATABLE, "cgroup: --path") : 0;
}

static int cgroup_check_1(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			  struct bf_why *why)
{
	const struct xt_cgroup_info_v1 *info = data;

	return check_path(info->has_path, why);
}

static int cgroup_check_2(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			  struct bf_why *why)
{
	const struct xt_cgroup_info_v2 *info = data;

	return check_path(info->has_path, why);
}

#define CGROUP(n)                                                                                  \
	.name = "cgroup", .revision = n, .size = sizeof(struct xt_cgroup_info_v##n),               \
	.hooks = CGROUP_HOOKS, .asks = true, .place = cgroup_place, .compile = bf_ask_compile

const struct bf_match bf_match_cgroup_0 = {CGROUP(0)};
const struct bf_match bf_match_cgroup_1 = {
	CGROUP(1),
	.usersize = offsetof(struct xt_cgroup_info_v1, priv),
	.check = cgroup_check_1,
};
const struct bf_match bf_match_cgroup_2 = {
	CGROUP(2),
	.usersize = offsetof(struct xt_cgroup_info_v2, priv),
	.options = "--cgroup, with !; not --path",
	.check = cgroup_check_2,
};
