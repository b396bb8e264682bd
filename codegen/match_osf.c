// SPDX-License-Identifier: GPL-2.0
/* -m osf, as xt_osf.c has it: the fingerprints are the kernel's, and so are the lines that it may log. */
#include <linux/netfilter/xt_osf.h>
#include <netinet/in.h>

#include "match.h"

/* The kernel reads on. */
static int osf_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_osf_info *info = data;

	if (strnlen(info->genre, sizeof(info->genre)) == sizeof(info->genre))
		return bf_why(why, BF_NOT_TRANSLATABLE, "osf: a genre without end");
	return 0;
}

BF_ONLY_AT_HOOKS(osf, "the kernel has the fingerprints, behind its hooks")

const struct bf_match bf_match_osf = {
	.name = "osf",
	.size = sizeof(struct xt_osf_info),
	.proto = IPPROTO_TCP,
	.hooks = 1U << NF_INET_LOCAL_IN | 1U << NF_INET_PRE_ROUTING | 1U << NF_INET_FORWARD,
	.options = "all",
	.asks = true,
	.check = osf_check,
	.place = osf_place,
	.compile = bf_ask_compile,
};
