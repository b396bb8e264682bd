// SPDX-License-Identifier: GPL-2.0
/* -j LOG, as xt_LOG.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_LOG.h>

#include "match.h"

/* The flags that the writer of the line looks at. */
#define LOG_FLAGS (XT_LOG_TCPSEQ | XT_LOG_TCPOPT | XT_LOG_IPOPT | XT_LOG_UID | XT_LOG_MACDECODE)

static int log_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_log_info *info = data;

	if (info->level >= 8)
		return bf_why(why, -EINVAL, "LOG: there is no level %u", info->level);
	if (info->prefix[sizeof(info->prefix) - 1])
		return bf_why(why, -EINVAL, "LOG: a prefix without end");
	return 0;
}

static void log_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_log_info *info = data;
	struct bf_effect effect;

	memset(&effect, 0, sizeof(effect));
	effect.kind = BF_EFFECT_LOG;
	effect.level = info->level;
	effect.flags = info->logflags & LOG_FLAGS;
	memcpy(effect.text, info->prefix, strlen(info->prefix));
	bf_effect(r, &effect);
}

const struct bf_target bf_target_log = {
	.name = "LOG",
	.size = sizeof(struct xt_log_info),
	.options = "--log-prefix, --log-level, --log-tcp-sequence, --log-tcp-options, "
		   "--log-ip-options, --log-uid, --log-macdecode",
	.check = log_check,
	.compile = log_compile,
};
