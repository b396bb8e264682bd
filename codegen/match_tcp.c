// SPDX-License-Identifier: GPL-2.0
/* -m tcp, as xt_tcpudp.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <netinet/in.h>

#include "asm.h"
#include "match.h"

/* struct tcphdr without options, and the most options that its data offset can cover. */
#define TCP_HEADER	20
#define TCP_MAX_OPTIONS (15 * 4 - TCP_HEADER)

static int tcp_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_tcp *tcp = info;

	if (tcp->invflags & ~XT_TCP_INV_MASK)
		return bf_why(why, -EINVAL, "tcp: unknown inversion flags 0x%x", tcp->invflags);
	return 0;
}

/*
 * Is one of the options the one in state byte 0? tcp_find_option() of the kernel:
 *
 *	if (optlen == BF_OPTLEN_BAD)
 *		return BF_HOTDROP;
 *	for (i = 0, n = 0; i < optlen && n < 40; n++) {
 *		if (options[i] == option)
 *			return 1;
 *		if (options[i] >= 2 && i + 1 != optlen && options[i + 1])
 *			i += options[i + 1];
 *		else
 *			i++;
 *	}
 *	return 0;
 *
 * r2 is the frame, r4 the option, r5 is n, r8 is optlen, r9 is i. n is for the verifier alone: i grows
 * each time.
 */
static void emit_option_search(struct bf_asm *a)
{
	int loop = bf_asm_label(a), one = bf_asm_label(a), next = bf_asm_label(a);
	int drop = bf_asm_label(a), absent = bf_asm_label(a), found = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_4, BPF_REG_1, 0);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_2, BF_FRAME_OPTLEN);
	bf_jif32i(a, BPF_JEQ, BPF_REG_8, BF_OPTLEN_BAD, drop);
	bf_movi(a, BPF_REG_5, 0);
	bf_movi(a, BPF_REG_9, 0);

	bf_asm_here(a, loop);
	bf_jif(a, BPF_JGE, BPF_REG_9, BPF_REG_8, absent);
	bf_jifi(a, BPF_JGE, BPF_REG_9, TCP_MAX_OPTIONS, absent);
	bf_mov(a, BPF_REG_3, BPF_REG_2);
	bf_alu(a, BPF_ADD, BPF_REG_3, BPF_REG_9);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_3, BF_FRAME_OPTIONS);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_4, found);
	bf_jifi(a, BPF_JLT, BPF_REG_1, 2, one);
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_8, one);
	/* One past the options at most: still in the frame. */
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_3, BF_FRAME_OPTIONS + 1);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, one);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	bf_jmp(a, next);
	bf_asm_here(a, one);
	bf_alui(a, BPF_ADD, BPF_REG_9, 1);
	bf_asm_here(a, next);
	bf_alui(a, BPF_ADD, BPF_REG_5, 1);
	bf_jifi(a, BPF_JLT, BPF_REG_5, TCP_MAX_OPTIONS, loop);

	bf_asm_here(a, absent);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_asm_here(a, found);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, drop);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_exit(a);
}

static const struct bf_cond_type cond_tcp_option = {
	.name = "tcp option",
	.emit = emit_option_search,
	.fields = BF_TCP_OPTIONS,
};

static void tcp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_tcp *tcp = info;

	/* A fragment that starts within the TCP header could rewrite it: the kernel drops it. */
	bf_eq(r, BF_FRAGOFF, UINT32_MAX, 1, true, BF_TO_DROP);
	bf_need_header(r, TCP_HEADER);
	bf_range(r, BF_SPORT, tcp->spts[0], tcp->spts[1], tcp->invflags & XT_TCP_INV_SRCPT,
		 BF_TO_NEXT);
	bf_range(r, BF_DPORT, tcp->dpts[0], tcp->dpts[1], tcp->invflags & XT_TCP_INV_DSTPT,
		 BF_TO_NEXT);
	bf_eq(r, BF_TCP_FLAGS, tcp->flg_mask, tcp->flg_cmp, tcp->invflags & XT_TCP_INV_FLAGS,
	      BF_TO_NEXT);
	if (tcp->option)
		bf_cond(r, &cond_tcp_option, &tcp->option, sizeof(tcp->option),
			tcp->invflags & XT_TCP_INV_OPTION, BF_TO_NEXT);
}

const struct bf_match bf_match_tcp = {
	.name = "tcp",
	.size = sizeof(struct xt_tcp),
	.proto = IPPROTO_TCP,
	.options = "--sport, --dport, --tcp-flags, --syn, --tcp-option, all with !",
	.check = tcp_check,
	.compile = tcp_compile,
};
