// SPDX-License-Identifier: GPL-2.0
/* -m cpu, as xt_cpu.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_cpu.h>

#include "match.h"

static int cpu_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_cpu_info *info = data;

	if (info->invert & ~1U)
		return bf_why(why, -EINVAL, "cpu: unknown inversion 0x%x", info->invert);
	return 0;
}

static void cpu_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_cpu_info *info = data;

	bf_eq(r, BF_CPU, UINT32_MAX, info->cpu, info->invert, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(cpu, "the stack may go on with the packet on another one")

const struct bf_match bf_match_cpu = {
	.name = "cpu",
	.size = sizeof(struct xt_cpu_info),
	.options = "--cpu, with !",
	.check = cpu_check,
	.place = cpu_place,
	.compile = cpu_compile,
};
