// SPDX-License-Identifier: GPL-2.0
/*
 * -m nfacct, as xt_nfacct.c has it for an object without a quota: it always matches, and the packet is counted in
 * the object by then, whatever the rest of the rule says. That there is such an object, and that it has no quota,
 * is known only in the namespace (umh/stage.h).
 */
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/xt_nfacct.h>

#include "match.h"

_Static_assert(sizeof(struct xt_nfacct_match_info) == sizeof(struct xt_nfacct_match_info_v1),
	       "both revisions are laid out alike");

static int nfacct_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct xt_nfacct_match_info_v1 *info = data;

	/* No object has such a name: the kernel's errno is ENOENT, in its turn. */
	if (strnlen(info->name, sizeof(info->name)) == sizeof(info->name))
		return bf_why(why, BF_NOT_TRANSLATABLE, "nfacct: a name without end");
	return 0;
}

BF_ONLY_AT_HOOKS(nfacct, "accounting objects are counted in behind the netfilter hooks")

static void nfacct_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_nfacct_match_info_v1 *info = data;
	struct bf_effect effect;

	memset(&effect, 0, sizeof(effect));
	effect.kind = BF_EFFECT_ACCOUNT;
	memcpy(effect.text, info->name, strlen(info->name));
	bf_effect(r, &effect);
}

const struct bf_match bf_match_nfacct_0 = {
	.name = "nfacct",
	.size = sizeof(struct xt_nfacct_match_info),
	.usersize = offsetof(struct xt_nfacct_match_info, nfacct),
	.check = nfacct_check,
	.place = nfacct_place,
	.compile = nfacct_compile,
};

const struct bf_match bf_match_nfacct_1 = {
	.name = "nfacct",
	.revision = 1,
	.size = sizeof(struct xt_nfacct_match_info_v1),
	.usersize = offsetof(struct xt_nfacct_match_info_v1, nfacct),
	.options = "--nfacct-name, of an object without a quota",
	.check = nfacct_check,
	.place = nfacct_place,
	.compile = nfacct_compile,
};
