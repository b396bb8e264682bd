// SPDX-License-Identifier: GPL-2.0
/* Pieces that every form of a table's program is made of. r6 is the frame's address throughout. */
#include "compile.h"

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
