// SPDX-License-Identifier: GPL-2.0
/* -m statistic, as xt_statistic.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_statistic.h>

#include "asm.h"
#include "match.h"

/**
 * struct nth_state - every so many packets
 * @seen: packets so far
 * @first: packets before the first one that is picked
 * @period: from one that is picked to the next, 1 to 2^32
 */
struct nth_state {
	uint64_t seen;
	uint64_t first;
	uint64_t period;
};

_Static_assert(sizeof(struct nth_state) <= BF_COND_STATE, "the state does not fit");

static int statistic_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			   struct bf_why *why)
{
	const struct xt_statistic_info *info = data;

	if (info->mode > XT_STATISTIC_MODE_MAX)
		return bf_why(why, -EINVAL, "statistic: unknown mode %u", info->mode);
	if (info->flags & ~XT_STATISTIC_MASK)
		return bf_why(why, -EINVAL, "statistic: unknown flags 0x%x", info->flags);
	return 0;
}

/* return (prandom_u32() & 0x7fffffff) < state's first word; r6 is the state */
static void random_emit(struct bf_asm *a)
{
	int less = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_helper(a, BPF_FUNC_get_prandom_u32);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x7fffffff);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, 0);
	bf_movi(a, BPF_REG_0, 1);
	bf_jif(a, BPF_JLT, BPF_REG_1, BPF_REG_2, less);
	bf_movi(a, BPF_REG_0, 0);
	bf_asm_here(a, less);
	bf_exit(a);
}

/*
 * The kernel's counter runs from where it begins to @every and then from 0 to @every; a packet that
 * makes it 0 is picked. Packets that are counted in one number pick the same ones:
 *
 *	n = fetch_add(&seen, 1);
 *	return n >= first && (n - first) % period == 0;
 */
static void nth_emit(struct bf_asm *a)
{
	int no = bf_asm_label(a);

	bf_movi(a, BPF_REG_3, 1);
	bf_atomic(a, BPF_DW, BPF_ADD | BPF_FETCH, BPF_REG_1, offsetof(struct nth_state, seen),
		  BPF_REG_3);
	bf_movi(a, BPF_REG_0, 0);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_1, offsetof(struct nth_state, first));
	bf_ldx(a, BPF_DW, BPF_REG_5, BPF_REG_1, offsetof(struct nth_state, period));
	bf_jif(a, BPF_JLT, BPF_REG_3, BPF_REG_4, no);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_4);
	bf_alu(a, BPF_MOD, BPF_REG_3, BPF_REG_5);
	bf_jifi(a, BPF_JNE, BPF_REG_3, 0, no);
	bf_movi(a, BPF_REG_0, 1);
	bf_asm_here(a, no);
	bf_exit(a);
}

static const struct bf_cond_type cond_random = {
	.name = "statistic random",
	.emit = random_emit,
};

static const struct bf_cond_type cond_nth = {
	.name = "statistic nth",
	.emit = nth_emit,
};

static void statistic_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_statistic_info *info = data;
	uint32_t every = info->u.nth.every, count = info->u.nth.count;
	/* One that begins beyond @every has to come round first. */
	const struct nth_state state = {
		.first = (count <= every ? every : UINT32_MAX) - count,
		.period = (uint64_t)every + 1,
	};
	bool invert = info->flags & XT_STATISTIC_INVERT;

	if (r->asks) {
		bf_ask_compile(r, e, info);
		return;
	}
	if (info->mode == XT_STATISTIC_MODE_RANDOM)
		bf_cond(r, &cond_random, &info->u.random.probability,
			sizeof(info->u.random.probability), invert, BF_TO_NEXT);
	else
		bf_cond(r, &cond_nth, &state, sizeof(state), invert, BF_TO_NEXT);
}

const struct bf_match bf_match_statistic = {
	.name = "statistic",
	.size = sizeof(struct xt_statistic_info),
	.usersize = offsetof(struct xt_statistic_info, master),
	.options = "--mode random, --probability; --mode nth, --every, --packet; all with !",
	.check = statistic_check,
	.compile = statistic_compile,
};
