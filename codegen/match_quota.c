// SPDX-License-Identifier: GPL-2.0
/* -m quota, as xt_quota.c has it, without its lock. */
#include <errno.h>
#include <linux/netfilter/xt_quota.h>

#include "asm.h"
#include "match.h"

/*
 * How often a CPU tries again when another one has spent of the quota at the same moment. Each
 * failure is another CPU's success; when all fail, the packet counts as over the quota.
 */
#define QUOTA_TRIES 64

static int quota_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		       struct bf_why *why)
{
	const struct xt_quota_info *info = data;

	if (info->flags & ~XT_QUOTA_MASK)
		return bf_why(why, -EINVAL, "quota: unknown flags 0x%x", info->flags);
	return 0;
}

/*
 *	for (tries = 0; tries < QUOTA_TRIES; tries++) {
 *		old = quota;
 *		new = old >= len ? old - len : 0;
 *		if (cmpxchg(&quota, old, new) == old)
 *			return old >= len;
 *	}
 *	return 0;
 *
 * r1 is the state, r2 the frame; r0 is old, r3 new, r4 a copy of old, r5 len, r6 tries. Even small
 * packets are not allowed any more once a larger one was not.
 */
static void quota_emit(struct bf_asm *a)
{
	int again = bf_asm_label(a), over = bf_asm_label(a), set = bf_asm_label(a);
	int done = bf_asm_label(a), no = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_5, BPF_REG_2, BF_FRAME_KEY + 4 * BF_LEN);
	bf_movi(a, BPF_REG_6, 0);
	bf_asm_here(a, again);
	bf_ldx(a, BPF_DW, BPF_REG_0, BPF_REG_1, 0);
	bf_mov(a, BPF_REG_4, BPF_REG_0);
	bf_movi(a, BPF_REG_3, 0);
	bf_jif(a, BPF_JLT, BPF_REG_0, BPF_REG_5, over);
	bf_mov(a, BPF_REG_3, BPF_REG_0);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_5);
	bf_asm_here(a, over);
	bf_atomic(a, BPF_DW, BPF_CMPXCHG, BPF_REG_1, 0, BPF_REG_3);
	bf_jif(a, BPF_JEQ, BPF_REG_0, BPF_REG_4, set);
	bf_alui(a, BPF_ADD, BPF_REG_6, 1);
	bf_jifi(a, BPF_JLT, BPF_REG_6, QUOTA_TRIES, again);
	bf_jmp(a, no);
	bf_asm_here(a, set);
	bf_jif(a, BPF_JLT, BPF_REG_4, BPF_REG_5, no);
	bf_movi(a, BPF_REG_0, 1);
	bf_jmp(a, done);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_0, 0);
	bf_asm_here(a, done);
	bf_exit(a);
}

static const struct bf_cond_type cond_quota = {
	.name = "quota",
	.emit = quota_emit,
};

static void quota_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_quota_info *info = data;

	if (r->asks) {
		bf_ask_compile(r, e, info);
		return;
	}
	bf_cond(r, &cond_quota, &info->quota, sizeof(info->quota), info->flags & XT_QUOTA_INVERT,
		BF_TO_NEXT);
}

const struct bf_match bf_match_quota = {
	.name = "quota",
	.size = sizeof(struct xt_quota_info),
	.usersize = offsetof(struct xt_quota_info, master),
	.options = "--quota, with !",
	.check = quota_check,
	.compile = quota_compile,
};
