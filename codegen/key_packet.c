// SPDX-License-Identifier: GPL-2.0
/*
 * The prologue of programs at interfaces: what the stack would find out about a packet until its filter
 * hook, found out before (or, at the egress, behind) the stack.
 *
 * Three things can become of a packet before the table sees it:
 *
 *	pass	the stack is certain to discard it before the hook, or hands it to someone else: it goes on,
 *		and nothing is counted, as ip_tables would never see it
 *	drop	it cannot be told what it is, so it is not let past the policy
 *	judged	all else
 *
 * What ip_rcv_core() checks is checked: version, lengths, checksum. Then bpf_fib_lookup() says whether
 * INPUT or FORWARD has it, and which interface it leaves by.
 *
 * As in key.c, the line without jumps is the one that fills in every field from memory of which the
 * verifier knows nothing, so that it does not follow the ways through here one by one.
 */
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/pkt_cls.h>

#include "key_packet.h"

#define L4_FIELDS                                                                                  \
	(BF_FIELD_BIT(BF_SPORT) | BF_FIELD_BIT(BF_DPORT) | BF_FIELD_BIT(BF_ICMP) |                 \
	 BF_FIELD_BIT(BF_TCP_FLAGS))

#define IP_HEADER     20
#define IP_MAX_HEADER 60

/* struct __sk_buff's data begins with this much where there is an Ethernet header. */
#define ETHER_HEADER 14

/* Option numbers of loose and strict source routes, in every byte of a word. */
#define LSRR 0x8383838383838383ULL
#define SSRR 0x8989898989898989ULL

static void store(struct bf_asm *a, enum bf_field field, int reg)
{
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(field), reg);
}

static void load(struct bf_asm *a, int reg, enum bf_field field)
{
	bf_ldx(a, BPF_W, reg, BPF_REG_6, BF_KEY(field));
}

static bool is_tc(const struct bf_packet_key *k)
{
	return k->a->attach == BF_ATTACH_TC;
}

void bf_emit_if_egress(struct bf_packet_key *k, int egress)
{
	if (!is_tc(k))
		return;
	bf_ldx(k->a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, cb[0]));
	bf_jifi(k->a, BPF_JEQ, BPF_REG_1, BF_TC_EGRESS, egress);
}

/*
 * To @drop with any packet that has a byte in its options (at r6 + HEADER + 20) that could be the
 * number of a source route. The stack would follow it to a place of which nothing is known here, or
 * discards the packet. For each word and each number: a byte of x is 0 iff
 *
 *	(x - 0x0101...) & ~x & 0x8080...
 */
static void drop_source_routes(struct bf_packet_key *k)
{
	static const uint64_t numbers[] = {LSRR, SSRR};
	struct bf_asm *a = k->a;
	unsigned int i;
	int off;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		bf_ld_imm64(a, BPF_REG_3, numbers[i]);
		bf_ld_imm64(a, BPF_REG_4, 0x0101010101010101ULL);
		bf_ld_imm64(a, BPF_REG_5, 0x8080808080808080ULL);
		for (off = BF_FRAME_HEADER + IP_HEADER; off < BF_FRAME_HEADER + IP_MAX_HEADER;
		     off += 4) {
			bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, off);
			bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_3);
			bf_mov(a, BPF_REG_2, BPF_REG_1);
			bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_4);
			bf_alui(a, BPF_XOR, BPF_REG_2, -1);
			bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
			bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_5);
			bf_jifi(a, BPF_JNE, BPF_REG_1, 0, k->drop);
		}
	}
}

/*
 * Copy @len bytes, words, that are @off behind the IP header's begin, to @to of the frame, if that begins right behind
 * an Ethernet header and they are in the packet's first piece; else to @slow. A helper would take twenty times as long.
 */
static void copy_words(struct bf_packet_key *k, int to, int off, uint32_t len, int slow)
{
	struct bf_asm *a = k->a;
	uint32_t i;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_AT);
	bf_jifi(a, BPF_JNE, BPF_REG_1, ETHER_HEADER, slow);
	if (is_tc(k)) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, offsetof(struct __sk_buff, data));
		bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct __sk_buff, data_end));
	} else {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, offsetof(struct xdp_md, data));
		bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct xdp_md, data_end));
	}
	off += ETHER_HEADER;
	bf_mov(a, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_ADD, BPF_REG_1, off + len);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_3, slow);
	for (i = 0; i < len; i += 4) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_2, off + i);
		bf_stx(a, BPF_W, BPF_REG_6, to + i, BPF_REG_1);
	}
}

/* Can copy_words() do anything? */
static bool copies_words(const struct bf_packet_key *k)
{
	return !is_tc(k) || k->a->kernel->has_dev;
}

/* The IP header without options to HEADER; to @bad if it is not there. */
static void read_fixed(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int slow = bf_asm_label(a), have = bf_asm_label(a);

	if (copies_words(k)) {
		copy_words(k, BF_FRAME_HEADER, 0, IP_HEADER, slow);
		bf_jmp(a, have);
		bf_asm_here(a, slow);
	}
	bf_movi(a, BPF_REG_8, 0);
	bf_movi(a, BPF_REG_9, IP_HEADER);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_HEADER, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->bad);
	bf_asm_here(a, have);
}

/* ip_fast_csum(): the words of the header, and the zeroes behind it, add up to 0xffff in @len bytes; else to @pass. */
static void check_sum(struct bf_packet_key *k, int len)
{
	struct bf_asm *a = k->a;
	int off, i;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER);
	for (off = 4; off < len; off += 4) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_HEADER + off);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	}
	/* 36 bits to 33, to 18, to 17, to 16 */
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_RSH, BPF_REG_2, 32);
	bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_1);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	for (i = 0; i < 3; i++) {
		bf_mov(a, BPF_REG_2, BPF_REG_1);
		bf_alui(a, BPF_RSH, BPF_REG_2, 16);
		bf_alui(a, BPF_AND, BPF_REG_1, 0xffff);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	}
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0xffff, k->pass);
}

/* A header of r9 bytes, more than 20: the options to HEADER, and zeroes behind them. */
static void read_options(struct bf_packet_key *k, int done)
{
	struct bf_asm *a = k->a;
	int off;

	for (off = IP_HEADER; off < IP_MAX_HEADER; off += 4)
		bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_HEADER + off, 0);
	bf_alui(a, BPF_SUB, BPF_REG_9, IP_HEADER);
	bf_movi(a, BPF_REG_8, IP_HEADER);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_HEADER + IP_HEADER, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->bad);
	bf_emit_if_egress(k, done);
	drop_source_routes(k);
	check_sum(k, IP_MAX_HEADER);
	bf_jmp(a, done);
}

/* The IP header to HEADER, and its length to THOFF. */
static void read_header(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int plain = bf_asm_label(a), sent = bf_asm_label(a), done = bf_asm_label(a);

	read_fixed(k);
	/* A raw socket may send another version, which OUTPUT sees like any. */
	bf_emit_if_egress(k, sent);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER);
	bf_alui(a, BPF_RSH, BPF_REG_1, 4);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 4, k->pass);
	bf_asm_here(a, sent);
	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, BF_FRAME_HEADER);
	bf_alui(a, BPF_AND, BPF_REG_9, 0x0f);
	bf_alui(a, BPF_LSH, BPF_REG_9, 2);
	bf_jifi(a, BPF_JLT, BPF_REG_9, IP_HEADER, k->bad);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_THOFF, BPF_REG_9);
	/* Not "equal": Linux 6.1 would not learn from that that there are options. */
	bf_jifi(a, BPF_JLE, BPF_REG_9, IP_HEADER, plain);
	read_options(k, done);
	bf_asm_here(a, plain);
	bf_emit_if_egress(k, done);
	check_sum(k, IP_HEADER);
	bf_asm_here(a, done);
}

/*
 * Is all of the packet there? To @pass if not. LEN is its length.
 *
 * tc: skb->len has whatever is in front of the IP header, too; where that may be less than an Ethernet
 * header, the last byte is looked for. It is not found if it is in a page of its own: then the packet
 * is judged.
 */
static void check_whole(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int whole = bf_asm_label(a);

	if (!is_tc(k)) {
		/* The frame is in one piece: see key_xdp.c. */
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, offsetof(struct xdp_md, data));
		bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct xdp_md, data_end));
		bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_2);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_L3);
		load(a, BPF_REG_2, BF_LEN);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
		bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_3, k->bad);
		return;
	}
	load(a, BPF_REG_8, BF_LEN);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, offsetof(struct __sk_buff, len));
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_1, ETHER_HEADER);
	bf_jif(a, BPF_JGE, BPF_REG_2, BPF_REG_1, whole);
	bf_alui(a, BPF_SUB, BPF_REG_8, 1);
	bf_movi(a, BPF_REG_9, 1);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, whole);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, data));
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, offsetof(struct __sk_buff, data_end));
	bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, len));
	bf_jif(a, BPF_JGE, BPF_REG_2, BPF_REG_1, k->bad);
	bf_asm_here(a, whole);
}

/*
 * LEN and L4LEN: iph_totlen(). A TCP packet of more than 64 KB, which the stack makes of many, has a
 * total length of 0.
 */
static void read_lengths(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int small = bf_asm_label(a);

	bf_ldx(a, BPF_H, BPF_REG_8, BPF_REG_6, BF_FRAME_HEADER + 2);
	bf_be(a, BPF_REG_8, 16);
	if (is_tc(k)) {
		bf_jifi(a, BPF_JNE, BPF_REG_8, 0, small);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, gso_size));
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, k->bad);
		bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_7, offsetof(struct __sk_buff, len));
		bf_alui(a, BPF_SUB, BPF_REG_8, ETHER_HEADER);
		bf_asm_here(a, small);
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_THOFF);
	bf_jif(a, BPF_JLT, BPF_REG_8, BPF_REG_1, k->bad);
	store(a, BF_LEN, BPF_REG_8);
	bf_alu(a, BPF_SUB, BPF_REG_8, BPF_REG_1);
	store(a, BF_L4LEN, BPF_REG_8);
	check_whole(k);
}

static void read_ip_fields(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 12);
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_SADDR, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 16);
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_DADDR, BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 9);
	store(a, BF_PROTO, BPF_REG_1);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 6);
	bf_be(a, BPF_REG_1, 16);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x1fff);
	store(a, BF_FRAGOFF, BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 6);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x20);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_MORE, BPF_REG_1);
	if (k->p->fields & BF_FIELD_BIT(BF_MARK)) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, mark));
		store(a, BF_MARK, BPF_REG_1);
	}
}

/*
 * A later fragment has neither ports nor flags. INPUT sees packets put together, as do all hooks where
 * conntrack is active, and nothing can be put together without the first fragment, on which the whole
 * packet is judged: the others pass. Where FORWARD sees each fragment, so does the table. OUTPUT sees
 * packets before they become fragments: those are dropped if the table looks at what they lack.
 */
static void later_fragment(struct bf_packet_key *k)
{
	bool output_drops = k->p->fields & (L4_FIELDS | BF_TCP_OPTIONS);
	struct bf_asm *a = k->a;
	int judge = bf_asm_label(a), output = bf_asm_label(a);

	load(a, BPF_REG_1, BF_FRAGOFF);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, judge);
	bf_emit_if_egress(k, output);
	if (!k->p->wants_conntrack) {
		load(a, BPF_REG_1, BF_HOOK);
		bf_jifi(a, BPF_JNE, BPF_REG_1, NF_INET_LOCAL_IN, judge);
	}
	bf_jmp(a, k->pass);
	bf_asm_here(a, output);
	if (output_drops && is_tc(k))
		bf_jmp(a, k->drop);
	bf_asm_here(a, judge);
}

/* Fields of the first @len bytes behind the IP header, which are in BUF. */
static void l4_fields(struct bf_asm *a, uint32_t len, int done)
{
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
	bf_be(a, BPF_REG_1, 16);
	store(a, BF_SPORT, BPF_REG_1);
	if (len >= 8) {
		bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
		bf_be(a, BPF_REG_1, 16);
		store(a, BF_ICMP, BPF_REG_1);
	}
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF + 2);
	bf_be(a, BPF_REG_1, 16);
	store(a, BF_DPORT, BPF_REG_1);
	if (len >= 20) {
		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF + 13);
		store(a, BF_TCP_FLAGS, BPF_REG_1);
	}
	bf_jmp(a, done);
}

/* @len bytes behind the IP header to BUF. */
static void read_behind(struct bf_packet_key *k, uint32_t len)
{
	struct bf_asm *a = k->a;
	int slow = bf_asm_label(a), have = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_6, BF_FRAME_THOFF);
	if (copies_words(k)) {
		bf_jifi(a, BPF_JNE, BPF_REG_8, IP_HEADER, slow);
		copy_words(k, BF_FRAME_BUF, IP_HEADER, len, slow);
		bf_jmp(a, have);
		bf_asm_here(a, slow);
	}
	bf_movi(a, BPF_REG_9, len);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->drop);
	bf_asm_here(a, have);
}

/* What is behind the IP header: 20 bytes, or 8, or 4, as many of these as the packet has. */
static void read_l4(struct bf_packet_key *k)
{
	static const uint32_t lengths[] = {20, 8, 4};
	struct bf_asm *a = k->a;
	int done = bf_asm_label(a);
	unsigned int i;

	load(a, BPF_REG_1, BF_FRAGOFF);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, done);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int shorter = bf_asm_label(a);

		load(a, BPF_REG_1, BF_L4LEN);
		bf_jifi(a, BPF_JLT, BPF_REG_1, lengths[i], shorter);
		read_behind(k, lengths[i]);
		l4_fields(a, lengths[i], done);
		bf_asm_here(a, shorter);
	}
	bf_asm_here(a, done);
}

/* Zeroes for all that is looked at; the context and where the counters are. */
static void init_frame(struct bf_packet_key *k, int readable)
{
	struct bf_asm *a = k->a;
	int off, end = bf_key_bytes(k->p->fields);

	if (readable > end)
		end = readable;
	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_mov(a, BPF_REG_6, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_6, BF_FRAME_BASE);
	for (off = 0; off < end; off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, off, 0);
	bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_BUF, 0);
	bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_BUF + 8, 0);
	bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_BUF + 16, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_SKB, BPF_REG_7);
	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_alui(a, BPF_MUL, BPF_REG_0, k->p->stride);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_COUNTERS, BPF_REG_0);
}

void bf_emit_key_packet(struct bf_asm *a, const struct bf_program *p, int readable, int pass,
			int drop)
{
	struct bf_packet_key k = {.a = a, .p = p, .pass = pass, .drop = drop};
	int done = bf_asm_label(a);

	k.bad = bf_asm_label(a);
	init_frame(&k, readable);
	if (is_tc(&k))
		bf_emit_arrival_tc(&k);
	else
		bf_emit_arrival_xdp(&k);
	read_header(&k);
	read_lengths(&k);
	read_ip_fields(&k);
	bf_emit_hook(&k);
	later_fragment(&k);
	if (p->fields & L4_FIELDS)
		read_l4(&k);
	if (p->fields & BF_FIELD_BIT(BF_CT_STATE))
		bf_emit_ct_state(&k);
	if (p->fields & BF_TCP_OPTIONS) {
		bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_OPTLEN, 0);
		bf_emit_tcp_options(a, p->fields);
	}
	bf_jmp(a, done);
	/* What the stack would not receive it may send all the same. */
	bf_asm_here(a, k.bad);
	bf_emit_if_egress(&k, drop);
	bf_jmp(a, pass);
	bf_asm_here(a, done);
}
