// SPDX-License-Identifier: GPL-2.0
/* Pieces that every form of a table's program is made of. r6 is the frame's address throughout. */
#include <linux/in.h>

#include "compile.h"

/* struct tcphdr without options, and where its byte with the data offset is. */
#define TCP_HEADER 20
#define TCP_DOFF   12

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

void bf_emit_key(struct bf_asm *a, const struct bf_program *p, bool whole, int drop)
{
	if (p->attach == BF_ATTACH_LINK)
		bf_emit_key_link(a, p, whole);
	else
		bf_emit_key_module(a, p, whole, drop);
}

/*
 *	optlen = 0;
 *	if (proto == IPPROTO_TCP && !fragoff && l4len >= 20) {
 *		len = (byte 12 >> 4) * 4 - 20;
 *		if (len < 0 || read(options, thoff + 20, len))
 *			optlen = BF_OPTLEN_BAD;
 *		else
 *			optlen = len;
 *	}
 *
 * r9 is len.
 */
void bf_emit_tcp_options(struct bf_asm *a)
{
	int done = bf_asm_label(a), bad = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_PROTO));
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, done);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_FRAGOFF));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, done);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLT, BPF_REG_1, TCP_HEADER, done);

	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_THOFF);
	bf_alui(a, BPF_ADD, BPF_REG_0, TCP_DOFF);
	bf_movi(a, BPF_REG_9, 1);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF, BPF_REG_0, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, bad);
	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, BF_FRAME_BUF);
	bf_alui(a, BPF_RSH, BPF_REG_9, 4);
	bf_alui(a, BPF_LSH, BPF_REG_9, 2);
	bf_jifi(a, BPF_JLT, BPF_REG_9, TCP_HEADER, bad);
	/* Not "equal": Linux 6.1 would not learn from that that there are options. */
	bf_jifi(a, BPF_JLE, BPF_REG_9, TCP_HEADER, done);
	bf_alui(a, BPF_SUB, BPF_REG_9, TCP_HEADER);

	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_THOFF);
	bf_alui(a, BPF_ADD, BPF_REG_0, TCP_HEADER);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_OPTIONS, BPF_REG_0, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, bad);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_OPTLEN, BPF_REG_9);
	bf_jmp(a, done);
	bf_asm_here(a, bad);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_OPTLEN, BF_OPTLEN_BAD);
	bf_asm_here(a, done);
}

void bf_emit_set_mark(struct bf_asm *a)
{
	bf_stx(a, BPF_W, BPF_REG_6, KEY(BF_MARK), BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, BF_FRAME_SKB);
	bf_stx(a, BPF_W, BPF_REG_2, offsetof(struct __sk_buff, mark), BPF_REG_1);
}

void bf_emit_count(struct bf_asm *a)
{
	int done = bf_asm_label(a);

	/* c = &counters[cpu * stride + r1] */
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_COUNTERS);
	bf_alu32(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_COUNTERS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, done);

	/*
	 * c->pcnt++; c->bcnt += skb->len. Atomic, although the counter is this CPU's own: a packet that
	 * a process sends can be interrupted here by one that is received.
	 */
	bf_movi(a, BPF_REG_1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, 0, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_LEN);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, 8, BPF_REG_1);
	bf_asm_here(a, done);
}

void bf_emit_cond(struct bf_asm *a, const int *functions, uint32_t type)
{
	int missing = bf_asm_label(a);

	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_CONDS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, missing);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_call(a, functions[type]);
	bf_asm_here(a, missing);
}

void bf_emit_cond_functions(struct bf_asm *a, const struct bf_rules *rules, const int *functions)
{
	uint32_t i;

	for (i = 0; i < rules->nr_types; i++) {
		int null = bf_asm_label(a), ok = bf_asm_label(a);

		bf_global_function(a, functions[i]);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, null);
		bf_jifi(a, BPF_JNE, BPF_REG_2, 0, ok);
		bf_asm_here(a, null);
		bf_movi(a, BPF_REG_0, BF_HOTDROP);
		bf_exit(a);
		bf_asm_here(a, ok);
		rules->types[i]->emit(a);
	}
}
