// SPDX-License-Identifier: GPL-2.0
/*
 * -m bpf, as xt_bpf.c has it. A program by its path is left to ip_tables, which looks for it when it gets the table: with the
 * helper's rights and in the helper's folders. A descriptor is one of whoever makes the rule, and among the helper's it is another
 * thing: such a table must not come to ip_tables from it (table_check.c).
 */
#include <errno.h>
#include <linux/netfilter/xt_bpf.h>

#include "match.h"

BF_ONLY_AT_HOOKS(bpf, "the kernel's own match runs the program, behind its hooks")

static int bpf_check_1(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		       struct bf_why *why)
{
	const struct xt_bpf_info_v1 *info = data;

	switch (info->mode) {
	case XT_BPF_MODE_BYTECODE:
		return 0;
	case XT_BPF_MODE_PATH_PINNED:
		return bf_why(why, BF_NOT_TRANSLATABLE, "bpf: --object-pinned");
	case XT_BPF_MODE_FD_ELF:
		return bf_why(why, -EPERM, "bpf: a descriptor means nothing to the helper");
	default:
		return bf_why(why, -EINVAL, "bpf: there is no mode %u", info->mode);
	}
}

const struct bf_match bf_match_bpf_0 = {
	.name = "bpf",
	.size = sizeof(struct xt_bpf_info),
	.usersize = offsetof(struct xt_bpf_info, filter),
	.asks = true,
	.place = bpf_place,
	.compile = bf_ask_compile,
};

const struct bf_match bf_match_bpf_1 = {
	.name = "bpf",
	.revision = 1,
	.size = sizeof(struct xt_bpf_info_v1),
	.usersize = offsetof(struct xt_bpf_info_v1, filter),
	.options = "--bytecode; not --object-pinned",
	.asks = true,
	.check = bpf_check_1,
	.place = bpf_place,
	.compile = bf_ask_compile,
};
