// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces, as programs at them know them.
 *
 * Of its own interface a program reads the kernel's structure, if it may (bf_kernel.has_dev): then its name and
 * address are what they are at this moment, whatever it is. Others, and where it may not its own, it looks up
 * in BF_MAP_DEVS, which costs more, and lags behind.
 */
#include "key_packet.h"

static bool is_tc(const struct bf_packet_key *k)
{
	return k->a->attach == BF_ATTACH_TC;
}

/* skb->dev, or xdp->rxq->dev. The context is the address of either. */
void bf_emit_dev(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	const struct bf_kernel *kernel = a->kernel;

	if (is_tc(k)) {
		bf_raw(a, BPF_REG_7, kernel->skb_dev);
	} else {
		bf_raw(a, BPF_REG_7, kernel->xdp_rxq);
		bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
		bf_raw(a, BPF_REG_1, kernel->rxq_dev);
	}
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
}

void bf_emit_own_index(struct bf_packet_key *k)
{
	bf_ldx(k->a, BPF_W, BPF_REG_1, BPF_REG_7,
	       is_tc(k) ? (int)offsetof(struct __sk_buff, ifindex)
			: (int)offsetof(struct xdp_md, ingress_ifindex));
}

void bf_emit_find_dev(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_DEVS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, k->drop);
}

void bf_emit_dev_name(struct bf_packet_key *k, enum bf_field field)
{
	struct bf_asm *a = k->a;

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct bf_dev, name));
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(field), BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_0, offsetof(struct bf_dev, name) + 8);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(field) + 8, BPF_REG_1);
}

void bf_emit_own_name(struct bf_packet_key *k, enum bf_field field)
{
	struct bf_asm *a = k->a;

	if (!(k->p->fields & BF_NAME_FIELDS(field)))
		return;
	if (!a->kernel->has_dev) {
		bf_emit_own_index(k);
		bf_emit_find_dev(k);
		bf_emit_dev_name(k, field);
		return;
	}
	bf_emit_dev(k);
	bf_raw(a, BPF_REG_1, a->kernel->dev_name);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(field), BPF_REG_1);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 8);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(field) + 8, BPF_REG_1);
}
