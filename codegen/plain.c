// SPDX-License-Identifier: GPL-2.0
/* Frames with nothing unusual. See plain.h. */
#include <arpa/inet.h>

#include "plain.h"

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

static void load(struct bf_asm *a, int size, int reg, int off)
{
	bf_ldx(a, size, reg, BPF_REG_7, off);
}

static void store(struct bf_asm *a, enum bf_field field, int reg)
{
	bf_stx(a, BPF_W, BPF_REG_6, KEY(field), reg);
}

/* Go up unless the packet, which ends at r3, has @len bytes. */
static void need(const struct bf_plain *p, int len)
{
	bf_mov(p->a, BPF_REG_2, BPF_REG_7);
	bf_alui(p->a, BPF_ADD, BPF_REG_2, len);
	bf_jif(p->a, BPF_JGT, BPF_REG_2, BPF_REG_3, p->up);
}

void bf_plain_begin(const struct bf_plain *p)
{
	struct bf_asm *a = p->a;

	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct xdp_md, data));
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_1, offsetof(struct xdp_md, data_end));
	need(p, ETH_HLEN + BF_PLAIN_IP);
	load(a, BPF_H, BPF_REG_1, offsetof(struct ethhdr, h_proto));
	bf_jifi(a, BPF_JNE, BPF_REG_1, htons(ETH_P_IP), p->up);
}

/*
 * Go up unless there are as many bytes as the packet has, r4, in the frame, or in all of its pieces:
 *
 *	if (len > data_end - data - ETH_HLEN && (!pieces || len > bpf_xdp_get_buff_len(ctx) - ETH_HLEN))
 *		goto up;
 */
static void check_length(const struct bf_plain *p)
{
	struct bf_asm *a = p->a;
	int enough = bf_asm_label(a);

	bf_mov(a, BPF_REG_1, BPF_REG_3);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_SUB, BPF_REG_1, ETH_HLEN);
	bf_jif(a, BPF_JLE, BPF_REG_4, BPF_REG_1, enough);
	if (!p->pieces) {
		bf_jmp(a, p->up);
		bf_asm_here(a, enough);
		return;
	}
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_SKB);
	bf_helper(a, BPF_FUNC_xdp_get_buff_len);
	bf_alui(a, BPF_SUB, BPF_REG_0, ETH_HLEN);
	bf_ldx(a, BPF_W, BPF_REG_4, BPF_REG_6, KEY(BF_LEN));
	bf_jif(a, BPF_JGT, BPF_REG_4, BPF_REG_0, p->up);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_SKB);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_1, offsetof(struct xdp_md, data_end));
	bf_asm_here(a, enough);
}

/* What is not in order goes up: what ip_rcv_core() discards is counted by nobody. */
void bf_plain_header(const struct bf_plain *p)
{
	struct bf_asm *a = p->a;
	int i;

	load(a, BPF_B, BPF_REG_1, ETH_HLEN);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0x45, p->up);
	load(a, BPF_H, BPF_REG_4, BF_PLAIN_IP_AT(tot_len));
	bf_be(a, BPF_REG_4, 16);
	bf_jifi(a, BPF_JLT, BPF_REG_4, BF_PLAIN_IP, p->up);
	store(a, BF_LEN, BPF_REG_4);
	check_length(p);
	bf_alui(a, BPF_SUB, BPF_REG_4, BF_PLAIN_IP);
	store(a, BF_L4LEN, BPF_REG_4);

	load(a, BPF_H, BPF_REG_1, BF_PLAIN_IP_AT(frag_off));
	bf_alui(a, BPF_AND, BPF_REG_1, htons(p->whole ? 0x3fff : 0x1fff));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);

	load(a, BPF_H, BPF_REG_1, ETH_HLEN);
	for (i = 2; i < BF_PLAIN_IP; i += 2) {
		load(a, BPF_H, BPF_REG_2, ETH_HLEN + i);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	}
	/* 20 bits to 17, to 16 */
	for (i = 0; i < 2; i++) {
		bf_mov(a, BPF_REG_2, BPF_REG_1);
		bf_alui(a, BPF_RSH, BPF_REG_2, 16);
		bf_alui(a, BPF_AND, BPF_REG_1, 0xffff);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	}
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0xffff, p->up);
}

void bf_plain_addresses(const struct bf_plain *p)
{
	struct bf_asm *a = p->a;

	load(a, BPF_W, BPF_REG_1, BF_PLAIN_IP_AT(saddr));
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_SADDR, BPF_REG_1);
	load(a, BPF_W, BPF_REG_1, BF_PLAIN_IP_AT(daddr));
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_DADDR, BPF_REG_1);
	load(a, BPF_B, BPF_REG_1, BF_PLAIN_IP_AT(protocol));
	store(a, BF_PROTO, BPF_REG_1);
	/* r9 = len ^ len */
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_6, KEY(BF_LEN));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_LEN));
	bf_alu(a, BPF_XOR, BPF_REG_9, BPF_REG_1);
}

void bf_plain_l4(const struct bf_plain *p)
{
	static const int lengths[] = {20, 8, 4};
	const int at = ETH_HLEN + BF_PLAIN_IP;
	struct bf_asm *a = p->a;
	int done = bf_asm_label(a);
	unsigned int i;

	store(a, BF_SPORT, BPF_REG_9);
	store(a, BF_DPORT, BPF_REG_9);
	store(a, BF_ICMP, BPF_REG_9);
	store(a, BF_TCP_FLAGS, BPF_REG_9);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int shorter = bf_asm_label(a);

		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_L4LEN));
		bf_jifi(a, BPF_JLT, BPF_REG_1, lengths[i], shorter);
		need(p, at + lengths[i]);
		load(a, BPF_H, BPF_REG_1, at);
		bf_be(a, BPF_REG_1, 16);
		store(a, BF_SPORT, BPF_REG_1);
		if (lengths[i] >= 8)
			store(a, BF_ICMP, BPF_REG_1);
		load(a, BPF_H, BPF_REG_1, at + 2);
		bf_be(a, BPF_REG_1, 16);
		store(a, BF_DPORT, BPF_REG_1);
		if (lengths[i] >= 20) {
			load(a, BPF_B, BPF_REG_1, at + 13);
			store(a, BF_TCP_FLAGS, BPF_REG_1);
		}
		bf_jmp(a, done);
		bf_asm_here(a, shorter);
	}
	bf_asm_here(a, done);
}
