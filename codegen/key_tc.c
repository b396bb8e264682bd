// SPDX-License-Identifier: GPL-2.0
/*
 * What arrives at a program for BF_ATTACH_TC.
 *
 * At the ingress __netif_receive_skb_core() has taken off one VLAN tag, if there was one: it is in
 * skb->vlan_tci, and skb->protocol is what follows. With a tag the packet goes to the VLAN's own
 * interface, whose ingress it passes next, or to nobody. A tag of VLAN 0 is only a priority: the packet is
 * this interface's. Behind such a one the stack would take off further tags: nobody needs that, and
 * it is not followed here.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "key_packet.h"

#define VLAN_ID 0xfff

/* All that is read lies within as many bytes: twice the longest IP header and an ICMP one, and more. */
#define HEADERS 160

static void ldx(struct bf_asm *a, int dst, size_t member)
{
	bf_ldx(a, BPF_W, dst, BPF_REG_7, member);
}

/*
 * What is read must be in one piece, for bpf_skb_load_bytes_relative() reads nothing else:
 *
 *	linear = data_end - data;
 *	if (linear < HEADERS && linear < len && bpf_skb_pull_data(skb, min(len, HEADERS)))
 *		drop;
 */
static void pull_headers(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int linear = bf_asm_label(a), less = bf_asm_label(a);

	ldx(a, BPF_REG_1, offsetof(struct __sk_buff, data));
	ldx(a, BPF_REG_3, offsetof(struct __sk_buff, data_end));
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_1);
	ldx(a, BPF_REG_2, offsetof(struct __sk_buff, len));
	bf_jifi(a, BPF_JGE, BPF_REG_3, HEADERS, linear);
	bf_jif(a, BPF_JGE, BPF_REG_3, BPF_REG_2, linear);
	bf_jifi(a, BPF_JLE, BPF_REG_2, HEADERS, less);
	bf_movi(a, BPF_REG_2, HEADERS);
	bf_asm_here(a, less);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_helper(a, BPF_FUNC_skb_pull_data);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->drop);
	bf_asm_here(a, linear);
}

/*
 * AT = skb->head + skb->network_header - skb->data
 *
 * Where that is for some kind of interface only the packet tells.
 */
static void find_header(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	const struct bf_kernel *kernel = a->kernel;

	bf_raw(a, BPF_REG_7, kernel->skb_head);
	bf_raw_ldx(a, BPF_DW, BPF_REG_8, 0);
	bf_raw(a, BPF_REG_7, kernel->skb_network_header);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, 0);
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_1);
	bf_raw(a, BPF_REG_7, kernel->skb_data);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_alu(a, BPF_SUB, BPF_REG_8, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_AT, BPF_REG_8);
}

/*
 *	if (cb[0] == BF_TC_EGRESS) {
 *		if (protocol != IP || vlan_present)	// the VLAN's interface has had it
 *			pass;
 *	} else {
 *		if (cb[0] != BF_TC_INGRESS)
 *			drop;
 *		if (vlan_present && vlan_tci & VLAN_ID)
 *			pass;
 *		if (protocol != IP)
 *			vlan_present && is_vlan(protocol) ? drop : pass;
 *		if (pkt_type == PACKET_OTHERHOST)
 *			pass;
 *		group = pkt_type;	// PACKET_HOST is 0
 *	}
 */
void bf_emit_arrival_tc(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int egress = bf_asm_label(a), untagged = bf_asm_label(a);
	int done = bf_asm_label(a);

	bf_emit_if_egress(k, egress);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_TC_INGRESS, k->drop);
	ldx(a, BPF_REG_2, offsetof(struct __sk_buff, protocol));
	ldx(a, BPF_REG_1, offsetof(struct __sk_buff, vlan_present));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, untagged);
	ldx(a, BPF_REG_1, offsetof(struct __sk_buff, vlan_tci));
	bf_alui(a, BPF_AND, BPF_REG_1, VLAN_ID);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, k->pass);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, htons(ETH_P_8021Q), k->drop);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, htons(ETH_P_8021AD), k->drop);
	bf_asm_here(a, untagged);
	bf_jifi(a, BPF_JNE, BPF_REG_2, htons(ETH_P_IP), k->pass);
	ldx(a, BPF_REG_1, offsetof(struct __sk_buff, pkt_type));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PACKET_OTHERHOST, k->pass);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_GROUP, BPF_REG_1);
	bf_jmp(a, done);

	bf_asm_here(a, egress);
	ldx(a, BPF_REG_2, offsetof(struct __sk_buff, protocol));
	bf_jifi(a, BPF_JNE, BPF_REG_2, htons(ETH_P_IP), k->pass);
	ldx(a, BPF_REG_1, offsetof(struct __sk_buff, vlan_present));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, k->pass);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_GROUP, 0);
	bf_asm_here(a, done);
	pull_headers(k);
	if (a->kernel->has_dev)
		find_header(k);
}
