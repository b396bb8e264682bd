// SPDX-License-Identifier: GPL-2.0
/* -m tcpmss, as xt_tcpmss.c of the kernel at hand has it. */
#include <linux/netfilter/xt_tcpmss.h>
#include <netinet/in.h>

#include "asm.h"
#include "match.h"

/* struct tcphdr without options, the most options that its data offset can cover, and the MSS. */
#define TCP_HEADER	20
#define TCP_MAX_OPTIONS (15 * 4 - TCP_HEADER)
#define MSS_OPTION	2
#define MSS_LENGTH	4

/* @min, @max: of the segment size that matches, host byte order */
struct tcpmss_state {
	uint16_t min, max;
};

/*
 * r1 is the address of the option at r9, which is not the last byte: go to @mss if it is a whole MSS
 * option. Clobbers r3.
 */
static void emit_is_mss(struct bf_asm *a, int mss)
{
	int other = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, BF_FRAME_OPTIONS);
	bf_jifi(a, BPF_JNE, BPF_REG_3, MSS_OPTION, other);
	bf_mov(a, BPF_REG_3, BPF_REG_8);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_9);
	bf_jifi(a, BPF_JLT, BPF_REG_3, MSS_LENGTH, other);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, BF_FRAME_OPTIONS + 1);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, MSS_LENGTH, mss);
	bf_asm_here(a, other);
}

/*
 *	if (optlen == BF_OPTLEN_BAD)
 *		return BF_HOTDROP;
 *	for (i = 0, n = 0; i < optlen && n < 40; n++) {
 *		if (options[i] == MSS && optlen - i >= 4 && options[i + 1] == 4)
 *			return min <= mss && mss <= max;
 *		i += options[i] < 2 || !options[i + 1] ? 1 : options[i + 1];
 *	}
 *	return 0;
 *
 * r2 is the frame, r4 the state, r5 is n, r8 is optlen, r9 is i. n is for the verifier alone: i grows
 * each time. What lies one byte behind the options can only end the loop.
 */
static void tcpmss_emit(struct bf_asm *a)
{
	int loop = bf_asm_label(a), one = bf_asm_label(a), next = bf_asm_label(a);
	int drop = bf_asm_label(a), no = bf_asm_label(a), mss = bf_asm_label(a);

	bf_mov(a, BPF_REG_4, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_2, BF_FRAME_OPTLEN);
	bf_jif32i(a, BPF_JEQ, BPF_REG_8, BF_OPTLEN_BAD, drop);
	bf_movi(a, BPF_REG_5, 0);
	bf_movi(a, BPF_REG_9, 0);

	bf_asm_here(a, loop);
	bf_jif(a, BPF_JGE, BPF_REG_9, BPF_REG_8, no);
	bf_jifi(a, BPF_JGE, BPF_REG_9, TCP_MAX_OPTIONS, no);
	bf_mov(a, BPF_REG_1, BPF_REG_2);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_9);
	emit_is_mss(a, mss);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, BF_FRAME_OPTIONS);
	bf_jifi(a, BPF_JLT, BPF_REG_3, 2, one);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, BF_FRAME_OPTIONS + 1);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, one);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_3);
	bf_jmp(a, next);
	bf_asm_here(a, one);
	bf_alui(a, BPF_ADD, BPF_REG_9, 1);
	bf_asm_here(a, next);
	bf_alui(a, BPF_ADD, BPF_REG_5, 1);
	bf_jifi(a, BPF_JLT, BPF_REG_5, TCP_MAX_OPTIONS, loop);
	bf_jmp(a, no);

	/* At most 39 bytes in: what is read beyond the options is still in the frame. */
	bf_asm_here(a, mss);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, BF_FRAME_OPTIONS + 2);
	bf_alui(a, BPF_LSH, BPF_REG_3, 8);
	bf_ldx(a, BPF_B, BPF_REG_5, BPF_REG_1, BF_FRAME_OPTIONS + 3);
	bf_alu(a, BPF_OR, BPF_REG_3, BPF_REG_5);
	bf_ldx(a, BPF_H, BPF_REG_5, BPF_REG_4, offsetof(struct tcpmss_state, min));
	bf_jif(a, BPF_JLT, BPF_REG_3, BPF_REG_5, no);
	bf_ldx(a, BPF_H, BPF_REG_5, BPF_REG_4, offsetof(struct tcpmss_state, max));
	bf_jif(a, BPF_JGT, BPF_REG_3, BPF_REG_5, no);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_asm_here(a, drop);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_exit(a);
}

static const struct bf_cond_type cond_tcpmss = {
	.name = "tcpmss",
	.emit = tcpmss_emit,
	.fields = BF_TCP_OPTIONS | BF_FRAGMENTS,
};

static void tcpmss_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_tcpmss_match_info *info = data;
	/* The kernel's result is a bool of "inside ^ invert": 2 makes it true either way. */
	bool always = info->invert > 1;
	const struct tcpmss_state state = {always ? 1 : info->mss_min, always ? 0 : info->mss_max};

	bf_skip_fragments(r, BF_TRY_TCPMSS);
	bf_range(r, BF_L4LEN, TCP_HEADER, UINT32_MAX, false, BF_TO_DROP);
	bf_cond(r, &cond_tcpmss, &state, sizeof(state), info->invert, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(tcpmss, "kernels differ about later fragments")

const struct bf_match bf_match_tcpmss = {
	.name = "tcpmss",
	.size = sizeof(struct xt_tcpmss_match_info),
	.proto = IPPROTO_TCP,
	.tries = 1U << BF_TRY_TCPMSS,
	.options = "--mss, with !",
	.place = tcpmss_place,
	.compile = tcpmss_compile,
};
