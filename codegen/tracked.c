// SPDX-License-Identifier: GPL-2.0
/* Packets that conntrack finds NEW. See tracked.h. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>

#include "key_packet.h"
#include "plain.h"
#include "tracked.h"

#define NEW XT_CONNTRACK_STATE_BIT(IP_CT_NEW)

/* Bits of a status that users ask for, all of which a new entry has not. nat sets others. */
#define KNOWN_STATUS (IPS_EXPECTED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED)

#define TCP_FIN	   0x01
#define TCP_SYN	   0x02
#define TCP_RST	   0x04
#define TCP_ACK	   0x10
#define TCP_HEADER 20
#define UDP_HEADER 8

/* Where the header behind the IP header is in the frame. */
#define L4_AT (ETH_HLEN + BF_PLAIN_IP)

/* Of longer packets the checksum is not looked at. A power of two. */
#define MAX_SUMMED 2048

/* Up to so many bytes, sums are made without a call. */
#define MAX_INLINE 32

static void load(struct bf_asm *a, int reg, enum bf_field field)
{
	bf_ldx(a, BPF_W, reg, BPF_REG_6, BF_KEY(field));
}

/* dst = *(size *)(base + off) of kernel memory. dst may be r1 to r5 until the next one. */
static void read_at(struct bf_asm *a, int size, int dst, int base, int off)
{
	bf_raw(a, base, off);
	bf_raw_ldx(a, size, dst, 0);
}

bool bf_tracked_known(const struct bf_kernel *kernel)
{
	return kernel->has_ct_lookup && kernel->has_ct_pernet && kernel->fn_conntrack;
}

bool bf_tracked_op_known(const struct bf_op *op)
{
	if (!(BF_FIELD_BIT(op->field) & BF_NEW_FIELDS))
		return false;
	return op->field != BF_CT_STATUS || (op->code == BF_OP_EQ && !(op->a & ~KNOWN_STATUS));
}

void bf_emit_may_be_new(struct bf_asm *a, int up)
{
	int udp = bf_asm_label(a), done = bf_asm_label(a);

	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_UDP, udp);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, up);
	load(a, BPF_REG_1, BF_TCP_FLAGS);
	bf_alui(a, BPF_AND, BPF_REG_1, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	bf_jifi(a, BPF_JNE, BPF_REG_1, TCP_SYN, up);
	bf_jmp(a, done);
	bf_asm_here(a, udp);
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, UDP_HEADER, up);
	bf_asm_here(a, done);
}

/* r8 = the struct bf_early_flow where the packet's would be. */
static void find_flow(struct bf_asm *a, int up)
{
	load(a, BPF_REG_1, BF_SPORT);
	bf_alui(a, BPF_LSH, BPF_REG_1, 16);
	load(a, BPF_REG_2, BF_DPORT);
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	bf_mov(a, BPF_REG_9, BPF_REG_1);
	load(a, BPF_REG_2, BF_SADDR);
	bf_alu32i(a, BPF_MUL, BPF_REG_1, 0x9e3779b1);
	bf_alu32(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_alu32i(a, BPF_MUL, BPF_REG_1, 0x85ebca6b);
	bf_alu32i(a, BPF_RSH, BPF_REG_1, 32 - BF_EARLY_FLOW_BITS);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_FLOWS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, up);
	bf_mov(a, BPF_REG_8, BPF_REG_0);
}

/*
 * To @up if there is an entry for a datagram. A flow of which there is one is remembered for some datagrams, since asking
 * costs as much as all else for one that goes up. Nothing goes wrong with one that has no entry any more, or is
 * another CPU's: it goes up.
 *
 *	if (flow is the packet's && flow->credit) {
 *		flow->credit--;
 *		goto up;
 *	}
 *	if (entry) {
 *		*flow = the packet's, with CREDIT;
 *		goto up;
 *	}
 *
 * r8 is the flow, r9 the packet's ports.
 */
static void find_datagram(struct bf_asm *a, int up)
{
	static const struct {
		enum bf_field field;
		int at;
	} addresses[] = {{BF_SADDR, offsetof(struct bf_early_flow, saddr)},
			 {BF_DADDR, offsetof(struct bf_early_flow, daddr)}};
	const int ports = offsetof(struct bf_early_flow, ports);
	const int credit = offsetof(struct bf_early_flow, credit);
	int ask = bf_asm_label(a), found = bf_asm_label(a), none = bf_asm_label(a);
	unsigned int i;

	find_flow(a, up);
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, addresses[i].at);
		load(a, BPF_REG_2, addresses[i].field);
		bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, ask);
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, ports);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_9, ask);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, credit);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, ask);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_8, credit, BPF_REG_1);
	bf_jmp(a, up);
	bf_asm_here(a, ask);
	bf_emit_no_ct_entry(a, found);
	bf_jmp(a, none);
	bf_asm_here(a, found);
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		load(a, BPF_REG_1, addresses[i].field);
		bf_stx(a, BPF_W, BPF_REG_8, addresses[i].at, BPF_REG_1);
	}
	bf_stx(a, BPF_W, BPF_REG_8, ports, BPF_REG_9);
	bf_sti(a, BPF_W, BPF_REG_8, credit, BF_EARLY_CREDIT);
	bf_jmp(a, up);
	bf_asm_here(a, none);
}

void bf_emit_new_key(struct bf_asm *a, const struct bf_program *p, int up)
{
	static const struct {
		enum bf_field to, from;
	} same[] = {
		{BF_CT_PROTO, BF_PROTO},	{BF_CT_ORIGSRC, BF_SADDR},
		{BF_CT_ORIGDST, BF_DADDR},	{BF_CT_REPLSRC, BF_DADDR},
		{BF_CT_REPLDST, BF_SADDR},	{BF_CT_ORIGSRC_PORT, BF_SPORT},
		{BF_CT_ORIGDST_PORT, BF_DPORT}, {BF_CT_REPLSRC_PORT, BF_DPORT},
		{BF_CT_REPLDST_PORT, BF_SPORT},
	};
	int later = bf_asm_label(a);
	unsigned int i;

	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, later);
	find_datagram(a, up);
	bf_asm_here(a, later);
	for (i = 0; i < ARRAY_SIZE(same); i++) {
		if (!(p->fields & BF_FIELD_BIT(same[i].to)))
			continue;
		load(a, BPF_REG_1, same[i].from);
		bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(same[i].to), BPF_REG_1);
	}
	/* As everywhere in the key, without the verifier knowing. */
	load(a, BPF_REG_9, BF_LEN);
	load(a, BPF_REG_1, BF_LEN);
	bf_alu(a, BPF_XOR, BPF_REG_9, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_CT_STATUS), BPF_REG_9);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_CT_DIR), BPF_REG_9);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_CT_MARK), BPF_REG_9);
	bf_alui(a, BPF_XOR, BPF_REG_9, NEW);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_CT_STATE), BPF_REG_9);
}

/*
 *	cnet = net->gen[ct_net];
 *	table = cnet->sysctl_header->ctl_table;
 *	if (nf_conntrack_count's data != &cnet->count)
 *		goto CONNTRACK;
 *	if (cnet->expect_count)
 *		goto EXPECTED;
 *	if (nf_conntrack_max && cnet->count >= nf_conntrack_max)
 *		goto FULL;
 *
 * r7 and r8 are cnet and the table.
 */
static void check_limits(struct bf_asm *a, const int *why)
{
	const struct bf_kernel *k = a->kernel;
	int unlimited = bf_asm_label(a);

	read_at(a, BPF_DW, BPF_REG_7, BPF_REG_9, k->net_gen);
	read_at(a, BPF_DW, BPF_REG_7, BPF_REG_7, k->ct_net);
	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_7, k->cnet_sysctl);
	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_8, k->header_table);
	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_8, k->ct_at_count);
	bf_alui(a, BPF_SUB, BPF_REG_1, k->cnet_count);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_7, why[BF_EARLY_CONNTRACK]);
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_7, k->cnet_expect);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, why[BF_EARLY_EXPECTED]);
	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_8, k->ct_at_max);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, why[BF_EARLY_CONNTRACK]);
	read_at(a, BPF_W, BPF_REG_8, BPF_REG_8, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, unlimited);
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_7, k->cnet_count);
	bf_jif(a, BPF_JGE, BPF_REG_1, BPF_REG_8, why[BF_EARLY_FULL]);
	bf_asm_here(a, unlimited);
}

/* r1 = the frame + L4_AT + (l4len & @mask), of which @bytes are in the frame. r7 is the frame, r8 its end. */
static void point_at(struct bf_asm *a, uint32_t mask, int bytes, int up)
{
	load(a, BPF_REG_1, BF_L4LEN);
	bf_alui(a, BPF_AND, BPF_REG_1, mask & (MAX_SUMMED - 1));
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, L4_AT + bytes);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_8, up);
}

/* r9 += the 32-bit words from r1 on */
static void sum_inline(struct bf_asm *a, int bytes)
{
	int i;

	for (i = 0; i < bytes; i += 4) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_1, L4_AT + i);
		bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_2);
	}
}

static void sum_by_call(struct bf_asm *a, int bytes)
{
	bf_mov(a, BPF_REG_3, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_3, L4_AT);
	bf_movi(a, BPF_REG_1, 0);
	bf_movi(a, BPF_REG_2, 0);
	bf_movi(a, BPF_REG_4, bytes);
	bf_movi(a, BPF_REG_5, 0);
	bf_helper(a, BPF_FUNC_csum_diff);
	bf_alu32(a, BPF_MOV, BPF_REG_0, BPF_REG_0);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_0);
}

/* The last one, two or three bytes. */
static void sum_rest(struct bf_asm *a, int up)
{
	int even = bf_asm_label(a), done = bf_asm_label(a);

	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JSET, BPF_REG_1, 2, even);
	bf_jmp(a, done);
	bf_asm_here(a, even);
	point_at(a, ~3U, 2, up);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_1, L4_AT);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_2);
	bf_asm_here(a, done);
	even = bf_asm_label(a);
	done = bf_asm_label(a);
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JSET, BPF_REG_1, 1, even);
	bf_jmp(a, done);
	bf_asm_here(a, even);
	point_at(a, ~1U, 1, up);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_1, L4_AT);
	/* Followed by a byte that is 0. */
	bf_alui(a, BPF_LSH, BPF_REG_2, 8);
	bf_be(a, BPF_REG_2, 16);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_2);
	bf_asm_here(a, done);
}

/*
 * r9 = the sum of the pseudo header and of all that is behind the IP header: a piece for each bit of its length, that of the
 * highest one first, so that where each begins follows from the length alone.
 */
static void sum_packet(struct bf_asm *a, int up)
{
	uint32_t bytes;

	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_7, BF_PLAIN_IP_AT(saddr));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, BF_PLAIN_IP_AT(daddr));
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	load(a, BPF_REG_1, BF_PROTO);
	bf_be(a, BPF_REG_1, 16);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JGE, BPF_REG_1, MAX_SUMMED, up);
	bf_be(a, BPF_REG_1, 16);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	for (bytes = MAX_SUMMED / 2; bytes >= 4; bytes /= 2) {
		int sum = bf_asm_label(a), none = bf_asm_label(a);

		load(a, BPF_REG_1, BF_L4LEN);
		bf_jifi(a, BPF_JSET, BPF_REG_1, bytes, sum);
		bf_jmp(a, none);
		bf_asm_here(a, sum);
		point_at(a, ~(2 * bytes - 1), bytes, up);
		if (bytes <= MAX_INLINE)
			sum_inline(a, bytes);
		else
			sum_by_call(a, bytes);
		bf_asm_here(a, none);
	}
	sum_rest(a, up);
}

/* To @up unless the sum is that of a packet whose checksum is right. */
static void check_sum(struct bf_asm *a, int up)
{
	int i;

	/* 43 bits to 33, to 32; to 17, to 16 */
	for (i = 0; i < 2; i++) {
		bf_mov(a, BPF_REG_1, BPF_REG_9);
		bf_alui(a, BPF_RSH, BPF_REG_1, 32);
		bf_alu32(a, BPF_MOV, BPF_REG_9, BPF_REG_9);
		bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	}
	for (i = 0; i < 3; i++) {
		bf_mov(a, BPF_REG_1, BPF_REG_9);
		bf_alui(a, BPF_RSH, BPF_REG_1, 16);
		bf_alui(a, BPF_AND, BPF_REG_9, 0xffff);
		bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	}
	bf_jifi(a, BPF_JNE, BPF_REG_9, 0xffff, up);
}

/*
 * To @done if the packet's checksum does not matter: it has come with an sk_buff that says that it is right, or not made yet.
 *
 *	if (skb && (skb->ip_summed == CHECKSUM_UNNECESSARY || skb->ip_summed == CHECKSUM_PARTIAL))
 *		goto done;
 */
static void check_summed(struct bf_asm *a, int done)
{
	const struct bf_kernel *k = a->kernel;
	int none = bf_asm_label(a);

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_SUMMED);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	read_at(a, BPF_B, BPF_REG_1, BPF_REG_1, k->skb_summed);
	bf_jifi(a, BPF_JSET, BPF_REG_1, 1 << k->skb_summed_bit, done);
	bf_asm_here(a, none);
}

/* r7 = the frame, r8 its end: there are @bytes behind the IP header, else to @up. On entry r7 is the context. */
static void point_at_frame(struct bf_asm *a, int bytes, int up)
{
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_7, offsetof(struct xdp_md, data_end));
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_7, offsetof(struct xdp_md, data));
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_ADD, BPF_REG_1, L4_AT + bytes);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_8, up);
}

/* tcp_error() and udp_error(). To @done if the packet is in order, and has no checksum. */
static void check_header(struct bf_asm *a, int up, int done)
{
	int udp = bf_asm_label(a), out = bf_asm_label(a);

	load(a, BPF_REG_2, BF_L4LEN);
	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_UDP, udp);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_7, L4_AT + 12);
	bf_alui(a, BPF_RSH, BPF_REG_1, 4);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_jifi(a, BPF_JLT, BPF_REG_1, TCP_HEADER, up);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_2, up);
	bf_jmp(a, out);
	bf_asm_here(a, udp);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_7, L4_AT + 4);
	bf_be(a, BPF_REG_1, 16);
	bf_jifi(a, BPF_JLT, BPF_REG_1, UDP_HEADER, up);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_2, up);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_7, L4_AT + 6);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, done);
	bf_asm_here(a, out);
}

/* To @up unless conntrack finds the packet in order. r9 is the struct net. */
static void check_valid(struct bf_asm *a, int up)
{
	int done = bf_asm_label(a), tcp = bf_asm_label(a), read = bf_asm_label(a);
	int checked = bf_asm_label(a);

	read_at(a, BPF_B, BPF_REG_9, BPF_REG_9, a->kernel->net_ct_checksum);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, checked);
	bf_movi(a, BPF_REG_9, 0);
	check_summed(a, checked);
	bf_movi(a, BPF_REG_9, 1);
	bf_asm_here(a, checked);
	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, tcp);
	point_at_frame(a, UDP_HEADER, up);
	bf_jmp(a, read);
	bf_asm_here(a, tcp);
	point_at_frame(a, TCP_HEADER, up);
	bf_asm_here(a, read);
	check_header(a, up, done);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, done);
	sum_packet(a, up);
	check_sum(a, up);
	bf_asm_here(a, done);
}

/* There is no entry, if that is not known yet: with rules that look at conntrack, it is of UDP. r7 is the context. */
static void check_entry(struct bf_asm *a, bool looks, int up)
{
	int tcp = bf_asm_label(a), done = bf_asm_label(a);

	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, tcp);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, up);
	if (looks)
		bf_jmp(a, done);
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, UDP_HEADER, up);
	bf_asm_here(a, tcp);
	bf_emit_no_ct_entry(a, up);
	bf_asm_here(a, done);
}

void bf_emit_tracked(struct bf_asm *a, const struct bf_program *p, int up, const int *why)
{
	bool looks = p->fields & BF_CT_FIELDS;
	int done = bf_asm_label(a);

	if (!bf_tracked_known(a->kernel))
		return;
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_TRACKED);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, looks ? why[BF_EARLY_CONNTRACK] : done);
	check_entry(a, looks, up);
	check_limits(a, why);
	if (looks)
		check_valid(a, up);
	bf_asm_here(a, done);
}
