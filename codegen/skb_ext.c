// SPDX-License-Identifier: GPL-2.0
#include "skb_ext.h"

/*
 *	if (!(skb->active_extensions & 1 << id))
 *		goto none;
 *	dst = skb->extensions;
 *	dst += dst->offset[id] << 3;
 */
void bf_emit_skb_ext(struct bf_asm *a, int skb, int dst, uint32_t id, int none)
{
	const struct bf_kernel *k = a->kernel;

	bf_raw(a, skb, k->skb_active_extensions);
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
	bf_alui(a, BPF_AND, BPF_REG_1, 1 << id);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_raw(a, skb, k->skb_extensions);
	bf_raw_ldx(a, BPF_DW, dst, 0);
	bf_raw(a, dst, k->ext_offset + id);
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_alu(a, BPF_ADD, dst, BPF_REG_1);
}
