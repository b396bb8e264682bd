// SPDX-License-Identifier: GPL-2.0
/* The replies of REJECT, from their IP header on: nf_reject_iphdr_put(), nf_reject_ip_tcphdr_put(), icmp_send(). */
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/netfilter.h>

#include "key_packet.h"
#include "reject.h"

/* Of the packet that is answered. */
#define IP(off) (BF_REJECT_IP + (off))
#define L4(off) (BF_REJECT_IP + 20 + (off))

/* Of the reply. */
#define R_IP(off) (BF_REJECT_REPLY + (off))
#define R_L4(off) (BF_REJECT_REPLY + 20 + (off))

#define TCP_RST	 0x04
#define TCP_ACK	 0x10
#define TCP_DOFF 0x50 /* 20 bytes */

/* IPTOS_TOS_MASK; IPTOS_PREC_INTERNETCONTROL */
#define TOS_MASK    0x1e
#define TOS_CONTROL 0xc0

static void set_byte(struct bf_reject *r, int off, int value)
{
	bf_sti(r->a, BPF_B, BPF_REG_6, off, value);
}

/* r1 = the sum of @len bytes at @off, words, of the frame, and of what is in r1. Clobbers r2. */
static void add_words(struct bf_reject *r, int off, int len)
{
	int i;

	for (i = 0; i < len; i += 4) {
		bf_reject_get(r, BPF_REG_2, off + i);
		bf_alu(r->a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	}
}

/* The 16 bits at @off = what makes the sum r1, with them, 0. */
static void store_checksum(struct bf_reject *r, int off)
{
	bf_reject_fold(r->a, BPF_REG_1, BPF_REG_2);
	bf_alui(r->a, BPF_XOR, BPF_REG_1, 0xffff);
	bf_stx(r->a, BPF_H, BPF_REG_6, off, BPF_REG_1);
}

/* All but its checksum. r8 = its length, TOS in r9; what else there is is the same for both kinds but @id and @frag. */
static void ip_header(struct bf_reject *r, uint8_t protocol)
{
	struct bf_asm *a = r->a;
	int off;

	for (off = 0; off < 20; off += 4)
		bf_sti(a, BPF_W, BPF_REG_6, R_IP(off), 0);
	set_byte(r, R_IP(0), 0x45);
	bf_stx(a, BPF_B, BPF_REG_6, R_IP(1), BPF_REG_9);
	bf_reject_set(r, BF_REJECT_TOTAL, BPF_REG_8);
	bf_be(a, BPF_REG_8, 16);
	bf_stx(a, BPF_H, BPF_REG_6, R_IP(2), BPF_REG_8);
	set_byte(r, R_IP(8), a->kernel->replying.ttl);
	set_byte(r, R_IP(9), protocol);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_SOURCE);
	bf_reject_set(r, R_IP(12), BPF_REG_1);
	bf_reject_get(r, BPF_REG_1, IP(12));
	bf_reject_set(r, R_IP(16), BPF_REG_1);
}

static void ip_checksum(struct bf_reject *r)
{
	bf_movi(r->a, BPF_REG_1, 0);
	add_words(r, R_IP(0), 20);
	store_checksum(r, R_IP(10));
}

/*
 *	if (ack)
 *		reply->seq = ack_seq;
 *	else
 *		reply->ack_seq = seq + syn + fin + l4len - doff * 4;
 */
static void tcp_numbers(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int acked = bf_asm_label(a), done = bf_asm_label(a);

	set_byte(r, R_L4(12), TCP_DOFF);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_6, L4(13));
	bf_mov(a, BPF_REG_1, BPF_REG_3);
	bf_alui(a, BPF_AND, BPF_REG_1, TCP_ACK);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, acked);
	bf_reject_get(r, BPF_REG_1, L4(4));
	bf_be(a, BPF_REG_1, 32);
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_L4LEN));
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_mov(a, BPF_REG_2, BPF_REG_3); /* FIN is 1, SYN 2 */
	bf_alui(a, BPF_AND, BPF_REG_2, 1);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_RSH, BPF_REG_3, 1);
	bf_alui(a, BPF_AND, BPF_REG_3, 1);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_3);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_6, L4(12));
	bf_alui(a, BPF_RSH, BPF_REG_2, 4);
	bf_alui(a, BPF_LSH, BPF_REG_2, 2);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_2);
	bf_be(a, BPF_REG_1, 32);
	bf_reject_set(r, R_L4(8), BPF_REG_1);
	set_byte(r, R_L4(13), TCP_RST | TCP_ACK);
	bf_jmp(a, done);
	bf_asm_here(a, acked);
	bf_reject_get(r, BPF_REG_1, L4(8));
	bf_reject_set(r, R_L4(4), BPF_REG_1);
	set_byte(r, R_L4(13), TCP_RST);
	bf_asm_here(a, done);
}

static void tcp_reset(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int off;

	bf_movi(a, BPF_REG_8, BF_RESET_BYTES);
	bf_movi(a, BPF_REG_9, 0);
	ip_header(r, IPPROTO_TCP);
	set_byte(r, R_IP(6), 0x40); /* DF */
	ip_checksum(r);
	for (off = 0; off < 20; off += 4)
		bf_sti(a, BPF_W, BPF_REG_6, R_L4(off), 0);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, L4(2));
	bf_stx(a, BPF_H, BPF_REG_6, R_L4(0), BPF_REG_1);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, L4(0));
	bf_stx(a, BPF_H, BPF_REG_6, R_L4(2), BPF_REG_1);
	tcp_numbers(r);
	bf_mov32i(a, BPF_REG_1, htonl(IPPROTO_TCP + 20));
	add_words(r, R_IP(12), 8);
	add_words(r, R_L4(0), 20);
	store_checksum(r, R_L4(16));
}

/*
 * What is quoted begins with an IP header, which adds up to nothing; what follows it has been added up. A packet that is forwarded
 * is quoted as it would have gone on: ip_decrease_ttl().
 */
static void icmp_error(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int all = bf_asm_label(a), stays = bf_asm_label(a), off;

	bf_reject_get(r, BPF_REG_8, BF_KEY(BF_LEN));
	bf_jifi(a, BPF_JLE, BPF_REG_8, BF_QUOTE_MAX, all);
	bf_movi(a, BPF_REG_8, BF_QUOTE_MAX);
	bf_asm_here(a, all);
	bf_alui(a, BPF_ADD, BPF_REG_8, BF_ICMP_BYTES);
	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, IP(1));
	bf_alui(a, BPF_AND, BPF_REG_9, TOS_MASK);
	bf_alui(a, BPF_OR, BPF_REG_9, TOS_CONTROL);
	ip_header(r, IPPROTO_ICMP);
	bf_helper(a, BPF_FUNC_get_prandom_u32);
	bf_stx(a, BPF_H, BPF_REG_6, R_IP(4), BPF_REG_0);
	ip_checksum(r);
	for (off = 0; off < 8; off += 4)
		bf_sti(a, BPF_W, BPF_REG_6, R_L4(off), 0);
	set_byte(r, R_L4(0), ICMP_DEST_UNREACH);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_stx(a, BPF_B, BPF_REG_6, R_L4(1), BPF_REG_1);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_QUOTE);
	add_words(r, R_L4(0), 8);
	store_checksum(r, R_L4(2));

	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JNE, BPF_REG_1, NF_INET_FORWARD, stays);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, IP(8));
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_stx(a, BPF_B, BPF_REG_6, IP(8), BPF_REG_1);
	/* check += htons(0x0100); check += check >= 0xffff; */
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, IP(10));
	bf_alui(a, BPF_ADD, BPF_REG_1, htons(0x0100));
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 1);
	bf_alui(a, BPF_RSH, BPF_REG_2, 16);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_stx(a, BPF_H, BPF_REG_6, IP(10), BPF_REG_1);
	bf_asm_here(a, stays);
}

void bf_emit_reply(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int icmp = bf_asm_label(a), done = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_REJECT_RESET, icmp);
	tcp_reset(r);
	bf_jmp(a, done);
	bf_asm_here(a, icmp);
	icmp_error(r);
	bf_asm_here(a, done);
}
