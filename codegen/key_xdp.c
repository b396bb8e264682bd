// SPDX-License-Identifier: GPL-2.0
/*
 * What arrives at a program for BF_ATTACH_XDP: Ethernet frames, with their tags inline, in one piece.
 *
 * eth_type_trans() and what __netif_receive_skb_core() does with VLAN tags, as key_tc.c says. Frames
 * for another host are dropped, unless other interfaces may want them.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>

#include "key_packet.h"

#define VLAN_ID	   0xfff
#define VLAN_BYTES 4

/* Of the frame at r8: bytes by @off, the first one is a multicast bit. */
#define DEST  0
#define PROTO 12

/* r9 = the interface's struct bf_dev, to whose address the frame at r8 is not: it passes if others may want it. */
static void leave_to_others(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_9, offsetof(struct bf_dev, flags));
	bf_alui(a, BPF_AND, BPF_REG_1, BF_DEV_SHARED);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, k->pass);
	bf_jmp(a, k->drop);
}

/* r9 = devs[ingress_ifindex] */
static void find_dev(struct bf_packet_key *k)
{
	bf_emit_own_index(k);
	bf_emit_find_dev(k);
	bf_mov(k->a, BPF_REG_9, BPF_REG_0);
}

/* r1, r2 = the first four bytes and the other two of the interface's address, which is at r9. */
static void load_address(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	if (a->kernel->has_dev) {
		bf_raw(a, BPF_REG_9, 0);
		bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
		bf_raw_ldx(a, BPF_H, BPF_REG_2, 4);
	} else {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_9, offsetof(struct bf_dev, mac));
		bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_9, offsetof(struct bf_dev, mac) + 4);
	}
}

/*
 *	group = dest[0] & 1;
 *	if (!group && memcmp(dest, address, 6))
 *		dev->flags & BF_DEV_SHARED ? pass : drop;
 */
static void check_address(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int ours = bf_asm_label(a), other = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, DEST);
	bf_alui(a, BPF_AND, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_GROUP, BPF_REG_1);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, ours);
	load_address(k);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, DEST);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_3, other);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_8, DEST + 4);
	bf_jif(a, BPF_JEQ, BPF_REG_2, BPF_REG_3, ours);
	bf_asm_here(a, other);
	if (a->kernel->has_dev)
		find_dev(k);
	leave_to_others(k);
	bf_asm_here(a, ours);
}

/*
 * L3 = where the IP header is in the frame at r8, which ends at r1:
 *
 *	if (frame + 14 > end)
 *		drop;
 *	l3 = 14;
 *	if (is_vlan(proto)) {
 *		if (frame + 18 > end)
 *			drop;
 *		if (tci & VLAN_ID)
 *			pass;
 *		l3 = 18;
 *		if (is_vlan(inner))
 *			drop;
 *		proto = inner;
 *	}
 *	if (proto != IP)
 *		pass;
 */
static void find_ip(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int tagged = bf_asm_label(a), ip = bf_asm_label(a);

	bf_mov(a, BPF_REG_2, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_2, ETH_HLEN);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_1, k->drop);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_8, PROTO);
	bf_movi(a, BPF_REG_4, ETH_HLEN);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, htons(ETH_P_8021Q), tagged);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, htons(ETH_P_8021AD), tagged);
	bf_jifi(a, BPF_JNE, BPF_REG_3, htons(ETH_P_IP), k->pass);
	bf_jmp(a, ip);
	bf_asm_here(a, tagged);
	bf_alui(a, BPF_ADD, BPF_REG_2, VLAN_BYTES);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_1, k->drop);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_8, PROTO + 2);
	bf_be(a, BPF_REG_3, 16);
	bf_alui(a, BPF_AND, BPF_REG_3, VLAN_ID);
	bf_jifi(a, BPF_JNE, BPF_REG_3, 0, k->pass);
	bf_movi(a, BPF_REG_4, ETH_HLEN + VLAN_BYTES);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_8, PROTO + VLAN_BYTES);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, htons(ETH_P_8021Q), k->drop);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, htons(ETH_P_8021AD), k->drop);
	bf_jifi(a, BPF_JNE, BPF_REG_3, htons(ETH_P_IP), k->pass);
	bf_asm_here(a, ip);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_L3, BPF_REG_4);
}

/* What is not for IP passes even if the interface is not known. */
void bf_emit_arrival_xdp(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_7, offsetof(struct xdp_md, data));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct xdp_md, data_end));
	find_ip(k);
	if (a->kernel->has_dev) {
		/* r9 = dev->dev_addr */
		bf_emit_dev(k);
		bf_raw(a, BPF_REG_1, a->kernel->dev_addr);
		bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	} else {
		find_dev(k);
		bf_emit_dev_name(k, BF_IIF);
	}
	check_address(k);
}
