// SPDX-License-Identifier: GPL-2.0
/* -j NFLOG, as xt_NFLOG.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_NFLOG.h>

#include "match.h"

static int nflog_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		       struct bf_why *why)
{
	const struct xt_nflog_info *info = data;

	if (info->flags & ~XT_NFLOG_F_COPY_LEN)
		return bf_why(why, -EINVAL, "NFLOG: unknown flags");
	if (info->prefix[sizeof(info->prefix) - 1])
		return bf_why(why, -EINVAL, "NFLOG: a prefix without end");
	return 0;
}

static void nflog_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_nflog_info *info = data;
	struct bf_effect effect;

	memset(&effect, 0, sizeof(effect));
	effect.kind = BF_EFFECT_NFLOG;
	effect.group = info->group;
	effect.threshold = info->threshold;
	effect.snaps = info->flags & XT_NFLOG_F_COPY_LEN;
	if (effect.snaps)
		effect.snaplen = info->len;
	memcpy(effect.text, info->prefix, strlen(info->prefix));
	bf_effect(r, &effect);
}

const struct bf_target bf_target_nflog = {
	.name = "NFLOG",
	.size = sizeof(struct xt_nflog_info),
	.options = "--nflog-group, --nflog-prefix, --nflog-size, --nflog-range, --nflog-threshold",
	.check = nflog_check,
	.compile = nflog_compile,
};
