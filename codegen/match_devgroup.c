// SPDX-License-Identifier: GPL-2.0
/* -m devgroup, as xt_devgroup.c has it. At the module's hooks the groups of interfaces are not described. */
#include <errno.h>
#include <linux/netfilter/xt_devgroup.h>

#include "asm.h"
#include "match.h"

#define KNOWN                                                                                      \
	(XT_DEVGROUP_MATCH_SRC | XT_DEVGROUP_INVERT_SRC | XT_DEVGROUP_MATCH_DST |                  \
	 XT_DEVGROUP_INVERT_DST)

struct devgroup_state {
	uint32_t group, mask;
	uint32_t out; /* of the outgoing interface */
};

#define STATE(member) offsetof(struct devgroup_state, member)

static int devgroup_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			  struct bf_why *why)
{
	const struct xt_devgroup_info *info = data;
	unsigned int in = 1U << NF_INET_PRE_ROUTING | 1U << NF_INET_LOCAL_IN |
			  1U << NF_INET_FORWARD;
	unsigned int out = 1U << NF_INET_FORWARD | 1U << NF_INET_LOCAL_OUT |
			   1U << NF_INET_POST_ROUTING;

	if (info->flags & ~KNOWN)
		return bf_why(why, -EINVAL, "devgroup: unknown flags 0x%x", info->flags);
	if (info->flags & XT_DEVGROUP_MATCH_SRC && hook_mask & ~in)
		return bf_why(why, -EINVAL, "devgroup: OUTPUT has no input interface");
	if (info->flags & XT_DEVGROUP_MATCH_DST && hook_mask & ~out)
		return bf_why(why, -EINVAL, "devgroup: INPUT has no output interface");
	return 0;
}

/*
 *	dev = state->out ? hook_state->out : hook_state->in;
 *	return !((dev->group ^ state->group) & state->mask);
 *
 * r6 is the state, r7 the hook's state.
 */
static void devgroup_emit(struct bf_asm *a)
{
	const struct bf_kernel *k = a->kernel;
	int out = bf_asm_label(a), found = bf_asm_label(a), other = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_2, BF_FRAME_STATE);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, STATE(out));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, out);
	bf_raw(a, BPF_REG_7, k->state_in);
	bf_jmp(a, found);
	bf_asm_here(a, out);
	bf_raw(a, BPF_REG_7, k->state_out);
	bf_asm_here(a, found);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw(a, BPF_REG_1, k->dev_group);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, STATE(group));
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, STATE(mask));
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
	bf_movi(a, BPF_REG_0, 0);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, other);
	bf_movi(a, BPF_REG_0, 1);
	bf_asm_here(a, other);
	bf_exit(a);
}

static const char *devgroup_lacks(const struct bf_kernel *kernel, enum bf_attach attach)
{
	if (attach != BF_ATTACH_LINK)
		return "the groups of interfaces are not known at the module's hooks";
	return kernel->has_devgroup ? NULL
				    : "the kernel's BTF does not describe groups of interfaces";
}

static const struct bf_cond_type cond_devgroup = {
	.name = "devgroup",
	.emit = devgroup_emit,
	.lacks = devgroup_lacks,
};

static void devgroup_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_devgroup_info *info = data;
	const struct devgroup_state src = {info->src_group, info->src_mask, 0};
	const struct devgroup_state dst = {info->dst_group, info->dst_mask, 1};

	if (bf_asks_instead(r)) {
		bf_ask_compile(r, e, info);
		return;
	}
	if (info->flags & XT_DEVGROUP_MATCH_SRC)
		bf_cond(r, &cond_devgroup, &src, sizeof(src), info->flags & XT_DEVGROUP_INVERT_SRC,
			BF_TO_NEXT);
	if (info->flags & XT_DEVGROUP_MATCH_DST)
		bf_cond(r, &cond_devgroup, &dst, sizeof(dst), info->flags & XT_DEVGROUP_INVERT_DST,
			BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(devgroup, "the groups of interfaces are not known there")

const struct bf_match bf_match_devgroup = {
	.name = "devgroup",
	.size = sizeof(struct xt_devgroup_info),
	.options = "--src-group, --dst-group, all with !; at netfilter links",
	.asks_instead = true,
	.check = devgroup_check,
	.place = devgroup_place,
	.compile = devgroup_compile,
};
