// SPDX-License-Identifier: GPL-2.0
/* -m limit, as xt_limit.c of Linux 6.1 and later has it, without a lock. */
#include <errno.h>
#include <linux/netfilter/xt_limit.h>

#include "asm.h"
#include "match.h"

/*
 * What a rule keeps: struct xt_limit_priv, then what the kernel keeps in struct xt_rateinfo.
 * @prev: in jiffies, when the credit was last filled up
 * @cpj: credits per jiffy
 * @avg, @burst: as the user gave them, for init
 */
struct limit_state {
	uint64_t prev;
	uint32_t credit;
	uint32_t cap;
	uint32_t cost;
	uint32_t cpj;
	uint32_t avg;
	uint32_t burst;
};

_Static_assert(sizeof(struct limit_state) <= BF_COND_STATE, "the state does not fit");

/*
 * How often a CPU tries again when another one took credits at the same moment. Each failure
 * is another CPU's success; when all fail, the packet counts as over the limit and the time that
 * it took for its credits is given back.
 */
#define LIMIT_TRIES 64

/* The largest power of two such that a day's worth of credits fits 32 bits. */
static uint32_t credits_per_jiffy(unsigned int hz)
{
	uint32_t most = UINT32_MAX / (hz * 60 * 60 * 24), cpj = 1;

	while (cpj <= most / 2)
		cpj *= 2;
	return cpj;
}

/* user2credits() of the kernel, with its 32-bit overflows. */
static uint32_t user_to_credits(uint32_t user, unsigned int hz)
{
	uint32_t per_second = hz * credits_per_jiffy(hz);

	if (user > UINT32_MAX / per_second)
		return user / XT_LIMIT_SCALE * per_second;
	return user * per_second / XT_LIMIT_SCALE;
}

static bool overflows(const struct xt_rateinfo *rate, unsigned int hz)
{
	return rate->burst == 0 ||
	       user_to_credits(rate->avg * rate->burst, hz) < user_to_credits(rate->avg, hz);
}

/*
 * Whether the credits overflow depends, for rates of a few per day or hour, on the kernel's HZ, which
 * is not known here. Where the values of kernel/Kconfig.hz disagree, the kernel is asked. 1000 gives
 * what 250 gives.
 */
static int limit_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		       struct bf_why *why)
{
	static const unsigned int all_hz[] = {100, 250, 300};
	const struct xt_rateinfo *rate = info;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all_hz); i++)
		n += overflows(rate, all_hz[i]);
	if (n == ARRAY_SIZE(all_hz))
		return bf_why(why, -ERANGE, "limit: overflow, try lower: %u/%u", rate->avg,
			      rate->burst);
	if (n)
		return bf_why(why, BF_NOT_TRANSLATABLE, "limit: %u/%u may overflow", rate->avg,
			      rate->burst);
	return 0;
}

static void limit_init(void *data, unsigned int hz, uint64_t jiffies)
{
	struct limit_state *state = data;

	state->prev = jiffies;
	state->credit = user_to_credits(state->avg * state->burst, hz);
	state->cpj = credits_per_jiffy(hz);
	/* A cost that user space brought along stays, and so does the cap: the kernel's quirk. */
	if (!state->cost) {
		state->cap = state->credit;
		state->cost = user_to_credits(state->avg, hz);
	}
}

static void ldx_state(struct bf_asm *a, int dst, size_t off)
{
	bf_ldx(a, off ? BPF_W : BPF_DW, dst, BPF_REG_6, off);
}

/*
 * Take the price of one packet, if there is that much:
 *
 *	if (credit < cost && prev == jiffies64())
 *		return 0;
 *	for (elapsed = 0, tries = 0; tries < LIMIT_TRIES; tries++) {
 *		now = jiffies64();
 *		before = prev;
 *		if ((s64)(now - before) > 0 && cmpxchg(&prev, before, now) == before)
 *			elapsed += now - before;
 *		old = credit;
 *		new = min(old + (u32)elapsed * cpj, cap);
 *		ret = new >= cost;
 *		if (ret)
 *			new -= cost;
 *		if (cmpxchg(&credit, old, new) == old)
 *			return ret;
 *	}
 *	prev -= elapsed;
 *	return 0;
 *
 * Credits are u32 and wrap as the kernel's do. The kernel exchanges prev even if another CPU has set it
 * to a later time; the negative credits can wrap to a full burst. It runs with preemption off, which
 * makes that rare. We may be preempted for long, so time is claimed only forward, and by one.
 *
 * r6 is the state, r7 ret, r8 elapsed, r9 tries; r3 is new, r5 a copy of old.
 */
static void limit_emit(struct bf_asm *a)
{
	const size_t prev = offsetof(struct limit_state, prev);
	const size_t credit = offsetof(struct limit_state, credit);
	int slow = bf_asm_label(a), again = bf_asm_label(a), capped = bf_asm_label(a);
	int over = bf_asm_label(a), done = bf_asm_label(a), no = bf_asm_label(a);
	int claimed = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_helper(a, BPF_FUNC_jiffies64);
	ldx_state(a, BPF_REG_1, credit);
	ldx_state(a, BPF_REG_2, offsetof(struct limit_state, cost));
	bf_jif(a, BPF_JGE, BPF_REG_1, BPF_REG_2, slow);
	ldx_state(a, BPF_REG_1, prev);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_0, no);

	bf_asm_here(a, slow);
	bf_movi(a, BPF_REG_8, 0);
	bf_movi(a, BPF_REG_9, 0);
	bf_asm_here(a, again);
	bf_helper(a, BPF_FUNC_jiffies64);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	ldx_state(a, BPF_REG_0, prev);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_0);
	bf_jifi(a, BPF_JSLE, BPF_REG_2, 0, claimed);
	bf_mov(a, BPF_REG_3, BPF_REG_0);
	bf_atomic(a, BPF_DW, BPF_CMPXCHG, BPF_REG_6, prev, BPF_REG_1);
	bf_jif(a, BPF_JNE, BPF_REG_0, BPF_REG_3, claimed);
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_2);
	bf_asm_here(a, claimed);

	ldx_state(a, BPF_REG_0, credit);
	ldx_state(a, BPF_REG_3, offsetof(struct limit_state, cpj));
	bf_alu32(a, BPF_MUL, BPF_REG_3, BPF_REG_8);
	bf_alu32(a, BPF_ADD, BPF_REG_3, BPF_REG_0);
	ldx_state(a, BPF_REG_4, offsetof(struct limit_state, cap));
	bf_jif(a, BPF_JLE, BPF_REG_3, BPF_REG_4, capped);
	bf_mov(a, BPF_REG_3, BPF_REG_4);
	bf_asm_here(a, capped);
	bf_movi(a, BPF_REG_7, 0);
	ldx_state(a, BPF_REG_4, offsetof(struct limit_state, cost));
	bf_jif(a, BPF_JLT, BPF_REG_3, BPF_REG_4, over);
	bf_movi(a, BPF_REG_7, 1);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_4);
	bf_asm_here(a, over);
	bf_mov(a, BPF_REG_5, BPF_REG_0);
	bf_atomic(a, BPF_W, BPF_CMPXCHG, BPF_REG_6, credit, BPF_REG_3);
	bf_jif(a, BPF_JEQ, BPF_REG_0, BPF_REG_5, done);
	bf_alui(a, BPF_ADD, BPF_REG_9, 1);
	bf_jifi(a, BPF_JLT, BPF_REG_9, LIMIT_TRIES, again);

	bf_alui(a, BPF_MUL, BPF_REG_8, -1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_6, prev, BPF_REG_8);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_7, 0);
	bf_asm_here(a, done);
	bf_mov(a, BPF_REG_0, BPF_REG_7);
	bf_exit(a);
}

static const struct bf_cond_type cond_limit = {
	.name = "limit",
	.init = limit_init,
	.emit = limit_emit,
};

static void limit_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_rateinfo *rate = info;
	const struct limit_state state = {
		.avg = rate->avg,
		.burst = rate->burst,
		.cost = rate->cost,
		.cap = rate->credit_cap,
	};

	if (r->asks) {
		bf_ask_compile(r, e, info);
		return;
	}
	bf_cond(r, &cond_limit, &state, sizeof(state), false, BF_TO_NEXT);
}

const struct bf_match bf_match_limit = {
	.name = "limit",
	.size = sizeof(struct xt_rateinfo),
	.usersize = offsetof(struct xt_rateinfo, prev),
	.options = "--limit, --limit-burst",
	.check = limit_check,
	.compile = limit_compile,
};
